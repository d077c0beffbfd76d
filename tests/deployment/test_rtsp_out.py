"""RTSP out: real clients of GStreamer's server, a real server to push to, and what may befall either."""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import av
import numpy as np
import pytest

from plateloop.deployment.config import load_config
from plateloop.deployment.encoded import Codec, Unit
from plateloop.deployment.encoder import Encoder, EncoderConfig, to_i420
from plateloop.deployment.show import show
from plateloop.deployment.sinks import rtsp
from plateloop.deployment.sinks.rtsp import Rtsp, parse_place
from plateloop.deployment.sinks.rtsp_server import MISSING
from plateloop.deployment.sinks.tiled import Tiled
from plateloop.deployment.tiler import TilerConfig
from plateloop.errors import UserError

SIZE = (320, 180)
STEP_S = 0.05

RECORDER = """
import sys, gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
port, user, target = sys.argv[1:]
Gst.init(None)
factory = GstRtspServer.RTSPMediaFactory()
factory.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
factory.set_launch("( rtph264depay name=depay0 ! h264parse ! video/x-h264,stream-format=byte-stream "
                   f"! filesink buffer-mode=2 append=true async=false sync=false location={target} )")
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(port)
if user != "-":
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "pusher")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(*user.split(":")), token)
    server.set_auth(auth)
    factory.add_role_from_structure(
        Gst.Structure.from_string("pusher, media.factory.access=true, media.factory.construct=true")[0])
server.get_mount_points().add_factory("/plates", factory)
server.create_source(None).attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
"""


@pytest.fixture(autouse=True)
def _gstreamer(gstreamer: str) -> None:
    """All of these need it."""


class Film:
    """Encodes a bar that moves by 4 pixels a picture, in real time, for an outlet, until it is closed."""

    def __init__(self, outlet: Rtsp, codec: Codec = "h264") -> None:
        self.count = 0
        self.slowest = 0.0
        self._outlet = outlet
        self._encoder = Encoder(
            SIZE, EncoderConfig(codec=codec, preset="ultrafast", fragment_frames=10), True
        )
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(STEP_S):
            rgb = np.full((SIZE[1], SIZE[0], 3), 40, np.uint8)
            left = self.count * 4 % (SIZE[0] - 20)
            rgb[:, left : left + 20] = 220
            for unit in self._encoder.encode(to_i420(rgb), self.count * STEP_S):
                before = time.perf_counter()
                self._outlet.write(unit)
                self.slowest = max(self.slowest, time.perf_counter() - before)
            self.count += 1


def played(url: str, count: int = 12, transport: str = "tcp") -> list[tuple[float, int]]:
    """The seconds and the place of the bar in the first pictures of a client; the first one is a key."""
    options = {"rtsp_transport": transport, "fpsprobesize": "0"}
    result = []
    with av.open(url, options=options, timeout=20) as container:
        for frame in container.decode(video=0):
            row = frame.to_ndarray(format="rgb24")[90, :, 0].astype(int)
            assert (row > 130).sum() == pytest.approx(20, abs=4) and frame.width == SIZE[0]
            assert frame.key_frame or result
            result.append((float(frame.time or 0), int(np.flatnonzero(row > 130).mean())))
            if len(result) == count:
                break
    return result


def moves(pictures: list[tuple[float, int]]) -> list[int]:
    """How far the bar goes from picture to picture; where it begins anew is left out."""
    steps = np.diff([place for _, place in pictures])
    return [int(step) for step in steps if step > -100]


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_clients_play_it_by_tcp_and_udp_and_one_that_comes_late(codec: Codec) -> None:
    with closing(Rtsp("127.0.0.1:0/plates", codec, SIZE)) as out, closing(Film(out, codec)) as film:
        with ThreadPoolExecutor() as executor:
            clients = [executor.submit(played, out.url, 12, transport) for transport in ("tcp", "udp")]
            for client in clients:
                assert moves(client.result()) == pytest.approx([4] * 11, abs=2)
        late = played(out.url)
        assert moves(late) == pytest.approx([4] * 11, abs=2)
        span = late[-1][0] - late[1][0]
        assert span == pytest.approx(10 * STEP_S, abs=0.4), "in real time"
        assert out.dropped == 0 and film.slowest < 0.5
    begun = time.monotonic()
    out.close()
    assert time.monotonic() - begun < 1


