"""A split parts nothing that belongs together, keeps its shares, and stays when data is added."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import cv2
import numpy as np
import pytest

from plateloop.data_preparation.kinship import gather
from plateloop.data_preparation.manifest import Plate, Record, read_manifest, write_manifest
from plateloop.data_preparation.perceptual import _masks, hash_file, near_pairs, perceptual_hash
from plateloop.data_preparation.report import Report
from plateloop.data_preparation.split import leaks, split
from plateloop.errors import UserError


def scene(seed: int, width: int = 96, height: int = 64) -> np.ndarray:
    """A picture of its own: smooth random shapes, so that it survives scaling."""
    rng = np.random.default_rng(seed)
    return cv2.resize(
        rng.integers(0, 255, (6, 8, 3), np.uint8), (width, height), interpolation=cv2.INTER_CUBIC
    )


def make(folder: Path, count: int, first: int = 0) -> Path:
    """``count`` scenes of two sources; every fifth has a near duplicate, every seventh shares a text with a
    scene of the other source, every tenth is a sequence of three."""
    folder.mkdir(exist_ok=True)
    records: list[Record] = []

    def add(picture: np.ndarray, source: str, suffix: str = ".png", **fields: object) -> None:
        file = f"{len(records) + 1000 * first}{suffix}"
        cv2.imwrite(str(folder / file), picture)
        height, width = picture.shape[:2]
        records.append(Record(file=file, width=width, height=height, source=source, **fields))

    for index in range(first, first + count):
        source = f"s{index % 2}"
        text = f"T{index}"
        plates = (Plate(box=(1, 1, 20, 8), text=text),)
        add(scene(index), source, plates=plates)
        if index % 5 == 0:
            near = cv2.convertScaleAbs(cv2.resize(scene(index), (70, 50)), alpha=0.9, beta=8)
            add(near, f"s{(index + 1) % 2}", ".jpg")
        if index % 7 == 0:
            add(scene(index + 10_000), f"s{(index + 1) % 2}", plates=(Plate(box=(2, 2, 9, 9), text=text),))
        if index % 10 == 0:
            for part in range(3):
                add(scene(index + 20_000 + part), source, sequence=f"drive-{index}")
    write_manifest(folder, records)
    return folder


def sides(folder: Path) -> dict[str, str]:
    return {record.file: str(record.split) for record in read_manifest(folder)}


def assert_nothing_leaks(folder: Path) -> None:
    """Looks at the written dataset alone, by plain counting and comparing all with all."""
    texts, sequences = defaultdict(set), defaultdict(set)
    hashes, places = [], []
    for record in read_manifest(folder):
        for plate in record.plates:
            texts[plate.text].add(record.split)
        if record.sequence:
            sequences[record.sequence].add(record.split)
        hashes.append(hash_file((folder / record.file, 0)))
        places.append(record.split)
    assert all(len(found) == 1 for found in (*texts.values(), *sequences.values()))
    for a in range(len(hashes)):
        for b in range(a):
            if (hashes[a] ^ hashes[b]).bit_count() <= 8:
                assert places[a] == places[b]


def test_nothing_is_on_two_sides(tmp_path: Path) -> None:
    source = make(tmp_path / "in", 150)
    outcome = split(source, tmp_path / "out", val=0.2, test=0.2, seed=3)
    assert_nothing_leaks(tmp_path / "out")
    assert not leaks(gather(tmp_path / "out", Report())).counts
    assert sum(outcome.sides.values()) == len(sides(source))
    for strata in outcome.strata.values():
        total = sum(strata.values())
        assert strata["val"] / total == pytest.approx(0.2, abs=0.09)
        assert strata["test"] / total == pytest.approx(0.2, abs=0.09)


def test_the_seed_alone_decides(tmp_path: Path) -> None:
    source = make(tmp_path / "in", 60)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        split(source, tmp_path / name, val=0.2, test=0.2, seed=seed)
    assert (tmp_path / "a/manifest.jsonl").read_bytes() == (tmp_path / "b/manifest.jsonl").read_bytes()
    assert sides(tmp_path / "a") != sides(tmp_path / "c")
    # Neither the order of records nor the names of files matter.
    moved = tmp_path / "moved"
    moved.mkdir()
    records = list(read_manifest(source))
    for record in records:
        (moved / f"x{record.file}").write_bytes((source / record.file).read_bytes())
    write_manifest(moved, [r.model_copy(update={"file": f"x{r.file}"}) for r in reversed(records)])
    split(moved, tmp_path / "d", val=0.2, test=0.2, seed=1)
    assert {f"x{file}": side for file, side in sides(tmp_path / "a").items()} == sides(tmp_path / "d")


def test_added_data_moves_nothing(tmp_path: Path) -> None:
    source = make(tmp_path / "in", 150)
    split(source, tmp_path / "before", val=0.2, test=0.2)
    more = list(read_manifest(make(tmp_path / "more", 60, first=500)))
    for record in more:
        (source / record.file).write_bytes((tmp_path / "more" / record.file).read_bytes())
    write_manifest(source, [*more, *read_manifest(source)])
    split(source, tmp_path / "after", val=0.2, test=0.2)
    before, after = sides(tmp_path / "before"), sides(tmp_path / "after")
    # Only a border that was corrected for a source's share may move, by the few groups beside it.
    assert sum(after[file] != side for file, side in before.items()) <= 0.01 * len(before)
    assert len(after) > len(before)


def test_keep_leaves_what_has_a_split(tmp_path: Path) -> None:
    source = make(tmp_path / "in", 40)
    split(source, tmp_path / "one", val=0.2, test=0.2, seed=1)
    split(tmp_path / "one", tmp_path / "two", val=0.2, test=0.2, seed=2, keep=True)
    assert sides(tmp_path / "one") == sides(tmp_path / "two")


def test_folds(tmp_path: Path) -> None:
    source = make(tmp_path / "in", 80)
    outcome = split(source, tmp_path / "out", test=0.2, folds=4)
    seen: Counter[str] = Counter()
    tests = set()
    for number in range(1, 5):
        folder = tmp_path / f"out/fold-{number}"
        assert_nothing_leaks(folder)
        found = sides(folder)
        seen.update(file for file, side in found.items() if side == "val")
        tests.add(frozenset(file for file, side in found.items() if side == "test"))
    (test,) = tests
    assert len(test) == outcome.sides["test"] > 0
    # Each record is validated on once, or tested on.
    assert seen.keys() | test == sides(source).keys()
    assert set(seen.values()) == {1}
    assert (tmp_path / "out/fold-2/0.png").samefile(tmp_path / "out/fold-1/0.png")


def test_leaks_are_found_and_named(tmp_path: Path) -> None:
    source = make(tmp_path / "in", 30)
    records = list(read_manifest(source))
    parts = ("train", "val", "test")
    write_manifest(source, [r.model_copy(update={"split": parts[i % 3]}) for i, r in enumerate(records)])
    found = leaks(gather(source, Report()))
    assert found.counts == {"plate text": 5, "sequence": 3, "near duplicate": 6}
    first, second = found.examples["near duplicate"][0]
    assert {first, second} == {"0.png", "1.jpg"}


def test_shares_must_leave_something_to_train_on(tmp_path: Path) -> None:
    for words in ({"val": 0.5, "test": 0.5}, {"val": -0.1}, {"folds": 1}):
        with pytest.raises(UserError):
            split(tmp_path, tmp_path / "out", **words)  # type: ignore[arg-type]


@pytest.mark.parametrize("distance", [0, 3, 8])
def test_near_pairs_are_all_pairs(distance: int) -> None:
    rng = np.random.default_rng(5)
    base = rng.integers(1, 2**63, 300, np.uint64)
    flips = np.zeros(300, np.uint64)
    for index in range(300):
        for bit in rng.permutation(64)[: rng.integers(0, 12)]:
            flips[index] |= np.uint64(1 << int(bit))
    hashes = np.concatenate([base, base ^ flips, [np.uint64(0)] * 3])
    found = {tuple(sorted(pair)) for pairs in near_pairs(hashes, distance) for pair in pairs.tolist()}
    expected = {
        (i, j)
        for i in range(600)
        for j in range(i + 1, 600)
        if (int(hashes[i]) ^ int(hashes[j])).bit_count() <= distance
    }
    assert found == expected


@pytest.mark.parametrize("agree", [1, 2, 3])
def test_near_hashes_agree_under_some_mask(agree: int) -> None:
    rng = np.random.default_rng(6)
    masks = [int(mask) for mask in _masks(8 + agree, agree)]
    for _ in range(200):
        difference = sum(1 << int(bit) for bit in rng.permutation(64)[:8])
        assert any(difference & mask == 0 for mask in masks)


def test_hashes_survive_small_changes_and_tell_scenes_apart() -> None:
    hashes = []
    for seed in range(40):
        grey = cv2.cvtColor(scene(seed, 320, 240), cv2.COLOR_BGR2GRAY)
        hashes.append(perceptual_hash(grey))
        coded = cv2.imdecode(
            cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_GRAYSCALE
        )
        dark = cv2.convertScaleAbs(cv2.resize(grey, (111, 83)), alpha=0.7)
        for changed in (coded, dark):
            assert (perceptual_hash(changed) ^ hashes[-1]).bit_count() <= 8
    assert all((a ^ b).bit_count() > 8 for i, a in enumerate(hashes) for b in hashes[:i])
    assert perceptual_hash(np.full((50, 50), 77, np.uint8)) == 0


def test_no_leak_between_the_splits_that_it_makes_of_real_data(collection: Path, tmp_path: Path) -> None:
    """The given splits leak; those made here do not. Every third record: the whole takes a minute."""
    source = tmp_path / "in"
    source.mkdir()
    (source / "crops").symlink_to(collection / "crops/crops")
    write_manifest(source, (r for i, r in enumerate(read_manifest(collection / "crops")) if i % 3 == 0))
    given = leaks(gather(source, Report()))
    assert given.counts["plate text"] > 0
    split(source, tmp_path / "out", link=True)
    assert not leaks(gather(tmp_path / "out", Report())).counts
