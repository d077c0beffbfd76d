"""Trains lprnet: real plates and a rolling pool of synthetic ones, CTC and places of characters."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn
from torch.nn import functional as F

from plateloop.data_preparation.manifest import read_manifest
from plateloop.data_preparation.synthetic.glyphs import ENVIRONMENT
from plateloop.data_preparation.synthetic.render import render
from plateloop.data_preparation.synthetic.style import load_styles
from plateloop.networks.blocks import fuse
from plateloop.networks.cost import measure
from plateloop.networks.ctc import ctc_loss, step_loss
from plateloop.networks.lprnet import ALPHABET, HEIGHT, WIDTH, LPRNet
from plateloop.runtime.card import Card, Input, save_card
from plateloop.runtime.session import Session
from plateloop.training.cache import Arrays, cached, digest
from plateloop.training.cards import export_with_card, plan
from plateloop.training.live import Live
from plateloop.training.loop import LoopConfig, Losses, fit, pick_device, seed_everything
from plateloop.training.pictures import captioned
from plateloop.training.reading.batches import Batch, Mix, ReadingBatches
from plateloop.training.reading.data import RealPlates, load_backgrounds, load_real
from plateloop.training.reading.evaluate import (
    compare_rectified,
    evaluate,
    fit_temperature,
    print_metrics,
    save_evaluation,
)
from plateloop.training.reading.plate_pool import PlatePool
from plateloop.training.settings import as_yaml, settle
from plateloop.training.warm_start import start_from
from plateloop.types import Image


class ReaderConfig(BaseModel):
    """The configuration of a training run of lprnet."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    loop: LoopConfig = Field(
        LoopConfig(
            steps=1_000_000,
            minutes=20,
            batch=1024,
            learning_rate=2e-3,
            ema_decay=0.9995,
            clip_norm=5.0,
            evaluate_every=2500,
        ),
        description="optimizer and schedule",
    )
    mix: Mix = Field(Mix(), description="what batches are made of")
    slots: int = Field(200_000, description="synthetic plates kept at a time")
    workers: int = Field(0, description="processes that render plates; 0: half of the cores, at most 16")
    prefill: int = Field(8_000, description="synthetic plates that must be there before training starts")
    pool: Path | None = Field(
        None, description="folder that keeps the synthetic plates; a passing one where not given"
    )
    cache: Path | None = Field(
        None, description="folder on a local disk that keeps the plates cut out between runs"
    )
    glyphs: Path | None = Field(None, description="atlas of fonts; only drawn letterforms where not given")
    backgrounds: int = Field(6000, description="pieces of photographs that lie around synthetic plates")
    limit: int | None = Field(None, description="most pictures of each data set, for trials")
    dropout: float = Field(0.1, description="in the attention blocks")
    steps_weight: float = Field(1.0, description="of the loss on known places of characters")
    regions_weight: float = Field(0.05, description="of the loss on regions")
    compared: int = Field(600, ge=10, description="synthetic plates read by box and rectified, for the card")


def region_names(real: RealPlates, least: int = 20) -> tuple[str, ...]:
    """The regions to tell apart: those of the synthetic styles, and those on ``least`` real plates."""
    made = {style.region for style in load_styles().values() if style.region}
    names, counts = np.unique([r for r in real.regions if r and len(r) == 2], return_counts=True)
    return tuple(sorted(made | {str(n) for n, c in zip(names, counts, strict=True) if c >= least}))


def losses(config: ReaderConfig, model: nn.Module, batch: Batch) -> Losses:
    """The loss terms of a batch."""
    outputs = model(batch.images.to(memory_format=torch.channels_last))
    logits = outputs["logits"]
    nll = ctc_loss(logits, batch.classes, batch.lengths, batch.alike) * batch.weights
    made = batch.synthetic
    terms = {
        "ctc": nll.mean(),
        "steps": config.steps_weight * step_loss(logits[:made], batch.steps),
        "_synthetic": nll[:made].mean(),
        "_real": nll[made:].mean(),
    }
    known = batch.regions >= 0
    regions = F.cross_entropy(outputs["regions"].float(), batch.regions.clamp(min=0), reduction="none")
    terms["regions"] = config.regions_weight * (regions * known).sum() / known.sum().clamp(min=1)
    return terms


def show(batches: ReadingBatches, path: Path) -> None:
    """Save a sheet of one batch as the network sees it; synthetic plates with their step targets."""
    batch = next(batches)
    rows = [
        *range(min(64, batch.synthetic)),
        *range(batch.synthetic, min(len(batch.images), batch.synthetic + 48)),
    ]
    pictures = (batch.images[rows].clamp(0, 1) * 255).byte().permute(0, 2, 3, 1).cpu().numpy()
    signs = {-100: " ", 0: "."} | {index + 1: character for index, character in enumerate(ALPHABET)}
    captions = []
    for row in rows:
        text = "".join(ALPHABET[c - 1] for c in batch.classes[row].tolist() if c)
        if row < batch.synthetic:
            steps = "".join(signs[c] for c in batch.steps[row].tolist())
            text += f"\n{steps[:40].strip('.')}\n{steps[40:].strip('.')}"
        captions.append(text)
    captioned(pictures, captions, path)


