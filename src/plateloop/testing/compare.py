"""Two sets of networks on the same inputs: which reads more, is the difference real, and which is faster."""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from plateloop.errors import UserError
from plateloop.runtime.cascade import Cascade, CascadeConfig
from plateloop.runtime.pictures import read_pictures
from plateloop.testing.accuracy import Begin, measure, selected
from plateloop.testing.accuracy_clips import NAME as CLIPS
from plateloop.testing.charts import statistics
from plateloop.testing.judge import Item

SPEED_PICTURES = 40
"""Pictures on which the speeds are compared."""


class Pair(BaseModel):
    """One plate with a truth, and what each set made of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    a: Item
    b: Item


class Difference(BaseModel):
    """B against A on the plates of one group."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    group: str
    plates: int
    right_a: int = Field(description="read exactly by A")
    right_b: int
    gained: int = Field(description="right with B only")
    lost: int = Field(description="right with A only")
    gain: float = Field(description="share right with B minus share right with A")
    low: float = Field(description="95 % interval of the gain, by drawing the pictures anew")
    high: float
    p: float = Field(description="of McNemar's exact test: chance of so uneven a gain and loss by luck")

    def cells(self) -> list[str]:
        """The row of a table under ``HEAD``."""
        return [
            self.group,
            str(self.plates),
            f"{self.right_a / self.plates:.1%}",
            f"{self.right_b / self.plates:.1%}",
            f"{100 * self.gain:+.1f}",
            f"{100 * self.low:+.1f} to {100 * self.high:+.1f}",
            str(self.gained),
            str(self.lost),
            f"{self.p:.3f}",
        ]


HEAD = ("group", "plates", "A", "B", "B−A points", "95 % in", "gained", "lost", "p")


