"""Networks to ONNX and back: fused, opset 17, batch axis dynamic, parameters under their own names."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import numpy_helper
from torch import Tensor, nn

from plateloop.errors import UserError
from plateloop.networks.blocks import fuse
from plateloop.runtime.card import file_sha256

OPSET = 17


def export_onnx(network: nn.Module, example: Tensor, outputs: Sequence[str], path: Path) -> str:
    """Write ``network`` (fused, FP32, evaluation mode; a copy, the given one is untouched) to ``path``.

    ``example`` (B, 3, H, W) is one input; ``outputs`` names the network's outputs in order. Returns the
    file's sha256. Raises ValueError where ONNX Runtime's outputs are not the network's.
    """
    copy = fuse(deepcopy(network).cpu().float().eval())
    axes = {name: {0: "batch"} for name in ("images", *outputs)}
    with warnings.catch_warnings(), torch.inference_mode():
        # The exporter that needs no further package is deprecated, and says so.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            copy,
            (example,),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=["images"],
            output_names=list(outputs),
            dynamic_axes=axes,
            do_constant_folding=False,
        )
        expected = copy(example)
    _state_shapes(path, expected)
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    for name, found in zip(outputs, session.run(list(outputs), {"images": example.numpy()}), strict=True):
        worst = float(np.abs(found - expected[name].numpy()).max())
        if not worst < 1e-3 * max(1.0, float(expected[name].abs().max())):
            raise ValueError(f"{path}: output {name} differs from the network's by {worst:.2g}")
    return file_sha256(path)


def _state_shapes(path: Path, expected: dict[str, Tensor]) -> None:
    """Write the outputs' true sizes into the graph, where the exporter could not infer them."""
    model = onnx.load(path)
    for output in model.graph.output:
        sizes = expected[output.name].shape[1:]
        for dimension, size in zip(output.type.tensor_type.shape.dim[1:], sizes, strict=True):
            dimension.dim_value = size
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def parameters_of(path: Path) -> dict[str, Tensor]:
    """The parameters in the ONNX at ``path``, by the names that they had in the fused network.

    Raises UserError where it is none.
    """
    try:
        graph = onnx.load(path).graph
    except DecodeError:
        raise UserError(f"{path}: not an ONNX file, or damaged") from None
    arrays = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in graph.initializer}
    # Equal parameters are stored once; an Identity gives the others their name.
    copies = {node.output[0]: arrays[node.input[0]] for node in graph.node if node.op_type == "Identity"}
    return arrays | copies
