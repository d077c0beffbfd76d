"""Colours of plates by name, and how they vary from plate to plate."""

from __future__ import annotations

import numpy as np

from plateloop.types import FloatArray

COLORS: dict[str, tuple[int, int, int]] = {
    "white": (236, 238, 236), "cream": (236, 228, 200), "silver": (190, 194, 196), "grey": (140, 144, 148),
    "black": (22, 22, 24), "charcoal": (52, 54, 58), "yellow": (246, 200, 30), "lemon": (240, 225, 70),
    "amber": (238, 160, 20), "orange": (232, 110, 24), "red": (190, 30, 34), "maroon": (110, 22, 34),
    "crimson": (160, 20, 60), "pink": (238, 170, 190), "purple": (90, 46, 130), "blue": (24, 66, 170),
    "darkblue": (18, 34, 96), "sky": (130, 190, 230), "ice": (206, 226, 240), "cyan": (40, 160, 190),
    "teal": (20, 100, 110), "green": (20, 120, 70), "darkgreen": (14, 70, 44), "lime": (150, 200, 70),
    "mint": (190, 230, 200), "brown": (96, 60, 36), "tan": (206, 176, 130), "gold": (200, 160, 60),
}  # fmt: skip


def shade(rng: np.random.Generator, name: str, spread: float = 14.0) -> FloatArray:
    """Colour ``name`` as RGB float32 (3,) in 0-255, varied by ``spread`` in brightness and a third in hue."""
    color = np.array(COLORS[name], np.float32) + rng.normal(0, spread) + rng.normal(0, spread / 3, 3)
    return np.clip(color, 4, 250).astype(np.float32)


def any_color(rng: np.random.Generator) -> FloatArray:
    """A colour of anything."""
    return np.asarray(rng.uniform(10, 245, 3), np.float32)


def luminance(color: FloatArray) -> float:
    """Brightness of an RGB colour, 0-255 (ITU-R BT.601)."""
    return float(color @ np.array([0.299, 0.587, 0.114], np.float32))