def test_a_password_is_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.INFO),
        closing(Rtsp("cam:s3cret%2F%40@127.0.0.1:0/plates", "h264", SIZE)) as out,
        closing(Film(out)),
    ):
        (child,) = children(os.getpid(), "rtsp_server.py")
        assert b"s3cret" not in Path(f"/proc/{child}/cmdline").read_bytes(), "anybody may see it"
        for login in ("", "cam:s3cret@", "other:s3cret%2F%40@", "cam:s3cret@"):
            with pytest.raises(av.error.HTTPUnauthorizedError):
                played(out.url.replace("rtsp://", f"rtsp://{login}"))
        for transport in ("tcp", "udp"):
            assert len(played(out.url.replace("rtsp://", "rtsp://cam:s3cret%2F%40@"), 5, transport)) == 5
        wait_for(lambda: len(caplog.records) > 2)
    said = [record.getMessage() for record in caplog.records]
    refused = f"{out.url}: a client at 127.0.0.1 was refused: "
    assert said[0] == f"RTSP at {out.url}"
    assert sorted(said[1:]) == [refused + "no password", refused + "wrong user or password"], "each once"
    assert "s3cret" not in caplog.text and "cam" not in out.url


def test_one_line_warns_of_what_everybody_may_watch(caplog: pytest.LogCaptureFixture) -> None:
    for address, warned in [("0.0.0.0:0/a", True), ("u:p@0.0.0.0:0/a", False), (":0/a", False)]:
        caplog.clear()
        Rtsp(address, "h264", SIZE).close()
        assert ["may watch" in record.getMessage() for record in caplog.records] == [True] * warned


def test_who_comes_is_given_a_key_picture() -> None:
    """The next one of its own accord would come in 100 s."""
    tiler = TilerConfig(width=SIZE[0], height=SIZE[1], fps=10)
    rare = EncoderConfig(preset="ultrafast", fragment_frames=1000)
    with closing(Rtsp(":0/plates", "h264", SIZE)) as out:
        tiled = Tiled(tiler, rare, [out], by_clock=True, key_wanted=out.key_wanted)
        with closing(tiled):
            tiled.begin([])
            for _ in range(2):
                with av.open(
                    out.url, options={"rtsp_transport": "tcp", "fpsprobesize": "0"}, timeout=20
                ) as seen:
                    assert next(seen.decode(video=0)).key_frame


def test_a_client_that_reads_nothing_disturbs_nobody() -> None:
    with closing(Rtsp("127.0.0.1:0/plates", "h264", SIZE)) as out, closing(Film(out)) as film:
        host, port = out.url.removeprefix("rtsp://").partition("/")[0].split(":")
        with socket.create_connection((host, int(port)), timeout=10) as stuck:
            stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            track = ask(stuck, f"DESCRIBE {out.url} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n")
            assert "m=video" in track
            setup = f"SETUP {out.url}/stream=0 RTSP/1.0\r\nCSeq: 2\r\n"
            setup += "Transport: RTP/AVP/TCP;interleaved=0-1\r\n\r\n"
            session = ask(stuck, setup).partition("Session: ")[2].partition(";")[0].partition("\r")[0]
            ask(stuck, f"PLAY {out.url} RTSP/1.0\r\nCSeq: 3\r\nSession: {session}\r\n\r\n")
            for _ in range(2):
                assert moves(played(out.url)) == pytest.approx([4] * 11, abs=2)
        assert out.dropped == 0 and film.slowest < 0.5


