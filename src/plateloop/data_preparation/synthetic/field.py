"""The field in which boxed characters stand: its lines, and what is printed below them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from plateloop.data_preparation.synthetic.emblems import emblem
from plateloop.data_preparation.synthetic.glyphs import GlyphSet
from plateloop.data_preparation.synthetic.layout import Area, Placed
from plateloop.data_preparation.synthetic.strips import write
from plateloop.types import FloatArray, Image


def _closed(row: Sequence[Placed]) -> int:
    """Where in ``row``, which begins with a field, that field ends."""
    return next(i for i, p in enumerate(row) if p.kind == "end")


def field(rng: np.random.Generator, row: Sequence[Placed], first: bool, framed: bool, alpha: Image) -> None:
    """Draw the lines of the field with which ``row`` begins into ``alpha`` (in place).

    They go through the plate where the field's neighbours stand, none before the ``first`` thing of a row;
    a ``framed`` field, one of a row among two, has all four sides.
    """
    end = _closed(row)
    tall, wide = alpha.shape
    left, right = (round(p.x + p.width / 2) for p in (row[0], row[end]))
    thick = max(1, round(tall * rng.uniform(0.01, 0.025)))
    if framed:
        inside = row[1:end]
        high = max(p.height for p in inside)
        top, bottom = (
            min(p.y for p in inside) - high * 0.22,
            max(p.y + p.height for p in inside) + high * 0.22,
        )
        x1, x2 = max(0, left), min(wide - 1, right)
        cv2.rectangle(alpha, (x1, max(0, round(top))), (x2, min(tall - 1, round(bottom))), 255, thick)
        return
    for x, edge in ((left, first), (right, end == len(row) - 1)):
        if not edge:
            cv2.line(alpha, (x, 0), (x, tall), 255, thick)


def footer(
    rng: np.random.Generator, row: Sequence[Placed], word: str, canvas: Image, ink: FloatArray
) -> None:
    """Print ``word`` and a flag below the characters of the field with which ``row`` begins (in place)."""
    inside = row[1 : _closed(row)]
    if not inside or rng.random() < 0.25:
        return
    bottom = max(p.y + p.height for p in inside)
    x, width = inside[0].x, inside[-1].x + inside[-1].width - inside[0].x
    high = (canvas.shape[0] - bottom) * 0.5
    if high < 3:
        return
    face = GlyphSet().choose(rng, ("din",), 0.55, 0.0)
    write(canvas, word, Area(x, bottom + high * 0.35, width * 0.5, high), face, ink, 0.55, 0.0)
    emblem(rng, canvas, "flag", (x + width * 0.6, bottom + high * 0.35, width * 0.4, high), ink)
