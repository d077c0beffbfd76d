"""Pictures put into another folder, many at once: where another kind of file is asked for, on all cores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from plateloop.data_preparation.manifest import Record
from plateloop.data_preparation.parallel import each
from plateloop.data_preparation.pictures import place
from plateloop.data_preparation.report import Report

TAO = frozenset({".jpg", ".jpeg", ".png"})
"""The pictures that NVIDIA TAO reads."""


def tao_suffix(file: str) -> str:
    """The suffix of a picture ``file`` for TAO: what it cannot read becomes PNG, which keeps every pixel."""
    suffix = Path(file).suffix
    return suffix if suffix.lower() in TAO else ".png"


def place_all(
    wanted: Iterable[tuple[Record, Path]], source: Path, report: Report, link: bool = False
) -> Iterator[tuple[Record, Path]]:
    """`place` the picture of each record of ``source`` at its path; yields, in order, those that are there.

    One that cannot be read goes into ``report``. Raises UserError where ``link`` is asked across file
    systems.
    """

    def work(item: tuple[Record, Path]) -> tuple[Record, Path, dict[str, str]]:
        record, target = item
        own = Report()
        own.attempt(record.file, place, source / record.file, target, link)
        return record, target, own.skipped

    for record, target, skipped in each(work, wanted):
        if skipped:
            report.skip(record.file, skipped[record.file])
        else:
            yield record, target
