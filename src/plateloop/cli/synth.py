"""``plateloop data synth`` and ``glyphs``: plates drawn by the program, and the letterforms for them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plateloop.cli.dataset import Ray, Target


def synth(
    target: Target,
    count: Annotated[int, typer.Option(min=1, help="How many plates to make.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same plates.")] = 0,
    style: Annotated[
        str | None, typer.Option(metavar="STYLE", help="Only this style, such as gb or vn-two.")
    ] = None,
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


def glyphs(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="The atlas to write, such as glyphs.npz.")],
    fonts: Annotated[
        list[Path],
        typer.Option(
            metavar="DIR", help="A folder to look for fonts in; the system's if absent. Repeatable."
        ),
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
