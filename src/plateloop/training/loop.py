"""The training loop that all networks share: mixed precision, EMA, cosine schedule, resumable, seeded."""

from __future__ import annotations

import json
import math
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from torch import Tensor, nn

from plateloop.errors import UserError
from plateloop.files import atomic
from plateloop.training.curve import Curve
from plateloop.training.prefetch import Prefetch
from plateloop.training.saved import read_checkpoint
from plateloop.training.stepping import Loss, Losses, Stepper, make_optimizer, restore, set_rate

__all__ = ["LoopConfig", "Losses", "fit", "pick_device", "rate_at", "seed_everything"]


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
    save_seconds: float = Field(60.0, description="seconds between checkpoints")
    evaluate_every: int = Field(
        0, description="steps between evaluations of the averaged weights; 0: at the end"
    )
    compile: bool = Field(False, description="pass the network through torch.compile")
    cuda_graph: bool = Field(False, description="replay each step as one CUDA graph (GPU only)")
    prefetch: int = Field(0, description="batches made ahead in a thread with its own stream; 0: none")
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

    Raises UserError for another name, and where CUDA is asked for and not there: nothing falls back silently.
    """
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise UserError(f"device {name}: unknown; training runs on cpu, cuda or cuda:N")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"{name}: this machine's torch sees no GPU; use --device cpu or install a CUDA torch")
    return torch.device(name)


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and torch's generators."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - seeds libraries that still use the global generator
    torch.manual_seed(seed)


def _floats(module: nn.Module) -> list[Tensor]:
    return [tensor for tensor in module.state_dict().values() if tensor.is_floating_point()]


def _resume(
    checkpoint: Path,
    model: nn.Module,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
    meaning: Sequence[str],
    device: torch.device,
) -> tuple[int, float]:
    """Go on from ``checkpoint``: its step and the seconds that it took.

    Raises UserError where its outputs mean something else, or its weights do not fit.
    """
    state = read_checkpoint(checkpoint, device)
    advice = "data or configuration changed since: give another --out, and --start-from for the weights"
    if list(state.get("meaning", meaning)) != list(meaning):
        lost, new = set(state["meaning"]) - set(meaning), set(meaning) - set(state["meaning"])
        change = f"lost {sorted(lost)}, new {sorted(new)}" if lost or new else "in another order"
        raise UserError(f"{checkpoint}: trained for other outputs ({change}); {advice}")
    own, saved = model.state_dict(), state["model"]
    for name in sorted(own.keys() | saved.keys()):
        if name not in own or name not in saved or own[name].shape != saved[name].shape:
            raise UserError(f"{checkpoint}: {name} does not fit this network; {advice}")
    model.load_state_dict(saved)
    average.load_state_dict(state["average"])
    restore(optimizer, state["optimizer"])
    return state["step"], state["elapsed"]


def fit(
    model: nn.Module,
    config: LoopConfig,
    batches: Iterator[Any],
    loss: Loss,
    out: Path,
    device: torch.device,
    evaluate: Callable[[nn.Module], dict[str, float]] | None = None,
    on_progress: Callable[[float], None] | None = None,
    meaning: Sequence[str] = (),
) -> nn.Module:
    """Train ``model`` and return its averaged (EMA) twin, in evaluation mode.

    ``batches`` yields what ``loss`` takes beside the model, on ``device`` already; ``loss`` returns named
    terms, whose sum is minimised (names that start with "_" are only recorded). ``on_progress`` hears before
    each batch how much of the schedule is done, 0 to 1. ``meaning`` names the outputs, in order. ``out`` gets
    ``curve.csv``, ``last.pt`` (resumed from when it exists), ``average.pt`` (the averaged weights alone) and
    ``evaluations.jsonl``.

    Raises FloatingPointError as soon as a recorded loss is not finite, UserError where ``last.pt`` does not
    fit.
    """
    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        if device.type == "cuda":
            # Graphs cannot be recorded on the default stream.
            torch.cuda.synchronize(device)
            stack.callback(torch.cuda.synchronize, device)
            stack.enter_context(torch.cuda.device(device))
            stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
            stack.enter_context(torch.cuda.stream(stream))
        return _fit(model, config, batches, loss, out, device, evaluate, on_progress, meaning, stack)


def _fit(
    model: nn.Module,
    config: LoopConfig,
    batches: Iterator[Any],
    loss: Loss,
    out: Path,
    device: torch.device,
    evaluate: Callable[[nn.Module], dict[str, float]] | None,
    on_progress: Callable[[float], None] | None,
    meaning: Sequence[str],
    stack: ExitStack,
) -> nn.Module:
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = make_optimizer(model, config.learning_rate, config.weight_decay, device, config.cuda_graph)
    average = deepcopy(model).eval().requires_grad_(False)
    step, elapsed_before = 0, 0.0
    checkpoint = out / "last.pt"
    if checkpoint.is_file():
        step, elapsed_before = _resume(checkpoint, model, average, optimizer, meaning, device)
        print(f"goes on from step {step}, {elapsed_before / 60:.1f} min", flush=True)
    running: nn.Module = torch.compile(model) if config.compile else model  # type: ignore[assignment]
    pause = None
    if config.prefetch:
        batches = ahead = stack.enter_context(Prefetch(batches, device, config.prefetch))
        pause = ahead.pause
    stepper = Stepper(running, loss, optimizer, device, config.clip_norm, config.cuda_graph, pause)
    averaged, trained = _floats(average), _floats(model)
    start = time.monotonic()

    def elapsed() -> float:
        return elapsed_before + time.monotonic() - start

    def progress_now() -> float:
        if config.minutes is not None:
            return min(1.0, elapsed() / (60 * config.minutes))
        return min(1.0, step / config.steps)

    def save() -> None:
        shared = {
            "step": step,
            "elapsed": elapsed(),
            "meaning": list(meaning),
            "average": average.state_dict(),
        }
        for name, more in (
            ("average.pt", {}),
            ("last.pt", {"model": model.state_dict(), "optimizer": optimizer.state_dict()}),
        ):
            with atomic(out / name) as path:
                torch.save(shared | more, path)

    def judge() -> None:
        if evaluate is not None:
            line = {"step": step, "minutes": round(elapsed() / 60, 2), **evaluate(average)}
            with (out / "evaluations.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
            print(line, flush=True)

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with (out / "curve.csv").open("a", newline="", encoding="utf-8") as file, Progress(*columns) as bar:
        curve = Curve(file, config.batch, device)
        task = bar.add_task("train", total=config.steps, completed=step)
        saved = time.monotonic()
        while progress_now() < 1.0 and step < config.steps:
            done = progress_now()
            rate = rate_at(config, done)
            if on_progress is not None:
                on_progress(done)
            set_rate(optimizer, rate)
            batch = next(batches)
            model.train()
            curve.add(stepper(batch))
            # A young average follows fast, so that it is useful long before 1 / (1 - decay) steps.
            decay = min(config.ema_decay, (1 + step) / (10 + step))
            torch._foreach_lerp_(averaged, trained, 1 - decay)
            step += 1
            bar.update(task, completed=step)
            if step % 100 == 0:
                curve.write(step, elapsed() / 60, rate)
            if time.monotonic() - saved > config.save_seconds:
                save()
                saved = time.monotonic()
            if config.evaluate_every and step % config.evaluate_every == 0:
                judge()
    save()
    judge()
    return average.eval()
