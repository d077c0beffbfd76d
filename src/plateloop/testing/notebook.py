"""What a notebook shows: pages and pictures by the names that Jupyter looks for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from plateloop.testing.accuracy_report import table


@dataclass(frozen=True, slots=True)
class Rows:
    """A table, shown as HTML; the cells are texts."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def _repr_html_(self) -> str:
        return table(self.head, self.rows)


@dataclass(frozen=True, slots=True)
class Png:
    """A picture file, shown."""

    path: Path

    def _repr_png_(self) -> bytes:
        return self.path.read_bytes()


def rows(head: Sequence[str], items: Iterable[Sequence[str]]) -> Rows:
    """A table of ``items`` under ``head``."""
    return Rows(head, list(items))
