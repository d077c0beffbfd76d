"""The ``data`` commands as a user calls them: exit codes, what is printed where, the source untouched."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from commands import Call
from plateloop.data_preparation.manifest import Plate, Record, Vehicle, read_manifest, write_manifest


@pytest.fixture
def data(plateloop: Call) -> Call:
    """``plateloop data`` in this process."""
    return partial(plateloop, "data")


def digest(folder: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        found.update(f"{path.relative_to(folder)} {path.stat().st_mtime_ns}".encode())
        found.update(path.read_bytes() if path.is_file() else b"")
    return found.hexdigest()


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "photos").mkdir(parents=True)
    rng = np.random.default_rng(1)
    records = []
    for index in range(8):
        file = f"photos/{index}.png"
        cv2.imwrite(str(folder / file), rng.integers(0, 255, (60, 90, 3), np.uint8))
        records.append(
            Record(
                file=file,
                width=90,
                height=60,
                source="here",
                region="FR" if index % 2 else "DE",
                vehicles=(Vehicle(box=(2, 3, 80, 50), label="Car"),),
                plates=(Plate(box=(20, 30, 60, 42), text=f"AB{index}CD", vehicle=0),),
            )
        )
    write_manifest(folder, records)
    return folder


def test_convert_there_and_back(dataset: Path, tmp_path: Path, data: Call) -> None:
    before = digest(dataset)
    done = data(
        "convert", dataset, tmp_path / "cvat", "--from", "manifest", "--to", "cvat", "--label", "Car=car"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "8 pictures written, 0 files skipped" in done.stdout
    done = data("import", tmp_path / "cvat", tmp_path / "back")
    assert done.returncode == 0, done.stderr
    assert digest(dataset) == before
    first, *_ = read_manifest(tmp_path / "back")
    assert first.file == "images/photos/0.png"
    assert (first.vehicles[0].label, first.plates[0].text) == ("car", "AB0CD")


def test_convert_tells_of_malformed_files_and_goes_on(dataset: Path, tmp_path: Path, data: Call) -> None:
    kitti = tmp_path / "kitti"
    assert data("convert", dataset, kitti, "--from", "manifest", "--to", "kitti").returncode == 0
    (kitti / "labels/photos_3.txt").write_text("Car what\n")
    words = ("convert", kitti, tmp_path / "out", "--from", "kitti", "--to", "manifest")
    done = data(*words)
    assert done.returncode == 2
    skipped, summary = done.stderr.splitlines()
    assert skipped == "skipped labels/photos_3.txt: line 1: 2 columns, not 15"
    assert "1 files were skipped, the others written" in summary
    assert len(list(read_manifest(tmp_path / "out"))) == 7
    done = data(*words, "--lenient")
    assert (done.returncode, done.stderr) == (0, f"{skipped}\n")


def test_every_command_writes_the_rest_and_says_that_it_is_not_all(
    dataset: Path, tmp_path: Path, data: Call
) -> None:
    (dataset / "photos/3.png").unlink()
    for number, words in enumerate(
        (
            ("crop",),
            ("resize", "--longest", "45"),
            ("slice", "--where", "source=here"),
            ("split",),
            ("balance", "--split", "all"),
            ("merge",),
        )
    ):
        out = tmp_path / str(number)
        done = data(words[0], dataset, out, *words[1:])
        assert done.returncode == 2, words
        told = done.stderr.splitlines()
        assert [line.split(":")[0].split()[0] for line in told] == ["skipped", "plateloop"], words
        assert "photos/3.png: no picture there" in told[0]
        assert len(list(read_manifest(out))) == 7


def test_mistakes_exit_with_2_and_one_line(dataset: Path, tmp_path: Path, data: Call) -> None:
    for words in (
        ("convert", dataset, tmp_path / "x", "--from", "manifest", "--to", "tfrecord"),
        ("convert", dataset, dataset / "x", "--from", "manifest", "--to", "voc"),
        ("convert", tmp_path / "none", tmp_path / "x", "--from", "voc", "--to", "yolo"),
        ("convert", dataset, tmp_path / "x", "--from", "voc", "--to", "yolo"),
        ("convert", dataset, tmp_path / "x", "--from", "manifest", "--to", "yolo", "--label", "Car"),
        ("import", tmp_path / "none", tmp_path / "x"),
    ):
        done = data(*words)
        assert done.returncode == 2
        assert done.stderr.startswith("plateloop: ")
        assert done.stderr.count("\n") == 1


def test_import_of_plain_photographs(dataset: Path, tmp_path: Path, data: Call) -> None:
    done = data("import", dataset / "photos", tmp_path / "out", "--link")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (tmp_path / "out/manifest.jsonl").read_text().splitlines()]
    assert len(rows) == 8
    assert rows[0]["plates_annotated"] is False
    assert (tmp_path / "out/0.png").samefile(dataset / "photos/0.png")


def test_import_says_where_pictures_are_from_unless_they_do(
    dataset: Path, tmp_path: Path, data: Call
) -> None:
    words = ("--region", "GB", "--source", "gate", "--license", "own")
    assert data("import", dataset / "photos", tmp_path / "out", *words).returncode == 0
    found = {(r.region, r.source, r.license) for r in read_manifest(tmp_path / "out")}
    assert found == {("GB", "gate", "own")}
    assert data("import", dataset, tmp_path / "again", *words).returncode == 0
    found = {(r.region, r.source, r.license) for r in read_manifest(tmp_path / "again")}
    assert found == {("DE", "here", "own"), ("FR", "here", "own")}


def test_split_check_slice_merge_crop_resize_stats(dataset: Path, tmp_path: Path, data: Call) -> None:
    before = digest(dataset)
    out = {name: tmp_path / name for name in ("split", "folds", "slice", "merge", "crop", "cars", "small")}
    calls = (
        ("split", dataset, out["split"], "--val", "0.25", "--test", "0.25", "--seed", "3", "--link"),
        ("split", dataset, out["folds"], "--folds", "3", "--test", "0.2"),
        ("slice", dataset, out["slice"], "--where", "region=FR", "--where", "min_plate_height=10"),
        ("merge", dataset, out["slice"], out["merge"], "--label", "Car=car"),
        ("crop", dataset, out["crop"]),
        ("crop", dataset, out["cars"], "--vehicles"),
        ("resize", dataset, out["small"], "--longest", "45"),
    )
    for words in calls:
        done = data(*words)
        assert done.returncode == 0, done.stderr
    assert digest(dataset) == before
    assert {record.split for record in read_manifest(out["split"])} <= {"train", "val", "test"}
    assert (out["folds"] / "fold-3/manifest.jsonl").is_file()
    assert len(list(read_manifest(out["slice"]))) == 4
    assert {record.vehicles[0].label for record in read_manifest(out["merge"])} == {"car"}
    assert {record.height for record in read_manifest(out["small"])} == {30}
    done = data("split", out["split"], "--check")
    assert (done.returncode, done.stdout) == (0, f"{out['split']}: 0 leaks in 8 pictures\n")
    found = json.loads(data("stats", out["crop"], "--json").stdout)
    assert (found["records"], found["plates"]["with text"]) == (8, 8)
    assert "8 records" in data("stats", dataset).stdout
    for words in (
        ("split", dataset),
        ("split", dataset, tmp_path / "x", "--val", "0.6", "--test", "0.6"),
        ("slice", dataset, tmp_path / "x", "--where", "colour=red"),
        ("slice", dataset, tmp_path / "x", "--where", "region=XX"),
        ("merge", dataset),
        ("stats", tmp_path),
    ):
        done = data(*words)
        assert done.returncode == 2, done.stdout
        assert done.stderr.startswith("plateloop: ")


def test_a_check_that_could_not_see_all_is_no_success(dataset: Path, tmp_path: Path, data: Call) -> None:
    cut = cv2.imencode(".jpg", np.random.default_rng(1).integers(0, 255, (60, 90, 3), np.uint8))[1]
    (dataset / "photos/3.png").write_bytes(cut.tobytes()[:-900])
    with (dataset / "manifest.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"file": 3\n')
    done = data("split", dataset, "--check")
    assert done.returncode == 2
    told = done.stderr.splitlines()
    assert [line.split(":")[0] for line in told] == [
        "skipped manifest.jsonl",
        "skipped photos/3.png",
        "plateloop",
    ]
    assert "2 files were not compared" in told[-1]
    done = data("split", dataset, tmp_path / "out")
    assert done.returncode == 2
    assert "photos/3.png: damaged or no picture; placed by its texts and sequence alone\n" in done.stderr


def test_an_empty_manifest_is_no_success(tmp_path: Path, data: Call) -> None:
    (tmp_path / "manifest.jsonl").touch()
    for words in (("stats",), ("split", "--check"), ("clean", "--no-networks")):
        done = data(words[0], tmp_path, *words[1:])
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1 and done.stderr.startswith(f"plateloop: {tmp_path}: no record")


def test_the_labeler_does_not_start_on_nothing(tmp_path: Path) -> None:
    (tmp_path / "manifest.jsonl").write_text('{"file": 3\n', encoding="utf-8")
    words = [sys.executable, "-m", "plateloop", "label", str(tmp_path), "--port", "0", "--no-browser"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2 and "no picture to label" in done.stderr
