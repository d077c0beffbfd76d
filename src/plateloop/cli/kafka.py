"""``plateloop msg2kafka`` and ``plateloop consume``: events to Kafka and back."""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from plateloop.deployment.analytics import Tally
    from plateloop.deployment.lines import LineFile, LineReader
    from plateloop.deployment.parquet import ParquetFolder
    from plateloop.deployment.store import Store, Stored

_Kafka = Annotated[
    str, typer.Option(metavar="HOST:PORT[/TOPIC]", help="Brokers, and topic if not plateloop.")
]
_Config = Annotated[
    Path | None, typer.Option(metavar="FILE", help="More Kafka settings (TLS, SASL…): key=value lines.")
]


def msg2kafka(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="STORE_OR_JSONL", help="Event store, file of JSON lines, or - for standard input."
        ),
    ] = None,
    kafka: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT[/TOPIC]", help="Brokers, and topic if not plateloop; else the page's."
        ),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="YAML",
            help="A run's page: its sources' sensors and places, its Kafka settings.",
        ),
    ] = None,
    simulate: Annotated[
        float | None, typer.Option(min=0.001, metavar="N", help="Make N vehicles a second up instead.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="How long to simulate; else until Ctrl-C.")
    ] = None,
    schema: Annotated[
        str | None, typer.Option(help="Of the messages: custom (unless the page says so), full or minimal.")
    ] = None,
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

    from plateloop.deployment.config import load_config
    from plateloop.deployment.kafka.config import parse_address
    from plateloop.deployment.kafka.delivery import check
    from plateloop.deployment.kafka.send import is_store, send
    from plateloop.deployment.lines import LineReader, gathered
    from plateloop.deployment.store import Store
    from plateloop.errors import UserError

    if (source is None) == (simulate is None):
        raise UserError("msg2kafka: name a store, a file of JSON lines or -, or give --simulate N")
    servers, topic = parse_address(kafka) if kafka is not None else (None, None)
    given = {
        "servers": servers,
        "topic": topic,
        "payload": schema,
        "sensors": sensors,
        "settings": kafka_config,
    }
    settings = load_config(page, overrides={"kafka": given})
    if (config := settings.kafka) is None:
        raise UserError("msg2kafka: give --kafka HOST:PORT, or --config with a page that has kafka.servers")
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
        longest = patience if patience is not None else float("inf")
        delivered, owed = send(opened, config, stop, arriving, rate, longest, sources=settings.sources)
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
        typer.Option(
            metavar="URL_OR_FILE",
            help="Load each event once into a store, a file NAME.jsonl, or a folder NAME.parquet.",
        ),
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(metavar="PLATE", help="Only such plates: `*` is anything, `?` one; O is 0, I is 1."),
    ] = None,
    exact: Annotated[bool, typer.Option("--exact", help="O is not 0, and I is not 1.")] = False,
    source: Annotated[str | None, typer.Option(help="Only events of this source.")] = None,
    min_confidence: Annotated[
        float | None, typer.Option(min=0, max=1, help="Only plates read at least so surely.")
    ] = None,
    phase: Annotated[
        str | None, typer.Option(help="Only begin, update or end: an end is an event's last state.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="Only such vehicles: car, bus, truck…")] = None,
    color: Annotated[str | None, typer.Option(help="Only vehicles of this colour.")] = None,
    until_end: Annotated[
        bool, typer.Option("--until-end", help="Stop when all that is there was read.")
    ] = False,
    page: Annotated[
        bool, typer.Option("--page", help="Show the last hour in a browser, live, instead of printing.")
    ] = False,
    host: Annotated[str, typer.Option(help="Address of the page.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the page; 0: any.")] = 8770,
    kafka_config: _Config = None,
) -> None:
    """Read events back from Kafka: print each message as a line of JSON, or load the events.

    With a filter, messages that hold no event are passed over.
    """
    import time
    from contextlib import ExitStack, closing

    from pydantic import ValidationError

    from plateloop.deployment.kafka.config import parse_address
    from plateloop.deployment.kafka.consume import consume as records
    from plateloop.deployment.kafka.wanted import Wanted
    from plateloop.errors import UserError
    from plateloop.text import visible

    servers, topic = parse_address(kafka)
    try:
        asked = {"plate": where, "exact": exact, "source": source, "confidence": min_confidence}
        wanted = Wanted.model_validate({**asked, "phase": phase, "label": label, "color": color})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise UserError(f"--{first['loc'][0]}: {first['msg'].lower()}") from None
    everything = wanted == Wanted(exact=exact)
    _log_to_stderr()
    stop = _stopped_by_signal()
    batches = records(servers, topic, group, kafka_config, until_end, stop)
    if page and until_end:
        raise UserError("consume: --page serves until it is stopped; leave --until-end out")
    if into is None and not page:
        for batch in batches:
            for record in batch:
                if everything or (record.stored is not None and wanted.takes(record.stored.event)):
                    print(visible(" ".join(record.payload.replace("\t", " ").splitlines())))
            sys.stdout.flush()
        return
    loaded = strange = read = 0
    with ExitStack() as stack:
        target = stack.enter_context(closing(_target(into))) if into is not None else None
        tally = stack.enter_context(_shown(f"{servers}/{topic}", host, port)) if page else None
        for batch in batches:
            found = [record.stored for record in batch if record.stored is not None]
            chosen = [item for item in found if wanted.takes(item.event)]
            if target is not None:
                loaded += target.load(chosen)
            if tally is not None:
                tally.add(chosen, time.time())
            read += len(batch)
            strange += len(batch) - len(found)
    print(f"{read} messages read" + (f", {loaded} events new" if into is not None else ""), file=sys.stderr)
    if strange:
        print(f"plateloop: {strange} messages held no event that is known", file=sys.stderr)
        raise typer.Exit(1)


@contextmanager
def _shown(title: str, host: str, port: int) -> Iterator[Tally]:
    """A tally whose page is served until the block is left."""
    from plateloop.deployment.page.serve import check_installed

    check_installed()
    from plateloop.deployment.analytics import Tally
    from plateloop.deployment.page.analytics import serving_tally

    tally = Tally()
    with serving_tally(tally, title, host, port) as url:
        print(f"The last hour at {url} (Ctrl-C ends)", flush=True)
        yield tally


def _target(into: str) -> LineFile | ParquetFolder | Store:
    from plateloop.deployment.lines import LineFile
    from plateloop.deployment.parquet import ParquetFolder
    from plateloop.deployment.store import Store

    if "://" not in into and into.endswith(".jsonl"):
        return LineFile(Path(into))
    if "://" not in into and into.endswith(".parquet"):
        return ParquetFolder(Path(into))
    return Store.open(into)


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
        file = Path(str(source)).open(encoding="utf-8", errors="replace")  # noqa: SIM115
    except OSError as error:
        raise UserError(f"{source}: {error.strerror}") from None

    def lines() -> Iterator[Stored]:
        with file:
            yield from reader.read(file)

    return lines()


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
