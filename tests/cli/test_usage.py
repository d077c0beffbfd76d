import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from commands import Call
from plateloop import __version__


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["read"], "Missing argument 'PATH'; see plateloop read --help"),
        (["run", "--interval", "often", "x.mp4"], "see plateloop run --help"),
        (["nonsense"], "No such command 'nonsense'"),
        (["data", "split", "--nope"], "see plateloop data split --help"),
        (["evaluate", "foonet", "--data", "d"], "'foonet' is not one of 'tcnet', 'lpdnet', 'lprnet'"),
        (["test", "accuracy", "d", "--split", "dev"], "'--split': 'dev' is not one of"),
        (["test", "accuracy", "d", "--threads", "-1"], "'--threads'"),
        (["test", "throughput", "v.mp4", "--seconds", "-1"], "'--seconds'"),
        (["test", "soak", "--minutes", "1", "--warm-up", "2"], "--warm-up 2: not shorter than --minutes 1"),
        (["ceiling", "d", "--threads", "-1"], "'--threads'"),
        (["quantize", "lprnet", "--data", "d", "--out", "o", "--pictures", "0"], "'--pictures'"),
        (["train", "lprnet", "--data", "d", "--out", "o", "--batch", "0"], "'--batch'"),
    ],
)
def test_a_wrong_command_line_is_told_in_one_line(arguments: list[str], said: str, plateloop: Call) -> None:
    done = plateloop(*arguments)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("plateloop: ") and said in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [["data", "synth", "FILE", "--count", "1"], ["demo", "--out", "FILE"]])
def test_a_file_where_a_folder_should_be_is_the_user_s_to_change(
    arguments: list[str], tmp_path: Path, plateloop: Call
) -> None:
    file = tmp_path / "file"
    file.write_text("hello")
    done = plateloop(*(file if word == "FILE" else word for word in arguments))
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(f"plateloop: {file}") and done.stderr.endswith("; give another place\n")
    assert file.read_text() == "hello"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_disk_is_one_line(tmp_path: Path, plateloop: Call) -> None:
    (tmp_path / "manifest.jsonl").write_text('{"file": "a.jpg", "width": 9, "height": 9}\n')
    done = plateloop("data", "stats", tmp_path, "--page", "/dev/full")
    assert done.returncode == 1
    assert done.stderr == "plateloop: no space left on device; make room and call again\n"


def test_a_device_or_weights_that_are_not_there_are_told_before_the_labeler_serves(
    tmp_path: Path, plateloop: Call
) -> None:
    (tmp_path / "manifest.jsonl").touch()
    for option, said in (("--device", "device nowhere: unknown"), ("--weights", "nowhere: none of")):
        done = plateloop("label", tmp_path, "--no-browser", option, "nowhere")
        assert done.returncode == 2 and done.stderr.startswith(f"plateloop: {said}")
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.jsonl"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "x.mp4", "--config", "PAGE"],
        ["tune", "lprnet", "--data", "d", "--out", "o", "--space", "PAGE"],
        ["evaluate", "lprnet", "--data", "d", "--card", "PAGE"],
        ["export", "deepstream", "--out", "o", "--config", "PAGE"],
    ],
)
def test_a_page_that_is_no_utf_8_is_named(arguments: list[str], tmp_path: Path, plateloop: Call) -> None:
    page = tmp_path / "page.yaml"
    page.write_bytes(b"name: \xe9\n")
    done = plateloop(*(page if word == "PAGE" else word for word in arguments))
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"plateloop: {page}: not ") and "not UTF-8 text (byte 6)" in done.stderr


def test_events_that_are_no_utf_8_are_no_events(tmp_path: Path, plateloop: Call) -> None:
    events = tmp_path / "events.jsonl"
    events.write_bytes(b'{"id": "\xe9"}\n')
    done = plateloop("test", "drift", events, "--reference", events)
    assert done.returncode == 2 and done.stderr.endswith(f"plateloop: {events}: no event in it\n")


def test_a_soak_of_what_ends_says_so(
    tmp_path: Path, toy_weights: Path, toy_clip: Callable[..., Path], plateloop: Call
) -> None:
    clip = toy_clip(tmp_path / "car.mp4", range(0, 40, 20))
    done = plateloop("test", "soak", clip, "--weights", toy_weights, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.endswith("s: its sources have ended; give live ones\n")


def test_help_lists_each_command_once_by_module(plateloop: Call) -> None:
    told = plateloop("--help").stdout
    for module in ("Data preparation", "Training", "Deployment", "Testing"):
        assert f"─ {module} ─" in told
    assert plateloop("--version").stdout == f"{__version__}\n"


def test_no_command_shows_help() -> None:
    done = subprocess.run([sys.executable, "-m", "plateloop"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "Usage: plateloop" in done.stdout + done.stderr
