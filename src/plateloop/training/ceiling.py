"""Ceiling analysis: what the cascade would read if one network after the other made no mistake.

Each stage is given perfect input in turn and the end result measured again, so that one sees where work pays
(Ng, "Machine Learning Yearning", chapters 53 to 57).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from plateloop.data_preparation.manifest import Record, read_manifest
from plateloop.errors import UserError
from plateloop.frame import Frame, read_image
from plateloop.geometry import box_array, boxes_to_corners, iou
from plateloop.runtime.cascade import Cascade
from plateloop.types import Detections, FloatArray, Plates

VARIANTS = (
    "as it is",
    "perfect tcnet",
    "perfect lpdnet",
    "perfect lprnet",
    "perfect tcnet and lprnet",
)
SAME = 0.3
"""IoU from which a found plate is the true one; the end-to-end test asks for the same."""


class CeilingGroup(BaseModel):
    """Plates with one kind of truth: how many there are, and of these read right under each variant."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    group: str = Field(description='"all", or who read the truth')
    plates: int
    right: dict[str, int] = Field(description="variant → plates read exactly")


def select(folder: Path, split: str | None) -> list[Record]:
    """The records of the dataset ``folder`` in ``split`` with a plate whose place and text are known.

    Raises UserError where there is none.
    """
    records = [r for r in read_manifest(folder) if split is None or r.split == split]
    chosen = [r for r in records if any(plate.text for plate in r.plates)]
    if not chosen:
        raise UserError(f"{folder}: no plate with box and text in split {split}; the ceiling needs both")
    return chosen


def ceiling(
    cascade: Cascade,
    folder: Path,
    records: Sequence[Record],
    advance: Callable[[int], None] = lambda count: None,
) -> list[CeilingGroup]:
    """Read the pictures of ``records`` in ``folder`` under each of `VARIANTS`; the group "all" comes first.

    A perfect tcnet finds the truth's vehicles and no other; a perfect lpdnet the true plates, by corners
    where the truth has them and by box elsewhere (which makes tcnet irrelevant); a perfect lprnet reads every
    plate that was found. All three together read everything. ``advance`` is told of each picture done.
    """
    hits, groups = [], []
    for record in records:
        frame = read_image(folder / record.file)
        hits.append(_hits(cascade, frame, record))
        groups += [plate.annotation or "annotated" for plate in record.plates if plate.text]
        advance(1)
    table, names = np.concatenate(hits), np.array(groups)
    rows = {"all": np.ones(len(names), bool)} | {name: names == name for name in sorted(set(groups))}
    return [
        CeilingGroup(
            group=name,
            plates=int(mask.sum()),
            right=dict(zip(VARIANTS, table[mask].sum(0).tolist(), strict=True)),
        )
        for name, mask in rows.items()
    ]


def _hits(cascade: Cascade, frame: Frame, record: Record) -> NDArray[np.bool_]:
    """Whether each plate with text is read right under each variant: (plates, variants)."""
    known = [plate for plate in record.plates if plate.text]
    texts = [plate.text or "" for plate in known]
    boxes = np.array([plate.box for plate in known], np.float32)
    vehicles = _certain(box_array([v.box for v in record.vehicles]))
    corners = boxes_to_corners(boxes)
    for row, plate in enumerate(known):
        if plate.corners is not None:
            corners[row] = plate.corners
    (seen,) = cascade.find_plates([frame], cascade.detect_vehicles([frame]))
    (seen_in_true,) = cascade.find_plates([frame], [vehicles])
    (read,) = cascade.read_plates([frame], [_certain(boxes, corners)])
    base, found = _read_right(cascade, frame, seen, boxes, texts)
    with_vehicles, found_with_vehicles = _read_right(cascade, frame, seen_in_true, boxes, texts)
    with_plates = [reading.text == text for reading, text in zip(read, texts, strict=True)]
    return np.array([base, with_vehicles, with_plates, found, found_with_vehicles], bool).T


def _certain(boxes: FloatArray, corners: FloatArray | None = None) -> Detections:
    return Detections(boxes, np.ones(len(boxes), np.float32), np.zeros(len(boxes), np.int64), corners)


def _read_right(
    cascade: Cascade, frame: Frame, plates: Plates, boxes: FloatArray, texts: Sequence[str]
) -> tuple[list[bool], list[bool]]:
    """For each true plate, whether it is among ``plates`` and read exactly, and whether it is among them."""
    if not len(plates):
        return [False] * len(texts), [False] * len(texts)
    (readings,) = cascade.read_plates([frame], [plates.detections])
    overlap = iou(boxes, plates.detections.boxes)
    found = overlap.max(1) >= SAME
    right = [
        bool(ok) and readings[int(index)].text == text
        for ok, index, text in zip(found, overlap.argmax(1), texts, strict=True)
    ]
    return right, found.tolist()


def chart(groups: Sequence[CeilingGroup], path: Path) -> None:
    """Draw the shares read right under each variant as bars, a colour a group, into the PNG ``path``.

    Raises UserError where matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError("the chart needs matplotlib: pip install 'plateloop[train]'") from None
    figure = Figure(figsize=(7, 0.6 + 0.35 * len(groups) * len(VARIANTS)), layout="constrained")
    axes = figure.add_subplot()
    height = 0.8 / len(groups)
    for offset, group in enumerate(groups):
        places = np.arange(len(VARIANTS)) + offset * height
        shares = [100 * group.right[name] / group.plates for name in VARIANTS]
        bars = axes.barh(places, shares, height * 0.92, label=f"{group.group} ({group.plates})")
        axes.bar_label(bars, fmt="%.1f", padding=3, fontsize=8)
    axes.set_yticks(np.arange(len(VARIANTS)) + 0.4 - height / 2, VARIANTS)
    axes.invert_yaxis()
    axes.set(xlim=(0, 108), xlabel="plates read exactly, %")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.4, -0.12), ncols=3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
