"""However an annotation file is damaged, reading goes on with the rest and says one line about it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from plateloop.data_preparation.convert import FORMATS
from plateloop.data_preparation.formats.crops import HOLDS as CROPS
from plateloop.data_preparation.manifest import Plate, Record, Vehicle
from plateloop.data_preparation.report import Report
from plateloop.errors import UserError

PICTURES = {".jpg", ".png"}
CORNERS = ((10.0, 10.0), (40.0, 11.0), (40.0, 20.0), (10.0, 19.0))


@pytest.fixture
def valid(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    name = request.param
    source = tmp_path / "in"
    source.mkdir()
    records = []
    for index in range(3):
        cv2.imwrite(str(source / f"{index}.jpg"), np.full((40, 60, 3), 99, np.uint8))
        whole = FORMATS[name].HOLDS == CROPS
        plate = Plate(
            box=(0, 0, 60, 40) if whole else (10, 10, 40, 20), corners=CORNERS, text=f"A1234{index}"
        )
        car = Vehicle(box=(1, 2, 50, 39), label="car", color="red")
        records.append(Record(file=f"{index}.jpg", width=60, height=40, vehicles=(car,), plates=(plate,)))
    FORMATS[name].write(records, source, tmp_path / name, Report())
    return tmp_path / name


@pytest.mark.parametrize("valid", [n for n in FORMATS if n not in ("names", "ccpd")], indirect=True)
def test_damage_never_stops_the_rest(valid: Path) -> None:
    module = FORMATS[valid.name]
    rng = np.random.default_rng(4)
    files = [path for path in sorted(valid.rglob("*")) if path.is_file() and path.suffix not in PICTURES]
    shared = len(files) < 3
    pieces = [
        b"\0",
        b"\xff\xfe",
        b"-",
        b"nan",
        b"1e999",
        b'"',
        b"<",
        b"}",
        b"null",
        b"[]",
        b"\n",
        b",",
        b"\t",
        b"9" * 30,
    ]
    for _ in range(50):
        path = files[rng.integers(len(files))]
        good = path.read_bytes()
        place = int(rng.integers(len(good)))
        length = int(rng.integers(0, 20))
        piece = pieces[rng.integers(len(pieces))]
        path.write_bytes(
            good[:place] if rng.random() < 0.2 else good[:place] + piece + good[place + length :]
        )
        report = Report()
        try:
            found = list(module.read(valid, report))
        except UserError:
            # The one file that tells what all the others mean.
            assert path.suffix in (".yaml", ".json", ".csv", ".txt", ".xml")
            assert shared or path.name in ("data.yaml", "gt_list.txt")
        else:
            assert all(np.isfinite(plate.box).all() for record in found for plate in record.plates)
            assert all("\n" not in line for line in report.skipped.values())
            if not shared and path.parent != valid:
                assert len(found) >= 2
        path.write_bytes(good)
    assert len(list(module.read(valid, Report()))) == 3
