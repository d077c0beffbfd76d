"""The labels of one dataset, for many readers and writers at once: the manifest, and the journal over it."""

from __future__ import annotations

import errno
import os
import re
import shutil
from array import array
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import BinaryIO

import numpy as np

from plateloop.data_preparation.labeler.index import Index, build, read_lines
from plateloop.data_preparation.labeler.journal import Edit, Journal, Pending, now, sync_folder, version
from plateloop.data_preparation.manifest import NAME, Plate, Record, dump
from plateloop.errors import UserError
from plateloop.files import atomic
from plateloop.types import Box

FOLD_AFTER = 5_000
"""Edited pictures that are kept in memory before they are written into the manifest."""


_TEXT = re.compile("[A-Z0-9]{1,16}")


class ConflictError(Exception):
    """The record is no longer the one that the writer had seen; it is now ``record``."""

    def __init__(self, record: Record) -> None:
        super().__init__(f"{record.file} was changed meanwhile")
        self.record = record


class Store:
    """The records of a dataset by row, with edits that last at once. Safe to use from many threads.

    An edit is on the disk, in the journal, when `put` returns; `fold` writes all edits into the manifest,
    which happens at the start, at the end and when asked. Lines of the manifest that were not edited, or are
    no records, stay as they are to the byte. ``generation`` counts how often rows may have got new numbers,
    ``conflicts`` names the files whose edits another program's change of the manifest stood against.
    """

    def __init__(self, folder: Path) -> None:
        """Open ``folder``. Raises UserError where it has no manifest, or one without a record, and where
        another labeler has it open."""
        if not (folder / NAME).is_file():
            raise UserError(f"{folder}: no {NAME} there; make one with `plateloop data import`")
        # Asked before the journal is begun: nothing is left behind.
        if not any(isinstance(record, Record) for _, _, record in read_lines(folder / NAME)):
            raise UserError(f"{folder}: no picture to label; make records with `plateloop data import`")
        self.folder = folder
        self.lock = RLock()
        self._journal = Journal(folder)
        try:
            self._pending = self._journal.pending()
            self.recovered = len(self._pending)
            self._manifest = -1
            self.conflicts: list[str] = []
            self.generation = 0
            if self._pending:
                self._merge()
            self._open()
            self.index: Index = build(folder)
        except BaseException:
            self._journal.close()
            raise

    def __len__(self) -> int:
        return len(self.index)

    @property
    def unfolded(self) -> int:
        """Edited pictures that stand in the journal only."""
        return len(self._pending)

    def record(self, row: int) -> Record:
        """The record of a row as it is now. Raises IndexError where there is no such row."""
        with self.lock:
            if not 0 <= row < len(self.index):
                raise IndexError(row)
            if row in self._rows:
                return self._rows[row]
            line = os.pread(self._manifest, self.index.lengths[row], self.index.starts[row])
        return Record.model_validate_json(line)

    def put(self, row: int, base: str, record: Record) -> Record:
        """Replace a row's record, if it still has the version ``base``; returns what is there now.

        Raises ConflictError where it has not, ValueError where ``record`` is another picture's or has boxes
        that are none, OSError where it could not be written.
        """
        with self.lock:
            self.relieve()
            old = self.record(row)
            if version(old) != base:
                raise ConflictError(old)
            check(old, record)
            if record != old:
                self.put_all({row: record})
            return record

    def put_all(self, records: Mapping[int, Record]) -> None:
        """Replace the records of several rows, all or none; what is there now the caller has seen (and holds
        ``lock``) and has passed `check`.

        Raises OSError where they could not be written.
        """
        with self.lock:
            old = {row: self.record(row) for row in records}
            time = now()
            edits = {
                row: Edit(
                    time=time,
                    base=version(old[row]),
                    record=record,
                    before=None if record.file in self._pending else old[row],
                )
                for row, record in records.items()
            }
            self._journal.append(list(edits.values()))
            for row, edit in edits.items():
                if edit.record.file in self._pending:
                    self._pending[edit.record.file].then(edit)
                else:
                    self._pending[edit.record.file] = Pending([edit.base, version(edit.record)], edit.record)
                self.index.change(row, old[row], edit.record)
                self._rows[row] = edit.record

    def earlier(self, versions: set[str]) -> dict[str, Record]:
        """The records that once had these versions, as far as the history of edits has them."""
        return self._journal.versions(versions)

    def put_plate(self, row: int, number: int, base: Plate, plate: Plate) -> Record:
        """Replace one plate of a row, if it still is ``base``, whatever else of the record has changed.

        Raises as `put` does.
        """
        with self.lock:
            old = self.record(row)
            if number >= len(old.plates) or old.plates[number] != base:
                raise ConflictError(old)
            plates = (*old.plates[:number], plate, *old.plates[number + 1 :])
            return self.put(row, version(old), old.model_copy(update={"plates": plates}))

    def relieve(self) -> None:
        """Fold where many edits wait; rows may get new numbers."""
        with self.lock:
            if len(self._rows) >= FOLD_AFTER:
                self.fold()

    def fold(self) -> int:
        """Write all edits into the manifest, whole or not at all; returns how many pictures changed."""
        with self.lock:
            if not self._pending:
                return 0
            if _signature(self.folder / NAME) != self._signature:
                count = self._merge()
                self._open()
                self.index = build(self.folder)
                self.generation += 1
            else:
                count = self._replace()
                self._open()
            return count

    def close(self) -> None:
        """Write all edits into the manifest and let go of the folder."""
        with self.lock:
            self.fold()
            os.close(self._manifest)
            self._journal.close()

    def _open(self) -> None:
        if self._manifest >= 0:
            os.close(self._manifest)
        self._manifest = os.open(self.folder / NAME, os.O_RDONLY)
        self._signature = _signature(self.folder / NAME)
        self._rows: dict[int, Record] = {}

    def _replace(self) -> int:
        """Fold into the manifest that the index knows: all but the edited lines is copied as it is."""
        starts, lengths = np.array(self.index.starts), np.array(self.index.lengths)
        grown = np.zeros(len(starts), np.int64)
        place, count = 0, len(self._rows)
        with self._manifest_anew() as out, (self.folder / NAME).open("rb") as old:
            for row in sorted(self._rows):
                line = f"{dump(self._rows[row])}\n".encode()
                _copy(old, out, place, int(starts[row]))
                out.write(line)
                place = int(starts[row] + lengths[row])
                grown[row] = len(line) - lengths[row]
            _copy(old, out, place, os.fstat(old.fileno()).st_size)
        self.index.starts = array("q", (starts + np.cumsum(grown) - grown).tolist())
        self.index.lengths = array("l", (lengths + grown).tolist())
        self._folded(count, [])
        return count

    def _merge(self) -> int:
        """Fold into a manifest that may be another one by now, record by record."""
        waiting, count = dict(self._pending), 0
        with self._manifest_anew() as out:
            for _, line, record in read_lines(self.folder / NAME):
                edit = waiting.get(record.file) if isinstance(record, Record) else None
                if edit is not None and isinstance(record, Record) and version(record) in edit.versions:
                    del waiting[record.file]
                    line = f"{dump(edit.record)}\n".encode()
                    count += 1
                out.write(line if line.endswith(b"\n") else line + b"\n")
        # What is left was changed or removed by another program since: theirs stands, ours is in the journal.
        self._folded(count, sorted(waiting))
        return count

    @contextmanager
    def _manifest_anew(self) -> Iterator[BinaryIO]:
        """A file that takes the manifest's place once it is written and on the disk."""
        path = self.folder / NAME
        with atomic(path) as partial:
            with partial.open("wb") as out:
                yield out
                out.flush()
                os.fsync(out.fileno())
            shutil.copymode(path, partial)
        sync_folder(self.folder)

    def _folded(self, count: int, conflicts: list[str]) -> None:
        self.conflicts += conflicts
        self._journal.mark(count, conflicts)
        self._pending = {}


