"""Boxes: outside the picture, without an area, plates outside their vehicle or too small to read."""

from __future__ import annotations

from collections.abc import Iterator

from plateloop.data_preparation.clean.finding import Finding, covers, own_height
from plateloop.data_preparation.manifest import Plate, Record, Vehicle
from plateloop.types import Box

# Boxes may reach out by rounding.
_OUT = 0.5
# Below this a side holds nothing to see.
_LEAST_SIDE = 1.0
# Share of a plate that must lie within its vehicle, as in `runtime.lpdnet`.
_BELONGS = 0.5
# Height over width from which a plate is taken to stand upright; the squarest two-row plates are below 1.
_UPRIGHT = 1.5


def check(record: Record, least_height: float) -> Iterator[Finding]:
    """The faults of the boxes; a plate with text less than ``least_height`` pixels high is too small."""
    width, height = record.width, record.height
    for name, box in _named(record):
        x1, y1, x2, y2 = clipped(box, width, height)
        if min(x2 - x1, y2 - y1) < _LEAST_SIDE:
            yield Finding("box-degenerate", record.file, f"{name} {_said(box)}", place=box)
            continue
        out = max(-box[0], -box[1], box[2] - width, box[3] - height)
        if out > _OUT:
            reason = f"{name} {_said(box)} in a picture of {width} × {height}"
            yield Finding("box-outside", record.file, reason, out / max(width, height), box)
    for index, plate in enumerate(record.plates):
        name = f"plate {index}"
        if is_upright(plate) and not covers(plate.box, record):
            ratio = (plate.box[3] - plate.box[1]) / max(1e-6, plate.box[2] - plate.box[0])
            reason = f"{name} is {ratio:.1f} times as high as wide"
            yield Finding("plate-upright", record.file, reason, ratio, plate.box)
        if plate.text and own_height(plate) < least_height:
            reason = f"{name} is {own_height(plate):.0f} pixels high, with text {plate.text}"
            yield Finding("plate-small", record.file, reason, -own_height(plate), plate.box)
        inside = _inside(record, plate)
        if inside < _BELONGS:
            owner = _owner(record, plate)
            reason = f"{name} lies {inside:.0%} within its vehicle {plate.vehicle}"
            seen = None if owner is None else owner.box
            yield Finding("plate-outside", record.file, reason, 1 - inside, plate.box, seen)


def mend(record: Record) -> Record:
    """The record with boxes cut to the picture, those without an area gone, and no plate tied to a vehicle
    that it does not lie on."""
    size = record.width, record.height
    moved: dict[int, int] = {}
    vehicles: list[Vehicle] = []
    for index, vehicle in enumerate(record.vehicles):
        box = clipped(vehicle.box, *size)
        if _sound(box):
            moved[index] = len(vehicles)
            vehicles.append(vehicle.model_copy(update={"box": box}))
    plates = []
    for plate in record.plates:
        box = clipped(plate.box, *size)
        if _sound(box):
            number = plate.vehicle if _inside(record, plate) >= _BELONGS else None
            owner = None if number is None else moved.get(number)
            plates.append(plate.model_copy(update={"box": box, "vehicle": owner}))
    ignored = {
        name: tuple(box for box in (clipped(b, *size) for b in getattr(record, name)) if _sound(box))
        for name in ("ignore_vehicles", "ignore_plates")
    }
    return record.model_copy(update={"vehicles": tuple(vehicles), "plates": tuple(plates), **ignored})


def is_upright(plate: Plate) -> bool:
    """Whether the box is so much higher than wide as no plate is that stands level."""
    x1, y1, x2, y2 = plate.box
    return plate.corners is None and y2 - y1 > _UPRIGHT * (x2 - x1) > 0


def laid(box: Box, width: float, height: float) -> Box:
    """The box with its sides swapped about its centre, cut to the picture."""
    x, y, half_width, half_height = (
        (box[0] + box[2]) / 2,
        (box[1] + box[3]) / 2,
        (box[3] - box[1]) / 2,
        (box[2] - box[0]) / 2,
    )
    return clipped((x - half_width, y - half_height, x + half_width, y + half_height), width, height)


def clipped(box: Box, width: float, height: float) -> Box:
    """The box cut to a picture of ``width`` × ``height``, its ends in order."""
    x1, x2 = sorted((min(max(box[0], 0), width), min(max(box[2], 0), width)))
    y1, y2 = sorted((min(max(box[1], 0), height), min(max(box[3], 0), height)))
    return x1, y1, x2, y2


def _named(record: Record) -> Iterator[tuple[str, Box]]:
    for name in ("vehicles", "plates"):
        for index, item in enumerate(getattr(record, name)):
            yield f"{name[:-1]} {index}", item.box
    for name in ("ignore_vehicles", "ignore_plates"):
        for index, box in enumerate(getattr(record, name)):
            yield f"{name} {index}", box


def _inside(record: Record, plate: Plate) -> float:
    """The share of the plate within the vehicle that it names, 0 without such a one; 1 if it names none."""
    owner = _owner(record, plate)
    if owner is None:
        return float(plate.vehicle is None)
    a, b = plate.box, owner.box
    common = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    area = (a[2] - a[0]) * (a[3] - a[1])
    return common / area if area > 0 else 0.0


def _owner(record: Record, plate: Plate) -> Vehicle | None:
    number = plate.vehicle
    return record.vehicles[number] if number is not None and 0 <= number < len(record.vehicles) else None


def _sound(box: Box) -> bool:
    return min(box[2] - box[0], box[3] - box[1]) >= _LEAST_SIDE


def _said(box: Box) -> str:
    return "[" + ", ".join(f"{value:g}" for value in box) + "]"
