"""Sources that come, go, stall or die while others run."""

import http.server
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from plateloop.deployment.config import load_config
from plateloop.deployment.launch import launch
from plateloop.deployment.pipeline import Pipeline
from plateloop.deployment.sinks.worker import Result
from plateloop.deployment.sources import SourceConfig
from plateloop.errors import UserError

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Collect:
    """A sink that keeps events and the time of each frame."""

    def __init__(self) -> None:
        self.events: list = []
        self.frames: dict[int, list[float]] = {}

    def write(self, result: Result) -> None:
        self.events += result.events
        if result.shot is not None:
            self.frames.setdefault(result.stream, []).append(time.monotonic())

    def close(self) -> None:
        pass


def wait_for(truth: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not truth():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def camera(write_video: Callable, numbered: Callable) -> Iterator[Callable[[str], str]]:
    """``camera(kind)`` → a URL: ``live`` sends 20 frames/s, ``slow`` 2, ``stalling`` stops in the middle."""
    # Noise makes all frames about equally long, so that bytes sent evenly are frames sent evenly.
    rng = np.random.default_rng(0)
    noisy = [picture + rng.integers(0, 9, picture.shape, np.uint8) for picture in numbered(70, 160, 96)]
    body = write_video("live.ts", noisy).read_bytes()
    over = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind = self.path.strip("/")
            self.send_response(200)
            self.send_header("Content-Type", "video/mp2t")
            self.end_headers()
            step = len(body) // 70 // 188 * 188 + 188
            pause = {"live": 0.05, "slow": 0.5, "stalling": 0.01}[kind]
            try:
                for number, start in enumerate(range(0, len(body), step)):
                    if kind == "stalling" and number == 40:
                        over.wait(30)
                    if over.wait(pause):
                        return
                    self.wfile.write(body[start : start + step])
            except OSError:
                pass

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield lambda kind: f"http://127.0.0.1:{server.server_port}/{kind}"
    over.set()
    server.shutdown()
    server.server_close()


def start(
    networks: object, sources: list[SourceConfig], sink: Collect, forever: bool
) -> tuple[Pipeline, threading.Thread]:
    config = load_config(None).model_copy(update={"sources": tuple(sources)})
    pipeline = Pipeline(config, networks, ALPHABET, [sink])  # type: ignore[arg-type]
    thread = threading.Thread(target=pipeline.run, kwargs={"forever": forever}, daemon=True)
    thread.start()
    return pipeline, thread


def test_sources_come_and_go_while_it_runs(
    write_video: Callable, numbered: Callable, simulated: tuple, camera: Callable[[str], str]
) -> None:
    car, networks_of = simulated
    sink = Collect()
    pipeline, thread = start(networks_of([car("AB123CD", speed=0)]), [], sink, forever=True)
    clip = str(write_video("clip.mp4", numbered(30, 160, 96)))
    assert pipeline.add(SourceConfig(url=clip, name="first")) == 0
    wait_for(lambda: pipeline.reports[0].ended)
    assert thread.is_alive()
    gate = SourceConfig(url=camera("live"), name="gate", retry_s=0.05)
    number = pipeline.add(gate)
    with pytest.raises(UserError, match="gate: a source of this name runs already"):
        pipeline.add(gate)
    with pytest.raises(UserError, match="no such file"):
        pipeline.add(SourceConfig(url="absent.mp4"))
    wait_for(lambda: pipeline.reports[number].plates + pipeline.reports[number].vehicles)
    pipeline.remove("gate")
    wait_for(lambda: pipeline.reports[number].ended, 2)
    with pytest.raises(UserError, match="no source of this name"):
        pipeline.remove("gate")
    wait_for(lambda: [e.text for e in sink.events if e.phase == "end" and e.source == "gate"] == ["AB123CD"])
    again = pipeline.add(gate)
    wait_for(lambda: pipeline.reports[again].frames)
    pipeline.stop()
    thread.join(10)
    assert not thread.is_alive()
    with pytest.raises(RuntimeError, match="ended"):
        pipeline.add(SourceConfig(url=clip, name="late"))
    assert {e.phase for e in sink.events if e.source == "first"} >= {"begin", "end"}


def test_many_threads_add_and_remove(write_video: Callable, numbered: Callable, simulated: tuple) -> None:
    _, networks_of = simulated
    sink = Collect()
    clip = str(write_video("clip.mp4", numbered(20, 160, 96)))
    pipeline, thread = start(networks_of([]), [], sink, forever=True)
    wait_for(lambda: pipeline.workers)

    def churn(worker: int) -> None:
        for turn in range(5):
            name = f"{worker}-{turn}"
            pipeline.add(SourceConfig(url=clip, name=name))
            if turn % 2:
                try:
                    pipeline.remove(name)
                except UserError:
                    assert next(r for r in pipeline.reports if r.source == name).ended

    workers = [threading.Thread(target=churn, args=(n,)) for n in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(20)
    wait_for(lambda: len(pipeline.reports) == 30 and all(report.ended for report in pipeline.reports))
    whole = [report.frames for report in pipeline.reports if int(report.source[-1]) % 2 == 0]
    assert whole == [20] * 18
    pipeline.stop()
    thread.join(10)
    assert not thread.is_alive()


def test_slow_stalled_and_dead_streams_slow_nobody(
    simulated: tuple, camera: Callable[[str], str], tmp_path: Path
) -> None:
    car, networks_of = simulated
    sink = Collect()
    urls = {"live": camera("live"), "slow": camera("slow"), "stalling": camera("stalling")}
    urls["dead"] = "rtsp://127.0.0.1:9/cam"
    sources = [
        SourceConfig(url=url, name=name, timeout_s=1, retry_s=0.1, retry_most_s=0.2)
        for name, url in urls.items()
    ]
    pipeline, thread = start(networks_of([car("AB123CD", speed=0)]), sources, sink, forever=False)
    wait_for(lambda: len(sink.frames.get(0, ())) >= 80)
    pipeline.stop()
    thread.join(10)
    live = sink.frames[0]
    # 20 frames/s as it is sent, without a gap that another stream makes.
    rate = (len(live) - 21) / (live[-1] - live[20])
    assert rate == pytest.approx(20, rel=0.25)
    assert sorted(np.diff(live))[-6] < 0.3
    assert len(sink.frames[2]) > 60, "what stalls is opened again"
    assert pipeline.reports[0].dropped == 0 and 3 not in sink.frames


def test_an_added_source_has_its_video_and_its_latency(
    write_video: Callable, toy_scene: Callable, toy_weights: Path, tmp_path: Path
) -> None:
    clip = write_video("car.mp4", [toy_scene(100)] * 40)
    options = {
        "networks": {"weights": toy_weights, "threads": 1},
        "output": {"folder": tmp_path / "out"},
        "fusion": {"min_length": 1},
    }
    with launch(load_config(None, [str(clip)], options, environ={})) as run:
        thread = threading.Thread(target=run.pipeline.run, kwargs={"forever": True}, daemon=True)
        thread.start()
        added = run.pipeline.add(SourceConfig(url=str(clip), name="../later"))
        wait_for(lambda: all(report.ended for report in run.pipeline.reports))
        run.pipeline.stop()
        thread.join(10)
        assert run.latencies[added].count >= 1 and 0 < (run.latencies[added].p95 or 0) < 20
    names = {path.name for path in (tmp_path / "out").glob("*.mp4")}
    assert names == {"car-annotated.mp4", "later-annotated.mp4"}
