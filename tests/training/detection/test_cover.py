"""Patches over canvases: they stay in range, hide what they cover, and what is lost is not asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from plateloop.data_preparation.manifest import Plate, Record
from plateloop.networks.assigner import IGNORE, NOTHING
from plateloop.training.detection.augment import LookConfig
from plateloop.training.detection.config import TCNET
from plateloop.training.detection.cover import CoverConfig, cover_objects, cover_pictures, pick_patches
from plateloop.training.detection.data import decode_pictures, scenes, store_on
from plateloop.training.detection.feed import Batch, batch_of
from plateloop.training.detection.frame_layout import FrameLayoutConfig, frame_layout
from plateloop.training.detection.layout import Placed, PlacingConfig, place
from plateloop.types import FloatArray

CPU = torch.device("cpu")
SIZE = (96, 64)
ALL = CoverConfig(share=1)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 20),
    st.tuples(st.integers(16, 2000), st.integers(16, 2000)),
    st.integers(1, 7),
    st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)),
)
@example(0, 1, (2000, 16), 7, (1.0, 1.0))
def test_patches_are_as_many_and_as_large_as_asked_and_on_the_canvas(
    seed: int, batch: int, size: tuple[int, int], most: int, bounds: tuple[float, float]
) -> None:
    low, high = sorted(bounds)
    config = CoverConfig(share=0.7, most=most, size=(low, high))
    patches = pick_patches(np.random.default_rng(seed), batch, size, config)
    assert patches.shape == (batch, most, 4) and patches.dtype == np.float32
    there = patches.any(-1)
    found = patches[there]
    close = 1e-3  # pixels, for float32
    assert (found[:, :2] >= -close).all() and (found[:, 2:] <= np.array(size) + close).all()
    side = found[:, 2:] - found[:, :2]
    assert (side >= low * np.array(size) - close).all() and (side <= high * np.array(size) + close).all()


def test_the_share_of_canvases_with_patches_is_kept_and_their_number_and_place_vary() -> None:
    rng = np.random.default_rng(0)
    config = CoverConfig(share=0.3, most=4, size=(0.04, 0.35))
    patches = pick_patches(rng, 4000, (200, 100), config)
    count = patches.any(-1).sum(1)
    assert (count > 0).mean() == pytest.approx(0.3, abs=0.03)
    assert np.bincount(count[count > 0], minlength=5)[1:] / (count > 0).sum() == pytest.approx(0.25, abs=0.04)
    found = patches[patches.any(-1)] / (200, 100, 200, 100)
    assert found[:, :2].min(0) == pytest.approx(0, abs=0.01)
    assert found[:, 2:].max(0) == pytest.approx(1, abs=0.01)
    assert (found[:, :2] + found[:, 2:]).mean(0) / 2 == pytest.approx(0.5, abs=0.02)
    side = found[:, 2:] - found[:, :2]
    assert side.min() < 0.045 and side.max() > 0.33
    assert abs(np.corrcoef(*side.T).min()) < 0.1  # tall ones and wide ones


def test_share_is_of_canvases() -> None:
    rng = np.random.default_rng(0)
    assert not pick_patches(rng, 500, SIZE, CoverConfig(share=0)).any()
    assert pick_patches(rng, 500, SIZE, ALL).any((1, 2)).all()


def under(patches: FloatArray, size: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels (H, W) of a canvas whose centres lie under one of ``patches`` (K, 4)."""
    mask = np.zeros(size[::-1], bool)
    for x1, y1, x2, y2 in np.ceil(patches - 0.5).astype(int).tolist():
        mask[y1:y2, x1:x2] = True
    return mask


@pytest.mark.parametrize("kind", [torch.float32, torch.float16])
@given(seed=st.integers(0, 2**32 - 1), batch=st.integers(1, 5), high=st.floats(0.05, 1))
def test_only_pixels_under_patches_change(kind: torch.dtype, seed: int, batch: int, high: float) -> None:
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    images = torch.rand(batch, 3, 16, 24).to(kind)
    before = images.clone()
    patches = pick_patches(rng, batch, (24, 16), CoverConfig(share=0.7, size=(0.04, high)))
    covered = cover_pictures(images, patches, rng)
    assert torch.equal(images, before) and covered.dtype == kind
    assert covered.min() >= 0 and covered.max() <= 1
    for old, new, own in zip(before, covered, patches, strict=True):
        mask = torch.from_numpy(under(own, (24, 16)))
        assert torch.equal(new[:, ~mask], old[:, ~mask])
        # In half precision one may by chance be what it was.
        assert (new == old).all(0)[mask].sum() <= 1


def test_patches_have_one_colour_with_some_grain() -> None:
    torch.manual_seed(0)
    patches = np.tile(np.array([[[0, 0, 20, 40], [20, 0, 40, 40]]], np.float32), (20, 1, 1))
    covered = cover_pictures(torch.full((20, 3, 40, 40), 0.5), patches, np.random.default_rng(0))
    halves = covered.view(20, 3, 40, 2, 20).transpose(2, 3).flatten(3).transpose(1, 2).flatten(0, 1)
    spread = halves.amax(2) - halves.amin(2)
    assert spread.max() <= 0.2 + 1e-5 and spread.amax(1).min() > 0.05
    colours = halves.mean(2)
    assert torch.pdist(colours).min() > 0.01 and colours.min() < 0.1 and colours.max() > 0.9
    assert (colours.amax(1) - colours.amin(1)).mean() > 0.3  # not grey


