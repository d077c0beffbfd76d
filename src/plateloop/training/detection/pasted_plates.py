"""Photographs whose plates are covered by synthetic ones, so that the place of every corner is known."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import cv2
import numpy as np

from plateloop.data_preparation.manifest import Plate, Record
from plateloop.data_preparation.synthetic.paste import paste, quad_in_box
from plateloop.data_preparation.synthetic.plate import PlateImage
from plateloop.data_preparation.synthetic.render import render
from plateloop.frame import read_image
from plateloop.geometry import clip, corners_to_boxes
from plateloop.types import Box, Corners, Image

SMALLEST = 7.0
"""Plates with a side shorter than this many pixels stay as they are."""


@dataclass(frozen=True, slots=True)
class Task:
    """One picture to make: which record, under which seed."""

    folder: Path
    record: Record
    seed: tuple[int, ...]


def fitting_plate(rng: np.random.Generator, box: Box, tries: int = 8) -> tuple[PlateImage, float]:
    """Of up to ``tries`` plates the one whose shape is closest to ``box``, and its width over height."""
    wanted = (box[2] - box[0]) / (box[3] - box[1])
    plates: list[tuple[float, PlateImage, float]] = []
    for _ in range(tries):
        plate = render(rng)
        width, height = np.ptp(plate.corners, axis=0)
        plates.append((abs(float(np.log(width / height / wanted))), plate, float(width / height)))
        if plates[-1][0] < 0.35:
            break
    _, plate, aspect = min(plates, key=lambda item: item[0])
    return plate, aspect


def pasted(task: Task) -> tuple[Image, Record]:
    """The record's picture with every plate that is large enough covered by a synthetic one."""
    rng = np.random.default_rng(task.seed)
    picture = read_image(task.folder / task.record.file).rgb()
    plates = []
    for plate in task.record.plates:
        if min(plate.box[2] - plate.box[0], plate.box[3] - plate.box[1]) < SMALLEST:
            plates.append(plate)
            continue
        new, aspect = fitting_plate(rng, plate.box)
        quad = quad_in_box(rng, plate.box, aspect)
        picture = paste(rng, picture, quad, new, erase=plate.box)
        extent = clip(corners_to_boxes(quad), task.record.width, task.record.height)
        plates.append(
            Plate(
                box=cast(Box, tuple(extent.tolist())),
                corners=cast(Corners, tuple(map(tuple, quad.tolist()))),
                text=new.text,
                vehicle=plate.vehicle,
            )
        )
    return picture, task.record.model_copy(update={"plates": tuple(plates)})


def _work(task: Task) -> tuple[Image, Record]:
    cv2.setNumThreads(1)
    return pasted(task)


def pasted_pictures(
    folder: Path, records: Sequence[Record], copies: int, workers: int, seed: int
) -> Iterator[tuple[Image, Record]]:
    """``copies`` pasted versions of each record, made by ``workers`` processes; order as given."""
    tasks = [
        Task(folder, record, (seed, number, copy))
        for copy in range(copies)
        for number, record in enumerate(records)
    ]
    if workers <= 1 or not tasks:
        yield from map(_work, tasks)
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap(_work, tasks, chunksize=8)
