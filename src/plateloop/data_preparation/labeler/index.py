"""Where each record lies in the manifest, and what lists and filters need to know about it: some 30 bytes a
picture and 10 a plate, whatever the records hold."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from plateloop.data_preparation.manifest import NAME, Plate, Record
from plateloop.errors import one_line

State = Literal["all", "todo", "done"]
"""Which pictures, or plates: all, or those that a person has or has not dealt with."""

REVIEWED = "reviewed"
"""The tag of a picture that a person has declared done."""

BY_PEOPLE = frozenset({"annotated", "synthetic"})
"""The ``annotation`` of plates whose text needs no confirmation."""

UNREAD = float("nan")


def done(record: Record) -> bool:
    """Whether a person has declared the picture done."""
    return REVIEWED in record.tags


@dataclass(slots=True)
class Index:
    """Columns over the readable records (rows), and over all their plates.

    ``certainty`` of a plate orders the wall of texts: how sure the network is of the text that stands there
    (rising), below zero where it reads another; NaN while it was not asked. ``gone`` plates are no more.
    ``skipped`` says why a line is no row.
    """

    starts: array[int] = field(default_factory=lambda: array("q"))
    lengths: array[int] = field(default_factory=lambda: array("l"))
    done: bytearray = field(default_factory=bytearray)
    vehicles: array[int] = field(default_factory=lambda: array("l"))
    plates: array[int] = field(default_factory=lambda: array("l"))
    plate_row: array[int] = field(default_factory=lambda: array("l"))
    plate_number: array[int] = field(default_factory=lambda: array("l"))
    plate_done: bytearray = field(default_factory=bytearray)
    gone: bytearray = field(default_factory=bytearray)
    certainty: array[float] = field(default_factory=lambda: array("f"))
    labels: set[str] = field(default_factory=set)
    colors: set[str] = field(default_factory=set)
    skipped: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.starts)

    def add(self, start: int, length: int, record: Record) -> None:
        """Add the next row, whose line begins at byte ``start``."""
        self.starts.append(start)
        self.lengths.append(length)
        self.done.append(done(record))
        self.vehicles.append(len(record.vehicles))
        self.plates.append(0)
        self._fill(len(self) - 1, record)

    def change(self, row: int, old: Record, new: Record) -> None:
        """Row ``row`` became ``new``. What was known of a plate that stayed as it was remains."""
        self.done[row] = done(new)
        self.vehicles[row] = len(new.vehicles)
        for plate in self.plates_of(row):
            number = self.plate_number[plate]
            if number >= len(new.plates):
                self.gone[plate] = True
            else:
                self.plate_done[plate] = read_by_people(new.plates[number])
                if _look(old.plates[number]) != _look(new.plates[number]):
                    self.certainty[plate] = UNREAD
        self._fill(row, new)

    def plates_of(self, row: int) -> list[int]:
        """The plates of a row that are still there, as indices into the plates' columns."""
        rows, gone = np.array(self.plate_row), np.frombuffer(bytes(self.gone), bool)
        return [int(plate) for plate in np.flatnonzero((rows == row) & ~gone)] if len(rows) else []

    def rows(self, state: str) -> NDArray[np.int64]:
        """The rows that are ``all``, ``todo`` or ``done``."""
        flags = np.frombuffer(bytes(self.done), bool)
        return np.flatnonzero(_choose(flags, state))

    def plates_in(self, state: str) -> NDArray[np.int64]:
        """The plates that are ``all``, ``todo`` or ``done``."""
        flags, gone = (np.frombuffer(bytes(column), bool) for column in (self.plate_done, self.gone))
        return np.flatnonzero(_choose(flags, state) & ~gone)

    def _fill(self, row: int, record: Record) -> None:
        known = self.plates[row]
        if known:
            known = len(self.plates_of(row))
        for number in range(known, len(record.plates)):
            self.plate_row.append(row)
            self.plate_number.append(number)
            self.plate_done.append(read_by_people(record.plates[number]))
            self.gone.append(False)
            self.certainty.append(UNREAD)
        self.plates[row] = len(record.plates)
        self.labels.update(vehicle.label for vehicle in record.vehicles)
        self.colors.update(vehicle.color for vehicle in record.vehicles if vehicle.color)


def read_by_people(plate: Plate) -> bool:
    """Whether the plate's text is a person's word (which may be that it cannot be read)."""
    return plate.annotation in BY_PEOPLE


def _look(plate: Plate) -> tuple[object, ...]:
    return plate.box, plate.corners, plate.text


def _choose(flags: NDArray[np.bool_], state: str) -> NDArray[np.bool_]:
    return {"todo": ~flags, "done": flags}.get(state, np.ones(len(flags), bool))


def read_lines(path: Path) -> Iterator[tuple[int, bytes, Record | str]]:
    """The lines of a manifest that are not blank: where each begins, its bytes, and its record or why it is
    none. A file that is listed twice is a record once."""
    start, seen = 0, set[int]()
    with path.open("rb") as lines:
        for line in lines:
            if line.strip():
                try:
                    record: Record | str = Record.model_validate_json(line)
                except ValidationError as error:
                    record = one_line(error)
                if isinstance(record, Record):
                    # Hashes, not names: a million take tens of megabytes.
                    if hash(record.file) in seen:
                        record = f"{record.file} is listed before"
                    else:
                        seen.add(hash(record.file))
                yield start, line, record
            start += len(line)


def build(folder: Path) -> Index:
    """The index of ``folder``'s manifest."""
    index = Index()
    for number, (start, line, record) in enumerate(read_lines(folder / NAME), 1):
        if isinstance(record, Record):
            index.add(start, len(line), record)
        else:
            index.skipped[number] = record
    return index
