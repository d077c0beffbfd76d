"""Cleaning: each check on records made for it, and the whole command on a folder with every kind of fault."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PillowImage

from plateloop.data_preparation.clean import boxes, corners, texts
from plateloop.data_preparation.clean.disagreement import (
    FAINT,
    compare,
    compare_boxes,
    compare_classes,
    compare_texts,
    seen_lying,
)
from plateloop.data_preparation.clean.examine import CleanConfig, check_record
from plateloop.data_preparation.clean.files import damage, look
from plateloop.data_preparation.clean.fix import fix, mend, undo
from plateloop.data_preparation.clean.inspect import inspect
from plateloop.data_preparation.clean.page import write_page
from plateloop.data_preparation.manifest import NAME, Plate, Record, Vehicle, read_manifest, write_manifest
from plateloop.data_preparation.pictures import place
from plateloop.errors import UserError
from plateloop.frame import read_image
from plateloop.header import parse
from plateloop.runtime.cascade import Cascade
from plateloop.types import Box, Corners, Detections, Image, Reading


def record(*plates: Plate, vehicles: tuple[Vehicle, ...] = (), **more: object) -> Record:
    fields = {"file": "a.png", "width": 200, "height": 100, "plates": plates, "vehicles": vehicles, **more}
    return Record.model_validate(fields)


def kinds(found: Record) -> list[str]:
    return [finding.kind for finding in check_record(found, 10)]


CAR = Vehicle(box=(10, 10, 120, 90), label="car")


@pytest.mark.parametrize(
    ("found", "expected", "mended"),
    [
        (record(Plate(box=(20, 60, 60, 75), vehicle=0), vehicles=(CAR,)), [], None),
        (record(Plate(box=(180, 60, 220, 75))), ["box-outside"], (180, 60, 200, 75)),
        (record(Plate(box=(50, 60, 50, 75))), ["box-degenerate"], "gone"),
        (record(Plate(box=(220, 60, 260, 75))), ["box-degenerate"], "gone"),
        (record(Plate(box=(20, 20, 35, 60))), ["plate-upright"], None),
        (record(Plate(box=(0, 0, 200, 100), text="A1")), [], None),
        (record(Plate(box=(20, 60, 60, 68), text="AB12")), ["plate-small"], None),
        (record(Plate(box=(20, 60, 60, 68))), [], None),
    ],
)
def test_boxes(found: Record, expected: list[str], mended: Box | str | None) -> None:
    assert kinds(found) == expected
    new = boxes.mend(found)
    if mended is None:
        assert new == found
    elif mended == "gone":
        assert new.plates == ()
    else:
        assert new.plates[0].box == mended
        assert kinds(new) == []


def test_a_plate_loses_a_vehicle_that_it_is_not_on_and_follows_one_that_moves() -> None:
    gone, other = Vehicle(box=(300, 0, 400, 50), label="car"), Vehicle(box=(130, 0, 190, 90), label="bus")
    on, beside, none = (
        Plate(box=(140, 60, 170, 75), vehicle=2),
        Plate(box=(140, 20, 170, 40), vehicle=1),
        Plate(box=(20, 60, 60, 75), vehicle=7),
    )
    found = record(on, beside, none, vehicles=(gone, CAR, other))
    assert kinds(found) == ["box-degenerate", "plate-outside", "plate-outside"]
    new = boxes.mend(found)
    assert new.vehicles == (CAR, other)
    assert [plate.vehicle for plate in new.plates] == [1, None, None]
    assert kinds(new) == []


LEVEL: Corners = ((20, 20), (80, 24), (78, 44), (18, 40))


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_corners_in_any_order_are_put_in_order(turn: int, mirrored: bool) -> None:
    given = list(LEVEL[turn:] + LEVEL[:turn])
    if mirrored:
        given.reverse()
    a, b, c, d = given
    assert corners.ordered((a, b, c, d)) == LEVEL


def test_crossed_corners_are_put_in_order_and_others_told() -> None:
    a, b, c, d = LEVEL
    plate = Plate(box=(18, 20, 80, 44), corners=(a, c, b, d))
    found = record(plate)
    assert [(f.kind, f.reason) for f in corners.check(found)] == [("corners-order", "plate 0: crossed")]
    assert corners.mend(found).plates[0].corners == LEVEL
    dented = record(plate.model_copy(update={"corners": (a, b, (40, 25), d)}))
    assert kinds(dented) == ["corners-shape"] and corners.mend(dented) == dented
    elsewhere = record(plate.model_copy(update={"box": (100, 60, 180, 90), "corners": LEVEL}))
    assert kinds(elsewhere) == ["corners-shape"]


@given(st.floats(-50, 50), st.floats(2, 5), st.floats(20, 60))
def test_a_plate_that_leans_keeps_its_corners(degrees: float, aspect: float, height: float) -> None:
    angle = np.radians(degrees)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    half = np.array([[-aspect, -1], [aspect, -1], [aspect, 1], [-aspect, 1]]) * height / 2
    a, b, c, d = ((float(x), float(y)) for x, y in half @ matrix.T)
    assert corners.ordered((a, b, c, d)) == (a, b, c, d)
    assert corners.ordered((d, c, b, a)) == (a, b, c, d)


@pytest.mark.parametrize(
    ("region", "text", "expected"),
    [
        ("GB", "AB12CDE", None),
        ("GB", "AB1ZCDE", "GB issues no AB1ZCDE, but AB12CDE"),
        ("FR", "AB123CD", None),
        ("FR", "AB-123-CD", "'AB-123-CD'"),
        ("FR", "ABCDEFG", "FR issues no ABCDEFG"),
        ("HR/RS", "ZG1234AB", None),
        ("IN", "MH12AB1234", None),
        ("IN", "MH12ABI234", "IN issues no MH12ABI234, but MH12AB1234"),
        (None, "ABCDEFG", None),
        ("XX", "ABCDEFG", None),
    ],
)
def test_texts_by_their_regions_grammar(region: str | None, text: str, expected: str | None) -> None:
    found = [f.reason for f in texts.check(record(Plate(box=(0, 0, 200, 100), text=text), region=region))]
    assert found == ([f"plate 0: {expected}"] if expected else [])


def test_the_synthetic_plates_follow_their_grammar() -> None:
    from plateloop.data_preparation.synthetic.grammar import sample
    from plateloop.data_preparation.synthetic.style import load_styles

    rng = np.random.default_rng(4)
    for style in load_styles().values():
        rule = texts.rules_of(style.region or "")
        for pattern in style.patterns if rule else ():
            rows = sample(rng, pattern, style.letters, style.digits, style.codes)
            text = "".join(token.text for row in rows for token in row)
            assert rule is not None and rule.fullmatch(text), (style.name, pattern, text)


def test_texts_are_mended_and_the_sources_own_is_kept() -> None:
    found = record(Plate(box=(0, 0, 200, 100), text="ab-12 cd"), texts=("x 1", "--"))
    new = texts.mend(found)
    assert (new.plates[0].text, new.plates[0].attributes) == ("AB12CD", {"raw_text": "ab-12 cd"})
    assert new.texts == ("X1",)
    assert texts.mend(new) == new


def picture(seed: int, width: int = 90, height: int = 60) -> Image:
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (6, 9, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_a_picture_that_is_cut_off_is_told(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    cv2.imwrite(str(path), picture(1))
    whole = path.read_bytes()
    assert parse(whole).whole
    for share in (0.5, 0.9, 0.99):
        assert not parse(whole[: int(len(whole) * share)]).whole
    path.write_bytes(whole[: len(whole) // 2])
    looked = look(tmp_path, record(file=path.name))
    assert [finding.kind for finding in looked.findings] == ["truncated"] and looked.frame is None


def test_the_end_of_a_thumbnail_is_not_the_pictures() -> None:
    whole = cv2.imencode(".jpg", picture(1))[1].tobytes()
    inner = b"Exif\0\0" + whole
    outer = whole[:2] + b"\xff\xe1" + (len(inner) + 2).to_bytes(2, "big") + inner + whole[2:]
    assert parse(outer).whole
    assert not parse(outer[:-10]).whole


@pytest.mark.parametrize("progressive", [0, 1])
def test_a_jpeg_that_is_damaged_inside_is_told(tmp_path: Path, progressive: int) -> None:
    options = [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive]
    whole = cv2.imencode(".jpg", picture(1, 640, 480), options)[1].tobytes()
    assert damage(whole) is None
    code = whole.index(b"\xff\xda") + 14
    places = np.random.default_rng(2).integers(code, len(whole) - 512, 40).tolist()
    damaged = [whole[:place] + bytes(512) + whole[place + 512 :] for place in places]
    assert sum(damage(data) is not None for data in damaged) > 32
    (tmp_path / "a.jpg").write_bytes(damaged[0])
    looked = look(tmp_path, record(file="a.jpg", width=640, height=480))
    assert [finding.kind for finding in looked.findings] == ["damaged"]
    assert looked.frame is not None and looked.findings[0].reason.startswith("Corrupt JPEG data")


def test_other_pictures_are_not_called_damaged(tmp_path: Path) -> None:
    inks = PillowImage.fromarray(picture(1)).convert("CMYK")
    inks.save(tmp_path / "inks.jpg")
    assert damage((tmp_path / "inks.jpg").read_bytes()) is None
    # More after the picture's end, as phones put it there.
    assert damage(cv2.imencode(".jpg", picture(1))[1].tobytes() + bytes(999)) is None
    assert damage(cv2.imencode(".png", picture(1))[1].tobytes()) is None


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Twelve pictures, one for each kind of fault, with good ones between them."""
    folder = tmp_path / "source"
    folder.mkdir()

    def write(name: str, seed: int) -> None:
        cv2.imwrite(str(folder / name), picture(seed))

    for number in range(12):
        write(f"{number}.png", number)
    shutil.copy(folder / "0.png", folder / "1.png")
    shutil.copy(folder / "2.png", folder / "3.png")
    cv2.imwrite(str(folder / "5.jpg"), picture(4), [cv2.IMWRITE_JPEG_QUALITY, 60])
    (folder / "6.png").write_bytes((folder / "6.png").read_bytes()[:200])
    (folder / "7.png").write_text("no picture")
    (folder / "8.png").unlink()

    def at(name: str, text: str, split: str | None = "train", **more: object) -> Record:
        plate = Plate(box=(20, 30, 60, 42), text=text)
        fields = {"file": name, "width": 90, "height": 60, "plates": (plate,), "split": split, **more}
        return Record.model_validate(fields)

    records = [
        at("0.png", "A0"),
        at("1.png", "A0", "test"),
        at("2.png", "A2"),
        at("3.png", "A3"),
        at("4.png", "A4"),
        at("5.jpg", "A4", "val"),
        at("6.png", "A6"),
        at("7.png", "A7"),
        at("8.png", "A8"),
        at("9.png", "a 9"),
        at("10.png", "A10", width=80),
        at("11.png", "A11"),
    ]
    write_manifest(folder, records)
    with (folder / NAME).open("a") as out:
        out.write("{}\n")
    return folder


