"""Frames: what is cut from planes is what is cut from the whole picture converted first."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image as Pillow

from plateloop.errors import UserError
from plateloop.frame import MAX_PIXELS, Frame, read_image
from plateloop.geometry import Letterbox
from plateloop.types import FloatArray, Image

RNG = np.random.default_rng(7)
LAYOUTS = [
    pytest.param(layout, matrix, full, id=f"{layout}-{matrix}-{'full' if full else 'limited'}")
    for layout in ("yuv420p", "nv12")
    for matrix, full in (("bt601", False), ("bt709", False), ("bt709", True))
]


def smooth(width: int, height: int) -> Image:
    """A picture without hard edges, in which halving the chroma loses little."""
    coarse = RNG.integers(0, 256, (max(2, height // 40), max(2, width // 40), 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def decoded(rgb: Image, layout: str, matrix: Literal["bt601", "bt709"], full: bool) -> Frame:
    """``rgb`` as a decoder would hand it over: FFmpeg converts it to planes, padded rows and all."""
    spaces = {
        "bt601": av.video.reformatter.Colorspace.ITU601,
        "bt709": av.video.reformatter.Colorspace.ITU709,
    }
    ranges = av.video.reformatter.ColorRange
    converted = av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(
        format=layout,
        dst_colorspace=spaces[matrix],
        src_color_range=ranges.JPEG,
        dst_color_range=ranges.JPEG if full else ranges.MPEG,
        interpolation="AREA",
    )
    height, width = rgb.shape[:2]
    half_w, half_h = (width + 1) // 2, (height + 1) // 2
    planes = []
    for index, plane in enumerate(converted.planes):
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        if index == 0:
            planes.append(rows[:height, :width])
        elif layout == "nv12":
            planes.append(rows[:half_h, : 2 * half_w].reshape(half_h, half_w, 2))
        else:
            planes.append(rows[:half_h, :half_w])
    return Frame.from_planes(*planes, matrix=matrix, full_range=full)


def close(one: Image, other: Image, mean: float = 1.5, most: float = 20) -> None:
    assert one.shape == other.shape
    assert one.dtype == other.dtype == np.uint8
    difference = np.abs(one.astype(int) - other)
    assert difference.mean() <= mean
    assert difference.max() <= most


@pytest.mark.parametrize(("layout", "matrix", "full"), LAYOUTS)
@pytest.mark.parametrize("size", [(320, 240), (321, 239)])
def test_planes_give_what_the_whole_picture_gives(
    layout: str, matrix: Literal["bt601", "bt709"], full: bool, size: tuple[int, int]
) -> None:
    rgb = smooth(*size)
    frame = decoded(rgb, layout, matrix, full)
    close(frame.rgb(), rgb, mean=2)
    whole = Frame.from_rgb(frame.rgb())
    for target in ((160, 96), (640, 384), (97, 350)):
        close(frame.letterboxed(target), whole.letterboxed(target))
    boxes = np.array(
        [[10, 12, 200, 150], [-31, -9, 90.5, 60], [200, 100, 400, 300], [7, 7, 8, 8]], np.float32
    )
    aligned = frame.aligned(boxes).astype(np.float32)
    # Where an odd picture ends, its last chroma reaches half a pixel into the black.
    close(frame.crops(boxes, (96, 80)), whole.crops(aligned, (96, 80)), most=100)
    close(frame.crops(boxes, (64, 64), "stretch"), whole.crops(aligned, (64, 64), "stretch"), most=100)
    corners = np.array([[[50, 60], [181, 71], [176, 131], [43, 110]]], np.float32)
    close(frame.rectified(corners, (160, 64)), whole.rectified(corners, (160, 64)))


def test_black_is_black_in_every_layout() -> None:
    white = np.full((40, 60, 3), 255, np.uint8)
    beside = np.array([[70, 50, 90, 66]], np.float32)
    for frame in (
        Frame.from_rgb(white),
        decoded(white, "yuv420p", "bt709", False),
        decoded(white, "nv12", "bt601", False),
        decoded(white, "yuv420p", "bt601", True),
    ):
        assert frame.crops(beside, (32, 32)).max() == 0
        assert (
            frame.rectified(np.array([[[70, 50], [90, 50], [90, 60], [70, 60]]], np.float32), (32, 16)).max()
            == 0
        )
        half = frame.crops(np.array([[-30, 0, 30, 40]], np.float32), (60, 40), "stretch")[0]
        assert half[:, :28].max() <= 1
        assert half[:, 32:].min() >= 253
        assert frame.letterboxed((60, 60))[41:].max() == 0


def gradient(width: int, height: int) -> Image:
    """Red tells x, green tells y, where the pixel's centre is."""
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return np.stack([np.floor(x), np.floor(y), 0 * x], -1).astype(np.uint8)


