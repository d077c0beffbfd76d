"""What counts as hard, and what does not: small histories in which one thing is wrong."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from plateloop.data_preparation.manifest import Record
from plateloop.deployment.fusion import UNREAD, Fused
from plateloop.deployment.sources import SourceConfig
from plateloop.deployment.video2data.config import HarvestConfig
from plateloop.deployment.video2data.hard import Candidate, select
from plateloop.deployment.video2data.harvest import choose
from plateloop.deployment.video2data.history import History, Known, PlateSight, Round, Sight
from plateloop.deployment.video2data.labels import Labeler
from plateloop.deployment.video2data.mining import Cause, causes
from plateloop.types import Color, EventVehicle

TEXT = "AB12CD"
Change = Callable[[Sight], Sight | None]


def sight(number: int, track: int = 1, left: float = 100.0) -> Sight:
    """A car that drives to the right, 20 pixels a round, its plate 24 pixels high."""
    x = left + 20 * number
    corners = ((x + 60, 260.0), (x + 140, 260.0), (x + 140, 284.0), (x + 60, 284.0))
    plate = PlateSight((x + 60, 260, x + 140, 284), corners, 0.9, 24.0, TEXT, 0.95)
    vehicle = EventVehicle(label="car", box=(x, 100, x + 200, 300), confidence=0.9)
    return Sight(track, vehicle, plate, True)


def plate_of(seen: Sight, **keys: object) -> Sight:
    assert seen.plate is not None
    return replace(seen, plate=replace(seen.plate, **keys))


def film(changes: dict[int, Change], count: int = 10, fused: Fused | None = None) -> History:
    """Rounds at 10 a second; ``changes`` says what is otherwise in a round, None for nothing there."""
    rounds = []
    for number in range(count):
        seen = changes.get(number, lambda s: s)(sight(number))
        rounds.append(Round(3 * number, number / 10, 0.0, 1280, 720, (seen,) if seen else ()))
    history = History(SourceConfig(url="gate.mp4"), "gate", rounds=rounds)
    known = fused or Fused(TEXT, TEXT, 0.98, (0.99,) * 6, "XX", 8, True)
    history.known = {1: Known("id", known, Color("red", 0.9))}
    return history


def bare(seen: Sight) -> Sight:
    return replace(seen, plate=None)


def gone(seen: Sight) -> None:
    return None


def test_a_plain_track_is_not_hard() -> None:
    assert causes(film({})) == []


def test_a_reading_that_flips_is_told_once_with_both_texts() -> None:
    wrong: Change = lambda s: plate_of(s, text="A812CD", confidence=0.8)  # noqa: E731
    (cause,) = causes(film({4: wrong, 5: wrong}))
    assert (cause.reason, cause.round) == ("reading", 4)
    assert "A812CD" in cause.detail and TEXT in cause.detail
    (faint,) = causes(film({4: lambda s: plate_of(s, text="A812CD", confidence=0.2)}))
    (small,) = causes(film({4: lambda s: plate_of(s, text="A812CD", confidence=0.8, height=9.0)}))
    assert cause.score > faint.score and cause.score > small.score


def test_readings_that_never_agree_are_hard() -> None:
    texts = ["AB12CD", "XY9", "QQQQ", "77777"] * 3
    changes: dict[int, Change] = {
        n: (lambda s, t=text: plate_of(s, text=t, confidence=0.3)) for n, text in enumerate(texts[:10])
    }
    found = causes(film(changes, fused=replace(UNREAD, best="AB12CD", confidence=0.2)))
    assert len(found) == 4 and all("never agree" in cause.detail for cause in found)


def test_a_missed_plate_is_one_cause_and_drafted_where_it_must_be() -> None:
    history = film({4: bare, 5: bare})
    (cause,) = causes(history)
    assert cause.reason == "missed-plate" and "before and after" in cause.detail
    labeler = Labeler(history, HarvestConfig())
    (draft,) = labeler.record(4, "a.jpg", draft=True).plates
    there = sight(4).plate
    assert there is not None and draft.corners is not None
    assert sum(draft.corners, ()) == pytest.approx(sum(there.corners, ()), abs=0.1)
    assert draft.text == TEXT and draft.vehicle == 0 and draft.attributes["draft"]
    clean = labeler.record(4, "a.jpg")
    assert clean.plates == () and len(clean.ignore_plates) == 1


def test_a_plate_is_missed_only_close_to_where_it_shows() -> None:
    (cause,) = causes(film(dict.fromkeys(range(7), bare), count=14))
    assert cause.reason == "missed-plate" and cause.round >= 2 and "next to" in cause.detail


def test_a_missed_vehicle_is_drafted_but_one_hidden_is_not_hard() -> None:
    history = film({4: gone})
    (cause,) = causes(history)
    assert cause.reason == "missed-vehicle" and cause.focus == pytest.approx((180, 100, 380, 300))
    labeler = Labeler(history, HarvestConfig())
    assert labeler.record(4, "a.jpg", draft=True).vehicles[0].attributes["draft"]
    assert labeler.record(4, "a.jpg").ignore_vehicles == ((180, 100, 380, 300),)
    other = replace(sight(4, track=2), plate=None)
    assert not [c for c in causes(film({4: lambda s: other})) if c.reason == "missed-vehicle"]


def test_a_weak_plate_and_a_flipped_label() -> None:
    (weak,) = causes(film({4: lambda s: plate_of(s, score=0.45)}))
    assert weak.reason == "weak-plate" and weak.score == pytest.approx(0.45)

    def as_truck(seen: Sight) -> Sight:
        assert seen.vehicle is not None
        return replace(seen, vehicle=seen.vehicle.model_copy(update={"label": "truck"}))

    history = film({4: as_truck})
    (flipped,) = causes(history)
    assert flipped.reason == "label" and "truck" in flipped.detail
    assert Labeler(history, HarvestConfig()).record(4, "a.jpg").vehicles[0].label == "car"


def test_a_large_vehicle_without_any_plate_comes_last() -> None:
    (cause,) = causes(film(dict.fromkeys(range(10), bare)))
    assert cause.reason == "no-plate" and cause.score < 0.3
    # At the border the plate may be outside of the picture.
    history = film(dict.fromkeys(range(10), bare))
    history.rounds = [replace(seen, height=300) for seen in history.rounds]
    assert causes(history) == []


def test_the_text_is_a_label_only_where_it_shows() -> None:
    changes: dict[int, Change] = {
        1: lambda s: plate_of(s, text="A812CD"),
        2: lambda s: plate_of(s, text="", confidence=0.0),
        3: lambda s: plate_of(s, text=None),
        4: lambda s: plate_of(s, score=0.3),
    }
    history = film(changes)
    labeler = Labeler(history, HarvestConfig())
    texts = [[plate.text for plate in labeler.record(n, "a.jpg").plates] for n in range(5)]
    assert texts == [[TEXT], [TEXT], [None], [None], []]
    assert len(labeler.record(4, "a.jpg").ignore_plates) == 1
    assert all(labeler.record(n, "a.jpg", draft=True).plates[0].text == TEXT for n in range(5))
    unsure = Labeler(history, HarvestConfig(min_text=0.99, min_color=0.95))
    record = unsure.record(0, "a.jpg")
    assert record.plates[0].text is None and record.vehicles[0].color is None
    assert labeler.record(0, "a.jpg").vehicles[0].color == "red"


def test_a_vehicle_seen_once_is_no_label() -> None:
    record = Labeler(film({}, count=1), HarvestConfig()).record(0, "a.jpg")
    assert record.vehicles == () and len(record.ignore_vehicles) == 1


def test_frames_are_kept_by_period_and_spread_by_limit() -> None:
    history = film(dict.fromkeys(range(4), gone), count=50)
    labeler = Labeler(history, HarvestConfig())
    records = [labeler.record(number, f"{number}.jpg") for number in range(50)]
    assert choose(history, records, HarvestConfig(period_s=1)) == [4, 10, 20, 30, 40]
    assert choose(history, records, HarvestConfig(period_s=1, limit=3)) == [4, 20, 40]
    assert choose(history, records, HarvestConfig(period_s=1, empty=True))[0] == 0
    assert len(choose(history, records, HarvestConfig(period_s=0))) == 46
    assert choose(history, records, HarvestConfig(limit=0)) == []


def candidate(file: str, score: float, hash: int, key: str, video: str = "gate") -> Candidate:
    cause = Cause(0, 1, "reading", score, "", (0, 0, 1, 1), key)
    return Candidate(Record(file=file, width=9, height=9, sequence=video), (cause,), (hash,))


def test_repetitions_are_left_out_and_the_hardest_come_first() -> None:
    given = [
        candidate("a", 0.3, 0b1111, "1:X"),
        candidate("b", 0.9, 0xFFFF0000, "1:Y"),
        candidate("c", 0.8, 0xFFFF0001, "1:Z"),  # looks like b
        candidate("d", 0.7, 0xF0F0F0F0F0F0F0F0, "1:Y"),  # says the same as b
        candidate("e", 0.6, 0xFFFF0000, "1:Y", "yard"),  # of another video
        candidate("f", 0.2, 0, "1:V"),  # flat: like nothing
        candidate("g", 0.1, 0, "1:W"),
    ]
    assert [c.record.file for c in select(given, 10, 4)] == ["b", "e", "a", "f", "g"]
    assert [c.record.file for c in select(given, 2, 4)] == ["b", "e"]
