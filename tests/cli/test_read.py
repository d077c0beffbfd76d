"""``plateloop read`` as a user calls it, in a process of its own where that can make a difference."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from commands import Call
from plateloop.data_preparation.manifest import read_manifest
from plateloop.frame import read_image
from plateloop.runtime.pictures import write_picture
from plateloop.types import Image


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "plateloop", "read", "--threads", "1", *map(str, arguments)]
    environment = os.environ | {"COLUMNS": "200", "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)


@pytest.fixture
def read(plateloop: Call) -> Call:
    """The same in this process."""
    return partial(plateloop, "read", "--threads", "1")


def objects(result: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def scene(digit: int = 7) -> Image:
    """A blue car with a red plate, as the toy networks see them."""
    rgb = np.zeros((720, 1280, 3), np.uint8)
    rgb[300:600, 100:500] = (0, 0, 255)
    rgb[500:520, 260:340] = (255, round(digit * 255 / 9), 0)
    return rgb


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for digit in (2, 7):
        write_picture(tmp_path / "pictures" / f"{digit}.png", scene(digit))
    return tmp_path / "pictures"


def test_json_is_that_of_the_design(toy_weights: Path, pictures: Path) -> None:
    result = run(pictures / "7.png", "--json", "--weights", toy_weights)
    assert (result.returncode, result.stderr) == (0, "")
    (record,) = objects(result)
    assert list(record) == ["source", "width", "height", "vehicles", "plates"]
    assert record["source"] == str(pictures / "7.png")
    assert (record["width"], record["height"]) == (1280, 720)
    (vehicle,) = record["vehicles"]
    assert vehicle == {"label": "car", "color": "blue", "confidence": 0.9, "box": vehicle["box"]}
    np.testing.assert_allclose(vehicle["box"], [100, 300, 500, 600], atol=2)
    (plate,) = record["plates"]
    assert list(plate) == ["text", "confidence", "char_confidences", "box", "corners", "region", "vehicle"]
    assert (plate["text"], plate["region"], plate["vehicle"]) == ("7", "toy", 0)
    assert len(plate["char_confidences"]) == 1
    np.testing.assert_allclose(plate["box"], [260, 500, 340, 520], atol=1)
    np.testing.assert_allclose(plate["corners"], [[260, 500], [340, 500], [340, 520], [260, 520]], atol=1)


def test_a_folder_is_read_in_order(toy_weights: Path, pictures: Path, read: Call) -> None:
    records = objects(read(pictures, "--json", "--weights", toy_weights))
    assert [Path(record["source"]).name for record in records] == ["2.png", "7.png"]
    assert [record["plates"][0]["text"] for record in records] == ["2", "7"]


def test_a_table_for_people(toy_weights: Path, pictures: Path, read: Call) -> None:
    result = read(pictures, "--weights", toy_weights)
    assert result.returncode == 0
    rows = result.stdout.splitlines()
    assert rows[0].split() == ["Picture", "Plate", "Sure", "Region", "Vehicle", "Color"]
    assert rows[1].split()[0] == str(pictures / "2.png")
    assert [row.split()[1] for row in rows[1:]] == ["2", "7"]


def test_annotated_pictures_are_saved(toy_weights: Path, pictures: Path, tmp_path: Path, read: Call) -> None:
    result = read(pictures, "--json", "--weights", toy_weights, "--save", tmp_path / "out")
    assert result.returncode == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["2.png", "7.png"]
    drawn = read_image(tmp_path / "out" / "7.png").rgb()
    assert drawn.shape == (720, 1280, 3)
    assert (drawn != scene(7)).any(2).mean() > 0.001
    refused = read(pictures, "--weights", toy_weights, "--save", pictures)
    assert refused.returncode == 2
    assert "choose another folder" in refused.stderr


def test_crops_are_read_by_lprnet_alone(toy_weights: Path, tmp_path: Path, read: Call) -> None:
    for digit in (1, 5):
        write_picture(
            tmp_path / f"{digit}.png", np.full((30, 100, 3), (255, round(digit * 255 / 9), 0), np.uint8)
        )
    lone = tmp_path / "weights"
    lone.mkdir()
    for suffix in ("onnx", "yaml"):
        (lone / f"lprnet.{suffix}").symlink_to(toy_weights / f"lprnet.{suffix}")
    records = objects(read(tmp_path, "--crop", "--json", "--weights", lone))
    assert [[plate["text"] for plate in record["plates"]] for record in records] == [["1"], ["5"]]
    assert records[0]["vehicles"] == []
    assert records[0]["plates"][0]["box"] == [0, 0, 100, 30]


def bad_files(folder: Path) -> dict[str, str]:
    """Files that cannot be read, each with what is said of it."""
    write_picture(folder / "whole.jpg", scene())
    data = (folder / "whole.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(data[: len(data) // 2])
    (folder / "whole.jpg").unlink()
    (folder / "text.jpg").write_text("This is no picture.\n" * 9)
    (folder / "zero.png").touch()
    (folder / "empty").mkdir()
    return {
        "missing.jpg": "no such file",
        "cut.jpg": "damaged, cut off",
        "text.jpg": "not a picture that can be read",
        "zero.png": "the file is empty",
        "empty": "no picture in this folder",
    }


def odd_files(folder: Path) -> list[str]:
    """Files that are unusual, but pictures."""
    rgb = scene()
    picture = Pillow.fromarray(rgb)
    picture.convert("L").save(folder / "gray.png")
    picture.convert("CMYK").save(folder / "cmyk.jpg", quality=95)
    exif = Pillow.Exif()
    exif[0x0112] = 6
    picture.transpose(Pillow.Transpose.ROTATE_90).save(folder / "turned.jpg", quality=95, exif=exif)
    cv2.imwrite(str(folder / "deep.png"), rgb[..., ::-1].astype(np.uint16) * 257)
    Pillow.new("RGB", (1, 1)).save(folder / "one.png")
    return ["gray.png", "cmyk.jpg", "turned.jpg", "deep.png", "one.png"]


def test_bad_input_gives_a_line_each_and_the_others_are_read(
    toy_weights: Path, tmp_path: Path, read: Call
) -> None:
    bad, odd = bad_files(tmp_path), odd_files(tmp_path)
    names = [name for pair in zip(bad, odd, strict=True) for name in pair]
    result = read(*(tmp_path / name for name in names), "--json", "--weights", toy_weights)
    assert result.returncode == 2
    lines = result.stderr.splitlines()
    assert len(lines) == len(bad)
    for line, (name, message) in zip(lines, bad.items(), strict=True):
        assert line.startswith(f"plateloop: {tmp_path / name}: {message}")
    records = {Path(record["source"]).name: record for record in objects(result)}
    assert list(records) == odd
    for name in ("cmyk.jpg", "turned.jpg", "deep.png"):
        assert (records[name]["width"], records[name]["height"]) == (1280, 720)
        assert [plate["text"] for plate in records[name]["plates"]] == ["7"]
        np.testing.assert_allclose(records[name]["plates"][0]["box"], [260, 500, 340, 520], atol=2)
    assert records["one.png"]["width"] == 1


@pytest.mark.parametrize("name", ["missing.jpg", "cut.jpg", "text.jpg", "zero.png", "empty"])
def test_each_bad_input_alone_is_one_line_and_exit_2(
    toy_weights: Path, tmp_path: Path, name: str, read: Call
) -> None:
    message = bad_files(tmp_path)[name]
    result = read(tmp_path / name, "--weights", toy_weights)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [result.stderr.strip()]
    assert message in result.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="names are any bytes on Linux only")
def test_any_name_in_any_locale(toy_weights: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    odd = pictures / os.fsdecode("straße\n[b]".encode() + b"\xff.png")
    (pictures / "7.png").rename(odd)
    result = run(odd, "x" * 300 + ".png", pictures / "2.png", "--json", "--weights", toy_weights)
    assert result.returncode == 2
    assert [Path(record["source"]) for record in objects(result)] == [odd, pictures / "2.png"]
    (line,) = result.stderr.splitlines()
    assert line.endswith("xxx.png: cannot be read: file name too long")
    assert run(odd, "--weights", toy_weights).returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full here")
def test_a_full_disk_is_one_line_and_exit_1(toy_weights: Path, pictures: Path) -> None:
    command = [sys.executable, "-m", "plateloop", "read", str(pictures), "--json"]
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [*command, "--weights", str(toy_weights)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert result.returncode == 1
    assert result.stderr.startswith("plateloop: ")
    assert "no space left" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_hundred_megapixels_in_less_than_a_gigabyte(toy_weights: Path, tmp_path: Path) -> None:
    picture = np.repeat(np.repeat(np.zeros((90, 120, 3), np.uint8), 100, 0), 100, 1)
    picture[3000:6000, 1000:5000] = (0, 0, 255)
    picture[5000:5200, 2600:3400] = (255, 198, 0)
    write_picture(tmp_path / "large.jpg", picture)
    del picture
    program = (
        "import resource, subprocess, sys\n"
        "code = subprocess.run(sys.argv[1:]).returncode\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)\n"
        "sys.exit(code)\n"
    )
    command = [sys.executable, "-m", "plateloop", "read", str(tmp_path / "large.jpg"), "--json"]
    result = subprocess.run(
        [sys.executable, "-c", program, *command, "--weights", str(toy_weights)],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert result.returncode == 0
    (record,) = objects(result)
    assert (record["width"], record["height"]) == (12_000, 9_000)
    np.testing.assert_allclose(record["plates"][0]["box"], [2600, 5000, 3400, 5200], atol=25)
    kibibytes = int(result.stderr.split()[-1]) // (1024 if sys.platform == "darwin" else 1)
    assert kibibytes < 1024**2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "quantum"], "device quantum: unknown"),
        (["--weights", "nowhere"], "nowhere: none of tcnet.yaml"),
        (["--threads", "-1"], "--threads"),
    ],
)
def test_wrong_options_are_exit_2(
    pictures: Path, toy_weights: Path, arguments: list[str], message: str, read: Call
) -> None:
    weights = [] if "--weights" in arguments else ["--weights", str(toy_weights)]
    result = read(pictures / "7.png", *arguments, *weights)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr


@pytest.mark.usefixtures("package_weights")
def test_the_package_reads_real_photographs(collection: Path, tmp_path: Path, read: Call) -> None:
    """Of plates whose text two readers agreed on, in photographs that are not for training, most are read."""
    chosen = [
        record
        for record in read_manifest(collection / "frames")
        if record.split == "val" and any(p.text and p.annotation == "agreed" for p in record.plates)
    ]
    assert len(chosen) > 40
    result = read(*(collection / "frames" / record.file for record in chosen), "--json")
    assert (result.returncode, result.stderr) == (0, "")
    expected = [p.text for r in chosen for p in r.plates if p.text and p.annotation == "agreed"]
    found = [
        {plate["text"] for plate in record["plates"]}
        for record, r in zip(objects(result), chosen, strict=True)
        for p in r.plates
        if p.text and p.annotation == "agreed"
    ]
    assert np.mean([text in texts for text, texts in zip(expected, found, strict=True)]) >= 0.9


@pytest.mark.usefixtures("package_weights")
def test_the_package_reads_real_crops(collection: Path, read: Call) -> None:
    chosen = [
        record
        for record in read_manifest(collection / "crops")
        if record.split == "val" and record.source in ("hermes_TW", "zulou_CL", "chenweijiang_CN")
    ][::6]
    result = read(*(collection / "crops" / record.file for record in chosen), "--crop", "--json")
    assert (result.returncode, result.stderr) == (0, "")
    hits = [
        record["plates"][0]["text"] == truth.plates[0].text
        for record, truth in zip(objects(result), chosen, strict=True)
    ]
    assert np.mean(hits) >= 0.9


def test_texts_below_a_confidence_are_left_out(toy_weights: Path, pictures: Path, read: Call) -> None:
    arguments = (pictures / "7.png", "--json", "--weights", toy_weights)
    (sure,) = objects(read(*arguments, "--min-confidence", "0.5"))
    assert sure["plates"][0]["text"] == "7"
    (record,) = objects(read(*arguments, "--min-confidence", "1"))
    (plate,) = record["plates"]
    assert (plate["text"], plate["confidence"], plate["char_confidences"]) == (None, 0, [])
    assert plate["vehicle"] == 0
