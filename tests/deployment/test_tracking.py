import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from plateloop.deployment.tracking import TrackerConfig, Tracks, assign, predict, step
from plateloop.types import Detections, IntArray

CONFIG = TrackerConfig()


def detections(
    boxes: list[tuple[float, ...]], scores: list[float] | None = None, labels: int = 0
) -> Detections:
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores or [0.9] * len(boxes), np.float32),
        np.full(len(boxes), labels, np.int64),
    )


def follow(rounds: list[Detections], frames: int = 1, fps: float = 25) -> tuple[Tracks, list[IntArray]]:
    tracks, next_id, ids = Tracks.empty(4), 1, []
    for found in rounds:
        tracks = predict(tracks, frames, frames / fps)
        tracks, rows, next_id = step(tracks, found, CONFIG, next_id)
        ids.append(np.append(tracks.ids, -1)[rows])
    return tracks, ids


@pytest.mark.parametrize("frames", [1, 3])
def test_passing_vehicles_keep_their_ids(frames: int) -> None:
    rounds = [
        detections([(10 + 8 * t, 50, 110 + 8 * t, 120), (400 - 8 * t, 70, 500 - 8 * t, 150)])
        for t in range(0, 50, frames)
    ]
    tracks, ids = follow(rounds, frames)
    assert all(list(row) == [1, 2] for row in ids), "also while they cover one another"
    velocity = tracks.mean[:, 0, 1]
    assert np.allclose(velocity, [8, -8], atol=0.5), "pixels a frame, whatever the interval"
    assert np.allclose(tracks.boxes, rounds[-1].boxes, atol=3)


def test_a_vehicle_hidden_for_a_second_comes_back_as_itself() -> None:
    rounds = [detections([(10 + 6 * t, 50, 110 + 6 * t, 120)]) for t in range(60)]
    rounds[20:40] = [detections([])] * 20
    _, ids = follow(rounds)
    assert {int(i) for row in ids for i in row} == {1}


def test_a_vehicle_gone_for_long_is_another() -> None:
    there = detections([(100, 50, 200, 120)])
    gone = [detections([])] * (int(CONFIG.keep_s * 25) + 3)
    tracks, ids = follow([there] * 5 + gone)
    assert not len(tracks)
    _, ids = follow([there] * 5 + gone + [there] * 3)
    assert ids[0][0] != ids[-1][0]


def test_low_scores_prolong_a_track_but_start_none() -> None:
    sure, faint = detections([(100, 50, 200, 120)]), detections([(100, 50, 200, 120)], [0.2])
    tracks, ids = follow([sure] * 3 + [faint] * 100)
    assert list(tracks.ids) == [1] and all(row[0] == 1 for row in ids)
    tracks, _ = follow([faint] * 10)
    assert not len(tracks)


def test_one_ghost_makes_no_confirmed_track() -> None:
    tracks, _ = follow([detections([(100, 50, 200, 120)]), detections([])])
    assert not len(tracks)


def test_the_label_is_voted() -> None:
    box = [(100.0, 50.0, 200.0, 120.0)]
    rounds = [detections(box, [0.9], labels=2 if t % 3 else 0) for t in range(9)]
    tracks, _ = follow(rounds)
    assert list(tracks.labels) == [2]


def test_a_detection_belongs_to_the_nearer_of_two() -> None:
    rounds = [detections([(0, 0, 100, 100), (80, 0, 180, 100)])] * 4 + [detections([(78, 0, 178, 100)])]
    _, ids = follow(rounds)
    assert ids[-1][0] == ids[0][1]


@given(
    arrays(np.float32, st.tuples(st.integers(0, 7), st.integers(0, 7)), elements=st.floats(0, 1, width=32))
)
def test_assignment_is_one_to_one_allowed_and_stable(likeness: np.ndarray) -> None:
    pairs = assign(likeness, 0.3)
    assert len(set(pairs[:, 0])) == len(pairs) == len(set(pairs[:, 1]))
    chosen = likeness[pairs[:, 0], pairs[:, 1]]
    assert (chosen >= 0.3).all()
    rows, columns = np.full(len(likeness), 0.0), np.full(likeness.shape[1], 0.0)
    rows[pairs[:, 0]], columns[pairs[:, 1]] = chosen, chosen
    # No row and column would both rather have one another.
    assert not ((likeness >= 0.3) & (likeness > rows[:, None]) & (likeness > columns[None, :])).any()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_any_detections_give_sound_tracks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tracks, next_id, seen = Tracks.empty(3), 0, set()
    for _ in range(15):
        count = int(rng.integers(0, 8))
        corner = rng.uniform(-50, 300, (count, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(0, 150, (count, 2))], 1).astype(np.float32)
        found = Detections(boxes, rng.random(count, np.float32), rng.integers(0, 3, count))
        tracks = predict(tracks, float(rng.integers(1, 4)), 0.1)
        tracks, rows, next_id = step(tracks, found, CONFIG, next_id)
        used = rows[rows >= 0]
        assert len(set(used)) == len(used) and (used < len(tracks)).all()
        assert len(set(tracks.ids.tolist())) == len(tracks) and (tracks.ids < next_id).all()
        assert np.isfinite(tracks.mean).all() and (tracks.covariance[..., [0, 2]] > 0).all()
        assert (tracks.boxes[:, 2:] > tracks.boxes[:, :2]).all()
        new = set(tracks.ids.tolist()) - seen
        assert all(i > max(seen, default=-1) for i in new), "ids are never given twice"
        seen |= new
