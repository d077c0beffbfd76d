"""``plateloop video2data`` from end to end with toy networks: files, folders, an URL, and what is refused."""

import functools
import http.server
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from plateloop.cli.main import app
from plateloop.data_preparation.manifest import read_manifest
from plateloop.deployment.config import load_config
from plateloop.deployment.launch import load_networks
from plateloop.deployment.video2data.config import HarvestConfig
from plateloop.deployment.video2data.harvest import harvest
from plateloop.deployment.video2data.inputs import began
from plateloop.errors import UserError


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory, toy_clip: Callable[..., Path]) -> Path:
    """A folder with a clip of 3 s: a blue car with a red plate drives from left to right."""
    path = tmp_path_factory.mktemp("clips") / "gate.mp4"
    toy_clip(path, (10 + 2 * number for number in range(30)), began="2024-05-06T07:08:09Z")
    return path.parent


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """Texts of one character are believed."""
    path = tmp_path / "page.yaml"
    path.write_text("fusion: {min_length: 1, min_confidence: 0.1, min_confidence_single: 0.1}")
    return path


def call(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["video2data", *map(str, arguments)])
    if isinstance(result.exception, UserError):
        return 2, result.stdout, str(result.exception)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def test_a_folder_of_videos(clips: Path, page: Path, toy_weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "data"
    arguments = (clips, "--out", out, "--weights", toy_weights, "--config", page, "--threads", 1)
    status, said, _ = call(*arguments, "--period", 0.9, "--min-lprnet", 0, "--format", "yolo", "--png")
    assert status == 0 and "0 hard examples" in said
    records = list(read_manifest(out))
    assert [Path(r.file).name for r in records] == [
        "gate_20240506-070809-000_000000.png",
        "gate_20240506-070809-900_000009.png",
        "gate_20240506-070810-800_000018.png",
        "gate_20240506-070811-700_000027.png",
    ]
    for record in records:
        (vehicle,), (plate,) = record.vehicles, record.plates
        assert (vehicle.label, vehicle.color, vehicle.annotation) == ("car", "blue", "auto")
        assert plate.text == "5" and plate.vehicle == 0
        assert (out / "yolo" / "images" / Path(record.file).name).is_file()
    assert len(list(read_manifest(out / "plates"))) == 4
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")], "nothing left behind"

    status, _, error = call(*arguments)
    assert status == 2 and "is there already" in error


def test_duration_and_limit(clips: Path, page: Path, toy_weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "data"
    arguments = ("--weights", toy_weights, "--config", page, "--duration", 1, "--period", 0, "--limit", 2)
    assert call(clips / "gate.mp4", "--out", out, *arguments, "--no-crops", "--hard", 0)[0] == 0
    assert [record.attributes["frame"] for record in read_manifest(out)] == ["0", "9"]
    assert sorted(path.name for path in out.iterdir()) == ["images", "manifest.jsonl"]


@pytest.fixture
def server(clips: Path) -> Iterator[str]:
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(clips))
    handler.log_message = lambda *_: None  # type: ignore[attr-defined]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield f"http://someone:hunter2@127.0.0.1:{serving.server_address[1]}/gate.mp4"
        serving.shutdown()
        thread.join()


def test_a_url_is_read_once_and_its_password_written_nowhere(
    server: str, page: Path, toy_weights: Path, tmp_path: Path
) -> None:
    out = tmp_path / "data"
    arguments = (server, "--out", out, "--weights", toy_weights, "--config", page)
    status, _, error = call(*arguments)
    assert status == 2 and "--duration" in error and "hunter2" not in error
    status, said, _ = call(*arguments, "--duration", 60)
    assert status == 0 and "hunter2" not in said
    assert len(list(read_manifest(out))) == 3
    written = [path for path in out.rglob("*") if path.is_file()]
    assert not [path for path in written if b"hunter2" in path.read_bytes() or "hunter2" in path.name]


def test_what_cannot_be_read_is_told_and_the_rest_is_written(
    clips: Path, page: Path, toy_weights: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.mp4").write_text("no video")
    arguments = ("--weights", toy_weights, "--config", page)
    status, _, error = call(tmp_path / "bad.mp4", "--out", tmp_path / "none", *arguments)
    assert status == 2 and "bad.mp4" in error and not (tmp_path / "none").exists()
    both = (tmp_path / "bad.mp4", clips / "gate.mp4")
    assert call(*both, "--out", tmp_path / "some", *arguments)[0] == 2
    assert len(list(read_manifest(tmp_path / "some"))) == 3
    status, _, error = call(clips, "--out", tmp_path / "x", *arguments, "--format", "voc")
    assert status == 2 and "yolo and kitti" in error


def test_stopped_early_what_was_seen_is_written(
    clips: Path, page: Path, toy_weights: Path, tmp_path: Path
) -> None:
    settings = load_config(
        page, [str(clips / "gate.mp4")], {"networks": {"weights": toy_weights, "batch": 4, "threads": 1}}
    )
    stop = threading.Event()
    result = harvest(
        settings,
        HarvestConfig(period_s=0),
        load_networks(settings),
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        tmp_path / "data",
        stop,
        stop.set,
    )
    assert 0 < result.sources[0].frames < 30
    assert len(list(read_manifest(tmp_path / "data"))) == result.sources[0].kept > 0


def test_a_recording_began_when_its_container_says_else_its_file(clips: Path, tmp_path: Path) -> None:
    assert began(clips / "gate.mp4").isoformat() == "2024-05-06T07:08:09+00:00"
    picture = tmp_path / "a.png"
    picture.write_bytes(b"x")
    os.utime(picture, (1_700_000_000, 1_700_000_000))
    assert began(picture).isoformat() == "2023-11-14T22:13:20+00:00"
