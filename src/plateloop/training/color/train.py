"""Trains colornet: labelled pictures first, then with street vehicles whose colour it is sure of."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional as F

from plateloop.data_preparation.manifest import read_manifest
from plateloop.networks.blocks import fuse
from plateloop.networks.colornet import SIDE, ColorNet
from plateloop.networks.cost import measure
from plateloop.runtime.card import Card, Input, save_card
from plateloop.runtime.session import Session
from plateloop.training.cards import export_with_card, plan
from plateloop.training.color.data import LABELS, Vehicles, load_colors, load_street
from plateloop.training.color.evaluate import (
    evaluate,
    fit_temperature,
    print_metrics,
    save_evaluation,
)
from plateloop.training.live import Live
from plateloop.training.loop import LoopConfig, Losses, fit, pick_device, seed_everything
from plateloop.training.pictures import captioned
from plateloop.training.reading.damage import Damage, dirty, lit, recorded
from plateloop.training.settings import as_yaml, settle
from plateloop.training.warm_start import start_from

STORED = 160
"""Side of the stored pictures: larger than the network's input, so that augmentation can zoom in."""


class ColorConfig(BaseModel):
    """The configuration of a training run of colornet."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    loop: LoopConfig = Field(
        LoopConfig(
            steps=3000, batch=256, learning_rate=2e-3, ema_decay=0.998, clip_norm=5.0, weight_decay=0.05
        ),
        description="optimizer and schedule of each of the two rounds",
    )
    damage: Damage = Field(
        Damage(
            contrast=0.12,
            brightness=0.04,
            gamma=0.12,
            cast=0.03,
            grey=0.0,
            invert=0.0,
            shading=0.25,
            glare=0.1,
            dirt=0.3,
            smallest=24,
            sharp=0.4,
            blur=0.3,
            noise=0.02,
            jpeg=0.4,
            group=16,
        ),
        description="how vehicles are seen; nothing that turns one colour into another",
    )
    zoom: float = Field(0.12, description="standard deviation of the logarithm of the crop's size")
    shift: float = Field(0.06, description="of the crop's place, share of the picture")
    rotation: float = Field(4.0, description="degrees")
    mixup: float = Field(
        0.2, description="both parameters of the Beta law by which pictures are mixed; 0: never"
    )
    smoothing: float = Field(0.1, description="share of the target spread over all colours")
    trust: dict[str, float] = Field(
        default_factory=lambda: {"gray": 0.9, "beige": 0.6}, description="colour → weight of its loss"
    )
    often: dict[str, float] = Field(
        # Gray is two colours of the labels, and the nearest neighbour of most others.
        default_factory=lambda: (
            {"black": 1.0, "gray": 1.8, "white": 1.0}
            | dict.fromkeys(("red", "blue", "green", "yellow"), 0.8)
            | dict.fromkeys(("orange", "brown", "beige", "purple", "pink"), 0.6)
        ),
        description="how often each colour is drawn, whatever the number of its pictures",
    )
    street: int = Field(6000, description="unlabelled street vehicles of the second round; 0: one round only")
    street_share: float = Field(0.3, description="share of them in a batch")
    sure: float = Field(0.85, description="least confidence for a street vehicle's colour to be believed")
    dropout: float = Field(0.2, description="before the classifier")
    limit: int | None = Field(None, description="most labelled pictures, for trials")


@dataclass(frozen=True, slots=True)
class Batch:
    """``images`` (B, 3, 128, 128) 0 to 1, ``targets`` (B, labels) that sum to 1, ``weights`` (B,)."""

    images: Tensor
    targets: Tensor
    weights: Tensor


class ColorBatches(Iterator[Batch]):
    """Endless augmented batches of ``vehicles``, a share ``config.street_share`` of them from ``street``."""

    def __init__(
        self, vehicles: Vehicles, street: Vehicles | None, config: ColorConfig, device: torch.device
    ) -> None:
        self._config, self._device = config, device
        sets = [vehicles] if street is None else [vehicles, street]
        self._pictures = (
            torch.from_numpy(np.concatenate([s.pictures for s in sets])).permute(0, 3, 1, 2).to(device)
        )
        labels = np.concatenate([s.labels for s in sets])
        self._labels = torch.from_numpy(labels).to(device)
        draws = []
        for number, part in enumerate(sets):
            share = 1.0 if len(sets) == 1 else (1 - config.street_share, config.street_share)[number]
            counts = np.bincount(part.labels, minlength=len(LABELS))
            # Street vehicles keep some of their own statistics, pictures with labels are balanced.
            power = (1.0, 0.5)[number]
            often = np.array([config.often[label] for label in LABELS])
            each = (often / np.maximum(counts, 1) ** power)[part.labels]
            draws.append(share * each / each.sum())
        self._draw = torch.from_numpy(np.concatenate(draws)).float().to(device)
        trust = torch.tensor([config.trust.get(label, 1.0) for label in LABELS], device=device)
        self._trust = trust[self._labels]

    def __iter__(self) -> ColorBatches:
        return self

    @torch.no_grad()
    def __next__(self) -> Batch:
        config, size = self._config, self._config.loop.batch
        pick = torch.multinomial(self._draw, size, replacement=True)
        images = cut(self._pictures[pick], config)
        images = recorded(
            lit(dirty(images, config.damage), config.damage),
            config.damage,
            torch.full((size,), float(config.damage.smallest)),
            torch.ones(size),
        )
        targets = F.one_hot(self._labels[pick], len(LABELS)).float()
        targets = targets * (1 - config.smoothing) + config.smoothing / len(LABELS)
        if config.mixup:
            law = torch.distributions.Beta(config.mixup, config.mixup)
            share = law.sample((size,)).to(self._device)
            images = torch.lerp(images.flip(0), images, share[:, None, None, None])
            targets = torch.lerp(targets.flip(0), targets, share[:, None])
        return Batch(images, targets, self._trust[pick])


def cut(pictures: Tensor, config: ColorConfig) -> Tensor:
    """Zoomed, shifted, rotated and mirrored views (N, 3, 128, 128), 0 to 1, of ``pictures`` (uint8)."""
    n, device = len(pictures), pictures.device
    normal = torch.randn(n, 5, device=device).clamp(-2, 2)
    scale = torch.exp(config.zoom * normal[:, :2] - config.zoom / 2)
    angle = math.radians(config.rotation) * normal[:, 2]
    mirror = torch.where(torch.rand(n, device=device) < 0.5, -1.0, 1.0)
    matrix = torch.stack(
        [
            torch.stack(
                [
                    scale[:, 0] * angle.cos() * mirror,
                    -scale[:, 0] * angle.sin(),
                    2 * config.shift * normal[:, 3],
                ],
                1,
            ),
            torch.stack(
                [
                    scale[:, 1] * angle.sin() * mirror,
                    scale[:, 1] * angle.cos(),
                    2 * config.shift * normal[:, 4],
                ],
                1,
            ),
        ],
        1,
    )
    grid = F.affine_grid(matrix, [n, 3, SIDE, SIDE], align_corners=False)
    return F.grid_sample(pictures.float() / 255, grid, padding_mode="reflection", align_corners=False)


def losses(model: nn.Module, batch: Batch) -> Losses:
    """Cross-entropy with the mixed targets, and the share of them found."""
    logits = model(batch.images.contiguous(memory_format=torch.channels_last))["logits"].float()
    loss = F.cross_entropy(logits, batch.targets, reduction="none")
    hit = (logits.argmax(1) == batch.targets.argmax(1)).float().mean()
    return {"colors": (loss * batch.weights).mean(), "_right": hit}


def believed(model: nn.Module, street: Vehicles, sure: float, device: torch.device) -> Vehicles:
    """Those of ``street`` whose colour ``model`` is sure of, seen straight and mirrored, with that colour."""
    probabilities = []
    for start in range(0, len(street), 256):
        images = (
            torch.from_numpy(street.pictures[start : start + 256]).to(device).permute(0, 3, 1, 2).float()
            / 255
        )
        images = F.interpolate(images, (SIDE, SIDE), mode="bilinear", antialias=True)
        with torch.inference_mode():
            both = [model(view)["logits"].softmax(-1) for view in (images, images.flip(3))]
        probabilities.append((both[0] + both[1]).cpu() / 2)
    confidence, labels = torch.cat(probabilities).max(1)
    keep = np.flatnonzero((confidence >= sure).numpy())
    return Vehicles(
        street.pictures[keep], labels.numpy()[keep].astype(np.int64), tuple(street.files[i] for i in keep)
    )


def train_color(
    data: Path, out: Path, device: str, file: Path | None, assignments: Sequence[str], weights: Path | None
) -> Path:
    """Train colornet on the manifest datasets ``data/colors`` and ``data/frames``; returns the card's path.

    ``file`` and ``assignments`` override the configuration (see ``settle``), ``weights`` is what to start
    from. ``out`` gets the configuration, curves, sample pictures, ONNX, card and metrics; an ``out`` that
    exists is continued.
    """
    config = settle(ColorConfig(), file, assignments)
    place = pick_device(device)
    seed_everything(config.loop.seed)
    train = load_colors(data / "colors", "train", STORED, config.limit)
    val = load_colors(data / "colors", "val", SIDE, config.limit)
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.yaml").write_text(as_yaml(config), encoding="utf-8")
    network = ColorNet(len(LABELS), config.dropout)
    draft = describe(data, config, len(train), weights)

    def judge(model: nn.Module) -> dict[str, float]:
        metrics, _ = evaluate(Live(model, draft, place), val, draft, "val")
        return {name[4:]: round(value["right"], 4) for name, value in metrics.items()}

    first = out / "first" if config.street else out
    batches = ColorBatches(train, None, config, place)
    sample = next(batches)
    pictures = (sample.images[:96] * 255).byte().permute(0, 2, 3, 1).cpu().numpy()
    names = [LABELS[i] for i in sample.targets[:96].argmax(1).tolist()]
    captioned(pictures, names, out / "batch.png", columns=12)
    if weights is not None and not (first / "last.pt").is_file():
        start_from(network.to(place), weights, sample.images, LABELS, ("classify",))
    average = fit(network, config.loop, batches, losses, first, place, judge, meaning=LABELS)
    if config.street:
        street = load_street(data / "frames", "train", config.street, 40, STORED, config.loop.seed)
        sure = believed(average, street, config.sure, place)
        counts = np.bincount(sure.labels, minlength=len(LABELS)).tolist()
        print(f"believed {len(sure)} of {len(street)}:", dict(zip(LABELS, counts, strict=True)), flush=True)
        batches = ColorBatches(train, sure, config, place)
        network = ColorNet(len(LABELS), config.dropout)
        average = fit(network, config.loop, batches, losses, out, place, judge, meaning=LABELS)
    return finish(average, data, out, draft, val)


def describe(data: Path | None, config: ColorConfig, samples: int, weights: Path | None) -> Card:
    """The card of a network that is still to be trained: all but its file, metrics and time.

    Without ``data`` it names no sources.
    """
    cost = measure(fuse(ColorNet(len(LABELS)).eval()), torch.zeros(1, 3, SIDE, SIDE))
    folders = ("colors", "frames") if config.street else ("colors",)
    licences = {
        record.source: record.license
        for folder in folders
        if data is not None
        for record in read_manifest(data / folder)
        if record.split == "train" and record.vehicles
    }
    return Card(
        task="colornet",
        description="Names the colour of one vehicle. Gray stands for gray and silver.",
        onnx="colornet.onnx",
        sha256="",
        input=Input(width=SIDE, height=SIDE, resize="stretch"),
        outputs=("logits",),
        labels=LABELS,
        gflops=round(cost.gflops, 4),
        parameters=cost.parameters,
        training=plan(
            dict(sorted(licences.items())), samples + config.street, config.model_dump(mode="json"), weights
        ),
    )


def finish(average: nn.Module, data: Path, out: Path, draft: Card, val: Vehicles) -> Path:
    """Export ``average`` with its card, calibrated and measured on ``val``; returns the card's path."""
    card, path = export_with_card(average, draft, out)
    session = Session(path)
    card = card.model_copy(update={"temperature": round(fit_temperature(session, val), 3)})
    metrics, found = evaluate(session, val, card, "val")
    save_card(card.model_copy(update={"metrics": metrics}), path)
    print_metrics(metrics)
    street = load_street(data / "frames", "val", 144, 40, SIDE, seed=0)
    save_evaluation(metrics, val, found, street, session, card, out)
    return path
