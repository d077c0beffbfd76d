"""The training curve: means of the losses and the speed, as rows of CSV and now and then a printed line."""

from __future__ import annotations

import csv
import math
import subprocess
import time
from typing import TextIO

import torch
from torch import Tensor

ASK_EVERY = 30.0
"""Seconds for which a figure of the GPU's load is good: asking may cost as much as some steps."""


class Curve:
    """Means of the losses of steps of ``batch`` pictures, written to ``file`` as CSV."""

    def __init__(self, file: TextIO, batch: int, device: torch.device) -> None:
        self._file, self._batch, self._device = file, batch, device
        self._totals: dict[str, Tensor] = {}
        self._since, self._clock = 0, time.monotonic()
        self._busy, self._asked = -1, -math.inf
        self._printed = -math.inf

    def add(self, terms: dict[str, Tensor]) -> None:
        """Take note of a step's losses, without waiting for them."""
        for name, value in terms.items():
            # A copy: the next step may write its own into the same memory.
            total = self._totals.get(name)
            self._totals[name] = value.float().clone() if total is None else total + value.float()
        self._since += 1

    def write(self, step: int, minutes: float, rate: float) -> None:
        """A row of the means since the last one; printed every ten seconds at most.

        Raises FloatingPointError where one is not finite.
        """
        means = {name: float(total) / self._since for name, total in self._totals.items()}
        if not all(math.isfinite(mean) for mean in means.values()):
            raise FloatingPointError(f"step {step}: loss is not finite: {means}")
        now = time.monotonic()
        speed = self._since * self._batch / (now - self._clock)
        if now - self._asked > ASK_EVERY:
            self._busy, self._asked = utilization(self._device), now
        writer = csv.writer(self._file)
        if self._file.tell() == 0:
            writer.writerow(["step", "minutes", "rate", "pictures_per_s", "gpu_percent", *means])
        row = [step, f"{minutes:.2f}", f"{rate:.3g}", f"{speed:.0f}", self._busy]
        writer.writerow([*row, *(f"{mean:.4f}" for mean in means.values())])
        self._file.flush()
        if now - self._printed > 10:
            self._printed = now
            told = " ".join(f"{name} {mean:.3f}" for name, mean in means.items())
            print(f"step {step} {minutes:.1f} min {speed:.0f}/s gpu {self._busy}% {told}", flush=True)
        self._totals, self._since, self._clock = {}, 0, time.monotonic()


def utilization(device: torch.device) -> int:
    """How busy the GPU is, percent; -1 where there is none or it cannot be asked."""
    if device.type != "cuda":
        return -1
    try:
        return torch.cuda.utilization(device)
    except (ModuleNotFoundError, RuntimeError):  # NVML's Python binding is not part of torch
        query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
        try:
            done = subprocess.run([*query, "-i", str(device.index or 0)], capture_output=True, check=True)
            return int(done.stdout)
        except (OSError, ValueError, subprocess.CalledProcessError):
            return -1
