"""Each page in ``examples`` runs as it stands, with a rendered clip in place of its cameras."""

import json
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import av
import pytest
import yaml

from plateloop.deployment.config import load_config
from plateloop.deployment.show import show

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
PAGES = sorted(EXAMPLES.glob("*.yaml"))


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory, demo_run: Path) -> Path:
    """The first moments of the demo's street, with several vehicles, at half its size."""
    path = tmp_path_factory.mktemp("street") / "street.mp4"
    with av.open(str(demo_run / "street.mp4")) as film, av.open(str(path), "w") as cut:
        stream = cut.add_stream("libx264", rate=25, options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for frame in islice(film.decode(video=0), 40):
            cut.mux(stream.encode(frame.reformat(640, 360)))
        cut.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_an_example_runs(path: Path, street: Path, tmp_path: Path) -> None:
    page = load_config(path, environ={})
    settings = [f"sources.{number}.url={street}" for number in range(len(page.sources))]
    code = 0
    if page.output.store is not None:
        settings.append(f"output.store={tmp_path / 'events.db'}")
    if page.kafka is not None:
        # Nobody answers there: the events wait in the store, which the exit code says.
        settings += ["kafka.servers=127.0.0.1:9", "kafka.patience_s=0.2"]
        code = 1
    if page.output.rtsp is not None:
        # Pushed to nobody: serving needs GStreamer.
        settings.append("output.rtsp=rtsp://127.0.0.1:9/plates")
    command = [
        sys.executable,
        "-m",
        "plateloop",
        "run",
        "--config",
        str(path),
        "--out",
        str(tmp_path / "out"),
    ]
    command += [str(street)] if not page.sources else []
    command += [part for setting in settings for part in ("--set", setting)]
    environ = {"PYTHONPATH": str(EXAMPLES), "PLATELOOP__NETWORKS__THREADS": "1"}
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | environ, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == code, done.stderr
    lines = (tmp_path / "out" / "events.jsonl").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    assert {event["phase"] for event in events} >= {"begin", "end"}
    # The clip stands upright: what a page turns upside down sees nothing in it.
    upright = {source.title for source in page.sources if not source.rotation} or {str(street)}
    assert {event["source"] for event in events} >= upright
    if page.output.tiles:
        assert list((tmp_path / "out").glob("tiled-*.mp4"))
    if path.stem == "probe":
        assert list((tmp_path / "vehicles").glob("*.jpg")), done.stderr
        assert "probe" not in done.stderr


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_shown_example_is_the_same_page(path: Path, tmp_path: Path) -> None:
    page = load_config(path, environ={})
    shown = tmp_path / "shown.yaml"
    shown.write_text(show(page), encoding="utf-8")
    assert load_config(shown, environ={}) == page
    assert yaml.safe_load(shown.read_text(encoding="utf-8"))
