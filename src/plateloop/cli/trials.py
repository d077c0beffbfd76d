"""``plateloop test soak / faults / compare / drift``: a deployment in production terms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plateloop.cli.options import Device, Json, Known, Split, SplitOption, Threads, Weights
from plateloop.cli.testing import show_progress


def soak(
    sources: Annotated[
        list[str] | None,
        typer.Argument(metavar="SOURCE", help="Live sources; a street of plateloop's own unless given."),
    ] = None,
    minutes: Annotated[float, typer.Option(min=0.2, help="How long.")] = 30,
    warm_up: Annotated[
        float | None,
        typer.Option(min=0, help="Minutes that do not count; a sixth, at most 5, unless given."),
    ] = None,
    streams: Annotated[int, typer.Option(min=1, help="Streams of plateloop's own street.")] = 2,
    limit: Annotated[float, typer.Option(help="MB/min that memory may grow by.")] = 1.0,
    config: Annotated[
        Path | None, typer.Option(metavar="YAML", help="Page to run as it is, in place of SOURCE.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where soak.json and soak.png go.")] = Path("soak"),
    weights: Weights = None,
) -> None:
    """Run a deployment for long and watch memory, frames/s, threads and open files, each second.

    Exit 1 where memory grows faster than --limit after the warm-up.
    """
    from contextlib import ExitStack
    from datetime import datetime

    from plateloop.errors import UserError
    from plateloop.testing.faults.feed import Feed
    from plateloop.testing.faults.subject import write_page
    from plateloop.testing.soak import plot
    from plateloop.testing.soak import soak as measure
    from plateloop.testing.street import render_clip

    if config is not None and sources:
        raise UserError("soak takes SOURCE or a page (--config) with its own, not both")
    if warm_up is not None and warm_up >= minutes:
        raise UserError(f"--warm-up {warm_up:g}: not shorter than --minutes {minutes:g}")
    run = out / f"run-{datetime.now():%Y%m%d-%H%M%S}"
    seconds = 60 * minutes
    with ExitStack() as stack, show_progress() as begin:
        page = config
        if page is None:
            urls = sources or []
            if not urls:
                feed = stack.enter_context(Feed(render_clip(out / "street.mp4", seconds=8.0).video))
                urls = [feed.url(number) for number in range(streams)]
            page = write_page(out / "page.yaml", urls, weights)
        warm_up_s = 60 * (min(5.0, minutes / 6) if warm_up is None else warm_up)
        result = measure(page, run, seconds, warm_up_s, limit, begin("seconds", round(seconds)))
    plot(result, out / "soak.png")
    (out / "soak.json").write_text(result.model_dump_json(indent=1) + "\n", encoding="utf-8")
    waits = result.latency_s
    told = f"latency {waits[0]:.2f} s (95 %: {waits[1]:.2f} s)" if waits else "no event"
    print(
        f"memory {result.slope_mb_min:+.3f} MB/min (95 %: {result.low:+.3f} to {result.high:+.3f}), "
        f"limit {limit:g}: {'flat' if result.passed else 'GROWS' if result.exit_code == 0 else 'FAILED'}\n"
        f"{result.frames_per_second:.1f} frames/s of {result.streams} streams, {result.dropped} dropped, "
        f"{result.events} event lines, {told}\n{out / 'soak.png'}"
    )
    if not result.passed:
        raise typer.Exit(1)


def faults(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the page and all traces go.")] = Path(
        "faults"
    ),
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this fault. Repeatable.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Each fault a few times, three minutes in all")
    ] = False,
    weights: Weights = None,
) -> None:
    """Do faults to a running deployment and count what was lost: the fault table.

    Exit 1 where an event was lost or out of order. The faults with a broker need KAFKA_HOME.
    """
    import os

    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from plateloop.errors import UserError
    from plateloop.testing.faults.audit import HEAD
    from plateloop.testing.faults.report import write
    from plateloop.testing.faults.rig import prepare
    from plateloop.testing.faults.trials import TRIALS, trial

    load = os.getloadavg()[0]
    chosen = only or list(TRIALS)
    if unknown := [name for name in chosen if name not in TRIALS]:
        raise UserError(f"{unknown[0]}: no such fault; there are: {', '.join(TRIALS)}")
    if (out / "faults.json").exists():
        raise UserError(f"{out}: holds the faults of another time; name another folder with --out")
    with show_progress() as begin:
        advance = begin("faults", len(chosen))
        bench = prepare(out, weights, quick)
        rows = []
        try:
            for name in chosen:
                rows.append(trial(bench, name))
                advance(1)
        finally:
            if bench.broker is not None:
                bench.broker.kill()
    write(rows, out, load)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for head in HEAD:
        table.add_column(head, justify="left" if head == HEAD[0] else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row.cells(), style=None if row.passed else "red")
    # Whole, also where no terminal says how wide it is.
    console = Console()
    console.width = max(console.width, 110)
    console.print(table)
    for row in rows:
        if row.skipped:
            print(f"{row.fault}: skipped, {row.skipped}")
    print(out / "faults.html")
    if not all(row.passed for row in rows):
        raise typer.Exit(1)


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help='Folder of cards and networks, or "package".')],
    b: Annotated[str, typer.Argument(metavar="B", help="The same, to be compared with A.")],
    data: Known,
    split: SplitOption = Split.TEST,
    fail_below: Annotated[
        float | None, typer.Option(metavar="POINTS", help="Exit 1 where B−A is below, in percentage points.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for compare.html and compare.json.")
    ] = None,
    as_json: Json = False,
    device: Device = "cpu",
    threads: Threads = 0,
) -> None:
    """Compare two sets of networks on the same DATA: accuracy end to end, and speed."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from plateloop.testing.compare import HEAD
    from plateloop.testing.compare import compare as measure
    from plateloop.testing.compare_report import speed, verdict, write

    sets = [None if name == "package" else Path(name) for name in (a, b)]
    with show_progress() as begin:
        result = measure(sets[0], sets[1], data, split.chosen, device, threads, begin)
    if report is not None:
        write(result, report, data)
    if as_json:
        print(result.model_dump_json())
    else:
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for head in HEAD:
            table.add_column(head, justify="left" if head == HEAD[0] else "right", overflow="fold")
        for row in result.differences:
            table.add_row(*row.cells())
        Console().print(table)
        print(f"{verdict(result)}\n{speed(result)}")
    if fail_below is not None and 100 * result.differences[0].gain < fail_below:
        raise typer.Exit(1)


