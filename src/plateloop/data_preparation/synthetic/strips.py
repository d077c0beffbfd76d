"""Strips at the sides of a plate, bars and small print above and below the characters."""

from __future__ import annotations

import cv2
import numpy as np

from plateloop.data_preparation.synthetic.colors import COLORS, any_color, luminance, shade
from plateloop.data_preparation.synthetic.emblems import emblem, noise, polygon, star
from plateloop.data_preparation.synthetic.glyphs import Face
from plateloop.data_preparation.synthetic.layout import Area
from plateloop.data_preparation.synthetic.letterforms import CAP
from plateloop.types import FloatArray, Image

_SYLLABLES = [
    "BA",
    "CA",
    "DE",
    "FO",
    "GU",
    "HA",
    "JU",
    "KA",
    "LO",
    "MA",
    "NI",
    "PO",
    "QUE",
    "RA",
    "SAN",
    "TO",
    "VI",
    "WAL",
    "XA",
    "YO",
    "ZA",
    "MON",
    "TE",
    "BEL",
    "RIO",
    "SUL",
    "PORT",
    "TER",
    "ING",
    "TON",
    "VILLE",
    "BURG",
    "STAD",
    "LAND",
    "GA",
    "DOR",
    "EN",
    "IS",
    "AN",
    "AR",
    "ES",
    "IA",
    "US",
    "CO",
    "LA",
    "SA",
]


def made_up(rng: np.random.Generator) -> str:
    """A word or two in capitals, or the like of a telephone number."""
    kind = rng.random()
    if kind < 0.1:
        return " ".join("".join(str(d) for d in rng.integers(0, 10, n)) for n in (3, 3, 4))
    words = ["".join(rng.choice(_SYLLABLES, int(rng.integers(2, 5)))) for _ in range(int(rng.integers(1, 4)))]
    return (" - " if kind > 0.9 else " ").join(words)


