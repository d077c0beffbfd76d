"""The figures of an accuracy test: shares by group, failures, calibration."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field

from plateloop import __version__
from plateloop.testing.judge import OUTCOMES, Item
from plateloop.testing.metrics import bootstrap, character_error_rate, reliability
from plateloop.text import fold

HEAD = ("group", "plates", "right", "share", "95 % in", "O=0", "CER", "extra")


class Score(BaseModel):
    """How many of a group's plates were read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    group: str = Field(description="what the plates have in common")
    plates: int
    pictures: int = Field(description="pictures or clips that the plates are on")
    right: int = Field(description="read exactly, with a confidence at or above the threshold")
    share: float = Field(description="right / plates")
    low: float = Field(description="95 % interval of the share, by drawing the pictures anew")
    high: float
    share_folded: float = Field(description="the share where O and 0 count as one character")
    cer: float | None = Field(description="character error rate over the plates that were read at all")
    extra: int = Field(description="readings where the truth has no plate")

    def cells(self) -> list[str]:
        """The score as a row of a table under `HEAD`."""
        return [
            self.group,
            str(self.plates),
            str(self.right),
            f"{self.share:.1%}",
            f"{100 * self.low:.0f}–{100 * self.high:.0f}",
            f"{self.share_folded:.1%}",
            "-" if self.cer is None else f"{self.cer:.3f}",
            str(self.extra),
        ]


class AccuracyReport(BaseModel):
    """All that a run of the accuracy test found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    date: str
    version: str = Field(description="of plateloop")
    weights: dict[str, str] = Field(description="network → sha256 of its ONNX")
    split: str | None
    pictures: int = Field(description="pictures and clips looked at")
    scores: dict[str, list[Score]] = Field(description="by dataset, annotation, source and region")
    failures: dict[str, dict[str, int]] = Field(description="dataset, and by annotation → outcome → plates")
    ece: float | None = Field(description="expected calibration error over the readings that have a truth")
    calibration: list[tuple[int, float | None, float | None]] = Field(
        description="per tenth of confidence: readings, mean confidence, share right"
    )
    items: list[Item]

    def failure_rows(self) -> list[list[str]]:
        """The failures as a table: the head with the groups, then a row for each outcome that occurs."""
        present = [o for o in OUTCOMES if any(o in counts for counts in self.failures.values())]
        rows = [[o, *(str(counts.get(o, 0)) for counts in self.failures.values())] for o in present]
        return [["outcome", *self.failures], *rows]


def score(group: str, items: Iterable[Item]) -> Score:
    """The score of ``items``, of which at least one has a truth, as one group."""
    pictures: dict[tuple[str, str], list[Item]] = defaultdict(list)
    extra = 0
    for item in items:
        if item.truth is None:
            extra += 1
        else:
            pictures[item.dataset, item.file].append(item)
    total = [len(plates) for plates in pictures.values()]
    right = [sum(item.outcome == "right" for item in plates) for plates in pictures.values()]
    plates = [item for group_items in pictures.values() for item in group_items]
    folded = sum(_right_folded(item) for item in plates)
    low, high = bootstrap(right, total)
    return Score(
        group=group,
        plates=len(plates),
        pictures=len(pictures),
        right=sum(right),
        share=sum(right) / len(plates),
        low=low,
        high=high,
        share_folded=folded / len(plates),
        cer=_number(character_error_rate((item.truth or "", item.found) for item in plates if item.found)),
        extra=extra,
    )


def _number(value: float) -> float | None:
    # JSON has no nan.
    return None if math.isnan(value) else value


def _right_folded(item: Item) -> bool:
    if item.outcome == "below threshold":
        return False
    return item.truth is not None and item.found is not None and fold(item.found) == fold(item.truth)


def report(
    items: Sequence[Item], pictures: int, weights: dict[str, str], split: str | None = None
) -> AccuracyReport:
    """Score ``items`` by group, count the failures, compare confidences with the truth."""
    groups: dict[str, dict[str, list[Item]]] = {"dataset": {}, "annotation": {}, "source": {}, "region": {}}
    failures: dict[str, Counter[str]] = defaultdict(Counter)
    for item in items:
        failures[item.dataset][item.outcome] += 1
        if item.truth is not None:
            failures[f"{item.dataset}: {item.annotation}"][item.outcome] += 1
        groups["dataset"].setdefault(item.dataset, []).append(item)
        for name in ("source", "region") if item.truth is None else ("annotation", "source", "region"):
            groups[name].setdefault(f"{item.dataset}: {getattr(item, name)}", []).append(item)
    read = [item for item in items if item.truth is not None and item.found]
    measured = reliability(
        [item.confidence or 0.0 for item in read], [item.found == item.truth for item in read]
    )
    return AccuracyReport(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        version=__version__,
        weights=weights,
        split=split,
        pictures=pictures,
        scores={
            name: [score(group, members[group]) for group in sorted(members)]
            for name, members in groups.items()
        },
        failures={
            name: {o: failures[name][o] for o in OUTCOMES if failures[name][o]} for name in sorted(failures)
        },
        ece=_number(measured.ece),
        calibration=[
            (int(count), _number(confidence), _number(accuracy))
            for count, confidence, accuracy in zip(
                measured.count, measured.confidence, measured.accuracy, strict=True
            )
        ],
        items=list(items),
    )
