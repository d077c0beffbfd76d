"""The page: shown with every key, set from outside; and the probes that it names."""

import logging
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from plateloop.deployment.config import PipelineConfig, load_config
from plateloop.deployment.pipeline import Pipeline
from plateloop.deployment.show import show
from plateloop.deployment.sinks.probe import Probe, ProbeConfig, load_probes
from plateloop.errors import UserError

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

FULL = """
sources:
  - url: rtsp://camera/stream
    name: "gate: north # 1"
    regions: [[[0, 0.5], [1, 0.5], [1, 1]], [[0, 0], [0.2, 0], [0, 0.3]]]
    max_fps: 12.5
    rotation: 270
    sensor: {id: '007', description: 'das "Tor"', location: [52.5, 13.4, 30]}
    place: {name: "кадр\\nzwei"}
  - url: 0
kafka: {servers: "host:9092", payload: full}
http: {listen: "127.0.0.1:0", names: [gate]}
probe: my.module:look
networks: {weights: /tmp/weights}
output: {folder: "-"}
"""


def test_the_page_shown_loads_as_the_same(tmp_path: Path) -> None:
    page = tmp_path / "page.yaml"
    for text in ("", FULL):
        page.write_text(text, encoding="utf-8")
        config = load_config(page, environ={})
        again = tmp_path / "shown.yaml"
        again.write_text(show(config), encoding="utf-8")
        assert load_config(again, environ={}) == config
        assert show(load_config(again, environ={})) == show(config)
    assert all(len(line) < 130 for line in show(PipelineConfig()).splitlines())


def test_every_key_is_shown_with_its_comment(tmp_path: Path) -> None:
    page = tmp_path / "page.yaml"
    page.write_text(FULL, encoding="utf-8")
    lines = show(load_config(page, environ={})).splitlines()
    for before, line in pairwise(lines):
        key = line.strip().removeprefix("- ")
        if not key.startswith("#") and ":" in key:
            assert before.strip().startswith("#") or line.strip().startswith("- "), line
    data = yaml.safe_load("\n".join(lines))
    assert set(data) == set(PipelineConfig.model_fields)


def test_passwords_are_not_shown(tmp_path: Path) -> None:
    page = tmp_path / "page.yaml"
    page.write_text(
        "sources: [{url: 'rtsp://u:s3cret@h/x'}]\noutput: {store: 'postgresql://u:s3cret@h/db'}\n"
    )
    assert "s3cret" not in show(load_config(page)) and "u:***@h/x" in show(load_config(page))


def test_single_keys_from_the_environment_and_the_command_line(tmp_path: Path) -> None:
    page = tmp_path / "page.yaml"
    page.write_text("schedule: {interval: 4, min_plate: 9}\nsources: [{url: a.mp4}]\n")
    environ = {
        "PLATELOOP__SCHEDULE__INTERVAL": "5",
        "PLATELOOP__SCHEDULE__MIN_PLATE": "10",
        "PLATELOOP__SOURCES__0__URL": "rtsp://u:p@h/1",
        "PLATELOOP__QUEUE": "3",
        "PLATELOOP_KAFKA": "not a key of the page",
    }
    settings = ["schedule.interval=6", "sources.1.url=b.mp4", "kafka.servers=h:1", "output.mp4.crf=30"]
    config = load_config(page, [], {"kafka": {"topic": "t"}}, settings, environ)
    assert (config.schedule.interval, config.schedule.min_plate, config.queue) == (6, 10, 3)
    assert [source.url for source in config.sources] == ["rtsp://u:p@h/1", "b.mp4"]
    assert config.kafka is not None and (config.kafka.servers, config.kafka.topic) == ("h:1", "t")
    assert config.output.mp4.crf == 30


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("schedule.intervall=2", "did you mean interval"),
        ("scedule.interval=2", "did you mean schedule"),
        ("schedule", "expected section.key=value"),
        ("queue.x=1", None),
        ("sources.7.url=a", "0 items"),
        ("sources.url=a", "0 items"),
        ("queue=[", "not YAML"),
        ("probe=os", "probe"),
    ],
)
def test_wrong_settings_are_one_line(setting: str, said: str | None) -> None:
    with pytest.raises(UserError) as caught:
        load_config(None, settings=[setting], environ={})
    assert (said or "queue") in str(caught.value) and "\n" not in str(caught.value)


PROBES = """
seen, tracks, events = [], [], []

def look(view):
    seen.append((view.index, view.clock, view.frame.rgb().shape, len(view.tracks)))

def follow(track, view):
    tracks.append((track.text, track.label, track.box, view.index))

def take(event):
    events.append((event.phase, event.text))

def fail(view):
    if view.index % 2:
        raise ValueError("no\\nluck")
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "probes_of_a_test.py").write_text(PROBES)
    (tmp_path / "broken_probe.py").write_text("1 / 0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield "probes_of_a_test"
    sys.modules.pop("probes_of_a_test", None)


def test_probes_see_frames_tracks_and_events(
    module: str, write_video: Callable, numbered: Callable, simulated: tuple
) -> None:
    car, networks_of = simulated
    clip = str(write_video("v.mp4", numbered(40, 160, 96)))
    names = {
        key: f"{module}:{name}" for key, name in zip(("frame", "track"), ("look", "follow"), strict=True)
    }
    config = load_config(None, [clip], {"probe": {**names, "event": f"{module}:take"}})
    probes = load_probes(config.probe)
    Pipeline(config, networks_of([car("AB123CD")]), ALPHABET, [Probe(probes)]).run()
    saw = sys.modules[module]
    assert [row[0] for row in saw.seen] == list(range(40)) and saw.seen[0][1:3] == ("file", (96, 160, 3))
    assert {text for text, *_ in saw.tracks[-20:]} == {"AB123CD"} and saw.tracks[-1][1] == "car"
    assert saw.tracks[-1][2] == pytest.approx(car("").box(39).tolist(), abs=3)
    assert saw.events[0][0] == "begin" and saw.events[-1] == ("end", "AB123CD")


def test_a_probe_that_fails_is_told_once_and_stops_nothing(
    module: str, write_video: Callable, numbered: Callable, simulated: tuple, caplog: pytest.LogCaptureFixture
) -> None:
    _, networks_of = simulated
    clip = str(write_video("v.mp4", numbered(20, 160, 96)))
    config = load_config(None, [clip], settings=[f"probe={module}:fail"])
    with caplog.at_level(logging.WARNING):
        pipeline = Pipeline(config, networks_of([]), ALPHABET, [Probe(load_probes(config.probe))])
        assert pipeline.run() == [] and pipeline.reports[0].frames == 20
    first, last = (record.getMessage() for record in caplog.records)
    assert "ValueError: no luck" in first and "probes_of_a_test.py, line 15" in first and "\n" not in first
    assert "failed 10 times" in last


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("absent_module:look", "no Python module absent_module"),
        ("probes_of_a_test:absent", "probes_of_a_test has no absent"),
        ("probes_of_a_test:seen", "is no function"),
        ("broken_probe:look", "ZeroDivisionError"),
    ],
)
def test_a_bad_name_is_one_line(module: str, name: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        load_probes(ProbeConfig(frame=name))
    assert "\n" not in str(caught.value)
