"""The training loop that all networks share: mixed precision, EMA, cosine schedule, resumable, seeded."""

from __future__ import annotations

import csv
import json
import math
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from torch import Tensor, nn

from plateloop.errors import UserError

Losses = dict[str, Tensor]


class LoopConfig(BaseModel):
    """What the loop needs to know; each network's configuration holds one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(description="optimizer steps of the whole schedule")
    minutes: float | None = Field(
        None, description="wall-clock budget; where given the schedule follows the clock and ends with it"
    )
    batch: int = Field(description="pictures a step")
    learning_rate: float = Field(description="at the top of the schedule")
    final_rate: float = Field(0.01, description="share of learning_rate that is left at the end")
    weight_decay: float = Field(0.05, description="of AdamW, on matrices and kernels only")
    warmup: float = Field(0.03, description="share of the schedule spent rising from zero")
    clip_norm: float = Field(10.0, description="largest gradient norm")
    ema_decay: float = Field(0.999, description="of the averaged weights, which are those that ship")
    save_every: int = Field(1000, description="steps between checkpoints")
    evaluate_every: int = Field(
        0, description="steps between evaluations of the averaged weights; 0: at the end"
    )
    compile: bool = Field(False, description="pass the network through torch.compile")
    seed: int = Field(0, description="of every random number generator")


def rate_at(config: LoopConfig, progress: float) -> float:
    """The learning rate at ``progress`` in [0, 1]: linear warm-up, then half a cosine."""
    if progress < config.warmup:
        return config.learning_rate * progress / config.warmup
    share = min(1.0, (progress - config.warmup) / (1 - config.warmup))
    low = config.final_rate
    return config.learning_rate * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * share)))


def pick_device(name: str) -> torch.device:
    """The device called ``name`` ("cpu", "cuda", "cuda:1").

    Raises UserError where CUDA is asked for and not there: nothing falls back silently.
    """
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"{name}: this machine's torch sees no GPU; use --device cpu or install a CUDA torch")
    return torch.device(name)


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


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and torch's generators."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - seeds libraries that still use the global generator
    torch.manual_seed(seed)


def _parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    # Norms and biases are not decayed (Loshchilov & Hutter 2019 and practice since).
    matrices = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    vectors = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]


@torch.no_grad()
def _update_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    mine = [t for t in average.state_dict().values() if t.is_floating_point()]
    theirs = [t for t in model.state_dict().values() if t.is_floating_point()]
    torch._foreach_lerp_(mine, theirs, 1 - decay)


def fit(
    model: nn.Module,
    config: LoopConfig,
    batches: Iterator[Any],
    loss: Callable[[nn.Module, Any], Losses],
    out: Path,
    device: torch.device,
    evaluate: Callable[[nn.Module], dict[str, float]] | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> nn.Module:
    """Train ``model`` and return its averaged (EMA) twin, in evaluation mode.

    ``batches`` yields what ``loss`` takes beside the model, on ``device`` already; ``loss`` returns named
    terms, whose sum is minimised (names that start with "_" are only recorded). ``on_progress`` hears before
    each batch how much of the schedule is done, 0 to 1. ``out`` gets ``curve.csv``, ``last.pt`` (resumed from
    when it exists) and ``evaluations.jsonl``.

    Raises FloatingPointError as soon as a recorded loss is not finite.
    """
    out.mkdir(parents=True, exist_ok=True)
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(
        _parameter_groups(model, config.weight_decay), config.learning_rate, betas=(0.9, 0.99), fused=True
    )
    average = deepcopy(model).eval().requires_grad_(False)
    step, elapsed_before = 0, 0.0
    checkpoint = out / "last.pt"
    if checkpoint.is_file():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        step, elapsed_before = state["step"], state["elapsed"]
    running: nn.Module = torch.compile(model) if config.compile else model  # type: ignore[assignment]
    start = time.monotonic()

    def elapsed() -> float:
        return elapsed_before + time.monotonic() - start

    def progress_now() -> float:
        if config.minutes is not None:
            return min(1.0, elapsed() / (60 * config.minutes))
        return min(1.0, step / config.steps)

    def save() -> None:
        state = {
            "model": model.state_dict(),
            "average": average.state_dict(),
            "optimizer": optimizer.state_dict(),
            "step": step,
            "elapsed": elapsed(),
        }
        torch.save(state, out / "last.pt.partial")
        (out / "last.pt.partial").replace(checkpoint)

    def judge() -> None:
        if evaluate is not None:
            line = {"step": step, "minutes": round(elapsed() / 60, 2), **evaluate(average)}
            with (out / "evaluations.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
            print(line, flush=True)

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with (out / "curve.csv").open("a", newline="", encoding="utf-8") as file, Progress(*columns) as bar:
        writer = csv.writer(file)
        task = bar.add_task("train", total=config.steps, completed=step)
        totals: dict[str, Tensor] = {}
        since, clock = 0, time.monotonic()
        while progress_now() < 1.0 and step < config.steps:
            done = progress_now()
            rate = rate_at(config, done)
            if on_progress is not None:
                on_progress(done)
            for group in optimizer.param_groups:
                group["lr"] = rate
            batch = next(batches)
            model.train()
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                terms = loss(running, batch)
            total = torch.stack([v for k, v in terms.items() if not k.startswith("_")]).sum()
            optimizer.zero_grad(set_to_none=True)
            total.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
            optimizer.step()
            # A young average follows fast, so that it is useful long before 1 / (1 - decay) steps.
            _update_average(average, model, min(config.ema_decay, (1 + step) / (10 + step)))
            step += 1
            since += 1
            for name, value in terms.items():
                totals[name] = totals.get(name, torch.zeros((), device=device)) + value.detach().float()
            bar.update(task, completed=step)
            if step % 100 == 0:
                means = {k: float(v) / since for k, v in totals.items()}
                if not all(math.isfinite(v) for v in means.values()):
                    raise FloatingPointError(f"step {step}: loss is not finite: {means}")
                speed = since * config.batch / (time.monotonic() - clock)
                busy = utilization(device)
                if file.tell() == 0:
                    writer.writerow(["step", "minutes", "rate", "pictures_per_s", "gpu_percent", *means])
                minutes = elapsed() / 60
                row = [
                    step,
                    f"{minutes:.2f}",
                    f"{rate:.3g}",
                    f"{speed:.0f}",
                    busy,
                    *(f"{v:.4f}" for v in means.values()),
                ]
                writer.writerow(row)
                file.flush()
                if step % 500 == 0:
                    print(
                        f"step {step} {minutes:.1f} min {speed:.0f}/s gpu {busy}% " + str(means), flush=True
                    )
                totals, since, clock = {}, 0, time.monotonic()
            if step % config.save_every == 0:
                save()
            if config.evaluate_every and step % config.evaluate_every == 0:
                judge()
    save()
    judge()
    return average.eval()
