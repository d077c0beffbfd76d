"""Files: pictures that are missing, cut off, damaged, or of another size than they should be."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
import simplejpeg

from plateloop.data_preparation.clean.finding import Finding
from plateloop.data_preparation.manifest import Record
from plateloop.data_preparation.perceptual import perceptual_hash
from plateloop.errors import UserError
from plateloop.frame import Frame, read_image
from plateloop.header import parse


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
    if not parse(data).whole:
        return Looked(record, None, content, 0, (Finding("truncated", record.file, "the file ends early"),))
    try:
        frame = read_image(path)
    except UserError as error:
        reason = str(error).removeprefix(f"{path}: ")
        return Looked(record, None, content, 0, (Finding("unreadable", record.file, reason),))
    shape = perceptual_hash(np.asarray(cv2.cvtColor(frame.rgb(), cv2.COLOR_RGB2GRAY), np.uint8))
    found: tuple[Finding, ...] = ()
    if (fault := damage(data)) is not None:
        found = (Finding("damaged", record.file, fault),)
    if (frame.width, frame.height) != (record.width, record.height):
        reason = f"{frame.width} × {frame.height}, by the manifest {record.width} × {record.height}"
        found = (*found, Finding("size", record.file, reason))
    return Looked(record, frame, content, shape, found)


def damage(data: bytes) -> str | None:
    """The first thing in a JPEG file that libjpeg-turbo has to guess at, where OpenCV fills in grey; None
    where there is none, and for other files."""
    if not data.startswith(b"\xff\xd8"):
        return None

    def decode(strict: bool) -> None:
        # An eighth of the size: the code is read through, which is where damage shows, the rest is saved.
        simplejpeg.decode_jpeg(data, "GRAY", min_height=1, min_width=1, min_factor=8, strict=strict)

    try:
        decode(strict=True)
    except ValueError as error:
        with suppress(ValueError):
            decode(strict=False)
            return " ".join(str(error).split())
    return None
