"""A camera that can be unplugged: a clip as live video over HTTP (MPEG-TS), in real time, over and over."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import av
import numpy as np

PAUSE_S = 1.5
"""Seconds without pictures between two plays, so that vehicles of one do not run into those of the next."""
_HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n"


@dataclass(slots=True)
class Play:
    """One showing of the clip to one client.

    ``begun`` is its Unix time, ``sent_s`` the seconds of the clip that were sent, ``damaged`` whether bits
    were flipped in it.
    """

    stream: int
    begun: float
    sent_s: float = 0.0
    damaged: bool = False


class Feed:
    """Serves ``clip`` to every client on a loopback port, each from the clip's beginning.

    ``plays`` grows while it serves. ``error_rate`` is the share of bytes in which a bit is flipped; while
    ``held`` no new play begins; both may be changed at any time. Plugged in while the ``with`` block runs,
    but for ``unplug`` until ``plug``.
    """

    def __init__(self, clip: Path, seed: int = 0) -> None:
        self.plays: list[Play] = []
        self.error_rate = 0.0
        self.held = False
        self._clip = clip
        self._rng = np.random.default_rng(seed)
        self._clients: set[socket.socket] = set()
        self._server: socketserver.ThreadingTCPServer | None = None
        self._port = 0

    def __enter__(self) -> Self:
        self.plug()
        return self

    def __exit__(self, *_: object) -> None:
        self.unplug()

    def url(self, stream: int = 0) -> str:
        """The address of a stream; all show the same clip."""
        return f"http://127.0.0.1:{self._port}/{stream}.ts"

    def plug(self) -> None:
        """Take clients, on the same port as before."""
        feed = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                feed._serve(self.request)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            block_on_close = False

            def shutdown_request(self, request: Any) -> None:
                request.close()

        self._server = Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="feed", daemon=True).start()

    def unplug(self) -> None:
        """Reset all connections and refuse new ones."""
        server, self._server = self._server, None
        if server is None:
            return
        server.shutdown()
        server.server_close()
        for client in list(self._clients):
            with _gone_is_fine():
                # An abrupt end (RST), as of a cable that is pulled from a switch.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.shutdown(socket.SHUT_RDWR)

    def _serve(self, client: socket.socket) -> None:
        self._clients.add(client)
        try:
            with _gone_is_fine():
                request = client.recv(4096).decode("latin-1").split()
                if request:
                    client.sendall(_HEAD)
                    self._send(client, int(request[1].strip("/").removesuffix(".ts")))
        finally:
            self._clients.discard(client)

    def _send(self, client: socket.socket, stream: int) -> None:
        options = {"flush_packets": "1"}
        out = av.open(_Wire(self, client), "w", format="mpegts", options=options)
        track: Any = None
        offset, begun = 0, time.monotonic()
        try:
            while self._server is not None:
                if self.held:
                    time.sleep(0.05)
                    continue
                play = Play(stream, time.time())
                self.plays.append(play)
                with av.open(str(self._clip)) as clip:
                    source = clip.streams.video[0]
                    track = track or out.add_stream_from_template(source)
                    base = source.time_base or 1
                    ended = 0
                    for packet in clip.demux(source):
                        if packet.dts is None or packet.pts is None:
                            continue
                        due = begun + float((offset + packet.dts) * base)
                        time.sleep(max(0.0, due - time.monotonic()))
                        length = packet.duration or 0
                        shown_s = float((packet.dts + length) * base)
                        ended = max(ended, packet.pts + length)
                        packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
                        packet.stream = track
                        play.damaged |= self.error_rate > 0
                        out.mux(packet)
                        play.sent_s = shown_s
                    offset += ended + round(PAUSE_S / base)
        finally:
            with _gone_is_fine():
                out.close()

    def _damaged(self, data: bytes) -> bytes:
        if not self.error_rate:
            return data
        dirty = np.frombuffer(data, np.uint8).copy()
        hit = self._rng.random(len(dirty)) < self.error_rate
        dirty[hit] ^= (1 << self._rng.integers(0, 8, int(hit.sum()))).astype(np.uint8)
        return dirty.tobytes()


class _Wire:
    """A client's socket as the file that FFmpeg writes to."""

    def __init__(self, feed: Feed, client: socket.socket) -> None:
        self._feed = feed
        self._client = client

    def write(self, data: bytes) -> int:
        self._client.sendall(self._feed._damaged(bytes(data)))
        return len(data)


@contextmanager
def _gone_is_fine() -> Iterator[None]:
    """A client that has left is no error."""
    try:
        yield
    except (OSError, av.error.FFmpegError):
        return
