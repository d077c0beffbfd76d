// Starts the page: the bar, the two modes, what they share.
import { $, api, element, toast } from "./api.js";
import { Boxes } from "./boxes.js";
import { Exchange } from "./exchange.js";
import { toggleHelp } from "./keys.js";
import { Wall } from "./wall.js";

let mode = null, boxes = null, wall = null, exchange = null, statusTimer = 0;

const STATES = { saving: "Saving …", saved: "All edits kept", failed: "Not saved", drafting: "Computing the draft …", reading: "Reading plates …", idle: "" };

function tell(what, ...details) {
  if (what === "conflict") return showConflict(...details);
  if (what === "open") return change("boxes", details[0]);
  $("saved").className = `state ${what}`;
  $("saved").textContent = STATES[what] ?? "";
  if (what === "failed" && details[0]) toast(details[0]);
  if (what === "saved") { clearTimeout(statusTimer); statusTimer = setTimeout(refreshStatus, 400); }
  return null;
}

async function refreshStatus() {
  try { showStatus(await api.status()); } catch { tell("failed", "The server does not answer. What you see last is kept once it is back."); }
}

function showStatus(status) {
  const number = (value) => value.toLocaleString("en");
  $("progress").textContent = `${number(status.records_done)} / ${number(status.records)} pictures · ${number(status.plates_done)} / ${number(status.plates)} plates`;
  $("save").classList.toggle("waiting", status.unfolded > 0);
  $("save").textContent = status.unfolded ? `Save to manifest (${number(status.unfolded)})` : "Saved to manifest";
  const notes = [];
  if (status.skipped) notes.push(`${status.skipped} lines of the manifest are no records; they are left as they are.`);
  if (status.conflicts.length) notes.push(`Another program changed the manifest: these edits were not written over it and stand in labels.journal.jsonl: ${status.conflicts.join(", ")}`);
  $("notice").textContent = notes.join(" ");
  $("notice").hidden = !notes.length;
}

async function save() {
  if (boxes?.document && !(await boxes.document.flush())) return;
  try { showStatus(await api.save()); toast("All edits are in the manifest.", "info"); } catch (error) { toast(error.message); }
}

/** Show anew what an import has changed. */
async function renew() {
  await refreshStatus();
  if (mode === "text") return wall.begin();
  boxes.list.pages.clear();
  await boxes.open(boxes.document.row);
  return boxes.list.reload();
}

function showConflict(theirs, document_, settled) {
  const dialog = $("conflict");
  if (dialog.open) return;
  const count = (record) => `${record.vehicles.length} vehicles, ${record.plates.length} plates`;
  const choice = (text, note, keepOurs, kind) => {
    const button = element("button", `button ${kind}`, [element("b", "", text), element("span", "muted", note)]);
    button.addEventListener("click", () => { document_.settle(theirs, keepOurs); dialog.close(); settled(); });
    return button;
  };
  dialog.replaceChildren(
    element("h2", "", "This picture was changed elsewhere"),
    element("p", "", `${theirs.record.file} was edited in another tab or by someone else after you opened it. Nothing has been overwritten.`),
    element("div", "choices", [
      choice("Take theirs", `${count(theirs.record)}; Z brings yours back`, false, "primary"),
      choice("Keep mine", `${count(document_.record)}; replaces theirs`, true, ""),
    ]));
  dialog.oncancel = (event) => event.preventDefault();
  tell("failed");
  dialog.showModal();
}

async function change(to, row = null) {
  if (to === "text" && boxes?.document && !(await boxes.document.flush())) return;
  mode = to;
  for (const name of ["boxes", "text"]) {
    $(name).hidden = name !== to;
    $(`tab-${name}`).classList.toggle("on", name === to);
  }
  if (to === "text") { history.replaceState(null, "", "#text"); await wall.begin(); } else {
    const open = row ?? boxes.document?.row ?? 0;
    if (boxes.list.total === 0) await boxes.list.reload();
    await boxes.open(open);
    boxes.canvas.resize();
  }
}

function onKey(event) {
  if (event.isComposing || $("conflict").open || $("exchange").open) return;
  const control = event.ctrlKey || event.metaKey;
  const handled = () => { event.preventDefault(); event.stopPropagation(); };
  if (control && event.key.toLowerCase() === "s") { save(); return handled(); }
  if (control && event.key.toLowerCase() === "o") { exchange.open(boxes.list.state); return handled(); }
  if (event.key === "?") { toggleHelp(); return handled(); }
  if ($("help").open) return null;
  if (control && event.key.toLowerCase() === "m") { change(mode === "text" ? "boxes" : "text"); return handled(); }
  if (mode === "text") { if (wall.key(event)) handled(); return null; }
  if (event.target.tagName === "SELECT") return null;
  if (control && !["z", "y", "Z"].includes(event.key)) return null;
  if (event.key === "m") { change("text"); return handled(); }
  if (boxes.key(event)) handled();
  return null;
}

async function start() {
  const dataset = await api.dataset();
  $("dataset").textContent = dataset.name;
  document.title = `${dataset.name} – plateloop label`;
  showStatus(dataset);
  boxes = new Boxes(dataset, tell);
  wall = new Wall(tell);
  exchange = new Exchange(async () => !boxes.document || boxes.document.flush(), renew);
  $("exchange-button").addEventListener("click", () => { $("exchange-button").blur(); exchange.open(boxes.list.state); });
  for (const button of document.querySelectorAll("[data-mode]")) button.addEventListener("click", () => { button.blur(); change(button.dataset.mode); });
  $("save").addEventListener("click", () => { $("save").blur(); save(); });
  $("help-button").addEventListener("click", () => { $("help-button").blur(); toggleHelp(); });
  document.addEventListener("keydown", onKey);
  document.addEventListener("keyup", (event) => { if (mode === "boxes") boxes.keyUp(event); });
  window.addEventListener("beforeunload", (event) => { if (boxes.document?.atRisk || wall.pending) event.preventDefault(); });
  window.addEventListener("pagehide", () => boxes.document?.leave());
  const [first, row] = location.hash.slice(1).split("/");
  if (!dataset.records) { $("notice").textContent = "This dataset has no pictures."; $("notice").hidden = false; return; }
  await change(first === "text" ? "text" : "boxes", Number(row) < dataset.records ? Number(row) || 0 : 0);
}

start().catch((error) => toast(error.message));
