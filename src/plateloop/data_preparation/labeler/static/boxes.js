// The boxes mode: which picture is open, what is selected, and what each key does.
import { $, api, toast } from "./api.js";
import { Canvas } from "./canvas.js";
import { LabelDocument } from "./document.js";
import { boxFrom, bounds, cornersOf, handles, large, moved, overlap, owner, tenth } from "./geometry.js";
import { PictureList } from "./list.js";
import { drawPanel, panelOrder } from "./panel.js";

const same = (a, b) => a && b && a.kind === b.kind && a.index === b.index && a.draft === b.draft;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const REVIEWED = "reviewed";

export class Boxes {
  constructor(words, told) {
    this.words = words;
    this.told = told;
    this.document = null;
    this.tool = "select";
    this.points = [];
    this.crosshair = null;
    this.selected = null;
    this.handle = null;
    this.draft = null;
    this.draftShown = false;
    this.lastLabel = words.labels[0];
    this.list = new PictureList((row) => this.open(row));
    this.canvas = new Canvas(this);
    for (const button of document.querySelectorAll("[data-tool]")) button.addEventListener("click", () => { button.blur(); this.use(button.dataset.tool); });
    for (const button of document.querySelectorAll("[data-do]")) button.addEventListener("click", () => { button.blur(); this.run(button.dataset.do); });
  }

  get size() { const { width, height } = this.document.record; return { width, height }; }

  async open(row) {
    if (this.document && !(await this.document.flush())) return;
    let data;
    try { data = await api.record(row); } catch (error) { toast(error.message); return; }
    this.document = new LabelDocument(row, data, (what, ...details) => this.heard(what, ...details));
    Object.assign(this, { selected: null, handle: null, points: [], draft: null, draftShown: false, tool: "select" });
    history.replaceState(null, "", `#boxes/${row}`);
    const image = new Image(), fault = $("picture-fault");
    fault.hidden = true;
    image.onload = () => { if (this.document.row === row) this.canvas.show(image); };
    image.onerror = async () => {
      if (this.document.row !== row) return;
      this.canvas.show(null);
      this.canvas.draw();
      const answer = await fetch(image.src).then((response) => response.json()).catch(() => ({}));
      fault.textContent = answer.detail || "The picture cannot be shown.";
      fault.hidden = false;
    };
    image.src = `/api/records/${row}/picture`;
    const { record } = data;
    if (!record.vehicles.length && !record.plates.length && !this.reviewed) {
      // Who only leafs through asks for no drafts.
      setTimeout(() => { if (this.document.row === row && !this.draftShown) this.showDraft(true); }, 200);
    }
    this.refresh();
    this.list.show(row).catch(() => {});
  }

  get reviewed() { return this.document.record.tags.includes(REVIEWED); }

  heard(what, first, message) {
    if (what === "saved") {
      this.list.changed(this.document.row, first, first.tags.includes(REVIEWED));
      this.refresh();
    }
    if (what === "conflict") this.told("conflict", first, this.document, () => { this.selected = null; this.refresh(); });
    else this.told(what === "saved" ? "saved" : first, message);
  }

  objects() {
    const found = [];
    const add = (kind, values, draft) => values.forEach((value, index) => {
      const ref = { kind, index, draft }, selected = Boolean(same(ref, this.selected));
      found.push({ ref, value, selected, handle: selected ? this.handle : null });
    });
    if (!this.document) return found;
    add("vehicle", this.document.record.vehicles, false);
    add("plate", this.document.record.plates, false);
    if (this.draftShown && this.draft) {
      // What stands labelled already is not proposed again.
      for (const kind of ["vehicle", "plate"]) {
        const known = this.document.record[`${kind}s`];
        this.draft[`${kind}s`].forEach((value, index) => {
          if (known.some((other) => overlap(other.box, value.box).iou > 0.5)) return;
          const ref = { kind, index, draft: true };
          found.push({ ref, value, selected: Boolean(same(ref, this.selected)), handle: null });
        });
      }
    }
    return found;
  }

  get(ref) { return (ref.draft ? this.draft : this.document.record)[`${ref.kind}s`][ref.index]; }

  select(ref) { this.selected = ref; this.handle = null; this.refresh(); }
  hold(handle) { this.handle = handle; this.refresh(); }

