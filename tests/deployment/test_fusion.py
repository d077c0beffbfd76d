import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plateloop.deployment.fusion import (
    UNREAD,
    FusionConfig,
    Sighting,
    fuse,
    keep,
    sharpness,
    weight,
)
from plateloop.types import Reading

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CONFIG = FusionConfig()


def reading(text: str, confidence: float = 0.9, region: str | None = None) -> Reading:
    """A reading with the same confidence in each character, the rest spread over the alphabet."""
    rows = np.full((len(text), 36), (1 - confidence) / 35, np.float32)
    for row, character in enumerate(text):
        rows[row, ALPHABET.index(character)] = confidence
    return Reading(text, confidence ** len(text), (confidence,) * len(text), rows, region)


def sightings(*texts: str, confidence: float = 0.9) -> list[Sighting]:
    return [Sighting(reading(text, confidence), 1.0) for text in texts]


def simulate(rng: np.random.Generator, text: str, count: int, noise: float) -> list[Sighting]:
    """Readings of one plate that err in part alike, and now and then miss or double a character."""
    shared = rng.normal(0, 0.6 * noise, (len(text), 36))
    result = []
    for _ in range(count):
        level = noise * rng.uniform(0.4, 1.6)
        rows = []
        for place, character in enumerate(text):
            logits = shared[place] + rng.normal(0, level, 36)
            logits[ALPHABET.index(character)] += 5
            luck = rng.random()
            if luck < 0.02 * level:
                continue
            rows += [logits] * (2 if luck > 1 - 0.02 * level else 1)
        if rows:
            spread = np.exp(np.array(rows))
            spread /= spread.sum(1, keepdims=True)
            chars = spread.max(1) * (1 - rng.beta(1, 30, len(rows)))
            got = "".join(ALPHABET[k] for k in spread.argmax(1))
            one = Reading(got, float(chars.prod()), tuple(chars.tolist()), spread.astype(np.float32))
            result.append(Sighting(one, float(rng.uniform(0.3, 1))))
    return result


def test_nothing_read_is_unread() -> None:
    assert fuse([], ALPHABET, CONFIG) == UNREAD
    assert fuse([Sighting(reading(""), 1.0)], ALPHABET, CONFIG) == UNREAD


def test_one_reading_is_itself() -> None:
    fused = fuse(sightings("AB123", confidence=0.98), ALPHABET, CONFIG)
    assert fused.text == "AB123" and fused.confidence == pytest.approx(0.98**5)
    doubtful = fuse(sightings("AB123", confidence=0.8), ALPHABET, CONFIG)
    assert doubtful.text is None and doubtful.best == "AB123"


@pytest.mark.parametrize(
    ("texts", "truth"),
    [
        (("AB123CD", "AB123CD", "AB128CD"), "AB123CD"),
        (("AB123CD", "AB13CD", "AB123CD", "AB123CD"), "AB123CD"),  # one missed
        (("RKK12", "RK12", "RK12"), "RK12"),  # one doubled
        (("B123CD", "AB123C", "AB123CD", "AB123D"), "AB123CD"),  # each misses another
        (("AB123CDX", "XAB123CD", "AB123CD"), "AB123CD"),  # dirt at either end
        (("AB12", "AB12", "ZZZZ99"), "AB12"),  # another plate's reading
    ],
)
def test_mistakes_are_outvoted(texts: tuple[str, ...], truth: str) -> None:
    assert fuse(sightings(*texts), ALPHABET, CONFIG).best == truth


def test_a_character_is_voted_by_its_probabilities() -> None:
    sure, unsure = sightings("AB1", confidence=0.99), sightings("AB7", "AB7", confidence=0.4)
    assert fuse(sure + unsure, ALPHABET, CONFIG).best == "AB1"


def test_agreement_raises_the_confidence_and_settles() -> None:
    seen = [fuse(sightings(*["AB123"] * n), ALPHABET, CONFIG) for n in range(2, 9)]
    assert [f.confidence for f in seen] == sorted(f.confidence for f in seen)
    assert seen[-1].settled and seen[-1].agreeing == 8
    assert not fuse(sightings("AB123", "AB123"), ALPHABET, CONFIG).settled