def test_crops_lie_where_the_letterbox_says() -> None:
    frame = Frame.from_rgb(gradient(250, 200))
    box = np.array([[20, 30, 220, 130]], np.float32)
    crop = frame.crops(box, (100, 100))[0]
    letterbox = Letterbox((200, 100), (100, 100))
    for x, y in ((3, 5), (50, 20), (97, 45)):
        place = np.array([x + 0.5, y + 0.5], np.float32)
        expected = letterbox.to_source(place) + np.array([20, 30])
        np.testing.assert_allclose(crop[y, x, :2] + 0.5, expected, atol=0.51)
    assert crop[50:].max() == 0


@given(arrays(np.float32, (2, 2), elements=st.floats(0.25, 0.875, width=32)), st.floats(-0.5, 0.5))
def test_rectified_to_a_quarter_pixel(place: FloatArray, slope: float) -> None:
    # Four levels a pixel, so that rounding to levels hides no shift.
    frame = Frame.from_rgb(gradient(60, 50) * 4 + 2)
    x, y = place[0] * (20, 16)
    w, h = place[1] * (30, 16)
    # A parallelogram: the map is affine, so every pixel's place is known.
    corners = np.array([[x, y], [x + w, y + slope * w], [x + w, y + slope * w + h], [x, y + h]], np.float32)
    picture = frame.rectified(corners[None], (40, 20))[0, ..., :2] / 4
    u, v = np.meshgrid((np.arange(40) + 0.5) / 40, (np.arange(20) + 0.5) / 20)
    expected = np.stack([x + u * w, y + u * slope * w + v * h], -1)
    inside = ((expected > 1) & (expected < np.array([59, 49]))).all(-1)
    np.testing.assert_allclose(picture[inside], expected[inside], atol=0.25)
    assert abs((picture - expected)[inside].mean()) < 0.1


def test_rectified_undoes_a_perspective() -> None:
    plate = smooth(320, 128)
    quad = np.array([[60, 80], [330, 40], [350, 160], [50, 190]], np.float32)
    flat = np.array([[0, 0], [320, 0], [320, 128], [0, 128]], np.float32)
    matrix = cv2.getPerspectiveTransform(flat - 0.5, quad - 0.5)
    picture = np.asarray(cv2.warpPerspective(plate, matrix, (400, 240)), np.uint8)
    seen = Frame.from_rgb(picture).rectified(quad[None], (160, 64))[0]
    close(
        seen[2:-2, 2:-2],
        Frame.from_rgb(plate).crops(np.array([[0, 0, 320, 128]], np.float32), (160, 64))[0][2:-2, 2:-2],
    )


def test_fine_stripes_become_gray_not_moire() -> None:
    stripes = np.zeros((600, 1500, 3), np.uint8)
    stripes[:, ::2] = 255
    frame = Frame.from_rgb(stripes)
    corners = np.array([[[10, 10], [1470, 30], [1480, 570], [20, 550]]], np.float32)
    for picture in (
        frame.letterboxed((160, 64)),
        frame.crops(np.array([[0, 0, 1500, 600]], np.float32), (160, 64), "stretch")[0],
        frame.rectified(corners, (160, 64))[0],
    ):
        assert picture[:, :150].std() < 12
        assert abs(picture[:, :150].mean() - 127.5) < 3


