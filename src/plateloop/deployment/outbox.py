"""What the store owes to whom: written with the event, marked when the receiver has acknowledged it.

A target is a text that names a receiver, such as ``kafka:host:9092/topic``. An event is delivered at least
once: one that was sent but not marked before a crash is sent again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sql

from plateloop.deployment.store import Store, Stored, as_stored, insert_new, stored_columns
from plateloop.deployment.tables import deliveries, events


def owed(store: Store, target: str, after: int = 0, limit: int = 500) -> list[Stored]:
    """The first events, of a row above ``after``, that ``target`` has not acknowledged, in order."""
    query = stored_columns().join(deliveries, deliveries.c.row == events.c.row)
    query = query.where(
        deliveries.c.target == target, deliveries.c.acknowledged.is_(None), deliveries.c.row > after
    )
    with store.reading() as connection:
        rows = connection.execute(query.order_by(deliveries.c.row).limit(limit))
        return [as_stored(row) for row in rows]


def acknowledge(store: Store, target: str, rows: Sequence[int]) -> None:
    """``target`` has these rows for good."""
    marked = deliveries.update().where(
        deliveries.c.target == target, deliveries.c.row == sql.bindparam("acknowledged_row")
    )
    if rows:
        with store.writing() as connection:
            connection.execute(
                marked.values(acknowledged=time.time()), [{"acknowledged_row": row} for row in rows]
            )


def debts(store: Store) -> dict[str, int]:
    """How many events are owed to each target that ever was."""
    waiting = sql.func.sum(sql.case((deliveries.c.acknowledged.is_(None), 1), else_=0))
    query = sql.select(deliveries.c.target, waiting).group_by(deliveries.c.target)
    with store.reading() as connection:
        return {target: int(count) for target, count in connection.execute(query)}


def lag(store: Store) -> dict[str, tuple[int, float]]:
    """How many events are owed to each target that is owed any, and the Unix time of the oldest."""
    query = sql.select(deliveries.c.target, sql.func.count(), sql.func.min(events.c.time))
    query = query.join_from(deliveries, events, events.c.row == deliveries.c.row)
    query = query.where(deliveries.c.acknowledged.is_(None)).group_by(deliveries.c.target)
    with store.reading() as connection:
        return {target: (count, oldest) for target, count, oldest in connection.execute(query)}


def owe_everything(store: Store, target: str) -> None:
    """Owe ``target`` all events that it was never owed."""
    _owe(store, sql.select(sql.literal(target), events.c.row))


def take_over(store: Store, target: str, other: str) -> None:
    """Owe ``target`` also what is owed to the targets like ``other`` (an SQL pattern, ``\\`` escapes).

    They stay owed there: whether both are one receiver whose address has changed nobody can know.
    """
    query = sql.select(sql.literal(target), deliveries.c.row).distinct()
    query = query.where(deliveries.c.target.like(other, escape="\\"), deliveries.c.acknowledged.is_(None))
    _owe(store, query)


def _owe(store: Store, rows: sql.Select[Any]) -> None:
    with store.writing() as connection:
        # WHERE keeps SQLite from reading the ON of ON CONFLICT as a join's.
        insert = insert_new(connection, deliveries)
        connection.execute(insert.from_select(["target", "row"], rows.where(sql.true())))
