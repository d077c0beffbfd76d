"""Real plates for the reader: crops and plates cut from photographs, all in memory on equal canvases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from plateloop.data_preparation.balance import ATTRIBUTE
from plateloop.data_preparation.manifest import Plate, Record, read_manifest
from plateloop.errors import UserError
from plateloop.geometry import box_array, coverage
from plateloop.networks.ctc import MAX_LENGTH
from plateloop.networks.lprnet import HEIGHT, WIDTH
from plateloop.training.cache import Arrays
from plateloop.types import FloatArray, Image

# A canvas holds the plate over the network's input size, with this much of its surroundings on each side.
RIM_X, RIM_Y = WIDTH // 8, HEIGHT // 8
CANVAS_WIDTH, CANVAS_HEIGHT = WIDTH + 2 * RIM_X, HEIGHT + 2 * RIM_Y
SQUARE = 2.2  # crops less wide than this times their height mostly show plates of two rows


class Balance(BaseModel):
    """How often each real plate is drawn, and how far its label is trusted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    power: float = Field(0.5, description="a source is drawn by its number of distinct texts to this power")
    boosts: dict[str, float] = Field(
        default_factory=lambda: {
            "vito_VN_machine": 1.5,
            "parikshit_IN": 2.0,
            "gp_US": 2.0,
            "openalpr_seg_US": 2.0,
            "traindet_BR_real": 1.5,
        },
        description="source → factor on how often it is drawn",
    )
    trust: dict[str, float] = Field(
        default_factory=lambda: {"annotated": 1.0, "agreed": 0.8, "machine": 0.5},
        description="who read the plate → weight of its loss; 1 where others did, or nobody says who",
    )
    alike: tuple[str, ...] = Field(
        ("openalpr_seg_US",),
        description="sources that write the letter O as 0 in part: either is taken for right",
    )
    square: float = Field(
        1.0,
        description=f"factor on how often crops are drawn that are less than {SQUARE} times as wide as high",
    )
    hold_out: tuple[str, ...] = Field(
        (), description="sources left out of training, to see how it generalises"
    )


