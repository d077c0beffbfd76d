"""Layouts: pixels and objects must go to the same place, and what is cut must be dealt with."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from plateloop.data_preparation.manifest import Plate, Record, Vehicle
from plateloop.networks.assigner import IGNORE, NOTHING
from plateloop.training.detection.augment import LookConfig, alter, render
from plateloop.training.detection.data import Scenes, decode_pictures, scenes, store_on
from plateloop.training.detection.frame_layout import FrameLayoutConfig, draw, frame_layout, rare_weights
from plateloop.training.detection.layout import NO_PICTURE, Layout, PlacingConfig, place
from plateloop.training.detection.plate_layout import PlateLayoutConfig, plate_layout, plate_scenes

CPU = torch.device("cpu")
SIZE = (96, 64)


def record(
    width: int, height: int, box: tuple[float, ...], corners: tuple[tuple[float, float], ...]
) -> Record:
    return Record(
        file="none",
        width=width,
        height=height,
        vehicles=(Vehicle(box=(0, 0, width, height), label="car"),),
        plates=(Plate(box=box, corners=corners),),  # type: ignore[arg-type]
    )


def painted(rng: np.random.Generator, count: int) -> tuple[list[Record], list[np.ndarray]]:  # type: ignore[type-arg]
    """Grey pictures with one bright rectangle, whose corners are known; sizes differ."""
    records, pictures = [], []
    for _ in range(count):
        width, height = (int(side) for side in rng.integers(60, 140, 2))
        x, y = int(rng.integers(5, width - 35)), int(rng.integers(5, height - 25))
        picture = np.full((height, width, 3), 60, np.uint8)
        picture[y : y + 18, x : x + 28] = 255
        corners = ((x, y), (x + 28, y), (x + 28, y + 18), (x, y + 18))
        records.append(record(width, height, (x, y, x + 28, y + 18), corners))
        pictures.append(picture)
    return records, pictures


def bright_extent(image: torch.Tensor, threshold: float) -> np.ndarray:  # type: ignore[type-arg]
    y, x = np.nonzero(image.mean(0).numpy() > threshold)
    return np.array([x.min(), y.min(), x.max() + 1, y.max() + 1], float)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_frames_and_their_boxes_go_to_the_same_place(seed: int) -> None:
    rng = np.random.default_rng(seed)
    records, pictures = painted(rng, 6)
    data = scenes(records, "plates", ("plate",))
    store = store_on(CPU, decode_pictures(pictures, data.sizes, 1), data.sizes)
    config = FrameLayoutConfig(mosaic=0, zoom=(0.8, 1.5))
    layout = frame_layout(rng, data, np.full(6, 1 / 6), 8, SIZE, config)
    images, _ = render(store, layout, samples=2)
    placed = place(layout, data, PlacingConfig(smallest=3))
    for row in np.flatnonzero((placed.labels == 0) & placed.has_corners):
        extent = bright_extent(images[placed.picture[row]], 0.62)
        assert extent == pytest.approx(placed.boxes[row], abs=1.8)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_turned_plates_keep_their_corners(seed: int) -> None:
    rng = np.random.default_rng(seed)
    records, pictures = painted(rng, 6)
    data = scenes(records, "plates", ("plate",))
    prepared = plate_scenes(records, data)
    assert prepared.exact.all() and len(prepared.with_plate) == 6
    store = store_on(CPU, decode_pictures(pictures, data.sizes, 1), data.sizes)
    layout = plate_layout(rng, prepared, np.full(6, 1 / 6), 8, SIZE, PlateLayoutConfig(share=(0.2, 0.5)))
    images, _ = render(store, layout, samples=2)
    placed = place(layout, data, PlacingConfig(visible=0.98, smallest=4))
    for row in np.flatnonzero(placed.labels == 0):
        quad = placed.corners[row].reshape(4, 2)
        edges = np.roll(quad, -1, 0) - quad
        assert (edges[:, 0] * np.roll(edges[:, 1], -1) > edges[:, 1] * np.roll(edges[:, 0], -1)).all()
        middle = quad.mean(0)
        for corner in quad:
            if min(np.ptp(quad, 0)) < 12:  # too few pixels to tell inside from outside
                continue
            inner, outer = middle + 0.75 * (corner - middle), middle + 1.3 * (corner - middle)
            assert images[placed.picture[row]].mean(0)[tuple(inner.astype(int)[::-1])] > 0.8
            if (outer > 1).all() and (outer < np.array(SIZE) - 1).all():
                assert images[placed.picture[row]].mean(0)[tuple(outer.astype(int)[::-1])] < 0.7


def one_box(box: tuple[float, ...], label: int = 0) -> Scenes:
    return Scenes(
        np.array([[100, 100]], np.float32),
        np.array([0, 1]),
        np.array([box], np.float32),
        np.array([label]),
        np.zeros((1, 4, 2), np.float32),
        np.zeros(1, bool),
        np.ones(1, bool),
    )


def shifted_by(x: float, y: float) -> Layout:
    matrices = np.tile(np.eye(3), (1, 4, 1, 1))
    matrices[..., :2, 2] = x, y
    pictures = np.array([[0, NO_PICTURE, NO_PICTURE, NO_PICTURE]])
    return Layout((100, 100), pictures, np.array([[100.0, 100.0]]), matrices)


@pytest.mark.parametrize(
    ("shift", "label", "box"),
    [
        (0, 0, (40, 40, 60, 60)),
        (-50, 0, (0, 40, 10, 60)),  # half of it left
        (-55, IGNORE, (0, 40, 5, 60)),  # a quarter left
        (-70, NOTHING, None),
    ],
)
def test_cut_objects(shift: float, label: int, box: tuple[float, ...] | None) -> None:
    placed = place(shifted_by(shift, 0), one_box((40, 40, 60, 60)), PlacingConfig())
    assert placed.labels[0] == label
    if box is not None:
        assert placed.boxes[0] == pytest.approx(np.array(box))
    assert len(placed.labels) == 64 and (placed.labels[1:] == NOTHING).all()


def test_small_and_ignored_objects_are_ignored() -> None:
    assert place(shifted_by(0, 0), one_box((40, 40, 43, 60)), PlacingConfig()).labels[0] == IGNORE
    assert place(shifted_by(0, 0), one_box((40, 40, 60, 60), IGNORE), PlacingConfig()).labels[0] == IGNORE


def test_mosaics_stay_in_their_quarters() -> None:
    rng = np.random.default_rng(0)
    records, _ = painted(rng, 8)
    data = scenes(records, "plates", ("plate",))
    layout = frame_layout(rng, data, np.full(8, 1 / 8), 16, SIZE, FrameLayoutConfig(mosaic=1))
    assert (layout.pictures != NO_PICTURE).all()
    placed = place(layout, data, PlacingConfig())
    rectangles = layout.rectangles()[placed.picture]
    inside = (placed.boxes[:, None, :2] >= rectangles[..., :2] - 1e-3).all(-1)
    inside &= (placed.boxes[:, None, 2:] <= rectangles[..., 2:] + 1e-3).all(-1)
    assert inside.any(1)[placed.labels >= 0].all()
    closing = frame_layout(rng, data, np.full(8, 1 / 8), 16, SIZE, FrameLayoutConfig(mosaic=1), 0.9)
    assert (closing.pictures[:, 1:] == NO_PICTURE).all()


def test_rare_classes_are_drawn_more() -> None:
    rows = [("car",)] * 96 + [("bus", "car")] * 3 + [()]
    records = [
        Record(
            file="none",
            width=10,
            height=10,
            vehicles=tuple(Vehicle(box=(0, 0, 5, 5), label=label) for label in labels),
        )
        for labels in rows
    ]
    weights = rare_weights(scenes(records, "vehicles", ("car", "bus")), 2)
    assert weights.sum() == pytest.approx(1)
    assert weights[97] > 2 * weights[0] and weights[99] < weights[0]
    drawn = draw(np.random.default_rng(0), weights, 1000)
    assert np.bincount(drawn, minlength=100)[96:99].sum() == pytest.approx(3000 * weights[97], abs=4)


def test_vehicles_of_unknown_classes_are_ignored_and_pictures_know_if_they_are_complete() -> None:
    known = Record(
        file="a",
        width=9,
        height=9,
        vehicles=(Vehicle(box=(0, 0, 5, 5), label="tricycle"),),
        ignore_vehicles=((1, 1, 2, 2),),
        vehicles_annotated=False,
    )
    data = scenes([known], "vehicles", ("car",))
    assert data.labels.tolist() == [IGNORE, IGNORE] and data.complete.tolist() == [False]


def test_looks_change_pictures_within_bounds_and_leave_the_padding_black() -> None:
    torch.manual_seed(0)
    images, cover = torch.rand(12, 3, 64, 96), torch.ones(12, 1, 64, 96)
    cover[..., 80:] = 0
    look = LookConfig(fog=0.5, blur=0.5, coarse=0.5, noise=0.5, jpeg=0.5)
    changed = alter(images.clone(), cover, np.random.default_rng(0), look)
    assert changed.shape == images.shape and changed.min() >= 0 and changed.max() <= 1
    assert (changed[..., 80:] == 0).all() and not torch.equal(changed[..., :80], images[..., :80])
