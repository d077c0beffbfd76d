"""Pictures of one plate each, with its text: what the text formats have in common."""

from __future__ import annotations

from pathlib import Path

from plateloop.data_preparation.formats.shapes import plate_text, written_text
from plateloop.data_preparation.manifest import Plate, Record
from plateloop.data_preparation.pictures import Split, relative, size
from plateloop.data_preparation.report import Report

HOLDS = frozenset({"split", "plates", "plate.text", "plate.attributes.raw_text"})


def crop(picture: Path, folder: Path, written: str, split: Split | None = None) -> Record:
    """The record of a picture that is wholly one plate, whose text its source writes as ``written``.

    Raises ValueError where the picture cannot be read or the text is empty.
    """
    width, height = size(picture)
    written = written.strip()
    if not written:
        raise ValueError("an empty text")
    text, raw = plate_text(written)
    return Record(
        file=relative(picture, folder),
        width=width,
        height=height,
        split=split,
        plates=(Plate(box=(0, 0, width, height), text=text, attributes=raw),),
        vehicles_annotated=False,
    )


def crop_text(record: Record, report: Report) -> str | None:
    """The text of a record that is wholly one plate; None, and a line in the report, where it is not."""
    text = written_text(record.plates[0]) if len(record.plates) == 1 else None
    if len(record.plates) != 1:
        report.skip(record.file, f"{len(record.plates)} plates, not one; run `plateloop data crop` first")
    elif tuple(record.plates[0].box) != (0, 0, record.width, record.height):
        report.skip(record.file, "the plate is a part of the picture; run `plateloop data crop` first")
    elif not text:
        report.skip(record.file, "its plate has no text")
    else:
        return text
    return None


def characters(texts: set[str]) -> str:
    """The characters file of NVIDIA TAO: one a line, digits first."""
    return "".join(f"{character}\n" for character in sorted(texts))
