"""Losses of the plate reader: CTC over both rows, and places of characters where they are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from plateloop.networks.lprnet import ALPHABET, COLUMNS, ROWS, WIDTH

MAX_LENGTH = 12
IGNORED = -100
_NEVER = -1e30  # the logarithm of nothing, finite so that its differences are numbers
_CLASS = {character: index + 1 for index, character in enumerate(ALPHABET)}
_ZERO, _OH = _CLASS["0"], _CLASS["O"]
_STRIDE = WIDTH / COLUMNS


def encode(texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Classes (N, 12), padded with 0, and lengths (N,) of ``texts`` of at most 12 characters, int64."""
    classes = torch.zeros(len(texts), MAX_LENGTH, dtype=torch.int64)
    for row, text in zip(classes, texts, strict=True):
        row[: len(text)] = torch.tensor([_CLASS[character] for character in text], dtype=torch.int64)
    return classes, torch.tensor([len(text) for text in texts], dtype=torch.int64)


def ctc_loss(logits: Tensor, classes: Tensor, lengths: Tensor, alike: Tensor) -> Tensor:
    """Connectionist temporal classification (Graves et al. 2006), negative log-likelihood a character: (N,).

    ``logits`` (N, 80, 37) in any precision, ``classes`` (N, 12), ``lengths`` (N,) ≥ 1. Where ``alike`` (N,)
    is true, the label does not tell O from 0, and either is taken for right.
    """
    log = logits.float().log_softmax(-1)
    either = torch.logaddexp(log[..., _ZERO], log[..., _OH])
    merged = log.clone()
    merged[..., _ZERO] = torch.where(alike[:, None], either, log[..., _ZERO])
    merged[..., _OH] = torch.where(alike[:, None], either, log[..., _OH])
    loss: Tensor = _Ctc.apply(merged, classes, lengths)  # type: ignore[no-untyped-call]
    return loss / lengths


class _Ctc(torch.autograd.Function):
    """Negative log-likelihood (N,) of label sequences under log-probabilities (N, T, C).

    torch's own waits for the GPU to learn the lengths, and so cannot be part of a CUDA graph. Here the
    forward and the backward variables run through the same loop, and the gradient is what they give: minus
    the probability that a step shows a class, given the labels (Graves et al. 2006, equations 6 to 16).
    """

    @staticmethod
    def forward(ctx: Any, log: Tensor, classes: Tensor, lengths: Tensor) -> Tensor:
        n, steps, _ = log.shape
        states = 2 * classes.shape[1] + 1
        labels = classes.new_zeros(n, states)
        labels[:, 1::2] = classes
        number = torch.arange(states, device=log.device)
        length = 2 * lengths[:, None] + 1
        there = number < length
        # Read backwards, the labels are those of the same places counted from the last.
        back = (length - 1 - number).clamp(min=0)
        both = torch.stack([labels, labels.gather(1, back)])
        emit = torch.stack([log, log.flip(1)]).gather(3, both[:, :, None].expand(2, n, steps, states))
        emit = torch.where(there[:, None], emit, _NEVER)
        # A character may follow the one before at once, unless they are the same.
        skip = torch.full_like(both, _NEVER, dtype=log.dtype)
        skip[..., 3::2] = torch.where(both[..., 3::2] == both[..., 1:-2:2], _NEVER, 0.0)

        paths = log.new_full((steps, 2, n, states + 2), _NEVER)
        paths[0, ..., 2:4] = emit[:, :, 0, :2]
        for step in range(1, steps):
            last = paths[step - 1]
            near = torch.logaddexp(last[..., 2:], last[..., 1:-1])
            far = last[..., :-2] + skip
            torch.add(torch.logaddexp(near, far), emit[:, :, step], out=paths[step, ..., 2:])
        ends = paths[-1, 0, :, 2:].gather(1, torch.cat([length - 1, length - 2], 1))
        likelihood = ends.logsumexp(1)

        backward = paths[:, 1, :, 2:].flip(0).gather(2, back.expand(steps, n, states))
        passed = paths[:, 0, :, 2:] + backward - emit[0].transpose(0, 1) - likelihood[:, None]
        shown = torch.where(there, passed.exp(), 0).transpose(0, 1)
        gradient = torch.zeros_like(log)
        gradient.scatter_add_(2, labels[:, None].expand(n, steps, states), -shown)
        ctx.save_for_backward(gradient)
        return -likelihood

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * grads[0][:, None, None], None, None


def step_targets(centers: Tensor, widths: Tensor, rows: Tensor, classes: Tensor) -> Tensor:
    """The class that each step should show, (N, 80) int64; ``IGNORED`` where it is free.

    ``centers`` and ``widths`` (N, 12) are the characters' horizontal places in the network's input, pixels;
    ``rows`` (N, 12) 0 or 1; ``classes`` (N, 12), 0 where there is no character. A step shows a character when
    its middle lies within the inner 60 % of it (the nearest step always does), blank when it lies clear of
    all characters of its row; between the two it is left to CTC.
    """
    middles = (torch.arange(COLUMNS, device=centers.device) + 0.5) * _STRIDE
    result = torch.empty(len(centers), ROWS, COLUMNS, dtype=torch.int64, device=centers.device)
    reach = widths.clamp(min=_STRIDE)[..., None]
    for row in range(ROWS):
        there = ((rows == row) & (classes > 0))[..., None]
        # Distance in units of the character's width; the nearest character owns the step.
        distance = ((middles - centers[..., None]).abs() / reach).masked_fill(~there, torch.inf)
        nearest, owner = distance.min(1)
        inner = 0.3 * torch.ones_like(nearest)
        # A narrow character's nearest step may lie outside its inner part.
        inner = torch.maximum(inner, (0.5 * _STRIDE / reach).squeeze(-1).gather(1, owner))
        shown = classes.gather(1, owner)
        free = torch.full_like(shown, IGNORED)
        blank = torch.zeros_like(shown)
        result[:, row] = torch.where(nearest <= inner, shown, torch.where(nearest > 0.6, blank, free))
    return result.flatten(1)


def step_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of the steps whose class is known, a scalar. Blank and characters weigh the same in sum.

    ``logits`` (N, 80, 37), ``targets`` (N, 80) from ``step_targets``.
    """
    loss = F.cross_entropy(
        logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none"
    )
    known = targets.flatten()
    total = loss.new_zeros(())
    for chosen in (known > 0, known == 0):
        total = total + (loss * chosen).sum() / chosen.sum().clamp(min=1)
    return total / 2
