"""The shapes of vehicles: cross-sections of a few kinds of car, van, bus and truck, and where things sit."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import numpy as np

from plateloop.testing.street.surface import Mesh, loft, wheel
from plateloop.types import FloatArray

BODY, WHEEL, BOX, TRIM, ARM = range(5)  # the parts of a vehicle's mesh; an arm holds a mirror


@dataclass(frozen=True, slots=True)
class Section:
    """A cross-section at ``x`` metres before the middle: heights of floor, belt line and top, half widths at
    the widest place and at the top (of the bonnet, or of the roof), metres."""

    x: float
    floor: float
    belt: float
    top: float
    half: float
    roof: float


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of vehicle.

    ``label`` is tcnet's class. ``sections`` run from nose to tail, ``bow`` (front, rear) is how far the ends
    curve back at their sides and ``box`` = (x from, x to, floor, top, half width) a separate load body, all
    metres. ``wheels`` are the axles' x. ``front_plate``/``rear_plate`` are the height of the plates' middle.
    ``screen`` (bottom z, top z, half width at bottom, at top) is the windscreen seen from the front,
    ``rear_screen`` the same from behind.
    """

    label: str
    sections: tuple[Section, ...]
    bow: tuple[float, float]
    wheels: tuple[float, ...]
    wheel_radius: float
    front_plate: float
    rear_plate: float
    screen: tuple[float, float, float, float]
    rear_screen: tuple[float, float, float, float] | None
    box: tuple[float, float, float, float, float] | None = None
    lamps: tuple[float, float, float, float] = field(default=(0.6, 0.78, 0.42, 0.82))
    tail_lamps: tuple[float, float, float, float] = field(default=(0.7, 0.95, 0.55, 0.85))

    @property
    def half(self) -> float:
        """Half of the greatest width, metres."""
        return max([s.half for s in self.sections] + ([self.box[4]] if self.box else []))

    @property
    def height(self) -> float:
        """The greatest height, metres."""
        return max([s.top for s in self.sections] + ([self.box[3]] if self.box else []))

    @property
    def nose(self) -> float:
        """x of the foremost point, metres."""
        return self.sections[0].x

    @property
    def tail(self) -> float:
        """x of the rearmost point, metres."""
        return min(self.sections[-1].x, self.box[1] if self.box else 0.0)


