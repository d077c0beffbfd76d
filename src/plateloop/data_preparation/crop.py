"""Crop and resize: plates or vehicles cut from pictures, and pictures scaled with their labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray

from plateloop import geometry
from plateloop.data_preparation.derive import Derived, derive
from plateloop.data_preparation.manifest import Plate, Record
from plateloop.data_preparation.pictures import place
from plateloop.data_preparation.report import Report
from plateloop.errors import UserError
from plateloop.frame import Frame, read_image
from plateloop.types import Box, Corners, Image


def crop_plates(
    source: Path,
    target: Path,
    margin: float = 0.06,
    rectify: bool = False,
    least: int = 8,
    tick: Callable[[], None] = lambda: None,
    ray: str | None = None,
) -> Report:
    """Write each plate of the manifest dataset ``source`` as a picture of its own (PNG) to ``target``.

    The box, or with ``rectify`` the corners made a rectangle where a plate has them, is grown on each side by
    ``margin`` of its size. A crop's sequence is its picture's, or its picture, so that a split keeps the
    crops of one picture together. Plates less than ``least`` pixels high are left out.
    """

    def cut(record: Record, frame: Frame) -> Iterator[tuple[Image, Record]]:
        for plate in record.plates:
            if plate.box[3] - plate.box[1] < least:
                continue
            if rectify and plate.corners is not None:
                picture = _rectified(frame, plate.corners, margin)
                box = _grown((0, 0, picture.shape[1], picture.shape[0]), -margin / (1 + 2 * margin))
                corners = _corners(geometry.boxes_to_corners(np.array(box, np.float32)))
                found = plate.model_copy(update={"box": box, "corners": corners, "vehicle": None})
            else:
                picture, left, top = _cut(frame, _grown(plate.box, margin))
                found = _moved(plate, left, top, picture).model_copy(update={"vehicle": None})
            yield (
                picture,
                _part(record, picture).model_copy(
                    update={
                        "plates": (found,),
                        "vehicles_annotated": False,
                        "region": plate.region or record.region,
                    }
                ),
            )

    settings = {"step": "crop plates", "margin": margin, "rectify": rectify, "least": least}
    return _each(source, target, settings, cut, tick, ray=ray)


def crop_vehicles(
    source: Path,
    target: Path,
    margin: float = 0.0,
    least: int = 32,
    tick: Callable[[], None] = lambda: None,
    ray: str | None = None,
) -> Report:
    """Write each vehicle of ``source`` as a picture (PNG) to ``target``, with the plates that are its own.

    As `crop_plates`; vehicles less than ``least`` pixels high are left out.
    """

    def cut(record: Record, frame: Frame) -> Iterator[tuple[Image, Record]]:
        for number, vehicle in enumerate(record.vehicles):
            if vehicle.box[3] - vehicle.box[1] < least:
                continue
            picture, left, top = _cut(frame, _grown(vehicle.box, margin))
            own = vehicle.model_copy(update={"box": _within(vehicle.box, left, top, picture)})
            plates = [_moved(p, left, top, picture) for p in record.plates if p.vehicle == number]
            ignored = (_within(box, left, top, picture) for box in record.ignore_plates)
            found = {
                "vehicles": (own,),
                "plates": tuple(plate.model_copy(update={"vehicle": 0}) for plate in plates),
                "ignore_plates": tuple(box for box in ignored if box[0] < box[2] and box[1] < box[3]),
            }
            yield picture, _part(record, picture).model_copy(update=found)

    settings = {"step": "crop vehicles", "margin": margin, "least": least}
    return _each(source, target, settings, cut, tick, ray=ray)


def resize(
    source: Path,
    target: Path,
    longest: int,
    enlarge: bool = False,
    tick: Callable[[], None] = lambda: None,
    ray: str | None = None,
) -> Report:
    """Write ``source`` to ``target`` with every picture's longer side at most ``longest`` pixels (with
    ``enlarge`` exactly so), and boxes and corners scaled with it. A picture that fits is copied.
    """

    def scaled(record: Record, frame: Frame) -> Iterator[tuple[Image, Record]]:
        factor = longest / max(frame.width, frame.height)
        width, height = max(1, round(frame.width * factor)), max(1, round(frame.height * factor))
        by = width / frame.width, height / frame.height
        mode = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
        picture = np.asarray(cv2.resize(frame.rgb(), (width, height), interpolation=mode), np.uint8)
        yield picture, _scaled(record, by).model_copy(update={"width": width, "height": height})

    def fits(record: Record) -> bool:
        side = max(record.width, record.height)
        return side == longest or (side < longest and not enlarge)

    settings = {"step": "resize", "longest": longest, "enlarge": enlarge}
    return _each(source, target, settings, scaled, tick, fits, ray)


def _each(
    source: Path,
    target: Path,
    settings: Mapping[str, object],
    make: Callable[[Record, Frame], Iterator[tuple[Image, Record]]],
    tick: Callable[[], None],
    copied: Callable[[Record], bool] | None = None,
    ray: str | None = None,
) -> Report:
    """Write what ``make`` makes of each record: crops are numbered behind the picture's name, and PNG; with
    ``copied`` there is one a record, under its name and in its kind, and those that it says are copied."""

    def written(source: Path, target: Path, record: Record) -> Derived:
        if copied is not None and copied(record):
            place(source / record.file, target / record.file)
            return [record], {}
        own = Report()
        frame = own.attempt(record.file, _read, source / record.file)
        records = []
        path = PurePosixPath(record.file)
        for number, (picture, found) in enumerate(make(record, frame) if frame is not None else ()):
            file = record.file if copied else str(path.with_name(f"{path.stem}_{number}.png"))
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
            (target / file).write_bytes(cv2.imencode(Path(file).suffix, bgr)[1].tobytes())
            records.append(found.model_copy(update={"file": file}))
        return records, own.skipped

    return derive(source, target, settings, written, tick, ray)


def _read(path: Path) -> Frame:
    try:
        return read_image(path)
    except UserError as error:
        raise ValueError(str(error).removeprefix(f"{path}: ")) from None


def _grown(box: Box, margin: float) -> Box:
    x1, y1, x2, y2 = geometry.expand(np.array(box, np.float32), margin).tolist()
    return x1, y1, x2, y2


def _cut(frame: Frame, box: Box) -> tuple[Image, int, int]:
    """What of the picture lies in the box, grown to whole pixels; and where its left top is."""
    x1, y1 = max(0, int(np.floor(box[0]))), max(0, int(np.floor(box[1])))
    x2, y2 = min(frame.width, int(np.ceil(box[2]))), min(frame.height, int(np.ceil(box[3])))
    x1, y1 = min(x1, frame.width - 1), min(y1, frame.height - 1)
    return frame.rgb()[y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1)], x1, y1


def _rectified(frame: Frame, corners: Corners, margin: float) -> Image:
    quad = geometry.expand_corners(np.array([corners], np.float32), margin)
    sides = np.linalg.norm(quad[0] - np.roll(quad[0], -1, 0), axis=1)
    size = max(1, round(float(max(sides[0], sides[2])))), max(1, round(float(max(sides[1], sides[3]))))
    return np.asarray(frame.rectified(quad, size)[0], np.uint8)


def _part(record: Record, picture: Image) -> Record:
    """A record for a part of the record's picture, without objects."""
    height, width = picture.shape[:2]
    nothing: tuple[()] = ()
    return record.model_copy(
        update={
            "width": width,
            "height": height,
            "sequence": record.sequence or record.file,
            **dict.fromkeys(("vehicles", "plates", "ignore_vehicles", "ignore_plates", "texts"), nothing),
        }
    )


