"""The ``plateloop`` command: gathers the commands of the four modules and turns errors into exit codes."""

from __future__ import annotations

import errno
import sys
from io import TextIOWrapper
from typing import Annotated

import typer
from typer.exceptions import TyperException

from plateloop.cli import data, export, store, testing, training, trials, tuning
from plateloop.cli.demo import demo
from plateloop.cli.kafka import consume, msg2kafka
from plateloop.cli.label import label
from plateloop.cli.page import page
from plateloop.cli.read import read
from plateloop.cli.run import run
from plateloop.cli.video2data import video2data
from plateloop.errors import UserError
from plateloop.passwords import redact
from plateloop.text import visible

# What the user alone can change: a file where a folder should be, or the other way round, no right to write.
_MISPLACED = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.EROFS}

app = typer.Typer(
    name="plateloop",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    add_completion=False,
)

# The help lists the commands by module, in this order.
_DEPLOYMENT, _DATA, _TRAINING, _TESTING = "Deployment", "Data preparation", "Training", "Testing"
for _used in (read, run, page, msg2kafka, consume, video2data):
    app.command(_used.__name__, rich_help_panel=_DEPLOYMENT)(_used)
app.add_typer(store.app, rich_help_panel=_DEPLOYMENT)
app.command("label", rich_help_panel=_DATA)(label)
app.add_typer(data.app, rich_help_panel=_DATA)
for _trial in (trials.soak, trials.faults, trials.compare, trials.drift):
    testing.app.command(_trial.__name__)(_trial)
for _trained in (
    training.train,
    training.evaluate,
    tuning.tune,
    tuning.average,
    tuning.prune,
    tuning.quantize,
    training.networks,
    testing.ceiling,
):
    app.command(_trained.__name__, rich_help_panel=_TRAINING)(_trained)
app.add_typer(export.app, rich_help_panel=_TRAINING)
app.command("demo", rich_help_panel=_TESTING)(demo)
app.add_typer(testing.app, rich_help_panel=_TESTING)


def _print_version(asked: bool) -> None:
    if asked:
        from plateloop import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def plateloop(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Automatic licence plate recognition: data, training, streams, testing."""


def main() -> None:
    """Run the command line: exit 0 when all was done, 2 when the user must change something, 1 on failure.

    Output is UTF-8 in any locale. Bytes of a file's name that are no text come out as JSON escapes them.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # neither closed nor replaced
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        status = app(prog_name="plateloop", standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except typer.Abort:
        sys.exit(130)
    except TyperException as error:
        if message := _usage(error):
            _tell(message)
        sys.exit(2)
    except UserError as error:
        _tell(str(error))
        sys.exit(2)
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "onnx", "matplotlib", "PIL"):
            raise
        _tell(f"{error.name} is missing: pip install 'plateloop[train]'")
        sys.exit(2)
    except OSError as error:
        said, place = (error.strerror or str(error)).lower(), error.filename2 or error.filename
        where = f"{place}: " if place else ""
        if error.errno in _MISPLACED and where:
            _tell(f"{where}{said}; give another place")
            sys.exit(2)
        # A full disk, a lost network: the machine's trouble, not a fault to be traced in the program.
        _tell(f"{where}{said}" + ("; make room and call again" if error.errno == errno.ENOSPC else ""))
        sys.exit(1)


def _tell(message: str) -> None:
    """One line on stderr, whatever the message quotes."""
    print(f"plateloop: {visible(redact(message))}", file=sys.stderr)


def _usage(error: TyperException) -> str:
    """What is wrong with a command line, in one line; nothing where its help was shown instead."""
    said = " ".join(error.format_message().split()).replace(": Value error, ", ": ")
    context = getattr(error, "ctx", None)
    return f"{said.rstrip('.')}; see {context.command_path} --help" if said and context else said
