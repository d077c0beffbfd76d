import io
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest

from plateloop.deployment.capture import Shot
from plateloop.deployment.overlay import Mark
from plateloop.deployment.sinks.jsonl import JsonLines
from plateloop.deployment.sinks.mp4 import Mp4, Mp4Config
from plateloop.deployment.sinks.worker import Result, Worker
from plateloop.frame import Frame
from plateloop.types import Event

WRITER = """
import sys, time
from pathlib import Path
import numpy as np
from plateloop.deployment.sinks.mp4 import Mp4, Mp4Config
from plateloop.deployment.sinks.worker import Result
from plateloop.deployment.capture import Shot
from plateloop.frame import Frame
sink = Mp4(lambda _: Path(sys.argv[1]), Mp4Config())
rng = np.random.default_rng(0)
for number in range(100000):
    frame = Frame.from_rgb(rng.integers(0, 256, (96, 160, 3), np.uint8))
    sink.write(Result(0, Shot(number, number / 25, 0.0, frame), (), ()))
    if number == 150:
        print("written", flush=True)
    time.sleep(0.002)
"""


def result(number: int, picture: np.ndarray, *marks: Mark, fps: float = 25, stream: int = 0) -> Result:
    return Result(stream, Shot(number, number / fps, 0.0, Frame.from_rgb(picture)), marks, ())


def pictures(path: Path) -> tuple[list[np.ndarray], list[float]]:
    with av.open(str(path)) as container:
        decoded = list(container.decode(video=0))
    return [f.to_ndarray(format="rgb24") for f in decoded], [float(f.time) for f in decoded]


def test_a_video_has_the_frames_times_colours_and_marks(tmp_path: Path) -> None:
    sink = Mp4(lambda _: tmp_path / "v.mp4", Mp4Config(crf=10))
    picture = np.full((96, 160, 3), (180, 40, 60), np.uint8)
    for number in range(30):
        sink.write(result(number, picture, Mark(0, (20, 20, 100, 80)), fps=10))
    sink.close()
    shown, times = pictures(tmp_path / "v.mp4")
    assert np.allclose(times, np.arange(30) / 10, atol=1e-3)
    assert np.abs(shown[5][85:95, 120:150].mean((0, 1)) - (180, 40, 60)).max() < 6
    assert np.abs(shown[5][80, 30:90].astype(int) - (180, 40, 60)).mean() > 30, "the box is drawn"
    assert (picture == (180, 40, 60)).all(), "the source's picture is left alone"


@pytest.mark.parametrize("size", [(95, 161), (1, 1), (2, 300)])
def test_odd_and_tiny_pictures(tmp_path: Path, size: tuple[int, int]) -> None:
    sink = Mp4(lambda _: tmp_path / "v.mp4", Mp4Config())
    for number in range(3):
        sink.write(result(number, np.full((*size, 3), 90, np.uint8)))
    sink.close()
    assert len(pictures(tmp_path / "v.mp4")[0]) == 3


def test_a_stream_that_changes_its_size_goes_on_in_the_first_one(tmp_path: Path) -> None:
    sink = Mp4(lambda _: tmp_path / "v.mp4", Mp4Config())
    sink.write(result(0, np.full((96, 160, 3), 90, np.uint8)))
    sink.write(result(1, np.full((200, 300, 3), 90, np.uint8)))
    sink.close()
    assert {p.shape for p in pictures(tmp_path / "v.mp4")[0]} == {(96, 160, 3)}


def test_streams_have_files_of_their_own(tmp_path: Path) -> None:
    paths = {number: tmp_path / f"{number}.mp4" for number in range(3)}
    sink = Mp4(paths.__getitem__, Mp4Config())
    for number in range(9):
        sink.write(result(number, np.full((32, 32, 3), 90, np.uint8), stream=number % 2))
    sink.write(Result(0, None, (), ()))
    sink.close()
    assert [path.exists() for path in paths.values()] == [True, True, False]


def test_a_video_plays_after_its_writer_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "killed.mp4"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"written\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
    shown, _ = pictures(path)
    assert len(shown) >= 150 - 25 - 60, "all but the last fragment and what the encoder held back"
    assert all(picture.shape == (96, 160, 3) for picture in shown)


