"""When a picture was taken: as its record says, its file's name, or the camera in the file itself."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path, PurePosixPath

from plateloop.data_preparation.manifest import Record
from plateloop.header import read_header

# 20240506-070809, 2024-05-06_07.08.09 and the like: as `video2data`, phones and recorders name files.
_STAMP = re.compile(
    r"(?<!\d)((?:19|20)\d\d)([-_.]?)(\d\d)\2(\d\d)[-_.T ]?([01]\d|2[0-3])([-_.:h]?)([0-5]\d)\6([0-5]\d)"
    r"(?=\D|\d{3}(?!\d)|$)"
)


def taken(folder: Path, record: Record) -> tuple[str, datetime] | None:
    """What says when the picture of ``folder`` was taken ("record", "file name" or "EXIF"), and the time.

    The record's own is the attribute ``time``. A time is as it stands there, in whatever zone the clock was.
    """
    try:
        return "record", datetime.fromisoformat(record.attributes["time"])
    except (KeyError, ValueError):
        pass
    if found := _STAMP.search(PurePosixPath(record.file).name):
        digits = "".join(found.group(1, 3, 4, 5, 7, 8))
        try:
            return "file name", datetime.strptime(digits, "%Y%m%d%H%M%S")
        except ValueError:
            pass
    try:
        said = read_header(folder / record.file).taken
    except (OSError, ValueError):
        return None
    return ("EXIF", said) if said is not None else None
