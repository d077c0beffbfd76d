"""Cameras on loopback that show a video over and over, by HTTP and RTSP, and what a client of them sees."""

import contextlib
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from plateloop.deployment.encoded import CLOCK, Unit
from plateloop.deployment.encoder import Encoder, EncoderConfig
from plateloop.deployment.sinks import rtsp


@pytest.fixture
def camera() -> Iterator[Callable[[Path], str]]:
    """``camera(video)``: the URL of a camera that shows a video over and over, in real time."""
    servers = []

    def start(video: Path) -> str:
        class Camera(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "video/mp2t")
                self.end_headers()
                with contextlib.suppress(OSError, av.error.FFmpegError):  # whoever watched has gone
                    _show_for_ever(video, self.wfile)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Camera)
        server.daemon_threads = True
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/live.ts"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def _show_for_ever(video: Path, to: Any) -> None:
    started, shift = time.monotonic(), 0
    with av.open(to, "w", format="mpegts", options={"flush_packets": "1"}) as shown:
        stream = None
        while True:
            with av.open(str(video)) as container:
                source = container.streams.video[0]
                stream = stream or shown.add_stream_from_template(source)
                begin = end = None
                for packet in container.demux(source):
                    if packet.dts is None:
                        continue
                    begin = packet.dts if begin is None else begin
                    end = packet.dts + (packet.duration or 1)
                    packet.pts += shift
                    packet.dts += shift
                    time.sleep(max(0.0, started + float(packet.dts * source.time_base) - time.monotonic()))
                    packet.stream = stream
                    shown.mux(packet)
                shift += end - begin


@pytest.fixture(scope="session")
def gstreamer() -> str:
    """A Python that has the bindings of GStreamer's RTSP server; skips where there is none."""
    program = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    for python in filter(None, rtsp.PYTHONS):
        if (
            Path(python).exists()
            and not subprocess.run([python, "-c", program], capture_output=True).returncode
        ):
            return python
    pytest.skip("no GStreamer RTSP server with bindings; .ci/run installs Debian's")


@pytest.fixture
def rtsp_camera(gstreamer: str) -> Iterator[Callable[[Path], str]]:
    """``rtsp_camera(video)``: the RTSP URL of a camera that shows a video over and over, in real time."""
    over, shows = threading.Event(), []

    def show(out: rtsp.Rtsp, units: Sequence[Unit], step_s: float) -> None:
        begun = time.monotonic()
        for number in count():
            if over.wait(max(0.0, begun + number * step_s - time.monotonic())):
                break
            out.write(replace(units[number % len(units)], pts=round(number * step_s * CLOCK)))
        out.close()

    def start(video: Path) -> str:
        with av.open(str(video)) as container:
            stream = container.streams.video[0]
            size, step_s = (stream.width, stream.height), float(1 / (stream.average_rate or 25))
            encoder = Encoder(size, EncoderConfig(preset="ultrafast", fragment_frames=10), at_once=True)
            planes = [picture.to_ndarray(format="yuv420p") for picture in container.decode(stream)]
        units = [unit for number, shot in enumerate(planes) for unit in encoder.encode(shot, number * step_s)]
        out = rtsp.Rtsp("127.0.0.1:0/camera", "h264", size)
        shows.append(threading.Thread(target=show, args=(out, units, step_s), daemon=True))
        shows[-1].start()
        return out.url

    yield start
    over.set()
    for thread in shows:
        thread.join()


@pytest.fixture(scope="session")
def digests() -> Callable[..., list[str]]:
    """``digests(place, most=None, until=lambda picture: True)``: of the pictures that a client decodes of an
    RTSP stream or a file, from the first one (RGB) that ``until`` is content with."""

    def see(
        place: str, most: int | None = None, until: Callable[[np.ndarray], bool] = lambda _: True
    ) -> list[str]:
        result: list[str] = []
        options = {"rtsp_transport": "tcp", "fpsprobesize": "0"} if place.startswith("rtsp:") else {}
        with av.open(place, options=options, timeout=20) as container:
            for picture in container.decode(video=0):
                if result or until(picture.to_ndarray(format="rgb24")):
                    result.append(sha256(picture.to_ndarray(format="yuv420p")).hexdigest())
                if len(result) == most:
                    break
        return result

    return see
