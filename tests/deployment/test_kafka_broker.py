"""What is sent to a real Kafka broker, and what is read back from it."""

import json
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from brokers import Broker, assert_all_there_in_order, command, filled, fresh, key, read
from commands import Call
from plateloop.deployment.kafka.config import KafkaConfig
from plateloop.deployment.kafka.delivery import Delivery
from plateloop.deployment.lines import LineReader, as_line
from plateloop.deployment.search import matching
from plateloop.deployment.store import Store
from plateloop.errors import UserError

kafka = pytest.importorskip("confluent_kafka", reason="needs the extra kafka")
parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra parquet")


def has_messages(broker: Any, topic: str, count: int) -> bool:
    try:
        return len(read(broker, topic)) >= count
    except UserError:
        return False


def consuming(broker: Any, address: str) -> tuple[Any, ...]:
    """The command that reads back from ``broker``."""
    settings = () if broker.reader is None else ("--kafka-config", broker.reader)
    return ("consume", "--kafka", address, *settings)


def call(*arguments: Any, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, check=False, timeout=90, input=text
    )


@pytest.mark.parametrize("schema", ["custom", "full", "minimal"])
def test_every_event_arrives_once_in_order_and_valid(
    broker: Broker, tmp_path: Path, schema: Any, validate: Callable[[str, Any], None]
) -> None:
    config = KafkaConfig(servers=broker.address, topic=fresh(f"all-{schema}"), payload=schema)
    store = filled(tmp_path / "s.db", 300, config.target)
    delivery = Delivery(store, config)
    delivery.start()
    assert delivery.finish(30) == 0 and delivery.delivered == 300
    records = read(broker, config.topic)
    assert len(records) == 300
    assert_all_there_in_order(store, records)
    for record in records:
        validate(schema, json.loads(record.payload))
    # What a store holds is what a store gets back.
    back = {key(r.stored): (r.stored.event, r.stored.time) for r in records if r.stored is not None}
    assert back == {key(item): (item.event, item.time) for item in store.select()}


def test_a_sensor_keeps_to_one_partition(broker: Broker, tmp_path: Path) -> None:
    config = KafkaConfig(servers=broker.address, topic=fresh("keys"))
    store = filled(tmp_path / "s.db", 200, config.target)
    delivery = Delivery(store, config)
    delivery.start()
    assert delivery.finish(30) == 0
    keys = {"group.id": config.topic, "auto.offset.reset": "earliest", "session.timeout.ms": 6000}
    reader = kafka.Consumer({"bootstrap.servers": broker.address, **keys})
    reader.subscribe([config.topic])
    places: dict[bytes, set[int]] = defaultdict(set)
    for _ in range(200):
        message = reader.poll(60)
        places[message.key()].add(message.partition())
        assert json.loads(message.value())["sensor"]["id"].encode() == message.key()
    reader.close()
    assert len(places) == 4 and all(len(partitions) == 1 for partitions in places.values())


def test_consumers_load_each_event_once_though_killed(
    broker: Broker, tmp_path: Path, plateloop: Call
) -> None:
    address = f"{broker.address}/{fresh('consumed')}"
    store = filled(tmp_path / "s.db", 2000)
    assert plateloop("msg2kafka", tmp_path / "s.db", "--kafka", address).returncode == 0
    # The same by another way: all come twice.
    lines = "".join(as_line(item) + "\n" for item in store.select())
    assert call("msg2kafka", "-", "--kafka", address, text=lines).returncode == 0
    wanted = sorted(key(item) for item in store.select())
    for file in (tmp_path / "into.db", tmp_path / "into.jsonl", tmp_path / "into.parquet"):
        load = command(
            *consuming(broker, address), "--until-end", "--group", fresh(file.name), "--into", file
        )
        with subprocess.Popen(load, stderr=subprocess.DEVNULL) as process:
            while process.poll() is None and not (file.exists() and file.stat().st_size):
                time.sleep(0.01)
            time.sleep(0.1)
            process.kill()
        # The group still waits for the dead member; one of its own reads everything.
        done = plateloop(*consuming(broker, address), "--until-end", "--into", file)
        assert done.returncode == 0 and done.stderr.startswith("4000 messages read")
    assert sorted(key(item) for item in Store.open(tmp_path / "into.db").select()) == wanted
    with (tmp_path / "into.jsonl").open() as file_of_lines:
        assert sorted(key(item) for item in LineReader().read(file_of_lines)) == wanted
    table = parquet.read_table(tmp_path / "into.parquet").select(["id", "sequence"]).to_pydict()
    assert sorted(zip(table["id"], table["sequence"], strict=True)) == wanted


