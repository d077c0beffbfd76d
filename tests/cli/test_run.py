"""``plateloop run`` from end to end: drawn clips, toy networks, real processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from commands import Call

FRAMES = 40


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, toy_clip: Callable[..., Path]) -> Path:
    """A blue car with a red plate drives from left to right; the toy reader reads the plate as a 5."""
    path = tmp_path_factory.mktemp("clips") / "car.mp4"
    toy_clip(path, (10 + 2 * number for number in range(FRAMES)))
    return path


@pytest.fixture
def arguments(tmp_path: Path, toy_weights: Path) -> list[str]:
    """Toy networks, whose texts of one character are believed."""
    page = tmp_path / "page.yaml"
    page.write_text("fusion: {min_length: 1}\nnetworks: {threads: 1}\n")
    return ["--config", str(page), "--weights", str(toy_weights), "--out", str(tmp_path / "out")]


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "plateloop", "run", *map(str, arguments)]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False, timeout=60)


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_clip_gives_events_video_and_summary(clip: Path, arguments: list[str], tmp_path: Path) -> None:
    done = run(clip, *arguments)
    assert done.returncode == 0, done.stderr
    assert "Vehicles" in done.stdout and str(FRAMES) in done.stdout and done.stderr == ""
    events = lines((tmp_path / "out" / "events.jsonl").read_text())
    assert events[0]["phase"] == "begin" and events[-1]["phase"] == "end"
    assert len({event["id"] for event in events}) == 1
    last = events[-1]
    assert last["text"] == "5" and last["source"] == str(clip) and last["confidence"] > 0.9
    assert last["vehicle"]["label"] == "car" and last["vehicle"]["color"] == "blue"
    assert last["plate"]["region"] == "toy"
    x = 10 + 2 * (FRAMES - 1)
    assert np.allclose(last["vehicle"]["box"], [x, 80, x + 200, 300], atol=8)
    with av.open(str(tmp_path / "out" / "car-annotated.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == FRAMES


def test_json_is_one_event_a_line_and_nothing_else(
    clip: Path, arguments: list[str], tmp_path: Path, plateloop: Call
) -> None:
    done = plateloop("run", clip, "--json", "--no-overlay", "--interval", "1", *arguments)
    assert done.returncode == 0 and done.stderr == ""
    wanted = {
        "id", "phase", "source", "track", "text", "confidence", "char_confidences", "first_s", "last_s",
        "frames", "readings", "vehicle", "plate", "clock", "pictures",
    }  # fmt: skip
    events = lines(done.stdout)
    assert all(set(event) == wanted for event in events)
    assert set(events[-1]["vehicle"]) >= {"label", "color", "box", "confidence"}
    assert set(events[-1]["plate"]) == {"box", "corners", "region", "confidence"}
    assert done.stdout == (tmp_path / "out" / "events.jsonl").read_text()
    assert not list((tmp_path / "out").glob("*.mp4"))


def test_a_bad_source_among_good_ones(
    clip: Path, arguments: list[str], tmp_path: Path, plateloop: Call
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video")
    done = plateloop("run", broken, clip, tmp_path / "absent.mp4", "--json", *arguments)
    assert done.returncode == 2
    told = done.stderr.splitlines()
    assert len(told) == 2 and "broken.mp4" in told[0] and "absent.mp4" in told[1]
    assert [e["source"] for e in lines(done.stdout) if e["phase"] == "end"] == [str(clip)]


@pytest.mark.parametrize("bad", ["absent.mp4", "empty.mp4", "folder", "gopher://u:secret@host/x"])
def test_where_nothing_can_be_read_nothing_is_started(
    bad: str, arguments: list[str], tmp_path: Path, plateloop: Call
) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "folder").mkdir()
    done = plateloop("run", bad if "://" in bad else tmp_path / bad, *arguments)
    assert done.returncode == 2 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and "secret" not in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "nothing to read"),
        (["x.mp4", "--config", "absent.yaml"], "absent.yaml"),
        (["x.mp4", "--device", "quantum"], "quantum"),
    ],
)
def test_mistakes_are_one_line(
    options: list[str], said: str, clip: Path, toy_weights: Path, tmp_path: Path, plateloop: Call
) -> None:
    options = [str(clip) if option == "x.mp4" else option for option in options]
    done = plateloop("run", *options, "--weights", toy_weights, "--out", tmp_path / "out")
    assert done.returncode == 2 and said in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.fixture
def endless(clip: Path, arguments: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A run of the clip beside a camera that never answers."""
    camera = "rtsp://admin:hunter2@127.0.0.1:9/cam"
    process = subprocess.Popen(
        command(clip, camera, "--json", *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_cleanly(
    endless: subprocess.Popen[str], number: signal.Signals, tmp_path: Path
) -> None:
    file = tmp_path / "out" / "events.jsonl"
    deadline = time.monotonic() + 30
    while not (file.exists() and file.stat().st_size):
        assert time.monotonic() < deadline and endless.poll() is None
        time.sleep(0.05)
    endless.send_signal(number)
    started = time.monotonic()
    out, err = endless.communicate(timeout=20)
    assert time.monotonic() - started < 10
    assert endless.returncode == 0, err
    assert lines(out)[-1]["phase"] == "end"
    assert "hunter2" not in out + err + file.read_text()
    with av.open(str(tmp_path / "out" / "car-annotated.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) > 0


def test_a_reader_that_goes_away_is_no_crash(clip: Path, arguments: list[str], tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(clip, "--json", *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    told = process.stderr.read()
    process.stderr.close()
    assert process.wait(30) == 1
    assert "Traceback" not in told and "Exception ignored" not in told and "Broken pipe" in told
    assert lines((tmp_path / "out" / "events.jsonl").read_text())[-1]["phase"] == "end"
