"""The event store: numbers, states, debts, tables of other versions, and many writers."""

import multiprocessing
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from plateloop.deployment import outbox, tables
from plateloop.deployment.sinks.store import StoreSink
from plateloop.deployment.sinks.worker import Result
from plateloop.deployment.store import Store, Stored
from plateloop.errors import UserError
from plateloop.types import Event

Made = Callable[..., Event]


@pytest.fixture
def opened(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "plateloop.db")


def test_each_stream_counts_its_phases(opened: Store, passage: Made) -> None:
    for stream, phase in [("a", "begin"), ("b", "begin"), ("a", "update"), ("b", "end"), ("a", "end")]:
        opened.append([passage(f"id-{stream}", phase, source=stream)], 1.0)
    rows = list(opened.select())
    assert [row.sequence for row in rows if row.event.source == "a"] == [1, 2, 3]
    assert [row.sequence for row in rows if row.event.source == "b"] == [1, 2]
    assert [(s.event.id, s.event.phase) for s in opened.latest()] == [("id-b", "end"), ("id-a", "end")]


def test_what_goes_in_comes_out(opened: Store, passage: Made) -> None:
    hostile = "'); DROP TABLE events; -- \x00 <b>é"
    event = passage("1", "end", source=hostile, text="AB'1\"%_")
    (kept,) = opened.append([event], 1234.567, frame=7, position=3)
    assert list(opened.select()) == [kept]
    assert kept.event == event and (kept.time, kept.frame, kept.position) == (1234.567, 7, 3)


def test_debts_are_paid_once_acknowledged(opened: Store, passage: Made) -> None:
    rows = [opened.append([passage(str(i), "end")], 1.0, owed_to=["x", "y"])[0].row for i in range(5)]
    outbox.acknowledge(opened, "x", rows[:2])
    assert [item.row for item in outbox.owed(opened, "x")] == rows[2:]
    assert [item.row for item in outbox.owed(opened, "x", after=rows[2], limit=1)] == rows[3:4]
    assert outbox.debts(opened) == {"x": 3, "y": 5}


def test_a_new_target_is_owed_everything_or_what_another_waits_for(opened: Store, passage: Made) -> None:
    opened.append([passage("before", "end")], 1.0)
    rows = [opened.append([passage(str(i), "end")], 1.0, owed_to=["kafka:old/t"])[0].row for i in range(3)]
    outbox.acknowledge(opened, "kafka:old/t", rows[:1])
    outbox.take_over(opened, "kafka:new/t", "kafka:%/t")
    assert [item.row for item in outbox.owed(opened, "kafka:new/t")] == rows[1:]
    outbox.acknowledge(opened, "kafka:new/t", rows[1:2])
    outbox.take_over(opened, "kafka:new/t", "kafka:%/t")
    outbox.owe_everything(opened, "kafka:third/t")
    assert outbox.debts(opened) == {"kafka:old/t": 2, "kafka:new/t": 1, "kafka:third/t": 4}


def test_events_from_elsewhere_are_loaded_once(opened: Store, passage: Made, tmp_path: Path) -> None:
    for phase in ("begin", "update", "end"):
        opened.append([passage("1", phase)], 1.0)
    other = Store.open(tmp_path / "other.db")
    assert other.load(opened.select()) == 3
    assert other.load(opened.select()) == 0
    assert [s.event for s in other.select()] == [s.event for s in opened.select()]
    # The next number of the stream comes after those that were loaded.
    assert other.append([passage("2", "begin")], 2.0)[0].sequence == 4


