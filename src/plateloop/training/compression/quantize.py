"""Smaller numbers for a network that is trained: INT8 with measured ranges, or FP16; judged on val.

Static quantization (Jacob et al. 2018) in the Q/DQ form, weights by channel, with what follows the last
weighted layer (places, probabilities) in FP32. Where that costs too much accuracy, the layers whose
quantization alone disturbs the outputs most go back to FP32, until it does not.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import onnx
from pydantic import BaseModel, ConfigDict, Field

from plateloop.errors import UserError
from plateloop.runtime.card import Card, file_sha256, load_card, onnx_path, save_card
from plateloop.runtime.session import Session
from plateloop.training.compression.calibration import calibration_pictures
from plateloop.training.tuning.objective import Verdict, val_judge
from plateloop.types import FloatArray, Image

WEIGHTED = {"Conv", "MatMul", "Gemm"}


class QuantizeConfig(BaseModel):
    """How a network is quantized."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    precision: Literal["int8", "fp16"] = Field("int8", description="int8, or fp16 for GPUs")
    target: Literal["cpu", "tensorrt"] = Field(
        "cpu",
        description="whose int8: activations unsigned with a zero point, or signed and symmetric",
    )
    pictures: int = Field(128, ge=1, description="pictures of train on which ranges are measured")
    probes: int = Field(8, ge=1, description="of these, on which a layer's sensitivity is measured")
    max_loss: float = Field(0.01, ge=0, description="most that the figure on val may fall, as a share")
    minutes: float = Field(3.0, gt=0, description="most time for the sensitivity of all layers")
    limit: int | None = Field(None, description="pictures of val at most, for trials")
    threads: int = Field(1, ge=1, description="CPU threads with which both are timed")


_Candidate = tuple[Path, Session, Verdict, tuple[str, ...]]
"""An ONNX, its session and verdict, and the layers kept in FP32."""


class LossError(Exception):
    """The network cannot be quantized within the loss that is allowed."""


@dataclass(frozen=True, slots=True)
class Quantized:
    """What was written: ``card``, the verdicts on val ``before`` and ``after``, ``speed`` (how many times as
    fast as before, same run, same CPU) and the layers ``kept`` in FP32."""

    card: Card
    before: Verdict
    after: Verdict
    speed: float
    kept: tuple[str, ...]


class _Batches:
    """Calibration data as ONNX Runtime reads it: one batch a call, None at the end."""

    def __init__(self, batches: Iterator[FloatArray]) -> None:
        self._batches = batches

    def get_next(self) -> dict[str, FloatArray] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"images": batch}

    def __iter__(self) -> Iterator[dict[str, FloatArray]]:
        return iter(self.get_next, None)


def weighted_layers(model: onnx.ModelProto) -> tuple[list[str], list[str]]:
    """The names of the layers with weights, and of the nodes after the last of them, in the graph's order."""
    constants = {tensor.name for tensor in model.graph.initializer}
    nodes = list(model.graph.node)
    layers = [
        row
        for row, node in enumerate(nodes)
        if node.op_type in WEIGHTED and constants.intersection(node.input)
    ]
    last: int = layers[-1]
    return [nodes[row].name for row in layers], [node.name for node in nodes[last + 1 :]]


def quantize(card_path: Path, data: Path, out: Path, config: QuantizeConfig) -> Quantized:
    """Quantize the network of ``card_path`` into ``out/TASK.onnx`` with its card.

    ``data`` is a folder of manifest datasets: ranges are measured on train, the figures on val. Raises
    LossError, with nothing written, where the figure falls by more than is allowed; UserError where the
    network is quantized already.
    """
    card = load_card(card_path)
    if card.precision != "fp32":
        raise UserError(f"{card_path}: is {card.precision} already; give the card of the FP32 network")
    source = onnx_path(card_path, card)
    original = Session(card_path, threads=config.threads)
    judge = val_judge(card.task, data, config.limit)
    before = judge(original)
    print(f"FP32: {before.figure:.4f}", flush=True)
    pictures = calibration_pictures(data, card, config.pictures)
    with TemporaryDirectory() as folder:
        place = Path(folder)
        path, session, after, kept = _smaller(card, source, original, pictures, judge, before, config, place)
        loss = before.figure - after.figure
        if loss > config.max_loss:
            raise LossError(
                f"{card.task}: {config.precision} loses {loss:.4f} on val ({before.figure:.4f} → "
                f"{after.figure:.4f}), more than --max-loss {config.max_loss:g}; nothing was written"
            )
        speed = _speed(original, session, pictures[:1])
        out.mkdir(parents=True, exist_ok=True)
        (out / f"{card.task}.onnx").write_bytes(path.read_bytes())
    figures = {
        "before": before.figure,
        "after": after.figure,
        "speed": speed,
        "kept_layers": float(len(kept)),
    }
    finished = session.card.model_copy(
        update={
            "onnx": f"{card.task}.onnx",
            "metrics": after.report | {f"{config.precision}/val": figures},
            "made_from": card.sha256,
        }
    )
    save_card(finished, out / f"{card.task}.yaml")
    return Quantized(finished, before, after, speed, kept)


