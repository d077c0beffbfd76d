// Boxes [x1, y1, x2, y2], corners [[x, y] × 4], in pixels of the picture. All functions return new values.

export const tenth = (value) => Math.round(value * 10) / 10;
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
export const MIN_SIDE = 3;

export function boxFrom(a, b, width, height) {
  const x = [a[0], b[0]].map((v) => tenth(clamp(v, 0, width))).sort((p, q) => p - q);
  const y = [a[1], b[1]].map((v) => tenth(clamp(v, 0, height))).sort((p, q) => p - q);
  return [x[0], y[0], x[1], y[1]];
}

export const large = (box) => box[2] - box[0] >= MIN_SIDE && box[3] - box[1] >= MIN_SIDE;
export const area = (box) => Math.max(0, box[2] - box[0]) * Math.max(0, box[3] - box[1]);
export const inside = (box, [x, y]) => x >= box[0] && x <= box[2] && y >= box[1] && y <= box[3];

export function bounds(corners, width, height) {
  const x = corners.map((p) => p[0]), y = corners.map((p) => p[1]);
  return boxFrom([Math.min(...x), Math.min(...y)], [Math.max(...x), Math.max(...y)], width, height);
}

export const cornersOf = (box) => [[box[0], box[1]], [box[2], box[1]], [box[2], box[3]], [box[0], box[3]]];

export function overlap(a, b) {
  const common = area([Math.max(a[0], b[0]), Math.max(a[1], b[1]), Math.min(a[2], b[2]), Math.min(a[3], b[3])]);
  return { iou: common / Math.max(area(a) + area(b) - common, 1e-9), covered: common / Math.max(area(a), 1e-9) };
}

/** The index of the smallest box of `vehicles` that holds most of the box `plate`, null where none does. */
export function owner(plate, vehicles) {
  let best = null;
  vehicles.forEach((vehicle, index) => {
    if (overlap(plate, vehicle.box).covered > 0.7 && (best === null || area(vehicle.box) < area(vehicles[best].box))) best = index;
  });
  return best;
}

/** Where an object can be taken hold of: a plate's 4 corners, or 8 places around a box. */
export function handles(object) {
  if (object.corners) return object.corners;
  const [x1, y1, x2, y2] = object.box, x = (x1 + x2) / 2, y = (y1 + y2) / 2;
  return [[x1, y1], [x, y1], [x2, y1], [x2, y], [x2, y2], [x, y2], [x1, y2], [x1, y]];
}

const EDGES = [[0, 1], [null, 1], [2, 1], [2, null], [2, 3], [null, 3], [0, 3], [0, null]];

/** The object with handle `index` (null: the whole) moved by [dx, dy]; kept inside the picture. */
export function moved(object, index, [dx, dy], width, height) {
  if (object.corners) {
    const corners = object.corners.map((p, i) => (index === null || i === index ? [tenth(p[0] + dx), tenth(p[1] + dy)] : p));
    const box = bounds(corners, width, height);
    return large(box) ? { ...object, corners, box } : object;
  }
  const box = [...object.box];
  if (index === null) {
    dx = clamp(dx, -box[0], Math.max(-box[0], width - box[2]));
    dy = clamp(dy, -box[1], Math.max(-box[1], height - box[3]));
    return { ...object, box: [box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy].map(tenth) };
  }
  const [h, v] = EDGES[index];
  if (h !== null) box[h] = tenth(clamp(box[h] + dx, 0, width));
  if (v !== null) box[v] = tenth(clamp(box[v] + dy, 0, height));
  return large(box) ? { ...object, box } : object;
}
