"""Random layouts for lpdnet: vehicles' crops as tcnet cuts them, windows around plates, whole frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from plateloop.data_preparation.manifest import Record
from plateloop.geometry import coverage
from plateloop.training.detection.data import Scenes, all_boxes
from plateloop.training.detection.frame_layout import draw
from plateloop.training.detection.layout import NO_PICTURE, Layout, Windows, affine, shifted
from plateloop.types import FloatArray


class PlateLayoutConfig(BaseModel):
    """What lpdnet is shown, and how it is turned."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vehicles: float = Field(0.5, description="share of crops of vehicles that have a plate")
    around: float = Field(0.2, description="share of random windows around a plate")
    frames: float = Field(0.18, description="share of whole frames")
    empty: float = Field(0.12, description="share of crops of vehicles without a plate")
    edge: float = Field(0.08, description="how far tcnet's box may be off at each side, share of its size")
    margin: float = Field(0.05, description="the card's margin around a vehicle")
    share: tuple[float, float] = Field((0.05, 0.9), description="plate's share of a random window's width")
    upright: float = Field(0.35, description="share that is not turned at all")
    flip: float = Field(0.3, description="share mirrored")
    scale: float = Field(0.2, description="largest log of a further scaling")
    turn: float = Field(15.0, description="largest rotation, degrees, where corners are known")
    shear: float = Field(0.2, description="largest lean of verticals, where corners are known")
    slope: float = Field(
        0.3, description="largest rise of horizontals, as seen from the side and above, likewise"
    )
    perspective: float = Field(0.2, description="largest foreshortening over half the canvas, likewise")
    gentle: float = Field(0.2, description="share of turn, shear and slope where corners are not known")


@dataclass(frozen=True, slots=True)
class PlateScenes:
    """Scenes of plates with the windows to cut: of vehicles ``with_plate`` and ``without``, of ``plates``
    themselves and of whole ``frames``. ``exact`` (N,): all corners known, so it may be turned freely."""

    scenes: Scenes
    with_plate: Windows
    without: Windows
    plates: Windows
    frames: Windows
    exact: NDArray[np.bool_]


def plate_scenes(records: Sequence[Record], scenes: Scenes) -> PlateScenes:
    """The windows of ``records``, whose plates are ``scenes``."""
    holding: list[tuple[int, FloatArray]] = []
    bare: list[tuple[int, FloatArray]] = []
    for number, record in enumerate(records):
        vehicles, plates = all_boxes(record)
        within = coverage(plates, vehicles)
        real = (within[: len(record.plates)] > 0.8).any(0)
        # A vehicle whose plate is merely doubtful teaches nothing.
        none = ~(within > 0.2).any(0) & ((vehicles[:, 2:] - vehicles[:, :2]).min(-1, initial=1e9) > 24)
        holding += [(number, box) for box in vehicles[real]]
        bare += [(number, box) for box in vehicles[none]]
    real_rows = scenes.labels >= 0
    exact = np.ones(len(scenes), bool)
    exact[scenes.owners()[real_rows & ~scenes.has_corners]] = False
    whole = np.concatenate([np.zeros_like(scenes.sizes), scenes.sizes], 1)
    return PlateScenes(
        scenes,
        _windows(holding),
        _windows(bare),
        Windows(scenes.owners()[real_rows], scenes.boxes[real_rows]),
        Windows(np.arange(len(scenes)), whole),
        exact,
    )


def _windows(rows: list[tuple[int, FloatArray]]) -> Windows:
    pictures = np.array([number for number, _ in rows], np.int64)
    return Windows(pictures, np.array([box for _, box in rows], np.float32).reshape(-1, 4))


def _chosen(rng: np.random.Generator, windows: Windows, weights: FloatArray, count: int) -> Windows:
    if not len(windows) or not count:
        return Windows(np.zeros(0, np.int64), np.zeros((0, 4), np.float32))
    rows = draw(rng, weights[windows.pictures], count)
    return Windows(windows.pictures[rows], windows.boxes[rows])


