"""Configurations: what may override what, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from plateloop.errors import UserError
from plateloop.training.detection.config import TCNET, DetectorTraining
from plateloop.training.settings import as_yaml, settle


def test_assignments_win_over_the_file_and_the_file_over_defaults(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("loop: {batch: 7, seed: 3}\nframes: {zoom: [0.5, 1.0]}\n", encoding="utf-8")
    config = settle(TCNET, file, ["loop.batch=9", "loss.kind=quality"])
    assert (config.loop.batch, config.loop.seed, config.loss.kind) == (9, 3, "quality")
    assert config.frames.zoom == (0.5, 1.0)
    assert config.network == TCNET.network


def test_what_is_saved_gives_the_same_again() -> None:
    assert DetectorTraining.model_validate(yaml.safe_load(as_yaml(TCNET))) == TCNET


@pytest.mark.parametrize(
    ("assignment", "message"),
    [("loop.batch", "key=value"), ("loop.bach=3", r"loop\.bach"), ("limit=many", "limit")],
)
def test_wrong_assignments_are_named(assignment: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        settle(TCNET, None, [assignment])


def test_wrong_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such"):
        settle(TCNET, tmp_path / "none.yaml")
    file = tmp_path / "list.yaml"
    file.write_text("- 1\n", encoding="utf-8")
    with pytest.raises(UserError, match="mapping"):
        settle(TCNET, file)
