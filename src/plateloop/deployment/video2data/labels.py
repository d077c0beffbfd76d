"""From what was seen in a frame to a record: what is sure is a label, what is not is to be ignored."""

from __future__ import annotations

import numpy as np

from plateloop.data_preparation.manifest import Plate, Record, Vehicle
from plateloop.deployment.fusion import likeness
from plateloop.deployment.video2data.config import HarvestConfig
from plateloop.deployment.video2data.history import COVERED, Gap, History, Missing, PlateSight, around
from plateloop.geometry import clip, expand
from plateloop.types import Box

READ_HERE = 0.5
"""Likeness of a frame's own reading to the track's text, below which the plate does not show that text."""

SHORTEST = 3
"""Characters from which a text that is not believed is worth a draft."""


class Labeler:
    """Makes records of a history's rounds, by the thresholds of a configuration."""

    def __init__(self, history: History, config: HarvestConfig) -> None:
        self._history = history
        self._config = config
        self._gaps: dict[int, list[Gap]] = {}
        self._missing: dict[int, list[Missing]] = {}
        for gap in history.gaps:
            if history.covered(gap) <= COVERED:
                self._gaps.setdefault(gap.round, []).append(gap)
        for missing in history.missing:
            self._missing.setdefault(missing.round, []).append(missing)

    def record(self, number: int, file: str, draft: bool = False) -> Record:
        """The labels of round ``number``, whose picture is ``file``.

        Vehicles of tracks that were seen more than once, plates, and the fused text of the track where the
        plate was read much like it in this very frame. What is less sure than the thresholds, and where
        something must be that was not found, is to be ignored: it is neither object nor background.

        A ``draft`` is for a person to correct: all that was found or must be there is labelled, and every
        plate bears the likeliest text of its track.
        """
        history, seen = self._history, self._history.rounds[number]
        gaps, missing = self._gaps.get(number, []), self._missing.get(number, [])
        vehicles: list[Vehicle] = []
        plates: list[Plate] = []
        ignored, doubtful = list(seen.unsure), list[Box]()
        place: dict[int, int] = {}
        for sight in seen.sights:
            if sight.vehicle is None:
                continue
            sure = sight.vehicle.confidence >= self._config.min_vehicle
            if len(history.tracks[sight.track]) > 1 and (sure or draft):
                place[sight.track] = len(vehicles)
                vehicles.append(self._vehicle(sight.track, sight.vehicle.box, sight.vehicle.confidence))
            else:
                ignored.append(sight.vehicle.box)
        of_tracks = [(sight.plate, sight.track) for sight in seen.sights if sight.plate is not None]
        for plate, track in (*of_tracks, *((plate, None) for plate in seen.loose)):
            if draft or plate.score >= self._config.min_plate:
                vehicle = None if track is None else place.get(track)
                plates.append(self._plate(plate, track, vehicle, draft))
            else:
                doubtful.append(plate.box)
        if draft:
            vehicles += [self._vehicle(gap.track, gap.box, None) for gap in gaps]
            plates += [self._expected(found, place.get(found.sight.track)) for found in missing]
        else:
            hidden = [gap.box for gap in gaps]
            ignored += hidden
            doubtful += hidden + [_grown(around(found.corners), 0.25) for found in missing]
        record = Record(
            file=file,
            width=seen.width,
            height=seen.height,
            source=history.source.title,
            vehicles=tuple(vehicles),
            plates=tuple(plates),
            ignore_vehicles=tuple(ignored),
            ignore_plates=tuple(doubtful),
            sequence=history.name,
            attributes={
                "frame": str(seen.index),
                "time_s": f"{seen.time_s:.3f}",
                "time": history.time(seen).isoformat(timespec="milliseconds"),
            },
        )
        return inside(record)

    def _vehicle(self, track: int, box: Box, score: float | None) -> Vehicle:
        known = self._history.known.get(track)
        color = known.color if known is not None else None
        sure = color is not None and color.confidence >= self._config.min_color
        return Vehicle(
            box=box,
            label=self._history.labels[track],
            color=color.label if color is not None and sure else None,
            annotation="auto",
            score=None if score is None else round(score, 4),
            attributes={"track": str(track)} | ({"draft": "expected here"} if score is None else {}),
        )

    def _plate(self, plate: PlateSight, track: int | None, vehicle: int | None, draft: bool) -> Plate:
        known = self._history.known.get(track) if track is not None else None
        attributes = {"score": f"{plate.score:.4f}"}
        text = region = None
        if known is not None:
            fused = known.fused
            attributes["confidence"] = f"{fused.confidence:.4f}"
            believed = fused.text is not None and fused.confidence >= self._config.min_text
            here = plate.text is not None and likeness(plate.text, fused.best) >= READ_HERE
            if (believed and here) or (draft and len(fused.best) >= SHORTEST):
                text, region = fused.best, fused.region
        if plate.text is not None:
            attributes |= {"reading": plate.text, "reading_confidence": f"{plate.confidence:.4f}"}
        if track is not None:
            attributes["track"] = str(track)
        return Plate(
            box=plate.box,
            corners=plate.corners,
            text=text,
            region=region,
            vehicle=vehicle,
            annotation="auto",
            attributes=attributes,
        )

    def _expected(self, missing: Missing, vehicle: int | None) -> Plate:
        track = missing.sight.track
        sight = PlateSight(around(missing.corners), missing.corners, 0.0, 0.0)
        plate = self._plate(sight, track, vehicle, draft=True)
        attributes = {**plate.attributes, "draft": "expected here"}
        del attributes["score"]
        return plate.model_copy(update={"attributes": attributes})


def inside(record: Record) -> Record:
    """The record with its boxes cut to the picture; what lies outside is gone."""

    def cut(box: Box) -> Box:
        x1, y1, x2, y2 = clip(np.array(box), record.width, record.height).tolist()
        return x1, y1, x2, y2

    def cuts(boxes: tuple[Box, ...]) -> tuple[Box, ...]:
        return tuple(box for box in map(cut, boxes) if box[2] > box[0] and box[3] > box[1])

    return record.model_copy(
        update={
            "vehicles": tuple(v.model_copy(update={"box": cut(v.box)}) for v in record.vehicles),
            "plates": tuple(p.model_copy(update={"box": cut(p.box)}) for p in record.plates),
            "ignore_vehicles": cuts(record.ignore_vehicles),
            "ignore_plates": cuts(record.ignore_plates),
        }
    )


def _grown(box: Box, share: float) -> Box:
    x1, y1, x2, y2 = expand(np.array(box), share).round(2).tolist()
    return x1, y1, x2, y2
