"""``plateloop video2data``: labelled data and hard examples from video."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plateloop.cli.options import DeviceOverride, Page, ThreadsOverride, Weights

if TYPE_CHECKING:
    from plateloop.deployment.video2data.harvest import Harvest


def video2data(
    videos: Annotated[
        list[str],
        typer.Argument(
            metavar="VIDEO",
            help="Video files, folders of videos or pictures, URLs, cameras.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The dataset's folder; must be new or empty.")],
    config: Page = None,
    period: Annotated[
        float, typer.Option(min=0, help="Seconds between two kept frames; 0: all looked at.")
    ] = 1,
    duration: Annotated[
        float | None, typer.Option(min=0.01, help="Seconds of each video; needed for what may never end.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=0, help="Most kept frames of each video, spread over it.")
    ] = None,
    empty: Annotated[bool, typer.Option("--empty", help="Keep frames that show nothing, too.")] = False,
    min_tcnet: Annotated[float, typer.Option(min=0, max=1, help="Least score of a vehicle's label.")] = 0.5,
    min_lpdnet: Annotated[float, typer.Option(min=0, max=1, help="Least score of a plate's label.")] = 0.5,
    min_lprnet: Annotated[
        float, typer.Option(min=0, max=1, help="Least confidence of a track's fused text.")
    ] = 0.8,
    min_colornet: Annotated[float, typer.Option(min=0, max=1, help="Least confidence of a colour.")] = 0.5,
    png: Annotated[bool, typer.Option("--png", help="Write PNG in place of JPEG.")] = False,
    annotated: Annotated[
        bool, typer.Option("--annotated", help="Write each picture with its labels drawn on it, too.")
    ] = False,
    crops: Annotated[bool, typer.Option(help="Write the plates with a text as pictures, too.")] = True,
    format: Annotated[
        list[str] | None, typer.Option(help="A further format: yolo or kitti; may be given twice.")
    ] = None,
    hard: Annotated[int, typer.Option(min=0, help="Most hard examples, the best ones; 0: none.")] = 200,
    interval: Annotated[int | None, typer.Option(min=1, help="Look at every n-th frame.")] = None,
    device: DeviceOverride = None,
    threads: ThreadsOverride = None,
    weights: Weights = None,
) -> None:
    """Make labelled data from videos: frames with vehicles, colours, plates and texts, and hard examples.

    DIR is a dataset with a manifest.jsonl; its labels are marked as automatic. DIR/hard is another one, for
    the labeler: frames in which the networks contradict what the rest of the track says, best first. Ctrl-C
    ends the looking and writes what was seen by then. Nothing is overwritten.
    """
    from pydantic import ValidationError

    from plateloop.cli.progress import counting
    from plateloop.deployment.config import load_config
    from plateloop.deployment.launch import load_networks
    from plateloop.deployment.video2data.config import HarvestConfig
    from plateloop.deployment.video2data.harvest import harvest
    from plateloop.errors import UserError

    try:
        settings = HarvestConfig.model_validate(
            {
                "period_s": period,
                "duration_s": duration,
                "limit": limit,
                "empty": empty,
                "min_vehicle": min_tcnet,
                "min_plate": min_lpdnet,
                "min_text": min_lprnet,
                "min_color": min_colornet,
                "pictures": "png" if png else "jpg",
                "annotated": annotated,
                "crops": crops,
                "formats": tuple(dict.fromkeys(format or ())),
                "hard": hard,
            }
        )
    except ValidationError:
        raise UserError(f"--format {' '.join(format or ())}: there are yolo and kitti") from None
    overrides: dict[str, dict[str, object]] = {
        "networks": {"device": device, "threads": threads, "weights": weights},
        "schedule": {"interval": interval},
    }
    page = load_config(config, videos, overrides)
    networks = load_networks(page)
    alphabet = networks.sessions["lprnet"].card.alphabet
    with _stopping() as stop, counting("frames") as tick:
        result = harvest(page, settings, networks, alphabet, out, stop, tick)
    _summarize(result, out)
    if any(source.error is not None for source in result.sources):
        raise typer.Exit(2)


@contextmanager
def _stopping() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set; a second one ends the process at once."""
    stop = threading.Event()

    def handle(number: int, _: object) -> None:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _summarize(result: Harvest, out: Path) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("Source", overflow="fold")
    for name in ("Frames", "Kept", "Vehicles", "Plates", "Texts"):
        table.add_column(name, justify="right", no_wrap=True)
    for source in result.sources:
        failed = " [red](failed)[/]" if source.error is not None else ""
        cells = (source.frames, source.kept, source.vehicles, source.plates, source.texts)
        table.add_row(escape(source.source) + failed, *map(str, cells))
        if source.error is not None:
            print(f"plateloop: {source.error}", file=sys.stderr)
    console = Console()
    console.print(table)
    reasons = ", ".join(f"{count} {reason}" for reason, count in result.reasons.most_common())
    console.print(f"{result.hard} hard examples" + (f": {reasons}" if reasons else ""), highlight=False)
    console.print(f"  {out}", soft_wrap=True, markup=False, highlight=False)
