"""Many readings of one plate → one text with one confidence.

As ROVER joins the words of several speech recognisers (Fiscus 1997), readings are aligned with a backbone by
edit distance and vote column by column; here each vote is a distribution over the alphabet and a gap, and
votes are added as logarithms, weighed by how well the plate was seen and by how much the reading resembles
the backbone, which is the reading that the others resemble most. A character that one reading misses or
doubles is so outvoted like any other mistake, and garbage counts for nothing.

All functions are pure; the order of the readings does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from plateloop.types import FloatArray, IntArray, Reading

Votes = NDArray[np.float64]

# What a reading that may be of another plate, or garbage, leaves open in each of its votes.
DOUBT = 0.05
# How sure a reading is that nothing stands where it saw nothing.
ABSENT = 0.9
# Cost of a gap in the alignment; a mismatch costs nothing and a match gains 1, so two gaps in a row are worse
# than a mismatch and shifting a text pays from one further match on.
GAP_COST = 0.35
# Exponents and slope chosen on simulated readings with garbage among them: how far a reading's own confidence
# counts (little: its distributions already say it), how fast a reading loses its vote with its edit distance
# from the backbone, and how far votes that were so lost lower the confidence.
TRUST = 0.1
SLOPE = 1.25
SUPPORT = 0.5
SETTLED_READINGS = 3


class FusionConfig(BaseModel):
    """When a fused text is believed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keep: int = Field(32, ge=1, description="readings of a vehicle that are kept, the best ones")
    min_confidence: float = Field(0.4, ge=0, le=1, description="below it the text is not given (null)")
    min_confidence_single: float = Field(
        0.6, ge=0, le=1, description="the same where only one reading supports the text"
    )
    min_length: int = Field(3, ge=1, description="shorter texts are not given")
    settled_confidence: float = Field(
        0.95, ge=0, le=1, description="with this confidence and 3 equal readings a plate is read seldom"
    )
    correlation: float = Field(
        0.5, ge=0, le=1, description="0: readings err independently; 1: all in the same way"
    )


@dataclass(frozen=True, slots=True)
class Sighting:
    """One reading of a track's plate and its ``weight`` in (0, 1], by how well the plate was seen."""

    reading: Reading
    weight: float


@dataclass(frozen=True, slots=True)
class Fused:
    """What is known of a plate: ``text`` is None where no reading is to be believed.

    ``best`` is the likeliest text, believed or not; ``confidence`` and ``char_confidences`` belong to it;
    ``agreeing`` counts the readings that say exactly ``best``.
    """

    text: str | None
    best: str
    confidence: float
    char_confidences: tuple[float, ...]
    region: str | None
    agreeing: int
    settled: bool


UNREAD = Fused(None, "", 0.0, (), None, 0, False)


def weight(height: float, sharpness: float) -> float:
    """The weight of a reading of a plate ``height`` pixels high and of this ``sharpness`` in [0, 1].

    Below 24 pixels characters begin to lose their strokes; a plate in motion blur counts half.
    """
    return float(np.clip(height / 24, 0.15, 1) * (0.5 + 0.5 * np.clip(sharpness, 0, 1)))


def keep(sightings: Sequence[Sighting], new: Sighting, most: int) -> tuple[Sighting, ...]:
    """``sightings`` and the ``new`` one, without the weakest where they are more than ``most``.

    An empty reading says nothing and is not kept.
    """
    if not new.reading.text:
        return tuple(sightings)
    together = (*sightings, new)
    if len(together) <= most:
        return together
    strengths = [sighting.weight * sighting.reading.confidence for sighting in together]
    weakest = int(np.argmin(strengths))
    return together[:weakest] + together[weakest + 1 :]


def fuse(sightings: Iterable[Sighting], alphabet: str, config: FusionConfig) -> Fused:
    """The likeliest text of all ``sightings``; ``alphabet`` names the columns of their distributions.

    With one reading the result is that reading. The evidence of N readings is scaled as if they were
    N^(1 - correlation), since consecutive frames err alike.
    """
    # Sorted, so that ties and rounding cannot depend on the order of arrival.
    given = [sighting for sighting in sightings if sighting.reading.text]
    given.sort(key=lambda s: (s.reading.text, s.reading.confidence, s.weight, s.reading.char_confidences))
    if not given:
        return UNREAD
    if len(given) == 1:
        reading = given[0].reading
        return _judge(reading.text, reading.confidence, reading.char_confidences, given, config)
    trust = np.array([s.weight * s.reading.confidence**TRUST + 1e-6 for s in given])
    texts, text_of = np.unique([sighting.reading.text for sighting in given], return_inverse=True)
    alike = np.array([[likeness(a, b) for b in texts.tolist()] for a in texts.tolist()])[text_of][:, text_of]
    # The backbone is the reading that the others resemble most; garbage resembles nothing.
    start = int((alike @ trust * (0.5 + 0.5 * trust / trust.max())).argmax())
    weights = trust * alike[start]
    votes, lengths = _votes(given)
    columns = _columns(votes[start, : lengths[start]], votes, lengths, weights)
    consensus = _softmax(columns)[columns.argmax(1) > 0]
    if len(consensus):
        # Once more along the first round's consensus, which no single reading's mistakes bend.
        columns = _columns(consensus, votes, lengths, weights)
    count = float(weights.sum())
    scale = max(1.0, count ** (1 - config.correlation)) / count
    posterior = _softmax(columns * scale)
    chosen = posterior.argmax(1)
    sure = posterior.max(1)
    text = "".join(alphabet[symbol - 1] for symbol in chosen if symbol)
    support = float(weights.sum() / trust.sum())
    return _judge(
        text, prod(sure.tolist()) * support**SUPPORT, tuple(sure[chosen > 0].tolist()), given, config
    )


