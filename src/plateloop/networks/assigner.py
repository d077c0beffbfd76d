"""Task-aligned assignment (Feng et al. 2021, TOOD) of cells to objects, for a whole batch at once.

Objects of all pictures lie in one flat list, so that a crowded picture costs nothing to the others, and there
is only one dense (objects × cells) score; all after its top-k is small. Nothing here waits for the GPU.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from plateloop.networks.detector import Predictions

NOTHING = -1
IGNORE = -2
_SMALL = 1e-9


class AssignerConfig(BaseModel):
    """How cells are chosen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cells: int = Field(13, description="cells that an object may take")
    score_power: float = Field(0.5, description="exponent of the class score in the alignment")
    overlap_power: float = Field(6.0, description="exponent of the IoU in the alignment")
    smallest: float = Field(16.0, description="objects are widened to this many pixels when cells are sought")
    ignore_coverage: float = Field(
        0.5, description="share of a predicted box within an ignored box from which it is not background"
    )


@dataclass(frozen=True, slots=True)
class Truth:
    """The objects of a batch, M rows in all.

    ``picture`` (M,) the row in the batch, ``boxes`` (M, 4) xyxy in input pixels, ``labels`` (M,) the class,
    NOTHING for a filler, IGNORE for a box that is neither object nor background; ``corners`` (M, 8) with
    ``has_corners`` (M,) saying where they are known; ``complete`` (B,): what is not listed is background.
    """

    picture: Tensor
    boxes: Tensor
    labels: Tensor
    corners: Tensor
    has_corners: Tensor
    complete: Tensor


@dataclass(frozen=True, slots=True)
class Assignment:
    """M × K candidate pairs, flat: ``cell`` indexes pictures × cells, ``row`` the truth.

    ``quality`` is the score that the cell shall learn, 0 where the pair is no match. ``ignored`` (B, A) marks
    cells whose prediction lies in an ignored box.
    """

    cell: Tensor
    row: Tensor
    quality: Tensor
    ignored: Tensor


def pairwise(boxes: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Intersection and area of ``others``: of boxes (M, 1, 4) with others (M, A, 4), each (M, A)."""
    low = torch.maximum(boxes[..., :2], others[..., :2])
    high = torch.minimum(boxes[..., 2:], others[..., 2:])
    size = (high - low).clamp_(min=0)
    span = (others[..., 2:] - others[..., :2]).clamp_(min=0)
    return size[..., 0] * size[..., 1], span[..., 0] * span[..., 1]


def _contains(boxes: Tensor, points: Tensor) -> Tensor:
    """Which of the points (A, 2) lie in each box (M, 4): (M, A)."""
    x, y = points[:, 0], points[:, 1]
    x1, y1, x2, y2 = (side[:, None] for side in boxes.unbind(-1))
    return (x > x1) & (x < x2) & (y > y1) & (y < y2)


@torch.no_grad()
def assign(found: Predictions, truth: Truth, centres: Tensor, config: AssignerConfig) -> Assignment:
    """Match cells to objects by score and overlap; a cell wanted twice goes to the larger overlap."""
    batch, cells, classes = found.logits.shape
    real = truth.labels >= 0
    # Rows of scores by picture and class: (B * C, A), so that a gather copies contiguous memory.
    scores = found.logits.float().sigmoid().transpose(1, 2).reshape(batch * classes, cells)
    score = scores[truth.picture * classes + truth.labels.clamp(min=0)]
    common, area = pairwise(truth.boxes[:, None], found.boxes[truth.picture])
    own = (truth.boxes[:, 2:] - truth.boxes[:, :2]).prod(-1, keepdim=True)
    overlap = common / (area + own - common).clamp(min=_SMALL)

    middle = (truth.boxes[:, :2] + truth.boxes[:, 2:]) / 2
    half = (truth.boxes[:, 2:] - truth.boxes[:, :2]).clamp(min=config.smallest) / 2
    near = _contains(torch.cat([middle - half, middle + half], 1), centres) & real[:, None]
    alignment = score.pow(config.score_power) * overlap.pow(config.overlap_power)
    # An infinitesimal floor keeps near cells in the running before predictions overlap anything.
    alignment = torch.where(near, alignment + _SMALL, 0)

    best, cell = alignment.topk(min(config.cells, cells), 1)
    wanted = best > 0
    overlap_of = overlap.gather(1, cell) + _SMALL
    flat = (truth.picture[:, None] * cells + cell).flatten()
    claim = torch.where(wanted, overlap_of, 0).flatten()
    highest = torch.zeros(batch * cells, device=claim.device).scatter_reduce_(0, flat, claim, "amax")
    row = torch.arange(len(cell), device=cell.device)[:, None].expand_as(cell).flatten()
    winner = wanted.flatten() & (claim == highest[flat])
    # Of two objects with the very same overlap the later one has the cell.
    holder = torch.full((batch * cells,), -1, device=cell.device)
    holder.scatter_reduce_(0, flat, torch.where(winner, row, -1), "amax")
    winner &= holder[flat] == row
    winner = winner.view_as(cell)

    matched = torch.where(winner, best, 0)
    reach = torch.where(winner, overlap_of, 0).amax(1, keepdim=True)
    quality = matched / matched.amax(1, keepdim=True).clamp(min=_SMALL) * reach

    hidden = truth.labels == IGNORE
    within = _contains(truth.boxes, centres) | (common > config.ignore_coverage * area.clamp(min=_SMALL))
    ignored = torch.zeros(batch, cells, device=claim.device)
    ignored.index_add_(0, truth.picture, (within & hidden[:, None]).float())
    return Assignment(flat, row, quality.flatten(), ignored > 0)
