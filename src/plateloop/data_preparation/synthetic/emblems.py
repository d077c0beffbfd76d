"""What stands between the characters and is not to be read: emblems, stickers, words in other scripts."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from plateloop.data_preparation.synthetic.colors import any_color, shade
from plateloop.types import FloatArray, Image

Color = tuple[int, int, int]
Points = NDArray[np.floating[Any]]
_SHIFT = 3  # sub-pixel bits of OpenCV's drawing functions
_ONE = 1 << _SHIFT


def _rgb(color: FloatArray) -> Color:
    return int(color[0]), int(color[1]), int(color[2])


def _disc(canvas: Image, x: float, y: float, radius: float, color: FloatArray, line: float = -1) -> None:
    """A disc, or a ring ``line`` pixels thick."""
    thickness = -1 if line < 0 else max(1, round(line))
    center = round(x * _ONE), round(y * _ONE)
    cv2.circle(canvas, center, max(1, round(radius * _ONE)), _rgb(color), thickness, cv2.LINE_AA, _SHIFT)


def polygon(canvas: Image, points: Points, color: FloatArray) -> None:
    """Fill the polygon ``points`` (N, 2)."""
    cv2.fillPoly(canvas, [np.round(points * _ONE).astype(np.int32)], _rgb(color), cv2.LINE_AA, _SHIFT)


def curve(canvas: Image, points: Points, color: FloatArray, width: float) -> None:
    """Draw the open polyline ``points`` (N, 2)."""
    fixed = [np.round(points * _ONE).astype(np.int32)]
    cv2.polylines(canvas, fixed, False, _rgb(color), max(1, round(width)), cv2.LINE_AA, _SHIFT)


def _around(count: int, turn: float = 0.0) -> Points:
    angle = np.arange(count) * 2 * np.pi / count + turn
    return np.stack([np.cos(angle), np.sin(angle)], 1)


def star(canvas: Image, x: float, y: float, radius: float, color: FloatArray, points: int = 5) -> None:
    """A star with one point up."""
    outline = _around(2 * points, -np.pi / 2)
    outline[1::2] *= 0.42
    polygon(canvas, outline * radius + np.array([x, y]), color)


def _seal(rng: np.random.Generator, canvas: Image, x: float, y: float, radius: float) -> None:
    """A round registration or inspection sticker."""
    base = shade(
        rng, str(rng.choice(["silver", "white", "blue", "green", "orange", "yellow", "red", "sky", "tan"]))
    )
    dark = base * 0.45 if rng.random() < 0.6 else any_color(rng) * 0.6
    _disc(canvas, x, y, radius, base)
    if rng.random() < 0.8:
        _disc(canvas, x, y, radius * 0.93, dark, radius * rng.uniform(0.05, 0.22))
    inner = radius * rng.uniform(0.3, 0.55)
    kind = rng.integers(6)
    if kind == 0:
        _shield(rng, canvas, x, y, inner * 0.9, inner * 1.1)
    elif kind == 1:
        for point in _around(int(rng.integers(5, 13)), float(rng.uniform(0, 6))) * radius * 0.62:
            _disc(canvas, x + point[0], y + point[1], max(0.6, radius * 0.1), dark)
        _disc(canvas, x, y, inner * 0.6, dark)
    elif kind == 2:
        star(canvas, x, y, inner * 1.2, dark)
    elif kind == 3:
        for dx, dy in ((1, 0.16), (0.16, 1)):
            bar = np.array([[-dx, -dy], [dx, -dy], [dx, dy], [-dx, dy]]) * inner
            polygon(canvas, bar + np.array([x, y]), dark)
    elif kind == 4:
        noise(rng, canvas, x, y, inner, inner, dark)
    else:
        _disc(canvas, x, y, inner, any_color(rng))


def noise(
    rng: np.random.Generator, canvas: Image, x: float, y: float, wide: float, high: float, color: FloatArray
) -> None:
    """A small tangle of lines, as a coat of arms looks from afar, within ± ``wide`` and ± ``high``."""
    for _ in range(int(rng.integers(3, 7))):
        points = rng.uniform(-1, 1, (int(rng.integers(3, 6)), 2)) * (wide, high) + np.array([x, y])
        if rng.random() < 0.5:
            polygon(canvas, points, color if rng.random() < 0.6 else any_color(rng))
        else:
            curve(canvas, points, color, max(1, wide * 0.15))


def _shield(rng: np.random.Generator, canvas: Image, x: float, y: float, wide: float, high: float) -> None:
    """A coat of arms: plain, parted, chequered, crossed or charged."""
    outline = np.array([[-1, -1], [1, -1], [1, 0.2], [0.6, 0.75], [0, 1], [-0.6, 0.75], [-1, 0.2]]) * (
        wide,
        high,
    )
    pairs = (("red", "white"), ("red", "yellow"), ("blue", "yellow"), ("green", "white"))
    first, second = (shade(rng, name) for name in pairs[rng.integers(4)])
    polygon(canvas, outline * 1.12 + np.array([x, y]), first * 0.5)
    polygon(canvas, outline + np.array([x, y]), second)
    kind = rng.integers(4)
    if kind == 0:
        for i in range(5):
            for j in range(5):
                if (i + j) % 2 == 0:
                    cell = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) + np.array([i, j])
                    points = (cell / 2.5 - 1) * (wide, high * 0.9)
                    polygon(canvas, points + np.array([x, y]), first)
    elif kind == 1:
        for dx, dy in ((0.22, 0.9), (0.95, 0.2)):
            bar = np.array([[-dx, -dy], [dx, -dy], [dx, dy], [-dx, dy]]) * (wide, high)
            polygon(canvas, bar + np.array([x, y]), first)
    elif kind == 2:
        polygon(canvas, outline * (1, 0.5) + np.array([x, y - high * 0.5]), first)
    else:
        noise(rng, canvas, x, y, wide * 0.7, high * 0.7, first)


def emblem(
    rng: np.random.Generator,
    canvas: Image,
    kind: str,
    box: tuple[float, float, float, float],
    ink: FloatArray,
) -> None:
    """Draw an emblem of ``kind`` within ``box`` (x, y, width, height) of ``canvas``.

    Kinds: ``seal`` (round sticker), ``seals`` (two above each other, as in Germany), ``shield``, ``arms`` (a
    tangle), ``state`` (a blob like a map), ``star``, ``diamond``, ``flag``, ``square`` (hologram), ``bar``,
    ``tree``, ``none``.
    """
    x, y, width, height = box
    cx, cy = x + width / 2, y + height / 2
    small = min(width, height) / 2
    if kind == "seal":
        _seal(rng, canvas, cx, cy + height * rng.uniform(-0.12, 0.12), small)
    elif kind == "seals":
        radius = min(width / 2, height * rng.uniform(0.2, 0.245))
        for side in (-1, 1):
            if rng.random() < 0.93:
                _seal(rng, canvas, cx, cy + side * height * 0.26, radius * rng.uniform(0.85, 1))
    elif kind == "shield":
        _shield(rng, canvas, cx, cy, small, min(height / 2, small * rng.uniform(1.0, 1.35)))
    elif kind == "arms":
        noise(rng, canvas, cx, cy, small, min(height / 2, small * 1.3), any_color(rng))
    elif kind == "state":
        radii = rng.uniform(0.55, 1, (int(rng.integers(5, 11)), 1))
        outline = (
            _around(len(radii), float(rng.uniform(0, 6))) * radii * (small, small * rng.uniform(0.8, 1.3))
        )
        color = ink if rng.random() < 0.6 else any_color(rng)
        polygon(canvas, outline + np.array([cx, cy]), color)
        if rng.random() < 0.3:
            star(canvas, cx, cy, small * 0.4, 255 - color)
    elif kind == "star":
        star(canvas, cx, cy, small, ink if rng.random() < 0.6 else any_color(rng), int(rng.integers(4, 8)))
    elif kind == "diamond":
        outline = np.array([[0, -1], [0.8, 0], [0, 1], [-0.8, 0]]) * small
        polygon(canvas, outline + np.array([cx, cy]), ink if rng.random() < 0.5 else any_color(rng))
    elif kind == "flag":
        colors = [
            shade(rng, str(c)) for c in rng.choice(["red", "white", "blue", "green", "yellow", "black"], 3)
        ]
        high = min(height, width * 0.7)
        for i, color in enumerate(colors):
            stripe = np.array([[x, i / 3], [x + width, i / 3], [x + width, (i + 1) / 3], [x, (i + 1) / 3]])
            polygon(canvas, stripe * (1, high) + np.array([0, cy - high / 2]), color)
    elif kind == "square":
        color = any_color(rng)
        half = small * rng.uniform(0.6, 1)
        square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
        polygon(canvas, square + np.array([cx, cy]), color)
        noise(rng, canvas, cx, cy, half * 0.7, half * 0.7, 255 - color)
    elif kind == "bar":
        for level in rng.uniform(-0.6, 0.6, int(rng.integers(1, 4))):
            curve(
                canvas,
                np.array([[x, cy + level * small], [x + width, cy + level * small]]),
                ink,
                small * 0.25,
            )
    elif kind == "tree":
        for i in range(3):
            cut = np.array(
                [[0, -1 + 0.45 * i], [0.4 + 0.2 * i, 0.1 + 0.4 * i], [-0.4 - 0.2 * i, 0.1 + 0.4 * i]]
            )
            polygon(canvas, cut * small + np.array([cx, cy]), ink)


def scribble(
    rng: np.random.Generator, canvas: Image, box: tuple[float, float, float, float], color: FloatArray
) -> None:
    """A word like Arabic: a base line with bowls and teeth, dots above and below, drawn from the right."""
    x, y, width, height = box
    base = y + height * rng.uniform(0.55, 0.72)
    thick = max(1.0, height * rng.uniform(0.07, 0.13))
    at = x + width
    points = [[at, base - height * rng.uniform(0, 0.2)]]
    while at > x + width * 0.12:
        step = width * rng.uniform(0.08, 0.2)
        kind = rng.integers(4)
        if kind == 0:  # a tooth
            points += [[at - step * 0.3, base - height * 0.28], [at - step * 0.45, base]]
        elif kind == 1:  # a bowl below the line
            depth = height * rng.uniform(0.15, 0.3)
            points += [
                [at - step * (0.5 - 0.5 * np.cos(a)), base + depth * np.sin(a)] for a in (0.8, 1.6, 2.4)
            ]
        elif kind == 2:  # a loop
            r = height * 0.12
            points += [
                [at - step * 0.5 + r * np.cos(a), base - r + r * np.sin(a)] for a in (1.6, 0, -1.6, -3.1, 1.6)
            ]
        if rng.random() < 0.55:
            above = -0.48 if rng.random() < 0.6 else 0.22
            for i in range(int(rng.integers(1, 3))):
                _disc(canvas, at - step * (0.4 + 0.45 * i), base + above * height, thick * 0.62, color)
        at -= step
        points.append([at, base])
        if rng.random() < 0.2:  # a stem
            points += [[at, base - height * 0.55], [at, base]]
    smooth = np.array(points)
    curve(canvas, smooth, color, thick)


def ideogram(
    rng: np.random.Generator, canvas: Image, box: tuple[float, float, float, float], color: FloatArray
) -> None:
    """A character like a Chinese one or a Korean syllable: strokes on a grid."""
    x, y, width, height = box
    thick = max(1.0, min(width, height) * rng.uniform(0.07, 0.12))
    grid = np.array([0.04, 0.2, 0.36, 0.5, 0.64, 0.8, 0.96])
    for _ in range(int(rng.integers(5, 10))):
        a, b = sorted(rng.choice(grid, 2, replace=False))
        c = rng.choice(grid)
        kind = rng.random()
        if kind < 0.45:
            line = np.array([[a, c], [b, c]])
        elif kind < 0.75:
            line = np.array([[c, a], [c, b]])
        elif kind < 0.88:
            line = np.array([[c, a], [np.clip(c + rng.choice([-0.25, 0.25]), 0.03, 0.97), b]])
        else:
            d = min(a + 0.3, 0.96)
            line = np.array(
                [[a, c * 0.7], [d, c * 0.7], [d, c * 0.7 + 0.28], [a, c * 0.7 + 0.28], [a, c * 0.7]]
            )
        curve(canvas, line * (width, height) + np.array([x, y]), color, thick)
