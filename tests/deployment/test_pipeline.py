import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from plateloop.deployment.config import load_config
from plateloop.deployment.pipeline import Pipeline
from plateloop.deployment.sinks.worker import Result
from plateloop.types import Event

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Collect:
    """A sink that keeps everything, at its own pace."""

    def __init__(self, pause: float = 0.0, fail_at: int = -1) -> None:
        self.results: list[Result] = []
        self.closed = 0
        self._pause = pause
        self._fail_at = fail_at

    def write(self, result: Result) -> None:
        if len(self.results) == self._fail_at:
            raise OSError("no space left on device")
        time.sleep(self._pause)
        self.results.append(result)

    def close(self) -> None:
        self.closed += 1

    @property
    def events(self) -> list[Event]:
        return [event for result in self.results for event in result.events]


def run(paths: list[Path], networks: object, *sinks: Collect, **schedule: object) -> Pipeline:
    config = load_config(None, [str(path) for path in paths], {"schedule": schedule})
    pipeline = Pipeline(config, networks, ALPHABET, sinks)  # type: ignore[arg-type]
    pipeline.failures = pipeline.run()  # type: ignore[attr-defined]
    return pipeline


def finals(events: list[Event]) -> list[Event]:
    last = {event.id: event for event in events}
    assert all(event.phase == "end" for event in last.values()), "an end always follows"
    return list(last.values())


@pytest.mark.parametrize("interval", [1, 2, 3])
def test_passing_cars_become_one_event_each(
    write_video: Callable, numbered: Callable, simulated: tuple, interval: int
) -> None:
    car, networks_of = simulated
    cars = [
        car("AB123CD", start=10, speed=3, last=45),
        car("XY99ZZ", start=230, speed=-3, first=15, y=50, label=2),
        car(None, start=100, speed=0, first=5, last=50, y=5),
    ]
    sink = Collect()
    pipeline = run(
        [write_video("street.mp4", numbered(60, 320, 96))], networks_of(cars, 0.1), sink, interval=interval
    )
    ends = finals(sink.events)
    assert sorted(str(e.text) for e in ends) == ["AB123CD", "None", "XY99ZZ"]
    truck = next(e for e in ends if e.text == "XY99ZZ")
    assert truck.vehicle is not None and truck.vehicle.label == "truck" and truck.vehicle.color == "red"
    assert truck.plate is not None and truck.confidence > 0.8
    assert 36 <= truck.frames <= 45 and truck.first_s == pytest.approx(0.6, abs=0.13)
    report = pipeline.reports[0]
    assert (report.frames, report.dropped, report.vehicles, report.plates) == (60, 0, 3, 2)
    assert [r.shot.index for r in sink.results if r.shot is not None] == list(range(60))
    assert sink.closed == 1


def test_work_that_is_not_needed_is_not_done(
    write_video: Callable, numbered: Callable, simulated: tuple
) -> None:
    car, networks_of = simulated
    video = write_video("still.mp4", numbered(70, 160, 96))
    networks = networks_of([car("AB123CD", speed=0)])
    run([video], networks, interval=2)
    assert networks.calls["vehicles"] == 35
    assert networks.calls["readings"] <= 35 / 2, "a settled plate is read seldom"
    assert networks.calls["colors"] == 1
    blank = networks_of([car(None, speed=0)])
    run([video], blank, interval=2)
    assert blank.calls["regions"] <= 35, "a vehicle that shows no plate is looked at less"


def test_a_plate_without_a_vehicle_is_an_event_too(
    write_video: Callable, numbered: Callable, simulated: tuple
) -> None:
    car, networks_of = simulated
    sink = Collect()
    run([write_video("close.mp4", numbered(40, 160, 96))], networks_of([car("AB123CD", label=-1)]), sink)
    ends = finals(sink.events)
    assert [(e.text, e.vehicle) for e in ends] == [("AB123CD", None)]


def test_streams_run_side_by_side_and_a_bad_one_disturbs_nobody(
    tmp_path: Path, write_video: Callable, numbered: Callable, simulated: tuple
) -> None:
    car, networks_of = simulated
    paths = [write_video(f"{n}.mp4", numbered(30 + 10 * n, 160, 96)) for n in range(3)]
    bad = tmp_path / "bad.mp4"
    bad.write_text("not a video")
    paths.insert(1, bad)
    sink = Collect()
    pipeline = run(paths, networks_of([car("AB123CD", speed=1)]), sink)
    assert [r.frames for r in pipeline.reports] == [30, 0, 40, 50]
    assert [r.error is not None for r in pipeline.reports] == [False, True, False, False]
    told = defaultdict(list)
    for event in finals(sink.events):
        told[event.source].append(event.text)
    assert dict(told) == {str(path): ["AB123CD"] for path in paths if path != bad}


def test_a_slow_sink_holds_files_back_and_loses_nothing(
    write_video: Callable, numbered: Callable, simulated: tuple
) -> None:
    car, networks_of = simulated
    slow = Collect(pause=0.01)
    run([write_video("s.mp4", numbered(40, 160, 96))], networks_of([car("AB123CD")]), slow)
    assert [r.shot.index for r in slow.results if r.shot is not None] == list(range(40))


def test_a_sink_that_fails_holds_up_nobody_and_is_reported(
    write_video: Callable, numbered: Callable, simulated: tuple
) -> None:
    car, networks_of = simulated
    full, fine = Collect(fail_at=3), Collect()
    pipeline = run([write_video("s.mp4", numbered(40, 160, 96))], networks_of([car("AB123CD")]), full, fine)
    assert [str(error) for error in pipeline.failures] == ["no space left on device"]  # type: ignore[attr-defined]
    assert len(finals(fine.events)) == 1 and full.closed == 1


def test_stop_ends_cleanly_with_all_told(write_video: Callable, numbered: Callable, simulated: tuple) -> None:
    car, networks_of = simulated
    video = write_video("long.mp4", numbered(70, 160, 96))
    sink = Collect(pause=0.02)
    config = load_config(None, [str(video)])
    pipeline = Pipeline(config, networks_of([car("AB123CD", speed=0)]), ALPHABET, [sink])
    threading.Timer(0.5, pipeline.stop).start()
    started = time.monotonic()
    pipeline.run()
    assert time.monotonic() - started < 3
    assert 0 < len(sink.results) < 70
    assert [e.text for e in finals(sink.events)] == ["AB123CD"]
