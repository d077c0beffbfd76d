"""A user's own functions, named in the page, called with what was seen: per frame, per track or per event."""

from __future__ import annotations

import importlib
import logging
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from plateloop.deployment.sinks.worker import Result
from plateloop.errors import UserError, one_line
from plateloop.frame import Frame
from plateloop.types import Clock, Event, TrackState

log = logging.getLogger(__name__)

FUNCTION = r"^\w+(\.\w+)*:\w+$"


class ProbeConfig(BaseModel):
    """Your own Python functions, each as package.module:function."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    frame: str | None = Field(None, pattern=FUNCTION, description="called with each frame: a FrameView")
    track: str | None = Field(
        None, pattern=FUNCTION, description="called with each vehicle in each frame: TrackState, FrameView"
    )
    event: str | None = Field(None, pattern=FUNCTION, description="called with each Event, once it is stored")


@dataclass(frozen=True, slots=True)
class FrameView:
    """A frame as a probe sees it: its source and times, what is tracked in it, the events it brought.

    ``time_s`` counts from the source's start, ``time`` is a Unix time by ``clock``. ``frame`` holds the
    picture as it was decoded; ``frame.rgb()`` (H, W, 3), ``frame.crops`` and ``frame.rectified`` convert what
    is asked for.
    """

    source: str
    index: int
    time_s: float
    time: float
    clock: Clock
    frame: Frame
    tracks: tuple[TrackState, ...]
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Probes:
    """The functions of a page."""

    frame: Callable[[FrameView], object] | None = None
    track: Callable[[TrackState, FrameView], object] | None = None
    event: Callable[[Event], object] | None = None


def load_probes(config: ProbeConfig | None) -> Probes:
    """Import the functions, also from the current folder. Raises UserError where one cannot be had."""
    if config is None:
        return Probes()
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    return Probes(**{key: _load(name) for key, name in config.model_dump(exclude_none=True).items()})


def _load(name: str) -> Callable[..., object]:
    module, _, function = name.partition(":")
    try:
        found: Any = getattr(importlib.import_module(module), function)
    except ModuleNotFoundError as error:
        raise UserError(f"probe {name}: there is no Python module {error.name}") from None
    except AttributeError:
        raise UserError(f"probe {name}: {module} has no {function}") from None
    except Exception as error:  # whatever the user's module does when it is imported
        raise UserError(f"probe {name}: {_told(error)}") from None
    if not callable(found):
        raise UserError(f"probe {name}: is no function")
    return found  # type: ignore[no-any-return]


class Probe:
    """Calls a user's functions. What they raise is logged once for each place, counted, and stops nothing."""

    def __init__(self, probes: Probes) -> None:
        self._probes = probes
        self._failures: Counter[str] = Counter()

    def write(self, result: Result) -> None:
        """Call them with one result."""
        probes, shot = self._probes, result.shot
        if shot is not None and (probes.frame or probes.track):
            view = FrameView(
                result.source,
                shot.index,
                shot.time_s,
                shot.time,
                shot.clock,
                shot.frame,
                result.tracks,
                result.events,
            )
            if probes.frame:
                self._call(probes.frame, view)
            if probes.track:
                for track in result.tracks:
                    self._call(probes.track, track, view)
        if probes.event:
            for event in result.events:
                self._call(probes.event, event)

    def close(self) -> None:
        """Say how often they failed."""
        for place, count in self._failures.items():
            if count > 1:
                log.warning("probe failed %d times at %s", count, place)

    def _call(self, function: Callable[..., object], *arguments: object) -> None:
        try:
            function(*arguments)
        except Exception as error:  # the user's trouble is not the stream's
            place = _place(error)
            if place not in self._failures:
                log.warning("probe %s:%s: %s", function.__module__, function.__qualname__, _told(error))
            self._failures[place] += 1


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {one_line(error)} ({_place(error)})"


def _place(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{last.filename}, line {last.lineno}"
