"""The throughput test on a drawn clip, through the real pipeline with toy networks."""

import json
from pathlib import Path

import av
import numpy as np
import pytest
from typer.testing import CliRunner

from plateloop.cli.main import app
from plateloop.deployment.config import load_config
from plateloop.deployment.launch import launch
from plateloop.errors import UserError
from plateloop.testing.throughput import throughput

FRAMES = 30


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "car.mp4"
    with av.open(str(path), "w") as writer:
        stream = writer.add_stream("libx264", rate=10, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 640, 384, "yuv420p"
        rgb = np.zeros((384, 640, 3), np.uint8)
        rgb[80:320, 20:220] = (0, 0, 255)
        for _ in range(FRAMES):
            writer.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        writer.mux(stream.encode(None))
    return path


def test_every_frame_is_counted_and_time_accounted_for(clip: Path, toy_weights: Path, tmp_path: Path) -> None:
    overrides = {
        "networks": {"weights": toy_weights, "threads": 1},
        "output": {"folder": tmp_path / "out", "overlay": False},
    }
    done: list[int] = []
    with launch(load_config(None, [str(clip), str(clip)], overrides)) as run:
        result = throughput(run.pipeline, advance=done.append)
    assert (result.sources, result.frames, result.dropped) == (2, 2 * FRAMES, 0)
    assert result.frames_per_second == pytest.approx(result.frames / result.seconds, rel=0.01)
    # Stages follow each other in one thread: together they cannot take longer than the run.
    assert 0 < sum(result.stage_ms.values()) <= 1000 / result.frames_per_second * 1.01
    assert result.vehicles == 2
    assert 20 < result.peak_mb < 4000
    assert 0 < sum(done) <= 2 * FRAMES


def test_a_source_that_breaks_is_an_error_not_a_figure(clip: Path, toy_weights: Path, tmp_path: Path) -> None:
    other = tmp_path / "broken.mp4"
    other.write_bytes(clip.read_bytes())
    overrides = {"networks": {"weights": toy_weights, "threads": 1}, "output": {"folder": tmp_path / "out"}}
    with launch(load_config(None, [str(clip), str(other)], overrides)) as run:
        other.unlink()
        with pytest.raises(UserError, match=r"broken\.mp4"):
            throughput(run.pipeline)


def test_command_stops_in_time_and_prints_json_or_a_table(clip: Path, toy_weights: Path) -> None:
    arguments = ["test", "throughput", str(clip), "--weights", str(toy_weights), "--threads", "1"]
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["frames"] == FRAMES
    assert "frames/s" in CliRunner().invoke(app, arguments).stdout
