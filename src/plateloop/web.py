"""What plateloop's web servers share: where they listen, and whom they answer how."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from plateloop.errors import UserError

if TYPE_CHECKING:
    from starlette.datastructures import Headers
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

# Nothing from elsewhere is ever loaded, and no text can become a script.
HEADERS = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' blob: data:; style-src 'self'; object-src 'none'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``, ``[V6]:PORT`` or ``PORT``; without a host it is this machine alone.

    Raises UserError where it is none of them.
    """
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
    if not (port.isascii() and port.isdecimal() and int(port) <= 65535):
        raise UserError(f"{text}: not an address to listen on; expected HOST:PORT, as 127.0.0.1:9100")
    return host, int(port)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on ``host:port`` (0: any free port). Raises UserError where that cannot be."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family)
        # Answers leave at once; what is accepted inherits it.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"{host}:{port}: cannot be served: {reason}; choose another port or host") from None


def address_of(listening: socket.socket) -> str:
    """The URL of what is served on a socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def names_of(host: str) -> frozenset[str] | None:
    """The host names by which a server bound to ``host`` may be called; None: any, for it is open to all."""
    try:
        local = ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    return LOOPBACK | {host} if local else None


class Guard:
    """ASGI middleware that refuses foreign pages and adds the headers of safety to every answer.

    ``hosts`` are the names by which the server may be called (against pages of other sites that let their own
    name point here), None: any. What changes something must be JSON, or a file's bytes, from the server's own
    page (browsers ask before they send either kind to a foreign server).
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str] | None) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        from starlette import datastructures
        from starlette.responses import JSONResponse

        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = datastructures.MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("cache-control", "no-cache")
            await send(message)

        status, problem = self._refusal(scope["method"], datastructures.Headers(scope=scope))
        app = JSONResponse({"detail": problem}, status) if status else self._app
        await app(scope, receive, send_guarded)

    def _refusal(self, method: str, headers: Headers) -> tuple[int, str]:
        host, origin = headers.get("host", ""), headers.get("origin")
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            name = None
        if self._hosts is not None and name not in self._hosts:
            return 400, "not served under this name"
        if method not in ("GET", "HEAD"):
            foreign = origin is not None and urlsplit(origin).netloc != host
            kind = headers.get("content-type", "").partition(";")[0]
            if foreign or kind not in ("application/json", "application/octet-stream"):
                return 403, "only JSON from this server's own page may change anything"
        return 0, ""


@contextmanager
def serving(app: ASGIApp, listening: socket.socket, closing: threading.Event) -> Iterator[None]:
    """Serve ``app`` in a thread until the block is left.

    ``closing`` is then set, by which answers without an end know theirs; those under way get a second.
    """
    import uvicorn

    config = uvicorn.Config(
        app, log_config=None, log_level="warning", access_log=False, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],), name="http", daemon=True)
    thread.start()
    try:
        yield
    finally:
        closing.set()
        server.should_exit = True
        thread.join(3)
