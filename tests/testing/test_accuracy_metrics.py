"""The arithmetic of being right: edit distance, pairing, calibration, intervals."""

import math
from collections import Counter
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plateloop.geometry import iou
from plateloop.testing.metrics import (
    bootstrap,
    character_error_rate,
    match,
    match_texts,
    reliability,
)
from plateloop.text import edit_distance, fold

TEXT = st.text("AB01O", max_size=7)


def plain_distance(a: str, b: str) -> int:
    """The recursive definition, as a reference."""

    @cache
    def rest(i: int, j: int) -> int:
        if i == len(a) or j == len(b):
            return len(a) - i + len(b) - j
        return min(rest(i + 1, j) + 1, rest(i, j + 1) + 1, rest(i + 1, j + 1) + (a[i] != b[j]))

    return rest(0, 0)


@given(TEXT, TEXT)
def test_edit_distance_is_the_recursive_definition(a: str, b: str) -> None:
    assert edit_distance(a, b) == plain_distance(a, b)


@given(TEXT, TEXT, TEXT)
def test_edit_distance_is_a_metric(a: str, b: str, c: str) -> None:
    assert (edit_distance(a, b) == 0) == (a == b)
    assert edit_distance(a, b) == edit_distance(b, a)
    assert edit_distance(a, c) <= edit_distance(a, b) + edit_distance(b, c)


def test_character_error_rate_weighs_by_length() -> None:
    assert character_error_rate([("ABCD", "ABCD"), ("AB", "AX")]) == pytest.approx(1 / 6)
    assert character_error_rate([("A", "BCD")]) == 3
    assert math.isnan(character_error_rate([]))


def test_fold_joins_o_and_zero() -> None:
    assert fold("O0Q") == fold("0OQ") == "00Q"


def boxes(most: int) -> st.SearchStrategy[np.ndarray]:
    corner = st.integers(0, 6)
    box = st.tuples(corner, corner, st.integers(1, 5), st.integers(1, 5))
    return st.lists(box, max_size=most).map(
        lambda rows: np.array([(x, y, x + w, y + h) for x, y, w, h in rows], np.float32).reshape(-1, 4)
    )


@given(boxes(5), boxes(5))
def test_match_is_one_to_one_and_leaves_no_pair_behind(truth: np.ndarray, found: np.ndarray) -> None:
    partner = match(truth, found, 0.3)
    used = partner[partner >= 0]
    assert len(set(used)) == len(used)
    overlap = iou(truth, found)
    for row, column in enumerate(partner):
        if column >= 0:
            assert overlap[row, column] >= 0.3
    # Whoever is left alone overlaps only boxes whose partner overlaps them at least as much.
    for row in np.flatnonzero(partner < 0):
        for column in np.flatnonzero(overlap[row] >= 0.3):
            assert column in used
            assert overlap[list(partner).index(column), column] >= overlap[row, column]


def test_match_takes_the_best() -> None:
    truth = np.array([[0, 0, 10, 10]], np.float32)
    found = np.array([[0, 0, 10, 8], [0, 0, 10, 10], [50, 50, 60, 60]], np.float32)
    assert match(truth, found).tolist() == [1]
    assert match(truth, found[2:]).tolist() == [-1]


TEXTS = st.lists(st.text("AB0", min_size=1, max_size=3), max_size=5)


@given(TEXTS, TEXTS)
def test_match_texts_accounts_for_every_text(truth: list[str], found: list[str]) -> None:
    result = match_texts(truth, found)
    expected = [*result.right, *(t for t, _ in result.wrong), *result.missing]
    readings = [*result.right, *(f for _, f in result.wrong), *result.extra]
    assert Counter(expected) == Counter(truth)
    assert Counter(readings) == Counter(found)
    assert Counter(result.right) == Counter(truth) & Counter(found)


def test_match_texts_names_what_became_of_each() -> None:
    result = match_texts(["24LSB1", "89NVJP", "ZZZZ99"], ["24LSB1", "24LSB1", "89NVJF", "QQ"])
    assert result.right == ("24LSB1",)
    assert result.wrong == (("89NVJP", "89NVJF"),)
    assert result.missing == ("ZZZZ99",)
    assert Counter(result.extra) == Counter(["24LSB1", "QQ"])


def test_reliability_of_honest_and_boastful_confidences() -> None:
    honest = reliability([0.75] * 4 + [0.25] * 4, [True, True, True, False, True, False, False, False])
    assert honest.ece == pytest.approx(0)
    assert honest.count.tolist() == [0, 0, 4, 0, 0, 0, 0, 4, 0, 0]
    assert reliability([1.0] * 4, [True, False, False, False]).ece == pytest.approx(0.75)
    assert math.isnan(reliability([], []).ece)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1))
def test_reliability_counts_all_and_stays_in_range(rows: list[tuple[float, bool]]) -> None:
    result = reliability([c for c, _ in rows], [r for _, r in rows])
    assert result.count.sum() == len(rows)
    assert 0 <= result.ece <= 1


def test_bootstrap_holds_the_share_and_narrows_with_more() -> None:
    few = bootstrap([1, 1, 1, 0] * 5, [1] * 20)
    many = bootstrap([1, 1, 1, 0] * 50, [1] * 200)
    assert few[0] < 0.75 < few[1]
    assert many[1] - many[0] < few[1] - few[0]
    assert bootstrap([2, 3], [2, 3]) == (1, 1)
    assert all(map(math.isnan, bootstrap([], [])))


def test_bootstrap_knows_that_plates_of_a_picture_fail_together() -> None:
    apart = bootstrap([1, 0] * 40, [1] * 80)
    together = bootstrap([8, 0] * 5, [8] * 10)
    assert together[1] - together[0] > apart[1] - apart[0]
