"""Our tracker beside Roboflow's ByteTrack (package ``trackers``, extra ``bench``), on the same detections.

A simulated street has known identities: vehicles drive both ways at several speeds, cover one another, are
missed, scored low and seen double. Printed for both trackers: milliseconds a frame and identity switches (how
often a vehicle's id changes while it is seen), and ids per vehicle. Of real clips, found through tcnet, only
the number of ids is known: the fewer for the same detections, the steadier.
"""

from __future__ import annotations

import argparse
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from plateloop.deployment.capture import frames
from plateloop.deployment.sources import SourceConfig
from plateloop.deployment.tracking import TrackerConfig, Tracks, predict, step
from plateloop.geometry import coverage
from plateloop.runtime.cascade import Cascade, CascadeConfig
from plateloop.types import Detections, IntArray
from record import save, show

WIDTH, HEIGHT, FPS = 1920, 1080, 25
Track = Callable[[Detections], IntArray]


def street(objects: int, frames: int, every: int, seed: int) -> Iterator[tuple[Detections, IntArray]]:
    """Detections of a simulated street at every ``every``-th frame, and the vehicle of each (-1: none)."""
    rng = np.random.default_rng(seed)

    def enter(count: int, anywhere: bool) -> np.ndarray:
        """Columns: centre x, y, height, width, speed in px a frame, acceleration."""
        y = rng.uniform(0.3, 0.9, count) * HEIGHT
        size = y / HEIGHT * 220 * rng.uniform(0.8, 1.4, count)
        speed = rng.choice([-1, 1], count) * size * rng.uniform(0.005, 0.09, count)
        x = np.where(speed > 0, -size / 2, WIDTH + size / 2)
        x = np.where(anywhere, rng.uniform(0, WIDTH, count), x)
        return np.stack([x, y, size, size * rng.uniform(1.1, 2.2, count), speed, np.zeros(count)], 1)

    state, ids, next_id = enter(objects, True), np.arange(objects), objects
    for number in range(frames):
        state[:, 4] += rng.normal(0, 0.002, objects) * state[:, 2]
        state[:, 0] += state[:, 4]
        gone = (state[:, 0] < -state[:, 3]) | (state[:, 0] > WIDTH + state[:, 3])
        state[gone] = enter(int(gone.sum()), False)
        ids[gone] = np.arange(next_id, next_id + gone.sum())
        next_id += int(gone.sum())
        if number % every:
            continue
        half = state[:, [3, 2]] / 2
        boxes = np.concatenate([state[:, :2] - half, state[:, :2] + half], 1)
        seen = np.clip(boxes, 0, [WIDTH, HEIGHT, WIDTH, HEIGHT]).astype(np.float32)
        nearer = state[None, :, 1] > state[:, None, 1]
        hidden = np.where(nearer, coverage(seen, seen), 0).max(1, initial=0)
        score = np.clip(rng.normal(0.8, 0.1, objects) - 0.5 * hidden, 0.02, 0.99)
        size = seen[:, 2:] - seen[:, :2]
        shown = (hidden < 0.75) & (size.min(1) > 12) & (rng.random(objects) > 0.04)
        noise = rng.normal(0, 0.02, (objects, 4)) * np.tile(size, 2)
        ghosts = rng.poisson(0.1 + objects / 60)
        corner = rng.uniform(0, 1, (ghosts, 2)) * [WIDTH, HEIGHT]
        ghost = np.concatenate([corner, corner + rng.uniform(30, 200, (ghosts, 2))], 1)
        found = Detections(
            np.concatenate([(seen + noise)[shown], ghost]).astype(np.float32),
            np.concatenate([score[shown], rng.uniform(0.1, 0.6, ghosts)]).astype(np.float32),
            np.zeros(int(shown.sum()) + ghosts, np.int64),
        )
        yield found, np.concatenate([ids[shown], np.full(ghosts, -1)])


def ours(every: int) -> Track:
    """plateloop's tracker."""
    config = TrackerConfig()
    tracks, next_id = Tracks.empty(4), 0

    def track(found: Detections) -> IntArray:
        nonlocal tracks, next_id
        tracks = predict(tracks, every, every / FPS)
        tracks, rows, next_id = step(tracks, found, config, next_id)
        sure = np.append(tracks.hits >= config.confirm, False)
        return np.where(sure[rows], np.append(tracks.ids, -1)[rows], -1)

    return track


