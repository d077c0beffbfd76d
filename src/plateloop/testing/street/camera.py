"""A pinhole camera over the street.

World: metres; x to the right, y away from the camera along the street, z up; the ground is z = 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from plateloop.types import FloatArray


def floats(values: ArrayLike) -> FloatArray:
    """``values`` as a float32 array."""
    return np.asarray(values, np.float32)


def turned(vectors: FloatArray, rotation: FloatArray) -> FloatArray:
    """Vectors (P, 3) turned by a ``rotation`` (3, 3), in this thread alone (a BLAS would call others)."""
    return np.asarray(np.einsum("ij,kj->ik", vectors, rotation), np.float32)


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera at ``position`` that looks along the street.

    ``pitch`` is how far it looks down and ``yaw`` how far to the right, both radians; ``focal`` is in pixels
    of a picture of ``size`` (width, height), whose middle is the principal point.
    """

    position: tuple[float, float, float]
    pitch: float
    yaw: float
    focal: float
    size: tuple[int, int]

    def scaled(self, factor: float) -> Camera:
        """The same camera with a picture ``factor`` times as large."""
        width, height = self.size
        size = (round(width * factor), round(height * factor))
        return Camera(self.position, self.pitch, self.yaw, self.focal * factor, size)

    @property
    def axes(self) -> FloatArray:
        """Rows: the camera's right, down and forward directions in the world, (3, 3)."""
        cp, sp, cy, sy = np.cos(self.pitch), np.sin(self.pitch), np.cos(self.yaw), np.sin(self.yaw)
        forward = [sy * cp, cy * cp, -sp]
        right = [cy, -sy, 0]
        down = np.cross(forward, right)
        return np.array([right, down, forward], np.float32)

    def view(self, points: FloatArray) -> FloatArray:
        """World points (..., 3) in the camera's axes: right, down, forward."""
        return np.asarray((points - floats(self.position)) @ self.axes.T, np.float32)

    def project(self, points: FloatArray) -> FloatArray:
        """World points (..., 3) before the camera to pixels (..., 2)."""
        seen = self.view(points)
        middle = np.array(self.size, np.float32) / 2
        return np.asarray(seen[..., :2] / seen[..., 2:] * self.focal + middle, np.float32)

    def rays(self, pixels: FloatArray) -> FloatArray:
        """World directions (..., 3), not normalised, through pixels (..., 2)."""
        offset = (pixels - np.array(self.size, np.float32) / 2) / self.focal
        direction = np.concatenate([offset, np.ones_like(offset[..., :1])], -1)
        return np.asarray(direction @ self.axes, np.float32)
