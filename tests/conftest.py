"""Fixtures shared by all tests: the real data, which lies outside the repository and may be absent."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from pathlib import Path

import pytest

from plateloop.data_preparation.formats.collection import unpack

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data: ``PLATELOOP_SHARED``, or ``shared/data`` beside the checkout."""
    given = os.environ.get("PLATELOOP_SHARED")
    folder = Path(given) if given else ROOT.parent / "shared" / "data"
    if not (folder / "frames.jsonl").is_file():
        pytest.skip(f"no real data in {folder}; set PLATELOOP_SHARED to its folder")
    return folder


@pytest.fixture(scope="session")
def collection(shared_data: Path) -> Path:
    """The real data unpacked as manifest datasets ``frames, crops, colors, stills``; read only.

    Unpacked once into the system's temporary folder and kept there for later sessions, for as long as the
    lists stay the same.
    """
    digest = hashlib.sha256()
    for listing in sorted(shared_data.glob("*.jsonl")):
        digest.update(listing.read_bytes())
    folder = Path(tempfile.gettempdir()) / f"plateloop-{os.getuid()}-{digest.hexdigest()[:12]}"
    folder.mkdir(mode=0o700, exist_ok=True)
    # Parallel test workers each come here: one unpacks, the others wait.
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            unpack(shared_data, folder)
            (folder / "complete").touch()
    return folder
