"""What a killed run left in its store: passages without an end, which the next run on it gives one."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from plateloop.deployment import outbox
from plateloop.deployment.config import PipelineConfig, load_config
from plateloop.deployment.keeping import keeping
from plateloop.deployment.sinks.probe import Probes
from plateloop.deployment.sinks.store import Brought
from plateloop.deployment.store import Store
from plateloop.types import Event

RUN = """
import sys, time
from pathlib import Path
from plateloop.deployment.config import load_config
from plateloop.deployment.keeping import keeping
from plateloop.deployment.sinks.probe import Probes
from plateloop.deployment.sinks.store import Brought
from plateloop.types import Event
store, folder, line = sys.argv[1:]
event = Event.model_validate_json(line)
with keeping(load_config(None, [], {"output": {"store": store}}, environ={}), Path(folder), Probes()) as kept:
    kept.keeper.take(0, event.source, (Brought((event,), 1.0, 1.0, 1),))
    print("open", flush=True)
    time.sleep(600)
"""


def test_where_no_lock_can_be_had_a_run_goes_on_and_says_so(
    passage: Callable[..., Event], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "plateloop.db-runs").touch()  # where the folder of locks would be
    page = load_config(None, ["rtsp://camera/gate"], {}, environ={})
    gate = page.sources[0].title
    with closing(Store.open(tmp_path / "plateloop.db")) as store:
        store.append([passage("cut", "begin", source=gate)], 100.0)
    with caplog.at_level(logging.WARNING), keeping(page, tmp_path, Probes()) as kept:
        assert [row.event.phase for row in kept.store.select()] == ["begin"]
        kept.keeper.close()
    (told,) = [record.getMessage() for record in caplog.records]
    assert "cannot be locked" in told and "stays so" in told and "\n" not in told


def test_open_passages_of_a_runs_own_sources_are_ended(
    passage: Callable[..., Event], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("paho.mqtt", reason="needs the extra mqtt")
    nobody = "mqtt://127.0.0.1:9/plates"
    page = load_config(None, ["rtsp://camera/gate"], {"mqtt": {"url": nobody}}, environ={})
    gate = page.sources[0].title
    with closing(Store.open(tmp_path / "plateloop.db")) as store:
        for id, phase in [("whole", "begin"), ("cut", "begin"), ("whole", "end"), ("cut", "update")]:
            store.append([passage(id, phase, source=gate)], 100.0, frame=7, position=2)
        store.append([passage("elsewhere", "begin", source="other")], 100.0)
    for _ in range(2):
        with caplog.at_level(logging.WARNING), keeping(page, tmp_path, Probes()) as kept:
            rows = list(kept.store.select(lambda query: query))
            assert [(row.event.id, row.event.phase) for row in rows[5:]] == [("cut", "end")]
            end, last = rows[5], rows[3]
            assert end.event == last.event.model_copy(update={"phase": "end"})
            assert (end.sequence, end.time, end.frame, end.position) == (5, last.time, last.frame, 2)
            assert [item.event.id for item in outbox.owed(kept.store, nobody)] == ["cut"]
            kept.keeper.close()
    told = [record.getMessage() for record in caplog.records if "killed run" in record.getMessage()]
    assert told == [f"{gate}: 1 passages that a killed run left open are ended as last told"]
    assert not list(tmp_path.glob("*-runs")), "no lock is left lying about"


@pytest.fixture(params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL or path of a new store that several runs have."""
    if request.param == "sqlite":
        yield str(tmp_path / "shared.db")
        return
    url = request.getfixturevalue("postgres")
    yield url
    with closing(Store.open(url)) as store, store.writing() as connection:
        connection.exec_driver_sql("DROP TABLE events, deliveries, streams, plateloop_schema")


@pytest.fixture
def begin(shared: str, tmp_path: Path, passage: Callable[..., Event]) -> Iterator[Callable]:
    """``begin(name)``: a process that runs, with a passage open in the stream of that name."""
    runs: list[subprocess.Popen[str]] = []

    def start(name: str) -> subprocess.Popen[str]:
        line = passage(f"of {name}", "begin", source=name).model_dump_json()
        command = [sys.executable, "-c", RUN, shared, str(tmp_path / name), line]
        runs.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        assert runs[-1].stdout is not None and runs[-1].stdout.readline() == "open\n"
        return runs[-1]

    yield start
    for run in runs:
        run.kill()
        run.communicate()


def page_of(shared: str, *names: str) -> PipelineConfig:
    sources = {"sources": [{"url": f"rtsp://camera/{name}", "name": name} for name in names]}
    page = load_config(None, [], {"output": {"store": shared}}, environ={})
    return PipelineConfig.model_validate(page.model_dump() | sources)


def phases(store: Store) -> dict[str, str]:
    return {item.event.id: item.event.phase for item in store.latest()}


def test_those_of_a_run_that_is_alive_stay_open(shared: str, begin: Callable, tmp_path: Path) -> None:
    page = page_of(shared, "gate", "yard")
    gate, yard = begin("gate"), begin("yard")

    def killed(run: subprocess.Popen[str], left: dict[str, str]) -> bool:
        # A server may learn of the death a moment later than we do.
        run.kill()
        run.wait()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with keeping(page, tmp_path / "next", Probes()) as kept:
                if phases(kept.store) == left:
                    return True
        return False

    assert killed(gate, {"of gate": "end", "of yard": "begin"})
    with keeping(page, tmp_path / "next", Probes()) as kept:
        assert phases(kept.store)["of yard"] == "begin"
    assert killed(yard, {"of gate": "end", "of yard": "end"})


def test_a_stream_that_comes_later_is_claimed_with_its_first_event(
    shared: str, tmp_path: Path, passage: Callable[..., Event]
) -> None:
    with closing(Store.open(shared)) as store:
        store.append([passage("of gate", "begin", source="gate")], 1.0)
    with keeping(page_of(shared), tmp_path / "next", Probes()) as kept:
        assert phases(kept.store) == {"of gate": "begin"}
        kept.keeper.take(0, "gate", (Brought((passage("new", "begin"),), 2.0, 2.0, 1),))
        assert phases(kept.store) == {"of gate": "end", "new": "begin"}
        with keeping(page_of(shared, "gate"), tmp_path / "beside", Probes()) as beside:
            assert phases(beside.store) == {"of gate": "end", "new": "begin"}


def test_claims_outlive_the_connections_of_a_database(
    postgres: str, tmp_path: Path, passage: Callable[..., Event]
) -> None:
    page = page_of(postgres, "gate")
    with keeping(page, tmp_path / "one", Probes()) as kept:
        kept.keeper.take(0, "gate", (Brought((passage("a", "begin"),), 1.0, 1.0, 1),))
        with closing(Store.open(postgres)) as other, other.writing() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        kept.store.probe()
        with keeping(page, tmp_path / "two", Probes()) as beside:
            assert phases(beside.store) == {"a": "begin"}
            with beside.store.writing() as connection:
                connection.exec_driver_sql("TRUNCATE events, deliveries, streams")
