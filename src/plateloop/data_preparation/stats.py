"""Statistics of a dataset: what is in it, how large, in which shares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from plateloop.data_preparation.manifest import Record
from plateloop.data_preparation.parallel import each
from plateloop.data_preparation.times import taken
from plateloop.types import Box

# Sizes are counted in whole pixels, shapes in twentieths: enough for quantiles, and no list is held.
_SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)
ASPECT_STEP = 20
"""Aspects are counted in this part of one."""


@dataclass
class Stats:
    """Counts over records, and over their objects; histograms by whole pixel, aspects in twentieths.

    ``hours`` are the hours of the day at which pictures were taken, ``times`` what said so ("none": nothing).
    """

    records: int = 0
    splits: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    licenses: Counter[str] = field(default_factory=Counter)
    regions: Counter[str] = field(default_factory=Counter)
    tags: Counter[str] = field(default_factory=Counter)
    times: Counter[str] = field(default_factory=Counter)
    hours: Counter[int] = field(default_factory=Counter)
    vehicles: Counter[str] = field(default_factory=Counter)
    colors: Counter[str] = field(default_factory=Counter)
    plates: Counter[str] = field(default_factory=Counter)
    characters: Counter[str] = field(default_factory=Counter)
    text_lengths: Counter[int] = field(default_factory=Counter)
    sizes: dict[str, Counter[int]] = field(default_factory=dict)

    def table(self) -> dict[str, Any]:
        """All that was counted, with quantiles in place of histograms."""
        found = {
            name: dict(sorted(value.items(), key=lambda item: (-item[1], str(item[0])))) if value else {}
            for name, value in vars(self).items()
            if name not in ("records", "sizes", "characters", "text_lengths", "hours")
        }
        found["hours"] = dict(sorted(self.hours.items()))
        found["characters"] = dict(sorted(self.characters.items()))
        found["text_lengths"] = dict(sorted(self.text_lengths.items()))
        quantiles = {name: quantile(counts) for name, counts in self.sizes.items()}
        for name, values in quantiles.items():
            if name.endswith("aspect"):
                quantiles[name] = {share: value / ASPECT_STEP for share, value in values.items()}
        return {"records": self.records, **found, "quantiles": quantiles}


def count(
    records: Iterable[Record], folder: Path | None = None, tick: Callable[[], None] = lambda: None
) -> Stats:
    """Go through ``records`` once and count; with the ``folder`` of their pictures, whose headers are read
    where need be, also when these were taken."""
    stats = Stats()

    def look(record: Record) -> tuple[Record, tuple[str, datetime] | None]:
        return record, taken(folder, record) if folder is not None else None

    for record, time in map(look, records) if folder is None else each(look, records):
        tick()
        stats.records += 1
        if folder is not None:
            stats.times[time[0] if time else "none"] += 1
            stats.hours.update([time[1].hour] if time else ())
        stats.splits[record.split or "none"] += 1
        stats.sources[record.source or "none"] += 1
        stats.licenses[record.license or "none"] += 1
        stats.tags.update(record.tags)
        _measure(stats, "picture", (0, 0, record.width, record.height))
        for vehicle in record.vehicles:
            stats.vehicles[vehicle.label] += 1
            stats.colors.update([vehicle.color] if vehicle.color else ())
            _measure(stats, "vehicle", vehicle.box)
        regions = {plate.region or record.region or "none" for plate in record.plates}
        stats.regions.update(regions or {record.region or "none"})
        for plate in record.plates:
            stats.plates["all"] += 1
            stats.plates["with corners"] += plate.corners is not None
            stats.plates["with text"] += plate.text is not None
            stats.plates["with a vehicle"] += plate.vehicle is not None
            stats.characters.update(plate.text or "")
            stats.text_lengths.update([len(plate.text)] if plate.text else ())
            _measure(stats, "plate", plate.box)
    return stats


def _measure(stats: Stats, kind: str, box: Box) -> None:
    width, height = box[2] - box[0], box[3] - box[1]
    stats.sizes.setdefault(f"{kind} width", Counter())[round(width)] += 1
    stats.sizes.setdefault(f"{kind} height", Counter())[round(height)] += 1
    if height > 0:
        stats.sizes.setdefault(f"{kind} aspect", Counter())[round(ASPECT_STEP * width / height)] += 1


def quantile(counts: Counter[int], shares: Iterable[float] = _SHARES) -> dict[str, float]:
    """The values below which each share of the counted lies, by percentage."""
    found, total = {}, sum(counts.values())
    for share in shares:
        below = 0
        for value in sorted(counts):
            below += counts[value]
            if below >= share * total:
                found[f"{share:.0%}"] = float(value)
                break
    return found
