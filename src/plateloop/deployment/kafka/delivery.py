"""What the store owes to Kafka is delivered from there: at least once, in order per sensor, for ever."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError

from plateloop.deployment import outbox
from plateloop.deployment.kafka.config import KafkaConfig, Properties
from plateloop.deployment.kafka.metadata import read_scenery, with_sources
from plateloop.deployment.kafka.payloads import payload
from plateloop.deployment.sources import SourceConfig
from plateloop.deployment.store import Store, Stored
from plateloop.errors import UserError

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

log = logging.getLogger(__name__)

# Events that are under way at once; what a crash may send twice.
WINDOW = 1000
# How long the thread rests between looks at the store, and after failures from the first to the longest.
IDLE_S = 0.1
RETRY_S, RETRY_MOST_S = 0.5, 15.0


class Delivery:
    """A thread that sends to a topic whatever the store owes to ``config.target``.

    A message's key is the sensor's id; its headers hold the ``phase``, the ``sequence`` within the stream and
    the whole ``event`` as JSON, from which ``consume`` loads a store. ``delivered`` counts acknowledgements.
    """

    def __init__(
        self,
        store: Store,
        config: KafkaConfig,
        rate: float | None = None,
        sources: Iterable[SourceConfig] = (),
    ) -> None:
        """At most ``rate`` messages a second; what ``sources`` say of sensors and places precedes the file.

        Raises UserError as ``check`` does.
        """
        self.delivered = 0
        self._store = store
        self._config = config
        self._rate = rate
        self._scenery = with_sources(read_scenery(config.sensors), sources)
        self._settings = _settings(config)
        self._flying: set[int] = set()
        self._arrived: list[int] = []
        self._failure: str | None = None
        self._trouble: str | None = None
        self._told = False
        self._patience = self._deadline = float("inf")
        self._finishing = threading.Event()
        self._progress_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=config.target, daemon=True)

    def start(self) -> None:
        """Begin to deliver, the oldest first; also what waits for the same topic at another address."""
        pattern = f"kafka:%/{self._config.topic}".replace("_", r"\_")
        outbox.take_over(self._store, self._config.target, pattern)
        self._thread.start()

    def finish(self, patience_s: float) -> int:
        """Deliver until nothing is owed or ``patience_s`` bring no acknowledgement; returns what is left."""
        self.begin_finish(patience_s)
        self._thread.join()
        return outbox.debts(self._store).get(self._config.target, 0)

    def begin_finish(self, patience_s: float) -> None:
        """As ``finish``, which ``wait`` then waits for."""
        self._progress_at = time.monotonic()
        self._patience = patience_s
        self._finishing.set()

    def hurry(self, seconds: float) -> None:
        """Let ``finish`` end within ``seconds`` from now, however much is owed."""
        self._deadline = min(self._deadline, time.monotonic() + seconds)

    def wait(self, timeout_s: float) -> bool:
        """Wait for the end of a thread that is finishing; returns whether it has ended."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        pause = RETRY_S
        while True:
            before = self.delivered
            failure = self._attempt()
            if failure is None or self._gives_up():
                return
            self._tell(failure)
            pause = RETRY_S if self.delivered > before else min(2 * pause, RETRY_MOST_S)
            end = time.monotonic() + pause
            while time.monotonic() < end and not self._gives_up():
                time.sleep(IDLE_S)

    def _attempt(self) -> str | None:
        """Deliver with one producer until it fails (returns why) or there is no more to do (None)."""
        self._failure, self._flying, self._arrived = None, set(), []
        producer = self._open_producer()
        try:
            return self._deliver(producer)
        except SQLAlchemyError as error:
            return f"the event store fails: {str(error).splitlines()[0]}"
        except (BufferError, client().KafkaException) as error:
            return str(error)
        finally:
            self._close_producer(producer)

    def _deliver(self, producer: Producer) -> str | None:
        last, started, sent = 0, time.monotonic(), 0
        while self._failure is None:
            # Asked before the store is: what was committed before the finish began must be found.
            finishing, idle = self._finishing.is_set(), not self._flying
            if idle:
                # From the beginning: another writer may have committed a row of a lower number meanwhile.
                last = 0
            room = WINDOW - len(self._flying)
            if self._rate is not None:
                room = min(room, int((time.monotonic() - started) * self._rate) + 1 - sent)
            batch = outbox.owed(self._store, self._config.target, last, room) if room > 0 else []
            for item in batch:
                self._send(producer, item)
                last, sent = item.row, sent + 1
            producer.poll(0 if batch else IDLE_S)
            self._acknowledge()
            if self._trouble and self._flying:
                self._tell(self._trouble)
            looked = room > 0 and idle
            if finishing and (self._gives_up() or (looked and not batch)):
                return None
        return self._failure

    def _send(self, producer: Producer, item: Stored) -> None:
        sensor = self._scenery.sensor(item.event.source, item.position)
        producer.produce(
            self._config.topic,
            payload(item, self._config.payload, self._scenery),
            key=sensor.id.encode(),
            headers=[
                ("phase", item.event.phase.encode()),
                ("sequence", str(item.sequence).encode()),
                ("event", item.event.model_dump_json().encode()),
            ],
            on_delivery=partial(self._report, item.row),
        )
        self._flying.add(item.row)

    def _report(self, row: int, error: KafkaError | None, _: Message) -> None:
        self._flying.discard(row)
        if error is None:
            self._arrived.append(row)
        elif self._failure is None:
            self._failure = error.str()

    def _acknowledge(self) -> None:
        if self._arrived:
            outbox.acknowledge(self._store, self._config.target, self._arrived)
            self.delivered += len(self._arrived)
            self._arrived = []
            self._progress_at = time.monotonic()
            self._trouble, self._told = None, False

    def _gives_up(self) -> bool:
        last = min(self._deadline, self._progress_at + self._patience)
        return self._finishing.is_set() and time.monotonic() >= last

    def _tell(self, problem: str) -> None:
        if not self._told:
            self._told = True
            log.warning(
                "Kafka %s: %s; events stay in the store until it takes them", self._config.servers, problem
            )

    def _note(self, error: KafkaError) -> None:
        if error.fatal():
            self._failure = error.str()
        elif self._trouble is None:
            self._trouble = error.str()

    def _open_producer(self) -> Producer:
        producer: Producer = client().Producer({**self._settings, "error_cb": self._note}, logger=log)
        return producer

    def _close_producer(self, producer: Producer) -> None:
        # What is still under way then is unmarked in the store, and will be sent again in order.
        failure = self._failure
        if failure is None:
            producer.flush(0.5)
        producer.purge()
        producer.flush(1)
        self._failure = failure
        try:
            self._acknowledge()
        except SQLAlchemyError:
            log.debug("acknowledgements lost; these events are sent again")


def client() -> Any:
    """The module ``confluent_kafka``. Raises UserError where it is not installed."""
    try:
        import confluent_kafka
    except ModuleNotFoundError:
        raise UserError(
            "Kafka needs the Python package confluent-kafka: pip install 'plateloop[kafka]'"
        ) from None
    return confluent_kafka


def check(config: KafkaConfig) -> None:
    """Raise UserError where confluent-kafka is missing, a setting is wrong, or a file cannot be read."""
    read_scenery(config.sensors)
    kafka = client()
    try:
        kafka.Producer(_settings(config))
    except kafka.KafkaException as error:
        raise UserError(f"Kafka settings: {error.args[0].str()}") from None


def _settings(config: KafkaConfig) -> dict[str, Any]:
    return {
        "compression.type": "lz4",
        "linger.ms": 5,
        # As Java's clients choose a key's partition.
        "partitioner": "murmur2_random",
        "reconnect.backoff.max.ms": 2000,
        **Properties.read(config.settings),
        "bootstrap.servers": config.servers,
        "enable.idempotence": True,
        "acks": "all",
        # Never: the store waits for ever, and a message given up would be overtaken by the next.
        "message.timeout.ms": 0,
        # What matters comes through error_cb, once.
        "log_level": 2,
    }
