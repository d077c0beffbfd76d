"""Vehicles for the colour classifier: pictures with a colour's name, and street crops without."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from plateloop.data_preparation.manifest import Record, read_manifest
from plateloop.errors import UserError
from plateloop.frame import read_image
from plateloop.types import Image, IntArray

LABELS = (
    "black",
    "gray",
    "white",
    "red",
    "blue",
    "green",
    "yellow",
    "orange",
    "brown",
    "beige",
    "purple",
    "pink",
)
COMMON = LABELS[:7]
"""The colours that most vehicles have, and by which the network is judged."""

MERGED = {"silver": "gray"}
"""Gray and silver are one: people, and the labels, draw the line between them differently."""


@dataclass(frozen=True, slots=True)
class Vehicles:
    """N vehicles squashed to a square: ``pictures`` (N, side, side, 3) uint8 RGB, ``labels`` (N,) int64 into
    ``LABELS`` (-1: not known), the ``files`` they come from."""

    pictures: Image
    labels: IntArray
    files: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)


def _squashed(folder: Path, item: tuple[Record, list[int]], side: int) -> Image:
    record, rows = item
    frame = read_image(folder / record.file)
    boxes = np.array([record.vehicles[row].box for row in rows], np.float32)
    return frame.crops(boxes, (side, side), "stretch")


def load_colors(folder: Path, split: str, side: int, limit: int | None = None, threads: int = 8) -> Vehicles:
    """The vehicles of ``split`` in the manifest dataset ``folder`` whose colour is known.

    Raises UserError where there is none, or a colour that is not in ``LABELS``.
    """
    work: list[tuple[Record, list[int]]] = []
    labels: list[int] = []
    for record in read_manifest(folder):
        rows = [row for row, vehicle in enumerate(record.vehicles) if vehicle.color is not None]
        if record.split != split or not rows:
            continue
        for row in rows:
            color = record.vehicles[row].color or ""
            name = MERGED.get(color, color)
            if name not in LABELS:
                raise UserError(f"{folder}: {record.file}: colour {color!r} is none of {', '.join(LABELS)}")
            labels.append(LABELS.index(name))
        work.append((record, rows))
    if not work:
        raise UserError(f"{folder}: no vehicle with a colour in {split}; see `plateloop data stats`")
    if limit and len(work) > limit:
        keep = np.linspace(0, len(work) - 1, limit).astype(int).tolist()
        if len(labels) == len(work):
            work, labels = [work[i] for i in keep], [labels[i] for i in keep]
    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(lambda item: _squashed(folder, item, side), work))
    files = tuple(record.file for record, rows in work for _ in rows)
    return Vehicles(np.concatenate(parts), np.array(labels, np.int64), files)


def load_street(
    folder: Path, split: str, count: int, least: float, side: int, seed: int, threads: int = 8
) -> Vehicles:
    """``count`` vehicles at least ``least`` pixels wide and high from the photographs of ``split``, no colour
    known; at most four of a photograph."""
    rng = np.random.default_rng(seed)
    work: list[tuple[Record, list[int]]] = []
    for record in read_manifest(folder):
        large = [
            row
            for row, vehicle in enumerate(record.vehicles)
            if vehicle.box[2] - vehicle.box[0] >= least and vehicle.box[3] - vehicle.box[1] >= least
        ]
        if record.split == split and large:
            work.append((record, rng.permutation(large)[:4].tolist()))
    if not work:
        raise UserError(f"{folder}: no vehicle of {least:.0f} px in {split}")
    work = [work[i] for i in rng.permutation(len(work))]
    kept, total = [], 0
    for record, rows in work:
        if total >= count:
            break
        kept.append((record, rows))
        total += len(rows)
    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(lambda item: _squashed(folder, item, side), kept))
    pictures = np.concatenate(parts)[:count]
    files = tuple(record.file for record, rows in kept for _ in rows)[:count]
    return Vehicles(pictures, np.full(len(pictures), -1, np.int64), files)
