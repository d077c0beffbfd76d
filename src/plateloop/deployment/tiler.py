"""The newest annotated picture of each stream in one picture: side by side, each with its name below it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from plateloop.deployment.overlay import Colour, draw, font, scaled, text_width
from plateloop.deployment.sinks.worker import Result
from plateloop.geometry import Letterbox
from plateloop.types import Image

Cell = tuple[int, int, int, int]
"""Left, top, width and height in pixels, all even: a picture with the bar of its name below it."""

GROUND: Colour = (18, 20, 24)
BAR: Colour = (34, 38, 46)
INK: Colour = (226, 232, 240)
WARNING: Colour = (255, 190, 60)
# Pixels between neighbours.
GAP = 2
# What is left of the light where a stream brings nothing.
DIMMED = 0.35


class TilerConfig(BaseModel):
    """The picture of all streams side by side, in the tiled MP4 and by RTSP."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(1280, ge=160, le=7680, multiple_of=2, description="pixels, an even number")
    height: int = Field(720, ge=90, le=4320, multiple_of=2, description="pixels, an even number")
    fps: float = Field(12.5, gt=0, le=60, description="pictures a second")
    columns: int | None = Field(
        None, ge=1, le=32, description="streams beside one another; as shows them largest unless given"
    )
    stale_s: float = Field(5.0, gt=0, description="seconds without a picture after which a stream is dimmed")
    linger_s: float = Field(10.0, ge=0, description="seconds for which a stream that has ended is shown")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.width, self.height


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """What a cell shows: a stream's name, its newest picture, and a note on why there is no newer one."""

    name: str
    result: Result | None
    note: str = ""

    def is_like(self, other: Tile | None) -> bool:
        """Whether both look the same."""
        return (
            other is not None
            and self.result is other.result
            and (self.name, self.note) == (other.name, other.note)
        )


class Tiler:
    """Lays tiles on a canvas that it keeps, so that only what has changed is drawn."""

    def __init__(self, config: TilerConfig) -> None:
        self._size = config.size
        self._columns = config.columns
        self._canvas = np.full((config.height, config.width, 3), GROUND, np.uint8)
        self._shown: list[Tile | None] = []
        self._cells: list[Cell] = []

    def lay(self, tiles: Sequence[Tile]) -> Image:
        """The tiles in rows from the top left: (height, width, 3), the same array each time."""
        if len(tiles) != len(self._shown):
            self._canvas[:] = GROUND
            self._shown = [None] * len(tiles)
            self._cells = grid(len(tiles), self._size, self._columns)
        for place, (cell, tile) in enumerate(zip(self._cells, tiles, strict=True)):
            if not tile.is_like(self._shown[place]):
                self._shown[place] = tile
                x, y, width, height = cell
                _fill(self._canvas[y : y + height, x : x + width], tile)
        return self._canvas


def grid(count: int, size: tuple[int, int], columns: int | None = None) -> list[Cell]:
    """Cells for ``count`` pictures of 16:9 in ``size`` (w, h), row by row, without overlap.

    Unless ``columns`` says how many are side by side, as many as make them largest.
    """
    if not count:
        return []
    columns = columns or max(range(1, count + 1), key=lambda number: _scale(count, size, number))
    rows = math.ceil(count / columns)
    xs = [size[0] * place // columns // 2 * 2 for place in range(columns + 1)]
    ys = [size[1] * place // rows // 2 * 2 for place in range(rows + 1)]
    places = [divmod(place, columns) for place in range(count)]
    gaps = [GAP] * (columns - 1) + [0]
    return [(xs[c], ys[r], xs[c + 1] - xs[c] - gaps[c], ys[r + 1] - ys[r]) for r, c in places]


def bar(height: int) -> int:
    """The height of the bar with the name in a cell of ``height`` pixels."""
    return min(28, max(14, height * 7 // 100))


def _scale(count: int, size: tuple[int, int], columns: int) -> float:
    height = size[1] // math.ceil(count / columns)
    return min(size[0] / columns / 16, (height - bar(height)) / 9)


def _fill(cell: Image, tile: Tile) -> None:
    height, width = cell.shape[:2]
    room = height - bar(height)
    if min(width, room) < 2:  # more streams than pixels
        return
    cell[:] = GROUND
    top, h = 0, room
    if tile.result is not None and tile.result.shot is not None:
        frame = tile.result.shot.frame
        w, h = Letterbox((frame.width, frame.height), (width, room)).size
        # Made small before it gets its colours, and drawn upon last, so that texts stay legible.
        picture = frame.letterboxed((w, h))
        draw(picture, [scaled(mark, w / frame.width) for mark in tile.result.marks])
        if tile.note:
            picture = (picture * DIMMED).astype(np.uint8)
        left, top = (width - w) // 2, (room - h) // 2
        cell[top : top + h, left : left + w] = picture
    _caption(cell[top + h :][: height - room], tile)


def _caption(strip: Image, tile: Tile) -> None:
    height, width = strip.shape[:2]
    strip[:] = BAR
    size, pad = round(height * 0.62), height // 3
    base, room = round(height * 0.72), width - 2 * pad
    if tile.note:
        note = _shortened(tile.note, size, room)
        taken = text_width(note, size, 500)
        cv2.putText(strip, note, (width - pad - taken, base), WARNING, font(), size, 500)
        room -= taken + pad
    cv2.putText(strip, _shortened(tile.name, size, room), (pad, base), INK, font(), size, 500)


def _shortened(text: str, size: int, room: int) -> str:
    # The end of a name tells more than its beginning: the camera's number, the file.
    text = "".join(letter if letter.isprintable() else "�" for letter in text[-400:])
    if text_width(text, size, 500) <= room:
        return text
    while text and text_width(f"…{text}", size, 500) > room:
        text = text[1:]
    return f"…{text}" if text else ""
