"""Patterns that surfaces are made of: noise, stripes, and pictures looked up at points."""

from __future__ import annotations

import cv2
import numpy as np

from plateloop.types import FloatArray


def noise(rng: np.random.Generator, size: tuple[int, int], octaves: int, smooth: float = 1.0) -> FloatArray:
    """A tileable (height, width) texture of fractal noise, mean 0, deviation 1.

    ``octaves`` counts the doublings from one wave over the texture; each is weaker by 2^-``smooth``.
    """
    height, width = size
    fy = np.fft.fftfreq(height)[:, None] * height
    fx = np.fft.rfftfreq(width)[None] * width
    radius = np.sqrt(fy**2 + fx**2)
    amplitude = np.where(radius > 0, np.maximum(radius, 1) ** -(smooth + 0.0), 0) * (radius < 2**octaves)
    phase = rng.uniform(0, 2 * np.pi, radius.shape)
    field = np.fft.irfft2(amplitude * np.exp(1j * phase), s=size)
    return np.asarray((field - field.mean()) / field.std(), np.float32)


def lookup(texture: FloatArray, u: FloatArray, v: FloatArray) -> FloatArray:
    """``texture`` (h, w, c) bilinearly at pixel coordinates ``u``, ``v`` (P,), clamped at its rim: (P, c)."""
    rows = max(1, -(-len(u) // 1024))
    where = np.zeros((2, rows * 1024), np.float32)
    where[0, : len(u)], where[1, : len(u)] = u, v
    found = cv2.remap(
        texture,
        where[0].reshape(rows, 1024),
        where[1].reshape(rows, 1024),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(found.reshape(rows * 1024, -1)[: len(u)], np.float32)


class Textures:
    """Noise that several surfaces share."""

    def __init__(self) -> None:
        rng = np.random.default_rng(11)
        self.fine = noise(rng, (512, 512), 9, 0.15)
        self.rough = noise(rng, (512, 512), 8, 1.0)
        self.soft = noise(rng, (512, 512), 6, 1.6)

    @staticmethod
    def at(texture: FloatArray, u: FloatArray, v: FloatArray, scale: float) -> FloatArray:
        """``texture`` repeated every ``scale`` metres, at ``u``, ``v`` (P,)."""
        size = texture.shape[0]
        # Not % 1, which gives the same and takes many times as long.
        x, y = ((at - np.floor(at)) * (size - 1) for at in (u / scale, v / scale))
        return np.asarray(lookup(texture, x.astype(np.float32), y.astype(np.float32))[:, 0], np.float32)


def step(x: FloatArray, low: float, high: float) -> FloatArray:
    t = np.clip((x - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def stripe(x: FloatArray, middle: float, width: float, soft: FloatArray) -> FloatArray:
    """1 within a stripe about ``middle``, falling off over ``soft`` metres (P,), the pixel's footprint."""
    return np.asarray(np.clip((width / 2 - np.abs(x - middle)) / soft + 0.5, 0, 1), np.float32)
