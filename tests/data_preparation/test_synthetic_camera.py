"""Degraded and pasted plates."""

from __future__ import annotations

import numpy as np
import pytest

from plateloop.data_preparation.synthetic.degrade import degrade, h264, jpeg, view
from plateloop.data_preparation.synthetic.paste import paste, quad_in_box
from plateloop.data_preparation.synthetic.plate import PlateImage
from plateloop.data_preparation.synthetic.render import render


def marked() -> PlateImage:
    """A grey plate with a bright blob in the place of every corner and character."""
    image = np.full((120, 420, 3), 60, np.uint8)
    corners = np.array([[20, 20], [400, 20], [400, 100], [20, 100]], np.float32)
    chars = np.array(
        [[[x, 40], [x + 30, 40], [x + 30, 80], [x, 80]] for x in (60, 150, 240, 330)], np.float32
    )
    for x, y in corners:
        image[int(y) - 5 : int(y) + 5, int(x) - 5 : int(x) + 5] = 250
    for quad in chars:
        image[56:64, int(quad[0, 0]) + 11 : int(quad[0, 0]) + 19] = 250
    return PlateImage(image, corners, "ABCD", None, 1, chars, (0, 0, 0, 0))


def test_corners_follow_the_picture() -> None:
    plate = marked()
    found = total = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        seen = degrade(rng, plate, (24, 40))
        grey = seen.image.astype(float).mean(2)
        height, width = grey.shape
        points = np.concatenate([seen.corners, seen.char_corners.mean(1)])
        assert (seen.corners > -1).all() and (seen.corners < (width + 1, height + 1)).all()
        for x, y in points:
            column, row = int(np.clip(x, 0, width - 1)), int(np.clip(y, 0, height - 1))
            around = grey[max(0, row - 14) : row + 15, max(0, column - 14) : column + 15]
            total += 1
            found += grey[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2].max() >= np.percentile(
                around, 80
            )
    assert found / total > 0.93


def test_degraded_plates_keep_what_is_known() -> None:
    heights = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        plate = render(rng)
        seen = degrade(rng, plate)
        assert (seen.text, seen.region, seen.rows, seen.char_rows) == (
            plate.text, plate.region, plate.rows, plate.char_rows,
        )  # fmt: skip
        assert seen.image.dtype == np.uint8 and min(seen.image.shape[:2]) >= 4
        assert seen.char_corners.shape == plate.char_corners.shape
        heights.append(np.median(np.linalg.norm(seen.char_corners[:, 3] - seen.char_corners[:, 0], axis=1)))
    assert min(heights) < 12 and max(heights) > 30


def test_degrading_is_seeded() -> None:
    plate = marked()
    first, second = (degrade(np.random.default_rng(9), plate) for _ in range(2))
    assert np.array_equal(first.image, second.image) and np.array_equal(first.corners, second.corners)


def test_a_view_is_a_convex_quad() -> None:
    flat = np.array([[0, 0], [4, 0], [4, 1], [0, 1]], np.float32)
    for seed in range(300):
        quad = view(np.random.default_rng(seed), flat)
        edges = np.roll(quad, -1, 0) - quad
        after = np.roll(edges, -1, 0)
        assert (edges[:, 0] * after[:, 1] - edges[:, 1] * after[:, 0] > 0).all()


@pytest.mark.parametrize("size", [(32, 64), (33, 65)])
def test_codecs_keep_the_size(size: tuple[int, int]) -> None:
    ramp = np.linspace(0, 255, size[1]).astype(np.uint8)
    image = np.repeat(np.repeat(ramp[None, :, None], size[0], 0), 3, 2)
    for coded in (jpeg(image, 30), h264(image, 30)):
        assert coded.shape == image.shape and coded.dtype == np.uint8
        assert np.abs(coded.astype(int) - image).mean() < 8


def test_paste_touches_only_the_quad_and_its_surroundings() -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(60, 200, (240, 320, 3)).astype(np.uint8)
    before = picture.copy()
    quad = np.array([[120, 100], [200, 108], [198, 134], [118, 124]], np.float32)
    result = paste(rng, picture, quad, render(rng))
    assert np.array_equal(picture, before)
    changed = np.argwhere((result != picture).any(2))[:, ::-1]
    assert (changed.min(0) >= quad.min(0) - 12).all() and (changed.max(0) <= quad.max(0) + 12).all()
    inside = result[112:120, 130:190].astype(int) - picture[112:120, 130:190]
    assert np.abs(inside).mean() > 10


def test_paste_takes_over_the_light() -> None:
    rng = np.random.default_rng(1)
    quad = np.array([[60, 60], [180, 60], [180, 90], [60, 90]], np.float32)
    means = []
    for level in (40, 200):
        picture = np.clip(rng.normal(level, 20, (150, 240, 3)), 0, 255).astype(np.uint8)
        pasted = [
            paste(np.random.default_rng(s), picture, quad, render(np.random.default_rng(s))) for s in range(8)
        ]
        means.append(np.mean([p[62:88, 62:178].mean() for p in pasted]))
    assert means[1] > means[0] + 60


def test_the_old_plate_is_erased() -> None:
    rng = np.random.default_rng(2)
    picture = np.full((120, 200, 3), 90, np.uint8)
    picture[40:80, 50:150] = 255
    quad = np.array([[80, 52], [120, 52], [120, 66], [80, 66]], np.float32)
    result = paste(rng, picture, quad, render(rng), erase=(50.0, 40.0, 150.0, 80.0))
    assert result[44:48, 54:146].max() < 130


def test_a_quad_fills_its_box() -> None:
    for seed in range(100):
        rng = np.random.default_rng(seed)
        box = (100.0, 50.0, 200.0, 80.0)
        quad = quad_in_box(rng, box, 4.5)
        low, high = quad.min(0), quad.max(0)
        assert np.allclose((low + high) / 2, [150, 65], atol=0.1)
        assert 0.45 < np.prod(high - low) / 3000 < 1.7


def test_a_quad_outside_the_picture_is_left_alone() -> None:
    rng = np.random.default_rng(0)
    picture = np.zeros((50, 50, 3), np.uint8)
    quad = np.array([[100, 100], [140, 100], [140, 110], [100, 110]], np.float32)
    assert np.array_equal(paste(rng, picture, quad, render(rng)), picture)
