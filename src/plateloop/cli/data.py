"""``plateloop data``: prepare data. A folder in, a folder out, the source untouched."""

from __future__ import annotations

import typer

app = typer.Typer(name="data", help="Prepare data: a folder in, a folder out.", no_args_is_help=True)


@app.callback()
def data() -> None:
    """Prepare data: a folder in, a folder out."""
