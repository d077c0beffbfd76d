"""Where a run's events go: committed to its store, then told to whoever follows, and delivered from there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from sqlalchemy.exc import SQLAlchemyError

from plateloop.deployment import push
from plateloop.deployment.claims import Claims, open_claims
from plateloop.deployment.config import PipelineConfig
from plateloop.deployment.courier import Courier
from plateloop.deployment.kafka.delivery import Delivery
from plateloop.deployment.kafka.delivery import check as check_kafka
from plateloop.deployment.sinks.jsonl import JsonLines
from plateloop.deployment.sinks.probe import Probe, Probes
from plateloop.deployment.sinks.store import StoreSink
from plateloop.deployment.sinks.worker import Worker
from plateloop.deployment.sources import is_remote
from plateloop.deployment.store import Store
from plateloop.deployment.tables import events, streams
from plateloop.errors import UserError

log = logging.getLogger(__name__)

# Among so many of a stream's last phases passages that were left open are looked for.
RECENT = 5000


@dataclass(frozen=True, slots=True)
class Keeping:
    """``keeper`` commits events to ``store``, and tells ``followers``; ``couriers`` deliver from there."""

    store: Store
    keeper: StoreSink
    followers: tuple[Worker, ...]
    couriers: tuple[Courier, ...]

    @property
    def targets(self) -> list[str]:
        """Who is owed every event."""
        return [courier.target for courier in self.couriers]


def check_delivery(config: PipelineConfig) -> None:
    """Raise UserError where a package that delivery needs is missing, or a setting of it is wrong."""
    if config.kafka is not None:
        check_kafka(config.kafka)
    push.check(config.mqtt, config.webhook)


@contextmanager
def keeping(
    config: PipelineConfig, folder: Path, probes: Probes, events_to: TextIO | None = None
) -> Iterator[Keeping]:
    """Open the store and ``events.jsonl`` in ``folder``, and begin to deliver; all ends on leaving.

    ``events_to`` gets the events as well. Raises UserError where the store or the folder cannot be written.
    """
    with ExitStack() as stack:
        given = config.output.store
        store = stack.enter_context(closing(Store.open(given))) if given is not None else None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context((folder / "events.jsonl").open("w", encoding="utf-8"))
        except OSError as error:
            raise UserError(f"{folder}: cannot be written to ({error.strerror})") from None
        if store is None:
            store = stack.enter_context(closing(Store.open(folder / "plateloop.db")))
        couriers = _couriers(config, store)
        targets = [courier.target for courier in couriers]
        claim = _claim_for(store, stack.enter_context(closing(open_claims(store.engine))), targets)
        # Over a cluster recordings are committed as a whole: nothing of them is ever left open.
        names = [s.title for s in config.sources if config.ray is None or is_remote(s.url)]
        try:
            for name in names:
                claim(name)
        except SQLAlchemyError as error:
            # A full disk: the run itself goes on, its events wait, and the keeper claims again with them.
            log.warning("passages that a killed run left open stay so: %s", str(error).splitlines()[0])
        for courier in couriers:
            courier.start()
            stack.callback(courier.finish, 0)
        listeners = [JsonLines(file)] + ([JsonLines(events_to)] if events_to is not None else [])
        followers = tuple(Worker(listener, config.queue) for listener in listeners)
        if probes.event is not None:
            followers += (Worker(Probe(Probes(event=probes.event)), config.queue),)
        keeper = StoreSink(store, targets, followers, claim)
        yield Keeping(store, keeper, followers, couriers)


def _claim_for(store: Store, claims: Claims, targets: Sequence[str]) -> Callable[[str], None]:
    # Claims a stream, once, and ends first what runs that are dead have left open in it.
    claimed: set[str] = set()

    def claim(stream: str) -> None:
        if stream not in claimed:
            with claims.claiming(stream) as alone:
                if alone:
                    _end_what_was_left_open(store, stream, targets)
            claimed.add(stream)

    return claim


def _end_what_was_left_open(store: Store, stream: str, targets: Sequence[str]) -> None:
    recent = events.c.sequence > streams.c.last - RECENT
    left = (events.c.stream == stream, events.c.phase != "end", recent)
    found = list(store.latest(lambda query: query.where(*left)))
    for item in found:
        end = item.event.model_copy(update={"phase": "end"})
        store.append([end], item.time, item.frame, item.position, targets)
    if found:
        log.warning("%s: %d passages that a killed run left open are ended as last told", stream, len(found))


def _couriers(config: PipelineConfig, store: Store) -> tuple[Courier, ...]:
    couriers: list[Courier] = []
    if config.kafka is not None:
        couriers.append(Delivery(store, config.kafka, sources=config.sources))
    if config.mqtt is not None:
        couriers.append(push.mqtt_courier(store, config.mqtt))
    if config.webhook is not None:
        couriers.append(push.webhook_courier(store, config.webhook))
    return tuple(couriers)
