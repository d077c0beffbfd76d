"""Events in a folder of Parquet files, each id and sequence once, whenever the writer is killed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from plateloop.deployment.export import export
from plateloop.deployment.lines import LineFile, LineReader, digest
from plateloop.deployment.store import Stored
from plateloop.errors import UserError


class ParquetFolder:
    """A folder ``part-000001.parquet``, … that any reader of Parquet takes as one table.

    News is written to a journal of lines first (Parquet files cannot grow), which becomes the next part once
    it has ``rows``, is ``seconds`` old, or the folder is closed. Not for two writers. Keeps 16 bytes of each
    event in memory, by which it knows it again.
    """

    def __init__(self, folder: Path, rows: int = 50_000, seconds: float = 600) -> None:
        """Open or make the folder. Raises UserError where that fails or it holds other files."""
        self._folder, self._rows, self._seconds = folder, rows, seconds
        # Readers of Parquet pass over names that begin so.
        self._path = folder / "_journal.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{folder}: {error.strerror}") from None
        self._parts = sorted(folder.glob("part-*.parquet"))
        self._known = {key for part in self._parts for key in _digests(part)}
        self._open_journal()
        with self._path.open(encoding="utf-8") as lines:
            self._waiting = sum(not self._knows(item) for item in LineReader().read(lines))

    def load(self, items: Iterable[Stored]) -> int:
        """Write what is new, on disk for good on return; returns how many that were."""
        count = self._journal.load(item for item in items if not self._knows(item))
        self._waiting += count
        if self._waiting >= self._rows or time.monotonic() > self._begun + self._seconds:
            self._close_part()
            self._open_journal()
        return count

    def close(self) -> None:
        """Make what is left a part."""
        self._close_part()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def _knows(self, item: Stored) -> bool:
        return digest(item.event.id, item.sequence) in self._known

    def _open_journal(self) -> None:
        self._journal = LineFile(self._path)
        self._waiting, self._begun = 0, time.monotonic()

    def _close_part(self) -> None:
        self._journal.close()
        with self._path.open(encoding="utf-8") as lines:
            # Killed between the part and the journal's end, it holds what the part has.
            items = [item for item in LineReader().read(lines) if not self._knows(item)]
        if items:
            last = int(self._parts[-1].stem.removeprefix("part-")) if self._parts else 0
            part = self._folder / f"part-{last + 1:06}.parquet"
            export(items, part, "parquet")
            for path in (part, self._folder):
                _sync(path)
            self._parts.append(part)
            self._known.update(digest(item.event.id, item.sequence) for item in items)
        self._path.unlink()


def _digests(part: Path) -> Iterable[bytes]:
    try:
        import pyarrow.parquet as pq
    except ModuleNotFoundError:
        raise UserError(
            "Parquet needs the Python package pyarrow: pip install 'plateloop[parquet]'"
        ) from None
    try:
        with pq.ParquetFile(part) as file:
            for batch in file.iter_batches(columns=["id", "sequence"]):
                columns = batch.to_pydict()
                yield from map(digest, columns["id"], columns["sequence"])
    except (OSError, ValueError, KeyError):
        raise UserError(f"{part}: is not a part of events; use another folder") from None


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
