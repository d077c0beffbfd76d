"""Letterforms drawn by code: a skeleton of strokes for each of A-Z and 0-9, and a pen with many settings.

The skeletons are this project's own. A skeleton lies in the unit square (x to the right, y down); a vertex
marked ``~`` is rounded as far as the pen's ``roundness`` goes, the others stay sharp. Number plates of the
world share this construction (rounded rectangles and straight strokes), so that a few pens give lettering
like DIN 1451, FE-Schrift, Charles Wright, or the narrow embossed sans of the Americas.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from plateloop.types import FloatArray, Image

CAP = 96
CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

# One entry a shape: paths separated by "|", vertices "x,y" in hundredths, "~" rounds, a final "z" closes.
SKELETONS: dict[str, tuple[str, ...]] = {
    "0": ("0,0~ 100,0~ 100,100~ 0,100~ z",),
    "1": (
        "0,24 60,0 60,100",
        "0,16 50,0 50,100 | 0,100 100,100",
        "0,12 30,12~ 60,0 60,100",
    ),
    "2": (
        "0,28 0,0~ 100,0~ 100,46~ 0,100 100,100",
        "0,28 0,0~ 100,0~ 100,50~ 0,60~ 0,100 100,100",
        "0,22 0,0~ 100,0~ 100,38~ 50,62 0,100 100,100",
    ),
    "3": (
        "0,24 0,0~ 100,0~ 100,47~ 35,47 | 35,47 100,47~ 100,100~ 0,100~ 0,76",
        "0,0 98,0 40,40 50,40 100,40~ 100,100~ 0,100~ 0,78",
        "4,22 4,0~ 94,0~ 94,46~ 40,46 | 40,46 100,46~ 100,100~ 0,100~ 0,78",
    ),
    "4": (
        "100,74 0,74 66,0 66,100",
        "78,100 78,0 0,72 100,72",
        "55,0 0,74 100,74 | 76,44 76,100",
    ),
    "5": (
        "94,0 5,0 5,44 100,44~ 100,100~ 0,100~ 0,76",
        "94,0 14,0 4,48 25,38~ 100,38~ 100,100~ 0,100~ 0,78",
    ),
    "6": (
        "100,24 100,0~ 0,0~ 0,100~ 100,100~ 100,42~ 0,42~ 0,60",
        "72,0 0,52~ 0,100~ 100,100~ 100,42~ 0,42~ 0,62",
        "90,0 60,0~ 0,0~ 0,100~ 100,100~ 100,42~ 4,42",
    ),
    "7": (
        "0,0 100,0 36,100",
        "0,0 100,0 40,60~ 40,100",
        "0,14 0,0 100,0 30,100",
    ),
    "8": (
        "7,0~ 93,0~ 93,47~ 7,47~ z | 0,47~ 100,47~ 100,100~ 0,100~ z",
        "0,0~ 100,0~ 100,48~ 0,48~ z | 0,48~ 100,48~ 100,100~ 0,100~ z",
    ),
    "A": (
        "0,100 50,0 100,100 | 14,70 86,70",
        "0,100 38,0 62,0 100,100 | 12,70 88,70",
        "0,100 0,0~ 100,0~ 100,100 | 0,58 100,58",
    ),
    "B": (
        "0,0 94,0~ 94,47~ 0,47 z | 0,47 100,47~ 100,100~ 0,100 z",
        "0,0 86,0~ 86,48~ 0,48 z | 0,48 100,48~ 100,100~ 0,100 z",
    ),
    "C": ("100,30 100,0~ 0,0~ 0,100~ 100,100~ 100,70", "100,24 100,0~ 0,0~ 0,100~ 100,100~ 100,76"),
    "D": ("0,0 100,0~ 100,100~ 0,100 z", "0,0 100,0~ 100,100~ 0,100 | 12,0 12,100"),
    "E": ("100,0 0,0 0,100 100,100 | 0,48 84,48", "96,0 0,0 0,100 100,100 | 0,50 96,50"),
    "F": ("100,0 0,0 0,100 | 0,50 84,50", "100,0 0,0 0,100 | 0,46 92,46"),
    "G": (
        "100,28 100,0~ 0,0~ 0,100~ 100,100~ 100,54 54,54",
        "100,26 100,0~ 0,0~ 0,100~ 100,100~ 100,50 60,50 | 100,76 100,100",
    ),
    "H": ("0,0 0,100 | 100,0 100,100 | 0,49 100,49",),
    "I": ("50,0 50,100", "50,0 50,100 | 0,0 100,0 | 0,100 100,100"),
    "J": ("100,0 100,100~ 0,100~ 0,70", "30,0 100,0 100,100~ 0,100~ 0,68", "100,0 100,100~ 0,100~ 0,78"),
    "K": ("0,0 0,100 | 100,0 2,56 | 30,40 100,100", "0,0 0,100 | 96,0 10,50 100,100"),
    "L": ("0,0 0,100 100,100",),
    "M": ("0,100 0,0 50,70 100,0 100,100", "0,100 0,0 50,100 100,0 100,100", "0,100 6,0 50,64 94,0 100,100"),
    "N": ("0,100 0,0 100,100 100,0",),
    "O": ("0,0~ 100,0~ 100,100~ 0,100~ z",),
    "P": ("0,100 0,0 100,0~ 100,55~ 0,55", "0,100 0,0 100,0~ 100,49~ 0,49"),
    "Q": (
        "0,0~ 100,0~ 100,100~ 0,100~ z | 54,66 104,104",
        "0,0~ 100,0~ 100,100~ 0,100~ z | 60,76 96,112",
        "0,0~ 100,0~ 100,100~ 0,100~ z | 70,70 70,112",
    ),
    "R": (
        "0,100 0,0 100,0~ 100,54~ 0,54 | 46,54 100,100",
        "0,100 0,0 96,0~ 96,50~ 0,50 | 50,50 96,56~ 98,100",
        "0,100 0,0 100,0~ 100,52~ 0,52 | 58,52 100,100",
    ),
    "S": (
        "100,26 100,0~ 0,0~ 0,48~ 100,48~ 100,100~ 0,100~ 0,74",
        "96,24 96,0~ 3,0~ 3,42~ 100,54~ 100,100~ 0,100~ 0,76",
        "98,22 98,0~ 2,0~ 2,40~ 50,48 100,56~ 100,100~ 0,100~ 0,78",
    ),
    "T": ("0,0 100,0 | 50,0 50,100",),
    "U": ("0,0 0,100~ 100,100~ 100,0",),
    "V": ("0,0 50,100 100,0", "0,0 44,100 56,100 100,0"),
    "W": ("0,0 25,100 50,20 75,100 100,0", "0,0 22,100 50,0 78,100 100,0", "0,0 2,100 50,34 98,100 100,0"),
    "X": ("0,0 100,100 | 100,0 0,100",),
    "Y": ("0,0 50,52 50,100 | 100,0 50,52", "0,0 50,44 50,100 | 100,0 50,44"),
    "Z": ("0,0 100,0 0,100 100,100",),
}  # fmt: skip

# Width of each character as a share of a full letter's, where it is not 1.
WIDTHS = {"1": 0.55, "I": 0.42, "J": 0.86, "L": 0.9, "E": 0.92, "F": 0.9, "M": 1.16, "W": 1.3, "T": 0.98}


@dataclass(frozen=True, slots=True)
class Pen:
    """The settings of one lettering; lengths are shares of the cap height.

    ``width`` of a full letter, ``weight`` of its vertical strokes, ``contrast`` of horizontal to vertical
    strokes, ``roundness`` 0 (square) to 1 (as round as the letter allows), ``squareness`` the exponent of its
    curves (2 a circle's), ``slant`` (x per y), ``serif`` length, ``stencil`` gap, ``even`` how far narrow
    characters are widened to the common width (0-1), ``soft`` rounds corners and stroke ends by this share
    of the weight, ``cut`` chamfers instead of rounding, ``choices`` picks among the shapes of a character.
    """

    width: float = 0.55
    weight: float = 0.14
    contrast: float = 1.0
    roundness: float = 1.0
    squareness: float = 2.0
    slant: float = 0.0
    serif: float = 0.0
    stencil: float = 0.0
    even: float = 0.0
    soft: float = 0.0
    cut: bool = False
    slashed: bool = False
    choices: tuple[int, ...] = ()


def _curve(before: FloatArray, at: FloatArray, after: FloatArray, pen: Pen) -> FloatArray:
    """Points that round the vertex ``at``, between its neighbours, with a superellipse's quarter."""
    into, out = before - at, after - at
    reach = 0.5 * pen.roundness * min(float(np.hypot(*into)), float(np.hypot(*out)), pen.width * CAP)
    # A bowl may be taller than wide: let the curve run longer along the longer side.
    first = into / max(1e-6, float(np.hypot(*into))) * min(reach * 1.25, 0.5 * float(np.hypot(*into)))
    last = out / max(1e-6, float(np.hypot(*out))) * min(reach * 1.25, 0.5 * float(np.hypot(*out)))
    if pen.cut:
        return np.stack([at + first, at + last])
    angle = np.linspace(0, np.pi / 2, 9)[:, None]
    power = 2 / pen.squareness
    return np.asarray(at + first * (1 - np.sin(angle) ** power) + last * (1 - np.cos(angle) ** power))


def _path(text: str, size: tuple[float, float], pen: Pen) -> tuple[FloatArray, bool]:
    """The polyline of one path in pixels, and whether it is closed."""
    words = text.split()
    closed = words[-1] == "z"
    words = words[:-1] if closed else words
    points = np.array([[float(v) for v in w.rstrip("~").split(",")] for w in words], np.float32) / 100 * size
    result: list[FloatArray] = []
    for i, word in enumerate(words):
        inner = closed or 0 < i < len(words) - 1
        if word.endswith("~") and inner and pen.roundness > 0:
            result.append(_curve(points[i - 1], points[i], points[(i + 1) % len(words)], pen))
        else:
            result.append(np.asarray(points[i : i + 1], np.float32))
    return np.concatenate(result), closed


def _stroke(canvas: Image, points: FloatArray, closed: bool, half: float) -> None:
    """Draw a polyline ``2 * half`` wide with flat ends and mitred joints (``points`` in pixels)."""
    ahead = np.roll(points, -1, 0)
    steps = ahead - points
    length = np.maximum(np.hypot(steps[:, 0], steps[:, 1]), 1e-6)[:, None]
    normal = np.stack([-steps[:, 1], steps[:, 0]], 1) / length * half
    bars = np.stack([points + normal, ahead + normal, ahead - normal, points - normal], 1)
    before = np.roll(normal, 1, 0)
    bend = before + normal
    square = np.maximum((bend**2).sum(1, keepdims=True), 1e-6)
    tip = bend * (2 * half * half / square)
    # Very sharp joints would grow a long spike.
    tip *= np.minimum(1.0, 1.9 * half / np.maximum(np.hypot(tip[:, 0], tip[:, 1]), 1e-6))[:, None]
    joints = [
        np.stack([points, points + s * before, points + s * tip, points + s * normal], 1) for s in (1, -1)
    ]
    if not closed:
        bars, joints = bars[:-1], [joint[1:-1] for joint in joints]
    for shape in np.round(np.concatenate([bars, *joints]) * 16).astype(np.int32):
        cv2.fillConvexPoly(canvas, shape, 255, cv2.LINE_8, 4)


def _serifs(
    canvas: Image, path: FloatArray, offset: FloatArray, height: float, half: float, length: float
) -> None:
    """Set a bar across each end of ``path`` that stands on the base line or hangs from the cap line."""
    for end, inner in ((path[0], path[1]), (path[-1], path[-2])):
        steep = abs(end[1] - inner[1]) > abs(end[0] - inner[0])
        if steep and (end[1] < 1 or end[1] > height - 1):
            y = -0.4 * half if end[1] < 1 else height + 0.4 * half
            reach = length + half
            bar = np.array([[end[0] - reach, y], [end[0] + reach, y]]) + offset
            _stroke(canvas, bar, False, half * 0.6)


def draw(character: str, pen: Pen) -> Image:
    """The mask (uint8, tight to its ink, about ``CAP`` pixels high) of ``character`` drawn by ``pen``."""
    # 0, 8 and S must stay apart from D, B and 5 in square letterings too: their corners tell them.
    if character in "0OQ8S":
        least = 0.55 if pen.cut else 0.7 if character in "8S" else 0.88
        pen = replace(pen, roundness=max(pen.roundness, least))
    elif character in "BDEFPR5Z":
        pen = replace(pen, soft=min(pen.soft, 0.6))
    scale = 2
    shapes = SKELETONS["6" if character == "9" else character]
    index = CHARACTERS.index("6" if character == "9" else character)
    shape = shapes[pen.choices[index] % len(shapes)] if pen.choices else shapes[0]
    share = WIDTHS.get(character, 1.0)
    share += (1 - share) * pen.even
    if character in "1I" and "|" not in shape:
        share = min(share, 0.75 if character == "1" else 0.3)
    # Squeezing the finished picture vertically makes horizontal strokes thinner than vertical ones.
    cap = CAP * scale
    half = pen.weight * cap / 2
    width = max(pen.width * share * cap - 2 * half, 4.0)
    height = cap / pen.contrast - 2 * half
    pad = round(cap * 0.35)
    canvas = np.zeros((round(cap / pen.contrast) + 2 * pad, round(width + 2 * half) + 2 * pad), np.uint8)
    offset = np.array([pad + half, pad + half])
    for text in shape.split("|"):
        path, closed = _path(text, (width, height), pen)
        if not closed:
            _lengthen(path, half, (width, height))
        _stroke(canvas, path + offset, closed, half)
        if pen.serif and not closed:
            _serifs(canvas, path, offset, height, half, pen.serif * cap)
    # Sharp joints overshoot: cut them at the cap and base lines, as sign writers do.
    canvas[:pad] = 0
    if character != "Q":
        canvas[pad + round(height + 2 * half) :] = 0
    if pen.slashed and character == "0":
        _stroke(canvas, np.array([[0.2, 0.75], [0.8, 0.25]]) * (width, height) + offset, False, half * 0.6)
    if pen.stencil and character in "0468ABDOPQR9":
        x = round(pad + half + width * (0.5 if character != "4" else 0.3))
        gap = max(2, round(pen.stencil * cap / 2))
        canvas[:, x - gap : x + gap] = 0
    if pen.soft:
        side = max(3, round(pen.soft * half * 0.9) | 1)
        smooth = cv2.blur(cv2.blur(canvas, (side, side)), (side, side))
        canvas = np.where(smooth > 127, 255, 0).astype(np.uint8)
    if character == "9":
        canvas = canvas[::-1, ::-1]
    if pen.slant:
        shear = np.array([[1, -pen.slant, pen.slant * canvas.shape[0] / 2], [0, 1, 0]])
        canvas = np.asarray(cv2.warpAffine(canvas, shear, canvas.shape[::-1]), np.uint8)
    rows, columns = np.flatnonzero(canvas.any(1)), np.flatnonzero(canvas.any(0))
    canvas = canvas[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    size = max(3, round(canvas.shape[1] / scale)), max(3, round(canvas.shape[0] * pen.contrast / scale))
    return np.asarray(cv2.resize(canvas, size, interpolation=cv2.INTER_AREA), np.uint8)


def _lengthen(path: FloatArray, half: float, size: tuple[float, float]) -> None:
    """Let strokes that end on the edge of the letter reach its outer edge (in place)."""
    for end, inner in ((0, 1), (-1, -2)):
        step = path[end] - path[inner]
        step = step / max(1e-6, float(np.hypot(*step)))
        if abs(step[1]) > 0.5 and (path[end][1] < 1 or path[end][1] > size[1] - 1):
            path[end] += step * half / abs(step[1])
        elif abs(step[0]) > 0.9 and (path[end][0] < 1 or path[end][0] > size[0] - 1):
            path[end] += step * half
