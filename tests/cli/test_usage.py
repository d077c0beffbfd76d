import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["read"], "Missing argument 'PATH'; see plateloop read --help"),
        (["run", "--interval", "often", "x.mp4"], "see plateloop run --help"),
        (["nonsense"], "No such command 'nonsense'"),
        (["data", "split", "--nope"], "see plateloop data split --help"),
    ],
)
def test_a_wrong_command_line_is_told_in_one_line(arguments: list[str], said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "plateloop", *arguments], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("plateloop: ") and said in done.stderr
    assert done.stderr.count("\n") == 1


def test_no_command_shows_help() -> None:
    done = subprocess.run([sys.executable, "-m", "plateloop"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "Usage: plateloop" in done.stdout + done.stderr