def objects(rng: np.random.Generator, batch: int, count: int) -> Placed:
    """Boxes of whole pixels; fillers where `place` has them, and with boxes that are no boxes."""
    corner, side = rng.integers(0, (80, 50), (count, 2)), rng.integers(1, (17, 15), (count, 2))
    labels = rng.choice([IGNORE, NOTHING, 0, 1, 2], count, p=[0.15, 0.15, 0.3, 0.2, 0.2])
    boxes = np.concatenate([corner, corner + side], 1).astype(np.float32)
    crossed = (labels == NOTHING) & (rng.random(count) < 0.5)
    boxes[crossed] = boxes[crossed][:, [2, 3, 0, 1]]
    return Placed(
        rng.integers(0, batch, count),
        boxes,
        labels,
        rng.uniform(0, 90, (count, 8)).astype(np.float32),
        (rng.random(count) < 0.6) & (labels >= 0),
        rng.random(batch) < 0.5,
    )


@given(
    st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(0, 60), st.sampled_from([0.25, 0.5, 0.75, 1.0])
)
def test_objects_mostly_under_patches_are_ignored_and_others_stay(
    seed: int, batch: int, count: int, hidden: float
) -> None:
    rng = np.random.default_rng(seed)
    placed = objects(rng, batch, count)
    patches = np.round(pick_patches(rng, batch, SIZE, CoverConfig(share=0.8, size=(0.1, 0.6))))
    covered = cover_objects(placed, patches, CoverConfig(hidden=hidden))

    masks = [under(own, SIZE) for own in patches]
    for row, (canvas, label) in enumerate(zip(placed.picture, placed.labels, strict=True)):
        x1, y1, x2, y2 = placed.boxes[row].astype(int)
        lost = label >= 0 and masks[canvas][y1:y2, x1:x2].mean() >= hidden
        assert covered.labels[row] == (IGNORE if lost else label)
        assert covered.has_corners[row] == (placed.has_corners[row] and not lost)
    for name in ("picture", "boxes", "corners", "complete"):
        assert (getattr(covered, name) == getattr(placed, name)).all()
    for name in Placed.__slots__:
        assert getattr(covered, name).dtype == getattr(placed, name).dtype


@pytest.mark.parametrize(
    ("patches", "label"),
    [
        (((0, 0, 4, 10), (0, 0, 4, 10)), 0),  # 40 % is hidden, though twice
        (((0, 0, 4, 10), (2, 0, 6, 10)), IGNORE),  # 60 % by both
        (((0, 0, 3, 10), (7, 0, 10, 10)), IGNORE),
        (((0, 0, 5, 10), (0, 0, 0, 0)), IGNORE),
        (((0, 0, 4.9, 10), (0, 0, 0, 0)), 0),
        (((10, 0, 20, 10), (0, 10, 10, 20)), 0),
    ],
)
def test_overlapping_patches_hide_a_part_once(patches: tuple[tuple[float, ...], ...], label: int) -> None:
    one = Placed(
        np.zeros(1, np.int64),
        np.array([[0, 0, 10, 10]], np.float32),
        np.zeros(1, np.int64),
        np.zeros((1, 8), np.float32),
        np.ones(1, bool),
        np.ones(1, bool),
    )
    covered = cover_objects(one, np.array([patches], np.float32), CoverConfig())
    assert covered.labels.tolist() == [label] and covered.has_corners.tolist() == [label == 0]


def fed(seed: int, cover: CoverConfig) -> Batch:
    """Sixteen canvases of noise, with a few plates on each."""
    rng = np.random.default_rng(seed)
    records, pictures = [], []
    for _ in range(6):
        corner, side = rng.integers(0, (50, 40), (8, 2)), rng.integers(8, 30, (8, 2))
        plates = tuple(
            Plate(box=(x, y, x + w, y + h), corners=((x, y), (x + w, y), (x + w, y + h), (x, y + h)))
            for (x, y), (w, h) in zip(corner.tolist(), side.tolist(), strict=True)
        )
        records.append(Record(file="none", width=80, height=70, plates=plates))
        pictures.append(rng.integers(0, 256, (70, 80, 3), dtype=np.uint8))
    data = scenes(records, "plates", ("plate",))
    store = store_on(CPU, decode_pictures(pictures, data.sizes, 1), data.sizes)
    layout = frame_layout(rng, data, np.full(6, 1 / 6), 16, SIZE, FrameLayoutConfig())
    torch.manual_seed(seed)
    config = TCNET.model_copy(update={"cover": cover, "look": LookConfig()})
    return batch_of(store, layout, place(layout, data, PlacingConfig()), rng, config, CPU)


@pytest.mark.parametrize("seed", range(5))
def test_batches_ignore_what_their_pictures_hide(seed: int) -> None:
    images, truth = fed(seed, CoverConfig())
    hidden, asked = fed(seed, CoverConfig(share=1, size=(0.2, 0.6)))
    assert hidden.shape == images.shape and hidden.min() >= 0 and hidden.max() <= 1
    changed = (hidden != images).any(1)
    assert changed.any((1, 2)).all() and not changed.all((1, 2)).any()
    for name in ("picture", "boxes", "corners", "complete"):
        assert torch.equal(getattr(asked, name), getattr(truth, name))
    lost = asked.labels != truth.labels
    assert (truth.labels[lost] >= 0).all() and (asked.labels[lost] == IGNORE).all()
    assert torch.equal(asked.has_corners, truth.has_corners & ~lost)
    for row in np.flatnonzero(truth.labels >= 0):
        x1, y1, x2, y2 = truth.boxes[row].round().int().tolist()
        share = changed[truth.picture[row], y1:y2, x1:x2].float().mean()
        rim = 1 / (x2 - x1) + 1 / (y2 - y1)  # boxes and patches end within pixels
        assert lost[row] or share < 0.5 + rim
        assert not lost[row] or share > 0.5 - rim
    assert lost.any() and (asked.labels >= 0).any()
