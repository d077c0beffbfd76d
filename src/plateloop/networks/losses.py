"""What the detectors learn from: class scores, boxes and corners at the assigned cells."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional as F

from plateloop.networks.assigner import AssignerConfig, Truth, assign
from plateloop.networks.detector import Predictions


class LossConfig(BaseModel):
    """Weights and kinds of the losses."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    assigner: AssignerConfig = Field(AssignerConfig(), description="how cells are matched to objects")
    kind: Literal["varifocal", "quality", "cross_entropy"] = Field(
        "varifocal", description="class loss toward the quality (Zhang et al. 2021; Li et al. 2020; plain)"
    )
    classes: float = Field(1.0, description="weight of the class loss")
    boxes: float = Field(2.5, description="weight of the box loss (generalised IoU)")
    corners: float = Field(2.0, description="weight of the corner loss where corners are known")
    extents: float = Field(0.5, description="weight of corners' extents against the box where they are not")
    corner_beta: float = Field(
        0.05, description="corner error, in plate sides, from which the loss is linear"
    )
    unlisted: float = Field(
        0.3, description="weight of confident small finds as background in pictures not fully listed"
    )
    unlisted_score: float = Field(0.3, description="score from which such a find is confident")
    unlisted_size: float = Field(64.0, description="longest side, input pixels, up to which it is small")


def _area(size: Tensor) -> Tensor:
    # The gradient of prod looks for zeros, and so waits for the GPU.
    return size[:, 0] * size[:, 1]


def generalised_iou(a: Tensor, b: Tensor) -> Tensor:
    """Generalised IoU (Rezatofighi et al. 2019) of boxes (N, 4), row by row: (N,) in [-1, 1]."""
    low, high = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])
    common = _area((high - low).clamp(min=0))
    union = _area(a[:, 2:] - a[:, :2]) + _area(b[:, 2:] - b[:, :2]) - common
    hull = _area(torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2]))
    return common / union.clamp(min=1e-6) - (hull - union) / hull.clamp(min=1e-6)


def class_loss(logits: Tensor, target: Tensor, kind: str) -> Tensor:
    """Loss of every score, same shape as ``logits``; ``target`` in [0, 1] is the quality."""
    plain = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    if kind == "cross_entropy":
        return plain
    score = logits.detach().sigmoid()
    if kind == "quality":
        return plain * (target - score).square()
    return plain * torch.where(target > 0, target, 0.75 * score.square())


def _corner_loss(corners: Tensor, truth: Truth, row: Tensor, config: LossConfig) -> tuple[Tensor, Tensor]:
    """Errors of predicted corners (N, 8) and of their extents, in units of the plate's mean side: (N,)."""
    boxes = truth.boxes[row]
    side = ((boxes[:, 2:] - boxes[:, :2]).sum(-1, keepdim=True) / 2).clamp(min=1)
    known = truth.has_corners[row]
    exact = F.smooth_l1_loss(
        corners / side, truth.corners[row] / side, beta=config.corner_beta, reduction="none"
    )
    points = corners.view(-1, 4, 2)
    extents = torch.cat([points.amin(1), points.amax(1)], 1)
    loose = F.smooth_l1_loss(extents / side, boxes / side, beta=config.corner_beta, reduction="none")
    return exact.mean(1) * known, loose.mean(1) * ~known


def detection_losses(
    found: Predictions, truth: Truth, centres: Tensor, config: LossConfig
) -> dict[str, Tensor]:
    """Named losses of a batch, each a scalar, normalised by the sum of qualities."""
    batch, cells, classes = found.logits.shape
    match = assign(found, truth, centres, config.assigner)
    total = match.quality.sum().clamp(min=1)

    target = torch.zeros(batch * cells * classes, device=found.logits.device)
    place = match.cell * classes + truth.labels[match.row].clamp(min=0)
    target.scatter_reduce_(0, place, match.quality, "amax")
    target = target.view(batch, cells, classes)
    with torch.no_grad():
        background = target.amax(-1) == 0
        weight = (~(background & match.ignored)).float()
        longest = (found.boxes[..., 2:] - found.boxes[..., :2]).amax(-1)
        confident = found.logits.amax(-1).sigmoid() > config.unlisted_score
        doubtful = confident & (longest < config.unlisted_size) & ~truth.complete[:, None] & background
        weight = torch.where(doubtful, weight * config.unlisted, weight)
    scores = (class_loss(found.logits, target, config.kind) * weight[..., None]).sum() / total

    boxes = found.boxes.reshape(-1, 4).index_select(0, match.cell)
    overlap = generalised_iou(boxes, truth.boxes[match.row])
    losses = {
        "classes": config.classes * scores,
        "boxes": config.boxes * ((1 - overlap) * match.quality).sum() / total,
    }
    if found.corners is not None:
        corners = found.corners.reshape(-1, 8).index_select(0, match.cell)
        exact, loose = _corner_loss(corners, truth, match.row, config)
        known = (match.quality * truth.has_corners[match.row]).sum().clamp(min=1)
        losses["corners"] = config.corners * (exact * match.quality).sum() / known
        losses["extents"] = config.extents * (loose * match.quality).sum() / total
    losses["_quality"] = total / (match.quality > 0).sum().clamp(min=1)
    return losses
