"""Convert a dataset from any format into any other, by way of the manifest's records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from plateloop.data_preparation.formats import (
    ccpd,
    coco,
    csv,
    cvat,
    kitti,
    labelme,
    labelstudio,
    lprnet,
    manifest,
    names,
    ocrnet,
    openalpr,
    pairs,
    voc,
    yolo,
)
from plateloop.data_preparation.formats.holds import keep
from plateloop.data_preparation.manifest import Record
from plateloop.data_preparation.pictures import relative, size, walk
from plateloop.data_preparation.relabel import relabel
from plateloop.data_preparation.report import Report
from plateloop.errors import UserError


class Format(Protocol):
    """What a module of ``formats`` has: the names of what it can hold, and how it is read and written."""

    HOLDS: frozenset[str]

    def read(self, folder: Path, report: Report) -> Iterator[Record]:
        """The records of ``folder``; what is malformed goes into ``report``."""

    def write(
        self, records: Iterable[Record], source: Path, target: Path, report: Report, link: bool = False
    ) -> None:
        """Write ``records``, whose pictures lie in ``source``, to ``target``."""


FORMATS: dict[str, Format] = {
    "manifest": manifest,
    "kitti": kitti,
    "yolo": yolo,
    "voc": voc,
    "coco": coco,
    "cvat": cvat,
    "labelstudio": labelstudio,
    "labelme": labelme,
    "ccpd": ccpd,
    "lprnet": lprnet,
    "ocrnet": ocrnet,
    "openalpr": openalpr,
    "pairs": pairs,
    "names": names,
    "csv": csv,
}


@dataclass
class Dataset:
    """The records of ``folder`` in a format, read anew each time that they are gone through.

    ``labels`` renames classes; ``origin`` gives records a ``source``, ``license`` or ``region`` where they
    have none; ``holds`` leaves out of each record what a later format cannot hold, and counts it in
    ``report``; ``tick`` is called for each record.
    """

    folder: Path
    read: Callable[[Path, Report], Iterator[Record]]
    report: Report = field(default_factory=Report)
    labels: Mapping[str, str] = field(default_factory=dict)
    origin: Mapping[str, str] = field(default_factory=dict)
    holds: frozenset[str] = manifest.HOLDS
    tick: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self._vehicles, self._plates = self.read is manifest.read, self.read is manifest.read
        if not self._vehicles:
            self._vehicles, self._plates = self._kinds()

    def _kinds(self) -> tuple[bool, bool]:
        """Whether any record has vehicles, and any plates: a folder that never labels one kind says nothing
        about it, rather than that there is none."""
        vehicles = plates = False
        for record in self.read(self.folder, Report()):
            renamed = relabel(record, self.labels)
            vehicles = vehicles or bool(renamed.vehicles)
            plates = plates or bool(renamed.plates)
            if vehicles and plates:
                break
        return vehicles, plates

    def __iter__(self) -> Iterator[Record]:
        # Each pass meets the same losses: only those of the last are counted.
        self.report.lost.clear()
        for record in self.read(self.folder, self.report):
            annotated = {
                "vehicles_annotated": record.vehicles_annotated and self._vehicles,
                "plates_annotated": record.plates_annotated and self._plates,
            }
            unsaid = {name: said for name, said in self.origin.items() if not getattr(record, name)}
            renamed = relabel(record, self.labels)
            kept, lost = keep(renamed.model_copy(update=annotated | unsaid), self.holds)
            self.report.lost.update(lost)
            self.tick()
            yield kept


def convert(
    source: Path,
    target: Path,
    source_format: str,
    target_format: str,
    link: bool = False,
    labels: Mapping[str, str] | None = None,
    tick: Callable[[], None] = lambda: None,
    origin: Mapping[str, str] | None = None,
) -> Report:
    """Convert the dataset ``source`` into ``target``; done again, it changes nothing.

    Pictures are copied, or with ``link`` given a second name. ``labels`` renames classes (to nothing: leaves
    them out), ``origin`` is as in `Dataset`. Returns what was written, skipped and lost. Malformed files are
    skipped, never the rest.

    Raises UserError for a folder or format that is not there, and where one folder lies in the other.
    """
    readers = {name: module.read for name, module in FORMATS.items()} | {"pictures": unlabelled}
    if source_format not in readers or target_format not in FORMATS:
        wrong = source_format if source_format not in readers else target_format
        raise UserError(f"{wrong}: no such format; there are {', '.join(FORMATS)}")
    apart(source, target)
    report = Report()
    writer = FORMATS[target_format]
    records = Dataset(source, readers[source_format], report, labels or {}, origin or {}, writer.HOLDS, tick)
    writer.write(records, source, target, report, link)
    return report


def unlabelled(folder: Path, report: Report) -> Iterator[Record]:
    """The pictures under ``folder``, about which nothing is known yet."""
    for picture in walk(folder):
        file = relative(picture, folder)
        sides = report.attempt(file, size, picture)
        if sides is not None:
            yield Record(
                file=file, width=sides[0], height=sides[1], vehicles_annotated=False, plates_annotated=False
            )


def apart(source: Path, target: Path) -> None:
    """Raise UserError unless ``source`` is a folder and neither it nor ``target`` lies in the other."""
    if not source.is_dir():
        raise UserError(f"{source}: no such folder")
    a, b = source.resolve(), target.resolve()
    if a == b or a in b.parents or b in a.parents:
        raise UserError(f"{target}: lies in {source} or around it; choose a folder beside it")
    if target.exists() and not target.is_dir():
        raise UserError(f"{target}: is a file, not a folder")
