"""The one way to a Ray cluster, which nothing else imports Ray for."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from plateloop.errors import UserError, one_line

# A head that does not answer within this is not there; Ray itself would go on asking for minutes.
ANSWER_S = 5.0


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """The module ``ray``, connected to the cluster at ``address``, and disconnected on leaving.

    ``address`` is ``HOST:PORT`` of the head, ``auto`` (the cluster that this machine is part of), ``local``
    (a cluster made of this machine alone, for as long as this lasts) or ``ray://HOST:PORT``. Raises UserError
    where Ray is not installed, or nothing answers there.
    """
    # Read by Ray as it starts; a `local` cluster would report home otherwise, and what its daemons have to
    # say of dead machines would mix with the events on standard output, whatever `log_to_driver` says.
    quiet = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    }
    for name, value in quiet.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ModuleNotFoundError:
        raise UserError("--ray needs the Python package ray: pip install 'plateloop[ray]'") from None
    _knock(address)
    options: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
    try:
        # What workers print is theirs: it would mix with the events on standard output.
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UserError(f"ray {address}: {one_line(error)}") from None
    try:
        yield ray
    finally:
        ray.shutdown()


def machines(ray: Any) -> list[dict[str, Any]]:
    """The living nodes of the cluster: ``NodeManagerHostname``, ``Resources`` (CPU, GPU…) and more."""
    return [node for node in ray.nodes() if node["Alive"]]


def _knock(address: str) -> None:
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if address in ("auto", "local"):
        return
    if not (colon and host and port.isascii() and port.isdecimal() and int(port) < 65536):
        raise UserError(f"ray {address}: not an address; expected HOST:PORT, ray://HOST:PORT, auto or local")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_S).close()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(
            f"ray {address}: no cluster answers there ({reason}); start one with `ray start --head`"
        ) from None
