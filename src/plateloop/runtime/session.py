"""One network in ONNX Runtime: uint8 pictures in, arrays out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from plateloop.errors import UserError
from plateloop.runtime.card import Card, load_card, onnx_path
from plateloop.types import FloatArray, Image

_PROVIDERS = {
    "cpu": ("CPUExecutionProvider", "onnxruntime"),
    "cuda": ("CUDAExecutionProvider", "onnxruntime-gpu"),
    "tensorrt": ("TensorrtExecutionProvider", "onnxruntime-gpu"),
    "openvino": ("OpenVINOExecutionProvider", "onnxruntime-openvino"),
    "coreml": ("CoreMLExecutionProvider", "onnxruntime"),
    "directml": ("DmlExecutionProvider", "onnxruntime-directml"),
}


class Session:
    """A network, ready to run on one device.

    ``device`` is cpu, cuda, tensorrt, openvino, coreml or directml, with a number where there are several
    (cuda:1). ``threads`` is the number of CPU threads, 0: one a core. ``max_batch`` is the largest batch that
    runs at once (larger ones are split), None: 4 on the CPU, where more gains nothing, else 64. Not to be
    called by two threads at once.

    Raises UserError where the card or its ONNX is missing, where they disagree, or where this ONNX Runtime
    has no such device.
    """

    def __init__(
        self, card_path: Path, device: str = "cpu", threads: int = 0, max_batch: int | None = None
    ) -> None:
        self.card: Card = load_card(card_path)
        self.device = device
        self.max_batch = max_batch or (4 if device == "cpu" else 64)
        path = onnx_path(card_path, self.card)
        provider = _provider(device)
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Threads that wait busily would take the cores from decoding and from the other networks.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(path, options, providers=[provider])
        except Exception as error:  # ONNX Runtime's own errors have no common class
            raise UserError(f"{path}: ONNX Runtime cannot load it: {str(error).splitlines()[0]}") from None
        if self._session.get_providers()[0] != provider[0]:
            raise UserError(f"device {device}: {provider[0]} failed to start; check its driver and libraries")
        _check(self._session, self.card, path)
        self._buffer = np.empty((0, 3, self.card.input.height, self.card.input.width), np.float32)
        self._shapes = [tuple(output.shape[1:]) for output in self._session.get_outputs()]

    def __call__(self, pictures: Image) -> dict[str, FloatArray]:
        """Run ``pictures`` (N, H, W, 3), RGB uint8 of the card's input size.

        Returns each output by name, float32 with N rows; N may be 0.
        """
        names = self.card.outputs
        if not len(pictures):
            shapes = zip(names, self._shapes, strict=True)
            return {name: np.zeros((0, *shape), np.float32) for name, shape in shapes}
        starts = range(0, len(pictures), self.max_batch)
        parts = [
            self._session.run(names, {"images": self.tensor(pictures[start : start + self.max_batch])})
            for start in starts
        ]
        if len(parts) == 1:
            return dict(zip(names, parts[0], strict=True))
        return {name: np.concatenate(arrays) for name, *arrays in zip(names, *parts, strict=True)}

    def tensor(self, pictures: Image) -> FloatArray:
        """The network's input for ``pictures``: (N, 3, H, W) float32, scaled as the card says.

        It lies in a buffer of the session's own, which the next call overwrites.
        """
        card = self.card.input
        channels = pictures[..., ::-1] if card.color_order == "BGR" else pictures
        if len(self._buffer) < len(pictures):
            self._buffer = np.empty((len(pictures), 3, card.height, card.width), np.float32)
        tensor = self._buffer[: len(pictures)]
        np.multiply(channels.transpose(0, 3, 1, 2), np.float32(card.scale), out=tensor)
        if any(card.mean):
            tensor -= np.array(card.mean, np.float32)[:, None, None] * np.float32(card.scale)
        return tensor


def _provider(device: str) -> tuple[str, dict[str, Any]]:
    """The provider of ``device`` and its options, if this ONNX Runtime has it."""
    match = re.fullmatch(r"(\w+?)(?::(\d+))?", device)
    if match is None or match[1] not in _PROVIDERS:
        raise UserError(f"device {device}: unknown; one of {', '.join(_PROVIDERS)}, such as cuda:0")
    name, package = _PROVIDERS[match[1]]
    if name not in ort.get_available_providers():
        raise UserError(
            f"device {device}: this ONNX Runtime has no {name}; "
            f"`pip uninstall onnxruntime`, then `pip install {package}`"
        )
    return name, {"device_id": match[2]} if match[2] else {}


def _check(session: Any, card: Card, path: Path) -> None:
    """That the graph's input and outputs are what the card says."""
    size = [3, card.input.height, card.input.width]
    inputs = [(node.name, node.shape[1:], node.type) for node in session.get_inputs()]
    if inputs != [("images", size, "tensor(float)")]:
        raise UserError(f"{path}: its inputs are {inputs}, the card wants images {size} tensor(float)")
    outputs = tuple(node.name for node in session.get_outputs())
    if outputs != card.outputs:
        raise UserError(f"{path}: its outputs are {outputs}, the card says {card.outputs}")
    classes = len(card.alphabet) + 1 if card.task == "lprnet" else len(card.labels)
    widths = {"boxes": 4, "corners": 8, "scores": classes, "logits": classes, "regions": len(card.regions)}
    for node in session.get_outputs():
        if node.name in widths and node.shape[-1] != widths[node.name]:
            raise UserError(
                f"{path}: output {node.name} has {node.shape[-1]} columns, by the card {widths[node.name]}"
            )
