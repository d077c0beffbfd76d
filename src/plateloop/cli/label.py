"""``plateloop label``: the labeler, in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plateloop.cli.options import Device, Threads, Weights

if TYPE_CHECKING:
    from plateloop.data_preparation.labeler.store import Store


def label(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A dataset: a folder with a manifest.jsonl.")
    ],
    host: Annotated[str, typer.Option(help="The address to serve on; this machine alone unless told.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0: any that is free.")] = 8765,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
    follow_links: Annotated[
        bool, typer.Option("--follow-links", help="Also show pictures that links in the folder lead to.")
    ] = False,
    weights: Weights = None,
    device: Device = "cpu",
    threads: Threads = 0,
) -> None:
    """Draw boxes and read plates in a browser.

    Every edit is kept at once; Ctrl-C ends, with all edits in the manifest.
    """
    import signal
    import webbrowser

    from plateloop.errors import UserError

    try:
        from plateloop.data_preparation.labeler.serve import serve
    except ModuleNotFoundError as error:
        raise UserError(f"{error.name} is missing: pip install 'plateloop[label]'") from None
    from plateloop.runtime.cascade import Cascade
    from plateloop.web import LOOPBACK

    if weights is not None or device != "cpu":
        # Drafts come when they are asked for; what the user names must be there from the start.
        Cascade.load(device, threads, weights)

    def ready(url: str, store: Store) -> None:
        if store.recovered:
            typer.echo(f"{folder}: edits of {store.recovered} pictures recovered from the journal")
        for number, reason in list(store.index.skipped.items())[:10]:
            typer.echo(f"skipped manifest.jsonl:{number}: {reason}", err=True)
        if host not in LOOPBACK:
            typer.echo(f"{host}: whoever can reach this address can see and change the labels", err=True)
        typer.echo(f"Labeling {len(store)} pictures at {url} (Ctrl-C ends)")
        if browser:
            webbrowser.open(url)

    # Who is told to stop (by systemd, by docker) ends as with Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    store = serve(folder, host, port, weights, device, threads, follow_links, ready)
    for file in store.conflicts:
        typer.echo(
            f"{file}: changed by another program meanwhile; the edits are in labels.journal.jsonl", err=True
        )
    typer.echo(f"{folder}: all edits are in the manifest")
