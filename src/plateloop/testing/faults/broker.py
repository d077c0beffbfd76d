"""A Kafka broker of its own that can be stopped, killed and started again on the same data."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from plateloop.deployment.kafka.delivery import client
from plateloop.errors import UserError

# Any valid one will do: the cluster has one node and lives as long as the test.
_CLUSTER = "MkU3OEVBNTcwNTJENDM2Qg"


def absence() -> str | None:
    """Why no broker can be started here; None where one can."""
    if "KAFKA_HOME" not in os.environ:
        return "no broker: set KAFKA_HOME to the folder of a Kafka distribution"
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        return "no Java, which Kafka needs"
    try:
        client()
    except UserError as error:
        return str(error)
    return None


class Broker:
    """Apache Kafka from ``KAFKA_HOME`` as one KRaft node on two free loopback ports, data in ``folder``."""

    def __init__(self, folder: Path) -> None:
        """Starts it. Raises OSError where it does not come up."""
        self._home, self._folder = Path(os.environ["KAFKA_HOME"]), folder.absolute()
        folder.mkdir(parents=True, exist_ok=True)
        port, controller = _free_port(), _free_port()
        self.address = f"127.0.0.1:{port}"
        text = (self._home / "config" / "server.properties").read_text(encoding="utf-8")
        text = text.replace("9092", str(port)).replace("9093", str(controller))
        text += f"\nlog.dirs={self._folder / 'data'}\ngroup.initial.rebalance.delay.ms=0\n"
        self._properties = self._folder / "server.properties"
        self._properties.write_text(text, encoding="utf-8")
        storage = self._home / "bin" / "kafka-storage.sh"
        subprocess.run(
            [storage, "format", "-t", _CLUSTER, "-c", self._properties], check=True, capture_output=True
        )
        self.start()

    def start(self, patience_s: float = 90.0) -> None:
        """Start it, and wait until it answers."""
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        with (self._folder / "log").open("ab") as log:
            server = self._home / "bin" / "kafka-server-start.sh"
            self._process = subprocess.Popen([server, self._properties], stdout=log, stderr=log)
        quiet = logging.getLogger("plateloop.testing.broker")
        quiet.setLevel(logging.CRITICAL)
        asked = AdminClient({"bootstrap.servers": self.address}, logger=quiet)
        deadline = time.monotonic() + patience_s
        while True:
            try:
                asked.list_topics(timeout=1)
                return
            except KafkaException:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise OSError(f"the broker does not start; see {self._folder / 'log'}") from None

    def stop(self) -> None:
        """End it as an operator would (SIGTERM)."""
        self._process.terminate()
        self._process.wait()

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._process.kill()
        self._process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
