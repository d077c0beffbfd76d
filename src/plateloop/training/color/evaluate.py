"""How well colornet names colours: through the exported network and the runtime's own decoding."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np

from plateloop.networks.colornet import SIDE
from plateloop.runtime.card import Card, package_card
from plateloop.runtime.colornet import decode
from plateloop.runtime.session import Session
from plateloop.training.color.data import COMMON, LABELS, Vehicles, load_colors, load_street
from plateloop.training.live import Predict
from plateloop.training.pictures import captioned
from plateloop.types import IntArray

Metrics = dict[str, dict[str, float]]


def confusion_matrix(truth: IntArray, found: IntArray, labels: int) -> IntArray:
    """How often each label (row) was taken for each (column): (``labels``, ``labels``)."""
    matrix = np.zeros((labels, labels), np.int64)
    np.add.at(matrix, (truth, found), 1)
    return matrix


def evaluate(predict: Predict, vehicles: Vehicles, card: Card, split: str) -> tuple[Metrics, IntArray]:
    """Figures by colour, over all and over the common colours, and what was found (N,), indices of labels."""
    colors = decode(predict(vehicles.pictures), card)
    found = np.array([card.labels.index(color.label) for color in colors])
    right = found == vehicles.labels
    metrics: Metrics = {}
    for index, label in enumerate(card.labels):
        rows = vehicles.labels == index
        if rows.any():
            metrics[f"{split}/{label}"] = {"vehicles": float(rows.sum()), "right": float(right[rows].mean())}
    common = np.isin(vehicles.labels, [card.labels.index(label) for label in COMMON])
    for name, rows in ((f"{split}/all", np.ones_like(common)), (f"{split}/common", common)):
        metrics[name] = {"vehicles": float(rows.sum()), "right": float(right[rows].mean())}
    return metrics, np.asarray(found, np.int64)


def fit_temperature(predict: Predict, vehicles: Vehicles) -> float:
    """The temperature at which the true colours are likeliest (Guo et al. 2017), 0.3 to 3."""
    logits = predict(vehicles.pictures)["logits"].astype(np.float64)

    def cost(temperature: float) -> float:
        scaled = logits / temperature
        normal = np.log(np.exp(scaled - scaled.max(1, keepdims=True)).sum(1)) + scaled.max(1)
        return float((normal - scaled[np.arange(len(scaled)), vehicles.labels]).mean())

    return float(min(np.geomspace(0.3, 3, 24), key=cost))


def save_evaluation(
    metrics: Metrics,
    vehicles: Vehicles,
    found: IntArray,
    street: Vehicles,
    predict: Predict,
    card: Card,
    out: Path,
) -> None:
    """Leave ``metrics.json``, ``confusions.csv``, sheets of mistakes and ``street`` vehicles in ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "metrics.json").write_text(json.dumps(metrics, indent=1), encoding="utf-8")
    with (out / "confusions.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["truth", *card.labels])
        matrix = confusion_matrix(vehicles.labels, found, len(card.labels))
        writer.writerows([label, *row] for label, row in zip(card.labels, matrix.tolist(), strict=True))
    wrong = np.flatnonzero(found != vehicles.labels)[:96]
    captions = [f"{LABELS[vehicles.labels[i]]}\n{card.labels[found[i]]}" for i in wrong]
    captioned(vehicles.pictures[wrong], captions, out / "mistakes.png", columns=10)
    colors = decode(predict(street.pictures), card)
    captions = [f"{color.label} {color.confidence:.2f}" for color in colors]
    captioned(street.pictures, captions, out / "street.png", columns=12)


def print_metrics(metrics: Metrics) -> None:
    """Print one line a set."""
    for name, values in metrics.items():
        print(f"{name:16}", *(f"{key} {value:.4g}" for key, value in values.items()), flush=True)


def evaluate_color(data: Path, card_path: Path | None, split: str, device: str, out: Path | None) -> Metrics:
    """Measure the colornet of ``card_path`` (the packaged one if None) on ``data/colors``.

    Prints the figures; ``out`` gets them as files, with sheets of mistakes and of vehicles in the street.
    """
    session = Session(card_path or package_card("colornet"), device)
    vehicles = load_colors(data / "colors", split, SIDE)
    metrics, found = evaluate(session, vehicles, session.card, split)
    print_metrics(metrics)
    if out is not None:
        street = load_street(data / "frames", "val", 144, 40, SIDE, seed=0)
        save_evaluation(metrics, vehicles, found, street, session, session.card, out)
    return metrics
