"""Damage stays within bounds, spares what it should, and compresses as JPEG does."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from plateloop.training.jpeg import compress
from plateloop.training.reading.damage import Damage, crop_shapes, dirty, lit, recorded, surround


def _pictures(count: int, height: int = 64, width: int = 160) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.nn.functional.interpolate(torch.rand(count, 3, 8, 20), (height, width), mode="bilinear")


@pytest.mark.parametrize(("height", "width"), [(64, 160), (128, 128)])
def test_all_damage_keeps_shape_and_range(height: int, width: int) -> None:
    pictures, damage = _pictures(70, height, width), Damage()
    worn = recorded(lit(dirty(pictures, damage), damage), damage, torch.full((70,), 13.0), torch.ones(70))
    assert worn.shape == pictures.shape
    assert worn.min() >= 0 and worn.max() <= 1 and torch.isfinite(worn).all()
    assert (worn - pictures).abs().mean() > 0.02


def test_no_damage_changes_nothing() -> None:
    shares = {name: 0.0 for name in Damage.model_fields if name not in ("smallest", "sharp", "group")}
    none = Damage(**shares, sharp=1.0)
    pictures = _pictures(8)
    worn = recorded(lit(dirty(pictures, none), none), none, torch.full((8,), 13.0), torch.ones(8))
    torch.testing.assert_close(worn, pictures, atol=1e-5, rtol=0)


def test_the_crop_s_own_shape_says_how_many_columns_are_seen() -> None:
    shares = {name: 0.0 for name in Damage.model_fields if name not in ("smallest", "sharp", "group")}
    damage = Damage(**shares, sharp=0.0, smallest=13, group=1)
    low, aspects = crop_shapes(2, 4, damage)
    assert (low[:2] > low[2:]).all() and (aspects[:2] < aspects[2:]).all()
    stripes = (torch.arange(160) // 2 % 2).float().expand(8, 3, 64, 160)
    seen = recorded(stripes, damage, torch.full((8,), 64.0), torch.tensor([0.7] * 4 + [2.5] * 4))
    kept = seen.std(3).mean((1, 2))
    # Stripes two pixels wide need 80 columns.
    assert kept[:4].max() < 0.3 and kept[4:].min() > 0.45


@pytest.mark.parametrize("quality", [15, 50, 90])
def test_compression_is_as_strong_as_jpeg(quality: int) -> None:
    picture = (_pictures(1)[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    flags = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111]
    encoded = cv2.imencode(".jpg", picture[..., ::-1], flags)[1]
    reference = cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32)
    ours = compress(torch.from_numpy(picture)[None].permute(0, 3, 1, 2) / 255, torch.tensor([float(quality)]))
    mine = ours[0].permute(1, 2, 0).numpy() * 255
    original = picture.astype(np.float32)
    # Not the same bits (tables of colour differ a little), but the same loss.
    assert np.abs(mine - original).mean() == pytest.approx(np.abs(reference - original).mean(), rel=0.35)


def test_surroundings_spare_the_plate() -> None:
    places = torch.full((2, 64, 160, 2), 0.5)
    places[:, :, 80:] = 1.7
    out = surround(torch.zeros(2, 3, 64, 160), places, torch.ones(2, 3, 64, 160))
    assert (out[..., :80] == 0).all() and (out[..., 80:] == 1).all()
