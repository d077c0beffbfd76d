"""Pictures by path: found in folders, read ahead while the networks run, and written."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import cv2

from plateloop.errors import UserError
from plateloop.frame import Frame, read_image
from plateloop.types import Image

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})


def find_pictures(paths: Iterable[Path]) -> Iterator[Path | UserError]:
    """The files of ``paths`` in the order given; a folder stands for the pictures in it and below, sorted.

    A folder without a picture gives a UserError in its place. Hidden files and folders are left out.
    """
    for path in paths:
        try:
            is_folder = path.is_dir()
        except OSError as error:  # a name too long for any file
            yield UserError(f"{path}: cannot be read: {(error.strerror or str(error)).lower()}")
            continue
        if not is_folder:
            yield path
            continue
        inside = sorted(
            file
            for file in path.rglob("*")
            if file.suffix.lower() in SUFFIXES
            and not any(part.startswith(".") for part in file.relative_to(path).parts)
            and file.is_file()
        )
        yield from inside
        if not inside:
            yield UserError(f"{path}: no picture in this folder ({', '.join(sorted(SUFFIXES))})")


def read_pictures(
    files: Iterable[Path | UserError], ahead: int = 1
) -> Iterator[tuple[Path, Frame] | UserError]:
    """Each of ``files`` with its picture, in order; those that cannot be read give their UserError.

    ``ahead`` pictures are decoded meanwhile, each in a thread of its own; so ``ahead + 1`` are in memory.
    """

    def read(file: Path | UserError) -> tuple[Path, Frame] | UserError:
        if isinstance(file, UserError):
            return file
        try:
            return file, read_image(file)
        except UserError as error:
            return error

    remaining = iter(files)
    with ThreadPoolExecutor(ahead, thread_name_prefix="read") as pool:
        waiting: deque[Future[tuple[Path, Frame] | UserError]] = deque()
        waiting.extend(pool.submit(read, file) for file in islice(remaining, ahead))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(read, file) for file in islice(remaining, 1))
            yield result


def copies(files: Sequence[Path], folder: Path) -> dict[Path, Path]:
    """Where in ``folder`` an annotated copy of each file goes: as it lies below the folder common to all.

    Raises UserError where ``folder`` is that folder, so that the copies would replace the files.
    """
    places = [Path(os.path.abspath(file)) for file in files]  # noqa: PTH100 (resolve would follow links)
    root = Path(os.path.commonpath([place.parent for place in places])) if places else folder
    if places and folder.resolve() == root.resolve():
        raise UserError(f"{folder}: the pictures lie there themselves; choose another folder to save to")
    return {file: folder / place.relative_to(root) for file, place in zip(files, places, strict=True)}


def write_picture(path: Path, rgb: Image) -> None:
    """Write an RGB picture (H, W, 3) in the format of its suffix; JPEG where that cannot be written.

    Raises UserError where the place cannot be written to.
    """
    if not cv2.haveImageWriter(path.name):
        path = path.with_name(f"{path.name}.jpg")
    _, data = cv2.imencode(path.suffix, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {(error.strerror or str(error)).lower()}") from None
