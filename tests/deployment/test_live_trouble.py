"""Live sources in trouble: damaged packets, another codec in the middle; and a camera's clock by RTCP."""

import http.server
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from plateloop.deployment.capture import frames
from plateloop.deployment.clock import Timeline
from plateloop.deployment.sources import SourceConfig


@pytest.fixture
def feed() -> Iterator[Callable[[Callable[[int], bytes]], str]]:
    """``feed(chunks)`` → a URL that sends ``chunks(connection number)`` in small pieces, over and over."""
    over = threading.Event()
    servers = []

    def start(content: Callable[[int], bytes]) -> str:
        connections = iter(range(10**6))

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = content(next(connections))
                self.send_response(200)
                self.send_header("Content-Type", "video/mp2t")
                self.end_headers()
                with suppress(OSError):
                    while not over.is_set():
                        for start in range(0, len(body), 188 * 20):
                            self.wfile.write(body[start : start + 188 * 20])
                            time.sleep(0.002)

            def log_message(self, *_: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/live"

    yield start
    over.set()
    for server in servers:
        server.shutdown()
        server.server_close()


def encode(path: Path, codec: str, size: tuple[int, int], count: int = 50) -> bytes:
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = 5
        for _ in range(count):
            picture = rng.integers(0, 255, (size[1], size[0], 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path.read_bytes()


def test_damaged_packets_are_survived(tmp_path: Path, feed: Callable) -> None:
    data = bytearray(encode(tmp_path / "a.ts", "libx264", (160, 96)))
    rng = np.random.default_rng(1)
    for place in rng.integers(188 * 20, len(data) - 500, 60):
        data[place : place + 100] = rng.bytes(100)
    config = SourceConfig(url=feed(lambda _: bytes(data)), timeout_s=2, retry_s=0.05)
    stop, times = threading.Event(), []
    for shot in frames(config, stop):
        times.append(shot.time_s)
        if len(times) == 120:
            stop.set()
    assert times == sorted(times)


def test_another_codec_and_size_in_the_middle(tmp_path: Path, feed: Callable) -> None:
    first = encode(tmp_path / "a.ts", "libx264", (160, 96))
    second = encode(tmp_path / "b.ts", "mpeg4", (320, 192))
    both = [first + second * 40, second]
    config = SourceConfig(url=feed(lambda n: both[min(n, 1)]), timeout_s=1, retry_s=0.05)
    stop, sizes = threading.Event(), []
    deadline = time.monotonic() + 20
    for shot in frames(config, stop):
        sizes.append((shot.frame.width, shot.frame.height))
        if sizes.count((320, 192)) == 20 or time.monotonic() > deadline:
            stop.set()
    assert sizes[0] == (160, 96) and sizes.count((320, 192)) == 20


def test_the_cameras_clock_from_rtcp_sender_reports(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1] // 2 * 2
    description = tmp_path / "camera.sdp"
    description.write_text(
        f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=camera\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\n"
        "a=rtpmap:96 H264/90000\na=fmtp:96 packetization-mode=1\n"
    )
    over = threading.Event()

    def camera() -> None:
        options = {"preset": "ultrafast", "tune": "zerolatency"}
        with av.open(f"rtp://127.0.0.1:{port}", "w", format="rtp") as container:
            stream = container.add_stream("libx264", rate=25, options=options)
            stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
            stream.codec_context.gop_size = 10
            number = 0
            while not over.wait(0.04):
                frame = av.VideoFrame(160, 96, "yuv420p")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                number += 1
                container.mux(stream.encode(frame))

    sender = threading.Thread(target=camera, daemon=True)
    sender.start()
    timeline, placed = Timeline("camera", 60), []
    timeline.connect()
    try:
        with av.open(
            str(description), options={"protocol_whitelist": "file,udp,rtp"}, timeout=10
        ) as container:
            for packet in container.demux(video=0):
                timeline.refer(packet)
                stamps = [picture.time for picture in packet.decode()]
                placed += [(timeline.place(stamp, time.time())[1], time.time()) for stamp in stamps]
                if len(placed) > 40:
                    break
    finally:
        over.set()
        sender.join(5)
    told = [(camera_time, arrived) for camera_time, arrived in placed if camera_time is not None]
    assert len(told) > 30
    late = np.array([arrived - camera_time for camera_time, arrived in told[10:]])
    assert -0.5 < np.median(late) < 2.5, "sender and receiver have the same clock here"
    assert np.allclose(np.diff([camera_time for camera_time, _ in told]), 0.04, atol=0.02)
