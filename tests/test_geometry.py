"""Boxes, corners and maps, against plain references and by going there and back."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from plateloop.geometry import (
    Letterbox,
    area,
    boxes_to_corners,
    clip,
    corners_to_boxes,
    coverage,
    expand,
    expand_corners,
    homography,
    iou,
    nms,
    project,
)
from plateloop.types import FloatArray

sizes = st.tuples(st.integers(1, 5000), st.integers(1, 5000))


@st.composite
def boxes(draw: st.DrawFn, most: int = 12) -> FloatArray:
    """N boxes on a grid of whole pixels, some without area."""
    count = draw(st.integers(0, most))
    points = draw(arrays(np.int64, (count, 2, 2), elements=st.integers(-20, 60)))
    return np.concatenate([points.min(1), points.max(1)], 1).astype(np.float32)


@st.composite
def quads(draw: st.DrawFn) -> FloatArray:
    """A convex quadrilateral (4, 2), clockwise: a square whose corners moved by at most 3/8 of its side."""
    moves = draw(arrays(np.float32, (4, 2), elements=st.floats(-0.375, 0.375, width=32)))
    place = draw(arrays(np.float32, 2, elements=st.floats(-500, 500, width=32)))
    unit = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    quad = (unit + moves) * draw(st.integers(8, 400)) + place
    edges = np.roll(quad, -1, 0) - quad
    turns = [a[0] * b[1] - a[1] * b[0] for a, b in pairwise([*edges, edges[0]])]
    assume(min(turns) > 0.1 * max(turns))
    return quad.astype(np.float32)


@given(sizes, sizes, st.data())
def test_letterbox_there_and_back(
    source: tuple[int, int], target: tuple[int, int], data: st.DataObject
) -> None:
    letterbox = Letterbox(source, target)
    share = data.draw(arrays(np.float32, (5, 2), elements=st.floats(0, 1, width=32)))
    points = share * np.array(source, np.float32)
    there = letterbox.to_canvas(points)
    assert (there <= np.array(letterbox.size) + 1e-2).all()
    np.testing.assert_allclose(letterbox.to_source(there), points, rtol=1e-5, atol=1e-3)
    as_boxes = np.concatenate([points, points], 1)
    np.testing.assert_array_equal(letterbox.to_canvas(as_boxes), np.concatenate([there, there], 1))


@given(sizes, sizes)
def test_letterbox_just_fits(source: tuple[int, int], target: tuple[int, int]) -> None:
    width, height = Letterbox(source, target).size
    assert 1 <= width <= target[0]
    assert 1 <= height <= target[1]
    assert width == target[0] or height == target[1]
    # The aspect is kept to within the rounding to whole pixels.
    scale = min(target[0] / source[0], target[1] / source[1])
    assert abs(width - source[0] * scale) <= 1
    assert abs(height - source[1] * scale) <= 1


def pixels(box: FloatArray) -> set[tuple[int, int]]:
    x1, y1, x2, y2 = (int(v) for v in box)
    return {(x, y) for x in range(x1, x2) for y in range(y1, y2)}


@given(boxes(5), boxes(5))
def test_iou_and_coverage_count_pixels(a: FloatArray, b: FloatArray) -> None:
    overlap, inside = iou(a, b), coverage(a, b)
    assert overlap.shape == inside.shape == (len(a), len(b))
    for i, first in enumerate(map(pixels, a)):
        assert area(a)[i] == len(first)
        for j, second in enumerate(map(pixels, b)):
            common, union = len(first & second), len(first | second)
            assert np.isclose(overlap[i, j], common / union if union else 0)
            assert np.isclose(inside[i, j], common / len(first) if first else 0)


@given(boxes(), st.booleans(), st.sampled_from([0.0, 0.3, 0.5, 0.9]), st.data())
def test_nms_is_the_textbook_one(
    candidates: FloatArray, by_label: bool, threshold: float, data: st.DataObject
) -> None:
    count = len(candidates)
    # Few distinct scores, so that ties come up: the earlier row wins them.
    scores = np.array(data.draw(st.lists(st.sampled_from([0.2, 0.5, 0.8]), min_size=count, max_size=count)))
    labels = np.array(data.draw(st.lists(st.integers(0, 1), min_size=count, max_size=count)), np.int64)
    expected: list[int] = []
    for row in sorted(range(count), key=lambda row: (-scores[row], row)):
        if all(
            (by_label and labels[row] != labels[other])
            or iou(candidates[[row]], candidates[[other]])[0, 0] <= threshold
            for other in expected
        ):
            expected.append(row)
    kept = nms(candidates, scores.astype(np.float32), labels if by_label else None, threshold)
    assert kept.tolist() == expected


@given(quads(), quads())
def test_homography_of_corners(source: FloatArray, target: FloatArray) -> None:
    there = homography(source, target)
    size = float(np.ptp(target)) + float(np.ptp(source))
    np.testing.assert_allclose(project(there, source), target, atol=2e-3 * size)
    # A projective map keeps straight lines: where the diagonals cross goes to where they cross.
    np.testing.assert_allclose(project(there, crossing(source)), crossing(target), atol=2e-3 * size)


def crossing(quad: FloatArray) -> FloatArray:
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = quad.astype(np.float64)
    slopes = np.array([[cx - ax, bx - dx], [cy - ay, by - dy]])
    share = np.linalg.solve(slopes, [bx - ax, by - ay])[0]
    return np.array([ax + share * (cx - ax), ay + share * (cy - ay)], np.float32)


@given(quads(), st.floats(0.01, 0.2))
def test_corners_grown_and_shrunk_again(quad: FloatArray, share: float) -> None:
    grown = expand_corners(quad[None], share)
    back = expand_corners(grown, -share / (1 + 2 * share))[0]
    np.testing.assert_allclose(back, quad, atol=5e-3 * float(np.ptp(quad)))


@given(boxes())
def test_corners_of_boxes(given_boxes: FloatArray) -> None:
    corners = boxes_to_corners(given_boxes)
    np.testing.assert_array_equal(corners_to_boxes(corners), given_boxes)
    assert (corners[:, 0] <= corners[:, 2]).all()
    if len(given_boxes):
        np.testing.assert_allclose(
            expand_corners(boxes_to_corners(np.array([[0, 0, 20, 10]], np.float32)), 0.1),
            boxes_to_corners(expand(np.array([[0, 0, 20, 10]], np.float32), 0.1)),
            atol=1e-4,
        )


@given(boxes())
def test_clip_keeps_within(given_boxes: FloatArray) -> None:
    cut = clip(given_boxes, 30, 25)
    assert (cut >= 0).all()
    assert (cut[:, [0, 2]] <= 30).all()
    assert (cut[:, [1, 3]] <= 25).all()
    inside = (given_boxes >= 0).all(1) & (given_boxes[:, 2] <= 30) & (given_boxes[:, 3] <= 25)
    np.testing.assert_array_equal(cut[inside], given_boxes[inside])


def test_no_corners_stay_no_corners() -> None:
    assert expand_corners(np.zeros((0, 4, 2), np.float32), 0.1).shape == (0, 4, 2)
