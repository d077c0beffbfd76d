"""Streams over a local Ray cluster whose machines die: nothing seen is lost, nothing is stored twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import av
import pytest

from plateloop.deployment.cluster.actor import Actor
from plateloop.deployment.cluster.driver import ClusterRun
from plateloop.deployment.cluster.launch import ClusterLaunch, launch_over_cluster
from plateloop.deployment.cluster.task import Task
from plateloop.deployment.config import PipelineConfig, load_config
from plateloop.deployment.store import Store, Stored
from plateloop.errors import UserError

ray = pytest.importorskip("ray", reason="needs the extra ray")
# Ray leaves the pipes of the processes that it starts to the collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

CORES = 2
"""Of each machine that works; the head has fewer, so that no pipeline comes there."""
FRAMES = 200
"""Of each recording."""


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory, toy_clip: Callable[..., Path]) -> Path:
    """A folder of four videos: two cars each, in different places."""
    folder = tmp_path_factory.mktemp("recordings")
    for number in range(4):
        lefts = [10 + number + 2 * (n % 100) if n % 100 < 40 else None for n in range(FRAMES)]
        toy_clip(folder / f"{number}.mp4", lefts, preset="ultrafast")
    return folder


@pytest.fixture
def page(ray_cluster: Any, toy_weights: Path) -> Callable[..., PipelineConfig]:
    """``page(out, sources, **sections)``: a page for the cluster, for which each machine has room once."""

    def make(out: Path, sources: list[str], **sections: Any) -> PipelineConfig:
        output = {"folder": out, "overlay": False} | sections.pop("output", {})
        cluster = {"address": ray_cluster.address, "cores": CORES}
        overrides = {
            "fusion": {"min_length": 1},
            "events": {"merge_s": 0.5},
            # Batches of one: how frames meet in a batch changes the last digits of what the networks say.
            "networks": {"weights": toy_weights, "batch": 1},
            "output": output,
            "ray": cluster | sections.pop("ray", {}),
            **sections,
        }
        return load_config(None, sources, overrides, environ={})

    return make


@pytest.fixture
def machines(ray_cluster: Any) -> Iterator[list[Any]]:
    """Two machines of the cluster. Those that a test leaves alive are the next one's as well: a start takes
    seconds."""
    small = {"num_cpus": CORES, "object_store_memory": 80 * 2**20}
    while len(ray_cluster.worker_nodes) < 2:
        ray_cluster.add_node(**small)
    yield list(ray_cluster.worker_nodes)
    # Else the next driver on this machine might choose a dead node as its own.
    ray_cluster.wait_for_nodes()


def workers(node: Any) -> list[int]:
    """The processes of a machine that do its work."""
    raylet = node.all_processes["raylet"][0].process.pid
    return [int(pid) for pid in Path(f"/proc/{raylet}/task/{raylet}/children").read_text().split()]


def kill_pipelines(node: Any) -> None:
    for pid in workers(node):
        if b"Actor" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)


def kill_machine(cluster: Any, node: Any) -> None:
    for pid in workers(node):
        os.kill(pid, signal.SIGKILL)
    cluster.remove_node(node, allow_graceful=False)


def until(condition: Callable[[], object], seconds: float = 100) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


@contextmanager
def running(page: PipelineConfig) -> Iterator[ClusterLaunch]:
    """A run that goes on meanwhile; waited for in the end."""
    with launch_over_cluster(page) as launched:
        failures: list[Exception] = []
        thread = threading.Thread(target=lambda: failures.extend(launched.pipeline.run()))
        thread.start()
        try:
            yield launched
            thread.join(200)
            assert not thread.is_alive() and failures == []
        finally:
            launched.pipeline.stop()
            thread.join()


def stored(folder: Path) -> list[Stored]:
    with closing(Store.open(folder / "plateloop.db", create=False)) as store:
        return list(store.select())


def under_way(run: ClusterRun, node: str) -> list[Task]:
    tasks = [task for task in run.tasks if task.place is not None and task.place.node == node]
    return [task for task in tasks if 0 < task.report.frames < FRAMES - 80]


def test_recordings_survive_their_machines(
    ray_cluster: Any, machines: list[Any], page: Callable[..., PipelineConfig], clips: Path, tmp_path: Path
) -> None:
    with running(page(tmp_path / "calm", [str(clips)])) as launched:
        pass
    calm = stored(tmp_path / "calm")
    assert all(report.error is None and report.frames == FRAMES for report in launched.pipeline.reports)
    assert {report.restarts for report in launched.pipeline.reports} == {0}
    assert len({report.node for report in launched.pipeline.reports}) == 2
    assert Counter(item.event.phase for item in calm if item.event.phase != "update") == {
        "begin": 8,
        "end": 8,
    }

    disturbed = page(tmp_path / "disturbed", [str(clips)], output={"overlay": True})
    with running(disturbed) as launched:
        run = launched.pipeline
        driver = ray.get_runtime_context().get_node_id()
        lost, kept = sorted(machines, key=lambda node: node.node_id == driver)
        until(lambda: under_way(run, kept.node_id))
        kill_pipelines(kept)
        until(lambda: under_way(run, lost.node_id))
        kill_machine(ray_cluster, lost)
    restarts = [report.restarts for report in run.reports]
    assert sum(restarts) == 2, restarts
    assert all(report.error is None and report.frames == FRAMES for report in run.reports)

    def told(items: list[Stored]) -> dict[str, list[tuple[int, int, str]]]:
        sources: dict[str, list[tuple[int, int, str]]] = {}
        for item in items:
            sources.setdefault(item.event.source, []).append(
                (item.sequence, item.frame, item.event.model_dump_json())
            )
        return sources

    assert told(stored(tmp_path / "disturbed")) == told(calm), "the same events, each once, in the same order"
    for number in range(4):
        with av.open(str(tmp_path / "disturbed" / f"{number}-annotated.mp4")) as video:
            assert sum(1 for _ in video.decode(video=0)) == FRAMES
    assert not list((tmp_path / "disturbed").glob(".*"))

    gone = tmp_path / "gone.mp4"
    gone.write_bytes((clips / "0.mp4").read_bytes())
    with launch_over_cluster(page(tmp_path / "disturbed", [str(clips), str(gone)])) as launched:
        assert [task.over for task in launched.pipeline.tasks] == [True] * 4 + [False], "in the store already"
        gone.unlink()
        assert launched.pipeline.run() == []
    problem = str(launched.pipeline.reports[-1].error)
    assert "no such file" in problem and "machines must share it" in problem and "\n" not in problem
    assert told(stored(tmp_path / "disturbed")) == told(calm)


def test_a_recording_that_kills_what_reads_it_is_given_up(
    machines: list[Any], page: Callable[..., PipelineConfig], clips: Path, tmp_path: Path
) -> None:
    with running(page(tmp_path, [str(clips / "0.mp4")], ray={"attempts": 1})) as launched:
        run = launched.pipeline
        until(lambda: any(under_way(run, node.node_id) for node in machines))
        for node in machines:
            kill_pipelines(node)
    assert run.reports[0].error is not None and "given up" in run.reports[0].error
    assert stored(tmp_path) == []


def test_cameras_go_on_elsewhere(
    ray_cluster: Any,
    machines: list[Any],
    page: Callable[..., PipelineConfig],
    camera: Callable[[Path], str],
    passing_cars: Path,
    tmp_path: Path,
) -> None:
    urls = [camera(passing_cars), camera(passing_cars)]
    with running(page(tmp_path, urls)) as launched:
        run = launched.pipeline
        until(lambda: all(task.open for task in run.tasks))
        driver = ray.get_runtime_context().get_node_id()
        lost = next(node for node in machines if node.node_id != driver)
        moved = next(task for task in run.tasks if task.place and task.place.node == lost.node_id)
        stayed = next(task for task in run.tasks if task is not moved)
        before = set(moved.open)
        frames = moved.report.frames
        kill_machine(ray_cluster, lost)
        until(lambda: moved.open and set(moved.open) != before)
        assert moved.place is stayed.place and moved.report.frames > frames
        assert (moved.report.restarts, stayed.report.restarts) == (1, 0)
        run.stop()
    items = stored(tmp_path)
    for title in urls:
        of = [item for item in items if item.event.source == title]
        assert [item.sequence for item in of] == list(range(1, len(of) + 1))
        phases: dict[str, list[str]] = {}
        for item in of:
            phases.setdefault(item.event.id, []).append(item.event.phase)
        for row in phases.values():
            assert row[0] == "begin" and row[-1] == "end" and set(row[1:-1]) <= {"update"}
    assert before & {item.event.id for item in items if item.event.phase == "end"}
    assert [json.loads(line)["id"] for line in (tmp_path / "events.jsonl").read_text().splitlines()] == [
        item.event.id for item in items
    ]


def test_sigterm_ends_a_run_over_a_cluster_cleanly(
    ray_cluster: Any,
    machines: list[Any],
    camera: Callable[[Path], str],
    passing_cars: Path,
    toy_weights: Path,
    tmp_path: Path,
) -> None:
    settings = ["fusion.min_length=1", f"ray.cores={CORES}"]
    command = [
        *(sys.executable, "-m", "plateloop", "run", camera(passing_cars), "--json", "--no-overlay"),
        *("--ray", ray_cluster.address, "--weights", str(toy_weights), "--out", str(tmp_path / "out")),
        *(part for setting in settings for part in ("--set", setting)),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None and process.stderr is not None
        line = process.stdout.readline()
        assert line, process.stderr.read()
        first = json.loads(line)
        process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        out, err = process.communicate(timeout=30)
        assert process.returncode == 0 and err == "", err
        assert time.monotonic() - begun < 10
    finally:
        process.kill()
        process.wait()
    last = [json.loads(line) for line in out.splitlines()][-1]
    assert (first["phase"], last["phase"], last["id"]) == ("begin", "end", first["id"])


def test_another_folder_than_the_drivers_is_refused(
    page: Callable[..., PipelineConfig], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="let all machines share it"):
        Actor().begin(page(tmp_path / "out", []), tmp_path / "absent" / ".plateloop-1")


def test_a_bad_page_starts_nothing(page: Callable[..., PipelineConfig], clips: Path, tmp_path: Path) -> None:
    clip = str(clips / "0.mp4")
    bad: dict[str, PipelineConfig] = {
        "nothing to read": page(tmp_path / "out", []),
        "no such file": page(tmp_path / "out", ["absent.mp4"]),
        "two sources have this name": page(tmp_path / "out", [clip, clip]),
        "serves no page": page(tmp_path / "out", [clip], http={"listen": "127.0.0.1:0"}),
        "give both or none": page(tmp_path / "out", [clip], ray={"gpus": 0.25}),
        "no machine there has 64 cores": page(tmp_path / "out", [clip], ray={"cores": 64}),
        "no cluster answers": page(tmp_path / "out", [clip], ray={"address": "127.0.0.1:1"}),
    }
    for said, config in bad.items():
        with pytest.raises(UserError, match=said) as caught, launch_over_cluster(config):
            pass
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "out").exists()
