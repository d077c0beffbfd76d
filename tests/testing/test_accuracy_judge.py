"""What becomes of a plate: constructed truths against constructed scenes."""

import numpy as np
import pytest

from plateloop.data_preparation.manifest import Plate, Record, Vehicle
from plateloop.runtime.cascade import Scene
from plateloop.testing.accuracy_scores import report, score
from plateloop.testing.judge import Item, judge
from plateloop.types import Box, Detections, Plates, Reading

CAR: Box = (0, 0, 200, 100)
PLATE: Box = (80, 60, 120, 70)


def scene(*found: tuple[Box, str | None, float], vehicles: tuple[Box, ...] = (CAR,)) -> Scene:
    """A scene with plates ``(box, text or None, confidence)``."""
    boxes = np.array([box for box, _, _ in found], np.float32).reshape(-1, 4)
    zeros = np.zeros(len(found), np.int64)
    readings = tuple(
        None
        if text is None
        else Reading(text, sure, (sure,) * len(text), np.zeros((len(text), 36), np.float32))
        for _, text, sure in found
    )
    detections = Detections(
        boxes, np.ones(len(found), np.float32), zeros, np.zeros((len(found), 4, 2), np.float32)
    )
    cars = Detections(
        np.array(vehicles, np.float32).reshape(-1, 4),
        np.ones(len(vehicles), np.float32),
        np.zeros(len(vehicles), np.int64),
    )
    return Scene(cars, (None,) * len(vehicles), Plates(detections, zeros - 1, readings))


def truth(*plates: tuple[Box, str | None], **more: object) -> Record:
    """A record with plates ``(box, text)`` in a car."""
    return Record(
        file="a.png",
        width=200,
        height=100,
        source="here",
        vehicles=(Vehicle(box=CAR, label="car"),),
        plates=tuple(Plate(box=box, text=text, annotation="agreed") for box, text in plates),
        **more,
    )


def only(record: Record, seen: Scene, threshold: float = 0.0) -> Item:
    (item,) = judge(record, seen, threshold, "set")
    return item


def test_an_exact_text_is_right_and_carries_its_provenance() -> None:
    item = only(truth((PLATE, "AB12"), region="RO"), scene((PLATE, "AB12", 0.9)))
    assert (item.outcome, item.found, item.confidence) == ("right", "AB12", 0.9)
    assert (item.dataset, item.file, item.source, item.region) == ("set", "a.png", "here", "RO")
    assert (item.annotation, item.truth, item.box) == ("agreed", "AB12", PLATE)


@pytest.mark.parametrize(
    ("found", "sure", "outcome"),
    [
        ("AB12", 0.4, "below threshold"),
        ("AB1", 0.9, "misread by one"),
        ("AB13", 0.9, "misread by one"),
        ("AX13", 0.9, "misread"),
        ("", 0.0, "not read"),
        (None, 0.0, "not read"),
    ],
)
def test_what_was_read_decides(found: str | None, sure: float, outcome: str) -> None:
    assert only(truth((PLATE, "AB12")), scene((PLATE, found, sure)), 0.5).outcome == outcome


def test_a_plate_elsewhere_is_not_this_plate() -> None:
    seen = scene(((0, 0, 40, 10), "AB12", 0.9))
    items = judge(truth((PLATE, "AB12")), seen)
    assert [item.outcome for item in items] == ["plate not found", "extra"]


def test_the_vehicle_is_to_blame_where_no_vehicle_holds_the_plate() -> None:
    assert only(truth((PLATE, "AB12")), scene()).outcome == "plate not found"
    assert only(truth((PLATE, "AB12")), scene(vehicles=())).outcome == "vehicle not found"
    half = (0.0, 0.0, 100.0, 100.0)
    assert only(truth((PLATE, "AB12")), scene(vehicles=(half,))).outcome == "vehicle not found"


def test_a_plate_without_text_takes_its_own_reading() -> None:
    other: Box = (10, 60, 50, 70)
    items = judge(truth((PLATE, "AB12"), (other, None)), scene((other, "ZZ", 0.9), (PLATE, "AB12", 0.8)))
    assert [(item.truth, item.outcome) for item in items] == [("AB12", "right")]


