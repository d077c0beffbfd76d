"""Cleaning: damaged pictures, and fix, quarantine, page and command on a folder with every kind of fault."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

from cleaning import record
from commands import Call
from plateloop.data_preparation.clean.examine import CleanConfig
from plateloop.data_preparation.clean.files import damage, look
from plateloop.data_preparation.clean.fix import fix, undo
from plateloop.data_preparation.clean.inspect import inspect
from plateloop.data_preparation.clean.page import write_page
from plateloop.data_preparation.manifest import NAME, Plate, Record, read_manifest, write_manifest
from plateloop.data_preparation.pictures import place
from plateloop.errors import UserError
from plateloop.header import parse
from plateloop.types import Image


def picture(seed: int, width: int = 90, height: int = 60) -> Image:
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (6, 9, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_a_picture_that_is_cut_off_is_told(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    cv2.imwrite(str(path), picture(1))
    whole = path.read_bytes()
    assert parse(whole).whole
    for share in (0.5, 0.9, 0.99):
        assert not parse(whole[: int(len(whole) * share)]).whole
    path.write_bytes(whole[: len(whole) // 2])
    looked = look(tmp_path, record(file=path.name))
    assert [finding.kind for finding in looked.findings] == ["truncated"] and looked.frame is None


def test_the_end_of_a_thumbnail_is_not_the_pictures() -> None:
    whole = cv2.imencode(".jpg", picture(1))[1].tobytes()
    inner = b"Exif\0\0" + whole
    outer = whole[:2] + b"\xff\xe1" + (len(inner) + 2).to_bytes(2, "big") + inner + whole[2:]
    assert parse(outer).whole
    assert not parse(outer[:-10]).whole


@pytest.mark.parametrize("progressive", [0, 1])
def test_a_jpeg_that_is_damaged_inside_is_told(tmp_path: Path, progressive: int) -> None:
    options = [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive]
    whole = cv2.imencode(".jpg", picture(1, 640, 480), options)[1].tobytes()
    assert damage(whole) is None
    code = whole.index(b"\xff\xda") + 14
    places = np.random.default_rng(2).integers(code, len(whole) - 512, 40).tolist()
    damaged = [whole[:place] + bytes(512) + whole[place + 512 :] for place in places]
    assert sum(damage(data) is not None for data in damaged) > 32
    (tmp_path / "a.jpg").write_bytes(damaged[0])
    looked = look(tmp_path, record(file="a.jpg", width=640, height=480))
    assert [finding.kind for finding in looked.findings] == ["damaged"]
    assert looked.frame is not None and looked.findings[0].reason.startswith("Corrupt JPEG data")


def test_other_pictures_are_not_called_damaged(tmp_path: Path) -> None:
    inks = PillowImage.fromarray(picture(1)).convert("CMYK")
    inks.save(tmp_path / "inks.jpg")
    assert damage((tmp_path / "inks.jpg").read_bytes()) is None
    # More after the picture's end, as phones put it there.
    assert damage(cv2.imencode(".jpg", picture(1))[1].tobytes() + bytes(999)) is None
    assert damage(cv2.imencode(".png", picture(1))[1].tobytes()) is None


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Twelve pictures, one for each kind of fault, with good ones between them."""
    folder = tmp_path / "source"
    folder.mkdir()

    def write(name: str, seed: int) -> None:
        cv2.imwrite(str(folder / name), picture(seed))

    for number in range(12):
        write(f"{number}.png", number)
    shutil.copy(folder / "0.png", folder / "1.png")
    shutil.copy(folder / "2.png", folder / "3.png")
    cv2.imwrite(str(folder / "5.jpg"), picture(4), [cv2.IMWRITE_JPEG_QUALITY, 60])
    (folder / "6.png").write_bytes((folder / "6.png").read_bytes()[:200])
    (folder / "7.png").write_text("no picture")
    (folder / "8.png").unlink()

    def at(name: str, text: str, split: str | None = "train", **more: object) -> Record:
        plate = Plate(box=(20, 30, 60, 42), text=text)
        fields = {"file": name, "width": 90, "height": 60, "plates": (plate,), "split": split, **more}
        return Record.model_validate(fields)

    records = [
        at("0.png", "A0"),
        at("1.png", "A0", "test"),
        at("2.png", "A2"),
        at("3.png", "A3"),
        at("4.png", "A4"),
        at("5.jpg", "A4", "val"),
        at("6.png", "A6"),
        at("7.png", "A7"),
        at("8.png", "A8"),
        at("9.png", "a 9"),
        at("10.png", "A10", width=80),
        at("11.png", "A11"),
    ]
    write_manifest(folder, records)
    with (folder / NAME).open("a") as out:
        out.write("{}\n")
    return folder


FOUND = {
    "malformed": 1,
    "missing": 1,
    "unreadable": 1,
    "truncated": 1,
    "size": 1,
    "duplicate": 1,
    "relabelled": 1,
    "leak": 1,
    "text-characters": 1,
}


def test_fix_quarantine_and_undo(dataset: Path, tmp_path: Path) -> None:
    found = inspect(dataset, CleanConfig())
    assert dict(found.counts) == FOUND
    assert {finding.file for _, worst in found.worst() for finding in worst} >= {"0.png", "3.png", "4.png"}
    copy, away = tmp_path / "copy", tmp_path / "away"
    done = fix(dataset, copy, found, away)
    assert (done.written, done.mended, done.left_out, done.quarantined) == (5, 1, 7, 6)
    assert [r.file for r in read_manifest(copy)] == ["1.png", "2.png", "5.jpg", "9.png", "11.png"]
    assert [r.file for r in read_manifest(away)] == ["0.png", "3.png", "4.png", "6.png", "7.png", "10.png"]
    assert [p.text for r in read_manifest(copy) for p in r.plates] == ["A0", "A2", "A4", "A9", "A11"]
    with pytest.raises(UserError, match="not empty"):
        fix(dataset, tmp_path / "again", found, away)
    # Broken off after the manifest was written: undone once more, nothing comes twice.
    spare = shutil.copytree(away, tmp_path / "spare")
    assert undo(away) == 6 and not away.exists()
    assert undo(spare) == 6
    order = [record.file for record in read_manifest(dataset, lambda *_: None) if record.file != "8.png"]
    assert [record.file for record in read_manifest(copy)] == order
    assert all((copy / file).read_bytes() == (dataset / file).read_bytes() for file in order)