  pointed(point) {
    this.crosshair = point;
    const { width, height } = this.size, [x, y] = point;
    $("where").textContent = x >= 0 && y >= 0 && x <= width && y <= height ? `${Math.floor(x)}, ${Math.floor(y)}` : "";
  }

  /** The canvas was drawn anew, maybe in another scale. */
  painted() {
    const { width, height } = this.size;
    $("zoom").textContent = `${width}×${height} · ${Math.round(this.canvas.scale * 100)}%${this.reviewed ? " · done" : ""}`;
  }

  refresh() {
    if (!this.document) return;
    const { record, row } = this.document;
    $("file").textContent = record.file;
    this.painted();
    $("legend").hidden = !this.draftShown;
    for (const button of document.querySelectorAll("[data-tool]")) button.classList.toggle("on", button.dataset.tool === this.tool);
    document.querySelector("[data-do=draft]").classList.toggle("on", this.draftShown);
    this.canvas.draw();
    // A field that is being typed into stays.
    if (!$("panel").contains(document.activeElement) || document.activeElement.type !== "text") drawPanel(this);
    else if (row !== this.panelRow) document.activeElement.blur();
    this.panelRow = row;
  }

  use(tool) {
    this.tool = tool;
    this.points = [];
    if (tool !== "select") {
      this.handle = null;
      // A pointer that rests keeps its place; without one the crosshair begins in the middle of what is seen.
      this.crosshair = this.canvas.pointer || this.canvas.toPicture(this.canvas.size.map((side) => side / 2));
    }
    this.refresh();
  }

  place(point) {
    const { width, height } = this.size;
    this.points.push([tenth(point[0]), tenth(point[1])]);
    if (this.points.length < (this.tool === "corners" ? 4 : 2)) return this.refresh();
    const points = this.points, corners = this.tool === "corners" ? points : null;
    const box = corners ? bounds(corners, width, height) : boxFrom(points[0], points[1], width, height);
    this.points = [];
    if (!large(box)) return this.refresh();
    if (this.tool === "vehicle") this.add("vehicle", { box, label: this.lastLabel, color: null, annotation: "annotated", score: null, attributes: {} });
    else if (corners && this.selected?.kind === "plate" && !this.selected.draft && overlap(box, this.get(this.selected).box).iou > 0.2) this.set({ corners, box });
    else this.add("plate", this.plate({ box, corners }));
    this.use("select");
  }

  plate({ box, corners = null, text = null, region = null }) {
    return { box, corners, text, region, vehicle: owner(box, this.document.record.vehicles), annotation: text ? "annotated" : null, attributes: {} };
  }

  add(kind, value) {
    this.document.edit((record) => {
      record[`${kind}s`] = [...record[`${kind}s`], value];
      if (kind === "vehicle") record.plates = record.plates.map((plate) => (plate.vehicle === null ? { ...plate, vehicle: owner(plate.box, record.vehicles) } : plate));
    });
    this.select({ kind, index: this.document.record[`${kind}s`].length - 1, draft: false });
  }

  change(ref, value, merge = null) {
    this.document.edit((record) => { record[`${ref.kind}s`] = record[`${ref.kind}s`].map((old, index) => (index === ref.index ? value : old)); }, merge);
    this.refresh();
  }

  set(values) {
    if (!this.selected || this.selected.draft) return;
    if (values.label) this.lastLabel = values.label;
    const made = this.selected.kind === "vehicle" ? { annotation: "annotated", score: null } : {};
    this.change(this.selected, { ...this.get(this.selected), ...made, ...values });
  }

  remove() {
    if (!this.selected || this.selected.draft) return;
    const { kind, index } = this.selected;
    this.document.edit((record) => {
      record[`${kind}s`] = record[`${kind}s`].filter((_, other) => other !== index);
      if (kind === "vehicle") record.plates = record.plates.map((plate) => ({ ...plate, vehicle: plate.vehicle === index ? null : plate.vehicle > index ? plate.vehicle - 1 : plate.vehicle }));
    });
    this.select(null);
  }