def test_the_page_of_a_run_tells_msg2kafka_of_its_sensors(
    broker: Broker, tmp_path: Path, plateloop: Call
) -> None:
    topic, page = fresh("of-a-page"), tmp_path / "page.yaml"
    gate = {"id": "gate-7", "description": "Gate 7", "location": [52.5, 13.4, 34]}
    said = {
        "sources": [{"url": "camera", "name": "simulated-1", "sensor": gate, "place": {"name": "garage"}}],
        "kafka": {"servers": broker.address, "topic": topic, "payload": "full"},
    }
    page.write_text(json.dumps(said), encoding="utf-8")
    store = filled(tmp_path / "s.db", 40)
    done = plateloop("msg2kafka", tmp_path / "s.db", "--config", page)
    assert done.returncode == 0, done.stderr
    messages = [json.loads(record.payload) for record in read(broker, topic)]
    sensors = {message["sensor"]["id"]: message for message in messages}
    assert len(messages) == store.count()
    assert {"gate-7", "simulated-0"} <= sensors.keys() and "simulated-1" not in sensors
    assert sensors["gate-7"]["sensor"]["description"] == "Gate 7"
    assert sensors["gate-7"]["place"]["name"] == "garage"


def test_only_what_is_asked_for_is_read_back(broker: Broker, tmp_path: Path, plateloop: Call) -> None:
    address = f"{broker.address}/{fresh('filtered')}"
    store = filled(tmp_path / "s.db", 200)
    assert plateloop("msg2kafka", tmp_path / "s.db", "--kafka", address).returncode == 0
    plate = next(store.select()).event.text or ""
    asked = ("--where", plate[:2] + "*", "--phase", "end", "--source", "simulated-1")
    done = plateloop(*consuming(broker, address), "--until-end", *asked)
    wanted = [
        item.event.text
        for item in store.select()
        if item.event.phase == "end"
        and item.event.source == "simulated-1"
        and matching([item.event.text or ""], plate[:2] + "*")
    ]
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [message["object"]["vehicle"]["license"] for message in told] == wanted
    mistake = plateloop(*consuming(broker, address), "--phase", "over")
    assert mistake.returncode == 2 and mistake.stderr.startswith("plateloop: --phase: ")


def test_a_page_shows_what_arrives(broker: Broker, tmp_path: Path, plateloop: Call) -> None:
    httpx = pytest.importorskip("httpx")
    address = f"{broker.address}/{fresh('shown')}"
    filled(tmp_path / "s.db", 60)
    assert plateloop("msg2kafka", tmp_path / "s.db", "--kafka", address).returncode == 0
    show = command(*consuming(broker, address), "--page", "--port", 0, "--into", tmp_path / "into.db")
    with subprocess.Popen(show, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[4]
        deadline = time.monotonic() + 20
        while "<b>30</b>" not in httpx.get(url).text and time.monotonic() < deadline:
            time.sleep(0.1)
        assert "<b>30</b><span>vehicles" in httpx.get(url).text
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=15)
    assert process.returncode == 0 and said == "60 messages read, 60 events new\n"


def test_a_group_goes_on_where_it_stopped(broker: Broker, tmp_path: Path, plateloop: Call) -> None:
    address = f"{broker.address}/{fresh('group')}"
    filled(tmp_path / "s.db", 50)
    assert plateloop("msg2kafka", tmp_path / "s.db", "--kafka", address).returncode == 0
    printed = [
        plateloop(*consuming(broker, address), "--until-end", "--group", fresh("g")).stdout for _ in range(2)
    ]
    assert len(printed[0].splitlines()) == 50 and printed[1] == ""


