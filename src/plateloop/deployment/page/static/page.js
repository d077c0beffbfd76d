// Fragments of HTML from the server are swapped into the page; pictures are asked for only while they are seen.

const $ = (id) => document.getElementById(id);
const form = $("search");
const list = $("events");
const link = $("link");

async function fetched(url) {
  const answer = await fetch(url);
  const holder = document.createElement("template");
  holder.innerHTML = await answer.text();
  localize(holder.content);
  return holder.content;
}

// Times are in UTC; whoever looks wants their own.
function localize(root) {
  const day = new Date().toDateString();
  for (const time of root.querySelectorAll("time")) {
    const at = new Date(time.dateTime);
    time.textContent = at.toDateString() === day ? at.toLocaleTimeString() : at.toLocaleString();
    time.title = at.toISOString();
  }
}

function query(more = {}) {
  const values = new URLSearchParams(new FormData(form));
  for (const [key, value] of Object.entries(more)) values.set(key, value);
  for (const [key, value] of [...values]) if (value === "" || value === "0") values.delete(key);
  return values.toString();
}

function setLink(state) {
  link.className = `state ${state}`;
  link.textContent = { running: "live", failed: "no connection", starting: "connecting" }[state];
}

// The streams: a new fragment each second, in which pictures that are there already stay.
const streams = $("streams");

const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) target.toggleAttribute("data-seen", isIntersecting);
});

async function refreshStreams() {
  if (!document.hidden) {
    try {
      const content = await fetched("streams");
      for (const fresh of content.querySelectorAll("[data-keep]")) {
        const old = $(fresh.id);
        if (old) fresh.replaceWith(old);
        else seen.observe(fresh);
      }
      streams.replaceChildren(content);
    } catch { /* told by the link's state */ }
  }
  setTimeout(refreshStreams, 1000);
}

function refreshPictures() {
  if (!document.hidden) {
    for (const image of document.querySelectorAll("img[data-live][data-seen]")) {
      if (image.src && !image.complete) continue;
      image.src = `${image.dataset.live}?at=${Date.now()}`;
    }
    const view = $("view");
    if (view.open) {
      const image = view.firstElementChild;
      if (image.complete) image.src = `${view.dataset.live}&at=${Date.now()}`;
    }
  }
  setTimeout(refreshPictures, 600);
}

// Events: the first page again whenever the store has changed; older ones that were asked for stay below.
let asked = 0;

async function refreshEvents(fromStart) {
  const mine = ++asked;
  const content = await fetched(`events?${query()}`);
  if (mine !== asked) return;
  if (fromStart) {
    list.replaceChildren(content);
    return;
  }
  for (const row of content.querySelectorAll(".event")) {
    const old = $(row.id);
    if (!old) row.classList.add("new");
    old?.remove();
  }
  if (list.querySelector(".event")) content.querySelector(".more")?.remove();
  list.querySelectorAll(".quiet, .notice").forEach((row) => row.remove());
  list.prepend(content);
}

list.addEventListener("click", async ({ target }) => {
  const before = target.dataset?.before;
  if (!before) return;
  const content = await fetched(`events?${query({ before })}`);
  for (const row of content.querySelectorAll(".event")) if ($(row.id)) row.remove();
  target.closest(".more").replaceWith(content);
});

let typing;
function search() {
  clearTimeout(typing);
  $("export").href = `export.csv?${query()}`;
  typing = setTimeout(() => refreshEvents(true), 200);
}
form.addEventListener("input", search);
form.addEventListener("submit", (event) => { event.preventDefault(); search(); });

// What is opened over the page: an event, or a stream's picture.
document.addEventListener("click", async (event) => {
  const anchor = event.target.closest("a[data-dialog], a[data-view]");
  if (event.target.tagName === "DIALOG") event.target.close();
  if (!anchor || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const dialog = $(anchor.dataset.dialog ?? "view");
  if (anchor.dataset.dialog) {
    dialog.replaceChildren(await fetched(anchor.href));
  } else {
    dialog.dataset.live = anchor.href;
    dialog.firstElementChild.src = anchor.href;
  }
  dialog.showModal();
});
$("view").addEventListener("click", () => $("view").close());

// Sources are added and removed where the run allows it.
async function change(method, url, body) {
  const options = { method, headers: { "content-type": "application/json" }, body: body && JSON.stringify(body) };
  const answer = await fetch(url, options);
  if (answer.ok) return "";
  const { detail } = await answer.json();
  return typeof detail === "string" ? detail : detail.map(({ loc, msg }) => `${loc.at(-1)}: ${msg}`).join("; ");
}

document.addEventListener("click", async ({ target }) => {
  const { open, remove } = target.dataset ?? {};
  if (open) $(open).showModal();
  if (target.hasAttribute("data-close")) target.closest("dialog").close();
  if (remove && confirm(`Remove ${remove}?`)) {
    const problem = await change("DELETE", `sources?${new URLSearchParams({ name: remove })}`);
    if (problem) alert(problem);
  }
});

$("add").addEventListener("submit", async (event) => {
  event.preventDefault();
  const values = Object.fromEntries([...new FormData(event.target)].filter(([, value]) => value));
  const problem = await change("POST", "sources", values);
  event.target.querySelector(".error").textContent = problem;
  if (problem) return;
  event.target.reset();
  $("adding").close();
});

const changes = new EventSource("changes");
changes.onopen = () => setLink("running");
changes.onerror = () => setLink("failed");
changes.onmessage = () => { changed = true; follow(); };

// A search that is dear is repeated seldom: nine tenths of the time the server is left to its streams.
let changed = false;
let following = false;
async function follow() {
  if (following) return;
  following = true;
  while (changed) {
    changed = false;
    const begun = performance.now();
    await refreshEvents(list.childElementCount === 0).catch(() => setLink("failed"));
    const rest = 9 * (performance.now() - begun);
    await new Promise((done) => setTimeout(done, rest));
  }
  following = false;
}

if (streams) {
  refreshStreams();
  refreshPictures();
}
