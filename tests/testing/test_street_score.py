"""What was read of a rendered clip, against its truth."""

from collections.abc import Sequence

from plateloop.testing.street.score import score
from plateloop.testing.street.truth import FrameTruth, VehicleTruth
from plateloop.types import Box, Event, EventVehicle


def vehicle(number: int, x: float, text: str, plate: float = 40.0) -> VehicleTruth:
    corners = ((x, 80.0), (x + plate, 80.0), (x + plate, 90.0), (x, 90.0)) if plate else None
    box = (x, 20.0, x + 100, 100.0)
    return VehicleTruth(id=number, label="car", color="red", box=box, visible=1.0, text=text, corners=corners)


def film(vehicles: Sequence[VehicleTruth], count: int = 10) -> list[FrameTruth]:
    return [FrameTruth(frame=n, time_s=n / 10, vehicles=tuple(vehicles)) for n in range(count)]


def event(name: str, box: Box, text: str | None, confidence: float = 0.9, last: float = 0.5) -> Event:
    return Event(
        id=name,
        phase="end",
        source="x.mp4",
        track=1,
        text=text,
        confidence=confidence,
        first_s=0.0,
        last_s=last,
        frames=5,
        readings=3,
        vehicle=EventVehicle(label="car", box=box, confidence=0.8),
        plate=None,
    )


def test_readings_belong_to_the_vehicle_they_overlap() -> None:
    frames = film([vehicle(0, 0, "AB12"), vehicle(1, 300, "CD34"), vehicle(2, 600, "EF56")])
    events = [event("a", (5, 22, 98, 99), "AB12"), event("b", (310, 20, 405, 101), "CD84", 0.6)]
    result = score(frames, events)
    assert [(o.read, o.right) for o in result.outcomes] == [("AB12", True), ("CD84", False), (None, False)]
    assert result.outcomes[1].confidence == 0.6
    assert result.share == 1 / 3 and result.strays == ()


def test_of_two_events_about_one_vehicle_the_surer_counts() -> None:
    frames = film([vehicle(0, 0, "AB12")])
    box = (0.0, 20.0, 100.0, 100.0)
    events = [event("a", box, "AB12", 0.5), event("b", box, "XX99", 0.8), event("c", box, None, 0.0)]
    assert score(frames, events).outcomes[0].read == "XX99"


def test_the_last_line_of_an_event_is_its_reading() -> None:
    frames = film([vehicle(0, 0, "AB12")])
    box = (0.0, 20.0, 100.0, 100.0)
    lines = [event("a", box, None, 0.0, last=0.1), event("a", box, "AB12", last=0.9)]
    assert score(frames, lines).share == 1


def test_plates_too_small_do_not_count_and_strays_are_told() -> None:
    frames = film([vehicle(0, 0, "AB12", plate=10), vehicle(1, 300, "CD34", plate=0)])
    result = score(frames, [event("a", (700, 0, 800, 90), "ZZ00")])
    assert result.outcomes == () and result.share == 0 and result.strays == ("ZZ00",)
