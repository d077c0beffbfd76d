"""Labelled shapes: what box formats have in common, to and from the manifest's vehicles and plates."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from plateloop.data_preparation.manifest import Plate, Record, Vehicle
from plateloop.types import Box, Corners

PLATE = "license_plate"
IGNORE_VEHICLE = "ignore_vehicle"
IGNORE_PLATE = "ignore_plate"

_PLATE_WORD = re.compile(
    r"(car|vehicle)?(registration|licen[sc]e|lisence|lic|number|num)?plates?(number)?|lpd?|lps"
)
_TEXTS = (
    "text",
    "raw_text",
    "transcription",
    "plate_text",
    "plate_number",
    "number",
    "license_number",
    "ocr",
)


@dataclass(frozen=True, slots=True)
class Shape:
    """One labelled object: class, box, 4 corners where it has them, and words about it."""

    label: str
    box: Box
    corners: Corners | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


def number(value: Any) -> float:
    """A finite number, rounded to a billionth; raises ValueError or TypeError where it is none."""
    found = float(value)
    if not math.isfinite(found):
        raise ValueError(f"{value} is no coordinate")
    return round(found, 9)


def to_box(values: Sequence[Any]) -> Box:
    """``x1, y1, x2, y2`` as numbers."""
    x1, y1, x2, y2 = (number(v) for v in values)
    return x1, y1, x2, y2


def to_corners(points: Sequence[Sequence[Any]]) -> Corners:
    """Four ``x, y`` as numbers."""
    a, b, c, d = ((number(x), number(y)) for x, y in points)
    return a, b, c, d


def around(points: Iterable[Sequence[float]]) -> Box:
    """The box around ``points``."""
    xs, ys = zip(*points, strict=True)
    return to_box((min(xs), min(ys), max(xs), max(ys)))


def decimal(value: float, least: int = 0, most: int = 6) -> str:
    """``value`` with as many decimals as it needs, at least ``least`` and at most ``most``."""
    whole, _, rest = f"{value:.{most}f}".partition(".")
    rest = rest.rstrip("0").ljust(least, "0")
    text = f"{whole}.{rest}" if rest else whole
    return text.replace("-0", "0", 1) if float(text) == 0 and text.startswith("-") else text


def word(value: Any) -> str:
    """A JSON value as an attribute: text as it is, anything else as JSON writes it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def is_plate(label: str) -> bool:
    """Whether the class ``label`` is one of the many words for a plate."""
    return _PLATE_WORD.fullmatch(re.sub(r"[^a-z]", "", label.lower())) is not None


def plate_text(written: str) -> tuple[str | None, dict[str, str]]:
    """A plate's text as the manifest has it, from how a source writes it.

    Separators and letters other than A-Z and 0-9 are left out; where that changes anything, the second value
    keeps the source's own as ``raw_text``. None where nothing is left.
    """
    text = re.sub(r"[^A-Z0-9]", "", unicodedata.normalize("NFKC", written).upper())
    return text or None, {} if text == written else {"raw_text": written}


def written_text(plate: Plate) -> str | None:
    """The plate's text as its source wrote it, for formats that can hold any text."""
    return plate.attributes.get("raw_text", plate.text)


def shapes(record: Record) -> list[Shape]:
    """The record's vehicles, plates and ignored areas as shapes; all they have goes into ``attributes``."""
    found = [
        Shape(
            v.label, v.box, None, _said(v.attributes, color=v.color, annotation=v.annotation, score=v.score)
        )
        for v in record.vehicles
    ]
    for p in record.plates:
        kept = {k: v for k, v in p.attributes.items() if k not in ("label", "raw_text")}
        said = _said(kept, text=written_text(p), region=p.region, vehicle=p.vehicle, annotation=p.annotation)
        found.append(Shape(p.attributes.get("label", PLATE), p.box, p.corners, said))
    found += [Shape(IGNORE_VEHICLE, box) for box in record.ignore_vehicles]
    found += [Shape(IGNORE_PLATE, box) for box in record.ignore_plates]
    return found


def _said(attributes: Mapping[str, str], **known: object) -> dict[str, str]:
    return {k: str(v) for k, v in known.items() if v is not None} | dict(attributes)


def objects(found: Iterable[Shape], plate_label: str = PLATE) -> dict[str, Any]:
    """The fields ``vehicles, plates, ignore_vehicles, ignore_plates`` of the record that has these shapes.

    A plate's own word for its class is kept where it is not ``plate_label``. Raises ValueError where a
    plate's vehicle is none of these.
    """
    vehicles: list[Vehicle] = []
    plates: list[Plate] = []
    ignored: dict[str, list[Box]] = {IGNORE_VEHICLE: [], IGNORE_PLATE: []}
    for shape in found:
        said = dict(shape.attributes)
        if shape.label in ignored:
            ignored[shape.label].append(shape.box)
        elif is_plate(shape.label):
            if shape.label != plate_label:
                said["label"] = shape.label
            plates.append(_plate(shape, said))
        else:
            vehicles.append(
                Vehicle(
                    box=shape.box,
                    label=shape.label,
                    color=said.pop("color", None),
                    annotation=said.pop("annotation", None),
                    score=number(said.pop("score")) if "score" in said else None,
                    attributes=said,
                )
            )
    for plate in plates:
        if plate.vehicle is not None and not 0 <= plate.vehicle < len(vehicles):
            raise ValueError(f"a plate's vehicle is number {plate.vehicle} of {len(vehicles)}")
    return {
        "vehicles": tuple(vehicles),
        "plates": tuple(plates),
        "ignore_vehicles": tuple(ignored[IGNORE_VEHICLE]),
        "ignore_plates": tuple(ignored[IGNORE_PLATE]),
    }


def _plate(shape: Shape, said: dict[str, str]) -> Plate:
    source = next((key for key in _TEXTS if key in said), None)
    text, raw = plate_text(said.pop(source)) if source else (None, {})
    vehicle = said.pop("vehicle", None)
    return Plate(
        box=shape.box,
        corners=shape.corners,
        text=text,
        region=said.pop("region", None),
        vehicle=None if vehicle is None else int(vehicle),
        annotation=said.pop("annotation", None),
        attributes=said | raw,
    )


def outline(shape: Shape) -> tuple[Corners, dict[str, str]] | None:
    """For formats that have either a box or a polygon: the corners, and the box as an attribute where it is
    not just the one around them. None for a shape without corners."""
    if shape.corners is None:
        return None
    said = dict(shape.attributes)
    if shape.box != around(shape.corners):
        said["box"] = ",".join(decimal(v, most=9) for v in shape.box)
    return shape.corners, said


def from_outline(label: str, points: Sequence[Sequence[Any]], attributes: Mapping[str, str]) -> Shape:
    """The shape of a polygon: a plate of 4 points gets them as corners, all else the box around them."""
    said = dict(attributes)
    numbers = [(number(x), number(y)) for x, y in points]
    if not numbers:
        raise ValueError(f"a {label} without points")
    box = to_box(said.pop("box").split(",")) if "box" in said else around(numbers)
    corners = to_corners(numbers) if len(numbers) == 4 and is_plate(label) else None
    return Shape(label, box, corners, said)
