"""Keeps prepared arrays on the local disk, so that a run that starts again does not prepare them again."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

import plateloop
from plateloop.data_preparation.manifest import manifest_of

Arrays = Mapping[str, NDArray[Any]]


def digest(folders: Sequence[Path], settings: object) -> str:
    """What prepared data depends on, as 16 hexadecimal digits: the manifests of ``folders``, ``settings``
    (anything that JSON can write) and plateloop's own sources.

    Raises UserError for a folder without a manifest.
    """
    hashed = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for folder in folders:
        hashed.update(str(folder.resolve()).encode())
        hashed.update(manifest_of(folder).read_bytes())
    package = Path(plateloop.__file__).parent
    for part in ("data_preparation", "training", "."):
        for source in sorted((package / part).glob("**/*.py" if part != "." else "*.py")):
            hashed.update(source.read_bytes())
    return hashed.hexdigest()[:16]


def cached(cache: Path | None, name: str, key: str, make: Callable[[], Arrays]) -> Arrays:
    """What ``make`` makes, kept in ``cache``; from there where it lies under ``name`` and ``key`` already.

    Other keys of ``name`` are deleted: they are of data, settings or sources that have changed. With no
    ``cache`` nothing is kept.
    """
    if cache is None:
        return make()
    start, folder = time.monotonic(), cache / f"{name}-{key}"
    if folder.is_dir():
        arrays = {file.stem: np.load(file) for file in folder.glob("*.npy")}
        print(f"{name}: from {folder} in {time.monotonic() - start:.1f} s", flush=True)
        return arrays
    made = make()
    for old in cache.glob(f"{name}-*"):
        shutil.rmtree(old, ignore_errors=True)
    # A run that is killed here must not leave half of it.
    partial = cache / f".{name}-{uuid4().hex}"
    partial.mkdir(parents=True)
    for stem, array in made.items():
        np.save(partial / f"{stem}.npy", array)
    try:
        partial.replace(folder)
    except OSError:
        if not folder.is_dir():
            raise
        shutil.rmtree(partial)  # another run has made the same meanwhile
    return made
