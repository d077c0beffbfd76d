"""Two sets of networks compared: the statistics on made-up outcomes, and the command on drawn pictures."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from plateloop.cli.main import app
from plateloop.errors import UserError
from plateloop.testing.compare import difference, pair_up
from plateloop.testing.judge import Item


def item(file: str, right: bool, truth: str | None = "AB1") -> Item:
    return Item(
        dataset="gate",
        file=file,
        source="x",
        region="-",
        annotation="annotated",
        truth=truth,
        found="AB1" if right else "AB2",
        outcome="extra" if truth is None else "right" if right else "misread by one",
    )


def test_gain_and_its_chance_are_known_on_a_made_up_case() -> None:
    a = [item(str(n), n < 50) for n in range(100)]
    b = [item(str(n), n < 49 or 50 <= n < 58) for n in range(100)]
    found = difference("all", pair_up(a, b))
    assert (found.gained, found.lost, found.plates) == (8, 1, 100)
    # Of 9 coins 8 or more heads, or 8 or more tails: 2 * (9 + 1) / 2**9.
    assert found.p == pytest.approx(20 / 512)
    assert found.gain == pytest.approx(0.07) and 0 < found.low < 0.07 < found.high


def test_sets_that_do_not_differ_are_told_apart_by_nothing() -> None:
    same = [item(str(n), n % 2 == 0) for n in range(20)]
    found = difference("all", pair_up(same, same))
    assert (found.gain, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_plates_are_paired_by_picture_and_text_and_extra_readings_by_nothing() -> None:
    a = [item("1", True), item("1", False), item("2", True)]
    pairs = pair_up(a, [item("2", False), item("9", True, None), item("1", True), item("1", True)])
    assert [(p.a.outcome, p.b.outcome) for p in pairs] == [
        ("right", "right"),
        ("misread by one", "right"),
        ("right", "misread by one"),
    ]
    with pytest.raises(UserError, match="not tested on the same plates"):
        pair_up(a, a[:1])


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """Pictures of a car whose plate the toy networks read as 0; the truth of every third says 9."""
    folder = tmp_path / "gate"
    folder.mkdir()
    rgb = np.zeros((384, 640, 3), np.uint8)
    rgb[80:320, 20:220] = (0, 0, 255)
    rgb[200:240, 60:160] = (255, 0, 0)
    records = []
    for number in range(6):
        cv2.imwrite(str(folder / f"{number}.png"), rgb[..., ::-1])
        plate = {"box": [60, 200, 160, 240], "text": "9" if number % 3 == 0 else "0"}
        record = {"file": f"{number}.png", "width": 640, "height": 384, "split": "test", "plates": [plate]}
        records.append(json.dumps(record))
    (folder / "manifest.jsonl").write_text("\n".join(records) + "\n", encoding="utf-8")
    return folder


def test_the_command_says_whether_b_is_worse_and_fails_for_ci(
    gate: Path, toy_weights: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(toy_weights, tmp_path / "other")
    report = tmp_path / "report"
    arguments = ["test", "compare", str(toy_weights), str(other), str(gate), "--threads", "1"]
    result = CliRunner().invoke(app, [*arguments, "--report", str(report), "--fail-below", "-1"])
    assert result.exit_code == 0, result.output
    assert "A and B read the same 4 of 6 plates" in result.output
    data = json.loads((report / "compare.json").read_text(encoding="utf-8"))
    assert data["differences"][0]["right_a"] == 4 and 0.2 < data["speed"] < 5
    assert "B against A" in (report / "compare.html").read_text(encoding="utf-8")
    assert CliRunner().invoke(app, [*arguments, "--fail-below", "1"]).exit_code == 1
