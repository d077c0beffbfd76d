"""What a recording is, and ids of its events that are the same whoever reads it, and how often.

A recording is a file or a folder of pictures: it can be read again from its beginning, which a camera cannot.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID, uuid5

from plateloop.deployment.config import NetworksConfig, PipelineConfig
from plateloop.deployment.passages import EventId
from plateloop.deployment.sources import PICTURES, SourceConfig
from plateloop.deployment.video2data.inputs import expand, passing
from plateloop.errors import UserError
from plateloop.passwords import redact
from plateloop.runtime.card import card_path, load_card
from plateloop.runtime.cascade import TASKS

NAMESPACE = UUID("5d1b8d0c-7f0b-4f6e-9d0a-3c1d2f6f8a11")


def singles(sources: Sequence[SourceConfig]) -> list[SourceConfig]:
    """The sources, each video of a folder one of its own.

    Raises UserError where two have the same name: an event would not tell of which it is.
    """
    result = [single for source in sources for single in expand(source)]
    twice = [title for title, count in Counter(source.title for source in result).items() if count > 1]
    if twice:
        raise UserError(f"{twice[0]}: two sources have this name; give one of them another")
    return result


def anywhere(source: SourceConfig) -> SourceConfig:
    """A source as another machine may read it: with an absolute path, and its name as before."""
    if not is_recording(source):
        return source
    return source.model_copy(update={"url": str(Path(source.url).absolute()), "name": source.title})


def is_recording(source: SourceConfig) -> bool:
    """Whether a source is a file or a folder."""
    return not passing(source.url)


def settings_digest(page: PipelineConfig) -> str:
    """A text that differs where networks or settings differ in what they make of a recording.

    Raises UserError where the networks' cards cannot be had.
    """
    sections = page.model_dump_json(include={"schedule", "tracker", "fusion", "events"})
    return _digest([sections, page.networks.plate_score, *_weights(page.networks)])


def job(source: SourceConfig, settings: str) -> UUID:
    """What the ids of a recording's events go by: its place, size, time of change, and all settings."""
    path = Path(source.url)
    files = [p for p in path.iterdir() if p.suffix.lower() in PICTURES] if path.is_dir() else [path]
    states = [file.stat() for file in files]
    size, changed = sum(s.st_size for s in states), max((s.st_mtime_ns for s in states), default=0)
    own = source.model_dump_json(include={"folder_fps", "max_fps", "rotation", "interval", "regions"})
    return uuid5(NAMESPACE, _digest([redact(source.url), size, changed, own, settings]))


def event_ids(of: UUID) -> EventId:
    """The ids of the events of a ``job``, by their tracks."""
    return lambda track: str(uuid5(of, str(track)))


def _weights(networks: NetworksConfig) -> list[str]:
    return [load_card(card_path(task, networks.weights)).sha256 for task in TASKS]


def _digest(parts: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