def _smaller(
    card: Card,
    source: Path,
    original: Session,
    pictures: Image,
    judge: Callable[[Session], Verdict],
    before: Verdict,
    config: QuantizeConfig,
    place: Path,
) -> _Candidate:
    """The graph that loses little enough; the best there is where all lose too much."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    def judged(path: Path) -> tuple[Session, Verdict]:
        session = _session(card, path, config)
        return session, judge(session)

    path, prepared = place / f"{card.task}.onnx", place / "prepared.onnx"
    quant_pre_process(source, prepared, skip_symbolic_shape=True)
    layers, ending = weighted_layers(onnx.load(prepared))
    if config.precision == "fp16":
        _write_half(prepared, ending, path)
        return (path, *judged(path), ())
    build = _builder(prepared, ending, pictures, original, config)
    build(path)
    best: _Candidate = (path, *judged(path), ())
    print(f"INT8, all {len(layers)} layers: {best[2].figure:.4f}", flush=True)
    if before.figure - best[2].figure <= config.max_loss:
        return best
    order = _by_sensitivity(card, layers, build, original, pictures[: config.probes], config, place)
    count = 1
    while count <= len(layers) // 2 and before.figure - best[2].figure > config.max_loss:
        other = place / f"{count}.onnx"
        build(other, order[:count])
        session, verdict = judged(other)
        print(f"INT8, {count} layers in FP32: {verdict.figure:.4f}", flush=True)
        if verdict.figure > best[2].figure:
            best = (other, session, verdict, tuple(order[:count]))
        count *= 2
    return best


def _builder(
    prepared: Path, ending: Sequence[str], pictures: Image, original: Session, config: QuantizeConfig
) -> Callable[..., None]:
    """A function that writes the INT8 graph without the layers ``kept``, or of the layers ``only``; ranges
    are measured once, and the ``ending`` stays in FP32."""
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    ranges = prepared.with_name("ranges.json")
    signed = config.target == "tensorrt"

    def batches() -> Iterator[FloatArray]:
        for start in range(0, len(pictures), 8):
            yield original.tensor(pictures[start : start + 8]).copy()

    def build(path: Path, kept: Sequence[str] = (), only: Sequence[str] | None = None) -> None:
        quantize_static(
            prepared,
            path,
            None if ranges.exists() else _Batches(batches()),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QInt8 if signed else QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_quantize=only,
            nodes_to_exclude=[*ending, *kept],
            calibrate_method=CalibrationMethod.MinMax,
            calibration_cache_path=ranges,
            extra_options={"ActivationSymmetric": signed},
        )

    # It advises preparations that are done, by way of the root logger.
    logging.getLogger().setLevel(logging.ERROR)
    return build


def _by_sensitivity(
    card: Card,
    layers: Sequence[str],
    build: Callable[..., None],
    original: Session,
    pictures: Image,
    config: QuantizeConfig,
    place: Path,
) -> list[str]:
    """``layers``, those first whose quantization alone disturbs the outputs most; those that the time did
    not suffice for come last."""
    truth = original(pictures)
    deadline = time.monotonic() + 60 * config.minutes
    errors: dict[str, float] = {}
    path = place / "one.onnx"
    for layer in layers:
        if time.monotonic() > deadline:
            print(f"sensitivity: {len(errors)} of {len(layers)} layers in {config.minutes:g} min", flush=True)
            break
        build(path, (), [layer])
        errors[layer] = disturbance(truth, _session(card, path, config)(pictures))
    return sorted(layers, key=lambda layer: -errors.get(layer, 0.0))


def disturbance(truth: Mapping[str, FloatArray], found: Mapping[str, FloatArray]) -> float:
    """How far outputs moved: squared error over variance, the mean over outputs. A detector's cells weigh by
    their score, since most of them show nothing."""
    weights = truth["scores"].max(-1, keepdims=True) if "scores" in truth else np.float32(1)
    total = 0.0
    for name, values in truth.items():
        moved = (weights * (found[name] - values) ** 2).mean()
        total += float(moved / max(float((weights * (values - values.mean()) ** 2).mean()), 1e-12))
    return total / len(truth)


def _write_half(prepared: Path, ending: Sequence[str], path: Path) -> None:
    """FP16 but for input, outputs and ``ending``: FP16 counts pixels above 512 by halves."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    half: Any = convert_float_to_float16(
        onnx.load(prepared), keep_io_types=True, node_block_list=list(ending)
    )
    onnx.save(half, path)


def _session(card: Card, path: Path, config: QuantizeConfig) -> Session:
    """A session of the graph at ``path``, whose card is written beside it."""
    changes = {
        "onnx": path.name,
        "sha256": file_sha256(path),
        "precision": config.precision,
    }
    beside = path.with_suffix(".yaml")
    save_card(card.model_copy(update=changes), beside)
    return Session(beside, threads=config.threads)


def _speed(before: Session, after: Session, picture: Image, rounds: int = 25) -> float:
    """How many times as fast ``after`` runs one picture, by the medians of runs taken in turn."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for session, spent in zip((before, after), times, strict=True):
            start = time.perf_counter()
            session(picture)
            spent.append(time.perf_counter() - start)
    return float(np.median(times[0]) / np.median(times[1]))
