"""Sampling weights and the statistics' page."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands import Call
from plateloop.data_preparation.balance import ATTRIBUTE, BalanceConfig, weigh
from plateloop.data_preparation.manifest import Plate, Record, Vehicle, read_manifest, write_manifest
from plateloop.data_preparation.stats import count
from plateloop.data_preparation.stats_page import bars, columns, histogram, write_page


def record(text: str | None, region: str | None = "FR", height: float = 20) -> Record:
    plate = Plate(box=(10, 10, 70, 10 + height), text=text, region=region)
    return Record(file="a.png", width=200, height=200, plates=(plate,), split="train")


def test_power_0_makes_regions_and_sizes_alike() -> None:
    records = [record(None, "FR")] * 55 + [record(None, "FR", 40)] * 5
    records += [record(None, "DE")] * 30 + [record(None, "DE", 40)] * 10
    found = weigh(iter(records), BalanceConfig(power=0))
    after = {value: share for _, value, _, share in found.shares()}
    assert after == pytest.approx({"FR": 0.5, "DE": 0.5, "16-32": 0.5, "32-64": 0.5}, abs=0.02)
    assert found.weights.mean() == pytest.approx(1)
    assert 1 < found.effective < 100


def test_power_1_changes_nothing() -> None:
    found = weigh(iter([record("AB1"), record("C22", "DE", 50)]), BalanceConfig(power=1))
    assert found.weights == pytest.approx([1, 1]) and found.effective == pytest.approx(2)


def test_rare_characters_are_drawn_more_often() -> None:
    rng = np.random.default_rng(2)
    texts = ["".join(rng.choice(list("AB12"), 5)) for _ in range(400)] + ["QAB12"] * 4
    found = weigh(record(text) for text in texts)
    shares = {value: (before, after) for kind, value, before, after in found.shares() if kind == "character"}
    assert shares["Q"][1] > 3 * shares["Q"][0]
    assert found.weights[-1] > 2 * found.weights[:400].mean()


@given(st.lists(st.tuples(st.text("ABC123", max_size=7), st.sampled_from(["FR", "DE", None])), max_size=30))
def test_weights_keep_within_their_limit(items: list[tuple[str, str | None]]) -> None:
    found = weigh((record(text or None, region) for text, region in items), BalanceConfig(power=0, limit=3))
    assert len(found.weights) == len(items)
    # The mean is set after the limit.
    assert all(1 / 9 <= weight <= 9 for weight in found.weights)


def test_the_commands(tmp_path: Path, plateloop: Call) -> None:
    source = tmp_path / "source"
    source.mkdir()
    records = []
    for number in range(10):
        cv2.imwrite(str(source / f"{number}.png"), np.full((200, 200, 3), number, np.uint8))
        split = {"file": f"{number}.png", "split": "val" if number == 9 else "train"}
        records.append(record(f"A{number}", "DE" if number == 0 else "FR").model_copy(update=split))
    write_manifest(source, records)
    done = plateloop("data", "balance", source, tmp_path / "out", "--power", "0")
    assert done.returncode == 0, done.stderr
    assert "10 records written, 9 weighed" in done.stdout and "region DE: 11.11% -> " in done.stdout
    weights = [r.attributes.get(ATTRIBUTE) for r in read_manifest(tmp_path / "out")]
    assert weights[-1] is None and float(weights[0] or 0) == max(float(w) for w in weights[:-1] if w)
    failed = plateloop("data", "balance", source, tmp_path / "other", "--split", "test")
    assert failed.returncode == 2 and "no record of split test" in failed.stderr
    done = plateloop("data", "stats", source, "--page", tmp_path / "page.html")
    assert done.returncode == 0 and (tmp_path / "page.html").is_file()


def test_the_page_draws_what_was_counted(tmp_path: Path) -> None:
    car = Vehicle(box=(0, 0, 150, 100), label="car <b>", color="red")
    records = [record("AB12", "FR", 15 + n).model_copy(update={"vehicles": (car,)}) for n in range(20)]
    write_page(tmp_path / "page.html", "a & b", count(records))
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "a &amp; b" in page and "car &lt;b&gt;" in page and "http" not in page and "<script" not in page
    assert page.count("<svg") >= 10


def test_plots_are_well_formed_and_to_scale() -> None:
    assert bars({}) == columns([]) == ""
    heights = [
        float(rect.attrib["width"])
        for rect in ElementTree.fromstring(bars({"a": 4, "b": 2, "c": 1})).iter("rect")
    ]
    assert heights == pytest.approx([320, 160, 80], abs=0.1)
    many = ElementTree.fromstring(bars({f"{n:03}": 1 for n in range(100)}))
    assert [text.text for text in many.iter("text")][-2:] == ["60 more", "60"]
    counts = count([record(None, height=20)] * 3 + [record(None, height=21)]).sizes["plate height"]
    drawn = list(ElementTree.fromstring(histogram(counts)).iter("rect"))
    assert [rect[0].text for rect in drawn] == ["20 to 21: 3", "21 to 22: 1"]
