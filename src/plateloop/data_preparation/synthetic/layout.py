"""Where the characters of a row stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from plateloop.data_preparation.synthetic.glyphs import Face
from plateloop.data_preparation.synthetic.grammar import Kind, Token
from plateloop.data_preparation.synthetic.letterforms import CAP


@dataclass(frozen=True, slots=True)
class Spacing:
    """Lengths as shares of the character height, the same for a whole plate.

    ``aspect`` is the width of a common character; with ``even`` each character has a slot of that width;
    ``box_scale`` is the height of boxed characters, ``letter_scale`` that of letters; ``box_drop`` says how
    far down boxed characters stand (0 at the top, 1 on the base line).
    """

    aspect: float
    tracking: float
    gap: float
    dash: float
    dot: float
    emblem: float
    word: float
    even: bool
    letter_scale: float = 1.0
    box_scale: float = 0.75
    box_drop: float = 0.15


@dataclass(frozen=True, slots=True)
class Placed:
    """A token's box in pixels; for a character the box of its ink."""

    kind: Kind
    text: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle in pixels."""

    x: float
    y: float
    width: float
    height: float


def inside(row: Sequence[Placed], width: float, height: float) -> list[Placed]:
    """The row with what reaches beyond the plate (such as a Q's tail) moved back in."""
    return [
        replace(p, x=min(max(p.x, 0.0), width - p.width), y=min(max(p.y, 0.0), height - p.height))
        for p in row
    ]


def _natural(token: Token, face: Face, spacing: Spacing, scale: float) -> tuple[float, float]:
    """The token's slot and its ink's width, as shares of the character height."""
    if token.kind == "char":
        ink = face.masks[token.text].shape[1] / CAP * spacing.aspect / face.width * scale
        return (max(ink, spacing.aspect * scale) if spacing.even else ink), ink
    width = {
        "gap": spacing.gap,
        "thin": spacing.gap * 0.4,
        "dash": spacing.dash,
        "dot": spacing.dot,
        "low": spacing.dot,
        "emblem": spacing.emblem,
        "word": spacing.word,
        "glyph": spacing.aspect * 1.25,
        "box": 0.12,
        "end": 0.12,
    }[token.kind]
    return width, width


def arrange(
    tokens: Sequence[Token],
    face: Face,
    area: Area,
    height: float,
    spacing: Spacing,
    fill: float,
    align: float,
) -> list[Placed]:
    """Place a row of ``tokens`` in ``area``, with characters ``height`` pixels high where they fit.

    A row that is too long is squeezed in width, down to 0.6, then made smaller; one that is short is spaced
    out towards ``fill`` of the width, at most doubling its gaps, and stands at ``align`` (0 left, 1 right) of
    what is left.
    """
    scales, scale = [], 1.0
    for token in tokens:
        scale = spacing.box_scale if token.kind == "box" else 1.0 if token.kind == "end" else scale
        letter = token.kind == "char" and token.text.isalpha() and scale == 1.0
        scales.append(scale * (spacing.letter_scale if letter else 1.0))
    slots, inks = np.array([_natural(t, face, spacing, s) for t, s in zip(tokens, scales, strict=True)]).T
    is_char = np.array([t.kind in ("char", "word", "glyph") for t in tokens])
    between = np.where(is_char[1:] & is_char[:-1], spacing.tracking, spacing.tracking * 0.6)
    total = float(slots.sum() + between.sum()) * height
    squeeze = 1.0
    if total > area.width:
        squeeze = max(0.6, area.width / total)
        height *= min(1.0, area.width / (total * squeeze))
    else:
        slack = min(area.width * fill - total, between.sum() * height)
        if slack > 0 and between.sum() > 0:
            between = between * (1 + slack / (between.sum() * height))
    slots, inks, between = slots * squeeze * height, inks * squeeze * height, between * squeeze * height
    starts = np.concatenate([[0], np.cumsum(slots[:-1] + between)])
    left = area.x + (area.width - float(slots.sum() + between.sum())) * align
    top = area.y + (area.height - height) / 2
    placed = []
    for token, start, slot, ink, scale in zip(tokens, starts, slots, inks, scales, strict=True):
        x, y, tall = left + start + (slot - ink) / 2, top, height
        if token.kind == "char":
            mask = face.masks[token.text]
            boxed = scale < 1 and scale != spacing.letter_scale
            y += (
                height * (1 - scale) * (spacing.box_drop if boxed else 1.0)
                + face.tops[token.text] / CAP * height * scale
            )
            tall = mask.shape[0] / CAP * height * scale
        placed.append(Placed(token.kind, token.text, float(x), float(y), float(ink), float(tall)))
    return placed
