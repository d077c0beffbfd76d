"""What is known about a rendered clip: one JSON line a frame."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from plateloop.errors import UserError, one_line
from plateloop.types import Box, Corners


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class VehicleTruth(_Strict):
    """A vehicle in one frame.

    ``id`` stays the same through the clip; ``label`` is tcnet's word for it, ``color`` colornet's. ``box``
    surrounds what the picture would show of it if nothing stood before it, ``visible`` is the share of that
    which it does show. ``corners`` of the plate are absent while the plate is hidden or not wholly in the
    picture; ``text`` and ``region`` are the plate's all the same.
    """

    id: int
    label: str
    color: str
    box: Box
    visible: float
    text: str
    region: str | None = None
    corners: Corners | None = None


class FrameTruth(_Strict):
    """One frame: its number from 0, its time in seconds, and the vehicles in it, far ones first."""

    frame: int
    time_s: float
    vehicles: tuple[VehicleTruth, ...]


def write_truth(path: Path, frames: Iterable[FrameTruth]) -> None:
    """Write ``frames`` to ``path``, a line each."""
    with path.open("w", encoding="utf-8") as out:
        for frame in frames:
            out.write(frame.model_dump_json(exclude_none=True) + "\n")


def read_truth(path: Path) -> list[FrameTruth]:
    """The frames of a truth file.

    Raises UserError where the file is missing or a line is no frame's truth.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such truth file; `plateloop demo` writes one beside its clip")
    lines = path.read_text(encoding="utf-8").splitlines()
    try:
        return [FrameTruth.model_validate_json(line) for line in lines if line.strip()]
    except ValidationError as error:
        raise UserError(f"{path}: not a truth file: {one_line(error)}") from None
