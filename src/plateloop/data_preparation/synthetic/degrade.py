"""What a camera does to a plate: perspective, distance, blur, light, noise, compression."""

from __future__ import annotations

import cv2
import numpy as np

from plateloop.data_preparation.synthetic import surface
from plateloop.data_preparation.synthetic.plate import PlateImage
from plateloop.types import FloatArray, Image


def view(rng: np.random.Generator, corners: FloatArray, strength: float = 1.0) -> FloatArray:
    """Where a camera might see a flat plate's ``corners`` (4, 2), in pixels of the same size, around 0.

    The plate is turned about its three axes before a pinhole camera some plate widths away: by up to about
    60° sideways, 45° up or down and 20° in the picture, mostly by far less; seen from the side and above at
    once, its horizontals slope while its verticals stand. ``strength`` scales the angles.
    """
    flat = corners - corners.mean(0)
    width = float(np.hypot(*(corners[1] - corners[0])))
    wild = 2.0 if rng.random() < 0.25 else 1.0
    yaw, pitch = rng.normal(0, 1, 2) * np.radians([20, 15]) * wild * strength
    roll = rng.normal() * np.radians(5) * min(wild * strength, 2)
    yaw, pitch, roll = np.clip([yaw, pitch, roll], [-1.05, -0.8, -0.35], [1.05, 0.8, 0.35])
    cos_y, sin_y, cos_p, sin_p = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    x, y = flat[:, 0], flat[:, 1]
    turned = np.stack([x * cos_y, y * cos_p + x * sin_y * sin_p, y * sin_p - x * sin_y * cos_p], 1)
    distance = width * rng.uniform(2.0, 10.0)
    seen = turned[:, :2] * (distance / (distance + turned[:, 2:]))
    spin = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
    return np.asarray(seen @ spin, np.float32)


def _warp(rng: np.random.Generator, plate: PlateImage, char_height: tuple[float, float]) -> PlateImage:
    """The plate seen from somewhere, its characters between ``char_height`` pixels high."""
    boxes = plate.char_corners
    tall = float(np.median(boxes[:, 2, 1] - boxes[:, 0, 1])) if len(boxes) else plate.image.shape[0] * 0.6
    target = float(np.exp(rng.uniform(*np.log(char_height))))
    scale = target / tall
    height, width = plate.image.shape[:2]
    frame = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    inner = cv2.getPerspectiveTransform(plate.corners, view(rng, plate.corners) * scale)
    aspect = np.diag([np.exp(rng.normal(0, 0.06)), 1, 1])
    matrix = aspect @ inner
    outer = cv2.perspectiveTransform(frame[None], matrix)[0]
    # Cut to the picture's own frame, so that the corners of the plate stay inside.
    inside = cv2.perspectiveTransform(plate.corners[None], matrix)[0]
    low, high = np.maximum(outer.min(0), inside.min(0) - 0.2 * np.ptp(inside, 0)), outer.max(0)
    high = np.minimum(high, inside.max(0) + 0.2 * np.ptp(inside, 0))
    size = max(4, int(np.ceil(high[0] - low[0]))), max(4, int(np.ceil(high[1] - low[1])))
    matrix = np.array([[1, 0, -low[0]], [0, 1, -low[1]], [0, 0, 1]]) @ matrix
    source = plate
    if scale < 0.75:
        source = plate.with_image(np.asarray(cv2.GaussianBlur(plate.image, (0, 0), 0.42 / scale), np.uint8))
    return source.warped(np.asarray(matrix, np.float32), size)


def _blur(rng: np.random.Generator, image: FloatArray, tall: float) -> FloatArray:
    """Out of focus or moved, by lengths that leave characters ``tall`` pixels high readable."""
    kind = rng.random()
    if kind < 0.45:
        sigma = float(rng.uniform(0.25, 0.25 + 0.07 * tall))
        return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.float32)
    if kind < 0.7:
        length = float(rng.uniform(1.5, 2 + 0.3 * tall))
        size = int(np.ceil(length)) | 1
        angle = rng.normal(0, 0.35) if rng.random() < 0.7 else rng.uniform(0, np.pi)
        kernel = np.zeros((size, size), np.float32)
        middle, reach = (size - 1) / 2, (length - 1) / 2
        step = np.array([np.cos(angle), np.sin(angle)]) * reach
        a = tuple(np.round((middle - step) * 16).astype(int).tolist())
        b = tuple(np.round((middle + step) * 16).astype(int).tolist())
        cv2.line(kernel, a, b, 1.0, 1, cv2.LINE_8, 4)
        return np.asarray(cv2.filter2D(image, -1, kernel / max(1.0, float(kernel.sum()))), np.float32)
    return image


