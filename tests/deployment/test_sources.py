import contextlib
import http.server
import logging
import re
import threading
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from plateloop.deployment.capture import Shot, frames
from plateloop.deployment.sources import SourceConfig, check, is_live
from plateloop.errors import UserError
from plateloop.passwords import redact


def shots(url: Path | str, **options: float) -> list[Shot]:
    return list(frames(SourceConfig(url=str(url), **options), threading.Event()))


def number_of(shot: Shot) -> int:
    picture = shot.frame.rgb()
    height, width = picture.shape[:2]
    return round((float(picture[-height // 4 :, -width // 4 :].mean()) - 40) / 3)


def test_a_file_gives_every_frame_with_its_time(write_video: Callable, numbered: Callable) -> None:
    got = shots(write_video("a.mp4", numbered(50), fps=20))
    assert [number_of(shot) for shot in got] == list(range(50))
    assert [shot.index for shot in got] == list(range(50))
    assert np.allclose([shot.time_s for shot in got], np.arange(50) / 20, atol=1e-3)
    assert got[0].frame.to_rgb is not None, "kept in the decoder's planes"


@pytest.mark.parametrize(("rotate", "corner"), [(90, (0, -1)), (180, (-1, -1)), (270, (-1, 0))])
def test_rotation_metadata_turns_the_picture(
    write_video: Callable, numbered: Callable, rotate: int, corner: tuple[int, int]
) -> None:
    frame = shots(write_video("r.mp4", numbered(2, 160, 96), rotate=rotate))[0].frame
    assert (frame.width, frame.height) == ((160, 96) if rotate == 180 else (96, 160))
    picture = frame.rgb().astype(int)
    red = picture[..., 0] - picture[..., 1] > 80
    rows, columns = np.nonzero(red)
    half = picture.shape[0] / 2, picture.shape[1] / 2
    assert (rows.mean() < half[0]) == (corner[0] == 0)
    assert (columns.mean() < half[1]) == (corner[1] == 0)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuvj420p", "yuv444p", "yuv422p", "nv12", "yuv420p10le"])
def test_colours_survive_any_layout(write_video: Callable, numbered: Callable, pix_fmt: str) -> None:
    picture = shots(write_video("c.mkv", numbered(1), pix_fmt=pix_fmt))[0].frame.rgb()
    assert np.abs(picture[8:24, 8:40].mean((0, 1)) - (200, 30, 30)).max() < 12


def test_odd_sizes(write_video: Callable) -> None:
    picture = np.full((51, 75, 3), 128, np.uint8)
    frame = shots(write_video("o.mkv", [picture], pix_fmt="yuv444p"))[0].frame
    assert frame.rgb().shape == (51, 75, 3)


def test_a_folder_is_read_in_order_without_the_bad_which_are_told_at_the_end(
    tmp_path: Path, numbered: Callable, caplog: pytest.LogCaptureFixture
) -> None:
    for number, picture in enumerate(numbered(4)):
        cv2.imwrite(str(tmp_path / f"{number:02}.png"), picture)
    (tmp_path / "01.png").write_text("no picture")
    (tmp_path / "notes.txt").write_text("not looked at")
    got: list[Shot] = []
    with pytest.raises(UserError, match="1 of 4 pictures could not be read"):
        got.extend(frames(SourceConfig(url=str(tmp_path), folder_fps=4), threading.Event()))
    assert [number_of(shot) for shot in got] == [0, 2, 3]
    assert [shot.time_s for shot in got] == [0, 0.5, 0.75]
    assert "01.png" in caplog.text


def test_odd_file_names_and_single_pictures(
    tmp_path: Path, write_video: Callable, numbered: Callable
) -> None:
    assert len(shots(write_video("a:b %d.mp4", numbered(5)))) == 5
    cv2.imwrite(str(tmp_path / "one.png"), numbered(1)[0])
    assert [shot.index for shot in shots(tmp_path / "one.png")] == [0]
    (tmp_path / "bad.png").write_text("no picture")
    with pytest.raises(UserError, match=r"bad\.png"):
        shots(tmp_path / "bad.png")


def _bad(tmp_path: Path, kind: str, good: Path) -> Path:
    path = tmp_path / f"{kind}.mp4"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("just some words\n" * 50)
    elif kind == "no_moov":
        path.write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    elif kind == "audio":
        sound = tmp_path / "tone.wav"
        with wave.open(str(sound), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes((np.sin(np.arange(8000) / 5) * 9000).astype("<i2").tobytes())
        with av.open(str(sound)) as source, av.open(str(path), "w") as target:
            stream = target.add_stream("aac", rate=8000)
            for frame in source.decode(audio=0):
                target.mux(stream.encode(frame))
            target.mux(stream.encode(None))
    elif kind == "text_txt":
        path = tmp_path / "notes.txt"
        path.write_text("just some words\n" * 50)
    elif kind == "folder":
        path.mkdir()
    return path


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("missing", "no such file"),
        ("empty", "empty"),
        ("text", "not a video"),
        ("text_txt", "no video|not a video"),
        ("no_moov", "moov"),
        ("audio", "no video"),
        ("folder", "no pictures"),
    ],
)
def test_bad_sources_give_one_clear_line(
    tmp_path: Path, write_video: Callable, numbered: Callable, kind: str, said: str
) -> None:
    path = _bad(tmp_path, kind, write_video("good.mp4", numbered(30)))
    with pytest.raises(UserError, match=said) as caught:
        shots(path)
    assert path.name in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "movflags", "said"),
    [
        ("cut.mp4", "faststart", r"{n} of 60 frames, {s} of \d+\.\d s were read"),
        # Neither knows how many frames there were; this one how long it was, the next its last fragment.
        ("cut.mkv", None, r"{n} frames, {s} of \d+\.\d s were read"),
        ("cut.mp4", "frag_keyframe+empty_moov", r"{n} frames, {s} of {s} s were read; 1 damaged packets"),
    ],
)
def test_a_file_cut_off_at_its_end_is_played_as_far_as_it_goes(
    write_video: Callable,
    numbered: Callable,
    caplog: pytest.LogCaptureFixture,
    name: str,
    movflags: str | None,
    said: str,
) -> None:
    rng = np.random.default_rng(0)
    noisy = [np.clip(p + rng.integers(0, 30, p.shape), 0, 255).astype(np.uint8) for p in numbered(60)]
    path = write_video(name, noisy, options={"movflags": movflags} if movflags else {})
    with caplog.at_level(logging.WARNING):
        assert len(shots(path)) == 60
    assert caplog.text == ""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    with caplog.at_level(logging.WARNING):
        got = shots(path)
    assert 20 < len(got) < 60
    (record,) = caplog.records
    seconds = r"\d+\.\d"
    assert re.search(f"{path.name}: cut off or damaged: {said.format(n=len(got), s=seconds)}", record.message)


def test_damage_in_the_middle_is_passed_over(write_video: Callable, numbered: Callable) -> None:
    path = write_video("hurt.ts", numbered(60))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = bytes(np.random.default_rng(1).integers(0, 256, 400, np.uint8))
    path.write_bytes(bytes(data))
    assert len(shots(path)) > 40


@pytest.mark.parametrize("max_fps", [3.0, 5.0, 10.0])
def test_what_a_rate_passes_over_need_not_be_decoded_and_changes_nothing(
    max_fps: float, numbered: Callable, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "b.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"bf": "3", "x264-params": "b-adapt=0"})
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for picture in numbered(60):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    every = {shot.time_s: shot for shot in shots(path)}
    some = shots(path, max_fps=max_fps)
    assert len(every) == 60 and len(some) == pytest.approx(2.4 * max_fps, abs=1)
    for shot in some:
        same = zip(shot.frame.planes, every[shot.time_s].frame.planes, strict=True)
        assert all(np.array_equal(mine, other) for mine, other in same)
    assert not caplog.records
    # What is not there is missed all the same.
    data = path.read_bytes()
    (tmp_path / "cut.mkv").write_bytes(_remuxed(path, tmp_path / "whole.mkv")[: len(data) // 2])
    shots(tmp_path / "cut.mkv", max_fps=max_fps)
    assert "cut off or damaged" in caplog.text


def _remuxed(path: Path, to: Path) -> bytes:
    with av.open(str(path)) as source, av.open(str(to), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    return to.read_bytes()


def test_stop_ends_a_source(write_video: Callable, numbered: Callable) -> None:
    stop = threading.Event()
    count = 0
    for _ in frames(SourceConfig(url=str(write_video("s.mp4", numbered(40)))), stop):
        count += 1
        if count == 5:
            stop.set()
    assert count < 10


def test_a_camera_that_is_away_is_tried_again_until_stopped(caplog: pytest.LogCaptureFixture) -> None:
    stop = threading.Event()
    config = SourceConfig(url="rtsp://admin:hunter2@127.0.0.1:9/cam", retry_s=0.02, retry_most_s=0.05)
    timer = threading.Timer(0.6, stop.set)
    timer.start()
    with caplog.at_level(logging.WARNING):
        assert list(frames(config, stop)) == []
    timer.join()
    assert caplog.text.count("trying again") >= 3
    assert "hunter2" not in caplog.text and "admin:***@" in caplog.text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://u:p@ss@host/x", "rtsp://u:***@host/x"),
        ("rtsp://host:554/x", "rtsp://host:554/x"),
        ("rtsp://u:p/w#d@host/x", "rtsp://u:***@host/x"),
        ("rtsp://host:554/x@y", "rtsp://host:554/x@y"),
        ("rtsp://[::1]:554/x@y", "rtsp://[::1]:554/x@y"),
        ("http://h/v?user=a&password=b&x=1", "http://h/v?user=a&password=***&x=1"),
        ("https://h/v?access_token=b", "https://h/v?access_token=***"),
        ("http:/u:p@h/x", "http:/u:***@h/x"),
        ("rtsp://h/user=a&password=b&channel=1", "rtsp://h/user=a&password=***&channel=1"),
        ("rtsp://h/user=a_password=b_c_channel=1.sdp", "rtsp://h/user=a_password=***"),
        ("http://h/v;token=b", "http://h/v;token=***"),
        ("http://h/v#token=b", "http://h/v#token=***"),
        ("http://h/keys/a=b?monkeys", "http://h/keys/a=b?monkeys"),
        ("dir/with:colon@file.mp4", "dir/with:colon@file.mp4"),
    ],
)
def test_passwords_are_never_shown(url: str, shown: str) -> None:
    assert redact(url) == shown
    assert SourceConfig(url=url).title == shown


def test_kinds() -> None:
    assert is_live("rtsp://h/x") and is_live("/dev/video0") and is_live("0")
    assert not is_live("http://h/x.mp4") and not is_live("clip.mp4")
    with pytest.raises(UserError, match="unknown kind"):
        check("gopher://u:secret@h/x")


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """``serve(path, live, stall_s)`` → a URL of the file; a live one says no length and may hang."""
    servers = []

    def start(path: Path, live: bool, stall_s: float = 0.0) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path != "/v":
                    self.send_error(404)
                    return
                data = path.read_bytes()
                self.send_response(200)
                self.send_header("Content-Type", "video/mp2t" if live else "video/mp4")
                if not live:
                    self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    self.wfile.write(data)
                    time.sleep(stall_s)

            def log_message(self, *_: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://u:secret@127.0.0.1:{server.server_port}/v"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_file_behind_a_url_is_played_once(
    write_video: Callable, numbered: Callable, serve: Callable
) -> None:
    got = shots(serve(write_video("h.mp4", numbered(30), options={"movflags": "faststart"}), False))
    assert [number_of(shot) for shot in got] == list(range(30))
    assert np.allclose([shot.time_s for shot in got], np.arange(30) / 25, atol=1e-3)


def test_a_stream_behind_a_url_goes_on_after_it_broke_off(
    write_video: Callable, numbered: Callable, serve: Callable, caplog: pytest.LogCaptureFixture
) -> None:
    config = SourceConfig(url=serve(write_video("h.ts", numbered(30)), True), retry_s=0.01)
    stop = threading.Event()
    got = []
    for shot in frames(config, stop):
        got.append(shot)
        if len(got) == 75:
            stop.set()
    assert [shot.index for shot in got] == list(range(len(got)))
    assert [shot.time_s for shot in got] == sorted(shot.time_s for shot in got)
    assert caplog.text.count("trying again") >= 2 and "secret" not in caplog.text


def test_a_stream_that_hangs_is_opened_again(
    write_video: Callable, numbered: Callable, serve: Callable, caplog: pytest.LogCaptureFixture
) -> None:
    config = SourceConfig(
        url=serve(write_video("h.ts", numbered(30)), True, 3.0), timeout_s=0.3, retry_s=0.01
    )
    stop = threading.Event()
    started = time.monotonic()
    for shot in frames(config, stop):
        if shot.index == 40:
            stop.set()
    assert time.monotonic() - started < 3
    assert "trying again" in caplog.text


def test_what_a_server_refuses_is_the_users_mistake(
    write_video: Callable, numbered: Callable, serve: Callable
) -> None:
    url = serve(write_video("h.mp4", numbered(3)), False)
    with pytest.raises(UserError) as caught:
        shots(url + "/absent")
    assert "secret" not in str(caught.value) and "404" in str(caught.value)


def test_a_name_that_is_no_text_is_told_escaped() -> None:
    title = SourceConfig(url="bad\udcff.mp4").title
    assert title == "bad\\udcff.mp4"
    assert title.encode()
