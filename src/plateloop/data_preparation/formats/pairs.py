"""Pairs: ``NAME.jpg`` is a crop of one plate and ``NAME.txt`` beside it holds its text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from plateloop.data_preparation.formats import crops
from plateloop.data_preparation.formats.crops import crop_text
from plateloop.data_preparation.formats.lprnet import labelled
from plateloop.data_preparation.manifest import Record
from plateloop.data_preparation.pictures import FlatNames, place, relative, split_of, walk
from plateloop.data_preparation.report import Report

HOLDS = crops.HOLDS


def read(folder: Path, report: Report) -> Iterator[Record]:
    """All pictures under ``folder`` that have a text beside them."""
    for picture in walk(folder):
        path = picture.with_suffix(".txt")
        name = relative(picture, folder)
        if not path.is_file():
            report.skip(name, f"no {path.name} beside it")
            continue
        record = report.attempt(relative(path, folder), labelled, path, picture, folder, split_of(name))
        if record is not None:
            yield record


def write(records: Iterable[Record], source: Path, target: Path, report: Report, link: bool = False) -> None:
    """Write pictures and texts, in a folder a split."""
    names = FlatNames()
    for record in records:
        text = crop_text(record, report)
        if text is not None:
            part = record.split or ""
            name = names.take(record.file, part)
            place(source / record.file, target / part / f"{name}{Path(record.file).suffix}", link)
            (target / part / f"{name}.txt").write_text(f"{text}\n", encoding="utf-8")
            report.written += 1
