"""Losses of the plate reader: CTC over both rows, and places of characters where they are known."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from plateloop.networks.lprnet import ALPHABET, COLUMNS, ROWS, STEPS, WIDTH

MAX_LENGTH = 12
IGNORED = -100
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
    steps = torch.full((len(log),), STEPS, dtype=torch.int64, device=log.device)
    with torch.autocast(log.device.type, enabled=False):
        loss = F.ctc_loss(
            merged.transpose(0, 1), classes, steps, lengths, blank=0, reduction="none", zero_infinity=True
        )
    return loss / lengths


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
