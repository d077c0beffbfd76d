"""The accuracy test through the real cascade: toy networks on drawn pictures, the shipped ones on photos."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from plateloop.cli.main import app
from plateloop.data_preparation.manifest import Plate, Record, Vehicle, read_manifest, write_manifest
from plateloop.errors import UserError
from plateloop.testing.accuracy import measure
from plateloop.testing.accuracy_report import failure_sheet, write
from plateloop.testing.accuracy_scores import AccuracyReport

# In one half of the picture: the toy tcnet sees a car in each half.
CAR, PLATE = (20, 40, 150, 160), (60, 110, 120, 130)


def picture(folder: Path, name: str, digit: int | None, car: bool = True) -> None:
    """Draw what the toy networks see as a car with a plate that reads ``digit`` (None: no plate)."""
    rgb = np.zeros((192, 320, 3), np.uint8)
    if car:
        rgb[CAR[1] : CAR[3], CAR[0] : CAR[2]] = (0, 0, 255)
    if digit is not None:
        rgb[PLATE[1] : PLATE[3], PLATE[0] : PLATE[2]] = (255, round(255 * digit / 9), 0)
    cv2.imwrite(str(folder / name), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))


def record(name: str, text: str, split: str = "test") -> Record:
    return Record(
        file=name,
        width=320,
        height=192,
        source="drawn",
        split=split,
        vehicles=(Vehicle(box=CAR, label="car"),),
        plates=(Plate(box=PLATE, text=text, annotation="annotated"),),
    )


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """Five pictures: two read right, one wrong, one without a plate, one with neither plate nor car."""
    folder = tmp_path / "drawn"
    folder.mkdir()
    picture(folder, "right.png", 3)
    picture(folder, "also-right.png", 8)
    picture(folder, "wrong.png", 5)
    picture(folder, "no-plate.png", None)
    picture(folder, "nothing.png", None, car=False)
    picture(folder, "other-split.png", 1)
    write_manifest(
        folder,
        [
            record("right.png", "3"),
            record("also-right.png", "8"),
            record("wrong.png", "6"),
            record("no-plate.png", "4"),
            record("nothing.png", "4"),
            record("other-split.png", "1", "val"),
        ],
    )
    return folder


def test_every_plate_gets_its_outcome(drawn: Path, toy_weights: Path) -> None:
    result = measure([drawn], "test", weights=toy_weights, threads=1)
    assert {item.file: item.outcome for item in result.items} == {
        "right.png": "right",
        "also-right.png": "right",
        "wrong.png": "misread by one",
        "no-plate.png": "plate not found",
        "nothing.png": "vehicle not found",
    }
    (total,) = result.scores["dataset"]
    assert (total.group, total.plates, total.right, total.share) == ("drawn", 5, 2, 0.4)
    assert set(result.weights) == {"tcnet", "lpdnet", "lprnet"}
    assert result.split == "test"
    assert measure([drawn], None, weights=toy_weights, threads=1).pictures == 6


def test_the_report_is_one_page_and_valid_json(drawn: Path, toy_weights: Path, tmp_path: Path) -> None:
    result = measure([drawn], "test", weights=toy_weights, threads=1)
    out = tmp_path / "report"
    write(result, out, [drawn])
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "data:image/jpeg;base64," in page
    assert "src=" not in page.replace('src="data:', "")
    assert "plate not found" in page
    assert all(sha in page for sha in result.weights.values())
    assert AccuracyReport.model_validate_json((out / "report.json").read_text(encoding="utf-8")) == result
    sheet = cv2.imread(str(out / "failures.png"))
    assert sheet is not None
    assert sheet.shape[0] > 100


def test_no_failures_make_no_sheet(drawn: Path, toy_weights: Path) -> None:
    items = measure([drawn], "test", weights=toy_weights, threads=1).items
    assert failure_sheet([item for item in items if item.outcome == "right"], {"drawn": drawn}) is None


def test_a_split_that_is_not_there_names_those_that_are(drawn: Path) -> None:
    with pytest.raises(UserError, match=r"split train; there are: test, val"):
        measure([drawn], "train")


def test_two_folders_of_one_name_are_refused(drawn: Path) -> None:
    with pytest.raises(UserError, match="drawn: two folders"):
        measure([drawn, drawn / ".." / "drawn"], "test")


def test_a_missing_picture_is_named(drawn: Path, toy_weights: Path) -> None:
    (drawn / "wrong.png").unlink()
    with pytest.raises(UserError, match=r"wrong\.png"):
        measure([drawn], "test", weights=toy_weights, threads=1)


def test_command_prints_json_or_tables(drawn: Path, toy_weights: Path, tmp_path: Path) -> None:
    arguments = ["test", "accuracy", str(drawn), "--weights", str(toy_weights), "--threads", "1"]
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["failures"]["drawn"]["right"] == 2
    result = CliRunner().invoke(app, [*arguments, "--report", str(tmp_path / "out")])
    assert "40.0%" in result.stdout
    assert (tmp_path / "out" / "report.html").is_file()


def test_shipped_networks_read_photographs(package_weights: Path, collection: Path, tmp_path: Path) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    (frames / "frames").symlink_to(collection / "frames" / "frames")
    records = [r for r in read_manifest(collection / "frames") if r.split == "val"]
    write_manifest(frames, [r for r in records if any(p.text for p in r.plates)])
    result = measure([frames], "val", weights=package_weights, threads=1)
    by_who = {score.group: score for score in result.scores["annotation"] if score.plates}
    agreed, annotated = by_who["frames: agreed"], by_who["frames: annotated"]
    assert (agreed.plates, annotated.plates) == (51, 57)
    assert agreed.share >= 0.9
    assert annotated.share >= 0.65
    assert sum(item.outcome == "extra" for item in result.items) <= 3
    assert result.ece is not None
    assert result.ece < 0.1
