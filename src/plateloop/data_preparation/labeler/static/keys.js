// All keys, for the overlay that `?` shows.
import { $, element } from "./api.js";

const EVERYWHERE = [
  ["M", "change between boxes and text (in text: Ctrl+M)"], ["Ctrl+S", "write all edits into the manifest"], ["Ctrl+O", "import from and export to Label Studio and CVAT"], ["?", "this overlay"],
];
const BOXES = [
  ["PgDn  N", "next picture"], ["PgUp  B", "previous picture"], ["Enter", "all is labelled: done, next picture"],
  ["V", "draw a vehicle's box"], ["P", "draw a plate's box"], ["Q", "set a plate's 4 corners"],
  ["arrows, Enter", "while drawing: move the crosshair, set a point (Shift: far, Alt: one pixel)"],
  ["Tab  Shift+Tab", "select the next, the previous object"], ["C  Shift+C", "take hold of the next, the previous corner or side"],
  ["arrows", "move what is selected by 1 pixel (Shift: by 10)"], ["Delete  X", "delete what is selected"],
  ["1 … 9", "the vehicle's label"], ["K  Shift+K", "the vehicle's next, previous colour"], ["T", "the plate's text (Enter: back)"], ["R", "the plate's region (Enter: back)"],
  ["G  Shift+G", "give the plate corners; take them away"], [".", "turn the corners: another one is the plate's top left"],
  ["L", "link the plate to the next vehicle, or to none"],
  ["D", "show or hide the networks' draft"], ["A  Shift+A", "accept the selected draft; accept all"], ["E", "copy from the previous picture"],
  ["Z  Shift+Z", "undo, redo (also Ctrl+Z, Ctrl+Y)"], ["+  −  0  F", "zoom in, out, whole picture, to what is selected"],
  ["wheel, Space+drag", "zoom, pan (also arrows with nothing selected)"], ["H", "hide all boxes while held"], ["Esc", "leave drawing; select nothing"],
];
const TEXT = [
  ["letters, digits", "change the text"], ["Enter", "confirm, go to the next"], ["=", "take the network's reading"], ["-", "cannot be read: confirm without a text"],
  ["Tab  ↓", "next plate"], ["Shift+Tab  ↑", "previous plate"], ["PgDn  PgUp", "next, previous page"],
  ["Esc", "the text as it was"], ["Ctrl+Z", "take the last confirmation back"], ["Ctrl+B", "open the plate's picture in boxes"],
];

function table(title, keys) {
  const rows = keys.map(([key, does]) => element("tr", "", [
    element("th", "", key.split("  ").flatMap((k) => [element("kbd", "", k), " "])), element("td", "", does)]));
  return element("section", "", [element("h3", "", title), element("table", "", element("tbody", "", rows))]);
}

export function toggleHelp() {
  const dialog = $("help");
  if (dialog.open) return dialog.close();
  if (!dialog.firstChild) {
    dialog.append(
      element("h2", "", "Keys"),
      element("div", "columns", [table("Boxes", BOXES), element("div", "", [table("Text", TEXT), table("Everywhere", EVERYWHERE)])]),
      element("p", "muted", "Every edit is kept on disk at once, in labels.journal.jsonl beside the manifest. Esc closes this."));
  }
  dialog.showModal();
}
