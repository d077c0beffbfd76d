// The list of pictures: as long as the dataset, but only what is in sight is fetched and drawn.
import { $, api, element } from "./api.js";

const HEIGHT = 78, PAGE = 60, KEPT_PAGES = 12;

export class PictureList {
  constructor(open) {
    this.open = open;
    this.pages = new Map();
    this.total = 0;
    this.row = null;
    this.state = "all";
    $("list").addEventListener("scroll", () => this.draw(), { passive: true });
    new ResizeObserver(() => this.draw()).observe($("list"));
    $("list-state").addEventListener("change", (event) => {
      this.state = event.target.value;
      event.target.blur();
      this.reload();
    });
  }

  async reload() {
    this.pages.clear();
    await this.page(0);
    this.draw();
    if (this.row !== null) await this.show(this.row);
  }

  async page(number) {
    if (!this.pages.has(number)) {
      this.pages.set(number, null);
      const data = await api.records(this.state, number * PAGE, PAGE);
      this.pages.set(number, data.items);
      while (this.pages.size > KEPT_PAGES) this.pages.delete(this.pages.keys().next().value);
      this.total = data.total;
      $("list-inner").style.height = `${this.total * HEIGHT}px`;
      $("list-total").textContent = this.total.toLocaleString("en");
      this.draw();
    }
  }

  /** Mark `row` as the open one and scroll to it. */
  async show(row) {
    this.row = row;
    const { position } = await api.neighbor(row, this.state, 0);
    const box = $("list"), top = position * HEIGHT;
    if (top < box.scrollTop || top + HEIGHT > box.scrollTop + box.clientHeight) box.scrollTop = top - box.clientHeight / 3;
    this.draw();
  }

  /** What the list says about a picture has changed. */
  changed(row, record, done) {
    for (const items of this.pages.values()) {
      const item = items && items.find((other) => other.row === row);
      if (item) Object.assign(item, { vehicles: record.vehicles.length, plates: record.plates.length, done });
    }
    if (this.state !== "all") this.pages.clear();
    this.draw();
  }

  draw() {
    const box = $("list"), first = Math.floor(box.scrollTop / HEIGHT);
    const last = Math.min(this.total, Math.ceil((box.scrollTop + box.clientHeight) / HEIGHT) + 2);
    const nodes = [];
    for (let position = Math.max(0, first - 2); position < last; position++) {
      const items = this.pages.get(Math.floor(position / PAGE));
      if (items === undefined) this.page(Math.floor(position / PAGE)).catch(() => {});
      const item = items && items[position % PAGE];
      if (item) nodes.push(this.entry(item, position));
    }
    $("list-inner").replaceChildren(...nodes);
  }

  entry(item, position) {
    const name = item.file.split("/").pop();
    const image = element("img", "", null, { src: `/api/records/${item.row}/thumbnail`, alt: "", loading: "lazy" });
    const node = element("button", `entry${item.row === this.row ? " current" : ""}${item.done ? " done" : ""}`, [
      image,
      element("span", "entry-text", [
        element("span", "entry-name", name, { title: item.file }),
        element("span", "muted", `${item.vehicles} vehicles · ${item.plates} plates`),
        element("span", item.done ? "entry-state ok" : "entry-state", item.done ? "✓ done" : `#${item.row + 1}`),
      ]),
    ], { tabindex: "-1" });
    node.style.top = `${position * HEIGHT}px`;
    node.addEventListener("click", () => { node.blur(); this.open(item.row); });
    return node;
  }
}
