"""What a picture file says of itself before it is decoded: its size, when it was taken, whether it is whole.

OpenCV cannot look before it decodes, takes half a JPEG for a picture, and says so on standard error.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from mmap import ACCESS_READ, mmap
from pathlib import Path

_ORIENTATION, _EXIF, _TAKEN = 0x0112, 0x8769, 0x9003


@dataclass(frozen=True, slots=True)
class Header:
    """Width and height of the upright picture (0 where the header does not tell), whether the file is whole
    as far as that can be told without decoding, and when it was taken, by the camera's own clock and zone."""

    width: int = 0
    height: int = 0
    whole: bool = True
    taken: datetime | None = None


def read_header(path: Path) -> Header:
    """The header of a picture file. Raises OSError where it cannot be read, ValueError where it is empty."""
    with path.open("rb") as file:
        try:
            data = mmap(file.fileno(), 0, access=ACCESS_READ)
        except ValueError:
            raise ValueError("an empty file, no picture") from None
        with data:
            return parse(data)


def parse(data: mmap | bytes) -> Header:
    """The header of a PNG, JPEG, WebP, BMP or TIFF file; of others it tells nothing."""
    head = data[:64]
    try:
        if head.startswith(b"\x89PNG"):
            return _png(data)
        if head.startswith(b"\xff\xd8"):
            return _jpeg(data)
        if head[8:15] == b"WEBPVP8":
            return _webp(data)
        if head.startswith(b"BM"):
            width, height = struct.unpack("<2i", head[18:26])
            return Header(abs(width), abs(height))
        if head[:4] in (b"II*\0", b"MM\0*"):
            tags, taken = _tiff(data)
            return _upright(tags[256], tags[257], True, tags, taken)
    except (struct.error, KeyError):
        return Header(whole=False)
    return Header()


def _jpeg(data: mmap | bytes) -> Header:
    # ISO/IEC 10918-1, annex B: segments up to the first scan; no end-of-image marker can hide in a scan.
    width = height = 0
    exif: bytes | None = None
    place = 2
    while True:
        marker, length = struct.unpack_from(">2H", data, place)
        if 0xFFC0 <= marker <= 0xFFCF and marker not in (0xFFC4, 0xFFC8, 0xFFCC):
            height, width = struct.unpack_from(">2H", data, place + 5)
        if marker == 0xFFE1 and exif is None:
            payload = data[place + 4 : place + 2 + length]
            exif = payload[6:] if payload.startswith(b"Exif\0\0") else None
        if marker == 0xFFDA:
            return _with_exif(width, height, data.rfind(b"\xff\xd9", place) > 0, exif)
        # Fill bytes may stand before a marker, and markers without a length between segments.
        alone = marker == 0xFF01 or 0xFFD0 <= marker <= 0xFFD7
        place += 1 if marker == 0xFFFF or marker < 0xFF00 else 2 if alone else 2 + length


def _png(data: mmap | bytes) -> Header:
    width, height = struct.unpack(">2I", data[16:24])
    end = data.rfind(b"IEND")  # the last chunk's name, its checksum follows
    exif, place = None, 8
    with suppress(struct.error):
        while exif is None:
            length, name = struct.unpack_from(">I4s", data, place)
            if name == b"IDAT":
                break
            exif = data[place + 8 : place + 8 + length] if name == b"eXIf" else None
            place += 12 + length
    return _with_exif(width, height, 0 < end <= len(data) - 8, exif)


def _webp(data: mmap | bytes) -> Header:
    # RFC 9649; the length in the head counts what follows it.
    kind, head = data[12:16], data[:64]
    whole = int.from_bytes(head[4:8], "little") + 8 <= len(data)
    if kind == b"VP8X":
        width = 1 + int.from_bytes(head[24:27], "little")
        height = 1 + int.from_bytes(head[27:30], "little")
        exif, place = None, 12
        with suppress(struct.error):
            while exif is None:
                name, length = struct.unpack_from("<4sI", data, place)
                exif = data[place + 8 : place + 8 + length] if name == b"EXIF" else None
                place += 8 + length + length % 2
        return _with_exif(width, height, whole, exif and exif.removeprefix(b"Exif\0\0"))
    if kind == b"VP8L":
        (bits,) = struct.unpack("<I", head[21:25])
        return Header((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, whole)
    width, height = struct.unpack("<2H", head[26:30])
    return Header(width & 0x3FFF, height & 0x3FFF, whole)


def _with_exif(width: int, height: int, whole: bool, exif: bytes | None) -> Header:
    # A picture with a broken EXIF is still one.
    with suppress(struct.error, KeyError):
        if exif:
            return _upright(width, height, whole, *_tiff(exif))
    return Header(width, height, whole)


def _upright(width: int, height: int, whole: bool, tags: dict[int, int], taken: datetime | None) -> Header:
    if tags.get(_ORIENTATION, 1) in range(5, 9):
        width, height = height, width
    return Header(width, height, whole, taken)


def _tiff(data: mmap | bytes) -> tuple[dict[int, int], datetime | None]:
    """The first directory's tags, numbers or offsets of what is longer, and EXIF's DateTimeOriginal.

    TIFF 6.0, section 2; Exif 2.32, section 4.6.
    """
    order = "<" if data[:1] == b"I" else ">"
    tags = _directory(data, order, *struct.unpack_from(f"{order}I", data, 4))
    taken = None
    with suppress(struct.error, KeyError, ValueError):
        place = _directory(data, order, tags[_EXIF])[_TAKEN]
        taken = datetime.strptime(data[place : place + 19].decode("ascii"), "%Y:%m:%d %H:%M:%S")
    return tags, taken


def _directory(data: mmap | bytes, order: str, start: int) -> dict[int, int]:
    (count,) = struct.unpack_from(f"{order}H", data, start)
    tags = {}
    for place in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(f"{order}2H", data, place)
        (tags[tag],) = struct.unpack_from(f"{order}{'H' if kind == 3 else 'I'}", data, place + 8)
    return tags
