"""The last hour in numbers: vehicles a minute, how surely they were read, colours, labels, sources."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from plateloop.deployment.store import Stored

MINUTES = 60
BINS = 20
# Of names that others chose, so much is kept, and so many are shown.
LONGEST = 200
SHOWN = 12


@dataclass(frozen=True, slots=True)
class Vehicle:
    """A vehicle by its newest phase; ``first`` and ``last`` are the Unix times of its first and this one."""

    id: str
    sequence: int
    source: str
    first: float
    last: float
    text: str | None
    confidence: float
    label: str | None
    color: str | None


@dataclass(frozen=True, slots=True)
class Source:
    """A source's row: its vehicles, how many were read, how surely (median), and when the last was seen."""

    name: str
    vehicles: int
    read: int
    confidence: float | None
    last: float


@dataclass(frozen=True, slots=True)
class Summary:
    """The hour that ends at ``until`` (Unix time).

    ``minutes`` counts the vehicles (read, unread) that came in each minute, ``confidences`` the read ones in
    bins of equal width over [0, 1]; ``colors`` and ``labels`` are counts, most first; ``newest`` come first.
    """

    until: float
    vehicles: int
    read: int
    confidence: float | None
    minutes: Sequence[tuple[int, int]]
    confidences: Sequence[int]
    colors: Sequence[tuple[str, int]]
    labels: Sequence[tuple[str, int]]
    sources: Sequence[Source]
    newest: Sequence[Vehicle]


class Tally:
    """Keeps the newest ``most`` vehicles, by their ids; for several threads."""

    def __init__(self, most: int = 20_000) -> None:
        self._most = most
        self._vehicles: OrderedDict[str, Vehicle] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, items: Iterable[Stored], now: float) -> None:
        """Take phases in; one that came before, or is older than what is known of its vehicle, is nothing."""
        with self._lock:
            for item in items:
                event, key = item.event, item.event.id[:LONGEST]
                known = self._vehicles.get(key)
                if known is not None and known.sequence >= item.sequence:
                    continue
                # A clock that runs ahead would move the hour away from all others.
                time_s = min(item.time, now)
                seen = event.vehicle
                self._vehicles[key] = Vehicle(
                    key,
                    item.sequence,
                    event.source[:LONGEST],
                    known.first if known is not None else time_s,
                    time_s,
                    event.text[:LONGEST] if event.text is not None else None,
                    min(1.0, max(0.0, event.confidence)),
                    seen.label[:LONGEST] if seen is not None else None,
                    seen.color[:LONGEST] if seen is not None and seen.color is not None else None,
                )
                if len(self._vehicles) > self._most:
                    self._vehicles.popitem(last=False)

    def summary(self, now: float, source: str | None = None) -> Summary:
        """The last hour, of one ``source`` or all; the newest hour known where the last brought nothing."""
        with self._lock:
            everything = list(self._vehicles.values())
        newest = max((vehicle.first for vehicle in everything), default=now)
        end = 60 * (1 + int((now if newest > now - 60 * MINUTES else newest) // 60))
        start = end - 60 * MINUTES
        hour = [vehicle for vehicle in everything if vehicle.first >= start]
        chosen = hour if source is None else [vehicle for vehicle in hour if vehicle.source == source]
        sure = [vehicle.confidence for vehicle in chosen if vehicle.text is not None]
        came = Counter((int(v.first - start) // 60, v.text is not None) for v in chosen)
        bins = Counter(min(BINS - 1, int(value * BINS)) for value in sure)
        return Summary(
            until=end,
            vehicles=len(chosen),
            read=len(sure),
            confidence=median(sure) if sure else None,
            minutes=[(came[minute, True], came[minute, False]) for minute in range(MINUTES)],
            confidences=[bins[number] for number in range(BINS)],
            colors=Counter(v.color for v in chosen if v.color is not None).most_common(SHOWN),
            labels=Counter(v.label for v in chosen if v.label is not None).most_common(SHOWN),
            sources=_sources(hour),
            newest=sorted(chosen, key=lambda vehicle: -vehicle.last)[:SHOWN],
        )


def _sources(vehicles: Iterable[Vehicle]) -> list[Source]:
    of: dict[str, list[Vehicle]] = {}
    for vehicle in vehicles:
        of.setdefault(vehicle.source, []).append(vehicle)
    rows = []
    for name, some in of.items():
        sure = [vehicle.confidence for vehicle in some if vehicle.text is not None]
        last = max(vehicle.last for vehicle in some)
        rows.append(Source(name, len(some), len(sure), median(sure) if sure else None, last))
    return sorted(rows, key=lambda row: (-row.vehicles, row.name))[: 4 * SHOWN]
