"""Light: what the sky and the street send to a surface, and how paint, glass and rubber answer.

All colours are linear RGB until ``develop`` makes a picture of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from plateloop.testing.street.camera import floats
from plateloop.testing.street.pattern import lookup, noise
from plateloop.types import FloatArray, Image

SUN = floats([-0.42, -0.62, 0.66]) / floats(np.linalg.norm([-0.42, -0.62, 0.66]))
SUN_LIGHT = floats([1.30, 1.18, 1.00])
SKY_LIGHT = floats([0.46, 0.54, 0.66])
_EXPOSURE = 1.0
HAZE = floats([0.74, 0.80, 0.88])
GROUND_LIGHT = floats([0.20, 0.19, 0.17])


def linear(color: tuple[float, float, float]) -> FloatArray:
    """An sRGB colour (0..255 each) as linear light, (3,)."""
    return np.asarray((floats(color) / 255) ** np.float32(2.2), np.float32)


def sky(direction: FloatArray) -> FloatArray:
    """Colour (..., 3) of the clear sky in unit ``direction`` (..., 3), without clouds."""
    up = np.clip(direction[..., 2:], 0, 1)
    high, low = floats([0.27, 0.43, 0.74]), floats([0.78, 0.86, 0.95])
    color = low + (high - low) * up**0.55
    toward = np.clip((direction * SUN).sum(-1, keepdims=True), 0, 1)
    return np.asarray(color + floats([0.5, 0.42, 0.3]) * toward**16, np.float32)


@cache
def surroundings() -> FloatArray:
    """What a shiny surface mirrors: a panorama (256, 512, 3), x the azimuth from -π to π, y from up to down.

    Sky with clouds above a jagged line of houses and trees, the road below.
    """
    rng = np.random.default_rng(7)
    height, width = 256, 512
    azimuth, polar = np.meshgrid(
        (np.arange(width) + 0.5) / width * 2 * np.pi - np.pi, (np.arange(height) + 0.5) / height * np.pi
    )
    direction = np.stack(
        [np.cos(azimuth) * np.sin(polar), np.sin(azimuth) * np.sin(polar), np.cos(polar)], -1
    ).astype(np.float32)
    picture = sky(direction)
    cloud = np.clip(noise(rng, (height, width), 6, 1.3) * 0.6 + 0.1, 0, 1)[..., None]
    picture += (1.05 - picture) * cloud * 0.8
    picture += 14.0 * SUN_LIGHT * np.clip((direction @ SUN - 0.985) / 0.015, 0, 1)[..., None] ** 2
    # Houses stand left and right of the street (azimuth 0 and ±π), the street's ends (±π/2) lie open.
    outline = 0.10 + 0.34 * np.abs(np.cos(azimuth[0])) ** 1.5 + 0.05 * noise(rng, (4, width), 7, 0.6)[0]
    elevation = np.pi / 2 - polar
    houses = elevation < outline
    tint = 0.20 + 0.07 * noise(rng, (height, width), 7, 0.7)[..., None]
    picture = np.where(houses[..., None], np.clip(tint, 0.03, 1) * floats([1.0, 0.92, 0.82]), picture)
    ground = floats([0.17, 0.17, 0.175]) * (1.0 + 0.25 * np.clip(-elevation, 0, 1))[..., None]
    picture = np.where((elevation < 0)[..., None], ground, picture)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 1.2, borderType=cv2.BORDER_REPLICATE), np.float32)


def mirrored(direction: FloatArray) -> FloatArray:
    """What is seen in ``direction`` (P, 3) of the surroundings, (P, 3)."""
    picture = surroundings()
    height, width = picture.shape[:2]
    u = (np.arctan2(direction[:, 1], direction[:, 0]) / (2 * np.pi) + 0.5) * width - 0.5
    v = np.arccos(np.clip(direction[:, 2], -1, 1)) / np.pi * height - 0.5
    return lookup(picture, u.astype(np.float32), v.astype(np.float32))


@dataclass(frozen=True, slots=True)
class Material:
    """Surface of P pixels: ``albedo`` (P, 3), ``gloss`` (P,) times a clear coat's mirroring (1: car paint,
    0: rubber, above 5: chrome), ``glow`` (P,) light of its own as a share of its albedo."""

    albedo: FloatArray
    gloss: FloatArray
    glow: FloatArray


def shade(material: Material, normals: FloatArray, towards: FloatArray, open_sky: FloatArray) -> FloatArray:
    """Light (P, 3) that leaves surfaces with world ``normals`` (P, 3) in direction ``towards`` (P, 3).

    ``open_sky`` (P,) in [0, 1] is how much of the surroundings the place sees. Diffuse light from sky, ground
    and sun, and a mirror image of the surroundings weighed by Schlick's Fresnel term.
    """
    up = normals[:, 2:] * 0.5 + 0.5
    ambient = (GROUND_LIGHT + (SKY_LIGHT - GROUND_LIGHT) * up) * open_sky[:, None]
    direct = np.clip(normals @ SUN, 0, 1)[:, None] * SUN_LIGHT * np.clip(open_sky * 1.6 - 0.4, 0, 1)[:, None]
    facing = np.clip(np.einsum("ij,ij->i", normals, towards), 0, 1)
    fresnel = 0.045 + 0.955 * (1 - facing) ** 5
    strength = np.clip(fresnel * material.gloss, 0, 0.85)[:, None]
    away = 2 * facing[:, None] * normals - towards
    light = material.albedo * (ambient + direct + material.glow[:, None]) * (1 - strength)
    return np.asarray(light + strength * mirrored(away) * open_sky[:, None], np.float32)


@cache
def _curve() -> Image:
    x = np.arange(4096) / 1024 * _EXPOSURE  # linear light from 0 to 4
    filmic = x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14)  # Narkowicz's fit of the ACES curve
    return np.asarray(np.clip(filmic, 0, 1) ** (1 / 2.2) * 255 + 0.5, np.uint8)


def develop(light: FloatArray) -> Image:
    """Linear light (h, w, 3) as a picture, RGB uint8, through a film-like curve."""
    return np.asarray(_curve()[np.clip(light * 1024, 0, 4095).astype(np.uint16)], np.uint8)
