"""Decoding: output arrays written by hand, and what they must become."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plateloop.geometry import Letterbox, boxes_to_corners
from plateloop.runtime import colornet, lpdnet, lprnet, tcnet
from plateloop.runtime.card import Card, load_card
from plateloop.runtime.scores import CANDIDATES, candidates, softmax
from plateloop.types import Detections, FloatArray, IntArray


@pytest.fixture(scope="module")
def cards(toy_weights: Path) -> dict[str, Card]:
    return {path.stem: load_card(path) for path in toy_weights.glob("*.yaml")}


def rows(*values: tuple[tuple[float, float, float, float], tuple[float, ...]]) -> dict[str, FloatArray]:
    """One picture's boxes (1, A, 4) and scores (1, A, C)."""
    return {
        "boxes": np.array([[box for box, _ in values]], np.float32),
        "scores": np.array([[scores for _, scores in values]], np.float32),
    }


def test_vehicles_come_back_in_source_pixels_by_score(cards: dict[str, Card]) -> None:
    outputs = rows(
        ((10, 20, 110, 120), (0.5, 0.1, 0.2, 0.0)),
        ((200, 50, 300, 100), (0.1, 0.7, 0.2, 0.0)),
        ((-20, 300, 700, 390), (0.0, 0.0, 0.6, 0.0)),
        ((400, 100, 500, 200), (0.29, 0.0, 0.0, 0.0)),
    )
    (found,) = tcnet.decode(outputs, cards["tcnet"], [(1280, 768)])
    np.testing.assert_allclose(found.scores, [0.7, 0.6, 0.5])
    assert found.labels.tolist() == [1, 2, 0]
    np.testing.assert_allclose(
        found.boxes, [[400, 100, 600, 200], [0, 600, 1280, 768], [20, 40, 220, 240]], atol=1e-3
    )
    assert found.class_scores is not None
    np.testing.assert_allclose(found.class_scores, [[0.1, 0.7, 0.2, 0], [0, 0, 0.6, 0], [0.5, 0.1, 0.2, 0]])
    (more,) = tcnet.decode(outputs, cards["tcnet"], [(1280, 768)], score_threshold=0.2)
    assert len(more) == 4


def test_one_vehicle_under_two_labels_is_one(cards: dict[str, Card]) -> None:
    outputs = rows(
        ((10, 10, 110, 110), (0.6, 0.0, 0.0, 0.0)),
        ((11, 10, 111, 110), (0.0, 0.0, 0.8, 0.0)),  # the same, seen as a truck
        ((10, 10, 110, 90), (0.0, 0.0, 0.0, 0.5)),  # a motorcycle before it: IoU 0.8 with the car
        ((12, 10, 112, 110), (0.0, 0.0, 0.7, 0.0)),  # the truck again
    )
    (found,) = tcnet.decode(outputs, cards["tcnet"], [(640, 384)])
    assert found.labels.tolist() == [2, 3]


def test_pictures_of_a_batch_stay_apart(cards: dict[str, Card]) -> None:
    one = rows(((10, 10, 60, 60), (0.9, 0, 0, 0)))
    none = rows(((10, 10, 60, 60), (0.1, 0, 0, 0)))
    batch = {name: np.concatenate([one[name], none[name], one[name]]) for name in one}
    found = tcnet.decode(batch, cards["tcnet"], [(640, 384), (640, 384), (1280, 768)])
    assert [len(vehicles) for vehicles in found] == [1, 0, 1]
    np.testing.assert_allclose(found[2].boxes, 2 * found[0].boxes)


def test_candidates_are_the_best() -> None:
    scores = np.random.default_rng(0).random(5 * CANDIDATES).astype(np.float32)
    picked = candidates(scores, 0.1)
    assert len(picked) == CANDIDATES
    assert scores[picked].min() >= np.sort(scores)[-CANDIDATES]
    np.testing.assert_array_equal(candidates(scores[:50], 0.5), np.flatnonzero(scores[:50] >= 0.5))


def test_plates_come_back_through_crop_and_letterbox(cards: dict[str, Card]) -> None:
    crops = np.array([[100, 50, 676, 306], [-10, 0, 30, 100]])
    plate = np.array([[350, 200, 450, 230]], np.float32)
    corners = np.array([[[352, 201], [449, 204], [448, 229], [351, 226]]], np.float32)
    letterbox = Letterbox((576, 256), (288, 256))
    origin = np.array([100, 50], np.float32)
    outputs = {
        "boxes": np.stack([letterbox.to_canvas(plate - np.tile(origin, 2)), np.zeros((1, 4), np.float32)]),
        "scores": np.array([[[0.9]], [[0.0]]], np.float32),
        "corners": np.stack(
            [letterbox.to_canvas(corners - origin).reshape(1, 8), np.zeros((1, 8), np.float32)]
        ),
    }
    found, nothing = lpdnet.decode(outputs, cards["lpdnet"], crops)
    np.testing.assert_allclose(found.boxes, plate, atol=1e-3)
    assert found.corners is not None
    np.testing.assert_allclose(found.corners, corners, atol=1e-3)
    assert len(nothing) == 0
    assert nothing.corners is not None
    assert nothing.corners.shape == (0, 4, 2)