def _moved(plate: Plate, left: int, top: int, picture: Image) -> Plate:
    """The plate in a part of its picture, its box cut to the part."""
    corners = None if plate.corners is None else _corners(np.array(plate.corners) - (left, top))
    return plate.model_copy(update={"box": _within(plate.box, left, top, picture), "corners": corners})


def _within(box: Box, left: int, top: int, picture: Image) -> Box:
    height, width = picture.shape[:2]
    moved = np.clip(np.array(box) - (left, top, left, top), 0, [width, height, width, height])
    x1, y1, x2, y2 = moved.round(6).tolist()
    return x1, y1, x2, y2


def _corners(points: NDArray[np.floating]) -> Corners:
    a, b, c, d = ((float(x), float(y)) for x, y in points.round(6))
    return a, b, c, d


def _scaled(record: Record, by: tuple[float, float]) -> Record:
    def box(given: Box) -> Box:
        x1, y1, x2, y2 = (round(value * by[index % 2], 6) for index, value in enumerate(given))
        return x1, y1, x2, y2

    plates = [
        plate.model_copy(
            update={
                "box": box(plate.box),
                "corners": _corners(np.array(plate.corners) * by) if plate.corners else None,
            }
        )
        for plate in record.plates
    ]
    return record.model_copy(
        update={
            "vehicles": tuple(v.model_copy(update={"box": box(v.box)}) for v in record.vehicles),
            "plates": tuple(plates),
            "ignore_vehicles": tuple(map(box, record.ignore_vehicles)),
            "ignore_plates": tuple(map(box, record.ignore_plates)),
        }
    )
