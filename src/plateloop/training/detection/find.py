"""tcnet run over many letterboxed pictures, as its measures need it: batch by batch, down to low scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import TypeVar

import numpy as np

from plateloop.runtime import tcnet
from plateloop.runtime.card import Card
from plateloop.types import Detections, FloatArray, Image

Run = Callable[[Image], Mapping[str, FloatArray]]
Item = TypeVar("Item")

LOWEST = 0.02
"""Score down to which finds are taken where all thresholds are looked at."""


def batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """``items`` in lists of ``size``, the last one shorter; taken as they are asked for."""
    items = iter(items)
    while chunk := list(islice(items, size)):
        yield chunk


def find_vehicles(
    run: Run, card: Card, pictures: Iterable[tuple[Image, tuple[int, int]]]
) -> list[Detections]:
    """The vehicles in letterboxed ``pictures`` (h, w, 3), down to `LOWEST`, in pixels of the originals.

    Each picture comes with its original's width and height.
    """
    found: list[Detections] = []
    for chunk in batches(pictures, 16):
        outputs = run(np.stack([picture for picture, _ in chunk]))
        found += tcnet.decode(outputs, card, [size for _, size in chunk], LOWEST)
    return found