def test_plates_that_their_crop_cuts_lose_score(cards: dict[str, Card]) -> None:
    crop, boxes = (100, 0, 388, 256), [[200, 100, 286, 130], [20, 100, 120, 130], [100, 1, 180, 30]]
    outputs = {
        "boxes": np.array([boxes], np.float32),
        "scores": np.full((1, 3, 1), 0.9, np.float32),
        "corners": boxes_to_corners(np.array([boxes], np.float32)).reshape(1, 3, 8),
    }
    decoded = (
        lpdnet.decode(outputs, cards["lpdnet"], np.array([crop]), threshold, np.array([size]))[0]
        for size, threshold in (((1000, 500), 0.5), ((388, 256), 0.5), ((1000, 500), 0.8))
    )
    middle, at_picture_edge, sure = decoded
    # The first lies at the crop's right edge, which in the second picture is the picture's own.
    np.testing.assert_allclose(middle.scores, [0.9, 0.9, 0.9 * lpdnet.CUT])
    assert middle.boxes[-1].tolist() == [300, 100, 386, 130]
    np.testing.assert_allclose(at_picture_edge.scores, [0.9, 0.9, 0.9])
    assert len(sure) == 2


def test_finds_stay_few_at_any_threshold(cards: dict[str, Card]) -> None:
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 240, (1, 3000, 2)).astype(np.float32)
    boxes = np.concatenate([corner, corner + 12], -1)
    outputs = {
        "boxes": boxes,
        "scores": rng.random((1, 3000, 1)).astype(np.float32),
        "corners": boxes_to_corners(boxes).reshape(1, -1, 8),
    }
    (found,) = lpdnet.decode(outputs, cards["lpdnet"], np.array([[0, 0, 288, 256]]), 0.0)
    assert len(found) == lpdnet.MOST
    assert found.scores.min() > 0.9


def plates(*boxes: tuple[float, float, float, float], scores: tuple[float, ...] = ()) -> Detections:
    array = np.array(boxes, np.float32).reshape(-1, 4)
    given_scores = np.array(scores or np.linspace(0.9, 0.5, len(boxes)), np.float32)
    return Detections(array, given_scores, np.zeros(len(boxes), np.int64), boxes_to_corners(array))


def test_a_plate_in_two_crops_is_one() -> None:
    first = plates((100, 100, 200, 130), (400, 100, 500, 130), scores=(0.6, 0.8))
    second = plates((103, 101, 203, 131), scores=(0.7,))
    part = plates((150, 100, 205, 131), scores=(0.5,))  # cut off by its crop's edge
    merged = lpdnet.merge([first, second, part])
    np.testing.assert_allclose(merged.scores, [0.8, 0.7])
    np.testing.assert_array_equal(merged.boxes[1], second.boxes[0])
    assert len(lpdnet.merge([])) == 0


def test_the_smaller_vehicle_has_the_plate() -> None:
    truck, car, far = (0, 0, 400, 400), (100, 200, 300, 400), (600, 0, 700, 100)
    vehicles = np.array([truck, car, far], np.float32)
    seen = np.array(
        [[150, 350, 200, 370], [20, 350, 60, 370], [900, 0, 950, 20], [380, 300, 410, 310]], np.float32
    )
    assert lpdnet.owners(seen, vehicles).tolist() == [1, 0, -1, 0]
    assert lpdnet.owners(seen, vehicles[:0]).tolist() == [-1] * 4
    assert lpdnet.owners(seen[:0], vehicles).tolist() == []


def test_quarters_overlap_and_cover() -> None:
    tiles = lpdnet.quarters(1000, 500)
    assert tiles[:, :2].min() == 0
    np.testing.assert_allclose(tiles.max(0)[2:], [1000, 500])
    seen = np.zeros((500, 1000), int)
    for x1, y1, x2, y2 in np.round(tiles).astype(int):
        seen[y1:y2, x1:x2] += 1
    assert seen.min() == 1
    assert seen.max() == 4


def test_corners_that_make_no_plate_are_not_used() -> None:
    boxes = plates(*[(100, 100, 200, 150)] * 6)
    corners = boxes_to_corners(boxes.boxes)
    corners[1] = [[105, 103], [198, 110], [195, 148], [102, 140]]  # leaning: fine
    corners[2] = corners[2][::-1]  # counter-clockwise
    corners[3, 1] = [110, 140]  # not convex
    corners[4] = 100  # a point
    corners[5] += 300  # elsewhere
    used = lprnet.quadrilaterals(Detections(boxes.boxes, boxes.scores, boxes.labels, corners))
    expected = boxes_to_corners(boxes.boxes)
    expected[1] = corners[1]
    np.testing.assert_array_equal(used, expected)
    np.testing.assert_allclose(lprnet.heights(boxes), 50)


