"""How tcnet and lpdnet are trained: one frozen configuration each, written into the run's folder."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from plateloop.networks import lpdnet, tcnet
from plateloop.networks.detector import DetectorConfig
from plateloop.networks.losses import LossConfig
from plateloop.training.detection.augment import LookConfig
from plateloop.training.detection.blend import BlendConfig
from plateloop.training.detection.cover import CoverConfig
from plateloop.training.detection.empty_windows import EmptyConfig
from plateloop.training.detection.frame_layout import FrameLayoutConfig
from plateloop.training.detection.layout import PlacingConfig
from plateloop.training.detection.plate_layout import PlateLayoutConfig
from plateloop.training.loop import LoopConfig


class DetectorTraining(BaseModel):
    """A detector's training, whole."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: DetectorConfig = Field(description="the network's shape")
    loop: LoopConfig = Field(description="schedule and optimizer")
    loss: LossConfig = Field(default=LossConfig(), description="assignment and losses")
    placing: PlacingConfig = Field(default=PlacingConfig(), description="which cut objects still count")
    look: LookConfig = Field(default=LookConfig(), description="light, sharpness, noise")
    blend: BlendConfig = Field(default=BlendConfig(), description="canvases seen through each other")
    cover: CoverConfig = Field(default=CoverConfig(), description="patches that hide parts of canvases")
    frames: FrameLayoutConfig = Field(default=FrameLayoutConfig(), description="layouts of tcnet")
    empty: EmptyConfig = Field(default=EmptyConfig(), description="tcnet's parts without any object")
    plates: PlateLayoutConfig = Field(default=PlateLayoutConfig(), description="layouts of lpdnet")
    samples: int = Field(default=1, description="samples a canvas pixel and axis")
    annotated: float = Field(default=2.0, description="how much more pictures listed by people are drawn")
    source_power: float = Field(
        default=0.3, description="sources of n pictures are drawn by n to the power of 1 minus this"
    )
    copies: int = Field(default=0, description="versions of each picture with synthetic plates pasted over")
    hold_out: tuple[str, ...] = Field(default=(), description="sources that are kept for measuring only")
    limit: int | None = Field(default=None, description="train pictures at most, for trials")
    cache: Path | None = Field(
        default=None, description="folder on a local disk that keeps decoded and pasted pictures between runs"
    )
    workers: int = Field(default=16, description="threads that decode, processes that paste")


TCNET = DetectorTraining(
    network=tcnet.CONFIG,
    loop=LoopConfig(steps=100_000, batch=128, learning_rate=2e-3, clip_norm=20),
)
LPDNET = DetectorTraining(
    network=lpdnet.CONFIG,
    loop=LoopConfig(steps=100_000, batch=256, learning_rate=2e-3, clip_norm=20),
    placing=PlacingConfig(visible=0.85, smallest=6),
    samples=2,
    annotated=1.0,
    copies=2,
    hold_out=("iwpod",),
)


def default(network: str) -> DetectorTraining:
    """The configuration of "tcnet" or "lpdnet"."""
    return {"tcnet": TCNET, "lpdnet": LPDNET}[network]