def test_events_are_lines_of_json() -> None:
    event = Event(
        id="x", phase="end", source="cam\n1", track=1, text="AB12", confidence=0.9, first_s=0, last_s=1,
        frames=2, readings=2, vehicle=None, plate=None,
    )  # fmt: skip
    file = io.StringIO()
    sink = JsonLines(file)
    sink.write(Result(0, None, (), (event, event)))
    sink.close()
    lines = file.getvalue().splitlines()
    assert [Event.model_validate_json(line) for line in lines] == [event, event]


def test_lines_are_in_the_file_before_the_sink_is_closed(tmp_path: Path) -> None:
    event = Event(
        id="x", phase="begin", source="s", track=1, text=None, confidence=0, first_s=0, last_s=1,
        frames=2, readings=0, vehicle=None, plate=None,
    )  # fmt: skip
    with (tmp_path / "e.jsonl").open("w") as file:
        JsonLines(file).write(Result(0, None, (), (event,)))
        assert (tmp_path / "e.jsonl").read_text().count("\n") == 1


def test_lines_wait_while_the_disk_is_full_and_then_all_are_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    resource = pytest.importorskip("resource")
    event = Event(
        id="x", phase="end", source="s", track=1, text=None, confidence=0, first_s=0, last_s=1,
        frames=2, readings=0, vehicle=None, plate=None,
    )  # fmt: skip
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with (tmp_path / "e.jsonl").open("w") as file:
        sink = JsonLines(file)
        # In the middle of the second line.
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(event.model_dump_json()) + 30, hard))
        try:
            for _ in range(3):
                sink.write(Result(0, None, (), (event,)))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert len(caplog.records) == 1
        sink.write(Result(0, None, (), (event,)))
        sink.close()
    lines = (tmp_path / "e.jsonl").read_text().splitlines()
    assert [Event.model_validate_json(line) for line in lines] == [event] * 4


def test_a_worker_hands_over_in_order_and_waits_when_full() -> None:
    class Slow:
        def __init__(self) -> None:
            self.seen: list[int] = []

        def write(self, item: Result) -> None:
            time.sleep(0.02)
            self.seen.append(item.stream)

        def close(self) -> None:
            self.seen.append(-1)

    sink = Slow()
    worker = Worker(sink, 2)
    started = time.monotonic()
    for number in range(10):
        worker.put(Result(number, None, (), ()))
    assert time.monotonic() - started > 0.1
    worker.close()
    assert sink.seen == [*range(10), -1] and worker.error is None


def test_h265_plays_and_is_what_it_says(tmp_path: Path) -> None:
    sink = Mp4(lambda _: tmp_path / "v.mp4", Mp4Config(codec="h265", preset="ultrafast"))
    for number in range(30):
        sink.write(result(number, np.full((96, 160, 3), (180, 40, 60), np.uint8)))
    sink.close()
    shown, times = pictures(tmp_path / "v.mp4")
    assert np.allclose(times, np.arange(30) / 25, atol=1e-3)
    assert np.abs(shown[20].mean((0, 1)) - (180, 40, 60)).max() < 6
    with av.open(str(tmp_path / "v.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "hevc"


def test_files_rotate_by_time_lose_no_frame_and_replace_none(tmp_path: Path) -> None:
    (tmp_path / "v-0002.mp4").write_bytes(b"an earlier run's")
    sink = Mp4(lambda _: tmp_path / "v.mp4", Mp4Config(rotate_s=1, fragment_frames=5))
    for number in range(60):
        sink.write(result(number, np.full((96, 160, 3), 90, np.uint8)))
    sink.close()
    counts = {path.name: len(pictures(path)[0]) for path in sorted(tmp_path.glob("v-*[134].mp4"))}
    assert counts == {"v-0001.mp4": 25, "v-0003.mp4": 25, "v-0004.mp4": 10}
    assert (tmp_path / "v-0002.mp4").read_bytes() == b"an earlier run's"


def test_a_full_disk_costs_pictures_and_no_more(tmp_path: Path) -> None:
    script = WRITER.replace("range(100000)", "range(600)").replace(
        "import sys, time", "import resource, sys, time"
    )
    script = script.replace("rng =", "resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))\nrng =")
    # No second try, however long a busy machine takes.
    script = script.replace("sink =", "mp4.RETRY_S = 600\nsink =")
    script = "from plateloop.deployment.sinks import mp4" + script + "sink.close()\n"
    script = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n" + script
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "v.mp4")], capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr.count("not written") == 1
    assert 0 < len(pictures(tmp_path / "v.mp4")[0]) < 600
