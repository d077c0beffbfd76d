"""The DeepStream folder: its files say what the cards say, and its parsers decode as the runtime does.

The parsers are compiled against our own declaration of DeepStream's interface, without DeepStream.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable, Sequence
from configparser import ConfigParser
from importlib.util import module_from_spec, spec_from_file_location
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from plateloop.data_preparation.manifest import read_manifest
from plateloop.deployment.config import load_config
from plateloop.deployment.deepstream.export import export_deepstream
from plateloop.deployment.kafka.metadata import read_scenery
from plateloop.errors import UserError
from plateloop.frame import read_image
from plateloop.runtime import colornet, lpdnet, lprnet, tcnet
from plateloop.runtime.card import Task, load_card, package_card
from plateloop.runtime.session import Session
from plateloop.types import FloatArray

ABI = Path(__file__).parent / "deepstream_abi"
MOST = 2000


def keys(path: Path) -> ConfigParser:
    parser = ConfigParser(interpolation=None, delimiters=("=",))
    parser.read_string(path.read_text(encoding="utf-8"))
    return parser


@pytest.fixture(scope="module")
def folder(package_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("deepstream") / "out"
    assert export_deepstream(load_config(None), out) == []
    return out


@pytest.fixture(scope="module")
def library(folder: Path) -> ctypes.CDLL:
    if shutil.which("g++") is None:
        pytest.skip("no g++ to compile the parsers with")
    built = folder.parent / "parsers.so"
    files = [str(folder / "plateloop_parsers.cpp"), str(ABI / "call.cpp")]
    options = [
        "-std=c++17",
        "-O1",
        "-fPIC",
        "-shared",
        "-Wall",
        "-Wextra",
        "-Werror",
        f"-I{ABI}",
        f"-I{folder}",
    ]
    subprocess.run(["g++", *options, "-o", str(built), *files], check=True)
    return ctypes.CDLL(str(built))


def layers(outputs: dict[str, FloatArray]) -> list[object]:
    """The outputs of one picture as ``call.cpp`` takes them; arrays must outlive the call."""
    arrays = [np.ascontiguousarray(values[0], np.float32) for values in outputs.values()]
    names = (ctypes.c_char_p * len(arrays))(*(name.encode() for name in outputs))
    pointers = (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))
    rows = (ctypes.c_uint * len(arrays))(*(len(a) if a.ndim == 2 else 0 for a in arrays))
    columns = (ctypes.c_uint * len(arrays))(*(a.shape[-1] for a in arrays))
    layers.kept = arrays  # type: ignore[attr-defined]
    return [len(arrays), names, pointers, rows, columns]


def detect(
    library: ctypes.CDLL, name: str, outputs: dict[str, FloatArray], size: Sequence[int], threshold: float
) -> FloatArray:
    """Rows of class, x1, y1, x2, y2, confidence from the parser ``name``."""
    found = np.zeros((MOST, 6), np.float32)
    parser = ctypes.cast(library[name], ctypes.c_void_p)
    classes = outputs["scores"].shape[-1]
    end = [*size, classes, ctypes.c_float(threshold), ctypes.c_void_p(found.ctypes.data), MOST]
    count = library.detect(parser, *layers(outputs), *end)
    assert count >= 0
    rows = found[:count]
    rows[:, 3:5] += rows[:, 1:3]
    return rows


def classify(
    library: ctypes.CDLL, name: str, outputs: dict[str, FloatArray], threshold: float = 0.0
) -> tuple[list[str], list[float]]:
    labels, confidences = ctypes.create_string_buffer(500), (ctypes.c_float * 4)()
    parser = ctypes.cast(library[name], ctypes.c_void_p)
    count = library.classify(parser, *layers(outputs), ctypes.c_float(threshold), labels, confidences)
    assert count >= 0
    return labels.value.decode().split(), list(confidences)[:count]


def pictures(folder: Path, count: int) -> list[Path]:
    """About ``count`` pictures of a manifest dataset."""
    files = [folder / record.file for record in read_manifest(folder)]
    return files[:: max(1, len(files) // count)]


@pytest.mark.parametrize("threshold", [0.3, 0.05])
@pytest.mark.parametrize("task", ["tcnet", "lpdnet"])
def test_detectors_parse_as_the_runtime_decodes(
    task: Task, threshold: float, library: ctypes.CDLL, collection: Path
) -> None:
    session = Session(package_card(task))
    card, total = session.card, 0
    width, height = card.input.width, card.input.height
    for file in pictures(collection / "frames", 12):
        outputs = session(read_image(file).letterboxed((width, height))[None])
        if task == "tcnet":
            (expected,) = tcnet.decode(outputs, card, [(width, height)], threshold)
        else:
            whole = np.array([[0, 0, width, height]], np.float32)
            (expected,) = lpdnet.decode(outputs, card, whole, threshold)
        found = detect(library, f"Plateloop{task.capitalize()}", outputs, (width, height), threshold)
        boxes = np.clip(expected.boxes, 0, [width, height] * 2)
        assert found[:, 0].astype(int).tolist() == expected.labels.tolist()
        np.testing.assert_allclose(found[:, 1:5], boxes, atol=1e-3)
        np.testing.assert_allclose(found[:, 5], expected.scores, atol=1e-6)
        total += len(found)
    assert total > 10


def test_texts_and_colours_parse_as_the_runtime_decodes(library: ctypes.CDLL, collection: Path) -> None:
    reader, painter = Session(package_card("lprnet")), Session(package_card("colornet"))
    texts = []
    for file in pictures(collection / "crops", 150):
        frame = read_image(file)
        whole = np.array([[0, 0, frame.width, frame.height]], np.float32)
        outputs = reader(frame.crops(whole, (160, 64), "stretch"))
        (expected,) = lprnet.decode(outputs, reader.card)
        labels, confidences = classify(library, "PlateloopLprnet", outputs)
        if not expected.text:
            assert labels == []
            continue
        texts.append(expected.text)
        assert labels == [expected.text, *([expected.region] if expected.region else [])]
        assert confidences[0] == pytest.approx(expected.confidence, abs=1e-4)
        outputs = painter(frame.crops(whole, (128, 128), "stretch"))
        (color,) = colornet.decode(outputs, painter.card)
        labels, confidences = classify(library, "PlateloopColornet", outputs)
        assert labels == [color.label] and confidences[0] == pytest.approx(color.confidence, abs=1e-5)
        assert classify(library, "PlateloopColornet", outputs, 1.01) == ([], [])
    assert len(texts) > 100 and len(set(texts)) > 80


def test_two_rows_and_repeated_characters_parse_alike(library: ctypes.CDLL) -> None:
    card = load_card(package_card("lprnet"))
    rng = np.random.default_rng(0)
    for _ in range(50):
        logits = rng.normal(0, 2, (1, 80, 37)).astype(np.float32)
        logits[..., 0] += 3
        outputs = {"logits": logits, "regions": rng.normal(0, 3, (1, len(card.regions))).astype(np.float32)}
        (expected,) = lprnet.decode(outputs, card)
        labels, confidences = classify(library, "PlateloopLprnet", outputs)
        assert labels[:1] == [expected.text][: len(labels)]
        assert confidences[0] == pytest.approx(expected.confidence, rel=1e-3, abs=1e-12)


def test_configuration_says_what_the_cards_say(folder: Path) -> None:
    for task in ("tcnet", "lpdnet", "lprnet", "colornet"):
        card, given = load_card(package_card(task)), keys(folder / f"config_{task}.txt")["property"]  # type: ignore[arg-type]
        assert given["infer-dims"] == f"3;{card.input.height};{card.input.width}"
        assert float(given["net-scale-factor"]) == pytest.approx(card.input.scale, rel=1e-6)
        assert given["maintain-aspect-ratio"] == str(int(card.input.resize == "letterbox"))
        assert given["symmetric-padding"] == "0" and given["model-color-format"] == "0"
        assert (folder / given["onnx-file"]).read_bytes() == package_card(task).with_suffix(
            ".onnx"
        ).read_bytes()  # type: ignore[arg-type]
        name = given.get("parse-bbox-func-name") or given["parse-classifier-func-name"]
        assert f"bool {name}(" in (folder / "plateloop_parsers.cpp").read_text()
    lpd = keys(folder / "config_lpdnet.txt")["property"]
    assert (lpd["process-mode"], lpd["operate-on-gie-id"], lpd["operate-on-class-ids"]) == (
        "2",
        "1",
        "0;1;2;3",
    )
    assert lpd["cluster-mode"] == "4"
    assert keys(folder / "config_lprnet.txt")["property"]["operate-on-gie-id"] == "2"
    assert keys(folder / "config_colornet.txt")["property"]["operate-on-gie-id"] == "1"
    assert (folder / "labels_tcnet.txt").read_text().split() == ["car", "bus", "truck", "motorcycle"]


def test_a_page_is_carried_over_and_what_is_not_is_named(package_weights: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.yaml"
    page.write_text(
        "sources:\n- {url: 'rtsp://user:secret@camera/stream', name: gate}\n- {url: /dev/video1}\n"
        "schedule: {interval: 2}\nevents: {merge_s: 5}\nfusion: {}\n"
        "kafka: {servers: 'broker:9092', topic: plates, payload: minimal}\n"
    )
    out = tmp_path / "out"
    assert export_deepstream(load_config(page), out) == ["events.merge_s"]
    app = keys(out / "deepstream_app.txt")
    assert app["source0"]["type"] == "4" and app["source0"]["uri"] == "rtsp://user:secret@camera/stream"
    assert app["source1"]["camera-v4l2-dev-node"] == "1"
    assert app["primary-gie"]["interval"] == "1" and app["streammux"]["live-source"] == "1"
    assert app["sink2"]["msg-broker-conn-str"] == "broker;9092;plates"
    assert app["sink2"]["msg-conv-payload-type"] == "1"
    assert keys(out / "msgconv.txt")["sensor0"]["id"] == "gate"
    assert (out / "deepstream_app.txt").stat().st_mode & 0o077 == 0
    with pytest.raises(UserError, match="not empty"):
        export_deepstream(load_config(page), out)
    page.write_text(f"sources:\n- {{url: {tmp_path}}}\n")
    with pytest.raises(UserError, match="deepstream-app reads video files"):
        export_deepstream(load_config(page), tmp_path / "other")
    assert not (tmp_path / "other").exists()


class Recorder:
    """In place of pyservicemaker's Pipeline, which exists only where DeepStream does."""

    def __init__(self) -> None:
        self.elements: dict[str, tuple[str, dict[str, object]]] = {}
        self.links: list[tuple[str, str]] = []
        self.probes: list[str] = []

    def add(self, kind: str, name: str, properties: dict[str, object] | None = None) -> Recorder:
        assert name not in self.elements
        self.elements[name] = (kind, properties or {})
        return self

    def link(self, *names: object) -> Recorder:
        if isinstance(names[0], tuple):
            names = names[0]
        self.links += pairwise(names)
        return self

    def attach(self, name: str, probe: object) -> Recorder:
        assert name in self.elements
        self.probes.append(name)
        return self


