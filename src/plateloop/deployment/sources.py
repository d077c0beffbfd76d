"""Pictures from files, folders, network streams and cameras, one after the other.

``frames`` is the one way in: it yields a source's pictures in the decoder's own YUV planes. Files and folders
end; live sources are opened again whenever they fail, for ever.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from pydantic import BaseModel, ConfigDict, Field

from plateloop.deployment.clock import Pace, Timeline
from plateloop.deployment.picture import to_frame
from plateloop.deployment.site import PlaceConfig, SensorConfig
from plateloop.errors import UserError
from plateloop.frame import Frame, read_image
from plateloop.passwords import redact
from plateloop.text import visible
from plateloop.types import Clock

log = logging.getLogger(__name__)

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
LIVE = frozenset({"rtsp", "rtsps", "rtmp", "rtmps", "udp", "rtp", "srt", "tcp"})
NETWORK = LIVE | {"http", "https"}

Share = Annotated[float, Field(ge=0, le=1)]


Polygon = Annotated[tuple[tuple[Share, Share], ...], Field(min_length=3)]


class SourceConfig(BaseModel):
    """One source of pictures."""

    # In YAML the camera 0 is a number.
    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    url: str = Field(description="file, folder of pictures, RTSP/HTTP URL, or camera device")
    name: str | None = Field(None, description="how events name it; the url without passwords unless given")
    folder_fps: float = Field(10.0, gt=0, description="pictures a second that a folder stands for")
    max_fps: float | None = Field(None, gt=0, description="most pictures a second; others are passed over")
    rotation: Literal[0, 90, 180, 270] = Field(0, description="degrees clockwise that turn it upright")
    interval: int | None = Field(
        None, ge=1, description="vehicles are detected in every n-th frame; else as the schedule says"
    )
    regions: tuple[Polygon, ...] = Field(
        (),
        description="polygons [[x, y], …] in shares of the upright picture's width and height, 0 to 1; "
        "vehicles that stand (their box's lower edge, in its middle) outside of all make no event",
    )
    sensor: SensorConfig | None = Field(None, description="the camera, as Kafka messages describe it")
    place: PlaceConfig | None = Field(None, description="where it looks, as Kafka messages describe it")
    transport: Literal["tcp", "udp", "udp_multicast", "http"] = Field(
        "tcp", description="RTSP transport: tcp, udp, udp_multicast or http"
    )
    camera_clock_s: float = Field(
        60.0,
        ge=0,
        description="difference from our clock up to which a camera's is believed; 0: arrival counts",
    )
    timeout_s: float = Field(10.0, gt=0, description="seconds without data after which a live source is dead")
    retry_s: float = Field(1.0, gt=0, description="pause before the first reconnection; doubles each time")
    retry_most_s: float = Field(30.0, gt=0, description="longest pause between two reconnections")
    threads: int = Field(1, ge=1, description="threads of the video decoder")

    @property
    def title(self) -> str:
        """The name in events, tables and messages, what is no text escaped; never holds a password."""
        return visible((self.name or redact(self.url)).encode(errors="backslashreplace").decode())


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture of a source.

    ``index`` counts from 0, dropped pictures too; ``time_s`` is in seconds from the source's start;
    ``arrived`` is the Unix time at which it was decoded, ``camera_time`` the one at which it was taken, by
    the camera's own clock, where the stream tells that.
    """

    index: int
    time_s: float
    arrived: float
    frame: Frame
    live: bool = False
    camera_time: float | None = None

    @property
    def clock(self) -> Clock:
        """What ``time`` goes by."""
        return "camera" if self.camera_time is not None else "arrival" if self.live else "file"

    @property
    def time(self) -> float:
        """When it was taken, as far as that is known: a Unix time."""
        return self.arrived if self.camera_time is None else self.camera_time


# Damaged packets in a row after which a source is given up as unreadable, and opened again if it is live.
MOST_DAMAGED = 1000


@dataclass(slots=True)
class _Damage:
    """What of a file could not be decoded: packets that were passed over, why reading stopped; and the sound
    packets."""

    packets: int = 0
    sound: int = 0
    stopped: str | None = None


