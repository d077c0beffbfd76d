"""A one-stage anchor-free detector: backbone, neck, one head a map, decoding in the graph."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from plateloop.networks.backbone import Backbone
from plateloop.networks.head import BOX_CORNERS, Head, decode_boxes, decode_corners
from plateloop.networks.neck import Neck

STRIDES = (8, 16, 32)


class DetectorConfig(BaseModel):
    """The shape of a detector."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(description="input width, a multiple of 32")
    height: int = Field(description="input height, a multiple of 32")
    labels: tuple[str, ...] = Field(description="class names, in output order")
    corners: bool = Field(description="predict four corners besides the box")
    widths: tuple[int, int, int, int, int] = Field(description="channels at strides 2, 4, 8, 16, 32")
    depths: tuple[int, int, int, int] = Field(description="blocks at strides 4, 8, 16, 32")
    neck: int = Field(description="channels of neck and heads")


@dataclass(frozen=True, slots=True)
class Predictions:
    """What the detector says of B pictures at A cells, in full precision.

    ``logits`` (B, A, C), ``boxes`` (B, A, 4) xyxy and ``corners`` (B, A, 8) or None in input pixels.
    """

    logits: Tensor
    boxes: Tensor
    corners: Tensor | None


class Detector(nn.Module):
    """Pictures (B, 3, H, W) in [0, 1] → boxes, scores and, with ``config.corners``, corners of every cell.

    ``centres`` (A, 2) and ``strides`` (A, 1) are the cells' places in input pixels, by stride and row.
    """

    centres: Tensor
    strides: Tensor
    box_corners: Tensor

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = Backbone(config.widths, config.depths)
        self.neck = Neck(config.widths[2:], config.neck)
        self.heads = nn.ModuleList(Head(config.neck, len(config.labels), config.corners, s) for s in STRIDES)
        centres, strides = cells(config.width, config.height)
        self.register_buffer("centres", centres, persistent=False)
        self.register_buffer("strides", strides, persistent=False)
        # A buffer, since a tensor made on the fly would wait for the GPU.
        self.register_buffer("box_corners", torch.tensor(BOX_CORNERS), persistent=False)

    def raw(self, images: Tensor) -> Tensor:
        """The heads' outputs (B, A, C + 4 [+ 8]) before decoding."""
        maps = self.neck(self.backbone(images))
        # Sizes as numbers, not taken from the maps: so the exported graph has fixed shapes but for the batch.
        area = self.config.width * self.config.height
        parts = [
            head(x).reshape(-1, head.outputs, area // stride**2)
            for head, x, stride in zip(self.heads, maps, STRIDES, strict=True)
        ]
        return torch.cat(parts, 2).transpose(1, 2)

    def decode(self, raw: Tensor) -> Predictions:
        """Raw outputs in pixels."""
        classes = len(self.config.labels)
        boxes = decode_boxes(raw[..., classes : classes + 4], self.centres, self.strides)
        corners = (
            decode_corners(raw[..., classes + 4 :], boxes, self.box_corners) if self.config.corners else None
        )
        return Predictions(raw[..., :classes], boxes, corners)

    def forward(self, images: Tensor) -> Tensor | dict[str, Tensor]:
        """In training the raw outputs; else what the exported graph has: ``boxes``, ``scores`` in [0, 1] and,
        if any, ``corners``."""
        if self.training:
            return self.raw(images)
        found = self.decode(self.raw(images))
        outputs = {"boxes": found.boxes, "scores": found.logits.sigmoid()}
        return outputs if found.corners is None else outputs | {"corners": found.corners}

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the exported graph's outputs, in order."""
        return ("boxes", "scores", "corners") if self.config.corners else ("boxes", "scores")


def cells(width: int, height: int) -> tuple[Tensor, Tensor]:
    """Centres (A, 2) and strides (A, 1) of all cells of an input of ``width`` × ``height`` pixels."""
    centres, strides = [], []
    for stride in STRIDES:
        y, x = torch.meshgrid(torch.arange(height // stride), torch.arange(width // stride), indexing="ij")
        places = (torch.stack([x, y], -1).reshape(-1, 2) + 0.5) * stride
        centres.append(places)
        strides.append(torch.full((len(places), 1), float(stride)))
    return torch.cat(centres).float(), torch.cat(strides)
