"""The process under test: ``plateloop run`` as a user starts it, with the events that it tells."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from plateloop.types import Event


@dataclass(frozen=True, slots=True)
class Told:
    """An event that the process told, and the Unix time at which its line was here."""

    event: Event
    time: float


class Subject:
    """A running ``plateloop run``; ``told`` and ``warnings`` grow while it runs."""

    def __init__(self, arguments: Sequence[str], program: Sequence[str] = ("-m", "plateloop")) -> None:
        """``program`` is what Python starts; ``arguments`` follow ``run --json``."""
        self.told: list[Told] = []
        self.warnings: list[str] = []
        self.started = time.time()
        self.process = subprocess.Popen(
            [sys.executable, *program, "run", "--json", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self._threads = [threading.Thread(target=read, daemon=True) for read in (self._listen, self._log)]
        for thread in self._threads:
            thread.start()

    def kill(self) -> None:
        """End it with SIGKILL, and take in what it had told by then."""
        self.process.kill()
        self._gather()

    def stop(self, patience_s: float = 30.0) -> int:
        """End it with SIGTERM, by force after ``patience_s``; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self._gather()
        return self.process.returncode

    def _gather(self) -> None:
        self.process.wait()
        for thread in self._threads:
            thread.join()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                # What a killed process had half written was not told.
                if line.endswith("\n"):
                    self.told.append(Told(Event.model_validate_json(line), time.time()))

    def _log(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            for line in lines:
                self.warnings.append(line.rstrip().removeprefix("plateloop: "))


def write_page(path: Path, urls: Sequence[str], weights: Path | None, threads: int = 1) -> Path:
    """A page that runs ``urls`` as the sources ``gate 1``, ``gate 2``… without annotated videos."""
    page = {
        "sources": [{"url": url, "name": f"gate {number}"} for number, url in enumerate(urls, 1)],
        "networks": {"threads": threads, **({"weights": str(weights.absolute())} if weights else {})},
        "output": {"overlay": False},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(page, sort_keys=False), encoding="utf-8")
    return path
