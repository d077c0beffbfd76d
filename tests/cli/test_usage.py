import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Call = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["read"], "Missing argument 'PATH'; see plateloop read --help"),
        (["run", "--interval", "often", "x.mp4"], "see plateloop run --help"),
        (["nonsense"], "No such command 'nonsense'"),
        (["data", "split", "--nope"], "see plateloop data split --help"),
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


def test_no_command_shows_help() -> None:
    done = subprocess.run([sys.executable, "-m", "plateloop"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "Usage: plateloop" in done.stdout + done.stderr
