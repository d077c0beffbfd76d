"""A source of a run over a cluster, and where it stands."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from uuid import UUID

from plateloop.deployment.cluster.places import Place
from plateloop.deployment.pipeline import StreamReport
from plateloop.deployment.sinks.store import Brought
from plateloop.deployment.sources import SourceConfig
from plateloop.types import Event

# What is counted anew by each machine that a camera is given to.
COUNTS = ("frames", "dropped", "vehicles", "plates", "readings", "blanks", "reconnects")


@dataclass(slots=True)
class PlacedReport(StreamReport):
    """What became of a source, where it was last, and how often it had to begin elsewhere."""

    node: str = ""
    restarts: int = 0


@dataclass(slots=True)
class Task:
    """A source: its ``number`` in the run, the name of its ``file``, and of a recording what ids go by.

    ``place`` has it now, or none; ``not_before`` (monotonic seconds) is when it may be given to one;
    ``over``: there is no more to do. ``brought`` are a recording's events so far, ``open`` the passages of a
    camera that have not ended.
    """

    number: int
    source: SourceConfig
    file: str
    job: UUID | None
    report: PlacedReport
    place: Place | None = None
    over: bool = False
    not_before: float = 0.0
    brought: list[Brought] = field(default_factory=list)
    open: dict[str, Brought] = field(default_factory=dict)
    _begun: float | None = None
    _before: dict[str, int] = field(default_factory=dict)

    @property
    def recording(self) -> bool:
        """Whether it can be read again from its beginning."""
        return self.job is not None

    def begin(self, place: Place) -> None:
        """``place`` has it from now on."""
        self.place = place
        self.report.node = place.host
        self._begun = self._begun or time.monotonic()

    def file_here(self) -> str:
        """The name of its video: a recording's is written anew, a camera's goes on in another one."""
        restarts = self.report.restarts
        return self.file if self.recording or not restarts else f"{self.file}-restart{restarts}"

    def note(self, brought: Brought) -> None:
        """Keep what it takes to end the passages that are under way."""
        for event in brought.events:
            if event.phase == "end":
                self.open.pop(event.id, None)
            else:
                self.open[event.id] = Brought((event,), brought.arrived, brought.time, brought.frame)

    def measure(self, report: StreamReport) -> None:
        """Take over what its place counts."""
        for name in COUNTS:
            setattr(self.report, name, self._before.get(name, 0) + getattr(report, name))
        self.report.error = report.error
        self.report.seconds = time.monotonic() - (self._begun or time.monotonic())

    def lose(self, pause_s: float) -> list[Brought]:
        """Its place is gone; it may begin elsewhere after a pause. Returns the ends of open passages."""
        self.place = None
        self.report.restarts += 1
        self.not_before = time.monotonic() + pause_s
        # A recording begins anew, a camera goes on.
        self._before = {} if self.recording else {name: getattr(self.report, name) for name in COUNTS}
        self.brought = []
        ends = [_ended(last) for last in self.open.values()]
        self.open = {}
        return ends


def _ended(last: Brought) -> Brought:
    (event,) = last.events
    end: Event = event.model_copy(update={"phase": "end"})
    return Brought((end,), time.time(), last.time, last.frame)
