"""Events read back from Kafka."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from plateloop.deployment.kafka.config import Properties
from plateloop.deployment.kafka.delivery import client
from plateloop.deployment.store import Stored
from plateloop.errors import UserError
from plateloop.types import Box, Event, EventPlate, EventVehicle

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Record:
    """A message: its payload as text, and the event in it (None: it holds none that we know)."""

    payload: str
    stored: Stored | None


def consume(
    servers: str,
    topic: str,
    group: str | None,
    settings: Path | None,
    until_end: bool,
    stop: threading.Event,
) -> Iterator[list[Record]]:
    """Messages in lists, from the oldest on; with ``group`` from where that group stopped.

    A group's position is written after its list was dealt with (the next one is asked for), so none is lost.
    ``until_end`` ends once each partition was read to its end, whatever comes meanwhile. Raises UserError
    where settings are wrong or, with ``until_end``, the topic is not there.
    """
    reader = _Reader(servers, topic)
    keys = {
        "auto.offset.reset": "earliest",
        "allow.auto.create.topics": "false",
        **Properties.read(settings),
        "bootstrap.servers": servers,
        "group.id": group or f"plateloop-{uuid4()}",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "error_cb": reader.note,
        "log_level": 2,
    }
    kafka = client()
    try:
        consumer = kafka.Consumer(keys)
    except kafka.KafkaException as error:
        raise UserError(f"Kafka settings: {error.args[0].str()}") from None
    try:
        consumer.subscribe([topic], on_assign=reader.assign)
        while not stop.is_set():
            records = [record for message in consumer.consume(500, 0.2) if (record := reader.take(message))]
            if records:
                yield records
                if group is not None:
                    _commit(consumer, kafka)
            if until_end and reader.at_end():
                return
    finally:
        consumer.close()


class _Reader:
    # Tells events from messages about partitions and brokers. ``_open``: partitions whose end was not seen.

    def __init__(self, servers: str, topic: str) -> None:
        self._servers, self._topic = servers, topic
        self._open: set[int] | None = None
        self._told = False
        self._missing = False

    def assign(self, _: object, partitions: list[Any]) -> None:
        self._open = {partition.partition for partition in partitions}

    def at_end(self) -> bool:
        if self._missing:
            raise UserError(f"{self._servers}: no topic {self._topic}")
        return self._open is not None and not self._open

    def take(self, message: Message) -> Record | None:
        from confluent_kafka import KafkaError

        error = message.error()
        if error is None:
            self._told = False
            return _record(message)
        if error.code() == KafkaError._PARTITION_EOF:
            if self._open is not None:
                self._open.discard(message.partition() or 0)
        else:
            self._missing |= error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART
            self.note(error)
        return None

    def note(self, error: KafkaError) -> None:
        if not self._told:
            self._told = True
            log.warning("Kafka %s: %s; tried until it answers", self._servers, error.str())


def _commit(consumer: Any, kafka: Any) -> None:
    try:
        consumer.commit(asynchronous=False)
    except kafka.KafkaException as error:
        # These messages come again, to us or to another member of the group.
        log.info("position not written: %s", error)


def _record(message: Message) -> Record:
    value = message.value() or b""
    text = value.decode(errors="replace")
    headers = dict(message.headers() or ())
    try:
        data = json.loads(text)
        time_s = datetime.fromisoformat(data["@timestamp"]).timestamp()
        frame = int(data.get("frame_id") or data.get("id") or 0)
        if "event" in headers:
            event = Event.model_validate_json(headers["event"] or b"")
            sequence = int(headers["sequence"] or 0)
        else:
            event = _restore(data)
            # Of one object no two messages are of the same millisecond.
            sequence = round(time_s * 1000)
        return Record(text, Stored(0, sequence, 0, time_s, frame, event))
    except (ValueError, KeyError, TypeError, AttributeError):
        return Record(text, None)


def _restore(data: dict[str, Any]) -> Event:
    """What a ``custom`` or ``full`` message of another sender says; what these cannot hold is 0."""
    thing, vehicle = data["object"], data["object"]["vehicle"]
    is_custom = "car_id" in thing
    color, region = _given(vehicle["color"]), _given(vehicle["region" if is_custom else "licenseState"])
    box = _box(thing["car_bbox" if is_custom else "bbox"])
    plate_box = _box(thing["lpd_bbox"]) if is_custom else None
    car = EventVehicle(
        label=str(vehicle.get("type") or "car"),
        color=color,
        color_confidence=vehicle.get("colornet_confidence") if color else None,
        box=box or (0, 0, 0, 0),
        confidence=vehicle["tcnet_confidence" if is_custom else "confidence"],
    )
    plate = None
    if plate_box is not None:
        left, top, right, bottom = plate_box
        plate = EventPlate(
            box=plate_box,
            corners=((left, top), (right, top), (right, bottom), (left, bottom)),
            region=region,
            confidence=vehicle["lpdnet_confidence"],
        )
    identity = str(thing["car_id" if is_custom else "id"])
    return Event(
        id=str(data["event"]["id"]),
        phase="update",
        source=str(data["sensor"]["id"]),
        track=int(identity) if identity.isdecimal() else 0,
        text=_given(vehicle["license"]),
        confidence=vehicle.get("lprnet_confidence", 0.0),
        first_s=0,
        last_s=0,
        frames=0,
        readings=0,
        vehicle=car if box is not None else None,
        plate=plate,
    )


def _given(text: Any) -> str | None:
    return None if text in (None, "", "None") else str(text)


def _box(box: dict[str, float]) -> Box | None:
    edges = (box["topleftx"], box["toplefty"], box["bottomrightx"], box["bottomrighty"])
    return edges if any(edges) else None