@dataclass(frozen=True, slots=True)
class RealPlates:
    """N plates from photographs.

    ``canvases`` (N, 80, 200, 3) uint8 RGB, the plate (or crop as it is) in the middle 64 × 160; ``aspects``
    (N,) width over height of that middle in the photograph; ``boxed`` (N,) is true where the middle is the
    plate's own box, false where it is a crop whose margin nobody knows; ``weights`` (N,) the weight that
    `plateloop data balance` gave its record, None where no record has one.
    """

    canvases: Image
    aspects: FloatArray
    boxed: NDArray[np.bool_]
    texts: tuple[str, ...]
    regions: tuple[str | None, ...]
    sources: tuple[str, ...]
    annotations: tuple[str, ...]
    files: tuple[str, ...]
    weights: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def select(self, keep: Iterable[int]) -> RealPlates:
        """The plates at the given indices."""
        rows = np.fromiter(keep, np.int64)
        return replace(
            self,
            canvases=self.canvases[rows],
            aspects=self.aspects[rows],
            boxed=self.boxed[rows],
            texts=tuple(self.texts[i] for i in rows),
            regions=tuple(self.regions[i] for i in rows),
            sources=tuple(self.sources[i] for i in rows),
            annotations=tuple(self.annotations[i] for i in rows),
            files=tuple(self.files[i] for i in rows),
            weights=None if self.weights is None else self.weights[rows],
        )

    def arrays(self) -> Arrays:
        """All of it as arrays, from which ``from_arrays`` makes it again."""
        names: dict[str, Any] = {"regions": tuple(region or "" for region in self.regions)}
        if self.weights is None:
            names["weights"] = np.zeros(0, np.float32)
        return {
            field.name: np.array(names.get(field.name, getattr(self, field.name))) for field in fields(self)
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> RealPlates:
        """What ``arrays`` gave."""
        texts = {name: tuple(arrays[name].tolist()) for name in ("texts", "sources", "annotations", "files")}
        regions = tuple(region or None for region in arrays["regions"].tolist())
        weights = arrays["weights"] if len(arrays["weights"]) else None
        return cls(
            arrays["canvases"], arrays["aspects"], arrays["boxed"], regions=regions, weights=weights, **texts
        )


def _canvas(picture: Image, box: Sequence[float]) -> Image:
    """The canvas of ``box``; beyond the picture its edge is repeated."""
    x1, y1, x2, y2 = box
    scale = np.array([(x2 - x1) / WIDTH, (y2 - y1) / HEIGHT])
    if min(scale) > 1:
        # Shrink by areas first, as the warp alone would skip pixels.
        factor = float(min(scale))
        size = (max(1, round(picture.shape[1] / factor)), max(1, round(picture.shape[0] / factor)))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
        x1, y1, scale = x1 / factor, y1 / factor, scale / factor
    # Pixel centres: canvas pixel u lies at (u + 0.5 - rim) * scale + x1 - 0.5 of the picture.
    matrix = np.array(
        [
            [scale[0], 0, (0.5 - RIM_X) * scale[0] + x1 - 0.5],
            [0, scale[1], (0.5 - RIM_Y) * scale[1] + y1 - 0.5],
        ]
    )
    warped = cv2.warpAffine(
        picture,
        matrix,
        (CANVAS_WIDTH, CANVAS_HEIGHT),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(warped, np.uint8)


def read_rgb(path: Path) -> Image:
    """The picture at ``path``, (H, W, 3) uint8 RGB. Raises UserError where it cannot be decoded."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    if picture is None:
        raise UserError(f"{path}: cannot be decoded; remove its record from the manifest")
    return np.asarray(picture, np.uint8)


def _usable(plate: Plate) -> bool:
    return bool(plate.text) and len(plate.text or "") <= MAX_LENGTH


def load_real(folders: Sequence[Path], split: str, limit: int | None = None, threads: int = 8) -> RealPlates:
    """All plates with text of ``split`` in the manifest datasets ``folders``; about ``limit`` pictures each.

    A plate whose box is the whole picture is a crop; others are cut with their surroundings.
    Raises UserError where there is none.
    """
    work = []
    for folder in folders:
        records = [
            record
            for record in read_manifest(folder)
            if record.split == split and any(_usable(plate) for plate in record.plates)
        ]
        # Every n-th, so that a limited load sees all sources.
        step = max(1, len(records) // limit) if limit else 1
        work += [(folder, record) for record in records[::step]]
    if not work:
        raise UserError(
            f"{', '.join(map(str, folders))}: no {split} plate with text; see `plateloop data stats`"
        )

    def cut(item: tuple[Path, Record]) -> list[tuple[Image, float, bool, Plate]]:
        folder, record = item
        picture = read_rgb(folder / record.file)
        pieces = []
        for plate in record.plates:
            if _usable(plate):
                x1, y1, x2, y2 = plate.box
                whole = (x2 - x1) * (y2 - y1) > 0.99 * record.width * record.height
                pieces.append((_canvas(picture, plate.box), (x2 - x1) / (y2 - y1), not whole, plate))
        return pieces

    with ThreadPoolExecutor(threads) as pool:
        cuts = list(pool.map(cut, work))
    flat = [(record, *piece) for (_, record), pieces in zip(work, cuts, strict=True) for piece in pieces]
    return RealPlates(
        np.stack([canvas for _, canvas, *_ in flat]),
        np.array([aspect for _, _, aspect, *_ in flat], np.float32),
        np.array([boxed for *_, boxed, _ in flat]),
        tuple(plate.text or "" for *_, plate in flat),
        tuple(plate.region or record.region for record, *_, plate in flat),
        tuple(record.source for record, *_ in flat),
        tuple(plate.annotation or "" for *_, plate in flat),
        tuple(record.file for record, *_ in flat),
        _weights([record for record, *_ in flat]),
    )


def _weights(records: Sequence[Record]) -> FloatArray | None:
    """The records' sampling weights, 1 for those without; None where none has one."""
    if not any(ATTRIBUTE in record.attributes for record in records):
        return None
    try:
        return np.array([float(record.attributes.get(ATTRIBUTE, 1)) for record in records], np.float32)
    except ValueError as error:
        raise UserError(f"a record's {ATTRIBUTE}: {error}; write it with `plateloop data balance`") from None


def draw_weights(plates: RealPlates, balance: Balance) -> FloatArray:
    """How often each plate is drawn: (N,) float32 that sum to 1.

    Plates of a source share its part, those with the same text share their text's part (by square root), so
    that neither a large source nor a car seen a hundred times rules; within a source, the plates' own
    ``weights`` count.
    """
    same = Counter(zip(plates.sources, plates.texts, strict=True))
    distinct = Counter(source for source, _ in same)
    weights = np.array(
        [same[source, text] ** -0.5 for source, text in zip(plates.sources, plates.texts, strict=True)]
    )
    if plates.weights is not None:
        weights *= plates.weights
    names, index = np.unique(np.array(plates.sources), return_inverse=True)
    part = np.array(
        [
            0.0 if n in balance.hold_out else distinct[n] ** balance.power * balance.boosts.get(n, 1)
            for n in names
        ]
    )
    total = np.bincount(index, weights, len(names))
    weights *= (part / total)[index] * np.where(plates.aspects < SQUARE, balance.square, 1.0)
    return np.asarray(weights / weights.sum(), np.float32)


def load_backgrounds(folder: Path, count: int, seed: int, threads: int = 8) -> Image:
    """Pieces of train photographs without plates, (count, 64, 160, 3), to lie around synthetic plates.

    They are taken from vehicles; where no photograph has one, from anywhere in it.
    """
    rng = np.random.default_rng(seed)
    photographs = [r for r in read_manifest(folder) if r.split == "train" and r.plates_annotated]
    records = [r for r in photographs if r.vehicles] or photographs
    if not records:
        raise UserError(f"{folder}: no train photograph with its plates labelled to take backgrounds from")
    each = 4
    chosen = rng.choice(len(records), -(-count // each))
    seeds = rng.integers(2**32, size=len(chosen))

    def cut(index: int, own_seed: int) -> list[Image]:
        record, own = records[index], np.random.default_rng(own_seed)
        picture = read_rgb(folder / record.file)
        taken = box_array([*(p.box for p in record.plates), *record.ignore_plates])
        areas = [v.box for v in record.vehicles] or [(0.0, 0.0, record.width, record.height)]
        pieces = []
        for _ in range(each):
            vehicle = areas[own.integers(len(areas))]
            for _ in range(10):
                width = own.uniform(0.1, 0.5) * (vehicle[2] - vehicle[0]) + 8
                height = width / own.uniform(1.5, 4)
                x = own.uniform(vehicle[0] - width / 2, vehicle[2] - width / 2)
                y = own.uniform(vehicle[1], max(vehicle[1], vehicle[3] - height / 2))
                box = np.array([[x, y, x + width, y + height]], np.float32)
                if not len(taken) or coverage(taken, box).max() < 0.02:
                    break
            pieces.append(_canvas(picture, box[0])[RIM_Y:-RIM_Y, RIM_X:-RIM_X])
        return pieces

    with ThreadPoolExecutor(threads) as pool:
        pieces = [piece for part in pool.map(cut, chosen, seeds) for piece in part]
    return np.stack(pieces[:count])
