"""The slope of memory on made-up lines, and a short soak of a real run."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from plateloop.cli.main import app
from plateloop.errors import UserError
from plateloop.testing.faults.feed import Feed
from plateloop.testing.faults.subject import write_page
from plateloop.testing.soak import growth, plot, soak


def test_a_leak_is_measured_through_noise_and_bursts() -> None:
    rng = np.random.default_rng(0)
    seconds = np.arange(1800.0)
    flat = 400 + rng.normal(0, 2, len(seconds))
    flat[600:640] += 200
    slope, low, high = growth(seconds.tolist(), flat.tolist())
    assert low < 0 < high and abs(slope) < 0.02
    slope, low, high = growth(seconds.tolist(), (flat + 1.5 * seconds / 60).tolist())
    assert low < 1.5 < high and slope == pytest.approx(1.5, abs=0.02)
    with pytest.raises(UserError, match="too few"):
        growth([1, 2], [3, 4])


def test_a_short_soak_looks_at_the_real_process(
    tmp_path: Path, toy_weights: Path, toy_clip: Callable[..., Path]
) -> None:
    clip = toy_clip(tmp_path / "car.mp4", range(0, 400, 20))
    with Feed(clip) as feed:
        page = write_page(tmp_path / "page.yaml", [feed.url()], toy_weights)
        result = soak(page, tmp_path / "run", 11, 0, limit_mb_min=1e6)
    assert result.passed and len(result.samples) >= 10
    assert result.samples[-1].frames > result.samples[0].frames and result.samples[-1].rss_mb > 50
    plot(result, tmp_path / "soak.png")
    assert (tmp_path / "soak.png").read_bytes().startswith(b"\x89PNG")


def test_sources_and_a_page_together_are_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.yaml"
    page.write_text(json.dumps({"sources": []}), encoding="utf-8")
    result = CliRunner().invoke(app, ["test", "soak", "rtsp://127.0.0.1/x", "--config", str(page)])
    assert "not both" in str(result.exception)
