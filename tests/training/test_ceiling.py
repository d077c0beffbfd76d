"""The ceiling through the real cascade: toy networks on drawn pictures whose mistakes are known."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from plateloop.cli.main import app
from plateloop.data_preparation.manifest import Plate, Record, Vehicle, write_manifest
from plateloop.errors import UserError
from plateloop.runtime.cascade import Cascade, CascadeConfig
from plateloop.training.ceiling import ceiling, select

CAR, PLATE = (20, 40, 150, 160), (60, 110, 120, 130)


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """Three pictures of a blue car whose plate the toy networks read as 3; each truth is its own."""
    folder = tmp_path / "drawn"
    folder.mkdir()
    rgb = np.zeros((192, 320, 3), np.uint8)
    rgb[CAR[1] : CAR[3], CAR[0] : CAR[2]] = (0, 0, 255)
    rgb[PLATE[1] : PLATE[3], PLATE[0] : PLATE[2]] = (255, 85, 0)
    cv2.imwrite(str(folder / "a.png"), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    # Green outside of the red: a plate that lpdnet cannot see but that lprnet would read as a 3.
    rgb[PLATE[1] : PLATE[3], PLATE[0] : PLATE[2]] = (0, 85, 0)
    cv2.imwrite(str(folder / "unseen.png"), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))

    def record(file: str, text: str, annotation: str) -> Record:
        plate = Plate(box=PLATE, text=text, annotation=annotation)
        car = Vehicle(box=CAR, label="car")
        return Record(file=file, width=320, height=192, split="test", vehicles=(car,), plates=(plate,))

    write_manifest(
        folder,
        [
            record("a.png", "3", "annotated"),
            record("a.png", "4", "agreed"),
            record("unseen.png", "3", "annotated"),
        ],
    )
    return folder


def test_each_perfect_stage_lifts_what_it_was_to_blame_for(drawn: Path, toy_weights: Path) -> None:
    cascade = Cascade.load(threads=1, weights=toy_weights, config=CascadeConfig(color=False))
    done: list[int] = []
    groups = ceiling(cascade, drawn, select(drawn, "test"), done.append)
    assert [(g.group, g.plates) for g in groups] == [("all", 3), ("agreed", 1), ("annotated", 2)]
    assert groups[0].right == {
        "as it is": 1,
        "perfect tcnet": 1,
        "perfect lpdnet": 2,
        "perfect lprnet": 2,
        "perfect tcnet and lprnet": 2,
    }
    assert sum(done) == 3


def test_a_perfect_tcnet_shows_the_plate_of_a_missed_vehicle(drawn: Path, toy_weights: Path) -> None:
    config = CascadeConfig(color=False, direct="never", vehicle_score=0.95)
    cascade = Cascade.load(threads=1, weights=toy_weights, config=config)
    right = ceiling(cascade, drawn, select(drawn, "test"))[0].right
    assert right["as it is"] == 0
    assert right["perfect tcnet"] == 1
    assert right["perfect lprnet"] == 0
    assert right["perfect tcnet and lprnet"] == 2


def test_command_writes_table_json_and_chart(drawn: Path, toy_weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["ceiling", str(drawn), "--weights", str(toy_weights), "--threads", "1", "--out", str(out)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "66.7%" in result.stdout
    assert json.loads((out / "ceiling.json").read_text())["drawn"][0]["plates"] == 3
    assert cv2.imread(str(out / "ceiling-drawn.png")) is not None


def test_a_dataset_without_placed_texts_is_refused(tmp_path: Path) -> None:
    write_manifest(tmp_path, [Record(file="a.png", width=9, height=9, split="test", texts=("AB12",))])
    with pytest.raises(UserError, match="the ceiling needs both"):
        select(tmp_path, "test")
