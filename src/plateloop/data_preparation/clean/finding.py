"""What cleaning finds: kinds of faults, and a fault in a record."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot
from typing import Literal

from plateloop.data_preparation.manifest import Plate, Record
from plateloop.types import Box

Cure = Literal["mend", "remove", "look"]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault: what it means, and whether `--fix` mends it, leaves the picture out, or a person must
    look. ``quarantine`` kinds go there unless told otherwise."""

    title: str
    cure: Cure = "look"
    quarantine: bool = False


KINDS: dict[str, Kind] = {
    "malformed": Kind("lines of the manifest that are no record", "remove"),
    "missing": Kind("records without a picture", "remove"),
    "unreadable": Kind("pictures that cannot be decoded", "remove", True),
    "truncated": Kind("pictures that are cut off", "remove", True),
    "damaged": Kind("JPEGs that are damaged inside", quarantine=True),
    "size": Kind("pictures of another size than the manifest says", quarantine=True),
    "duplicate": Kind("the same file and labels again", "remove", True),
    "relabelled": Kind("the same file again, with other labels", quarantine=True),
    "leak": Kind("nearly the same picture in another split", quarantine=True),
    "near-duplicate": Kind("nearly the same picture in the same split"),
    "box-outside": Kind("boxes that reach out of the picture", "mend"),
    "box-degenerate": Kind("boxes without an area inside the picture", "mend"),
    "corners-order": Kind("corners not clockwise from the plate's own top left", "mend"),
    "corners-shape": Kind("corners that are no convex shape, or elsewhere than their box"),
    "plate-upright": Kind("plates higher than wide, as where width and height were swapped"),
    "plate-outside": Kind("plates outside of the vehicle that they are said to be on", "mend"),
    "plate-small": Kind("plates with text, but too small to read"),
    "text-characters": Kind("texts with other characters than A-Z and 0-9", "mend"),
    "text-grammar": Kind("texts that the region does not issue, as far as its styles tell"),
    "text-zero": Kind("lprnet reads the same but for O and 0"),
    "text-disagreement": Kind("lprnet is sure of another text"),
    "plate-missing": Kind("lpdnet is sure of a plate that is not labelled"),
    "plate-stray": Kind("labelled plates of which lpdnet sees nothing"),
    "plate-loose": Kind("plates whose box lpdnet draws elsewhere"),
    "vehicle-missing": Kind("tcnet is sure of a vehicle that is not labelled"),
    "vehicle-stray": Kind("labelled vehicles of which tcnet sees nothing"),
    "vehicle-loose": Kind("vehicles whose box tcnet draws elsewhere"),
    "vehicle-class": Kind("tcnet is sure of another class, clearly more than of the label's"),
}
"""All kinds, in the order of the report."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault in the record of ``file``.

    ``reason`` says in a line what is amiss; ``place`` is where in the picture, in pixels; ``seen`` what a
    network sees there; ``other`` a file that the picture is like. A kind's are shown by falling ``rank``.
    """

    kind: str
    file: str
    reason: str
    rank: float = 0.0
    place: Box | None = None
    seen: Box | None = None
    other: str | None = None


def is_crop(record: Record) -> bool:
    """Whether the picture is wholly one plate or vehicle."""
    return any(covers(box, record) for box in boxes_of(record))


def boxes_of(record: Record) -> list[Box]:
    """The boxes of a record's vehicles and plates."""
    return [*(vehicle.box for vehicle in record.vehicles), *(plate.box for plate in record.plates)]


def covers(box: Box, record: Record) -> bool:
    """Whether the box is the whole picture, but for less than a hundredth of it."""
    return (box[2] - box[0]) * (box[3] - box[1]) > 0.99 * record.width * record.height


def own_height(plate: Plate) -> float:
    """A plate's height in pixels along its own sides, by the corners where it has them."""
    if plate.corners is None:
        return plate.box[3] - plate.box[1]
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = plate.corners
    return (hypot(dx - ax, dy - ay) + hypot(cx - bx, cy - by)) / 2
