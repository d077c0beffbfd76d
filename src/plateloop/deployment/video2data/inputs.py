"""What to read: the videos of folders, what must have a bound, and when a recording began."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import av

from plateloop.deployment.capture import probe_all
from plateloop.deployment.launch import file_names
from plateloop.deployment.sources import NETWORK, PICTURES, SourceConfig, is_live
from plateloop.deployment.video2data.history import History
from plateloop.errors import UserError

VIDEOS = frozenset(
    {".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ts", ".webm"}
    | {".wmv"}
)

EARLIEST = 2000
"""Year before which a container's own time is a camera's unset clock."""


def passing(url: str) -> bool:
    """Whether what ``url`` shows cannot be asked for again."""
    return is_live(url) or urlsplit(url).scheme.lower() in NETWORK


def histories(sources: Sequence[SourceConfig], duration_s: float | None) -> list[History]:
    """An empty history for each source; of a folder, for each video in it and for its own pictures together.

    One that cannot be read says so in ``error``. Raises UserError where none can be read, and where a live
    source has no bound.
    """
    found = [single for source in sources for single in expand(source)]
    for source in found:
        if passing(source.url) and duration_s is None:
            raise UserError(f"{source.title}: may never end; say how long to record with --duration SECONDS")
    _, problems = probe_all(found)
    result = []
    for place, (source, name) in enumerate(zip(found, file_names(found), strict=True)):
        history = History(source, name, error=problems.get(place))
        if history.error is None and not passing(source.url):
            history.start = began(Path(source.url))
        result.append(history)
    return result


def began(path: Path) -> datetime:
    """When a recording began, in UTC: as its container says, else its file's time of change."""
    try:
        if path.is_file() and path.suffix.lower() not in PICTURES:
            with av.open(f"file:{path}") as container:
                said = container.metadata.get("creation_time", "")
            time = datetime.fromisoformat(said)
            if time.year >= EARLIEST:
                return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (av.error.FFmpegError, ValueError, OSError):
        pass
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def expand(source: SourceConfig) -> list[SourceConfig]:
    """Each video in a folder, and the folder itself for its own pictures together; else the source alone."""
    path = Path(source.url)
    if passing(source.url) or not path.is_dir():
        return [source]
    inside = sorted(entry for entry in path.rglob("*") if entry.is_file() and not _hidden(entry, path))
    videos = [entry for entry in inside if entry.suffix.lower() in VIDEOS]
    own = [source] if any(e.suffix.lower() in PICTURES for e in path.iterdir()) or not videos else []
    return own + [source.model_copy(update={"url": str(video), "name": None}) for video in videos]


def _hidden(entry: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in entry.relative_to(folder).parts)
