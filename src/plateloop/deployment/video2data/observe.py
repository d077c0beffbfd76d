"""The first pass: sources through the same stages as in a run, with every detection round written down."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2

from plateloop.deployment.batching import Intake
from plateloop.deployment.capture import Shot, frames
from plateloop.deployment.config import PipelineConfig
from plateloop.deployment.overlay import as_box
from plateloop.deployment.passages import Passage
from plateloop.deployment.pipeline import Networks
from plateloop.deployment.sources import is_live
from plateloop.deployment.stream import Stream, StreamConfig, Work
from plateloop.deployment.video2data.history import History, Known, PlateSight, Round, Sight, as_corners
from plateloop.errors import UserError
from plateloop.frame import Frame
from plateloop.geometry import box_array, iou
from plateloop.runtime.lpdnet import owners
from plateloop.runtime.lprnet import heights, quadrilaterals
from plateloop.types import Box, Detections, Plates, Reading

log = logging.getLogger(__name__)

UNSURE = 0.25
"""tcnet's score from which a vehicle of no track is noted, as one that may be there."""


class Observer:
    """One source: its stream's state, as a run has it, and the history that grows with each frame."""

    def __init__(
        self, history: History, networks: Networks, alphabet: str, config: PipelineConfig, spool: Path | None
    ) -> None:
        """``spool`` is a folder for the pictures of a source that cannot be read twice."""
        # A run looks seldom at what it knows by now; here each look is a label, or shows a weakness.
        schedule = config.schedule.model_copy(update={"settled_every": 1, "blank_every": 1})
        settings = StreamConfig(
            schedule, config.tracker, config.fusion, config.events, history.source.regions
        )
        self.stream = Stream(history.source.title, networks.labels, alphabet, settings)
        self.history = history
        self.spool = spool
        self._passages: dict[int, Passage] = {}

    def note(
        self,
        work: Work,
        found: Detections | None,
        plates: Plates,
        readings: Sequence[Reading],
        quality: int,
    ) -> None:
        """Write down a frame that the stream has absorbed."""
        self.history.frames += 1
        if found is None:
            return
        shot = work.shot
        self.history.rounds.append(_round(work, found, plates.detections, readings))
        for track in {track for track, _, _ in work.seen} | self._passages.keys():
            # Asked each time, since a passage may have been joined to another one.
            passage = self.stream.passages.of(track)
            if passage is not None:
                self._passages[track] = passage
            elif shot.time_s - self._passages[track].last_s > 1 + self.stream.config.passages.merge_s:
                self._know(track, self._passages.pop(track))
        if self.spool is not None:
            save(shot.frame, spooled(self.spool, shot.index), quality)

    def finish(self) -> None:
        """The source has ended: what its tracks were is known now."""
        self.stream.finish()
        for track, passage in self._passages.items():
            self._know(track, passage)

    def _know(self, track: int, passage: Passage) -> None:
        self.history.known[track] = Known(passage.id, passage.fused, passage.color)


def observe(
    observers: Sequence[Observer],
    networks: Networks,
    config: PipelineConfig,
    stop: threading.Event,
    duration_s: float | None = None,
    quality: int = 95,
    tick: Callable[[], None] = lambda: None,
) -> None:
    """Run the sources of ``observers`` side by side, until each ends or ``duration_s`` is over, or ``stop``.

    A source that fails says so in its history, and the others go on. ``tick`` is called for each frame.
    """
    intake: Intake[Shot] = Intake(config.queue)
    threads = []
    for number, observer in enumerate(observers):
        intake.open(number)
        arguments = (observer.history, intake, number, stop, duration_s)
        threads.append(threading.Thread(target=_decode, args=arguments, daemon=True))
    for thread in threads:
        thread.start()
    try:
        while batch := intake.take(config.networks.batch, config.networks.latency_s):
            _process(batch, observers, networks, quality)
            for _ in batch:
                tick()
            if stop.is_set():
                break
    finally:
        intake.stop()
        for observer in observers:
            observer.finish()
        for thread in threads:
            thread.join(timeout=2)


def save(frame: Frame, path: Path, quality: int) -> None:
    """Write a frame as a picture, of the kind that the path's suffix says."""
    bgr = cv2.cvtColor(frame.rgb(), cv2.COLOR_RGB2BGR)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if path.suffix == ".jpg" else []
    if not cv2.imwrite(str(path), bgr, options):
        raise UserError(f"{path}: cannot be written; is the disk full?")


