// The text mode: a wall of plates to confirm or correct, from the keyboard alone.
import { $, api, confidenceColor, element, toast } from "./api.js";

const PAGE = 24;
const clean = (text) => text.toUpperCase().replace(/[^A-Z0-9]/g, "").slice(0, 16);

export class Wall {
  constructor(told) {
    this.told = told;
    this.number = null;
    this.start = 0;
    this.items = [];
    this.current = 0;
    this.past = [];
    this.times = [];
    this.pending = 0;
    for (const id of ["wall-state", "wall-order"]) $(id).addEventListener("change", (event) => { event.target.blur(); this.begin(); });
  }

  async begin() {
    try {
      const { wall, total } = await api.wall($("wall-state").value, $("wall-order").value);
      this.number = wall;
      if (total) await this.open(0); else this.empty();
    } catch (error) { toast(error.message); }
  }

  empty() {
    this.items = [];
    $("wall").replaceChildren(element("p", "fault", $("wall-state").value === "todo" ? "All plates have been read by a person." : "There are no plates here. Draw some in the boxes mode."));
    $("wall-total").textContent = "0 plates";
    $("inspector").replaceChildren();
  }

  async open(start, last = false) {
    $("wall").classList.add("loading");
    this.told("reading");
    let data;
    try { data = await api.wallPage(this.number, start, PAGE); } catch (error) {
      if (error.status === 410) return this.begin();
      return toast(error.message);
    } finally { $("wall").classList.remove("loading"); this.told("idle"); }
    if (!data.items.length && start === 0) return this.empty();
    if (!data.items.length) return toast("This was the last page.", "info");
    if (data.fault && !this.faultShown) { this.faultShown = true; toast(`No readings: ${data.fault}`); }
    this.start = start;
    this.total = data.total;
    this.items = data.items.map((item) => ({ ...item, value: item.plate.text ?? item.reading.text ?? "", state: item.done ? "done" : "", note: "" }));
    $("wall").replaceChildren(...this.items.map((item, index) => this.tile(item, index)));
    const open = this.items.findIndex((item) => item.state !== "done");
    this.focus(last ? this.items.length - 1 : Math.max(0, open));
    $("wall-total").textContent = `${(start + 1).toLocaleString("en")}–${(start + this.items.length).toLocaleString("en")} of ${this.total.toLocaleString("en")} plates`;
    return null;
  }

  source(item, what) {
    const { box, corners } = item.plate;
    return `/api/records/${item.row}/plates/${item.number}/${what}?v=${encodeURIComponent(JSON.stringify([box, corners]))}`;
  }

  tile(item, index) {
    const field = element("input", "tile-text", null, { spellcheck: "false", autocomplete: "off", placeholder: "–", "aria-label": `Text of plate ${index + 1}`, maxlength: "16" });
    field.value = item.value;
    field.addEventListener("input", () => { item.value = field.value = clean(field.value); item.state = item.state === "conflict" ? "conflict" : ""; this.paint(item); });
    field.addEventListener("focus", () => { if (this.current !== index) this.focus(index); });
    item.field = field;
    item.line = element("div", "tile-line");
    item.node = element("div", "tile", [element("div", "tile-view", element("img", "", null, { src: this.source(item, "view"), alt: "" })), field, item.line]);
    item.node.addEventListener("pointerdown", (event) => { if (event.target !== field) { event.preventDefault(); this.focus(index); } });
    this.paint(item);
    return item.node;
  }

  paint(item) {
    const { reading } = item, differs = reading.text && reading.text !== item.value;
    item.node.className = `tile ${item.state}${this.items[this.current] === item ? " current" : ""}`;
    item.node.style.setProperty("--sure", reading.text ? confidenceColor(differs ? 0 : reading.text_confidence) : "#5a5f68");
    const parts = [];
    if (item.state === "done") parts.push(element("span", "ok", item.value ? "✓ confirmed" : "✓ not readable"));
    else if (item.note) parts.push(element("span", "warn", item.note));
    else if (differs) parts.push(element("span", "muted", "reads "), element("span", "mono", letters(reading)));
    else if (reading.text) parts.push(element("span", "muted", item.plate.text === item.value ? "manifest and network agree" : "as the network reads it"));
    else parts.push(element("span", "muted", "nothing read"));
    if (reading.text && !item.note) parts.push(element("span", "muted right", `${Math.round(reading.text_confidence * 100)}%`));
    item.line.replaceChildren(...parts);
  }

  focus(index) {
    const before = this.items[this.current];
    this.current = Math.max(0, Math.min(index, this.items.length - 1));
    const item = this.items[this.current];
    if (!item) return;
    if (before && before !== item && before.node) this.paint(before);
    this.paint(item);
    item.field.focus({ preventScroll: true });
    item.field.setSelectionRange(item.value.length, item.value.length);
    item.node.scrollIntoView({ block: "nearest" });
    this.inspect(item);
    history.replaceState(null, "", "#text");
  }

