"""Two periods of made-up events: what was changed is found, what was not is not."""

import json
from contextlib import closing
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from plateloop.cli.main import app
from plateloop.deployment.lines import as_line, simulate
from plateloop.deployment.store import Store, Stored
from plateloop.errors import UserError
from plateloop.testing.drift import drift, period, stability
from plateloop.types import Event, EventPlate, EventVehicle

DAY = 86400.0


def passages(count: int, seed: int, start: float = 0.0, worse: bool = False) -> list[Stored]:
    """Vehicles of two gates; ``worse``: at gate b the readings are less sure and the plates smaller."""
    rng = np.random.default_rng(seed)
    items = []
    for number in range(count):
        bad = worse and number % 2 == 1
        height = rng.normal(14 if bad else 24, 3)
        event = Event(
            id=f"{seed}-{number}",
            phase="end",
            source="ab"[number % 2],
            track=number,
            text="AB12" if rng.random() < (0.7 if bad else 0.95) else None,
            confidence=float(rng.beta(6, 3) if bad else rng.beta(12, 1)),
            first_s=0,
            last_s=1,
            frames=25,
            readings=int(rng.poisson(8)),
            vehicle=EventVehicle(
                label="car", color=str(rng.choice(["white", "red", "blue"])), box=(0, 0, 9, 9), confidence=0.9
            ),
            plate=EventPlate(box=(0, 0, 60, height), corners=((0, 0),) * 4, confidence=0.9),
        )
        items.append(Stored(number + 1, number // 2 + 1, 0, start + DAY * number / count, number, event))
    return items


def test_no_drift_is_seen_where_there_is_none() -> None:
    drifted = [s for seed in range(5) for s in drift(passages(300, seed), passages(300, 100 + seed))]
    assert sum(shift.drifted for shift in drifted) == 0 and len(drifted) == 5 * 3 * 7


def test_what_changed_is_named_with_its_source() -> None:
    found = {
        (s.source, s.measure) for s in drift(passages(600, 1), passages(600, 2, worse=True)) if s.drifted
    }
    assert {("b", "confidence"), ("b", "plate height"), ("b", "read")} <= found
    assert not {key for key in found if key[0] == "a" or key[1] in ("color", "label", "hour of day")}


def test_stability_index_of_a_known_case() -> None:
    assert stability([50, 50], [50, 50]) == 0
    expected = 2 * 0.3 * np.log(0.8 / 0.5) * 0 + (0.8 - 0.5) * np.log(0.8 / 0.5) + (0.2 - 0.5) * np.log(0.4)
    assert stability([5e6, 5e6], [8e6, 2e6]) == pytest.approx(expected, rel=1e-4)


def test_periods_are_read_and_mistakes_named() -> None:
    assert period("1970-01-02..1970-01-03T12:00") == (DAY, 2.5 * DAY)
    assert period("..1970-01-02") == (-np.inf, DAY)
    assert period("events.jsonl") is None
    with pytest.raises(UserError, match="not a date"):
        period("2026-13-40..")
    with pytest.raises(UserError, match="too few events"):
        drift(passages(10, 1), passages(10, 2))


def test_two_periods_of_a_store_and_a_file_as_reference(tmp_path: Path) -> None:
    first, second = passages(300, 1), passages(300, 2, start=DAY, worse=True)
    place, lines = tmp_path / "plateloop.db", tmp_path / "before.jsonl"
    with closing(Store.open(place)) as store:
        store.load(first)
        store.load([Stored(i.row, i.sequence + 150, 0, i.time, i.frame, i.event) for i in second])
    lines.write_text("".join(as_line(item) + "\n" for item in first), encoding="utf-8")
    report = tmp_path / "report"
    arguments = ["test", "drift", str(place), "--reference", "..1970-01-02"]
    result = CliRunner().invoke(app, [*arguments, "--current", "1970-01-02..", "--report", str(report)])
    assert result.exit_code == 1 and "b: confidence fell: median 0.9" in result.output
    assert "drifted" in json.loads((report / "drift.json").read_text(encoding="utf-8"))[0]
    assert "data:image/png" in (report / "drift.html").read_text(encoding="utf-8")
    same = ["test", "drift", str(place), "--reference", str(lines), "--current", "1970-01-01..1970-01-02"]
    result = CliRunner().invoke(app, same)
    assert result.exit_code == 0 and "Nothing drifted" in result.output
    made_up = list(islice(simulate(1e9), 100))
    assert not any(shift.drifted for shift in drift(made_up, made_up))
