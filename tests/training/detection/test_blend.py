"""Blended canvases: what shines through must bring its objects, and nothing else may change."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from plateloop.data_preparation.manifest import Plate, Record
from plateloop.networks.assigner import IGNORE, NOTHING
from plateloop.training.detection.augment import LookConfig, render
from plateloop.training.detection.blend import BlendConfig, blend_objects, blend_pictures, pick_pairs
from plateloop.training.detection.config import TCNET, DetectorTraining
from plateloop.training.detection.data import PictureStore, decode_pictures, scenes, store_on
from plateloop.training.detection.feed import Batch, Progress, batch_of, feed, frame_records
from plateloop.training.detection.frame_layout import FrameLayoutConfig, frame_layout
from plateloop.training.detection.layout import Layout, Placed, PlacingConfig, place
from plateloop.types import IntArray

CPU = torch.device("cpu")
SIZE = (96, 64)
GREY, WHITE = 60 / 255, 1.0
AS_THEY_ARE = LookConfig(**dict.fromkeys(LookConfig.model_fields, 0.0))
ALL = BlendConfig(share=1)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def random_pairs(rng: np.random.Generator, batch: int, count: int) -> IntArray:
    """Any rows with any other canvas, as `pick_pairs` may give them."""
    rows = rng.permutation(batch)[: min(count, batch)]
    return np.stack([rows, (rows + rng.integers(1, batch, len(rows))) % batch])


def objects(rng: np.random.Generator, batch: int, count: int, fillers: float = 0.2) -> Placed:
    labels = rng.choice([IGNORE, 0, 1, 2], count)
    labels[rng.random(count) < fillers] = NOTHING
    corner = rng.uniform(0, 50, (count, 2))
    return Placed(
        rng.integers(0, batch, count),
        np.concatenate([corner, corner + rng.uniform(1, 40, (count, 2))], 1).astype(np.float32),
        labels,
        rng.uniform(0, 90, (count, 8)).astype(np.float32),
        (rng.random(count) < 0.5) & (labels >= 0),
        rng.random(batch) < 0.6,
    )


def listed(placed: Placed, canvas: int) -> list[tuple[float, ...]]:
    """All that is known of each object on ``canvas``, in an order of its own."""
    rows = np.flatnonzero((placed.picture == canvas) & (placed.labels != NOTHING))
    known = (
        placed.labels[rows, None],
        placed.has_corners[rows, None],
        placed.boxes[rows],
        placed.corners[rows],
    )
    return sorted(map(tuple, np.concatenate(known, 1).tolist()))


@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.floats(0, 1))
def test_rows_are_blended_once_and_never_with_themselves(seed: int, batch: int, share: float) -> None:
    rows, others = pick_pairs(np.random.default_rng(seed), batch, share)
    assert len(rows) in (int(batch * share), int(batch * share) + 1) and len(rows) <= batch
    assert len(np.unique(rows)) == len(rows)
    assert np.isin(rows, np.arange(batch)).all() and np.isin(others, np.arange(batch)).all()
    assert (rows != others).all()


def test_the_share_of_blended_canvases_is_kept_and_each_may_meet_each() -> None:
    rng = np.random.default_rng(0)
    drawn = [pick_pairs(rng, 5, 0.3) for _ in range(1000)]
    assert np.mean([pairs.shape[1] for pairs in drawn]) == pytest.approx(1.5, abs=0.06)
    met, times = np.unique(np.concatenate(drawn, 1).T, axis=0, return_counts=True)
    assert [tuple(pair) for pair in met.tolist()] == list(permutations(range(5), 2))
    assert times.min() > 0.6 * times.mean() and times.max() < 1.4 * times.mean()


@pytest.mark.parametrize("kind", [torch.float32, torch.float16])
@given(
    seed=st.integers(0, 2**32 - 1),
    batch=st.integers(2, 6),
    count=st.integers(0, 6),
    bounds=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
@settings(max_examples=40)
def test_pixels_lie_between_the_two_pictures_in_the_stated_share(
    kind: torch.dtype, seed: int, batch: int, count: int, bounds: tuple[float, float]
) -> None:
    rng = np.random.default_rng(seed)
    images = torch.from_numpy(rng.random((batch, 3, 8, 16))).to(kind)
    cover = torch.from_numpy(rng.integers(0, 2, (batch, 1, 8, 16))).to(kind)
    before, cover_before = images.clone(), cover.clone()
    pairs = random_pairs(rng, batch, count)
    low, high = sorted(bounds)
    blended, either = blend_pictures(images, cover, pairs, rng, BlendConfig(other=(low, high)))
    assert torch.equal(images, before) and torch.equal(cover, cover_before)
    assert blended.dtype == either.dtype == kind

    close = 1e-5 if kind == torch.float32 else 4e-3
    for row, other in pairs.T.tolist():
        # From the pictures as they were, whether or not the other is blended too.
        way = (before[other] - before[row]).double()
        done = (blended[row] - before[row]).double()
        share = float((done * way).sum() / way.square().sum())
        assert low - close <= share <= high + close
        assert done.numpy() == pytest.approx((share * way).numpy(), abs=close)
        assert torch.equal(either[row].bool(), cover[row].bool() | cover[other].bool())
    rest = np.setdiff1d(np.arange(batch), pairs[0])
    assert torch.equal(blended[rest], before[rest]) and torch.equal(either[rest], cover_before[rest])


def test_each_canvas_has_a_share_of_its_own() -> None:
    images, cover = torch.zeros(64, 3, 8, 8), torch.ones(64, 1, 8, 8)
    images[1::2] = 1
    pairs = np.stack([np.arange(0, 64, 2), np.arange(1, 64, 2)])
    blended, _ = blend_pictures(images, cover, pairs, np.random.default_rng(0), BlendConfig(other=(0.2, 0.6)))
    share = blended[::2].mean((1, 2, 3)).numpy()
    assert share.min() < 0.25 and share.max() > 0.55 and len(np.unique(share)) == 32


@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.integers(0, 40), st.integers(0, 200))
@example(0, 5, 0, 0)
@example(0, 2, 2, 64)
def test_blended_canvases_have_the_objects_of_both(seed: int, batch: int, count: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    placed, pairs = objects(rng, batch, rows), random_pairs(rng, batch, count)
    complete = placed.complete.copy()
    blended = blend_objects(placed, pairs)

    shines = dict(pairs.T.tolist())
    for canvas in range(batch):
        both = listed(placed, canvas) + (listed(placed, shines[canvas]) if canvas in shines else [])
        assert listed(blended, canvas) == sorted(both)
        assert blended.complete[canvas] == (complete[canvas] and complete[shines.get(canvas, canvas)])
    assert (placed.complete == complete).all()

    sizes = {len(blended.picture), len(blended.boxes), len(blended.corners), len(blended.has_corners)}
    assert sizes == {len(blended.labels)}
    fillers = blended.labels == NOTHING
    assert 1 <= fillers.sum() <= max(64, 4 * batch) and len(fillers) % max(64, 4 * batch) == 0
    assert not blended.has_corners[fillers].any()
    for name in Placed.__slots__:
        assert getattr(blended, name).dtype == getattr(placed, name).dtype


def test_a_batch_that_fills_its_rows_still_gets_a_filler() -> None:
    placed = objects(np.random.default_rng(0), 4, 64, fillers=0)
    blended = blend_objects(placed, pick_pairs(np.random.default_rng(0), 4, 0))
    assert len(blended.labels) == 128 and (blended.labels[64:] == NOTHING).all()
    assert [listed(blended, canvas) for canvas in range(4)] == [listed(placed, canvas) for canvas in range(4)]


def laid_out(seed: int) -> tuple[PictureStore, Layout, Placed]:
    """Eight canvases of grey pictures with one white plate each, some of them mosaics."""
    rng = np.random.default_rng(seed)
    records, pictures = [], []
    for _ in range(6):
        width, height = (int(side) for side in rng.integers(60, 140, 2))
        x, y = int(rng.integers(5, width - 35)), int(rng.integers(5, height - 25))
        picture = np.full((height, width, 3), GREY * 255, np.uint8)
        picture[y : y + 18, x : x + 28] = WHITE * 255
        plate = Plate(box=(x, y, x + 28, y + 18))
        records.append(Record(file="none", width=width, height=height, plates=(plate,)))
        pictures.append(picture)
    data = scenes(records, "plates", ("plate",))
    config = FrameLayoutConfig(zoom=(0.8, 1.5), turn=0, shear=0)
    layout = frame_layout(rng, data, np.full(6, 1 / 6), 8, SIZE, config)
    store = store_on(CPU, decode_pictures(pictures, data.sizes, 1), data.sizes)
    return store, layout, place(layout, data, PlacingConfig())


def fed(seed: int, blend: BlendConfig, progress: float = 0.0, look: LookConfig = AS_THEY_ARE) -> Batch:
    torch.manual_seed(seed)
    config = TCNET.model_copy(update={"blend": blend, "look": look})
    return batch_of(*laid_out(seed), np.random.default_rng(seed), config, CPU, progress)


def same(one: Batch, other: Batch) -> bool:
    truths = [(getattr(one[1], name), getattr(other[1], name)) for name in one[1].__slots__]
    return all(torch.equal(a, b) for a, b in [(one[0], other[0]), *truths])


def inner(image: Tensor, box: Tensor) -> Tensor:
    """The pixels of ``box`` without its rim, where it mixes with what is around it."""
    (x1, y1), (x2, y2) = (box[:2] + 1.5).floor().int().tolist(), (box[2:] - 1.5).ceil().int().tolist()
    return image[:, y1:y2, x1:x2]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15)
def test_what_a_batch_lists_is_to_be_seen(seed: int) -> None:
    images, truth = fed(seed, ALL)
    alone = laid_out(seed)[2]
    assert (truth.labels >= 0).sum() >= (alone.labels >= 0).sum()
    for row in np.flatnonzero(truth.labels >= 0):
        assert inner(images[truth.picture[row]], truth.boxes[row]).min() > max(GREY, 0.35 * WHITE) - 0.01
    # And of the canvas's own picture at least half is left.
    for row in np.flatnonzero(alone.labels >= 0):
        pixels = inner(images[alone.picture[row]], torch.from_numpy(alone.boxes[row]))
        assert pixels.min() > 0.5 * WHITE - 0.01


def test_a_canvas_is_seen_wherever_one_of_the_two_pictures_lies() -> None:
    store, layout, _ = laid_out(3)
    images, cover = render(store, layout)
    pairs = pick_pairs(np.random.default_rng(3), 8, 1)  # what the batch draws first
    blended, _ = fed(3, ALL)
    seen = torch.maximum(cover[pairs[0]], cover[pairs[1]])
    assert 0 < cover.mean() < 1
    assert torch.equal(blended[pairs[0]].sum(1, keepdim=True) > 0, seen > 0)
    assert not torch.equal(blended > 0, images > 0)


@pytest.mark.parametrize("progress", [0.85, 0.9, 1.0])
def test_no_canvas_is_blended_once_the_training_closes(progress: float) -> None:
    look = LookConfig()
    plain = fed(1, BlendConfig(), look=look)
    assert same(fed(1, ALL, progress, look), plain)
    assert same(fed(1, BlendConfig(share=0), 0.0, look), plain)
    assert not same(fed(1, ALL, 0.84, look), plain)


def test_the_feed_stops_blending_as_the_loop_tells_it(painted: Path) -> None:
    network = TCNET.network.model_copy(update={"width": 64, "height": 64, "labels": ("car",)})
    config = DetectorTraining(
        network=network,
        loop=TCNET.loop.model_copy(update={"batch": 8}),
        look=AS_THEY_ARE,
        blend=BlendConfig(share=1, until=0.5),
        frames=FrameLayoutConfig(empty=0, mosaic=0, plain=1),
        workers=1,
    )
    folder, progress = painted / "frames", Progress()
    batches = feed("tcnet", folder, frame_records(folder, "train"), config, CPU, progress)
    for now, objects_each in [(0.0, 2), (0.49, 2), (0.5, 1), (1.0, 1)]:
        progress(now)
        _, truth = next(batches)
        assert torch.bincount(truth.picture[truth.labels >= 0]).tolist() == [objects_each] * 8