  inspect(item) {
    const { reading, plate } = item;
    const bars = element("div", "bars", [...(reading.text || "")].map((letter, index) => {
      const sure = reading.char_confidences[index], bar = element("i");
      bar.style.height = `${Math.max(4, sure * 44)}px`;
      bar.style.background = confidenceColor(sure);
      return element("span", "bar-cell", [bar, element("b", "mono", letter)], { title: `${Math.round(sure * 100)}%` });
    }));
    const facts = [["Picture", item.file.split("/").pop()], ["In the manifest", plate.text || "–"], ["Read by", plate.annotation || "–"], ["Network", reading.text ? `${reading.text} · ${Math.round(reading.text_confidence * 100)}%` : "–"], ["Region", plate.region || (reading.region ? `${reading.region}?` : "–")],
      ["Size", `${Math.round(plate.box[2] - plate.box[0])}×${Math.round(plate.box[3] - plate.box[1])} px${plate.corners ? ", rectified" : ""}`]];
    $("inspector").replaceChildren(...[
      element("h2", "", "Plate"),
      element("div", "big-view", element("img", "", null, { src: this.source(item, "view"), alt: "the plate, large" })),
      reading.text ? bars : null,
      element("h2", "", "Surroundings"),
      element("img", "context", null, { src: this.source(item, "context"), alt: "the plate's surroundings" }),
      element("dl", "facts", facts.flatMap(([name, value]) => [element("dt", "", name), element("dd", "", value, { title: value })])),
    ].filter(Boolean));
  }

  /** Confirm the current plate with its text (null: it cannot be read) and go on. */
  confirm(text) {
    const item = this.items[this.current];
    if (!item) return;
    if (text === "") { item.note = "no text: press − if it cannot be read"; this.paint(item); return; }
    this.past.push({ item, before: item.plate, start: this.start, index: this.current });
    item.value = item.field.value = text ?? "";
    this.send(item, { ...item.plate, text, annotation: "annotated" });
    this.times.push(performance.now());
    this.pace();
    this.move(1);
  }

  send(item, plate) {
    item.state = "done";
    item.note = "";
    this.paint(item);
    this.told("saving");
    this.pending++;
    // One after the other for each plate: the next edit builds on what the last one left.
    item.queue = (item.queue || Promise.resolve()).then(async () => {
      try {
        const { record } = await api.putPlate(item.row, item.number, item.plate, plate);
        item.plate = record.plates[item.number];
        if (item.plate.annotation !== "annotated") item.state = "";
        if (!--this.pending) this.told("saved");
      } catch (error) {
        this.pending--;
        this.refused(item, error);
      }
      if (item.node.isConnected) this.paint(item);
    });
    return item.queue;
  }

  refused(item, error) {
    const now = error.data?.record?.plates[item.number];
    item.state = "conflict";
    if (error.status === 409 && now) {
      item.plate = now;
      item.note = `changed elsewhere to ${now.text || "no text"}: Enter keeps yours, Esc takes that`;
    } else item.note = error.status === 409 ? "this plate was removed elsewhere" : `not saved: ${error.message}`;
    this.told("failed", item.note);
    if (!item.node.isConnected) toast(`${item.value}: ${item.note}`);
  }

  async undo() {
    const last = this.past.pop();
    if (!last) return;
    if (last.start !== this.start) await this.open(last.start);
    const item = this.items.find((other) => other.row === last.item.row && other.number === last.item.number);
    if (!item) return;
    await last.item.queue;
    item.plate = last.item.plate;
    await this.send(item, last.before);
    item.state = item.plate.annotation === "annotated" ? "done" : "";
    item.value = item.field.value = item.plate.text ?? item.reading.text ?? "";
    this.focus(this.items.indexOf(item));
  }

  revert() {
    const item = this.items[this.current];
    if (!item) return;
    if (item.state === "conflict") { item.state = item.plate.annotation === "annotated" ? "done" : ""; item.value = item.plate.text ?? ""; } else item.value = item.plate.text ?? item.reading.text ?? "";
    item.note = "";
    item.field.value = item.value;
    this.paint(item);
  }

  move(by) {
    const next = this.current + by;
    if (next >= this.items.length) this.open(this.start + PAGE);
    else if (next < 0 && this.start > 0) this.open(this.start - PAGE, true);
    else this.focus(next);
  }

  pace() {
    const now = performance.now();
    this.times = this.times.filter((time) => now - time < 60000);
    const minutes = Math.max(now - this.times[0], 5000) / 60000;
    $("pace").textContent = this.times.length > 2 ? `${Math.round(this.times.length / minutes)} plates a minute` : "";
  }

  key(event) {
    const item = this.items[this.current], control = event.ctrlKey || event.metaKey;
    if (!item) return false;
    if (control && event.key.toLowerCase() === "z") { this.undo(); return true; }
    if (control && event.key.toLowerCase() === "b") { this.told("open", item.row); return true; }
    if (control || event.altKey) return false;
    const keys = {
      Enter: () => this.confirm(item.value), "-": () => this.confirm(null), Escape: () => this.revert(),
      "=": () => { if (item.reading.text) { item.value = item.field.value = item.reading.text; item.state = ""; this.paint(item); } },
      Tab: () => this.move(event.shiftKey ? -1 : 1), ArrowDown: () => this.move(1), ArrowUp: () => this.move(-1),
      PageDown: () => this.open(this.start + PAGE), PageUp: () => { if (this.start > 0) this.open(this.start - PAGE); },
    };
    if (keys[event.key]) { keys[event.key](); return true; }
    if (document.activeElement !== item.field) item.field.focus();
    return false;
  }
}

function letters(reading) {
  return [...reading.text].map((letter, index) => {
    const node = element("span", "", letter);
    node.style.color = confidenceColor(reading.char_confidences[index]);
    return node;
  });
}
