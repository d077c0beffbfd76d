"""Trains tcnet and lpdnet: from a manifest dataset to an ONNX with its card, curve, metrics and samples."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from plateloop.data_preparation.manifest import Record
from plateloop.networks.blocks import fuse
from plateloop.networks.cost import measure
from plateloop.networks.detector import Detector
from plateloop.networks.losses import detection_losses
from plateloop.runtime.card import Card, Input, Task, save_card
from plateloop.runtime.session import Session
from plateloop.training.cards import export_with_card, plan
from plateloop.training.detection.config import DetectorTraining, default
from plateloop.training.detection.contact_sheet import write_contact_sheet
from plateloop.training.detection.evaluate import Judge, Metrics, print_report, summary
from plateloop.training.detection.feed import Batch, Progress, dataset, feed, frame_records, train_records
from plateloop.training.detection.find import LOWEST
from plateloop.training.live import Live
from plateloop.training.loop import fit, pick_device, seed_everything
from plateloop.training.settings import as_yaml, settle
from plateloop.training.warm_start import start_from as warm_start

_DESCRIPTIONS = {
    "tcnet": "Vehicles in whole frames: car, bus, truck, motorcycle. One-stage, anchor-free.",
    "lpdnet": "Licence plates and their four corners in vehicle crops and frames. One-stage, anchor-free.",
}


def describe(network: str, config: DetectorTraining, records: Sequence[Record], weights: Path | None) -> Card:
    """The card of a network that is still to be trained: all but its file, threshold, metrics and time."""
    shape = config.network
    cost = measure(fuse(Detector(shape).eval()), torch.zeros(1, 3, shape.height, shape.width))
    return Card(
        task=cast(Task, network),
        description=_DESCRIPTIONS[network],
        onnx=f"{network}.onnx",
        sha256="",
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
        training=plan(
            {record.source: record.license for record in sorted(records, key=lambda r: r.source)},
            len(records),
            config.model_dump(mode="json", exclude={"cache"}),
            weights,
        ),
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

    ``out`` gets ``config.yaml``, ``curve.csv``, the ONNX with its card, ``metrics.json`` (on val) and
    ``samples.png``, and ``last.pt``, from which a later call goes on. Returns the metrics.

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
    draft = describe(network, config, records, start_from)

    def look(model: nn.Module) -> dict[str, float]:
        return summary(judge(cast(Session, Live(model, draft, place))).report)

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
    return _finish(average, out, draft, judge)


def _finish(average: nn.Module, out: Path, draft: Card, judge: Judge) -> Metrics:
    """Export, choose the threshold on val, measure there, and write card, metrics and samples."""
    card, path = export_with_card(average, draft, out)
    free = judge(Session(path), LOWEST)
    threshold = round(free.report["all"]["best_threshold"], 3)
    card = card.model_copy(update={"score_threshold": threshold})
    save_card(card, path)
    final = judge(Session(path)) if card.task == "lpdnet" else free
    report = {f"val/{name}": values for name, values in final.report.items()}
    save_card(card.model_copy(update={"metrics": report}), path)
    (out / "metrics.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    print_report(report)
    write_contact_sheet(out / "samples.png", judge.folder, judge.records, final.found, judge.what, threshold)
    return report
