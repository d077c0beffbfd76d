"""Pictures from files, folders, network streams and cameras, one after the other.

``frames`` is the one way in: it yields a source's pictures in the decoder's own YUV planes. Files and folders
end; live sources are opened again whenever they fail, for ever.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from plateloop.cores import cores
from plateloop.deployment.clock import Pace, Timeline
from plateloop.deployment.decoder import Damage, SourceError, decoded, open_container, open_file, video_stream
from plateloop.deployment.picture import to_frame
from plateloop.deployment.sources import SourceConfig, check, holds_stills, is_live, is_remote, pictures_in
from plateloop.errors import UserError
from plateloop.frame import Frame, read_image
from plateloop.types import Clock

log = logging.getLogger(__name__)


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


def probe(config: SourceConfig) -> int | None:
    """How many pictures a file or folder is said to hold; None where that is not known, and of live sources.

    Raises UserError where a file or folder cannot be read at all; network sources are not contacted.
    """
    check(config.url)
    path = Path(config.url)
    if holds_stills(path):
        return len(pictures_in(path))
    if not path.is_file():
        return None
    with open_file(config) as container:
        return video_stream(container, config).frames or None


def probe_all(sources: Sequence[SourceConfig]) -> tuple[list[int | None], dict[int, str]]:
    """What `probe` says of each source (None where it fails too), and by places why it failed.

    Raises UserError where there are no sources, and where none can be read.
    """
    if not sources:
        raise UserError("nothing to read: name a video, a folder, a camera or a URL")
    problems: dict[int, str] = {}

    def look(place: int) -> int | None:
        try:
            return probe(sources[place])
        except UserError as error:
            problems[place] = str(error)
            return None

    with ThreadPoolExecutor(cores()) as pool:
        lengths = list(pool.map(look, range(len(sources))))
    if len(problems) == len(sources):
        raise UserError("; ".join(problems[place] for place in sorted(problems)))
    return lengths, problems


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
    return _stills(path, config, stop) if holds_stills(path) else _file(config, stop)


def _stills(path: Path, config: SourceConfig, stop: threading.Event) -> Iterator[Shot]:
    pace, pictures, bad = Pace(config.max_fps), pictures_in(path), 0
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
    with open_file(config) as container:
        stream = video_stream(container, config)
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
            with open_container(config) as container:
                stream = video_stream(container, config)
                if not is_live(config.url) and container.duration:
                    for _, recorded in _recorded(container, stream, config, stop):
                        if recorded is not None:
                            yield recorded
                    return
                timeline.connect()

                def spare(stamp: float) -> bool:
                    at = timeline.expects(stamp)
                    return at is not None and pace.passes_over(at)

                for stamp, picture in decoded(container, stream, config, stop, Damage(), spare, timeline):
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
    damage = Damage()

    def spare(stamp: float) -> bool:
        return start is not None and pace.passes_over(stamp - start)

    for number, (stamp, picture) in enumerate(decoded(container, stream, config, stop, damage, spare), 1):
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
    damage: Damage,
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


def _upright(picture: VideoFrame, config: SourceConfig) -> Frame:
    return to_frame(picture).rotated(-config.rotation // 90)
