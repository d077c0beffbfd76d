"""Pictures to H.264 or H.265: encoded once, whatever becomes of them."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
import cv2
import numpy as np
from av.codec.context import CodecContext
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from pydantic import BaseModel, ConfigDict, Field

from plateloop.deployment.encoded import CLOCK, Codec, Unit
from plateloop.errors import UserError
from plateloop.types import Image

ENCODERS: dict[Codec, str] = {"h264": "libx264", "h265": "libx265"}


class EncoderConfig(BaseModel):
    """How annotated video is encoded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    codec: Codec = Field("h264", description="h264, or h265: smaller and about twice the work")
    preset: str = Field("veryfast", description="x264's or x265's preset: faster is larger")
    crf: int = Field(23, ge=0, le=51, description="quality: lower is better and larger")
    fragment_frames: int = Field(
        25, ge=1, description="frames from one key frame to the next: what a crash may cost"
    )
    threads: int = Field(1, ge=0, description="encoder threads a video; 0: as many as the encoder likes")


def check_encoder(config: EncoderConfig) -> None:
    """Raise UserError where PyAV was built without the encoder, or it does not know the preset."""
    name = ENCODERS[config.codec]
    try:
        Encoder((64, 64), config)
    except av.codec.codec.UnknownCodecError:
        others = [codec for codec, encoder in ENCODERS.items() if encoder in av.codecs_available]
        hint = f"; codec: {others[0]} is there" if others else ""
        raise UserError(f"output.mp4.codec: this build of PyAV has no {name}{hint}") from None
    except av.error.FFmpegError:
        raise UserError(f"output.mp4.preset: {name} has none that is called {config.preset!r}") from None


class Encoder:
    """One video's encoder."""

    def __init__(self, size: tuple[int, int], config: EncoderConfig, at_once: bool = False) -> None:
        """``size`` (w, h) is even. ``at_once``: each picture comes out as it goes in, at the cost of size."""
        self.size = size
        self._last = -1
        # What OpenCV's conversion makes, and players should know.
        tags = "colormatrix=smpte170m:range={}:scenecut=0"
        options = {
            "preset": config.preset,
            "crf": str(config.crf),
            "g": str(config.fragment_frames),
            # A fragment cannot tell a player to start late, as reordered frames would need.
            "bf": "0",
            # A key picture that is asked for is one from which a decoder can begin.
            "forced-idr": "1",
        }
        if at_once:
            options["tune"] = "zerolatency"
        if config.codec == "h264":
            options["x264-params"] = tags.format("tv")
        else:
            pools = "" if config.threads == 0 else f":pools={config.threads}:frame-threads=1"
            options["x265-params"] = f"log-level=error:open-gop=0:{tags.format('limited')}{pools}"
        context = CodecContext.create(ENCODERS[config.codec], "w")
        assert isinstance(context, VideoCodecContext)
        context.options = options
        context.width, context.height = size
        context.pix_fmt = "yuv420p"
        context.time_base = Fraction(1, CLOCK)
        context.framerate = Fraction(30)
        context.thread_count = config.threads
        context.open()
        self._context = context

    def encode(self, planes: Image, time_s: float, key: bool = False) -> Iterator[Unit]:
        """Encode an I420 picture (H·3/2, W) that is shown at ``time_s``; what comes out lags behind.

        ``key``: others can begin to watch with it.
        """
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts = self._last = max(self._last + 1, round(time_s * CLOCK))
        frame.time_base = Fraction(1, CLOCK)
        if key:
            frame.pict_type = PictureType.I
        return self._units(frame)

    def flush(self) -> Iterator[Unit]:
        """What the encoder still holds; it takes no more pictures."""
        return self._units(None)

    def _units(self, frame: av.VideoFrame | None) -> Iterator[Unit]:
        for packet in self._context.encode(frame):
            assert packet.pts is not None
            yield Unit(bytes(packet), packet.pts, packet.is_keyframe)


def to_i420(rgb: Image) -> Image:
    """An RGB picture (H, W, 3) of even size as I420 planes (H·3/2, W), limited range, BT.601."""
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420), np.uint8)
