"""The event store: every event is committed here before anything delivers it.

SQLite in the box, PostgreSQL by its URL. Each phase of an event is a row, numbered within its stream; the
newest row of an id is its state. What is owed to whom stands beside it (``outbox``), written in the same
transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from plateloop.deployment.tables import deliveries, events, migrate, streams, versions
from plateloop.errors import UserError
from plateloop.passwords import redact
from plateloop.types import Event

Narrow = Callable[[sql.Select[Any]], sql.Select[Any]]


@dataclass(frozen=True, slots=True)
class Stored:
    """An event as it stands in the store.

    ``row`` is its place in the store, ``sequence`` its number within its stream (from 1, rising),
    ``position`` the number of its source in the run that saw it, ``time`` the Unix time and ``frame`` the
    index of the frame that brought it.
    """

    row: int
    sequence: int
    position: int
    time: float
    frame: int
    event: Event


class Store:
    """An open event store; may be used by several threads and processes at once.

    Methods raise ``sqlalchemy.exc.SQLAlchemyError`` where the database fails; ``open`` raises UserError.
    """

    def __init__(self, engine: sql.Engine) -> None:
        self.engine = engine

    @classmethod
    def open(cls, place: str | Path, create: bool = True) -> Store:
        """Open the store at a database URL or in an SQLite file, and bring its tables to this version.

        ``create`` makes a file that is not there. Raises UserError where that cannot be.
        """
        url = _url(place)
        # There may be one among the options too.
        shown = redact(url.render_as_string(hide_password=True))
        file = url.database if url.get_backend_name() == "sqlite" else None
        if file and file != ":memory:" and not create and not Path(file).is_file():
            raise UserError(f"{file}: no such store")
        try:
            store = cls(_engine(url))
            with store.writing() as connection:
                migrate(connection, file or shown, create)
        except ModuleNotFoundError as error:
            raise UserError(f"{shown}: needs the Python package {error.name}; install it") from None
        except (SQLAlchemyError, OSError) as error:
            raise UserError(f"{file or shown}: cannot be opened as an event store ({_why(error)})") from None
        return store

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[sql.Connection]:
        """A transaction that only reads: one state of the database, nobody is held up."""
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sql.Connection]:
        """A transaction that writes; on disk when it ends without an exception."""
        with self.engine.execution_options(plateloop_writes=True).begin() as connection:
            yield connection

    def append(
        self,
        news: Sequence[Event],
        time_s: float,
        frame: int = 0,
        position: int = 0,
        owed_to: Iterable[str] = (),
    ) -> list[Stored]:
        """Commit events, each with the next number of its stream, and owe them to the targets."""
        return self.append_all([(news, time_s, frame)], position, owed_to)

    def append_all(
        self,
        parts: Sequence[tuple[Sequence[Event], float, int]],
        position: int = 0,
        owed_to: Iterable[str] = (),
        once: bool = False,
    ) -> list[Stored]:
        """Commit what several frames (events, Unix time, index) brought, all of it or nothing.

        ``once``: nothing where one of the ids is in the store already.
        """
        ids = {event.id for news, _, _ in parts for event in news} if once else set()
        with self.writing() as connection:
            stored: list[Stored] = []
            if holds_one(connection, sorted(ids)):
                return stored
            for news, time_s, frame in parts:
                for event in news:
                    sequence = _next_number(connection, event.source, position)
                    row = _insert(connection, event, sequence, round(time_s, 3), frame)
                    assert row is not None
                    stored.append(Stored(row, sequence, position, round(time_s, 3), frame, event))
            _owe(connection, [item.row for item in stored], owed_to)
        return stored

    def load(self, items: Iterable[Stored], owed_to: Iterable[str] = ()) -> int:
        """Commit events that were numbered elsewhere, each id and number once; returns how many were new."""
        new = []
        with self.writing() as connection:
            for item in items:
                _reach(connection, item.event.source, item.position, item.sequence)
                row = _insert(connection, item.event, item.sequence, item.time, item.frame)
                if row is not None:
                    new.append(row)
            _owe(connection, new, owed_to)
        return len(new)

    def latest(self, narrow: Narrow = lambda query: query) -> Iterator[Stored]:
        """The newest state of each id, in the order in which these came; of those a narrowed query's."""
        later = events.alias()
        newest = ~sql.exists().where(
            later.c.id == events.c.id, later.c.sequence > events.c.sequence
        ).correlate(events)
        return self.select(lambda query: narrow(query.where(newest)))

    def select(self, narrow: Narrow = lambda query: query) -> Iterator[Stored]:
        """All rows in order, or those of a narrowed query."""
        query = narrow(stored_columns()).order_by(events.c.row)
        with self.reading() as connection:
            for row in connection.execution_options(yield_per=500).execute(query):
                yield as_stored(row)

    def texts(self) -> list[str]:
        """The plate texts that were ever read, each once."""
        query = sql.select(events.c.text).where(events.c.text.is_not(None)).distinct()
        with self.reading() as connection:
            return sorted(connection.execute(query).scalars())

    def prune(self, before: float, owed_too: bool = False) -> int:
        """Delete the ids whose last phase came before a Unix time; returns how many phases that were.

        Those with a phase that is owed to a target stay, unless ``owed_too``.
        """
        over = sql.select(events.c.id).group_by(events.c.id).having(sql.func.max(events.c.time) < before)
        doomed = sql.select(events.c.row).where(events.c.id.in_(over))
        if not owed_too:
            owed = sql.select(events.c.id).join(deliveries, deliveries.c.row == events.c.row)
            doomed = doomed.where(events.c.id.not_in(owed.where(deliveries.c.acknowledged.is_(None))))
        with self.writing() as connection:
            rows = connection.execute(doomed).scalars().all()
            for start in range(0, len(rows), 500):
                some = rows[start : start + 500]
                connection.execute(deliveries.delete().where(deliveries.c.row.in_(some)))
                connection.execute(events.delete().where(events.c.row.in_(some)))
        return len(rows)

    def count(self) -> int:
        """How many rows there are."""
        with self.reading() as connection:
            return connection.execute(sql.select(sql.func.count()).select_from(events)).scalar_one()

    def probe(self) -> None:
        """Write something that changes nothing: returns where the next event can be committed."""
        with self.writing() as connection:
            connection.execute(versions.update().values(version=versions.c.version))


