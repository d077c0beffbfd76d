"""Class maps: rename the classes of a dataset's objects, or leave some out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from plateloop.data_preparation.formats.shapes import Shape, is_plate, objects, shapes
from plateloop.data_preparation.manifest import Record
from plateloop.errors import UserError


def parse(pairs: Iterable[str]) -> dict[str, str]:
    """A class map from ``OLD=NEW`` words; ``OLD=`` leaves the class out. Raises UserError for others."""
    found = {}
    for pair in pairs:
        old, equals, new = pair.partition("=")
        if not equals or not old:
            raise UserError(f"{pair}: a class map is written OLD=NEW, or OLD= to leave the class out")
        found[old] = new
    return found


def relabel(record: Record, labels: Mapping[str, str]) -> Record:
    """The record with its objects' classes renamed; a class mapped to nothing is left out.

    A vehicle that is renamed to a word for a plate becomes one, and the other way round. Plates keep their
    vehicles.
    """
    found = shapes(record)
    if not any(shape.label in labels for shape in found):
        return record
    kept: list[Shape] = []
    moved: dict[str, int] = {}
    for index, shape in enumerate(found):
        label = labels.get(shape.label, shape.label)
        if label:
            if index < len(record.vehicles) and not is_plate(label):
                moved[str(index)] = len(moved)
            kept.append(replace(shape, label=label))
    return record.model_copy(update=objects(_follow(shape, moved) for shape in kept))


def _follow(shape: Shape, moved: Mapping[str, int]) -> Shape:
    """The shape with its vehicle's new number, without one where that vehicle is gone."""
    if not is_plate(shape.label) or "vehicle" not in shape.attributes:
        return shape
    said = {key: value for key, value in shape.attributes.items() if key != "vehicle"}
    number = moved.get(shape.attributes["vehicle"])
    return replace(shape, attributes=said | ({"vehicle": str(number)} if number is not None else {}))
