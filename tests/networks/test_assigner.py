"""Assignment against a plain reference, and what it must never do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from plateloop.geometry import iou
from plateloop.networks.assigner import IGNORE, NOTHING, AssignerConfig, Truth, assign
from plateloop.networks.detector import Predictions, cells

CONFIG = AssignerConfig(cells=5)
WIDTH, HEIGHT = 96, 64
CENTRES, STRIDES = cells(WIDTH, HEIGHT)
CELLS = len(CENTRES)


def predictions(rng: np.random.Generator, batch: int, classes: int = 2) -> Predictions:
    sides = torch.from_numpy(rng.uniform(0.5, 3, (batch, CELLS, 4)).astype(np.float32)) * STRIDES
    boxes = torch.cat([CENTRES - sides[..., :2], CENTRES + sides[..., 2:]], -1)
    logits = torch.from_numpy(rng.normal(-1, 1, (batch, CELLS, classes)).astype(np.float32))
    return Predictions(logits, boxes, None)


def truth(rows: list[tuple[int, tuple[float, ...], int]], batch: int) -> Truth:
    count = len(rows)
    return Truth(
        torch.tensor([picture for picture, *_ in rows]),
        torch.tensor([box for _, box, _ in rows], dtype=torch.float32),
        torch.tensor([label for *_, label in rows]),
        torch.zeros(count, 8),
        torch.zeros(count, dtype=torch.bool),
        torch.ones(batch, dtype=torch.bool),
    )


def reference(
    found: Predictions, rows: list[tuple[int, tuple[float, ...], int]]
) -> dict[tuple[int, int], int]:
    """(picture, cell) → row, by loops."""
    wanted: dict[tuple[int, int], list[tuple[float, int]]] = {}
    for row, (picture, box, label) in enumerate(rows):
        if label < 0:
            continue
        overlap = iou(np.array([box], np.float32), found.boxes[picture].numpy())[0]
        score = found.logits[picture, :, label].sigmoid().numpy()
        middle = np.array([box[0] + box[2], box[1] + box[3]]) / 2
        half = np.maximum([box[2] - box[0], box[3] - box[1]], CONFIG.smallest) / 2
        near = (np.abs(CENTRES.numpy() - middle) < half).all(1)
        metric = np.where(near, score**0.5 * overlap**6 + 1e-9, 0)
        for cell in np.argsort(-metric, kind="stable")[: CONFIG.cells]:
            if metric[cell] > 0:
                wanted.setdefault((picture, int(cell)), []).append((float(overlap[cell]), row))
    return {key: max(claims)[1] for key, claims in wanted.items()}


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_the_same_as_plain_loops(seed: int) -> None:
    rng = np.random.default_rng(seed)
    found = predictions(rng, 2)
    rows = []
    for _ in range(int(rng.integers(1, 7))):
        low = rng.uniform(0, 50, 2)
        box = (*low, *(low + rng.uniform(3, 40, 2)))
        rows.append((int(rng.integers(2)), tuple(map(float, box)), int(rng.integers(-2, 2))))
    match = assign(found, truth(rows, 2), CENTRES, CONFIG)
    mine = {
        (int(cell) // CELLS, int(cell) % CELLS): int(row)
        for cell, row, quality in zip(match.cell, match.row, match.quality, strict=True)
        if quality > 0
    }
    assert mine == reference(found, rows)


def test_the_best_cell_of_an_object_learns_its_best_overlap() -> None:
    found = predictions(np.random.default_rng(1), 1)
    box = (20.0, 16.0, 52.0, 44.0)
    match = assign(found, truth([(0, box, 1)], 1), CENTRES, CONFIG)
    chosen = found.boxes[0, match.cell[match.quality > 0]].numpy()
    best = iou(np.array([box], np.float32), chosen).max()
    assert float(match.quality.max()) == pytest.approx(float(best), abs=1e-5)


def test_an_object_smaller_than_a_cell_is_learnt() -> None:
    found = predictions(np.random.default_rng(2), 1)
    match = assign(found, truth([(0, (32.5, 32.5, 35.5, 35.5), 0)], 1), CENTRES, CONFIG)
    assert (match.quality > 0).sum() >= 1


def test_ignored_boxes_hide_their_cells_in_their_picture_only() -> None:
    found = predictions(np.random.default_rng(3), 2)
    match = assign(
        found, truth([(1, (0, 0, 48, 64), IGNORE), (0, (0, 0, 0, 0), NOTHING)], 2), CENTRES, CONFIG
    )
    assert not match.ignored[0].any()
    left = CENTRES[:, 0] < 48
    assert match.ignored[1][left].all()
    assert (match.quality == 0).all()


def test_two_objects_with_one_box_share_its_cells_without_double_use() -> None:
    found = predictions(np.random.default_rng(4), 1)
    box = (20.0, 16.0, 52.0, 44.0)
    match = assign(found, truth([(0, box, 0), (0, box, 0)], 1), CENTRES, CONFIG)
    used = match.cell[match.quality > 0]
    assert len(used) == len(used.unique()) > 0