@given(arrays(np.float32, (3, 4, 2), elements=st.floats(-1e6, 1e6, width=32)))
def test_any_corners_give_a_picture(corners: FloatArray) -> None:
    for frame in (Frame.from_rgb(gradient(50, 40)), decoded(gradient(50, 40), "yuv420p", "bt709", False)):
        assert frame.rectified(corners, (16, 8)).shape == (3, 8, 16, 3)


@given(
    arrays(np.float32, (3, 4), elements=st.floats(-1e6, 1e6, width=32)),
    st.integers(1, 9),
    st.integers(1, 9),
    st.booleans(),
)
def test_any_boxes_give_a_picture(boxes: FloatArray, width: int, height: int, planes: bool) -> None:
    rgb = gradient(width, height)
    frame = decoded(rgb, "nv12", "bt709", False) if planes else Frame.from_rgb(rgb)
    aligned = frame.aligned(boxes)
    assert (aligned[:, 2:] > aligned[:, :2]).all()
    np.testing.assert_array_equal(frame.aligned(aligned.astype(np.float32)), aligned)
    assert frame.crops(boxes, (16, 8)).shape == (3, 8, 16, 3)


def test_nothing_asked_nothing_given() -> None:
    frame = Frame.from_rgb(gradient(50, 40))
    assert frame.crops(np.zeros((0, 4), np.float32), (16, 8)).shape == (0, 8, 16, 3)
    assert frame.rectified(np.zeros((0, 4, 2), np.float32), (16, 8)).shape == (0, 8, 16, 3)


def test_wrong_arrays_are_refused() -> None:
    with pytest.raises(ValueError, match="RGB picture"):
        Frame.from_rgb(np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match="takes U and V"):
        Frame.from_planes(np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8))


def upright(path: Path) -> Image:
    """What Pillow makes of a file."""
    from PIL import ImageOps

    with Pillow.open(path) as picture:
        return np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))