FOUND = {
    "malformed": 1,
    "missing": 1,
    "unreadable": 1,
    "truncated": 1,
    "size": 1,
    "duplicate": 1,
    "relabelled": 1,
    "leak": 1,
    "text-characters": 1,
}


def test_fix_quarantine_and_undo(dataset: Path, tmp_path: Path) -> None:
    found = inspect(dataset, CleanConfig())
    assert dict(found.counts) == FOUND
    assert {finding.file for _, worst in found.worst() for finding in worst} >= {"0.png", "3.png", "4.png"}
    copy, away = tmp_path / "copy", tmp_path / "away"
    done = fix(dataset, copy, found, away)
    assert (done.written, done.mended, done.left_out, done.quarantined) == (5, 1, 7, 6)
    assert [r.file for r in read_manifest(copy)] == ["1.png", "2.png", "5.jpg", "9.png", "11.png"]
    assert [r.file for r in read_manifest(away)] == ["0.png", "3.png", "4.png", "6.png", "7.png", "10.png"]
    assert [p.text for r in read_manifest(copy) for p in r.plates] == ["A0", "A2", "A4", "A9", "A11"]
    with pytest.raises(UserError, match="not empty"):
        fix(dataset, tmp_path / "again", found, away)
    # Broken off after the manifest was written: undone once more, nothing comes twice.
    spare = shutil.copytree(away, tmp_path / "spare")
    assert undo(away) == 6 and not away.exists()
    assert undo(spare) == 6
    order = [record.file for record in read_manifest(dataset, lambda *_: None) if record.file != "8.png"]
    assert [record.file for record in read_manifest(copy)] == order
    assert all((copy / file).read_bytes() == (dataset / file).read_bytes() for file in order)


