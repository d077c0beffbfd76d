"""Faces: the grey masks of A-Z and 0-9 in one lettering, drawn by code or loaded from an atlas of fonts.

An atlas is one ``.npz`` made beforehand where fonts are (``atlas.build``); a machine without fonts loads it
by path, given as an argument or in the environment variable ``PLATELOOP_GLYPHS``. Without an atlas there are
only the drawn faces, which are always there.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path

import cv2
import numpy as np

from plateloop.data_preparation.synthetic.letterforms import CAP, CHARACTERS, Pen, draw
from plateloop.errors import UserError
from plateloop.types import Image

ENVIRONMENT = "PLATELOOP_GLYPHS"
DRAWN = 24  # drawn faces per family


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One lettering at a cap height of ``CAP`` pixels.

    ``masks`` holds for each character a uint8 mask tight to its ink, ``tops`` how many pixels below the cap
    line it begins (negative: above). ``width`` is the median width of a character and ``weight`` the
    thickness of a vertical stroke, both as shares of the cap height. ``family`` is "font" for fonts.
    """

    name: str
    family: str
    masks: dict[str, Image]
    tops: dict[str, int]
    width: float = field(init=False)
    weight: float = field(init=False)
    _sizes: dict[tuple[str, int, int], Image] = field(init=False)

    def __post_init__(self) -> None:
        widths = [self.masks[c].shape[1] for c in "0235689ABCDEHNPRSU"]
        stem = self.masks["L"]
        row = stem[stem.shape[0] // 3 : stem.shape[0] // 2]
        object.__setattr__(self, "width", float(np.median(widths)) / CAP)
        object.__setattr__(self, "weight", float(row.sum()) / 255 / len(row) / CAP)
        object.__setattr__(self, "_sizes", {})

    def sized(self, character: str, width: int, height: int) -> Image:
        """The mask of ``character`` resized; sizes used before are remembered."""
        key = character, width, height
        if key not in self._sizes:
            if len(self._sizes) > 4000:
                self._sizes.clear()
            mask = cv2.resize(self.masks[character], (width, height), interpolation=cv2.INTER_AREA)
            self._sizes[key] = np.asarray(mask, np.uint8)
        return self._sizes[key]


# Ranges of the pen for each family of drawn letterings: width, weight, contrast, roundness, squareness.
_FAMILIES: dict[str, tuple[tuple[float, float], ...]] = {
    "din": ((0.5, 0.64), (0.12, 0.17), (0.85, 1.0), (0.85, 1.0), (2.0, 2.5)),
    "fe": ((0.56, 0.68), (0.12, 0.16), (0.85, 1.0), (0.45, 0.75), (2.0, 3.0)),
    "narrow": ((0.36, 0.48), (0.09, 0.14), (0.9, 1.05), (0.9, 1.0), (2.0, 2.8)),
    "embossed": ((0.42, 0.56), (0.1, 0.15), (0.9, 1.0), (0.6, 1.0), (2.0, 3.5)),
    "wright": ((0.58, 0.68), (0.17, 0.22), (0.8, 0.95), (0.7, 1.0), (2.0, 2.6)),
    "square": ((0.46, 0.66), (0.1, 0.17), (0.85, 1.0), (0.12, 0.4), (2.0, 3.0)),
    "wide": ((0.66, 0.85), (0.11, 0.18), (0.8, 1.0), (0.7, 1.0), (2.0, 2.8)),
    "serif": ((0.5, 0.66), (0.09, 0.14), (0.75, 1.0), (0.8, 1.0), (2.0, 2.4)),
}
# Letterings of one country, for the styles that name them.
_LOCAL: dict[str, tuple[tuple[float, float], ...]] = {
    "vietnam": ((0.4, 0.5), (0.1, 0.14), (0.9, 1.0), (0.85, 1.0), (2.0, 2.6)),
    "painted": ((0.48, 0.66), (0.12, 0.19), (0.5, 0.85), (0.8, 1.0), (2.0, 2.3)),
}
FAMILIES, LOCAL_FAMILIES = tuple(_FAMILIES), tuple(_LOCAL)
# Shapes that characters of a family always have.
_SHAPES = {"vietnam": {"1": 0, "4": 2, "6": 1}}


@cache
def drawn_face(family: str, number: int) -> Face:
    """Face ``number`` of a drawn ``family``: always the same for the same arguments."""
    rng = np.random.default_rng([(*FAMILIES, *LOCAL_FAMILIES).index(family), number])
    ranges = (_FAMILIES | _LOCAL)[family]
    width, weight, contrast, roundness, squareness = (float(rng.uniform(*r)) for r in ranges)
    # The first shape of each character is the usual one.
    choices = np.where(rng.random(len(CHARACTERS)) < 0.55, 0, rng.integers(0, 6, 36))
    for character, shape in _SHAPES.get(family, {}).items():
        choices[CHARACTERS.index(character)] = shape
    serif = family == "serif" or (family == "painted" and number % 2 == 0)
    pen = Pen(
        width=width,
        weight=weight,
        contrast=contrast,
        roundness=roundness,
        squareness=squareness,
        slant=float(rng.uniform(-0.02, 0.2))
        if rng.random() < (0.4 if family == "painted" else 0.08)
        else 0.0,
        serif=float(rng.uniform(0.03, 0.08)) if serif else 0.0,
        stencil=float(rng.uniform(0.03, 0.06)) if rng.random() < 0.04 else 0.0,
        even=float(rng.choice([0.0, 0.3, 0.7])),
        soft=float(rng.choice([0.0, 0.5, 1.0, 1.4])),
        cut=family == "square" and rng.random() < 0.4,
        slashed=rng.random() < 0.04,
        choices=tuple(choices.tolist()),
    )
    masks = {c: draw(c, pen) for c in CHARACTERS}
    return Face(f"{family}-{number}", family, masks, dict.fromkeys(CHARACTERS, 0))


@dataclass(frozen=True, slots=True)
class GlyphSet:
    """Where faces come from: the drawn families, and the faces of an atlas (may be empty)."""

    fonts: tuple[Face, ...] = ()

    def choose(
        self, rng: np.random.Generator, families: Sequence[str], aspect: float, foreign: float
    ) -> Face:
        """A face for lettering whose characters are ``aspect`` times as wide as high.

        With probability ``foreign`` a font of about that width is taken, otherwise a drawn face of one of
        ``families``.
        """
        if self.fonts and rng.random() < foreign:
            scores = np.array([abs(np.log(face.width / aspect)) for face in self.fonts])
            near = np.argsort(scores + rng.uniform(0, 0.35, len(scores)))[:24]
            return self.fonts[int(rng.choice(near))]
        family = str(rng.choice(list(families) or list(FAMILIES)))
        return drawn_face(family, int(rng.integers(DRAWN)))


def save_atlas(path: Path, faces: Sequence[Face]) -> None:
    """Write ``faces`` as an atlas."""
    masks = [face.masks[c] for face in faces for c in CHARACTERS]
    np.savez_compressed(
        path,
        names=np.array([face.name for face in faces]),
        families=np.array([face.family for face in faces]),
        shapes=np.array([m.shape for m in masks], np.int16),
        tops=np.array([face.tops[c] for face in faces for c in CHARACTERS], np.int16),
        pixels=np.concatenate([m.ravel() for m in masks]),
    )


def load_atlas(path: Path) -> tuple[Face, ...]:
    """The faces of an atlas; raises UserError where there is none."""
    try:
        with np.load(path, allow_pickle=False) as data:
            names, families = data["names"], data["families"]
            shapes, tops, pixels = data["shapes"].astype(int), data["tops"], data["pixels"]
    except (OSError, ValueError, KeyError):
        raise UserError(f"{path}: no glyph atlas; make one with `plateloop data glyphs {path}`") from None
    ends = np.cumsum(shapes.prod(1))
    count = len(CHARACTERS)
    faces = []
    for i, name in enumerate(names):
        rows = range(i * count, (i + 1) * count)
        masks = {
            c: pixels[ends[k] - shapes[k].prod() : ends[k]].reshape(shapes[k])
            for c, k in zip(CHARACTERS, rows, strict=True)
        }
        offsets = {c: int(tops[k]) for c, k in zip(CHARACTERS, rows, strict=True)}
        faces.append(Face(str(name), str(families[i]), masks, offsets))
    return tuple(faces)


@lru_cache(maxsize=4)
def _loaded(path: str | None) -> GlyphSet:
    return GlyphSet(load_atlas(Path(path)) if path else ())


def glyph_set(path: str | None = None) -> GlyphSet:
    """The faces to render with: drawn ones, and those of the atlas at ``path`` or ``PLATELOOP_GLYPHS``.

    Read once a process. Raises UserError where the atlas cannot be read.
    """
    return _loaded(path or os.environ.get(ENVIRONMENT))
