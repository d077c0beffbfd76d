"""Delivery to a real Kafka broker that is killed or absent, and from processes that are killed."""

import json
import random
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from brokers import Broker, assert_all_there_in_order, command, events, filled, free_port, fresh, read
from commands import Call
from plateloop.deployment import outbox
from plateloop.deployment.kafka.config import KafkaConfig
from plateloop.deployment.kafka.delivery import Delivery
from plateloop.deployment.store import Store

pytest.importorskip("confluent_kafka", reason="needs the extra kafka")


def test_a_broker_killed_in_the_middle_loses_nothing(
    broker: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if broker.immortal:
        pytest.skip(broker.immortal)
    config = KafkaConfig(servers=broker.address, topic=fresh("killed-broker"))
    store = filled(tmp_path / "s.db", 3000, config.target)
    delivery = Delivery(store, config, rate=1500)
    delivery.start()
    while delivery.delivered < 500:
        time.sleep(0.01)
    broker.kill()
    assert 0 < outbox.debts(store)[config.target] < 3000
    # The run goes on, and what it brings waits.
    store.load(next(events(100)), [config.target])
    time.sleep(1)
    broker.start()
    assert delivery.finish(40) == 0
    records = read(broker, config.topic)
    assert_all_there_in_order(store, records)
    assert len(caplog.records) <= 1, caplog.text


def test_a_sender_killed_at_any_moment_goes_on_where_it_was(
    broker: Broker, tmp_path: Path, plateloop: Call
) -> None:
    store = filled(tmp_path / "s.db", 3000)
    topic = fresh("killed-sender")
    send = ("msg2kafka", tmp_path / "s.db", "--kafka", f"{broker.address}/{topic}")
    target = f"kafka:{broker.address}/{topic}"
    chance = random.Random(4)
    for _ in range(3):
        with subprocess.Popen(command(*send, "--rate", 500), stdout=subprocess.DEVNULL) as process:
            before = outbox.debts(store).get(target, 3000)
            while process.poll() is None and outbox.debts(store).get(target, 3000) > before - 50:
                time.sleep(0.02)
            time.sleep(chance.uniform(0, 0.3))
            process.kill()
    assert 0 < outbox.debts(store)[target] < 3000
    done = plateloop(*send)
    assert done.returncode == 0 and "0 waiting" in done.stdout
    records = read(broker, topic)
    assert_all_there_in_order(store, records)
    copies = defaultdict(set)
    for record in records:
        copies[json.loads(record.payload)["messageid"]].add(record.payload)
    # Whatever came twice came with the same id.
    assert len(copies) == 3000 and all(len(same) == 1 for same in copies.values())


CARS = 5


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, toy_clip: Callable[..., Path]) -> Path:
    """Cars one after the other for the toy networks."""
    path = tmp_path_factory.mktemp("clips") / "cars.mp4"
    lefts = [10 + 10 * (n % 60) if n % 60 < 20 else None for n in range(60 * CARS)]
    toy_clip(path, lefts, preset="ultrafast")
    return path


def pipeline(clip: Path, weights: Path, folder: Path, address: str) -> list[str]:
    page = folder / "page.yaml"
    page.write_text("fusion: {min_length: 1}\nnetworks: {threads: 1}\n")
    return command(
        "run", clip, "--config", page, "--weights", weights, "--out", folder / "out", "--no-overlay",
        "--json", "--kafka", address,
    )  # fmt: skip


def test_a_run_killed_at_any_moment_has_stored_what_it_told(
    broker: Broker, clip: Path, toy_weights: Path, tmp_path: Path
) -> None:
    chance = random.Random(5)
    told: set[tuple[str, str, Any]] = set()
    topic = fresh("killed-run")
    start = pipeline(clip, toy_weights, tmp_path, f"{broker.address}/{topic}")
    for _ in range(3):
        with subprocess.Popen(start, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline()]
            time.sleep(chance.uniform(0, 0.4))
            process.kill()
            lines += process.stdout.readlines()
        for line in lines:
            if line.endswith("\n"):
                event = json.loads(line)
                told.add((event["id"], event["phase"], event["confidence"]))
    assert told
    store = Store.open(tmp_path / "out" / "plateloop.db")
    assert told <= {(i.event.id, i.event.phase, i.event.confidence) for i in store.select()}
    done = subprocess.run(start, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and all("a killed run left open" in line for line in done.stderr.splitlines())
    assert outbox.debts(store) == {f"kafka:{broker.address}/{topic}": 0}
    assert_all_there_in_order(store, read(broker, topic))


def test_without_a_broker_a_run_goes_on_and_its_events_wait(
    broker: Broker, clip: Path, toy_weights: Path, tmp_path: Path
) -> None:
    topic = fresh("waited")
    start = pipeline(clip, toy_weights, tmp_path, f"127.0.0.1:{free_port()}/{topic}")
    (tmp_path / "page.yaml").write_text(
        "fusion: {min_length: 1}\nnetworks: {threads: 1}\nkafka: {patience_s: 0.5}\n"
    )
    done = subprocess.run(start, capture_output=True, text=True, check=False)
    warning, rest = done.stderr.splitlines()
    assert done.returncode == 1 and "refused" in warning and "wait in the store" in rest
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert len({event["id"] for event in events}) == CARS and events[-1]["phase"] == "end"
    # Started again with the broker's right address, it delivers those first.
    later = pipeline(clip, toy_weights, tmp_path, f"{broker.address}/{topic}")
    assert subprocess.run(later, capture_output=True, text=True, check=False).returncode == 0
    records = read(broker, topic)
    got = [record.stored.event.id for record in records if record.stored is not None]
    assert got[: len(events)] == [event["id"] for event in events] and len(got) > len(events)
