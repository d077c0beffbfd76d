"""What the commands that write datasets share: their arguments, and how they tell what was written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from plateloop.data_preparation.report import Report

Source = Annotated[Path, typer.Argument(metavar="SRC", help="The folder to read; it is never changed.")]
Target = Annotated[Path, typer.Argument(metavar="DST", help="The folder to write.")]
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

    tell_skipped(report)
    for name, count in sorted(report.lost.items()):
        if count:
            typer.echo(f"{target}: its format cannot hold {name} ({count} pictures)", err=True)
    same = f", {report.repeated} there already" if report.repeated else ""
    typer.echo(f"{target}: {report.written} pictures written, {len(report.skipped)} files skipped{same}")
    if not report.written:
        raise UserError(
            f"{source}: nothing could be written; give a folder, a format or a query that has records"
        )
    check_skipped(report, source, lenient)


def tell_skipped(report: Report) -> None:
    """Name on stderr what was not written, a line a file."""
    for file, reason in report.skipped.items():
        typer.echo(f"skipped {file}: {reason}", err=True)


def check_skipped(report: Report, source: Path, lenient: bool) -> None:
    """Raise UserError where files were skipped and ``lenient`` does not allow that."""
    from plateloop.errors import UserError

    if report.skipped and not lenient:
        raise UserError(
            f"{source}: {len(report.skipped)} files were skipped, the others written; mend them, or --lenient"
        )