  async showDraft(shown) {
    this.draftShown = shown;
    this.refresh();
    if (!shown || this.draft) return;
    const { row } = this.document;
    this.told("drafting");
    try {
      const draft = await api.draft(row);
      if (this.document.row === row) this.draft = draft;
    } catch (error) { this.draftShown = false; toast(`No draft: ${error.message}`); }
    this.told("idle");
    this.refresh();
  }

  accept(refs) {
    const chosen = refs.filter((ref) => ref.draft);
    if (!chosen.length) return;
    this.document.edit((record) => {
      for (const kind of ["vehicle", "plate"]) for (const ref of chosen) {
        if (ref.kind !== kind) continue;
        const { box, label, color, corners, text, region } = this.get(ref);
        if (kind === "vehicle") record.vehicles = [...record.vehicles, { box, label, color, annotation: "annotated", score: null, attributes: {} }];
        // The text is the network's until a person has confirmed it, here or in the text mode.
        else record.plates = [...record.plates, { ...this.plate({ box, corners, text, region }), annotation: text ? "auto" : null }];
      }
      record.plates = record.plates.map((plate) => (plate.vehicle === null ? { ...plate, vehicle: owner(plate.box, record.vehicles) } : plate));
    });
  }

  async copyPrevious() {
    const { row } = await api.neighbor(this.document.row, "all", -1);
    if (row === null) return toast("This is the first picture.", "info");
    const { record: before } = await api.record(row), { width, height } = this.size;
    this.document.edit((record) => {
      const first = record.vehicles.length;
      const fit = (object) => moved({ ...object, corners: null }, null, [0, 0], width, height).box.map((v, i) => Math.min(v, i % 2 ? height : width));
      record.vehicles = [...record.vehicles, ...before.vehicles.map((vehicle) => ({ ...vehicle, box: fit(vehicle) }))];
      record.plates = [...record.plates, ...before.plates.map((plate) => ({ ...plate, box: fit(plate), vehicle: plate.vehicle === null ? null : plate.vehicle + first }))];
    });
    this.refresh();
    return toast(`Copied ${before.vehicles.length} vehicles and ${before.plates.length} plates.`, "info");
  }

  /** The next or previous picture of the list. Keys pressed meanwhile wait for their turn. */
  go(step) {
    this.turning = (this.turning || Promise.resolve()).then(() => this.turn(step)).catch((error) => toast(error.message));
    return this.turning;
  }

  async turn(step) {
    const { row } = await api.neighbor(this.document.row, this.list.state, step);
    if (row === null) { await this.document.flush(); toast(step > 0 ? "This is the last picture of the list." : "This is the first picture of the list.", "info"); } else await this.open(row);
  }

  async done() {
    const { width, height } = this.size;
    this.document.edit((record) => {
      if (!record.tags.includes(REVIEWED)) record.tags = [...record.tags, REVIEWED];
      record.plates_annotated = true;
      // A picture that is one plate says nothing about vehicles.
      const crop = record.plates.some((plate) => (plate.box[2] - plate.box[0]) * (plate.box[3] - plate.box[1]) > 0.25 * width * height);
      record.vehicles_annotated = record.vehicles_annotated || !crop;
    });
    this.refresh();
    if (await this.document.flush()) await this.go(1);
  }

  step(values, current, by) { return values[(values.indexOf(current) + by + values.length) % values.length]; }

  next(by) {
    const order = panelOrder(this.objects().filter(({ ref }) => !ref.draft)).concat(panelOrder(this.objects().filter(({ ref }) => ref.draft)));
    if (!order.length) return;
    const at = order.findIndex(({ selected }) => selected);
    this.select(order[at < 0 ? (by > 0 ? 0 : order.length - 1) : (at + by + order.length) % order.length].ref);
  }

  arrow([x, y], event) {
    const size = event.altKey ? 1 : event.shiftKey ? 10 : 1;
    if (this.tool !== "select") {
      const step = event.altKey ? 1 : (event.shiftKey ? 48 : 8) / this.canvas.scale;
      this.pointed([this.crosshair[0] + x * step, this.crosshair[1] + y * step]);
      return this.canvas.draw();
    }
    if (!this.selected || this.selected.draft) return this.canvas.pan(-x * 60, -y * 60);
    const { width, height } = this.size;
    return this.change(this.selected, moved(this.get(this.selected), this.handle, [x * size, y * size], width, height), `nudge ${JSON.stringify(this.selected)} ${this.handle}`);
  }