def _cropped(
    rng: np.random.Generator, windows: Windows, sizes: FloatArray, config: PlateLayoutConfig
) -> Windows:
    """Vehicles' boxes as tcnet would find them, grown by the margin and cut to the picture."""
    size = np.tile(windows.boxes[:, 2:] - windows.boxes[:, :2], 2)
    off = rng.uniform(-config.edge, config.edge, windows.boxes.shape)
    outwards = np.array([-1, -1, 1, 1]) * config.margin
    limit = np.tile(sizes[windows.pictures], 2)
    return Windows(windows.pictures, np.clip(windows.boxes + size * (off + outwards), 0, limit))


def _around(
    rng: np.random.Generator, windows: Windows, sizes: FloatArray, config: PlateLayoutConfig
) -> Windows:
    """Windows that hold a plate somewhere, cut to the picture."""
    plate = windows.boxes[:, 2:] - windows.boxes[:, :2]
    share = np.exp(rng.uniform(np.log(config.share[0]), np.log(config.share[1]), len(windows)))
    width = plate[:, 0] / share
    height = np.maximum(
        width / np.exp(rng.uniform(np.log(0.6), np.log(1.9), len(windows))), plate[:, 1] * 1.1
    )
    size = np.stack([width, height], -1)
    low = windows.boxes[:, :2] - rng.random((len(windows), 2)) * (size - plate)
    boxes = np.concatenate([np.maximum(low, 0), np.minimum(low + size, sizes[windows.pictures])], 1)
    return Windows(windows.pictures, boxes)


def plate_layout(
    rng: np.random.Generator,
    data: PlateScenes,
    weights: FloatArray,
    batch: int,
    size: tuple[int, int],
    config: PlateLayoutConfig,
) -> Layout:
    """A random layout of ``batch`` canvases of ``size`` (width, height); ``weights`` (N,) of the pictures."""
    shares = np.array([config.vehicles, config.around, config.frames, config.empty])
    shares *= [len(data.with_plate) > 0, len(data.plates) > 0, 1, len(data.without) > 0]
    counts = rng.multinomial(batch, shares / shares.sum())
    parts = [
        _cropped(rng, _chosen(rng, data.with_plate, weights, counts[0]), data.scenes.sizes, config),
        _around(rng, _chosen(rng, data.plates, weights, counts[1]), data.scenes.sizes, config),
        _chosen(rng, data.frames, weights, counts[2]),
        _cropped(rng, _chosen(rng, data.without, weights, counts[3]), data.scenes.sizes, config),
    ]
    order = rng.permutation(batch)
    pictures = np.concatenate([part.pictures for part in parts])[order]
    boxes = np.concatenate([part.boxes for part in parts])[order].astype(np.float64)

    canvas = np.array(size, np.float64)
    extent = np.maximum(boxes[:, 2:] - boxes[:, :2], 8)
    fit = (canvas / extent).min(-1, keepdims=True)
    upright = rng.random(batch) < config.upright
    free = np.where(upright, 0, np.where(data.exact[pictures], 1, config.gentle))
    angle = np.radians(rng.uniform(-config.turn, config.turn, batch)) * free
    shear = rng.uniform(-config.shear, config.shear, batch) * free
    slope = np.tile(np.eye(2), (batch, 1, 1))
    slope[:, 1, 0] = rng.uniform(-config.slope, config.slope, batch) * free
    scale = np.exp(rng.uniform(-config.scale, config.scale, (batch, 1)) * ~upright[:, None])
    scale = scale * np.exp(rng.uniform(-0.1, 0.1, (batch, 2)) * ~upright[:, None])
    scale[:, 0] *= np.where(rng.random(batch) < config.flip, -1, 1)
    lean = rng.uniform(-config.perspective, config.perspective, (batch, 2)) * (free == 1)[:, None]

    # Everything turns about the window's middle, which keeps its place on the canvas.
    middle = extent * fit / 2
    first = shifted(fit[..., None] * np.eye(2), -(boxes[:, :2] + extent / 2) * fit)
    turn = shifted(affine(scale, angle, shear) @ slope, np.zeros((batch, 2)))
    tilt = np.tile(np.eye(3), (batch, 1, 1))
    tilt[:, 2, :2] = lean / (canvas / 2)
    last = shifted(np.tile(np.eye(2), (batch, 1, 1)), middle)
    matrices = np.tile(np.eye(3), (batch, 4, 1, 1))
    matrices[:, 0] = last @ tilt @ turn @ first
    quarters = np.full((batch, 4), NO_PICTURE)
    quarters[:, 0] = pictures
    return Layout(size, quarters, extent * fit, matrices)
