// The picture with its boxes: drawing, zoom and pan, and what the pointer does. Knows no server.
import { $, confidenceColor } from "./api.js";
import { area, boxFrom, cornersOf, handles, inside, moved } from "./geometry.js";

export const COLORS = { vehicle: "#62a8ff", plate: "#ffc24d", selected: "#ffffff" };
const GRAB = 9;

export class Canvas {
  /** `model` gives objects() (draw order), selected, tool, points; and is told select, change, place, pan. */
  constructor(model) {
    this.model = model;
    this.node = $("canvas");
    this.context = this.node.getContext("2d");
    this.image = null;
    this.scale = 1;
    this.offset = [0, 0];
    this.pointer = null;
    this.hidden = false;
    this.space = false;
    this.drag = null;
    new ResizeObserver(() => this.resize()).observe(this.node.parentElement);
    this.node.addEventListener("pointerdown", (event) => this.down(event));
    this.node.addEventListener("pointermove", (event) => this.move(event));
    this.node.addEventListener("pointerup", (event) => this.up(event));
    this.node.addEventListener("pointercancel", () => { this.drag = null; this.draw(); });
    this.node.addEventListener("pointerleave", () => { if (!this.drag) { this.pointer = null; this.draw(); } });
    this.node.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)), this.at(event));
    }, { passive: false });
    this.node.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  get size() { return [this.node.clientWidth, this.node.clientHeight]; }
  toScreen([x, y]) { return [x * this.scale + this.offset[0], y * this.scale + this.offset[1]]; }
  toPicture([x, y]) { return [(x - this.offset[0]) / this.scale, (y - this.offset[1]) / this.scale]; }
  at(event) { const box = this.node.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; }

  show(image) { this.image = image; this.fit(); }

  resize() {
    const [width, height] = this.size, ratio = window.devicePixelRatio || 1;
    this.node.width = Math.round(width * ratio);
    this.node.height = Math.round(height * ratio);
    if (this.fitted) this.fit(); else this.draw();
  }

  fit() {
    if (this.image) this.frame([0, 0, this.image.naturalWidth, this.image.naturalHeight], 14);
    this.fitted = true;
  }

  frame(box, margin = 120) {
    const [width, height] = this.size, w = box[2] - box[0], h = box[3] - box[1];
    this.scale = Math.min(40, Math.max(0.02, Math.min((width - 2 * margin) / w, (height - 2 * margin) / h)));
    this.offset = [width / 2 - ((box[0] + box[2]) / 2) * this.scale, height / 2 - ((box[1] + box[3]) / 2) * this.scale];
    this.fitted = false;
    this.draw();
  }

  zoom(factor, [x, y] = [this.size[0] / 2, this.size[1] / 2]) {
    const scale = Math.min(40, Math.max(0.05, this.scale * factor)), real = scale / this.scale;
    this.offset = [x - (x - this.offset[0]) * real, y - (y - this.offset[1]) * real];
    this.scale = scale;
    this.fitted = false;
    this.draw();
  }

  pan(dx, dy) {
    this.offset = [this.offset[0] + dx, this.offset[1] + dy];
    this.fitted = false;
    this.draw();
  }

  down(event) {
    this.node.setPointerCapture(event.pointerId);
    if (document.activeElement !== document.body) document.activeElement.blur();
    const screen = this.at(event), point = this.toPicture(screen), model = this.model;
    if (event.button === 1 || event.button === 2 || this.space) this.drag = { kind: "pan", last: screen };
    else if (model.tool === "corners") model.place(point);
    else if (model.tool !== "select") {
      if (model.points.length) model.place(point);
      else { this.drag = { kind: "box", from: screen }; model.place(point); }
    } else {
      const handle = this.handleAt(screen);
      const target = handle === null ? this.objectAt(point) : model.selected;
      if (!target) { this.drag = { kind: "pan", last: screen, click: true }; return; }
      if (handle === null) model.select(target);
      else model.hold(handle);
      if (!target.draft) this.drag = { kind: "move", target, handle, from: point, start: screen, before: model.get(target) };
    }
    this.draw();
  }

  move(event) {
    const screen = this.at(event), point = this.toPicture(screen), drag = this.drag;
    this.pointer = point;
    if (drag?.kind === "pan") {
      this.pan(screen[0] - drag.last[0], screen[1] - drag.last[1]);
      if (Math.hypot(screen[0] - drag.last[0], screen[1] - drag.last[1]) > 1) drag.click = false;
      drag.last = screen;
    } else if (drag?.kind === "move") {
      if (!drag.live && Math.hypot(screen[0] - drag.start[0], screen[1] - drag.start[1]) < 3) return;
      const { width, height } = this.model.size;
      drag.live = moved(drag.before, drag.handle, [point[0] - drag.from[0], point[1] - drag.from[1]], width, height);
    }
    this.model.pointed(point);
    this.node.style.cursor = this.cursor(screen, point);
    this.draw();
  }

  up(event) {
    const drag = this.drag, screen = this.at(event);
    this.drag = null;
    if (drag?.kind === "move" && drag.live) this.model.change(drag.target, drag.live);
    if (drag?.kind === "box" && Math.hypot(screen[0] - drag.from[0], screen[1] - drag.from[1]) > 4) this.model.place(this.toPicture(screen));
    if (drag?.kind === "pan" && drag.click) this.model.select(null);
    this.draw();
  }

  cursor(screen, point) {
    if (this.drag?.kind === "pan" || this.space) return "grabbing";
    if (this.model.tool !== "select") return "crosshair";
    if (this.handleAt(screen) !== null) return "move";
    return this.objectAt(point) ? "pointer" : "grab";
  }

  handleAt([x, y]) {
    const selected = this.model.selected;
    if (!selected || selected.draft || this.hidden) return null;
    let best = null, nearest = GRAB;
    handles(this.model.get(selected)).forEach((handle, index) => {
      const [hx, hy] = this.toScreen(handle), distance = Math.hypot(hx - x, hy - y);
      if (distance < nearest) { nearest = distance; best = index; }
    });
    return best;
  }

  objectAt(point) {
    if (this.hidden) return null;
    let best = null;
    for (const object of this.model.objects()) {
      if (inside(object.value.box, point) && (!best || area(object.value.box) <= area(best.value.box))) best = object;
    }
    return best && best.ref;
  }

  draw() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => { this.waiting = 0; this.paint(); });
  }

  paint() {
    const context = this.context, ratio = window.devicePixelRatio || 1, [width, height] = this.size;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    if (!this.image) return;
    context.imageSmoothingEnabled = this.scale < 4;
    context.imageSmoothingQuality = "high";
    const { width: w, height: h } = this.model.size;
    context.drawImage(this.image, this.offset[0], this.offset[1], w * this.scale, h * this.scale);
    if (!this.hidden) for (const object of this.model.objects().sort((a, b) => a.selected - b.selected)) this.object(object);
    this.guides();
    const drag = this.drag;
    const fine = this.model.tool === "corners" ? this.pointer : drag?.live && drag.handle !== null ? handles(drag.live)[drag.handle] : null;
    if (fine && this.scale < 8) this.loupe(fine);
    this.model.painted();
  }

  path(points, close = true) {
    const context = this.context;
    context.beginPath();
    points.forEach((point, index) => { const [x, y] = this.toScreen(point); if (index) context.lineTo(x, y); else context.moveTo(x, y); });
    if (close) context.closePath();
  }

  object({ ref, value, selected, handle }) {
    const context = this.context;
    if (this.drag?.live && selected) value = this.drag.live;
    const color = ref.draft ? confidenceColor(value.confidence) : COLORS[ref.kind];
    const outline = value.corners || cornersOf(value.box);
    this.path(outline);
    context.setLineDash(ref.draft ? [6, 4] : []);
    context.lineJoin = "round";
    context.lineWidth = selected ? 4.5 : 3.5;
    context.strokeStyle = "rgba(0,0,0,.55)";
    context.stroke();
    context.lineWidth = selected ? 2.5 : 1.75;
    context.strokeStyle = color;
    context.stroke();
    context.setLineDash([]);
    if (selected) { context.fillStyle = `${COLORS[ref.kind]}22`; context.fill(); }
    this.tag(ref, value, color, selected);
    if (selected && !ref.draft) {
      handles(value).forEach((point, index) => {
        const [x, y] = this.toScreen(point), held = index === handle;
        context.beginPath();
        context.arc(x, y, held ? 6 : 4.5, 0, 7);
        context.fillStyle = held ? "#ff5d5d" : value.corners && index === 0 ? color : "#fff";
        context.strokeStyle = "#111";
        context.lineWidth = 1.25;
        context.fill();
        context.stroke();
      });
    }
  }

  tag(ref, value, color, selected) {
    const context = this.context;
    const words = ref.kind === "vehicle" ? [value.label, value.color] : [value.text || "plate"];
    if (ref.draft) words.push(`${Math.round(value.confidence * 100)}%`);
    const text = words.filter(Boolean).join(" · "), [left, top] = this.toScreen([value.box[0], value.box[1]]);
    const bottom = this.toScreen([0, value.box[3]])[1];
    context.font = `${ref.kind === "plate" && value.text ? "600" : "500"} 11px ui-sans-serif, system-ui, sans-serif`;
    const width = context.measureText(text).width + 10, size = (value.box[2] - value.box[0]) * this.scale;
    if (!selected && size < 34) return;
    // A vehicle is named above its box, a plate below, so that neither hides the other.
    const y = ref.kind === "vehicle" ? Math.max(0, top - 18) : bottom + 4;
    context.fillStyle = color;
    context.beginPath();
    context.roundRect(Math.max(0, left - 1), y, width, 16, 3);
    context.fill();
    context.fillStyle = "#101114";
    context.fillText(text, Math.max(0, left - 1) + 5, y + 12);
  }

  guides() {
    const { tool, points, size } = this.model, context = this.context;
    if (tool === "select") return;
    const at = this.model.crosshair;
    if (!at) return;
    const [x, y] = this.toScreen(at), [width, height] = this.size;
    context.lineWidth = 1;
    context.strokeStyle = "rgba(255,255,255,.45)";
    context.beginPath();
    context.moveTo(x, 0); context.lineTo(x, height); context.moveTo(0, y); context.lineTo(width, y);
    context.stroke();
    const color = COLORS[tool === "vehicle" ? "vehicle" : "plate"];
    context.strokeStyle = color;
    context.lineWidth = 2;
    if (tool === "corners") this.path([...points, at], points.length === 3);
    else if (points.length) this.path(cornersOf(boxFrom(points[0], at, size.width, size.height)));
    if (points.length) context.stroke();
  }

  loupe(point) {
    const context = this.context, side = 150, factor = Math.max(6, this.scale * 3), [width] = this.size;
    const [px] = this.toScreen(point), left = px > width / 2 ? 14 : width - side - 14, top = 14;
    context.save();
    context.beginPath();
    context.roundRect(left, top, side, side, 8);
    context.clip();
    context.fillStyle = "#000";
    context.fillRect(left, top, side, side);
    context.imageSmoothingEnabled = false;
    const { width: w, height: h } = this.model.size;
    context.drawImage(this.image, left + side / 2 - point[0] * factor, top + side / 2 - point[1] * factor, w * factor, h * factor);
    context.strokeStyle = "rgba(255,93,93,.9)";
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(left + side / 2, top); context.lineTo(left + side / 2, top + side);
    context.moveTo(left, top + side / 2); context.lineTo(left + side, top + side / 2);
    context.stroke();
    context.restore();
    context.strokeStyle = "#000a";
    context.strokeRect(left, top, side, side);
  }
}

