"""What becomes of a clip's vehicles: constructed events, then drawn clips through the real pipeline."""

import json
from pathlib import Path

import av
import numpy as np
import pytest

from plateloop.errors import UserError
from plateloop.testing.accuracy import measure
from plateloop.testing.accuracy_clips import Clip, judge_clip, read_clips
from plateloop.types import Event, EventPlate


def event(text: str | None, confidence: float = 0.9, plate: bool = True) -> Event:
    corners = ((0.0, 0.0), (9.0, 0.0), (9.0, 3.0), (0.0, 3.0))
    return Event(
        id=f"{text}-{confidence}",
        phase="end",
        source="a.mp4",
        track=1,
        text=text,
        confidence=confidence,
        first_s=0,
        last_s=1,
        frames=9,
        readings=3,
        vehicle=None,
        plate=EventPlate(box=(0, 0, 9, 3), corners=corners, confidence=0.9) if plate else None,
    )


def outcomes(truth: tuple[str, ...], *events: Event) -> dict[str | None, list[tuple[str, str | None]]]:
    result: dict[str | None, list[tuple[str, str | None]]] = {}
    for item in judge_clip(Clip(file="a.mp4", texts=truth), events):
        result.setdefault(item.truth, []).append((item.outcome, item.found))
    return result


def test_each_vehicle_of_the_truth_has_one_outcome() -> None:
    found = outcomes(("24LSB1", "89NVJP", "XX99YY"), event("24LSB1"), event("89NVJF"), event("24LSB1", 0.5))
    assert found == {
        "24LSB1": [("right", "24LSB1")],
        "89NVJP": [("misread by one", "89NVJF")],
        "XX99YY": [("not read", None)],
        None: [("extra", "24LSB1")],
    }


def test_of_two_equal_texts_the_surer_one_is_the_vehicle() -> None:
    right, extra = judge_clip(Clip(file="a.mp4", texts=("AB12",)), [event("AB12", 0.5), event("AB12", 0.9)])
    assert (right.outcome, right.confidence) == ("right", 0.9)
    assert (extra.outcome, extra.confidence) == ("extra", 0.5)


def test_what_is_missing_is_put_down_to_the_stage_that_failed() -> None:
    assert outcomes(("AB12",)) == {"AB12": [("vehicle not found", None)]}
    assert outcomes(("AB12",), event(None, plate=False)) == {"AB12": [("plate not found", None)]}
    assert outcomes(("AB12",), event(None)) == {"AB12": [("not read", None)]}


def test_clips_without_known_texts_are_left_out(tmp_path: Path) -> None:
    lines = [
        {"file": "a.mp4", "texts": ["AB12"], "split": "test", "fps": 12},
        {"file": "b.mp4", "split": "look", "note": "no truth"},
        {"file": "c.mp4", "texts": ["CD34"], "split": "val"},
    ]
    (tmp_path / "clips.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert [clip.file for clip in read_clips(tmp_path, "test")] == ["a.mp4"]
    assert [clip.file for clip in read_clips(tmp_path, None)] == ["a.mp4", "c.mp4"]
    with pytest.raises(UserError, match="no clip with texts in split train; there are: test, val"):
        read_clips(tmp_path, "train")
    (tmp_path / "clips.jsonl").write_text("{}\n")
    with pytest.raises(UserError, match=r"clips\.jsonl:1"):
        read_clips(tmp_path, None)


def film(path: Path, digit: int, frames: int = 20) -> None:
    """A clip in which the toy networks see a car pass whose plate reads ``digit``."""
    with av.open(str(path), "w") as writer:
        stream = writer.add_stream("libx264", rate=10, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 640, 384, "yuv420p"
        for number in range(frames):
            rgb = np.zeros((384, 640, 3), np.uint8)
            x = 20 + 4 * number
            rgb[80:320, x : x + 200] = (0, 0, 255)
            rgb[220:260, x + 60 : x + 160] = (255, round(255 * digit / 9), 0)
            writer.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        writer.mux(stream.encode(None))


def test_clips_run_through_the_pipeline(tmp_path: Path, toy_weights: Path) -> None:
    folder = tmp_path / "gate"
    folder.mkdir()
    film(folder / "a.mp4", 3)
    film(folder / "b.mp4", 4)
    lines = [{"file": "a.mp4", "texts": ["3"]}, {"file": "b.mp4", "texts": ["5"]}]
    (folder / "clips.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = measure([folder], None, weights=toy_weights, threads=1)
    # One character is too short a text for an event: the plates are found, but not told.
    found = {(item.file, item.truth, item.outcome) for item in result.items}
    assert found == {("a.mp4", "3", "not read"), ("b.mp4", "5", "not read")}
    assert result.scores["dataset"][0].group == "gate/clips"
    assert result.pictures == 2