@lru_cache(1 << 14)
def likeness(a: str, b: str) -> float:
    """How alike two texts are, in [0, 1]: 1 - ``SLOPE`` × edit distance / the longer one's length."""
    if a == b:
        return 1.0
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return max(0.0, 1 - SLOPE * row[-1] / max(len(a), len(b)))


def _judge(
    text: str, confidence: float, chars: tuple[float, ...], given: list[Sighting], config: FusionConfig
) -> Fused:
    agreeing = sum(sighting.reading.text == text for sighting in given)
    least = config.min_confidence if agreeing > 1 else config.min_confidence_single
    believed = confidence >= least and len(text) >= config.min_length
    regions: dict[str, float] = {}
    for sighting in given:
        if sighting.reading.region is not None:
            regions[sighting.reading.region] = regions.get(sighting.reading.region, 0) + sighting.weight
    return Fused(
        text=text if believed else None,
        best=text,
        confidence=float(confidence),
        char_confidences=chars,
        region=max(sorted(regions), key=lambda name: regions[name]) if regions else None,
        agreeing=agreeing,
        settled=believed and confidence >= config.settled_confidence and agreeing >= SETTLED_READINGS,
    )


def _votes(given: list[Sighting]) -> tuple[Votes, IntArray]:
    # (N, longest, 1 + alphabet): column 0 is the gap. A character's probability that is missing from its
    # distribution over the alphabet lies on the gap: the reader was not sure that anything stands there.
    lengths = np.array([len(sighting.reading.text) for sighting in given])
    width = given[0].reading.distributions.shape[1]
    votes = np.zeros((len(given), lengths.max(), 1 + width))
    for row, sighting in enumerate(given):
        spread = np.asarray(sighting.reading.distributions, np.float64)
        present = np.clip(np.array(sighting.reading.char_confidences) / np.maximum(spread.max(1), 1e-6), 0, 1)
        votes[row, : len(spread), 0] = 1 - present
        votes[row, : len(spread), 1:] = spread * present[:, None]
    return (1 - DOUBT) * votes + DOUBT / (1 + width), lengths


def _columns(backbone: Votes, votes: Votes, lengths: IntArray, weights: Votes) -> Votes:
    # Summed log votes, a row for each place of the backbone and for each slot before, between and after its
    # places at which some reading has a further character.
    places, width = backbone.shape
    absent = np.full(width, (1 - ABSENT) / (width - 1))
    absent[0] = ABSENT
    sums = np.tile(weights.sum() * np.log(absent), (2 * places + 1, 1))
    used = np.zeros(2 * places + 1, bool)
    used[1::2] = True
    matched = _align(backbone, votes, lengths)
    for row, partners in enumerate(matched):
        slot = 0
        for character, place in enumerate(partners[: lengths[row]]):
            column = 2 * place + 1 if place >= 0 else slot
            if place >= 0:
                slot = 2 * place + 2
            elif character and partners[character - 1] < 0:
                continue  # of several further characters in one slot the first alone votes
            sums[column] += weights[row] * (np.log(votes[row, character]) - np.log(absent))
            used[column] = True
    return np.asarray(sums[used])


def _align(backbone: Votes, votes: Votes, lengths: IntArray) -> IntArray:
    # Needleman-Wunsch of every reading with the backbone at once: (N, longest) the place of the backbone that
    # each character stands at, -1 where it stands between places.
    count, longest, _ = votes.shape
    places = len(backbone)
    gain = np.einsum("lk,nmk->nlm", backbone[:, 1:], votes[..., 1:])
    score = np.zeros((count, places + 1, longest + 1))
    score[:, :, 0] = -GAP_COST * np.arange(places + 1)
    score[:, 0, :] = -GAP_COST * np.arange(longest + 1)
    step = np.zeros((count, places + 1, longest + 1), np.int8)
    step[:, 0, 1:] = 2
    step[:, 1:, 0] = 1
    for place in range(1, places + 1):
        for character in range(1, longest + 1):
            both = score[:, place - 1, character - 1] + gain[:, place - 1, character - 1]
            gap = score[:, place - 1, character] - GAP_COST
            further = score[:, place, character - 1] - GAP_COST
            best = np.maximum(both, gap)
            step[:, place, character] = np.where(further > best, 2, gap > both)
            score[:, place, character] = np.maximum(best, further)
    partner = np.full((count, longest), -1, np.int64)
    for row in range(count):
        place, character = places, int(lengths[row])
        while place or character:
            move = step[row, place, character]
            if move == 0:
                partner[row, character - 1] = place - 1
            place -= move != 2
            character -= move != 1
    return partner


def _softmax(logs: Votes) -> Votes:
    powers = np.exp(logs - logs.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True))


def sharpness(luma: FloatArray | NDArray[np.uint8]) -> float:
    """How sharp a plate's luma (H, W) is, in [0, 1]: its steepest steps as a share of its contrast.

    The 98th percentile of horizontal differences over the span from the 5th to the 95th percentile of the
    values, so that neither light nor paint matter; 0 for a flat picture.
    """
    if luma.shape[0] < 2 or luma.shape[1] < 2:
        return 0.0
    values = np.asarray(luma, np.float32)
    low, high = np.percentile(values, [5, 95])
    if high - low < 1:
        return 0.0
    steps = np.percentile(np.abs(np.diff(values, axis=1)), 98)
    return float(min(1.0, steps / (high - low)))
