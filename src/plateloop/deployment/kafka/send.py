"""What is stored, or comes line by line, goes to Kafka."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from plateloop.deployment import outbox
from plateloop.deployment.kafka.config import KafkaConfig
from plateloop.deployment.kafka.delivery import Delivery
from plateloop.deployment.sources import SourceConfig
from plateloop.deployment.store import Store, Stored

# How long a stopped process goes on delivering.
GRACE_S = 3.0
SQLITE = b"SQLite format 3\0"


def is_store(place: str) -> bool:
    """Whether ``place`` names an event store: a database URL or an SQLite file."""
    if "://" in place:
        return True
    path = Path(place)
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(SQLITE)) == SQLITE


def send(
    store: Store,
    config: KafkaConfig,
    stop: threading.Event,
    arriving: Iterable[list[Stored]] = (),
    rate: float | None = None,
    patience_s: float = float("inf"),
    tell: Callable[[int], None] = lambda delivered: None,
    sources: Iterable[SourceConfig] = (),
) -> tuple[int, int]:
    """Deliver everything in ``store``, and what is ``arriving`` through it; (delivered, still owed).

    What ``sources`` say of their sensors and places is in the messages, as in those of a run. Ends when all
    is acknowledged, on ``stop``, or when nothing was for ``patience_s``. At most ``rate`` messages a second.
    ``tell`` hears of the progress.
    """
    delivery = Delivery(store, config, rate, sources)
    outbox.owe_everything(store, config.target)
    delivery.start()
    try:
        for batch in arriving:
            if batch:
                store.load(batch, [config.target])
            tell(delivery.delivered)
            if stop.is_set():
                break
    except BaseException:
        delivery.finish(0)
        raise
    delivery.begin_finish(patience_s)
    while not delivery.wait(0.2):
        tell(delivery.delivered)
        if stop.is_set():
            delivery.hurry(GRACE_S)
    tell(delivery.delivered)
    return delivery.delivered, outbox.debts(store).get(config.target, 0)