SHAPES: dict[str, Shape] = {
    "sedan": Shape(
        "car",
        (
            Section(2.30, 0.22, 0.60, 0.72, 0.82, 0.62),
            Section(2.12, 0.20, 0.66, 0.78, 0.88, 0.66),
            Section(1.55, 0.19, 0.78, 0.90, 0.90, 0.70),
            Section(0.92, 0.19, 0.86, 0.97, 0.90, 0.70),
            Section(0.12, 0.19, 0.90, 1.45, 0.90, 0.57),
            Section(-0.40, 0.19, 0.91, 1.48, 0.90, 0.58),
            Section(-1.00, 0.19, 0.93, 1.43, 0.90, 0.57),
            Section(-1.65, 0.20, 0.96, 1.10, 0.90, 0.66),
            Section(-2.10, 0.24, 0.95, 1.07, 0.87, 0.66),
            Section(-2.30, 0.30, 0.90, 1.02, 0.82, 0.62),
        ),
        bow=(0.30, 0.22),
        wheels=(1.38, -1.36),
        wheel_radius=0.325,
        front_plate=0.45,
        rear_plate=0.80,
        screen=(0.97, 1.40, 0.73, 0.56),
        rear_screen=(1.08, 1.38, 0.70, 0.55),
        lamps=(0.57, 0.75, 0.44, 0.86),
        tail_lamps=(0.74, 0.96, 0.48, 0.86),
    ),
    "hatchback": Shape(
        "car",
        (
            Section(2.00, 0.22, 0.64, 0.76, 0.80, 0.62),
            Section(1.84, 0.20, 0.70, 0.82, 0.86, 0.64),
            Section(1.40, 0.19, 0.82, 0.95, 0.88, 0.68),
            Section(0.95, 0.19, 0.88, 1.03, 0.88, 0.69),
            Section(0.20, 0.19, 0.93, 1.49, 0.88, 0.59),
            Section(-0.40, 0.19, 0.95, 1.53, 0.88, 0.60),
            Section(-1.30, 0.19, 0.99, 1.48, 0.88, 0.58),
            Section(-1.75, 0.22, 1.00, 1.36, 0.87, 0.57),
            Section(-1.95, 0.27, 0.98, 1.08, 0.84, 0.62),
            Section(-2.00, 0.32, 0.88, 0.98, 0.80, 0.62),
        ),
        bow=(0.30, 0.18),
        wheels=(1.24, -1.26),
        wheel_radius=0.315,
        front_plate=0.46,
        rear_plate=0.72,
        screen=(1.02, 1.45, 0.73, 0.58),
        rear_screen=(1.05, 1.42, 0.66, 0.56),
        lamps=(0.62, 0.83, 0.46, 0.84),
        tail_lamps=(0.78, 1.06, 0.62, 0.85),
    ),
    "suv": Shape(
        "car",
        (
            Section(2.30, 0.30, 0.80, 0.96, 0.86, 0.70),
            Section(2.16, 0.27, 0.86, 1.02, 0.92, 0.73),
            Section(1.60, 0.26, 0.96, 1.12, 0.94, 0.76),
            Section(1.00, 0.26, 1.02, 1.16, 0.94, 0.76),
            Section(0.42, 0.26, 1.07, 1.64, 0.94, 0.66),
            Section(-0.30, 0.26, 1.08, 1.69, 0.94, 0.67),
            Section(-1.60, 0.26, 1.10, 1.66, 0.94, 0.65),
            Section(-2.00, 0.28, 1.11, 1.54, 0.93, 0.64),
            Section(-2.20, 0.33, 1.08, 1.20, 0.90, 0.68),
            Section(-2.26, 0.40, 0.98, 1.10, 0.86, 0.68),
        ),
        bow=(0.24, 0.15),
        wheels=(1.40, -1.36),
        wheel_radius=0.37,
        front_plate=0.56,
        rear_plate=0.86,
        screen=(1.16, 1.60, 0.79, 0.65),
        rear_screen=(1.18, 1.58, 0.70, 0.62),
        lamps=(0.77, 0.96, 0.50, 0.91),
        tail_lamps=(0.86, 1.16, 0.66, 0.91),
    ),
    "van": Shape(
        "car",
        (
            Section(2.55, 0.26, 0.78, 0.95, 0.88, 0.74),
            Section(2.42, 0.23, 0.86, 1.05, 0.94, 0.78),
            Section(2.02, 0.22, 1.02, 1.20, 0.96, 0.80),
            Section(1.72, 0.22, 1.10, 1.30, 0.96, 0.80),
            Section(1.02, 0.22, 1.18, 1.92, 0.96, 0.74),
            Section(0.50, 0.22, 1.18, 1.97, 0.96, 0.76),
            Section(-2.00, 0.22, 1.18, 1.98, 0.96, 0.76),
            Section(-2.40, 0.24, 1.16, 1.95, 0.95, 0.75),
            Section(-2.54, 0.30, 1.14, 1.80, 0.93, 0.75),
            Section(-2.56, 0.36, 1.10, 1.60, 0.91, 0.74),
        ),
        bow=(0.26, 0.05),
        wheels=(1.62, -1.62),
        wheel_radius=0.345,
        front_plate=0.52,
        rear_plate=0.98,
        screen=(1.24, 1.84, 0.84, 0.72),
        rear_screen=(1.22, 1.78, 0.76, 0.69),
        lamps=(0.80, 1.02, 0.56, 0.90),
        tail_lamps=(0.84, 1.34, 0.80, 0.92),
    ),
    "bus": Shape(
        "bus",
        (
            Section(5.50, 0.32, 1.00, 2.70, 1.16, 1.02),
            Section(5.42, 0.28, 1.05, 2.92, 1.22, 1.08),
            Section(5.10, 0.28, 1.10, 3.04, 1.25, 1.14),
            Section(4.50, 0.28, 1.10, 3.06, 1.25, 1.14),
            Section(-4.80, 0.28, 1.10, 3.06, 1.25, 1.14),
            Section(-5.40, 0.30, 1.10, 2.98, 1.24, 1.12),
            Section(-5.50, 0.34, 1.05, 2.80, 1.20, 1.08),
        ),
        bow=(0.22, 0.08),
        wheels=(2.75, -2.65),
        wheel_radius=0.48,
        front_plate=0.52,
        rear_plate=0.66,
        screen=(1.12, 2.40, 1.10, 1.06),
        rear_screen=(1.75, 2.55, 0.92, 0.90),
        lamps=(0.72, 0.92, 0.78, 1.12),
        tail_lamps=(0.70, 1.30, 1.02, 1.18),
    ),
    "truck": Shape(
        "truck",
        (
            Section(3.60, 0.40, 1.25, 1.95, 1.02, 0.92),
            Section(3.54, 0.36, 1.30, 2.30, 1.06, 0.94),
            Section(3.28, 0.36, 1.35, 2.48, 1.08, 0.95),
            Section(2.80, 0.36, 1.35, 2.52, 1.08, 0.96),
            Section(1.98, 0.40, 1.35, 2.52, 1.08, 0.96),
            Section(1.92, 0.44, 1.35, 2.46, 1.06, 0.94),
        ),
        bow=(0.20, 0.02),
        wheels=(2.70, -1.90),
        wheel_radius=0.44,
        front_plate=0.62,
        rear_plate=0.78,
        screen=(1.42, 2.22, 0.98, 0.88),
        rear_screen=None,
        box=(1.75, -3.60, 0.95, 3.20, 1.20),
        lamps=(0.80, 1.02, 0.58, 0.98),
        tail_lamps=(0.66, 0.86, 0.84, 1.12),
    ),
}