def _light(rng: np.random.Generator, image: FloatArray) -> FloatArray:
    """Exposure, contrast, colour cast, glare, shadow, night and infrared."""
    height, width = image.shape[:2]
    kind = rng.random()
    if kind < 0.12:  # infrared or a grey camera
        image = np.repeat(image.mean(2, keepdims=True), 3, 2)
    elif kind < 0.5:
        image = image * np.exp(rng.normal(0, 0.08, 3)).astype(np.float32)
    if rng.random() < 0.12:
        image = image * surface.shadow(rng, (width, height))[..., None]
    if rng.random() < 0.08:  # glare of a lamp or the sun
        x = (np.arange(width, dtype=np.float32) / width - rng.uniform(-0.1, 1.1)) * width / height
        y = np.arange(height, dtype=np.float32) / height - rng.uniform(-0.2, 1.2)
        spot = np.exp(-(x[None] ** 2 + y[:, None] ** 2) / rng.uniform(0.05, 0.6))
        image = image + spot[..., None] * np.float32(rng.uniform(60, 230))
    if rng.random() < 0.6:
        pivot = image.mean()
        image = (image - pivot) * rng.uniform(0.5, 1.2) + pivot
    exposure = float(rng.uniform(-1.6, -0.8) if rng.random() < 0.1 else rng.normal(-0.1, 0.3))
    image = image * np.float32(np.exp(exposure))
    if rng.random() < 0.1:  # haze, or a dirty lens
        image = image + (rng.uniform(90, 220) - image) * np.float32(rng.uniform(0.1, 0.5))
    gamma = float(np.exp(rng.normal(0, 0.2)))
    return np.asarray(255 * np.clip(image / 255, 0, 1) ** gamma, np.float32)


def jpeg(image: Image, quality: int) -> Image:
    """``image`` (RGB) as a JPEG of ``quality`` 1-100 gives it back."""
    done, code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8) if done else image


def h264(image: Image, crf: int) -> Image:
    """``image`` (RGB, at least 16×16) as one frame of H.264 with rate factor ``crf`` gives it back."""
    import io

    import av

    height, width = image.shape[:2]
    padded = np.pad(image, ((0, -height % 2), (0, -width % 2), (0, 0)), "edge")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as output:
        stream = output.add_stream("libx264", rate=25, options={"crf": str(crf), "preset": "ultrafast"})
        stream.height, stream.width = padded.shape[:2]
        stream.pix_fmt = "yuv420p"
        frame = av.VideoFrame.from_ndarray(padded, format="rgb24")
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    buffer.seek(0)
    with av.open(buffer, "r") as source:
        shown = next(source.decode(video=0)).to_ndarray(format="rgb24")
    return np.asarray(shown[:height, :width], np.uint8)


def degrade(
    rng: np.random.Generator, plate: PlateImage, char_height: tuple[float, float] = (8.0, 40.0)
) -> PlateImage:
    """The plate as a camera might deliver it, with corners and characters mapped along.

    Perspective and distance (characters ``char_height`` pixels high, log-uniform), light (shadow, glare,
    night, infrared, haze, colour cast), motion or focus blur, noise, low-resolution upscaling, sharpening,
    JPEG and sometimes H.264. All randomness comes from ``rng``.
    """
    seen = _warp(rng, plate, char_height)
    boxes = seen.char_corners
    tall = float(np.median(boxes[:, 3, 1] - boxes[:, 0, 1])) if len(boxes) else seen.image.shape[0] * 0.6
    return seen.with_image(expose(rng, seen.image, tall))


def expose(rng: np.random.Generator, picture: Image, tall: float) -> Image:
    """An RGB picture (H, W, 3) in other light and through another camera, its size kept; characters ``tall``
    pixels high stay readable."""
    image = _light(rng, picture.astype(np.float32))
    image = _blur(rng, image, max(4.0, tall))
    height, width = image.shape[:2]
    contrast = float(np.subtract(*np.percentile(image[::2, ::2], (95, 5))))
    if contrast < 25:  # no camera's picture is as flat as that after its own gain
        image = (image - image.mean()) * np.float32(25 / max(contrast, 2.0)) + image.mean()
        contrast = 25.0
    if rng.random() < 0.6:
        sigma = min(float(rng.gamma(1.5, 3.0)), 0.16 * contrast)
        image += rng.standard_normal(image.shape[:2], np.float32)[..., None] * sigma
        if rng.random() < 0.5:
            image += rng.standard_normal(image.shape, np.float32) * (sigma * 0.6)
    if rng.random() < 0.15:  # digital zoom
        small = max(4, round(width * rng.uniform(0.5, 0.85))), max(4, round(height * rng.uniform(0.5, 0.85)))
        if tall * small[1] / height > 6.5:
            few = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
            filled = cv2.resize(few, (width, height), interpolation=int(rng.choice([0, 1, 2])))
            image = np.asarray(filled, np.float32)
    if rng.random() < 0.15:
        image += (image - cv2.GaussianBlur(image, (0, 0), 1.0)) * np.float32(rng.uniform(0.5, 2.0))
    result = np.clip(image, 0, 255).astype(np.uint8)
    if rng.random() < 0.02 and min(width, height) >= 16:
        result = h264(result, int(rng.integers(24, 40)))
    elif rng.random() < 0.7:
        result = jpeg(result, int(rng.integers(18, 96)))
    return result
