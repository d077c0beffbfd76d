"""``plateloop data``: prepare data. A folder in, a folder out, the source untouched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from plateloop.data_preparation.report import Report

app = typer.Typer(name="data", help="Prepare data: a folder in, a folder out.", no_args_is_help=True)


@app.callback()
def data() -> None:
    """Prepare data: a folder in, a folder out."""


Source = Annotated[Path, typer.Argument(help="The folder to read; it is never changed.")]
Target = Annotated[Path, typer.Argument(help="The folder to write.")]
Link = Annotated[bool, typer.Option("--link", help="Hard links to the pictures in place of copies.")]
Labels = Annotated[
    list[str],
    typer.Option("--label", metavar="OLD=NEW", help="Rename a class; OLD= leaves it out. Repeatable."),
]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 2 when any file was skipped.")]


def _tell(report: Report, source: Path, target: Path, strict: bool) -> None:
    """Print what was written on stdout, and what was not on stderr, a line a file."""
    from plateloop.errors import UserError

    for file, reason in report.skipped.items():
        typer.echo(f"skipped {file}: {reason}", err=True)
    for name, count in sorted(report.lost.items()):
        if count:
            typer.echo(f"{target}: its format cannot hold {name} ({count} pictures)", err=True)
    typer.echo(f"{target}: {report.written} pictures written, {len(report.skipped)} files skipped")
    if not report.written:
        raise UserError(f"{source}: nothing could be written; see the reasons above, or check --from")
    if strict and report.skipped:
        raise UserError(
            f"{source}: {len(report.skipped)} files were skipped; mend them or leave --strict away"
        )


@app.command()
def convert(
    source: Source,
    target: Target,
    source_format: Annotated[str, typer.Option("--from", help="The source's format.")],
    target_format: Annotated[str, typer.Option("--to", help="The target's format.")] = "manifest",
    label: Labels = [],  # noqa: B006
    link: Link = False,
    strict: Strict = False,
) -> None:
    """Convert a dataset: manifest, kitti, yolo, voc, coco, cvat, labelstudio, labelme, ccpd, lprnet, ocrnet,
    openalpr, pairs, names, csv."""
    from plateloop.cli.progress import counting
    from plateloop.data_preparation.convert import convert as run
    from plateloop.data_preparation.relabel import parse

    with counting("converting") as tick:
        report = run(source, target, source_format, target_format, link, parse(label), tick)
    _tell(report, source, target, strict)


@app.command("import")
def import_(
    source: Source,
    target: Target,
    source_format: Annotated[
        str | None, typer.Option("--from", help="The format; told from the files if absent.")
    ] = None,
    label: Labels = [],  # noqa: B006
    link: Link = False,
    strict: Strict = False,
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
    if found == "collection":
        for name, count in unpack(source, target).items():
            typer.echo(f"{target / name}: {count} pictures written")
        return
    with counting("importing") as tick:
        report = run(source, target, found, "manifest", link, parse(label), tick)
    _tell(report, source, target, strict)


@app.command()
def synth(
    target: Target,
    count: Annotated[int, typer.Option(min=1, help="How many plates to make.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same plates.")] = 0,
    style: Annotated[str | None, typer.Option(help="Only this style, such as gb or vn-two.")] = None,
    clean: Annotated[bool, typer.Option("--clean", help="Flat and sharp, as no camera sees them.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes to use.")] = 1,
) -> None:
    """Make a dataset of synthetic plate crops with text, region and corners.

    Letterforms are drawn; those of fonts are added where PLATELOOP_GLYPHS names a glyph atlas.
    """
    from plateloop.cli.progress import counting
    from plateloop.data_preparation.synthetic.dataset import synthesize

    with counting("rendering", count) as tick:
        done = 0
        for number in synthesize(target, count, seed, style, clean, workers):
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