def stored_columns() -> sql.Select[Any]:
    """The query of what ``as_stored`` reads."""
    return sql.select(
        events.c.row, events.c.sequence, streams.c.position, events.c.time, events.c.frame, events.c.event
    ).join_from(events, streams, streams.c.name == events.c.stream)


def as_stored(row: Any) -> Stored:
    """A row of ``stored_columns``."""
    return Stored(
        row.row, row.sequence, row.position, row.time, row.frame, Event.model_validate_json(row.event)
    )


def insert_new(connection: sql.Connection, table: sql.Table) -> Any:
    """An INSERT into ``table`` that passes over rows which are there already."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    return dialect.insert(table).on_conflict_do_nothing()


def _url(place: str | Path) -> sql.URL:
    text = str(place)
    if "://" not in text:
        return sql.URL.create("sqlite", database=text)
    try:
        url = sql.make_url(text)
    except SQLAlchemyError:
        raise UserError(
            "the store's URL is not one; expected dialect://user:password@host/database"
        ) from None
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise UserError(f"{url.render_as_string(hide_password=True)}: a store is SQLite or PostgreSQL")
    return url


def _engine(url: sql.URL) -> sql.Engine:
    if url.get_backend_name() != "sqlite":
        return sql.create_engine(url, pool_pre_ping=True)
    memory = url.database in (None, "", ":memory:")
    engine = sql.create_engine(
        url, connect_args={"timeout": 30}, **({"poolclass": sql.StaticPool} if memory else {})
    )

    @sql.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: object) -> None:
        # SQLAlchemy begins transactions itself, see below.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL").close()
        connection.execute("PRAGMA synchronous=FULL").close()

    @sql.event.listens_for(engine, "begin")
    def _begin(connection: sql.Connection) -> None:
        # A reader that turns writer in the middle would be refused where another has written meanwhile.
        writes = connection.get_execution_options().get("plateloop_writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _next_number(connection: sql.Connection, stream: str, position: int) -> int:
    row = {"name": stream, "position": position, "last": 0}
    connection.execute(insert_new(connection, streams).values(row))
    # The row is locked until the transaction ends, so the numbers of a stream come in the order of commits.
    counted = streams.update().where(streams.c.name == stream)
    counted = counted.values(last=streams.c.last + 1, position=position)
    return int(connection.execute(counted.returning(streams.c.last)).scalar_one())


def _reach(connection: sql.Connection, stream: str, position: int, sequence: int) -> None:
    row = {"name": stream, "position": position, "last": 0}
    connection.execute(insert_new(connection, streams).values(row))
    behind = streams.update().where(streams.c.name == stream, streams.c.last < sequence)
    connection.execute(behind.values(last=sequence))


def _insert(connection: sql.Connection, event: Event, sequence: int, time_s: float, frame: int) -> int | None:
    values = {
        "id": event.id,
        "sequence": sequence,
        "stream": event.source,
        "phase": event.phase,
        "text": event.text,
        "confidence": event.confidence,
        "time": time_s,
        "frame": frame,
        "event": event.model_dump_json(),
    }
    insert = insert_new(connection, events).values(values).returning(events.c.row)
    return connection.execute(insert).scalar_one_or_none()


def holds_one(connection: sql.Connection, ids: Sequence[str]) -> bool:
    """Whether an event of one of these ids is in the store."""
    some = (ids[start : start + 500] for start in range(0, len(ids), 500))
    queries = (sql.select(events.c.row).where(events.c.id.in_(part)).limit(1) for part in some)
    return any(connection.execute(query).first() is not None for query in queries)


def _owe(connection: sql.Connection, rows: Sequence[int], targets: Iterable[str]) -> None:
    owed = [{"target": target, "row": row} for target in targets for row in rows]
    if owed:
        connection.execute(deliveries.insert(), owed)


def _why(error: Exception) -> str:
    # The driver's own words on one line; SQLAlchemy adds the statement and a link to them.
    said = " ".join(str(getattr(error, "orig", None) or error).split())
    # SQLite's log is written to by readers too.
    return f"{said}; it and its folder must be yours to write, also to read" if "readonly" in said else said
