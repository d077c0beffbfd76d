"""Pushes encoded video to an RTSP server: a program of its own, for what hangs in the network must be ended.

    python -m plateloop.deployment.sinks.rtsp_push WIDTH HEIGHT CODEC

Standard input holds the address as a line, since others may see arguments, and then pictures as
`rtsp_server.read` takes them; it ends when that ends. Once it is connected it writes ``ready``, else why it
is not. Where the server takes nothing for `PATIENCE_S` it dies by SIGALRM.
"""

from __future__ import annotations

import signal
import sys
from fractions import Fraction
from typing import Any

import av
from av.container import OutputContainer
from av.packet import Packet

from plateloop.deployment.sinks.rtsp_server import read

PATIENCE_S = 10

CLOCK = Fraction(1, 90_000)


def main() -> None:
    """Push until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    width, height, codec = sys.argv[1:]
    url = sys.stdin.buffer.readline().decode().strip()
    try:
        signal.alarm(PATIENCE_S)
        container: OutputContainer = av.open(url, "w", format="rtsp", options={"rtsp_transport": "tcp"})
        stream = container.add_mux_stream(
            {"h264": "h264", "h265": "hevc"}[codec], rate=30, width=int(width), height=int(height)
        )
        stream.time_base = CLOCK
        container.start_encoding()
        print("ready", flush=True)
        signal.alarm(0)
        start: int | None = None
        for data, pts, key in read(sys.stdin.buffer):
            start = pts if start is None else start
            packet: Packet[Any] = Packet(data)
            packet.stream, packet.time_base, packet.is_keyframe = stream, CLOCK, key
            packet.pts = packet.dts = pts - start
            signal.alarm(PATIENCE_S)
            container.mux(packet)
            signal.alarm(0)
        signal.alarm(1)
        container.close()
    except (av.error.FFmpegError, OSError) as error:
        print((error.strerror or type(error).__name__).lower(), flush=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
