"""Sizes from headers agree with decoding; pictures are found and placed without touching their source."""

from __future__ import annotations

import io
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np
import PIL.Image as Pillow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plateloop.data_preparation.pictures import FlatNames, locate, place, size, split_of, walk
from plateloop.errors import UserError
from plateloop.frame import read_image
from plateloop.header import Header, parse, read_header

RNG = np.random.default_rng(7)
NOISE = RNG.integers(0, 255, (37, 91, 3), np.uint8)


@pytest.mark.parametrize(
    ("suffix", "flags"),
    [
        (".jpg", []),
        (".jpg", [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]),
        (".png", []),
        (".bmp", []),
        (".tiff", []),
        (".webp", [cv2.IMWRITE_WEBP_QUALITY, 80]),
        (".webp", [cv2.IMWRITE_WEBP_QUALITY, 101]),
    ],
)
def test_size_is_that_of_the_decoded_picture(suffix: str, flags: list[int], tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    assert cv2.imwrite(str(path), NOISE, flags)
    assert size(path) == (91, 37)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_size_follows_exif_orientation_as_decoding_does(
    orientation: int, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"a{suffix}"
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    exif.get_ifd(0x8769)[0x9003] = "2024:05:06 07:08:09"
    Pillow.fromarray(NOISE).save(path, exif=exif)
    frame = read_image(path)
    assert size(path) == (frame.width, frame.height)
    # Pillow leaves it out of TIFF.
    assert suffix == ".tif" or read_header(path).taken == datetime(2024, 5, 6, 7, 8, 9)


@pytest.mark.parametrize("said", ["0000:00:00 00:00:00", "    :  :     :  :  ", "yesterday"])
def test_a_clock_that_was_never_set_says_nothing(said: str, tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif.get_ifd(0x8769)[0x9003] = said
    Pillow.fromarray(NOISE).save(tmp_path / "a.jpg", exif=exif)
    assert read_header(tmp_path / "a.jpg") == Header(91, 37)


@given(st.binary(max_size=60), st.integers(0, 400))
def test_any_bytes_have_a_header(noise: bytes, place: int) -> None:
    for suffix in (".jpg", ".png", ".webp", ".tif", ".bmp"):
        whole = io.BytesIO()
        exif = Pillow.Exif()
        exif.get_ifd(0x8769)[0x9003] = "2024:05:06 07:08:09"
        Pillow.fromarray(NOISE).save(whole, Pillow.registered_extensions()[suffix], exif=exif)
        data = whole.getvalue()
        parse(data[:place] + noise + data[place + len(noise) :])
        parse(data[:2] + noise)


def test_size_of_webp_with_alpha(tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    assert cv2.imwrite(str(path), np.dstack([NOISE, NOISE[..., :1]]), [cv2.IMWRITE_WEBP_QUALITY, 70])
    assert size(path) == (91, 37)


@pytest.mark.parametrize(
    "content", [b"", b"no picture at all, only words", b"\xff\xd8\xff\xe0\0", b"\x89PNG\r\n\x1a\n"]
)
def test_what_is_no_picture_has_no_size(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="picture"):
        size(path)


def test_real_pictures_have_the_size_that_their_records_say(collection: Path) -> None:
    from plateloop.data_preparation.manifest import read_manifest

    for name in ("frames", "crops", "colors", "stills"):
        for index, record in enumerate(read_manifest(collection / name)):
            if index % 20 == 0:
                assert size(collection / name / record.file) == (record.width, record.height)


def test_place_copies_links_and_repeats(tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    cv2.imwrite(str(source), NOISE)
    copy, link, other = tmp_path / "x/copy.png", tmp_path / "x/link.png", tmp_path / "x/other.bmp"
    before = source.stat()
    place(source, copy)
    place(source, link, link=True)
    place(source, other)
    assert copy.read_bytes() == source.read_bytes()
    assert link.samefile(source)
    assert not copy.samefile(source)
    assert np.array_equal(cv2.imread(str(other)), NOISE)
    inode = copy.stat().st_ino
    place(source, copy)
    assert copy.stat().st_ino == inode
    copy.write_bytes(b"damaged")
    place(source, copy)
    assert copy.read_bytes() == source.read_bytes()
    assert source.stat().st_mtime_ns == before.st_mtime_ns
    assert sorted(p.name for p in copy.parent.iterdir()) == ["copy.png", "link.png", "other.bmp"]


def test_place_says_when_it_cannot_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    source = tmp_path / "a.png"
    cv2.imwrite(str(source), NOISE)
    monkeypatch.setattr("os.link", refuse)
    with pytest.raises(UserError, match="leave --link away"):
        place(source, tmp_path / "x/b.png", link=True)


def test_walk_is_ordered_and_survives_a_cycle(tmp_path: Path) -> None:
    for name in ("b.jpg", "a/z.PNG", "a/note.txt", ".hidden/c.jpg", "a/.d.jpg"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    assert [str(p.relative_to(tmp_path)) for p in walk(tmp_path)] == ["b.jpg", "a/z.PNG"]


def test_locate_stays_inside_the_folder(tmp_path: Path) -> None:
    (tmp_path / "in/images").mkdir(parents=True)
    (tmp_path / "secret.jpg").touch()
    (tmp_path / "in/images/a.jpg").touch()
    inside = tmp_path / "in"
    assert locate(inside, "C:\\photos\\a.jpg", "images") == inside / "images/a.jpg"
    assert locate(inside, "/home/someone/a.jpg", "images") == inside / "images/a.jpg"
    for name in ("../secret.jpg", str(tmp_path / "secret.jpg"), "", "images"):
        with pytest.raises(ValueError, match="no picture"):
            locate(inside, name, "images")


def test_names_never_clash() -> None:
    names = FlatNames()
    files = ["images/a.jpg", "a.png", "train/images/a.jpg", "some/a.jpg", "some_a.jpg", "a_2.jpg"]
    taken = [names.take(file) for file in files]
    assert taken == ["a", "a_2", "a_3", "some_a", "some_a_2", "a_2_2"]
    assert names.take("a.jpg", "val") == "a"


def test_splits_by_folder() -> None:
    assert split_of("train/images/x.jpg") == "train"
    assert split_of("images/valid/x.jpg") == "val"
    assert split_of("testing/train.jpg") == "test"
    assert split_of("train.jpg") is None
