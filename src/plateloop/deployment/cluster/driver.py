"""The run on the machine that was asked: deals the sources to pipelines in the cluster, commits their events.

Pipelines are actors, each with the cores and GPUs that the page states. Cameras are spread over them and
stay; recordings go one after the other to pipelines that have nothing to do. The driver asks each pipeline
for its news, commits them, and then says that it has them. A camera's events are committed at once; those of
a recording together when it has ended, since another machine begins it anew if its own dies.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import plateloop
from plateloop.deployment import logs
from plateloop.deployment.cluster.actor import Actor, Line, News, Parcel
from plateloop.deployment.cluster.config import RayConfig
from plateloop.deployment.cluster.places import Place, Room
from plateloop.deployment.cluster.task import Task
from plateloop.deployment.config import PipelineConfig
from plateloop.deployment.sinks.store import StoreSink
from plateloop.errors import UserError

log = logging.getLogger(__name__)

# How long a pipeline that was asked for may wait for its cores, and all of them may take to end when told.
PATIENCE_S = 60.0
END_S = 4.0
# Pause before a source whose machine died begins elsewhere; doubles each time up to the source's own longest.
PAUSE_S = 0.5


class ClusterRun:
    """Runs sources over a cluster until all have ended or ``stop`` is called; has a `Pipeline`'s looks.

    ``open`` before, and ``keeper`` set. ``reports`` are of ``tasks``, in order.
    """

    def __init__(
        self,
        ray: Any,
        settings: RayConfig,
        config: PipelineConfig,
        page: PipelineConfig,
        tasks: Sequence[Task],
    ) -> None:
        """``config`` is the run's page, ``page`` what each pipeline gets of it."""
        self.config = config
        self.tasks = tuple(tasks)
        self.reports = [task.report for task in tasks]
        self.keeper: StoreSink | None = None
        self.mark: Path | None = None
        self._ray, self._settings, self._page = ray, settings, page
        self._room = Room(ray, settings)
        self._by_name = {task.source.title: task for task in tasks}
        self._places: list[Place] = []
        self._asked: dict[Any, Callable[[Any], None]] = {}
        self._problems: list[str] = []
        self._failures: list[Exception] = []
        self._interrupted = 0
        self._stop = threading.Event()
        self._ending: float | None = None
        self._round_at: float | None = None

    def open(self) -> None:
        """Begin the pipelines, and wait for the first. Raises UserError where there is no room for one."""
        settings = self._settings
        if all(task.over for task in self.tasks):
            return
        most = self._room.capacity()
        need = f"{settings.cores} cores" + (f" and {settings.gpus:g} GPUs" if settings.gpus else "")
        if not most:
            raise UserError(
                f"ray {settings.address}: no machine there has {need} for a pipeline; see ray.cores"
            )
        both = len({task.recording for task in self.tasks if not task.over}) == 2
        if both and most < 2:
            raise UserError(
                f"ray {settings.address}: there is room for one pipeline ({need}), which cameras would hold "
                "for ever; run recordings apart from them"
            )
        deadline = time.monotonic() + PATIENCE_S
        while not any(place.ready for place in self._places):
            self._staff()
            self._listen()
            if self._problems and not self._places:
                raise UserError(self._problems[0])
            if time.monotonic() > deadline and not any(place.there for place in self._places):
                raise UserError(f"ray {settings.address}: {need} for a pipeline are free on no machine now")
        for problem in self._problems:
            log.warning("%s", problem)

    def close(self) -> None:
        """End what still runs, at once."""
        for place in list(self._places):
            self._kill(place)

    def stop(self) -> None:
        """Let ``run`` come to its end: cameras' passages are told; recordings that have not ended are not."""
        self._stop.set()

    def busy_s(self) -> float:
        """Seconds since the driver last listened to the pipelines."""
        return 0.0 if self._round_at is None else time.monotonic() - self._round_at

    def run(self, forever: bool = False) -> list[Exception]:
        """Process all sources; returns the errors of sinks that failed. A bad source is in its report."""
        assert self.keeper is not None and not forever
        try:
            while self._goes_on():
                self._round_at = time.monotonic()
                if self._ending is None:
                    self._staff()
                    self._deal()
                self._listen()
        finally:
            self._round_at = None
            self.close()
            try:
                self.keeper.close()
            except OSError as error:
                self._failures.append(error)
            if self._interrupted:
                told = "recordings were not read to their end: nothing of them is stored; run them again"
                log.warning("%d %s", self._interrupted, told)
        return self._failures

    def _goes_on(self) -> bool:
        # Whether there is a pipeline to listen to, or one will be; ends them when it is time.
        if self._ending is None:
            if not (self._stop.is_set() or all(task.over for task in self.tasks)):
                return True
            self._ending = time.monotonic()
            for place in list(self._places):
                if place.ready:
                    place.handle.stop.remote()
                else:
                    self._kill(place)
            for task in self.tasks:
                if task.place is None:
                    self._interrupt(task)
        patience = END_S if self._stop.is_set() else PATIENCE_S
        for place in list(self._places) if time.monotonic() > self._ending + patience else ():
            self._lose(place, "does not end")
        return bool(self._places)

    def _staff(self) -> None:
        # Ask for a pipeline for each source that waits, where there is room.
        late = [p for p in self._places if not p.there and time.monotonic() > p.since + PATIENCE_S]
        for place in late:
            self._lose(place, "its cores are not free")
        starting = sum(not place.ready for place in self._places)
        waiting = sum(not task.over and task.place is None for task in self.tasks) - starting
        for node in self._room.free(self._places)[: max(0, waiting)]:
            strategy = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=False)
            handle = (
                self._ray.remote(Actor)
                .options(
                    num_cpus=self._settings.cores,
                    num_gpus=self._settings.gpus,
                    max_concurrency=4,
                    scheduling_strategy=strategy,
                )
                .remote()
            )
            place = Place(node, self._room.host(node), handle)
            self._places.append(place)
            self._ask(place, handle.version.remote(), partial(self._arrived, place))

    def _arrived(self, place: Place, version: str) -> None:
        place.there, own = True, plateloop.__version__
        if version != own:
            self._lose(place, f"has plateloop {version}, this machine {own}; install the same")
            return
        begun = place.handle.begin.remote(self._page, self.mark)
        self._ask(place, begun, lambda _: self._begun(place))

    def _begun(self, place: Place) -> None:
        place.ready = True
        self._room.trust(place.node)
        self._ask(place, place.handle.take.remote(0), partial(self._receive, place))

    def _deal(self) -> None:
        tasks = [task for task in self.tasks if not task.over]
        due = [t for t in tasks if t.place is None and time.monotonic() >= t.not_before]
        cameras = sum(not task.recording for task in tasks)
        # Where there are recordings too, one pipeline is left to them.
        spread = max(1, self._room.capacity() - (cameras < len(tasks)))
        most = math.ceil(cameras / min(spread, max(1, cameras)))
        for place in (place for place in self._places if place.ready):
            held = [task for task in tasks if task.place is place]
            if not any(task.recording for task in held):
                fitting = [t for t in due if not t.recording and t.place is None][: max(0, most - len(held))]
                fitting = fitting or (
                    [t for t in due if t.recording and t.place is None][:1] if not held else []
                )
                for task in fitting:
                    self._give(task, place)

    def _give(self, task: Task, place: Place) -> None:
        task.begin(place)
        added = place.handle.add.remote(task.source, task.file_here(), task.job)
        self._ask(place, added, lambda _: None, partial(self._refuse, task, place))

    def _refuse(self, task: Task, place: Place, problem: str) -> None:
        task.report.error = f"{problem} (on {place.host}; the machines must share it)"
        task.over, task.place = True, None

    def _ask(
        self,
        place: Place,
        ref: Any,
        then: Callable[[Any], None],
        refused: Callable[[str], None] | None = None,
    ) -> None:
        # ``refused`` hears of a mistake of the user's; without it the place is lost with that.
        def answer(ref: Any) -> None:
            try:
                value = self._ray.get(ref)
            except self._ray.exceptions.RayError as error:
                cause = getattr(error, "cause", None)
                if isinstance(cause, UserError) and refused is not None:
                    refused(str(cause))
                elif place in self._places:
                    self._lose(place, str(cause) if isinstance(cause, UserError) else _why(error))
                return
            if place in self._places:
                then(value)

        self._asked[ref] = answer

    def _listen(self) -> None:
        if not self._asked:
            time.sleep(0.1)
            return
        ready, _ = self._ray.wait(list(self._asked), num_returns=1, timeout=0.2)
        for ref in ready:
            self._asked.pop(ref)(ref)

    def _receive(self, place: Place, parcel: Parcel) -> None:
        for line in parcel.lines:
            _log(place, line)
        reports = {report.source: report for report in parcel.reports}
        for name, report in reports.items():
            if (task := self._by_name[name]).place is place:
                task.measure(report)
        for news in parcel.news:
            task = self._by_name[news.source]
            self._keep(task, news)
        place.done = parcel.first + len(parcel.news)
        self._failures += [RuntimeError(f"{place.host}: {failure}") for failure in parcel.failures]
        if not parcel.over:
            self._ask(place, place.handle.take.remote(place.done), partial(self._receive, place))
        elif self._ending is None:
            self._lose(place, "its pipeline ended")
        else:
            self._kill(place)

    def _keep(self, task: Task, news: News) -> None:
        assert self.keeper is not None
        number, title, brought = task.number, task.source.title, news.brought
        if task.recording and brought.events:
            task.brought.append(brought)
        elif brought.events:
            task.note(brought)
            self.keeper.take(number, title, (brought,))
        if not news.over:
            return
        task.place = None
        if task.recording and not news.whole:
            self._interrupt(task)
            return
        task.over = task.report.ended = True
        self.keeper.take(number, title, task.brought, once=True)
        task.brought = []

    def _interrupt(self, task: Task) -> None:
        self._interrupted += task.recording and not task.over
        task.over, task.place = True, None

    def _lose(self, place: Place, why: str) -> None:
        # What ran there begins elsewhere, or later.
        self._kill(place)
        self._room.rest(place.node)
        lost = [task for task in self.tasks if task.place is place]
        problem = f"{place.host}: {why}"
        if lost:
            names = [task.source.title for task in lost[:3]] + (["…"] if len(lost) > 3 else [])
            log.warning("%s; to begin elsewhere: %s", problem, ", ".join(names))
        elif problem not in self._problems:
            self._problems.append(problem)
            if self.keeper is not None:
                log.warning("%s", problem)
        for task in lost:
            source = task.source
            ends = task.lose(min(PAUSE_S * 2 ** min(task.report.restarts, 16), source.retry_most_s))
            if ends and self.keeper is not None:
                self.keeper.take(task.number, source.title, ends)
            if self._ending is not None:
                self._interrupt(task)
            elif task.recording and task.report.restarts >= self._settings.attempts:
                task.over = True
                task.report.error = f"{source.title}: given up; {task.report.restarts} pipelines died with it"

    def _kill(self, place: Place) -> None:
        self._places.remove(place)
        # It may be gone, or Ray may: both end it.
        with suppress(Exception):
            self._ray.kill(place.handle)


def _log(place: Place, line: Line) -> None:
    token = logs.source.set(line.source)
    log.log(line.level, "%s: %s", place.host, line.message)
    logs.source.reset(token)


def _why(error: Exception) -> str:
    said = str(error)
    if "node has died" in said:
        return "the machine died"
    cause = getattr(error, "cause", None)
    if cause is not None:
        return f"{type(cause).__name__}: {' '.join(str(cause).split())}"
    missing = [line for line in said.splitlines() if line.startswith(("ModuleNotFoundError", "ImportError"))]
    return missing[-1] if missing else "its process died"
