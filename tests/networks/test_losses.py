"""Losses: right values where they are known, no gradient where there is no knowledge."""

from __future__ import annotations

import pytest
import torch

from plateloop.networks.assigner import IGNORE, Truth
from plateloop.networks.detector import Detector, DetectorConfig, Predictions, cells
from plateloop.networks.losses import LossConfig, class_loss, detection_losses, generalised_iou

CONFIG = DetectorConfig(
    width=64,
    height=64,
    labels=("plate",),
    corners=True,
    widths=(8, 8, 16, 16, 16),
    depths=(1, 1, 1, 1),
    neck=16,
)


def test_generalised_iou_of_known_boxes() -> None:
    a = torch.tensor([[0.0, 0, 2, 2], [0, 0, 2, 2], [0, 0, 1, 1]])
    b = torch.tensor([[0.0, 0, 2, 2], [1, 0, 3, 2], [3, 0, 4, 1]])
    assert generalised_iou(a, b).tolist() == pytest.approx([1, 1 / 3, 0 - (4 - 2) / 4])


@pytest.mark.parametrize("kind", ["varifocal", "quality", "cross_entropy"])
def test_class_loss_is_least_at_the_target(kind: str) -> None:
    target = torch.tensor([0.0, 0.7])
    low = class_loss(torch.tensor([-6.0, 0.8473]), target, kind)
    high = class_loss(torch.tensor([3.0, -3.0]), target, kind)
    assert (low < high).all()


def _truth(
    label: int, box: tuple[float, ...], corners: tuple[float, ...] | None, complete: bool = True
) -> Truth:
    return Truth(
        torch.tensor([0]),
        torch.tensor([box]),
        torch.tensor([label]),
        torch.tensor([corners or (0.0,) * 8]),
        torch.tensor([corners is not None]),
        torch.tensor([complete]),
    )


def test_nothing_is_learnt_in_an_ignored_picture() -> None:
    torch.manual_seed(0)
    detector = Detector(CONFIG).train()
    raw = detector(torch.rand(1, 3, 64, 64))
    truth = _truth(IGNORE, (-1.0, -1, 65, 65), None)
    losses = detection_losses(detector.decode(raw), truth, detector.centres, LossConfig())
    assert all(v.item() == 0 for k, v in losses.items() if not k.startswith("_"))


def test_perfect_corners_cost_nothing_and_shifted_ones_do() -> None:
    centres, _ = cells(64, 64)
    box = torch.tensor([16.0, 24, 48, 40])
    corners = torch.tensor([16.0, 26, 46, 24, 48, 38, 18, 40])
    boxes = box.expand(1, len(centres), 4)

    def loss(shift: float) -> dict[str, torch.Tensor]:
        found = Predictions(
            torch.zeros(1, len(centres), 1), boxes, (corners + shift).expand(1, len(centres), 8)
        )
        truth = _truth(0, tuple(box.tolist()), tuple(corners.tolist()))
        return detection_losses(found, truth, centres, LossConfig())

    assert float(loss(0)["corners"]) == 0
    assert float(loss(3)["corners"]) > float(loss(1)["corners"]) > 0
    assert float(loss(0)["boxes"]) == pytest.approx(0, abs=1e-6)


def test_corners_of_a_plate_with_a_box_only_are_held_to_its_extent() -> None:
    centres, _ = cells(64, 64)
    box = torch.tensor([16.0, 24, 48, 40])
    fitting = torch.tensor([16.0, 26, 46, 24, 48, 38, 18, 40])
    boxes = box.expand(1, len(centres), 4)
    for corners, least in ((fitting, 0.0), (fitting * 1.1, 0.01)):
        found = Predictions(torch.zeros(1, len(centres), 1), boxes, corners.expand(1, len(centres), 8))
        losses = detection_losses(found, _truth(0, tuple(box.tolist()), None), centres, LossConfig())
        assert float(losses["corners"]) == 0
        assert (float(losses["extents"]) == 0) == (least == 0)


def test_confident_small_finds_weigh_less_where_not_all_is_listed() -> None:
    centres, _ = cells(64, 64)
    boxes = torch.cat([centres - 5, centres + 5], 1)[None]
    found = Predictions(torch.full((1, len(centres), 1), 2.0), boxes, None)
    box = (2.0, 2, 12, 12)
    listed, unlisted = (
        detection_losses(found, _truth(0, box, None, complete), centres, LossConfig())["classes"]
        for complete in (True, False)
    )
    assert float(unlisted) < 0.5 * float(listed)


def test_nothing_waits_for_the_gpu() -> None:
    # A CUDA graph cannot be recorded of a step that does, forward or backward.
    detector = Detector(CONFIG).train()
    truth = _truth(0, (10.0, 10, 50, 40), (10.0, 10, 50, 10, 50, 40, 10, 40))
    with torch.profiler.profile() as profile:
        found = detector.decode(detector(torch.rand(1, 3, 64, 64)))
        losses = detection_losses(found, truth, detector.centres, LossConfig())
        torch.stack([v for k, v in losses.items() if not k.startswith("_")]).sum().backward()
    waiting = {"aten::item", "aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select"}
    assert not waiting & {event.key for event in profile.key_averages()}
