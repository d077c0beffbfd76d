"""The houses along the street."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from plateloop.testing.street.camera import floats
from plateloop.testing.street.light import SKY_LIGHT, SUN, SUN_LIGHT, linear
from plateloop.testing.street.pattern import Textures, step, stripe
from plateloop.types import FloatArray


@dataclass(frozen=True, slots=True)
class House:
    """A house along the street: ``wall`` is the x of its face, ``start``/``end`` its extent in y, metres."""

    wall: float
    start: float
    end: float
    floors: int
    color: tuple[float, float, float]
    bay: float
    seed: int

    @property
    def height(self) -> float:
        """Metres up to the roof's edge: a high ground floor, then equal ones."""
        return 4.0 + 3.1 * (self.floors - 1) + 0.7


HOUSES = (
    House(-12.5, 16, 38, 4, (188, 160, 128), 2.7, 1),
    House(-12.5, 38, 60, 5, (158, 92, 74), 2.4, 2),
    House(-12.9, 60, 86, 4, (196, 190, 176), 2.9, 3),
    House(-12.5, 86, 130, 6, (150, 130, 108), 2.6, 4),
    House(-12.5, 130, 200, 5, (170, 120, 96), 2.6, 9),
    House(9.2, 12, 30, 5, (172, 104, 82), 2.5, 5),
    House(9.6, 30, 52, 4, (206, 198, 178), 2.8, 6),
    House(9.2, 52, 82, 5, (140, 128, 116), 2.6, 7),
    House(9.2, 82, 140, 4, (186, 150, 112), 2.7, 8),
    House(9.2, 140, 200, 5, (160, 140, 120), 2.7, 10),
)


def facade(
    u: FloatArray, z: FloatArray, house: House, normal: FloatArray, tex: Textures, foot: FloatArray
) -> FloatArray:
    """Light (P, 3) from a house's face at ``u`` metres along it and height ``z``."""
    rng = np.random.default_rng(house.seed)
    base = linear(house.color) * 0.8
    dirt = 1 + 0.07 * tex.at(tex.rough, u, z, 8.0) + 0.05 * tex.at(tex.fine, u, z, 3.0)
    streak = tex.at(tex.soft, u * 6, z * 0.5, 30.0)
    albedo = base * (dirt * (1 + 0.06 * streak))[:, None]
    upper = z > 4.0
    level = np.where(upper, np.floor((z - 4.0) / 3.1), -1)
    fz = np.where(upper, (z - 4.0) % 3.1, z)
    bay = np.floor(u / house.bay)
    fu = u % house.bay
    middle = house.bay / 2
    wide = house.bay * 0.44
    soft = np.maximum(foot, 0.01)
    tall = house.height - 0.7
    window = stripe(fu, middle, wide, soft) * stripe(fz, 1.55, 1.75, soft) * upper * (z < tall)
    frame = stripe(fu, middle, wide + 0.24, soft) * stripe(fz, 1.55, 1.98, soft) * upper * (z < tall)
    albedo += (floats([0.62, 0.60, 0.56]) - albedo) * (frame * 0.8)[:, None]
    key = (np.sin(bay * 91.7 + level * 47.3 + house.seed) * 43758.5453) % 1
    glass = (0.05 + 0.10 * key + 0.10 * step(fz, 0.7, 2.4))[:, None] * floats([0.85, 1.0, 1.15])
    curtain = (key > 0.62) * stripe(np.abs(fu - middle), wide * 0.36, wide * 0.26, soft)
    glass += (0.30 - glass) * (curtain * 0.7)[:, None]
    bars = np.maximum(stripe(fu, middle, 0.07, soft), stripe(fz, 1.85, 0.06, soft))
    glass += (0.5 - glass) * (bars * 0.9)[:, None]
    albedo += (glass - albedo) * window[:, None]
    sill = stripe(fz, 0.60, 0.10, soft) * stripe(fu, middle, wide + 0.4, soft) * upper * (z < tall)
    albedo += (0.5 - albedo) * (sill * 0.8)[:, None]
    albedo *= (
        1 - 0.45 * (stripe(fz, 0.48, 0.14, soft) * stripe(fu, middle, wide + 0.3, soft) * upper)[:, None]
    )
    shop = ~upper & (rng.random() < 0.9)
    trade = linear(tuple(rng.choice([34, 58, 84], 3) + rng.integers(0, 30)))
    albedo = np.where(shop[:, None], base * 0.55, albedo)
    display = (
        stripe(u % (2 * house.bay), house.bay, 2 * house.bay * 0.84, soft) * stripe(z, 1.7, 2.5, soft) * shop
    )
    inner = (0.03 + 0.05 * np.clip(tex.at(tex.rough, u, z, 5.0) + 0.4, 0, 2))[:, None] * floats(
        [1.0, 0.95, 0.85]
    )
    albedo += (inner - albedo) * display[:, None]
    sign = (
        stripe(u % (2 * house.bay), house.bay, 2 * house.bay * 0.88, soft)
        * stripe(z, 3.35, 0.55, soft)
        * shop
    )
    albedo += (trade - albedo) * sign[:, None]
    ledge = np.maximum(stripe(z, 4.0, 0.22, soft), stripe(z, house.height - 0.25, 0.5, soft))
    albedo += (base * 1.2 + 0.05 - albedo) * ledge[:, None]
    albedo *= (
        1 - 0.5 * np.maximum(stripe(z, 3.82, 0.14, soft), stripe(z, house.height - 0.62, 0.24, soft))[:, None]
    )
    direct = max(float(normal @ SUN), 0.0)
    occlusion = 0.55 + 0.45 * step(z, 0.0, 7.0)
    return np.asarray(
        albedo * (SUN_LIGHT * direct * 0.9 + SKY_LIGHT * (0.75 * occlusion)[:, None]), np.float32
    )
