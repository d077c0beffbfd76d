"""Serves encoded video by RTSP: a program of its own, run by a Python that has GStreamer's bindings.

    python3 -I rtsp_server.py HOST PORT PATH CODEC

Standard input holds USER:PASSWORD, as in a URL, on a line, since others may see arguments (empty: anybody may
watch), and then pictures, see `read`; it ends when that ends. Once it listens it writes ``ready PORT``, where
it cannot, why, and exits: with 3 where parts of GStreamer are missing, else with 2. Later it writes ``key``
when a client has come that needs a key picture, and ``refused ADDRESS WHY``. It imports nothing of plateloop,
for the bindings come with the system's Python and not with ours.
"""

from __future__ import annotations

import signal
import struct
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, BinaryIO
from urllib.parse import unquote

HEADER = struct.Struct(">IQ?")
"""Before each picture: the length of its data, its time in 1/90000 s, and whether it is a key picture."""

MISSING = 3

# What is held for clients that do not take it; beyond it the oldest goes.
WAITING_BYTES = 4_000_000

TIDY_S = 5

# An address that is refused for the same reason over and over is told of once in this time.
REPEAT_S = 60


def read(stream: BinaryIO) -> Iterator[tuple[bytes, int, bool]]:
    """Pictures until ``stream`` ends: Annex B data, time, key."""
    while len(head := stream.read(HEADER.size)) == HEADER.size:
        length, pts, key = HEADER.unpack(head)
        yield stream.read(length), pts, key


class Feed:
    """Hands pictures to the pipeline that all clients share, while there are any."""

    def __init__(self) -> None:
        self._source: Any = None
        self._begun = False

    def connect(self, _: object, media: Any) -> None:
        """A first client has come: pictures go to this pipeline, from the next key picture on."""
        source = media.get_element().get_by_name("source")
        media.connect("unprepared", self._disconnect, source)
        self._begun, self._source = False, source
        _say("key")

    def push(self, buffer: Any, key: bool) -> None:
        """Hand over one picture, if anybody watches."""
        source = self._source
        self._begun = self._begun or key
        if source is not None and self._begun:
            source.emit("push-buffer", buffer)

    def _disconnect(self, _: object, source: Any) -> None:
        # Another may have taken its place.
        if self._source is source:
            self._source = None


class Doorkeeper:
    """Whom the server has refused, told when they have gone: each client is asked for a password first."""

    def __init__(self) -> None:
        self._refused: dict[Any, str] = {}
        self._told: dict[tuple[str, str], float] = {}

    def refuse(self, client: Any, why: str) -> None:
        """This client has shown no password, or a wrong one, so far."""
        self._refused[client] = why

    def admit(self, client: Any) -> None:
        """This client has shown the right one."""
        self._refused.pop(client, None)

    def gone(self, client: Any, address: str) -> None:
        """A client has left."""
        told = address, self._refused.pop(client, "")
        now = time.monotonic()
        if told[1] and now - self._told.get(told, -REPEAT_S) >= REPEAT_S:
            self._told = {key: at for key, at in self._told.items() if now - at < REPEAT_S} | {told: now}
            _say(f"refused {address} {told[1]}")


def main() -> None:
    """Serve until standard input ends."""
    # Whoever started it ends it; what a terminal or a service sends to all is not for it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    host, port, path, codec = sys.argv[1:]
    try:
        import gi

        gi.require_version("Gst", "1.0")
        gi.require_version("GstRtspServer", "1.0")
        from gi.repository import GLib, Gst, GstRtsp, GstRtspServer
    except (ImportError, ValueError) as error:
        _give_up(str(error), MISSING)
    Gst.init(None)
    elements = ("appsrc", f"{codec}parse", f"rtp{codec}pay")
    missing = [name for name in elements if Gst.ElementFactory.find(name) is None]
    if missing:
        _give_up(f"no GStreamer element {', '.join(missing)}", MISSING)
    login = sys.stdin.buffer.readline().decode().strip()
    feed, doorkeeper = Feed(), Doorkeeper()
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_shared(True)
    factory.set_launch(
        "( appsrc name=source is-live=true do-timestamp=true format=time "
        f"max-bytes={WAITING_BYTES} leaky-type=downstream "
        f"caps=video/x-{codec},stream-format=byte-stream,alignment=au "
        f"! {codec}parse ! rtp{codec}pay name=pay0 pt=96 config-interval=-1 )"
    )
    factory.connect("media-configure", feed.connect)
    server = GstRtspServer.RTSPServer()
    server.set_address(host)
    server.set_service(port)
    server.get_mount_points().add_factory(path, factory)

    class Auth(GstRtspServer.RTSPAuth):  # type: ignore[misc]
        def do_authenticate(self, context: Any) -> bool:
            done = GstRtspServer.RTSPAuth.do_authenticate(self, context)
            if context.token is not None:
                doorkeeper.admit(context.client)
            else:
                given = context.request.get_header(GstRtsp.RTSPHeaderField.AUTHORIZATION, 0)[1]
                doorkeeper.refuse(context.client, "wrong user or password" if given else "no password")
            return bool(done)

    if login:
        user, _, password = map(unquote, login.partition(":"))
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "viewer")
        # The password itself never goes over the network.
        auth = Auth()
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(user, password, token)
        server.set_auth(auth)
        rights = "viewer, media.factory.access=true, media.factory.construct=true"
        factory.add_role_from_structure(Gst.Structure.from_string(rights)[0])

    def greet(_: object, client: Any) -> None:
        address = client.get_connection().get_ip()
        client.connect("play-request", lambda *_: _say("key"))
        client.connect("closed", lambda client: doorkeeper.gone(client, address))

    server.connect("client-connected", greet)
    try:
        server.create_source(None).attach(None)
    except GLib.Error as error:
        _give_up(error.message, 2)
    _say(f"ready {server.get_bound_port()}")
    loop = GLib.MainLoop()

    def take() -> None:
        for data, _, key in read(sys.stdin.buffer):
            feed.push(Gst.Buffer.new_wrapped(data), key)
        loop.quit()

    def tidy() -> bool:
        # Clients that vanished without a word; GStreamer does not look for them itself.
        server.get_session_pool().cleanup()
        return True

    GLib.timeout_add_seconds(TIDY_S, tidy)
    threading.Thread(target=take, daemon=True).start()
    loop.run()


def _say(line: str) -> None:
    print(line, flush=True)


def _give_up(reason: str, code: int) -> None:
    _say(reason)
    sys.exit(code)


if __name__ == "__main__":
    main()
