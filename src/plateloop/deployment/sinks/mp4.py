"""Annotated video: H.264 in a fragmented MP4, which plays on when its writer was killed."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream
from pydantic import BaseModel, ConfigDict, Field

from plateloop.deployment.overlay import draw
from plateloop.deployment.sinks.worker import Result
from plateloop.types import Image

CLOCK = 90_000


class Mp4Config(BaseModel):
    """How annotated videos are encoded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: str = Field("veryfast", description="x264's preset: faster is larger")
    crf: int = Field(23, ge=0, le=51, description="x264's quality: lower is better and larger")
    fragment_frames: int = Field(25, ge=1, description="frames a fragment: what a crash may cost")
    threads: int = Field(1, ge=0, description="encoder threads a video; 0: as many as x264 likes")


class Mp4:
    """Draws the marks of each stream's results and writes one MP4 a stream."""

    def __init__(self, paths: Mapping[int, Path], config: Mp4Config) -> None:
        """``paths`` says where each stream's video goes; files are made with the first frame."""
        self._paths = paths
        self._config = config
        self._videos: dict[int, _Video] = {}

    def write(self, result: Result) -> None:
        """Draw and encode one frame."""
        if result.shot is None:
            return
        frame = result.shot.frame
        picture = frame.rgb()
        if frame.to_rgb is None:  # an RGB frame's own array
            picture = picture.copy()
        video = self._videos.get(result.stream)
        if video is None:
            size = max(2, frame.width // 2 * 2), max(2, frame.height // 2 * 2)
            video = self._videos[result.stream] = _Video(self._paths[result.stream], size, self._config)
        video.add(draw(picture, result.marks), result.shot.time_s)

    def close(self) -> None:
        """Finish all videos."""
        for video in self._videos.values():
            video.close()


class _Video:
    def __init__(self, path: Path, size: tuple[int, int], config: Mp4Config) -> None:
        self._size = size
        self._last = -1
        flags = "frag_keyframe+empty_moov+default_base_moof"
        options = {"movflags": flags, "flush_packets": "1"}
        self._container: OutputContainer = av.open(str(path), "w", format="mp4", options=options)
        x264 = {
            "preset": config.preset,
            "crf": str(config.crf),
            "g": str(config.fragment_frames),
            # A fragment cannot tell a player to start late, as reordered frames would need.
            "bf": "0",
            # What OpenCV's conversion makes, and players should know.
            "x264-params": "colormatrix=smpte170m:range=tv:scenecut=0",
        }
        self._stream: VideoStream = self._container.add_stream("libx264", rate=30, options=x264)
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = "yuv420p"
        self._stream.time_base = self._stream.codec_context.time_base = Fraction(1, CLOCK)
        self._stream.codec_context.thread_count = config.threads

    def add(self, rgb: Image, time_s: float) -> None:
        width, height = self._size
        if rgb.shape[1] // 2 * 2 != width or rgb.shape[0] // 2 * 2 != height:
            rgb = np.asarray(cv2.resize(rgb, self._size, interpolation=cv2.INTER_AREA), np.uint8)
        planes = cv2.cvtColor(rgb[:height, :width], cv2.COLOR_RGB2YUV_I420)
        frame = av.VideoFrame.from_ndarray(np.asarray(planes, np.uint8), format="yuv420p")
        frame.pts = self._last = max(self._last + 1, round(time_s * CLOCK))
        frame.time_base = Fraction(1, CLOCK)
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()