def write(
    canvas: Image, text: str, area: Area, face: Face, color: FloatArray, aspect: float, align: float
) -> None:
    """Write ``text`` as small print into ``area``: as high as it, narrowed where it is too long."""
    wide = aspect / face.width
    widths = [
        face.masks[c].shape[1] / CAP * wide * area.height if c in face.masks else 0.35 * area.height
        for c in text
    ]
    space = 0.16 * area.height
    squeeze = min(1.0, area.width / max(1.0, sum(widths) + space * (len(text) - 1)))
    total = (sum(widths) + space * (len(text) - 1)) * squeeze
    x, y = area.x + (area.width - total) * align, round(area.y)
    high = max(2, round(area.height))
    for c, width in zip(text, widths, strict=True):
        if c in face.masks:
            mask = face.sized(c, max(1, round(width * squeeze)), high)
            left = round(x)
            part = canvas[max(0, y) : y + high, max(0, left) : left + mask.shape[1]]
            mask = mask[max(0, -y) :, max(0, -left) :][: part.shape[0], : part.shape[1]]
            if mask.size:
                alpha = mask[..., None].astype(np.float32) / 255
                part[:] = (part + (color - part) * alpha).astype(np.uint8)
        elif c == "-":
            cv2.line(
                canvas,
                (round(x), y + high // 2),
                (round(x + width * squeeze), y + high // 2),
                color.tolist(),
                1,
            )
        x += (width + space) * squeeze


def _stars(canvas: Image, x: float, y: float, radius: float, color: FloatArray) -> None:
    for k in range(12):
        angle = k * np.pi / 6
        star(canvas, x + radius * np.cos(angle), y + radius * np.sin(angle), max(0.9, radius * 0.2), color)


def strip(rng: np.random.Generator, canvas: Image, spec: str, area: Area, face: Face, left: bool) -> Area:
    """Draw a strip at one side of ``area``; returns what is left of it.

    ``spec``: ``none``; ``eu D`` (blue, ring of stars above letters); ``band COLOR TEXT``; ``flag TEXT`` (a
    flag above letters); ``fr 75`` (blue with an emblem above digits); ``print TEXT`` (letters on the plate's
    own ground, written upright below each other); ``mark TEXT`` (a small flag above small letters, on the
    plate's own ground); ``sticker``.
    """
    kind, _, rest = spec.partition(" ")
    if kind == "none":
        return area
    width = min(area.width * 0.2, area.height * rng.uniform(0.3, 0.46)) * (0.8 if kind == "mark" else 1.0)
    x = area.x if left else area.x + area.width - width
    box = np.array(
        [[x, area.y], [x + width, area.y], [x + width, area.y + area.height], [x, area.y + area.height]]
    )
    cx, top, high = x + width / 2, area.y, area.height
    light = shade(rng, "white", 8)
    if kind in ("eu", "fr", "flag"):
        polygon(canvas, box, shade(rng, "blue", 12))
        kind = "fr" if kind == "eu" and rng.random() < 0.1 else kind
        if kind == "eu":
            _stars(canvas, cx, top + high * 0.32, width * 0.3, shade(rng, "yellow"))
        elif kind == "flag":
            emblem(
                rng, canvas, "flag", (x + width * 0.15, top + high * 0.12, width * 0.7, high * 0.35), light
            )
        else:
            noise(rng, canvas, cx, top + high * 0.3, width * 0.25, high * 0.14, any_color(rng))
        text, color = rest, light if rng.random() < 0.9 else shade(rng, "yellow")
        size = high * rng.uniform(0.16, 0.24)
        write(
            canvas, text, Area(x + width * 0.1, top + high * 0.68, width * 0.8, size), face, color, 0.55, 0.5
        )
    elif kind == "band":
        name, _, text = rest.partition(" ")
        color = shade(rng, name) if name in COLORS else any_color(rng)
        polygon(canvas, box, color)
        ink = light if luminance(color) < 140 else shade(rng, "black", 8)
        size = high * rng.uniform(0.14, 0.22)
        write(
            canvas, text, Area(x + width * 0.08, top + high * 0.62, width * 0.84, size), face, ink, 0.55, 0.5
        )
    elif kind == "print":
        color = shade(rng, "blue" if rng.random() < 0.6 else "black", 10)
        if rng.random() < 0.5:
            emblem(rng, canvas, "seal", (cx - width * 0.3, top + high * 0.2, width * 0.6, width * 0.6), color)
        if rng.random() < 0.6:
            size = high * rng.uniform(0.1, 0.16)
            write(
                canvas,
                rest,
                Area(x + width * 0.1, top + high * 0.62, width * 0.8, size),
                face,
                color,
                0.6,
                0.5,
            )
        else:
            size = high * 0.6 / max(3, len(rest))
            for i, c in enumerate(rest):
                place = Area(x + width * 0.3, top + high * 0.2 + i * size * 1.3, width * 0.4, size)
                write(canvas, c, place, face, color, 0.6, 0.5)
    elif kind == "mark":
        color = shade(rng, str(rng.choice(["blue", "teal", "black"])), 10)
        level = rng.uniform(0.12, 0.3)
        emblem(rng, canvas, "flag", (x, top + high * level, width, high * 0.26), light)
        small = Area(x, top + high * (level + 0.34), width, high * rng.uniform(0.16, 0.22))
        write(canvas, rest, small, face, color, 0.6, 0.5)
    elif kind == "sticker":
        side = width * 0.8
        emblem(rng, canvas, "square", (cx - side / 2, top + high * rng.uniform(0.1, 0.5), side, side), light)
    width *= 1.04
    return Area(area.x + width * left, area.y, area.width - width, area.height)


def bar(
    rng: np.random.Generator,
    canvas: Image,
    spec: str,
    area: Area,
    face: Face,
    words: tuple[str, ...],
    ink: FloatArray,
    above: bool,
) -> Area:
    """Draw small print or a bar above or below the characters; returns the rest of ``area``.

    ``spec``: ``none``; ``print`` (one of ``words``, or made-up ones); ``bar COLOR`` (the same on a bar of
    that colour over the whole width); ``line COLOR`` (a thin bar without print); a number after the word sets
    the height as a share of the area's.
    """
    parts = spec.split()
    if parts[0] == "none":
        return area
    share = float(parts.pop()) if parts[-1].replace(".", "").isdigit() else float(rng.uniform(0.12, 0.2))
    high = area.height * share * rng.uniform(0.85, 1.15)
    y = area.y if above else area.y + area.height - high
    text = str(rng.choice(words)) if words else made_up(rng)
    align = 0.5 if rng.random() < 0.8 else float(rng.uniform(0.1, 0.9))
    color = ink if rng.random() < 0.6 else any_color(rng)
    inner = Area(area.x + area.width * 0.12, y + high * 0.14, area.width * 0.76, high * 0.72)
    if parts[0] in ("bar", "line"):
        ground = shade(rng, parts[1]) if len(parts) > 1 else any_color(rng)
        box = np.array([[0, y], [canvas.shape[1], y], [canvas.shape[1], y + high], [0, y + high]])
        if above:
            box[:2, 1] = 0
        else:
            box[2:, 1] = canvas.shape[0]
        polygon(canvas, box, ground)
        color = shade(rng, "white", 8) if luminance(ground) < 140 else shade(rng, "black", 10)
        inner = Area(area.x + area.width * 0.15, y + high * 0.2, area.width * 0.7, high * 0.6)
    if parts[0] != "line":
        write(canvas, text, inner, face, color, float(rng.uniform(0.45, 0.8)), align)
        if rng.random() < 0.15:
            emblem(
                rng, canvas, "flag", (area.x + area.width * 0.03, y + high * 0.1, high * 1.2, high * 0.8), ink
            )
    return Area(area.x, area.y + high * above, area.width, area.height - high)
