"""Sampling weights: how often to draw each record so that rare characters, regions and sizes get their part.

Iterative proportional fitting (W. E. Deming, F. F. Stephan, On a Least Squares Adjustment of a Sampled
Frequency Table When the Expected Marginal Totals are Known, 1940) on three margins at once. A record has one
region and one size but several characters: there it is moved by the mean of what its characters want.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from plateloop.data_preparation.clean.finding import own_height
from plateloop.data_preparation.convert import apart
from plateloop.data_preparation.formats import manifest
from plateloop.data_preparation.manifest import Record, write_manifest
from plateloop.data_preparation.pictures import place
from plateloop.data_preparation.report import Report
from plateloop.errors import UserError

ATTRIBUTE = "weight"
"""The record's attribute that holds its weight, 1 on average; training draws real plates by it."""

_ROUNDS = 30


class BalanceConfig(BaseModel):
    """How far to balance."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    power: float = Field(
        0.5, ge=0, le=1, description="a value's part goes by its count to this power: 1 as it is, 0 all alike"
    )
    limit: float = Field(
        10, gt=1, description="no weight is above so many times the mean, or below its inverse"
    )


@dataclass
class Margin:
    """What N records have of one kind of values: ``items`` are (record, value) as two arrays."""

    name: str
    values: list[str]
    records: NDArray[np.intc]
    numbers: NDArray[np.intc]

    def shares(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Each value's share of all, when records are drawn by ``weights`` (N,): (V,) that sum to 1."""
        counts = np.bincount(self.numbers, weights[self.records], len(self.values))
        return np.asarray(counts / counts.sum(), np.float64)


@dataclass(frozen=True)
class Balanced:
    """``weights`` (N,) with mean 1, and for each margin each value's share before and after."""

    weights: NDArray[np.float64]
    margins: list[Margin]

    def shares(self) -> Iterator[tuple[str, str, float, float]]:
        """Margin, value, share without and with the weights."""
        even = np.ones(len(self.weights))
        for margin in self.margins:
            yield from zip(
                [margin.name] * len(margin.values),
                margin.values,
                margin.shares(even).tolist(),
                margin.shares(self.weights).tolist(),
                strict=True,
            )

    @property
    def effective(self) -> float:
        """How many evenly drawn records the weighted ones are worth (L. Kish, Survey Sampling, 1965)."""
        return float(self.weights.sum() ** 2 / (self.weights**2).sum()) if len(self.weights) else 0.0


def weigh(records: Iterator[Record], config: BalanceConfig | None = None) -> Balanced:
    """A weight for each record, in order. What has no text, region or plate has no say on that margin."""
    kinds = ("character", "region", "plate height")
    numbers: list[dict[str, int]] = [{}, {}, {}]
    rows, values = [array("i") for _ in kinds], [array("i") for _ in kinds]
    count = 0
    for record in records:
        for kind, found in enumerate((_characters(record), _regions(record), _sizes(record))):
            for value in found:
                rows[kind].append(count)
                values[kind].append(numbers[kind].setdefault(value, len(numbers[kind])))
        count += 1
    margins = [
        Margin(name, list(known), np.frombuffer(row, np.intc), np.frombuffer(value, np.intc))
        for name, known, row, value in zip(kinds, numbers, rows, values, strict=True)
        if known
    ]
    return Balanced(fit(margins, count, config or BalanceConfig()), margins)


def fit(margins: list[Margin], count: int, config: BalanceConfig) -> NDArray[np.float64]:
    """Weights (``count``,) with mean 1 that bring each margin as near to its target as the limit allows."""
    weights = np.ones(count)
    targets = []
    for margin in margins:
        wanted = margin.shares(weights) ** config.power
        targets.append(wanted / wanted.sum())
    for _ in range(_ROUNDS if count else 0):
        for margin, wanted in zip(margins, targets, strict=True):
            pull = np.log(wanted / np.maximum(margin.shares(weights), 1e-12))
            amount = np.bincount(margin.records, minlength=count)
            mean = np.bincount(margin.records, pull[margin.numbers], count) / np.maximum(amount, 1)
            weights *= np.exp(mean)
            weights = np.clip(weights / weights.mean(), 1 / config.limit, config.limit)
    return weights / weights.mean() if count else weights


def balance(
    source: Path,
    target: Path,
    config: BalanceConfig | None = None,
    split: str | None = "train",
    link: bool = False,
    tick: Callable[[], None] = lambda: None,
) -> tuple[Balanced, Report]:
    """Write ``source`` to ``target``, each record of ``split`` (None: every one) with a weight.

    Raises UserError where no record is of that split, or folders lie within each other.
    """
    apart(source, target)
    report = Report()
    chosen = (r for r in manifest.read(source, Report()) if split is None or r.split == split)
    found = weigh(chosen, config)
    if not len(found.weights):
        raise UserError(f"{source}: no record of split {split}; `plateloop data split` it, or name another")
    left = iter(found.weights.tolist())

    def weighed() -> Iterator[Record]:
        for record in manifest.read(source, report):
            tick()
            place(source / record.file, target / record.file, link)
            report.written += 1
            if split is None or record.split == split:
                said = record.attributes | {ATTRIBUTE: f"{next(left):.4g}"}
                record = record.model_copy(update={"attributes": said})
            yield record

    write_manifest(target, weighed())
    return found, report


def _characters(record: Record) -> list[str]:
    return [character for plate in record.plates for character in plate.text or ""]


def _regions(record: Record) -> list[str]:
    found = {plate.region or record.region for plate in record.plates} or {record.region}
    return sorted(region for region in found if region)


def _sizes(record: Record) -> list[str]:
    """The octaves that the plates' heights lie in, such as "16-32"."""
    octaves = {int(np.log2(max(1.0, own_height(plate)))) for plate in record.plates}
    return [f"{2**octave}-{2 ** (octave + 1)}" for octave in sorted(octaves)]