def _ring(section: Section) -> FloatArray:
    """The closed outline (y, z) of a cross-section, from the middle of the floor round by the left."""
    s = section
    low = s.floor + 0.38 * (s.belt - s.floor)
    high = s.belt - 0.10 * (s.belt - s.floor)
    crown = 0.06 * min(1.0, s.top - s.belt) + 0.01
    left = np.array(
        [
            [0.0, s.floor],
            [0.55 * s.half, s.floor],
            [0.93 * s.half, s.floor],
            [0.985 * s.half, low],
            [s.half, high],
            [0.965 * s.half, s.belt],
            [s.roof + 0.04, s.top - 2.2 * crown],
            [0.88 * s.roof, s.top - 0.5 * crown],
            [0.45 * s.roof, s.top],
        ]
    )
    right = left[:0:-1] * [-1, 1]
    return np.concatenate([left, [[0.0, s.top]], right])


def _closed(rings: FloatArray, inset: float) -> FloatArray:
    """``rings`` (S, R, 3) with both ends closed by shrunken rings, flat caps with rounded edges."""

    def caps(end: FloatArray) -> list[FloatArray]:
        middle = end.mean(0)
        return [end * s + middle * (1 - s) for s in (0.0, 0.35, 0.7, 1 - inset)]

    return np.concatenate([caps(rings[0]), rings, caps(rings[-1])[::-1]]).astype(np.float32)


