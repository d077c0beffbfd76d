"""What the page asks of the store: the newest events, those of a plate, and one event's history."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sql

from plateloop.deployment.search import matching
from plateloop.deployment.store import Narrow, Store, Stored
from plateloop.deployment.tables import events, streams
from plateloop.errors import UserError

MOST_TEXTS = 5000


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for: a plate (wildcards, up to ``edits`` mistakes; ``exact``: O is not 0), a source, and
    the last so many seconds; 0 and empty texts ask for everything."""

    plate: str = ""
    edits: int = 0
    exact: bool = False
    source: str = ""
    within_s: int = 0

    def narrow(self, store: Store) -> Narrow:
        """The conditions on a query of events. Raises UserError where too many plates match."""
        conditions: list[Any] = []
        if self.plate.strip():
            texts = matching(self._candidates(store), self.plate, self.edits, not self.exact)
            if len(texts) > MOST_TEXTS:
                raise UserError(f"{len(texts)} plates match; ask for more characters")
            conditions.append(events.c.text.in_(texts))
        if self.source:
            conditions.append(events.c.stream == self.source)
        if self.within_s:
            conditions.append(events.c.time >= time.time() - self.within_s)
        return lambda query: query.where(*conditions)

    def _candidates(self, store: Store) -> list[str]:
        # What the database itself can sort out, it does faster, and without holding up the engine's thread.
        if self.edits:
            return store.texts()
        plate = re.sub(r"[^\w*?]", "", self.plate.upper())
        like = re.sub(r"[?OI01]", "_", plate).replace("*", "%")
        query = sql.select(events.c.text).where(events.c.text.like(like)).distinct()
        with store.reading() as connection:
            return list(connection.execute(query).scalars())


def newest(store: Store, narrow: Narrow, limit: int, before: int | None = None) -> list[Stored]:
    """The newest states of up to ``limit`` events, newest first, of rows below ``before``."""

    def last(query: sql.Select[Any]) -> sql.Select[Any]:
        query = narrow(query)
        if before is not None:
            query = query.where(events.c.row < before)
        return query.order_by(events.c.row.desc()).limit(limit)

    return list(store.latest(last))


def history(store: Store, identity: str) -> list[Stored]:
    """All phases of an event, oldest first; none of one that is not there."""
    return list(store.select(lambda query: query.where(events.c.id == identity)))


def last_row(store: Store) -> int:
    """The newest row's place in the store; 0 of an empty one."""
    with store.reading() as connection:
        return connection.execute(sql.select(sql.func.max(events.c.row))).scalar_one() or 0


def sources(store: Store) -> list[str]:
    """The names of all streams that the store knows."""
    with store.reading() as connection:
        return sorted(connection.execute(sql.select(streams.c.name)).scalars())
