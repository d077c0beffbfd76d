"""Merging keeps every record apart; slices hold what was asked for."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from plateloop.data_preparation.manifest import Plate, Record, Vehicle, read_manifest, write_manifest
from plateloop.data_preparation.merge import merge
from plateloop.data_preparation.relabel import parse as class_map
from plateloop.data_preparation.relabel import relabel
from plateloop.data_preparation.slice import parse, take
from plateloop.data_preparation.stats import count, quantile
from plateloop.errors import UserError


def dataset(folder: Path, *records: Record, shade: int = 0) -> Path:
    for index, record in enumerate(records):
        path = folder / record.file
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((record.height, record.width, 3), shade + index, np.uint8))
    write_manifest(folder, records)
    return folder


def record(file: str, label: str = "car", text: str = "AB1", **fields: object) -> Record:
    vehicle = Vehicle(box=(0, 0, 20, 20), label=label)
    plate = Plate(
        box=(2, 10, 12, 14), text=text, vehicle=0, attributes={"label": "LP", "raw_text": f"{text}!"}
    )
    return Record(file=file, width=30, height=20, vehicles=(vehicle,), plates=(plate,), **fields)


def test_merge_keeps_names_apart_and_writes_the_same_once(tmp_path: Path) -> None:
    a = dataset(tmp_path / "a", record("x/1.png"), record("x/2.png"))
    b = dataset(tmp_path / "b", record("x/1.png"), record("x/2.png", text="ZZ9"), record("x/2_2.png"))
    c = dataset(tmp_path / "c", record("x/1.png"), shade=50)
    report = merge([a, b, c], tmp_path / "out")
    found = {r.file: r for r in read_manifest(tmp_path / "out")}
    # b's 1.png is a's, to the last pixel and label; its 2.png has other labels; c's 1.png is another picture.
    assert list(found) == ["x/1.png", "x/2.png", "x/2_2.png", "x/2_2_2.png", "x/1_2.png"]
    assert (report.skipped, report.repeated) == ({}, 1)
    assert found["x/2_2.png"].plates[0].text == "ZZ9"
    assert [r.source for r in found.values()] == ["a", "a", "b", "b", "c"]
    assert found["x/1.png"].plates[0].attributes == {"raw_text": "AB1!"}
    assert (tmp_path / "out/x/1_2.png").read_bytes() == (c / "x/1.png").read_bytes()
    first = (tmp_path / "out/manifest.jsonl").read_bytes()
    merge([a, b, c], tmp_path / "out")
    assert (tmp_path / "out/manifest.jsonl").read_bytes() == first


def test_merge_refuses_the_same_folder_twice(tmp_path: Path) -> None:
    a = dataset(tmp_path / "a", record("1.png"))
    with pytest.raises(UserError, match="twice"):
        merge([a, tmp_path / "x/../a"], tmp_path / "out")


def test_class_maps() -> None:
    assert class_map(["Car=car", "sign="]) == {"Car": "car", "sign": ""}
    with pytest.raises(UserError, match="OLD=NEW"):
        class_map(["Car"])
    both = Record(
        file="a",
        width=9,
        height=9,
        vehicles=(
            Vehicle(box=(0, 0, 1, 1), label="sign"),
            Vehicle(box=(0, 0, 5, 5), label="Car", color="red"),
        ),
        plates=(Plate(box=(1, 1, 2, 2), text="A", vehicle=1), Plate(box=(3, 3, 4, 4), vehicle=0)),
    )
    found = relabel(both, {"Car": "car", "sign": ""})
    assert [(v.label, v.color) for v in found.vehicles] == [("car", "red")]
    assert [p.vehicle for p in found.plates] == [0, None]
    turned = relabel(both, {"sign": "license_plate"})
    assert [p.vehicle for p in turned.plates] == [None, 0, None]
    assert relabel(both, {"bus": "car"}) is both


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("label=car", "ac"),
        ("label!=car", "b"),
        ("label=b*,truck", "b"),
        ("label=license_plate", "abc"),
        ("region=FR", "a"),
        ("region=", ""),
        ("split=val", "b"),
        ("split=", "ac"),
        ("tag=night", "c"),
        ("text=A?1", "ab"),
        ("min_plate_height=4", "abc"),
        ("min_plate_height=4.5", ""),
        ("max_width=29", ""),
        ("min_text_length=4", "c"),
        ("source=*ell*", "a"),
    ],
)
def test_conditions(condition: str, expected: str) -> None:
    records = [
        record("a", region="FR", source="Seller"),
        record("b", label="bus", split="val"),
        record("c", text="LONG1", tags=("night",)),
    ]
    holds = parse([condition])
    assert "".join(r.file for r in records if holds(r)) == expected


def test_bad_conditions_are_named() -> None:
    for condition in ("colour=red", "label", "min_label=3", "min_width=wide"):
        with pytest.raises(UserError, match=condition):
            parse([condition])


def test_random_and_per_class_slices(tmp_path: Path) -> None:
    labels = ["car"] * 20 + ["bus"] * 3 + ["truck"] * 9
    source = dataset(tmp_path / "in", *(record(f"{i}.png", label=name) for i, name in enumerate(labels)))
    report = take(source, tmp_path / "some", random=7)
    assert report.written == 7
    assert len({r.file for r in read_manifest(tmp_path / "some")}) == 7
    take(source, tmp_path / "again", random=7)
    assert (tmp_path / "again/manifest.jsonl").read_bytes() == (tmp_path / "some/manifest.jsonl").read_bytes()
    take(source, tmp_path / "other", random=7, seed=1)
    assert (tmp_path / "other/manifest.jsonl").read_bytes() != (tmp_path / "some/manifest.jsonl").read_bytes()
    take(source, tmp_path / "each", per_class=5, where=["label!=truck"])
    found = Counter(r.vehicles[0].label for r in read_manifest(tmp_path / "each"))
    assert found["bus"] == 3
    assert 5 <= found["car"] <= 10
    assert "truck" not in found


def test_stats_count_what_is_there() -> None:
    records = [record("a", split="train", text="AA1"), record("b", label="bus", region="FR", text="A2")]
    found = count(records).table()
    assert found["records"] == 2
    assert found["splits"] == {"none": 1, "train": 1}
    assert found["vehicles"] == {"bus": 1, "car": 1}
    assert found["characters"] == {"1": 1, "2": 1, "A": 3}
    assert found["plates"]["with text"] == 2
    assert found["regions"] == {"FR": 1, "none": 1}
    assert found["quantiles"]["plate aspect"]["50%"] == 2.5
    assert quantile(Counter({1: 50, 9: 50}), (0.5, 0.51)) == {"50%": 1.0, "51%": 9.0}
