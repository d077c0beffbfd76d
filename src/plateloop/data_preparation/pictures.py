"""Pictures as files: find them, read their size from the header, put them into another folder."""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal

import cv2

from plateloop.errors import UserError

Split = Literal["train", "val", "test"]

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})

SPLITS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}

_PICTURE_FOLDERS = frozenset({"images", "image", "image_2", "img", "jpegimages", "data"})


def walk(folder: Path, suffixes: frozenset[str] = SUFFIXES) -> Iterator[Path]:
    """The files under ``folder`` that end in one of ``suffixes``, in a fixed order, without hidden ones."""
    seen = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        true = os.path.realpath(root)
        if true in seen:
            folders.clear()
            continue
        seen.add(true)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in suffixes:  # noqa: PTH122
                yield Path(root, name)


def relative(path: Path, folder: Path) -> str:
    """``path`` as a manifest names it: from ``folder``, with slashes."""
    return path.relative_to(folder).as_posix()


def split_of(file: str) -> Split | None:
    """The split that a folder in the path ``file`` names, the innermost one."""
    for part in reversed(PurePosixPath(file).parts[:-1]):
        if part.lower() in SPLITS:
            return SPLITS[part.lower()]
    return None


def bases(folder: Path) -> Iterator[tuple[Path, Split | None]]:
    """``folder`` itself, then its subfolders that are named as splits, each with its split."""
    yield folder, None
    for child in sorted(folder.iterdir()):
        if child.is_dir() and child.name.lower() in SPLITS:
            yield child, SPLITS[child.name.lower()]


def beside(labels: Path, stem: str) -> Path | None:
    """The picture ``stem`` with any picture's suffix in the folder ``labels``, None if there is none."""
    for suffix in (".jpg", ".png", ".jpeg", ".webp", ".bmp", ".JPG", ".PNG", ".JPEG", ".tif", ".tiff"):
        path = labels / f"{stem}{suffix}"
        if path.is_file():
            return path
    return None


def locate(folder: Path, name: str, *places: str) -> Path:
    """The picture that an annotation calls ``name``, looked for in ``folder`` and its ``places``.

    A path of another machine is tried by its last part. Raises ValueError where there is none inside
    ``folder``.
    """
    name = name.replace("\\", "/")
    for candidate in dict.fromkeys((name.lstrip("/"), PurePosixPath(name).name)):
        if candidate and ".." not in PurePosixPath(candidate).parts:
            for place in ("", *places):
                path = folder / place / candidate
                if path.is_file():
                    return path
    raise ValueError(f"no picture {name}")


def size(path: Path) -> tuple[int, int]:
    """Width and height of a picture as it is shown (EXIF orientation applied), from its header.

    Formats without a known header are decoded. Raises ValueError where it is no picture.
    """
    with path.open("rb") as file:
        head = file.read(32)
        found: tuple[int, int] | None = None
        try:
            if head.startswith(b"\x89PNG\r\n\x1a\n"):
                width, height = struct.unpack(">II", head[16:24])
                found = width, height
            elif head.startswith(b"\xff\xd8"):
                found = _jpeg_size(file)
            elif head[:4] == b"RIFF" and head[8:12] == b"WEBP":
                found = _webp_size(head)
        except struct.error:
            raise ValueError("truncated picture") from None
    if found is None:
        picture = cv2.imread(str(path))
        found = (0, 0) if picture is None else (picture.shape[1], picture.shape[0])
    width, height = found
    if width < 1 or height < 1:
        raise ValueError("no picture that can be read")
    return width, height


def _jpeg_size(file: BinaryIO) -> tuple[int, int]:
    # ISO/IEC 10918-1, B.1: segments are a marker, a length that counts itself, and a payload.
    file.seek(2)
    turned = False
    while True:
        byte = file.read(1)
        while byte and byte != b"\xff":
            byte = file.read(1)
        while byte == b"\xff":
            byte = file.read(1)
        if not byte:
            raise ValueError("truncated picture")
        marker = byte[0]
        if marker in (0x01, *range(0xD0, 0xD9)):
            continue
        (length,) = struct.unpack(">H", file.read(2))
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">xHH", file.read(5))
            return (height, width) if turned else (width, height)
        if marker == 0xE1:
            turned = _exif_turned(file.read(length - 2))
        else:
            file.seek(length - 2, os.SEEK_CUR)


def _exif_turned(payload: bytes) -> bool:
    """Whether EXIF's orientation (TIFF tag 0x0112) swaps width and height: values 5 to 8."""
    if not payload.startswith(b"Exif\0\0") or len(payload) < 16:
        return False
    tiff = payload[6:]
    order = "<" if tiff[:2] == b"II" else ">"
    (offset,) = struct.unpack(f"{order}I", tiff[4:8])
    (entries,) = struct.unpack(f"{order}H", tiff[offset : offset + 2].ljust(2, b"\0"))
    for index in range(entries):
        entry = tiff[offset + 2 + 12 * index : offset + 14 + 12 * index]
        if len(entry) == 12 and struct.unpack(f"{order}H", entry[:2])[0] == 0x0112:
            return 5 <= int(struct.unpack(f"{order}H", entry[8:10])[0]) <= 8
    return False


def _webp_size(head: bytes) -> tuple[int, int] | None:
    kind = head[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", head[26:30])
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack("<I", head[21:25])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    return None


def place(source: Path, target: Path, link: bool = False) -> Path:
    """Put the picture ``source`` at ``target``: a copy, or with ``link`` a second name of the same file.

    What is there already, with the source's size and time, is left alone, so that a step can be repeated. A
    target with another kind of suffix is written anew (PNG keeps every pixel).

    Raises UserError where ``link`` is asked across file systems, ValueError where a picture cannot be read.
    """
    transcode = source.suffix.lower() != target.suffix.lower()
    if target.exists():
        old, new = target.stat(), source.stat()
        same = old.st_size == new.st_size or transcode
        if same and old.st_mtime_ns == new.st_mtime_ns:
            return target
        target.unlink()
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".partial-{target.name}")
    if transcode:
        picture = cv2.imread(str(source))
        if picture is None or not cv2.imwrite(str(partial), picture):
            raise ValueError("no picture that can be read")
        shutil.copystat(source, partial)
    elif link:
        partial.unlink(missing_ok=True)
        try:
            os.link(source.resolve(), partial)
        except OSError as error:
            raise UserError(f"{target}: cannot link ({error.strerror}); leave --link away") from None
    else:
        shutil.copy2(source, partial)
    return partial.replace(target)


class FlatNames:
    """Names without folders for formats that keep all pictures in one: no two are given the same."""

    def __init__(self) -> None:
        self._taken: set[int] = set()

    def take(self, file: str, folder: str = "") -> str:
        """A stem for the manifest's ``file``, within ``folder``: its own folders (but those that only say
        "images" or a split) joined by ``_``. The same sequence of files gets the same names."""
        parts = PurePosixPath(file).with_suffix("").parts
        said = [p for p in parts[:-1] if p.lower() not in _PICTURE_FOLDERS and p.lower() not in SPLITS]
        return self.free("_".join([*said, parts[-1]]), folder)

    def free(self, stem: str, folder: str = "") -> str:
        """``stem``, or ``stem_2``, ``stem_3``… where it is taken in ``folder``."""
        name, number = stem, 1
        # Hashes, not strings: a million names fit in some tens of megabytes.
        while hash((folder, name)) in self._taken:
            number += 1
            name = f"{stem}_{number}"
        self._taken.add(hash((folder, name)))
        return name