def spooled(folder: Path, index: int) -> Path:
    """Where the picture of frame ``index`` lies in a spool."""
    return folder / f"{index:08d}.jpg"


def _decode(
    history: History, intake: Intake[Shot], number: int, stop: threading.Event, duration_s: float | None
) -> None:
    source = history.source
    # A camera that is away would be waited for beyond the time.
    ended = threading.Event() if history.start is None else stop
    timer = None
    if history.start is None and duration_s is not None:
        timer = threading.Timer(duration_s, ended.set)
        timer.daemon = True
        timer.start()
    try:
        for shot in frames(source, ended):
            if duration_s is not None and shot.time_s >= duration_s:
                break
            if stop.is_set() or not intake.put(number, shot, wait=not is_live(source.url)):
                break
    except UserError as error:
        history.error = str(error)
    except Exception as error:  # one source's trouble is not the others'
        history.error = f"{source.title}: {type(error).__name__}: {error}"
        log.exception("%s failed", source.title)
    finally:
        if timer is not None:
            timer.cancel()
        intake.close(number)


def _process(
    batch: Sequence[tuple[int, Shot]], observers: Sequence[Observer], networks: Networks, quality: int
) -> None:
    streams = [observers[number].stream for number, _ in batch]
    pictures = [shot.frame for _, shot in batch]
    asked = [row for row, (_, shot) in enumerate(batch) if streams[row].wants_vehicles(shot)]
    seen = networks.detect_vehicles([pictures[row] for row in asked]) if asked else []
    found = dict(zip(asked, seen, strict=True))
    works = [
        stream.follow(shot, found.get(row))
        for row, (stream, (_, shot)) in enumerate(zip(streams, batch, strict=True))
    ]
    plates = networks.find_plates(pictures, [work.regions for work in works])
    for stream, work, seen_plates in zip(streams, works, plates, strict=True):
        stream.choose(work, seen_plates)
    readings = networks.read_plates(pictures, [work.plates for work in works])
    colors = networks.name_colors(pictures, [work.painted for work in works])
    for row, (number, _) in enumerate(batch):
        streams[row].absorb(works[row], readings[row], colors[row])
        observers[number].note(works[row], found.get(row), plates[row], readings[row], quality)


def _round(work: Work, found: Detections, plates: Detections, readings: Sequence[Reading]) -> Round:
    read = {as_box(box): row for row, box in enumerate(work.plates.boxes)}
    vehicle = owners(plates.boxes, work.vehicles.boxes)
    tracks = [int(work.vehicles.ids[row]) if row >= 0 else None for row in vehicle.tolist()]
    quads, tall = quadrilaterals(plates), heights(plates)
    of_track: dict[int, PlateSight] = {}
    loose = []
    # What was chosen to be read comes first: a further plate on the same vehicle is not its own.
    order = sorted(range(len(plates)), key=lambda row: as_box(plates.boxes[row]) not in read)
    for row in order:
        box = as_box(plates.boxes[row])
        track, text, confidence = tracks[row], None, 0.0
        if box in read:
            track = int(work.bearers[read[box]])
            reading = readings[read[box]]
            text, confidence = reading.text, reading.confidence
        score, height = float(plates.scores[row]), float(tall[row])
        plate = PlateSight(box, as_corners(quads[row]), score, height, text, confidence)
        if track is None or track in of_track:
            loose.append(plate)
        else:
            of_track[track] = plate
    looked = set(work.owners.tolist())
    sights = [
        Sight(track, found_vehicle, of_track.pop(track, None), track in looked)
        for track, found_vehicle, _ in work.seen
    ]
    frame = work.shot.frame
    return Round(
        work.shot.index,
        work.shot.time_s,
        work.shot.arrived,
        frame.width,
        frame.height,
        tuple(sights),
        _unsure(found, sights),
        (*loose, *of_track.values()),
    )


def _unsure(found: Detections, sights: Sequence[Sight]) -> tuple[Box, ...]:
    # Detections that no track took, save those that lie on one that did.
    boxes = [sight.vehicle.box for sight in sights if sight.vehicle is not None]
    maybe = found[found.scores >= UNSURE]
    taken = box_array(boxes)
    apart = iou(maybe.boxes, taken).max(1, initial=0) < 0.5
    return tuple(as_box(box) for box in maybe.boxes[apart])
