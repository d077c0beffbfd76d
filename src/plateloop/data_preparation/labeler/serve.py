"""Serves the labeler until it is told to stop; the edits are then in the manifest."""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

import uvicorn

from plateloop.data_preparation.labeler.app import create_app
from plateloop.data_preparation.labeler.drafts import Drafts
from plateloop.data_preparation.labeler.store import Store
from plateloop.data_preparation.labeler.views import Pictures
from plateloop.errors import UserError

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


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

    Raises UserError where the folder is no dataset, is open elsewhere, or the address cannot be had.
    """
    store = Store(folder)
    try:
        listening = _listen(host, port)
        with listening:
            pictures = Pictures(folder, follow_links)
            drafts = Drafts(store, pictures, weights, device, threads)
            app = create_app(store, pictures, drafts, _names(host))
            name = f"[{host}]" if ":" in host else host
            ready(f"http://{name}:{listening.getsockname()[1]}/", store)
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


def _names(host: str) -> frozenset[str] | None:
    """The host names by which a server bound to ``host`` may be called; None: any, for it is open to all."""
    try:
        local = ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    return LOOPBACK | {host} if local else None


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family)
        # Answers leave at once; what is accepted inherits it.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(
            f"{host}:{port}: cannot be served: {reason}; choose another --port or --host"
        ) from None
