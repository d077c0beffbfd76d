"""What a plate's surface goes through: embossing, screws, dirt, rust, shadow, light."""

from __future__ import annotations

import cv2
import numpy as np

from plateloop.data_preparation.synthetic.colors import shade
from plateloop.data_preparation.synthetic.ground import clouds
from plateloop.types import FloatArray, Image


def relief(rng: np.random.Generator, alpha: Image, height: int) -> FloatArray:
    """Brightness (H, W) that raised characters and border ``alpha`` add under light from one side."""
    sigma = max(0.6, height * rng.uniform(0.006, 0.016))
    raised = cv2.GaussianBlur(alpha, (0, 0), sigma).astype(np.float32)
    angle = rng.normal(-np.pi / 2, 0.7)
    dx, dy = np.cos(angle), np.sin(angle)
    slope = (
        cv2.Sobel(raised, cv2.CV_32F, 1, 0, ksize=3) * dx + cv2.Sobel(raised, cv2.CV_32F, 0, 1, ksize=3) * dy
    )
    return np.asarray(slope * (rng.uniform(0.02, 0.16) * sigma), np.float32)


def halo(rng: np.random.Generator, image: FloatArray, alpha: Image, color: FloatArray) -> FloatArray:
    """An outline or a drop shadow in ``color`` that the characters ``alpha`` get, under their ink."""
    height = alpha.shape[0]
    reach = max(1.0, height * rng.uniform(0.012, 0.035))
    if rng.random() < 0.5:
        shift = np.array([[1, 0, reach], [0, 1, reach * rng.uniform(-1, 1)]])
        cover = cv2.warpAffine(alpha, shift, alpha.shape[::-1])
    else:
        size = 2 * round(reach) + 1
        cover = cv2.dilate(alpha, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    return np.asarray(image + (color - image) * (cover[..., None] * np.float32(1 / 255)), np.float32)


def screws(rng: np.random.Generator, image: Image, two_rows: bool) -> None:
    """Draw screws, caps or holes where plates are fixed (in place)."""
    height, width = image.shape[:2]
    inset = rng.uniform(0.12, 0.3) if rng.random() < 0.6 else rng.uniform(0.03, 0.08)
    level = rng.uniform(0.06, 0.16) if two_rows or rng.random() < 0.6 else rng.uniform(0.3, 0.7)
    if two_rows and rng.random() < 0.5:  # beside the upper row, as on motorcycles
        inset, level = rng.uniform(0.05, 0.14), rng.uniform(0.12, 0.26)
    places = [(inset, level), (1 - inset, level)]
    if rng.random() < 0.4:
        places += [(inset, 1 - level), (1 - inset, 1 - level)]
    radius = height * rng.uniform(0.018, 0.05)
    color = shade(rng, str(rng.choice(["grey", "black", "silver", "white", "brown", "charcoal"])))
    slot = rng.random() < 0.4
    for px, py in places:
        x, y = round(px * width * 8), round(py * height * 8)
        cv2.circle(image, (x, y + 6), round(radius * 9), (color * 0.5).tolist(), -1, cv2.LINE_AA, 3)
        cv2.circle(image, (x, y), round(radius * 8), color.tolist(), -1, cv2.LINE_AA, 3)
        if slot:
            reach = np.array([np.cos(px * 9), np.sin(px * 9)]) * radius * 6
            a, b = (x - int(reach[0]), y - int(reach[1])), (x + int(reach[0]), y + int(reach[1]))
            cv2.line(image, a, b, (color * 0.4).tolist(), 1, cv2.LINE_AA, 3)


def worn(rng: np.random.Generator, alpha: Image) -> Image:
    """Characters whose paint has come off in places."""
    spots = clouds(rng, alpha.shape[::-1], int(rng.integers(8, 30)))
    kept = np.clip((spots - rng.uniform(0.05, 0.3)) * 6, rng.uniform(0, 0.5), 1)
    return np.asarray(alpha * kept, np.uint8)


def dirt(rng: np.random.Generator, image: FloatArray, strength: float) -> FloatArray:
    """Mud, dust or rust over ``image`` (float32, H, W, 3), ``strength`` 0 to 1."""
    height, width = image.shape[:2]
    patches = clouds(rng, (width, height), int(rng.integers(2, 6))) * 0.6
    patches += clouds(rng, (width, height), int(rng.integers(8, 24))) * 0.4
    if rng.random() < 0.5:
        # Mud gathers at the lower edge.
        patches += (np.linspace(-0.2, 0.25, height, dtype=np.float32) * rng.choice([-1, 1, 1]))[:, None]
    most = rng.uniform(0.25, 0.7)
    cover = np.clip((patches - (1 - strength) * 0.8) * rng.uniform(0.8, 2.2), 0, most)[..., None]
    mud = shade(rng, str(rng.choice(["brown", "tan", "grey", "charcoal", "grey"])), 20)
    color = mud * 0.7 + image.mean((0, 1)) * 0.3
    return np.asarray(image + (color - image) * cover, np.float32)


def shadow(rng: np.random.Generator, size: tuple[int, int]) -> FloatArray:
    """A factor (H, W) of light on a plate of ``size`` (width, height) with a shadow's edge across it."""
    width, height = size
    angle = rng.uniform(0, 2 * np.pi) if rng.random() < 0.5 else np.pi / 2 + rng.normal(0, 0.1)
    x = np.linspace(-0.5, 0.5, width, dtype=np.float32) * width / height
    y = np.linspace(-0.5, 0.5, height, dtype=np.float32)
    along = x[None] * np.cos(angle) + y[:, None] * np.sin(angle) + rng.uniform(-0.5, 0.5)
    edge = 1 / (1 + np.exp(np.clip(-along * rng.uniform(6, 80), -30, 30)))
    return np.asarray(1 - rng.uniform(0.2, 0.7) * edge, np.float32)


def light(rng: np.random.Generator, size: tuple[int, int]) -> FloatArray:
    """A smooth unevenness of light (H, W), a factor around 1."""
    width, height = size
    x = np.linspace(-0.5, 0.5, width, dtype=np.float32) * rng.normal(0, 0.22)
    y = np.linspace(-0.5, 0.5, height, dtype=np.float32) * rng.normal(0, 0.22)
    return np.asarray(1 + x[None] + y[:, None], np.float32)
