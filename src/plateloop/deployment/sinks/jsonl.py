"""Events as JSON, one a line."""

from __future__ import annotations

import errno
import logging
import os
from io import UnsupportedOperation
from typing import TextIO

from plateloop.deployment.sinks.worker import Result

log = logging.getLogger(__name__)

# No room: a full disk, a quota, a limit on the size of files. What has no room now may have it later.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class JsonLines:
    """Writes events to an open text file, each line at once; on disk for good with each ``end``.

    While the disk is full, which is said once, the lines for a file wait in memory.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._waiting = b""
        self._told = False
        try:
            self._descriptor: int | None = file.fileno() if file.seekable() else None
        except UnsupportedOperation:
            self._descriptor = None

    def write(self, result: Result) -> None:
        """Write the events of a result."""
        if not result.events:
            return
        lines = "".join(event.model_dump_json() + "\n" for event in result.events)
        if self._descriptor is None:
            self._file.write(lines)
            self._file.flush()
            return
        self._waiting += lines.encode()
        try:
            self._drain(self._descriptor)
            if any(event.phase == "end" for event in result.events):
                os.fsync(self._descriptor)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            if not self._told:
                self._told = True
                log.warning("%s: %s; lines wait", self._file.name, error.strerror)

    def close(self) -> None:
        """Write what waits and flush; the file stays open."""
        if self._descriptor is not None:
            self._drain(self._descriptor)
        self._file.flush()

    def _drain(self, descriptor: int) -> None:
        # Below Python's buffers, so that it is known to the byte what has been written.
        while self._waiting:
            self._waiting = self._waiting[os.write(descriptor, self._waiting) :]
        self._told = False
