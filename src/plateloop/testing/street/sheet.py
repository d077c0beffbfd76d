"""A drawing on a vehicle, in metres: what its surface is made of where."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from plateloop.testing.street.camera import floats
from plateloop.testing.street.light import linear
from plateloop.testing.street.pattern import lookup
from plateloop.types import FloatArray

Point = tuple[float, float]
RGB = tuple[float, float, float]

BLACK, DARK, CHROME, GLASS = (14, 14, 15), (34, 35, 37), (190, 194, 198), (22, 27, 30)
SCALE = 220.0  # pixels a metre


def darker(color: RGB, share: float) -> RGB:
    """``color`` times ``share``."""
    return color[0] * share, color[1] * share, color[2] * share


@dataclass(slots=True)
class Sheet:
    """A drawing in metres: ``u`` in [-reach, reach] to the right, ``v`` in [0, height] upwards.

    Channels: albedo (3), gloss, glow, as ``Material`` has them.
    """

    reach: float
    height: float
    paint: RGB
    gloss: float = 1.0
    levels: list[FloatArray] = field(default_factory=list)

    def __post_init__(self) -> None:
        size = (round(self.height * SCALE), round(2 * self.reach * SCALE), 5)
        self.levels = [np.empty(size, np.float32)]
        self.levels[0][:] = [*linear(self.paint), self.gloss, 0.0]

    def _pixels(self, points: Iterable[Point]) -> FloatArray:
        at = np.array(list(points), np.float32)
        return np.stack([at[:, 0] + self.reach, self.height - at[:, 1]], -1) * floats(SCALE)

    def _cover(
        self, outlines: list[NDArray[np.int32]], pen: int, rounding: float, layer: FloatArray, opacity: float
    ) -> None:
        """Lay ``layer`` (5,) over what the outlines enclose, or over their lines if ``pen`` is a width."""
        spread = pen + 1 + round(4 * rounding * SCALE)
        points = np.concatenate(outlines) // 16
        limit = self.levels[0].shape[1::-1]
        low = np.clip(points.min(0) - spread, 0, limit)
        high = np.clip(points.max(0) + spread + 1, 0, limit)
        if (low >= high).any():
            return
        mask = np.zeros((high - low)[::-1], np.uint8)
        moved = [outline - 16 * low.astype(np.int32) for outline in outlines]
        if pen:
            cv2.polylines(mask, moved, False, 255, pen, cv2.LINE_AA, 4)
        else:
            for outline in moved:
                cv2.fillPoly(mask, [outline], 255, cv2.LINE_AA, 4)
        cover = floats(mask / 255)
        if rounding > 0:
            soft = cv2.GaussianBlur(cover, (0, 0), rounding * SCALE)
            cover = floats(np.clip((soft - 0.5) * rounding * SCALE * 1.6 + 0.5, 0, 1))
        region = self.levels[0][low[1] : high[1], low[0] : high[0]]
        region += (layer - region) * (cover * opacity)[..., None]

    def _outlines(self, points: Iterable[Point], mirror: bool) -> list[NDArray[np.int32]]:
        """The points, and if wanted their mirror image in u, as OpenCV takes them: in 1/16 pixels."""
        path = self._pixels(points)
        turned = path * floats([-1, 1]) + floats([2 * self.reach * SCALE, 0])
        return [np.round(p * 16).astype(np.int32) for p in (path, turned)[: 2 if mirror else 1]]

    def fill(
        self,
        points: Iterable[Point],
        color: RGB,
        gloss: float = 1.0,
        glow: float = 0.0,
        rounding: float = 0.0,
        opacity: float = 1.0,
        mirror: bool = False,
    ) -> None:
        """Fill the polygon ``points`` (and its mirror image in u); ``rounding`` metres for its corners."""
        layer = floats([*linear(color), gloss, glow])
        self._cover(self._outlines(points, mirror), 0, rounding, layer, opacity)

    def rect(
        self,
        u: Point,
        v: Point,
        color: RGB,
        gloss: float = 1.0,
        glow: float = 0.0,
        rounding: float = 0.0,
        opacity: float = 1.0,
        mirror: bool = False,
    ) -> None:
        """Fill a rectangle given by its ranges in u and v."""
        corners = [(u[0], v[0]), (u[1], v[0]), (u[1], v[1]), (u[0], v[1])]
        self.fill(corners, color, gloss, glow, rounding, opacity, mirror)

    def line(
        self, points: Iterable[Point], width: float, color: RGB, opacity: float = 1.0, mirror: bool = False
    ) -> None:
        """Draw a line ``width`` metres wide through ``points``, matt."""
        layer = floats([*linear(color), 0.3, 0.0])
        self._cover(self._outlines(points, mirror), max(1, round(width * SCALE)), 0.0, layer, opacity)

    def disc(self, center: Point, radius: float, color: RGB, gloss: float = 1.0, glow: float = 0.0) -> None:
        """Fill a circle."""
        angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        around = zip(center[0] + radius * np.cos(angle), center[1] + radius * np.sin(angle), strict=True)
        self.fill(around, color, gloss, glow)

    def discs(self, center: Point, radius: float, color: RGB, gloss: float = 1.0, glow: float = 0.0) -> None:
        """Fill a circle and its mirror image."""
        self.disc(center, radius, color, gloss, glow)
        self.disc((-center[0], center[1]), radius, color, gloss, glow)

    def finish(self) -> Sheet:
        """Make the smaller copies that far vehicles are drawn from."""
        while min(self.levels[-1].shape[:2]) > 24:
            height, width = (side // 2 for side in self.levels[-1].shape[:2])
            pairs = self.levels[-1][: 2 * height, : 2 * width].reshape(height, 2, width, 2, -1)
            self.levels.append(floats(pairs.mean((1, 3))))
        return self

    def at(self, u: FloatArray, v: FloatArray, density: float) -> FloatArray:
        """The five channels (P, 5) at points ``u``, ``v`` (P,) metres, for a picture that shows a metre in
        ``density`` pixels."""
        level = int(np.clip(np.floor(np.log2(SCALE / max(density, 1e-3)) + 0.5), 0, len(self.levels) - 1))
        texture = self.levels[level]
        height, width = texture.shape[:2]
        x = (u + self.reach) / (2 * self.reach) * width - 0.5
        y = (self.height - v) / self.height * height - 0.5
        first = lookup(np.ascontiguousarray(texture[..., :4]), x, y)
        return np.concatenate([first, lookup(np.ascontiguousarray(texture[..., 4]), x, y)], 1)
