"""Sheets of pictures with captions, to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from plateloop.types import Image

_LINE = 13


def captioned(
    pictures: Sequence[Image] | Image, captions: Sequence[str], path: Path, columns: int = 8
) -> None:
    """Save ``pictures`` (equal size, RGB uint8) in rows of ``columns``, each above its caption's lines."""
    if not len(pictures):
        return
    height, width = pictures[0].shape[:2]
    lines = max(caption.count("\n") + 1 for caption in captions)
    cell = height + lines * _LINE + 6
    rows = -(-len(pictures) // columns)
    sheet = np.full((rows * cell, columns * (width + 4), 3), 255, np.uint8)
    for index, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        y, x = index // columns * cell, index % columns * (width + 4)
        sheet[y : y + height, x : x + width] = picture
        for number, line in enumerate(caption.split("\n")):
            place = (x + 2, y + height + (number + 1) * _LINE)
            cv2.putText(sheet, line, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
