"""The cascade on pictures that the toy networks understand: blue cars, red plates whose green is the text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plateloop.frame import Frame
from plateloop.runtime.cascade import Cascade, CascadeConfig
from plateloop.types import Image

CAR = (0, 0, 255)


def plate(digit: int) -> tuple[int, int, int]:
    return 255, round(digit * 255 / 9), 0


def picture(*boxes: tuple[tuple[int, int, int, int], tuple[int, int, int]]) -> Image:
    rgb = np.zeros((720, 1280, 3), np.uint8)
    for (x1, y1, x2, y2), color in boxes:
        rgb[y1:y2, x1:x2] = color
    return rgb


@pytest.fixture(scope="module")
def cascade(toy_weights: Path) -> Cascade:
    return Cascade.load(weights=toy_weights, threads=1)


def test_two_cars_in_one_frame_keep_their_plates(cascade: Cascade) -> None:
    frame = Frame.from_rgb(
        picture(
            ((100, 300, 500, 600), CAR),
            ((260, 500, 340, 520), plate(7)),
            ((800, 200, 1200, 480), CAR),
            ((960, 400, 1060, 426), plate(3)),
        )
    )
    (scene,) = cascade([frame])
    order = np.argsort(scene.vehicles.boxes[:, 0])
    np.testing.assert_allclose(
        scene.vehicles.boxes[order], [[100, 300, 500, 600], [800, 200, 1200, 480]], atol=3
    )
    assert [color and color.label for color in scene.colors] == ["blue", "blue"]
    plates = scene.plates
    texts = {reading.text: row for row, reading in enumerate(plates.readings) if reading}
    assert set(texts) == {"7", "3"}
    for text, box, side in (("7", [260, 500, 340, 520], 0), ("3", [960, 400, 1060, 426], 1)):
        row = texts[text]
        np.testing.assert_allclose(plates.detections.boxes[row], box, atol=2)
        assert plates.vehicle[row] == order[side]
