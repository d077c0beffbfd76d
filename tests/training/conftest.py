"""Data that several trainings are tried on."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from plateloop.data_preparation.manifest import Record, Vehicle, write_manifest

PAINT = {"black": (20, 20, 20), "white": (235, 235, 235), "red": (200, 20, 20), "blue": (20, 20, 200)}


@pytest.fixture
def painted(tmp_path: Path) -> Path:
    """A folder with ``colors`` and ``frames`` of flat colours: eight pictures of train, eight of val."""
    for folder in (tmp_path / "painted" / "colors", tmp_path / "painted" / "frames"):
        folder.mkdir(parents=True)
        records = []
        for number in range(16):
            color, paint = list(PAINT.items())[number % 4]
            cv2.imwrite(str(folder / f"{number}.png"), np.full((64, 64, 3), paint[::-1], np.uint8))
            car = Vehicle(box=(0, 0, 64, 64), label="car", color=color)
            split = "train" if number < 8 else "val"
            records.append(Record(file=f"{number}.png", width=64, height=64, split=split, vehicles=(car,)))
        write_manifest(folder, records)
    return tmp_path / "painted"