class SourceError(Exception):
    """A source that cannot be read now, though it may be later."""


def is_live(url: str) -> bool:
    """Whether ``url`` is a camera or stream that has no end (HTTP may be either: see ``frames``)."""
    return urlsplit(url).scheme.lower() in LIVE or _is_device(url)


def is_remote(url: str) -> bool:
    """Whether ``url`` is a stream, a camera or an HTTP address: no file or folder."""
    return urlsplit(url).scheme.lower() in NETWORK or _is_device(url)


def check(url: str) -> None:
    """Raise UserError where it is plain that ``url`` names nothing to be read."""
    if is_remote(url):
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


def frames(
    config: SourceConfig, stop: threading.Event, again: Callable[[], None] = lambda: None
) -> Iterator[Shot]:
    """The pictures of a source until it ends or ``stop`` is set.

    A file that cannot be read, holds no video, or an URL that a server refuses raise UserError; a folder with
    pictures that cannot be read does so at its end, after the others. Of a file that is damaged or cut off
    all that can be read comes, then a warning says how much that was, of how much where the file tells. Live
    sources never raise: they are opened again after a pause that doubles from ``retry_s`` to
    ``retry_most_s``; ``again`` hears of each time.
    """
    check(config.url)
    if is_remote(config.url):
        return _network(config, stop, again)
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
    pace, pictures, bad = Pace(config.max_fps), _pictures(path), 0
    for number, picture in enumerate(pictures):
        time_s = number / config.folder_fps
        if stop.is_set():
            return
        if not pace.wants(time_s):
            continue
        try:
            yield Shot(number, time_s, time.time(), read_image(picture).rotated(-config.rotation // 90))
        except UserError as error:
            if picture == path:
                raise
            bad += 1
            log.warning("%s", error)
    if bad:
        raise UserError(f"{config.title}: {bad} of {len(pictures)} pictures could not be read")


def _file(config: SourceConfig, stop: threading.Event) -> Iterator[Shot]:
    with _open_file(config) as container:
        stream = _video(container, config)
        count = 0
        for number, shot in _recorded(container, stream, config, stop):
            count = number
            if shot is not None:
                yield shot
        if not count and not stop.is_set():
            raise UserError(f"{config.url}: no picture in it could be decoded (damaged or cut off)")


def _network(config: SourceConfig, stop: threading.Event, again: Callable[[], None]) -> Iterator[Shot]:
    timeline, pace = Timeline(config.title, config.camera_clock_s), Pace(config.max_fps)
    index, fails, ever = 0, 0, False
    while not stop.is_set():
        try:
            with _open(config) as container:
                stream = _video(container, config)
                if not is_live(config.url) and container.duration:
                    for _, recorded in _recorded(container, stream, config, stop):
                        if recorded is not None:
                            yield recorded
                    return
                timeline.connect()

                def spare(stamp: float) -> bool:
                    at = timeline.expects(stamp)
                    return at is not None and pace.passes_over(at)

                for stamp, picture in _decoded(container, stream, config, stop, _Damage(), spare, timeline):
                    ever, fails = True, 0
                    arrived = time.time()
                    time_s, camera_time = timeline.place(stamp, arrived)
                    if pace.wants(time_s):
                        yield Shot(index, time_s, arrived, _upright(picture, config), True, camera_time)
                        index += 1
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
            again()
            stop.wait(pause)


def _recorded(
    container: InputContainer, stream: VideoStream, config: SourceConfig, stop: threading.Event
) -> Iterator[tuple[int, Shot | None]]:
    # Each picture's number from 1, and the picture where the pace wants it.
    pace, index, last, number = Pace(config.max_fps), 0, 0.0, 0
    start: float | None = None
    rate = float(stream.average_rate or stream.guessed_rate or 25)
    damage = _Damage()

    def spare(stamp: float) -> bool:
        return start is not None and pace.passes_over(stamp - start)

    for number, (stamp, picture) in enumerate(_decoded(container, stream, config, stop, damage, spare), 1):
        at = last + 1 / rate if stamp is None else stamp
        start = at if start is None else start
        last = at
        shot = None
        if pace.wants(max(0.0, at - start)):
            shot = Shot(index, max(0.0, at - start), time.time(), _upright(picture, config))
            index += 1
        yield number, shot
    if start is not None and not stop.is_set():
        # Of those that are passed over not all are decoded.
        count = number if config.max_fps is None else damage.sound
        _tell_what_is_missing(container, stream, config, count, last - start + 1 / rate, damage)


def _tell_what_is_missing(
    container: InputContainer,
    stream: VideoStream,
    config: SourceConfig,
    count: int,
    seconds: float,
    damage: _Damage,
) -> None:
    """One warning where a file gave less than it says it holds, or some of it could not be decoded."""
    whole = _length(container, stream)
    fewer = stream.frames - count > max(2, stream.frames // 100)
    shorter = whole is not None and whole - seconds > max(0.5, whole / 50)
    # Where frames are counted, a last one that is shown for long is nothing missing.
    if not ((fewer if stream.frames else shorter) or damage.packets or damage.stopped):
        return
    frames_read = f"{count} of {stream.frames}" if fewer else f"{count}"
    seconds_read = f"{seconds:.1f} of {whole:.1f}" if shorter else f"{seconds:.1f}"
    rest = [f"{damage.packets} damaged packets"] if damage.packets else []
    rest += [damage.stopped] if damage.stopped else []
    said = f"{frames_read} frames, {seconds_read} s were read"
    log.warning("%s: cut off or damaged: %s", config.title, "; ".join([said, *rest]))


def _length(container: InputContainer, stream: VideoStream) -> float | None:
    """The seconds that a file's video is said to last; None where it does not say."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if match := re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", "")):
        hours, minutes, seconds = map(float, match.groups())
        return hours * 3600 + minutes * 60 + seconds
    # The container's length may be the sound's.
    alone = len(container.streams) == 1 and container.duration
    return container.duration / 1e6 if alone and container.duration else None


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
    container: InputContainer,
    stream: VideoStream,
    config: SourceConfig,
    stop: threading.Event,
    damage: _Damage,
    spare: Callable[[float], bool],
    timeline: Timeline | None = None,
) -> Iterator[tuple[float | None, VideoFrame]]:
    # Pictures with their time stamps in seconds; with a timeline the stream is live. Of such a one all
    # packets are looked at: a camera that was given another codec goes on in another stream. A picture that
    # is ``spare`` by its stamp is not decoded where no other one refers to it.
    packets = _packets(container, stream, timeline)
    in_row, seen = 0, time.monotonic()
    while not stop.is_set():
        if timeline and time.monotonic() > seen + config.timeout_s:
            raise SourceError(f"data, but no picture for {config.timeout_s:g} s")
        try:
            packet = next(packets)
            if packet.stream.index != stream.index:
                continue
            if timeline:
                timeline.refer(packet)
            at = None if packet.pts is None else float(packet.pts * packet.time_base)
            stream.codec_context.skip_frame = "NONREF" if at is not None and spare(at) else "DEFAULT"
            pictures = stream.decode(packet)
            damage.sound += packet.size > 0
        except (StopIteration, av.error.EOFError):
            break
        except av.error.InvalidDataError:
            damage.packets, in_row = damage.packets + 1, in_row + 1
            if in_row > MOST_DAMAGED:
                break
            # A generator that has raised has ended.
            packets = _packets(container, stream, timeline)
            continue
        except (av.error.FFmpegError, OSError) as error:
            if timeline:
                raise SourceError(f"lost ({error.strerror or type(error).__name__})") from None
            damage.stopped = f"reading stopped: {error.strerror or type(error).__name__}"
            break
        for picture in pictures:
            in_row, seen = 0, time.monotonic()
            yield picture.time if picture.pts is not None else None, picture
    if damage.packets and timeline:
        log.warning("%s: %d damaged packets were passed over", config.title, damage.packets)


def _packets(
    container: InputContainer, stream: VideoStream, timeline: Timeline | None
) -> Iterator[Packet[Any]]:
    return container.demux() if timeline else container.demux(stream)


def _upright(picture: VideoFrame, config: SourceConfig) -> Frame:
    return to_frame(picture).rotated(-config.rotation // 90)
