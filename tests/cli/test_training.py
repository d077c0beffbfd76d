"""The training commands: the budget table, and errors that name what to change."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import Call


def test_networks_prints_every_budget(plateloop: Call) -> None:
    done = plateloop("networks")
    assert done.returncode == 0
    for network in ("tcnet", "lpdnet", "lprnet", "colornet"):
        assert network in done.stdout


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["train", "tcnet", "--data", "nowhere", "--out", "OUT"], "nowhere"),
        (["train", "lprnet", "--data", "nowhere", "--out", "OUT"], "nowhere"),
        (["train", "colornet", "--data", "nowhere", "--out", "OUT"], "nowhere"),
        (["train", "all", "--data", "nowhere", "--out", "OUT", "--minutes", "1"], "nowhere/frames"),
        (["train", "tcnet", "--data", "nowhere", "--out", "OUT", "--set", "loop.steps=["], "not YAML"),
        (["train", "lpdnet", "--data", "nowhere", "--out", "OUT", "--set", "loop.stepz=3"], "loop.stepz"),
        (["train", "tcnet", "--data", "nowhere", "--out", "OUT", "--device", "cuda:7"], "cuda:7"),
        (["train", "lprnet", "--data", "nowhere", "--out", "OUT", "--device", "gpu"], "device gpu: unknown"),
        (["evaluate", "tcnet", "--data", "nowhere", "--card", "no.yaml"], "n"),
        (["train", "tcnet", "--data", "nowhere", "--out", "OUT", "--start-from", "no.onnx"], "no.onnx"),
        (["tune", "tcnet", "--data", "nowhere", "--out", "OUT"], "nowhere/frames"),
        (["export", "lprnet", "TEXT", "--out", "OUT"], "not a checkpoint"),
        (["export", "tcnet", "TEXT", "--out", "OUT"], "not a checkpoint"),
        (["export", "tcnet", "none.pt", "--out", "OUT"], "none.pt"),
        (["export", "lprnet", "none.pt", "--out", "OUT"], "none.pt"),
    ],
)
def test_mistakes_are_named_in_one_line(
    plateloop: Call, tmp_path: Path, arguments: list[str], named: str
) -> None:
    (tmp_path / "text").write_text("hello")
    places = {"OUT": str(tmp_path / "out"), "TEXT": str(tmp_path / "text")}
    filled = [places.get(argument, argument) for argument in arguments]
    done = plateloop(*filled)
    assert done.returncode == 2
    assert named in done.stderr and len(done.stderr.splitlines()) == 1
    # Nothing is begun: no page of settings, no folder.
    assert done.stdout == ""
    assert not (tmp_path / "out").exists()


def test_without_torch_the_extra_is_named(plateloop: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def bare_app(**_: object) -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr("plateloop.cli.main.app", bare_app)
    done = plateloop("networks")
    assert done.returncode == 2
    assert done.stderr == "plateloop: torch is missing: pip install 'plateloop[train]'\n"