def test_lines_of_a_file_are_sent_once_though_it_grows(broker: Broker, tmp_path: Path) -> None:
    store = filled(tmp_path / "s.db", 40)
    lines = [item.event.model_dump_json() + "\n" for item in store.select()]
    file = tmp_path / "events.jsonl"
    topic = fresh("lines")
    address = f"{broker.address}/{topic}"
    file.write_text("".join(lines[:30]) + lines[30][:50])
    first = call("msg2kafka", file, "--kafka", address, "--schema", "full")
    assert first.returncode == 0 and first.stdout.startswith("30 events")
    file.write_text("".join(lines) + '{"no": "event"}\n')
    second = call("msg2kafka", file, "--kafka", address, "--schema", "full")
    assert second.returncode == 2 and second.stdout.startswith("10 events")
    assert "1 lines are not events" in second.stderr
    assert len(read(broker, topic)) == 40


def test_a_signal_ends_a_simulation_with_everything_delivered(broker: Broker) -> None:
    topic = fresh("made-up")
    with subprocess.Popen(
        command("msg2kafka", "--simulate", 50, "--kafka", f"{broker.address}/{topic}"),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 60
        while not has_messages(broker, topic, 21):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=15)
    assert process.returncode == 0 and out.endswith("0 waiting\n")
    assert len(read(broker, topic)) == int(out.split()[0]) > 20


def test_tls_and_passwords_are_passed_on_and_told_to_nobody(broker: Broker, tmp_path: Path) -> None:
    if broker.open_to_all:
        pytest.skip(broker.open_to_all)
    filled(tmp_path / "s.db", 20)

    def settings(password: str) -> Path:
        file = tmp_path / f"{password}.properties"
        file.write_text(
            f"security.protocol=SASL_SSL\nssl.ca.location={broker.certificate}\nsasl.mechanism=PLAIN\n"
            f"sasl.username=cam\nsasl.password={password}\n"
        )
        return file

    address = f"{broker.secure}/secret"
    send = ("msg2kafka", tmp_path / "s.db", "--kafka", address, "--kafka-config")
    refused = call(*send, settings("hunter3"), "--patience", 3)
    assert refused.returncode == 1 and "uthentication failed" in refused.stderr
    sent = call(*send, settings("hunter2"))
    assert sent.returncode == 0 and sent.stdout.startswith("20 events")
    back = call("consume", "--kafka", address, "--until-end", "--kafka-config", settings("hunter2"))
    assert back.returncode == 0 and len(back.stdout.splitlines()) == 20
    for done in (refused, sent, back):
        assert "hunter" not in done.stdout + done.stderr


def test_mp4_rtsp_and_kafka_at_once_on_two_streams(
    broker: Broker, passing_cars: Path, rtsp_camera: Callable, start_run: Callable, digests: Callable
) -> None:
    """Cameras by RTSP; the MP4 holds the very pictures that clients of the RTSP see: encoded once."""
    camera, topic = rtsp_camera(passing_cars), fresh("all-at-once")
    tiler = {"width": 640, "height": 360, "fps": 10}
    page = {
        "sources": [{"url": camera, "name": name} for name in ("north", "south")],
        "output": {"layout": "tiled", "rtsp": "127.0.0.1:0/plates", "tiler": tiler},
        "kafka": {"servers": broker.address, "topic": topic},
    }
    run = start_run(page)
    (url,) = [told["message"].split()[-1] for told in run.told if told["message"].startswith("RTSP at ")]
    with ThreadPoolExecutor() as executor:
        clients = [executor.submit(digests, url, 30) for _ in range(2)]
        seen = {digest for client in clients for digest in client.result()}
    deadline = time.monotonic() + 60
    with closing(Store.open(run.folder / "plateloop.db")) as store:
        while len({item.event.source for item in store.select() if item.event.phase == "end"}) < 2:
            assert time.monotonic() < deadline and run.process.poll() is None
            time.sleep(0.1)
        run.process.send_signal(signal.SIGTERM)
        assert run.process.wait(10) == 0
        assert_all_there_in_order(store, read(broker, topic))
    assert len(seen) > 5 and seen <= set(digests(str(run.folder / "tiled.mp4")))