def _body(shape: Shape) -> FloatArray:
    rings = [np.insert(_ring(s), 0, s.x, axis=1) for s in shape.sections]
    sections = _closed(np.stack(rings), 0.06)
    x, y, z = np.moveaxis(sections, -1, 0)
    span = (shape.nose - shape.tail) / 2
    middle = (shape.nose + shape.tail) / 2
    share = (x - middle) / span
    curve = (np.abs(y) / shape.half) ** 2.2
    ends = np.where(share > 0, shape.bow[0], -shape.bow[1]) * np.clip((np.abs(share) - 0.45) / 0.5, 0, 1)
    # The bumper stands out a little and what is above it leans back.
    bumper = (
        0.10 * np.exp(-(((z - shape.front_plate) / 0.22) ** 2)) * np.clip((np.abs(share) - 0.9) * 10, 0, 1)
    )
    sections[..., 0] = x - ends * curve + np.sign(share) * bumper
    return sections


def _block(x: tuple[float, float], y: tuple[float, float], z: tuple[float, float], edge: float) -> FloatArray:
    """Sections of a box with edges rounded by about ``edge`` metres."""
    corners = []
    for cy, cz, first in ((y[0], z[0], 1), (y[0], z[1], 0), (y[1], z[1], 1), (y[1], z[0], 0)):
        inwards_y = edge if cy == y[0] else -edge
        inwards_z = edge if cz == z[0] else -edge
        pair = [(cy + inwards_y, cz), (cy, cz + inwards_z)]
        corners += [pair[0], (cy, cz), pair[1]] if first else [pair[1], (cy, cz), pair[0]]
    ring = np.array(corners)
    rings = [np.insert(ring, 0, place, axis=1) for place in (x[0], x[0] - edge, x[1] + edge, x[1])]
    return _closed(np.stack(rings), 0.03)


@cache
def mesh(kind: str) -> Mesh:
    """The mesh of the kind of vehicle named in ``SHAPES``."""
    shape = SHAPES[kind]
    large = shape.label != "car"
    parts = [loft(_body(shape), BODY)]
    track = shape.half - (0.16 if large else 0.115)
    for x in shape.wheels:
        for side in (track, -track):
            radius = shape.wheel_radius
            parts.append(wheel((x, side, radius), radius, 0.30 if large else 0.22, WHEEL))
    if shape.box:
        start, end, floor, top, half = shape.box
        parts.append(loft(_block((start, end), (-half, half), (floor, top), 0.04), BOX, 2, 2))
        parts.append(loft(_block((2.4, end + 0.5), (-0.5, 0.5), (0.5, 0.94), 0.05), TRIM, 2, 2))
        parts.append(loft(_block((end + 0.14, end), (-1.1, 1.1), (0.52, 0.9), 0.03), TRIM, 2, 2))
    parts += [loft(m, part, 2, 2) for m, part in _mirrors(shape)]
    return Mesh.join(parts)


def _mirrors(shape: Shape) -> list[tuple[FloatArray, int]]:
    """The mirrors' housings and the arms that hold them."""
    car = shape.label == "car"
    if car:
        x, z = shape.sections[4].x + 0.56, shape.sections[4].belt + 0.10
        deep, tall, inner, outer = 0.13, 0.15, shape.half - 0.06, shape.half + 0.14
        arm_z, arm_from = (z - tall / 2, z - tall / 2 + 0.05), 0.74 * shape.half
    else:
        x, z = shape.nose - 0.05, 0.5 * (shape.screen[0] + shape.screen[1]) + 0.15
        deep, tall, inner, outer = 0.12, 0.42, shape.half + 0.06, shape.half + 0.27
        arm_z, arm_from = (z + tall / 2 + 0.02, z + tall / 2 + 0.08), shape.half - 0.10
    built = []
    for side in (1, -1):
        near, far = sorted((side * inner, side * outer))
        housing = _block((x, x - deep), (near, far), (z - tall / 2, z + tall / 2), 0.055)
        built.append((housing, BODY if car else ARM))
        near, far = sorted((side * arm_from, side * (outer - 0.1)))
        built.append((_block((x - 0.02, x - 0.08), (near, far), arm_z, 0.02), ARM))
    return built
