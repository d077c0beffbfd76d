"""``plateloop page``: the live page over a store."""

from __future__ import annotations

from typing import Annotated

import typer


def page(
    store: Annotated[str, typer.Argument(metavar="STORE", help="SQLite file or database URL.")],
    host: Annotated[str, typer.Option(help="The address to serve on; this machine alone unless told.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0: any that is free.")] = 8766,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
) -> None:
    """Look at a store's events in a browser: as they come, by plate, each with its history.

    Ctrl-C ends. A run shows its streams as well: plateloop run … --http 127.0.0.1:9100.
    """
    import signal
    import threading
    import webbrowser

    from plateloop.deployment.page.serve import serving_store
    from plateloop.passwords import redact

    with serving_store(store, host, port) as url:
        print(f"Events of {redact(store)} at {url}   Ctrl-C ends", flush=True)
        if browser:
            webbrowser.open(url)
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        stop.wait()