def steps(card: Card, *symbols: tuple[str, float]) -> FloatArray:
    """Logits (T, C) whose softmax gives each step's symbol ("" is blank) its probability, the rest shared."""
    classes = ["", *card.alphabet]
    probabilities = np.full((len(symbols), len(classes)), 0, np.float64)
    for row, (symbol, probability) in enumerate(symbols):
        probabilities[row] = (1 - probability) / (len(classes) - 1)
        probabilities[row, classes.index(symbol)] = probability
    return np.log(probabilities).astype(np.float32)


def test_reading_collapses_repeats_but_not_across_a_blank(cards: dict[str, Card]) -> None:
    card = cards["lprnet"]
    sure = [("A", 0.7), ("A", 0.9), ("", 0.9), ("A", 0.8), ("B", 0.6), ("", 0.9), ("", 0.9)]
    outputs = {
        "logits": np.stack([steps(card, *sure), steps(card, *[("", 0.99)] * 7)]),
        "regions": np.array([[3, 0], [0.1, 0]], np.float32),
    }
    reading, nothing = lprnet.decode(outputs, card)
    assert reading.text == "AAB"
    np.testing.assert_allclose(reading.char_confidences, [0.9, 0.8, 0.6], atol=1e-5)
    assert reading.distributions.shape == (3, 36)
    np.testing.assert_allclose(reading.distributions.sum(1), 1, atol=1e-5)
    assert reading.distributions.argmax(1).tolist() == [10, 10, 11]
    assert reading.region == "toy"
    assert nothing.text == ""
    assert nothing.distributions.shape == (0, 36)
    assert nothing.region == "toy"


def test_an_unsure_region_is_not_named(cards: dict[str, Card]) -> None:
    card = cards["lprnet"].model_copy(update={"regions": ("a", "b", "c")})
    outputs = {"logits": steps(card, ("A", 0.9))[None], "regions": np.array([[0.2, 0.1, 0]], np.float32)}
    assert lprnet.decode(outputs, card)[0].region is None


def test_temperature_makes_confidences_humbler(cards: dict[str, Card]) -> None:
    card = cards["lprnet"].model_copy(update={"regions": ()})
    outputs = {"logits": steps(card, ("A", 0.95), ("", 0.9), ("7", 0.9))[None]}
    plain = lprnet.decode(outputs, card)[0]
    humble = lprnet.decode(outputs, card.model_copy(update={"temperature": 2.0}))[0]
    assert humble.text == plain.text == "A7"
    assert humble.confidence < plain.confidence


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 5))
def test_confidence_is_the_sum_over_all_alignments(seed: int, count: int, total: int) -> None:
    rng = np.random.default_rng(seed)
    probabilities = softmax(rng.normal(0, 2, (count, total, 3)).astype(np.float32))

    def collapse(path: tuple[int, ...]) -> tuple[int, ...]:
        joined = [symbol for i, symbol in enumerate(path) if i == 0 or symbol != path[i - 1]]
        return tuple(symbol for symbol in joined if symbol)

    texts: list[IntArray] = []
    expected = []
    for row in range(count):
        sums: dict[tuple[int, ...], float] = {}
        for path in product(range(3), repeat=total):
            probability = float(
                np.prod([probabilities[row, step, symbol] for step, symbol in enumerate(path)])
            )
            sums[collapse(path)] = sums.get(collapse(path), 0) + probability
        text = list(sums)[rng.integers(len(sums))]
        texts.append(np.array(text, np.int64))
        expected.append(sums[text])
    np.testing.assert_allclose(lprnet.text_probabilities(probabilities, texts), expected, rtol=1e-4)


def test_nothing_to_read(cards: dict[str, Card]) -> None:
    empty = {"logits": np.zeros((0, 80, 37), np.float32), "regions": np.zeros((0, 2), np.float32)}
    assert lprnet.decode(empty, cards["lprnet"]) == []


def test_color_is_the_likeliest(cards: dict[str, Card]) -> None:
    logits = np.log(np.array([[0.2, 0.7, 0.1], [0.5, 0.2, 0.3]], np.float32))
    colors = colornet.decode({"logits": logits}, cards["colornet"])
    assert [color.label for color in colors] == ["green", "red"]
    np.testing.assert_allclose([color.confidence for color in colors], [0.7, 0.5], atol=1e-5)
    assert colornet.decode({"logits": logits[:0]}, cards["colornet"]) == []
