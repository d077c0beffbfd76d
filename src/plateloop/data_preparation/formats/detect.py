"""Which format a folder has, by the files in it."""

from __future__ import annotations

import json
import re
from itertools import islice
from pathlib import Path

from plateloop.data_preparation import manifest
from plateloop.data_preparation.formats import collection
from plateloop.data_preparation.pictures import bases, walk

_CCPD = re.compile(r"\d+-\d+_\d+-\d+&\d+_\d+&\d+-(\d+&\d+_?){4}-\d+(_\d+){6,7}-\d+-\d+")


def detect(folder: Path) -> str:
    """The name of ``folder``'s format; ``pictures`` where nothing but pictures is recognized.

    ``names`` is never guessed: any name could be a text.
    """
    if (folder / manifest.NAME).is_file():
        return "manifest"
    if any((folder / f"{name}.jsonl").is_file() for name in collection.LISTS):
        return "collection"
    if any((folder / name).is_file() for name in ("data.yaml", "dataset.yaml", "data.yml")):
        return "yolo"
    for base, _ in bases(folder):
        for name in ("labels", "label_2", "label"):
            text = _first(base / name, ".txt") if (base / name).is_dir() else ""
            if len(text.partition("\n")[0].split()) in (15, 16):
                return "kitti"
            if text and (base / name.replace("label", "image")).is_dir():
                return "lprnet" if len(text.split()) == 1 else "yolo"
    return _by_content(folder)


def _by_content(folder: Path) -> str:
    xml = _first(folder, ".xml")
    if "<annotations" in xml:
        return "cvat"
    if "<annotation" in xml:
        return "voc"
    if found := _json(folder):
        return found
    for path in islice(walk(folder, frozenset({".txt"})), 20):
        if tabs := _head(path).partition("\n")[0].count("\t"):
            return "openalpr" if tabs == 5 else "ocrnet"
    if _first(folder, ".csv"):
        return "csv"
    picture = next(walk(folder), None)
    if picture is not None and _CCPD.match(picture.stem):
        return "ccpd"
    if picture is not None and picture.with_suffix(".txt").is_file():
        return "pairs"
    return "pictures"


def _first(folder: Path, suffix: str) -> str:
    """The first two kilobytes of the first file that ends in ``suffix``."""
    path = next((p for p in walk(folder, frozenset({suffix})) if p.stat().st_size), None)
    return _head(path) if path else ""


def _head(path: Path) -> str:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        return file.read(2048)


def _json(folder: Path) -> str | None:
    for path in walk(folder, frozenset({".json"})):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            continue
        if isinstance(content, list) or "data" in content:
            return "labelstudio"
        if "categories" in content:
            return "coco"
        if "shapes" in content:
            return "labelme"
    return None
