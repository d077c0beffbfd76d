"""Pastes synthetic plates into real photographs, for training plate detectors on exact corners."""

from __future__ import annotations

import cv2
import numpy as np

from plateloop.data_preparation.synthetic.colors import shade
from plateloop.data_preparation.synthetic.degrade import view
from plateloop.data_preparation.synthetic.plate import PlateImage
from plateloop.geometry import expand_corners
from plateloop.types import Box, FloatArray, Image

_MARGIN = 0.35  # surroundings of the quad that are worked on, as a share of its size


def quad_in_box(rng: np.random.Generator, box: Box, aspect: float, strength: float = 0.8) -> FloatArray:
    """Corners (4, 2) for a plate ``aspect`` times as wide as high, seen at an angle, about filling ``box``.

    The quad has the box's centre, and as much of its width or height as fits with a little jitter; so a plate
    annotated only by a box can be replaced (pass the box as ``erase`` to ``paste``).
    """
    flat = np.array([[0, 0], [aspect, 0], [aspect, 1], [0, 1]], np.float32)
    quad = view(rng, flat, strength)
    size = np.ptp(quad, 0)
    room = np.array([box[2] - box[0], box[3] - box[1]])
    scale = float(np.sqrt(np.prod(room / size))) * rng.uniform(0.9, 1.1)
    scale = min(scale, float((room / size).max()))
    center = np.array([box[0] + box[2], box[1] + box[3]]) / 2
    middle = (quad.max(0) + quad.min(0)) / 2
    return np.asarray((quad - middle) * scale + center, np.float32)


def _light_of(area: Image) -> tuple[FloatArray, FloatArray]:
    """The darkest and the lightest tone (RGB) that an original plate shows."""
    pixels = area.reshape(-1, 3).astype(np.float32)
    low, high = np.percentile(pixels, 4, axis=0), np.percentile(pixels, 88, axis=0)
    # A coloured plate says little about the light's colour: keep a third of the cast.
    low, high = (tone * 0.35 + tone.mean() * 0.65 for tone in (low, high))
    return np.minimum(low, high - 25).astype(np.float32), np.maximum(high, low + 25).astype(np.float32)


def _softness(area: Image) -> float:
    """How blurred a picture is: the standard deviation (pixels) of the blur of its sharpest edges."""
    grey = cv2.cvtColor(area, cv2.COLOR_RGB2GRAY).astype(np.float32)
    if min(grey.shape) < 4:
        return 0.8
    slope = np.hypot(np.diff(grey, axis=1)[:-1], np.diff(grey, axis=0)[:, :-1])
    steep = float(np.percentile(slope, 98))
    contrast = float(np.percentile(grey, 97) - np.percentile(grey, 3))
    return float(np.clip(contrast / (2.5 * max(steep, 1.0)), 0.35, 2.5))


def _grain(area: Image) -> float:
    """The standard deviation of a picture's noise."""
    grey = cv2.cvtColor(area, cv2.COLOR_RGB2GRAY).astype(np.float32)
    rest = np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 1.0))
    return float(min(np.median(rest) * 1.2, 12.0))


def paste(
    rng: np.random.Generator,
    picture: Image,
    quad: FloatArray,
    plate: PlateImage,
    erase: Box | None = None,
) -> Image:
    """``picture`` (RGB uint8) with ``plate`` in place of what ``quad`` (4, 2) surrounds.

    The plate takes over the light, contrast and colour cast, the blur and the grain of what was there; its
    edges are feathered by a pixel, and at times it stands in a dark frame. ``erase`` is a box to be filled
    from its surroundings first, where an old plate reaches beyond the quad. Pixels further from quad and box
    than a third of their size stay as they are. Returns a new picture; ``quad`` are then the plate's corners.
    """
    height, width = picture.shape[:2]
    points = quad if erase is None else np.concatenate([quad, np.reshape(erase, (2, 2))])
    reach = np.ptp(points, 0).min() * _MARGIN + 2
    x1, y1 = np.maximum(np.floor(points.min(0) - reach), 0).astype(int)
    x2, y2 = np.minimum(np.ceil(points.max(0) + reach), (width, height)).astype(int)
    if x2 - x1 < 4 or y2 - y1 < 4:
        return picture.copy()
    part = picture[y1:y2, x1:x2].copy()
    local = quad - (x1, y1)
    ax, ay = np.clip(local.min(0), 0, None).astype(int)
    bx, by = np.ceil(local.max(0)).astype(int)
    area = part[ay : max(by, ay + 2), ax : max(bx, ax + 2)]
    low, high = _light_of(area)
    soft, grain = _softness(area), _grain(area)
    if erase is not None:
        hole = np.zeros(part.shape[:2], np.uint8)
        grow = 0.04 * (erase[2] - erase[0])
        a = round(erase[0] - x1 - grow), round(erase[1] - y1 - grow)
        b = round(erase[2] - x1 + grow), round(erase[3] - y1 + grow)
        cv2.rectangle(hole, a, b, 255, -1)
        part = np.asarray(cv2.inpaint(part, hole, 3, cv2.INPAINT_TELEA), np.uint8)
    size = part.shape[1], part.shape[0]
    scale = float(np.hypot(*(local[1] - local[0])) / np.hypot(*(plate.corners[1] - plate.corners[0])))
    source = plate.image if scale > 0.75 else cv2.GaussianBlur(plate.image, (0, 0), 0.42 / max(scale, 0.02))
    matrix = cv2.getPerspectiveTransform(plate.corners, local.astype(np.float32))
    flags = cv2.INTER_LINEAR
    warped = cv2.warpPerspective(source, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    fresh = warped.astype(np.float32) / 238 * (high - low) + low
    mask = np.zeros(part.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(local * 8).astype(np.int32)], 255, cv2.LINE_AA, 3)
    result = part.astype(np.float32)
    if rng.random() < 0.3:
        frame = np.zeros_like(mask)
        outer = expand_corners(local[None].astype(np.float32), float(rng.uniform(0.02, 0.09)))[0]
        cv2.fillPoly(frame, [np.round(outer * 8).astype(np.int32)], 255, cv2.LINE_AA, 3)
        cover = cv2.GaussianBlur(frame, (0, 0), max(0.6, soft)).astype(np.float32)[..., None] / 255
        tone = (
            shade(rng, str(rng.choice(["black", "charcoal", "black", "silver"]))) / 238 * (high - low) + low
        )
        result += (tone - result) * cover
    blurred = cv2.GaussianBlur(fresh, (0, 0), max(0.3, soft * float(rng.uniform(0.7, 1.1))))
    fresh = np.asarray(blurred, np.float32)
    fresh += rng.standard_normal(fresh.shape[:2], np.float32)[..., None] * np.float32(grain)
    cover = cv2.GaussianBlur(mask, (0, 0), 0.6).astype(np.float32)[..., None] / 255
    result += (fresh - result) * cover
    output = picture.copy()
    output[y1:y2, x1:x2] = np.clip(result, 0, 255).astype(np.uint8)
    return output
