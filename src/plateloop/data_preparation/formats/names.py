"""Names: crops of one plate each, with the text in the file's name: ``B123XYZ.jpg``, ``B123XYZ_2.jpg``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from plateloop.data_preparation.formats import crops
from plateloop.data_preparation.formats.crops import crop, crop_text
from plateloop.data_preparation.manifest import Record
from plateloop.data_preparation.pictures import FlatNames, place, relative, split_of, walk
from plateloop.data_preparation.report import Report

HOLDS = crops.HOLDS


def read(folder: Path, report: Report) -> Iterator[Record]:
    """All pictures under ``folder``; what follows a ``_`` or a bracket in a name only tells files apart."""
    for picture in walk(folder):
        name = relative(picture, folder)
        record = report.attempt(name, crop, picture, folder, _text(picture.stem), split_of(name))
        if record is not None:
            yield record


def _text(stem: str) -> str:
    return stem.partition("_")[0].partition("(")[0].strip()


def write(records: Iterable[Record], source: Path, target: Path, report: Report, link: bool = False) -> None:
    """Write pictures under their texts, in a folder a split; a name that says the text already is kept."""
    names = FlatNames()
    for record in records:
        text = crop_text(record, report)
        if text is None:
            continue
        if _text(text) != text or "/" in text or text.startswith("."):
            report.skip(record.file, f"its text {text!r} cannot be a file's name")
            continue
        path, part = PurePosixPath(record.file), record.split or ""
        name = names.free(path.stem if _text(path.stem) == text else text, part)
        place(source / record.file, target / part / f"{name}{path.suffix}", link)
        report.written += 1
