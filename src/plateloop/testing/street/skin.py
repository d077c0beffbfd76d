"""What is painted on vehicles: windows, lamps, grilles, doors, seen from the front, the rear and the side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from plateloop.testing.street.bodies import Shape
from plateloop.testing.street.camera import floats
from plateloop.testing.street.flank import flank
from plateloop.testing.street.light import Material, linear
from plateloop.testing.street.sheet import BLACK, CHROME, DARK, GLASS, RGB, Sheet, darker
from plateloop.types import FloatArray


@dataclass(frozen=True, slots=True)
class Skin:
    """The drawings of one vehicle and the colour of its paint."""

    front: Sheet
    rear: Sheet
    side: Sheet
    paint: RGB
    bare: RGB  # the load body's colour, or black plastic

    def material(self, points: FloatArray, normals: FloatArray, density: float, body: bool) -> Material:
        """The surface at ``points`` with ``normals`` (P, 3) of the vehicle's frame: the drawing that the
        surface faces most, or plain paint where it looks up."""
        n = np.abs(normals)
        lengthwise = (n[:, 0] > 0.55 * n[:, 1]) & (n[:, 0] > np.where(normals[:, 0] > 0, 0.06, 0.22))
        sideways = ~lengthwise & (n[:, 1] > 0.33)
        plain = floats([*linear(self.paint if body else self.bare), 1.0 if body else 0.4, 0.0])
        channels = np.tile(plain, (len(points), 1))
        for chosen, sheet, axis in (
            (lengthwise & (normals[:, 0] > 0), self.front, 1),
            (lengthwise & (normals[:, 0] <= 0), self.rear, 1),
            (sideways, self.side, 0),
        ):
            if chosen.any():
                channels[chosen] = sheet.at(points[chosen, axis], points[chosen, 2], density)
        return Material(channels[:, :3], channels[:, 3], channels[:, 4])


def _screen(sheet: Sheet, screen: tuple[float, float, float, float], crowd: bool) -> None:
    low, high, wide, narrow = screen
    outer = [
        (-wide - 0.02, low - 0.03),
        (wide + 0.02, low - 0.03),
        (narrow + 0.02, high + 0.03),
        (-narrow - 0.02, high + 0.03),
    ]
    sheet.fill(outer, BLACK, gloss=1.2, rounding=0.03)
    sheet.fill([(-wide, low), (wide, low), (narrow, high), (-narrow, high)], GLASS, gloss=1.7, rounding=0.03)
    span = high - low
    if crowd:  # dashboard, seats and a driver behind the glass, all rather dark
        sheet.fill(
            [
                (-wide * 0.93, low + 0.01),
                (wide * 0.93, low + 0.01),
                (wide * 0.9, low + 0.13 * span),
                (-wide * 0.9, low + 0.13 * span),
            ],
            (48, 48, 50),
            gloss=1.7,
            opacity=0.7,
        )
        for u, tint in ((0.42, (52, 46, 44)), (-0.42, (36, 36, 38))):
            at = u * wide
            sheet.fill(
                [
                    (at - 0.2, low + 0.1 * span),
                    (at + 0.2, low + 0.1 * span),
                    (at + 0.17, low + 0.55 * span),
                    (at - 0.17, low + 0.55 * span),
                ],
                tint,
                gloss=1.7,
                rounding=0.05,
                opacity=0.8,
            )
        at = 0.42 * wide
        sheet.fill(
            [
                (at - 0.09, low + 0.5 * span),
                (at + 0.09, low + 0.5 * span),
                (at + 0.08, low + 0.82 * span),
                (at - 0.08, low + 0.82 * span),
            ],
            (70, 56, 50),
            gloss=1.7,
            rounding=0.05,
            opacity=0.6,
        )
        sheet.line([(-0.06, high - 0.08 * span), (0.06, high - 0.08 * span)], 0.05, (12, 12, 12))
    sheet.line([(-wide * 0.6, low - 0.01), (wide * 0.1, low + 0.03)], 0.018, (8, 8, 8))
    sheet.line([(-wide * 0.05, low - 0.01), (wide * 0.65, low + 0.03)], 0.018, (8, 8, 8))


def _lamp(sheet: Sheet, box: tuple[float, float, float, float], slant: float, lit: float) -> None:
    low, high, inner, outer = box
    shape = [
        (inner, low + slant * 0.3),
        (outer, low + slant),
        (outer + 0.03, high + slant * 0.8),
        (inner + 0.06, high - 0.02),
    ]
    sheet.fill(shape, DARK, gloss=2.0, rounding=0.03, mirror=True)
    tight = [
        (inner + 0.03, low + slant * 0.3 + 0.025),
        (outer - 0.02, low + slant + 0.02),
        (outer, high + slant * 0.8 - 0.02),
        (inner + 0.08, high - 0.045),
    ]
    sheet.fill(tight, (176, 182, 190), gloss=5.0, rounding=0.02, mirror=True)
    middle = (low + high + slant) / 2
    radius = (high - low) * 0.30
    sheet.discs((inner + 0.62 * (outer - inner), middle), radius * 1.15, (60, 62, 66), gloss=4)
    sheet.discs((inner + 0.62 * (outer - inner), middle), radius * 0.8, (246, 246, 240), gloss=4, glow=lit)
    sheet.discs(
        (inner + 0.30 * (outer - inner), middle - 0.01),
        radius * 0.62,
        (226, 226, 222),
        gloss=4,
        glow=lit * 0.3,
    )


def _front(shape: Shape, paint: RGB, style: int, lit: float) -> Sheet:
    half, plate = shape.half, shape.front_plate
    sheet = Sheet(half + 0.12, shape.height + 0.1, paint)
    low, high, inner, outer = shape.lamps
    if shape.label == "bus":
        sheet.rect((-1.02, 1.02), (2.46, 2.78), BLACK, gloss=1.5, rounding=0.04)
        for k in range(9):  # the destination, in lit dots that no camera can read from here
            sheet.rect((-0.6 + 0.14 * k, -0.6 + 0.14 * k + 0.09), (2.56, 2.68), (255, 150, 30), glow=1.2)
        sheet.rect((-1.0, 1.0), (0.40, 0.62), DARK, gloss=0.5, rounding=0.05)
    elif shape.label == "truck":
        for k in range(4):
            sheet.rect((-0.8, 0.8), (1.04 + 0.075 * k, 1.085 + 0.075 * k), BLACK, gloss=0.5, rounding=0.012)
        sheet.rect((-1.1, 1.1), (0.36, 0.50), DARK, gloss=0.5)
        sheet.rect((-0.55, 0.55), (0.52, 0.76), DARK, gloss=0.5, rounding=0.03)
    else:
        body_low = shape.sections[1].floor
        top = (high - 0.02, high - 0.05, high + 0.01)[style % 3]
        bottom = (low + 0.02, low - 0.06, low - 0.02)[style % 3]
        wide = inner + (0.02, -0.04, 0.05)[style % 3]
        outline = [(-wide, top), (wide, top), (wide * 0.86, bottom), (-wide * 0.86, bottom)]
        grown = [(u * 1.05, v + (0.02 if v > (top + bottom) / 2 else -0.02)) for u, v in outline]
        sheet.fill(grown, CHROME, gloss=9, rounding=0.025)
        sheet.fill(outline, BLACK, gloss=0.6, rounding=0.025)
        slats = 3 + style % 3
        for k in range(slats):
            v = bottom + (top - bottom) * (k + 1) / (slats + 1)
            sheet.line([(-wide * 0.9, v), (wide * 0.9, v)], 0.014, (84, 86, 88))
        sheet.disc((0, (top + bottom) / 2), 0.062, CHROME, gloss=9)
        sheet.disc((0, (top + bottom) / 2), 0.046, (40, 42, 48), gloss=4)
        intake = (body_low + 0.03, plate - 0.10)
        sheet.fill(
            [(-0.62, intake[0]), (0.62, intake[0]), (0.5, intake[1]), (-0.5, intake[1])],
            BLACK,
            gloss=0.4,
            rounding=0.03,
        )
        for k in range(3):
            v = intake[0] + (intake[1] - intake[0]) * (k + 1) / 4
            sheet.line([(-0.5, v), (0.5, v)], 0.012, (58, 59, 60))
        sheet.fill(
            [
                (half - 0.36, body_low + 0.06),
                (half - 0.12, body_low + 0.09),
                (half - 0.14, body_low + 0.22),
                (half - 0.32, body_low + 0.18),
            ],
            BLACK,
            gloss=0.5,
            rounding=0.025,
            mirror=True,
        )
        sheet.discs((half - 0.23, body_low + 0.14), 0.048, (205, 208, 210), gloss=5)
        sheet.line(
            [(-outer - 0.05, low - 0.05), (-inner, plate + 0.12)], 0.008, BLACK, opacity=0.5, mirror=True
        )
        sheet.line([(-inner - 0.02, high + 0.02), (inner + 0.02, high + 0.02)], 0.010, BLACK, opacity=0.7)
        sheet.line(
            [(inner + 0.10, high + 0.01), (0.62, shape.screen[0] - 0.05)],
            0.008,
            BLACK,
            opacity=0.35,
            mirror=True,
        )
        sheet.rect((-half, half), (0.0, body_low + 0.05), DARK, gloss=0.4)
    _screen(sheet, shape.screen, crowd=True)
    _lamp(sheet, shape.lamps, 0.0 if shape.label != "car" else 0.04 + 0.02 * (style % 2), lit)
    sheet.rect((-0.28, 0.28), (plate - 0.075, plate + 0.075), BLACK, gloss=0.4, rounding=0.01)
    return sheet.finish()


def _rear(shape: Shape, paint: RGB, bare: RGB, style: int) -> Sheet:
    half, plate = shape.half, shape.rear_plate
    sheet = Sheet(half + 0.12, shape.height + 0.1, bare if shape.box else paint, 0.6 if shape.box else 1.0)
    low, high, inner, outer = shape.tail_lamps
    if shape.box:
        floor, top = shape.box[2], shape.box[3]
        sheet.rect((-half, half), (0, floor - 0.02), DARK, gloss=0.3)
        for u in (0.0, 0.3, 0.62):
            sheet.line([(u, floor), (u, top)], 0.014, (70, 72, 74), mirror=True)
        for v in (floor + 0.15, (floor + top) / 2, top - 0.15):
            sheet.rect((-half + 0.04, -half + 0.12), (v - 0.05, v + 0.05), (110, 112, 114))
            sheet.rect((half - 0.12, half - 0.04), (v - 0.05, v + 0.05), (110, 112, 114))
    else:
        body_low = shape.sections[-2].floor
        sheet.rect((-half, half), (0, body_low + 0.12), DARK, gloss=0.4)
        sheet.fill(
            [
                (-0.62, body_low - 0.02),
                (0.62, body_low - 0.02),
                (0.55, body_low + 0.16),
                (-0.55, body_low + 0.16),
            ],
            BLACK,
            gloss=0.4,
            rounding=0.03,
        )
        sheet.rect(
            (half - 0.34, half - 0.12),
            (body_low + 0.16, body_low + 0.20),
            (150, 20, 18),
            gloss=2,
            mirror=True,
        )
        sheet.line([(-outer, low - 0.08), (outer, low - 0.08)], 0.010, BLACK, opacity=0.7)
        recess = (plate - 0.10, plate + 0.12)
        sheet.rect((-0.36, 0.36), recess, darker(paint, 0.55), gloss=0.8, rounding=0.02)
        sheet.rect((-0.30, 0.30), (plate + 0.095, plate + 0.12), CHROME, gloss=8, rounding=0.008)
        sheet.disc((0, plate + 0.20), 0.05, CHROME, gloss=9)
        if shape.label == "car":
            sheet.line(
                [(-inner + 0.02, low - 0.06), (-inner + 0.04, high + 0.05)],
                0.008,
                BLACK,
                opacity=0.6,
                mirror=True,
            )
            sheet.rect(
                (half - 0.42, half - 0.30),
                (body_low - 0.03, body_low + 0.03),
                (150, 152, 155),
                gloss=6,
                rounding=0.015,
            )
    if shape.rear_screen:
        _screen(sheet, shape.rear_screen, crowd=False)
    lamp = [(inner, low), (outer, low + 0.02), (outer + 0.03, high), (inner + 0.08 * (style % 3), high)]
    sheet.fill(lamp, (70, 6, 8), gloss=1.7, rounding=0.03, mirror=True)
    tight = [
        (inner + 0.025, low + 0.025),
        (outer - 0.02, low + 0.04),
        (outer, high - 0.025),
        (inner + 0.025 + 0.08 * (style % 3), high - 0.025),
    ]
    sheet.fill(tight, (196, 16, 18), gloss=1.7, glow=0.35, rounding=0.02, mirror=True)
    third = (high - low) / 3
    sheet.rect(
        (inner + 0.05, outer - 0.03),
        (low + 0.03, low + third),
        (230, 226, 220),
        gloss=3,
        opacity=0.8,
        rounding=0.015,
        mirror=True,
    )
    sheet.rect(
        (inner + 0.05, outer - 0.03), (low + third + 0.012, low + third + 0.028), (30, 2, 2), mirror=True
    )
    return sheet.finish()


def make_skin(shape: Shape, paint: RGB, style: int, lit: float, stripe: RGB = (30, 90, 160)) -> Skin:
    """The drawings of a vehicle of ``shape`` in ``paint`` (sRGB 0..255).

    ``style`` picks a face, ``lit`` is the headlamps' light, ``stripe`` a bus's or load body's second colour.
    """
    bare: RGB = (214, 216, 216) if shape.box else (26, 26, 28)
    return Skin(
        _front(shape, paint, style, lit),
        _rear(shape, paint, bare, style),
        flank(shape, paint, bare, stripe),
        paint,
        bare,
    )
