"""Annotated video in fragmented MP4, which plays on when its writer was killed."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import av
import cv2
import numpy as np
from av.container import OutputContainer
from pydantic import Field

from plateloop.deployment.encoded import CLOCK, Codec, Unit, add_video, as_packet
from plateloop.deployment.encoder import Encoder, EncoderConfig, to_i420
from plateloop.deployment.overlay import draw
from plateloop.deployment.sinks.worker import Result
from plateloop.types import Image

log = logging.getLogger(__name__)

RETRY_S = 5.0
"""Pause before a full disk is tried again."""


class Mp4Config(EncoderConfig):
    """Annotated videos: their encoding, and how they lie in files."""

    rotate_s: float | None = Field(None, gt=0, description="seconds of video after which a new file begins")
    rotate_mb: float | None = Field(None, gt=0, description="megabytes after which a new file begins")


class Mp4:
    """Draws the marks of each stream's results and writes one MP4 a stream."""

    def __init__(self, path: Callable[[int], Path], config: Mp4Config) -> None:
        """``path`` says where the video of each stream goes; files are made with the first frame."""
        self._path = path
        self._config = config
        self._videos: dict[int, tuple[Encoder, Mp4Files]] = {}

    def write(self, result: Result) -> None:
        """Draw and encode one frame; finish the video of a stream that has ended."""
        if result.shot is None:
            self._finish(result.stream)
            return
        frame = result.shot.frame
        picture = frame.rgb()
        if frame.to_rgb is None:  # an RGB frame's own array
            picture = picture.copy()
        if result.stream not in self._videos:
            size = max(2, frame.width // 2 * 2), max(2, frame.height // 2 * 2)
            encoder = Encoder(size, self._config)
            self._videos[result.stream] = encoder, Mp4Files(self._path(result.stream), size, self._config)
        encoder, files = self._videos[result.stream]
        planes = to_i420(_fitted(draw(picture, result.marks), encoder.size))
        for unit in encoder.encode(planes, result.shot.time_s):
            files.write(unit)

    def close(self) -> None:
        """Finish all videos."""
        for stream in list(self._videos):
            self._finish(stream)

    def _finish(self, stream: int) -> None:
        if stream in self._videos:
            encoder, files = self._videos.pop(stream)
            for unit in encoder.flush():
                files.write(unit)
            files.close()


def _fitted(rgb: Image, size: tuple[int, int]) -> Image:
    width, height = size
    if rgb.shape[1] // 2 * 2 != width or rgb.shape[0] // 2 * 2 != height:
        rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
    return rgb[:height, :width]


class Mp4Files:
    """The pictures of one encoder in an MP4, or in a row of them where rotation is wished.

    Where a file cannot be written (the disk is full), it is cut after its last whole fragment, pictures are
    dropped and counted, and a new file is tried every `RETRY_S`; one line tells of it, one of
    its end.
    """

    def __init__(self, path: Path, size: tuple[int, int], config: Mp4Config) -> None:
        """Rotated files are ``NAME-0001.mp4`` and so on, and never replace others."""
        self._first = path
        self._size = size
        self._config = config
        self._file: _File | None = None
        self._number = 1 if config.rotate_s or config.rotate_mb else 0
        self._failed_at: float | None = None
        self._missed = 0

    def write(self, unit: Unit) -> None:
        """Add a picture; files begin with key pictures only."""
        try:
            if unit.key:
                self._begin_fragment(unit)
            if self._file is not None:
                self._file.add(unit)
                return
        except OSError as error:
            self._fail(error)
        self._missed += 1

    def close(self) -> None:
        """Finish the file."""
        try:
            if self._file is not None:
                self._file.close()
        except OSError as error:
            self._fail(error)
        if self._missed:
            log.warning("%s: %d pictures are missing at its end", self._first.name, self._missed)

    def _begin_fragment(self, unit: Unit) -> None:
        if self._file is not None:
            self._file.measure()
            if self._missed and self._file.whole:
                log.warning("%s: written again after %d dropped pictures", self._file.path.name, self._missed)
                self._missed, self._failed_at = 0, None
            if not self._is_due(unit, self._file):
                return
            self._file.close()
            self._file = None
        if self._failed_at is None or time.monotonic() > self._failed_at + RETRY_S:
            self._file = _File(self._next_path(), self._config.codec, self._size)

    def _is_due(self, unit: Unit, file: _File) -> bool:
        seconds, megabytes = self._config.rotate_s, self._config.rotate_mb
        return (seconds is not None and unit.pts - file.start >= seconds * CLOCK) or (
            megabytes is not None and file.whole >= megabytes * 1e6
        )

    def _next_path(self) -> Path:
        path = self._first
        while self._number and (path := path.with_stem(f"{self._first.stem}-{self._number:04}")).exists():
            path = self._first
            self._number += 1
        self._number = max(self._number, 1) + 1
        return path

    def _fail(self, error: OSError) -> None:
        if self._failed_at is None:
            reason = (error.strerror or str(error)).lower()
            log.warning("%s: not written: %s; trying again", self._first.name, reason)
        self._failed_at = time.monotonic()
        if self._file is not None:
            self._file.salvage()
            self._file = None


class _File:
    # One fragmented MP4. ``start`` is the time of its first picture, ``whole`` the bytes of whole fragments.

    def __init__(self, path: Path, codec: Codec, size: tuple[int, int]) -> None:
        self.path = path
        self.start = 0
        self.whole = 0
        flags = "frag_keyframe+empty_moov+default_base_moof"
        options = {"movflags": flags, "flush_packets": "1"}
        self._container: OutputContainer = av.open(str(path), "w", format="mp4", options=options)
        self._stream = add_video(self._container, codec, size)
        self._keys = 0

    def add(self, unit: Unit) -> None:
        if not self._keys:
            self.start = unit.pts
        self._keys += unit.key
        self._container.mux(as_packet(unit, self._stream, self.start))

    def measure(self) -> None:
        # A fragment reaches the disk with the key picture after it; before the first there is but a header.
        if self._keys > 1:
            self.whole = self.path.stat().st_size

    def close(self) -> None:
        self._container.close()

    def salvage(self) -> None:
        with suppress(OSError):
            self._container.close()
        with suppress(OSError):
            if self.whole:
                os.truncate(self.path, self.whole)
            else:
                self.path.unlink()
