"""Labels out of an open dataset as a Label Studio or CVAT file, and back into it from one.

A file that goes out says of each picture which version of its record it shows. What comes back is taken
over where the dataset's record is still that one; where both were changed since, nothing is written over.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO, Literal, TypeVar

from plateloop.data_preparation.convert import Dataset
from plateloop.data_preparation.formats import cvat, labelstudio
from plateloop.data_preparation.labeler.journal import version
from plateloop.data_preparation.labeler.store import Store, check
from plateloop.data_preparation.manifest import Plate, Record, Vehicle, dump
from plateloop.data_preparation.report import Report
from plateloop.errors import UserError

Format = Literal["labelstudio", "labelstudio-interface", "cvat"]

FILES: dict[Format, str] = {
    "labelstudio": "labelstudio.json",
    "labelstudio-interface": "labelstudio.xml",
    "cvat": "annotations.xml",
}

VERSION = "plateloop_version"
"""The attribute of an exported picture that holds its record's version."""

NEAR = 0.05
"""Pixels by which a tool may round a coordinate without having changed it."""

_BATCH = 256

T = TypeVar("T", Vehicle, Plate)


def export(store: Store, rows: Sequence[int], form: Format, out: IO[str]) -> None:
    """Write the records of ``rows`` to ``out``, pictures named as the manifest names them.

    Raises UserError where another program's change of the manifest came in between.
    """
    generation = store.generation

    class Chosen:
        """The records, each time that they are gone through."""

        def __iter__(self) -> Iterator[Record]:
            for row in rows:
                with store.lock:
                    if store.generation != generation:
                        raise UserError("another program changed the manifest meanwhile; export again")
                    record = store.record(row)
                yield record.model_copy(update={"attributes": record.attributes | {VERSION: version(record)}})

    if form == "cvat":
        out.writelines(cvat.document(Chosen(), _file))
        return
    interface = labelstudio.Interface()
    tasks = labelstudio.tasks(Chosen(), _file, interface)
    if form == "labelstudio":
        out.writelines(tasks)
        return
    for _ in tasks:
        pass
    out.write(interface.xml())


def _file(record: Record) -> str:
    return record.file


@dataclass
class Conflict:
    """A picture that was changed both here, where its record has the version ``here``, and in the file, whose
    record ``theirs`` is as a manifest's line; ``base`` is the version that had gone out."""

    file: str
    here: str
    theirs: str
    base: str | None


@dataclass
class Import:
    """What a file brought: pictures taken over, those with nothing new, what could not be used and why, and
    the conflicts by row, from which nothing was taken."""

    name: str
    generation: int
    taken: int = 0
    same: int = 0
    report: Report = field(default_factory=Report)
    conflicts: dict[int, Conflict] = field(default_factory=dict)


def take_over(store: Store, path: Path, name: str) -> Import:
    """Take the labels of the file at ``path`` (``name`` to the user) over into the dataset.

    Each batch of pictures is on the disk at once; done again, it changes nothing. Raises UserError where the
    file is none of a known kind, OSError where edits could not be written.
    """
    with TemporaryDirectory() as folder:
        path = _unzipped(path, name, Path(folder))
        done = Import(name, store.generation)
        files = _Files(store)
        read = _reader(path, name, files)
        records = Dataset(path, read, done.report)
        seen: set[str] = set()
        found = _once(records, seen, done.report)
        while batch := tuple(islice(found, _BATCH)):
            _take(store, files, batch, done)
    _clear(store, done)
    return done


def settle(store: Store, done: Import, rows: Iterable[int], take: bool) -> None:
    """Settle conflicts: take the file's record over the one that was shown, or leave that be.

    A record that was changed once more stays a conflict, with what is there now.
    """
    for row in list(rows):
        conflict = done.conflicts.get(row)
        if conflict is None:
            continue
        if take:
            with store.lock:
                if store.generation != done.generation:
                    raise UserError("another program changed the manifest meanwhile; import the file again")
                here = store.record(row)
                if version(here) != conflict.here:
                    conflict.here = version(here)
                    continue
                store.put(row, conflict.here, merged(here, Record.model_validate_json(conflict.theirs)))
            done.taken += 1
        del done.conflicts[row]


def _unzipped(path: Path, name: str, folder: Path) -> Path:
    """The annotations in the archive that both tools give; ``path`` itself where it is none."""
    if not zipfile.is_zipfile(path):
        return path
    with zipfile.ZipFile(path) as archive:
        members = [info for info in archive.infolist() if info.filename.lower().endswith((".xml", ".json"))]
        if len(members) != 1:
            raise UserError(f"{name}: has {len(members)} XML or JSON files in it; import them one by one")
        return Path(archive.extract(members[0], folder))


class _Files:
    """The pictures of the dataset by the names that foreign files give them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._index()

    def _index(self) -> None:
        with self._store.lock:
            self.generation = self._store.generation
            self.rows = {self._store.record(row).file: row for row in range(len(self._store))}
        self._last: dict[str, str | None] = {}
        for file in self.rows:
            last = PurePosixPath(file).name
            self._last[last] = None if last in self._last else file

    def row(self, file: str) -> int | None:
        """The row of a manifest's name, as rows are numbered now."""
        if self.generation != self._store.generation:
            self._index()
        return self.rows.get(file)

    def find(self, name: str, subset: str = "") -> tuple[str, tuple[int, int]]:
        """The manifest's name and the size of a picture: the very name, the name in a folder of the dataset,
        or else its last part where only one picture has it. Raises ValueError where it cannot be told."""
        name = name.replace("\\", "/").lstrip("/")
        last = PurePosixPath(name).name
        candidates = (name, f"images/{name}", f"{subset}/{name}", f"images/{subset}/{name}")
        file = next((file for file in candidates if file in self.rows), self._last.get(last, ""))
        if file is None:
            raise ValueError(f"several pictures of this dataset are called {last}")
        row = self.row(file)
        if row is None:
            raise ValueError(f"no picture {name} in this dataset")
        record = self._store.record(row)
        return record.file, (record.width, record.height)


