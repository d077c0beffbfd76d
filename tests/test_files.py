"""A file that is written anew is the old one until it is whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from plateloop.files import atomic


def test_what_fails_half_way_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("old")
    with pytest.raises(ValueError, match="half way"), atomic(path) as partial:
        partial.write_text("half")
        assert path.read_text() == "old"
        raise ValueError("half way")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    with atomic(path) as partial:
        partial.write_text("new")
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]
