"""Which triangle each pixel sees, and what it finds there: the renderer's geometry stage."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from plateloop.testing.street.camera import Camera, floats
from plateloop.testing.street.surface import Mesh
from plateloop.types import FloatArray, IntArray

_SHIFT = 4  # fractional bits of OpenCV's polygon coordinates


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a vehicle stands: the middle of its footprint (x, y) and its heading, radians from +x to +y."""

    x: float
    y: float
    heading: float

    @property
    def rotation(self) -> FloatArray:
        """The vehicle's axes as columns in the world, (3, 3)."""
        c, s = np.cos(self.heading), np.sin(self.heading)
        return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]], np.float32)

    def to_world(self, points: FloatArray) -> FloatArray:
        """Points (..., 3) of the vehicle's frame in the world."""
        return np.asarray(points @ self.rotation.T + floats([self.x, self.y, 0]), np.float32)

    def to_local(self, point: FloatArray) -> FloatArray:
        """World points (..., 3) in the vehicle's frame."""
        return np.asarray((point - floats([self.x, self.y, 0])) @ self.rotation, np.float32)


@dataclass(frozen=True, slots=True)
class Fragments:
    """What P covered pixels of a window see.

    ``left``, ``top`` place the window (height, width of ``mask``) in the picture, ``mask`` marks its covered
    pixels in row order; ``points``, ``normals`` (P, 3) lie in the vehicle's frame, ``part`` (P,) is the
    mesh's, ``towards`` (P, 3) points to the camera, unit length.
    """

    left: int
    top: int
    mask: np.ndarray[tuple[int, int], np.dtype[np.bool_]]
    points: FloatArray
    normals: FloatArray
    part: IntArray
    towards: FloatArray


def rasterize(
    mesh: Mesh, pose: Pose, camera: Camera, sparse: bool = False, near: float = 0.5
) -> Fragments | None:
    """The visible surface of ``mesh`` at ``pose``; None where no pixel of the picture sees it.

    ``sparse``: only every second pixel, as on the white squares of a chessboard. What comes nearer than
    ``near`` metres is left out.

    Triangles are painted from far to near into a buffer of their numbers; each pixel's point and normal
    follow by perspective-correct interpolation from the inverse of its triangle's vertex matrix
    (Olano and Greer, "Triangle scan conversion using 2D homogeneous coordinates", 1997).
    """
    seen = camera.view(pose.to_world(mesh.points))
    depth = seen[:, 2][mesh.triangles]
    pixels = seen[:, :2] / np.maximum(seen[:, 2:], near) * camera.focal + floats(camera.size) / 2
    corners = pixels[mesh.triangles]
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    facing = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0] < 0
    low, high = corners.min(1), corners.max(1)
    inside = (high > 0).all(1) & (low < camera.size).all(1) & (depth > near).all(1)
    chosen = np.flatnonzero(facing & inside)
    if not len(chosen):
        return None
    left, top = np.maximum(np.floor(low[chosen].min(0)).astype(int) - 1, 0)
    right, bottom = np.minimum(np.ceil(high[chosen].max(0)).astype(int) + 1, camera.size)
    if right <= left or bottom <= top:
        return None
    chosen = chosen[np.argsort(-(depth[chosen].mean(1) - mesh.lift[chosen]))]
    shapes = np.round((corners[chosen] - floats([left, top]) - 0.5) * (1 << _SHIFT)).astype(np.int32)
    numbers = np.full((bottom - top, right - left), -1, np.int32)
    for number, shape in zip(chosen.tolist(), shapes, strict=True):
        cv2.fillConvexPoly(numbers, shape, number, cv2.LINE_8, _SHIFT)
    if sparse:
        odd = (left + top) % 2
        numbers[::2, 1 - odd :: 2] = -1
        numbers[1::2, odd::2] = -1
    mask = numbers >= 0
    drawn = np.zeros(len(mesh.triangles), bool)
    drawn[numbers[mask]] = True
    used = np.flatnonzero(drawn)
    place = np.zeros(len(drawn), np.intp)
    place[used] = np.arange(len(used))
    owner = place[numbers[mask]]
    # A pixel's ray r is sum(b_k * v_k), v_k its triangle's corners before the camera: b = r @ inverse.
    inverse = floats(np.linalg.inv(seen[mesh.triangles[used]].astype(np.float64)))
    rows, columns = np.nonzero(mask)
    offset = (left + 0.5 - camera.size[0] / 2, top + 0.5 - camera.size[1] / 2)
    ray_x = (columns.astype(np.float32) + offset[0]) / camera.focal
    ray_y = (rows.astype(np.float32) + offset[1]) / camera.focal
    weights = []
    for corner in range(3):
        a, b, c = (np.ascontiguousarray(inverse[:, axis, corner])[owner] for axis in range(3))
        # Polygons own half a pixel too much at their rims: do not extrapolate there.
        weights.append(np.maximum(ray_x * a + ray_y * b + c, 0))
    total = np.maximum(weights[0] + weights[1] + weights[2], 1e-9)
    corner_depth = seen[:, 2][mesh.triangles[used]]
    corner_normals = mesh.normals[mesh.triangles[used]]
    depth_at = np.zeros(len(owner), np.float32)
    normals = np.zeros((len(owner), 3), np.float32)
    for corner, weight in enumerate(weights):
        depth_at += weight / total * np.ascontiguousarray(corner_depth[:, corner])[owner]
        normals += weight[:, None] * np.ascontiguousarray(corner_normals[:, corner])[owner]
    normals /= np.maximum(np.sqrt(np.einsum("ij,ij->i", normals, normals))[:, None], 1e-9)
    axes = camera.axes @ pose.rotation
    rays = ray_x[:, None] * axes[0] + ray_y[:, None] * axes[1] + axes[2]
    points = pose.to_local(floats(camera.position)) + rays * depth_at[:, None]
    rays /= -np.sqrt(np.einsum("ij,ij->i", rays, rays))[:, None]
    return Fragments(int(left), int(top), mask, floats(points), normals, mesh.part[used][owner], floats(rays))
