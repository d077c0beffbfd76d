"""Grounds: what the characters of a plate stand on."""

from __future__ import annotations

import cv2
import numpy as np

from plateloop.data_preparation.synthetic.colors import any_color, shade
from plateloop.data_preparation.synthetic.emblems import curve, noise, polygon, star
from plateloop.types import FloatArray, Image


def _blend(low: FloatArray, high: FloatArray, share: FloatArray) -> Image:
    return np.asarray(low + (high - low) * share[..., None], np.uint8)


def clouds(rng: np.random.Generator, size: tuple[int, int], cells: int) -> FloatArray:
    """Smooth noise in [0, 1] of ``size`` (width, height), about ``cells`` blobs high."""
    width, height = size
    coarse = rng.random((cells + 2, round(cells * width / height) + 2), np.float32)
    return np.asarray(cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC), np.float32)


def ground(rng: np.random.Generator, kind: str, size: tuple[int, int], color: FloatArray) -> Image:
    """The ground of ``kind``, ``size`` (width, height), in and around ``color`` (RGB, 0-255).

    Kinds: ``plain``; ``fade`` (into another colour from above or below); ``bands`` (top and bottom of other
    colours fading to the middle, as many US states have); ``scene`` (hills, sun, sky in pale colours);
    ``drawing`` (a faint picture behind the characters); ``pattern`` (the grain of reflective sheeting).
    """
    width, height = size
    image = np.empty((height, width, 3), np.uint8)
    image[:] = color.astype(np.uint8)
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    pale = any_color(rng) * 0.5 + color * 0.5
    if kind == "fade":
        share = np.clip(
            (y if rng.random() < 0.5 else 1 - y) * rng.uniform(0.6, 1.6) - rng.uniform(0, 0.4), 0, 1
        )
        image[:] = _blend(color, pale, share)
    elif kind == "bands":
        reach = rng.uniform(0.12, 0.4)
        image[:] = _blend(color, pale, np.clip(1 - y / reach, 0, 1))
        other = pale if rng.random() < 0.5 else any_color(rng) * 0.4 + color * 0.6
        image[:] = _blend(image.astype(np.float32), other, np.clip(1 - (1 - y) / reach, 0, 1))
    elif kind == "scene":
        sky = shade(rng, str(rng.choice(["sky", "ice", "cream", "mint", "pink", "lemon"])))
        image[:] = _blend(sky * 0.6 + color * 0.4, color, np.clip(y * 1.5, 0, 1))
        if rng.random() < 0.4:
            center = rng.uniform(0.2, 0.8) * width, rng.uniform(0.2, 0.7) * height
            cv2.circle(image, (round(center[0]), round(center[1])), round(height * rng.uniform(0.1, 0.35)),
                       (shade(rng, "gold") * 0.4 + color * 0.6).tolist(), -1, cv2.LINE_AA)  # fmt: skip
        for level in np.sort(rng.uniform(0.35, 0.95, int(rng.integers(1, 4)))):
            x = np.linspace(0, width, 12)
            ridge = height * (level + rng.uniform(-0.13, 0.13, 12))
            outline = np.concatenate([np.stack([x, ridge], 1), [[width, height], [0, height]]])
            polygon(image, outline, any_color(rng) * 0.35 + color * 0.65)
    elif kind == "drawing":
        for _ in range(int(rng.integers(1, 3))):
            at = rng.uniform(0.1, 0.9) * width, rng.uniform(0.2, 0.8) * height
            faint = any_color(rng) * 0.35 + color * 0.65
            if rng.random() < 0.3:
                star(image, *at, height * rng.uniform(0.2, 0.5), faint)
            else:
                noise(rng, image, *at, height * rng.uniform(0.2, 0.7), height * rng.uniform(0.2, 0.45), faint)
        if rng.random() < 0.3:
            x = np.linspace(0, width, 24)
            wave = height * (rng.uniform(0.2, 0.9) + 0.12 * np.sin(x / height * rng.uniform(1, 4)))
            curve(image, np.stack([x, wave], 1), pale, height * 0.06)
    elif kind == "pattern":
        step = int(rng.integers(4, 9))
        soft = color + (rng.uniform(4, 16) if color.mean() < 128 else -rng.uniform(4, 16))
        image[::step] = np.clip(soft, 0, 255).astype(np.uint8)
        image[:, ::step] = np.clip(soft, 0, 255).astype(np.uint8)
    return image
