"""Steps killed in their middle go on: the same bytes as undisturbed, and nothing kept is made again."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import cv2
import numpy as np
import pytest

from plateloop.data_preparation import augment, crop, kinship
from plateloop.data_preparation.clean import examine
from plateloop.data_preparation.clean.fix import fix
from plateloop.data_preparation.clean.inspect import inspect
from plateloop.data_preparation.manifest import Plate, Record, read_manifest, write_manifest
from plateloop.data_preparation.split import split
from plateloop.errors import UserError

TOTAL, KILLED = 70, 45


def run(step: str, source: Path, target: Path, tick: Callable[[], None] = lambda: None) -> None:
    if step == "crop":
        crop.crop_plates(source, target, tick=tick)
    elif step == "resize":
        crop.resize(source, target, 40, tick=tick)
    elif step == "augment":
        augment.augment(source, target, tick=tick)
    elif step == "split":
        split(source, target, tick=tick)
    else:
        target.mkdir(exist_ok=True)
        with (target / "findings.jsonl").open("w") as out:
            found = inspect(source, examine.CleanConfig(), None, out, tick, journal=target / "examined.jsonl")
        fix(source, target / "copy", found, target / "away")


# What does the work on one picture, and how many pictures a line of the journal tells of.
WORK = {
    "crop": (crop, "_read", 1),
    "resize": (crop, "_read", 1),
    "augment": (augment, "vary", 1),
    "split": (kinship, "hash_file", 1),
    "clean": (examine, "look", 8),
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noisy pictures with a plate each: two are damaged, two are the same; and a line that is no record."""
    folder = tmp_path_factory.mktemp("source")
    rng = np.random.default_rng(1)
    records = []
    for number in range(TOTAL):
        name = f"{number:03}.png"
        cv2.imwrite(str(folder / name), rng.integers(0, 255, (60, 90, 3), np.uint8))
        plate = Plate(box=(20, 30, 60, 42), text=f"AB{number}")
        records.append(Record(file=name, width=90, height=60, plates=(plate,), split="train"))
    for damaged in ("004.png", "060.png"):
        (folder / damaged).write_bytes(b"no picture")
    (folder / "050.png").write_bytes((folder / "002.png").read_bytes())
    write_manifest(folder, records)
    with (folder / "manifest.jsonl").open("a") as out:
        out.write("{}\n")
    return folder


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("step", WORK)
def test_killed_it_goes_on(step: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "out"
    before = contents(source)
    killed = subprocess.run([sys.executable, __file__, step, source, target], timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not list(target.rglob("manifest.jsonl"))
    journal = target / ("examined.jsonl" if step == "clean" else ".unfinished.jsonl")
    module, name, pictures = WORK[step]
    kept = (journal.read_bytes().count(b"\n") - 1) * pictures
    assert TOTAL // 2 <= kept < TOTAL
    with journal.open("ab") as out:
        # Killed while it wrote a line.
        out.write(b'[[{"file":"0')
    work, calls = getattr(module, name), count()

    def counted(*arguments: object) -> object:
        next(calls)
        return work(*arguments)

    monkeypatch.setattr(module, name, counted)
    run(step, source, target)
    # Damaged pictures are not varied.
    assert TOTAL - kept - (step == "augment") == next(calls)
    went_on = contents(target)
    times = {path: path.stat().st_mtime_ns for path in went_on if path.name != "findings.jsonl"}
    run(step, source, target)
    if step != "split":
        assert times == {path: path.stat().st_mtime_ns for path in times}
    assert contents(target) == went_on
    target.rename(tmp_path / "gone on")
    run(step, source, target)
    assert contents(target) == went_on
    assert contents(source) == before


def test_other_settings_or_data_are_refused(source: Path, tmp_path: Path) -> None:
    first = crop.crop_plates(source, tmp_path / "out")
    assert first == crop.crop_plates(source, tmp_path / "out")
    assert first.skipped.keys() == {"004.png", "060.png", "manifest.jsonl:71"}
    with pytest.raises(UserError, match="another margin; choose a new folder"):
        crop.crop_plates(source, tmp_path / "out", margin=0.1)
    with pytest.raises(UserError, match="another step, "):
        crop.resize(source, tmp_path / "out", 40)
    other = tmp_path / "other"
    write_manifest(other, read_manifest(source, lambda *_: None))
    with pytest.raises(UserError, match="another data"):
        crop.crop_plates(other, tmp_path / "out")
    with pytest.raises(UserError, match="holds a dataset already"):
        crop.crop_plates(source, other)
    (tmp_path / "busy").mkdir()
    with (tmp_path / "busy/.unfinished.jsonl").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another process"):
            crop.crop_plates(source, tmp_path / "busy")


if __name__ == "__main__":
    ticks = count(1)

    def tick() -> None:
        if next(ticks) == KILLED:
            os.kill(os.getpid(), signal.SIGKILL)

    run(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), tick)
