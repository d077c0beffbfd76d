"""Pushes encoded video to an RTSP server: a program of its own, for what hangs in the network must be ended.

    python -m plateloop.deployment.sinks.rtsp_push WIDTH HEIGHT CODEC

Standard input holds the address as a line, since others may see arguments, and then pictures as
`rtsp_server.read` takes them; it ends when that ends. Once it is connected it writes ``ready``, else why it
is not. Where the server takes nothing for `PATIENCE_S` it dies by SIGALRM.
"""

from __future__ import annotations

import signal
import sys
from typing import cast

import av
from av.container import OutputContainer

from plateloop.deployment.encoded import Codec, Unit, add_video, as_packet
from plateloop.deployment.sinks.rtsp_server import read

PATIENCE_S = 10


def main() -> None:
    """Push until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    width, height, codec = sys.argv[1:]
    url = sys.stdin.buffer.readline().decode().strip()
    try:
        signal.alarm(PATIENCE_S)
        container: OutputContainer = av.open(url, "w", format="rtsp", options={"rtsp_transport": "tcp"})
        stream = add_video(container, cast(Codec, codec), (int(width), int(height)))
        container.start_encoding()
        print("ready", flush=True)
        signal.alarm(0)
        start: int | None = None
        for data, pts, key in read(sys.stdin.buffer):
            start = pts if start is None else start
            packet = as_packet(Unit(data, pts, key), stream, start)
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