def drift(
    events: Annotated[str, typer.Argument(metavar="STORE_OR_EVENTS", help="Event store, or events.jsonl.")],
    reference: Annotated[
        str, typer.Option(metavar="STORE_OR_PERIOD", help="Another store or file, or a period FROM..TO.")
    ],
    current: Annotated[
        str | None, typer.Option(metavar="FROM..TO", help="Period to test; else all after the reference's.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for drift.html and drift.json.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare two periods of an event store: confidence, plates' height, readings, colours, labels, hours.

    Exit 1 where something drifted.
    """
    import json
    import math

    from plateloop.errors import UserError
    from plateloop.testing.drift import drift as measure
    from plateloop.testing.drift import load, period
    from plateloop.testing.drift_report import summary, write

    before = period(reference)
    since, until = before[1] if before else -math.inf, math.inf
    if current is not None:
        given = period(current)
        if given is None:
            raise UserError(f"{current}: not a period; expected FROM..TO, as 2026-03-01..2026-04-01")
        since, until = given
    elif before is not None and math.isinf(since):
        raise UserError(f"{reference}: has no end, so nothing comes after it; say --current FROM..TO too")
    old = load(events, *before) if before else load(reference)
    shifts = measure(old, load(events, since, until))
    if report is not None:
        write(shifts, report)
    if as_json:
        print(json.dumps([{**shift.model_dump(), "drifted": shift.drifted} for shift in shifts]))
    else:
        print(*summary(shifts), sep="\n")
    if any(shift.drifted for shift in shifts):
        raise typer.Exit(1)