# By DeepStream 9.1's documentation of its plugins, and GStreamer's own.
PROPERTIES = {
    "nvurisrcbin": {"uri", "select-rtp-protocol", "gpu-id"},
    "v4l2src": {"device"},
    "capsfilter": {"caps"},
    "nvstreammux": {
        "batch-size", "batched-push-timeout", "width", "height", "live-source", "enable-padding", "gpu-id",
    },
    "nvinfer": {"config-file-path", "batch-size", "interval", "unique-id"},
    "nvtracker": {"tracker-width", "tracker-height", "ll-lib-file", "ll-config-file", "gpu-id"},
    "nvmultistreamtiler": {"rows", "columns", "width", "height", "gpu-id"},
    "nvmsgconv": {"config", "payload-type", "msg2p-newapi", "frame-interval"},
    "nvmsgbroker": {"config", "proto-lib", "conn-str", "topic", "sync"},
    "nvv4l2h264enc": {"bitrate"},
    "nvrtspoutsinkbin": {"bitrate", "enc-type", "rtsp-port", "sync"},
    "filesink": {"location", "sync"},
    "fakesink": {"sync"},
}  # fmt: skip


def app_of(folder: Path) -> ModuleType:
    spec = spec_from_file_location("plateloop_app", folder / "plateloop_app.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def path_to(pipeline: Recorder, name: str) -> list[str]:
    """The kinds of elements on the way to ``name``, from the first source on."""
    before = {}
    for first, second in pipeline.links:
        before.setdefault(second, first)
    names = [name]
    while names[-1] in before:
        names.append(before[names[-1]])
    return [pipeline.elements[name][0] for name in reversed(names)]


@pytest.mark.parametrize("custom", [False, True])
def test_the_python_application_links_what_deepstream_app_would(
    custom: bool, package_weights: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.yaml"
    page.write_text(
        "sources:\n- {url: 'rtsp://user:secret@camera/stream', name: gate}\n- {url: /dev/video1}\n"
        "kafka: {servers: 'broker:9092', topic: plates}\nschedule: {interval: 2}\n"
    )
    export_deepstream(load_config(page), tmp_path / "out")
    app, pipeline = app_of(tmp_path / "out"), Recorder()
    app.build(pipeline, app.read("deepstream_app.txt"), "probe" if custom else None)
    for name, (kind, properties) in pipeline.elements.items():
        assert properties.keys() <= PROPERTIES.get(kind, set()), name
    assert {name for link in pipeline.links for name in link} == set(pipeline.elements)
    network = ["nvinfer", "nvtracker", "nvinfer", "nvinfer", "nvinfer"]
    shown = ["queue", "nvmultistreamtiler", "nvvideoconvert", "nvdsosd", "tee", "queue"]
    encoded = ["nvvideoconvert", "nvv4l2h264enc", "h264parse", "qtmux", "filesink"]
    start = ["nvurisrcbin", "nvstreammux", *network, "tee"]
    assert path_to(pipeline, "sink0-end") == [*start, *shown, *encoded]
    ids = [e[1]["unique-id"] for e in pipeline.elements.values() if e[0] == "nvinfer"]
    assert ids == [1, 2, 3, 4] and pipeline.elements["tcnet"][1]["interval"] == 1
    configs = [Path(str(e[1]["config-file-path"])) for e in pipeline.elements.values() if e[0] == "nvinfer"]
    assert all(config.is_file() for config in configs)
    assert pipeline.elements["source0"][1]["uri"] == "rtsp://user:secret@camera/stream"
    assert ("source1", "mux") in pipeline.links and pipeline.elements["source1-camera"][0] == "v4l2src"
    if custom:
        assert pipeline.probes == ["colornet"] and "broker" not in pipeline.elements
    else:
        assert path_to(pipeline, "broker") == [*start, "queue", "nvmsgconv", "nvmsgbroker"]
        assert pipeline.elements["broker"][1]["conn-str"] == "broker;9092;plates"


def thing(
    network: int, track: int, box: tuple[int, ...], **labels: tuple[int, str, float]
) -> SimpleNamespace:
    left, top, right, bottom = box
    rect = SimpleNamespace(left=left, top=top, width=right - left, height=bottom - top)
    items = [
        SimpleNamespace(
            unique_component_id=by,
            n_labels=1,
            get_label_info=lambda _, label=label, prob=prob: SimpleNamespace(label=label, prob=prob),
        )
        for by, label, prob in labels.values()
    ]
    return SimpleNamespace(
        unique_component_id=network, object_id=track, confidence=0.9, rect_params=rect, classifier_items=items
    )


def test_the_application_sends_the_custom_schema_whenever_a_text_changes(
    folder: Path, validate: Callable[[str, Any], None]
) -> None:
    app = app_of(folder)
    sensors = {"sensor0": {"id": "gate", "type": "Camera", "description": "north", "location": "1;2.5;3"}}
    car, other = (100, 100, 300, 260), (400, 100, 600, 260)
    told: dict[tuple[int, int], str] = {}

    def seen(number: int, text: str) -> list[tuple[str, dict[str, Any]]]:
        plates = [thing(2, -1, (180, 220, 240, 240), license=(3, text, 0.8)), thing(2, -1, (0, 0, 9, 9))]
        vehicles = [thing(1, 7, car, color=(4, "red", 0.7)), thing(1, 8, other)]
        items = vehicles + plates
        frame = SimpleNamespace(source_id=0, frame_number=number, ntp_timestamp=10**18, object_items=items)
        return list(app.messages(frame, sensors, told))

    ((key, message),) = seen(3, "AB123")
    validate("custom", message)
    assert key == "gate" and message["frame_id"] == 3 and message["@timestamp"] == "2001-09-09T01:46:40.000Z"
    assert message["sensor"]["location"] == {"lat": 1.0, "lon": 2.5, "alt": 3.0}
    vehicle = message["object"]["vehicle"]
    assert (vehicle["license"], vehicle["color"], vehicle["region"]) == ("AB123", "red", "None")
    assert message["object"]["car_bbox"]["topleftx"] == 100 and message["object"]["car_id"] == "7"
    assert seen(4, "AB123") == [] and len(seen(5, "AB128")) == 1


def test_sensors_and_places_of_the_page_are_nvmsgconvs_file(package_weights: Path, tmp_path: Path) -> None:
    given, page = tmp_path / "sensors.yml", tmp_path / "page.yaml"
    given.write_text(
        "sensor0: {enable: 1, type: Camera, id: gate, location: 1;2;3, description: from the file}\n"
        "place0: {enable: 1, id: 1, type: garage, name: P, location: 4;5;6, place-sub-field1: a1}\n"
        "analytics0: {enable: 1, id: XYZ, description: d, source: s, version: 1.0}\n"
    )
    page.write_text(
        "sources:\n- {url: 'rtsp://a/b', name: gate}\n"
        "- {url: 'rtsp://a/c', name: \"yard\\n[sensor9]\\nid=x\", sensor: {id: yard, location: [7, 8, 9]},\n"
        "   place: {id: 2, name: Q, parts: [b, c, d]}}\n"
        f"kafka: {{servers: 'broker:9092', sensors: {given}}}\n"
    )
    config = load_config(page)
    assert export_deepstream(config, tmp_path / "out") == []
    back, page_says = read_scenery(tmp_path / "out" / "msgconv.txt"), read_scenery(given)
    assert back.sensors[0] == page_says.sensors[0] and back.places[0] == page_says.places[0]
    assert back.modules == page_says.modules and back.sensors.keys() == {0, 1}
    assert (back.sensors[1].id, back.sensors[1].location) == ("yard", (7, 8, 9))
    assert (back.places[1].name, back.places[1].parts) == ("Q", ("b", "c", "d"))
