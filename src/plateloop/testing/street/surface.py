"""Smooth closed surfaces lofted through cross-sections: what vehicle bodies are made of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from plateloop.types import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Mesh:
    """Triangles with smooth shading.

    ``points`` and ``normals`` (N, 3) float32, metres in the vehicle's frame (x forward, y left, z up from the
    ground, origin in the middle of the footprint); ``triangles`` (T, 3) int64, counter-clockwise seen from
    outside; ``part`` (T,) int64 says which skin covers each; ``lift`` (T,) metres is how much nearer than it
    is a triangle counts when it is painted, for things that lie on others.
    """

    points: FloatArray
    normals: FloatArray
    triangles: IntArray
    part: IntArray
    lift: FloatArray

    @classmethod
    def join(cls, meshes: list[Self]) -> Self:
        """All triangles of ``meshes`` in one mesh."""
        starts = np.cumsum([0, *(len(m.points) for m in meshes[:-1])])
        return cls(
            np.concatenate([m.points for m in meshes]),
            np.concatenate([m.normals for m in meshes]),
            np.concatenate([m.triangles + s for m, s in zip(meshes, starts, strict=True)]),
            np.concatenate([m.part for m in meshes]),
            np.concatenate([m.lift for m in meshes]),
        )


def _spline(count: int, samples: int, closed: bool) -> FloatArray:
    """Weights (n, count) of a uniform quadratic B-spline over ``count`` control points.

    An open curve starts and ends in its end points (the end points are doubled), a closed one runs round.
    """
    index = np.arange(count) if closed else np.r_[0, np.arange(count), count - 1]
    spans = len(index) if closed else len(index) - 2
    u = np.linspace(0, 1, samples, endpoint=False)
    basis = np.stack([(1 - u) ** 2, 1 + 2 * u - 2 * u**2, u**2], -1) / 2
    weights = np.zeros((spans * samples, count), np.float32)
    for span in range(spans):
        for k in range(3):
            rows = slice(span * samples, (span + 1) * samples)
            weights[rows, index[(span + k) % len(index)]] += basis[:, k]
    if not closed:
        weights = np.concatenate([weights, np.eye(count, dtype=np.float32)[-1:]])
    return weights


def _grid_mesh(grid: FloatArray, part: int, poles: bool) -> Mesh:
    """The mesh of a closed surface over a grid (n, m, 3) whose second axis runs round; ``poles``: the first
    and the last ring are one point each."""
    n, m = grid.shape[:2]
    index = np.arange(n * m).reshape(n, m)
    right = np.roll(index, -1, axis=1)
    a, b, c, d = index[:-1], right[:-1], right[1:], index[1:]
    triangles = np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))])
    points = grid.reshape(-1, 3)
    p, q, r = (points[triangles[:, k]] for k in range(3))
    if np.einsum("ij,ij->", p, np.cross(q, r)) < 0:  # the signed volume: negative when inside out
        triangles = triangles[:, ::-1]
        q, p = p, q
    faces = np.cross(q - p, r - p)
    normals = np.zeros_like(points)
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], faces)
    if poles:
        for pole in (index[0], index[-1]):
            normals[pole] = normals[pole].sum(0)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    triangles = triangles[np.linalg.norm(faces, axis=1) > 1e-9]
    count = len(triangles)
    return Mesh(points, normals, triangles, np.full(count, part), np.zeros(count, np.float32))


def loft(sections: FloatArray, part: int, along: int = 4, around: int = 3) -> Mesh:
    """The surface through ``sections`` (S, R, 3): S rings of R points each.

    First and last ring should be shrunk to a point, which closes the surface. A biquadratic B-spline: it
    follows its control points closely and rounds every edge a little.
    """
    rows, columns = _spline(len(sections), along, False), _spline(sections.shape[1], around, True)
    grid = np.einsum("is,src,jr->ijc", rows, sections, columns).astype(np.float32)
    return _grid_mesh(grid, part, poles=True)


def wheel(center: tuple[float, float, float], radius: float, width: float, part: int) -> Mesh:
    """A wheel about the y axis: a rounded tyre whose outer face (away from the middle plane) is dished."""
    x0, y0, z0 = center
    outwards = 1 if y0 >= 0 else -1
    y, r = np.array(
        [
            *[(-0.5, 0.0), (-0.5, 0.88), (-0.46, 0.96), (-0.34, 1.0), (0.34, 1.0), (0.46, 0.96)],
            *[(0.5, 0.88), (0.47, 0.7), (0.4, 0.66), (0.36, 0.6), (0.42, 0.0)],
        ]
    ).T[..., None]
    angle = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    rim = radius * r
    grid = np.stack(
        [x0 + rim * np.cos(angle), y0 + outwards * y * width + 0 * angle, z0 + rim * np.sin(angle)], -1
    )
    mesh = _grid_mesh(grid.astype(np.float32), part, poles=True)
    # The disc lies flush with the body's side, which would hide it here and there.
    flat = np.abs(mesh.normals[mesh.triangles, 1]).min(1) > 0.6
    return replace(mesh, lift=np.where(flat, radius, 0).astype(np.float32))