def _reader(path: Path, name: str, files: _Files) -> Callable[[Path, Report], Iterator[Record]]:
    with path.open("rb") as file:
        head = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(b"<"):
        return lambda path, report: cvat.read_images(path, name, files.find, report)
    if head.startswith((b"[", b"{")):
        return lambda path, report: labelstudio.read_tasks(path, name, files.find, report)
    raise UserError(f"{name}: neither Label Studio's JSON nor CVAT's XML (nor a zip file with one of them)")


def _once(records: Iterable[Record], seen: set[str], report: Report) -> Iterator[Record]:
    for record in records:
        if record.file in seen:
            report.skip(record.file, "stands in the file more than once; the first counts")
        else:
            seen.add(record.file)
            yield record


def _take(store: Store, files: _Files, batch: Sequence[Record], done: Import) -> None:
    """Take a batch over, but for what is in conflict."""
    with store.lock:
        store.relieve()
        edits = dict[int, Record]()
        for theirs in batch:
            row, base = files.row(theirs.file), theirs.attributes.get(VERSION)
            if row is None:
                done.report.skip(theirs.file, "is in this dataset no more")
                continue
            here = store.record(row)
            new = merged(here, theirs)
            try:
                check(here, new)
            except ValueError as error:
                done.report.skip(theirs.file, str(error))
                continue
            if new == here:
                done.same += 1
            elif base == version(here) or not (base or _labelled(here)):
                edits[row] = new
            else:
                done.conflicts[row] = Conflict(here.file, version(here), dump(theirs), base)
        if edits:
            store.put_all(edits)
            done.taken += len(edits)
        done.generation = store.generation


def _clear(store: Store, done: Import) -> None:
    """Drop the conflicts of pictures that came back as they had gone out, where the history knows that."""
    once = store.earlier({conflict.base for conflict in done.conflicts.values() if conflict.base})
    for row, conflict in list(done.conflicts.items()):
        before = once.get(conflict.base or "")
        if before and merged(before, Record.model_validate_json(conflict.theirs)) == before:
            del done.conflicts[row]
            done.same += 1


def _labelled(record: Record) -> bool:
    return bool(record.vehicles or record.plates or record.ignore_vehicles or record.ignore_plates)


def merged(here: Record, theirs: Record) -> Record:
    """``here`` with the vehicles, plates, ignored areas and tags of ``theirs``; all else stays.

    A kind of object that the file nowhere has stays too. An object that is the same but for rounding stays to
    the digit; one that is new or changed counts as labelled by people.
    """
    changes: dict[str, object] = {"tags": tuple(dict.fromkeys((*here.tags, *theirs.tags)))}
    if theirs.vehicles_annotated:
        found = tuple(_vehicle(here.vehicles, vehicle) for vehicle in theirs.vehicles)
        changes |= {"vehicles": found, "vehicles_annotated": here.vehicles_annotated or bool(found)}
        changes["ignore_vehicles"] = _boxes(here.ignore_vehicles, theirs.ignore_vehicles)
    if theirs.plates_annotated:
        loose = not theirs.vehicles_annotated
        plates = tuple(_plate(here.plates, plate, loose) for plate in theirs.plates)
        changes |= {"plates": plates, "plates_annotated": here.plates_annotated or bool(plates)}
        changes["ignore_plates"] = _boxes(here.ignore_plates, theirs.ignore_plates)
    return here.model_copy(update=changes)


def _vehicle(known: Sequence[Vehicle], theirs: Vehicle) -> Vehicle:
    same = _same(known, theirs, ())
    return same or theirs.model_copy(update={"annotation": "annotated", "score": None})


def _plate(known: Sequence[Plate], theirs: Plate, loose: bool) -> Plate:
    """``loose``: the file knows of no vehicles, so a plate keeps its own."""
    if same := _same(known, theirs, ("vehicle",) if loose else ()):
        return same
    read = theirs.text is None or (theirs.text, theirs.annotation) in {(p.text, p.annotation) for p in known}
    return theirs if read else theirs.model_copy(update={"annotation": "annotated"})


def _same(known: Sequence[T], theirs: T, free: tuple[str, ...]) -> T | None:
    """The one of ``known`` that differs from ``theirs`` by rounding and in ``free`` fields only."""
    names = [name for name in ("box", "corners", *free) if hasattr(theirs, name)]
    for item in known:
        alike = item.model_copy(update={name: getattr(theirs, name) for name in names})
        if alike == theirs and _near(_numbers(item), _numbers(theirs)):
            return item
    return None


def _boxes(known: Sequence[tuple[float, ...]], theirs: Sequence[tuple[float, ...]]) -> tuple[object, ...]:
    return tuple(next((box for box in known if _near(box, other)), other) for other in theirs)


def _numbers(item: Vehicle | Plate) -> list[float]:
    corners = item.corners if isinstance(item, Plate) else None
    return [*item.box, *chain.from_iterable(corners or ())]


def _near(a: Sequence[float], b: Sequence[float]) -> bool:
    return len(a) == len(b) and all(abs(p - q) <= NEAR for p, q in zip(a, b, strict=True))
