"""Events as JSON, one a line."""

from __future__ import annotations

import os
from io import UnsupportedOperation
from typing import TextIO

from plateloop.deployment.sinks.worker import Result


class JsonLines:
    """Writes events to an open text file, each line at once; on disk for good with each ``end``."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        try:
            self._descriptor: int | None = file.fileno() if file.seekable() else None
        except UnsupportedOperation:
            self._descriptor = None

    def write(self, result: Result) -> None:
        """Write the events of a result."""
        if not result.events:
            return
        self._file.write("".join(event.model_dump_json() + "\n" for event in result.events))
        self._file.flush()
        if self._descriptor is not None and any(event.phase == "end" for event in result.events):
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Flush; the file stays open."""
        self._file.flush()