def test_a_fix_that_is_broken_off_is_finished_by_the_next(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = inspect(dataset, CleanConfig())
    copy, away = tmp_path / "copy", tmp_path / "away"
    for number in (4, 9):
        calls = count()

        def interrupted(*arguments: Any, after: int = number, calls: Iterator[int] = calls) -> Path:
            if next(calls) == after:
                raise KeyboardInterrupt
            return place(*arguments)

        monkeypatch.setattr("plateloop.data_preparation.clean.fix.place", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fix(dataset, copy, found, away)
        assert not (copy / NAME).exists() and (away / "0.png").exists()
    monkeypatch.undo()
    with pytest.raises(UserError, match="another quarantine"):
        fix(dataset, copy, found)
    done = fix(dataset, copy, found, away)
    assert (done.written, done.quarantined) == (5, 6)
    assert fix(dataset, copy, found, away) == done
    undo(away)
    with pytest.raises(UserError, match="holds a dataset already"):
        fix(dataset, copy, found, away)


def test_fix_alone_leaves_out_only_what_nobody_can_use(dataset: Path, tmp_path: Path) -> None:
    fix(dataset, tmp_path / "copy", inspect(dataset, CleanConfig()))
    left = [record.file for record in read_manifest(tmp_path / "copy")]
    assert left == ["1.png", "2.png", "3.png", "4.png", "5.jpg", "9.png", "10.png", "11.png"]
    again = inspect(tmp_path / "copy", CleanConfig())
    assert dict(again.counts) == {"relabelled": 1, "leak": 1, "size": 1}


def test_any_kind_can_be_put_into_quarantine(dataset: Path, tmp_path: Path) -> None:
    found = inspect(dataset, CleanConfig(least_height=20))
    assert found.counts["plate-small"] == 12
    done = fix(dataset, tmp_path / "copy", found, tmp_path / "away", ["plate-small"])
    assert (done.written, done.quarantined) == (0, 11)


def test_near_duplicates_of_one_split_and_sequence(tmp_path: Path) -> None:
    records = []
    for number, (quality, sequence) in enumerate([(95, None), (50, None), (40, "s"), (30, "s")]):
        cv2.imwrite(str(tmp_path / f"{number}.jpg"), picture(3), [cv2.IMWRITE_JPEG_QUALITY, quality])
        records.append(record(file=f"{number}.jpg", width=90, height=60, sequence=sequence))
    write_manifest(tmp_path, records)
    found = inspect(tmp_path, CleanConfig())
    assert dict(found.counts) == {"near-duplicate": 3}
    told = [finding.file for _, worst in found.worst() for finding in worst]
    assert sorted(told) == ["1.jpg", "2.jpg", "3.jpg"]


def test_the_page_stands_alone(dataset: Path, tmp_path: Path) -> None:
    found = inspect(dataset, CleanConfig())
    write_page(tmp_path / "report/index.html", dataset, found)
    page = (tmp_path / "report/index.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") >= 6
    assert "http" not in page and "<script" not in page
    for kind in FOUND:
        assert f'id="{kind}"' in page


@pytest.fixture
def clean(plateloop: Call) -> Call:
    """``plateloop data clean`` in this process."""
    return partial(plateloop, "data", "clean")


def test_the_command(dataset: Path, tmp_path: Path, clean: Call) -> None:
    before = {path.name: path.read_bytes() for path in dataset.iterdir()}
    words = (dataset, "--no-networks", "--report", tmp_path / "report", "--fix", tmp_path / "copy")
    done = clean(*words, "--quarantine", tmp_path / "away", "--kind", "leak")
    assert done.returncode == 0, done.stderr
    assert "12 records, 9 findings" in done.stdout and "4 records put away" in done.stdout
    assert {path.name: path.read_bytes() for path in dataset.iterdir()} == before
    lines = (tmp_path / "report/findings.jsonl").read_text().splitlines()
    assert len(lines) == 9 and {json.loads(line)["kind"] for line in lines} == set(FOUND)
    assert "4 records put back" in clean("--undo", tmp_path / "away").stdout
    for wrong, said in (
        (("--undo", tmp_path / "away"), "no quarantine.json"),
        ((), "needs a folder"),
        ((dataset, "--quarantine", tmp_path / "q"), "needs --fix"),
        ((dataset, "--kind", "odd"), "unknown"),
        ((tmp_path / "nowhere", "--no-networks"), "no manifest.jsonl"),
        ((dataset, "--no-networks", "--fix", dataset / "inside"), "beside it"),
    ):
        failed = clean(*wrong)
        assert failed.returncode == 2 and said in failed.stderr, failed.stderr


@pytest.mark.parametrize("lines", ["", "no record\n"])
def test_nothing_to_clean_is_a_mistake(tmp_path: Path, lines: str, clean: Call) -> None:
    (tmp_path / "manifest.jsonl").write_text(lines, encoding="utf-8")
    done = clean(tmp_path, "--no-networks")
    assert done.returncode == 2
    assert done.stderr.startswith(f"plateloop: {tmp_path}: no record that can be read")
