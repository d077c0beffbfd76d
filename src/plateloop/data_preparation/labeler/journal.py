"""The journal: every edit of a dataset's labels, in the order in which they were made, never rewritten.

``labels.journal.jsonl`` lies beside the manifest. A line is an edit (the whole record as it became, the
version that it replaced, and what that was where no edit before it led there) or a mark that says that all
edits before it stand in the manifest. A line is on the disk (fsync) before the edit counts as made; half a
line, as a crash leaves it, was never one.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from plateloop.data_preparation.manifest import Record, dump
from plateloop.errors import UserError
from plateloop.files import lock

NAME = "labels.journal.jsonl"


def version(record: Record) -> str:
    """A record's version: a digest of its content, so that equal records have equal versions anywhere."""
    return hashlib.sha256(dump(record).encode()).hexdigest()[:20]


class Edit(BaseModel):
    """A line of the journal: ``record`` took the place of what had the version ``base``, which was ``before``
    (None where an edit since the last mark led to it)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    time: str
    base: str
    record: Record
    before: Record | None = None


@dataclass(slots=True)
class Pending:
    """What is to be written into the manifest for one file: the versions on the way, the newest record."""

    versions: list[str]
    record: Record

    def then(self, edit: Edit) -> None:
        """Go on from here with ``edit``."""
        self.versions.append(version(edit.record))
        self.record = edit.record


class Journal:
    """The journal of one dataset, open for appending; one process has it at a time."""

    def __init__(self, folder: Path) -> None:
        """Open or begin the journal of ``folder``. Raises UserError where another process has it open."""
        self.path = folder / NAME
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise UserError(
                f"{self.path}: cannot be written: {reason}; label a copy that you may write"
            ) from None
        try:
            lock(self._file)
        except OSError:
            os.close(self._file)
            raise UserError(f"{folder}: another `plateloop label` has it open; use that one's page") from None
        sync_folder(folder)
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            self._write(b"\n")

    def pending(self) -> dict[str, Pending]:
        """The edits after the last mark, by file."""
        waiting: dict[str, Pending] = {}
        for entry in self.entries():
            if not isinstance(entry, Edit):
                waiting.clear()
            elif entry.record.file in waiting:
                waiting[entry.record.file].then(entry)
            else:
                waiting[entry.record.file] = Pending([entry.base, version(entry.record)], entry.record)
        return waiting

    def entries(self) -> Iterator[Edit | dict[str, Any]]:
        """All edits and marks (as plain objects) in order; a line cut off by a crash is passed over."""
        with self.path.open("rb") as lines:
            for line in lines:
                try:
                    data = json.loads(line)
                    yield data if "folded" in data else Edit.model_validate(data)
                except (ValueError, TypeError, ValidationError):
                    continue

    def versions(self, wanted: set[str]) -> dict[str, Record]:
        """The records that once had the versions ``wanted``, as far as the journal has them."""
        found = {}
        for entry in self.entries():
            if isinstance(entry, Edit):
                if entry.before is not None and entry.base in wanted:
                    found[entry.base] = entry.before
                if (after := version(entry.record)) in wanted:
                    found[after] = entry.record
        return found

    def append(self, edits: Sequence[Edit]) -> None:
        """Make edits last, all or none: they are on the disk when this returns."""
        self._write("".join(map(_line, edits)).encode())

    def mark(self, folded: int, conflicts: list[str]) -> None:
        """Say that all edits so far stand in the manifest, but those of the files in ``conflicts``."""
        line = json.dumps({"time": now(), "folded": folded, "conflicts": conflicts}, ensure_ascii=False)
        self._write(f"{line}\n".encode())

    def close(self) -> None:
        """Let go of the journal; who still writes gets an OSError."""
        os.close(self._file)
        self._file = -1

    def _write(self, line: bytes) -> None:
        """Append ``line`` whole or not at all. Raises OSError where the disk is full or gone."""
        size = os.fstat(self._file).st_size
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[os.write(self._file, rest) :]
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, size)
            raise


def _line(edit: Edit) -> str:
    head = json.dumps({"time": edit.time, "base": edit.base})[:-1]
    before = f', "before": {dump(edit.before)}' if edit.before else ""
    return f'{head}, "record": {dump(edit.record)}{before}}}\n'


def now() -> str:
    """The time in UTC, ISO 8601 to a millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def sync_folder(folder: Path) -> None:
    """Make what was created or renamed in ``folder`` last."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
