"""Goes through a dataset once and gathers what is wrong, in bounded memory."""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import TextIO

from pydantic import BaseModel, ConfigDict, Field

from plateloop.cores import cores
from plateloop.data_preparation.clean import boxes, corners, duplicates, texts
from plateloop.data_preparation.clean.disagreement import compare
from plateloop.data_preparation.clean.files import Looked, look_at_all
from plateloop.data_preparation.clean.finding import KINDS, Finding
from plateloop.data_preparation.manifest import Record, read_manifest
from plateloop.runtime.cascade import Cascade


class CleanConfig(BaseModel):
    """What counts as a fault."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    least_height: float = Field(10, gt=0, description="height in pixels below which no plate can be read")
    sure: float = Field(
        0.6, gt=0, lt=1, description="score from which a network's word counts against a label"
    )
    batch: int = Field(8, ge=1, description="pictures that the networks see at once")
    shown: int = Field(60, ge=1, description="findings of each kind that are kept for the report")
    threads: int = Field(0, ge=0, description="threads that decode pictures; 0: one a core")


@dataclass
class Inspection:
    """What was found: how many of each kind, the ``shown`` worst of each, by row what may be left out, and
    which upright plates (by row) lpdnet sees lying. ``out`` gets every finding as a line of JSON."""

    shown: int = CleanConfig().shown
    out: TextIO | None = None
    records: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    rows: dict[int, list[str]] = field(default_factory=dict)
    lying: dict[int, set[int]] = field(default_factory=dict)
    _worst: dict[str, list[tuple[float, int, Finding]]] = field(default_factory=dict)

    def add(self, row: int, found: Iterable[Finding]) -> None:
        """Take findings of the record ``row``."""
        for finding in found:
            self.counts[finding.kind] += 1
            kind = KINDS[finding.kind]
            if kind.cure == "remove" or kind.quarantine:
                self.rows.setdefault(row, []).append(finding.kind)
            heap = self._worst.setdefault(finding.kind, [])
            item = (finding.rank, -self.counts[finding.kind], finding)
            if len(heap) < self.shown:
                heapq.heappush(heap, item)
            else:
                heapq.heappushpop(heap, item)
            if self.out is not None:
                data = {key: value for key, value in asdict(finding).items() if value is not None}
                self.out.write(json.dumps(data, ensure_ascii=False) + "\n")

    def worst(self) -> Iterator[tuple[str, list[Finding]]]:
        """Each kind that was found, in the order of `KINDS`, with its worst findings by falling rank."""
        for kind in KINDS:
            if kind in self._worst:
                yield kind, [finding for *_, finding in sorted(self._worst[kind], reverse=True)]


def check_record(record: Record, least_height: float) -> Iterator[Finding]:
    """All that can be told from the record alone."""
    yield from boxes.check(record, least_height)
    yield from corners.check(record)
    yield from texts.check(record)


def inspect(
    source: Path,
    config: CleanConfig,
    cascade: Cascade | None = None,
    out: TextIO | None = None,
    split: str | None = None,
    tick: Callable[[], None] = lambda: None,
) -> Inspection:
    """Look at every record and picture of the manifest dataset ``source``.

    With ``cascade`` (loaded with `disagreement.FAINT`) labels are compared with the networks; with ``split``
    only those of that split. Raises UserError where there is no manifest.
    """
    found = Inspection(config.shown, out)
    pictures = duplicates.Pictures()

    def malformed(place: str, reason: str) -> None:
        found.add(-1, [Finding("malformed", place, reason)])

    looked = look_at_all(source, read_manifest(source, malformed), config.threads or cores())
    while batch := list(islice(looked, config.batch)):
        for item in batch:
            pictures.add(item.record, item.content, item.shape)
        for row, item in enumerate(batch, found.records):
            found.add(row, item.findings)
            found.add(row, check_record(item.record, config.least_height))
        if cascade is not None:
            asked = [(row, item) for row, item in enumerate(batch, found.records) if _asked(item, split)]
            answers = compare(cascade, [item for _, item in asked], config.sure)
            for (row, _), (findings, lying) in zip(asked, answers, strict=True):
                found.add(row, findings)
                if lying:
                    found.lying[row] = lying
        found.records += len(batch)
        for _ in batch:
            tick()
    for row, finding in (*duplicates.exact(pictures), *duplicates.near(pictures)):
        found.add(row, [finding])
    return found


def _asked(item: Looked, split: str | None) -> bool:
    """Whether the networks are asked: the picture is sound, and the labels fit it."""
    return item.frame is not None and not item.findings and (split is None or item.record.split == split)
