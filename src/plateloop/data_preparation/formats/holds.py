"""What of a record a format can hold, by name, and what is lost on the way to it.

Names are a record's fields; ``vehicle.…`` and ``plate.…`` those of its vehicles and plates;
``plate.attributes`` stands for any attribute, ``plate.attributes.KEY`` for one.
"""

from __future__ import annotations

from typing import Any

from plateloop.data_preparation.manifest import Plate, Record, Vehicle

VEHICLE = frozenset({"vehicle.color", "vehicle.annotation", "vehicle.score", "vehicle.attributes"})
PLATE = frozenset(
    {"plate.corners", "plate.text", "plate.region", "plate.vehicle", "plate.annotation", "plate.attributes"}
)
RECORD = frozenset({"source", "license", "region", "split", "texts", "sequence", "tags", "attributes"})
IGNORED = frozenset({"ignore_vehicles", "ignore_plates"})
ALL = VEHICLE | PLATE | RECORD | IGNORED | {"vehicles", "plates"}

# Neither is a format's to say: they follow from what a whole folder labels.
_ALWAYS = frozenset({"file", "width", "height", "vehicles_annotated", "plates_annotated"})


def keep(record: Record, holds: frozenset[str]) -> tuple[Record, set[str]]:
    """The record with only what ``holds`` names, and the names of what it had beyond that."""
    if holds == ALL:
        return record, set()
    lost: set[str] = set()
    fields = _kept(record, "", holds | _ALWAYS, lost)
    for name, kind in (("vehicles", "vehicle."), ("plates", "plate.")):
        items = getattr(record, name) if name in holds else ()
        fields[name] = tuple(type(item)(**_kept(item, kind, holds, lost)) for item in items)
    return Record(**fields), lost


def _kept(item: Record | Vehicle | Plate, kind: str, holds: frozenset[str], lost: set[str]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, info in type(item).model_fields.items():
        value = getattr(item, name)
        if f"{kind}{name}" in holds or (kind and name in ("box", "label")):
            fields[name] = value
        elif name == "attributes":
            fields[name] = {k: v for k, v in value.items() if f"{kind}{name}.{k}" in holds}
            lost.update(f"{kind}{name}.{k}" for k in value.keys() - fields[name].keys())
        elif value != info.default and name not in ("file", "width", "height"):
            lost.add(f"{kind}{name}")
    return fields
