"""What Prometheus and a supervisor are told of a run."""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from plateloop.cli.main import main
from plateloop.deployment import logs
from plateloop.deployment.config import PipelineConfig
from plateloop.deployment.operations import Operations, is_alive
from plateloop.deployment.pipeline import Pipeline
from plateloop.deployment.sinks.store import StoreSink
from plateloop.deployment.store import Store
from plateloop.deployment.watch import Watch

prometheus = pytest.importorskip("prometheus_client.parser", reason="needs the extra page")
httpx = pytest.importorskip("httpx")

from plateloop.deployment.metrics import exposition  # noqa: E402

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path / "events.db")
    yield opened
    opened.close()


def samples(operations: Operations) -> dict[tuple[str, ...], float]:
    """``(name, *values of the labels by name, but stream and number)`` → value, of all samples."""
    found = {}
    for family in prometheus.text_string_to_metric_families(exposition(operations).decode()):
        for sample in family.samples:
            labels = {k: v for k, v in sample.labels.items() if k not in ("stream", "number")}
            found[(sample.name, *(labels[key] for key in sorted(labels)))] = sample.value
    return found


def test_metrics_say_what_was_counted(
    store: Store, write_video: Callable, numbered: Callable, simulated: tuple
) -> None:
    car, networks_of = simulated
    video = write_video("street.mp4", numbered(60, 320, 96))
    config = PipelineConfig.model_validate(
        {"sources": [{"url": str(video), "name": 'a "gate"\n\\'}, {"url": str(video)}]}
    )
    name = config.sources[0].title
    cars = [car("AB123CD", start=10, speed=3, last=45)]
    watch = Watch()
    keeper = StoreSink(store, ["kafka:there/plates"])
    pipeline = Pipeline(config, networks_of(cars), ALPHABET, [keeper, watch])
    operations = Operations(pipeline, store, watch, keeper.latencies, ["kafka:there/plates"])
    assert samples(operations)[("plateloop_source_up", name)] == 0
    assert operations.problems() == ["no source delivers frames"]
    pipeline.run()
    found = samples(operations)
    for source in (name, str(video)):
        assert found[("plateloop_frames_total", source)] == 60
        assert found[("plateloop_frames_dropped_total", source)] == 0
        assert found[("plateloop_vehicles_total", source)] == 1
        assert found[("plateloop_plates_read_total", source)] == 1
        assert found[("plateloop_readings_total", "accepted", source)] > 3
        assert found[("plateloop_readings_total", "rejected", source)] == 0
        assert found[("plateloop_event_latency_seconds_count", source)] >= 2
        assert 0 < found[("plateloop_event_latency_seconds_sum", source)] < 60
        assert found[("plateloop_event_latency_seconds_bucket", "+Inf", source)] >= 2
    assert found[("plateloop_stage_seconds_total", "tcnet")] > 0
    assert found[("plateloop_sink_failed", "StoreSink")] == 0
    assert found[("plateloop_delivery_owed", "kafka:there/plates")] == store.count() > 3
    assert 0 <= found[("plateloop_delivery_lag_seconds", "kafka:there/plates")] < 60
    assert watch.picture(0, 160) is not None


def test_a_run_is_ready_when_it_reads_and_its_store_takes_events(
    start_run: Callable[..., Any], camera: Callable[[Path], str], passing_cars: Path
) -> None:
    dead = {"url": "rtsp://127.0.0.1:9/", "name": "dead", "retry_s": 30}
    run = start_run({"sources": [{"url": camera(passing_cars)}, dead], "output": {"overlay": False}})

    def ask(path: str) -> Any:
        return httpx.get(run.url + path)

    deadline = time.monotonic() + 20
    while ask("readyz").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert ask("healthz").json() == {"ok": True, "problems": []}
    deadline = time.monotonic() + 20
    while 'plateloop_source_reconnects_total{source="dead",stream="1"} 1.0' not in ask("metrics").text:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert httpx.get(f"{run.url}metrics", headers={"host": "evil.example"}).status_code == 400


def test_a_store_that_cannot_be_written_is_not_ready(store: Store, tmp_path: Path) -> None:
    store.probe()
    with sqlite3.connect(tmp_path / "events.db") as other:
        other.execute("ALTER TABLE plateloop_schema RENAME TO gone")
    pipeline = Pipeline(PipelineConfig(), _Nothing(), ALPHABET)  # type: ignore[arg-type]
    problems = Operations(pipeline, store, Watch(), {}).problems()
    assert any("the event store cannot be written" in problem for problem in problems)
    assert is_alive(pipeline)


class _Nothing:
    labels = ("car",)


def test_logs_are_json_without_passwords(capsys: pytest.CaptureFixture[str]) -> None:
    before = logging.getLogger().handlers[:], logging.getLogger().level
    try:
        logs.configure(logging.StreamHandler(), "json", logging.INFO)
        logs.source.set("gate")
        log = logging.getLogger("plateloop.test")
        log.info("lost %s\n%s", "rtsp://u:hunter2@h/x", "http://h/?token=hunter2&a=1")
        try:
            raise OSError("http://u:hunter2@h/")
        except OSError:
            log.exception("failed")
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    finally:
        logging.basicConfig(handlers=before[0], level=before[1], force=True)
        logs.source.set(None)
    assert [line["level"] for line in lines] == ["info", "error"]
    assert lines[0]["message"] == "lost rtsp://u:***@h/x\nhttp://h/?token=***&a=1"
    assert lines[0]["source"] == "gate" and lines[0]["time"].endswith("Z")
    assert "u:***@h" in lines[1]["exception"] and "hunter2" not in json.dumps(lines)


def test_mistakes_are_log_lines_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = logging.getLogger().handlers[:], logging.getLogger().level
    monkeypatch.setattr("sys.argv", ["plateloop", "run", "nowhere.mp4", "--log-format", "json"])
    try:
        with pytest.raises(SystemExit) as ended:
            main()
    finally:
        logging.basicConfig(handlers=before[0], level=before[1], force=True)
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2 and json.loads(line)["message"] == "nowhere.mp4: no such file or folder"
