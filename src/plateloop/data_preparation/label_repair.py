"""Corrects a systematic fault in a source's labels, seen on its pictures.

`formats.collection` applies it where frames are imported; for datasets imported before, training and its
evaluation apply it again, which changes nothing where it was done.
"""

from __future__ import annotations

from plateloop.data_preparation.manifest import Plate, Record

SWAPPED = ("EasyPR_CN",)
"""Sources whose rotated rectangles were read with their sides swapped, as OpenCV's angle convention invites:
about a quarter of their plate boxes stand upright across a lying plate, with the right centre."""


def repaired(record: Record) -> Record:
    """``record`` with such boxes laid down again; others, and other sources, as they are."""
    if record.source not in SWAPPED or not any(_upright(plate) for plate in record.plates):
        return record
    plates = tuple(_laid(plate, record) if _upright(plate) else plate for plate in record.plates)
    return record.model_copy(update={"plates": plates})


def _upright(plate: Plate) -> bool:
    x1, y1, x2, y2 = plate.box
    return y2 - y1 > 1.5 * (x2 - x1)


def _laid(plate: Plate, record: Record) -> Plate:
    x1, y1, x2, y2 = plate.box
    x, y, half_width, half_height = (x1 + x2) / 2, (y1 + y2) / 2, (y2 - y1) / 2, (x2 - x1) / 2
    box = (
        max(0.0, x - half_width),
        max(0.0, y - half_height),
        min(float(record.width), x + half_width),
        min(float(record.height), y + half_height),
    )
    return plate.model_copy(update={"box": box})
