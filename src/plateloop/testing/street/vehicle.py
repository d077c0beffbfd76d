"""Draw one vehicle with its plates and its shadow into a picture of light."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from plateloop.geometry import homography
from plateloop.testing.street.bodies import ARM, BODY, BOX, SHAPES, TRIM, WHEEL, Shape, mesh
from plateloop.testing.street.camera import Camera, floats, turned
from plateloop.testing.street.light import SKY_LIGHT, SUN, SUN_LIGHT, Material, linear, shade
from plateloop.testing.street.plates import PlateArt
from plateloop.testing.street.raster import Fragments, Pose, rasterize
from plateloop.testing.street.skin import Skin
from plateloop.types import FloatArray

_SUPER = 2  # supersampling of vehicles in each direction
_NEAR = 24.0  # metres: nearer ones are drawn with half of the samples


@dataclass(frozen=True, slots=True)
class Vehicle:
    """A vehicle: its kind (a key of ``SHAPES``), its drawings, its colour's name and its plate."""

    kind: str
    skin: Skin
    color: str
    plate: PlateArt

    @property
    def shape(self) -> Shape:
        """The shape of its kind."""
        return SHAPES[self.kind]


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was drawn: the vehicle's box, the plate's corners (4, 2) if they all lie in the picture, and the
    pixels it covers: ``mask`` (h, w) whose first pixel lies at ``origin`` (row, column)."""

    box: tuple[float, float, float, float]
    corners: FloatArray | None
    origin: tuple[int, int]
    mask: np.ndarray[tuple[int, int], np.dtype[np.bool_]]


def plate_corners(vehicle: Vehicle, pose: Pose, camera: Camera) -> tuple[FloatArray, bool]:
    """The corners (4, 2) in the picture of the plate on the end that the camera sees, clockwise from the
    plate's own top left, and whether that is the front."""
    shape = vehicle.shape
    front = float(pose.to_local(floats(camera.position))[0]) > 0
    x = shape.nose + 0.125 if front else shape.tail - 0.115
    if shape.box and not front:
        x = shape.tail - 0.03
    z, lean = (shape.front_plate, -0.012) if front else (shape.rear_plate, -0.02)
    width, height = vehicle.plate.size
    side = -1 if front else 1  # the plate's own left is the vehicle's right, seen from the front
    ends = 1 if front else -1
    corners = floats(
        [
            [x + ends * lean * v, side * u * width / 2, z + v * height / 2]
            for u, v in ((1, 1), (-1, 1), (-1, -1), (1, -1))
        ]
    )
    return camera.project(pose.to_world(corners)), front


def _material(vehicle: Vehicle, pose: Pose, seen: Fragments, density: float) -> Material:
    skin, shape = vehicle.skin, vehicle.shape
    count = len(seen.points)
    albedo, gloss, glow = (
        np.zeros((count, 3), np.float32),
        np.zeros(count, np.float32),
        np.zeros(count, np.float32),
    )
    albedo[seen.part == ARM] = linear((24, 24, 26))
    for chosen, body in ((seen.part == BODY, True), ((seen.part == BOX) | (seen.part == TRIM), False)):
        if chosen.any():
            found = skin.material(seen.points[chosen], seen.normals[chosen], density, body)
            albedo[chosen], gloss[chosen], glow[chosen] = found.albedo, found.gloss, found.glow
    rubber = seen.part == WHEEL
    if rubber.any():
        point = seen.points[rubber]
        axle = floats(shape.wheels)[np.abs(point[:, :1] - floats(shape.wheels)).argmin(1)]
        x, z = point[:, 0] - axle, point[:, 2] - shape.wheel_radius
        radius = np.hypot(x, z) / shape.wheel_radius
        turn = np.arctan2(z, x) + pose.y / shape.wheel_radius
        disc = (np.abs(seen.normals[rubber, 1]) > 0.4) & (radius < 0.66)
        spoke = (np.abs((turn * 5 / np.pi) % 2 - 1) < 0.55) | (radius > 0.57) | (radius < 0.16)
        metal = disc & spoke
        albedo[rubber] = np.where(metal[:, None], linear((176, 178, 182)), linear((30, 30, 31)))
        albedo[rubber] *= np.where(disc & ~spoke, 0.25, 1.0)[:, None].astype(np.float32)
        gloss[rubber] = np.where(metal, 4.0, 0.0)
    return Material(albedo, gloss, glow)


def _patch(light: FloatArray, left: int, top: int, color: FloatArray, cover: FloatArray) -> FloatArray:
    """Lay a supersampled window over ``light`` in place; ``color`` is premultiplied by ``cover``.
    Returns each pixel's cover (h, w)."""
    height, width = cover.shape[0] // _SUPER, cover.shape[1] // _SUPER
    small = cv2.resize(color, (width, height), interpolation=cv2.INTER_AREA)
    share = cv2.resize(cover, (width, height), interpolation=cv2.INTER_AREA)
    region = light[top : top + height, left : left + width]
    region *= 1 - share[..., None]
    region += small
    return np.asarray(share, np.float32)


