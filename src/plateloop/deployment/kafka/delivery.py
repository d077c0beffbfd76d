"""What the store owes to a topic of Kafka is delivered from there, in order per sensor."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from plateloop.deployment import outbox
from plateloop.deployment.courier import Courier, LinkError
from plateloop.deployment.kafka.config import KafkaConfig, Properties
from plateloop.deployment.kafka.metadata import Scenery, read_scenery, with_sources
from plateloop.deployment.kafka.payloads import payload
from plateloop.deployment.sources import SourceConfig
from plateloop.deployment.store import Store, Stored
from plateloop.errors import UserError

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message

log = logging.getLogger(__name__)


class Delivery(Courier):
    """Sends to a topic whatever the store owes to ``config.target``.

    A message's key is the sensor's id; its headers hold the ``phase``, the ``sequence`` within the stream and
    the whole ``event`` as JSON, from which ``consume`` loads a store.
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
        scenery = with_sources(read_scenery(config.sensors), sources)
        connect = partial(_Producer, config, _settings(config), scenery)
        super().__init__(store, config.target, f"Kafka {config.servers}", connect, config.patience_s, rate)
        self._topic = config.topic

    def start(self) -> None:
        """Begin to deliver, the oldest first; also what waits for the same topic at another address."""
        pattern = f"kafka:%/{self._topic}".replace("_", r"\_")
        outbox.take_over(self.store, self.target, pattern)
        super().start()


class _Producer:
    # A link to the brokers, which librdkafka keeps up by itself.

    def __init__(self, config: KafkaConfig, settings: Mapping[str, Any], scenery: Scenery) -> None:
        self.trouble: str | None = None
        self._config, self._scenery = config, scenery
        self._arrived: list[int] = []
        self._failure: str | None = None
        self._errors = (BufferError, client().KafkaException)
        try:
            self._producer = client().Producer({**settings, "error_cb": self._note}, logger=log)
        except self._errors as error:
            raise LinkError(str(error)) from None

    def send(self, item: Stored) -> None:
        sensor = self._scenery.sensor(item.event.source, item.position)
        try:
            self._producer.produce(
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
        except self._errors as error:
            raise LinkError(str(error)) from None

    def poll(self, seconds: float) -> Sequence[int]:
        self._producer.poll(seconds)
        if self._failure is not None:
            raise LinkError(self._failure)
        arrived, self._arrived = self._arrived, []
        if arrived:
            self.trouble = None
        return arrived

    def close(self) -> Sequence[int]:
        if self._failure is None:
            self._producer.flush(0.5)
        self._producer.purge()
        self._producer.flush(1)
        return self._arrived

    def _report(self, row: int, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self._arrived.append(row)
        elif self._failure is None:
            self._failure = error.str()

    def _note(self, error: KafkaError) -> None:
        if error.fatal():
            self._failure = error.str()
        elif self.trouble is None:
            self.trouble = error.str()


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
