"""The page on an address: beside a run, or over a store alone."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec

from plateloop.deployment.operations import Operations
from plateloop.deployment.page.config import HttpConfig
from plateloop.deployment.store import Store
from plateloop.errors import UserError
from plateloop.passwords import redact
from plateloop.web import address_of, listen, names_of, parse_address, serving

log = logging.getLogger(__name__)


def check_installed() -> None:
    """Raise UserError where what the page needs is not installed."""
    for name in ("fastapi", "jinja2", "prometheus_client", "uvicorn"):
        if find_spec(name) is None:
            raise UserError(f"the page needs the Python package {name}: pip install 'plateloop[page]'")


def open_address(config: HttpConfig) -> socket.socket:
    """The socket of a run's page, which then only waits. Raises UserError where it cannot be had."""
    check_installed()
    return listen(*parse_address(config.listen))


@contextmanager
def serving_run(
    listening: socket.socket, config: HttpConfig, operations: Operations, title: str
) -> Iterator[None]:
    """Serve the page, metrics and health of a run until the block is left."""
    from plateloop.deployment.page.app import create_app

    over = threading.Event()
    names = frozenset(config.names) or names_of(parse_address(config.listen)[0])
    app = create_app(operations.store, title, names, over, operations)
    with serving(app, listening, over):
        log.info("page, metrics and health at %s", address_of(listening))
        yield


@contextmanager
def serving_store(place: str, host: str, port: int) -> Iterator[str]:
    """Serve the page over the store at ``place`` until the block is left; yields its address.

    Raises UserError where there is no such store, or the address cannot be had.
    """
    check_installed()
    from plateloop.deployment.page.app import create_app

    over = threading.Event()
    with closing(Store.open(place, create=False)) as store, listen(host, port) as listening:
        app = create_app(store, redact(place), names_of(host), over)
        with serving(app, listening, over):
            yield address_of(listening)
