"""Pictures from files, folders, network streams and cameras, one after the other.

``frames`` is the one way in: it yields a source's pictures in the decoder's own YUV planes. Files and folders
end; live sources are opened again whenever they fail, for ever.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream
from pydantic import BaseModel, ConfigDict, Field

from plateloop.errors import UserError
from plateloop.frame import Frame, Matrix, read_image

log = logging.getLogger(__name__)

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
LIVE = frozenset({"rtsp", "rtsps", "rtmp", "rtmps", "udp", "rtp", "srt", "tcp"})
NETWORK = LIVE | {"http", "https"}


class SourceConfig(BaseModel):
    """One source of pictures."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(description="file, folder of pictures, RTSP/HTTP URL, or camera device")
    name: str | None = Field(None, description="how events name it; the url without passwords unless given")
    folder_fps: float = Field(10.0, gt=0, description="pictures a second that a folder stands for")
    transport: str = Field("tcp", description="RTSP transport: tcp or udp")
    timeout_s: float = Field(10.0, gt=0, description="seconds without data after which a live source is dead")
    retry_s: float = Field(1.0, gt=0, description="pause before the first reconnection; doubles each time")
    retry_most_s: float = Field(30.0, gt=0, description="longest pause between two reconnections")
    threads: int = Field(1, ge=1, description="threads of the video decoder")

    @property
    def title(self) -> str:
        """The name in events, tables and messages, what is no text escaped; never holds a password."""
        return (self.name or redact(self.url)).encode(errors="backslashreplace").decode()


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture of a source.

    ``index`` counts from 0, dropped pictures too; ``time_s`` is in seconds from the source's start;
    ``arrived`` is the Unix time at which it was decoded.
    """

    index: int
    time_s: float
    arrived: float
    frame: Frame


class SourceError(Exception):
    """A source that cannot be read now, though it may be later."""


def redact(text: str) -> str:
    """``text`` with the passwords and keys of the URLs in it replaced by ``***``."""
    text = re.sub(r"(\w://[^/@:\s]*):[^/\s]*@", r"\1:***@", text)
    return re.sub(
        r"(?i)([?&][^=&\s]*(?:pass|pwd|token|key|secret|auth|sig)[^=&\s]*)=[^&\s]*", r"\1=***", text
    )


def is_live(url: str) -> bool:
    """Whether ``url`` is a camera or stream that has no end (HTTP may be either: see ``frames``)."""
    return urlsplit(url).scheme.lower() in LIVE or _is_device(url)


def check(url: str) -> None:
    """Raise UserError where it is plain that ``url`` names nothing to be read."""
    if urlsplit(url).scheme.lower() in NETWORK or _is_device(url):
        return
    path = Path(url)
    if "://" in url:
        raise UserError(f"{redact(url)}: unknown kind of URL; use rtsp://, http(s)://, a file or a folder")
    if not path.exists():
        raise UserError(f"{url}: no such file or folder")
    if path.is_dir() and not _pictures(path):
        raise UserError(f"{url}: no pictures in this folder ({', '.join(sorted(PICTURES))})")
    if path.is_file() and path.stat().st_size == 0:
        raise UserError(f"{url}: the file is empty (0 bytes)")


def probe(config: SourceConfig) -> int | None:
    """How many pictures a file or folder is said to hold; None where that is not known, and of live sources.

    Raises UserError where a file or folder cannot be read at all; network sources are not contacted.
    """
    check(config.url)
    path = Path(config.url)
    if _holds_stills(path):
        return len(_pictures(path))
    if not path.is_file():
        return None
    with _open_file(config) as container:
        return _video(container, config).frames or None


def frames(config: SourceConfig, stop: threading.Event) -> Iterator[Shot]:
    """The pictures of a source until it ends or ``stop`` is set.

    A file that cannot be read, holds no video, or an URL that a server refuses raise UserError. What is
    damaged in the middle or cut off at the end is passed over with a warning. Live sources never raise: they
    are opened again after a pause that doubles from ``retry_s`` to ``retry_most_s``.
    """
    check(config.url)
    if urlsplit(config.url).scheme.lower() in NETWORK or _is_device(config.url):
        return _network(config, stop)
    path = Path(config.url)
    return _stills(path, config, stop) if _holds_stills(path) else _file(config, stop)


def _is_device(url: str) -> bool:
    return url.startswith("/dev/video") or (url.isdecimal() and not Path(url).exists())


def _holds_stills(path: Path) -> bool:
    return path.is_dir() or path.suffix.lower() in PICTURES


def _pictures(path: Path) -> list[Path]:
    # A folder's pictures by name, or the one picture itself.
    return sorted(p for p in path.iterdir() if p.suffix.lower() in PICTURES) if path.is_dir() else [path]


def _stills(path: Path, config: SourceConfig, stop: threading.Event) -> Iterator[Shot]:
    for index, picture in enumerate(_pictures(path)):
        if stop.is_set():
            return
        try:
            yield Shot(index, index / config.folder_fps, time.time(), read_image(picture))
        except UserError as error:
            if picture == path:
                raise
            log.warning("%s", error)


def _file(config: SourceConfig, stop: threading.Event) -> Iterator[Shot]:
    with _open_file(config) as container:
        stream = _video(container, config)
        count = 0
        for shot in _decoded(container, stream, config, stop):
            count += 1
            yield shot
        if not count and not stop.is_set():
            raise UserError(f"{config.url}: no picture in it could be decoded (damaged or cut off)")
        if stream.frames - count > max(2, stream.frames // 100) and not stop.is_set():
            log.warning("%s: cut off or damaged: %d of %d frames", config.title, count, stream.frames)


def _network(config: SourceConfig, stop: threading.Event) -> Iterator[Shot]:
    begun = time.time()
    index, fails, ever = 0, 0, False
    while not stop.is_set():
        try:
            with _open(config) as container:
                stream = _video(container, config)
                ends = not is_live(config.url) and bool(container.duration)
                for shot in _decoded(container, stream, config, stop):
                    ever, fails = True, 0
                    if ends:
                        yield shot
                    else:
                        yield Shot(index, shot.arrived - begun, shot.arrived, shot.frame)
                    index += 1
                if ends:
                    return
            problem = "the stream ended"
        except SourceError as error:
            problem = str(error)
        except UserError:
            # Before the first picture it is the user's mistake; later a camera that is being restarted.
            if not ever:
                raise
            problem = "no video in it now"
        pause = min(config.retry_s * 2 ** min(fails, 16), config.retry_most_s)
        fails += 1
        if not stop.is_set():
            log.warning("%s: %s; trying again in %.0f s", config.title, problem, pause)
            stop.wait(pause)


def _open_file(config: SourceConfig) -> InputContainer:
    try:
        return _open(config)
    except SourceError as error:
        raise UserError(f"{config.url}: {error}") from None


def _open(config: SourceConfig) -> InputContainer:
    options: dict[str, Any] = {}
    url = config.url
    if Path(url).is_file():
        url = f"file:{url}"  # else a colon in the name would be taken for a protocol
    elif _is_device(url):
        options["format"] = "v4l2"
        url = f"/dev/video{url}" if url.isdecimal() else url
    elif url.startswith(("rtsp://", "rtsps://")):
        options["options"] = {"rtsp_transport": config.transport}
    try:
        container: InputContainer = av.open(url, timeout=config.timeout_s, **options)
        return container
    except (av.error.HTTPClientError, av.error.HTTPNotFoundError, av.error.HTTPUnauthorizedError) as error:
        raise UserError(f"{config.title}: {error.strerror}") from None
    except av.error.InvalidDataError:
        raise SourceError(_diagnosis(config.url)) from None
    except (av.error.FFmpegError, OSError) as error:
        raise SourceError(f"cannot be opened ({error.strerror or type(error).__name__})") from None


def _diagnosis(url: str) -> str:
    path = Path(url)
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(12)
        if head[4:8] == b"ftyp":
            return "a truncated MP4: its index (moov) is missing, as when a recording was cut off"
    return "not a video that can be read"


def _video(container: InputContainer, config: SourceConfig) -> VideoStream:
    streams = [s for s in container.streams.video if s.codec_context is not None]
    # Cover art of music and text drawn by FFmpeg's "tty" reader are pictures, but not a video.
    streams = [s for s in streams if s.codec_context.name != "ansi" and not s.disposition.value & 0x400]
    if not streams:
        raise UserError(f"{config.title}: no video in it")
    stream = streams[0]
    stream.codec_context.thread_count = config.threads
    return stream


def _decoded(
    container: InputContainer, stream: VideoStream, config: SourceConfig, stop: threading.Event
) -> Iterator[Shot]:
    index, bad, last = 0, 0, 0.0
    start: float | None = None
    rate = float(stream.average_rate or stream.guessed_rate or 25)
    packets = container.demux(stream)
    while not stop.is_set():
        try:
            packet = next(packets)
            pictures = packet.decode()
        except StopIteration:
            break
        except av.error.EOFError:
            break
        except av.error.InvalidDataError:
            bad += 1
            continue
        except (av.error.FFmpegError, OSError) as error:
            if is_live(config.url):
                raise SourceError(f"lost ({error.strerror or type(error).__name__})") from None
            log.warning("%s: reading stopped: %s", config.title, error.strerror)
            break
        for picture in pictures:
            at = picture.time if picture.pts is not None else last + 1 / rate
            start = at if start is None else start
            last = at
            yield Shot(index, max(0.0, at - start), time.time(), to_frame(picture))
            index += 1
    if bad:
        log.warning("%s: %d damaged packets were passed over", config.title, bad)


def to_frame(picture: VideoFrame) -> Frame:
    """A decoded picture as a Frame over the decoder's own planes, upright by its display matrix.

    4:2:0 of 8 bits is taken as it is; other layouts are turned into it first.
    """
    if picture.format.name not in ("yuv420p", "yuvj420p", "nv12"):
        picture = picture.reformat(format="yuv420p")
    planes = []
    for plane, channels in zip(
        picture.planes, (1, 2) if picture.format.name == "nv12" else (1, 1, 1), strict=True
    ):
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        rows = rows[:, : plane.width * channels]
        planes.append(rows.reshape(plane.height, plane.width, 2) if channels == 2 else rows)
    turns = round(picture.rotation / 90) % 4
    if turns:
        planes = [np.ascontiguousarray(np.rot90(plane, turns)) for plane in planes]
    full = picture.format.name == "yuvj420p" or picture.color_range == ColorRange.JPEG
    return Frame.from_planes(*planes, matrix=_matrix(picture), full_range=full)


def _matrix(picture: VideoFrame) -> Matrix:
    if picture.colorspace == 2:
        # Unspecified: players go by its size.
        return "bt709" if picture.height >= 720 else "bt601"
    return "bt709" if picture.colorspace == Colorspace.ITU709 else "bt601"
