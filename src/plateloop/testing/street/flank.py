"""What a vehicle shows from the side: windows, doors, stripes, wheel arches."""

from __future__ import annotations

import numpy as np

from plateloop.testing.street.bodies import Shape
from plateloop.testing.street.sheet import BLACK, DARK, GLASS, RGB, Sheet, darker


def flank(shape: Shape, paint: RGB, bare: RGB, stripe: RGB) -> Sheet:
    """The drawing of both sides: of a body in ``paint``, with ``bare`` for a load body and ``stripe`` for a
    bus's or load body's second colour."""
    sheet = Sheet(max(shape.nose, -shape.tail) + 0.15, shape.height + 0.1, paint)
    body = shape.sections
    if shape.label == "bus":
        sheet.rect((-5.6, 5.6), (1.15, 2.45), BLACK, gloss=1.5, rounding=0.04)
        for k in range(7):
            sheet.rect((-5.2 + 1.48 * k, -3.82 + 1.48 * k), (1.22, 2.38), GLASS, gloss=1.8, rounding=0.05)
        sheet.rect((-5.6, 5.6), (0.86, 1.02), stripe)
        sheet.rect((-5.6, 5.6), (2.66, 2.72), stripe)
    elif shape.box:
        start, end, floor, top, _ = shape.box
        sheet.rect((end - 0.1, start), (floor - 0.02, top + 0.1), bare, gloss=0.6)
        for k in range(9):
            u = end + (start - end) * (k + 0.5) / 9
            sheet.line([(u, floor), (u, top)], 0.012, (150, 152, 154), opacity=0.6)
        sheet.rect((end + 0.5, start - 0.6), (floor + 0.75, floor + 1.35), stripe, gloss=0.6, rounding=0.06)
        sheet.rect((end - 0.1, start), (0, floor - 0.02), DARK, gloss=0.3)
        sheet.fill([(2.15, 1.42), (3.2, 1.42), (3.1, 2.2), (2.15, 2.25)], GLASS, gloss=1.8, rounding=0.05)
        sheet.line([(2.08, 0.5), (2.08, 2.35), (3.3, 2.3), (3.35, 0.9)], 0.010, BLACK, opacity=0.6)
        sheet.rect((2.2, 2.4), (1.18, 1.22), BLACK)
    else:
        belt, roof = body[4].belt, body[5].top
        cowl, top_front = body[3].x, body[4].x
        panel = shape.sections[6].x < -1.7  # a long roof: an estate or a van
        rear_top, rear_low = (body[7].x, body[8].x) if panel else (body[6].x, body[7].x)
        under = roof - 0.11
        glass = [
            (cowl - 0.30, belt + 0.02),
            (top_front - 0.06, under - 0.02),
            ((top_front + rear_top) / 2, under + 0.01),
            (rear_top + 0.16, under - 0.03),
            (rear_low + 0.36, belt + 0.05),
        ]
        van = roof > 1.9
        if van:
            glass = [
                (cowl - 0.36, belt + 0.04),
                (top_front - 0.08, under - 0.04),
                (top_front - 0.95, under),
                (top_front - 0.95, belt + 0.04),
            ]
        sheet.fill([(u, v) for u, v in glass], BLACK, gloss=1.2, rounding=0.04)
        middle = np.mean([u for u, _ in glass])
        inset = [(u + 0.04 * np.sign(middle - u), v + (0.03 if v < belt + 0.1 else -0.03)) for u, v in glass]
        sheet.fill(inset, GLASS, gloss=1.8, rounding=0.04)
        pillar = top_front - 0.85
        if not van:
            sheet.line([(pillar, belt), (pillar - 0.03, under)], 0.07, BLACK)
            sheet.line([(pillar - 0.85, belt), (pillar - 0.82, under)], 0.05, BLACK)
        sill = body[3].floor + 0.08
        for door in (
            ([cowl - 0.25, pillar], [pillar, pillar - 0.92])
            if not van
            else ([cowl - 0.25, pillar - 0.1], [pillar - 0.15, pillar - 1.35])
        ):
            sheet.line(
                [(door[0], belt), (door[0] - 0.03, sill), (door[1], sill), (door[1], belt)],
                0.010,
                BLACK,
                opacity=0.7,
            )
            sheet.rect(
                (door[1] + 0.08, door[1] + 0.27),
                (belt - 0.13, belt - 0.095),
                darker(paint, 0.8),
                gloss=2.5,
                rounding=0.01,
            )
        sheet.rect((-3, 3), (0, sill - 0.01), DARK, gloss=0.5)
        sheet.line([(body[1].x - 0.2, belt - 0.24), (body[-3].x, belt - 0.20)], 0.010, BLACK, opacity=0.25)
    for x in shape.wheels:
        sheet.disc((x, shape.wheel_radius), shape.wheel_radius * 1.14, (6, 6, 6), gloss=0.0)
    return sheet.finish()