  /** Everything that keys and buttons do. */
  run(action, event = {}) {
    const selected = this.selected && !this.selected.draft ? this.get(this.selected) : null;
    const plate = this.selected?.kind === "plate" ? selected : null, vehicle = this.selected?.kind === "vehicle" ? selected : null;
    const back = event.shiftKey ? -1 : 1;
    const actions = {
      undo: () => { if (this.document.undo()) this.select(null); },
      redo: () => { if (this.document.redo()) this.select(null); },
      draft: () => this.showDraft(!this.draftShown),
      accept: () => { if (this.selected?.draft) { const { kind } = this.selected; this.accept([this.selected]); this.select({ kind, index: this.document.record[`${kind}s`].length - 1, draft: false }); } },
      acceptAll: async () => { await this.showDraft(true); this.accept(this.objects().map(({ ref }) => ref)); this.draftShown = false; this.select(null); },
      copyPrevious: () => this.copyPrevious().catch((error) => toast(error.message)),
      done: () => this.done(),
      forward: () => this.go(1), backward: () => this.go(-1),
      object: () => this.next(back),
      handle: () => { if (selected) { const count = handles(selected).length; this.hold(this.handle === null ? (back > 0 ? 0 : count - 1) : (this.handle + back + count) % count); } },
      remove: () => this.remove(),
      color: () => { if (vehicle) this.set({ color: this.step(this.words.colors, vehicle.color, back) }); },
      text: () => { $("plate-text")?.select(); }, region: () => { $("plate-region")?.select(); },
      corners: () => { if (plate) this.set({ corners: event.shiftKey ? null : plate.corners || cornersOf(plate.box) }); },
      turn: () => { if (plate?.corners) this.set({ corners: [...plate.corners.slice(1), plate.corners[0]] }); },
      link: () => { if (plate) { const next = (plate.vehicle ?? -1) + 1; this.set({ vehicle: next < this.document.record.vehicles.length ? next : null }); } },
      fit: () => this.canvas.fit(), closer: () => this.canvas.zoom(1.25), farther: () => this.canvas.zoom(0.8),
      focus: () => { if (this.selected) this.canvas.frame(this.get(this.selected).box); },
      vehicle: () => this.use("vehicle"), plate: () => this.use("plate"), points: () => this.use("corners"),
      escape: () => { if (this.tool !== "select") this.use("select"); else this.select(null); },
    };
    actions[action]();
    this.refresh();
  }

  key(event) {
    if (!this.document) return false;
    if (event.key === " ") { if (this.tool === "select") this.canvas.space = true; else if (!event.repeat) this.place(this.crosshair); return true; }
    if (event.key === "h" || event.key === "H") { this.canvas.hidden = true; this.canvas.draw(); return true; }
    if (ARROWS[event.key]) { this.arrow(ARROWS[event.key], event); return true; }
    if (event.key === "Enter" && this.tool !== "select") { this.place(this.crosshair); return true; }
    if (event.key === "A" && event.shiftKey) { this.run("acceptAll"); return true; }
    if (/^[1-9]$/.test(event.key) && this.selected?.kind === "vehicle") { const label = this.words.labels[event.key - 1]; if (label) this.set({ label }); return true; }
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (key === "z" && event.shiftKey) { this.run("redo"); return true; }
    const action = {
      z: "undo", y: "redo", d: "draft", a: "accept", e: "copyPrevious", Enter: "done", n: "forward", PageDown: "forward", b: "backward", PageUp: "backward",
      Tab: "object", c: "handle", Delete: "remove", Backspace: "remove", x: "remove", k: "color", t: "text", r: "region", g: "corners", ".": "turn", l: "link",
      0: "fit", "+": "closer", "=": "closer", "-": "farther", f: "focus", v: "vehicle", p: "plate", q: "points", Escape: "escape",
    }[key];
    if (!action) return false;
    this.run(action, event);
    return true;
  }

  keyUp(event) {
    if (event.key === " ") this.canvas.space = false;
    if (event.key === "h" || event.key === "H") this.canvas.hidden = false;
    this.canvas.draw();
  }
}
