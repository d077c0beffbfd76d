"""Serves encoded video by RTSP: a program of its own, run by a Python that has GStreamer's bindings.

    python3 -I rtsp_server.py HOST PORT PATH CODEC

Pictures come by standard input, see `read`; it ends when that ends. Once it listens it writes ``ready PORT``,
where it cannot, why, and exits: with 3 where parts of GStreamer are missing, else with 2. It imports nothing
of plateloop, for the bindings come with the system's Python and not with ours.
"""

from __future__ import annotations

import signal
import struct
import sys
import threading
from collections.abc import Iterator
from typing import Any, BinaryIO

HEADER = struct.Struct(">IQ?")
"""Before each picture: the length of its data, its time in 1/90000 s, and whether it is a key picture."""

MISSING = 3

# What is held for clients that do not take it; beyond it the oldest goes.
WAITING_BYTES = 4_000_000

TIDY_S = 5


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
        from gi.repository import GLib, Gst, GstRtspServer
    except (ImportError, ValueError) as error:
        _give_up(str(error), MISSING)
    Gst.init(None)
    elements = ("appsrc", f"{codec}parse", f"rtp{codec}pay")
    missing = [name for name in elements if Gst.ElementFactory.find(name) is None]
    if missing:
        _give_up(f"no GStreamer element {', '.join(missing)}", MISSING)
    feed = Feed()
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
    try:
        server.create_source(None).attach(None)
    except GLib.Error as error:
        _give_up(error.message, 2)
    print("ready", server.get_bound_port(), flush=True)
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


def _give_up(reason: str, code: int) -> None:
    print(reason, flush=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