def test_a_fix_that_is_broken_off_is_finished_by_the_next(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = inspect(dataset, CleanConfig())
    copy, away = tmp_path / "copy", tmp_path / "away"
    for number in (4, 9):
        calls = count()

        def interrupted(*arguments: Any, after: int = number, calls: Iterator[int] = calls) -> Path:
            if next(calls) == after:
                raise KeyboardInterrupt
            return place(*arguments)

        monkeypatch.setattr("plateloop.data_preparation.clean.fix.place", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fix(dataset, copy, found, away)
        assert not (copy / NAME).exists() and (away / "0.png").exists()
    monkeypatch.undo()
    with pytest.raises(UserError, match="another quarantine"):
        fix(dataset, copy, found)
    done = fix(dataset, copy, found, away)
    assert (done.written, done.quarantined) == (5, 6)
    assert fix(dataset, copy, found, away) == done
    undo(away)
    with pytest.raises(UserError, match="holds a dataset already"):
        fix(dataset, copy, found, away)


def test_fix_alone_leaves_out_only_what_nobody_can_use(dataset: Path, tmp_path: Path) -> None:
    fix(dataset, tmp_path / "copy", inspect(dataset, CleanConfig()))
    left = [record.file for record in read_manifest(tmp_path / "copy")]
    assert left == ["1.png", "2.png", "3.png", "4.png", "5.jpg", "9.png", "10.png", "11.png"]
    again = inspect(tmp_path / "copy", CleanConfig())
    assert dict(again.counts) == {"relabelled": 1, "leak": 1, "size": 1}


def test_any_kind_can_be_put_into_quarantine(dataset: Path, tmp_path: Path) -> None:
    found = inspect(dataset, CleanConfig(least_height=20))
    assert found.counts["plate-small"] == 12
    done = fix(dataset, tmp_path / "copy", found, tmp_path / "away", ["plate-small"])
    assert (done.written, done.quarantined) == (0, 11)


def test_near_duplicates_of_one_split_and_sequence(tmp_path: Path) -> None:
    records = []
    for number, (quality, sequence) in enumerate([(95, None), (50, None), (40, "s"), (30, "s")]):
        cv2.imwrite(str(tmp_path / f"{number}.jpg"), picture(3), [cv2.IMWRITE_JPEG_QUALITY, quality])
        records.append(record(file=f"{number}.jpg", width=90, height=60, sequence=sequence))
    write_manifest(tmp_path, records)
    found = inspect(tmp_path, CleanConfig())
    assert dict(found.counts) == {"near-duplicate": 3}
    told = [finding.file for _, worst in found.worst() for finding in worst]
    assert sorted(told) == ["1.jpg", "2.jpg", "3.jpg"]


def test_the_page_stands_alone(dataset: Path, tmp_path: Path) -> None:
    found = inspect(dataset, CleanConfig())
    write_page(tmp_path / "report/index.html", dataset, found)
    page = (tmp_path / "report/index.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") >= 6
    assert "http" not in page and "<script" not in page
    for kind in FOUND:
        assert f'id="{kind}"' in page


def detections(*rows: tuple[Box, float, int]) -> Detections:
    return Detections(
        np.array([box for box, *_ in rows], np.float32).reshape(-1, 4),
        np.array([score for _, score, _ in rows], np.float32),
        np.array([label for *_, label in rows], np.int64),
    )


def test_disagreement_with_the_detectors() -> None:
    found = record(
        vehicles=(CAR, Vehicle(box=(130, 10, 190, 90), label="truck")),
        ignore_vehicles=((0, 0, 9, 60),),
    )
    assert not list(
        compare_boxes("vehicle", found, detections((CAR.box, 0.9, 0), ((131, 9, 188, 91), 0.2, 0)), 0.6)
    )
    missed = compare_boxes(
        "vehicle", found, detections(((10, 10, 60, 90), 0.9, 0), ((0, 0, 9, 50), 0.9, 0)), 0.6
    )
    assert [finding.kind for finding in missed] == ["vehicle-loose", "vehicle-stray"]
    alone = found.model_copy(update={"vehicles": (CAR,)})
    seen = detections((CAR.box, 0.9, 0), ((130, 10, 190, 90), 0.8, 0))
    (missing,) = compare_boxes("vehicle", alone, seen, 0.6)
    assert (missing.kind, missing.seen, missing.rank) == (
        "vehicle-missing",
        (130, 10, 190, 90),
        pytest.approx(0.8),
    )
    silent = alone.model_copy(update={"vehicles_annotated": False})
    assert not list(compare_boxes("vehicle", silent, seen, 0.6))
    assert [f.kind for f in compare_boxes("vehicle", found, detections(), 0.6)] == ["vehicle-stray"] * 2


TRUCK, FAR = Vehicle(box=(130, 10, 190, 90), label="truck"), (60.0, 0.0, 110.0, 60.0)


def classes(*finds: tuple[Box, tuple[float, float, float]]) -> Detections:
    """What tcnet sees, by falling score, with its scores of car, truck and motorcycle."""
    scores = np.array([each for _, each in finds], np.float32).reshape(-1, 3)
    boxes = np.array([box for box, _ in finds], np.float32).reshape(-1, 4)
    return Detections(boxes, scores.max(1), scores.argmax(1), class_scores=scores)


@pytest.mark.parametrize(
    ("finds", "told"),
    [
        ([(CAR.box, (0.9, 0, 0)), (TRUCK.box, (0.8, 0.3, 0))], "truck (0.30), seen as car (0.80)"),
        ([((131, 11, 189, 70), (0.1, 0.2, 0.7))], "truck (0.20), seen as motorcycle (0.70)"),
        ([(TRUCK.box, (0.2, 0.8, 0))], None),
        # Hardly more than of the label's own class, by the same find or by another one in the same place.
        ([(TRUCK.box, (0.8, 0.65, 0))], None),
        ([(TRUCK.box, (0.8, 0.1, 0)), ((131, 11, 189, 80), (0.1, 0.7, 0))], None),
        # Not sure; elsewhere; nothing seen.
        ([(TRUCK.box, (0.5, 0.1, 0))], None),
        ([(FAR, (0.9, 0, 0)), ((130, 10, 190, 50), (0.8, 0, 0))], None),
        ([], None),
    ],
)
def test_a_class_is_doubted_where_another_is_seen_clearly(
    finds: list[tuple[Box, tuple[float, float, float]]], told: str | None
) -> None:
    unknown = Vehicle(box=TRUCK.box, label="tricycle")
    found = record(vehicles=(CAR, unknown, TRUCK))
    doubts = list(compare_classes(found, classes(*finds), ("car", "truck", "motorcycle"), 0.6, 0.2))
    assert [doubt.reason for doubt in doubts] == ([f"vehicle 2 labelled {told}"] if told else [])
    assert all(doubt.place == TRUCK.box and doubt.seen is not None for doubt in doubts)


def test_classes_are_ranked_by_how_much_surer_of_another() -> None:
    seen = classes((CAR.box, (0.45, 0.9, 0)), (TRUCK.box, (0.8, 0.1, 0)))
    doubts = compare_classes(record(vehicles=(CAR, TRUCK)), seen, ("car", "truck", "motorcycle"), 0.6, 0.2)
    assert [doubt.rank for doubt in doubts] == [pytest.approx(0.45), pytest.approx(0.7)]


def test_classes_made_wrong_are_found_in_real_pictures(collection: Path, package_weights: Path) -> None:
    folder = collection / "frames"
    cars = [
        record
        for record in read_manifest(folder)
        if record.split == "val"
        and record.vehicles
        and all(
            vehicle.label == "car" and vehicle.box[3] - vehicle.box[1] >= 64 for vehicle in record.vehicles
        )
    ][:40]
    cascade = Cascade.load("cpu", 1, package_weights, FAINT, ("tcnet",))
    total = accused = found = 0
    for right in cars:
        (seen,) = cascade.detect_vehicles([read_image(folder / right.file)])
        trucks = tuple(vehicle.model_copy(update={"label": "truck"}) for vehicle in right.vehicles)
        wrong = right.model_copy(update={"vehicles": trucks})
        total += len(trucks)
        accused += len(list(compare_classes(right, seen, cascade.labels, 0.6, 0.2)))
        found += len(list(compare_classes(wrong, seen, cascade.labels, 0.6, 0.2)))
    assert total >= 40 and found > 0.7 * total and accused < 0.1 * total, (total, found, accused)


def test_a_plate_stood_upright_by_swapped_sides_is_laid_down_where_one_is_seen() -> None:
    found = record(Plate(box=(94, 30, 106, 70)), Plate(box=(20, 30, 32, 70)))
    lying = seen_lying(found, np.array([[81, 45, 119, 56]], np.float32))
    assert lying == {0}
    assert [plate.box for plate in mend(found, lying).plates] == [(80, 44, 120, 56), (20, 30, 32, 70)]


def test_disagreement_with_the_reader() -> None:
    def reading(text: str, confidence: float) -> Reading:
        return Reading(text, confidence, (), np.zeros((len(text), 36), np.float32))

    found = record(*[Plate(box=(20, 60, 60, 75), text=text) for text in ("AB12", "AB12", "A0", "X1")])
    read = {0: reading("AB12", 0.9), 1: reading("AB13", 0.8), 2: reading("AO", 0.9), 3: reading("X2", 0.3)}
    assert [(f.kind, f.rank) for f in compare_texts(found, read, 0.6)] == [
        ("text-disagreement", 0.8),
        ("text-zero", 0.9),
    ]


def test_the_networks_compared_with_labels(toy_weights: Path, tmp_path: Path) -> None:
    scene = np.zeros((384, 640, 3), np.uint8)
    scene[50:250, 20:300] = (0, 0, 255)
    scene[180:210, 100:200] = (255, 112, 0)
    cv2.imwrite(str(tmp_path / "scene.png"), scene[..., ::-1])
    crop = np.zeros((40, 120, 3), np.uint8)
    crop[..., 1] = 142
    cv2.imwrite(str(tmp_path / "crop.png"), crop[..., ::-1])
    right = Vehicle(box=(20, 50, 300, 250), label="car")
    records = [
        Record(
            file="scene.png",
            width=640,
            height=384,
            vehicles=(
                right.model_copy(update={"label": "bus"}),
                Vehicle(box=(400, 50, 600, 300), label="car"),
            ),
            plates=(Plate(box=(100, 180, 200, 210), text="7"),),
        ),
        Record(file="crop.png", width=120, height=40, plates=(Plate(box=(0, 0, 120, 40), text="5"),)),
    ]
    cascade = Cascade.load("cpu", 1, toy_weights, FAINT, ("tcnet", "lpdnet", "lprnet"))
    answers = compare(cascade, [look(tmp_path, record) for record in records], 0.5, 0.2)
    assert [[f.kind for f in findings] for findings, _ in answers] == [
        ["vehicle-stray", "vehicle-class", "text-disagreement"],
        [],
    ]


Call = Callable[..., CompletedProcess[str]]


@pytest.fixture
def clean(plateloop: Call) -> Call:
    """``plateloop data clean`` in this process."""
    return partial(plateloop, "data", "clean")


def test_the_command(dataset: Path, tmp_path: Path, clean: Call) -> None:
    before = {path.name: path.read_bytes() for path in dataset.iterdir()}
    words = (dataset, "--no-networks", "--report", tmp_path / "report", "--fix", tmp_path / "copy")
    done = clean(*words, "--quarantine", tmp_path / "away", "--kind", "leak")
    assert done.returncode == 0, done.stderr
    assert "12 records, 9 findings" in done.stdout and "4 records put away" in done.stdout
    assert {path.name: path.read_bytes() for path in dataset.iterdir()} == before
    lines = (tmp_path / "report/findings.jsonl").read_text().splitlines()
    assert len(lines) == 9 and {json.loads(line)["kind"] for line in lines} == set(FOUND)
    assert "4 records put back" in clean("--undo", tmp_path / "away").stdout
    for wrong, said in (
        (("--undo", tmp_path / "away"), "no quarantine.json"),
        ((), "needs a folder"),
        ((dataset, "--quarantine", tmp_path / "q"), "needs --fix"),
        ((dataset, "--kind", "odd"), "unknown"),
        ((tmp_path / "nowhere", "--no-networks"), "no manifest.jsonl"),
        ((dataset, "--no-networks", "--fix", dataset / "inside"), "beside it"),
    ):
        failed = clean(*wrong)
        assert failed.returncode == 2 and said in failed.stderr, failed.stderr


@pytest.mark.parametrize("lines", ["", "no record\n"])
def test_nothing_to_clean_is_a_mistake(tmp_path: Path, lines: str, clean: Call) -> None:
    (tmp_path / "manifest.jsonl").write_text(lines, encoding="utf-8")
    done = clean(tmp_path, "--no-networks")
    assert done.returncode == 2
    assert done.stderr.startswith(f"plateloop: {tmp_path}: no record that can be read")
