"""Characters stay where they are said to be, however a plate is laid into the network's input."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from plateloop.frame import Frame
from plateloop.geometry import boxes_to_corners, expand_corners, homography
from plateloop.networks.lprnet import HEIGHT, WIDTH
from plateloop.training.reading.data import RealPlates, _canvas
from plateloop.training.reading.evaluate import input_pictures
from plateloop.training.reading.geometry import Spread, char_places, homographies, project, sample_quads, warp

WHOLE = torch.tensor([[0.0, 0.0], [WIDTH, 0.0], [WIDTH, HEIGHT], [0.0, HEIGHT]])
WILD = Spread(boxes=0.6, rotation=8, shear=0.2, perspective=0.1)


def test_homographies_are_those_of_opencv() -> None:
    torch.manual_seed(0)
    source, target = WHOLE + 5 * torch.randn(4, 4, 2), WHOLE + 5 * torch.randn(4, 4, 2)
    matrices = homographies(source, target)
    for matrix, a, b in zip(matrices, source, target, strict=True):
        np.testing.assert_allclose(matrix, homography(a.numpy(), b.numpy()), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(project(matrices, source), target, atol=1e-3)


def test_characters_move_with_the_pixels() -> None:
    torch.manual_seed(1)
    plates = torch.full((16, 3, HEIGHT, WIDTH), 20, dtype=torch.uint8)
    plates[:, 0, 24:40, 40:56] = 255
    sides = torch.zeros(16, 12, 2, 2)
    sides[:, 0] = torch.tensor([[40 / WIDTH, 0.5], [56 / WIDTH, 0.5]])
    quads = sample_quads(torch.full((16,), 3.5), torch.full((16,), 0.06), WILD)
    seen = warp(plates, WHOLE, quads).images[:, 0] > 0.5
    centers, widths = char_places(sides, quads)
    columns = torch.arange(WIDTH) + 0.5
    for mask, center, width in zip(seen, centers[:, 0], widths[:, 0], strict=True):
        share = mask.sum(0).float()
        found = (share * columns).sum() / share.sum()
        assert found == pytest.approx(float(center), abs=1.0)
        # Shear makes the square's shadow on the x axis wider than its middle line.
        assert float(width) - 1.5 < int(share.count_nonzero()) < float(width) + 14


def test_boxes_hold_the_whole_plate_and_margins_vary() -> None:
    torch.manual_seed(2)
    boxed = Spread(boxes=1, rotation=10, shear=0.2, perspective=0.1, margin_spread=0.0)
    quads = sample_quads(torch.rand(200) * 4 + 1, torch.full((200,), 0.06), boxed)
    margin = torch.tensor([WIDTH, HEIGHT]) * 0.06 / 1.12
    torch.testing.assert_close(quads.amin(1), margin.expand(200, 2))
    torch.testing.assert_close(quads.amax(1), (torch.tensor([WIDTH, HEIGHT]) - margin).expand(200, 2))


def test_no_spread_is_the_plate_itself() -> None:
    still = Spread(boxes=0, margin_spread=0.0, corner=0.0, rotation=0, shear=0, perspective=0, squeeze=0)
    quads = sample_quads(torch.ones(2), torch.zeros(2), still)
    torch.testing.assert_close(quads, WHOLE.expand(2, 4, 2))
    image = torch.randint(0, 256, (2, 3, HEIGHT, WIDTH), dtype=torch.uint8)
    torch.testing.assert_close(warp(image, WHOLE, quads).images, image / 255, atol=1e-4, rtol=0)


def test_loose_plates_are_smaller_and_still_inside() -> None:
    torch.manual_seed(3)
    spread = Spread(boxes=1, loose=1, margin_spread=0.0, rotation=3, shear=0.05, perspective=0.02)
    quads = sample_quads(torch.full((300,), 4.0), torch.full((300,), 0.06), spread)
    size = torch.tensor([WIDTH, HEIGHT])
    assert (quads >= -1e-3).all() and (quads <= size + 1e-3).all()
    share = (quads.amax(1) - quads.amin(1)) / size
    assert share.min() < 0.55 and share.mean() < 0.75


def test_cuts_take_from_above_or_below_only() -> None:
    torch.manual_seed(4)
    spread = Spread(boxes=1, cut=1, margin_spread=0.0, rotation=0, shear=0, perspective=0)
    quads = sample_quads(torch.full((200,), 1.4), torch.full((200,), 0.06), spread)
    low, high = quads.amin(1), quads.amax(1)
    assert (low[:, 0] > 0).all() and (high[:, 0] < WIDTH).all()
    assert ((low[:, 1] < 0) != (high[:, 1] > HEIGHT)).all()
    assert (high[:, 1] - low[:, 1]).max() < HEIGHT * 1.15


def test_evaluation_sees_what_the_runtime_gives_the_network() -> None:
    y, x = np.mgrid[0:220, 0:400]
    picture = np.stack(
        [127 + 90 * np.sin(x / 9), 127 + 90 * np.cos(y / 7), 127 + 90 * np.sin((x + y) / 11)], 2
    )
    picture = picture.astype(np.uint8)
    for box in ((101.5, 60.0, 261.5, 124.0), (90.0, 50.0, 150.0, 80.0), (60.0, 40.0, 380.0, 200.0)):
        x1, y1, x2, y2 = box
        plates = RealPlates(
            _canvas(picture, box)[None],
            np.array([(x2 - x1) / (y2 - y1)], np.float32),
            np.array([True]),
            ("A",),
            (None,),
            ("s",),
            ("annotated",),
            ("",),
        )
        quads = expand_corners(boxes_to_corners(np.array([box], np.float32)), 0.06)
        runtime = Frame.from_rgb(picture).rectified(quads, (WIDTH, HEIGHT))[0]
        error = np.abs(input_pictures(plates, 0.06)[0].astype(int) - runtime)
        # Bilinear twice against once: a little softer, nowhere shifted.
        assert error.mean() < 3 and np.percentile(error, 99) < 14, box
