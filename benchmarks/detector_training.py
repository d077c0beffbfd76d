"""Where a detector's training step spends its time: input, network, assignment and losses, optimizer.

    python benchmarks/detector_training.py --device cuda:0 --batch 128
    python benchmarks/detector_training.py --device cuda:0 --batch 128 --modes

With ``--modes`` it compares whole steps instead: eager, as CUDA graph, with batches made ahead; it exits with
1 where they do not learn alike. Pictures and boxes are made up (noise), so that no data is needed; sizes and
numbers are those of real frames.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn

from plateloop.networks.assigner import assign
from plateloop.networks.detector import Detector
from plateloop.networks.losses import detection_losses
from plateloop.training.detection.augment import alter, render
from plateloop.training.detection.config import default
from plateloop.training.detection.data import Scenes, decode_pictures, store_on
from plateloop.training.detection.feed import Batch, batch_of
from plateloop.training.detection.frame_layout import frame_layout
from plateloop.training.detection.layout import place
from plateloop.training.stepping import Loss
from step_modes import compare


def made_up_scenes(rng: np.random.Generator, pictures: int, classes: int) -> Scenes:
    """Frames of 456×342 pixels with 1 to 12 vehicles each."""
    counts = np.minimum(rng.geometric(0.28, pictures), 12)
    total = int(counts.sum())
    low = rng.uniform(0, 300, (total, 2))
    size = np.exp(rng.uniform(2.5, 5, (total, 2)))
    return Scenes(
        np.tile(np.array([[456, 342]], np.float32), (pictures, 1)),
        np.cumsum([0, *counts]),
        np.concatenate([low, low + size], 1).astype(np.float32),
        np.minimum(rng.integers(-2, 1, total) + (rng.random(total) > 0.3) * 2, classes - 1),
        np.zeros((total, 4, 2), np.float32),
        np.zeros(total, bool),
        rng.random(pictures) < 0.3,
    )


def timed(name: str, device: torch.device, call: Callable[[], object], repeats: int) -> None:
    """Print the median of ``repeats`` calls, the device's work included, and the time until each returned."""
    sync = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    whole, issue = [], []
    for _ in range(repeats + 3):
        sync()
        start = time.perf_counter()
        call()
        issue.append(time.perf_counter() - start)
        sync()
        whole.append(time.perf_counter() - start)
    print(f"{name:34s} {1e3 * np.median(whole[3:]):8.1f} ms   issued in {1e3 * np.median(issue[3:]):6.1f} ms")


def main() -> None:
    """Time every part of a step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="tcnet", choices=["tcnet", "lpdnet"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--compile", action="store_true", help="the network through torch.compile")
    parser.add_argument("--modes", action="store_true", help="compare the modes of whole steps")
    parser.add_argument("--seconds", type=float, default=6.0, help="that each mode runs")
    parser.add_argument("--contiguous", action="store_true", help="channels first instead of last")
    args = parser.parse_args()

    device = torch.device(args.device)
    torch.backends.cudnn.benchmark = True
    config = default(args.network)
    config = config.model_copy(update={"loop": config.loop.model_copy(update={"batch": args.batch})})
    rng = np.random.default_rng(0)
    scenes = made_up_scenes(rng, args.pictures, len(config.network.labels))
    noise = [rng.integers(0, 255, (342, 456, 3), dtype=np.uint8)] * args.pictures
    store = store_on(device, decode_pictures(noise, scenes.sizes), scenes.sizes)
    size = (config.network.width, config.network.height)
    weights = np.full(len(scenes), 1 / len(scenes))

    def layout():  # type: ignore[no-untyped-def]
        return frame_layout(rng, scenes, weights, args.batch, size, config.frames)

    def fresh() -> Iterator[Batch]:
        while True:
            new = layout()
            placed = place(new, scenes, config.placing)
            yield batch_of(store, new, placed, rng, config, device)

    def loss_of(network: nn.Module) -> Loss:
        assert isinstance(network, Detector)

        def loss(model: nn.Module, batch: Batch) -> dict[str, torch.Tensor]:
            found = network.decode(model(batch[0]))
            return detection_losses(found, batch[1], network.centres, config.loss)

        return loss

    if args.modes:
        alike = compare(
            lambda: Detector(config.network),
            loss_of,
            fresh(),
            args.batch,
            args.device,
            args.seconds,
            args.compile,
        )
        sys.exit(0 if alike else 1)

    timed("layout and placing (NumPy)", device, lambda: place(layout(), scenes, config.placing), args.repeats)
    fixed = layout()
    placed = place(fixed, scenes, config.placing)
    timed("render", device, lambda: render(store, fixed, config.samples), args.repeats)
    images, cover = render(store, fixed, config.samples)
    timed("alter", device, lambda: alter(images, cover, rng, config.look), args.repeats)

    form = torch.contiguous_format if args.contiguous else torch.channels_last
    network = Detector(config.network).to(device, memory_format=form)  # type: ignore[call-overload]
    running = torch.compile(network) if args.compile else network
    images, truth = batch_of(store, fixed, placed, rng, config, device)
    images = images.contiguous(memory_format=form)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3, fused=device.type == "cuda")
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")

    def forward() -> torch.Tensor:
        with autocast:
            return running(images)

    def step(found: bool = True) -> None:
        optimizer.zero_grad(set_to_none=True)
        with autocast:
            raw = running(images)
            if found:
                terms = detection_losses(network.decode(raw), truth, network.centres, config.loss)
                total = torch.stack([v for k, v in terms.items() if not k.startswith("_")]).sum()
            else:
                total = raw.square().mean()
        total.backward()
        optimizer.step()

    with torch.no_grad():
        timed("forward", device, forward, args.repeats)
        prediction = network.decode(forward())
        print(f"{len(truth.labels)} rows of truth")
        timed(
            "assignment",
            device,
            lambda: assign(prediction, truth, network.centres, config.loss.assigner),
            args.repeats,
        )
    timed("step without assignment and losses", device, lambda: step(False), args.repeats)
    timed("step", device, step, args.repeats)

    def everything() -> None:
        nonlocal images, truth
        new = layout()
        placed = place(new, scenes, config.placing)
        images, truth = batch_of(store, new, placed, rng, config, device)
        images = images.contiguous(memory_format=form)
        step()

    start = time.perf_counter()
    for _ in range(args.repeats):
        everything()
    if device.type == "cuda":
        torch.cuda.synchronize()
        print(f"peak memory {torch.cuda.max_memory_allocated(device) / 1e9:.1f} GB")
    seconds = (time.perf_counter() - start) / args.repeats
    print(f"{'step with fresh input':34s} {1e3 * seconds:8.1f} ms = {args.batch / seconds:.0f} pictures/s")


if __name__ == "__main__":
    main()