def test_tables_of_older_versions_are_brought_up_and_newer_refused(
    opened: Store, passage: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened.append([passage("1", "end")], 1.0)
    opened.close()

    def add_note(connection: Connection) -> None:
        connection.execute(text("ALTER TABLE events ADD COLUMN note TEXT"))

    with monkeypatch.context() as newer:
        newer.setattr(tables, "MIGRATIONS", (*tables.MIGRATIONS, add_note))
        for _ in range(2):
            migrated = Store.open(tmp_path / "plateloop.db")
            with migrated.reading() as connection:
                assert connection.execute(text("SELECT id, note FROM events")).all() == [("1", None)]
            migrated.close()
    with pytest.raises(UserError, match=r"newer plateloop.*version 2"):
        Store.open(tmp_path / "plateloop.db")


def test_a_migration_that_fails_changes_nothing(
    opened: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(connection: Connection) -> None:
        connection.execute(text("ALTER TABLE events ADD COLUMN note TEXT"))
        connection.execute(text("ALTER TABLE absent ADD COLUMN note TEXT"))

    with monkeypatch.context() as newer:
        newer.setattr(tables, "MIGRATIONS", (*tables.MIGRATIONS, half))
        with pytest.raises(UserError, match="no such table: absent"):
            Store.open(tmp_path / "plateloop.db")
    with Store.open(tmp_path / "plateloop.db").reading() as connection:
        assert "note" not in tuple(connection.execute(text("SELECT * FROM events")).keys())


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("absent.db", "no such store"),
        ("text.db", "cannot be opened as an event store"),
        ("other.db", "holds no event store"),
        ("mysql://u:secret@h/d", "SQLite or PostgreSQL"),
        ("postgresql://u:secret@127.0.0.1:1/d", "127.0.0.1"),
    ],
)
def test_what_is_no_store_is_told_in_one_line(place: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database" * 100)
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE x (y)")
    connection.close()
    with pytest.raises(UserError, match=said) as told:
        Store.open(place if "://" in place else tmp_path / place, create=False)
    assert "secret" not in str(told.value) and "\n" not in str(told.value)


def _write(path: Path, name: str, event: Event) -> None:
    opened = Store.open(path)
    for number in range(40):
        opened.append([event.model_copy(update={"id": f"{name}-{number}"})], 1.0, owed_to=["x"])


def test_many_processes_write_one_store(passage: Made, tmp_path: Path) -> None:
    path = tmp_path / "shared.db"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(path, name, passage("", "end"))) for name in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    rows = list(Store.open(path).select())
    assert [row.sequence for row in rows] == list(range(1, 121))
    assert len({row.event.id for row in rows}) == 120


def test_what_a_recording_brought_is_stored_whole_and_once(opened: Store, passage: Made) -> None:
    parts = [
        ([passage("a", "begin")], 10.0, 3),
        ([passage("a", "end"), passage("b", "begin")], 11.0, 4),
        ([passage("b", "end")], 12.0, 5),
    ]
    stored = opened.append_all(parts, 0, ["x"], once=True)
    assert [(item.sequence, item.time, item.frame) for item in stored] == [
        (1, 10.0, 3), (2, 11.0, 4), (3, 11.0, 4), (4, 12.0, 5)
    ]  # fmt: skip
    assert opened.append_all(parts[2:], 0, ["x"], once=True) == []
    assert opened.count() == 4 and len(outbox.owed(opened, "x")) == 4
    with pytest.raises(AttributeError):
        opened.append_all([*parts, ([None], 13.0, 6)], 0, ["x"])  # type: ignore[list-item]
    assert opened.count() == 4


class _Failing(Store):
    """A store whose disk is full for a while."""

    failures = 3

    def append_all(self, *arguments: object, **keys: object) -> list[Stored]:  # type: ignore[override]
        if self.failures:
            self.failures -= 1
            raise OperationalError("INSERT", {}, Exception("database or disk is full"))
        return super().append_all(*arguments, **keys)  # type: ignore[arg-type]


def test_events_wait_while_the_database_fails(
    opened: Store, passage: Made, caplog: pytest.LogCaptureFixture
) -> None:
    sink = StoreSink(_Failing(opened.engine), ["x"])
    for number in range(3):
        sink.write(Result(0, None, (), (passage(str(number), "end"),)))
    assert opened.count() == 0
    sink.close()
    assert [item.event.id for item in outbox.owed(opened, "x")] == ["0", "1", "2"]
    assert len(caplog.records) == 1 and "disk is full" in caplog.text
