"""Render a clip of the street with traffic, and the truth about every frame of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from plateloop.testing.street.bodies import SHAPES
from plateloop.testing.street.camera import Camera, floats
from plateloop.testing.street.light import develop
from plateloop.testing.street.plates import plate_art
from plateloop.testing.street.scene import empty_street
from plateloop.testing.street.skin import make_skin
from plateloop.testing.street.traffic import PAINTS, PASSAGES, Passage
from plateloop.testing.street.truth import FrameTruth, VehicleTruth, write_truth
from plateloop.testing.street.vehicle import Drawn, Vehicle, draw_shadow, draw_vehicle
from plateloop.types import FloatArray, Image

FPS = 25
SECONDS = 10.6
SIZE = (1280, 720)


@dataclass(frozen=True, slots=True)
class Clip:
    """A rendered clip: the film, the truth beside it, its number of frames, and each vehicle's text by id."""

    video: Path
    truth: Path
    frames: int
    texts: dict[int, str]


def gate_camera(size: tuple[int, int] = SIZE) -> Camera:
    """The camera on its mast, 3.5 m over the street, with a picture of ``size`` (width, height)."""
    return Camera((-1.2, 0.0, 3.5), np.deg2rad(8.4), 0.0, 1350 * size[0] / SIZE[0], size)


class Street:
    """The street with its traffic; ``frame`` renders one moment of it.

    ``seed`` decides the plates' texts and the camera's grain. Rendering the same frame twice gives the same
    picture, whatever was rendered between.
    """

    def __init__(self, seed: int = 1, size: tuple[int, int] = SIZE) -> None:
        self.camera = gate_camera(size)
        self.seed = seed
        self._empty = empty_street(self.camera)
        self.traffic = [
            (passage, _vehicle(passage, np.random.default_rng([seed, index])))
            for index, passage in enumerate(PASSAGES)
        ]
        rng = np.random.default_rng(seed)
        grain = rng.normal(0, 1, (size[1], size[0], 1)) + 0.45 * rng.normal(0, 1, (size[1], size[0], 3))
        self._grain = cv2.GaussianBlur(grain.astype(np.float32), (0, 0), 0.55)
        x, y = np.meshgrid(np.linspace(-1, 1, size[0]), np.linspace(-1, 1, size[1]) * size[1] / size[0])
        self._vignette = (1 - 0.16 * (x**2 + y**2)).astype(np.float32)[..., None]

    def frame(self, number: int) -> tuple[Image, FrameTruth]:
        """Frame ``number`` as an RGB picture, with its truth."""
        time = number / FPS
        light = self._empty.copy()
        present = [
            (index, vehicle, passage.pose(time))
            for index, (passage, vehicle) in enumerate(self.traffic)
            if passage.in_view(time)
        ]
        present.sort(key=lambda item: -item[2].y)
        for _, vehicle, pose in present:
            draw_shadow(light, vehicle, pose, self.camera)
        owner = np.full(light.shape[:2], -1, np.int8)
        drawn: list[tuple[int, Drawn]] = []
        for index, vehicle, pose in present:
            result = draw_vehicle(light, vehicle, pose, self.camera)
            if result is not None:
                top, left = result.origin
                height, width = result.mask.shape
                owner[top : top + height, left : left + width][result.mask] = index
                drawn.append((index, result))
        truth = tuple(self._truth(index, result, owner) for index, result in drawn)
        return self._expose(light, number), FrameTruth(frame=number, time_s=time, vehicles=truth)

    def _truth(self, index: int, result: Drawn, owner: np.ndarray) -> VehicleTruth:
        passage, vehicle = self.traffic[index]
        visible = float((owner == index).sum() / max(int(result.mask.sum()), 1))
        corners = result.corners
        if corners is not None:
            at = np.concatenate([corners, corners.mean(0, keepdims=True)]).astype(int)
            at = np.clip(at, 0, np.array(self.camera.size) - 1)
            if (owner[at[:, 1], at[:, 0]] != index).any():
                corners = None
        return VehicleTruth(
            id=index,
            label=vehicle.shape.label,
            color=passage.color,
            box=tuple(round(v, 1) for v in result.box),
            visible=round(visible, 3),
            text=vehicle.plate.text,
            region=vehicle.plate.region,
            corners=None if corners is None else tuple(map(tuple, corners.round(2).tolist())),
        )

    def _expose(self, light: FloatArray, number: int) -> Image:
        """What the camera makes of the light: a little blur, a darker rim, grain."""
        picture = develop(floats(cv2.GaussianBlur(light, (0, 0), 0.5)) * self._vignette)
        rng = np.random.default_rng([self.seed, number])
        shift = rng.integers(0, min(light.shape[:2]), 2)
        grain = np.roll(self._grain, shift, (0, 1)) * np.float32(2.4)
        return np.asarray(np.clip(picture + grain + 0.5, 0, 255), np.uint8)


def _vehicle(passage: Passage, rng: np.random.Generator) -> Vehicle:
    shape = SHAPES[passage.kind]
    lit = 0.9 if passage.face % 2 else 0.25
    skin = make_skin(shape, PAINTS[passage.color], passage.face, lit)
    return Vehicle(passage.kind, skin, passage.color, plate_art(rng, passage.plate))


def render_clip(
    video: Path,
    seed: int = 1,
    size: tuple[int, int] = SIZE,
    seconds: float = SECONDS,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> Clip:
    """Render ``seconds`` of the street to ``video`` (MP4, H.264) and the truth to ``VIDEO.truth.jsonl``.

    ``workers`` threads draw frames; ``progress`` is told (frames done, frames in all). The pictures do not
    depend on ``workers``. Takes 0.1 to 0.2 s of one core per frame of 1280×720.
    """
    video.parent.mkdir(parents=True, exist_ok=True)
    street = Street(seed, size)
    count = max(1, round(seconds * FPS))
    truths: list[FrameTruth] = []
    with ThreadPoolExecutor(workers) as pool, av.open(str(video), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "20", "preset": "fast"}
        stream.time_base = Fraction(1, FPS)

        def frames() -> Iterator[tuple[Image, FrameTruth]]:
            for start in range(0, count, 4 * workers):
                yield from pool.map(street.frame, range(start, min(start + 4 * workers, count)))

        for picture, truth in frames():
            truths.append(truth)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            if progress is not None:
                progress(len(truths), count)
        container.mux(stream.encode(None))
    path = video.with_suffix(".truth.jsonl")
    write_truth(path, truths)
    texts = {v.id: v.text for frame in truths for v in frame.vehicles}
    return Clip(video, path, count, texts)