WRITERS: dict[str, Callable[[Pillow.Image, Path], Any]] = {
    "color.jpg": lambda picture, path: picture.save(path, quality=95),
    "progressive.jpg": lambda picture, path: picture.save(path, quality=95, progressive=True),
    "gray.jpg": lambda picture, path: picture.convert("L").save(path, quality=95),
    "cmyk.jpg": lambda picture, path: picture.convert("CMYK").save(path, quality=95),
    "color.png": lambda picture, path: picture.save(path),
    "gray.png": lambda picture, path: picture.convert("L").save(path),
    "palette.png": lambda picture, path: picture.quantize(64).save(path),
    "lossless.webp": lambda picture, path: picture.save(path, lossless=True),
    "lossy.webp": lambda picture, path: picture.save(path, quality=90),
    "color.bmp": lambda picture, path: picture.save(path),
    "color.tif": lambda picture, path: picture.save(path),
    "packed.tif": lambda picture, path: picture.save(path, compression="tiff_lzw"),
    "color.gif": lambda picture, path: picture.save(path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_formats_read_as_pillow_reads_them(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    WRITERS[name](Pillow.fromarray(smooth(90, 70)), path)
    # Decoders of lossy formats may round differently.
    close(read_image(path).rgb(), upright(path), mean=2.5, most=24)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(suffix: str, orientation: int, tmp_path: Path) -> None:
    path = tmp_path / f"turned.{suffix}"
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    Pillow.fromarray(smooth(90, 70)).save(path, exif=exif, **({"quality": 95} if suffix == "jpg" else {}))
    expected = upright(path)
    assert expected.shape == ((90, 70, 3) if orientation >= 5 else (70, 90, 3))
    close(read_image(path).rgb(), expected, mean=2.5, most=24)


@pytest.mark.parametrize("name", ["deep.png", "deep.tif"])
def test_sixteen_bits_are_scaled_to_eight(name: str, tmp_path: Path) -> None:
    rgb = smooth(90, 70)
    cv2.imwrite(str(tmp_path / name), rgb[..., ::-1].astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_image(tmp_path / name).rgb(), rgb)


def test_transparency_is_dropped(tmp_path: Path) -> None:
    picture = Pillow.fromarray(smooth(90, 70))
    picture.putalpha(128)
    picture.save(tmp_path / "glass.png")
    np.testing.assert_array_equal(read_image(tmp_path / "glass.png").rgb(), np.asarray(picture)[..., :3])


def test_one_pixel(tmp_path: Path) -> None:
    Pillow.new("RGB", (1, 1), (9, 8, 7)).save(tmp_path / "one.png")
    frame = read_image(tmp_path / "one.png")
    assert (frame.width, frame.height) == (1, 1)
    assert frame.letterboxed((64, 32))[0, 0].tolist() == [9, 8, 7]


@pytest.mark.parametrize(
    "name", ["color.jpg", "progressive.jpg", "color.png", "lossless.webp", "color.bmp", "color.tif"]
)
@pytest.mark.parametrize("share", [0.1, 0.6, 0.99])
def test_cut_off_files_are_refused(name: str, share: float, tmp_path: Path) -> None:
    path = tmp_path / name
    WRITERS[name](Pillow.fromarray(smooth(200, 160)), path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(UserError, match=rf"{name}: damaged, cut off"):
        read_image(path)


def test_a_thumbnail_does_not_make_a_cut_off_jpeg_whole(tmp_path: Path) -> None:
    whole, path = tmp_path / "whole.jpg", tmp_path / "cut.jpg"
    Pillow.fromarray(smooth(64, 48)).save(whole)
    thumbnail = whole.read_bytes()
    segment = b"\xff\xe2" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    data = thumbnail[:2] + segment + thumbnail[2:]
    path.write_bytes(data)
    read_image(path)
    path.write_bytes(data[:-40])
    with pytest.raises(UserError, match="cut off"):
        read_image(path)


def test_what_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("This is no picture.\n" * 9)
    (tmp_path / "empty.png").touch()
    for path, message in (
        (tmp_path / "text.jpg", "not a picture"),
        (tmp_path / "empty.png", "empty"),
        (tmp_path / "missing.png", "no such file"),
        (tmp_path, "is a directory"),
    ):
        with pytest.raises(UserError, match=message) as raised:
            read_image(path)
        assert str(path) in str(raised.value)
        assert "\n" not in str(raised.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(UserError, match="not a file"):
        read_image(tmp_path / "pipe.jpg")


@pytest.mark.skipif(sys.platform != "linux", reason="names are any bytes on Linux only")
def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"bad\xff\xfe.png")
    picture = smooth(64, 48)
    Pillow.fromarray(picture).save(tmp_path / "good.png")
    (tmp_path / "good.png").rename(path)
    np.testing.assert_array_equal(read_image(path).rgb(), picture)
    path.write_text("This is no picture.")
    with pytest.raises(UserError, match="unsupported"):
        read_image(path)


@pytest.mark.parametrize("cut", [1, 4, 12, 2000])
def test_a_cut_off_png_is_told_by_us_alone(
    cut: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cut.png"
    Pillow.fromarray(smooth(200, 160)).save(path)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(UserError, match="cut off"):
        read_image(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "webp", "tif"])
def test_size_is_known_before_decoding(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / f"large.{suffix}"
    Pillow.new("RGB", (400, 300)).save(path)
    monkeypatch.setattr("plateloop.frame.MAX_PIXELS", 400 * 300 - 1)
    with pytest.raises(UserError, match="400×300 is above"):
        read_image(path)
    monkeypatch.setattr("plateloop.frame.MAX_PIXELS", 400 * 300)
    read_image(path)


def test_the_limit_lets_large_photographs_in() -> None:
    assert MAX_PIXELS >= 12_000 * 9_000
