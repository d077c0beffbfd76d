"""``plateloop read``: read plates in pictures."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from plateloop.cli.options import Device, Threads, Weights


def read(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH", help="Pictures, or folders of pictures.", show_default=False),
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a line for each picture.")
    ] = False,
    save: Annotated[Path | None, typer.Option(metavar="DIR", help="Write annotated pictures there.")] = None,
    direct: Annotated[
        bool,
        typer.Option("--direct", help="Seek small plates away from vehicles too: in the picture's quarters."),
    ] = False,
    crop: Annotated[bool, typer.Option("--crop", help="The pictures are plates, already cut out.")] = False,
    min_confidence: Annotated[
        float, typer.Option(min=0, max=1, help="Texts that are less sure are left out: the plate is unread.")
    ] = 0.0,
    device: Device = "cpu",
    threads: Threads = 0,
    weights: Weights = None,
) -> None:
    """Read the number plates in pictures.

    What cannot be read gives one line on stderr, the others are read all the same; the exit code is then 2.
    """
    import cv2
    from rich.console import Console
    from rich.progress import track

    from plateloop.deployment.overlay import draw_scene
    from plateloop.errors import UserError
    from plateloop.passwords import redact
    from plateloop.runtime.cascade import Cascade, CascadeConfig
    from plateloop.runtime.pictures import copies, find_pictures, read_pictures, write_picture
    from plateloop.runtime.records import crop_scene, scene_record, sure_of

    # OpenCV writes its own account of every damaged file; ours is the one line.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    files = list(find_pictures(paths))
    targets = copies([file for file in files if isinstance(file, Path)], save) if save else {}
    config = CascadeConfig(direct="always" if direct else "auto")
    cascade = Cascade.load(device, threads, weights, config, ("lprnet",) if crop else None)
    labels = () if crop else cascade.labels
    console = Console(stderr=True)
    quiet = as_json or not console.is_terminal
    records, failed = [], False
    pictures = read_pictures(files)
    for result in track(pictures, "Reading", len(files), console=console, transient=True, disable=quiet):
        if isinstance(result, UserError):
            print(f"plateloop: {redact(str(result))}", file=sys.stderr)
            failed = True
            continue
        path, frame = result
        scene = crop_scene(frame, cascade.read_crops([frame])[0]) if crop else cascade([frame])[0]
        scene = sure_of(scene, min_confidence)
        record = scene_record(path, frame, scene, labels)
        if path in targets:
            write_picture(targets[path], draw_scene(frame.rgb(), scene, labels))
        if as_json:
            print(json.dumps(record, ensure_ascii=False), flush=True)
        else:
            records.append(record)
    if records:
        _show(records)
    if failed:
        raise typer.Exit(2)


def _show(records: list[dict[str, Any]]) -> None:
    """A table of what was read, a row a plate."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("Picture", box=None, header_style="bold", pad_edge=False)
    for name in ("Plate", "Sure", "Region", "Vehicle", "Color"):
        table.add_column(name, no_wrap=True, justify="right" if name == "Sure" else "left")
    for record in records:
        source = escape(record["source"])
        for plate in record["plates"]:
            vehicle = {} if plate["vehicle"] is None else record["vehicles"][plate["vehicle"]]
            sure = f"{plate['confidence']:.0%}" if plate["text"] else ""
            text = f"[bold]{plate['text']}[/]" if plate["text"] else "[dim]not readable[/]"
            table.add_row(source, text, sure, plate["region"], vehicle.get("label"), vehicle.get("color"))
            source = ""
        if source:
            table.add_row(source, "[dim]none[/]")
    Console().print(table)
