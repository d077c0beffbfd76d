"""Boxes that stand across their plates are laid down, in the sources known for it only."""

from __future__ import annotations

from plateloop.data_preparation.label_repair import repaired
from plateloop.data_preparation.manifest import Plate, Record


def record(source: str) -> Record:
    plates = (Plate(box=(50, 10, 60, 50), text="A1"), Plate(box=(10, 70, 50, 80)), Plate(box=(2, 60, 10, 90)))
    return Record(file="none", width=100, height=100, source=source, plates=plates)


def test_swapped_sides_are_swapped_back_about_the_centre() -> None:
    first, second, third = repaired(record("EasyPR_CN")).plates
    assert first.box == (35, 25, 75, 35) and first.text == "A1"
    assert second == record("EasyPR_CN").plates[1]
    assert third.box == (0, 71, 21, 79)


def test_other_sources_have_upright_plates() -> None:
    assert repaired(record("sambett_TN")) == record("sambett_TN")