def roboflow(every: int) -> Track:
    """The peer, at the same thresholds where it has them."""
    import supervision
    from trackers import ByteTrackTracker

    config = TrackerConfig()
    tracker = ByteTrackTracker(
        lost_track_buffer=round(config.keep_s * 30),
        frame_rate=FPS / every,
        track_activation_threshold=config.start,
        high_conf_det_threshold=config.high,
    )

    def track(found: Detections) -> IntArray:
        given = supervision.Detections(
            xyxy=found.boxes,
            confidence=found.scores,
            class_id=found.labels,
            data={"row": np.arange(len(found))},
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            out = tracker.update(given)
        ids = np.full(len(found), -1)
        if len(out):
            ids[out.data["row"]] = out.tracker_id
        return ids

    return track


@dataclass
class Score:
    """Counts over one scene."""

    ms: list[float] = field(default_factory=list)
    last: dict[int, int] = field(default_factory=dict)
    ids: set[int] = field(default_factory=set)
    switches: int = 0
    tracked: int = 0
    real: int = 0

    def add(self, truth: IntArray, ids: IntArray, ms: float) -> None:
        """Count one frame: the true vehicle and the tracker's id of each detection."""
        self.ms.append(ms)
        self.ids |= set(ids[ids >= 0].tolist())
        self.real += int((truth >= 0).sum())
        for vehicle, given in zip(truth.tolist(), ids.tolist(), strict=True):
            if vehicle >= 0 and given >= 0:
                self.tracked += 1
                self.switches += self.last.get(vehicle, given) != given
                self.last[vehicle] = given


def measure(make: Callable[[int], Track], scene: list[tuple[Detections, IntArray]], every: int) -> Score:
    """Run one tracker over a scene."""
    track, score = make(every), Score()
    for found, truth in scene:
        begun = time.perf_counter()
        ids = track(found)
        score.add(truth, ids, (time.perf_counter() - begun) * 1e3)
    return score


def clip_scene(path: str, every: int, weights: Path | None) -> list[tuple[Detections, IntArray]]:
    """The vehicles that tcnet finds in every ``every``-th frame of a clip; nobody knows which they are."""
    cascade = Cascade.load(weights=weights, tasks=("tcnet",), config=CascadeConfig(vehicle_score=0.1))
    scene = []
    for shot in frames(SourceConfig(url=path), threading.Event()):
        if shot.index % every == 0:
            found = cascade.detect_vehicles([shot.frame])[0]
            scene.append((found, np.full(len(found), -1)))
    return scene


def main() -> None:
    """Measure both trackers on the same scenes, print a table a kind of scene and save the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="*", help="videos to run through tcnet")
    parser.add_argument("--weights", type=Path, help="folder of cards; the package's otherwise")
    args = parser.parse_args()
    peers: dict[str, Callable[[int], Track]] = {"plateloop": ours}
    try:
        import trackers  # noqa: F401

        peers["roboflow"] = roboflow
    except ImportError:
        print("package 'trackers' is missing (pip install plateloop[bench]): measuring ours alone")
    simulated, real = [], []
    for objects in (5, 20, 60):
        for every in (1, 2, 3):
            scene = list(street(objects, 1500, every, seed=objects))
            for name, make in peers.items():
                score = measure(make, scene, every)
                row = (f"{objects} vehicles, every {every}", name, float(np.mean(score.ms)))
                row += (float(np.percentile(score.ms, 50)), score.switches)
                simulated.append((*row, score.tracked / score.real, len(score.ids) / len(score.last)))
    head = ("scene", "tracker", "ms/frame", "median", "switches", "tracked", "ids/vehicle")
    show("A simulated street", head, simulated)
    for clip in args.clips:
        for every in (1, 2, 3):
            scene = clip_scene(clip, every, args.weights)
            for name, make in peers.items():
                score = measure(make, scene, every)
                mean = sum(len(found) for found, _ in scene) / max(1, len(scene))
                title = f"{Path(clip).name}, every {every}"
                real.append((title, name, float(np.mean(score.ms)), mean, len(score.ids)))
    if real:
        show("Clips", ("clip", "tracker", "ms/frame", "vehicles/frame", "ids"), real)
    print("wrote", save("tracking", {"street": simulated, "clips": real}))


if __name__ == "__main__":
    main()
