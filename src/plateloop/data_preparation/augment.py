"""Augmented copies as files, for training by programs that have no augmentation of their own.

plateloop's training varies every picture anew each time that it is drawn, and needs none of these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from plateloop.data_preparation.clean.finding import boxes_of, own_height
from plateloop.data_preparation.derive import Derived, derive
from plateloop.data_preparation.kinship import digest
from plateloop.data_preparation.manifest import Record, read_manifest
from plateloop.data_preparation.pictures import place
from plateloop.data_preparation.report import Report
from plateloop.data_preparation.synthetic.degrade import expose
from plateloop.data_preparation.transform import moved
from plateloop.errors import UserError
from plateloop.frame import read_image
from plateloop.types import Box, Image

TAG = "augmented"

# A part of a picture keeps at least this share of each side; of its text's height characters take so much.
_LEAST_SIDE, _CHARACTERS = 0.7, 0.6


def augment(
    source: Path,
    target: Path,
    copies: int = 1,
    seed: int = 0,
    split: str | None = "train",
    tick: Callable[[], None] = lambda: None,
    ray: str | None = None,
) -> Report:
    """Write the manifest dataset ``source`` to ``target``, with ``copies`` more of each picture of ``split``
    (None: every one): a part of it that holds all its labels, in other light and through another camera.

    A copy's sequence is that of its picture, or the picture, so that a split keeps them together. What a copy
    looks like hangs on ``seed`` and the file's name alone. ``ray`` is the address of a cluster that does it.

    Raises UserError where no record is of that split, or folders lie within each other.
    """

    def work(source: Path, target: Path, record: Record) -> Derived:
        place(source / record.file, target / record.file)
        if split not in (None, record.split):
            return [record], {}
        try:
            picture = read_image(source / record.file).rgb()
        except UserError as error:
            reason = str(error).removeprefix(f"{source / record.file}: ")
            return [record], {record.file: f"{reason}; no copies of it"}
        own = record.model_copy(update={"sequence": record.sequence or record.file})
        written = [own]
        for number in range(1, copies + 1):
            rng = np.random.default_rng([seed, digest(record.file), number])
            seen, varied = vary(rng, picture, own)
            path = PurePosixPath(record.file)
            file = str(path.with_name(f"{path.stem}_{TAG}{number}.jpg"))
            code = cv2.imencode(".jpg", seen[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
            (target / file).write_bytes(code.tobytes())
            written.append(varied.model_copy(update={"file": file}))
        return written, {}

    if split is not None and all(record.split != split for record in read_manifest(source, lambda *_: None)):
        raise UserError(f"{source}: no record of split {split}; `plateloop data split` it, or name another")
    settings = {"step": "augment", "copies": copies, "seed": seed, "split": split}
    return derive(source, target, settings, work, tick, ray)


def vary(rng: np.random.Generator, picture: Image, record: Record) -> tuple[Image, Record]:
    """A part of the RGB picture (H, W, 3) in other light, and its record. Colours are no longer told."""
    height, width = picture.shape[:2]
    boxes = np.array([*boxes_of(record), *_around(record)], np.float64).reshape(-1, 4)
    low = np.clip(boxes[:, :2].min(0, initial=np.inf), 0, np.array([width, height]) * (1 - _LEAST_SIDE) / 2)
    high = np.clip(boxes[:, 2:].max(0, initial=0), np.array([width, height]) * (1 + _LEAST_SIDE) / 2, None)
    left, top = np.floor(rng.uniform(0, 1, 2) * low).astype(int).tolist()
    slack = np.maximum(0, np.array([width, height]) - high)
    right, bottom = (np.array([width, height]) - np.floor(rng.uniform(0, 1, 2) * slack)).astype(int).tolist()
    tall = _CHARACTERS * min((own_height(plate) for plate in record.plates if plate.text), default=40.0)
    part = expose(rng, np.ascontiguousarray(picture[top:bottom, left:right]), max(4.0, tall))
    found = moved(record, left, top, right - left, bottom - top)
    vehicles = tuple(vehicle.model_copy(update={"color": None}) for vehicle in found.vehicles)
    return part, found.model_copy(update={"vehicles": vehicles, "tags": (*record.tags, TAG)})


def _around(record: Record) -> Iterator[Box]:
    for plate in record.plates:
        if plate.corners is not None:
            xs, ys = zip(*plate.corners, strict=True)
            yield min(xs), min(ys), max(xs), max(ys)
