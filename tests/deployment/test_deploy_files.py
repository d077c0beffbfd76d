"""The unit, the image and the alerts in deploy/: as far as that can be tried without their hosts."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
DEPLOY = ROOT / "deploy"
EXECUTABLE = Path(sys.executable).parent / "plateloop"


def options_of(arguments: list[str]) -> set[str]:
    return {argument for argument in arguments if argument.startswith("--")}


@pytest.fixture(scope="module")
def known() -> set[str]:
    """The options that ``run`` has."""
    command = [sys.executable, "-m", "plateloop", "run", "--help"]
    text = subprocess.run(command, capture_output=True, text=True, check=True, env={"COLUMNS": "200"}).stdout
    return set(re.findall(r"--[a-z-]+", text))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_the_unit_is_one_and_hardened(tmp_path: Path, known: set[str]) -> None:
    text = (DEPLOY / "plateloop.service").read_text()
    unit = tmp_path / "plateloop.service"
    unit.write_text(text.replace("/opt/plateloop/bin/plateloop", str(EXECUTABLE)))
    verified = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert (verified.returncode, verified.stderr) == (0, "")
    exposed = ["systemd-analyze", "security", "--offline=yes", "--threshold=20", str(unit)]
    assert subprocess.run(exposed, capture_output=True).returncode == 0
    (start,) = re.findall("^ExecStart=(.*)$", text, re.M)
    assert options_of(shlex.split(start)) <= known


def test_the_image_is_made_of_what_is_there(known: set[str]) -> None:
    text = (DEPLOY / "Containerfile").read_text().replace("\\\n", "")
    for line in re.findall("^COPY (?!--from)(.*)$", text, re.M):
        assert all((ROOT / name).exists() for name in line.split()[:-1])
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (wanted,) = re.findall(r'"\.\[(.*)\]"', text)
    assert set(wanted.split(",")) <= set(extras)
    (command,) = re.findall("^CMD (.*)$", text, re.M)
    assert options_of(json.loads(command)) <= known
    assert re.search("^USER 10001$", text, re.M) and "root" not in text


def test_health_and_alerts_know_a_real_run(
    start_run: Callable[..., Any], camera: Callable[[Path], str], passing_cars: Path
) -> None:
    httpx = pytest.importorskip("httpx")
    pytest.importorskip("prometheus_client", reason="needs the extra page")
    run = start_run({"sources": [{"url": camera(passing_cars)}], "output": {"overlay": False}})
    (check,) = re.findall("^ +CMD (.*)$", (DEPLOY / "Containerfile").read_text(), re.M)
    for url, healthy in ((run.url, True), ("http://127.0.0.1:9/", False)):
        _, *arguments = json.loads(check.replace("http://127.0.0.1:9100/", url))
        done = subprocess.run([sys.executable, *arguments], capture_output=True)
        assert (done.returncode == 0) is healthy
    metrics = httpx.get(f"{run.url}metrics").text
    groups = yaml.safe_load((DEPLOY / "alerts.yml").read_text())["groups"]
    names = {name for rule in groups[0]["rules"] for name in re.findall(r"plateloop_\w+", rule["expr"])}
    assert len(names) >= 4
    for name in names:
        assert f"# TYPE {name} " in metrics
    (job,) = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["scrape_configs"]
    assert job["job_name"] == "plateloop"
