"""``plateloop data``: prepare data. A folder in, a folder out, the source untouched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plateloop.cli.clean import augment, balance, clean

if TYPE_CHECKING:
    from plateloop.data_preparation.report import Report

app = typer.Typer(name="data", no_args_is_help=True)
app.command("clean")(clean)
app.command("balance")(balance)
app.command("augment")(augment)


@app.callback()
def data() -> None:
    """Prepare data: a folder in, a folder out.

    What cannot be used is named in a line and skipped, the rest is written; the exit code is then 2.
    """


Source = Annotated[Path, typer.Argument(help="The folder to read; it is never changed.")]
Target = Annotated[Path, typer.Argument(help="The folder to write.")]
Link = Annotated[bool, typer.Option("--link", help="Hard links to the pictures in place of copies.")]
Labels = Annotated[
    list[str],
    typer.Option("--label", metavar="OLD=NEW", help="Rename a class; OLD= leaves it out. Repeatable."),
]
Ray = Annotated[
    str | None, typer.Option("--ray", metavar="ADDRESS", help="Use the cores of this Ray cluster.")
]
Lenient = Annotated[bool, typer.Option("--lenient", help="Exit with 0 although files were skipped.")]


def tell(report: Report, source: Path, target: Path, lenient: bool) -> None:
    """Print what was written on stdout, and what was not on stderr, a line a file.

    Raises UserError where nothing was written, or files were skipped and ``lenient`` does not allow that.
    """
    from plateloop.errors import UserError

    for file, reason in report.skipped.items():
        typer.echo(f"skipped {file}: {reason}", err=True)
    for name, count in sorted(report.lost.items()):
        if count:
            typer.echo(f"{target}: its format cannot hold {name} ({count} pictures)", err=True)
    same = f", {report.repeated} there already" if report.repeated else ""
    typer.echo(f"{target}: {report.written} pictures written, {len(report.skipped)} files skipped{same}")
    if not report.written:
        raise UserError(
            f"{source}: nothing could be written; give a folder, a format or a query that has records"
        )
    if report.skipped and not lenient:
        raise UserError(
            f"{source}: {len(report.skipped)} files were skipped, the others written; mend them, or --lenient"
        )


@app.command()
def convert(
    source: Source,
    target: Target,
    source_format: Annotated[str, typer.Option("--from", help="The source's format.")],
    target_format: Annotated[str, typer.Option("--to", help="The target's format.")] = "manifest",
    label: Labels = [],  # noqa: B006
    link: Link = False,
    lenient: Lenient = False,
) -> None:
    """Convert a dataset: manifest, kitti, yolo, voc, coco, cvat, labelstudio, labelme, ccpd, lprnet, ocrnet,
    openalpr, pairs, names, csv."""
    from plateloop.cli.progress import counting
    from plateloop.data_preparation.convert import convert as run
    from plateloop.data_preparation.relabel import parse

    with counting("converting") as tick:
        report = run(source, target, source_format, target_format, link, parse(label), tick)
    tell(report, source, target, lenient)


@app.command("import")
def import_(
    source: Source,
    target: Target,
    source_format: Annotated[
        str | None, typer.Option("--from", help="The format; told from the files if absent.")
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


@app.command()
def synth(
    target: Target,
    count: Annotated[int, typer.Option(min=1, help="How many plates to make.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same plates.")] = 0,
    style: Annotated[str | None, typer.Option(help="Only this style, such as gb or vn-two.")] = None,
    clean: Annotated[bool, typer.Option("--clean", help="Flat and sharp, as no camera sees them.")] = False,
    workers: Annotated[int, typer.Option(min=0, help="Processes to use; 0: one a core.")] = 0,
    ray: Ray = None,
) -> None:
    """Make a dataset of synthetic plate crops with text, region and corners.

    Letterforms are drawn; those of fonts are added where PLATELOOP_GLYPHS names a glyph atlas. Broken off and
    called again it goes on where it was.
    """
    from plateloop.cli.progress import counting
    from plateloop.data_preparation.synthetic.dataset import synthesize

    with counting("rendering", count) as tick:
        done = 0
        for number in synthesize(target, count, seed, style, clean, workers, ray):
            for _ in range(number - done):
                tick()
            done = number
    typer.echo(f"{target}: {done} plates written")


@app.command()
def glyphs(
    target: Annotated[Path, typer.Argument(help="The atlas to write, such as glyphs.npz.")],
    fonts: Annotated[
        list[Path], typer.Option(help="A folder to look for fonts in; the system's if absent. Repeatable.")
    ] = [],  # noqa: B006
    limit: Annotated[int, typer.Option(min=1, help="At most this many faces.")] = 400,
) -> None:
    """Render the system's legible fonts to a glyph atlas, for `synth` on machines that have none."""
    from plateloop.cli.progress import counting
    from plateloop.data_preparation.synthetic.atlas import build, find_fonts, font_folders
    from plateloop.data_preparation.synthetic.glyphs import save_atlas
    from plateloop.errors import UserError

    faces = []
    with counting("faces") as tick:
        for face in build(find_fonts(fonts or font_folders()), limit):
            faces.append(face)
            tick()
    if not faces:
        raise UserError("no legible fonts found; name a folder of fonts with --fonts")
    save_atlas(target, faces)
    typer.echo(f"{target}: {len(faces)} faces written")


