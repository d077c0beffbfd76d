"""An event as a message, in the three schemas that users of DeepStream's nvmsgconv know.

``full`` and ``minimal`` have the keys, their order and the types of nvmsgconv 9; ``custom`` has a car with
its plate in one object. In ``custom`` an absent text is "None", an absent confidence 0.0 and an absent box
all 0; in the others an absent text is empty. Boxes are in pixels of the source picture.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID, uuid5

from plateloop.deployment.kafka.config import Schema
from plateloop.deployment.kafka.metadata import ORIGIN, Module, Place, Scenery, Sensor, Triple
from plateloop.deployment.lines import timestamp
from plateloop.deployment.store import Stored
from plateloop.types import Box

# Of all messages' ids: with the event's id and number it makes the same one each time it is sent.
NAMESPACE = UUID("6f4a63d2-39a0-5d1c-8a5f-0f6c1f5a7e25")
NOWHERE: Box = (0.0, 0.0, 0.0, 0.0)


def payload(stored: Stored, schema: Schema, scenery: Scenery) -> bytes:
    """The message of an event as UTF-8 JSON."""
    message = SCHEMAS[schema](stored, scenery)
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def message_id(stored: Stored) -> str:
    """A UUID that stays the same when the same phase of the same event is sent again."""
    return str(uuid5(NAMESPACE, f"{stored.event.id}/{stored.sequence}"))


def custom(stored: Stored, scenery: Scenery) -> dict[str, Any]:
    """The ``custom`` schema: one car with its plate."""
    event, vehicle, plate = stored.event, stored.event.vehicle, stored.event.plate
    sensor = scenery.sensor(event.source, stored.position)
    return {
        **_head(stored),
        "frame_id": stored.frame,
        "sensor": {
            "id": sensor.id,
            "type": sensor.type,
            "description": sensor.description,
            "location": {axis: _short(value) for axis, value in _location(sensor.location).items()},
        },
        "object": {
            "car_id": str(event.track),
            "vehicle": {
                "color": (vehicle and vehicle.color) or "None",
                "region": (plate and plate.region) or "None",
                "license": event.text or "None",
                "tcnet_confidence": vehicle.confidence if vehicle else 0.0,
                "lpdnet_confidence": plate.confidence if plate else 0.0,
                "lprnet_confidence": event.confidence if event.text else 0.0,
                "colornet_confidence": (vehicle and vehicle.color_confidence) or 0.0,
            },
            "car_bbox": _bbox(vehicle.box if vehicle else NOWHERE),
            "lpd_bbox": _bbox(plate.box if plate else NOWHERE),
        },
        **_tail(stored),
    }


def full(stored: Stored, scenery: Scenery) -> dict[str, Any]:
    """The ``full`` schema of nvmsgconv, with the place of a moving vehicle (an aisle)."""
    event, vehicle, plate = stored.event, stored.event.vehicle, stored.event.plate
    number = scenery.number(event.source, stored.position)
    sensor, place = (
        scenery.sensor(event.source, stored.position),
        scenery.place(event.source, stored.position),
    )
    return {
        **_head(stored),
        "place": _place(place) if place else None,
        "sensor": _sensor(sensor),
        "analyticsModule": _module(scenery.modules[number]) if number in scenery.modules else None,
        "object": {
            "id": str(event.track),
            "speed": 0.0,
            "direction": 0.0,
            "orientation": 0.0,
            "vehicle": {
                "type": vehicle.label if vehicle else "",
                "make": "",
                "model": "",
                "color": (vehicle and vehicle.color) or "",
                "licenseState": (plate and plate.region) or "",
                "license": event.text or "",
                "confidence": float(vehicle.confidence if vehicle else plate.confidence if plate else 0),
            },
            "bbox": _bbox(vehicle.box if vehicle else plate.box if plate else NOWHERE),
            "location": _location(ORIGIN),
            "coordinate": _coordinate(ORIGIN),
            "pose": {},
        },
        **_tail(stored),
    }


def minimal(stored: Stored, scenery: Scenery) -> dict[str, Any]:
    """The ``minimal`` schema of nvmsgconv: the object is a text of fields between bars."""
    event, vehicle, plate = stored.event, stored.event.vehicle, stored.event.plate
    box = vehicle.box if vehicle else plate.box if plate else NOWHERE
    confidence = vehicle.confidence if vehicle else plate.confidence if plate else 0
    attributes = (
        vehicle.label if vehicle else "",
        "",
        "",
        (vehicle and vehicle.color) or "",
        event.text or "",
        (plate and plate.region) or "",
    )
    fields = [event.track, *(round(edge) for edge in box), "Vehicle", "#", *attributes, f"{confidence:g}"]
    return {
        "version": "4.0",
        "id": str(stored.frame),
        "@timestamp": timestamp(stored.time),
        "sensorId": scenery.sensor(event.source, stored.position).id,
        # A bar within a field would be read as the next field.
        "objects": ["|".join(str(part).replace("|", "/") for part in fields)],
    }


SCHEMAS: Mapping[Schema, Callable[[Stored, Scenery], dict[str, Any]]] = {
    "custom": custom,
    "full": full,
    "minimal": minimal,
}


def _head(stored: Stored) -> dict[str, Any]:
    return {
        "messageid": message_id(stored),
        "mdsversion": "1.0",
        "@timestamp": timestamp(stored.time),
    }


def _tail(stored: Stored) -> dict[str, Any]:
    return {"event": {"id": stored.event.id, "type": "moving"}, "videoPath": ""}


def _bbox(box: Box) -> dict[str, int]:
    names = ("topleftx", "toplefty", "bottomrightx", "bottomrighty")
    return {name: round(edge) for name, edge in zip(names, box, strict=True)}


def _location(point: Triple) -> dict[str, float]:
    return dict(zip(("lat", "lon", "alt"), point, strict=True))


def _coordinate(point: Triple) -> dict[str, float]:
    return dict(zip(("x", "y", "z"), point, strict=True))


def _short(number: float) -> float:
    return int(number) if number == int(number) else number


def _sensor(sensor: Sensor) -> dict[str, Any]:
    return {
        "id": sensor.id,
        "type": sensor.type,
        "description": sensor.description,
        "location": _location(sensor.location),
        "coordinate": _coordinate(sensor.coordinate),
    }


def _place(place: Place) -> dict[str, Any]:
    identity, name, level = place.parts
    return {
        "id": place.id,
        "name": place.name,
        "type": place.type,
        "location": _location(place.location),
        "aisle": {"id": identity, "name": name, "level": level, "coordinate": _coordinate(place.coordinate)},
    }


def _module(module: Module) -> dict[str, Any]:
    return {
        "id": module.id,
        "description": module.description,
        "source": module.source,
        "version": module.version,
    }