def test_contradiction_gives_no_text() -> None:
    fused = fuse(sightings("AB123", "XY987", "QQ555", confidence=0.8), ALPHABET, CONFIG)
    assert fused.text is None


def test_the_region_is_voted() -> None:
    seen = [Sighting(reading("AB12", region=name), 1.0) for name in ("NL", "DE", "NL", None)]
    assert fuse(seen, ALPHABET, CONFIG).region == "NL"


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 100_000), st.integers(1, 12), st.floats(0.5, 4))
def test_any_readings_in_any_order_fuse_alike(seed: int, count: int, noise: float) -> None:
    rng = np.random.default_rng(seed)
    text = "".join(rng.choice(list(ALPHABET), rng.integers(1, 11)))
    seen = simulate(rng, text, count, noise)
    first = fuse(seen, ALPHABET, CONFIG)
    second = fuse([seen[i] for i in rng.permutation(len(seen))], ALPHABET, CONFIG)
    assert first.best == second.best and first.confidence == pytest.approx(second.confidence)
    assert 0 <= first.confidence <= 1 and len(first.char_confidences) == len(first.best)
    assert all(0 <= value <= 1 for value in first.char_confidences)


@pytest.mark.parametrize("noise", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("count", [3, 8, 20])
def test_fusion_beats_the_surest_reading_and_the_vote_for_whole_texts(noise: float, count: int) -> None:
    rng = np.random.default_rng(count)
    right = np.zeros(3)
    for _ in range(120):
        text = "".join(rng.choice(list(ALPHABET), rng.integers(5, 9)))
        seen = simulate(rng, text, count, noise)
        surest = max(seen, key=lambda s: s.reading.confidence).reading.text
        texts = [s.reading.text for s in seen]
        vote = max(texts, key=texts.count)
        right += [fuse(seen, ALPHABET, CONFIG).best == text, surest == text, vote == text]
    assert right[0] >= right[1] - 2 and right[0] >= right[2] - 2, right
    assert count < 8 or right[0] > right[1]


def test_a_few_good_readings_win_over_much_garbage() -> None:
    rng = np.random.default_rng(0)
    right = claimed = 0
    for _ in range(60):
        text = "".join(rng.choice(list(ALPHABET), 7))
        seen = simulate(rng, text, 4, 1.0)
        for _ in range(8):
            length = int(rng.integers(1, 8))
            seen += simulate(rng, "".join(rng.choice(list(ALPHABET), length)), 1, 3.0)
        fused = fuse(seen, ALPHABET, CONFIG)
        right += fused.best == text
        claimed += fused.text is not None and fused.text != text
    assert right > 40 and claimed <= 2


def test_memory_is_bounded_and_the_best_are_kept() -> None:
    kept: tuple[Sighting, ...] = ()
    for value in np.random.default_rng(0).uniform(0.1, 1, 100):
        kept = keep(kept, Sighting(reading("AB12"), float(value)), 8)
    assert len(kept) == 8 and min(s.weight for s in kept) > 0.85
    assert keep(kept, Sighting(reading(""), 1.0), 8) == kept


def test_weight_follows_size_and_sharpness() -> None:
    assert weight(40, 1) == 1 and weight(12, 1) < weight(20, 1) and weight(40, 0.2) < weight(40, 0.9)
    assert 0 < weight(1, 0) < 0.2


def test_sharpness_falls_with_blur_whatever_the_light() -> None:
    stripes = np.tile(np.repeat([30, 220], 12), (16, 4)).astype(np.uint8)
    blurred = np.apply_along_axis(lambda r: np.convolve(r, np.ones(7) / 7, "same"), 1, stripes.astype(float))
    assert sharpness(stripes) > 0.9 > 0.5 > sharpness(blurred.astype(np.float32))
    assert sharpness(stripes // 4 + 100) == pytest.approx(sharpness(stripes), abs=0.05)
    assert sharpness(np.full((9, 9), 7, np.uint8)) == 0 and sharpness(stripes[:1]) == 0
