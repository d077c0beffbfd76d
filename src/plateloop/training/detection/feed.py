"""Endless batches for the detectors: pictures laid out, altered and labelled on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import monotonic

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plateloop.data_preparation.label_repair import repaired
from plateloop.data_preparation.manifest import NAME, Record, read_manifest
from plateloop.errors import UserError
from plateloop.networks.assigner import Truth
from plateloop.training.cache import Arrays, cached, digest
from plateloop.training.detection.augment import alter, on_device, render
from plateloop.training.detection.blend import blend_objects, blend_pictures, pick_pairs
from plateloop.training.detection.config import DetectorTraining
from plateloop.training.detection.cover import cover_objects, cover_pictures, pick_patches
from plateloop.training.detection.data import Picture, PictureStore, decode_pictures, scenes, store_on
from plateloop.training.detection.empty_windows import empty_windows
from plateloop.training.detection.frame_layout import frame_layout, rare_weights
from plateloop.training.detection.layout import Layout, Placed, place
from plateloop.training.detection.pasted_plates import pasted_pictures
from plateloop.training.detection.plate_layout import plate_layout, plate_scenes
from plateloop.types import FloatArray

Batch = tuple[Tensor, Truth]


class Progress:
    """How much of the schedule is done, 0 to 1: told by the loop, read by the feed."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self, now: float) -> None:
        self.now = now


def dataset(data: Path) -> Path:
    """The manifest dataset of frames at ``data``, or in its folder ``frames``."""
    return data if (data / NAME).is_file() else data / "frames"


def frame_records(folder: Path, split: str) -> list[Record]:
    """The records of ``folder`` in ``split``.

    Raises UserError where there is none.
    """
    records = [record for record in read_manifest(folder) if record.split == split]
    if not records:
        raise UserError(f"{folder}: no record of split {split}; `plateloop data split` makes some")
    return records


def train_records(folder: Path, network: str, config: DetectorTraining) -> list[Record]:
    """What ``network`` may learn from: the train split without held out sources."""
    records = [repaired(r) for r in frame_records(folder, "train") if r.source not in config.hold_out]
    if network == "lpdnet":
        records = [record for record in records if record.plates_annotated]
    order = np.random.default_rng(config.loop.seed).permutation(len(records))
    return [records[index] for index in order[: config.limit]]


def _source_weights(records: Sequence[Record], power: float) -> FloatArray:
    names, index, counts = np.unique([r.source for r in records], return_inverse=True, return_counts=True)
    del names
    return np.asarray(counts[index] ** -power)


def _on_device(placed: Placed, device: torch.device) -> Truth:
    return Truth(
        on_device(placed.picture, device),
        on_device(placed.boxes, device),
        on_device(placed.labels, device),
        on_device(placed.corners, device),
        on_device(placed.has_corners, device),
        on_device(placed.complete, device),
    )


def prepared(
    network: str, folder: Path, records: Sequence[Record], config: DetectorTraining, cache: Path | None
) -> tuple[list[Record], NDArray[np.int32]]:
    """``records``, then for lpdnet the versions with plates pasted over, and the pixels of all."""

    def make() -> Arrays:
        pictures: list[Picture] = [folder / record.file for record in records]
        everything = list(records)
        if network == "lpdnet":
            base = [record for record in records if record.plates]
            for picture, record in pasted_pictures(
                folder, base, config.copies, config.workers, config.loop.seed
            ):
                pictures.append(picture)
                everything.append(record)
        sizes = np.array([(record.width, record.height) for record in everything], np.float32)
        lines = "\n".join(record.model_dump_json() for record in everything)
        return {
            "pixels": decode_pictures(pictures, sizes, config.workers),
            "records": np.frombuffer(lines.encode(), np.uint8),
        }

    settings = [network, config.copies, config.loop.seed, config.hold_out, config.limit]
    arrays = cached(cache, network, digest([folder], settings), make)
    lines = arrays["records"].tobytes().decode().splitlines()
    return [Record.model_validate_json(line) for line in lines], arrays["pixels"]


def feed(
    network: str,
    folder: Path,
    records: Sequence[Record],
    config: DetectorTraining,
    device: torch.device,
    progress: Progress,
    cache: Path | None = None,
) -> Iterator[Batch]:
    """Decode all of ``records`` onto ``device``, then yield batches for ever. ``cache`` keeps what was
    decoded for later runs."""
    start = monotonic()
    rng = np.random.default_rng((config.loop.seed, 1))
    size = (config.network.width, config.network.height)
    everything, pixels = prepared(network, folder, records, config, cache)
    make: Callable[[], Layout]
    if network == "lpdnet":
        objects = scenes(everything, "plates", config.network.labels)
        data = plate_scenes(everything, objects)
        weights = _source_weights(everything, config.source_power)
        # Pasted versions together count as much as the originals.
        weights[len(records) :] /= max(config.copies, 1)
        weights /= weights.sum()

        def make() -> Layout:
            return plate_layout(rng, data, weights, config.loop.batch, size, config.plates)
    else:
        objects = scenes(everything, "vehicles", config.network.labels)
        weights = rare_weights(objects, len(config.network.labels))
        weights = weights * np.where(objects.complete, config.annotated, 1)
        weights = weights * _source_weights(everything, config.source_power)
        weights /= weights.sum()
        empty = empty_windows(rng, objects, size, config.empty)
        print(f"{len(empty)} parts without any object", flush=True)

        def make() -> Layout:
            return frame_layout(
                rng, objects, weights, config.loop.batch, size, config.frames, progress.now, empty
            )

    store = store_on(device, pixels, objects.sizes)
    del pixels
    print(
        f"{len(everything)} pictures, {int((objects.labels >= 0).sum())} objects,"
        f" {store.gigabytes:.1f} GB on {device} after {monotonic() - start:.0f} s",
        flush=True,
    )
    while True:
        layout = make()
        placed = place(layout, objects, config.placing)
        yield batch_of(store, layout, placed, rng, config, device, progress.now)


def batch_of(
    store: PictureStore,
    layout: Layout,
    placed: Placed,
    rng: np.random.Generator,
    config: DetectorTraining,
    device: torch.device,
    progress: float = 0.0,
) -> Batch:
    """Pictures (B, 3, H, W) in [0, 1], channels last, and their objects, at ``progress`` of the training."""
    images, cover = render(store, layout, config.samples)
    if config.blend.share and progress < config.blend.until:
        pairs = pick_pairs(rng, len(images), config.blend.share)
        images, cover = blend_pictures(images, cover, pairs, rng, config.blend)
        placed = blend_objects(placed, pairs)
    images = alter(images, cover, rng, config.look)
    if config.cover.share:
        patches = pick_patches(rng, len(images), layout.size, config.cover)
        images = cover_pictures(images, patches, rng)
        placed = cover_objects(placed, patches, config.cover)
    images = images.to(torch.bfloat16 if device.type == "cuda" else torch.float32)
    return images.contiguous(memory_format=torch.channels_last), _on_device(placed, device)
