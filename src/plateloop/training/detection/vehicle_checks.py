"""Measures of tcnet that need no vehicle drawn: what it sees where none is, and whose plates it misses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from plateloop.data_preparation.manifest import Record
from plateloop.frame import Frame, read_image
from plateloop.geometry import coverage
from plateloop.runtime import tcnet
from plateloop.runtime.session import Session
from plateloop.training.detection.data import scenes
from plateloop.training.detection.empty_windows import EmptyConfig, empty_windows
from plateloop.types import Detections, FloatArray

BATCH = 16
LOW = 0.3
"""A score below any threshold in use, at which both measures are stated as well."""
INSIDE = 0.8
"""Share of a plate's box in a vehicle's from which it lies inside."""


def _found(session: Session, frames: Sequence[Frame]) -> list[Detections]:
    size = (session.card.input.width, session.card.input.height)
    outputs = session(np.stack([frame.letterboxed(size) for frame in frames]))
    return tcnet.decode(outputs, session.card, [(frame.width, frame.height) for frame in frames], LOW)


def empty_report(
    session: Session, folder: Path, records: Sequence[Record], seed: int = 0
) -> dict[str, float]:
    """Of random parts of ``records`` that show no vehicle, enlarged: the share in which one is found.

    "found" is at the card's threshold, "found_low" at a score of `LOW`.
    """
    size = (session.card.input.width, session.card.input.height)
    objects = scenes(records, "vehicles", session.card.labels)
    windows = empty_windows(np.random.default_rng(seed), objects, size, EmptyConfig())
    best: list[float] = []
    for start in range(0, len(windows), BATCH):
        parts = []
        for row in range(start, min(start + BATCH, len(windows))):
            x1, y1, x2, y2 = windows.boxes[row].astype(int)
            picture = read_image(folder / records[windows.pictures[row]].file).rgb()
            parts.append(Frame.from_rgb(np.ascontiguousarray(picture[y1:y2, x1:x2])))
        best += [float(seen.scores.max(initial=0)) for seen in _found(session, parts)]
    scores = np.array(best)
    return {"parts": float(len(scores))} | _shares("found", [scores] if len(scores) else [], session)


def plate_report(session: Session, folder: Path, records: Sequence[Record]) -> dict[str, float]:
    """Of all plates that people drew: the share that lies inside a vehicle found, likewise."""
    chosen = [record for record in records if record.plates_annotated and record.plates]
    best: list[FloatArray] = []
    for start in range(0, len(chosen), BATCH):
        part = chosen[start : start + BATCH]
        frames = [read_image(folder / record.file) for record in part]
        for seen, record in zip(_found(session, frames), part, strict=True):
            plates = np.array([plate.box for plate in record.plates], np.float32)
            inside = coverage(plates, seen.boxes) >= INSIDE
            best.append(np.asarray((inside * seen.scores).max(1, initial=0), np.float32))
    return {"plates": float(sum(map(len, best)))} | _shares("inside", best, session)


def _shares(name: str, scores: Sequence[FloatArray], session: Session) -> dict[str, float]:
    if not scores:
        return {}
    joined = np.concatenate(scores)
    threshold = session.card.score_threshold
    return {name: float((joined >= threshold).mean()), f"{name}_low": float((joined >= LOW).mean())}
