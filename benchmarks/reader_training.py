"""How fast lprnet trains: input alone, then whole steps, eager, as CUDA graph and with batches made ahead.

    python benchmarks/reader_training.py --device cuda:0 --batch 512

Real plates are made up (noise) and synthetic ones rendered on the spot, so that no data is needed. Exits with
1 where the modes do not learn alike.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch

from plateloop.data_preparation.synthetic.render import render
from plateloop.networks.lprnet import HEIGHT, WIDTH, LPRNet
from plateloop.training.reading.batches import Mix, ReadingBatches
from plateloop.training.reading.data import CANVAS_HEIGHT, CANVAS_WIDTH, RealPlates
from plateloop.training.reading.plate_pool import PlatePool
from plateloop.training.reading.train import ReaderConfig, losses
from step_modes import compare

REGIONS = ("AT", "BE", "US")


def made_up_plates(count: int) -> RealPlates:
    """Noise with texts."""
    rng = np.random.default_rng(0)
    return RealPlates(
        rng.integers(0, 255, (count, CANVAS_HEIGHT, CANVAS_WIDTH, 3), dtype=np.uint8),
        rng.uniform(1.5, 5, count).astype(np.float32),
        rng.random(count) < 0.5,
        tuple("".join(rng.choice(list("ABC123"), 6)) for _ in range(count)),
        (None,) * count,
        ("made up",) * count,
        ("annotated",) * count,
        ("",) * count,
    )


def main() -> None:
    """Time input and steps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--slots", type=int, default=2048)
    parser.add_argument("--seconds", type=float, default=6.0, help="that each mode runs")
    parser.add_argument("--compile", action="store_true", help="torch.compile too, which takes minutes")
    args = parser.parse_args()

    device = torch.device(args.device)
    torch.backends.cudnn.benchmark = True
    config = ReaderConfig()
    workers = min(16, max(1, (os.cpu_count() or 2) - 2), args.slots)
    rng = np.random.default_rng(0)
    backgrounds = rng.integers(0, 255, (256, HEIGHT, WIDTH, 3), dtype=np.uint8)
    with (
        tempfile.TemporaryDirectory() as folder,
        PlatePool(Path(folder), partial(render, margin=0.0), args.slots, workers, 0, device, REGIONS) as pool,
    ):
        began = time.perf_counter()
        pool.wait_for(args.slots)
        print(f"{args.slots} plates by {workers} workers in {time.perf_counter() - began:.0f} s", flush=True)
        real = made_up_plates(1000)
        batches = ReadingBatches(real, pool, backgrounds, Mix(), args.batch, REGIONS, device)
        for _ in range(3):
            next(batches)
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < args.seconds / 2:
            next(batches)
            count += 1
        if device.type == "cuda":
            torch.cuda.synchronize()
        rate = count / (time.perf_counter() - began)
        print(f"{'input alone':26s} {args.batch * rate:8.0f} pictures/s {1e3 / rate:8.1f} ms a batch")
        alike = compare(
            lambda: LPRNet(len(REGIONS), dropout=0.0),
            lambda network: partial(losses, config),
            batches,
            args.batch,
            args.device,
            args.seconds,
            args.compile,
        )
    sys.exit(0 if alike else 1)


if __name__ == "__main__":
    main()
