"""Letterforms, faces and atlases."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from plateloop.data_preparation.synthetic.atlas import build, find_fonts
from plateloop.data_preparation.synthetic.glyphs import (
    DRAWN,
    FAMILIES,
    LOCAL_FAMILIES,
    GlyphSet,
    drawn_face,
    glyph_set,
    load_atlas,
    save_atlas,
)
from plateloop.data_preparation.synthetic.letterforms import CAP, CHARACTERS, Pen, draw
from plateloop.errors import UserError


def holes(mask: np.ndarray) -> int:
    """How many areas of ground a character encloses."""
    padded = cv2.copyMakeBorder(255 - mask, 4, 4, 4, 4, cv2.BORDER_CONSTANT, value=255)
    count, _, stats, _ = cv2.connectedComponentsWithStats((padded > 127).astype(np.uint8), connectivity=4)
    return sum(1 for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] > 12) - 1


def test_enough_letterforms() -> None:
    assert len(FAMILIES) * DRAWN > 100


@pytest.mark.parametrize("family", (*FAMILIES, *LOCAL_FAMILIES))
def test_characters_are_what_they_say(family: str) -> None:
    face = drawn_face(family, 3)
    assert set(face.masks) == set(CHARACTERS)
    for character, mask in face.masks.items():
        assert mask.dtype == np.uint8 and mask.max() > 200
        if character != "Q":
            assert abs(mask.shape[0] - CAP) <= 3, character
    pen = Pen()
    expected = (
        dict.fromkeys("CEFGHIJKLMNSTUVWXYZ12357", 0) | dict.fromkeys("AD4690OPQR", 1) | {"8": 2, "B": 2}
    )
    for character, count in expected.items():
        assert holes(draw(character, pen)) == count, character


def test_similar_characters_differ() -> None:
    for family in (*FAMILIES, *LOCAL_FAMILIES):
        face = drawn_face(family, 1)
        for a, b in ("8B", "5S", "2Z", "1I", "0D", "6G", "UV", "VY", "PR", "EF", "69"):
            first, second = (cv2.resize(face.masks[c], (48, 96)).astype(float) for c in (a, b))
            assert np.abs(first - second).mean() > (3 if b == "D" else 8), (family, a, b)


def test_faces_are_the_same_every_time() -> None:
    first = drawn_face("din", 5)
    drawn_face.cache_clear()
    second = drawn_face("din", 5)
    assert all(np.array_equal(first.masks[c], second.masks[c]) for c in CHARACTERS)


def test_atlas_round_trip(tmp_path: Path) -> None:
    faces = [drawn_face("fe", 0), drawn_face("narrow", 1)]
    path = tmp_path / "glyphs.npz"
    save_atlas(path, faces)
    loaded = load_atlas(path)
    assert [f.name for f in loaded] == ["fe-0", "narrow-1"]
    for a, b in zip(faces, loaded, strict=True):
        assert a.tops == b.tops and a.width == b.width and a.weight == b.weight
        assert all(np.array_equal(a.masks[c], b.masks[c]) for c in CHARACTERS)


def test_an_atlas_that_is_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.npz").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"x\.npz"):
        load_atlas(tmp_path / "x.npz")
    monkeypatch.setenv("PLATELOOP_GLYPHS", str(tmp_path / "missing.npz"))
    with pytest.raises(UserError, match="missing"):
        glyph_set()


def test_fonts_become_faces() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    pytest.importorskip("PIL")
    folder = Path(matplotlib.__file__).parent / "mpl-data" / "fonts"
    faces = {face.name: face for face in build(find_fonts([folder]))}
    assert "DejaVuSans-Bold" in faces
    assert not any("Symbol" in name or "STIXSiz" in name for name in faces)
    face = faces["DejaVuSans-Bold"]
    assert abs(face.masks["H"].shape[0] - CAP) <= 1 and face.tops["H"] == 0
    assert holes(face.masks["8"]) == 2 and holes(face.masks["A"]) == 1
    rng = np.random.default_rng(0)
    chosen = {GlyphSet((face,)).choose(rng, ("din",), 0.5, 0.5).family for _ in range(30)}
    assert chosen == {"font", "din"}
