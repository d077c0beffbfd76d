"""How cards come to be: planned before training, exported with the weights after."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import nn

from plateloop.runtime.card import Card, Training, file_sha256, save_card
from plateloop.training.export import export_onnx


def plan(sources: dict[str, str], samples: int, recipe: dict[str, Any], weights: Path | None) -> Training:
    """What a card says of a training that is still to be: ``weights`` is what it starts from, and its date
    and minutes come with the export."""
    return Training(
        sources=sources,
        samples=samples,
        recipe=recipe,
        started_from=file_sha256(weights) if weights is not None else None,
        seed=recipe["loop"]["seed"],
        date="",
        hardware=torch.cuda.get_device_name() if torch.cuda.is_available() else f"{os.cpu_count()} CPU cores",
        minutes=0.0,
    )


def export_with_card(network: nn.Module, draft: Card, out: Path) -> tuple[Card, Path]:
    """Write ``network`` and its card, which has no metrics yet, into ``out``; returns the card and its path.

    The minutes are those of all checkpoints (``last.pt``) in ``out``.
    """
    example = torch.rand(2, 3, draft.input.height, draft.input.width)
    sha256 = export_onnx(network, example, draft.outputs, out / draft.onnx)
    minutes = sum(
        torch.load(path, map_location="cpu", weights_only=True)["elapsed"] / 60
        for path in out.rglob("last.pt")
    )
    training = draft.training.model_copy(
        update={"date": datetime.now(UTC).date().isoformat(), "minutes": round(minutes, 1)}
    )
    card = draft.model_copy(update={"sha256": sha256, "training": training})
    path = (out / draft.onnx).with_suffix(".yaml")
    save_card(card, path)
    return card, path
