"""tcnet run over many letterboxed pictures, as its measures need it: batch by batch, down to low scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from plateloop.data_preparation.manifest import Record
from plateloop.frame import read_image
from plateloop.runtime import tcnet
from plateloop.runtime.card import Card
from plateloop.runtime.session import Session
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


def find_in_files(session: Session, folder: Path, records: Sequence[Record]) -> list[Detections]:
    """The vehicles in the pictures of ``records`` in ``folder``, likewise."""
    size = (session.card.input.width, session.card.input.height)
    pictures = (
        (read_image(folder / record.file).letterboxed(size), (record.width, record.height))
        for record in records
    )
    return find_vehicles(session, session.card, pictures)
