"""Makes a glyph atlas of those of a machine's fonts whose characters could stand on a plate."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from plateloop.data_preparation.synthetic.glyphs import Face, drawn_face
from plateloop.data_preparation.synthetic.letterforms import CAP, CHARACTERS
from plateloop.errors import UserError
from plateloop.types import Image

SUFFIXES = {".ttf", ".otf", ".ttc", ".woff", ".pfb"}
# Pairs that fonts may draw alike; anything else that looks like another character condemns the font.
_ALIKE = {frozenset(pair) for pair in ("0O", "1I", "OQ", "0Q", "OD", "0D", "1J")}
_SIDE = 24


def font_folders() -> list[Path]:
    """Where systems and packages keep fonts."""
    folders = [Path(p).expanduser() for p in ("/usr/share/fonts", "/usr/local/share/fonts", "~/.fonts")]
    folders += [Path(p).expanduser() for p in ("~/.local/share/fonts", "/Library/Fonts", "C:/Windows/Fonts")]
    folders += [Path(p) / "matplotlib" / "mpl-data" / "fonts" for p in sys.path]
    return [f for f in folders if f.is_dir()]


def rasterize(path: Path) -> Face | None:
    """The font at ``path`` as a face, or None where it lacks capitals or lining figures."""
    try:
        from PIL import Image as Picture
        from PIL import ImageDraw, ImageFont
    except ImportError:
        raise UserError("a glyph atlas needs Pillow: pip install 'plateloop[train]'") from None

    def mask(font: ImageFont.FreeTypeFont, character: str) -> tuple[Image, int]:
        left, top, right, bottom = font.getbbox(character, anchor="ls")
        picture = Picture.new("L", (max(1, round(right - left)) + 8, max(1, round(bottom - top)) + 8))
        ImageDraw.Draw(picture).text((4 - left, 4 - top), character, font=font, fill=255, anchor="ls")
        pixels = np.asarray(picture, np.uint8)
        rows, columns = np.flatnonzero(pixels.max(1) > 40), np.flatnonzero(pixels.max(0) > 40)
        if not len(rows):
            return np.zeros((0, 0), np.uint8), 0
        ink = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return ink, round(top) - 4 + int(rows[0])

    try:
        font = ImageFont.truetype(str(path), 100)
        tall = mask(font, "H")[0].shape[0]
        if tall < 30:
            return None
        font = ImageFont.truetype(str(path), round(100 * CAP / tall))
        missing = mask(font, "\uffff")[0]
        drawn = {c: mask(font, c) for c in CHARACTERS}
    except (OSError, ValueError):
        return None
    cap = drawn["H"][0].shape[0]
    if any(ink.size == 0 or np.array_equal(ink, missing) for ink, _ in drawn.values()):
        return None
    if any(not 0.9 * cap < drawn[c][0].shape[0] < 1.1 * cap for c in CHARACTERS if c not in "JQ"):
        return None
    masks = {c: np.ascontiguousarray(ink) for c, (ink, _) in drawn.items()}
    tops = {c: top + cap for c, (_, top) in drawn.items()}
    return Face(path.stem, "font", masks, tops)


def _vector(mask: Image) -> np.ndarray:
    small = cv2.resize(mask, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    small = small - small.mean()
    return np.asarray(small / (np.linalg.norm(small) + 1e-6))


def _bank(faces: Iterable[Face]) -> np.ndarray:
    return np.stack([np.stack([_vector(face.masks[c]) for c in CHARACTERS]) for face in faces])


def legible(face: Face, bank: np.ndarray) -> bool:
    """Whether each character of ``face`` resembles its own kind more than any other of the ``bank``.

    ``bank`` (faces, 36, pixels) holds the characters of trusted faces as unit vectors.
    """
    vectors = np.stack([_vector(face.masks[c]) for c in CHARACTERS])
    scores = np.einsum("fcp,gp->gcf", bank, vectors).max(2)
    for i, c in enumerate(CHARACTERS):
        best = int(scores[i].argmax())
        alike = frozenset((c, CHARACTERS[best])) in _ALIKE
        if scores[i, i] < 0.52 or (best != i and not alike and scores[i, best] > scores[i, i] + 0.05):
            return False
    return True


def build(fonts: Sequence[Path], limit: int = 400) -> Iterator[Face]:
    """Faces of the files ``fonts`` that are legible and not too thin, each look once, at most ``limit``."""
    trusted = _bank(
        drawn_face(family, n) for family in ("din", "embossed", "wide", "serif") for n in range(6)
    )
    kept: list[np.ndarray] = []
    for path in fonts:
        face = rasterize(path)
        if face is None or not 0.07 < face.weight < 0.34 or not 0.24 < face.width < 1.1:
            continue
        if not legible(face, trusted):
            continue
        look = np.concatenate([_vector(face.masks[c]) for c in "2345689ABGKMQRSW"])
        shape = np.append(look / 4, [face.width * 4, face.weight * 8])
        if any(float(np.square(shape - other).sum()) < 0.035 for other in kept):
            continue
        kept.append(shape)
        yield face
        if len(kept) >= limit:
            return


def find_fonts(folders: Sequence[Path]) -> list[Path]:
    """All font files below ``folders``, in a stable order that mixes families."""
    found = {p.name: p for f in folders for p in sorted(f.rglob("*")) if p.suffix.lower() in SUFFIXES}
    return [found[name] for name in sorted(found)]
