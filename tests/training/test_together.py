"""Training several networks at a time: who gets what; and no process survives its parent."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from plateloop.data_preparation.manifest import Record, write_manifest
from plateloop.errors import UserError
from plateloop.training.together import commands, last_line, run


def test_devices_cores_and_settings_are_dealt_out(tmp_path: Path) -> None:
    wanted = ["loop.cuda_graph=true", "lprnet:loop.batch=512"]
    jobs = commands(
        ["tcnet", "lprnet", "lpdnet"], tmp_path, tmp_path, ["cuda:0", "cuda:1"], 8, 32, wanted, "package"
    )
    devices = [job[job.index("--device") + 1] for job in jobs.values()]
    assert devices == ["cuda:0", "cuda:1", "cuda:0"]
    assert all("loop.cuda_graph=true" in job and "loop.minutes=8" in job for job in jobs.values())
    assert "loop.batch=512" in jobs["lprnet"] and "loop.batch=512" not in jobs["tcnet"]
    assert "workers=16" in jobs["lprnet"] and "workers=16" in jobs["lpdnet"]
    assert jobs["tcnet"][:2] == ["train", "tcnet"] and "package" in jobs["tcnet"]
    # What a user sets comes last, and so wins.
    over = commands(["tcnet"], tmp_path, tmp_path, ["cpu"], 8, 4, ["tcnet:workers=1"])["tcnet"]
    assert over.index("workers=1") > over.index("workers=4")


def test_what_cannot_be_dealt_out_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="fcnet"):
        commands(["fcnet"], tmp_path, tmp_path, ["cpu"], 1, 2)
    with pytest.raises(UserError, match="lprnet is not trained here"):
        commands(["tcnet"], tmp_path, tmp_path, ["cpu"], 1, 2, ["lprnet:loop.batch=4"])


def test_logs_are_kept_and_failures_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = {"good": ["--help"], "bad": ["train", "tcnet", "--data", "nowhere", "--out", str(tmp_path / "o")]}
    assert run(jobs, tmp_path, stagger=0, every=1) == ["bad"]
    assert "nowhere" in last_line(tmp_path / "bad.log")
    told = capsys.readouterr().out
    assert "FAILED" in told and "done" in told


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_children_end_with_their_parent(tmp_path: Path, number: signal.Signals) -> None:
    write_manifest(tmp_path, [Record(file="1.jpg", width=9, height=9)])
    # A child that goes on for ever: it serves a page.
    program = (
        "import sys; from pathlib import Path; from plateloop.training.together import run;"
        "run({'page': ['label', sys.argv[1], '--port', '0', '--no-browser']}, Path(sys.argv[1]))"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stderr=subprocess.PIPE) as parent:
        deadline = time.monotonic() + 60
        while not (tmp_path / "labels.journal.jsonl").is_file() and time.monotonic() < deadline:
            time.sleep(0.1)
        listing = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text()
        children = [int(pid) for pid in listing.split()]
        assert len(children) == 1
        parent.send_signal(number)
    deadline = time.monotonic() + 20
    while _runs(children[0]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(children[0])


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
