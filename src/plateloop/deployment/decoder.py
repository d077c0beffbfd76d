"""A video opened and decoded: packets in, pictures out; what is damaged is passed over and counted."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from plateloop.deployment.clock import Timeline
from plateloop.deployment.sources import SourceConfig, is_device
from plateloop.errors import UserError

log = logging.getLogger(__name__)

# Damaged packets in a row after which a source is given up as unreadable, and opened again if it is live.
MOST_DAMAGED = 1000


@dataclass(slots=True)
class Damage:
    """What of a file could not be decoded: packets that were passed over, why reading stopped; and the sound
    packets."""

    packets: int = 0
    sound: int = 0
    stopped: str | None = None


class SourceError(Exception):
    """A source that cannot be read now, though it may be later."""


def open_file(config: SourceConfig) -> InputContainer:
    """Open a file. Raises UserError where it cannot be read."""
    try:
        return open_container(config)
    except SourceError as error:
        raise UserError(f"{config.url}: {error}") from None


def open_container(config: SourceConfig) -> InputContainer:
    """Open a file, an address or a camera.

    Raises SourceError where that cannot be now, UserError where a server refuses it.
    """
    options: dict[str, Any] = {}
    url = config.url
    if Path(url).is_file():
        url = f"file:{url}"  # else a colon in the name would be taken for a protocol
    elif is_device(url):
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


def video_stream(container: InputContainer, config: SourceConfig) -> VideoStream:
    """The first video in it. Raises UserError where there is none."""
    streams = [s for s in container.streams.video if s.codec_context is not None]
    # Cover art of music and text drawn by FFmpeg's "tty" reader are pictures, but not a video.
    streams = [s for s in streams if s.codec_context.name != "ansi" and not s.disposition.value & 0x400]
    if not streams:
        raise UserError(f"{config.title}: no video in it")
    stream = streams[0]
    stream.codec_context.thread_count = config.threads
    return stream


def decoded(
    container: InputContainer,
    stream: VideoStream,
    config: SourceConfig,
    stop: threading.Event,
    damage: Damage,
    spare: Callable[[float], bool],
    timeline: Timeline | None = None,
) -> Iterator[tuple[float | None, VideoFrame]]:
    """Pictures with their time stamps in seconds, until the end or ``stop``; ``damage`` is added to.

    With a timeline the stream is live, and SourceError is raised where it is lost. A picture that is
    ``spare`` by its stamp is not decoded where no other one refers to it.
    """
    # Of a live stream all packets are looked at: a camera given another codec goes on in another one.
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
