"""Encoded video: what an encoder gives, and how it gets into a container."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

Codec = Literal["h264", "h265"]

CLOCK = 90_000
"""Ticks a second of all times in encoded video, as RTP has it."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One encoded picture: Annex B ``data``, with the parameter sets before each ``key`` picture.

    ``pts`` counts in 1/`CLOCK` s, rising; pictures are in the order in which they are shown.
    """

    data: bytes
    pts: int
    key: bool


def add_video(container: OutputContainer, codec: Codec, size: tuple[int, int]) -> Stream:
    """A stream in ``container`` for pictures of ``size`` (w, h)."""
    name = {"h264": "h264", "h265": "hevc"}[codec]
    stream: Stream = container.add_mux_stream(name, rate=30, width=size[0], height=size[1])
    stream.time_base = Fraction(1, CLOCK)
    return stream


def as_packet(unit: Unit, stream: Stream, start: int = 0) -> Packet[Any]:
    """A picture as a packet of ``stream``, its time counted from ``start``."""
    packet: Packet[Any] = Packet(unit.data)
    packet.stream = stream
    packet.time_base = Fraction(1, CLOCK)
    packet.pts = packet.dts = unit.pts - start
    packet.is_keyframe = unit.key
    return packet
