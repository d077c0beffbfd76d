"""Cleaning: what is found in a record's boxes, corners and texts, and mended, on records made for it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleaning import CAR, record
from plateloop.data_preparation.clean import boxes, corners, texts
from plateloop.data_preparation.clean.examine import check_record
from plateloop.data_preparation.manifest import Plate, Record, Vehicle
from plateloop.types import Box, Corners


def kinds(found: Record) -> list[str]:
    return [finding.kind for finding in check_record(found, 10)]


@pytest.mark.parametrize(
    ("found", "expected", "mended"),
    [
        (record(Plate(box=(20, 60, 60, 75), vehicle=0), vehicles=(CAR,)), [], None),
        (record(Plate(box=(180, 60, 220, 75))), ["box-outside"], (180, 60, 200, 75)),
        (record(Plate(box=(50, 60, 50, 75))), ["box-degenerate"], "gone"),
        (record(Plate(box=(220, 60, 260, 75))), ["box-degenerate"], "gone"),
        (record(Plate(box=(20, 20, 35, 60))), ["plate-upright"], None),
        (record(Plate(box=(0, 0, 200, 100), text="A1")), [], None),
        (record(Plate(box=(20, 60, 60, 68), text="AB12")), ["plate-small"], None),
        (record(Plate(box=(20, 60, 60, 68))), [], None),
    ],
)
def test_boxes(found: Record, expected: list[str], mended: Box | str | None) -> None:
    assert kinds(found) == expected
    new = boxes.mend(found)
    if mended is None:
        assert new == found
    elif mended == "gone":
        assert new.plates == ()
    else:
        assert new.plates[0].box == mended
        assert kinds(new) == []


def test_a_plate_loses_a_vehicle_that_it_is_not_on_and_follows_one_that_moves() -> None:
    gone, other = Vehicle(box=(300, 0, 400, 50), label="car"), Vehicle(box=(130, 0, 190, 90), label="bus")
    on, beside, none = (
        Plate(box=(140, 60, 170, 75), vehicle=2),
        Plate(box=(140, 20, 170, 40), vehicle=1),
        Plate(box=(20, 60, 60, 75), vehicle=7),
    )
    found = record(on, beside, none, vehicles=(gone, CAR, other))
    assert kinds(found) == ["box-degenerate", "plate-outside", "plate-outside"]
    new = boxes.mend(found)
    assert new.vehicles == (CAR, other)
    assert [plate.vehicle for plate in new.plates] == [1, None, None]
    assert kinds(new) == []


LEVEL: Corners = ((20, 20), (80, 24), (78, 44), (18, 40))


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_corners_in_any_order_are_put_in_order(turn: int, mirrored: bool) -> None:
    given = list(LEVEL[turn:] + LEVEL[:turn])
    if mirrored:
        given.reverse()
    a, b, c, d = given
    assert corners.ordered((a, b, c, d)) == LEVEL


def test_crossed_corners_are_put_in_order_and_others_told() -> None:
    a, b, c, d = LEVEL
    plate = Plate(box=(18, 20, 80, 44), corners=(a, c, b, d))
    found = record(plate)
    assert [(f.kind, f.reason) for f in corners.check(found)] == [("corners-order", "plate 0: crossed")]
    assert corners.mend(found).plates[0].corners == LEVEL
    dented = record(plate.model_copy(update={"corners": (a, b, (40, 25), d)}))
    assert kinds(dented) == ["corners-shape"] and corners.mend(dented) == dented
    elsewhere = record(plate.model_copy(update={"box": (100, 60, 180, 90), "corners": LEVEL}))
    assert kinds(elsewhere) == ["corners-shape"]


@given(st.floats(-50, 50), st.floats(2, 5), st.floats(20, 60))
def test_a_plate_that_leans_keeps_its_corners(degrees: float, aspect: float, height: float) -> None:
    angle = np.radians(degrees)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    half = np.array([[-aspect, -1], [aspect, -1], [aspect, 1], [-aspect, 1]]) * height / 2
    a, b, c, d = ((float(x), float(y)) for x, y in half @ matrix.T)
    assert corners.ordered((a, b, c, d)) == (a, b, c, d)
    assert corners.ordered((d, c, b, a)) == (a, b, c, d)


@pytest.mark.parametrize(
    ("region", "text", "expected"),
    [
        ("GB", "AB12CDE", None),
        ("GB", "AB1ZCDE", "GB issues no AB1ZCDE, but AB12CDE"),
        ("FR", "AB123CD", None),
        ("FR", "AB-123-CD", "'AB-123-CD'"),
        ("FR", "ABCDEFG", "FR issues no ABCDEFG"),
        ("HR/RS", "ZG1234AB", None),
        ("IN", "MH12AB1234", None),
        ("IN", "MH12ABI234", "IN issues no MH12ABI234, but MH12AB1234"),
        (None, "ABCDEFG", None),
        ("XX", "ABCDEFG", None),
    ],
)
def test_texts_by_their_regions_grammar(region: str | None, text: str, expected: str | None) -> None:
    found = [f.reason for f in texts.check(record(Plate(box=(0, 0, 200, 100), text=text), region=region))]
    assert found == ([f"plate 0: {expected}"] if expected else [])


def test_the_synthetic_plates_follow_their_grammar() -> None:
    from plateloop.data_preparation.synthetic.grammar import sample
    from plateloop.data_preparation.synthetic.style import load_styles

    rng = np.random.default_rng(4)
    for style in load_styles().values():
        rule = texts.rules_of(style.region or "")
        for pattern in style.patterns if rule else ():
            rows = sample(rng, pattern, style.letters, style.digits, style.codes)
            text = "".join(token.text for row in rows for token in row)
            assert rule is not None and rule.fullmatch(text), (style.name, pattern, text)


def test_texts_are_mended_and_the_sources_own_is_kept() -> None:
    found = record(Plate(box=(0, 0, 200, 100), text="ab-12 cd"), texts=("x 1", "--"))
    new = texts.mend(found)
    assert (new.plates[0].text, new.plates[0].attributes) == ("AB12CD", {"raw_text": "ab-12 cd"})
    assert new.texts == ("X1",)
    assert texts.mend(new) == new
