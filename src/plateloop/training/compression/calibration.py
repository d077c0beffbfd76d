"""Pictures of train as the runtime gives them to a network: what ranges of activations are measured on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from plateloop.frame import read_image
from plateloop.geometry import clip, expand
from plateloop.runtime.card import Card
from plateloop.training.color.data import load_colors
from plateloop.training.detection.feed import dataset, frame_records
from plateloop.training.reading.data import load_real
from plateloop.training.reading.evaluate import input_pictures
from plateloop.types import Image

Item = TypeVar("Item")


def _spread(items: Sequence[Item], count: int) -> list[Item]:
    rows = np.linspace(0, len(items) - 1, min(count, len(items))).astype(int)
    return [items[row] for row in rows]


def calibration_pictures(data: Path, card: Card, count: int) -> Image:
    """At most ``count`` inputs (N, h, w, 3) uint8 for the network of ``card``, spread over the train split.

    lpdnet's are the largest vehicle of each photograph, or the whole where none is listed. Raises UserError
    where there is no such picture.
    """
    size = (card.input.width, card.input.height)
    if card.task == "colornet":
        return load_colors(data / "colors", "train", size[0], count).pictures[:count]
    if card.task == "lprnet":
        plates = load_real([data / "crops", data / "frames"], "train", count)
        return input_pictures(plates.select(_spread(range(len(plates)), count)), card.input.margin)
    folder = dataset(data)
    records = frame_records(folder, "train")
    if card.task == "lpdnet":
        records = [record for record in records if record.plates_annotated] or records
    pictures = []
    for record in _spread(records, count):
        frame = read_image(folder / record.file)
        if card.task == "tcnet":
            pictures.append(frame.letterboxed(size))
            continue
        whole = (0.0, 0.0, float(frame.width), float(frame.height))
        boxes = [vehicle.box for vehicle in record.vehicles] or [whole]
        box = np.array([max(boxes, key=lambda b: (b[2] - b[0]) * (b[3] - b[1]))], np.float32)
        pictures.append(frame.crops(clip(expand(box, card.input.margin), frame.width, frame.height), size)[0])
    return np.stack(pictures)
