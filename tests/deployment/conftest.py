"""What the tests of deployment share: videos, events, a PostgreSQL, and runs in a process of their own."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from jsonschema import Draft202012Validator

from plateloop.deployment.kafka import payloads
from plateloop.types import Event, EventPlate, EventVehicle

Writer = Callable[..., Path]


@pytest.fixture
def write_video(tmp_path: Path) -> Writer:
    """``write_video(name, pictures, fps=25, rotate=0, format=None, pix_fmt="yuv420p", options={})``."""

    def write(
        name: str,
        pictures: Iterable[np.ndarray],
        fps: int = 25,
        rotate: int = 0,
        pix_fmt: str = "yuv420p",
        options: dict[str, str] | None = None,
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w", options=options or {}) as container:
            stream = None
            for number, picture in enumerate(pictures):
                if stream is None:
                    stream = container.add_stream(
                        "libx264", rate=fps, options={"crf": "12", "preset": "ultrafast"}
                    )
                    stream.height, stream.width = picture.shape[:2]
                    stream.pix_fmt = pix_fmt
                    stream.time_base = Fraction(1, fps)
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
                frame.pts = number
                for packet in stream.encode(frame):
                    container.mux(packet)
            for packet in stream.encode(None):
                container.mux(packet)
        if rotate:
            _set_rotation(path, rotate)
        return path

    return write


def _set_rotation(path: Path, degrees: int) -> None:
    # The display matrix of the track header: 9 numbers, 36 bytes, from byte 44 of the atom on (version 0).
    cos, sin = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    matrix = np.array([cos << 16, sin << 16, 0, -sin << 16, cos << 16, 0, 0, 0, 1 << 30], ">i4").tobytes()
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40
    data[start : start + 36] = matrix
    path.write_bytes(bytes(data))


@pytest.fixture(scope="session")
def passage() -> Callable[..., Event]:
    """``passage(id, phase, **keys)``: an event whose every field is set, save those given otherwise."""

    def make(id: str, phase: str, **keys: Any) -> Event:
        fields: dict[str, Any] = {
            "source": "gate",
            "track": 1,
            "text": "3047002",
            "confidence": 0.97,
            "char_confidences": (0.99,) * 7,
            "first_s": 1.5,
            "last_s": 4.0,
            "frames": 60,
            "readings": 12,
            "vehicle": EventVehicle(
                label="car", color="blue", color_confidence=0.6, box=(360.2, 571.6, 636, 842), confidence=0.84
            ),
            "plate": EventPlate(
                box=(460, 761, 514, 790),
                corners=((460, 761), (514, 762), (514, 790), (460, 789)),
                region="CA",
                confidence=0.98,
            ),
        }
        return Event(id=id, phase=phase, **{**fields, **keys})

    return make


@pytest.fixture(scope="session")
def validate() -> Callable[[str, Any], None]:
    """``validate(schema, message)``: fails where a Kafka message is not of the package's JSON Schema."""
    folder = Path(payloads.__file__).parent / "schemas"
    validators = {}
    for name in payloads.SCHEMAS:
        schema = json.loads((folder / f"{name}.schema.json").read_text())
        Draft202012Validator.check_schema(schema)
        validators[name] = Draft202012Validator(schema)

    def check(schema: str, message: Any) -> None:
        validators[schema].validate(message)

    return check


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a database in a private PostgreSQL on loopback."""
    pytest.importorskip("psycopg", reason="needs the extra postgres")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = str(debian[-1]) if debian else shutil.which("initdb")
    if initdb is None:
        pytest.skip("no PostgreSQL (initdb)")
    # It refuses to run as root.
    be = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
    # Not in pytest's folder, which only its owner may enter.
    folder = Path(tempfile.mkdtemp(prefix="plateloop-postgres-"))
    if be:
        shutil.chown(folder, "postgres")
    subprocess.run(
        [*be, initdb, "-D", folder / "data", "-U", "plateloop", "-A", "trust", "-N"],
        check=True,
        capture_output=True,
        cwd="/",
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-p", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*be, Path(initdb).with_name("postgres"), "-D", folder / "data", *options], stderr=log, cwd="/"
        )
    url = f"postgresql://plateloop:secret@127.0.0.1:{port}/postgres"
    deadline = time.monotonic() + 30
    while not _answers(url):
        assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
        time.sleep(0.1)
    yield url
    process.terminate()
    process.wait(20)
    shutil.rmtree(folder)


def _answers(url: str) -> bool:
    import psycopg

    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.fixture(scope="session")
def passing_cars(tmp_path_factory: pytest.TempPathFactory, toy_clip: Callable[..., Path]) -> Path:
    """A car every four seconds for the toy networks: blue, with a red plate that reads 5."""
    path = tmp_path_factory.mktemp("clips") / "cars.mp4"
    lefts = [10 + 10 * number if number < 25 else None for number in range(80)]
    toy_clip(path, lefts, rate=20, preset="ultrafast")
    return path


@dataclass
class Run:
    """A running ``plateloop run --http``: its page's address and folder, and what it has told on stderr."""

    process: subprocess.Popen[str]
    url: str
    folder: Path
    told: list[dict[str, Any]]


@pytest.fixture
def start_run(tmp_path: Path, toy_weights: Path) -> Iterator[Callable[..., Run]]:
    """``start_run(page, *options)``: a run of a page of settings, once it serves; killed in the end."""
    runs: list[Run] = []

    def start(page: dict[str, Any], *options: str) -> Run:
        settings = {"fusion": {"min_length": 1}, "events": {"merge_s": 0.5}, **page}
        settings["networks"] = {"threads": 1, "weights": str(toy_weights)}
        file, folder = tmp_path / "page.json", tmp_path / "out"
        file.write_text(json.dumps(settings))  # JSON is YAML too
        command = ["run", "--config", str(file), "--out", str(folder), "--http", "127.0.0.1:0", *options]
        command += ["--log-format", "json", "--log-level", "info"]
        process = subprocess.Popen(
            [sys.executable, "-m", "plateloop", *command],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        run = Run(process, "", folder, [])
        runs.append(run)
        serving = threading.Event()
        threading.Thread(target=_listen_to, args=(run, serving), daemon=True).start()
        assert serving.wait(30) and run.url, run.told
        return run

    yield start
    for run in runs:
        run.process.kill()
        run.process.wait()


def _listen_to(run: Run, serving: threading.Event) -> None:
    assert run.process.stderr is not None
    with run.process.stderr:
        for line in run.process.stderr:
            run.told.append(json.loads(line))
            if " at http://" in run.told[-1]["message"]:
                run.url = run.told[-1]["message"].partition(" at ")[2]
                serving.set()
    serving.set()
