"""How well lprnet reads: through the exported network and the runtime's own decoding."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from plateloop.geometry import expand_corners, homography
from plateloop.networks.ctc import MAX_LENGTH
from plateloop.networks.lprnet import HEIGHT, WIDTH
from plateloop.runtime.card import Card, package_card
from plateloop.runtime.lprnet import decode
from plateloop.runtime.session import Session
from plateloop.text import edit_distance, fold
from plateloop.training.live import Predict
from plateloop.training.pictures import captioned
from plateloop.training.reading.damage import Damage, crop_shapes, lit, recorded
from plateloop.training.reading.data import (
    CANVAS_HEIGHT,
    CANVAS_WIDTH,
    RIM_X,
    RIM_Y,
    RealPlates,
    load_real,
)
from plateloop.training.reading.geometry import Spread, sample_quads, warp
from plateloop.training.reading.plate_pool import Render, slot_of
from plateloop.types import Image, Reading

"""From pictures (N, 64, 160, 3) uint8 to the network's outputs, as a ``Session`` does."""

Metrics = dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """``metrics`` by set; what was read beside the truth; the mistakes as (truth, read) characters."""

    metrics: Metrics
    readings: tuple[Reading, ...]
    confusions: Counter[tuple[str, str]]


def input_pictures(plates: RealPlates, margin: float) -> Image:
    """What the runtime would give the network: crops as they are, plates' boxes grown by ``margin``."""
    crops = plates.canvases[:, RIM_Y : CANVAS_HEIGHT - RIM_Y, RIM_X : CANVAS_WIDTH - RIM_X]
    pictures = np.ascontiguousarray(crops)
    x, y = WIDTH * margin, HEIGHT * margin
    scale = 1 + 2 * margin
    matrix = np.array(
        [[scale, 0, RIM_X - x + (scale - 1) / 2], [0, scale, RIM_Y - y + (scale - 1) / 2]], np.float32
    )
    for index in np.flatnonzero(plates.boxed):
        pictures[index] = cv2.warpAffine(
            plates.canvases[index],
            matrix,
            (WIDTH, HEIGHT),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
    return pictures


def read(predict: Predict, pictures: Image, card: Card, chunk: int = 512) -> list[Reading]:
    """The readings of ``pictures`` (N, 64, 160, 3)."""
    parts = (decode(predict(pictures[i : i + chunk]), card) for i in range(0, len(pictures), chunk))
    return [reading for part in parts for reading in part]


def score(truths: Sequence[str], readings: Sequence[Reading]) -> dict[str, float]:
    """Share of plates read exactly, the same with O and 0 alike, character error rate, calibration.

    ``calibration`` is the expected calibration error of the confidences in ten bins (Naeini et al. 2015).
    """
    texts = [reading.text for reading in readings]
    right = np.array([truth == text for truth, text in zip(truths, texts, strict=True)])
    alike = [fold(a) == fold(b) for a, b in zip(truths, texts, strict=True)]
    errors = sum(edit_distance(truth, text) for truth, text in zip(truths, texts, strict=True))
    confidence = np.array([reading.confidence for reading in readings])
    bins = np.minimum((confidence * 10).astype(int), 9)
    gaps = [
        (bins == b).mean() * abs(right[bins == b].mean() - confidence[bins == b].mean())
        for b in range(10)
        if (bins == b).any()
    ]
    return {
        "plates": float(len(truths)),
        "exact": float(right.mean()),
        "exact_o0": float(np.mean(alike)),
        "cer": errors / sum(map(len, truths)),
        "calibration": float(sum(gaps)),
    }


def confusions(truths: Sequence[str], readings: Sequence[Reading]) -> Counter[tuple[str, str]]:
    """How often each character was taken for another, on plates read with the right length."""
    pairs = ((t, r.text) for t, r in zip(truths, readings, strict=True) if len(t) == len(r.text))
    return Counter((a, b) for truth, text in pairs for a, b in zip(truth, text, strict=True) if a != b)


def evaluate(predict: Predict, plates: RealPlates, card: Card, split: str) -> Evaluation:
    """Read all ``plates``; figures for each source, over all, and their mean over sources ("macro")."""
    readings = read(predict, input_pictures(plates, card.input.margin), card)
    metrics: Metrics = {}
    for source in sorted(set(plates.sources)):
        rows = [i for i, s in enumerate(plates.sources) if s == source]
        metrics[f"{split}/{source}"] = score([plates.texts[i] for i in rows], [readings[i] for i in rows])
    # A source of a few plates says little, and would weigh as much as any in the mean.
    large = [m for m in metrics.values() if m["plates"] >= 20] or list(metrics.values())
    macro = {key: float(np.mean([m[key] for m in large])) for key in ("exact", "cer")}
    known = [(p, r) for p, r in zip(plates.regions, readings, strict=True) if p in card.regions]
    metrics[f"{split}/all"] = score(plates.texts, readings)
    metrics[f"{split}/macro"] = macro | {"sources": float(len(large))}
    if known:
        named = [(truth, reading.region) for truth, reading in known if reading.region is not None]
        metrics[f"{split}/region"] = {
            "plates": float(len(known)),
            "named": len(named) / len(known),
            "right": float(np.mean([a == b for a, b in named])) if named else 0.0,
        }
    return Evaluation(metrics, tuple(readings), confusions(plates.texts, readings))


def fit_temperature(predict: Predict, plates: RealPlates, card: Card) -> float:
    """The temperature that makes confidences likeliest given what was read right and wrong.

    Least binary cross-entropy of the confidence of the whole text, over 0.5 to 3 (after Guo et al. 2017, who
    fit the classes' likelihood).
    """
    outputs = predict(input_pictures(plates, card.input.margin))

    def cost(temperature: float) -> float:
        readings = decode(outputs, card.model_copy(update={"temperature": temperature}))
        p = np.clip([r.confidence for r in readings], 1e-6, 1 - 1e-6)
        right = np.array([t == r.text for t, r in zip(plates.texts, readings, strict=True)])
        return float(-np.mean(np.where(right, np.log(p), np.log(1 - p))))

    return float(min(np.geomspace(0.5, 3, 19), key=cost))


def error_sheet(evaluation: Evaluation, plates: RealPlates, path: Path, most: int = 96) -> None:
    """Save a picture of plates that were misread: truth above, reading below; a few of each source."""
    wrong = [i for i, r in enumerate(evaluation.readings) if r.text != plates.texts[i]]
    # Round robin over sources, so that none fills the sheet.
    seen: Counter[str] = Counter()
    rank = {}
    for i in wrong:
        rank[i] = seen[plates.sources[i]]
        seen[plates.sources[i]] += 1
    chosen = sorted(wrong, key=lambda i: (rank[i], plates.sources[i]))[:most]
    chosen.sort(key=lambda i: plates.sources[i])
    captions = [
        f"{plates.texts[i]}\n{evaluation.readings[i].text} {evaluation.readings[i].confidence:.2f}\n"
        f"{plates.sources[i][:18]}"
        for i in chosen
    ]
    captioned(plates.canvases[chosen], captions, path)


def compare_rectified(
    predict: Predict, card: Card, render: Render, count: int = 600, seed: int = 0
) -> Metrics:
    """The same ``count`` synthetic plates, tilted and damaged, read as plain box crops and rectified.

    Rectification starts from the damaged pixels of the box crop, as in the cascade, and from corners with an
    error of about 1 % of the plate's size.
    """
    rng, margin = np.random.default_rng(seed), card.input.margin
    plates = [plate for plate in (render(rng) for _ in range(count)) if 1 <= len(plate.text) <= MAX_LENGTH]
    plates.sort(key=lambda plate: -plate.rows)
    slots = np.stack([slot_of(plate) for plate in plates])
    damage, spread = Damage(), Spread(boxes=1, margin_spread=0.01, rotation=7, shear=0.15, perspective=0.08)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        quads = sample_quads(
            torch.from_numpy(slots["aspect"].copy()), torch.full((len(slots),), margin), spread
        )
        whole = torch.tensor([[0.0, 0.0], [WIDTH, 0.0], [WIDTH, HEIGHT], [0.0, HEIGHT]])
        images = warp(torch.from_numpy(slots["image"].transpose(0, 3, 1, 2).copy()), whole, quads).images
        shapes = crop_shapes(sum(plate.rows == 2 for plate in plates), len(plates), damage)
        damaged = recorded(lit(images, damage), damage, *shapes)
        errors = 0.01 * torch.randn(quads.shape) * torch.tensor([WIDTH, HEIGHT])
    boxes = np.ascontiguousarray((damaged * 255).round().byte().permute(0, 2, 3, 1).numpy())
    corners = expand_corners((quads + errors).numpy(), margin)
    rectified = np.stack(
        [
            cv2.warpPerspective(
                picture,
                homography(quad - np.float32(0.5), whole.numpy() - np.float32(0.5)),
                (WIDTH, HEIGHT),
                borderMode=cv2.BORDER_REPLICATE,
            )
            for picture, quad in zip(boxes, corners, strict=True)
        ]
    ).astype(np.uint8)
    truths = [plate.text for plate in plates]
    return {
        "synthetic/boxes": score(truths, read(predict, boxes, card)),
        "synthetic/rectified": score(truths, read(predict, rectified, card)),
    }


def save_evaluation(evaluation: Evaluation, metrics: Metrics, plates: RealPlates, out: Path) -> None:
    """Leave ``metrics.json``, ``mistakes.png``, ``confusions.csv`` and ``readings.csv`` in ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "metrics.json").write_text(json.dumps(metrics, indent=1), encoding="utf-8")
    error_sheet(evaluation, plates, out / "mistakes.png")
    with (out / "confusions.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["truth", "read", "times"])
        writer.writerows((*pair, times) for pair, times in evaluation.confusions.most_common())
    with (out / "readings.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["source", "file", "truth", "read", "confidence"])
        for row in zip(plates.sources, plates.files, plates.texts, evaluation.readings, strict=True):
            *known, reading = row
            writer.writerow([*known, reading.text, f"{reading.confidence:.4f}"])


def print_metrics(metrics: Metrics) -> None:
    """Print one line a set."""
    for name, values in metrics.items():
        print(f"{name:32}", *(f"{key} {value:.4g}" for key, value in values.items()), flush=True)


def evaluate_reader(data: Path, card_path: Path | None, split: str, device: str, out: Path | None) -> Metrics:
    """Measure the lprnet of ``card_path`` (the packaged one if None) on ``data/crops`` and ``data/frames``.

    Prints the figures; ``out`` gets them as files, with a sheet of what was misread.
    """
    session = Session(card_path or package_card("lprnet"), device)
    plates = load_real([data / "crops", data / "frames"], split)
    evaluation = evaluate(session, plates, session.card, split)
    print_metrics(evaluation.metrics)
    if out is not None:
        save_evaluation(evaluation, evaluation.metrics, plates, out)
    return evaluation.metrics
