"""Trees and lamp posts: what stands on the pavement."""

from __future__ import annotations

import cv2
import numpy as np

from plateloop.testing.street.camera import Camera, floats
from plateloop.testing.street.light import HAZE, SUN
from plateloop.types import FloatArray

TREES = ((-9.3, 21, 6.6), (-9.4, 33, 7.4), (-9.2, 47, 6.8), (-9.4, 64, 7.6), (-9.2, 85, 7.2), (6.3, 26, 6.2),
         (6.4, 41, 7.0), (6.2, 60, 6.8), (6.4, 84, 7.4))  # fmt: skip
LAMPS = ((-7.9, 27), (-7.9, 56), (4.7, 34), (4.7, 68))


def draw_tree(light: FloatArray, camera: Camera, tree: tuple[float, float, float], seed: int) -> None:
    """Draw one tree into ``light`` in place: trunk, then leaves from the dark inside to the lit outside."""
    rng = np.random.default_rng(seed)
    x, y, height = tree
    foot, fork = camera.project(floats([[x, y, 0], [x, y, height * 0.55]]))
    depth = float(camera.view(floats([x, y, 2]))[2])
    scale = camera.focal / depth
    haze = 1 - np.exp(-depth / 900)
    for width, tint in ((0.30, (0.055, 0.042, 0.032)), (0.13, (0.10, 0.08, 0.06))):
        moved = floats([-0.06 * scale if width < 0.2 else 0.0, 0.0])
        a, b = (tuple(round(float(v)) for v in p) for p in (foot + moved, fork + moved))
        cv2.line(light, a, b, tint, max(1, round(width * scale)))
    crown = floats([x, y, height * 0.64])
    count = int(np.clip(7000 * (28 / depth), 2000, 12000))
    clumps = rng.normal(0, 1, (26, 3))
    clumps *= (rng.uniform(0.35, 0.85, 26) / np.linalg.norm(clumps, axis=1))[:, None]
    own = rng.integers(0, 26, count)
    spread = rng.normal(0, 0.19, (count, 3))
    offset = clumps[own] + spread
    lit = (offset @ SUN) * 0.5 + (spread @ SUN) * 1.6 + rng.normal(0, 0.16, count)
    order = np.argsort(offset @ floats([0, -1, 0.15]) + 0.35 * lit)
    places = camera.project(crown + (offset * [2.5, 2.5, height * 0.30]).astype(np.float32))
    sizes = np.maximum(1, np.round(rng.uniform(0.045, 0.10, count) * scale)).astype(int)
    tones = np.clip(0.5 + 0.55 * lit, 0.05, 1.2)[:, None] ** 1.6
    green = floats([0.012, 0.020, 0.006]) + tones * floats([0.105, 0.150, 0.030])
    green *= rng.uniform(0.8, 1.2, (count, 1))
    green += (HAZE - green) * haze
    for k in order:
        px, py = places[k]
        axes = (int(sizes[k]), max(1, int(sizes[k] * 0.6)))
        cv2.ellipse(
            light,
            (round(float(px)), round(float(py))),
            axes,
            float(k * 37 % 180),
            0,
            360,
            green[k].tolist(),
            -1,
        )


def draw_lamp_post(light: FloatArray, camera: Camera, x: float, y: float) -> None:
    arm = 1.6 if x < 0 else -1.6
    joints = floats(
        [[x, y, 0], [x, y, 8.2], [x + arm * 0.4, y, 8.7], [x + arm, y, 8.75], [x + arm * 1.35, y, 8.7]]
    )
    path = np.round(camera.project(joints)).astype(np.int32)
    scale = camera.focal / float(camera.view(joints[:1])[0, 2])
    for width, tint, shift in ((0.15, (0.10, 0.105, 0.11), 0.0), (0.05, (0.26, 0.27, 0.28), -0.03)):
        moved = path + np.array([round(shift * scale), 0], np.int32)
        cv2.polylines(light, [moved[:-1]], False, tint, max(1, round(width * scale)))
    cv2.line(light, path[3].tolist(), path[4].tolist(), (0.30, 0.31, 0.32), max(2, round(0.16 * scale)))
