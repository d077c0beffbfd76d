"""``plateloop demo``: the main job on a clip that plateloop renders itself, and how much of it was read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plateloop.cli.options import Weights

if TYPE_CHECKING:
    from rich.console import Console

    from plateloop.testing.street import Clip
    from plateloop.testing.street.score import Score


def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where everything goes.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Decides the texts of the plates.")] = 1,
    seconds: Annotated[float, typer.Option(min=0.1, max=60, help="Length of the clip.")] = 10.6,
    weights: Weights = None,
) -> None:
    """Render a street with traffic, run ``plateloop run`` on it, and compare what was read with the truth."""
    from rich.console import Console

    from plateloop.cli.run import run
    from plateloop.runtime.cascade import Cascade
    from plateloop.testing.street.score import score
    from plateloop.testing.street.truth import read_truth
    from plateloop.types import Event

    Cascade.load("cpu", 1, weights)  # whether the networks are there, before the long part
    console = Console()
    clip = _render(out, seed, seconds)
    console.print(
        f"Rendered {clip.video} ({clip.frames} frames) and its truth, {clip.truth}.", soft_wrap=True
    )
    console.print(f"[bold]plateloop run {clip.video} --out {out}[/]", soft_wrap=True)
    run([str(clip.video)], out=out, weights=weights)
    lines = (out / "events.jsonl").read_text(encoding="utf-8").splitlines()
    result = score(read_truth(clip.truth), [Event.model_validate_json(line) for line in lines])
    _show(result, console)
    annotated = out / f"{clip.video.stem}-annotated.mp4"
    console.print(f"Annotated video: [bold]{annotated}[/]", soft_wrap=True)
    console.print(f"Events:          [bold]{out / 'events.jsonl'}[/]", soft_wrap=True)


def _render(out: Path, seed: int, seconds: float) -> Clip:
    from rich.console import Console
    from rich.progress import Progress

    from plateloop.testing.street import render_clip

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("Rendering the street", total=None)
        return render_clip(
            out / "street.mp4",
            seed,
            seconds=seconds,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )


def _show(result: Score, console: Console) -> None:
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("Vehicle", "Plate", "Read", "Confidence", ""):
        table.add_column(name, justify="right" if name == "Confidence" else "left")
    for outcome in result.outcomes:
        vehicle = outcome.vehicle
        table.add_row(
            f"{vehicle.color} {vehicle.label}",
            f"{vehicle.text} ({vehicle.region})" if vehicle.region else vehicle.text,
            outcome.read or "-",
            f"{outcome.confidence:.2f}" if outcome.read else "",
            "[green]right[/]" if outcome.right else "[red]wrong[/]" if outcome.read else "[red]not read[/]",
        )
    console.print(table)
    right = sum(outcome.right for outcome in result.outcomes)
    console.print(
        f"[bold]{right} of {len(result.outcomes)} plates read exactly ({result.share:.0%})[/]; "
        f"{len(result.strays)} readings that belong to no vehicle."
    )
