"""Files that are there whole or not at all, locks on files, and YAML read fast."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write to; once the block ends, what was written takes the place of ``path``.

    Where the block raises, what was written is removed and ``path`` is as it was.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def lock(file: int, shared: bool = False) -> None:
    """Lock the open file of descriptor ``file`` until it is closed, against all that lock it too.

    A ``shared`` lock, which several may have, is waited for. Raises BlockingIOError where another has it, and
    OSError where files cannot be locked: on Windows, and on some network file systems.
    """
    if fcntl is None:
        raise OSError(errno.ENOTSUP, "this system has no such locks")
    fcntl.flock(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX | fcntl.LOCK_NB)


def read_yaml(path: Path) -> Any:
    """What the YAML file at ``path`` says.

    By the C loader where there is one: it takes a tenth of the time, which counts when a command reads one
    picture. Raises OSError, UnicodeDecodeError and YAMLError as they come.
    """
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