def describe(
    regions: tuple[str, ...],
    config: ReaderConfig,
    folders: Sequence[Path],
    samples: int,
    weights: Path | None,
) -> Card:
    """The card of a network that is still to be trained: all but its file, metrics and time."""
    network = LPRNet(len(regions)).eval()
    cost = measure(fuse(network), torch.zeros(1, 3, HEIGHT, WIDTH))
    licences = {
        record.source: record.license
        for folder in folders
        for record in read_manifest(folder)
        if record.split == "train"
        and record.source not in config.mix.balance.hold_out
        and any(plate.text for plate in record.plates)
    }
    return Card(
        task="lprnet",
        description="Reads one plate of one or two rows, A-Z and 0-9: convolutions, attention, CTC.",
        onnx="lprnet.onnx",
        sha256="",
        input=Input(width=WIDTH, height=HEIGHT, resize="stretch", margin=0.06),
        outputs=("logits", "regions"),
        alphabet=ALPHABET,
        regions=regions,
        gflops=round(cost.gflops, 4),
        parameters=cost.parameters,
        training=plan(
            {"synthetic plates": "rendered by plateloop", **dict(sorted(licences.items()))},
            samples,
            config.model_dump(mode="json", exclude={"pool", "glyphs", "cache"}),
            weights,
        ),
    )


def finish(average: nn.Module, out: Path, draft: Card, val: RealPlates, compared: int) -> Path:
    """Export ``average`` with its card, calibrated on ``val``, measured on it and on ``compared`` synthetic
    plates; returns the card's path."""
    card, path = export_with_card(average, draft, out)
    session = Session(path)
    card = card.model_copy(update={"temperature": round(fit_temperature(session, val, card), 3)})
    evaluation = evaluate(session, val, card, "val")
    metrics = evaluation.metrics | compare_rectified(session, card, partial(render, margin=0.0), compared)
    save_card(card.model_copy(update={"metrics": metrics}), path)
    print_metrics(metrics)
    save_evaluation(evaluation, metrics, val, out)
    return path


def prepared(
    config: ReaderConfig, data: Path, folders: Sequence[Path]
) -> tuple[RealPlates, RealPlates, Image]:
    """The real plates of train and of val, and the backgrounds of synthetic ones; kept in the cache."""
    key = digest(folders, [config.limit, config.backgrounds, config.loop.seed])

    def real(split: str) -> RealPlates:
        found = cached(config.cache, split, key, lambda: load_real(folders, split, config.limit).arrays())
        return RealPlates.from_arrays(found)

    def backgrounds() -> Arrays:
        return {"all": load_backgrounds(data / "frames", config.backgrounds, config.loop.seed)}

    return real("train"), real("val"), cached(config.cache, "backgrounds", key, backgrounds)["all"]


def train_reader(
    data: Path, out: Path, device: str, file: Path | None, assignments: Sequence[str], weights: Path | None
) -> Path:
    """Train lprnet on the manifest datasets ``data/crops`` and ``data/frames``; returns the card's path.

    ``file`` and ``assignments`` override the configuration (see ``settle``), ``weights`` is what to start
    from. ``out`` gets the configuration, curve, batches and mistakes as pictures, ONNX, card and metrics; an
    ``out`` that exists is continued.
    """
    config = settle(ReaderConfig(), file, assignments)
    place = pick_device(device)
    seed_everything(config.loop.seed)
    torch.backends.cudnn.benchmark = True
    if config.glyphs is not None:
        os.environ[ENVIRONMENT] = str(config.glyphs)
    began = time.monotonic()
    folders = [data / "crops", data / "frames"]
    real, val, backgrounds = prepared(config, data, folders)
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.yaml").write_text(as_yaml(config), encoding="utf-8")
    regions = region_names(real)
    network = LPRNet(len(regions), config.dropout)
    draft = describe(regions, config, folders, len(real), weights)
    print(f"{len(real)} real plates in {time.monotonic() - began:.0f} s, {len(regions)} regions", flush=True)

    def judge(model: nn.Module) -> dict[str, float]:
        found = evaluate(Live(model, draft, place), val, draft, "val").metrics
        return {name[4:]: round(value["exact"], 4) for name, value in found.items() if "exact" in value}

    workers = config.workers or min(16, max(1, (os.cpu_count() or 2) // 2))
    with (
        TemporaryDirectory() as passing,
        PlatePool(
            config.pool or Path(passing),
            partial(render, margin=0.0),
            config.slots,
            workers,
            config.loop.seed,
            place,
            regions,
        ) as pool,
    ):
        pool.wait_for(min(config.prefill, config.slots))
        print(f"{pool.rendered} synthetic plates after {time.monotonic() - began:.0f} s", flush=True)
        batches = ReadingBatches(real, pool, backgrounds, config.mix, config.loop.batch, regions, place)
        show(batches, out / "batch.png")
        if weights is not None and not (out / "last.pt").is_file():
            start_from(network.to(place), weights, next(batches).images, regions, ("locate",))
        average = fit(
            network, config.loop, batches, partial(losses, config), out, place, judge, meaning=regions
        )
        print(f"{pool.rendered} synthetic plates, {pool.alive} of {workers} workers alive", flush=True)
    return finish(average, out, draft, val, config.compared)
