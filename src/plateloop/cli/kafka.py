"""``plateloop msg2kafka`` and ``plateloop consume``: events to Kafka and back."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from plateloop.deployment.lines import LineReader
    from plateloop.deployment.store import Stored

_Kafka = Annotated[
    str, typer.Option(metavar="HOST:PORT[/TOPIC]", help="Brokers, and topic if not plateloop.")
]
_Config = Annotated[
    Path | None, typer.Option(metavar="FILE", help="More Kafka settings (TLS, SASL…): key=value lines.")
]


def msg2kafka(
    kafka: _Kafka,
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="STORE_OR_JSONL", help="Event store, file of JSON lines, or - for standard input."
        ),
    ] = None,
    simulate: Annotated[
        float | None, typer.Option(min=0.001, metavar="N", help="Make N vehicles a second up instead.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="How long to simulate; else until Ctrl-C.")
    ] = None,
    schema: Annotated[str, typer.Option(help="Of the messages: custom, full or minimal.")] = "custom",
    rate: Annotated[float | None, typer.Option(min=0.001, help="Most messages a second.")] = None,
    store: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Keeps lines and what was delivered; else FILE.db beside the file."),
    ] = None,
    sensors: Annotated[
        Path | None, typer.Option(metavar="FILE", help="nvmsgconv's file of sensors and places.")
    ] = None,
    patience: Annotated[
        float | None,
        typer.Option(min=0, help="Give up after so many seconds in which the broker took nothing."),
    ] = None,
    kafka_config: _Config = None,
) -> None:
    """Send stored events to Kafka, each source's in order; a later call goes on where this one stopped.

    Exit 1 where events are still to be delivered.
    """
    from tempfile import TemporaryDirectory

    from plateloop.deployment.kafka.config import make_config, parse_address
    from plateloop.deployment.kafka.delivery import check
    from plateloop.deployment.kafka.send import is_store, send
    from plateloop.deployment.lines import LineReader, gathered
    from plateloop.deployment.store import Store
    from plateloop.errors import UserError

    if (source is None) == (simulate is None):
        raise UserError("msg2kafka: name a store, a file of JSON lines or -, or give --simulate N")
    servers, topic = parse_address(kafka)
    config = make_config(servers=servers, topic=topic, payload=schema, sensors=sensors, settings=kafka_config)
    check(config)
    _log_to_stderr()
    stop = _stopped_by_signal()
    reader = LineReader()
    with TemporaryDirectory(prefix="plateloop-") as folder:
        arriving: Iterable[list[Stored]] = ()
        if source is not None and source != "-" and is_store(source):
            opened = Store.open(source, create=False)
        else:
            items = _items(source, simulate, seconds, reader, stop)
            beside = f"{source}.db" if source not in (None, "-") else f"{folder}/events.db"
            opened = Store.open(store or beside)
            arriving = gathered(items)
        delivered, owed = send(
            opened, config, stop, arriving, rate, patience if patience is not None else float("inf")
        )
        opened.close()
    print(f"{delivered} events delivered to {config.servers}/{config.topic}, {owed} waiting")
    if reader.bad:
        raise UserError(f"{source}: {reader.bad} lines are not events; the others were sent")
    if owed:
        raise typer.Exit(1)


def consume(
    kafka: _Kafka,
    group: Annotated[
        str | None,
        typer.Option(help="Consumer group: goes on where it stopped, shares the work. Else all is read."),
    ] = None,
    into: Annotated[
        str | None,
        typer.Option(metavar="URL_OR_FILE", help="Load each event once into a store, or a file NAME.jsonl."),
    ] = None,
    until_end: Annotated[
        bool, typer.Option("--until-end", help="Stop when all that is there was read.")
    ] = False,
    kafka_config: _Config = None,
) -> None:
    """Read events back from Kafka: print each message as a line of JSON, or load the events."""
    from contextlib import closing

    from plateloop.deployment.kafka.config import parse_address
    from plateloop.deployment.kafka.consume import consume as records
    from plateloop.deployment.lines import LineFile
    from plateloop.deployment.store import Store

    servers, topic = parse_address(kafka)
    _log_to_stderr()
    stop = _stopped_by_signal()
    batches = records(servers, topic, group, kafka_config, until_end, stop)
    if into is None:
        for batch in batches:
            for record in batch:
                print(" ".join(record.payload.splitlines()))
            sys.stdout.flush()
        return
    lines = into.endswith(".jsonl") and "://" not in into
    loaded = strange = read = 0
    with closing(LineFile(Path(into)) if lines else Store.open(into)) as target:
        for batch in batches:
            found = [record.stored for record in batch if record.stored is not None]
            loaded += target.load(found)
            read += len(batch)
            strange += len(batch) - len(found)
    print(f"{read} messages read, {loaded} events new", file=sys.stderr)
    if strange:
        print(f"plateloop: {strange} messages held no event that can be loaded", file=sys.stderr)
        raise typer.Exit(1)


def _items(
    source: str | None,
    simulated: float | None,
    seconds: float | None,
    reader: LineReader,
    stop: threading.Event,
) -> Iterator[Stored]:
    from io import TextIOWrapper
    from time import monotonic

    from plateloop.deployment.lines import simulate
    from plateloop.errors import UserError

    if simulated is not None:
        end = monotonic() + (seconds if seconds is not None else float("inf"))

        def until_then() -> Iterator[Stored]:
            for item in simulate(simulated):
                # Whole vehicles only: a begin is followed by its end.
                if item.event.phase == "begin" and (monotonic() >= end or stop.is_set()):
                    return
                yield item

        return until_then()
    if source == "-":
        return reader.read(TextIOWrapper(sys.stdin.buffer, encoding="utf-8", errors="replace"))
    try:
        return reader.read(Path(str(source)).open(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise UserError(f"{source}: {error.strerror}") from None


def _stopped_by_signal() -> threading.Event:
    """An event that Ctrl-C and SIGTERM set; a second one ends the process."""
    stop = threading.Event()

    def handle(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)
    return stop


def _log_to_stderr() -> None:
    import logging

    logging.basicConfig(level=logging.WARNING, format="plateloop: %(message)s", force=True)
