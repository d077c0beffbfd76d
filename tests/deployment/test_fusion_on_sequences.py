"""Fusion on real sequences: 31 frames each of very small plates (RLPR_KR)."""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from plateloop.deployment.fusion import FusionConfig, Sighting, fuse, keep, sharpness, weight
from plateloop.frame import read_image
from plateloop.runtime.cascade import Cascade

CONFIG = FusionConfig()


@pytest.fixture(scope="module")
def tracks(
    collection: Path, shared_data: Path, package_weights: Path
) -> tuple[dict[int, tuple[str, list[Sighting]]], str]:
    """Sequence → text and sightings; the alphabet."""
    cascade = Cascade.load(threads=1, tasks=("lprnet",))
    sequences = defaultdict(list)
    for line in (shared_data / "crops.jsonl").read_text().splitlines():
        record = json.loads(line)
        if record.get("sequence") is not None:
            sequences[record["sequence"]].append(record)
    result = {}
    for sequence, records in sequences.items():
        frames = [read_image(collection / "crops" / record["file"]) for record in records]
        sightings = [
            Sighting(reading, weight(frame.height, sharpness(frame.rgb()[..., 1])))
            for frame, reading in zip(frames, cascade.read_crops(frames), strict=True)
        ]
        result[sequence] = (records[0]["text"], sightings)
    return result, cascade.sessions["lprnet"].card.alphabet


def test_a_sequence_is_read_better_than_its_frames_and_its_surest_frame(
    tracks: tuple[dict[int, tuple[str, list[Sighting]]], str],
) -> None:
    sequences, alphabet = tracks
    frame, surest, fused, claims = [], [], [], []
    for text, sightings in sequences.values():
        kept: tuple[Sighting, ...] = ()
        for sighting in sightings:
            kept = keep(kept, sighting, CONFIG.keep)
        result = fuse(kept, alphabet, CONFIG)
        frame.append(np.mean([s.reading.text == text for s in sightings]))
        surest.append(max(sightings, key=lambda s: s.reading.confidence).reading.text == text)
        fused.append(result.best == text)
        claims.append(result.text is not None and result.text != text)
    assert np.mean(fused) >= np.mean(frame) and sum(fused) >= sum(surest) - 1
    assert np.mean(claims) <= 0.15, "rather no text than a wrong one"
