"""Checkpoints of runs (``last.pt``), read from disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from plateloop.errors import UserError


def read_checkpoint(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """What a run saved, its tensors on ``device``. Raises UserError where ``path`` is no checkpoint."""
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint")
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except Exception:  # torch says in a dozen ways that a file is none of its own
        raise UserError(f"{path}: not a checkpoint of a training run (last.pt), or damaged") from None
    if not isinstance(state, dict) or "average" not in state:
        raise UserError(f"{path}: not a checkpoint of a training run (last.pt)")
    return state