def ask(connection: socket.socket, request: str) -> str:
    connection.sendall(request.encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(4096)
    length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r")[0] or 0)
    while len(answer.partition(b"\r\n\r\n")[2]) < length:
        answer += connection.recv(4096)
    assert b" 200 OK" in answer, answer
    return answer.decode(errors="replace")


def test_a_killed_server_comes_again_at_the_same_port(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.WARNING),
        closing(Rtsp("127.0.0.1:0/plates", "h264", SIZE)) as out,
        closing(Film(out)),
    ):
        assert len(played(out.url, 5)) == 5
        (child,) = children(os.getpid(), "rtsp_server.py")
        os.kill(child, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while not (again := children(os.getpid(), "rtsp_server.py")) or again == [child]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        wait_for(lambda: any("goes on" in record.getMessage() for record in caplog.records))
        assert moves(played(out.url, 8)) == pytest.approx([4] * 7, abs=2)
    said = [record.getMessage() for record in caplog.records]
    assert "has died; trying again" in said[0] and "goes on" in said[1] and len(said) == 3
    assert out.dropped > 0 and f"{out.dropped} pictures were dropped" in said[2]


def children(parent: int, name: str) -> list[int]:
    """The processes that ``parent`` has started with ``name`` in their command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError):
            line = (folder / "cmdline").read_bytes()
            if (
                int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == parent
                and name.encode() in line
            ):
                found.append(int(folder.name))
    return found


def wait_for(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_nobody_is_left_behind_when_we_are_killed(tmp_path: Path) -> None:
    program = (
        "import time; from plateloop.deployment.sinks.rtsp import Rtsp; "
        "out = Rtsp('127.0.0.1:0/plates', 'h264', (320, 180)); print('up', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"up\n"
        (child,) = children(process.pid, "rtsp_server.py")
        os.kill(child, signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        process.kill()
    wait_for(
        lambda: not Path(f"/proc/{child}").exists() or "zombie" in Path(f"/proc/{child}/status").read_text()
    )


def test_what_cannot_be_served_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=rf"rtsp://127.0.0.1:{port}/plates: cannot be served: .*in use"):
            Rtsp(f":{port}/plates", "h264", SIZE)
    with pytest.raises(UserError, match="cannot be served"):
        Rtsp("192.0.2.1:8554/plates", "h264", SIZE)
    monkeypatch.setattr(rtsp, "PYTHONS", ("/nowhere/python3", None))
    with pytest.raises(UserError, match=r"apt-get install python3-gi .* or push to an RTSP server"):
        Rtsp(":0/plates", "h264", SIZE)


def test_a_python_without_the_bindings_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gstreamer: str
) -> None:
    bare = tmp_path / "python3"
    bare.write_text(f"#!/bin/sh\necho No module named gi; exit {MISSING}\n")
    bare.chmod(0o755)
    monkeypatch.setattr(rtsp, "PYTHONS", (str(bare), gstreamer))
    Rtsp(":0/plates", "h264", SIZE).close()
    monkeypatch.setattr(rtsp, "PYTHONS", (str(bare),))
    with pytest.raises(UserError, match="apt-get install"):
        Rtsp(":0/plates", "h264", SIZE)


@pytest.mark.parametrize(
    "text", ["8554", ":8554", ":8554/", ":x/plates", "host/plates", ":8554/a b", ":8554/a?b", ":99999/a",
             "rtsp://", "rtsp://:8554/x", "rtsp://host:x/y", "rtsp://host:554", "rtsps://h:1/x", "http://h:1/x"]
)  # fmt: skip
def test_what_is_no_address_is_one_line(text: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_place(text)
    assert "\n" not in str(caught.value)


def test_addresses() -> None:
    assert parse_place(":8554/plates") == ("127.0.0.1", 8554, "/plates")
    assert parse_place("0.0.0.0:554/a/b.c") == ("0.0.0.0", 554, "/a/b.c")
    assert (place := parse_place("[::1]:8554/x")) and place.url == "rtsp://[::1]:8554/x"
    assert parse_place("rtsp://user:word@host:8554/x") is None
    assert parse_place("user:word@:8554/x") == ("127.0.0.1", 8554, "/x")
    wrong = ("rtsp://user:s3cret@host:8554", "user:s3cret@host:8554", "user:s3cret@host/x",
             "http://u:s3cret@h:1/x", "user:s3/cret@h:1/x", "user:s3@cret@h:1/x")  # fmt: skip
    for text in wrong:
        with pytest.raises(UserError) as caught:
            parse_place(text)
        assert "cret" not in str(caught.value) and "\n" not in str(caught.value)


def test_the_page_is_shown_without_the_password() -> None:
    for place in (
        "cam:s3cret@0.0.0.0:8554/plates",
        "cam:s3cret@:8554/plates",
        "cam:s3cret@[::1]:8554/plates",
    ):
        page = load_config(None, ["a.mp4"], environ={"PLATELOOP__OUTPUT__RTSP": place})
        assert page.output.rtsp == place and f"rtsp: cam:***@{place[11:]}" in show(page)


@pytest.fixture
def recorder(tmp_path: Path, gstreamer: str) -> Iterator[Callable[..., tuple[subprocess.Popen[bytes], int]]]:
    """``recorder(port, user)``: a server that takes what is pushed, into ``pushed.h264``; and its port."""
    started = []

    def start(port: int = 0, user: str = "-") -> tuple[subprocess.Popen[bytes], int]:
        command = [gstreamer, "-I", "-c", RECORDER, str(port), user, str(tmp_path / "pushed.h264")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        started.append(process)
        assert process.stdout is not None
        return process, int(process.stdout.readline())

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def test_pushed_to_a_server_that_comes_late_and_goes_and_comes_again(
    tmp_path: Path, recorder: Callable, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(rtsp, "RETRY_S", 0.2)
    monkeypatch.setattr(rtsp, "RETRY_MOST_S", 0.4)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    path = tmp_path / "pushed.h264"
    with (
        caplog.at_level(logging.WARNING),
        closing(Rtsp(f"rtsp://cam:s3cret@127.0.0.1:{port}/plates", "h264", SIZE)) as out,
        closing(Film(out)) as film,
    ):
        wait_for(lambda: caplog.records)
        assert "refused; trying again" in caplog.records[0].getMessage()
        server, _ = recorder(port, "cam:s3cret")
        wait_for(lambda: size(path) > 3000)
        (child,) = children(os.getpid(), "rtsp_push")
        assert b"s3cret" not in Path(f"/proc/{child}/cmdline").read_bytes(), "anybody may see it"
        server.kill()
        server.wait()
        wait_for(lambda: len(caplog.records) > 2)
        before = size(path)
        recorder(port, "cam:s3cret")
        wait_for(lambda: size(path) > before + 3000)
        assert film.slowest < 0.5
    assert out.dropped > 0
    with av.open(str(path)) as container:
        rows = [f.to_ndarray(format="rgb24")[90, :, 0].astype(int) for f in container.decode(video=0)]
    assert len(rows) > 20 and all((row > 130).sum() == pytest.approx(20, abs=4) for row in rows)
    assert "s3cret" not in caplog.text and "cam:***@" in caplog.text


def test_a_server_that_takes_nothing_more_is_left(
    recorder: Callable, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server, port = recorder()
    with (
        caplog.at_level(logging.WARNING),
        closing(Rtsp(f"rtsp://127.0.0.1:{port}/plates", "h264", SIZE)) as out,
    ):
        noise = np.random.default_rng(0).integers(0, 255, 200_000, np.uint8).tobytes()
        encoder = Encoder(SIZE, EncoderConfig(preset="ultrafast", fragment_frames=1), True)
        (unit,) = encoder.encode(to_i420(np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)), 0)
        wait_for(lambda: children(os.getpid(), "rtsp_push"))
        server.send_signal(signal.SIGSTOP)
        wait_for(lambda: [out.write(Unit(unit.data + noise, unit.pts, True)), out.dropped][1])
        begun = time.monotonic()
    assert time.monotonic() - begun < 4, "though its program hangs"
    assert not children(os.getpid(), "rtsp_push")
