"""Prepared data is kept, found again, and made anew when what it depends on has changed."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from plateloop.data_preparation.manifest import Plate, Record, write_manifest
from plateloop.training.cache import Arrays, cached, digest
from plateloop.training.detection.config import LPDNET
from plateloop.training.detection.feed import prepared
from plateloop.training.reading.data import RealPlates, load_real


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    folder = tmp_path / "data"
    folder.mkdir()
    records = []
    for number in range(2):
        cv2.imwrite(str(folder / f"{number}.png"), rng.integers(0, 255, (60, 90, 3), dtype=np.uint8))
        plate = Plate(box=(20, 20, 70, 40), text=f"AB{number}", annotation="annotated", region=None)
        records.append(
            Record(file=f"{number}.png", width=90, height=60, source="s", split="train", plates=(plate,))
        )
    write_manifest(folder, records)
    return folder


def test_made_once_for_each_key(tmp_path: Path) -> None:
    made = []

    def make() -> Arrays:
        made.append(1)
        return {"a": np.arange(3), "b": np.array(["x", "yy"])}

    for key in ("one", "one", "two"):
        arrays = cached(tmp_path, "thing", key, make)
        assert arrays["a"].tolist() == [0, 1, 2] and arrays["b"].tolist() == ["x", "yy"]
    assert len(made) == 2
    # What belongs to another key is of no use any more.
    assert [path.name for path in tmp_path.iterdir()] == ["thing-two"]
    cached(None, "thing", "two", make)
    assert len(made) == 3


def test_two_runs_may_make_the_same_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def make() -> Arrays:
        return {"a": np.arange(3)}

    replace = Path.replace

    def overtaken(partial: Path, target: Path) -> Path:
        monkeypatch.undo()
        cached(tmp_path, "thing", "one", make)
        return replace(partial, target)

    monkeypatch.setattr(Path, "replace", overtaken)
    assert cached(tmp_path, "thing", "one", make)["a"].tolist() == [0, 1, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["thing-one"]


def test_key_follows_data_and_settings(dataset: Path) -> None:
    before = digest([dataset], {"copies": 1})
    assert digest([dataset], {"copies": 1}) == before != digest([dataset], {"copies": 2})
    with (dataset / "manifest.jsonl").open("a") as manifest:
        manifest.write("\n")
    assert digest([dataset], {"copies": 1}) != before


def test_pasted_pictures_come_back_as_they_were(dataset: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    config = LPDNET.model_copy(update={"copies": 1, "workers": 1})
    records = [
        Record(file=f"{n}.png", width=90, height=60, plates=(Plate(box=(20, 20, 70, 40)),)) for n in range(2)
    ]
    first, pixels = prepared("lpdnet", dataset, records, config, tmp_path / "cache")
    again, found = prepared("lpdnet", dataset, records, config, tmp_path / "cache")
    assert len(first) == 4 and first == again and first[:2] == records
    assert first[2].plates[0].corners is not None
    assert np.array_equal(pixels, found) and len(pixels) == 4 * 90 * 60


def test_real_plates_come_back_as_they_were(dataset: Path) -> None:
    plates = load_real([dataset], "train")
    again = RealPlates.from_arrays(plates.arrays())
    assert again.texts == plates.texts == ("AB0", "AB1") and again.regions == (None, None)
    assert again.sources == plates.sources and np.array_equal(again.canvases, plates.canvases)
