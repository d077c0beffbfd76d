"""Average precision and recall of vehicles, by set: pure functions over detections and records."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from plateloop.data_preparation.manifest import Record
from plateloop.geometry import box_array
from plateloop.training.detection import metrics
from plateloop.types import Detections, FloatArray

WIDE = 0.15
"""Share of the picture's width from which a vehicle is wide."""
VEHICLE_FALSE = 15.0
"""False finds of vehicles per 100 pictures at which recall is stated."""


def vehicle_metrics(
    found: Sequence[Detections], records: Sequence[Record], labels: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Average precision and recall of vehicles on pictures whose vehicles people listed, by set.

    Sets are all pictures, "portraits" (shards 0 to 2) and "streets" (shard 3).
    """
    pairs = [(f, r) for f, r in zip(found, records, strict=True) if r.vehicles_annotated]
    street = [("shard-3" in record.tags) for _, record in pairs]
    sets = {
        "all": pairs,
        "portraits": [pair for pair, is_street in zip(pairs, street, strict=True) if not is_street],
        "streets": [pair for pair, is_street in zip(pairs, street, strict=True) if is_street],
    }
    return {name: vehicle_set(chosen, labels) for name, chosen in sets.items() if chosen}


def vehicle_set(pairs: Sequence[tuple[Detections, Record]], labels: Sequence[str]) -> dict[str, float]:
    """The figures of one set: average precision by class and of any vehicle, recall of the wide ones."""
    results: dict[str, float] = {"pictures": len(pairs)}
    parts, wide_parts, wide = [], [], []
    for seen, record in pairs:
        truth = box_array([v.box for v in record.vehicles if v.label in labels])
        hits = metrics.matches(seen.boxes, truth, _hidden(record, labels))
        parts.append((seen.scores, hits, len(truth)))
        wide.append(truth[:, 2] - truth[:, 0] > WIDE * record.width)
        # As COCO judges a range of sizes: a find outside it that hits nothing counts neither way.
        narrow = seen.boxes[:, 2] - seen.boxes[:, 0] <= WIDE * record.width
        wide_hits = np.where((hits == metrics.FALSE) & narrow, metrics.IGNORED, hits)
        wide_parts.append((seen.scores, wide_hits, len(truth)))
    any_vehicle, wide_vehicles = metrics.gather(parts), metrics.gather(wide_parts)
    wanted = np.concatenate(wide)
    threshold = metrics.threshold_at(wide_vehicles, VEHICLE_FALSE)
    strict = metrics.threshold_at(any_vehicle, VEHICLE_FALSE)
    results |= {
        "boxes": any_vehicle.objects,
        "ap50": metrics.average_precision(any_vehicle),
        "wide_boxes": float(wanted.sum()),
        "wide_recall": metrics.recall(wide_vehicles, threshold, wanted),
        "wide_threshold": threshold,
        "wide_recall_strict": metrics.recall(any_vehicle, strict, wanted),
        "best_threshold": metrics.best_threshold(any_vehicle),
    }
    for index, label in enumerate(labels):
        parts = []
        for seen, record in pairs:
            mine = seen[seen.labels == index]
            truth = box_array([v.box for v in record.vehicles if v.label == label])
            parts.append(
                (mine.scores, metrics.matches(mine.boxes, truth, _hidden(record, labels)), len(truth))
            )
        findings = metrics.gather(parts)
        results |= {f"{label}_boxes": findings.objects, f"{label}_ap50": metrics.average_precision(findings)}
    return results


def _hidden(record: Record, labels: Sequence[str]) -> FloatArray:
    """Boxes that count neither way: ignored ones, and vehicles of other classes."""
    return box_array([*record.ignore_vehicles, *(v.box for v in record.vehicles if v.label not in labels)])
