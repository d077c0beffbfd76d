"""Trains tcnet and lpdnet: from a manifest dataset to an ONNX with its card, curve, metrics and samples."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import date
from itertools import chain
from pathlib import Path
from time import monotonic
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from plateloop.data_preparation.manifest import Record
from plateloop.errors import UserError
from plateloop.networks.blocks import fuse
from plateloop.networks.cost import measure
from plateloop.networks.detector import Detector
from plateloop.networks.losses import detection_losses
from plateloop.runtime.card import Card, Input, Task, Training, load_card, save_card
from plateloop.runtime.session import Session
from plateloop.training.detection.config import DetectorTraining, default
from plateloop.training.detection.contact_sheet import write_contact_sheet
from plateloop.training.detection.evaluate import LOWEST, Judge, Metrics, print_report, summary
from plateloop.training.detection.feed import Batch, Progress, dataset, feed, frame_records, train_records
from plateloop.training.export import export_onnx
from plateloop.training.loop import fit, pick_device, seed_everything
from plateloop.training.saved import read_checkpoint
from plateloop.training.settings import as_yaml, settle
from plateloop.training.warm_start import start_from as warm_start
from plateloop.types import FloatArray, Image

_DESCRIPTIONS = {
    "tcnet": "Vehicles in whole frames: car, bus, truck, motorcycle. One-stage, anchor-free.",
    "lpdnet": "Licence plates and their four corners in vehicle crops and frames. One-stage, anchor-free.",
}


class _Live:
    """A network in torch that runs like a `Session`, to look at it while it learns."""

    def __init__(self, network: nn.Module, card: Card, device: torch.device) -> None:
        self.network, self.card, self.device = network, card, device

    @torch.inference_mode()
    def __call__(self, pictures: Image) -> dict[str, FloatArray]:
        outputs: list[dict[str, Tensor]] = []
        for start in range(0, len(pictures), 32):
            part = torch.from_numpy(pictures[start : start + 32]).to(self.device)
            images = (part.permute(0, 3, 1, 2).float() / 255).contiguous(memory_format=torch.channels_last)
            outputs.append(self.network(images))
        if not outputs:
            return {name: np.zeros((0, 0, 8), np.float32) for name in self.card.outputs}
        return {name: torch.cat([o[name] for o in outputs]).cpu().numpy() for name in self.card.outputs}


def make_card(network: str, config: DetectorTraining, training: Training, sha256: str, onnx: str) -> Card:
    """The card of ``network`` without metrics, its thresholds the defaults."""
    shape = config.network
    cost = measure(fuse(Detector(shape).eval()), torch.zeros(1, 3, shape.height, shape.width))
    return Card(
        task=cast(Task, network),
        description=_DESCRIPTIONS[network],
        onnx=onnx,
        sha256=sha256,
        input=Input(
            width=shape.width,
            height=shape.height,
            resize="letterbox",
            margin=config.plates.margin if network == "lpdnet" else 0.0,
        ),
        outputs=("boxes", "scores", "corners") if shape.corners else ("boxes", "scores"),
        labels=shape.labels,
        gflops=round(cost.gflops, 4),
        parameters=cost.parameters,
        training=training,
    )


def _training(
    config: DetectorTraining,
    records: Sequence[Record],
    device: torch.device,
    minutes: float,
    start: str | None,
) -> Training:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    return Training(
        sources={record.source: record.license for record in sorted(records, key=lambda r: r.source)},
        samples=len(records),
        recipe=config.model_dump(mode="json", exclude={"cache"}),
        started_from=start,
        seed=config.loop.seed,
        date=date.today().isoformat(),
        hardware=name,
        minutes=round(minutes, 1),
    )


def train_detector(
    network: str,
    data: Path,
    out: Path,
    device: str = "cpu",
    config_file: Path | None = None,
    overrides: Sequence[str] = (),
    start_from: Path | None = None,
) -> Metrics:
    """Train ``network`` ("tcnet" or "lpdnet") on the train split of the frames in ``data``.

    ``out`` gets ``config.yaml``, ``curve.csv``, ``best.onnx`` with its card ``best.yaml``, ``metrics.json``
    (on val) and ``samples.png``, and ``last.pt``, from which a later call goes on. Returns the metrics.

    Raises UserError for a configuration, data or weights that do not fit.
    """
    config = settle(default(network), config_file, overrides)
    place = pick_device(device)
    seed_everything(config.loop.seed)
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    folder = dataset(data)
    records, val = train_records(folder, network, config), frame_records(folder, "val")
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.yaml").write_text(as_yaml(config), encoding="utf-8")
    print(as_yaml(config), flush=True)
    detector = Detector(config.network)
    progress = Progress()
    batches = feed(network, folder, records, config, place, progress, config.cache)
    # The first batch decodes all pictures: that is not the schedule's time.
    first = next(batches)
    if start_from is not None and not (out / "last.pt").is_file():
        detector.to(place)
        last = [f"heads.{number}.classes" for number in range(len(detector.heads))]
        warm_start(detector, start_from, first[0].float(), config.network.labels, last)

    def loss(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        images, truth = batch
        return detection_losses(detector.decode(model(images)), truth, detector.centres, config.loss)

    judge = Judge(network, folder, val)
    sketch = make_card(network, config, _training(config, records, place, 0, None), "", "best.onnx")

    def look(model: nn.Module) -> dict[str, float]:
        return summary(judge(cast(Session, _Live(model, sketch, place))).report)

    clock = monotonic()
    average = fit(
        detector,
        config.loop,
        chain([first], batches),
        loss,
        out,
        place,
        look if config.loop.evaluate_every else None,
        progress,
        config.network.labels,
    )
    started = None if start_from is None else hashlib.sha256(start_from.read_bytes()).hexdigest()
    training = _training(config, records, place, (monotonic() - clock) / 60, started)
    return _ship(network, config, cast(Detector, average), training, judge, out)


def _ship(
    network: str, config: DetectorTraining, detector: Detector, training: Training, judge: Judge, out: Path
) -> Metrics:
    """Export, choose the threshold on val, measure there, and write card, metrics and samples."""
    card = export_with_card(network, config, detector, training, out / "best.onnx")
    free = judge(Session(out / "best.yaml"), LOWEST)
    threshold = round(free.report["all"]["best_threshold"], 3)
    card = card.model_copy(update={"score_threshold": threshold})
    save_card(card, out / "best.yaml")
    final = judge(Session(out / "best.yaml")) if network == "lpdnet" else free
    report = {f"val/{name}": values for name, values in final.report.items()}
    save_card(card.model_copy(update={"metrics": report}), out / "best.yaml")
    (out / "metrics.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    print_report(report)
    write_contact_sheet(out / "samples.png", judge.folder, judge.records, final.found, judge.what, threshold)
    return report


def export_with_card(
    network: str, config: DetectorTraining, detector: Detector, training: Training, path: Path
) -> Card:
    """Write the ONNX ``path`` and, as YAML beside it, its card, which has no metrics yet."""
    example = torch.rand(1, 3, config.network.height, config.network.width)
    sha256 = export_onnx(detector, example, detector.outputs, path)
    card = make_card(network, config, training, sha256, path.name)
    save_card(card, path.with_suffix(".yaml"))
    return card


def export_checkpoint(network: str, checkpoint: Path, out: Path) -> Card:
    """Export the averaged weights of a run's ``last.pt`` as ``out/NETWORK.onnx`` with its card.

    ``config.yaml`` must lie beside the checkpoint. A finished run's card is taken over: training,
    threshold and metrics. Raises UserError where a file is missing.
    """
    state = read_checkpoint(checkpoint)
    config = settle(default(network), checkpoint.parent / "config.yaml")
    detector = Detector(config.network)
    try:
        detector.load_state_dict(state["average"])
    except RuntimeError:
        raise UserError(f"{checkpoint}: not a checkpoint of {network}") from None
    out.mkdir(parents=True, exist_ok=True)
    training = _training(config, [], torch.device("cpu"), state["elapsed"] / 60, None)
    card = export_with_card(network, config, detector, training, out / f"{network}.onnx")
    finished = checkpoint.parent / "best.yaml"
    if finished.is_file() and (shipped := load_card(finished)).sha256 == card.sha256:
        card = shipped.model_copy(update={"onnx": card.onnx})
        save_card(card, out / f"{network}.yaml")
    return card
