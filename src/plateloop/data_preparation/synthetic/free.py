"""Made-up styles: any grammar, colours, shape and lettering, so that a reader leans on none."""

from __future__ import annotations

import numpy as np

from plateloop.data_preparation.synthetic.colors import COLORS
from plateloop.data_preparation.synthetic.style import Style

_LIGHT = (
    "white", "white", "white", "white", "cream", "silver", "yellow", "lemon", "amber", "sky", "ice", "mint",
    "pink", "tan", "lime", "gold", "orange",
)  # fmt: skip
_DARK = (
    "black", "black", "black", "black", "charcoal", "blue", "darkblue", "green", "darkgreen", "red", "maroon",
    "purple", "brown", "teal", "crimson",
)  # fmt: skip


def _pattern(rng: np.random.Generator, count: int) -> str:
    """``count`` characters in one row: groups of letters, of digits, or of both, with separators."""
    signs, left = "", count
    sort = str(rng.choice(["A", "0", "X"], p=[0.4, 0.4, 0.2]))
    mark = str(rng.choice([" ", "-", ".", "*", "_", "", ":"], p=[0.3, 0.2, 0.08, 0.2, 0.06, 0.12, 0.04]))
    while left > 0:
        group = min(left, int(rng.integers(1, 5)))
        signs += sort * group
        left -= group
        if left:
            signs += mark if rng.random() < 0.85 else ""
            sort = (
                str(rng.choice([s for s in "A0X" if s != sort], p=[0.75, 0.25]))
                if rng.random() < 0.9
                else sort
            )
    if rng.random() < 0.04:
        signs = "#" + signs
    if rng.random() < 0.03:
        signs += "*"
    return signs


def free_style(rng: np.random.Generator) -> Style:
    """A style that no country has."""
    two = rng.random() < 0.3
    count = int(rng.choice(np.arange(4, 11), p=[0.06, 0.12, 0.22, 0.24, 0.14, 0.12, 0.1]))
    if two:
        upper = int(np.clip(round(count * rng.uniform(0.3, 0.6)), 1, 6))
        pattern = _pattern(rng, upper) + "/" + _pattern(rng, max(2, count - upper))
    else:
        pattern = _pattern(rng, count)
    light, dark = str(rng.choice(_LIGHT)), str(rng.choice(_DARK))
    if rng.random() < 0.12:
        light, dark = str(rng.choice(list(COLORS))), str(rng.choice(list(COLORS)))
    colors = f"{dark}/{light}" if rng.random() < 0.3 else f"{light}/{dark}"
    wide = float(rng.uniform(1.8, 5.0))
    low = float(rng.uniform(0.36, 0.72))
    small = ["print", "bar", "line"]
    return Style(
        name="free",
        patterns={pattern: 1},
        colors={colors: 1},
        sizes={f"{wide:.3f}x1": 1},
        two_row_sizes={f"{rng.uniform(1.1, 2.2):.3f}x1": 1},
        height=(0.42, 0.85) if wide > 2.6 else (0.36, 0.6),
        aspect=(low, low + 0.08),
        tracking=(0.04, 0.3),
        gap=(0.15, 0.8),
        fill=(0.6, 0.98),
        fonts=0.6,
        border=0.5,
        emboss=0.5,
        halo=0.07,
        ground={"plain": 5, "fade": 1, "bands": 1, "scene": 1, "drawing": 1, "pattern": 1},
        left={
            "none": 6,
            "eu " + str(rng.choice(["D", "F", "LT", "SK", "GR", "P", "EST"])): 1,
            "band blue IND": 0.5,
            "print GB": 0.3,
            "sticker": 0.2,
        },
        right={"none": 8, "fr 44": 0.6, "band yellow 2B": 0.2, "sticker": 0.3, "band blue X": 0.3},
        top={"none": 5, str(rng.choice(small)): 1.6},
        bottom={"none": 5, str(rng.choice(small)): 1.6},
        emblem=dict.fromkeys(
            ("seal", "seals", "shield", "arms", "state", "star", "diamond", "flag", "square", "bar", "tree"),
            1,
        )
        | {"seal": 4, "none": 1},
        stickers=0.12,
    )