@app.command()
def merge(
    folders: Annotated[list[Path], typer.Argument(help="The datasets to read, then the folder to write.")],
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


@app.command("slice")
def slice_(
    source: Source,
    target: Target,
    where: Annotated[
        list[str],
        typer.Option(
            "--where", help="FIELD=PATTERN, FIELD!=PATTERN, min_FIELD=N or max_FIELD=N. Repeatable."
        ),
    ] = [],  # noqa: B006
    random: Annotated[int | None, typer.Option("--random", min=1, help="So many, by chance.")] = None,
    per_class: Annotated[
        int | None, typer.Option("--per-class", min=1, help="Enough that each class is in so many pictures.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of chance.")] = 0,
    link: Link = False,
    lenient: Lenient = False,
) -> None:
    """Take a part of a manifest dataset: by query, by chance, per class.

    Fields: file, source, license, region, split, sequence, tag, label, color, text, annotation (patterns with
    * and ?, several between commas); numbers: width, height, vehicles, plates, plate_width, plate_height,
    vehicle_width, vehicle_height, text_length.
    """
    from plateloop.cli.progress import counting
    from plateloop.data_preparation.slice import take

    with counting("slicing") as tick:
        report = take(source, target, where, random, per_class, seed, link, tick)
    tell(report, source, target, lenient)


@app.command()
def split(
    source: Source,
    target: Annotated[Path | None, typer.Argument(help="The folder to write; none with --check.")] = None,
    val: Annotated[float, typer.Option(min=0, max=1, help="Share to choose by.")] = 0.1,
    test: Annotated[float, typer.Option(min=0, max=1, help="Share to report on.")] = 0.1,
    folds: Annotated[int, typer.Option(min=0, help="Write so many datasets for cross validation.")] = 0,
    seed: Annotated[int, typer.Option(help="Of the split.")] = 0,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave records that have a split where they are.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Only tell what leaks between the given splits.")
    ] = False,
    link: Link = False,
    ray: Ray = None,
    lenient: Lenient = False,
) -> None:
    """Split into train, val and test, or folds: a plate text, a sequence, a scene is on one side only."""
    from plateloop.cli.progress import counting
    from plateloop.data_preparation import split as module
    from plateloop.data_preparation.kinship import gather
    from plateloop.data_preparation.report import Report
    from plateloop.errors import UserError

    if check:
        report = Report()
        with counting("comparing") as tick:
            clues = gather(source, report, tick, ray)
            found = module.leaks(clues)
        for kind, count in sorted(found.counts.items()):
            typer.echo(f"{kind}: {count} on more than one side")
            for first, second in found.examples[kind]:
                typer.echo(f"  {first}  {second}")
        typer.echo(f"{source}: {sum(found.counts.values())} leaks in {len(clues.files)} pictures")
        missed = report.skipped | dict.fromkeys(clues.unseen, "damaged or no picture")
        for file, reason in missed.items():
            typer.echo(f"skipped {file}: {reason}", err=True)
        if missed:
            raise UserError(f"{source}: {len(missed)} files were not compared; mend or remove them")
        if not clues.splits.any():
            raise UserError(f"{source}: no record is in a split; `plateloop data split` makes splits")
        return
    if target is None:
        raise UserError("split needs a folder to write, or --check")
    with counting("splitting") as tick:
        outcome = module.split(source, target, val, test, folds, seed, keep, link, tick, ray)
    for side, count in sorted(outcome.sides.items()):
        typer.echo(f"{side if side in module.SPLITS else f'fold {side}'}: {count}")
    for (name, region), sides in sorted(outcome.strata.items()):
        shares = ", ".join(f"{side} {count}" for side, count in sorted(sides.items()))
        typer.echo(f"  {name or 'no source'} {region or 'no region'}: {shares}")
    for file in outcome.unseen:
        typer.echo(f"{file}: damaged or no picture; placed by its texts and sequence alone", err=True)
    tell(outcome.report, source, target, lenient)


@app.command()
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
    """Cut plates or vehicles out of a manifest dataset's pictures; each becomes a picture with its labels."""
    from plateloop.cli.progress import counting
    from plateloop.data_preparation.crop import crop_plates, crop_vehicles

    with counting("cropping") as tick:
        if vehicles:
            report = crop_vehicles(source, target, margin, least, tick, ray)
        else:
            report = crop_plates(source, target, margin, rectify, least, tick, ray)
    tell(report, source, target, lenient)


@app.command()
def resize(
    source: Source,
    target: Target,
    longest: Annotated[int, typer.Option(min=1, help="The longer side in pixels, at most.")],
    enlarge: Annotated[bool, typer.Option("--enlarge", help="Also make small pictures so large.")] = False,
    ray: Ray = None,
    lenient: Lenient = False,
) -> None:
    """Scale a manifest dataset's pictures together with their boxes and corners."""
    from plateloop.cli.progress import counting
    from plateloop.data_preparation.crop import resize as run

    with counting("resizing") as tick:
        report = run(source, target, longest, enlarge, tick, ray)
    tell(report, source, target, lenient)


@app.command()
def stats(
    source: Source,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object in place of tables.")] = False,
    page: Annotated[
        Path | None, typer.Option(help="Also write an HTML page with plots to this file.")
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
