"""Looks at records one by one: the picture, the labels, what the networks say; here or over a cluster."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import chain, islice
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from plateloop.data_preparation.clean import boxes, corners, texts
from plateloop.data_preparation.clean.disagreement import FAINT, compare
from plateloop.data_preparation.clean.files import Looked, look
from plateloop.data_preparation.clean.finding import Finding
from plateloop.data_preparation.manifest import Record
from plateloop.data_preparation.parallel import PARCEL, each
from plateloop.runtime.card import Task, card_path
from plateloop.runtime.cascade import Cascade

_TASKS: tuple[Task, ...] = ("tcnet", "lpdnet", "lprnet")


class CleanConfig(BaseModel):
    """What counts as a fault."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    least_height: float = Field(10, gt=0, description="height in pixels below which no plate can be read")
    sure: float = Field(
        0.6, gt=0, lt=1, description="score from which a network's word counts against a label"
    )
    lead: float = Field(
        0.2,
        gt=0,
        lt=1,
        description="by how much tcnet must be surer of another class than of the label's own",
    )
    batch: int = Field(8, ge=1, description="pictures that the networks see at once")
    shown: int = Field(60, ge=1, description="findings of each kind that are kept for the report")
    threads: int = Field(0, ge=0, description="threads that decode pictures; 0: one a core")


@dataclass(frozen=True)
class Networks:
    """The networks that labels are compared with: those of ``weights`` (a folder of cards; None: the
    package's) on ``device`` by ``threads`` (0: one a core). ``split`` names the only records to compare."""

    weights: Path | None = None
    device: str = "cpu"
    threads: int = 0
    split: str | None = None

    def load(self) -> Cascade:
        """The cascade, which looks for what is ever so faint. Raises UserError where it cannot be loaded."""
        return Cascade.load(self.device, self.threads, self.weights, FAINT, _TASKS)

    def digest(self) -> str:
        """A digest of the cards, and with them of the networks."""
        cards = [card_path(task, self.weights).read_bytes() for task in _TASKS]
        return hashlib.blake2b(b"".join(cards), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Examined:
    """Of a record: 64 bits of its file's bytes and its picture's perceptual hash (0 for none), all that is
    wrong with it, and which of its upright plates lpdnet sees lying."""

    content: int
    shape: int
    findings: tuple[Finding, ...]
    lying: frozenset[int]


def examine(
    folder: Path,
    config: CleanConfig,
    networks: Networks | None,
    ray: str | None,
    batches: Iterator[list[Record]],
) -> Iterator[list[Examined]]:
    """The records of ``folder`` in order, in ``batches`` of ``config.batch``; few pictures are in memory.

    Pictures are decoded on all cores. With ``ray``, the address of a cluster, its cores do all of it, each
    with networks of its own on the processor.
    """
    if ray is None:
        cascade = networks.load() if networks is not None else None
        looked = each(partial(look, folder), chain.from_iterable(batches), threads=config.threads)
        while batch := list(islice(looked, config.batch)):
            yield _examined(batch, config, cascade, networks)
        return
    folders = [folder.absolute()]
    if networks is not None:
        networks = replace(networks, threads=1, weights=networks.weights and networks.weights.absolute())
        folders += [networks.weights] if networks.weights else []
    work = partial(_work, folders[0], config, networks)
    yield from each(work, batches, ray, folders, max(1, PARCEL // config.batch))


def check_record(record: Record, least_height: float) -> Iterator[Finding]:
    """All that can be told from the record alone."""
    yield from boxes.check(record, least_height)
    yield from corners.check(record)
    yield from texts.check(record)


def _work(
    folder: Path, config: CleanConfig, networks: Networks | None, records: Iterable[Record]
) -> list[Examined]:
    cascade = _loaded(networks) if networks is not None else None
    return _examined([look(folder, record) for record in records], config, cascade, networks)


# A worker of the cluster gets one parcel after the other.
@lru_cache(maxsize=1)
def _loaded(networks: Networks) -> Cascade:
    return networks.load()


def _examined(
    looked: Sequence[Looked], config: CleanConfig, cascade: Cascade | None, networks: Networks | None
) -> list[Examined]:
    findings = [[*item.findings, *check_record(item.record, config.least_height)] for item in looked]
    lying = [frozenset[int]()] * len(looked)
    if cascade is not None and networks is not None:
        asked = [row for row, item in enumerate(looked) if _asked(item, networks.split)]
        answers = compare(cascade, [looked[row] for row in asked], config.sure, config.lead)
        for row, (said, upset) in zip(asked, answers, strict=True):
            findings[row] += said
            lying[row] = frozenset(upset)
    return [
        Examined(item.content, item.shape, tuple(found), seen)
        for item, found, seen in zip(looked, findings, lying, strict=True)
    ]


def _asked(item: Looked, split: str | None) -> bool:
    """Whether the networks are asked: the picture is sound, and the labels fit it."""
    return item.frame is not None and not item.findings and split in (None, item.record.split)
