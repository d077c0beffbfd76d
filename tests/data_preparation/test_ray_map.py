"""Pictures hashed and cut over a local cluster of nodes of which one dies: the same as on one machine."""

import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from plateloop.data_preparation.augment import augment
from plateloop.data_preparation.clean.examine import CleanConfig, Networks
from plateloop.data_preparation.clean.inspect import inspect
from plateloop.data_preparation.crop import crop_plates
from plateloop.data_preparation.kinship import gather
from plateloop.data_preparation.manifest import Plate, Record, write_manifest
from plateloop.data_preparation.parallel import each
from plateloop.data_preparation.report import Report
from plateloop.data_preparation.synthetic.dataset import synthesize
from plateloop.errors import UserError

ray = pytest.importorskip("ray", reason="needs the extra ray")
# Ray leaves the pipes of the processes that it starts to the collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """70 noisy pictures with two plates each, and one that is damaged."""
    rng = np.random.default_rng(3)
    records = []
    for number in range(71):
        name = f"{number:03}.png"
        coarse = rng.integers(0, 255, (12, 16, 3), np.uint8)
        cv2.imwrite(str(tmp_path / name), cv2.resize(coarse, (320, 240), interpolation=cv2.INTER_CUBIC))
        plates = (Plate(box=(20, 30, 90, 50), text=f"AB{number}"), Plate(box=(200, 100, 290, 130)))
        split = "val" if number < 8 else None
        records.append(Record(file=name, width=320, height=240, plates=plates, split=split))
    (tmp_path / "005.png").write_bytes(b"no picture")
    write_manifest(tmp_path, records)
    return tmp_path


def test_a_cluster_does_what_one_machine_does(ray_cluster: Any, dataset: Path, tmp_path: Path) -> None:
    address = ray_cluster.address
    here = gather(dataset, Report())
    there = gather(dataset, Report(), ray=address)
    assert here.files == there.files
    assert np.array_equal(here.hashes, there.hashes)
    out = tmp_path.with_name(f"{tmp_path.name}-crops")
    local = crop_plates(dataset, out / "local")
    spread = crop_plates(dataset, out / "spread", ray=address)
    assert local == spread
    assert local.written == 140
    assert list(local.skipped) == ["005.png"]
    again = tmp_path.with_name(f"{tmp_path.name}-copies")
    assert augment(dataset, again / "local", split="val").written == 71 + 7
    augment(dataset, again / "spread", split="val", ray=address)
    for folder in (out, again):
        for path in (folder / "local").rglob("*.*"):
            assert path.read_bytes() == (folder / "spread" / path.relative_to(folder / "local")).read_bytes()


def test_a_cluster_finds_what_one_machine_finds(
    ray_cluster: Any, dataset: Path, package_weights: Path
) -> None:
    address = ray_cluster.address
    here, there = io.StringIO(), io.StringIO()
    networks = Networks(package_weights, split="val")
    local = inspect(dataset, CleanConfig(), networks, here)
    spread = inspect(dataset, CleanConfig(), networks, there, ray=address)
    assert local.records == spread.records == 71
    assert local.counts == spread.counts
    assert {"unreadable", "plate-stray"} <= set(local.counts)
    assert here.getvalue() == there.getvalue()


def test_a_cluster_renders_what_one_machine_renders(ray_cluster: Any, tmp_path: Path) -> None:
    address = ray_cluster.address
    assert list(synthesize(tmp_path / "here", 60, 2, style="gb", workers=1))[-1] == 60
    assert list(synthesize(tmp_path / "there", 60, 2, style="gb", ray=address))[-1] == 60
    here = sorted(path for path in (tmp_path / "here").rglob("*") if path.is_file())
    assert len(here) == 62
    for path in here:
        assert path.read_bytes() == (tmp_path / "there" / path.relative_to(tmp_path / "here")).read_bytes()


def test_what_a_dead_node_had_is_done_elsewhere(ray_cluster: Any, tmp_path: Path) -> None:
    size = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    added = [ray_cluster.add_node(**size) for _ in range(2)]

    def slow(number: int) -> tuple[int, str]:
        time.sleep(0.01)
        return number * number, ray.get_runtime_context().get_node_id()

    found, alive = [], True
    for value, worker in each(slow, range(800), ray_cluster.address, [tmp_path]):
        found.append(value)
        # Not the node that this process itself is connected to, which may be any.
        mortal = {node.node_id: node for node in added}
        mortal.pop(ray.get_runtime_context().get_node_id(), None)
        if alive and worker in mortal:
            # More of its work is under way.
            ray_cluster.remove_node(mortal[worker], allow_graceful=False)
            alive = False
    assert not alive
    # Else the next test's driver might choose the dead node as its own.
    ray_cluster.wait_for_nodes()
    assert found == [number * number for number in range(800)]


def test_a_folder_that_a_node_does_not_see_is_named(ray_cluster: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="machines must share it"):
        list(each(abs, range(3), ray_cluster.address, [tmp_path / "gone"]))


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:1"])
def test_without_a_cluster_there_is_one_line(address: str) -> None:
    with pytest.raises(UserError, match=r"ray .*: (not an address|no cluster answers)"):
        list(each(abs, range(3), address))


def test_in_order_and_bounded_on_one_machine() -> None:
    drawn = 0

    def numbers() -> Iterator[int]:
        nonlocal drawn
        for number in range(1000):
            drawn += 1
            yield number

    results = each(lambda number: number + 1, numbers(), threads=2)
    assert next(results) == 1
    assert drawn <= 18
    assert list(results) == list(range(2, 1001))
