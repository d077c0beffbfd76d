"""What became of each plate: the truth of a picture against what the cascade gave. No network runs here."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from plateloop.data_preparation.manifest import Plate, Record
from plateloop.geometry import box_array, coverage
from plateloop.runtime.cascade import Scene
from plateloop.testing.metrics import match, match_texts
from plateloop.text import edit_distance
from plateloop.types import Box, FloatArray

Outcome = Literal[
    "right",
    "below threshold",
    "misread by one",
    "misread",
    "not read",
    "plate not found",
    "vehicle not found",
    "extra",
]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


class Item(BaseModel):
    """One plate that was to be read, and what became of it; or an ``extra`` reading, which has no truth.

    The outcomes: ``right``; read right but ``below threshold``; ``misread by one`` character or more; found
    but ``not read``; ``plate not found`` though a found vehicle (or the frame) holds it; ``vehicle not
    found``: no found vehicle holds 80 % of the plate.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str = Field(description="name of the dataset's folder")
    file: str = Field(description="the picture or clip, relative to that folder")
    source: str
    region: str
    annotation: str = Field(description='who read the truth: "annotated" by people, "agreed" by readers')
    truth: str | None = Field(description="the plate's text; null for an extra reading")
    found: str | None = Field(None, description="the text read there, however unsure")
    confidence: float | None = Field(None, description="of that reading")
    outcome: Outcome
    box: Box | None = Field(None, description="where the plate is, pixels of the picture")


class _Found(NamedTuple):
    text: str
    confidence: float
    box: Box


def judge(record: Record, scene: Scene, threshold: float = 0.0, dataset: str = "") -> list[Item]:
    """What became of each plate with text of ``record``, whose picture gave ``scene``.

    Plates with a box are paired with found plates by IoU of at least 0.3, the best first; ``texts`` without a
    place are right if some plate has exactly this text. A reading below ``threshold`` counts as not given.
    Where the record lists all plates, readings elsewhere are ``extra`` (``ignore_plates`` count neither way).
    """
    found = [_found(scene, index) for index in range(len(scene.plates))]
    about: dict[str, Any] = {"dataset": dataset, "file": record.file, "source": record.source}
    region = record.region or "-"
    if record.texts:
        about |= {"region": region, "annotation": "annotated"}
        return [Item(**about, **fields) for fields in _judge_texts(record.texts, scene, found, threshold)]
    boxes = box_array([plate.box for plate in record.plates])
    partner = match(boxes, scene.plates.detections.boxes)
    items = [
        Item(
            **about,
            region=plate.region or region,
            annotation=plate.annotation or "annotated",
            **_judge_plate(plate, found[index] if index >= 0 else None, scene, threshold),
        )
        for plate, index in zip(record.plates, partner, strict=True)
        if plate.text
    ]
    if record.plates_annotated:
        ignored = box_array(record.ignore_plates)
        elsewhere = coverage(scene.plates.detections.boxes, ignored).max(1, initial=0) <= 0.5
        elsewhere[partner[partner >= 0]] = False
        about |= {"region": region, "annotation": "annotated"}
        items += [
            Item(**about, truth=None, **_read(plate), outcome="extra", box=plate.box)
            for plate, counts in zip(found, elsewhere, strict=True)
            if counts and plate.text and plate.confidence >= threshold
        ]
    return items


def _found(scene: Scene, index: int) -> _Found:
    reading = scene.plates.readings[index]
    x1, y1, x2, y2 = map(float, scene.plates.detections.boxes[index])
    if reading is None:
        return _Found("", 0.0, (x1, y1, x2, y2))
    return _Found(reading.text, reading.confidence, (x1, y1, x2, y2))


def _read(plate: _Found) -> dict[str, Any]:
    return {"found": plate.text, "confidence": plate.confidence} if plate.text else {}


def _judge_plate(plate: Plate, found: _Found | None, scene: Scene, threshold: float) -> dict[str, Any]:
    fields: dict[str, Any] = {"truth": plate.text, "box": plate.box}
    if found is None:
        held = coverage(np.array([plate.box], np.float32), scene.vehicles.boxes)
        return fields | {"outcome": _not_found(held)}
    return fields | _read(found) | {"outcome": _text_outcome(plate.text or "", found, threshold)}


def _not_found(held: FloatArray) -> Outcome:
    return "plate not found" if (held >= 0.8).any() else "vehicle not found"


def _text_outcome(truth: str, found: _Found, threshold: float) -> Outcome:
    """The outcome of a plate with text ``truth`` that was found and read as ``found``."""
    if not found.text:
        return "not read"
    if found.text == truth:
        return "right" if found.confidence >= threshold else "below threshold"
    return "misread by one" if edit_distance(truth, found.text) == 1 else "misread"


def _judge_texts(
    truth: tuple[str, ...], scene: Scene, found: list[_Found], threshold: float
) -> list[dict[str, Any]]:
    # Surest first, so that of two equal readings the surer one is paired.
    free = sorted((plate for plate in found if plate.text), key=lambda plate: -plate.confidence)
    texts = match_texts(truth, [plate.text for plate in free])
    items: list[dict[str, Any]] = []
    for expected, reading in [*((text, text) for text in texts.right), *texts.wrong]:
        plate = next(plate for plate in free if plate.text == reading)
        free.remove(plate)
        outcome = _text_outcome(expected, plate, threshold)
        items.append({"truth": expected, **_read(plate), "outcome": outcome, "box": plate.box})
    unread = [plate for plate in found if not plate.text]
    for expected in texts.missing:
        rest = unread or free
        fields: dict[str, Any] = {"truth": expected, "outcome": "vehicle not found"}
        if rest:
            plate = rest.pop(0)
            fields |= {**_read(plate), "box": plate.box, "outcome": _text_outcome(expected, plate, threshold)}
        elif len(scene.vehicles):
            fields["outcome"] = "plate not found"
        items.append(fields)
    return items
