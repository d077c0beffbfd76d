"""ByteTrack over arrays: one id a vehicle through time.

Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection Box" (ECCV 2022), with the
constant-velocity Kalman filter and noise of DeepSORT (Wojke et al. 2017), but over the four edges of the box,
which also move as the model says where the picture's border cuts a vehicle off. The edges' noise is taken as
independent, so a track's state is a (4, 2) mean and a (4, 3) covariance, and all tracks are filtered in a few
array operations.

``step`` is pure: it takes the tracks and one picture's detections and gives the new tracks.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from plateloop.geometry import iou
from plateloop.types import Detections, FloatArray, IntArray

State = NDArray[np.float64]

# Standard deviations of the noise in shares of the box's size, as in DeepSORT.
POSITION = 1 / 20
VELOCITY = 1 / 160


class TrackerConfig(BaseModel):
    """When a detection belongs to a track, and how long a track waits for one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    high: float = Field(0.4, description="detections from this score on are associated first")
    low: float = Field(
        0.1, description="detections from this score on may prolong a track that was just seen"
    )
    start: float = Field(0.5, description="a detection that no track wants starts one from this score on")
    first_iou: float = Field(0.25, description="least IoU times score in the first association")
    second_iou: float = Field(0.5, description="least IoU in the second, of low-scored detections")
    new_iou: float = Field(0.2, description="least IoU times score for a track's second detection")
    confirm: int = Field(2, ge=1, description="detections after which a track counts")
    keep_s: float = Field(2.0, ge=0, description="seconds that a track lives on without a detection")


@dataclass(frozen=True, slots=True)
class Tracks:
    """N tracks of one stream, confirmed or not.

    ``ids`` (N,); ``mean`` (N, 4, 2) and ``covariance`` (N, 4, 3: of position, shared, of velocity) of the
    box's four edges, in pixels and per frame; ``votes`` (N, labels) summed scores;
    ``scores`` (N,) of the last detection; ``hits`` (N,) detections so far; ``unseen`` (N,) seconds and
    ``missed`` (N,) detection rounds since the last one.
    """

    ids: IntArray
    mean: State
    covariance: State
    votes: State
    scores: FloatArray
    hits: IntArray
    unseen: State
    missed: IntArray

    @classmethod
    def empty(cls, labels: int) -> Tracks:
        """No tracks, of objects that bear one of ``labels`` labels."""
        return cls(
            ids=np.zeros(0, np.int64),
            mean=np.zeros((0, 4, 2)),
            covariance=np.zeros((0, 4, 3)),
            votes=np.zeros((0, labels)),
            scores=np.zeros(0, np.float32),
            hits=np.zeros(0, np.int64),
            unseen=np.zeros(0),
            missed=np.zeros(0, np.int64),
        )

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, rows: NDArray[np.bool_] | IntArray) -> Tracks:
        return Tracks(*(getattr(self, field.name)[rows] for field in fields(self)))

    @property
    def boxes(self) -> FloatArray:
        """(N, 4) the filtered boxes, in pixels."""
        edges = self.mean[..., 0]
        return np.asarray(
            np.concatenate([edges[:, :2], np.maximum(edges[:, 2:], edges[:, :2] + 1)], -1), np.float32
        )

    @property
    def labels(self) -> IntArray:
        """(N,) the label that each track's detections bore most."""
        return np.asarray(self.votes.argmax(-1) if len(self) else np.zeros(0, np.int64))


def predict(tracks: Tracks, frames: float, seconds: float) -> Tracks:
    """Move ``tracks`` on by ``frames`` frame intervals that took ``seconds``."""
    if not len(tracks):
        return tracks
    mean, cov = tracks.mean.copy(), tracks.covariance.copy()
    mean[..., 0] += frames * mean[..., 1]
    size = _size(mean[..., 0])
    cov[..., 0] += 2 * frames * cov[..., 1] + frames**2 * cov[..., 2] + frames * (POSITION * size) ** 2
    cov[..., 1] += frames * cov[..., 2]
    cov[..., 2] += frames * (VELOCITY * size) ** 2
    return replace(tracks, mean=mean, covariance=cov, unseen=tracks.unseen + seconds)


