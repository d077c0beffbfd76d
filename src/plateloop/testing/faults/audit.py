"""What was lost, out of order or doubled: pure functions over what was shown, told, stored and received."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from pydantic import BaseModel, ConfigDict, Field

from plateloop.deployment.store import Stored
from plateloop.testing.faults.feed import Play
from plateloop.testing.faults.subject import Told
from plateloop.text import edit_distance
from plateloop.types import Event

SAME = 2
"""Edits up to which a text is taken for a vehicle's: the question is who was lost, not who was misread."""
MARGIN_S = 1.0
"""Seconds for which a vehicle must have been gone when a play was cut, to have been shown whole."""


class FaultRow(BaseModel):
    """What became of the events under one kind of fault."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fault: str
    injected: int = Field(0, description="times that it was done")
    shown: int = Field(0, description="vehicles shown whole while the source was sound; 0: not counted")
    told: int = Field(0, description="event lines that the process told")
    stored: int = Field(0, description="events committed to the store")
    received: int | None = Field(None, description="messages at the consumer; null: no broker took part")
    missed: int = Field(0, description="vehicles shown whole and not told")
    lost: int = Field(0, description="told and not stored, or stored and not received")
    disordered: int = Field(0, description="out of order within their stream, in the store or on arrival")
    duplicates: int = Field(0, description="messages received again, recognised by id and sequence")
    strange: int = Field(0, description="messages received that the store does not know by id and sequence")
    recoveries_s: tuple[float, ...] = Field((), description="from the end of each fault to the next event")
    exit_code: int | None = Field(None, description="of the process's last, orderly end")
    said: tuple[str, ...] = Field(
        (), description="the last lines on stderr of a process that ended otherwise"
    )
    skipped: str | None = Field(None, description="why it was not done")

    @property
    def passed(self) -> bool:
        """Nothing missed, lost, out of order or unknown, and an orderly end; true where it was skipped."""
        return not (self.missed or self.lost or self.disordered or self.strange or self.exit_code)

    def cells(self) -> list[str]:
        """The row of a table under ``HEAD``."""
        if self.skipped:
            return [self.fault, *["-"] * (len(HEAD) - 1)]
        worst = (
            f"{median(self.recoveries_s):.1f} / {max(self.recoveries_s):.1f}" if self.recoveries_s else "-"
        )
        return [
            self.fault + (f" (exit {self.exit_code})" if self.exit_code else ""),
            str(self.injected),
            str(self.shown) if self.shown else "-",
            str(self.missed) if self.shown else "-",
            str(self.told),
            str(self.stored),
            "-" if self.received is None else str(self.received),
            str(self.lost),
            str(self.disordered),
            str(self.duplicates) + (f" ({self.strange} unknown)" if self.strange else ""),
            worst,
        ]


HEAD = (
    "fault",
    "times",
    "shown",
    "missed",
    "told",
    "stored",
    "arrived",
    "lost",
    "order",
    "again",
    "recovery",
)


def shown_whole(plays: Iterable[Play], known: Mapping[str, float]) -> list[tuple[Play, str]]:
    """The vehicles that undamaged plays showed to their end; ``known``: text → the second it is gone."""
    return [
        (play, text)
        for play in plays
        if not play.damaged
        for text, gone_s in known.items()
        if play.sent_s >= gone_s + MARGIN_S
    ]


def missing(shown: Sequence[tuple[Play, str]], told: Sequence[Told], within_s: float) -> list[str]:
    """The texts of ``shown`` vehicles of which nothing was told between their play's begin and ``within_s``.

    An event answers for one vehicle only.
    """
    lines: dict[str, list[Told]] = defaultdict(list)
    for line in told:
        lines[line.event.id].append(line)
    free = [passage for passage in lines.values() if passage[-1].event.text]
    absent = []
    for play, text in sorted(shown, key=lambda item: item[0].begun):
        for passage in free:
            last = passage[-1].event
            timely = passage[-1].time >= play.begun and passage[0].time <= play.begun + within_s
            same_stream = last.source == f"gate {play.stream + 1}"
            if timely and same_stream and edit_distance(text, last.text or "") <= SAME:
                free.remove(passage)
                break
        else:
            absent.append(text)
    return absent


def unstored(told: Iterable[Told], stored: Iterable[Stored]) -> int:
    """How many lines were told that the store does not hold."""
    return sum((Counter(line.event for line in told) - Counter(item.event for item in stored)).values())


def unreceived(stored: Iterable[Stored], received: Iterable[Stored]) -> int:
    """How many events of the first never came up in the second, by id and sequence."""
    return len({_key(item) for item in stored} - {_key(item) for item in received})


def disorder(items: Iterable[Stored], gaps: bool = False) -> int:
    """How many came after a later one of their stream; what came again is passed over.

    With ``gaps`` missing numbers count too: a store has none.
    """
    seen: set[tuple[str, int]] = set()
    last: dict[str, int] = defaultdict(int)
    wrong = 0
    for item in items:
        if _key(item) in seen:
            continue
        seen.add(_key(item))
        before, last[item.event.source] = last[item.event.source], max(last[item.event.source], item.sequence)
        wrong += item.sequence <= before or (gaps and item.sequence != before + 1)
    return wrong


def repeated(received: Sequence[Stored]) -> int:
    """How many arrived that had arrived before, by id and sequence."""
    return len(received) - len({_key(item) for item in received})


def last_states(told: Iterable[Event]) -> list[Event]:
    """The last line of each id."""
    return list({event.id: event for event in told}.values())


def _key(item: Stored) -> tuple[str, int]:
    return item.event.id, item.sequence
