"""Serves the labeler until it is told to stop; the edits are then in the manifest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import uvicorn

from plateloop.data_preparation.labeler.app import create_app
from plateloop.data_preparation.labeler.drafts import Drafts
from plateloop.data_preparation.labeler.store import Store
from plateloop.data_preparation.labeler.views import Pictures
from plateloop.web import address_of, listen, names_of


def serve(
    folder: Path,
    host: str = "127.0.0.1",
    port: int = 8765,
    weights: Path | None = None,
    device: str = "cpu",
    threads: int = 0,
    follow_links: bool = False,
    ready: Callable[[str, Store], None] = lambda url, store: None,
) -> Store:
    """Serve ``folder``'s labeler on ``host:port`` (0: any free port) until a signal; ``ready`` is told its
    address. Returns the closed store.

    Raises UserError where the folder is no dataset or has no record, is open elsewhere, or the address cannot
    be had.
    """
    store = Store(folder)
    try:
        listening = listen(host, port)
        with listening:
            pictures = Pictures(folder, follow_links)
            drafts = Drafts(store, pictures, weights, device, threads)
            app = create_app(store, pictures, drafts, names_of(host))
            ready(address_of(listening), store)
            config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2)
            try:
                uvicorn.Server(config).run([listening])
            except KeyboardInterrupt:
                pass  # uvicorn has stopped in order and hands the signal on
            finally:
                drafts.close()
    finally:
        store.close()
    return store
