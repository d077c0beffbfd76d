"""Synthetic datasets on disk, by the command line."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from plateloop.cli.main import app
from plateloop.data_preparation.manifest import read_manifest
from plateloop.data_preparation.synthetic.dataset import synthesize
from plateloop.errors import UserError


def test_the_command_writes_a_manifest_dataset(tmp_path: Path) -> None:
    folder = tmp_path / "synth"
    result = CliRunner().invoke(app, ["data", "synth", str(folder), "--count", "24", "--seed", "7"])
    assert result.exit_code == 0 and "24 plates" in result.output
    records = list(read_manifest(folder))
    assert len(records) == 24
    for record in records:
        image = cv2.imread(str(folder / record.file))
        assert image is not None and image.shape[:2] == (record.height, record.width)
        plate = record.plates[0]
        assert plate.text and plate.corners and plate.annotation == "synthetic"
        assert plate.region == record.region
        assert np.allclose(plate.box[:2], np.min(plate.corners, 0), atol=0.02)


def test_pictures_do_not_depend_on_workers(tmp_path: Path) -> None:
    for name, workers in (("one", 1), ("two", 2)):
        assert list(synthesize(tmp_path / name, 60, 5, style="nl", workers=workers))[-1] == 60
    first, second = (list(read_manifest(tmp_path / n)) for n in ("one", "two"))
    assert first == second
    for record in first[::50]:
        assert (tmp_path / "one" / record.file).read_bytes() == (tmp_path / "two" / record.file).read_bytes()


def test_broken_off_it_goes_on_and_finished_it_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "plates"
    assert next(synthesize(folder, 120, 5, style="nl", workers=1)) == 50
    assert not (folder / "manifest.jsonl").exists()
    done = folder / "plates/0000/0000003.webp"
    before = done.stat().st_mtime_ns
    assert list(synthesize(folder, 120, 5, style="nl", workers=1)) == [50, 100, 120]
    assert done.stat().st_mtime_ns == before
    assert len(list(read_manifest(folder))) == 120
    assert {path.name for path in (folder / "plates").iterdir()} == {"0000"}
    files = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert list(synthesize(folder, 120, 5, style="nl", workers=1)) == [120]
    assert files == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no style 'atlantis'"):
        list(synthesize(tmp_path, 1, 0, style="atlantis"))
    list(synthesize(tmp_path / "a", 1, 0))
    with pytest.raises(UserError, match="another seed"):
        list(synthesize(tmp_path / "a", 1, 1))
    (tmp_path / "a/made.json").unlink()
    with pytest.raises(UserError, match="already"):
        list(synthesize(tmp_path / "a", 1, 0))
