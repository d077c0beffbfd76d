"""Sessions: pixels to tensor, batches, and refusals that say what to do."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from plateloop.errors import UserError
from plateloop.runtime.card import Card, load_card, save_card
from plateloop.runtime.session import Session
from plateloop.types import Image

RNG = np.random.default_rng(3)


def pictures(count: int, size: int = 128) -> Image:
    return RNG.integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def altered(toy_weights: Path, folder: Path, task: str, **changes: object) -> Path:
    """A copy of a toy network with another card."""
    shutil.copy(toy_weights / f"{task}.onnx", folder)
    card = load_card(toy_weights / f"{task}.yaml")
    path = folder / f"{task}.yaml"
    save_card(Card.model_validate(card.model_dump() | changes), path)
    return path


def test_output_is_that_of_the_graph(toy_weights: Path) -> None:
    batch = pictures(3)
    outputs = Session(toy_weights / "colornet.yaml", threads=1)(batch)
    assert list(outputs) == ["logits"]
    assert outputs["logits"].dtype == np.float32
    np.testing.assert_allclose(outputs["logits"], batch.mean((1, 2)) / 255 * 10, rtol=1e-4)


def test_batches_are_split_and_joined_in_order(toy_weights: Path) -> None:
    batch = pictures(7)
    whole = Session(toy_weights / "colornet.yaml", threads=1)(batch)
    parts = Session(toy_weights / "colornet.yaml", threads=1, max_batch=3)(batch)
    np.testing.assert_allclose(parts["logits"], whole["logits"], rtol=1e-5)


@pytest.mark.parametrize(
    ("task", "shapes"),
    [
        ("tcnet", {"boxes": (0, 2, 4), "scores": (0, 2, 4)}),
        ("lprnet", {"logits": (0, 80, 37), "regions": (0, 2)}),
    ],
)
def test_nothing_in_nothing_out(toy_weights: Path, task: str, shapes: dict[str, tuple[int, ...]]) -> None:
    session = Session(toy_weights / f"{task}.yaml", threads=1)
    spec = session.card.input
    outputs = session(np.zeros((0, spec.height, spec.width, 3), np.uint8))
    assert {name: values.shape for name, values in outputs.items()} == shapes


def test_pixels_are_scaled_as_the_card_says(toy_weights: Path, tmp_path: Path) -> None:
    spec = load_card(toy_weights / "colornet.yaml").input.model_dump()
    changed = spec | {"color_order": "BGR", "mean": (10, 20, 30), "scale": 0.5}
    session = Session(altered(toy_weights, tmp_path, "colornet", input=changed), threads=1)
    batch = pictures(2)
    tensor = session.tensor(batch)
    assert tensor.flags.c_contiguous
    expected = 0.5 * (batch[..., ::-1].astype(np.float32) - [10, 20, 30])
    np.testing.assert_allclose(tensor, expected.transpose(0, 3, 1, 2), atol=1e-4)


@pytest.mark.parametrize(
    ("device", "package"),
    [
        ("cuda", "onnxruntime-gpu"),
        ("cuda:1", "onnxruntime-gpu"),
        ("tensorrt", "onnxruntime-gpu"),
        ("openvino", "onnxruntime-openvino"),
        ("directml", "onnxruntime-directml"),
    ],
)
def test_a_missing_provider_names_its_package(
    toy_weights: Path, device: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(UserError, match=f"device {device}: .*pip install {package}"):
        Session(toy_weights / "colornet.yaml", device)


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", ""])
def test_an_unknown_device_names_the_known(toy_weights: Path, device: str) -> None:
    with pytest.raises(UserError, match="one of cpu, cuda, tensorrt"):
        Session(toy_weights / "colornet.yaml", device)


@pytest.mark.parametrize(
    ("task", "changes", "message"),
    [
        ("colornet", {"labels": ("red", "blue")}, "logits has 3 columns, by the card 2"),
        ("colornet", {"outputs": ("colors",)}, "outputs are .*logits.*, the card says .*colors"),
        ("lprnet", {"alphabet": "0123456789"}, "logits has 37 columns, by the card 11"),
        ("lprnet", {"regions": ("only",)}, "regions has 2 columns, by the card 1"),
        ("tcnet", {"input": {"width": 320, "height": 192, "resize": "letterbox"}}, "the card wants images"),
    ],
)
def test_graph_and_card_must_agree(
    toy_weights: Path, tmp_path: Path, task: str, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        Session(altered(toy_weights, tmp_path, task, **changes))


def test_missing_damaged_and_exchanged_files(toy_weights: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such model card"):
        Session(tmp_path / "colornet.yaml")
    path = altered(toy_weights, tmp_path, "colornet")
    onnx = tmp_path / "colornet.onnx"
    onnx.write_bytes(b"no graph")
    with pytest.raises(UserError, match="sha256 differs"):
        Session(path)
    path = altered(toy_weights, tmp_path, "colornet", sha256=hashlib.sha256(b"no graph").hexdigest())
    onnx.write_bytes(b"no graph")
    with pytest.raises(UserError, match="ONNX Runtime cannot load it"):
        Session(path)
    onnx.unlink()
    with pytest.raises(UserError, match="missing"):
        Session(path)
