from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plateloop.deployment.fusion import FusionConfig
from plateloop.deployment.passages import Passage, PassageConfig, Passages, within_one_edit
from plateloop.types import Color, Event, EventVehicle, Reading

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CAR = EventVehicle(label="car", box=(0, 0, 10, 10), confidence=0.9)
BOX = (1.0, 2.0, 3.0, 4.0)
CORNERS = ((1.0, 2.0), (3.0, 2.0), (3.0, 4.0), (1.0, 4.0))


def reading(text: str, confidence: float = 0.97) -> Reading:
    rows = np.full((len(text), 36), (1 - confidence) / 35, np.float32)
    for row, character in enumerate(text):
        rows[row, ALPHABET.index(character)] = confidence
    return Reading(text, confidence ** len(text), (confidence,) * len(text), rows)


def passages(**options: float) -> Passages:
    return Passages("cam", ALPHABET, PassageConfig(**options), FusionConfig())


def drive(
    to: Passages, track: int, start: float, frames: int, text: str | None = None, fps: float = 10
) -> list[Event]:
    """Let ``track`` be seen (and read) in ``frames`` frames."""
    events = []
    for number in range(frames):
        to.see(track, start + number / fps, CAR)
        if text is not None:
            to.read(track, reading(text), 1.0, BOX, CORNERS, 0.8)
        events += to.advance(start + number / fps)
    return events


def test_a_passage_begins_when_read_improves_and_ends() -> None:
    to = passages()
    events = drive(to, 7, 0.0, 12, "AB123")
    to.lose(7)
    assert to.advance(3.0) == [], "it may come back"
    events += to.advance(4.5)
    phases = [e.phase for e in events]
    assert phases[0] == "begin" and phases[-1] == "end"
    assert len({e.id for e in events}) == 1 and {e.track for e in events} == {7}
    last = events[-1]
    assert last.text == "AB123" and last.frames == 12 and last.readings == 12
    assert last.first_s == 0 and last.last_s == 1.1
    assert last.vehicle is not None and last.plate is not None and last.plate.confidence == 0.8
    confidences = [e.confidence for e in events]
    assert confidences == sorted(confidences) and len(events) < 8
    assert to.finish() == []


def test_an_unread_vehicle_is_reported_after_a_second_with_no_text() -> None:
    to = passages()
    events = drive(to, 1, 0.0, 30) + to.finish()
    assert [e.phase for e in events] == ["begin", "end"]
    assert events[0].text is None and events[0].last_s >= 1.0 and events[0].char_confidences == ()


def test_a_flicker_makes_no_event_but_a_glimpse_that_was_read_does() -> None:
    to = passages()
    assert drive(to, 1, 0.0, 3) + to.finish() == []
    to = passages()
    to.see(1, 0.0, None)
    to.read(1, reading("AB123", 0.99), 1.0, BOX, CORNERS, 0.8)
    events = to.advance(0.0) + to.finish()
    assert [(e.phase, e.text) for e in events] == [("begin", "AB123"), ("end", "AB123")]
    assert events[-1].vehicle is None


def test_what_was_never_seen_surely_makes_no_event_unless_it_was_read() -> None:
    to = passages()
    doubtful = CAR.model_copy(update={"confidence": 0.55})
    for number in range(30):
        to.see(1, number / 10, doubtful)
        to.see(2, number / 10, doubtful)
        to.see(3, number / 10, None)  # a plate alone, in which nothing is read
        to.read(2, reading("AB123"), 1.0, BOX, CORNERS, 0.8)
    events = to.advance(3.0) + to.finish()
    assert {(event.track, event.text) for event in events} == {(2, "AB123")}
    assert passages(min_score=0.5).is_sure(Passage("", 1, 0.0, 0.0, best_score=0.55))


def test_a_vehicle_found_again_by_its_text_is_the_same_event() -> None:
    to = passages()
    events = drive(to, 1, 0.0, 10, "AB123")
    to.lose(1)
    events += drive(to, 2, 2.5, 10, "AB123")
    to.lose(2)
    events += to.finish()
    assert len({e.id for e in events}) == 1
    assert [e.phase for e in events].count("end") == 1
    assert events[-1].frames == 20 and events[-1].readings == 20 and events[-1].last_s == 3.4


