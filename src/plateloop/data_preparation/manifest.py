"""The manifest: a dataset is a folder with a ``manifest.jsonl``, one record an image."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from plateloop.errors import UserError, one_line
from plateloop.files import atomic
from plateloop.types import Box, Corners

NAME = "manifest.jsonl"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Vehicle(_Strict):
    """A vehicle: box in pixels, class, colour; ``annotation`` says who made the label ("annotated" by people,
    "auto" by a network), ``score`` how sure a network was. ``attributes`` keeps what a foreign format says
    beyond this, so that it can be written again."""

    box: Box
    label: str
    color: str | None = None
    annotation: str | None = None
    score: float | None = None
    attributes: dict[str, str] = {}


class Plate(_Strict):
    """A plate: box in pixels, corners clockwise from its own top left, text A-Z 0-9 without separators,
    ``annotation`` says who read it, ``vehicle`` is an index into the record's vehicles, ``attributes`` as a
    vehicle's ("raw_text" is the text as its source writes it, "label" the source's word for a plate)."""

    box: Box
    corners: Corners | None = None
    text: str | None = None
    region: str | None = None
    vehicle: int | None = None
    annotation: str | None = None
    attributes: dict[str, str] = {}


class Record(_Strict):
    """One image and all that is known about it. ``file`` is relative to the manifest's folder.

    Where ``vehicles_annotated`` (or ``plates_annotated``) is false, the image says nothing about what it does
    not list; what lies in an ``ignore`` list counts neither as object nor as background. A picture that is
    wholly one plate or one vehicle (a crop) carries it as a box over the whole picture. ``texts`` are plate
    texts that appear somewhere in the picture, their places unknown. ``sequence`` groups pictures of one
    object or video, ``tags`` are free words (such as "night"), ``attributes`` as a vehicle's.
    """

    file: str
    width: int
    height: int
    source: str = ""
    license: str = ""
    region: str | None = None
    split: Literal["train", "val", "test"] | None = None
    vehicles: tuple[Vehicle, ...] = ()
    plates: tuple[Plate, ...] = ()
    ignore_vehicles: tuple[Box, ...] = ()
    ignore_plates: tuple[Box, ...] = ()
    vehicles_annotated: bool = True
    plates_annotated: bool = True
    texts: tuple[str, ...] = ()
    sequence: str | None = None
    tags: tuple[str, ...] = ()
    attributes: dict[str, str] = {}


def manifest_of(folder: Path) -> Path:
    """The path of ``folder``'s manifest. Raises UserError where there is none."""
    path = folder / NAME
    if not path.is_file():
        raise UserError(f"{folder}: no {NAME} there; make one with `plateloop data convert`")
    return path


def read_manifest(folder: Path, skip: Callable[[str, str], None] | None = None) -> Iterator[Record]:
    """The records of ``folder``'s manifest, one at a time.

    A line that is no record is told to ``skip`` (its place, the reason) and passed over; without ``skip`` it
    raises UserError. Raises UserError where there is no manifest.
    """
    path = manifest_of(folder)
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    record = Record.model_validate_json(line)
                except ValidationError as error:
                    if skip is None:
                        raise UserError(f"{path}:{number}: {one_line(error)}") from None
                    skip(f"{NAME}:{number}", one_line(error))
                else:
                    yield record


def dump(record: Record) -> str:
    """``record`` as a manifest's line, without its end."""
    data = record.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    return json.dumps(data, ensure_ascii=False)


def write_manifest(folder: Path, records: Iterable[Record]) -> int:
    """Write ``records`` as ``folder``'s manifest, whole or not at all; returns how many there were."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    with atomic(folder / NAME) as path, path.open("w", encoding="utf-8") as out:
        for record in records:
            out.write(dump(record) + "\n")
            count += 1
    return count