def _signature(path: Path) -> tuple[int, int, int]:
    """What changes when a file is replaced or written to."""
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _copy(source: BinaryIO, target: BinaryIO, start: int, end: int) -> None:
    source.seek(start)
    while start < end:
        part = source.read(min(1 << 20, end - start))
        if not part:
            raise OSError(errno.EIO, "the manifest became shorter while it was read")
        target.write(part)
        start += len(part)


def check(old: Record, new: Record) -> None:
    """Raises ValueError where ``new`` is another picture's, or has a box or a link that cannot be."""
    if (new.file, new.width, new.height) != (old.file, old.width, old.height):
        raise ValueError("a picture's file and size cannot be edited")
    before = _boxes(old)
    for box in _boxes(new):
        x1, y1, x2, y2 = box
        inside = 0 <= x1 < x2 <= new.width and 0 <= y1 < y2 <= new.height
        # What came with the data may stay; cleaning it is another step's work.
        if not inside and box not in before:
            raise ValueError(f"box {[round(v, 1) for v in box]} does not lie in the picture")
    texts = {plate.text for plate in old.plates}
    for plate in new.plates:
        if plate.vehicle is not None and not 0 <= plate.vehicle < len(new.vehicles):
            raise ValueError(f"a plate names vehicle {plate.vehicle}, of {len(new.vehicles)}")
        if plate.text not in texts | {None} and not _TEXT.fullmatch(plate.text or ""):
            raise ValueError(f"text {plate.text!r} is not 1 to 16 of A-Z and 0-9")


def _boxes(record: Record) -> list[Box]:
    return [*(vehicle.box for vehicle in record.vehicles), *(plate.box for plate in record.plates)]
