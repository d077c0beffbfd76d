// The panel beside the picture: what is selected, and the list of all objects.
import { $, confidenceColor, element } from "./api.js";
import { COLORS } from "./canvas.js";

const SWATCHES = {
  black: "#15161a", gray: "#858b94", white: "#f2f3f5", red: "#d8352f", blue: "#2f66d0", green: "#2f9150",
  yellow: "#f2cb32", orange: "#ef8a2c", brown: "#7b5338", beige: "#d9c7a2", purple: "#7c4bb3", pink: "#ee8fb4",
};

function field(name, key, content) {
  return element("label", "field", [element("span", "field-name", [name, " ", element("kbd", "", key)]), content]);
}

function chips(values, current, choose, swatches) {
  return element("div", "chips", values.map((value, index) => {
    const chip = element("button", `chip${value === current ? " on" : ""}`, [], { tabindex: "-1", title: value });
    if (swatches) {
      const dot = element("i", "dot");
      dot.style.background = SWATCHES[value] || "linear-gradient(135deg,#888,#ddd)";
      chip.append(dot);
    } else if (index < 9) chip.append(element("kbd", "", String(index + 1)));
    chip.append(value);
    chip.addEventListener("click", () => { chip.blur(); choose(value); });
    return chip;
  }));
}

function vehicle(boxes, value) {
  return [
    field("Label", "1–9", chips(boxes.words.labels, value.label, (label) => boxes.set({ label }))),
    field("Colour", "K", chips(boxes.words.colors, value.color, (color) => boxes.set({ color: color === value.color ? null : color }), true)),
  ];
}

function input(id, value, clean, commit) {
  const node = element("input", "text-input", null, { id, value: value || "", spellcheck: "false", autocomplete: "off", maxlength: "16" });
  node.addEventListener("input", () => { node.value = clean(node.value); });
  node.addEventListener("change", () => commit(node.value || null));
  node.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Escape") node.value = value || "";
    if (event.key === "Enter" || event.key === "Escape") node.blur();
  });
  return node;
}

function plate(boxes, ref, value) {
  const { row, version, dirty } = boxes.document;
  const parts = [];
  if (!dirty && !ref.draft) parts.push(element("div", "plate-view", element("img", "", null, { src: `/api/records/${row}/plates/${ref.index}/view?v=${version}`, alt: "the plate from straight ahead" })));
  parts.push(
    field("Text", "T", input("plate-text", value.text, (text) => text.toUpperCase().replace(/[^A-Z0-9]/g, ""), (text) => boxes.set({ text, annotation: "annotated" }))),
    field("Region", "R", input("plate-region", value.region, (text) => text.replace(/\s/g, ""), (region) => boxes.set({ region }))),
  );
  const facts = [value.corners ? "4 corners" : "no corners (G gives it some)", value.vehicle === null ? "of no vehicle (L)" : `of vehicle ${value.vehicle + 1} (L)`];
  parts.push(element("p", "muted", facts.join(" · ")));
  return parts;
}

function draft(boxes, ref, value) {
  const button = element("button", "button primary wide", ["Accept ", element("kbd", "", "A")]);
  button.addEventListener("click", () => { button.blur(); boxes.run("accept"); });
  const words = ref.kind === "vehicle" ? [value.label, value.color] : [value.text || "not read", value.text && `text ${Math.round(value.text_confidence * 100)}%`];
  return [element("p", "", words.filter(Boolean).join(" · ")), meter(value.confidence), button];
}

function meter(confidence) {
  const bar = element("b");
  bar.style.width = `${confidence * 100}%`;
  bar.style.background = confidenceColor(confidence);
  return element("div", "meter", [element("span", "meter-bar", bar), element("span", "muted", `${Math.round(confidence * 100)}% sure`)]);
}

function entry(boxes, { ref, value, selected }) {
  const dot = element("i", `shape ${ref.kind}`);
  dot.style.borderColor = ref.draft ? confidenceColor(value.confidence) : COLORS[ref.kind];
  const name = ref.kind === "vehicle" ? [value.label, value.color].filter(Boolean).join(" · ") : value.text || "plate, no text";
  const linked = ref.kind === "plate" && value.vehicle !== null && value.vehicle !== undefined;
  const node = element("button", `object${selected ? " on" : ""}${linked ? " inner" : ""}${ref.draft ? " is-draft" : ""}`, [
    dot, element("span", ref.kind === "plate" && value.text ? "mono" : "", name),
    ref.draft ? element("span", "muted right", `${Math.round(value.confidence * 100)}%`) : element("span", "muted right", `${Math.round(value.box[2] - value.box[0])}×${Math.round(value.box[3] - value.box[1])}`),
  ], { tabindex: "-1" });
  node.addEventListener("click", () => { node.blur(); boxes.select(ref); });
  return node;
}

function flags(boxes) {
  return [["vehicles_annotated", "All vehicles are labelled"], ["plates_annotated", "All plates are labelled"]].map(([name, text]) => {
    const box = element("input", "", null, { type: "checkbox", tabindex: "-1" });
    box.checked = boxes.document.record[name];
    box.addEventListener("change", () => { box.blur(); boxes.document.edit((record) => { record[name] = box.checked; }); boxes.refresh(); });
    return element("label", "check", [box, text]);
  });
}

/** Vehicles with their plates under them, then other plates. */
export function panelOrder(objects) {
  const plates = objects.filter(({ ref }) => ref.kind === "plate");
  const ordered = objects.filter(({ ref }) => ref.kind === "vehicle").flatMap((item) => [item, ...plates.filter(({ ref, value }) => ref.draft === item.ref.draft && value.vehicle === item.ref.index)]);
  return [...ordered, ...plates.filter((item) => !ordered.includes(item))];
}

export function drawPanel(boxes) {
  const node = $("panel"), objects = boxes.objects();
  const list = node.querySelector(".objects"), scroll = list ? list.scrollTop : 0;
  const chosen = objects.find((object) => object.selected), parts = [];
  if (chosen) {
    const { ref, value } = chosen, title = ref.draft ? `Draft: ${ref.kind}` : `${ref.kind === "vehicle" ? "Vehicle" : "Plate"} ${ref.index + 1}`;
    parts.push(element("h2", "", title), ...(ref.draft ? draft(boxes, ref, value) : ref.kind === "vehicle" ? vehicle(boxes, value) : plate(boxes, ref, value)));
  } else {
    parts.push(element("h2", "", "Nothing selected"), element("p", "muted", "Tab or a click selects; V, P and Q draw; D shows what the networks see. ? lists all keys."));
  }
  const own = objects.filter((object) => !object.ref.draft), drafts = objects.filter((object) => object.ref.draft);
  const ordered = panelOrder(own);
  parts.push(element("h2", "", ["Labels ", element("span", "muted", String(own.length))]));
  parts.push(element("div", "objects", [...ordered.map((item) => entry(boxes, item)), drafts.length ? element("h2", "", ["Draft ", element("span", "muted", String(drafts.length))]) : null, ...panelOrder(drafts).map((item) => entry(boxes, item))]));
  parts.push(element("div", "flags", flags(boxes)));
  node.replaceChildren(...parts);
  node.querySelector(".objects").scrollTop = scroll;
}
