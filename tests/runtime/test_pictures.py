"""Pictures by path: which, in what order, and where copies go."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from plateloop.errors import UserError
from plateloop.frame import read_image
from plateloop.runtime.pictures import copies, find_pictures, read_pictures, write_picture
from plateloop.types import Image


def colored(level: int) -> Image:
    return np.full((8, 12, 3), (level, 0, 255 - level), np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for level, name in enumerate(("b.png", "a.JPG", "sub/c.webp", ".hidden/d.png", ".e.png")):
        write_picture(tmp_path / "pictures" / name, colored(level * 50))
    (tmp_path / "pictures" / "notes.txt").write_text("no picture")
    return tmp_path / "pictures"


def test_folders_stand_for_their_pictures(folder: Path) -> None:
    found = list(find_pictures([folder / "b.png", folder, folder / "missing.png"]))
    names = ["b.png", "a.JPG", "b.png", "sub/c.webp", "missing.png"]
    assert found == [folder / name for name in names]


def test_a_folder_without_pictures_says_so(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    found = list(find_pictures([tmp_path / "empty", folder / "sub"]))
    assert isinstance(found[0], UserError)
    assert "empty: no picture in this folder" in str(found[0])
    assert found[1:] == [folder / "sub" / "c.webp"]


@pytest.mark.parametrize("ahead", [1, 4])
def test_pictures_come_in_order_with_their_errors(tmp_path: Path, ahead: int) -> None:
    files: list[Path | UserError] = [tmp_path / f"{n}.png" for n in range(12)]
    for level, file in enumerate(files):
        assert isinstance(file, Path)
        write_picture(file, colored(level * 20))
    (tmp_path / "5.png").write_text("broken")
    files.insert(3, UserError("a folder without pictures"))
    results = list(read_pictures(files, ahead))
    assert len(results) == 13
    assert str(results[3]) == "a folder without pictures"
    assert "5.png: not a picture" in str(results[6])
    for place, (file, result) in enumerate(zip(files, results, strict=True)):
        if place not in (3, 6):
            assert not isinstance(result, UserError)
            path, frame = result
            assert path == file
            assert frame.rgb()[0, 0, 0] == int(path.stem) * 20


def test_copies_lie_as_the_files_do(tmp_path: Path) -> None:
    files = [tmp_path / "in" / "one" / "a.png", tmp_path / "in" / "two" / "a.png"]
    assert list(copies(files, tmp_path / "out").values()) == [
        tmp_path / "out" / "one" / "a.png",
        tmp_path / "out" / "two" / "a.png",
    ]
    assert copies(files[:1], tmp_path / "out") == {files[0]: tmp_path / "out" / "a.png"}
    assert copies([], tmp_path) == {}
    with pytest.raises(UserError, match="choose another folder"):
        copies(files, tmp_path / "in")


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "deep/er/x.webp", "x.tiff"])
def test_written_pictures_are_read_again(tmp_path: Path, name: str) -> None:
    write_picture(tmp_path / name, colored(200))
    difference = np.abs(read_image(tmp_path / name).rgb().astype(int) - colored(200))
    assert difference.max() < 8


def test_a_suffix_that_cannot_be_written_becomes_jpeg(tmp_path: Path) -> None:
    write_picture(tmp_path / "scan.xyz", colored(0))
    assert cv2.haveImageReader(str(tmp_path / "scan.xyz.jpg"))


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"x\.png: cannot be written"):
        write_picture(tmp_path / "file" / "x.png", colored(0))
