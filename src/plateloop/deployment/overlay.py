"""Annotated pictures: vehicle boxes, plate outlines, the text that was read, and the way a vehicle came."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np

from plateloop.types import Box, FloatArray, Image

if TYPE_CHECKING:
    from plateloop.runtime.cascade import Scene

Colour = tuple[int, int, int]

# Bright, well apart, and none of them the yellow or white of plates.
PALETTE: tuple[Colour, ...] = (
    (64, 196, 255), (124, 232, 112), (255, 138, 101), (206, 147, 255),
    (77, 228, 204), (255, 121, 176), (168, 190, 255), (198, 224, 84),
)  # fmt: skip
INK: Colour = (255, 255, 255)
SHADE: Colour = (18, 20, 24)
SURE: Colour = (84, 224, 120)
UNSURE: Colour = (255, 190, 60)
SURE_FROM = 0.8
LEAST_WAY = 0.2
"""Share of its size that a vehicle must have moved for its trail to be drawn."""

_fonts = threading.local()


@dataclass(frozen=True, slots=True)
class Mark:
    """One object to draw.

    ``box`` of the vehicle and ``corners`` (4, 2) of its plate in pixels, either may be missing; ``title`` is
    written on the box, ``text`` with its ``confidence`` at the plate (or at the box, where the plate is not
    seen now); ``trail`` (N, 2) are past positions, oldest first; ``number`` chooses the colour.
    """

    number: int
    box: Box | None = None
    corners: FloatArray | None = None
    title: str = ""
    text: str = ""
    confidence: float = 0.0
    trail: FloatArray | None = None


def draw(rgb: Image, marks: Iterable[Mark]) -> Image:
    """Draw ``marks`` onto ``rgb`` (H, W, 3), in place, and return it. Sizes follow the picture's size."""
    unit = max(1.0, min(rgb.shape[0], rgb.shape[1]) / 540)
    marks = list(marks)
    for mark in marks:
        colour = PALETTE[mark.number % len(PALETTE)]
        if mark.trail is not None and _has_moved(mark):
            _trail(rgb, mark.trail, colour, unit)
        if mark.box is not None:
            _box(rgb, mark.box, colour, unit)
        if mark.corners is not None:
            outline = SURE if mark.text and mark.confidence >= SURE_FROM else UNSURE
            quad = np.round(mark.corners * 8).astype(np.int32)
            cv2.polylines(rgb, [quad], True, SHADE, round(3 * unit), cv2.LINE_AA, 3)
            cv2.polylines(rgb, [quad], True, outline, max(1, round(1.5 * unit)), cv2.LINE_AA, 3)
    # Writing last, so that no line crosses it; titles make room for texts and for one another.
    taken: list[Box] = []
    for mark in marks:
        _write_text(rgb, mark, unit, taken)
    for mark in marks:
        if mark.box is not None and mark.title:
            colour = PALETTE[mark.number % len(PALETTE)]
            size, at = round(13 * unit), (mark.box[0], mark.box[1])
            _label(rgb, mark.title, at, size, 600, SHADE, colour, taken=taken)
    return rgb


def draw_scene(rgb: Image, scene: Scene, labels: Sequence[str]) -> Image:
    """Draw what the cascade saw in one picture onto a copy of ``rgb``; ``labels`` are tcnet's class names."""
    marks = []
    rows = {int(vehicle): row for row, vehicle in enumerate(scene.plates.vehicle) if vehicle >= 0}
    for index, (box, label) in enumerate(zip(scene.vehicles.boxes, scene.vehicles.labels, strict=True)):
        colour = scene.colors[index] if index < len(scene.colors) else None
        title = f"{colour.label} {labels[label]}" if colour else labels[label]
        marks.append(_scene_mark(scene, index, rows.get(index), as_box(box), title))
    free = [row for row in range(len(scene.plates)) if rows.get(int(scene.plates.vehicle[row])) != row]
    marks += [_scene_mark(scene, len(marks) + row, row, None, "") for row in free]
    return draw(rgb.copy(), marks)


def as_box(values: FloatArray) -> Box:
    """A row of 4 numbers as a box of plain floats, to a hundredth of a pixel."""
    x1, y1, x2, y2 = (round(float(v), 2) for v in values)
    return x1, y1, x2, y2


def scaled(mark: Mark, scale: float) -> Mark:
    """The mark in a picture that was made larger or smaller by ``scale``."""
    factor = np.float32(scale)
    return replace(
        mark,
        box=None if mark.box is None else as_box(factor * np.asarray(mark.box, np.float32)),
        corners=None if mark.corners is None else mark.corners * factor,
        trail=None if mark.trail is None else mark.trail * factor,
    )


def _scene_mark(scene: Scene, number: int, row: int | None, box: Box | None, title: str) -> Mark:
    if row is None:
        return Mark(number, box, None, title)
    reading = scene.plates.readings[row]
    corners = scene.plates.detections.corners
    return Mark(
        number,
        box,
        None if corners is None else corners[row],
        title,
        reading.text if reading else "",
        reading.confidence if reading else 0.0,
    )


