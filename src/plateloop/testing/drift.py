"""Drift: whether what a deployment sees and reads is still what it saw and read before."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field

from plateloop.deployment.lines import LineReader
from plateloop.deployment.store import Store, Stored
from plateloop.errors import UserError
from plateloop.testing.charts import statistics

LEAST = 20
"""Events that a period must have of a measure to be compared."""
LEVEL, SHIFT = 0.05, 0.1
"""A measure has drifted where its adjusted p is below LEVEL and its PSI at least SHIFT: chance is unlikely,
and the shift large enough to matter (0.1 to 0.25 is called moderate, more is large)."""

NUMBERS: dict[str, Callable[[Stored], float | None]] = {
    "confidence": lambda item: item.event.confidence if item.event.text else None,
    "plate height": lambda item: _height(item),
    "readings a vehicle": lambda item: float(item.event.readings),
}
CLASSES: dict[str, Callable[[Stored], str | None]] = {
    "read": lambda item: "read" if item.event.text else "not read",
    "color": lambda item: item.event.vehicle.color if item.event.vehicle else None,
    "label": lambda item: item.event.vehicle.label if item.event.vehicle else None,
    "hour of day": lambda item: f"{datetime.fromtimestamp(item.time, UTC).hour // 4 * 4:02d} h UTC",
}


class Shift(BaseModel):
    """One measure of one source, in the reference and now.

    ``reference`` and ``current`` are shares by class, or of the reference's tenths for numbers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    measure: str
    count_reference: int
    count_current: int
    psi: float = Field(description="population stability index; 0: the same")
    p: float = Field(description="of the Kolmogorov-Smirnov test for numbers, of chi-square for classes")
    p_adjusted: float = Field(1.0, description="after Benjamini and Hochberg, over all measures tested")
    what: str = Field(description="the change in plain words")
    classes: tuple[str, ...]
    reference: tuple[float, ...]
    current: tuple[float, ...]

    @property
    def drifted(self) -> bool:
        """Whether it is unlikely to be chance, and large enough to matter."""
        return self.p_adjusted < LEVEL and self.psi >= SHIFT

    def cells(self) -> list[str]:
        """The row of a table under ``HEAD``."""
        return [
            self.source,
            self.measure,
            f"{self.count_reference} → {self.count_current}",
            f"{self.psi:.3f}",
            f"{self.p_adjusted:.2g}",
            "DRIFT" if self.drifted else "",
            self.what,
        ]


HEAD = ("source", "measure", "events", "PSI", "p adjusted", "", "change")


def load(place: str, since: float = -math.inf, until: float = math.inf) -> list[Stored]:
    """The last state of each event of a store or a file of JSON lines, from ``since`` on, before ``until``.

    Raises UserError where there is none.
    """
    path = Path(place)
    if path.suffix in (".jsonl", ".ndjson"):
        if not path.is_file():
            raise UserError(f"{place}: no such file")
        with path.open(encoding="utf-8", errors="replace") as lines:
            items = list({item.event.id: item for item in LineReader().read(lines)}.values())
    else:
        with closing(Store.open(place, create=False)) as store:
            items = list(store.latest())
    chosen = [item for item in items if since <= item.time < until]
    if not chosen:
        which = f"none of its {len(items)} events is in this period" if items else "no event in it"
        raise UserError(f"{place}: {which}")
    return chosen


def period(text: str) -> tuple[float, float] | None:
    """``FROM..TO`` (ISO dates or times, UTC unless they say otherwise; each may be left out) as Unix times.

    None where ``text`` is no period. Raises UserError where it is one with a date that is none.
    """
    if not re.fullmatch(r"[\d:T+Z -]*\.\.[\d:T+Z -]*", text):
        return None
    first, _, last = text.partition("..")
    return (_moment(first) if first else -math.inf, _moment(last) if last else math.inf)


