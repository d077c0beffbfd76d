"""``plateloop test`` and ``plateloop ceiling``: how well, how fast, and what limits it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from plateloop.testing.accuracy_scores import AccuracyReport

app = typer.Typer(name="test", help="Test a deployment: accuracy, throughput.", no_args_is_help=True)

_Split = Annotated[str, typer.Option(help="train, val, test or all")]
_Weights = Annotated[Path | None, typer.Option(help="folder of cards; what it lacks comes from the package")]
_Device = Annotated[str, typer.Option(help="cpu, cuda:N, …")]
_Threads = Annotated[int, typer.Option(help="CPU threads of a network; 0: one a core")]


@app.callback()
def test() -> None:
    """Test a deployment: accuracy, throughput."""


@app.command()
def accuracy(
    data: Annotated[list[Path], typer.Argument(help="manifest datasets, and folders with clips.jsonl")],
    split: _Split = "test",
    report: Annotated[
        Path | None, typer.Option(help="folder for report.html, report.json, failures.png")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="print the report as JSON instead of tables")] = False,
    threshold: Annotated[float, typer.Option(help="readings less sure than this count as not given")] = 0.0,
    weights: _Weights = None,
    device: _Device = "cpu",
    threads: _Threads = 0,
) -> None:
    """Read pictures and clips whose plates are known; say how many were read, and what lost the others."""
    from plateloop.testing.accuracy import measure
    from plateloop.testing.accuracy_report import write

    with _progress() as begin:
        result = measure(data, None if split == "all" else split, threshold, weights, device, threads, begin)
    if report is not None:
        write(result, report, data)
    if json_:
        print(result.model_dump_json())
    else:
        _print_accuracy(result)
        if report is not None:
            print(f"Report: {report / 'report.html'}")


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
    for dataset, counts in result.failures.items():
        console.print(f"{dataset}: " + ", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    if result.ece is not None:
        console.print(f"Expected calibration error {result.ece:.3f}")


def ceiling(
    data: Annotated[list[Path], typer.Argument(help="manifest datasets with plates' boxes and texts")],
    split: _Split = "test",
    out: Annotated[Path | None, typer.Option(help="folder for ceiling.json and ceiling.png")] = None,
    json_: Annotated[bool, typer.Option("--json", help="print JSON instead of tables")] = False,
    weights: _Weights = None,
    device: _Device = "cpu",
    threads: _Threads = 0,
) -> None:
    """Give each network perfect input in turn, and say what the end result would become."""
    from plateloop.runtime.cascade import Cascade, CascadeConfig
    from plateloop.training.ceiling import ceiling as analyse
    from plateloop.training.ceiling import chart, select

    chosen = {folder: select(folder, None if split == "all" else split) for folder in data}
    cascade = Cascade.load(device, threads, weights, CascadeConfig(color=False))
    results = {}
    for folder, records in chosen.items():
        with _progress() as begin:
            results[folder.name] = analyse(cascade, folder, records, begin(folder.name, len(records)))
        if out is not None:
            chart(results[folder.name], out / f"ceiling-{folder.name}.png")
    data_json = {name: [group.model_dump() for group in groups] for name, groups in results.items()}
    if out is not None:
        (out / "ceiling.json").write_text(json.dumps(data_json, indent=1) + "\n", encoding="utf-8")
    if json_:
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
def _progress() -> Iterator[Callable[[str, int], Callable[[int], None]]]:
    """A progress bar on stderr: ``begin(title, total)`` gives the function that advances it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:

        def begin(title: str, total: int) -> Callable[[int], None]:
            task = progress.add_task(title, total=total)
            return lambda count: progress.advance(task, count)

        yield begin
