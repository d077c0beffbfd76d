"""Cleaning: what the networks see otherwise than labels say, on records made for it and in real pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from cleaning import CAR, record
from plateloop.data_preparation.clean.disagreement import (
    FAINT,
    compare,
    compare_boxes,
    compare_classes,
    compare_texts,
    seen_lying,
)
from plateloop.data_preparation.clean.files import look
from plateloop.data_preparation.clean.fix import mend
from plateloop.data_preparation.manifest import Plate, Record, Vehicle, read_manifest
from plateloop.frame import read_image
from plateloop.runtime.cascade import Cascade
from plateloop.types import Box, Detections, Reading


def detections(*rows: tuple[Box, float, int]) -> Detections:
    return Detections(
        np.array([box for box, *_ in rows], np.float32).reshape(-1, 4),
        np.array([score for _, score, _ in rows], np.float32),
        np.array([label for *_, label in rows], np.int64),
    )


def test_disagreement_with_the_detectors() -> None:
    found = record(
        vehicles=(CAR, Vehicle(box=(130, 10, 190, 90), label="truck")),
        ignore_vehicles=((0, 0, 9, 60),),
    )
    assert not list(
        compare_boxes("vehicle", found, detections((CAR.box, 0.9, 0), ((131, 9, 188, 91), 0.2, 0)), 0.6)
    )
    missed = compare_boxes(
        "vehicle", found, detections(((10, 10, 60, 90), 0.9, 0), ((0, 0, 9, 50), 0.9, 0)), 0.6
    )
    assert [finding.kind for finding in missed] == ["vehicle-loose", "vehicle-stray"]
    alone = found.model_copy(update={"vehicles": (CAR,)})
    seen = detections((CAR.box, 0.9, 0), ((130, 10, 190, 90), 0.8, 0))
    (missing,) = compare_boxes("vehicle", alone, seen, 0.6)
    assert (missing.kind, missing.seen, missing.rank) == (
        "vehicle-missing",
        (130, 10, 190, 90),
        pytest.approx(0.8),
    )
    silent = alone.model_copy(update={"vehicles_annotated": False})
    assert not list(compare_boxes("vehicle", silent, seen, 0.6))
    assert [f.kind for f in compare_boxes("vehicle", found, detections(), 0.6)] == ["vehicle-stray"] * 2


TRUCK, FAR = Vehicle(box=(130, 10, 190, 90), label="truck"), (60.0, 0.0, 110.0, 60.0)


def classes(*finds: tuple[Box, tuple[float, float, float]]) -> Detections:
    """What tcnet sees, by falling score, with its scores of car, truck and motorcycle."""
    scores = np.array([each for _, each in finds], np.float32).reshape(-1, 3)
    boxes = np.array([box for box, _ in finds], np.float32).reshape(-1, 4)
    return Detections(boxes, scores.max(1), scores.argmax(1), class_scores=scores)


@pytest.mark.parametrize(
    ("finds", "told"),
    [
        ([(CAR.box, (0.9, 0, 0)), (TRUCK.box, (0.8, 0.3, 0))], "truck (0.30), seen as car (0.80)"),
        ([((131, 11, 189, 70), (0.1, 0.2, 0.7))], "truck (0.20), seen as motorcycle (0.70)"),
        ([(TRUCK.box, (0.2, 0.8, 0))], None),
        # Hardly more than of the label's own class, by the same find or by another one in the same place.
        ([(TRUCK.box, (0.8, 0.65, 0))], None),
        ([(TRUCK.box, (0.8, 0.1, 0)), ((131, 11, 189, 80), (0.1, 0.7, 0))], None),
        # Not sure; elsewhere; nothing seen.
        ([(TRUCK.box, (0.5, 0.1, 0))], None),
        ([(FAR, (0.9, 0, 0)), ((130, 10, 190, 50), (0.8, 0, 0))], None),
        ([], None),
    ],
)
def test_a_class_is_doubted_where_another_is_seen_clearly(
    finds: list[tuple[Box, tuple[float, float, float]]], told: str | None
) -> None:
    unknown = Vehicle(box=TRUCK.box, label="tricycle")
    found = record(vehicles=(CAR, unknown, TRUCK))
    doubts = list(compare_classes(found, classes(*finds), ("car", "truck", "motorcycle"), 0.6, 0.2))
    assert [doubt.reason for doubt in doubts] == ([f"vehicle 2 labelled {told}"] if told else [])
    assert all(doubt.place == TRUCK.box and doubt.seen is not None for doubt in doubts)


def test_classes_are_ranked_by_how_much_surer_of_another() -> None:
    seen = classes((CAR.box, (0.45, 0.9, 0)), (TRUCK.box, (0.8, 0.1, 0)))
    doubts = compare_classes(record(vehicles=(CAR, TRUCK)), seen, ("car", "truck", "motorcycle"), 0.6, 0.2)
    assert [doubt.rank for doubt in doubts] == [pytest.approx(0.45), pytest.approx(0.7)]


def test_classes_made_wrong_are_found_in_real_pictures(collection: Path, package_weights: Path) -> None:
    folder = collection / "frames"
    cars = [
        record
        for record in read_manifest(folder)
        if record.split == "val"
        and record.vehicles
        and all(
            vehicle.label == "car" and vehicle.box[3] - vehicle.box[1] >= 64 for vehicle in record.vehicles
        )
    ][:40]
    cascade = Cascade.load("cpu", 1, package_weights, FAINT, ("tcnet",))
    total = accused = found = 0
    for right in cars:
        (seen,) = cascade.detect_vehicles([read_image(folder / right.file)])
        trucks = tuple(vehicle.model_copy(update={"label": "truck"}) for vehicle in right.vehicles)
        wrong = right.model_copy(update={"vehicles": trucks})
        total += len(trucks)
        accused += len(list(compare_classes(right, seen, cascade.labels, 0.6, 0.2)))
        found += len(list(compare_classes(wrong, seen, cascade.labels, 0.6, 0.2)))
    assert total >= 40 and found > 0.7 * total and accused < 0.1 * total, (total, found, accused)


def test_a_plate_stood_upright_by_swapped_sides_is_laid_down_where_one_is_seen() -> None:
    found = record(Plate(box=(94, 30, 106, 70)), Plate(box=(20, 30, 32, 70)))
    lying = seen_lying(found, np.array([[81, 45, 119, 56]], np.float32))
    assert lying == {0}
    assert [plate.box for plate in mend(found, lying).plates] == [(80, 44, 120, 56), (20, 30, 32, 70)]


def test_disagreement_with_the_reader() -> None:
    def reading(text: str, confidence: float) -> Reading:
        return Reading(text, confidence, (), np.zeros((len(text), 36), np.float32))

    found = record(*[Plate(box=(20, 60, 60, 75), text=text) for text in ("AB12", "AB12", "A0", "X1")])
    read = {0: reading("AB12", 0.9), 1: reading("AB13", 0.8), 2: reading("AO", 0.9), 3: reading("X2", 0.3)}
    assert [(f.kind, f.rank) for f in compare_texts(found, read, 0.6)] == [
        ("text-disagreement", 0.8),
        ("text-zero", 0.9),
    ]


def test_the_networks_compared_with_labels(toy_weights: Path, tmp_path: Path) -> None:
    scene = np.zeros((384, 640, 3), np.uint8)
    scene[50:250, 20:300] = (0, 0, 255)
    scene[180:210, 100:200] = (255, 112, 0)
    cv2.imwrite(str(tmp_path / "scene.png"), scene[..., ::-1])
    crop = np.zeros((40, 120, 3), np.uint8)
    crop[..., 1] = 142
    cv2.imwrite(str(tmp_path / "crop.png"), crop[..., ::-1])
    right = Vehicle(box=(20, 50, 300, 250), label="car")
    records = [
        Record(
            file="scene.png",
            width=640,
            height=384,
            vehicles=(
                right.model_copy(update={"label": "bus"}),
                Vehicle(box=(400, 50, 600, 300), label="car"),
            ),
            plates=(Plate(box=(100, 180, 200, 210), text="7"),),
        ),
        Record(file="crop.png", width=120, height=40, plates=(Plate(box=(0, 0, 120, 40), text="5"),)),
    ]
    cascade = Cascade.load("cpu", 1, toy_weights, FAINT, ("tcnet", "lpdnet", "lprnet"))
    answers = compare(cascade, [look(tmp_path, record) for record in records], 0.5, 0.2)
    assert [[f.kind for f in findings] for findings, _ in answers] == [
        ["vehicle-stray", "vehicle-class", "text-disagreement"],
        [],
    ]
