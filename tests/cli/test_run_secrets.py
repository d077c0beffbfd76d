"""Passwords reach no output of a run, and names of sources are data to whatever takes them."""

import base64
import csv
import http.server
import json
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from commands import Call

SECRET = "Tr0ub4dor-and-3"
EVIL = "=cmd|'/C calc'!A0 ../../../<script>alert(1)</script>'; DROP TABLE events;--"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, toy_clip: Callable[..., Path]) -> bytes:
    """A blue car with a red plate, which the toy networks read as a 5."""
    path = tmp_path_factory.mktemp("clips") / "car.mp4"
    toy_clip(path, (10 + 2 * number for number in range(30)), movflags="faststart")
    return path.read_bytes()


@pytest.fixture
def server(clip: bytes) -> Iterator[str]:
    """HOST:PORT of a server that gives the clip to who knows the password, and else refuses."""
    credentials = "Basic " + base64.b64encode(f"user:{SECRET}".encode()).decode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers.get("Authorization") != credentials and f"token={SECRET}" not in self.path:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="gate"')
                self.end_headers()
            elif not self.path.startswith("/car.mp4"):
                self.send_error(404)
            else:
                self.send_response(200)
                self.send_header("Content-Type", "video/mp4")
                self.send_header("Content-Length", str(len(clip)))
                self.end_headers()
                with suppress(OSError):
                    self.wfile.write(clip)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_password_in_any_output(
    log_format: str, server: str, toy_weights: Path, tmp_path: Path, plateloop: Call
) -> None:
    urls = [
        f"http://user:{SECRET}@{server}/car.mp4",
        f"http://{server}/car.mp4?token={SECRET}",
        f"http://user:{SECRET}@{server}/absent",
        f"rtsp://user:{SECRET}@127.0.0.1:9/cam",
    ]
    page = {
        "sources": [{"url": url} for url in urls] + [{"url": urls[0], "name": EVIL}],
        "fusion": {"min_length": 1},
        "networks": {"threads": 1, "weights": str(toy_weights)},
        "output": {"layout": "both", "rtsp": f"rtsp://user:{SECRET}@127.0.0.1:9/wall"},
    }
    (tmp_path / "page.yaml").write_text(yaml.safe_dump(page))
    out = tmp_path / "out"
    options = ["--config", str(tmp_path / "page.yaml"), "--out", str(out), "--log-format", log_format]
    command = [sys.executable, "-m", "plateloop", "run", *options, "--json", "--log-level", "debug"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    try:
        events = out / "events.jsonl"
        deadline = time.monotonic() + 40
        while not events.exists() or events.read_text(encoding="utf-8").count('"phase":"end"') < 3:
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 2 and "404" in stderr and "***" in stderr
    assert SECRET not in stdout + stderr
    encoded = base64.b64encode(f"user:{SECRET}".encode())
    written = [path for path in out.rglob("*") if path.is_file()]
    assert {path.suffix for path in written} >= {".db", ".jsonl", ".mp4"}
    for path in written:
        assert SECRET.encode() not in path.read_bytes() and encoded not in path.read_bytes(), path
    assert _everything(tmp_path) == {"page.yaml", "out"}, "no name leads out of the folder"
    assert _everything(out) == {path.name for path in written}
    told = {json.loads(line)["source"] for line in events.read_text(encoding="utf-8").splitlines()}
    assert EVIL in told and f"http://user:***@{server}/car.mp4" in told
    _names_are_data(out, plateloop)


def _everything(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def _names_are_data(out: Path, plateloop: Call) -> None:
    with sqlite3.connect(out / "plateloop.db") as database:
        (count,) = database.execute("SELECT count(*) FROM events WHERE stream = ?", (EVIL,)).fetchone()
    database.close()
    assert count >= 2
    listed = plateloop("store", "list", out / "plateloop.db", "--json", "--source", EVIL)
    assert {json.loads(line)["source"] for line in listed.stdout.splitlines()} == {EVIL}
    assert plateloop("store", "export", out / "plateloop.db", out / "e.csv").returncode == 0
    with (out / "e.csv").open(encoding="utf-8", newline="") as file:
        sources = {row["source"] for row in csv.DictReader(file)}
    assert f"'{EVIL}" in sources and not any(source[0] in "=+-@" for source in sources)


def test_no_password_in_mistakes_or_in_the_page_shown(
    server: str, tmp_path: Path, plateloop: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in (
        [f"gopher://user:{SECRET}@{server}/x"],
        [f"http://user:{SECRET}@{server}/car.mp4", "--show"],
        ["--set", f"sources.0=rtsp://user:{SECRET}@h/x"],
        [str(tmp_path / "absent.mp4"), "--kafka", f"user:{SECRET}@h:9092"],
        ["--set", f"output.store=oracle://user:{SECRET}@h/x", str(tmp_path / "absent.mp4")],
    ):
        done = plateloop("run", *arguments)
        assert SECRET not in done.stdout + done.stderr, arguments
        assert done.returncode == (0 if "--show" in arguments else 2)
        assert not list(tmp_path.iterdir())
