"""Pictures as files: find them, read their size from the header, put them into another folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Literal

import cv2

from plateloop.errors import UserError
from plateloop.header import Header, read_header

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
    header = read_header(path)
    width, height = header.width, header.height
    if header == Header():
        picture = cv2.imread(str(path))
        width, height = (0, 0) if picture is None else (picture.shape[1], picture.shape[0])
    if width < 1 or height < 1:
        raise ValueError("no picture that can be read" if header.whole else "truncated picture")
    return width, height


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
