"""The tutorial's commands, run as written, one after the other in an empty folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from plateloop.data_preparation.manifest import read_manifest

PAGE = Path(__file__).resolve().parent.parent / "docs" / "adapt-to-your-country.md"


def commands(page: Path) -> list[str]:
    blocks = re.findall(r"^```bash\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def test_every_command_of_the_tutorial_runs(package_weights: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="training needs the train extra")
    found = commands(PAGE)
    assert len(found) == 12
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "OMP_NUM_THREADS": "1"}
    for command in found:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    work = tmp_path / "work"
    for page in ("report/index.html", "stats.html", "before/mistakes.png", "after/metrics.json"):
        assert (work / page).is_file(), page
    frames, crops = (list(read_manifest(work / "set" / name)) for name in ("frames", "crops"))
    assert len(frames) == len(crops) > 50
    assert all(("weight" in record.attributes) == (record.split == "train") for record in frames)
    (evaluation,) = (work / "run/evaluations.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(evaluation)["step"] == 3
    readings = (work / "readings.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(readings) == 60
    assert sum(bool(json.loads(line)["plates"][0]["text"]) for line in readings) > 50
