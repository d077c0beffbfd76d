"""Measures against COCO's own evaluation, and on cases done by hand."""

from __future__ import annotations

import contextlib
import io
import math

import numpy as np
import pytest

from plateloop.data_preparation.manifest import Plate, Record, Vehicle
from plateloop.training.detection import metrics
from plateloop.training.detection.evaluate import plate_metrics
from plateloop.training.detection.metrics import FALSE, IGNORED, Findings
from plateloop.training.detection.vehicle_metrics import vehicle_metrics
from plateloop.types import Detections

NO_BOXES = np.zeros((0, 4), np.float32)


def random_pictures(rng: np.random.Generator, pictures: int):  # type: ignore[no-untyped-def]
    for _ in range(pictures):
        count = int(rng.integers(0, 7))
        low = rng.uniform(0, 200, (count, 2))
        truth = np.concatenate([low, low + rng.uniform(10, 60, (count, 2))], 1)
        jitter = truth + rng.normal(0, 3, truth.shape).clip(-4.9, 4.9)
        low = rng.uniform(0, 200, (4, 2))
        noise = np.concatenate([low, low + rng.uniform(10, 60, (4, 2))], 1)
        boxes = np.concatenate([jitter, noise, truth[:2] + 3])
        scores = np.sort(rng.random(len(boxes)))[::-1]
        ignored = np.array([[0, 0, 60, 60]]) if rng.random() < 0.5 else NO_BOXES
        yield (x.astype(np.float32) for x in (boxes, scores, truth, ignored))


def coco_ap50(pictures) -> float:  # type: ignore[no-untyped-def]
    from faster_coco_eval import COCO, COCOeval_faster

    images, annotations, results = [], [], []
    for number, (boxes, scores, truth, ignored) in enumerate(pictures, 1):
        images.append({"id": number, "width": 300, "height": 300})
        for box, crowd in [(b, 0) for b in truth] + [(b, 1) for b in ignored]:
            x1, y1, x2, y2 = map(float, box)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": crowd,
                }
            )
        for (x1, y1, x2, y2), score in zip(boxes.tolist(), scores.tolist(), strict=True):
            results.append(
                {"image_id": number, "category_id": 1, "bbox": [x1, y1, x2 - x1, y2 - y1], "score": score}
            )
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO({"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "x"}]})
        run = COCOeval_faster(truth, truth.loadRes(results), "bbox")
        run.params.iouThrs = np.array([0.5])
        run.evaluate()
        run.accumulate()
    precision = run.eval["precision"][0, :, 0, 0, -1]
    return float(precision.mean())


@pytest.mark.parametrize("seed", range(4))
def test_average_precision_is_cocos(seed: int) -> None:
    pictures = [tuple(p) for p in random_pictures(np.random.default_rng(seed), 40)]
    parts = [(s, metrics.matches(b, t, i), len(t)) for b, s, t, i in pictures]
    assert metrics.average_precision(metrics.gather(parts)) == pytest.approx(coco_ap50(pictures), abs=2e-3)


def test_matches_by_hand() -> None:
    truth = np.array([[0, 0, 10, 10], [100, 0, 110, 10]], np.float32)
    boxes = np.array([[0, 0, 10, 9], [0, 0, 10, 10], [50, 50, 60, 60], [100, 0, 104, 10]], np.float32)
    ignored = np.array([[45, 45, 80, 80]], np.float32)
    assert metrics.matches(boxes, truth, ignored).tolist() == [0, FALSE, IGNORED, FALSE]


def test_recall_and_thresholds_by_hand() -> None:
    found = Findings(
        np.array([0.9, 0.8, 0.7, 0.6, 0.5], np.float32),
        np.array([0, FALSE, 1, FALSE, 2]),
        objects=4,
        pictures=10,
    )
    threshold = metrics.threshold_at(found, 10)
    assert 0.6 < threshold < 0.7
    assert metrics.recall(found, threshold) == 0.5
    assert metrics.false_per_100(found, threshold) == 10
    assert metrics.recall(found, 0, np.array([True, False, False, True])) == 0.5
    assert metrics.threshold_at(found, 100) == pytest.approx(0.5)
    assert metrics.best_threshold(found) == pytest.approx(0.5)


def test_nothing_found_and_nothing_to_find() -> None:
    nothing = metrics.gather([(np.zeros(0, np.float32), np.zeros(0, np.int64), 0)])
    assert math.isnan(metrics.average_precision(nothing)) and metrics.threshold_at(nothing, 10) == 0
    missed = metrics.gather([(np.zeros(0, np.float32), np.zeros(0, np.int64), 3)])
    assert metrics.average_precision(missed) == 0 and metrics.recall(missed, 0.5) == 0


def test_corner_errors_are_shares_of_the_width() -> None:
    truth = np.array([[[0, 0], [100, 0], [100, 20], [0, 20]]], np.float32)
    assert metrics.corner_errors(truth + np.float32([3, 4]), truth).tolist() == pytest.approx([0.05])


def test_vehicle_sets_labels_and_ignored_vehicles() -> None:
    rows = [("shard-0", "car", True), ("shard-3", "bus", True), ("shard-3", "car", False)]
    records = [
        Record(
            file="none",
            width=100,
            height=100,
            vehicles=(
                Vehicle(box=(10, 10, 50, 50), label=label),
                Vehicle(box=(60, 60, 80, 80), label="sled"),
            ),
            vehicles_annotated=annotated,
            tags=(tag,),
        )
        for tag, label, annotated in rows
    ]
    boxes = np.array([[10, 10, 50, 49], [60, 60, 80, 80]], np.float32)
    seen = Detections(boxes, np.array([0.9, 0.8], np.float32), np.array([0, 0]))
    report = vehicle_metrics([seen] * 3, records, ("car", "bus"))
    assert report["all"]["pictures"] == 2 and report["portraits"]["pictures"] == 1
    assert report["all"]["ap50"] == pytest.approx(1)  # the sled counts neither way
    assert report["streets"]["bus_ap50"] == 0 and report["portraits"]["car_ap50"] == pytest.approx(1)
    assert report["all"]["wide_boxes"] == 2 and report["all"]["wide_recall"] == 1


def test_low_plates_count_neither_way() -> None:
    low, high = Plate(box=(0, 0, 30, 8)), Plate(box=(50, 50, 90, 65))
    record = Record(file="none", width=100, height=100, plates=(low, high))
    boxes = np.array([[0, 0, 30, 8], [50, 50, 90, 65], [10, 80, 30, 90]], np.float32)
    quads = np.array([[[b[0], b[1]], [b[2], b[1]], [b[2], b[3]], [b[0], b[3]]] for b in boxes])
    seen = Detections(boxes, np.array([0.9, 0.8, 0.7], np.float32), np.zeros(3, np.int64), quads)
    report = plate_metrics([seen], [record])
    assert report["plates"] == 1 and report["recall"] == 1 and report["false_per_100"] == 100