class Comparison(BaseModel):
    """All that a comparison found; ``differences`` begin with all plates together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    a: str = Field(description="folder of A's networks, or that they are the package's")
    b: str
    weights_a: dict[str, str] = Field(description="network → sha256 of its ONNX")
    weights_b: dict[str, str]
    split: str | None
    differences: tuple[Difference, ...]
    extra_a: int = Field(description="readings where the truth has no plate")
    extra_b: int
    speed: float | None = Field(description="pictures a second of B divided by A's; null without pictures")
    speed_low: float | None = Field(description="95 % interval, by drawing the pictures anew")
    speed_high: float | None
    load: float = Field(description="of the machine meanwhile")
    changed: tuple[Pair, ...] = Field(description="plates that were gained or lost")


def pair_up(a: Sequence[Item], b: Sequence[Item]) -> list[Pair]:
    """The plates that have a truth, as A and as B left them.

    Raises UserError where the two do not have the same plates.
    """
    first, second = _by_plate(a), _by_plate(b)
    if first.keys() != second.keys():
        raise UserError("the two sets were not tested on the same plates; the data changed meanwhile")
    return [Pair(a=first[key], b=second[key]) for key in first]


def difference(group: str, pairs: Sequence[Pair], rounds: int = 2000, seed: int = 0) -> Difference:
    """B against A on ``pairs``.

    The interval is a paired cluster bootstrap (pictures are drawn anew, both readings with them; Efron and
    Tibshirani 1993); the test is McNemar's (Psychometrika 12, 1947) in its exact, binomial form.
    """
    plates: Counter[tuple[str, str]] = Counter()
    net: Counter[tuple[str, str]] = Counter()
    for pair in pairs:
        picture = pair.a.dataset, pair.a.file
        plates[picture] += 1
        net[picture] += _right(pair.b) - _right(pair.a)
    sizes = np.array([plates[key] for key in plates], np.float64)
    gains = np.array([net[key] for key in plates], np.float64)
    drawn = np.random.default_rng(seed).integers(0, len(sizes), (rounds, len(sizes)))
    low, high = np.quantile(gains[drawn].sum(1) / sizes[drawn].sum(1), [0.025, 0.975])
    gained = sum(_right(pair.b) and not _right(pair.a) for pair in pairs)
    lost = sum(_right(pair.a) and not _right(pair.b) for pair in pairs)
    p = statistics().binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    return Difference(
        group=group,
        plates=len(pairs),
        right_a=sum(_right(pair.a) for pair in pairs),
        right_b=sum(_right(pair.b) for pair in pairs),
        gained=gained,
        lost=lost,
        gain=(gained - lost) / len(pairs),
        low=float(low),
        high=float(high),
        p=float(p),
    )


def compare(
    a: Path | None,
    b: Path | None,
    data: Sequence[Path],
    split: str | None,
    device: str = "cpu",
    threads: int = 0,
    begin: Begin = lambda title, total: lambda count: None,
) -> Comparison:
    """Test the networks of the folders ``a`` and ``b`` (None: the package's) on the same folders ``data``.

    Raises UserError as ``accuracy.measure`` does.
    """
    statistics()
    found = [measure(data, split, 0.0, weights, device, threads, begin) for weights in (a, b)]
    pairs = pair_up(found[0].items, found[1].items)
    sources: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        sources[f"{pair.a.dataset}: {pair.a.source or '-'}"].append(pair)
    middle, low, high = _speed(_times(a, b, data, split, device, threads))
    return Comparison(
        a=_name(a),
        b=_name(b),
        weights_a=found[0].weights,
        weights_b=found[1].weights,
        split=split,
        differences=(
            difference("all", pairs),
            *(difference(name, sources[name]) for name in sorted(sources) if len(sources) > 1),
        ),
        extra_a=sum(item.truth is None for item in found[0].items),
        extra_b=sum(item.truth is None for item in found[1].items),
        speed=middle,
        speed_low=low,
        speed_high=high,
        load=round(os.getloadavg()[0], 2),
        changed=tuple(pair for pair in pairs if _right(pair.a) != _right(pair.b)),
    )


def _speed(times: Sequence[tuple[float, float]]) -> tuple[float | None, float | None, float | None]:
    if not times:
        return None, None, None
    spent = np.asarray(times)
    drawn = spent[np.random.default_rng(0).integers(0, len(spent), (2000, len(spent)))].sum(1)
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [0.025, 0.975])
    a, b = spent.sum(0)
    return float(a / b), float(low), float(high)


def _times(
    a: Path | None, b: Path | None, data: Sequence[Path], split: str | None, device: str, threads: int
) -> list[tuple[float, float]]:
    """Seconds of A and of B for each of some pictures: the two take turns, so that a load hits both alike."""
    files = [
        folder / record.file
        for folder in data
        if not (folder / CLIPS).is_file() or (folder / "manifest.jsonl").is_file()
        for record in selected(folder, split)[:SPEED_PICTURES]
    ][:SPEED_PICTURES]
    cascades = [Cascade.load(device, threads, weights, CascadeConfig(color=False)) for weights in (a, b)]
    frames = [read[1] for read in read_pictures(files) if not isinstance(read, UserError)]
    times = []
    for number, frame in enumerate(frames):
        spent = [0.0, 0.0]
        # The first of a picture's readings converts it; so each set is first as often as the other.
        for which in (0, 1, 1, 0) if number % 2 else (1, 0, 0, 1):
            start = time.perf_counter()
            cascades[which]([frame])
            spent[which] += time.perf_counter() - start
        times.append((spent[0], spent[1]))
    return times


def _by_plate(items: Iterable[Item]) -> dict[tuple[str, str, str, int], Item]:
    # Two plates of one picture may have one text: the first of A is then paired with the first of B.
    seen: Counter[tuple[str, str, str]] = Counter()
    plates = {}
    for item in items:
        if item.truth is not None:
            key = item.dataset, item.file, item.truth
            plates[*key, seen[key]] = item
            seen[key] += 1
    return plates


def _right(item: Item) -> bool:
    return item.outcome == "right"


def _name(weights: Path | None) -> str:
    return "the package's" if weights is None else str(weights)
