"""The training commands: the budget table, and errors that name what to change."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from plateloop.cli.main import main


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["plateloop", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_networks_prints_every_budget(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "networks") == 0
    table = capsys.readouterr().out
    for network in ("tcnet", "lpdnet", "lprnet", "colornet"):
        assert network in table


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
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: list[str],
    named: str,
) -> None:
    (tmp_path / "text").write_text("hello")
    places = {"OUT": str(tmp_path / "out"), "TEXT": str(tmp_path / "text")}
    filled = [places.get(argument, argument) for argument in arguments]
    assert call(monkeypatch, *filled) == 2
    said = capsys.readouterr()
    error = said.err.strip()
    assert named in error and len(error.splitlines()) == 1
    # Nothing is begun: no page of settings, no folder.
    assert said.out == ""
    assert not (tmp_path / "out").exists()


def test_without_torch_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def bare_app(**_: object) -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr("plateloop.cli.main.app", bare_app)
    assert call(monkeypatch, "networks") == 2
    assert capsys.readouterr().err == "plateloop: torch is missing: pip install 'plateloop[train]'\n"
