"""Batches for the reader: real plates and the pool's synthetic ones, augmented on the GPU."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from plateloop.networks.ctc import encode, step_targets
from plateloop.networks.lprnet import HEIGHT, WIDTH
from plateloop.training.reading.damage import Damage, crop_shapes, dirty, lit, recorded, surround
from plateloop.training.reading.data import RIM_X, RIM_Y, SQUARE, Balance, RealPlates, draw_weights
from plateloop.training.reading.geometry import Spread, char_places, sample_quads, warp
from plateloop.training.reading.plate_pool import PlatePool
from plateloop.types import Image

REFRESH_EVERY = 10


class Mix(BaseModel):
    """What a batch is made of, and what happens to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    real_share: float = Field(0.45, description="share of real plates in a batch")
    two_rows: float = Field(0.3, description="share of the synthetic plates that have two rows")
    fresh: int = Field(
        64, description="newly rendered plates that enter the pool each step, once all its slots are filled"
    )
    balance: Balance = Field(Balance(), description="how often each real plate is drawn")
    synthetic_spread: Spread = Field(
        Spread(boxes=0.5, rotation=6.0, shear=0.15, perspective=0.08, squeeze=0.25),
        description="how synthetic plates lie",
    )
    real_spread: Spread = Field(
        Spread(boxes=1.0, rotation=3.0, shear=0.08, perspective=0.04), description="how real plates lie"
    )
    synthetic_damage: Damage = Field(Damage(), description="how synthetic plates are seen")
    real_damage: Damage = Field(
        Damage(
            contrast=0.25,
            brightness=0.1,
            gamma=0.25,
            cast=0.07,
            shading=0.2,
            glare=0.06,
            dirt=0.1,
            smallest=20,
            sharp=0.6,
            blur=0.3,
            noise=0.02,
            sharpened=0.1,
            jpeg=0.3,
        ),
        description="how real plates are seen, on top of how they were",
    )


@dataclass(frozen=True, slots=True)
class Batch:
    """B plates: the first ``synthetic`` ones have ``steps`` (synthetic, 80) step targets.

    ``images`` (B, 3, 64, 160) 0 to 1, ``classes`` (B, 12), ``lengths`` (B,), ``weights`` (B,) of the loss,
    ``alike`` (B,) where O and 0 are not told apart, ``regions`` (B,), -1 where not known.
    """

    images: Tensor
    classes: Tensor
    lengths: Tensor
    weights: Tensor
    alike: Tensor
    regions: Tensor
    steps: Tensor

    @property
    def synthetic(self) -> int:
        """How many of the plates are synthetic."""
        return len(self.steps)


class ReadingBatches(Iterator[Batch]):
    """Endless batches of ``size`` plates on ``device``.

    ``backgrounds`` (M, 64, 160, 3) uint8 lie around the synthetic plates of ``pool``; ``regions`` gives the
    index of each region's name.
    """

    def __init__(
        self,
        real: RealPlates,
        pool: PlatePool,
        backgrounds: Image,
        mix: Mix,
        size: int,
        regions: tuple[str, ...],
        device: torch.device,
    ) -> None:
        self._pool, self._mix, self._step = pool, mix, 0
        self._real = round(size * mix.real_share)
        self._synthetic = size - self._real
        self._device = device
        index = {region: number for number, region in enumerate(regions)}
        draw = draw_weights(real, mix.balance)
        square = real.aspects < SQUARE
        # As many square crops in every batch as chance would bring, so that their number is known without
        # asking the GPU.
        self._square = round(self._real * float(draw[square].sum()))
        self._draws = [torch.from_numpy(draw * part).to(device) for part in (square, ~square)]
        self._canvases = torch.from_numpy(real.canvases).permute(0, 3, 1, 2).contiguous().to(device)
        self._aspects = torch.from_numpy(real.aspects).to(device)
        self._margins = (
            torch.from_numpy(np.where(real.boxed, mix.real_spread.margin, 0.02)).float().to(device)
        )
        self._classes = encode(real.texts)[0].to(device)
        trust = [mix.balance.trust.get(annotation, 1.0) for annotation in real.annotations]
        self._trust = torch.tensor(trust, device=device)
        self._alike = torch.tensor([source in mix.balance.alike for source in real.sources], device=device)
        self._regions = torch.tensor([index.get(region or "", -1) for region in real.regions], device=device)
        self._backgrounds = torch.from_numpy(backgrounds).permute(0, 3, 1, 2).contiguous().to(device)
        # Where the plate lies in a pool's picture, and in a canvas.
        unit = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]], device=device)
        self._whole = unit * torch.tensor([WIDTH, HEIGHT], device=device)
        self._middle = self._whole + torch.tensor([RIM_X, RIM_Y], device=device)

    def __iter__(self) -> ReadingBatches:
        return self

    @torch.no_grad()
    def __next__(self) -> Batch:
        if self._step % REFRESH_EVERY == 0:
            filled = self._pool.filled
            self._pool.refresh(REFRESH_EVERY * self._mix.fresh if filled else 8192)
        self._step += 1
        made, steps, drawn = self.synthetic(self._synthetic)
        counts = self._square, self._real - self._square
        pick = torch.cat(
            [
                torch.multinomial(draw, count, replacement=True)
                for draw, count in zip(self._draws, counts, strict=True)
                if count
            ]
        )
        taken = self._photographed(pick)
        pool = self._pool
        classes = torch.cat([pool.classes[drawn], self._classes[pick]])
        some = torch.ones(len(drawn), device=self._device)
        return Batch(
            images=torch.cat([made, taken]),
            classes=classes,
            lengths=(classes > 0).sum(1),
            weights=torch.cat([some, self._trust[pick]]),
            alike=torch.cat([some < 0, self._alike[pick]]),
            regions=torch.cat([pool.regions[drawn], self._regions[pick]]),
            steps=steps,
        )

    def synthetic(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """``count`` synthetic plates: pictures, step targets (count, 80), and their slots in the pool."""
        pool, mix = self._pool, self._mix
        slots = pool.draw(count, mix.two_rows)
        margins = torch.full((count,), mix.synthetic_spread.margin, device=self._device)
        quads = sample_quads(pool.aspects[slots], margins, mix.synthetic_spread)
        warped = warp(pool.images[slots], self._whole, quads)
        around = torch.randint(len(self._backgrounds), (count,), device=self._device)
        images = dirty(warped.images, mix.synthetic_damage)
        images = surround(images, warped.places, self._backgrounds[around].float() / 255)
        images = lit(images, mix.synthetic_damage)
        shapes = crop_shapes(pool.two_rowed(count, mix.two_rows), count, mix.synthetic_damage)
        images = recorded(images, mix.synthetic_damage, *shapes)
        centers, widths = char_places(pool.char_sides[slots], quads)
        steps = step_targets(centers, widths, pool.char_rows[slots], pool.classes[slots])
        return images, steps, slots

    def _photographed(self, pick: Tensor) -> Tensor:
        """The real plates ``pick``, square crops first, as the network sees them."""
        mix = self._mix
        quads = sample_quads(self._aspects[pick], self._margins[pick], mix.real_spread)
        images = warp(self._canvases[pick], self._middle, quads).images
        images = lit(dirty(images, mix.real_damage), mix.real_damage)
        return recorded(images, mix.real_damage, *crop_shapes(self._square, len(pick), mix.real_damage))
