"""What the tests of cleaning share: a record made in one line, and a car in it."""

from __future__ import annotations

from plateloop.data_preparation.manifest import Plate, Record, Vehicle


def record(*plates: Plate, vehicles: tuple[Vehicle, ...] = (), **more: object) -> Record:
    fields = {"file": "a.png", "width": 200, "height": 100, "plates": plates, "vehicles": vehicles, **more}
    return Record.model_validate(fields)


CAR = Vehicle(box=(10, 10, 120, 90), label="car")