def test_found_again_unread_at_first_is_still_the_same_event() -> None:
    to = passages()
    events = drive(to, 1, 0.0, 10, "AB123")
    to.lose(1)
    events += drive(to, 2, 1.0, 15)
    events += drive(to, 2, 2.5, 10, "AB123") + to.finish()
    assert len({e.id for e in events}) == 1 and events[-1].frames == 35


def test_a_misread_vehicle_in_the_same_place_is_still_the_same_event() -> None:
    to = passages()
    events = drive(to, 1, 0.0, 10, "AB123")
    to.lose(1)
    events += drive(to, 2, 2.0, 3, "AB128") + to.finish()
    assert len({e.id for e in events}) == 1 and events[-1].text == "AB123"


def test_two_cars_at_once_with_similar_plates_are_two() -> None:
    to = passages()
    events = []
    for number in range(10):
        for track, text in ((1, "AB123"), (2, "AB128")):
            to.see(track, number / 10, CAR)
            to.read(track, reading(text), 1.0, BOX, CORNERS, 0.8)
        events += to.advance(number / 10)
    events += to.finish()
    assert {e.text for e in events if e.phase == "end"} == {"AB123", "AB128"}


@pytest.mark.parametrize(
    ("a", "b", "near"),
    [
        ("AB123", "AB123", True), ("AB123", "AB128", True), ("AB123", "A123", True),
        ("AB123", "AB1234", True),
        ("AB123", "BA123", False), ("AB123", "A12", False), ("", "A", True), ("AB123", "XAB12", False),
    ],
)  # fmt: skip
def test_within_one_edit(a: str, b: str, near: bool) -> None:
    assert within_one_edit(a, b) == within_one_edit(b, a) == near


def test_the_same_text_after_long_is_another_event() -> None:
    to = passages()
    events = drive(to, 1, 0.0, 10, "AB123")
    to.lose(1)
    events += drive(to, 2, 60.0, 10, "AB123") + to.finish()
    assert len({e.id for e in events}) == 2
    ends = [e for e in events if e.phase == "end"]
    assert len(ends) == 2 and [e.text for e in ends] == ["AB123"] * 2


def test_a_plate_tracked_alone_joins_the_vehicle_that_bears_it() -> None:
    to = passages()
    events = []
    for number in range(20):
        at = number / 10
        to.see(1_000_001, at, None)
        to.read(1_000_001, reading("AB123"), 1.0, BOX, CORNERS, 0.8)
        if number > 5:
            to.see(1, at, CAR)
            to.read(1, reading("AB123"), 1.0, BOX, CORNERS, 0.8)
        events += to.advance(at)
    events += to.finish()
    assert len({e.id for e in events}) == 1
    assert events[0].vehicle is None and events[-1].vehicle is not None


def test_colours_are_voted() -> None:
    to = passages()
    to.see(1, 0.0, CAR)
    for label, confidence in (("red", 0.9), ("orange", 0.5), ("red", 0.7)):
        to.name(1, Color(label, confidence))
    events = drive(to, 1, 0.1, 20) + to.finish()
    assert events[-1].vehicle is not None and events[-1].vehicle.color == "red"
    assert 0 < (events[-1].vehicle.color_confidence or 0) < 0.9


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.sampled_from([None, "AB123", "CD456", "EF7"]), st.booleans()),
        max_size=60,
    )
)
def test_every_event_begins_once_ends_once_and_never_goes_back(steps: list) -> None:
    to = passages(merge_s=1.0, begin_s=0.3)
    events, now = [], 0.0
    for track, text, lost in steps:
        now += 0.15
        to.see(track, now, CAR)
        if text is not None:
            to.read(track, reading(text), 1.0, BOX, CORNERS, 0.8)
        events += to.advance(now)
        if lost:
            to.lose(track)
    events += to.finish()
    by_id = defaultdict(list)
    for event in events:
        by_id[event.id].append(event)
    for told in by_id.values():
        phases = [e.phase for e in told]
        assert phases[0] == "begin" and phases[-1] == "end"
        assert set(phases[1:-1]) <= {"update"}
        assert [e.frames for e in told] == sorted(e.frames for e in told)
        assert [e.last_s for e in told] == sorted(e.last_s for e in told)
