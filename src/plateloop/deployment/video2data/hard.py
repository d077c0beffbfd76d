"""The hard examples of all videos: ranked, each situation once, written for the labeler, best first."""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from plateloop.data_preparation.manifest import Record, write_manifest
from plateloop.data_preparation.perceptual import perceptual_hash
from plateloop.deployment.video2data.mining import Cause, together
from plateloop.frame import Frame
from plateloop.geometry import clip, expand
from plateloop.types import Box


@dataclass(frozen=True, slots=True)
class Candidate:
    """A frame that is hard, with its draft, its causes and for each a hash of what it is about."""

    record: Record
    causes: tuple[Cause, ...]
    hashes: tuple[int, ...]

    @property
    def score(self) -> float:
        """How hard it is, in [0, 1]."""
        return together(self.causes)


def look(frame: Frame, box: Box) -> int:
    """The perceptual hash of what lies in ``box``, and a little around it."""
    grown = clip(expand(np.array([box], np.float32), 0.1), frame.width, frame.height)
    return perceptual_hash(cv2.cvtColor(frame.crops(grown, (64, 64), "stretch")[0], cv2.COLOR_RGB2GRAY))


def select(candidates: Sequence[Candidate], most: int, alike: int) -> list[Candidate]:
    """At most ``most`` candidates, the hardest first, without repetitions.

    A cause repeats another of the same video and reason if it says the same, or if their pictures differ in
    at most ``alike`` bits. A candidate counts by its causes that repeat nothing before it.
    """
    seen: defaultdict[tuple[str | None, str], list[int]] = defaultdict(list)
    said: set[tuple[str | None, str]] = set()
    chosen: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda c: (-c.score, c.record.file)):
        video = candidate.record.sequence
        new = []
        for cause, hash in zip(candidate.causes, candidate.hashes, strict=True):
            hashes = seen[video, cause.reason]
            near = hash and any((hash ^ other).bit_count() <= alike for other in hashes if other)
            if not near and (video, cause.key) not in said:
                new.append((cause, hash))
            said.add((video, cause.key))
            hashes.append(hash)
        if new:
            causes, kept = zip(*new, strict=True)
            chosen.append(replace(candidate, causes=causes, hashes=kept))
    return sorted(chosen, key=lambda c: -c.score)[:most]


def write(chosen: Sequence[Candidate], source: Path, target: Path) -> Counter[str]:
    """Write ``chosen``, whose pictures lie in ``source``, as a dataset; returns the count of each reason."""
    records = []
    for candidate in chosen:
        place = target / candidate.record.file
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(source / candidate.record.file, place)
        reasons = tuple(dict.fromkeys(cause.reason for cause in candidate.causes))
        why = "; ".join(cause.detail for cause in sorted(candidate.causes, key=lambda c: -c.score))
        attributes = {**candidate.record.attributes, "hard_score": f"{candidate.score:.3f}", "hard_why": why}
        records.append(
            candidate.record.model_copy(update={"tags": ("hard", *reasons), "attributes": attributes})
        )
    write_manifest(target, records)
    return Counter(cause.reason for candidate in chosen for cause in candidate.causes)