def step(
    tracks: Tracks, found: Detections, config: TrackerConfig, next_id: int
) -> tuple[Tracks, IntArray, int]:
    """Associate one picture's detections with tracks that ``predict`` has moved to its time.

    Returns the tracks (dead ones gone, new ones at the end), for each detection the row of its track or -1,
    and the next free id.
    """
    owner = np.full(len(found), -1, np.int64)
    free = np.ones(len(tracks), bool)

    def associate(rows: NDArray[np.bool_], candidates: NDArray[np.bool_], least: float, scored: bool) -> None:
        row, candidate = np.flatnonzero(rows & free), np.flatnonzero(candidates & (owner < 0))
        likeness = overlap[np.ix_(row, candidate)]
        pairs = assign(likeness * found.scores[candidate] if scored else likeness, least)
        owner[candidate[pairs[:, 1]]] = row[pairs[:, 0]]
        free[row[pairs[:, 0]]] = False

    overlap = iou(tracks.boxes, found.boxes)
    confirmed = tracks.hits >= config.confirm
    high = found.scores >= config.high
    associate(confirmed, high, config.first_iou, scored=True)
    associate(
        confirmed & (tracks.missed == 0), ~high & (found.scores >= config.low), config.second_iou, False
    )
    associate(~confirmed, high, config.new_iou, scored=True)

    seen = np.flatnonzero(owner >= 0)
    updated = _update(tracks, owner[seen], found[seen])
    alive = np.where(updated.hits >= config.confirm, updated.unseen <= config.keep_s, updated.missed == 0)
    alive &= ~_doubles(updated)
    starting = np.flatnonzero((owner < 0) & (found.scores >= max(config.start, config.high)))
    started = _start(found[starting], tracks.votes.shape[1], next_id)

    place = np.cumsum(alive) - 1
    owner[seen] = np.where(alive[owner[seen]], place[owner[seen]], -1)
    owner[starting] = int(alive.sum()) + np.arange(len(starting))
    return _join(updated[alive], started), owner, next_id + len(starting)


def assign(likeness: FloatArray, least: float) -> IntArray:
    """The pairs (K, 2) of row and column that are most alike, the best first, each at least ``least`` alike.

    Greedy, where ByteTrack solves for the best sum: in simulated traffic greedy switched fewer identities
    (192 against 208, see ``benchmarks/tracking.py``), as a sum may trade a good pair for two poor ones.
    """
    rows, columns = np.nonzero(likeness >= max(least, 1e-6))
    order = np.argsort(-likeness[rows, columns], kind="stable")
    taken: dict[int, int] = {}
    used: set[int] = set()
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if row not in taken and column not in used:
            taken[row] = column
            used.add(column)
    return np.array(list(taken.items()), np.int64).reshape(-1, 2)


def _size(edges: State) -> State:
    # (N, 1) the scale of a box's noise: its mean side.
    return np.asarray(np.maximum((edges[:, 2:] - edges[:, :2]).mean(-1, keepdims=True), 1))


def _update(tracks: Tracks, rows: IntArray, found: Detections) -> Tracks:
    mean, cov = tracks.mean.copy(), tracks.covariance.copy()
    position, shared, velocity = np.moveaxis(cov[rows], -1, 0)
    spread = position + (POSITION * _size(mean[rows, :, 0])) ** 2
    surprise = found.boxes - mean[rows, :, 0]
    mean[rows, :, 0] += position / spread * surprise
    mean[rows, :, 1] += shared / spread * surprise
    kept = 1 - position / spread
    cov[rows] = np.stack([kept * position, kept * shared, velocity - shared**2 / spread], -1)

    votes, scores, hits = tracks.votes.copy(), tracks.scores.copy(), tracks.hits.copy()
    unseen, missed = tracks.unseen.copy(), tracks.missed + 1
    votes[rows, found.labels] += found.scores
    scores[rows] = found.scores
    hits[rows] += 1
    unseen[rows] = 0
    missed[rows] = 0
    return Tracks(tracks.ids, mean, cov, votes, scores, hits, unseen, missed)


def _start(found: Detections, labels: int, next_id: int) -> Tracks:
    count = len(found)
    edges = found.boxes.astype(np.float64)
    size = np.repeat(_size(edges), 4, 1)
    votes = np.zeros((count, labels))
    votes[np.arange(count), found.labels] = found.scores
    return Tracks(
        ids=next_id + np.arange(count, dtype=np.int64),
        mean=np.stack([edges, np.zeros_like(edges)], -1),
        covariance=np.stack(
            [(2 * POSITION * size) ** 2, np.zeros_like(size), (10 * VELOCITY * size) ** 2], -1
        ),
        votes=votes,
        scores=found.scores,
        hits=np.ones(count, np.int64),
        unseen=np.zeros(count),
        missed=np.zeros(count, np.int64),
    )


def _doubles(tracks: Tracks) -> NDArray[np.bool_]:
    # A waiting track that lies on a seen one waits for a vehicle that was given a new id.
    overlap = iou(tracks.boxes, tracks.boxes) > 0.85
    waiting = tracks.missed > 0
    return np.asarray(waiting & (overlap & ~waiting[None, :]).any(1))


def _join(a: Tracks, b: Tracks) -> Tracks:
    return Tracks(*(np.concatenate([getattr(a, f.name), getattr(b, f.name)]) for f in fields(Tracks)))
