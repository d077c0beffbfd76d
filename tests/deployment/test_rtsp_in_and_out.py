"""Cameras by RTSP in, all of them by RTSP out, played by a client; and the mistakes of the command line."""

import json
import signal
import socket
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from commands import Call
from plateloop.deployment.config import load_config
from plateloop.deployment.tiler import grid
from plateloop.errors import UserError

SIZE = (640, 360)
OUTPUT = {
    "layout": "tiled",
    "tiler": {"width": 640, "height": 360, "fps": 10},
    "mp4": {"fragment_frames": 10},
}


def shows_two_cars(picture: np.ndarray) -> bool:
    """Whether there is something blue in both of two cells."""
    blue = (picture[..., 2] > 150) & (picture[..., 0] < 80)
    return all(blue[y : y + h, x : x + w].sum() > 500 for x, y, w, h in grid(2, SIZE))


def address_of(told: list[dict[str, Any]]) -> str:
    """Where a run serves, by what it has told."""
    (line,) = [line["message"] for line in told if line["message"].startswith("RTSP at ")]
    return str(line.removeprefix("RTSP at "))


def test_two_cameras_by_rtsp_are_seen_by_rtsp_and_encoded_once(
    passing_cars: Path, rtsp_camera: Callable, start_run: Callable, digests: Callable
) -> None:
    camera = rtsp_camera(passing_cars)
    cameras = [
        {"url": camera, "name": "by tcp"},
        {"url": camera, "name": "by udp", "transport": "udp"},
    ]
    run = start_run({"sources": cameras, "output": {**OUTPUT, "rtsp": "cam:s3cret@127.0.0.1:0/plates"}})
    address = address_of(run.told)
    with pytest.raises(av.error.HTTPUnauthorizedError):
        digests(address, 1)
    seen = digests(address.replace("//", "//cam:s3cret@"), 30, until=shows_two_cars)
    deadline = time.monotonic() + 40
    while {event["source"] for event in events(run.folder) if event["text"] == "5"} != {"by tcp", "by udp"}:
        assert time.monotonic() < deadline and run.process.poll() is None
        time.sleep(0.1)
    with urllib.request.urlopen(f"{run.url}metrics", timeout=10) as answer:
        assert b"\nplateloop_rtsp_dropped_total 0.0" in answer.read()
    begun = time.monotonic()
    run.process.send_signal(signal.SIGTERM)
    assert run.process.wait(10) == 0 and time.monotonic() - begun < 5
    assert any("was refused: no password" in line["message"] for line in run.told)
    assert "s3cret" not in json.dumps(run.told)
    assert not any(b"s3cret" in path.read_bytes() for path in run.folder.iterdir())
    kept = digests(str(run.folder / "tiled.mp4"))
    assert len(seen) == 30 and set(seen) <= set(kept), "the same pictures, bit for bit"
    assert [path.name for path in run.folder.glob("*.mp4")] == ["tiled.mp4"]
    assert "camera" in {event["clock"] for event in events(run.folder)}, "by RTCP sender reports"


def events(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "events.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def test_a_taken_port_is_one_line_and_nothing_is_begun(
    passing_cars: Path, toy_weights: Path, tmp_path: Path, gstreamer: str, plateloop: Call
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f":{taken.getsockname()[1]}/plates"
        done = plateloop(
            "run", passing_cars, "--rtsp-out", place, "--weights", toy_weights, "--out", tmp_path / "out"
        )
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "in use" in done.stderr
    assert not (tmp_path / "out").exists()


def test_options_that_contradict_one_another_are_one_line(
    passing_cars: Path, tmp_path: Path, plateloop: Call
) -> None:
    done = plateloop("run", passing_cars, "--tiled", "--no-overlay", "--out", tmp_path / "out")
    assert done.returncode == 2 and "give one of them" in done.stderr and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("output.rtsp=:8554", "expected [USER:PASSWORD@][HOST]:PORT/PATH"),
        ("output.rtsp=u:s3cret@:8554", "expected [USER:PASSWORD@][HOST]:PORT/PATH"),
        ("output.rtsp=rtsp://u:s3cret@host", "expected rtsp://HOST:PORT/PATH"),
        ("output.tiler.width=641", "multiple of 2"),
        ("output.tiler.hight=3", "did you mean height"),
        ("output.layout=tile", "tiled"),
    ],
)
def test_wrong_keys_are_one_line(setting: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        load_config(None, ["a.mp4"], settings=[setting], environ={})
    assert said in str(caught.value) and "s3cret" not in str(caught.value) and "\n" not in str(caught.value)


def test_recordings_tiled_by_the_command_line(
    toy_clip: Callable, toy_weights: Path, tmp_path: Path, plateloop: Call
) -> None:
    clips = [toy_clip(tmp_path / f"{name}.mp4", range(10, 40), rate=20, preset="ultrafast") for name in "ab"]
    few = ("--set", "networks.threads=1", "--interval", "5")
    done = plateloop("run", *clips, "--tiled", "--weights", toy_weights, *few, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    with av.open(str(tmp_path / "out" / "tiled.mp4")) as container:
        times = [float(picture.time) for picture in container.decode(video=0)]
    assert np.allclose(times, np.arange(len(times)) / 12.5, atol=1e-3)
    assert times[-1] == pytest.approx(1.5, abs=0.1), "as long as the recordings are"
    assert not list((tmp_path / "out").glob("*-annotated.mp4"))
