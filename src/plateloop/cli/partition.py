"""``plateloop data slice`` and ``split``: a part of a dataset, or all of it in parts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plateloop.cli.dataset import Lenient, Link, Ray, Source, Target, tell


def slice_(
    source: Source,
    target: Target,
    where: Annotated[
        list[str],
        typer.Option(
            "--where",
            metavar="CONDITION",
            help="FIELD=PATTERN, FIELD!=PATTERN, min_FIELD=N or max_FIELD=N. Repeatable.",
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
    `*` and `?`, several between commas); numbers: width, height, vehicles, plates, plate_width, plate_height,
    vehicle_width, vehicle_height, text_length.
    """
    from plateloop.cli.progress import counting
    from plateloop.data_preparation.slice import take

    with counting("slicing") as tick:
        report = take(source, target, where, random, per_class, seed, link, tick)
    tell(report, source, target, lenient)


def split(
    source: Source,
    target: Annotated[
        Path | None, typer.Argument(metavar="DST", help="The folder to write; none with --check.")
    ] = None,
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
    """Split into train, val and test, or folds: a plate text, a sequence, a scene is on one side only.

    Broken off and called again it goes on with the pictures that it has not compared.
    """
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
