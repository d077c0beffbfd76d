"""Likely label errors: where the networks are sure of something else than the label says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from plateloop.data_preparation.clean.boxes import is_upright, laid
from plateloop.data_preparation.clean.files import Looked
from plateloop.data_preparation.clean.finding import Finding, covers, is_crop
from plateloop.data_preparation.manifest import Record
from plateloop.frame import Frame
from plateloop.geometry import area, box_array, boxes_to_corners, coverage, iou
from plateloop.runtime.cascade import Cascade, CascadeConfig
from plateloop.types import Box, Detections, FloatArray, Reading

FAINT = CascadeConfig(vehicle_score=0.1, plate_score=0.1, color=False)
"""How the cascade looks here: what it finds ever so faintly speaks against a label being stray."""

# Vehicles in which plates are sought.
_SEEN = 0.3
# Labels lower than this are too small for the networks to be asked.
_LEAST_HEIGHT = 16
_STRAY, _LOOSE, _SAME = 0.1, 0.5, 0.6


def compare(
    cascade: Cascade, looked: Sequence[Looked], sure: float, lead: float
) -> list[tuple[list[Finding], set[int]]]:
    """For each picture the label's disagreements with the networks, and which of its upright plates lpdnet
    sees lying; ``sure`` is the score or confidence from which a network's word counts, ``lead`` as in
    `compare_classes`."""
    found: list[tuple[list[Finding], set[int]]] = [([], set()) for _ in looked]
    scenes = [row for row, item in enumerate(looked) if item.frame is not None and not is_crop(item.record)]
    frames = [_frame(looked[row]) for row in scenes]
    vehicles = cascade.detect_vehicles(frames)
    plates = cascade.find_plates(frames, [seen[seen.scores >= _SEEN] for seen in vehicles])
    for row, cars, signs in zip(scenes, vehicles, plates, strict=True):
        record = looked[row].record
        findings, lying = found[row]
        findings += compare_boxes("vehicle", record, cars, sure)
        findings += compare_boxes("plate", record, signs.detections, sure)
        findings += compare_classes(record, cars, cascade.labels, sure, lead)
        lying |= seen_lying(record, signs.detections.boxes)
    for row, readings in _read(cascade, looked).items():
        found[row][0].extend(compare_texts(looked[row].record, readings, sure))
    return found


def compare_texts(record: Record, readings: dict[int, Reading], sure: float) -> Iterator[Finding]:
    """Where lprnet is ``sure`` of another text; ``readings`` by the plate's index. Ranked by confidence."""
    for index, reading in readings.items():
        plate = record.plates[index]
        if plate.text and reading.text != plate.text and reading.confidence >= sure:
            alike = reading.text.replace("O", "0") == plate.text.replace("O", "0")
            reason = f"labelled {plate.text}, read {reading.text} ({reading.confidence:.3f})"
            kind = "text-zero" if alike else "text-disagreement"
            yield Finding(kind, record.file, reason, reading.confidence, plate.box)


def compare_boxes(
    kind: Literal["vehicle", "plate"], record: Record, seen: Detections, sure: float
) -> Iterator[Finding]:
    """Objects that are missing among the labels, labels that nothing speaks for, and loose boxes.

    Missing ones are ranked by score, stray ones by size, loose ones by score and by how far they are off.
    """
    items: Sequence[Box] = [item.box for item in (record.vehicles if kind == "vehicle" else record.plates)]
    ignored = record.ignore_vehicles if kind == "vehicle" else record.ignore_plates
    complete = record.vehicles_annotated if kind == "vehicle" else record.plates_annotated
    labelled = box_array(items)
    overlap = iou(seen.boxes, labelled)
    certain = seen.scores >= sure
    if complete:
        taken = np.concatenate([labelled, box_array(ignored)])
        covered = coverage(seen.boxes, taken).max(1, initial=0)
        for row in np.flatnonzero(certain & (covered < 0.3) & (_heights(seen.boxes) >= _LEAST_HEIGHT)):
            reason = f"{kind} seen ({seen.scores[row]:.2f}), not labelled"
            place = _box(seen.boxes[row])
            yield Finding(f"{kind}-missing", record.file, reason, float(seen.scores[row]), seen=place)
    shares = np.sqrt(area(labelled) / (record.width * record.height))
    for index in np.flatnonzero(_heights(labelled) >= _LEAST_HEIGHT).tolist():
        box = items[index]
        best = int(overlap[:, index].argmax()) if len(seen) else -1
        value = float(overlap[best, index]) if len(seen) else 0.0
        # A part seen of it, or a whole of which it is a part, speaks for a label as well.
        near = coverage(seen.boxes, labelled[[index]]).max(initial=0)
        if value < _STRAY and near < _LOOSE:
            yield Finding(f"{kind}-stray", record.file, f"{kind} {index}", float(shares[index]), box)
        elif _STRAY <= value < _LOOSE and certain[best]:
            reason = f"{kind} {index} overlaps what is seen by {value:.2f}"
            rank = float(seen.scores[best]) * (1 - value)
            yield Finding(f"{kind}-loose", record.file, reason, rank, box, _box(seen.boxes[best]))


