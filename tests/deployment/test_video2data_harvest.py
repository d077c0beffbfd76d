"""Labels written from a rendered street, against its truth; and from a real clip."""

import json
import threading
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from plateloop.data_preparation.convert import FORMATS
from plateloop.data_preparation.manifest import Record, read_manifest
from plateloop.data_preparation.report import Report
from plateloop.deployment.config import load_config
from plateloop.deployment.launch import load_networks
from plateloop.deployment.video2data.config import HarvestConfig
from plateloop.deployment.video2data.harvest import Harvest, harvest
from plateloop.geometry import iou
from plateloop.testing.street import FrameTruth, read_truth


def make(videos: list[Path], out: Path, **keys: object) -> Harvest:
    page = load_config(None, list(map(str, videos)), {"networks": {"threads": 1}})
    networks = load_networks(page)
    alphabet = networks.sessions["lprnet"].card.alphabet
    return harvest(page, HarvestConfig(**keys), networks, alphabet, out, threading.Event())


@pytest.fixture(scope="module")
def street(
    demo_run: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[FrameTruth], Harvest]:
    folder = tmp_path_factory.mktemp("street")
    video = folder / "gate.mp4"
    video.symlink_to(demo_run / "street.mp4")
    result = make([video], folder / "data", period_s=0.4, limit=8, annotated=True, formats=("yolo", "kitti"))
    return folder / "data", read_truth(demo_run / "street.truth.jsonl"), result


def matched(record: Record, truth: FrameTruth) -> list[int]:
    """For each vehicle of the truth that is well in view, the row of the label on it, -1 for none."""
    rows = []
    for vehicle in truth.vehicles:
        if vehicle.visible < 0.6 or vehicle.box[2] - vehicle.box[0] < 60:
            continue
        boxes = np.array([v.box for v in record.vehicles], np.float32).reshape(-1, 4)
        overlap = iou(np.array([vehicle.box], np.float32), boxes)[0]
        rows.append(int(overlap.argmax()) if overlap.max(initial=0) >= 0.5 else -1)
    return rows


def test_labels_agree_with_the_truth(street: tuple[Path, list[FrameTruth], Harvest]) -> None:
    folder, truth, result = street
    records = list(read_manifest(folder))
    assert len(records) == result.sources[0].kept == 8
    found: list[bool] = []
    texts: list[bool] = []
    near: list[float] = []
    for record in records:
        there = truth[int(record.attributes["frame"])]
        found += [row >= 0 for row in matched(record, there)]
        quads = {v.text: v.corners for v in there.vehicles if v.corners is not None}
        for plate in record.plates:
            if plate.text is not None:
                texts.append(plate.text in quads)
                if plate.text in quads:
                    assert plate.corners is not None
                    away = np.linalg.norm(np.subtract(plate.corners, quads[plate.text]), axis=1).mean()
                    near.append(float(away / (plate.box[2] - plate.box[0])))
    assert len(found) >= 8 and np.mean(found) >= 0.6, found
    assert len(texts) >= 4 and np.mean(texts) >= 0.8, texts
    assert np.median(near) < 0.1, near


def test_everything_says_where_it_is_from(street: tuple[Path, list[FrameTruth], Harvest]) -> None:
    folder, _, _ = street
    for record in read_manifest(folder):
        picture = cv2.imread(str(folder / record.file))
        assert picture is not None and picture.shape[:2] == (record.height, record.width)
        assert record.sequence == "gate" and record.source.endswith("gate.mp4")
        time = datetime.fromisoformat(record.attributes["time"])
        assert f"gate_{time:%Y%m%d-%H%M%S}-{time.microsecond // 1000:03}_" in record.file
        assert (folder / "annotated" / Path(record.file).name).is_file()
        assert {v.annotation for v in record.vehicles} | {p.annotation for p in record.plates} <= {"auto"}
        for plate in record.plates:
            assert plate.corners is not None
            assert plate.vehicle is None or plate.vehicle < len(record.vehicles)
    for crop in read_manifest(folder / "plates"):
        assert crop.file.startswith(f"{crop.plates[0].text}_gate_")
        assert (folder / "plates" / crop.file).is_file()


@pytest.mark.parametrize("name", ["yolo", "kitti"])
def test_other_formats_hold_the_same(street: tuple[Path, list[FrameTruth], Harvest], name: str) -> None:
    folder, _, _ = street
    report = Report()
    converted = list(FORMATS[name].read(folder / name, report))
    originals = list(read_manifest(folder))
    assert not report.skipped and len(converted) == len(originals)
    assert sum(len(r.vehicles) for r in converted) == sum(len(r.vehicles) for r in originals) > 0
    assert sum(len(r.plates) for r in converted) == sum(len(r.plates) for r in originals) > 0


def test_hard_examples_come_best_first_with_drafts(street: tuple[Path, list[FrameTruth], Harvest]) -> None:
    folder, _, result = street
    records = list(read_manifest(folder / "hard"))
    assert len(records) == result.hard > 0
    scores = [float(record.attributes["hard_score"]) for record in records]
    assert scores == sorted(scores, reverse=True) and 0 < scores[-1] <= scores[0] <= 1
    for record in records:
        assert record.tags[0] == "hard" and len(record.tags) > 1 and record.attributes["hard_why"]
        assert (folder / "hard" / record.file).is_file()
        assert (folder / "hard" / "annotated" / Path(record.file).name).is_file()


def test_nothing_is_overwritten(street: tuple[Path, list[FrameTruth], Harvest], tmp_path: Path) -> None:
    from plateloop.errors import UserError

    folder, _, _ = street
    before = sorted(folder.rglob("*"))
    with pytest.raises(UserError, match="is there already"):
        make([folder.parent / "gate.mp4"], folder)
    assert sorted(folder.rglob("*")) == before


def test_a_real_clip_is_labelled_with_its_text(
    shared_data: Path, package_weights: Path, tmp_path: Path
) -> None:
    clips = [json.loads(line) for line in (shared_data / "clips.jsonl").read_text().splitlines()]
    truth = next(clip for clip in clips if clip["split"] == "val" and len(clip["texts"]) == 1)
    result = make([shared_data / truth["file"]], tmp_path / "data", period_s=0.5)
    assert result.sources[0].kept >= 4
    texts = [p.text for record in read_manifest(tmp_path / "data") for p in record.plates if p.text]
    assert len(texts) >= 3 and set(texts) == set(truth["texts"])
