"""What the store owes to a receiver is delivered from there: at least once, in order per stream, for ever."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from plateloop.deployment import outbox
from plateloop.deployment.store import Store, Stored

log = logging.getLogger(__name__)

# Events that are under way at once; what a crash may send twice.
WINDOW = 1000
# How long the thread rests between looks at the store, and after failures from the first to the longest.
IDLE_S = 0.1
RETRY_S, RETRY_MOST_S = 0.5, 15.0


class LinkError(Exception):
    """A link has failed, for the reason given; another one may be tried."""


class Link(Protocol):
    """A connection to a receiver, used by one thread. All but ``close`` may raise LinkError."""

    trouble: str | None
    """What keeps the receiver from taking events at the moment, while the link goes on trying by itself."""

    def send(self, item: Stored) -> None:
        """Send an event, after all that were sent before."""

    def poll(self, seconds: float) -> Sequence[int]:
        """The rows that were acknowledged meanwhile; waits for up to ``seconds`` or a little longer."""

    def close(self) -> Sequence[int]:
        """Give up what is under way; returns the rows that were acknowledged since the last ``poll``."""


class Courier:
    """A thread that sends whatever the store owes to ``target``, over links made by ``connect``.

    ``delivered`` counts acknowledgements. ``title`` names the receiver to people and holds no password;
    ``patience_s`` is how long the end of a run waits without an acknowledgement.
    """

    def __init__(
        self,
        store: Store,
        target: str,
        title: str,
        connect: Callable[[], Link],
        patience_s: float = 5.0,
        rate: float | None = None,
    ) -> None:
        """At most ``rate`` events a second. ``connect`` may raise LinkError."""
        self.store, self.target, self.title, self.patience_s = store, target, title, patience_s
        self.delivered = 0
        self._connect = connect
        self._rate = rate
        self._flying: set[int] = set()
        self._told = False
        self._patience = self._deadline = float("inf")
        self._finishing = threading.Event()
        self._progress_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=target, daemon=True)

    def start(self) -> None:
        """Begin to deliver, the oldest first."""
        self._thread.start()

    def finish(self, patience_s: float) -> int:
        """Deliver until nothing is owed or ``patience_s`` bring no acknowledgement; returns what is left."""
        self.begin_finish(patience_s)
        self._thread.join()
        return outbox.debts(self.store).get(self.target, 0)

    def begin_finish(self, patience_s: float) -> None:
        """As ``finish``, which ``wait`` then waits for."""
        self._progress_at = time.monotonic()
        self._patience = patience_s
        self._finishing.set()

    def hurry(self, seconds: float) -> None:
        """Let ``finish`` end within ``seconds`` from now, however much is owed."""
        self._deadline = min(self._deadline, time.monotonic() + seconds)

    def wait(self, timeout_s: float) -> bool:
        """Wait for the end of a thread that is finishing; returns whether it has ended."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        pause = RETRY_S
        while True:
            before = self.delivered
            failure = self._attempt()
            if failure is None or self._gives_up():
                return
            self._tell(failure)
            pause = RETRY_S if self.delivered > before else min(2 * pause, RETRY_MOST_S)
            end = time.monotonic() + pause
            while time.monotonic() < end and not self._gives_up():
                time.sleep(IDLE_S)

    def _attempt(self) -> str | None:
        """Deliver over one link until it fails (returns why) or there is no more to do (None)."""
        self._flying = set()
        try:
            link = self._connect()
        except LinkError as error:
            return str(error)
        try:
            self._deliver(link)
        except SQLAlchemyError as error:
            return f"the event store fails: {str(error).splitlines()[0]}"
        except LinkError as error:
            return str(error)
        finally:
            self._close(link)
        return None

    def _deliver(self, link: Link) -> None:
        last, started, sent = 0, time.monotonic(), 0
        while True:
            # Asked before the store is: what was committed before the finish began must be found.
            finishing, idle = self._finishing.is_set(), not self._flying
            if idle:
                # From the beginning: another writer may have committed a row of a lower number meanwhile.
                last = 0
            room = WINDOW - len(self._flying)
            if self._rate is not None:
                room = min(room, int((time.monotonic() - started) * self._rate) + 1 - sent)
            batch = outbox.owed(self.store, self.target, last, room) if room > 0 else []
            for item in batch:
                self._flying.add(item.row)
                link.send(item)
                last, sent = item.row, sent + 1
            self._acknowledge(link.poll(0 if batch else IDLE_S))
            if link.trouble and self._flying:
                self._tell(link.trouble)
            looked = room > 0 and idle
            if finishing and (self._gives_up() or (looked and not batch)):
                return

    def _acknowledge(self, rows: Sequence[int]) -> None:
        if rows:
            outbox.acknowledge(self.store, self.target, rows)
            self._flying.difference_update(rows)
            self.delivered += len(rows)
            self._progress_at = time.monotonic()
            self._told = False

    def _gives_up(self) -> bool:
        last = min(self._deadline, self._progress_at + self._patience)
        return self._finishing.is_set() and time.monotonic() >= last

    def _tell(self, problem: str) -> None:
        if not self._told:
            self._told = True
            log.warning("%s: %s; events stay in the store until it takes them", self.title, problem)

    def _close(self, link: Link) -> None:
        # What is still under way then is unmarked in the store, and will be sent again in order.
        try:
            self._acknowledge(link.close())
        except SQLAlchemyError:
            log.debug("acknowledgements lost; these events are sent again")
