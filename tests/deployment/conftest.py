"""Small videos for the tests of streams, each made by PyAV."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from jsonschema import Draft202012Validator

from plateloop.deployment.encoded import CLOCK, Unit
from plateloop.deployment.encoder import Encoder, EncoderConfig
from plateloop.deployment.kafka import payloads
from plateloop.deployment.sinks import rtsp
from plateloop.frame import Frame
from plateloop.geometry import boxes_to_corners, coverage
from plateloop.types import Color, Detections, Event, EventPlate, EventVehicle, Plates, Reading

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
def numbered() -> Callable[..., list[np.ndarray]]:
    """Pictures whose brightness in one corner says their number, with a red block at the top left."""

    def make(count: int, width: int = 160, height: int = 96) -> list[np.ndarray]:
        pictures = []
        for number in range(count):
            picture = np.full((height, width, 3), 60, np.uint8)
            picture[: height // 3, : width // 3] = (200, 30, 30)
            picture[height // 2 :, width // 2 :] = 40 + 3 * number
            pictures.append(picture)
        return pictures

    return make


ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Car:
    """A vehicle of a simulated scene: its path, plate and when it is there (frame numbers)."""

    text: str | None
    start: float = 10.0
    speed: float = 2.0
    first: int = 0
    last: int = 10**6
    y: float = 20.0
    label: int = 0
    width: float = 60.0

    def box(self, number: int) -> np.ndarray:
        """Its box in frame ``number``."""
        x = self.start + self.speed * (number - self.first)
        return np.array([x, self.y, x + self.width, self.y + 40], np.float32)

    def plate(self, number: int) -> np.ndarray:
        """Its plate's box."""
        x1, _, x2, y2 = self.box(number)
        middle = (x1 + x2) / 2
        return np.array([middle - 12, y2 - 14, middle + 12, y2 - 4], np.float32)


class SimulatedNetworks:
    """In place of the cascade: knows a frame by its brightness (``numbered``) and what drives through it.

    ``noise`` is the share of characters read wrong. ``calls`` counts vehicles frames, plate regions, readings
    and colours asked for.
    """

    labels = ("car", "bus", "truck", "motorcycle")

    def __init__(self, cars: Sequence[Car], noise: float = 0.0) -> None:
        self.cars = cars
        self.noise = noise
        self.calls: Counter[str] = Counter()
        self._rng = np.random.default_rng(0)

    @staticmethod
    def number(frame: Frame) -> int:
        """The number of a frame made by ``numbered``."""
        picture = frame.rgb()
        height, width = picture.shape[:2]
        return round((float(picture[-height // 4 :, -width // 4 :].mean()) - 40) / 3)

    def _there(self, frame: Frame) -> list[Car]:
        number = self.number(frame)
        return [car for car in self.cars if car.first <= number <= car.last]

    def detect_vehicles(self, frames: Sequence[Frame]) -> list[Detections]:
        """Vehicles by the script."""
        self.calls["vehicles"] += len(frames)
        result = []
        for frame in frames:
            cars = [car for car in self._there(frame) if car.label >= 0]
            boxes = np.array([car.box(self.number(frame)) for car in cars], np.float32).reshape(-1, 4)
            labels = np.array([car.label for car in cars], np.int64)
            result.append(Detections(boxes, np.full(len(cars), 0.9, np.float32), labels))
        return result

    def find_plates(self, frames: Sequence[Frame], vehicles: Sequence[Detections]) -> list[Plates]:
        """The plates that lie in the regions."""
        result = []
        for frame, regions in zip(frames, vehicles, strict=True):
            self.calls["regions"] += len(regions)
            number = self.number(frame)
            boxes = np.array(
                [c.plate(number) for c in self._there(frame) if c.text is not None], np.float32
            ).reshape(-1, 4)
            inside = coverage(boxes, regions.boxes).max(1, initial=0) > 0.9
            boxes = boxes[inside]
            found = Detections(
                boxes,
                np.full(len(boxes), 0.8, np.float32),
                np.zeros(len(boxes), np.int64),
                boxes_to_corners(boxes),
            )
            owners = coverage(boxes, regions.boxes).argmax(1) if len(boxes) else np.zeros(0, np.int64)
            result.append(Plates(found, owners, (None,) * len(boxes)))
        return result

    def read_plates(self, frames: Sequence[Frame], plates: Sequence[Detections]) -> list[tuple[Reading, ...]]:
        """What stands on the plates, with mistakes."""
        result = []
        for frame, found in zip(frames, plates, strict=True):
            number = self.number(frame)
            readings = []
            for box in found.boxes:
                self.calls["readings"] += 1
                car = min(self._there(frame), key=lambda c: float(np.abs(c.plate(number) - box).sum()))
                readings.append(self._reading(car.text or ""))
            result.append(tuple(readings))
        return result

    def _reading(self, text: str) -> Reading:
        rows = np.full((len(text), 36), 0.02 / 35, np.float32)
        shown = ""
        for place, character in enumerate(text):
            wrong = self._rng.random() < self.noise
            shown += ALPHABET[self._rng.integers(36)] if wrong else character
            rows[place, ALPHABET.index(shown[-1])] = 0.98
        return Reading(shown, 0.98 ** len(text), (0.98,) * len(text), rows)

    def name_colors(self, frames: Sequence[Frame], vehicles: Sequence[Detections]) -> list[tuple[Color, ...]]:
        """All cars are red."""
        self.calls["colors"] += sum(map(len, vehicles))
        return [(Color("red", 0.9),) * len(found) for found in vehicles]


@pytest.fixture
def simulated() -> tuple[type[Car], type[SimulatedNetworks]]:
    """The classes ``Car`` and ``SimulatedNetworks``."""
    return Car, SimulatedNetworks


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
