"""All streams in one video: its times, its pictures, and that it is encoded once."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from plateloop.deployment.capture import Shot
from plateloop.deployment.config import load_config
from plateloop.deployment.encoded import Codec, Unit
from plateloop.deployment.pipeline import Pipeline
from plateloop.deployment.sinks.mp4 import Mp4Config, Mp4Files
from plateloop.deployment.sinks.tiled import Tiled
from plateloop.deployment.sinks.worker import Result
from plateloop.deployment.sources import SourceConfig
from plateloop.deployment.tiler import TilerConfig, grid
from plateloop.frame import Frame

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SIZE = (640, 360)
TILER = TilerConfig(width=640, height=360, fps=10, stale_s=0.3, linger_s=0.5)
SHARP = Mp4Config(crf=8, fragment_frames=5)


class Kept:
    """An outlet that keeps what it is given."""

    def __init__(self) -> None:
        self.units: list[Unit] = []
        self.closed = 0

    def write(self, unit: Unit) -> None:
        self.units.append(unit)

    def close(self) -> None:
        self.closed += 1


def sources(*names: str) -> list[SourceConfig]:
    return [SourceConfig(url=f"{name}.mp4", name=name) for name in names]


def shown(stream: int, number: int, fps: float, level: int) -> Result:
    frame = Frame.from_rgb(np.full((90, 160, 3), level, np.uint8))
    return Result(stream, Shot(number, number / fps, 0.0, frame), (), ())


def ended(stream: int) -> Result:
    return Result(stream, None, (), ())


def pictures(path: Path) -> tuple[list[np.ndarray], list[float]]:
    with av.open(str(path)) as container:
        decoded = list(container.decode(video=0))
    return [frame.to_ndarray(format="rgb24") for frame in decoded], [float(frame.time) for frame in decoded]


def levels(picture: np.ndarray, count: int) -> list[float]:
    """The brightness in the middle of each cell."""
    cells = grid(count, SIZE)
    return [float(picture[y + h // 2 - 8 : y + h // 2, x + w // 2].mean()) for x, y, w, h in cells]


def test_files_are_shown_at_their_own_pace_however_they_are_read(tmp_path: Path) -> None:
    """One has another rate than the other, and ends earlier."""
    tiled = Tiled(TILER, SHARP, [Mp4Files(tmp_path / "tiled.mp4", SIZE, SHARP)], by_clock=False)
    tiled.begin(sources("a", "b"))
    for number in range(60):
        if number < 30 and number % 2 == 0:
            tiled.write(shown(0, number // 2, 10, 40 + 3 * number))
        tiled.write(shown(1, number, 20, 40 + 3 * number))
        if number == 30:
            tiled.write(ended(0))
    tiled.write(ended(1))
    tiled.close()
    frames, times = pictures(tmp_path / "tiled.mp4")
    assert np.allclose(times, np.arange(len(times)) / 10, atol=1e-3) and len(times) == pytest.approx(
        30, abs=1
    )
    for number, picture in enumerate(frames[:14]):
        assert levels(picture, 2) == pytest.approx([40 + 6 * number] * 2, abs=8), number
    # What has ended is dimmed, and leaves half a second later.
    assert levels(frames[17], 2)[0] < 0.5 * (40 + 3 * 28) < levels(frames[14], 2)[0]
    assert levels(frames[25], 1) == pytest.approx([40 + 3 * 50], abs=8)


def test_the_clock_goes_on_when_streams_do_not() -> None:
    kept = Kept()
    tiled = Tiled(TILER, SHARP, [kept], by_clock=True)
    streams = sources("a")
    begun = time.monotonic()
    tiled.begin(streams)
    tiled.write(shown(0, 0, 10, 200))
    streams += sources("b")
    while time.monotonic() < begun + 1.05:
        time.sleep(0.01)
    tiled.close()
    tiled.close()
    assert kept.closed == 1
    times = np.array([unit.pts for unit in kept.units]) / 90_000
    assert 8 <= len(times) <= 12 and np.allclose(times * 10 % 1, 0, atol=1e-3)
    decoder = av.CodecContext.create("h264", "r")
    decoded = [p for unit in kept.units for p in decoder.decode(av.Packet(unit.data))] + decoder.decode(None)
    last = decoded[-1].to_ndarray(format="rgb24")
    stale, missing = levels(last, 2)
    assert stale == pytest.approx(0.35 * 200, abs=8) and missing < 30, "dimmed, and nothing yet"


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_pictures_come_out_at_once_where_they_are_watched(codec: str) -> None:
    kept = Kept()
    config = TilerConfig(width=320, height=180, fps=20)
    tiled = Tiled(config, Mp4Config(codec=codec, preset="ultrafast"), [kept], by_clock=True)
    begun = time.monotonic()
    tiled.begin(sources("a"))
    while len(kept.units) < 10 and time.monotonic() < begun + 10:
        tiled.write(shown(0, 0, 10, 200))
        time.sleep(0.01)
    late = time.monotonic() - begun - kept.units[-1].pts / 90_000
    tiled.close()
    assert kept.units[0].key and late < 0.4


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_key_pictures_are_given_who_asks_one_a_second_at_most(codec: Codec) -> None:
    wanted = threading.Event()

    class Asking(Kept):
        def write(self, unit: Unit) -> None:
            super().write(unit)
            wanted.set()

    kept, config = Asking(), Mp4Config(codec=codec, preset="ultrafast", fragment_frames=1000)
    tiled = Tiled(TILER, config, [kept], by_clock=False, key_wanted=wanted)
    tiled.begin(sources("a"))
    for number in range(45):
        tiled.write(shown(0, number, 10, 40 + number))
    tiled.write(ended(0))
    tiled.close()
    keys = [unit.pts / 90_000 for unit in kept.units if unit.key]
    assert len(keys) >= 3 and min(np.diff(keys)) >= 1
    decoder = av.CodecContext.create({"h264": "h264", "h265": "hevc"}[codec], "r")
    last = next(place for place in reversed(range(len(kept.units))) if kept.units[place].key)
    assert decoder.decode(av.Packet(kept.units[last].data)) + decoder.decode(None), "a player begins with it"


def test_a_gap_in_a_recording_is_one_in_the_video() -> None:
    kept = Kept()
    tiled = Tiled(TILER, SHARP, [kept], by_clock=False)
    tiled.begin(sources("a"))
    for number in (0, 1, 2, 100_000, 100_001):
        tiled.write(shown(0, number, 10, 99))
    tiled.write(ended(0))
    tiled.close()
    assert len(kept.units) < 60 and kept.units[-1].pts / 90_000 == pytest.approx(10_000, abs=1)


def test_a_failure_is_told_by_the_next_result() -> None:
    class Broken(Kept):
        def write(self, unit: Unit) -> None:
            raise ValueError("no")

    tiled = Tiled(TILER, SHARP, [Broken()], by_clock=True)
    tiled.begin(sources("a"))
    deadline = time.monotonic() + 5
    with pytest.raises(ValueError, match="no"):
        while time.monotonic() < deadline:
            tiled.write(shown(0, 0, 10, 99))
            time.sleep(0.01)
    tiled.close()


def test_two_streams_of_a_pipeline_encoded_once(
    tmp_path: Path, write_video: Callable, numbered: Callable, simulated: tuple
) -> None:
    car, networks_of = simulated
    clips = [str(write_video(f"{name}.mp4", numbered(50))) for name in "ab"]
    config = load_config(None, clips)
    kept, files = Kept(), Mp4Files(tmp_path / "tiled.mp4", SIZE, SHARP)
    tiled = Tiled(TILER, SHARP, [kept, files], by_clock=False)
    pipeline = Pipeline(config, networks_of([car("AB123CD")]), ALPHABET, [tiled])
    tiled.begin(pipeline.sources)
    assert pipeline.run() == []
    with av.open(str(tmp_path / "tiled.mp4")) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        times = [round(float(packet.pts * packet.time_base) * 90_000) for packet in packets]
    assert times == [unit.pts for unit in kept.units] and len(times) == pytest.approx(20, abs=1)
    # The same pictures: MP4 has lengths where the units have start codes.
    slices = [unit.data.rpartition(b"\0\0\1")[2] for unit in kept.units]
    assert all(bytes(packet).endswith(part) for packet, part in zip(packets, slices, strict=True))
