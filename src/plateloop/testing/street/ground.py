"""Road, kerbs and pavement."""

from __future__ import annotations

import numpy as np

from plateloop.testing.street.camera import floats
from plateloop.testing.street.houses import HOUSES
from plateloop.testing.street.light import SKY_LIGHT, SUN, SUN_LIGHT
from plateloop.testing.street.pattern import Textures, step, stripe
from plateloop.testing.street.trees import TREES
from plateloop.types import FloatArray

LANES = (-5.1, -1.7, 1.8)  # middles of the lanes, metres: two towards the camera, one away from it
EDGES = (-6.9, 3.6)  # the kerbs


def _road(x: FloatArray, y: FloatArray, foot: FloatArray, tex: Textures) -> FloatArray:
    """Albedo (P, 3) of the ground at ``x``, ``y``; ``foot`` is a pixel's size there across, metres."""
    fade = np.clip(0.02 / foot, 0.0, 1.0)  # grain finer than a pixel averages out
    grain = tex.at(tex.fine, x, y, 2.1) * fade * 0.14 + tex.at(tex.rough, x, y, 7.0) * 0.07
    broad = tex.at(tex.soft, x, y, 31.0) * 0.07
    tone = 0.092 * (1 + grain + broad)
    for lane in LANES:
        wheels = np.exp(-(((np.abs(x - lane) - 0.78) / 0.30) ** 2))
        oil = np.exp(-(((x - lane) / 0.35) ** 2)) * (1 + 0.5 * tex.at(tex.rough, x, y, 13.0))
        tone *= 1 + 0.10 * wheels - 0.13 * np.clip(oil, 0, 2)
    crack = np.abs(tex.at(tex.rough, x + 3.3, y, 9.0)) / (0.05 + foot * 0.4)
    tone *= 1 - 0.35 * np.clip(1 - crack, 0, 1) * np.clip(tex.at(tex.soft, x, y + 5, 23.0), 0, 1) * fade
    for cx, cy, wx, wy in (
        (-2.3, 16.5, 1.3, 2.4),
        (-5.4, 27.0, 1.6, 5.0),
        (2.2, 22.0, 1.2, 7.0),
        (-1.4, 44.0, 2.4, 4.0),
    ):
        inside = stripe(x, cx, wx, foot) * stripe(y, cy, wy, foot * 4)
        tone *= 1 - 0.26 * inside * (1 + 0.2 * grain)
    color = tone[:, None] * floats([1.0, 0.99, 0.97])
    wear = np.clip(
        0.80 + 0.16 * tex.at(tex.rough, x, y, 3.0) - 0.10 * np.abs(tex.at(tex.fine, x, y, 1.2)), 0, 1
    )
    dash = np.clip((1.5 - np.abs((y + 2.0) % 9.0 - 1.5)) / (foot * 4) + 0.5, 0, 1)
    paint = stripe(x, -3.4, 0.13, foot) * dash
    paint = np.maximum(paint, stripe(x, -0.05, 0.12, foot))
    paint = np.maximum(paint, stripe(x, 0.20, 0.12, foot))
    for edge in (EDGES[0] + 0.35, EDGES[1] - 0.35):
        paint = np.maximum(paint, stripe(x, edge, 0.13, foot))
    return np.asarray(color + (0.55 - color) * (paint * wear)[:, None], np.float32)


def _pavement(x: FloatArray, y: FloatArray, foot: FloatArray, tex: Textures) -> FloatArray:
    row = np.floor(x / 0.5)
    shifted = y + 0.25 * (row % 2)
    joint = np.maximum(
        stripe(x % 0.5, 0.25, 0.47, foot) * 0 + (1 - stripe(x % 0.5, 0.25, 0.48, foot)),
        1 - stripe(shifted % 0.5, 0.25, 0.48, foot * 2),
    )
    fade = np.clip(0.05 / foot, 0, 1)
    slab = np.sin(row * 12.9898 + np.floor(shifted / 0.5) * 78.233) * 43758.5453 % 1
    tone = 0.23 * (
        1
        + 0.10 * (slab - 0.5) * fade
        + 0.08 * tex.at(tex.rough, x, y, 5.0)
        + 0.06 * tex.at(tex.fine, x, y, 2.0) * fade
    )
    tone *= 1 - 0.45 * joint * fade
    tone *= 1 + 0.10 * tex.at(tex.soft, x, y, 17.0)
    return np.asarray(tone[:, None] * floats([1.0, 0.96, 0.90]), np.float32)


def ground(x: FloatArray, y: FloatArray, foot: FloatArray, tex: Textures) -> FloatArray:
    """Light (P, 3) from the ground."""
    albedo = _road(x, y, foot, tex)
    beside = (x < EDGES[0]) | (x > EDGES[1])
    albedo[beside] = _pavement(x[beside], y[beside], foot[beside], tex)
    for edge, out in ((EDGES[0], -1), (EDGES[1], 1)):
        gutter = stripe(x, edge - out * 0.14, 0.26, foot)[:, None]
        albedo += (0.07 - albedo) * gutter * 0.3
        kerb = stripe(x, edge + out * 0.09, 0.18, foot)[:, None]
        joints = 1 - 0.4 * (1 - stripe(y % 1.0, 0.5, 0.97, foot * 3))[:, None]
        albedo += (0.30 * joints - albedo) * kerb
        face = stripe(x, edge, 0.045, foot)[:, None]
        albedo += (0.06 - albedo) * face * 0.7
    light = albedo * (SUN_LIGHT * SUN[2] + SKY_LIGHT)
    shadow = np.zeros(len(x), np.float32)
    for tree_x, tree_y, height in TREES:
        away = floats([tree_x, tree_y]) - SUN[:2] / SUN[2] * height * 0.62
        distance = np.hypot((x - away[0]) / 2.5, (y - away[1]) / 3.4)
        ragged = distance + 0.20 * tex.at(tex.rough, x, y, 6.0)
        leaves = np.clip(0.80 + 0.55 * tex.at(tex.rough, x + 1, y, 4.0), 0, 1)
        shadow = np.maximum(shadow, (1 - step(ragged, 0.80, 1.05)) * leaves)
    for wall, start, end in ((h.wall, h.start, h.end) for h in HOUSES if h.wall < 0):
        reach = 0.10 * (end - start)
        shadow = np.maximum(shadow, (x < wall + reach) * (y > start) * (y < end) * 0.6)
    return np.asarray(light * (1 - 0.64 * shadow)[:, None], np.float32)