def font() -> cv2.FontFace:
    """The face that all writing on pictures has; one a thread, for size and weight are set in it."""
    if not hasattr(_fonts, "sans"):
        _fonts.sans = cv2.FontFace("sans")
    return cast(cv2.FontFace, _fonts.sans)


def _box(rgb: Image, box: Box, colour: Colour, unit: float) -> None:
    x1, y1, x2, y2 = (round(v) for v in box)
    cv2.rectangle(rgb, (x1, y1), (x2, y2), colour, max(1, round(unit)), cv2.LINE_AA)
    reach = max(2, round(min(x2 - x1, y2 - y1) * 0.16))
    thick = max(2, round(3 * unit))
    for x, y, dx, dy in ((x1, y1, 1, 1), (x2, y1, -1, 1), (x2, y2, -1, -1), (x1, y2, 1, -1)):
        elbow = np.array([[x + dx * reach, y], [x, y], [x, y + dy * reach]], np.int32)
        cv2.polylines(rgb, [elbow], False, colour, thick, cv2.LINE_AA)


def _trail(rgb: Image, trail: FloatArray, colour: Colour, unit: float) -> None:
    points = np.round(trail).astype(np.int32)
    for step in range(1, len(points)):
        share = step / (len(points) - 1)
        faded = tuple(round(c * (0.35 + 0.65 * share)) for c in colour)
        start, end = points[step - 1].tolist(), points[step].tolist()
        cv2.line(rgb, start, end, faded, max(1, round(2.5 * unit * share)), cv2.LINE_AA)


def _has_moved(mark: Mark) -> bool:
    if mark.trail is None or len(mark.trail) < 2:
        return False
    x1, y1, x2, y2 = mark.box or (0, 0, 0, 0)
    return float(np.ptp(mark.trail, axis=0).max()) >= LEAST_WAY * min(x2 - x1, y2 - y1)


def _write_text(rgb: Image, mark: Mark, unit: float, taken: list[Box]) -> None:
    if not mark.text:
        return
    if mark.corners is not None:
        at = float(mark.corners[:, 0].min()), float(mark.corners[:, 1].min()) - 4 * unit
    elif mark.box is not None:
        at = mark.box[0], mark.box[3] - 2 * unit
    else:
        return
    edge = SURE if mark.confidence >= SURE_FROM else UNSURE
    note = f"{mark.confidence * 100:.0f}%"
    _label(rgb, mark.text, at, round(21 * unit), 700, INK, SHADE, edge, note, taken)


def _label(
    rgb: Image,
    text: str,
    at: tuple[float, float],
    size: int,
    weight: int,
    ink: Colour,
    ground: Colour,
    edge: Colour | None = None,
    note: str = "",
    taken: list[Box] | None = None,
) -> None:
    # A plaque with its bottom left at ``at``, pushed back into the picture where it would leave it, and down
    # below those already ``taken``, which it joins.
    width, note_width = text_width(text, size, weight), text_width(note, round(size * 0.6), 500)
    pad = max(3, round(size * 0.32))
    total = width + 2 * pad + (note_width + pad if note else 0)
    height = round(size * 1.32)
    left = round(min(max(at[0], 0), max(0, rgb.shape[1] - total)))
    top = round(min(max(at[1] - height, 0), max(0, rgb.shape[0] - height)))
    top = _free_place(left, top, total, height, taken or [], rgb.shape[0])
    if taken is not None:
        taken.append((left, top, left + total, top + height))
    patch = rgb[top : top + height, left : left + total]
    patch[:] = (patch * 0.18 + np.array(ground) * 0.82).astype(np.uint8)
    if edge is not None:
        patch[:, : max(2, round(size * 0.14))] = edge
    base = top + round(size * 1.02)
    cv2.putText(rgb, text, (left + pad, base), ink, font(), size, weight)
    if note:
        place = left + width + 2 * pad, base
        cv2.putText(rgb, note, place, edge or ink, font(), round(size * 0.6), 500)


def _free_place(left: int, top: int, width: int, height: int, taken: list[Box], bottom: int) -> int:
    # The first row from ``top`` down where the plaque covers none of ``taken``; ``top`` where there is none.
    row = top
    for x1, y1, x2, y2 in sorted(taken, key=lambda box: box[1]):
        if left < x2 and x1 < left + width and row < y2 and y1 < row + height:
            row = round(y2)
    return row if row + height <= bottom else top


@lru_cache(1024)
def text_width(text: str, size: int, weight: int) -> int:
    """How many pixels wide ``text`` is in `font`."""
    if not text:
        return 0
    box = cv2.getTextSize((1 << 14, 1 << 14), text, (0, 0), font(), size, weight)
    return int(box[2])
