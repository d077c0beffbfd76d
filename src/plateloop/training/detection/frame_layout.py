"""Random layouts of whole frames for tcnet: mosaics of four, and single frames scaled and shifted."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from plateloop.training.detection.data import Scenes
from plateloop.training.detection.layout import NO_PICTURE, Layout, Windows, affine, shifted
from plateloop.types import FloatArray, IntArray


class FrameLayoutConfig(BaseModel):
    """How frames are laid out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    empty: float = Field(0.1, description="share of canvases filled by a part without any object")
    mosaic: float = Field(0.5, description="share of the other canvases made of four frames")
    close_mosaic: float = Field(0.85, description="progress from which there are no mosaics")
    plain: float = Field(0.2, description="share of single frames that lie as the runtime lays them")
    zoom: tuple[float, float] = Field((0.4, 1.8), description="scale of a frame, 1 fits the canvas")
    stretch: float = Field(0.08, description="deviation of the log of the two axes' ratio")
    turn: float = Field(2.0, description="largest rotation, degrees")
    shear: float = Field(0.03, description="largest shear")
    flip: float = Field(0.5, description="share of frames mirrored")


def rare_weights(scenes: Scenes, classes: int, common: float = 0.3, empty: float = 0.5) -> FloatArray:
    """How often to draw each picture (N,), summing to 1: repeat-factor sampling (Gupta et al. 2019, LVIS).

    Pictures of a class that fewer than ``common`` of all pictures hold are drawn more; pictures without any
    object by ``empty``.
    """
    holds = np.zeros((len(scenes), classes), bool)
    real = scenes.labels >= 0
    holds[scenes.owners()[real], scenes.labels[real]] = True
    share = np.maximum(holds.mean(0), 1e-9)
    factor = np.maximum(1, np.sqrt(common / share))
    weight = np.where(holds, factor, 0).max(1)
    weight[weight == 0] = empty
    return np.asarray(weight / weight.sum())


def draw(rng: np.random.Generator, weights: FloatArray, count: int) -> IntArray:
    """``count`` indices by ``weights`` (summing to 1), evenly spread: systematic sampling, then shuffled."""
    edges = np.cumsum(weights)
    points = (np.arange(count) + rng.random()) / count * edges[-1]
    return rng.permutation(np.minimum(np.searchsorted(edges, points, "right"), len(weights) - 1))


def frame_layout(
    rng: np.random.Generator,
    scenes: Scenes,
    weights: FloatArray,
    batch: int,
    size: tuple[int, int],
    config: FrameLayoutConfig,
    progress: float = 0.0,
    empty: Windows | None = None,
) -> Layout:
    """A random layout of ``batch`` canvases of ``size`` (width, height), at ``progress`` of the training.

    ``empty`` are parts of the pictures without any object (`empty_windows`), of which some fill a canvas.
    """
    canvas = np.array(size, np.float64)
    closing = progress >= config.close_mosaic
    pictures = draw(rng, weights, batch * 4).reshape(batch, 4)
    mosaic = rng.random(batch) < (0 if closing else config.mosaic)
    pictures[~mosaic, 1:] = NO_PICTURE
    split = np.where(mosaic[:, None], rng.uniform(0.3, 0.7, (batch, 2)) * canvas, canvas)
    plain = ~mosaic & (rng.random(batch) < (max(0.5, config.plain) if closing else config.plain))

    low, high = np.log(config.zoom)
    zoom = np.exp(rng.uniform(low, high, (batch, 1)) + rng.uniform(-0.2, 0.2, (batch, 4)) * mosaic[:, None])
    # Most of a mosaic's frames would hang over at larger scales.
    zoom = np.where(mosaic[:, None], np.clip(zoom, config.zoom[0], 1.3), zoom)
    vary = ~plain[:, None]
    source = scenes.sizes[pictures].astype(np.float64)
    fit = (canvas / source).min(-1)
    stretch = np.exp(rng.normal(0, config.stretch, (batch, 4)) / 2 * vary)
    scale = (fit * np.where(vary, zoom, 1))[..., None] * np.stack([stretch, 1 / stretch], -1)
    scale[..., 0] *= np.where(rng.random((batch, 4)) < config.flip, -1, 1)
    angle = np.radians(rng.uniform(-config.turn, config.turn, (batch, 4))) * vary
    linear = affine(scale, angle, rng.uniform(-config.shear, config.shear, (batch, 4)) * vary)

    # The frame's extent under the linear map goes anywhere in its quarter, or hangs over all of it.
    unit = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64)
    extent = (unit * source[..., None, :]) @ linear.swapaxes(-1, -2)
    lowest, spread = extent.min(-2), np.ptp(extent, -2)
    layout = Layout(size, pictures, split, shifted(linear, np.zeros((batch, 4, 2))))
    rectangle = layout.rectangles()
    room = rectangle[..., 2:] - rectangle[..., :2] - spread
    where = rng.random((batch, 4, 2)) * vary[..., None]
    layout.matrices[..., :2, 2] = rectangle[..., :2] + where * room - lowest
    if empty is not None and len(empty):
        _fill(rng, layout, empty, np.flatnonzero(rng.random(batch) < config.empty), config.flip)
    return layout


def _fill(rng: np.random.Generator, layout: Layout, windows: Windows, rows: IntArray, flip: float) -> None:
    """Let each canvas of ``rows`` show one of ``windows``, some mirrored."""
    chosen = rng.integers(len(windows), size=len(rows))
    x1, y1, x2, y2 = windows.boxes[chosen].T.astype(np.float64)
    left, right = np.where(rng.random(len(rows)) < flip, (x2, x1), (x1, x2))
    scale = np.stack([layout.size[0] / (right - left), layout.size[1] / (y2 - y1)], -1)
    linear = scale[..., None] * np.eye(2)
    layout.pictures[rows] = NO_PICTURE
    layout.pictures[rows, 0] = windows.pictures[chosen]
    layout.split[rows] = layout.size
    layout.matrices[rows, 0] = shifted(linear, -scale * np.stack([left, y1], -1))