def test_extra_readings_count_only_where_the_truth_would_know() -> None:
    other: Box = (10, 60, 50, 70)
    seen = scene((PLATE, "AB12", 0.9), (other, "ZZ", 0.9))
    outcomes = lambda record, least=0.0: [item.outcome for item in judge(record, seen, least)]  # noqa: E731
    assert outcomes(truth((PLATE, "AB12"))) == ["right", "extra"]
    assert outcomes(truth((PLATE, "AB12")), 0.95) == ["below threshold"]
    assert outcomes(truth((PLATE, "AB12"), ignore_plates=(other,))) == ["right"]
    assert outcomes(truth((PLATE, "AB12"), plates_annotated=False)) == ["right"]


def texts(*expected: str) -> Record:
    return Record(file="s.png", width=200, height=100, texts=expected, plates_annotated=False)


def test_texts_without_a_place_match_as_a_multiset() -> None:
    seen = scene((PLATE, "AB12", 0.9), ((0, 0, 9, 9), "CD3X", 0.8), ((9, 0, 19, 9), "QQ", 0.7))
    items = judge(texts("AB12", "CD34", "EF56"), seen)
    assert {item.truth: (item.outcome, item.found) for item in items} == {
        "AB12": ("right", "AB12"),
        "CD34": ("misread by one", "CD3X"),
        "EF56": ("misread", "QQ"),
    }
    both = judge(texts("AB12", "AB12"), scene((PLATE, "AB12", 0.9), vehicles=()))
    assert sorted(item.outcome for item in both) == ["right", "vehicle not found"]


def test_texts_without_any_reading_blame_the_first_stage_that_failed() -> None:
    assert only(texts("AB12"), scene((PLATE, None, 0.0))).outcome == "not read"
    assert only(texts("AB12"), scene()).outcome == "plate not found"
    assert only(texts("AB12"), scene(vehicles=())).outcome == "vehicle not found"
    assert only(texts("AB12"), scene((PLATE, "AB12", 0.3)), 0.5).outcome == "below threshold"


def item(
    outcome: str, true: str | None = "AB0", found: str | None = "AB0", file: str = "a", **more: object
) -> Item:
    fields = {
        "dataset": "set",
        "source": "s",
        "region": "r",
        "annotation": "annotated",
        "confidence": 0.9,
    } | more
    return Item(file=file, truth=true, found=found, outcome=outcome, **fields)


def test_score_counts_strictly_and_folded() -> None:
    items = [
        item("right"),
        item("misread by one", found="ABO", file="b"),
        item("below threshold", file="c"),
        item("plate not found", found=None, file="d"),
        item("extra", true=None, found="ZZ"),
    ]
    result = score("all", items)
    assert (result.plates, result.pictures, result.right, result.extra) == (4, 4, 1, 1)
    assert result.share == 0.25
    assert result.share_folded == 0.5
    assert result.cer == pytest.approx(1 / 9)
    assert result.low <= result.share <= result.high


def test_report_groups_and_survives_json() -> None:
    items = [
        item("right"),
        item("misread", found="QQQ", annotation="agreed", source="t"),
        item("extra", true=None, found="ZZ"),
    ]
    result = report(items, 1, {"lprnet": "0" * 64}, "test")
    shares = {s.group: s.share for scores in result.scores.values() for s in scores}
    assert shares == {
        "set": 0.5,
        "set: annotated": 1,
        "set: agreed": 0,
        "set: s": 1,
        "set: t": 0,
        "set: r": 0.5,
    }
    assert result.failures == {
        "set": {"right": 1, "misread": 1, "extra": 1},
        "set: agreed": {"misread": 1},
        "set: annotated": {"right": 1},
    }
    assert result.failure_rows() == [
        ["outcome", "set", "set: agreed", "set: annotated"],
        ["right", "1", "0", "1"],
        ["misread", "1", "1", "0"],
        ["extra", "1", "0", "0"],
    ]
    assert result.ece == pytest.approx(0.4)
    assert type(result).model_validate_json(result.model_dump_json()) == result
