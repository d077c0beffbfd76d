"""Rendered plates: text, places, rows, determinism."""

from __future__ import annotations

import re

import numpy as np
import pytest

from plateloop.data_preparation.synthetic.free import free_style
from plateloop.data_preparation.synthetic.plate import PlateImage
from plateloop.data_preparation.synthetic.render import pick_style, render
from plateloop.data_preparation.synthetic.style import load_styles


def contrast(plate: PlateImage, index: int) -> float:
    """The spread of brightness within the box of a character."""
    x1, y1 = np.floor(plate.char_corners[index].min(0)).astype(int)
    x2, y2 = np.ceil(plate.char_corners[index].max(0)).astype(int)
    grey = plate.image[max(0, y1 - 1) : y2 + 1, max(0, x1 - 1) : x2 + 1].astype(float).mean(2)
    return float(np.ptp(np.percentile(grey, (4, 96))))


def judge(plate: PlateImage) -> list[float]:
    """Assert what holds for every plate; returns the contrast of its characters."""
    height, width = plate.image.shape[:2]
    assert plate.image.dtype == np.uint8 and plate.image.shape[2] == 3
    assert re.fullmatch("[A-Z0-9]+", plate.text)
    assert plate.char_corners.shape == (len(plate.text), 4, 2) and len(plate.char_rows) == len(plate.text)
    low, high = plate.corners.min(0), plate.corners.max(0)
    assert (low >= 0).all() and (high <= (width, height)).all()
    assert (plate.char_corners.min((0, 1)) >= low - 1).all(), plate.text
    assert (plate.char_corners.max((0, 1)) <= high + 1).all(), plate.text
    middles = plate.char_corners.mean(1)
    rows = np.array(plate.char_rows)
    assert (np.diff(rows) >= 0).all()
    for row in range(plate.rows):
        assert (np.diff(middles[rows == row, 0]) > 0).all(), plate.text
    if plate.rows == 2 and len(set(plate.char_rows)) == 2:
        assert (
            plate.char_corners[rows == 0].max((0, 1))[1] <= plate.char_corners[rows == 1].min((0, 1))[1] + 1
        )
    return [contrast(plate, i) for i in range(len(plate.text))]


@pytest.mark.parametrize("name", sorted(load_styles()))
def test_every_style(name: str) -> None:
    rng = np.random.default_rng(11)
    style = load_styles()[name]
    seen: list[float] = []
    for _ in range(6):
        plate = render(rng, style)
        assert plate.region == style.region and plate.style == name
        seen += judge(plate)
    assert np.mean(np.array(seen) > 25) > 0.9


def test_free_styles() -> None:
    rng = np.random.default_rng(3)
    plates = [render(rng, free_style(rng)) for _ in range(150)]
    seen = [value for plate in plates for value in judge(plate)]
    assert np.mean(np.array(seen) > 25) > 0.95
    assert all(plate.region is None for plate in plates)
    assert {len(p.text) for p in plates} >= set(range(4, 11))
    assert 0.15 < np.mean([p.rows == 2 for p in plates]) < 0.5


def test_the_mix_has_everything() -> None:
    rng = np.random.default_rng(5)
    names = [pick_style(rng).name for _ in range(1500)]
    assert names.count("free") >= 0.2 * len(names)
    assert len(set(names)) > 80


def test_characters_can_be_read_back_from_their_boxes() -> None:
    """The boxes are those of the right characters: each looks most like its own letter of the face."""
    rng = np.random.default_rng(2)
    style = load_styles()["de"].model_copy(
        update={"families": ("din",), "fonts": 0.0, "screws": 0.0, "emboss": 0.0, "border": 0.0, "halo": 0.0}
    )
    right = total = 0
    for _ in range(12):
        plate = render(rng, style, pattern="'A'.'K'.'8'.'M'.'4'.'X'.'7'.'L'.'1'", height=120, margin=0)
        for i, character in enumerate(plate.text):
            (x1, y1), (x2, y2) = (
                np.round(plate.char_corners[i].min(0)),
                np.round(plate.char_corners[i].max(0)),
            )
            grey = plate.image[int(y1) : int(y2), int(x1) : int(x2)].mean(2)
            ink = grey < (grey.min() + grey.max()) / 2
            total += 1
            share = {
                "A": 0.5,
                "K": 0.45,
                "8": 0.6,
                "M": 0.5,
                "4": 0.4,
                "X": 0.45,
                "7": 0.35,
                "L": 0.3,
                "1": 0.5,
            }
            right += abs(float(ink.mean()) - share[character]) < 0.25
    assert right / total > 0.9


def test_a_seed_gives_the_same_plate() -> None:
    first, second = (render(np.random.default_rng(42)) for _ in range(2))
    assert first.text == second.text and np.array_equal(first.image, second.image)
    assert np.array_equal(first.char_corners, second.char_corners)
    assert render(np.random.default_rng(43)).text != first.text


def test_size_and_text_can_be_asked_for() -> None:
    rng = np.random.default_rng(0)
    plate = render(rng, load_styles()["gb"], pattern="'AB12'_'CDE'", height=70, margin=0)
    assert plate.text == "AB12CDE" and plate.image.shape[0] == 70
    assert plate.corners.tolist()[2] == [plate.image.shape[1], 70]


def test_other_scripts_are_not_read() -> None:
    rng = np.random.default_rng(0)
    styles = load_styles()
    assert len(render(rng, styles["cn"], pattern="#A.00000").text) == 6
    tunisian = render(rng, styles["tn"], pattern="000@0000")
    assert tunisian.text[3] == "T" and len(tunisian.char_corners) == 8


def test_a_field_is_closed_and_keeps_to_its_row() -> None:
    """Characters in a box of the lower row get its lines; the row above is left alone."""
    style = load_styles()["uz"].model_copy(
        update={"screws": 0.0, "emboss": 0.0, "border": 0.0, "fonts": 0.0, "right": {"none": 1}}
    )
    plate = render(np.random.default_rng(6), style, pattern="'A' '111'/'BC'['01']", height=120, margin=0)
    assert plate.text == "A111BC01" and plate.char_rows == (0,) * 4 + (1,) * 4
    grey = plate.image.astype(float).mean(2)
    dark = grey < (grey.min() + grey.max()) / 2
    boxed = plate.char_corners[-2:].reshape(-1, 2)
    (left, top), (right, bottom) = boxed.min(0).astype(int), np.ceil(boxed.max(0)).astype(int)
    middle = (top + bottom) // 2
    # Going out from the characters, each way meets a line.
    assert dark[middle, :left].any() and dark[middle, right + 1 :].any()
    assert dark[bottom + 1 :, (left + right) // 2].any()
    upper = plate.char_corners[:4].reshape(-1, 2)
    between = dark[: int(upper[:, 1].max()), :].copy()
    for quad in plate.char_corners[:4]:
        (x1, y1), (x2, y2) = np.floor(quad.min(0)).astype(int) - 1, np.ceil(quad.max(0)).astype(int) + 1
        between[max(0, y1) : y2, max(0, x1) : x2] = False
    assert between.mean() < 0.01
