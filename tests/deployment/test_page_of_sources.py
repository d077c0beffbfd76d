"""What a page says of a source: rate, rotation, regions; and the clock of live ones."""

import struct
import threading
import time
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from plateloop.deployment.capture import frames
from plateloop.deployment.clock import Pace, Timeline
from plateloop.deployment.config import load_config
from plateloop.deployment.pipeline import Pipeline
from plateloop.deployment.sinks.worker import Result
from plateloop.deployment.sources import SourceConfig
from plateloop.frame import Frame

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@pytest.mark.parametrize(("rate", "most", "kept"), [(25, 10, 10), (25, 25, 25), (25, 60, 25), (30, 7, 7)])
def test_the_rate_is_capped_evenly(rate: int, most: float, kept: int) -> None:
    pace = Pace(most)
    passed = [number / rate for number in range(10 * rate) if pace.wants(round(number / rate, 3))]
    assert len(passed) == pytest.approx(10 * kept, abs=1)
    assert max(np.diff(passed)) <= 1 / kept + 1 / rate


def test_passed_over_frames_are_never_converted(
    write_video: Callable, numbered: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    real = Frame.from_planes.__func__  # type: ignore[attr-defined]
    monkeypatch.setattr(Frame, "from_planes", classmethod(lambda *a, **k: made.append(1) or real(*a, **k)))
    config = SourceConfig(url=str(write_video("v.mp4", numbered(50))), max_fps=5)
    got = list(frames(config, threading.Event()))
    assert [round(shot.time_s, 2) for shot in got] == [round(0.2 * n, 2) for n in range(10)]
    assert [shot.index for shot in got] == list(range(10)) and len(made) == 10
    assert {shot.clock for shot in got} == {"file"}


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, -1])
@pytest.mark.parametrize("size", [(96, 160), (51, 75)])
@pytest.mark.parametrize("kind", ["yuv", "nv12", "rgb"])
def test_a_turned_frame_gives_what_the_turned_picture_has(
    turns: int, size: tuple[int, int], kind: str
) -> None:
    rng = np.random.default_rng(0)
    height, width = size
    half = ((height + 1) // 2, (width + 1) // 2)
    luma = rng.integers(40, 200, size, np.uint8)
    # Smooth: at the edges of a crop chroma is interpolated otherwise than in the whole picture.
    u, v = (np.linspace(90, 160, half[axis]).reshape(*((-1, 1), (1, -1))[axis]) for axis in (0, 1))
    u, v = (np.broadcast_to(plane, half).astype(np.uint8) for plane in (u, v))
    if kind == "rgb":
        frame = Frame.from_rgb(rng.integers(0, 255, (*size, 3), np.uint8))
    elif kind == "nv12":
        frame = Frame.from_planes(luma, np.stack([u, v], -1))
    else:
        frame = Frame.from_planes(luma, u, v)
    turned, upright = frame.rotated(turns), np.rot90(frame.rgb(), turns)
    assert (turned.height, turned.width) == upright.shape[:2]
    assert np.abs(turned.rgb().astype(int) - upright).max() <= 4
    box = np.array([10, 20, 34, 44], np.float32)
    plane = frame.planes[0] if frame.planes[0].ndim == 2 else frame.planes[0][..., 1]
    assert np.array_equal(turned.luma(box), np.rot90(plane, turns)[20:44, 10:34])
    if width % 2 == 0:
        reference = Frame.from_rgb(np.ascontiguousarray(upright))
        cut = turned.crops(box[None], (24, 24)).astype(int)
        assert np.abs(cut - reference.crops(box[None], (24, 24))).max() <= 4
        quad = np.array([[[12, 22], [30, 24], [29, 40], [11, 38]]], np.float32)
        flat = turned.rectified(quad, (16, 8)).astype(int)
        assert np.abs(flat - reference.rectified(quad, (16, 8))).max() <= 4


@pytest.mark.parametrize(("degrees", "corner"), [(90, (0, -1)), (180, (-1, -1)), (270, (-1, 0))])
def test_rotation_turns_clockwise(
    write_video: Callable, numbered: Callable, degrees: int, corner: tuple[int, int]
) -> None:
    config = SourceConfig(url=str(write_video("r.mp4", numbered(1, 160, 96))), rotation=degrees)
    frame = next(iter(frames(config, threading.Event()))).frame
    assert (frame.width, frame.height) == ((160, 96) if degrees == 180 else (96, 160))
    red = np.argwhere(frame.rgb()[..., 0] > 150).mean(0) < np.array([frame.height, frame.width]) / 2
    assert tuple(np.where(red, 0, -1)) == corner


class Collect:
    """A sink that keeps events."""

    def __init__(self) -> None:
        self.events: list = []

    def write(self, result: Result) -> None:
        self.events += result.events

    def close(self) -> None:
        pass


def test_vehicles_outside_the_regions_make_no_event_and_cost_nothing(
    write_video: Callable, numbered: Callable, simulated: tuple
) -> None:
    car, networks_of = simulated
    cars = [car("AB123CD", y=5.0), car("XY99ZZ", y=50.0), car("CD55EF", y=50.0, label=-1, start=200)]
    clip = str(write_video("v.mp4", numbered(40, 320, 96)))

    def run(**keys: object) -> tuple[set, int]:
        config = load_config(None, [clip])
        config = config.model_copy(update={"sources": (SourceConfig(url=clip, **keys),)})
        networks, sink = networks_of(cars), Collect()
        Pipeline(config, networks, ALPHABET, [sink]).run()
        return {event.text for event in sink.events if event.phase == "end"}, networks.calls["regions"]

    everything, cost = run()
    assert everything == {"AB123CD", "XY99ZZ", "CD55EF"}
    upper = [[0, 0], [1, 0], [1, 0.55], [0, 0.55]]
    assert run(regions=[upper])[0] == {"AB123CD"}
    assert run(regions=[[[0, 0.6], [1, 0.6], [1, 1], [0, 1]]])[0] == {"XY99ZZ", "CD55EF"}
    nowhere, nothing = run(regions=[[[0.9, 0], [1, 0], [1, 0.05]]])
    assert nowhere == set() and nothing < cost / 2
    assert run(interval=5)[1] < cost


def test_live_times_never_fall_and_do_not_shake(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    timeline = Timeline("gate", 60)
    timeline.connect()
    placed = []
    # Delivered in bursts of ten: the times are those of the stream all the same.
    for number in range(100):
        now[0] = 100 + (number // 10 + 1) * 0.4
        placed.append(timeline.place(500 + number / 25, 0.0)[0])
    assert np.allclose(np.diff(placed), 0.04)
    now[0] += 3
    timeline.connect()
    again = [timeline.place(stamp, 0.0)[0] for stamp in (0.0, 0.04, 9e4, 9e4 + 0.04, 7.0, None)]
    assert again == sorted(again) and again[0] > placed[-1] and again[-1] < placed[-1] + 4


def test_the_cameras_clock_where_it_is_to_be_believed(caplog: pytest.LogCaptureFixture) -> None:
    class Told:
        pts, time_base = 90_000, Fraction(1, 90_000)

        def has_sidedata(self, kind: str) -> bool:
            return kind == "prft"

        def get_sidedata(self, kind: str) -> bytes:
            return struct.pack("=qi", 1_700_000_000_250_000, 24)

    timeline = Timeline("gate", 60)
    timeline.connect()
    assert timeline.place(0.9, 1_700_000_000.0)[1] is None, "not told yet"
    timeline.refer(Told())  # type: ignore[arg-type]
    assert timeline.place(1.04, 1_700_000_001.0)[1] == pytest.approx(1_700_000_000.29)
    assert timeline.place(1.08, 1_700_003_601.0)[1] is None
    assert timeline.place(1.12, 1_700_003_601.0)[1] is None
    assert caplog.text.count("s off") == 1
    timeline.connect()
    assert timeline.place(1.2, 1_700_000_001.0)[1] is None, "another connection, other time stamps"
