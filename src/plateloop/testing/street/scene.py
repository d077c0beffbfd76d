"""The empty street: sky, houses, trees, pavement and road, as light that reaches a fixed camera."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from plateloop.testing.street.camera import Camera, floats
from plateloop.testing.street.ground import ground
from plateloop.testing.street.houses import HOUSES, House, facade
from plateloop.testing.street.light import HAZE, sky
from plateloop.testing.street.pattern import Textures, step
from plateloop.testing.street.trees import LAMPS, TREES, draw_lamp_post, draw_tree
from plateloop.types import FloatArray

_FAR = 400.0  # metres: nothing stands beyond
_SUPER = 2
_BAND = 180  # rows that are worked on at once


def empty_street(camera: Camera) -> FloatArray:
    """The street without vehicles as linear light (height, width, 3), seen by ``camera``."""
    fine = camera.scaled(_SUPER)
    tex = Textures()
    width, height = fine.size
    picture = np.empty((height, width, 3), np.float32)
    depth = np.empty((height, width), np.float32)
    for top in range(0, height, _BAND):
        band = slice(top, min(top + _BAND, height))
        x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(band.start, band.stop) + 0.5)
        rays = fine.rays(floats(np.stack([x, y], -1))).reshape(-1, 3)
        light, far = _seen(rays, fine, tex)
        picture[band], depth[band] = light.reshape(-1, width, 3), far.reshape(-1, width)
    _skyline(picture, fine, tex, gap=depth > 200)
    things = [(y, "tree", (x, y, h)) for x, y, h in TREES] + [(y, "lamp", (x, y, 0.0)) for x, y in LAMPS]
    for k, (_, kind, place) in enumerate(sorted(things, reverse=True)):
        if kind == "tree":
            draw_tree(picture, fine, place, k)
        else:
            draw_lamp_post(picture, fine, place[0], place[1])
    return floats(cv2.resize(picture, camera.size, interpolation=cv2.INTER_AREA))


def _seen(rays: FloatArray, camera: Camera, tex: Textures) -> tuple[FloatArray, FloatArray]:
    """Light (P, 3) of sky, ground or house along ``rays`` (P, 3) from ``camera``, and its depth (P,)."""
    unit = rays / np.linalg.norm(rays, axis=1, keepdims=True)
    light = sky(unit)
    over = unit[:, 2] > 0.004
    u, v = (unit[over, k] / (unit[over, 2] + 0.10) for k in (0, 1))
    cloud = tex.at(tex.soft, u + 1.3, v, 9.0) * 0.7 + tex.at(tex.rough, u, v, 5.0) * 0.28
    light[over] += (floats([1.04, 1.03, 1.02]) - light[over]) * (step(cloud, -0.1, 1.5) * 0.85)[:, None]
    depth = np.full(len(rays), _FAR, np.float32)
    eye = floats(camera.position)
    # The rays' forward part is 1, so that a ray's parameter is the depth before the camera.
    with np.errstate(divide="ignore"):
        t = -eye[2] / rays[:, 2]
    hit = np.flatnonzero((t > 0) & (t < _FAR))
    if len(hit):
        t = t[hit]
        light[hit] = ground(eye[0] + t * rays[hit, 0], eye[1] + t * rays[hit, 1], t / camera.focal, tex)
        depth[hit] = t
    for house in HOUSES:
        _add_house(house, rays, camera, tex, light, depth)
    haze = (1 - np.exp(-depth / 900)) * (depth < _FAR)
    light += (HAZE - light) * haze[:, None]
    return light, depth


def _add_house(
    house: House, rays: FloatArray, camera: Camera, tex: Textures, light: FloatArray, depth: FloatArray
) -> None:
    """Put a house's face and its gable into ``light`` and ``depth`` (in place) where nothing is nearer."""
    eye = floats(camera.position)
    side = 1 if house.wall > 0 else -1
    for axis, plane, normal in ((0, house.wall, floats([-side, 0, 0])), (1, house.start, floats([0, -1, 0]))):
        with np.errstate(divide="ignore"):
            t = (plane - eye[axis]) / rays[:, axis]
        z = eye[2] + t * rays[:, 2]
        along = eye[1 - axis] + t * rays[:, 1 - axis]
        low, high = (house.start, house.end) if axis == 0 else sorted((house.wall, house.wall + side * 12))
        hit = np.flatnonzero(
            (t > 0) & (t < depth) & (along > low) & (along < high) & (z > 0) & (z < house.height)
        )
        if len(hit):
            foot = t[hit] / camera.focal * (3.0 if axis == 0 else 1.0)
            light[hit] = facade(along[hit], z[hit], house, normal, tex, foot)
            depth[hit] = t[hit]


def _skyline(light: FloatArray, camera: Camera, tex: Textures, gap: NDArray[np.bool_]) -> None:
    """Trees and roofs where the street ends, pale with distance, drawn where nothing stands (``gap``)."""
    width = light.shape[1]
    horizon = float(camera.project(floats([[0, 5000, 0]]))[0, 1])
    columns = np.arange(width, dtype=np.float32)
    for height, scale, tint in ((50.0, 90.0, (0.46, 0.53, 0.60)), (34.0, 37.0, (0.20, 0.26, 0.22))):
        tops = tex.at(tex.rough, columns / scale, np.full(width, scale, np.float32), 11.0)
        top = horizon - height * (1 + 0.20 * tops)
        rows = np.arange(light.shape[0])[:, None]
        between = (rows > top[None]) & (rows < horizon + 26)
        light[between & gap] = floats(tint)
