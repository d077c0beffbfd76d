"""The plates that the vehicles carry: synthetic ones, with letterforms that the package draws itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from plateloop.data_preparation.synthetic.glyphs import GlyphSet
from plateloop.data_preparation.synthetic.render import render
from plateloop.data_preparation.synthetic.style import load_styles, weighted
from plateloop.types import FloatArray, Image

_PIXELS = 144  # height of a plate's flat picture


@dataclass(frozen=True, slots=True)
class PlateArt:
    """A plate's flat picture (h, w, 3) RGB, the plate's corners (4, 2) in it, its text, its country and its
    real size, metres (width, height)."""

    image: Image
    corners: FloatArray
    text: str
    region: str | None
    size: tuple[float, float]


def plate_art(rng: np.random.Generator, style: str) -> PlateArt:
    """A plate with one row in the package's style of that name (such as ``de``), its text drawn from ``rng``.

    The machine's fonts play no part, so that the same ``rng`` gives the same plate everywhere.
    """
    kind = load_styles()[style]
    patterns = {p: w for p, w in kind.patterns.items() if "/" not in p and w >= 1}
    size = max(kind.sizes, key=lambda name: kind.sizes[name])
    fixed = kind.model_copy(update={"sizes": {size: 1.0}, "stickers": 0.0})
    plate = render(rng, fixed, weighted(rng, patterns), GlyphSet(), _PIXELS, margin=0.0)
    width, height = (float(side) / 1000 for side in size.split("x"))
    return PlateArt(plate.image, plate.corners, plate.text, plate.region, (width, height))
