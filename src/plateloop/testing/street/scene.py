"""The empty street: sky, houses, trees, pavement and road, as light that reaches a fixed camera."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from plateloop.testing.street.camera import Camera, floats
from plateloop.testing.street.ground import ground
from plateloop.testing.street.houses import HOUSES, facade
from plateloop.testing.street.light import HAZE, sky
from plateloop.testing.street.pattern import Textures, step
from plateloop.testing.street.trees import LAMPS, TREES, draw_lamp_post, draw_tree
from plateloop.types import FloatArray

_FAR = 400.0  # metres: nothing stands beyond
_SUPER = 2


def empty_street(camera: Camera) -> FloatArray:
    """The street without vehicles as linear light (height, width, 3), seen by ``camera``."""
    fine = camera.scaled(_SUPER)
    tex = Textures()
    rays = fine.ray_grid()
    shape = rays.shape[:2]
    rays = rays.reshape(-1, 3)
    unit = rays / np.linalg.norm(rays, axis=1, keepdims=True)
    light = sky(unit)
    over = unit[:, 2] > 0.004
    u, v = (unit[over, k] / (unit[over, 2] + 0.10) for k in (0, 1))
    cloud = tex.at(tex.soft, u + 1.3, v, 9.0) * 0.7 + tex.at(tex.rough, u, v, 5.0) * 0.28
    light[over] += (floats([1.04, 1.03, 1.02]) - light[over]) * (step(cloud, -0.1, 1.5) * 0.85)[:, None]
    depth = np.full(len(rays), _FAR, np.float32)
    eye = floats(camera.position)

    # The rays' forward part is 1, so that a ray's parameter is the depth before the camera.
    def put(t: FloatArray, chosen: NDArray[np.intp], paint: FloatArray) -> None:
        light[chosen] = paint
        depth[chosen] = t

    with np.errstate(divide="ignore"):
        t = -eye[2] / rays[:, 2]
    hit = np.flatnonzero((t > 0) & (t < _FAR))
    t = t[hit]
    put(t, hit, ground(eye[0] + t * rays[hit, 0], eye[1] + t * rays[hit, 1], t / fine.focal, tex))
    for house in HOUSES:
        outward = floats([-np.sign(house.wall), 0, 0])
        for axis, plane, normal in ((0, house.wall, outward), (1, house.start, floats([0, -1, 0]))):
            with np.errstate(divide="ignore"):
                t = (plane - eye[axis]) / rays[:, axis]
            z = eye[2] + t * rays[:, 2]
            along = eye[1 - axis] + t * rays[:, 1 - axis]
            if axis == 0:
                within = (along > house.start) & (along < house.end)
            else:
                within = (along * np.sign(house.wall) > abs(house.wall)) & (
                    np.abs(along) < abs(house.wall) + 12
                )
            hit = np.flatnonzero((t > 0) & within & (z > 0) & (z < house.height) & (t < depth))
            if not len(hit):
                continue
            foot = t[hit] / fine.focal * (3.0 if axis == 0 else 1.0)
            put(t[hit], hit, facade(along[hit], z[hit], house, normal, tex, foot))
    haze = (1 - np.exp(-depth / 900)) * (depth < _FAR)
    light += (HAZE - light) * haze[:, None]
    picture = np.ascontiguousarray(light.reshape(*shape, 3), np.float32)
    _skyline(picture, fine, tex, gap=depth.reshape(shape) > 200)
    things = [(y, "tree", (x, y, h)) for x, y, h in TREES] + [(y, "lamp", (x, y, 0.0)) for x, y in LAMPS]
    for k, (_, kind, place) in enumerate(sorted(things, reverse=True)):
        if kind == "tree":
            draw_tree(picture, fine, place, k)
        else:
            draw_lamp_post(picture, fine, place[0], place[1])
    return floats(cv2.resize(picture, camera.size, interpolation=cv2.INTER_AREA))


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
