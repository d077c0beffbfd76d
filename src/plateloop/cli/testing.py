"""``plateloop test`` and ``plateloop ceiling``: how well, how fast, and what limits it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plateloop.cli.options import (
    Device,
    DeviceOverride,
    Json,
    Known,
    Page,
    Split,
    SplitOption,
    Threads,
    ThreadsOverride,
    Weights,
)

if TYPE_CHECKING:
    from plateloop.testing.accuracy_scores import AccuracyReport
    from plateloop.testing.throughput import Throughput

app = typer.Typer(
    name="test",
    help="Test a deployment: how well, how fast, for how long, under which faults.",
    no_args_is_help=True,
)


@app.callback()
def test() -> None:
    """Test a deployment: how well, how fast, for how long, under which faults."""


@app.command()
def accuracy(
    data: Known,
    split: SplitOption = Split.TEST,
    report: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for report.html, report.json, failures.png."),
    ] = None,
    as_json: Json = False,
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Readings that are less sure count as not given.")
    ] = 0.0,
    weights: Weights = None,
    device: Device = "cpu",
    threads: Threads = 0,
) -> None:
    """Read pictures and clips whose plates are known; say how many were read, and what lost the others."""
    from plateloop.testing.accuracy import measure
    from plateloop.testing.accuracy_report import write

    with show_progress() as begin:
        result = measure(data, split.chosen, threshold, weights, device, threads, begin)
    if report is not None:
        write(result, report, data)
    if as_json:
        print(result.model_dump_json())
    else:
        _print_accuracy(result)
        if report is not None:
            print(f"Report: {report / 'report.html'}")


@app.command()
def throughput(
    sources: Annotated[
        list[str] | None,
        typer.Argument(metavar="SOURCE", help="Videos, folders of pictures, streams, cameras."),
    ] = None,
    config: Page = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.1, help="Stop after so long; live sources never end by themselves.")
    ] = None,
    overlay: Annotated[bool, typer.Option(help="Also draw and encode the annotated videos.")] = False,
    as_json: Json = False,
    weights: Weights = None,
    device: DeviceOverride = None,
    threads: ThreadsOverride = None,
) -> None:
    """Run SOURCES through the whole pipeline, keep nothing, and say how fast that went and what it took."""
    from tempfile import TemporaryDirectory

    from plateloop.deployment.config import load_config
    from plateloop.deployment.launch import launch
    from plateloop.testing.throughput import throughput as measure

    with TemporaryDirectory() as thrown_away:
        settings = load_config(
            config,
            sources or [],
            {
                "networks": {"device": device, "threads": threads, "weights": weights},
                "output": {"folder": Path(thrown_away), "overlay": overlay},
            },
        )
        with launch(settings) as run, show_progress() as begin:
            lengths = [length for length in run.lengths if length is not None]
            total = sum(lengths) if len(lengths) == len(run.lengths) else None
            result = measure(run.pipeline, seconds, begin("frames", total))
    if as_json:
        print(result.model_dump_json())
    else:
        _print_throughput(result)


def _print_throughput(result: Throughput) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table("stage", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("ms/frame", justify="right")
    table.add_column("of the time", justify="right")
    for name, spent in sorted(result.stage_ms.items(), key=lambda stage: -stage[1]):
        table.add_row(name, f"{spent:.2f}", f"{spent * result.frames_per_second / 1000:.0%}")
    console.print(table)
    console.print(
        f"{result.frames} frames in {result.seconds:.1f} s: {result.frames_per_second:.1f} frames/s, "
        f"{result.dropped} dropped; {result.vehicles} vehicles, {result.plates} plates read\n"
        f"{result.cpu_ms:.1f} ms of processor a frame, {result.cores_busy:.1f} cores busy, "
        f"peak memory {result.peak_mb:.0f} MB"
    )


def _print_accuracy(result: AccuracyReport) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from plateloop.testing.accuracy_scores import HEAD

    console = Console()
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(HEAD[0], overflow="fold")
    for head in HEAD[1:]:
        table.add_column(head, justify="right", no_wrap=True)
    for scores in result.scores.values():
        for score in scores:
            table.add_row(*score.cells())
        table.add_section()
    console.print(table)
    groups, *rows = result.failure_rows()
    failures = Table(groups[0], box=SIMPLE_HEAD, pad_edge=False)
    for group in groups[1:]:
        failures.add_column(group, justify="right", overflow="fold")
    for cells in rows:
        failures.add_row(*cells)
    console.print(failures)
    if result.ece is not None:
        console.print(f"Expected calibration error {result.ece:.3f}")


def ceiling(
    data: Annotated[
        list[Path], typer.Argument(metavar="DATA", help="Manifest datasets with plates' boxes and texts.")
    ],
    split: SplitOption = Split.TEST,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for ceiling.json and a chart of each dataset.")
    ] = None,
    as_json: Json = False,
    weights: Weights = None,
    device: Device = "cpu",
    threads: Threads = 0,
) -> None:
    """Give each network perfect input in turn, and say what the end result would become."""
    from plateloop.runtime.cascade import Cascade, CascadeConfig
    from plateloop.training.ceiling import ceiling as analyse
    from plateloop.training.ceiling import chart, select

    chosen = {folder: select(folder, split.chosen) for folder in data}
    cascade = Cascade.load(device, threads, weights, CascadeConfig(color=False))
    results = {}
    for folder, records in chosen.items():
        with show_progress() as begin:
            results[folder.name] = analyse(cascade, folder, records, begin(folder.name, len(records)))
        if out is not None:
            chart(results[folder.name], out / f"ceiling-{folder.name}.png")
    data_json = {name: [group.model_dump() for group in groups] for name, groups in results.items()}
    if out is not None:
        (out / "ceiling.json").write_text(json.dumps(data_json, indent=1) + "\n", encoding="utf-8")
    if as_json:
        print(json.dumps(data_json))
        return
    from rich.console import Console
    from rich.table import Table

    for name, groups in results.items():
        table = Table(f"{name}, {split}: read exactly", *(f"{g.group} ({g.plates})" for g in groups))
        for variant in groups[0].right:
            table.add_row(variant, *(f"{g.right[variant] / g.plates:.1%}" for g in groups))
        Console().print(table)


@contextmanager
def show_progress() -> Iterator[Callable[[str, int | None], Callable[[int], None]]]:
    """Progress bars on stderr: ``begin(title, total)`` adds one and gives the function that advances it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:

        def begin(title: str, total: int | None) -> Callable[[int], None]:
            task = progress.add_task(title, total=total)
            return lambda count: progress.advance(task, count)

        yield begin
