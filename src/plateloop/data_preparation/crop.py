"""Crop and resize: plates or vehicles cut from pictures, and pictures scaled with their labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from plateloop import geometry
from plateloop.data_preparation.derive import Derived, derive
from plateloop.data_preparation.manifest import Record
from plateloop.data_preparation.pictures import place
from plateloop.data_preparation.report import Report
from plateloop.data_preparation.transform import corners_of, moved, scaled
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
            alone = _alone(record).model_copy(
                update={
                    "plates": (plate.model_copy(update={"vehicle": None}),),
                    "vehicles_annotated": False,
                    "region": plate.region or record.region,
                }
            )
            if rectify and plate.corners is not None:
                yield _rectified(frame, plate.corners, margin, alone)
            else:
                yield _cut(frame, _grown(plate.box, margin), alone)

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
            plates = (plate for plate in record.plates if plate.vehicle == number)
            found = {
                "vehicles": (vehicle,),
                "plates": tuple(plate.model_copy(update={"vehicle": 0}) for plate in plates),
                "ignore_plates": record.ignore_plates,
            }
            yield _cut(frame, _grown(vehicle.box, margin), _alone(record).model_copy(update=found))

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

    def shrunk(record: Record, frame: Frame) -> Iterator[tuple[Image, Record]]:
        factor = longest / max(frame.width, frame.height)
        width, height = max(1, round(frame.width * factor)), max(1, round(frame.height * factor))
        mode = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
        picture = np.asarray(cv2.resize(frame.rgb(), (width, height), interpolation=mode), np.uint8)
        found = scaled(record, (width / frame.width, height / frame.height))
        yield picture, found.model_copy(update={"width": width, "height": height})

    def fits(record: Record) -> bool:
        side = max(record.width, record.height)
        return side == longest or (side < longest and not enlarge)

    settings = {"step": "resize", "longest": longest, "enlarge": enlarge}
    return _each(source, target, settings, shrunk, tick, fits, ray)


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


def _alone(record: Record) -> Record:
    """The record without objects, of the sequence of its picture."""
    nothing: tuple[()] = ()
    empty = dict.fromkeys(("vehicles", "plates", "ignore_vehicles", "ignore_plates", "texts"), nothing)
    return record.model_copy(update={"sequence": record.sequence or record.file, **empty})


def _cut(frame: Frame, box: Box, record: Record) -> tuple[Image, Record]:
    """What of the picture lies in the box, grown to whole pixels; and the record of this part."""
    x1, y1 = max(0, int(np.floor(box[0]))), max(0, int(np.floor(box[1])))
    x2, y2 = min(frame.width, int(np.ceil(box[2]))), min(frame.height, int(np.ceil(box[3])))
    x1, y1 = min(x1, frame.width - 1), min(y1, frame.height - 1)
    picture = frame.rgb()[y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1)]
    return picture, moved(record, x1, y1, picture.shape[1], picture.shape[0])


def _rectified(frame: Frame, corners: Corners, margin: float, record: Record) -> tuple[Image, Record]:
    """The record's plate straightened; and the record of that picture."""
    quad = geometry.expand_corners(np.array([corners], np.float32), margin)
    sides = np.linalg.norm(quad[0] - np.roll(quad[0], -1, 0), axis=1)
    width, height = max(1, round(float(max(sides[::2])))), max(1, round(float(max(sides[1::2]))))
    picture = np.asarray(frame.rectified(quad, (width, height))[0], np.uint8)
    box = _grown((0, 0, width, height), -margin / (1 + 2 * margin))
    straight = corners_of(geometry.boxes_to_corners(np.array(box, np.float32)))
    plate = record.plates[0].model_copy(update={"box": box, "corners": straight})
    return picture, record.model_copy(update={"width": width, "height": height, "plates": (plate,)})