def compare_classes(
    record: Record, seen: Detections, labels: Sequence[str], sure: float, lead: float
) -> Iterator[Finding]:
    """Vehicles in whose place tcnet is ``sure`` of another of its classes ``labels``, by ``lead`` (above 0)
    more than of the label's own. Ranked by that lead; labels that are none of its classes are let be.

    ``seen`` with class scores.
    """
    assert seen.class_scores is not None
    overlap = iou(box_array([vehicle.box for vehicle in record.vehicles]), seen.boxes)
    for index, vehicle in enumerate(record.vehicles):
        near = np.flatnonzero(overlap[index] >= _SAME)
        if vehicle.label not in labels or not len(near):
            continue
        # By falling score: the first is the surest. Any of them may speak for the label.
        best, own = near[0], float(seen.class_scores[near, labels.index(vehicle.label)].max())
        label, score = labels[seen.labels[best]], float(seen.scores[best])
        if score >= sure and score - own >= lead:
            reason = f"vehicle {index} labelled {vehicle.label} ({own:.2f}), seen as {label} ({score:.2f})"
            yield Finding(
                "vehicle-class", record.file, reason, score - own, vehicle.box, _box(seen.boxes[best])
            )


def seen_lying(record: Record, seen: FloatArray) -> set[int]:
    """The upright plates for which a plate is ``seen`` (N, 4) as they would lie, not as they stand."""
    lying = set()
    for index, plate in enumerate(record.plates):
        if is_upright(plate) and len(seen):
            both = box_array([plate.box, laid(plate.box, record.width, record.height)])
            standing, lain = iou(both, seen).max(1)
            if lain > max(_LOOSE, standing):
                lying.add(index)
    return lying


def _read(cascade: Cascade, looked: Sequence[Looked]) -> dict[int, dict[int, Reading]]:
    """lprnet's readings of the labelled plates with text, by picture and plate."""
    crops: list[tuple[int, int]] = []
    asked: dict[int, list[int]] = {}
    for row, item in enumerate(looked):
        for index, plate in enumerate(item.record.plates if item.frame is not None else ()):
            if not plate.text or min(plate.box[2] - plate.box[0], plate.box[3] - plate.box[1]) < 1:
                continue
            if covers(plate.box, item.record) and plate.corners is None:
                crops.append((row, index))
            else:
                asked.setdefault(row, []).append(index)
    found: dict[int, dict[int, Reading]] = {}
    for (row, index), reading in zip(
        crops, cascade.read_crops([_frame(looked[row]) for row, _ in crops]), strict=True
    ):
        found.setdefault(row, {})[index] = reading
    frames = [_frame(looked[row]) for row in asked]
    plates = [_labelled(looked[row].record, indices) for row, indices in asked.items()]
    for (row, indices), read in zip(asked.items(), cascade.read_plates(frames, plates), strict=True):
        found.setdefault(row, {}).update(zip(indices, read, strict=True))
    return found


def _labelled(record: Record, indices: Sequence[int]) -> Detections:
    boxes = box_array([record.plates[index].box for index in indices])
    corners = boxes_to_corners(boxes)
    for row, index in enumerate(indices):
        own = record.plates[index].corners
        if own is not None:
            corners[row] = own
    return Detections(boxes, np.ones(len(boxes), np.float32), np.zeros(len(boxes), np.int64), corners)


def _frame(item: Looked) -> Frame:
    assert item.frame is not None
    return item.frame


def _heights(boxes: FloatArray) -> FloatArray:
    return np.asarray(boxes[:, 3] - boxes[:, 1], np.float32)


def _box(row: FloatArray) -> Box:
    x1, y1, x2, y2 = (round(float(value), 1) for value in row)
    return x1, y1, x2, y2
