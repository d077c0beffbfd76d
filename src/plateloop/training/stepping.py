"""One optimizer step, launched kernel by kernel or, on a GPU, replayed as one CUDA graph.

A small network's step is hundreds of short kernels: launching them from Python takes longer than they run. A
graph launches all at once. It reads its batch from memory that stays where it is, so each batch is copied
there; batches of another shape get a graph of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from plateloop.training.batch_tensors import mapped, tensors_of

Losses = dict[str, Tensor]
Loss = Callable[[nn.Module, Any], Losses]
Shapes = tuple[torch.Size, ...]

EAGER_FIRST = 3
"""Steps before a graph is recorded: libraries choose their kernels, the optimizer makes its state."""


@dataclass(frozen=True, slots=True)
class _Recorded:
    graph: torch.cuda.CUDAGraph
    batch: Any
    terms: Losses


class Stepper:
    """Forward, ``loss``, backward, clipping to ``clip_norm`` and ``optimizer`` in one call.

    ``loss`` returns named terms, whose sum is minimised (names that start with "_" are only recorded). With
    ``graphs`` neither ``loss`` nor the network may wait for the GPU, and the optimizer's rate is a tensor;
    the caller must be on a stream other than the default one. ``pause`` is held while a graph is recorded:
    nobody else may use the GPU's random numbers then.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        optimizer: torch.optim.Optimizer,
        device: torch.device,
        clip_norm: float,
        graphs: bool = False,
        pause: AbstractContextManager[Any] | None = None,
    ) -> None:
        self._model, self._loss, self._optimizer, self._device = model, loss, optimizer, device
        self._clip_norm = clip_norm
        self._graphs = graphs and device.type == "cuda"
        self._pause: AbstractContextManager[Any] = pause or nullcontext()
        self._parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self._recorded: dict[Shapes, _Recorded] = {}
        self._memory: Any = None
        self._done = 0

    def __call__(self, batch: Any) -> Losses:
        """One step on ``batch``; returns the terms, which the next call may overwrite."""
        self._done += 1
        if not self._graphs or self._done <= EAGER_FIRST:
            return self._step(batch)
        shapes = tuple(tensor.shape for tensor in tensors_of(batch))
        if shapes not in self._recorded:
            self._recorded[shapes] = self._record(batch)
        recorded = self._recorded[shapes]
        for mine, theirs in zip(tensors_of(recorded.batch), tensors_of(batch), strict=True):
            mine.copy_(theirs)
        recorded.graph.replay()
        return recorded.terms

    def _step(self, batch: Any) -> Losses:
        # A graph adds to gradients whose memory all graphs share.
        self._optimizer.zero_grad(set_to_none=not self._graphs)
        on_gpu = self._device.type == "cuda"
        with torch.autocast(self._device.type, torch.bfloat16, enabled=on_gpu, cache_enabled=False):
            terms = self._loss(self._model, batch)
        total = torch.stack([v for k, v in terms.items() if not k.startswith("_")]).sum()
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._parameters, self._clip_norm)
        self._optimizer.step()
        return {name: value.detach() for name, value in terms.items()}

    def _record(self, batch: Any) -> _Recorded:
        """Recording runs nothing: the replay that follows is the step."""
        with self._pause:
            kept = mapped(batch, Tensor.clone)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(
                graph,
                pool=self._memory,
                stream=torch.cuda.current_stream(self._device),
                capture_error_mode="thread_local",
            ):
                terms = self._step(kept)
            self._memory = self._memory or graph.pool()
        return _Recorded(graph, kept, terms)


def make_optimizer(
    model: nn.Module, rate: float, weight_decay: float, device: torch.device, graphs: bool = False
) -> torch.optim.AdamW:
    """AdamW whose rate is a tensor on ``device``, to be set by ``set_rate``."""
    # Norms and biases are not decayed (Loshchilov & Hutter 2019 and practice since).
    matrices = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    vectors = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(
        groups,
        torch.tensor(rate, device=device),
        betas=(0.9, 0.99),
        fused=True,
        capturable=graphs and device.type == "cuda",
    )


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all groups, without a new tensor: graphs know the old one."""
    for group in optimizer.param_groups:
        group["lr"].fill_(rate)


def restore(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load a checkpoint's ``state`` into ``optimizer``, which keeps its own rate tensor and kind."""
    own = [{key: group[key] for key in ("lr", "capturable")} for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, kept in zip(optimizer.param_groups, own, strict=True):
        group.update(kept)
