"""What a source of pictures is: its settings, its name, its kind, and whether there is anything to read."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from plateloop.deployment.regions import Polygon
from plateloop.deployment.site import PlaceConfig, SensorConfig
from plateloop.errors import UserError
from plateloop.passwords import redact
from plateloop.text import visible

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
LIVE = frozenset({"rtsp", "rtsps", "rtmp", "rtmps", "udp", "rtp", "srt", "tcp"})
NETWORK = LIVE | {"http", "https"}


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


def is_live(url: str) -> bool:
    """Whether ``url`` is a camera or stream that has no end (HTTP may be either: see ``capture``)."""
    return urlsplit(url).scheme.lower() in LIVE or is_device(url)


def is_remote(url: str) -> bool:
    """Whether ``url`` is a stream, a camera or an HTTP address: no file or folder."""
    return urlsplit(url).scheme.lower() in NETWORK or is_device(url)


def check(url: str) -> None:
    """Raise UserError where it is plain that ``url`` names nothing to be read."""
    if is_remote(url):
        return
    path = Path(url)
    if "://" in url:
        raise UserError(f"{redact(url)}: unknown kind of URL; use rtsp://, http(s)://, a file or a folder")
    if not path.exists():
        raise UserError(f"{url}: no such file or folder")
    if path.is_dir() and not pictures_in(path):
        raise UserError(f"{url}: no pictures in this folder ({', '.join(sorted(PICTURES))})")
    if path.is_file() and path.stat().st_size == 0:
        raise UserError(f"{url}: the file is empty (0 bytes)")


def is_device(url: str) -> bool:
    """Whether ``url`` is a camera of this machine, by its device or its number."""
    return url.startswith("/dev/video") or (url.isdecimal() and not Path(url).exists())


def holds_stills(path: Path) -> bool:
    """Whether ``path`` is a folder or one picture."""
    return path.is_dir() or path.suffix.lower() in PICTURES


def pictures_in(path: Path) -> list[Path]:
    """A folder's pictures by name, or the one picture itself."""
    return sorted(p for p in path.iterdir() if p.suffix.lower() in PICTURES) if path.is_dir() else [path]
