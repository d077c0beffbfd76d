"""Trains several networks at a time: a process each, spread over devices, all ended when this one ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from plateloop.data_preparation.manifest import NAME, manifest_of
from plateloop.errors import UserError

DATASETS = {"tcnet": "frames", "lprnet": "crops", "lpdnet": "frames", "colornet": "colors"}
"""The folder of the data that each cannot do without."""

NETWORKS = ("tcnet", "lprnet", "lpdnet", "colornet")
"""In the order in which they are started: the longest to train first."""

# Run by each child before anything else: Linux then ends it when its parent dies, however that dies.
_CHILD = (
    "import ctypes, signal, sys;"
    "ctypes.CDLL(None).prctl(1, signal.SIGTERM);"
    "from plateloop.cli.main import main;"
    "main()"
)


def require(networks: Sequence[str], data: Path) -> None:
    """Raise UserError where ``data`` lacks a dataset that one of the networks learns from."""
    for name in networks:
        direct = DATASETS[name] == "frames" and (data / NAME).is_file()
        manifest_of(data if direct else data / DATASETS[name])


def commands(
    networks: Sequence[str],
    data: Path,
    out: Path,
    devices: Sequence[str],
    minutes: float,
    cores: int,
    assignments: Sequence[str] = (),
    start_from: str | None = None,
) -> dict[str, list[str]]:
    """Each network's arguments of ``plateloop``, devices dealt out in turn.

    The ``cores`` that render and decode are shared out, most to lprnet's renderers. An assignment
    ``NETWORK:key=value`` goes to that network alone, ``key=value`` to all. All share the cache ``out/cache``
    unless they are told otherwise. ``start_from`` is passed on.

    Raises UserError for a network that there is not, or an assignment to one that is not trained.
    """
    for name in networks:
        if name not in NETWORKS:
            raise UserError(f"{name}: no such network; there are {', '.join(NETWORKS)}")
    if not networks or not devices:
        raise UserError("give at least one network and one device")
    own: dict[str, list[str]] = {name: [] for name in networks}
    for assignment in assignments:
        name, colon, rest = assignment.partition(":")
        if not colon or "=" in name:
            for settings in own.values():
                settings.append(assignment)
        elif name in own:
            own[name].append(rest)
        else:
            raise UserError(f"--set {assignment}: {name} is not trained here")
    many = max(1, cores // 2 if "lprnet" in networks else 0)
    workers = {"lprnet": min(16, many), "tcnet": 4, "lpdnet": max(1, cores - many)}
    result = {}
    for number, name in enumerate(networks):
        # colornet has two rounds, each with a schedule.
        settings = [f"loop.minutes={minutes / 2 if name == 'colornet' else minutes}"]
        if name in workers:
            settings += [f"workers={min(workers[name], cores)}", f"cache={out / 'cache'}"]
        folders = ["--data", str(data), "--out", str(out / name)]
        device = devices[number % len(devices)]
        chosen = [part for setting in settings + own[name] for part in ("--set", setting)]
        start = ["--start-from", start_from] if start_from is not None else []
        result[name] = ["train", name, *folders, "--device", device, *start, *chosen]
    return result


class _EndedError(Exception):
    pass


def run(jobs: dict[str, list[str]], out: Path, stagger: float = 10.0, every: float = 15.0) -> list[str]:
    """Run ``plateloop`` with each of ``jobs``' arguments, one started ``stagger`` seconds after the other.

    Each writes ``out/NAME.log``; every ``every`` seconds their last lines are printed. Returns the names of
    those that failed. Whatever ends this function (an error, SIGINT, SIGTERM) ends them all.
    """
    out.mkdir(parents=True, exist_ok=True)
    running: dict[str, subprocess.Popen[bytes]] = {}

    def end(number: int, frame: FrameType | None) -> None:
        raise _EndedError(signal.Signals(number).name)

    before = signal.signal(signal.SIGTERM, end)
    told = time.monotonic()
    try:
        waiting = list(jobs)
        due = time.monotonic()
        while waiting or any(job.poll() is None for job in running.values()):
            if waiting and time.monotonic() >= due:
                name = waiting.pop(0)
                with (out / f"{name}.log").open("ab") as log:
                    running[name] = subprocess.Popen(
                        [sys.executable, "-c", _CHILD, *jobs[name]],
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        env=os.environ | {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "4")},
                    )
                due = time.monotonic() + stagger
            if time.monotonic() - told > every:
                told = time.monotonic()
                _tell(running, out)
            time.sleep(0.1)
        _tell(running, out)
    except _EndedError as error:
        raise UserError(f"ended by {error}; the same command goes on from the last checkpoints") from None
    finally:
        signal.signal(signal.SIGTERM, before)
        for job in running.values():
            if job.poll() is None:
                job.terminate()
        for job in running.values():
            try:
                job.wait(10)
            except subprocess.TimeoutExpired:
                job.kill()
                job.wait()
    return [name for name, job in running.items() if job.returncode]


def _tell(running: dict[str, subprocess.Popen[bytes]], out: Path) -> None:
    for name, job in running.items():
        state = "" if job.returncode is None else ("done: " if job.returncode == 0 else "FAILED: ")
        print(f"{name:9s} {state}{last_line(out / f'{name}.log')[:150]}", flush=True)


def last_line(log: Path) -> str:
    """The last line of ``log`` that is not blank; what it overwrote with carriage returns is left out."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 4096))
        lines = file.read().decode("utf-8", "replace").replace("\r", "\n").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
