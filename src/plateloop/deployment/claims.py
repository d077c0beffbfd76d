"""Claims to streams of a store: by them a run knows whether another one that writes to the same is alive.

They are locks that vanish with the process, however it dies: PostgreSQL's advisory ones, or on files beside
SQLite's.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Protocol

import sqlalchemy as sql

from plateloop.files import lock

log = logging.getLogger(__name__)

# After 60 s without a sign the server lets go of a machine that lost its power.
KEEPALIVES = {"tcp_keepalives_idle": "30", "tcp_keepalives_interval": "10", "tcp_keepalives_count": "3"}


class Claims(Protocol):
    """What one run has claimed. Several runs may claim the same stream."""

    def claiming(self, stream: str) -> AbstractContextManager[bool]:
        """Claim a stream; gives whether no other run has it. Until the block is left none gets it then."""

    def close(self) -> None:
        """Give all claims back."""


def open_claims(engine: sql.Engine) -> Claims:
    """Claims to the streams of a store's database."""
    if engine.dialect.name == "postgresql":
        return AdvisoryLocks(engine)
    file = engine.url.database
    # What is in memory no other run has, and so no other one has this folder.
    return FileLocks(Path(mkdtemp() if file in (None, "", ":memory:") else f"{file}-runs"))


class AdvisoryLocks:
    """Claims in PostgreSQL: each connection of ``engine`` holds them all, also one that was opened anew."""

    def __init__(self, engine: sql.Engine) -> None:
        self._engine = engine
        self._keys: frozenset[int] = frozenset()
        sql.event.listen(engine, "begin", self._renew)

    @contextmanager
    def claiming(self, stream: str) -> Iterator[bool]:
        """See `Claims`. Raises ``sqlalchemy.exc.SQLAlchemyError`` where the database fails."""
        key = int.from_bytes(_digest(stream), "big", signed=True)
        with self._engine.begin() as connection:
            yield bool(_call(connection, sql.func.pg_try_advisory_xact_lock(key)))
            self._hold(connection, key)
        self._keys |= {key}

    def close(self) -> None:
        """Claim nothing more; what is claimed goes with the engine's connections."""
        sql.event.remove(self._engine, "begin", self._renew)

    def _renew(self, connection: sql.Connection) -> None:
        for key in self._keys - connection.info.get("claims", set()):
            self._hold(connection, key)

    def _hold(self, connection: sql.Connection, key: int) -> None:
        if "claims" not in connection.info:
            for name, value in KEEPALIVES.items():
                _call(connection, sql.func.set_config(name, value, False))
        _call(connection, sql.func.pg_advisory_lock_shared(key))
        connection.info.setdefault("claims", set()).add(key)


class FileLocks:
    """Claims by locks on files in ``folder``, one a stream; the last one to go removes them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[Path, int] = {}

    @contextmanager
    def claiming(self, stream: str) -> Iterator[bool]:
        """See `Claims`. Where there can be no such file, one line says so, and others may be alive."""
        path = self._folder / _digest(stream).hex()
        try:
            file, alone = self._locked(path, shared=False), True
        except BlockingIOError:
            file, alone = self._locked(path, shared=True), False
        except OSError as error:
            log.warning(
                "%s: cannot be locked (%s); what a killed run left open stays so", path, error.strerror
            )
            yield False
            return
        try:
            yield alone
            lock(file, shared=True)
        except BaseException:
            os.close(file)
            raise
        self._held[path] = file

    def close(self) -> None:
        """Give all claims back. May be called twice."""
        while self._held:
            path, file = self._held.popitem()
            with suppress(OSError):
                lock(file)
                path.unlink()
            os.close(file)
        with suppress(OSError):
            self._folder.rmdir()

    def _locked(self, path: Path, shared: bool) -> int:
        while True:
            self._folder.mkdir(exist_ok=True)
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                lock(file, shared)
            except OSError:
                os.close(file)
                raise
            # Whoever had it may have removed it meanwhile.
            if os.fstat(file).st_nlink:
                return file
            os.close(file)


def _call(connection: sql.Connection, function: Any) -> Any:
    return connection.execute(sql.select(function)).scalar()


def _digest(stream: str) -> bytes:
    return blake2b(stream.encode(), digest_size=8, person=b"plateloop").digest()
