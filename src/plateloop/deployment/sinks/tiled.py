"""All streams in one annotated video: encoded once, for a file and for those who watch it by RTSP."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from plateloop.deployment.encoded import CLOCK, Unit
from plateloop.deployment.encoder import Encoder, EncoderConfig, to_i420
from plateloop.deployment.sinks.worker import Result
from plateloop.deployment.sources import SourceConfig
from plateloop.deployment.tiler import Tile, Tiler, TilerConfig

# Where recordings have nothing for longer than this, the video has nothing either.
GAP_S = 5.0

# However many come to watch, there are no more key pictures than one in this time for them.
KEY_S = 1.0


class Outlet(Protocol):
    """Where encoded pictures go."""

    def write(self, unit: Unit) -> None:
        """Take one picture. Does not wait for whoever is slow."""

    def close(self) -> None:
        """No more will come."""


@dataclass(frozen=True, slots=True)
class _Seen:
    # A stream's newest picture, where its time begins in the video's and how far it is in that, when the
    # picture came, and when the stream ended.
    result: Result | None
    begin: float
    time: float
    came: float
    ended: float | None = None


class Tiled:
    """Lays the streams' newest pictures side by side, encodes the whole, and hands it to all ``outlets``.

    Its time is the clock's, with a thread that gives ``fps`` pictures a second whatever the streams do; or
    (``by_clock`` false, for files) that of the stream that is least far, so that all is seen at its own pace
    however fast it is read. ``key_wanted`` is set by who needs a key picture soon.
    """

    def __init__(
        self,
        tiler: TilerConfig,
        encoder: EncoderConfig,
        outlets: Sequence[Outlet],
        by_clock: bool,
        key_wanted: threading.Event | None = None,
    ) -> None:
        self._config = tiler
        self._tiler = Tiler(tiler)
        self._encoder = Encoder(tiler.size, encoder, at_once=by_clock)
        self._outlets = outlets
        self._sources: Sequence[SourceConfig] = ()
        self._seen: dict[int, _Seen] = {}
        self._key_wanted = key_wanted or threading.Event()
        self._keyed = 0.0
        self._next = 0
        self._began = 0.0
        self._failure: Exception | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="Tiler", daemon=True) if by_clock else None

    def begin(self, sources: Sequence[SourceConfig]) -> None:
        """The streams by number; more may be added. From now on the clock counts."""
        self._sources = sources
        self._began = time.monotonic()
        if self._thread is not None:
            self._thread.start()

    def write(self, result: Result) -> None:
        """Take the newest picture of a stream, or its end."""
        if self._failure is not None:
            raise self._failure
        now = self._now()
        seen = self._seen.get(result.stream) or _Seen(None, now, now, now)
        if result.shot is not None:
            seen = replace(seen, result=result, time=seen.begin + result.shot.time_s, came=now)
        else:
            seen = replace(seen, ended=now)
        if self._thread is None:
            # Up to it the picture before it is shown.
            self._catch_up(self._least({**self._seen, result.stream: seen}))
        self._seen[result.stream] = seen

    def close(self) -> None:
        """Encode what is left, and close all outlets. May be called twice."""
        if self._over.is_set():
            return
        self._over.set()
        try:
            if self._thread is not None:
                self._thread.join()
            elif self._seen:
                self._catch_up(max(seen.time for seen in self._seen.values()) + 1 / self._config.fps)
            if self._failure is None:
                self._hand_out(self._encoder.flush())
        finally:
            for outlet in self._outlets:
                outlet.close()

    def _run(self) -> None:
        try:
            while not self._over.wait(max(0.0, self._next / self._config.fps - self._now())):
                # Pictures for which there was no time are left out.
                self._next = max(self._next, int(self._now() * self._config.fps))
                self._show()
        except Exception as error:  # told by ``write``, as that of any sink
            self._failure = error

    def _now(self) -> float:
        if self._thread is not None:
            return time.monotonic() - self._began
        return self._next / self._config.fps

    def _least(self, seen: Mapping[int, _Seen]) -> float:
        # The time up to which all streams that go on have come; one without a picture is waited for.
        streams = (seen.get(number) for number in range(len(self._sources)))
        running = (stream for stream in streams if stream is None or stream.ended is None)
        return min((0.0 if stream is None else stream.time for stream in running), default=0.0)

    def _catch_up(self, until: float) -> None:
        if until - self._now() > GAP_S:
            self._next = int(until * self._config.fps)
        while self._now() < until:
            self._show()

    def _show(self) -> None:
        now = self._next / self._config.fps
        picture = self._tiler.lay(list(self._tiles(now)))
        key = self._key_wanted.is_set() and now - self._keyed >= KEY_S
        if key:
            self._key_wanted.clear()
            self._keyed = now
        self._hand_out(self._encoder.encode(to_i420(picture), now, key))
        self._next += 1

    def _tiles(self, now: float) -> Iterator[Tile]:
        for number, source in enumerate(self._sources):
            seen = self._seen.get(number)
            if seen is None:
                yield Tile(source.title, None, "no picture yet")
            elif seen.ended is None or now <= seen.ended:
                age = now - seen.came if self._thread is not None else 0.0
                stale = age > self._config.stale_s
                yield Tile(source.title, seen.result, f"no picture for {age:.0f} s" if stale else "")
            elif now - seen.ended < self._config.linger_s:
                yield Tile(source.title, seen.result, "ended")
            elif seen.result is not None:
                # Its picture is held no longer.
                self._seen[number] = replace(seen, result=None)

    def _hand_out(self, units: Iterator[Unit]) -> None:
        for unit in units:
            if unit.key:
                self._keyed = max(self._keyed, unit.pts / CLOCK)
            for outlet in self._outlets:
                outlet.write(unit)
