"""Pictures of each event's plate and vehicle, for as long as they are to be kept."""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from plateloop.deployment.sinks.worker import Result
from plateloop.files import atomic
from plateloop.frame import Frame
from plateloop.types import Box, Corners, Event, EventPictures, Image

log = logging.getLogger(__name__)

# Vehicles under way whose pictures wait for their end, and seconds between looks at what is to be deleted.
OPEN = 256
TIDY_S = 60.0


class PicturesConfig(BaseModel):
    """Pictures of plates and vehicles."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    quality: int = Field(90, ge=1, le=100, description="JPEG quality")
    plate_height: int = Field(64, ge=8, le=512, description="height of a plate's picture in pixels")
    vehicle_side: int = Field(640, ge=32, le=4096, description="longer side of a vehicle's, at most")
    keep_days: float | None = Field(None, gt=0, description="days after which pictures are deleted")
    keep_mb: float | None = Field(None, gt=0, description="megabytes above which the oldest are deleted")


@dataclass(frozen=True, slots=True)
class _Best:
    plate: Image
    vehicle: Image | None


def addressed(event: Event) -> Event:
    """An event that says where its pictures will be: ``pictures/SOURCE/DAY/TIME_ID_plate.jpg`` and
    ``…_vehicle.jpg``. Only the end of one whose plate was read has any."""
    if event.phase != "end" or event.plate is None:
        return event
    now = datetime.now(UTC)
    name = f"pictures/{safe_name(event.source)}/{now:%Y-%m-%d}/{now:%H%M%S}_{safe_name(event.id)}"
    vehicle = f"{name}_vehicle.jpg" if event.vehicle is not None else None
    places = EventPictures(plate=f"{name}_plate.jpg", vehicle=vehicle)
    return event.model_copy(update={"pictures": places})


def present(event: Event, folder: Path) -> Event:
    """An event that names those of its pictures that are there in a run's ``folder``."""
    if event.pictures is None:
        return event
    said = event.pictures.model_dump().items()
    there = {kind: path for kind, path in said if path is not None and (folder / path).is_file()}
    return event.model_copy(update={"pictures": EventPictures(**there) if there else None})


class Pictures:
    """Writes the pictures that `addressed` events name, when an event ends.

    They are of the frame in which its plate was read best; only these two places of a frame are converted.
    ``dropped`` counts events whose pictures could not be written.
    """

    def __init__(self, folder: Path, config: PicturesConfig) -> None:
        """``folder`` is ``pictures`` in the run's folder."""
        self._folder, self._config = folder, config
        self._best: OrderedDict[str, _Best] = OrderedDict()
        self._tidied = float("-inf")
        self.dropped = 0

    def write(self, result: Result) -> None:
        """Keep the pictures of the plates that were never read better, write those of events that end."""
        if result.shot is not None:
            for identity, corners, box in result.best:
                self._best[identity] = self._cut(result.shot.frame, corners, box)
                self._best.move_to_end(identity)
            while len(self._best) > OPEN:
                self._best.popitem(last=False)
        for event in result.events:
            if event.phase == "end" and (best := self._best.pop(event.id, None)) is not None:
                self._try(event, best)
        if time.monotonic() > self._tidied + TIDY_S:
            self._tidied = time.monotonic()
            tidy(self._folder, self._config.keep_days, self._config.keep_mb)

    def close(self) -> None:
        """Delete what is not to be kept."""
        tidy(self._folder, self._config.keep_days, self._config.keep_mb)
        if self.dropped:
            log.warning("pictures of %d events could not be written", self.dropped)

    def _try(self, event: Event, best: _Best) -> None:
        try:
            self._save(event, best)
        except OSError as error:
            self.dropped += 1
            if self.dropped == 1:
                log.warning("%s: pictures cannot be written: %s", self._folder, error.strerror or error)

    def _cut(self, frame: Frame, corners: Corners, box: Box | None) -> _Best:
        quad = np.array(corners, np.float32)
        across, down = (np.linalg.norm(quad[1:3] - quad[0:2], axis=1)).tolist()
        height = self._config.plate_height
        width = round(height * min(6.0, max(0.5, across / max(down, 1.0))))
        plate = frame.rectified(quad[None], (width, height))[0]
        if box is None:
            return _Best(plate, None)
        x1, y1, x2, y2 = np.clip(box, 0, [frame.width, frame.height] * 2).tolist()
        scale = min(1.0, self._config.vehicle_side / max(x2 - x1, y2 - y1, 1.0))
        size = (max(1, round((x2 - x1) * scale)), max(1, round((y2 - y1) * scale)))
        place = np.array([[x1, y1, x2, y2]], np.float32)
        return _Best(plate, frame.crops(place, size, resize="stretch")[0])

    def _save(self, event: Event, best: _Best) -> None:
        places = event.pictures or EventPictures()
        for place, picture in ((places.plate, best.plate), (places.vehicle, best.vehicle)):
            if place is not None and picture is not None:
                path = self._folder.parent / place
                path.parent.mkdir(parents=True, exist_ok=True)
                bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
                data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, self._config.quality])[1]
                with atomic(path) as partial:
                    partial.write_bytes(data.tobytes())


def safe_name(text: str) -> str:
    """A file name for any text: the same one each time, of another text another one."""
    name = re.sub(r"[^\w.-]+", "_", text, flags=re.ASCII).strip("._")[:80]
    if name == text and name:
        return name
    return f"{name or 'source'}-{hashlib.blake2b(text.encode(errors='replace'), digest_size=4).hexdigest()}"


def tidy(folder: Path, days: float | None, megabytes: float | None) -> int:
    """Delete pictures older than ``days``, and the oldest above ``megabytes``; returns how many."""
    if days is None and megabytes is None:
        return 0
    found = []
    for path in folder.glob("*/*/*.jpg"):
        try:
            state = path.stat()
        except OSError:
            continue
        found.append((state.st_mtime, state.st_size, path))
    doomed = _doomed(sorted(found, reverse=True), days, megabytes)
    for path in doomed:
        path.unlink(missing_ok=True)
    for day in {path.parent for path in doomed}:
        if not any(day.iterdir()):
            day.rmdir()
    return len(doomed)


def _doomed(
    newest_first: Sequence[tuple[float, int, Path]], days: float | None, megabytes: float | None
) -> list[Path]:
    oldest = time.time() - days * 86_400 if days is not None else 0.0
    room = megabytes * 1e6 if megabytes is not None else float("inf")
    doomed = []
    for modified, size, path in newest_first:
        room -= size
        if modified < oldest or room < 0:
            doomed.append(path)
    return doomed
