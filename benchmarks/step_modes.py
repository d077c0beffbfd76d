"""Compares the ways to run a training step: eager, as a CUDA graph, with batches made ahead, compiled.

Shared by the benchmarks of the detectors' and the reader's training.
"""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from torch import nn

from plateloop.training.loop import pick_device
from plateloop.training.prefetch import Prefetch
from plateloop.training.stepping import EAGER_FIRST, Loss, Stepper, make_optimizer

AGREEMENT_STEPS = EAGER_FIRST + 6
"""Steps on the same batches after which the losses of two modes are compared."""


def compare(
    make_network: Callable[[], nn.Module],
    make_loss: Callable[[nn.Module], Loss],
    batches: Iterator[Any],
    size: int,
    device_name: str,
    seconds: float = 6.0,
    compiled: bool = False,
) -> bool:
    """Print pictures/s of each mode on fresh ``batches`` of ``size``, and whether all modes learn alike.

    Each mode starts from the same weights and first sees the same batches. Returns whether every mode's loss
    on the last of them is within 5 % of the eager one's: bfloat16 and the order of sums leave no less.
    """
    device = pick_device(device_name)
    on_gpu = device.type == "cuda"
    modes = {"eager": (False, 0, False), "eager, batches ahead": (False, 2, False)}
    if on_gpu:
        modes |= {"graph": (True, 0, False), "graph, batches ahead": (True, 2, False)}
    if compiled:
        modes["compiled, batches ahead"] = (False, 2, True)
    with ExitStack() as stack:
        if on_gpu:
            stack.enter_context(torch.cuda.device(device))
            stack.enter_context(torch.cuda.stream(torch.cuda.Stream(device)))
        same = [next(batches) for _ in range(AGREEMENT_STEPS)]
        if on_gpu:
            _tell_waits(batches)
        losses = {}
        for name, (graphs, ahead, compile_it) in modes.items():
            began = time.perf_counter()
            torch.manual_seed(0)
            network = make_network().to(device, memory_format=torch.channels_last).train()
            running = torch.compile(network) if compile_it else network
            losses[name], rate = _run(
                running, network, make_loss(network), batches, same, device, graphs, ahead, seconds
            )
            print(
                f"{name:26s} {size * rate:8.0f} pictures/s {1e3 / rate:8.1f} ms a step"
                f"   loss {losses[name]:.4f} after {AGREEMENT_STEPS} steps"
                f"   ({time.perf_counter() - began:.0f} s in all)",
                flush=True,
            )
    alike = all(abs(loss - losses["eager"]) < 0.05 * abs(losses["eager"]) for loss in losses.values())
    print("all modes learn alike" if alike else "LOSSES DIFFER: do not train with the mode that is off")
    if on_gpu:
        print(f"peak memory {torch.cuda.max_memory_allocated(device) / 1e9:.1f} GB")
    return alike


def _tell_waits(batches: Iterator[Any]) -> None:
    """Print how often the making of a batch waits for the GPU, and where most."""
    torch.cuda.set_sync_debug_mode("warn")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        next(batches)
    torch.cuda.set_sync_debug_mode("default")
    places = Counter(f"{Path(note.filename).name}:{note.lineno}" for note in told)
    print(f"a batch's making waits {len(told)} times for the GPU", *places.most_common(5), flush=True)


def _run(
    running: nn.Module,
    network: nn.Module,
    loss: Loss,
    batches: Iterator[Any],
    same: list[Any],
    device: torch.device,
    graphs: bool,
    ahead: int,
    seconds: float,
) -> tuple[float, float]:
    """The loss after the ``same`` batches, then steps/s on fresh ones."""
    optimizer = make_optimizer(network, 5e-4, 0.05, device, graphs)
    sync: Callable[[], Any] = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    with ExitStack() as stack:
        source, pause = batches, None
        if ahead:
            source = thread = stack.enter_context(Prefetch(batches, device, ahead))
            pause = thread.pause
        stepper = Stepper(running, loss, optimizer, device, 10.0, graphs, pause)
        for batch in same:
            terms = stepper(batch)
        total = sum(float(value) for name, value in terms.items() if not name.startswith("_"))
        for _ in range(3):
            stepper(next(source))
        sync()
        start, steps = time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            stepper(next(source))
            steps += 1
        sync()
        return total, steps / (time.perf_counter() - start)
