// One picture's labels as they are being edited: undo and redo, and saving after every edit.
import { api } from "./api.js";

const PARTS = ["vehicles", "plates", "vehicles_annotated", "plates_annotated", "tags"];
const KEPT = 200;
const PAUSE = 250;

export class LabelDocument {
  /** `told` is called with ("state", text), ("conflict", data) and ("saved", record). */
  constructor(row, { version, record }, told) {
    this.row = row;
    this.version = version;
    this.record = record;
    this.told = told;
    this.past = [];
    this.future = [];
    this.dirty = false;
    this.saving = null;
    this.failed = false;
    this.merge = null;
  }

  /** Whether leaving the page now could lose an edit. */
  get atRisk() { return this.dirty && (this.failed || this.saving !== null); }

  snapshot() { return structuredClone(Object.fromEntries(PARTS.map((part) => [part, this.record[part]]))); }

  /** Change the record by `work`. Edits with the same `merge` within a second are undone as one. */
  edit(work, merge = null) {
    const before = this.snapshot(), now = performance.now();
    work(this.record);
    if (JSON.stringify(before) === JSON.stringify(this.snapshot())) return;
    if (!(merge && this.merge?.name === merge && now - this.merge.time < 1000)) this.past.push(before);
    if (this.past.length > KEPT) this.past.shift();
    this.merge = merge && { name: merge, time: now };
    this.future = [];
    this.touch();
  }

  undo() { return this.travel(this.past, this.future); }
  redo() { return this.travel(this.future, this.past); }

  travel(from, to) {
    if (!from.length) return false;
    to.push(this.snapshot());
    Object.assign(this.record, from.pop());
    this.merge = null;
    this.touch();
    return true;
  }

  touch() {
    this.dirty = true;
    this.told("state", "saving");
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), PAUSE);
  }

  /** Save what is not saved yet; resolves to whether all is. */
  async flush() {
    clearTimeout(this.timer);
    if (this.saving) await this.saving;
    if (!this.dirty) return true;
    this.saving = this.send();
    const saved = await this.saving;
    this.saving = null;
    return saved && (this.dirty ? this.flush() : true);
  }

  async send() {
    this.dirty = false;
    const sent = structuredClone(this.record);
    try {
      this.version = (await api.put(this.row, this.version, sent)).version;
      this.failed = false;
      this.told("saved", sent);
      return true;
    } catch (error) {
      this.dirty = true;
      this.failed = true;
      if (error.status === 409) this.told("conflict", error.data);
      else {
        this.told("state", "failed", error.message);
        // The server may only be away for a moment; a refused record waits for the next edit.
        if (error.status === undefined || error.status >= 500) this.timer = setTimeout(() => this.flush(), 2000);
      }
      return false;
    }
  }

  /** Send on the way out of the page, without waiting for the answer. */
  leave() {
    if (this.dirty && !this.saving) api.put(this.row, this.version, this.record, true).catch(() => {});
  }

  /** Settle a conflict: theirs replaces ours (which undo brings back), or ours is put on top of theirs. */
  settle(theirs, keepOurs) {
    this.version = theirs.version;
    if (keepOurs) return this.touch();
    this.past.push(this.snapshot());
    this.record = theirs.record;
    this.dirty = false;
    this.failed = false;
    this.told("saved", this.record);
  }
}
