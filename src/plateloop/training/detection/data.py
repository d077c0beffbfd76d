"""What detectors are trained on: pictures decoded once onto the device, and their objects as flat arrays."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plateloop.data_preparation.manifest import Record
from plateloop.errors import UserError
from plateloop.geometry import box_array, coverage
from plateloop.networks.assigner import IGNORE
from plateloop.types import Corners, FloatArray, Image, IntArray

Picture = Path | Image


@dataclass(frozen=True, slots=True)
class Scenes:
    """N pictures' objects, M in all; those of picture n are rows ``starts[n]`` to ``starts[n + 1]``.

    ``sizes`` (N, 2) are the pictures' width and height, ``boxes`` (M, 4) and ``corners`` (M, 4, 2) lie in
    their pixels, ``labels`` (M,) are classes or IGNORE, ``has_corners`` (M,) says whose corners are known
    (others' are zero), ``complete`` (N,) where what is not listed is background.
    """

    sizes: FloatArray
    starts: IntArray
    boxes: FloatArray
    labels: IntArray
    corners: FloatArray
    has_corners: NDArray[np.bool_]
    complete: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.sizes)

    def counts(self) -> IntArray:
        """Objects of each picture, ignored ones with them: (N,)."""
        return np.diff(self.starts)

    def owners(self) -> IntArray:
        """The picture of each object: (M,)."""
        return np.repeat(np.arange(len(self)), self.counts())


Objects = list[tuple[tuple[float, float, float, float], int, Corners | None]]


def all_boxes(record: Record) -> tuple[FloatArray, FloatArray]:
    """The boxes of ``record``'s vehicles (N, 4) and plates (M, 4), listed ones before ignored ones."""
    vehicles = [*(vehicle.box for vehicle in record.vehicles), *record.ignore_vehicles]
    plates = [*(plate.box for plate in record.plates), *record.ignore_plates]
    return box_array(vehicles), box_array(plates)


def objects_of(record: Record, what: Literal["vehicles", "plates"], labels: Sequence[str]) -> Objects:
    """Box, class and corners of each of ``record``'s vehicles or plates, ignored ones included.

    Vehicles of a class that is not among ``labels`` (such as three-wheelers) are ignored, and so are the
    surroundings of a plate whose vehicle nobody listed.
    """
    if what == "plates":
        listed: Objects = [(plate.box, 0, plate.corners) for plate in record.plates]
        return listed + [(box, IGNORE, None) for box in record.ignore_plates]
    index = {label: number for number, label in enumerate(labels)}
    listed = [(vehicle.box, index.get(vehicle.label, IGNORE), None) for vehicle in record.vehicles]
    hidden = [*record.ignore_vehicles, *_unlisted(record)]
    return listed + [(box, IGNORE, None) for box in hidden]


def _unlisted(record: Record) -> list[tuple[float, float, float, float]]:
    """About where the vehicles must be of plates that lie in no vehicle, listed or ignored.

    A car is four plates wide; a motorcycle and its rider are ten plates of two rows high. Plates may stand
    upright, in pictures that are turned.
    """
    vehicles, plates = all_boxes(record)
    alone = plates[coverage(plates, vehicles).max(1, initial=0) < 0.5]
    side = (alone[:, 2:] - alone[:, :2]).max(1, keepdims=True)
    middle = (alone[:, 2:] + alone[:, :2]) / 2
    limit = np.array([record.width, record.height] * 2, np.float32)
    around = np.concatenate([middle - side * (3.5, 5.5), middle + side * (3.5, 3.5)], 1)
    return [tuple(box) for box in np.clip(around, 0, limit).tolist()]


def scenes(records: Sequence[Record], what: Literal["vehicles", "plates"], labels: Sequence[str]) -> Scenes:
    """The vehicles or plates of ``records``.

    Raises UserError where there is no record.
    """
    if not records:
        raise UserError(f"no picture left to train {what} on; look at the manifest's splits")
    rows = [objects_of(record, what, labels) for record in records]
    flat = [row for objects in rows for row in objects]
    known = np.array([corners is not None for *_, corners in flat], bool)
    corners = np.zeros((len(flat), 4, 2), np.float32)
    corners[known] = np.array([c for *_, c in flat if c is not None], np.float32).reshape(-1, 4, 2)
    listed = [r.vehicles_annotated if what == "vehicles" else r.plates_annotated for r in records]
    return Scenes(
        np.array([(record.width, record.height) for record in records], np.float32),
        np.cumsum([0, *map(len, rows)]),
        box_array([box for box, *_ in flat]),
        np.array([label for _, label, _ in flat], np.int64),
        corners,
        known,
        np.array(listed, bool),
    )


@dataclass(frozen=True, slots=True)
class PictureStore:
    """N pictures on a device, each in its own size.

    ``pixels`` (P,) int32 hold red, green, blue from the lowest byte up, so that a pixel is fetched at once;
    picture n starts at ``starts[n]``, row by row, ``sizes[n]`` = width, height.
    """

    pixels: Tensor
    starts: Tensor
    sizes: Tensor

    @property
    def gigabytes(self) -> float:
        """Memory that the pixels take."""
        return self.pixels.numel() * 4 / 1e9


def _packed(picture: Picture, size: tuple[int, int]) -> NDArray[np.int32]:
    """The picture's pixels in a row, each as one integer."""
    if isinstance(picture, Path):
        image = cv2.imread(str(picture), cv2.IMREAD_COLOR)
        if image is None:
            raise UserError(f"{picture}: cannot be decoded")
        rgba = cv2.cvtColor(image, cv2.COLOR_BGR2RGBA)
    else:
        rgba = cv2.cvtColor(picture, cv2.COLOR_RGB2RGBA)
    if (rgba.shape[1], rgba.shape[0]) != size:
        raise UserError(f"{picture}: {rgba.shape[1]}×{rgba.shape[0]} pixels, its record says {size}")
    return np.ascontiguousarray(rgba).view(np.int32).ravel()


def decode_pictures(pictures: Sequence[Picture], sizes: FloatArray, threads: int = 16) -> NDArray[np.int32]:
    """The pixels of ``pictures`` (files, or RGB arrays) of known ``sizes`` (N, 2), as in a `PictureStore`.

    Raises UserError for a picture that cannot be decoded or has another size.
    """
    starts = _starts(sizes)
    pixels = np.empty(int(starts[-1]), np.int32)

    def fill(index: int) -> None:
        width, height = sizes[index].astype(int).tolist()
        pixels[starts[index] : starts[index + 1]] = _packed(pictures[index], (width, height))

    # OpenCV lets go of the interpreter while it decodes: threads suffice.
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(fill, range(len(pictures))):
            pass
    return pixels


def store_on(device: torch.device, pixels: NDArray[np.int32], sizes: FloatArray) -> PictureStore:
    """Decoded ``pixels`` of pictures of ``sizes`` (N, 2), sent to ``device``."""
    return PictureStore(
        torch.from_numpy(pixels).to(device),
        torch.from_numpy(_starts(sizes)[:-1]).to(device),
        torch.from_numpy(sizes.astype(np.int64)).to(device),
    )


def _starts(sizes: FloatArray) -> IntArray:
    return np.cumsum([0, *sizes.astype(np.int64).prod(1)])
