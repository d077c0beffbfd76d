"""Hard examples: frames in which the networks contradict what the whole track says.

A track is a weak teacher: what most of its frames agree on is likely true where one of them says otherwise.
Each contradiction is a cause with a score in [0, 1]: how sure the track is, times how sure or how large what
contradicts it was. A frame's score is 1 - ∏ (1 - score) over its causes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np

from plateloop.deployment.fusion import likeness
from plateloop.deployment.video2data.history import COVERED, History, PlateSight, Round, Sight, around
from plateloop.types import Box

Reason = Literal["reading", "missed-plate", "weak-plate", "missed-vehicle", "label", "no-plate"]

LEAST = 3
"""Sightings of a track from which it has something to say about one of them."""

CLEAR = 20.0
"""Height of a plate in pixels from which its reading should be right; below, a mistake counts less."""

WEAKER = 0.2
"""How far a plate's score lies below the median of its track where it is called weak."""

EACH = 4
"""Most causes of one kind that a track brings forward, before pictures are compared."""

WORTH = 0.1
"""Score below which a cause is not worth anybody's time."""

BARE_WIDTH = 0.12
"""Width of a vehicle in shares of the picture's from which it should show a plate, if it has one."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why round ``round`` is hard, told in ``detail``.

    ``focus`` is the box that it is about; ``key`` is the same for causes that say the same.
    """

    round: int
    track: int
    reason: Reason
    score: float
    detail: str
    focus: Box
    key: str


def causes(history: History) -> list[Cause]:
    """The causes in a history that are worth a look: of those that say the same the best, and of each track
    and reason the ``EACH`` best of these."""
    best: dict[tuple[str, str], Cause] = {}
    for cause in (*_by_track(history), *_missed_plates(history), *_missed_vehicles(history)):
        before = best.get((cause.reason, cause.key))
        if cause.score >= WORTH and (before is None or cause.score > before.score):
            best[cause.reason, cause.key] = cause
    kinds: defaultdict[tuple[int, str], list[Cause]] = defaultdict(list)
    for cause in best.values():
        kinds[cause.track, cause.reason].append(cause)
    return [cause for found in kinds.values() for cause in sorted(found, key=lambda c: -c.score)[:EACH]]


def together(found: Iterable[Cause]) -> float:
    """The score of a frame with these causes."""
    return 1 - prod(1 - cause.score for cause in found)


def _by_track(history: History) -> Iterator[Cause]:
    for track, sights in history.tracks.items():
        if len(sights) >= LEAST:
            yield from _readings(history, track, sights)
            yield from _weak_plates(track, sights)
            yield from _labels(history, track, sights)
            yield from _bare(history, track, sights)


def _readings(history: History, track: int, sights: list[tuple[int, Sight]]) -> Iterator[Cause]:
    read = [(n, s.plate) for n, s in sights if s.plate is not None and s.plate.text is not None]
    known = history.known.get(track)
    texts = Counter(plate.text for _, plate in read if plate.text)
    if known is None or not texts or len(read) < LEAST:
        return
    fused = known.fused
    for number, plate in read:
        size = float(np.clip(plate.height / CLEAR, 0.2, 1))
        key = f"{track}:{plate.text}"
        if fused.text is None:
            if len(texts) > 1 and plate.text:
                said = ", ".join(f"{text} ×{count}" for text, count in texts.most_common(3))
                score = size * (0.3 + 0.3 * plate.confidence)
                yield Cause(number, track, "reading", score, f"readings never agree: {said}", plate.box, key)
        elif plate.text != fused.text:
            apart = 1 - likeness(plate.text or "", fused.text)
            score = fused.confidence * size * (0.3 + 0.2 * apart + 0.5 * plate.confidence)
            read_as = f"{plate.text} ({plate.confidence:.2f})" if plate.text else "nothing"
            detail = f"reads {read_as} where the track says {fused.text} ({fused.confidence:.2f})"
            yield Cause(number, track, "reading", score, detail, plate.box, key)


def _weak_plates(track: int, sights: list[tuple[int, Sight]]) -> Iterator[Cause]:
    plates: list[tuple[int, PlateSight]] = [(n, s.plate) for n, s in sights if s.plate is not None]
    if len(plates) < LEAST:
        return
    usual = float(np.median([plate.score for _, plate in plates]))
    for number, plate in plates:
        if plate.score < usual - WEAKER:
            detail = f"a plate of score {plate.score:.2f} where its track has {usual:.2f}"
            yield Cause(number, track, "weak-plate", usual - plate.score, detail, plate.box, f"{track}:weak")


def _labels(history: History, track: int, sights: list[tuple[int, Sight]]) -> Iterator[Cause]:
    usual = history.labels.get(track)
    for number, sight in sights:
        vehicle = sight.vehicle
        if vehicle is not None and vehicle.label != usual:
            detail = f"a {vehicle.label} ({vehicle.confidence:.2f}) that its track calls {usual}"
            key = f"{track}:{vehicle.label}"
            yield Cause(number, track, "label", 0.5 * vehicle.confidence, detail, vehicle.box, key)


def _bare(history: History, track: int, sights: list[tuple[int, Sight]]) -> Iterator[Cause]:
    if any(sight.plate is not None for _, sight in sights):
        return
    looked = [
        (n, s.vehicle)
        for n, s in sights
        if s.vehicle is not None and s.looked and _whole(history.rounds[n], s.vehicle.box)
    ]
    if not looked:
        return
    number, vehicle = max(looked, key=lambda item: (item[1].box[2] - item[1].box[0]) * item[1].confidence)
    if vehicle.box[2] - vehicle.box[0] >= BARE_WIDTH * history.rounds[number].width:
        detail = f"a {vehicle.label} ({vehicle.confidence:.2f}) that never showed a plate"
        yield Cause(number, track, "no-plate", 0.3 * vehicle.confidence, detail, vehicle.box, f"{track}:bare")


def _whole(seen: Round, box: Box) -> bool:
    # Of a vehicle that the picture's border cuts off, the plate may be outside.
    x, y = seen.width / 100, seen.height / 100
    return box[0] > x and box[1] > y and box[2] < seen.width - x and box[3] < seen.height - y


def _missed_plates(history: History) -> Iterator[Cause]:
    for missing in history.missing:
        sight, box = missing.sight, around(missing.corners)
        if not sight.looked or sight.vehicle is None:
            continue
        size = float(np.clip((box[3] - box[1]) / CLEAR, 0.2, 1))
        # Squared: a plate that is barely found elsewhere says little.
        score = missing.score**2 * size * (1.0 if missing.between else 0.6)
        when = "before and after" if missing.between else "next to this frame"
        detail = f"no plate on a {sight.vehicle.label} that shows one {when} ({missing.score:.2f})"
        yield Cause(
            missing.round,
            sight.track,
            "missed-plate",
            score,
            detail,
            sight.vehicle.box,
            f"{sight.track}:missed-plate:{missing.run}",
        )


def _missed_vehicles(history: History) -> Iterator[Cause]:
    for gap in history.gaps:
        # Behind another vehicle it is hidden, and found under a new number it is not missed.
        if history.covered(gap) > COVERED:
            continue
        label = history.labels[gap.track]
        detail = f"no {label} where one was before and after ({gap.score:.2f}), {gap.length} rounds long"
        score = gap.score / (1 + 0.2 * (gap.length - 1))
        yield Cause(
            gap.round, gap.track, "missed-vehicle", score, detail, gap.box, f"{gap.track}:gap:{gap.run}"
        )
