"""The manifest itself as a format: copies a dataset, checks it on the way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from plateloop.data_preparation.formats import holds
from plateloop.data_preparation.manifest import Record, read_manifest, write_manifest
from plateloop.data_preparation.pictures import place
from plateloop.data_preparation.report import Report

HOLDS = holds.ALL


def read(folder: Path, report: Report) -> Iterator[Record]:
    """The records of ``folder``'s manifest whose pictures are there."""
    for record in read_manifest(folder, report.skip):
        path = PurePosixPath(record.file)
        if path.is_absolute() or ".." in path.parts:
            report.skip(record.file, "lies outside the dataset's folder")
        elif not (folder / record.file).is_file():
            report.skip(record.file, "no picture there")
        else:
            yield record


def write(records: Iterable[Record], source: Path, target: Path, report: Report, link: bool = False) -> None:
    """Write ``target/manifest.jsonl`` and put the pictures beside it, under their own paths."""

    def placed() -> Iterator[Record]:
        for record in records:
            place(source / record.file, target / record.file, link)
            report.written += 1
            yield record

    write_manifest(target, placed())
