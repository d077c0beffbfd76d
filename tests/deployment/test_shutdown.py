"""A run that is told to stop, in the worst company: a camera that hangs, one that is gone, no broker."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import av
import pytest

from plateloop.deployment.store import Store

pytest.importorskip("fastapi", reason="needs the extra page")
pytest.importorskip("confluent_kafka", reason="needs the extra kafka")


@pytest.fixture
def mute() -> Iterator[int]:
    """The port of a server that accepts and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.fixture
def page(camera: Callable[[Path], str], passing_cars: Path, mute: int) -> dict[str, Any]:
    return {
        "sources": [
            {"url": camera(passing_cars), "name": "gate"},
            {"url": f"rtsp://admin:hunter2@127.0.0.1:{mute}/cam"},
            {"url": "rtsp://admin:hunter2@127.0.0.1:9/cam?token=hunter2"},
        ],
        "kafka": {"servers": f"127.0.0.1:{mute}", "patience_s": 60},
    }


def wait_for_events(folder: Path) -> None:
    deadline = time.monotonic() + 30
    while not (folder / "events.jsonl").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_sigterm_ends_a_run_in_time_with_everything_written(
    start_run: Callable[..., Any], page: dict[str, Any]
) -> None:
    run = start_run(page)
    wait_for_events(run.folder)
    begun = time.monotonic()
    run.process.send_signal(signal.SIGTERM)
    assert run.process.wait(15) == 1, "events are owed to Kafka"
    took = time.monotonic() - begun
    assert took < 5, f"{took:.1f} s"
    with closing(Store.open(run.folder / "plateloop.db", create=False)) as store:
        assert {item.event.phase for item in store.latest()} == {"end"}
        stored = [item.event.model_dump_json() for item in store.select()]
    assert (run.folder / "events.jsonl").read_text().splitlines() == stored
    with av.open(str(run.folder / "gate-annotated.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) > 10
    assert any(line["message"].endswith("the next run delivers them") for line in run.told)
    told = json.dumps(run.told) + "".join(stored)
    assert "admin:***@" in told and "hunter2" not in told
    assert {line["source"] for line in run.told if "cannot be opened" in line["message"]} == {
        "rtsp://admin:***@127.0.0.1:9/cam?token=***"
    }


def test_a_second_signal_ends_at_once(start_run: Callable[..., Any], page: dict[str, Any]) -> None:
    run = start_run(page)
    wait_for_events(run.folder)
    run.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    begun = time.monotonic()
    run.process.send_signal(signal.SIGTERM)
    assert run.process.wait(15) == -signal.SIGTERM
    assert time.monotonic() - begun < 1


def test_a_supervisor_hears_of_start_life_and_stop(
    camera: Callable[[Path], str], passing_cars: Path, toy_weights: Path, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(tmp_path / "notify"))
        supervisor.settimeout(30)
        environment = os.environ | {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "300000"}
        command = ["run", camera(passing_cars), "--out", tmp_path / "out", "--weights", toy_weights]
        process = subprocess.Popen(
            [sys.executable, "-m", "plateloop", *command], stdout=subprocess.DEVNULL, env=environment
        )
        try:
            assert [supervisor.recv(99) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
            process.send_signal(signal.SIGTERM)
            while supervisor.recv(99) != b"STOPPING=1":
                pass
            assert process.wait(15) == 0
        finally:
            process.kill()