def drift(reference: Sequence[Stored], current: Sequence[Stored]) -> list[Shift]:
    """Every measure of all sources together and of each source that both periods have."""
    groups = {"all sources": (list(reference), list(current))}
    names = {item.event.source for item in reference} & {item.event.source for item in current}
    if len(names) > 1:
        for name in sorted(names):
            groups[name] = (_of(reference, name), _of(current, name))
    shifts = []
    for source, (before, now) in groups.items():
        for measure, number in NUMBERS.items():
            old, new = ([v for v in map(number, items) if v is not None] for items in (before, now))
            if min(len(old), len(new)) >= LEAST:
                shifts.append(_of_numbers(source, measure, np.array(old), np.array(new)))
        for measure, name_of in CLASSES.items():
            had, has = ([v for v in map(name_of, items) if v is not None] for items in (before, now))
            if min(len(had), len(has)) >= LEAST:
                shifts.append(_of_classes(source, measure, had, has))
    if not shifts:
        raise UserError(f"too few events to compare: each period needs {LEAST} of a measure")
    adjusted = statistics().false_discovery_control([shift.p for shift in shifts])
    return [
        shift.model_copy(update={"p_adjusted": float(p)}) for shift, p in zip(shifts, adjusted, strict=True)
    ]


def stability(reference: ArrayLike, current: ArrayLike) -> float:
    """Population stability index of two lists of counts over the same classes.

    Half an event is added to each, so that an empty class does not make it infinite.
    """
    old, new = np.asarray(reference, float) + 0.5, np.asarray(current, float) + 0.5
    old, new = old / old.sum(), new / new.sum()
    return float(((new - old) * np.log(new / old)).sum())


def _of_numbers(source: str, measure: str, old: np.ndarray, new: np.ndarray) -> Shift:
    edges = np.unique(np.quantile(old, np.linspace(0, 1, 11)[1:-1]))
    counts = [np.bincount(np.searchsorted(edges, part), minlength=len(edges) + 1) for part in (old, new)]
    middle = float(np.median(old)), float(np.median(new))
    word = "fell" if middle[1] < middle[0] else "rose" if middle[1] > middle[0] else "stayed"
    bounds = [f"≤ {edge:.3g}" for edge in edges] + [f"> {edges[-1]:.3g}"]
    return Shift(
        source=source,
        measure=measure,
        count_reference=len(old),
        count_current=len(new),
        psi=round(stability(counts[0], counts[1]), 4),
        p=float(statistics().ks_2samp(old, new).pvalue),
        what=f"{measure} {word}: median {middle[0]:.3g} → {middle[1]:.3g}",
        classes=tuple(bounds),
        reference=tuple((counts[0] / len(old)).round(4).tolist()),
        current=tuple((counts[1] / len(new)).round(4).tolist()),
    )


def _of_classes(source: str, measure: str, old: Sequence[str], new: Sequence[str]) -> Shift:
    first, second = Counter(old), Counter(new)
    # The chi-square approximation wants five expected in each cell: what is rarer goes together.
    share = min(len(old), len(new)) / (len(old) + len(new))
    common = sorted(name for name, count in (first + second).items() if count * share >= 5)
    classes = [*common, "other"] if len(common) < len(first | second) else common
    counts = np.array(
        [[count[name] for name in common] + [count.total()] for count in (first, second)], float
    )
    counts[:, -1] -= counts[:, :-1].sum(1)
    table = counts[:, : len(classes)]
    used = table[:, table.sum(0) > 0]
    p = float(statistics().chi2_contingency(used).pvalue) if used.shape[1] > 1 else 1.0
    before, now = table[0] / len(old), table[1] / len(new)
    most = int(np.abs(now - before).argmax())
    return Shift(
        source=source,
        measure=measure,
        count_reference=len(old),
        count_current=len(new),
        psi=round(stability(table[0], table[1]), 4),
        p=p,
        what=f"{measure}: {classes[most]} {before[most]:.0%} → {now[most]:.0%}",
        classes=tuple(classes),
        reference=tuple(before.round(4).tolist()),
        current=tuple(now.round(4).tolist()),
    )


def _of(items: Sequence[Stored], source: str) -> list[Stored]:
    return [item for item in items if item.event.source == source]


def _height(item: Stored) -> float | None:
    if item.event.plate is None:
        return None
    return item.event.plate.box[3] - item.event.plate.box[1]


def _moment(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UserError(f"{text}: not a date or time; expected 2026-03-01 or 2026-03-01T12:00") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
