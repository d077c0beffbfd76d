"""The event store's tables, and how those of an older version are brought to this one."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sql

from plateloop.errors import UserError

metadata = sql.MetaData()

versions = sql.Table("plateloop_schema", metadata, sql.Column("version", sql.Integer, nullable=False))
streams = sql.Table(
    "streams",
    metadata,
    sql.Column("name", sql.Text, primary_key=True),
    sql.Column("position", sql.Integer, nullable=False),
    sql.Column("last", sql.BigInteger, nullable=False),
)
events = sql.Table(
    "events",
    metadata,
    sql.Column("row", sql.BigInteger().with_variant(sql.Integer, "sqlite"), primary_key=True),
    sql.Column("id", sql.Text, nullable=False),
    sql.Column("sequence", sql.BigInteger, nullable=False),
    sql.Column("stream", sql.Text, nullable=False),
    sql.Column("phase", sql.Text, nullable=False),
    sql.Column("text", sql.Text),
    sql.Column("confidence", sql.Float, nullable=False),
    sql.Column("time", sql.Double, nullable=False),
    sql.Column("frame", sql.BigInteger, nullable=False),
    sql.Column("event", sql.Text, nullable=False),
    sql.UniqueConstraint("id", "sequence"),
    sql.Index("events_by_stream", "stream", "sequence"),
    sql.Index("events_by_text", "text"),
    sql.Index("events_by_time", "time"),
    # Rows of deleted events are not used again: what was delivered stays told apart.
    sqlite_autoincrement=True,
)
deliveries = sql.Table(
    "deliveries",
    metadata,
    sql.Column("target", sql.Text, primary_key=True),
    sql.Column("row", sql.BigInteger, primary_key=True),
    sql.Column("acknowledged", sql.Double),
)
sql.Index(
    "deliveries_owed",
    deliveries.c.target,
    deliveries.c.row,
    sqlite_where=deliveries.c.acknowledged.is_(None),
    postgresql_where=deliveries.c.acknowledged.is_(None),
)

MIGRATIONS: tuple[Callable[[sql.Connection], None], ...] = ()
"""What leads from each version of the tables, from 1 on, to the next; a new store has the newest at once."""


def migrate(connection: sql.Connection, shown: str, create: bool) -> None:
    """Bring the tables to this version; where there are none, ``create`` makes them.

    Raises UserError, which calls the store ``shown``, where there are none or a newer plateloop made them.
    """
    if connection.dialect.name == "postgresql":
        # Of two processes that open a new store together, one makes the tables.
        connection.execute(sql.text("SELECT pg_advisory_xact_lock(7526)"))
    known = sql.inspect(connection).has_table(versions.name)
    if not known and not create:
        raise UserError(f"{shown}: holds no event store")
    newest = 1 + len(MIGRATIONS)
    if not known:
        metadata.create_all(connection)
        connection.execute(versions.insert().values(version=newest))
        return
    version = connection.execute(sql.select(versions.c.version)).scalar_one()
    if version > newest:
        raise UserError(f"{shown}: written by a newer plateloop (tables of version {version}); update it")
    for step in MIGRATIONS[version - 1 :]:
        step(connection)
    connection.execute(versions.update().values(version=newest))
