"""One stream's state under a flood of senseless detections, in batches, with frames dropped."""

from collections import defaultdict

import numpy as np
import pytest

from plateloop.deployment.capture import Shot
from plateloop.deployment.fusion import FusionConfig
from plateloop.deployment.passages import PassageConfig
from plateloop.deployment.schedule import ScheduleConfig
from plateloop.deployment.stream import Stream, StreamConfig, Work
from plateloop.deployment.tracking import TrackerConfig
from plateloop.frame import Frame
from plateloop.geometry import boxes_to_corners
from plateloop.runtime.lpdnet import owners
from plateloop.types import Color, Detections, Event, Plates, Reading

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
FRAME = Frame.from_rgb(np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8))


def noise(rng: np.random.Generator, most: int, size: float, labels: int) -> Detections:
    count = int(rng.integers(0, most + 1))
    corner = rng.uniform(-20, 150, (count, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(1, size, (count, 2))], 1).astype(np.float32)
    scores = np.sort(rng.random(count, np.float32))[::-1].copy()
    return Detections(boxes, scores, rng.integers(0, labels, count))


def garbage(rng: np.random.Generator) -> Reading:
    length = int(rng.integers(0, 9))
    rows = rng.dirichlet(np.full(36, 0.05), length).astype(np.float32)
    text = "".join(ALPHABET[k] for k in rows.argmax(1)) if length else ""
    chars = tuple(rows.max(1).tolist()) if length else ()
    return Reading(text, float(np.prod(chars)) if length else 0.0, chars, rows)


def through(stream: Stream, rng: np.random.Generator, shots: list[Shot]) -> list[Event]:
    works: list[Work] = []
    for shot in shots:
        wanted = stream.wants_vehicles(shot)
        works.append(stream.follow(shot, noise(rng, 6, 90, 4) if wanted else None))
    for work in works:
        found = noise(rng, 4, 40, 1) if len(work.regions) else Detections.empty(corners=True)
        found = Detections(found.boxes, found.scores, found.labels, boxes_to_corners(found.boxes))
        stream.choose(work, Plates(found, owners(found.boxes, work.regions.boxes), (None,) * len(found)))
    events: list[Event] = []
    for work in works:
        texts = [garbage(rng) for _ in work.bearers]
        events += stream.absorb(work, texts, [Color("red", 0.5)] * len(work.painters))
        stream.marks(work, trails=True)
    return events


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("interval", [1, 3])
def test_noise_neither_breaks_nor_fills_a_stream(seed: int, interval: int) -> None:
    rng = np.random.default_rng(seed)
    settings = StreamConfig(
        ScheduleConfig(interval=interval, min_plate=2),
        TrackerConfig(),
        FusionConfig(),
        PassageConfig(min_frames=2, min_score=0),
    )
    stream = Stream("cam", ("car", "bus", "truck", "motorcycle"), ALPHABET, settings)
    events, index, held = [], 0, []
    for _ in range(150):
        shots = []
        for _ in range(int(rng.integers(1, 9))):
            index += int(rng.choice([1, 1, 1, 1, 7]))  # a live source drops some
            shots.append(Shot(index, index / 25, 0.0, FRAME))
        events += through(stream, rng, shots)
        held.append(len(stream._attention) + len(stream.passages._open) + len(stream.passages._of_track))
    assert max(held[75:]) < 2 * max(held[:75]), "what is dead is forgotten"
    events += stream.finish()
    told = defaultdict(list)
    for event in events:
        told[event.id].append(event)
        assert event.last_s >= event.first_s and 0 <= event.confidence <= 1
    assert len(told) > 10
    for passage in told.values():
        assert [passage[0].phase, passage[-1].phase] == ["begin", "end"]
        assert {event.phase for event in passage[1:-1]} <= {"update"}
    assert not stream.passages._open
