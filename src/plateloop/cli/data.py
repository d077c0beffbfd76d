"""``plateloop data``: prepare data. A folder in, a folder out, the source untouched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from plateloop.cli.clean import augment, balance, clean
from plateloop.cli.dataset import Labels, Lenient, Link, Ray, Source, Target, tell
from plateloop.cli.partition import slice_, split
from plateloop.cli.synth import glyphs, synth

app = typer.Typer(name="data", no_args_is_help=True)


@app.callback()
def data() -> None:
    """Prepare data: a folder in, a folder out.

    What cannot be used is named in a line and skipped, the rest is written; the exit code is then 2.
    """


def convert(
    source: Source,
    target: Target,
    source_format: Annotated[str, typer.Option("--from", metavar="FORMAT", help="The source's format.")],
    target_format: Annotated[
        str, typer.Option("--to", metavar="FORMAT", help="The target's format.")
    ] = "manifest",
    label: Labels = [],  # noqa: B006
    link: Link = False,
    lenient: Lenient = False,
) -> None:
    """Convert a dataset from one format to another.

    Formats: manifest, kitti, yolo, voc, coco, cvat, labelstudio, labelme, ccpd, lprnet, ocrnet, openalpr,
    pairs, names, csv.
    """
    from plateloop.cli.progress import counting
    from plateloop.data_preparation.convert import convert as run
    from plateloop.data_preparation.relabel import parse

    with counting("converting") as tick:
        report = run(source, target, source_format, target_format, link, parse(label), tick)
    tell(report, source, target, lenient)


def import_(
    source: Source,
    target: Target,
    source_format: Annotated[
        str | None,
        typer.Option("--from", metavar="FORMAT", help="The format; told from the files if absent."),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(
            help="Where the plates are from, such as VN, if the files do not say; texts are checked."
        ),
    ] = None,
    origin: Annotated[
        str | None, typer.Option("--source", help="A name for where the pictures are from, likewise.")
    ] = None,
    license_: Annotated[str | None, typer.Option("--license", help="Of the pictures, likewise.")] = None,
    label: Labels = [],  # noqa: B006
    link: Link = False,
    lenient: Lenient = False,
) -> None:
    """Make a manifest dataset of a folder in any format, or of plain pictures."""
    from plateloop.cli.progress import counting
    from plateloop.data_preparation.convert import convert as run
    from plateloop.data_preparation.formats.collection import unpack
    from plateloop.data_preparation.formats.detect import detect
    from plateloop.data_preparation.relabel import parse
    from plateloop.errors import UserError

    if not source.is_dir():
        raise UserError(f"{source}: no such folder")
    found = source_format or detect(source)
    typer.echo(f"{source}: {found}")
    said = {"region": region, "source": origin, "license": license_}
    given = {name: value for name, value in said.items() if value}
    if found == "collection":
        if given:
            raise UserError(f"{source}: says itself where its pictures are from; leave --{next(iter(given))}")
        for name, count in unpack(source, target).items():
            typer.echo(f"{target / name}: {count} pictures written")
        return
    with counting("importing") as tick:
        report = run(source, target, found, "manifest", link, parse(label), tick, given)
    tell(report, source, target, lenient)


def merge(
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER", help="The datasets to read, then the folder to write.")
    ],
    label: Labels = [],  # noqa: B006
    link: Link = False,
    lenient: Lenient = False,
) -> None:
    """Merge manifest datasets: names kept apart, what is the same in several written once."""
    from plateloop.cli.progress import counting
    from plateloop.data_preparation.merge import merge as run
    from plateloop.data_preparation.relabel import parse
    from plateloop.errors import UserError

    *sources, target = folders
    if not sources:
        raise UserError("merge needs the datasets to read and the folder to write: merge SRC… DST")
    with counting("merging") as tick:
        report = run(sources, target, parse(label), link, tick)
    tell(report, sources[0], target, lenient)


def crop(
    source: Source,
    target: Target,
    vehicles: Annotated[bool, typer.Option("--vehicles", help="Vehicles in place of plates.")] = False,
    rectify: Annotated[bool, typer.Option("--rectify", help="Plates straightened by their corners.")] = False,
    margin: Annotated[float, typer.Option(min=0, max=1, help="Grown on each side by this share.")] = 0.06,
    least: Annotated[int, typer.Option(min=1, help="Height in pixels below which nothing is cut.")] = 8,
    ray: Ray = None,
    lenient: Lenient = False,
) -> None:
    """Cut plates or vehicles out of a manifest dataset's pictures; each becomes a picture with its labels.

    Broken off and called again it goes on where it was.
    """
    from plateloop.cli.progress import counting
    from plateloop.data_preparation.crop import crop_plates, crop_vehicles

    with counting("cropping") as tick:
        if vehicles:
            report = crop_vehicles(source, target, margin, least, tick, ray)
        else:
            report = crop_plates(source, target, margin, rectify, least, tick, ray)
    tell(report, source, target, lenient)


def resize(
    source: Source,
    target: Target,
    longest: Annotated[int, typer.Option(min=1, help="The longer side in pixels, at most.")],
    enlarge: Annotated[bool, typer.Option("--enlarge", help="Also make small pictures so large.")] = False,
    ray: Ray = None,
    lenient: Lenient = False,
) -> None:
    """Scale a manifest dataset's pictures together with their boxes and corners.

    Broken off and called again it goes on where it was.
    """
    from plateloop.cli.progress import counting
    from plateloop.data_preparation.crop import resize as run

    with counting("resizing") as tick:
        report = run(source, target, longest, enlarge, tick, ray)
    tell(report, source, target, lenient)


def stats(
    source: Source,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object in place of tables.")] = False,
    page: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write an HTML page with plots to this file.")
    ] = None,
) -> None:
    """Count what is in a manifest dataset: splits, sources, regions, classes, characters, sizes, hours.

    When a picture was taken is told by its record (as video2data writes it), its file's name, or its EXIF.
    """
    import json

    from plateloop.cli.progress import counting
    from plateloop.data_preparation.manifest import read_manifest
    from plateloop.data_preparation.report import Report
    from plateloop.data_preparation.stats import count
    from plateloop.errors import UserError

    report = Report()
    with counting("counting") as tick:
        counted = count(read_manifest(source, report.skip), source, tick)
    for place, reason in report.skipped.items():
        typer.echo(f"skipped {place}: {reason}", err=True)
    if not counted.records:
        raise UserError(f"{source}: no record to count; its manifest is empty")
    if page is not None:
        from plateloop.data_preparation.stats_page import write_page

        write_page(page, source.name, counted)
    found = counted.table()
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
    else:
        typer.echo(f"{source}: {found.pop('records')} records")
        for name, values in found.items():
            if values and name != "quantiles":
                typer.echo(f"{name}: " + ", ".join(f"{key} {value}" for key, value in values.items()))
        for name, values in found["quantiles"].items():
            typer.echo(f"{name}: " + ", ".join(f"{share} ≤ {value:g}" for share, value in values.items()))
    if report.skipped:
        raise UserError(f"{source}: {len(report.skipped)} lines of the manifest are no records; mend them")


# In the order in which the help lists them.
COMMANDS: dict[str, Callable[..., None]] = {
    "clean": clean,
    "balance": balance,
    "augment": augment,
    "convert": convert,
    "import": import_,
    "synth": synth,
    "glyphs": glyphs,
    "merge": merge,
    "slice": slice_,
    "split": split,
    "crop": crop,
    "resize": resize,
    "stats": stats,
}
for _name, _command in COMMANDS.items():
    app.command(_name)(_command)
