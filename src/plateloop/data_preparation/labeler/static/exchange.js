// Labels to Label Studio and CVAT, and back: a dialog that tells what a file brought and shows conflicts.
import { $, api, element } from "./api.js";

const TOOLS = [
  ["labelstudio", "Label Studio JSON", "tasks with annotations"],
  ["labelstudio-interface", "Label Studio interface", "XML for a project's settings"],
  ["cvat", "CVAT XML", "CVAT for images 1.1"],
];
const STATES = [["all", "All pictures"], ["todo", "To do"], ["done", "Done"]];
const number = (value, word) => `${value.toLocaleString("en")} ${word}${value === 1 ? "" : "s"}`;
const summary = ({ vehicles, plates }) => `${number(vehicles, "vehicle")}, ${number(plates.length, "plate")}${plates.length ? `: ${plates.join(", ")}` : ""}`;

export class Exchange {
  /** `ready` resolves to whether all edits of the page are kept; `renew` shows what has changed. */
  constructor(ready, renew) {
    this.ready = ready;
    this.renew = renew;
    this.busy = false;
    $("exchange").addEventListener("cancel", (event) => { if (this.busy) event.preventDefault(); });
  }

  async open(state) {
    if ($("exchange").open || !(await this.ready())) return;
    this.state = state;
    this.result = element("div", "exchange-result", null, { role: "status" });
    this.choice = element("select", "", STATES.map(([value, name]) => element("option", "", name, value === state ? { value, selected: "" } : { value })), { id: "export-state", "aria-label": "Which pictures to export" });
    this.file = element("input", "", null, { type: "file", id: "import-file", accept: ".json,.xml,.zip", "aria-label": "A file of Label Studio or CVAT" });
    this.file.addEventListener("change", () => { if (this.file.files.length) this.take(this.file.files[0]); });
    this.closing = element("button", "button", "Close");
    this.closing.addEventListener("click", () => $("exchange").close());
    $("exchange").replaceChildren(
      element("h2", "", "Import, export"),
      element("h3", "", "Export"),
      element("div", "exchange-row", [this.choice, ...TOOLS.map(([format, name, note]) => {
        const button = element("button", "button", [element("b", "", name), element("span", "muted", note)], { "data-format": format });
        button.addEventListener("click", () => this.give(format));
        return button;
      })]),
      element("h3", "", "Import"),
      element("p", "muted", "Label Studio's JSON or CVAT's XML, also zipped, with labels of pictures of this dataset. What was changed here since the file went out is not overwritten: you choose."),
      this.file, this.result, element("div", "exchange-end", this.closing));
    $("exchange").showModal();
  }

  async run(doing, work) {
    if (this.busy) return;
    this.busy = this.closing.disabled = true;
    this.result.replaceChildren(element("p", "muted", doing));
    try { await work(); } catch (error) {
      this.result.replaceChildren(element("p", "bad", error.status === undefined ? "The server does not answer." : error.message));
    } finally { this.busy = this.closing.disabled = false; }
  }

  give(format) {
    return this.run("Writing the file …", async () => {
      const { blob, name } = await api.exported(format, this.choice.value);
      const link = element("a", "", null, { href: URL.createObjectURL(blob), download: name });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60000);
      this.result.replaceChildren(element("p", "ok", `${name} was handed to the browser's downloads.`));
    });
  }

  take(file) {
    return this.run(`Taking over ${file.name} …`, async () => {
      const told = await api.imported(file);
      this.file.value = "";
      await this.renew();
      this.tell(told);
    });
  }

  settle(key, rows, take) {
    return this.run("Settling …", async () => {
      const told = await api.settle(key, rows, take);
      await this.renew();
      this.tell(told);
    });
  }

  /** What a file brought, and what is left for a person to choose. */
  tell(told) {
    const parts = [element("p", told.conflicts ? "warn" : "ok", [
      element("b", "", told.name), `: ${number(told.taken, "picture")} taken over, ${told.same.toLocaleString("en")} without anything new, ${number(told.conflicts, "conflict")}, ${told.skipped.toLocaleString("en")} skipped`])];
    const lines = [...told.reasons, ...told.lost.map((what) => `not taken: ${what}`)];
    if (told.skipped > told.reasons.length) lines.push(`… and ${(told.skipped - told.reasons.length).toLocaleString("en")} more`);
    if (lines.length) parts.push(element("ul", "exchange-skipped", lines.map((line) => element("li", "", line))));
    if (told.conflicts) {
      const both = (rows) => [["Take the file's", true], ["Keep what is here", false]].map(([name, take]) => {
        const button = element("button", "button", rows ? name : `${name}, all ${told.conflicts.toLocaleString("en")}`);
        button.addEventListener("click", () => this.settle(told.import, rows, take));
        return button;
      });
      parts.push(element("p", "", "These pictures were changed both here and in the file. Nothing has been overwritten:"),
        element("div", "exchange-conflicts", told.shown.map((item) => element("div", "exchange-conflict", [
          element("div", "", [element("b", "", item.file), element("span", "muted", `here: ${summary(item.here)}`), element("span", "muted", `file: ${summary(item.theirs)}`)]),
          ...both([item.row])], { "data-file": item.file }))));
      if (told.conflicts > told.shown.length) parts.push(element("p", "muted", `… and ${(told.conflicts - told.shown.length).toLocaleString("en")} more`));
      if (told.conflicts > 1) parts.push(element("div", "exchange-row", both(null)));
    }
    this.result.replaceChildren(...parts);
  }
}
