"""A search of two trials on flat colours: it resumes, writes what train takes, and names what is wrong."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from pydantic import BaseModel

from plateloop.data_preparation.manifest import Record, Vehicle, write_manifest
from plateloop.errors import UserError
from plateloop.training.detector_config import default
from plateloop.training.settings import settle
from plateloop.training.train_color import ColorConfig
from plateloop.training.train_reader import ReaderConfig
from plateloop.training.tune import Range, Search, load_space, tune

PAINT = {"black": (20, 20, 20), "white": (235, 235, 235), "red": (200, 20, 20), "blue": (20, 20, 200)}
CONFIGS: dict[str, BaseModel] = {
    "tcnet": default("tcnet"),
    "lpdnet": default("lpdnet"),
    "lprnet": ReaderConfig(),
    "colornet": ColorConfig(),
}


@pytest.mark.parametrize("network", CONFIGS)
def test_every_key_of_the_packaged_spaces_can_be_set(network: str) -> None:
    for key, law in load_space(network, None).items():
        for value in (law.low, law.high) if isinstance(law, Range) else law:
            settle(CONFIGS[network], None, [f"{key}={value}"])


def test_a_wrong_space_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.yaml: no such"):
        load_space("tcnet", tmp_path / "none.yaml")
    (tmp_path / "space.yaml").write_text("dropout: {lowest: 1}")
    with pytest.raises(UserError, match=r"space\.yaml: not a search space"):
        load_space("tcnet", tmp_path / "space.yaml")


@pytest.mark.filterwarnings("ignore::Warning:optuna")
def test_a_study_goes_on_and_its_best_configuration_can_be_trained(tmp_path: Path) -> None:
    records = []
    for folder in ("colors", "frames"):
        (tmp_path / folder).mkdir()
    for number in range(16):
        color, paint = list(PAINT.items())[number % 4]
        picture = np.full((64, 64, 3), paint[::-1], np.uint8)
        for folder in ("colors", "frames"):
            cv2.imwrite(str(tmp_path / folder / f"{number}.png"), picture)
        car = Vehicle(box=(0, 0, 64, 64), label="car", color=color)
        split = "train" if number < 8 else "val"
        records.append(Record(file=f"{number}.png", width=64, height=64, split=split, vehicles=(car,)))
    for folder in ("colors", "frames"):
        write_manifest(tmp_path / folder, records)
    space = load_space("colornet", None)
    quick = ["street=0", "loop.batch=4", "loop.steps=2", "loop.evaluate_every=1"]
    search = Search("colornet", tmp_path, tmp_path / "study", ["cpu"], 1.0, space, quick)
    assert len(tune(search, 1, 1).trials) == 1
    study = tune(search, 2, 1)
    assert len(study.trials) == 2 and 0 <= study.best_value <= 1
    best = settle(ColorConfig(), tmp_path / "study" / "best.yaml")
    assert best.mixup == pytest.approx(study.best_params["mixup"])
    assert (tmp_path / "study" / "report.png").stat().st_size > 5000
    assert len((tmp_path / "study" / "trials.csv").read_text().splitlines()) == 3
    search.assignments = [*quick, "nonsense=1"]
    assert tune(search, 3, 1).trials[-1].state.name == "FAIL"
