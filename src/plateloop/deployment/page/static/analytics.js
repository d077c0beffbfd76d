// The server draws the charts; they are asked for again every two seconds, while somebody looks.

const panels = document.getElementById("panels");
const link = document.getElementById("link");
let shown = "";

// Times are in UTC; whoever looks wants their own.
function localize(root) {
  for (const time of root.querySelectorAll("time")) {
    time.textContent = new Date(time.dateTime).toLocaleTimeString();
  }
  for (const label of root.querySelectorAll("[data-clock]")) {
    label.textContent = new Date(label.dataset.clock).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  }
}

function setLink(state, text) {
  link.className = `state ${state}`;
  link.textContent = text;
}

async function refresh() {
  if (!document.hidden) {
    try {
      const answer = await fetch(`panels${location.search}`);
      if (!answer.ok) throw new Error(answer.statusText);
      const html = await answer.text();
      if (html !== shown) {
        shown = html;
        panels.innerHTML = html;
        localize(panels);
      }
      setLink("running", "live");
    } catch {
      setLink("failed", "no connection");
    }
  }
  setTimeout(refresh, 2000);
}

document.addEventListener("visibilitychange", () => { shown = ""; });
localize(panels);
refresh();