def draw_vehicle(light: FloatArray, vehicle: Vehicle, pose: Pose, camera: Camera) -> Drawn | None:
    """Draw ``vehicle`` at ``pose`` onto ``light`` (h, w, 3) in place; None where nothing of it is visible."""
    fine = camera.scaled(_SUPER)
    distance = float(np.linalg.norm(floats(camera.position) - floats([pose.x, pose.y, 1])))
    sparse = distance < _NEAR  # of near vehicles two samples a pixel must do
    gain = np.float32(2 if sparse else 1)
    seen = rasterize(mesh(vehicle.kind), pose, fine, sparse)
    if seen is None:
        return None
    material = _material(vehicle, pose, seen, fine.focal / distance)
    rotation = pose.rotation
    low = np.clip(seen.points[:, 2] / 0.55, 0, 1)
    up = np.clip(seen.normals[:, 2] + 0.5, 0, 1)
    open_sky = 0.22 + 0.78 * (low * low * (3 - 2 * low)) * (0.35 + 0.65 * up)
    shaded = shade(material, turned(seen.normals, rotation), turned(seen.towards, rotation), open_sky)
    height, width = seen.mask.shape
    # Windows start and end on whole pixels of the picture.
    left, top = seen.left // _SUPER, seen.top // _SUPER
    dx, dy = seen.left - left * _SUPER, seen.top - top * _SUPER
    size = (-(-(height + dy) // _SUPER) * _SUPER, -(-(width + dx) // _SUPER) * _SUPER)
    color, cover = np.zeros((*size, 3), np.float32), np.zeros(size, np.float32)
    color[dy : dy + height, dx : dx + width][seen.mask] = shaded
    cover[dy : dy + height, dx : dx + width][seen.mask] = 1
    corners, front = plate_corners(vehicle, pose, camera)
    share = _patch(light, left, top, color * gain, cover * gain)
    _draw_plate(light, vehicle.plate, corners, camera, rotation[:, 0] * (1 if front else -1))
    rows, columns = np.flatnonzero(seen.mask.any(1)), np.flatnonzero(seen.mask.any(0))
    box = (
        (seen.left + columns[0]) / _SUPER,
        (seen.top + rows[0]) / _SUPER,
        (seen.left + columns[-1] + 1) / _SUPER,
        (seen.top + rows[-1] + 1) / _SUPER,
    )
    inside = (corners >= 0).all() and (corners <= floats(camera.size)).all()
    return Drawn(
        tuple(float(v) for v in box),  # type: ignore[arg-type]
        corners if inside else None,
        (top, left),
        share > 0.5,
    )


def _draw_plate(
    light: FloatArray, plate: PlateArt, corners: FloatArray, camera: Camera, normal: FloatArray
) -> None:
    """Lay a plate that faces along ``normal`` in the world over ``light`` in place, at ``corners`` (4, 2)."""
    low = np.clip(np.floor(corners.min(0)).astype(int) - 1, 0, camera.size)
    high = np.clip(np.ceil(corners.max(0)).astype(int) + 1, 0, camera.size)
    if (low >= high).any():
        return
    target = (corners - floats(low)) * _SUPER
    wide = max(float(np.linalg.norm(target[1] - target[0])), 4.0)
    drawn = float(np.linalg.norm(plate.corners[1] - plate.corners[0]))
    shrink = min(1.0, wide / drawn)
    height, width = plate.image.shape[:2]
    size = (max(2, round(width * shrink)), max(2, round(height * shrink)))
    small = cv2.resize(plate.image, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    source = plate.corners * floats([size[0] / width, size[1] / height])
    matrix = homography(source - 0.5, target - 0.5)
    shape = tuple(int(side) * _SUPER for side in high - low)
    flat = cv2.warpPerspective(
        small**2.2, matrix, shape, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    mask = np.zeros(shape[::-1], np.uint8)
    cv2.fillConvexPoly(mask, np.round((target - 0.5) * 16).astype(np.int32), 255, cv2.LINE_AA, 4)
    cover = floats(mask / 255)
    incoming = 0.5 * (SKY_LIGHT + 0.2) + SUN_LIGHT * max(float(normal @ SUN), 0.0)
    color = floats(flat.reshape(*cover.shape, 3) * incoming * 0.9 * cover[..., None])
    _patch(light, int(low[0]), int(low[1]), color, cover)


def draw_shadow(light: FloatArray, vehicle: Vehicle, pose: Pose, camera: Camera) -> None:
    """Darken the street below and beside ``vehicle`` in ``light`` in place: its cast shadow in the sun and
    the dark beneath it."""
    body = mesh(vehicle.kind)
    world = pose.to_world(body.points)
    flat = world - SUN * (world[:, 2:] / SUN[2])
    shape = vehicle.shape
    a, b, c = shape.nose, shape.tail, shape.half
    print_ = pose.to_world(floats([[a, c, 0], [a, -c, 0], [b, -c, 0], [b, c, 0]]) * floats([0.97, 0.9, 1]))
    parts = [
        flat[np.unique(body.triangles[body.part == part])]
        for part in (BODY, BOX)
        if (body.part == part).any()
    ]
    if camera.view(np.concatenate([*parts, print_]))[:, 2].min() < 0.5:
        return
    everything = camera.project(np.concatenate([*parts, print_]))
    low = np.maximum(np.floor(everything.min(0)).astype(int) - 24, 0)
    high = np.minimum(np.ceil(everything.max(0)).astype(int) + 24, camera.size)
    if (high <= low).any():
        return
    width, height = high - low
    distance = float(camera.view(pose.to_world(floats([[0, 0, 0]])))[0, 2])

    def mask(outlines: list[FloatArray], soft: float) -> FloatArray:
        canvas = np.zeros((height, width), np.uint8)
        for outline in outlines:
            hull = cv2.convexHull(np.round((camera.project(outline) - low - 0.5) * 16).astype(np.int32))
            cv2.fillConvexPoly(canvas, hull, 255, cv2.LINE_AA, 4)
        sigma = max(0.6, soft * camera.focal / distance)
        return floats(cv2.GaussianBlur(canvas, (0, 0), sigma) / 255)

    cast, beneath = mask(parts, 0.025), mask([print_], 0.10)
    region = light[low[1] : high[1], low[0] : high[0]]
    region *= (1 - 0.62 * cast)[..., None] * (1 - 0.72 * beneath)[..., None]
