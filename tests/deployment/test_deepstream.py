"""The DeepStream folder: its files say what the cards say, and its parsers decode as the runtime does.

The parsers are compiled against our own declaration of DeepStream's interface, without DeepStream.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Sequence
from configparser import ConfigParser
from pathlib import Path

import numpy as np
import pytest

from plateloop.data_preparation.manifest import read_manifest
from plateloop.deployment.config import load_config
from plateloop.deployment.deepstream.export import export_deepstream
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
