// Talks to the server. Errors carry `status` and, at a conflict, `data` with the record as it is now.

export class ApiError extends Error {
  constructor(status, data) {
    super(data.detail && typeof data.detail === "string" ? data.detail : `the server answered ${status}`);
    this.status = status;
    this.data = data;
  }
}

async function call(method, path, body, keepalive = false) {
  const options = { method, keepalive };
  if (body !== undefined) {
    options.headers = { "Content-Type": "application/json" };
    options.body = JSON.stringify(body);
  }
  const response = await fetch(path, options);
  const data = await response.json().catch(() => ({}));
  if (!response.ok) throw new ApiError(response.status, data);
  return data;
}

export const api = {
  dataset: () => call("GET", "/api/dataset"),
  status: () => call("GET", "/api/status"),
  save: () => call("POST", "/api/save", {}),
  records: (state, start, count) => call("GET", `/api/records?state=${state}&start=${start}&count=${count}`),
  neighbor: (row, state, step) => call("GET", `/api/neighbor?row=${row}&state=${state}&step=${step}`),
  record: (row) => call("GET", `/api/records/${row}`),
  put: (row, base, record, keepalive) => call("PUT", `/api/records/${row}`, { base, record }, keepalive),
  draft: (row) => call("GET", `/api/records/${row}/draft`),
  wall: (state, order) => call("POST", "/api/walls", { state, order }),
  wallPage: (wall, start, count) => call("GET", `/api/walls/${wall}?start=${start}&count=${count}`),
  exported: async (format, state) => {
    const response = await fetch(`/api/export?format=${format}&state=${state}`);
    if (!response.ok) throw new ApiError(response.status, await response.json().catch(() => ({})));
    const name = /filename\*?=(?:utf-8'')?"?([^";]+)/i.exec(response.headers.get("Content-Disposition") || "");
    return { blob: await response.blob(), name: name ? decodeURIComponent(name[1]) : "labels" };
  },
  imported: async (file) => {
    const headers = { "Content-Type": "application/octet-stream" };
    const response = await fetch(`/api/imports?name=${encodeURIComponent(file.name)}`, { method: "POST", headers, body: file });
    const data = await response.json().catch(() => ({}));
    if (!response.ok) throw new ApiError(response.status, data);
    return data;
  },
  settle: (key, rows, take) => call("POST", `/api/imports/${key}`, { rows, take }),
  putPlate: (row, number, base, plate) => call("PUT", `/api/records/${row}/plates/${number}`, { base, plate }),
};

/** An element with a class, text and children. Text is never markup. */
export function element(tag, className = "", content = null, attributes = {}) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  for (const part of Array.isArray(content) ? content : [content]) {
    if (part !== null && part !== undefined && part !== false) node.append(part);
  }
  return node;
}

export const $ = (id) => document.getElementById(id);

export function toast(message, kind = "error") {
  const node = element("div", `toast ${kind}`, message);
  $("toasts").append(node);
  setTimeout(() => node.remove(), kind === "error" ? 7000 : 2500);
}

/** Red for 0 over amber to green for 1. */
export function confidenceColor(value) {
  return `hsl(${Math.round(Math.max(0, Math.min(1, value)) ** 1.5 * 130)} 75% 58%)`;
}
