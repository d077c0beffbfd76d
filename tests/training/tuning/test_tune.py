"""A search of two trials on flat colours: it resumes, writes what train takes, and names what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from plateloop.errors import UserError
from plateloop.training.color.train import ColorConfig
from plateloop.training.detection.config import default
from plateloop.training.reading.train import ReaderConfig
from plateloop.training.settings import settle
from plateloop.training.tuning.tune import Range, Search, load_space, tune

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
def test_a_study_goes_on_and_its_best_configuration_can_be_trained(painted: Path, tmp_path: Path) -> None:
    space = load_space("colornet", None)
    quick = ["street=0", "loop.batch=4", "loop.steps=2", "loop.evaluate_every=1"]
    search = Search("colornet", painted, tmp_path / "study", ["cpu"], 1.0, space, quick)
    assert len(tune(search, 1, 1).trials) == 1
    study = tune(search, 2, 1)
    assert len(study.trials) == 2 and 0 <= study.best_value <= 1
    best = settle(ColorConfig(), tmp_path / "study" / "best.yaml")
    assert best.mixup == pytest.approx(study.best_params["mixup"])
    assert (tmp_path / "study" / "report.png").stat().st_size > 5000
    assert len((tmp_path / "study" / "trials.csv").read_text().splitlines()) == 3
    search.assignments = [*quick, "nonsense=1"]
    assert tune(search, 3, 1).trials[-1].state.name == "FAIL"
