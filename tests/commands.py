"""The command line in this process: what most tests of commands need, without the start of a new one."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from plateloop.cli.main import main

Call = Callable[..., CompletedProcess[str]]


@pytest.fixture
def plateloop(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """``plateloop("store", "list", path)`` runs that command: its exit code, and what it printed."""
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: str | Path) -> CompletedProcess[str]:
        words = [str(argument) for argument in arguments]
        monkeypatch.setattr(sys, "argv", ["plateloop", *words])
        root = logging.getLogger()
        handlers, level = root.handlers[:], root.level
        signals = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        capfd.readouterr()
        try:
            with pytest.raises(SystemExit) as end:
                main()
        finally:
            root.handlers[:], root.level = handlers, level
            for number, handler in signals.items():
                signal.signal(number, handler)
        return CompletedProcess(words, int(end.value.code or 0), *capfd.readouterr())

    return call
