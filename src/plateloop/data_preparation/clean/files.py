"""Files: pictures that are missing, damaged, cut off, or of another size than they should be."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from plateloop.data_preparation.clean.finding import Finding
from plateloop.data_preparation.manifest import Record
from plateloop.data_preparation.perceptual import perceptual_hash
from plateloop.errors import UserError
from plateloop.frame import Frame, read_image


@dataclass(frozen=True, slots=True)
class Looked:
    """A record's picture: ``frame`` where it could be decoded, ``content`` 64 bits of the file's bytes,
    ``shape`` its perceptual hash (both 0 where there is none), and what is wrong with the file."""

    record: Record
    frame: Frame | None
    content: int
    shape: int
    findings: tuple[Finding, ...]


def look(folder: Path, record: Record) -> Looked:
    """Read, decode and hash a record's picture."""
    path, name = folder / record.file, PurePosixPath(record.file)
    if name.is_absolute() or ".." in name.parts or not path.is_file():
        reason = "no picture there" if not path.is_file() else "lies outside the dataset's folder"
        return Looked(record, None, 0, 0, (Finding("missing", record.file, reason),))
    data = path.read_bytes()
    content = int.from_bytes(blake2b(data, digest_size=8).digest(), "big") or 1
    if cut_off(data):
        return Looked(record, None, content, 0, (Finding("truncated", record.file, "the file ends early"),))
    try:
        frame = read_image(path)
    except UserError as error:
        reason = str(error).removeprefix(f"{path}: ")
        return Looked(record, None, content, 0, (Finding("unreadable", record.file, reason),))
    shape = perceptual_hash(np.asarray(cv2.cvtColor(frame.rgb(), cv2.COLOR_RGB2GRAY), np.uint8))
    found: tuple[Finding, ...] = ()
    if (frame.width, frame.height) != (record.width, record.height):
        reason = f"{frame.width} × {frame.height}, by the manifest {record.width} × {record.height}"
        found = (Finding("size", record.file, reason),)
    return Looked(record, frame, content, shape, found)


def cut_off(data: bytes) -> bool:
    """Whether a JPEG, PNG or WebP file ends before it says that it does."""
    if data.startswith(b"\xff\xd8"):
        return data.find(b"\xff\xd9", _scan(data)) < 0
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return b"IEND" not in data[-64:] and b"IEND" not in data
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    return False


def _scan(data: bytes) -> int:
    """Where a JPEG's first scan begins: thumbnails in its headers have ends of their own."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xDA:
            return place
        if marker == 0xFF or marker == 0x01 or 0xD0 <= marker <= 0xD9:
            place += 1 if marker == 0xFF else 2
        else:
            place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return len(data) if place >= len(data) else place
