"""The same store in a private PostgreSQL."""

import threading
from collections.abc import Callable, Iterator
from itertools import islice

import pytest

from plateloop.deployment import outbox
from plateloop.deployment.lines import simulate
from plateloop.deployment.page.search import Search, history, last_row, newest, sources
from plateloop.deployment.store import Store
from plateloop.types import Event


@pytest.fixture
def opened(postgres: str) -> Iterator[Store]:
    store = Store.open(postgres)
    yield store
    with store.writing() as connection:
        connection.exec_driver_sql("DROP TABLE events, deliveries, streams, plateloop_schema")
    store.close()


def test_numbers_states_and_debts(opened: Store, passage: Callable[..., Event]) -> None:
    hostile = "'); DROP TABLE events; -- %s"
    opened.append([passage("a", "begin", source=hostile)], 1.0, owed_to=["kafka:x:1/t_t"])
    (row,) = opened.append([passage("a", "end", source=hostile)], 2.0, 7, 3, ["kafka:x:1/t_t"])
    assert [(i.sequence, i.event.phase) for i in opened.select()] == [(1, "begin"), (2, "end")]
    assert list(opened.latest()) == [row]
    outbox.acknowledge(opened, "kafka:x:1/t_t", [row.row])
    outbox.take_over(opened, "kafka:y:1/t_t", r"kafka:%/t\_t")
    outbox.owe_everything(opened, "kafka:z:1/t_t")
    assert outbox.debts(opened) == {"kafka:x:1/t_t": 1, "kafka:y:1/t_t": 1, "kafka:z:1/t_t": 2}
    assert opened.texts() == ["3047002"] and opened.prune(10) == 0 and opened.prune(10, owed_too=True) == 2


def test_loaded_once(opened: Store) -> None:
    made = list(islice(simulate(1e9), 200))
    assert (opened.load(made), opened.load(made)) == (200, 0)
    assert {(i.event.id, i.sequence) for i in opened.select()} == {(i.event.id, i.sequence) for i in made}


def test_many_writers_give_each_number_once(
    opened: Store, postgres: str, passage: Callable[..., Event]
) -> None:
    def write(name: str) -> None:
        mine = Store.open(postgres)
        for number in range(30):
            mine.append([passage(f"{name}{number}", "end")], 1.0, owed_to=["x"])
        mine.close()

    writers = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    rows = list(opened.select())
    assert [row.sequence for row in rows] == list(range(1, 91))
    assert len(outbox.owed(opened, "x")) == 90


def test_what_the_page_and_metrics_ask(opened: Store, passage: Callable[..., Event]) -> None:
    opened.append(
        [passage("a", "begin", text="7AB0123", source="yard"), passage("b", "end", text=None)],
        5.0,
        owed_to=["kafka"],
    )
    opened.append([passage("a", "end", text="7AB0123", source="yard")], 9.0, owed_to=["kafka"])
    opened.probe()
    assert last_row(opened) == 3 and sources(opened) == ["gate", "yard"]
    everything = newest(opened, Search().narrow(opened), 2)
    assert [(item.event.id, item.event.phase) for item in everything] == [("a", "end"), ("b", "end")]
    for wanted in (Search("7ab?1*"), Search("7ABO123"), Search("7A8O123", edits=1), Search(source="yard")):
        assert [item.event.id for item in newest(opened, wanted.narrow(opened), 5)] == ["a"]
    assert newest(opened, Search("7ABO123", exact=True).narrow(opened), 5) == []
    assert [item.event.phase for item in history(opened, "a")] == ["begin", "end"]
    assert outbox.lag(opened) == {"kafka": (3, 5.0)}
