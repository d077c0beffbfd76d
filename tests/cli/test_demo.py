"""``plateloop demo`` from end to end, in a real process."""

import subprocess
import sys
from pathlib import Path

import av

from plateloop.testing.street import read_truth


def demo(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "plateloop", "demo", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)


def test_the_demo_leaves_a_film_events_and_an_honest_table(tmp_path: Path, toy_weights: Path) -> None:
    done = demo("--out", tmp_path, "--seconds", "0.2", "--weights", toy_weights)
    assert done.returncode == 0, done.stderr
    frames = read_truth(tmp_path / "street.truth.jsonl")
    assert len(frames) == 5
    with av.open(str(tmp_path / "street-annotated.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 5
    assert (tmp_path / "events.jsonl").exists()
    texts = {v.text for frame in frames for v in frame.vehicles if v.corners}
    told = done.stdout
    assert any(text in told for text in texts)
    assert "0 of" in told and "plates read exactly" in told  # the toy reader reads digits at best
    assert "street-annotated.mp4" in told.replace("\n", "")


def test_without_networks_nothing_is_rendered(tmp_path: Path) -> None:
    done = demo("--out", tmp_path / "out", "--weights", tmp_path / "absent")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_the_packages_networks_read_most_of_the_street(demo_run: Path) -> None:
    told = (demo_run / "stdout").read_text()
    rows = told.splitlines()
    assert sum(row.split()[-1] == "right" for row in rows if row.strip()) >= 4  # of six that pass in time
    assert "0 readings that belong to no vehicle" in told
