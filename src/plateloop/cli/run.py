"""``plateloop run``: read plates in videos and streams."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plateloop.cli.options import DeviceOverride, Page, ThreadsOverride, Weights

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from plateloop.deployment.cluster.launch import ClusterLaunch
    from plateloop.deployment.courier import Courier
    from plateloop.deployment.launch import Launch

log = logging.getLogger(__name__)


class LogFormat(StrEnum):
    """How logs are written."""

    text = "text"
    json = "json"


class LogLevel(StrEnum):
    """From which level on logs are written."""

    debug = "debug"
    info = "info"
    warning = "warning"
    error = "error"


def run(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE",
            help="Video files, folders of pictures, RTSP or HTTP URLs, cameras (0, /dev/video0).",
            show_default=False,
        ),
    ] = None,
    config: Page = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to write; else runs/run-DATE-TIME.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one event a line, nothing else.")] = False,
    overlay: Annotated[
        bool | None,
        typer.Option("--overlay/--no-overlay", help="Write an annotated MP4 of each source (default: yes)."),
    ] = None,
    tiled: Annotated[
        bool,
        typer.Option(
            "--tiled", help="Write one annotated MP4 of all sources side by side in place of these."
        ),
    ] = False,
    rtsp_out: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Serve all sources side by side by RTSP at [USER:PASSWORD@][HOST]:PORT/PATH, or push them "
            "to rtsp://HOST:PORT/PATH.",
        ),
    ] = None,
    interval: Annotated[
        int | None, typer.Option(min=1, help="Detect vehicles in every n-th frame, track in between.")
    ] = None,
    device: DeviceOverride = None,
    threads: ThreadsOverride = None,
    weights: Weights = None,
    store: Annotated[
        str | None, typer.Option(metavar="URL", help="Database of the events; else DIR/plateloop.db.")
    ] = None,
    kafka: Annotated[
        str | None, typer.Option(metavar="HOST:PORT[/TOPIC]", help="Deliver the events to Kafka.")
    ] = None,
    schema: Annotated[
        str | None, typer.Option(help="Of the messages to Kafka: custom, full or minimal.")
    ] = None,
    sensors: Annotated[
        Path | None, typer.Option(metavar="FILE", help="nvmsgconv's file of sensors and places.")
    ] = None,
    kafka_config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="More Kafka settings (TLS, SASL…): key=value lines.")
    ] = None,
    pictures: Annotated[
        bool, typer.Option("--pictures", help="Write pictures of each event's plate and vehicle.")
    ] = False,
    mqtt: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Deliver the events to mqtt://[USER:PASSWORD@]HOST[:PORT]/TOPIC."),
    ] = None,
    webhook: Annotated[
        str | None, typer.Option(metavar="URL", help="Post each event to a web address.")
    ] = None,
    http: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Serve the live page, /metrics, /healthz and /readyz."),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Spread the sources over a Ray cluster: HOST:PORT, auto or local."
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any key of the page, as schedule.interval=2."),
    ] = None,
    show: Annotated[
        bool, typer.Option("--show", help="Print the page with all its keys, and run nothing.")
    ] = False,
    log_format: Annotated[
        LogFormat, typer.Option(help="Of what is told on stderr: text, or JSON, one object a line.")
    ] = LogFormat.text,
    log_level: Annotated[LogLevel, typer.Option(help="What is told on stderr.")] = LogLevel.warning,
) -> None:
    """Read the number plates of passing vehicles: one event a vehicle.

    Stores events in DIR/plateloop.db, writes DIR/events.jsonl and an annotated MP4 of each source, and prints
    a summary. Ctrl-C ends the run cleanly. A source that cannot be read gives one line on stderr, the others
    run all the same; the exit code is then 2. A video that is cut off gives what is in it, and a warning that
    says how much that was.
    """
    from rich.console import Console

    from plateloop.deployment.cluster.launch import launch_over_cluster
    from plateloop.deployment.config import load_config
    from plateloop.deployment.kafka.config import parse_address
    from plateloop.deployment.launch import launch
    from plateloop.errors import UserError

    if tiled and overlay is False:
        raise UserError("--tiled and --no-overlay: give one of them")
    servers, topic = parse_address(kafka) if kafka is not None else (None, None)

    overrides: dict[str, dict[str, object]] = {
        "networks": {"device": device, "threads": threads, "weights": weights},
        "schedule": {"interval": interval},
        "output": {
            "folder": out,
            "overlay": overlay,
            "layout": "tiled" if tiled else None,
            "rtsp": rtsp_out,
            "store": store,
            "pictures": pictures or None,
        },
        "kafka": {
            "servers": servers,
            "topic": topic,
            "payload": schema,
            "sensors": sensors,
            "settings": kafka_config,
        },
        "mqtt": {"url": mqtt},
        "webhook": {"url": webhook},
        "http": {"listen": http},
        "ray": {"address": ray},
    }
    console = Console(stderr=True)
    _log_to(console, log_format, log_level)
    with _mistakes_told(log_format):
        page = load_config(config, sources or [], overrides, settings or [])
    if show:
        from plateloop.deployment.show import show as as_yaml

        print(as_yaml(page), end="")
        return
    quiet = as_json or log_format is LogFormat.json or not console.is_terminal
    begin = launch if page.ray is None else launch_over_cluster
    with _mistakes_told(log_format), begin(page, sys.stdout if as_json else None) as launched:
        failures = _follow(launched, console, quiet)
        failures += [worker.error for worker in launched.followers if worker.error is not None]
        for courier in launched.couriers:
            courier.begin_finish(courier.patience_s)
        waiting = {courier: courier.finish(courier.patience_s) for courier in launched.couriers}
    if not as_json:
        _summarize(launched, Console())
    _tell_failures(launched, failures, waiting)


def _tell_failures(
    launched: Launch | ClusterLaunch, failures: list[Exception], waiting: dict[Courier, int]
) -> None:
    """What went wrong, on stderr; exit 1 where events or outputs are missing somewhere, 2 for a source."""
    errors = [report.error for report in launched.pipeline.reports if report.error is not None]
    for error in errors:
        log.error("%s", error)
    if any(isinstance(failure, BrokenPipeError) for failure in failures):
        # Whoever read our lines has gone: what Python would still flush at exit goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    for courier, count in waiting.items():
        if count:
            log.error("%d events wait in the store for %s; the next run delivers them", count, courier.title)
    if failures or any(waiting.values()):
        raise typer.Exit(1)
    if errors:
        raise typer.Exit(2)


def _log_to(console: Console, log_format: LogFormat, log_level: LogLevel) -> None:
    """Logs as single lines on stderr, above the progress bars."""
    from plateloop.deployment.logs import configure

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            console.print(self.format(record), soft_wrap=True, markup=False, highlight=False)

    configure(Lines(), log_format.value, logging.getLevelNamesMapping()[log_level.upper()])


@contextmanager
def _mistakes_told(log_format: LogFormat) -> Iterator[None]:
    """What the user must change is a log line too, where machines read the logs."""
    from plateloop.errors import UserError

    try:
        yield
    except UserError as error:
        if log_format is LogFormat.text:
            raise
        log.error("%s", error)
        raise typer.Exit(2) from None


def _follow(launched: Launch | ClusterLaunch, console: Console, quiet: bool) -> list[Exception]:
    """Run the pipeline beside the progress bars; Ctrl-C or SIGTERM end it cleanly, a second one at once."""
    from concurrent.futures import ThreadPoolExecutor, wait

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from plateloop.deployment import notify
    from plateloop.deployment.operations import is_alive

    pipeline = launched.pipeline
    over = threading.Event()

    def stop(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        notify.tell("STOPPING=1")
        pipeline.stop()
        for courier in launched.couriers:
            courier.hurry(2)

    notify.keep_alive(lambda: is_alive(pipeline), over)
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.0f} frames/s"),
        TextColumn("[bold]{task.fields[plates]}[/] plates"),
        TimeRemainingColumn(),
    )
    try:
        with (
            Progress(*columns, console=console, disable=quiet) as progress,
            ThreadPoolExecutor(1) as executor,
        ):
            tasks = [
                progress.add_task(report.source, total=length, rate=0.0, plates=0)
                for report, length in zip(pipeline.reports, launched.lengths, strict=True)
            ]
            http = pipeline.config.http
            running = executor.submit(pipeline.run, forever=http is not None and http.control)
            notify.tell("READY=1")
            while not running.done():
                wait([running], timeout=0.2)
                for task, report in zip(tasks, pipeline.reports, strict=False):
                    progress.update(task, completed=report.frames, rate=report.rate, plates=report.plates)
            return running.result()
    finally:
        over.set()
        for number, handler in before.items():
            signal.signal(number, handler)


def _summarize(launched: Launch | ClusterLaunch, console: Console) -> None:
    """A row a source: what went through, what was read, and p50, p95 and p99 of frame to event; and where."""
    from rich.markup import escape
    from rich.table import Table

    from plateloop.deployment.cluster.task import PlacedReport

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("Source", overflow="fold")
    for name in ("Frames", "Dropped", "Frames/s", "Vehicles", "Plates read", "Seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    for report in launched.pipeline.reports:
        cells = (report.frames, report.dropped, f"{report.rate:.1f}", report.vehicles, report.plates)
        failed = " [red](failed)[/]" if report.error is not None else ""
        table.add_row(escape(report.source) + failed, *map(str, cells), f"{report.seconds:.1f}")
    console.print(table)
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("Seconds from frame to event", overflow="fold")
    for name in ("p50", "p95", "p99"):
        table.add_column(name, justify="right", no_wrap=True)
    if launched.pipeline.config.ray is not None:
        table.add_column("Restarts", justify="right", no_wrap=True)
        table.add_column("Machine", overflow="fold")
    for number, report in enumerate(launched.pipeline.reports):
        latency = launched.latencies[number]
        shares = (latency.p50, latency.p95, latency.p99)
        placed = (str(report.restarts), escape(report.node)) if isinstance(report, PlacedReport) else ()
        table.add_row(escape(report.source), *("" if s is None else f"{s:.2f}" for s in shares), *placed)
    console.print(table)
    for path in sorted(launched.folder.iterdir()):
        console.print(f"  {path}", soft_wrap=True, markup=False, highlight=False)
