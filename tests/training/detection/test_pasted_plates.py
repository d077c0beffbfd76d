"""Pasted plates: where the record says they are, and the same for the same seed."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from plateloop.data_preparation.manifest import Plate, Record
from plateloop.frame import Frame
from plateloop.training.detection.pasted_plates import Task, pasted, pasted_pictures


def street(folder: Path) -> Record:
    picture = np.full((240, 320, 3), 90, np.uint8)
    cv2.rectangle(picture, (120, 150), (200, 175), (240, 240, 240), -1)
    cv2.imwrite(str(folder / "street.png"), picture)
    plates = (Plate(box=(120, 150, 200, 175)), Plate(box=(10, 10, 20, 14)))
    return Record(file="street.png", width=320, height=240, plates=plates)


def test_the_plate_lies_at_its_corners_and_the_rest_is_untouched(tmp_path: Path) -> None:
    picture, record = pasted(Task(tmp_path, street(tmp_path), (1, 2)))
    plate, small = record.plates
    assert small.corners is None and small.box == (10, 10, 20, 14)
    assert plate.corners is not None and plate.text
    corners = np.array(plate.corners, np.float32)
    middle = corners.mean(0)
    assert np.abs(middle - [160, 162.5]).max() < 12
    assert 40 < np.ptp(corners[:, 0]) < 110
    rectified = Frame.from_rgb(picture).rectified(corners[None], (96, 32))[0]
    assert rectified.std() > 10  # characters on a ground
    assert (picture[:100] == 90).all() and (picture[:, :60] == 90).all()


def test_the_same_seed_gives_the_same_picture(tmp_path: Path) -> None:
    record = street(tmp_path)
    first, second = (list(pasted_pictures(tmp_path, [record], 2, 1, 7)) for _ in range(2))
    assert len(first) == 2
    for (picture, labels), (again, labels_again) in zip(first, second, strict=True):
        assert np.array_equal(picture, again) and labels == labels_again
    assert not np.array_equal(first[0][0], first[1][0])
