"""What counts as lost, on made-up ledgers; and a real deployment that is killed and unplugged."""

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from typer.testing import CliRunner

from plateloop.cli.main import app
from plateloop.deployment.lines import simulate
from plateloop.deployment.store import Stored
from plateloop.testing.faults.audit import (
    FaultRow,
    disorder,
    missing,
    repeated,
    shown_whole,
    unreceived,
    unstored,
)
from plateloop.testing.faults.feed import Feed, Play
from plateloop.testing.faults.report import html
from plateloop.testing.faults.rig import Bench
from plateloop.testing.faults.subject import Told
from plateloop.testing.faults.trials import trial


def some(count: int = 40) -> list[Stored]:
    return list(islice(simulate(1e9), count))


def test_what_was_told_must_be_stored_and_what_is_stored_must_arrive() -> None:
    stored = some()
    told = [Told(item.event, 0.0) for item in stored]
    assert unstored(told, stored) == unreceived(stored, stored) == 0
    assert unstored(told, stored[1:]) == 1
    assert unreceived(stored, stored[:-2]) == 2


def test_what_comes_again_is_a_duplicate_and_no_disorder() -> None:
    stored = some()
    again = stored + stored[10:20]
    assert repeated(again) == 10 and disorder(again) == 0


def test_what_is_overtaken_is_out_of_order_and_a_store_has_no_gap() -> None:
    stream = [item for item in some(200) if item.event.source == some()[0].event.source]
    first = stream[0].sequence
    row = [replace(item, sequence=item.sequence - first + 1) for item in stream]
    assert disorder(row, gaps=True) == 0
    assert disorder([row[1], row[0], *row[2:]]) == 1
    assert disorder([row[0], *row[2:]]) == 0
    assert disorder([row[0], *row[2:]], gaps=True) == 1


def test_a_vehicle_counts_once_it_was_shown_whole_and_is_missed_where_nothing_was_told() -> None:
    event = some()[0].event.model_copy(update={"source": "gate 1", "text": "AB123CD"})
    known = {"AB123CD": 2.0}
    plays = [Play(0, 100.0, 5.0), Play(0, 110.0, 2.1), Play(0, 120.0, 5.0, damaged=True), Play(0, 130.0, 5.0)]
    shown = shown_whole(plays, known)
    assert [play.begun for play, _ in shown] == [100.0, 130.0]
    one = Told(event.model_copy(update={"text": "AB128CD"}), 102.0)
    two = Told(event.model_copy(update={"id": "other"}), 133.0)
    assert missing(shown, [one, two], 20) == []
    assert missing(shown, [one], 20) == ["AB123CD"]
    assert missing(shown, [one, replace(two, time=129.0)], 20) == ["AB123CD"]


def test_the_table_says_what_failed_and_what_was_skipped() -> None:
    lost = FaultRow(fault="disk full", lost=1)
    skipped = FaultRow(fault="broker down", skipped="no broker")
    assert not lost.passed and skipped.passed and not FaultRow(fault="x", exit_code=1).passed
    page = html([lost, skipped], "today")
    assert "Not all held" in page and "broker down: skipped, no broker" in page


def test_an_unknown_fault_is_named() -> None:
    result = CliRunner().invoke(app, ["test", "faults", "--only", "flood"])
    assert "no such fault" in str(result.exception)


def film(path: Path, frames: int = 45) -> Path:
    """A car with a plate that the toy networks read, for 1.5 s; ten frames a second."""
    with av.open(str(path), "w") as writer:
        stream = writer.add_stream("libx264", rate=10, options={"crf": "10", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 640, 384, "yuv420p"
        rgb = np.zeros((384, 640, 3), np.uint8)
        rgb[80:320, 20:220] = (0, 0, 255)
        rgb[200:240, 60:160] = (255, 0, 0)
        for number in range(frames):
            if number == 15:
                rgb[:] = 0
            writer.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        writer.mux(stream.encode(None))
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return film(tmp_path / "car.mp4")


@pytest.fixture
def bench(clip: Path, toy_weights: Path, tmp_path: Path) -> Iterator[Bench]:
    yield Bench(tmp_path / "out", clip, 1.0, {}, toy_weights, None, 2, 4.0, random.Random(1))


def test_a_feed_shows_the_clip_again_and_again_until_it_is_unplugged(tmp_path: Path) -> None:
    with Feed(film(tmp_path / "car.mp4", 20)) as feed:
        with av.open(feed.url(), timeout=10) as received:
            pictures = [picture for _, picture in zip(range(25), received.decode(video=0), strict=False)]
        assert len(pictures) == 25 and len(feed.plays) == 2
        assert feed.plays[0].sent_s == pytest.approx(2.0, abs=0.2)
        feed.unplug()
        with pytest.raises(OSError):
            av.open(feed.url(), timeout=5)


@pytest.mark.parametrize("fault", ["process killed", "disk full"])
def test_a_deployment_loses_nothing(bench: Bench, fault: str) -> None:
    row = trial(bench, fault)
    assert row.passed and row.injected >= 1, row
    assert row.told > 0 and row.stored >= row.told and len(row.recoveries_s) >= 1
