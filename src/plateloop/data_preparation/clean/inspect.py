"""Goes through a dataset once and gathers what is wrong, in bounded memory."""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import islice, tee
from pathlib import Path
from typing import TextIO

from pydantic import TypeAdapter

from plateloop.data_preparation.checkpoint import continued, fingerprint
from plateloop.data_preparation.clean import duplicates
from plateloop.data_preparation.clean.examine import CleanConfig, Examined, Networks, examine
from plateloop.data_preparation.clean.finding import KINDS, Finding
from plateloop.data_preparation.manifest import read_manifest

JOURNAL = "examined.jsonl"
"""What was found on each picture: with it the pictures need not be looked at again."""

_KIND = TypeAdapter(list[Examined])


@dataclass
class Inspection:
    """What was found: how many of each kind, the ``shown`` worst of each, by row which kinds, and which
    upright plates (by row) lpdnet sees lying; ``plan`` is what all of it depends on, as JSON values.
    ``out`` gets every finding as a line of JSON."""

    shown: int = CleanConfig().shown
    out: TextIO | None = None
    plan: dict[str, object] = field(default_factory=dict)
    records: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    rows: dict[int, set[str]] = field(default_factory=dict)
    lying: dict[int, frozenset[int]] = field(default_factory=dict)
    _worst: dict[str, list[tuple[float, int, Finding]]] = field(default_factory=dict)

    def add(self, row: int, found: Iterable[Finding]) -> None:
        """Take findings of the record ``row``."""
        for finding in found:
            self.counts[finding.kind] += 1
            self.rows.setdefault(row, set()).add(finding.kind)
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


def inspect(
    source: Path,
    config: CleanConfig,
    networks: Networks | None = None,
    out: TextIO | None = None,
    tick: Callable[[], None] = lambda: None,
    ray: str | None = None,
    journal: Path | None = None,
) -> Inspection:
    """Look at every record and picture of the manifest dataset ``source``, on all cores or, with ``ray``, on
    those of a cluster at this address.

    With ``networks`` labels are compared with them. What the file ``journal`` holds, of a call that was
    broken off or finished, is not looked at again.

    Raises UserError where there is no manifest, and where the journal is of other data or settings.
    """
    found = Inspection(config.shown, out)
    pictures = duplicates.Pictures()

    def malformed(place: str, reason: str) -> None:
        found.add(-1, [Finding("malformed", place, reason)])

    found.plan = {
        "step": "clean",
        "data": fingerprint(source, malformed),
        "networks": None if networks is None else networks.digest(),
        "split": None if networks is None else networks.split,
        **config.model_dump(include={"least_height", "sure", "lead", "batch"}),
    }
    records = read_manifest(source, lambda *_: None)
    ahead, batches = tee(iter(lambda: list(islice(records, config.batch)), []))
    work = partial(examine, source, config, networks, ray)
    answers = work(ahead) if journal is None else continued(journal, found.plan, ahead, work, _KIND)
    for batch, examined in zip(batches, answers, strict=True):
        for record, item in zip(batch, examined, strict=True):
            pictures.add(record, item.content, item.shape)
            found.add(found.records, item.findings)
            if item.lying:
                found.lying[found.records] = item.lying
            found.records += 1
            tick()
    for row, finding in (*duplicates.exact(pictures), *duplicates.near(pictures)):
        found.add(row, [finding])
    return found
