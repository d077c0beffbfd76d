"""How long events take, from the capture of a frame to the commit of the event that it brought.

A histogram of constant size: quantiles are right to 5 %, and what several processes counted adds up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable

import numpy as np

# Upper bounds of the buckets in seconds: 1 ms to 1,000 s, twenty a decade; the last bucket takes the rest.
BOUNDS: tuple[float, ...] = tuple(float(bound) for bound in np.logspace(-3, 3, 121))


class Latency:
    """A histogram of seconds; one thread adds, any may read.

    ``counts`` has a number for each of ``BOUNDS`` (of what took up to that long and longer than the bound
    before) and a last one for what took longer; ``count`` and ``total_s`` are of all.
    """

    __slots__ = ("count", "counts", "total_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.count = 0
        self.total_s = 0.0

    def add(self, seconds: float, times: int = 1) -> None:
        """Count ``times`` events that took so long."""
        self.counts[bisect_left(BOUNDS, seconds)] += times
        self.count += times
        self.total_s += max(0.0, seconds) * times

    def merge(self, others: Iterable[Latency]) -> None:
        """Add what others have counted."""
        for other in others:
            self.counts = [a + b for a, b in zip(self.counts, other.counts, strict=True)]
            self.count += other.count
            self.total_s += other.total_s

    def quantile(self, share: float) -> float | None:
        """The seconds within which ``share`` (0 to 1) of the events were committed; None of no events.

        Interpolated geometrically within a bucket; beyond the last bound that bound.
        """
        counts = tuple(self.counts)
        rank, below = share * sum(counts), 0
        for place, number in enumerate(counts[:-1]):
            if number and below + number >= rank:
                low = BOUNDS[place - 1] if place else BOUNDS[0] / 2
                return float(low * (BOUNDS[place] / low) ** ((rank - below) / number))
            below += number
        return BOUNDS[-1] if counts[-1] else None

    @property
    def p50(self) -> float | None:
        """The median, in seconds."""
        return self.quantile(0.5)

    @property
    def p95(self) -> float | None:
        """95 % were not slower, in seconds."""
        return self.quantile(0.95)

    @property
    def p99(self) -> float | None:
        """99 % were not slower, in seconds."""
        return self.quantile(0.99)

    def cumulative(self) -> list[tuple[float, int]]:
        """``(bound, events that took up to that long)`` with infinity last, as Prometheus has histograms."""
        bounds = [*BOUNDS, float("inf")]
        return list(zip(bounds, np.cumsum(self.counts).tolist(), strict=True))


class Latencies(defaultdict[int, Latency]):
    """A ``Latency`` for each stream, by its number; made when first asked for."""

    def __init__(self) -> None:
        super().__init__(Latency)
