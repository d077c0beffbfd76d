"""Events to MQTT and to a web address: real receivers, which fail, are killed and come again."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from commands import Call
from plateloop.deployment import outbox, push
from plateloop.deployment.lines import simulate
from plateloop.deployment.push import MqttConfig, WebhookConfig, mqtt_courier, webhook_courier
from plateloop.deployment.store import Store
from plateloop.errors import UserError

MOSQUITTO = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_true(condition: Callable[[], bool], patience_s: float = 20) -> None:
    end = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def filled(path: Path, count: int, target: str) -> Store:
    store, made = Store.open(path), simulate(1e9)
    store.load([next(made) for _ in range(count)], [target])
    return store


def assert_all_there_in_order(store: Store, messages: list[dict[str, Any]]) -> None:
    """Nothing lost, and the first copies in the order of the store."""
    first = list(dict.fromkeys((message["id"], message["sequence"]) for message in messages))
    assert first == [(item.event.id, item.sequence) for item in store.select()]


class Receiver(ThreadingHTTPServer):
    """Takes posts; ``failing`` is how many of the next it answers with 503."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int) -> None:
        self.got: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.paths: set[str] = set()
        self.failing = 0
        super().__init__(("127.0.0.1", port), _Handler)
        self.thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        self.thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        receiver, status = self.server, 204
        if receiver.failing:
            receiver.failing -= 1
            status = 503
        else:
            receiver.got.append(json.loads(body))
            receiver.keys.append(self.headers["idempotency-key"])
            receiver.paths.add(self.path)
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def test_a_receiver_that_fails_and_is_restarted_gets_everything_in_order(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    receiver = Receiver(free_port())
    port = receiver.server_address[1]
    config = WebhookConfig(url=f"http://user:hunter2@127.0.0.1:{port}/hook?token=hunter3")
    store = filled(tmp_path / "s.db", 600, f"http://user:***@127.0.0.1:{port}/hook?token=***")
    receiver.failing = 2
    courier = webhook_courier(store, config)
    courier.start()
    while courier.delivered < 100:
        time.sleep(0.01)
    receiver.stop()
    assert 0 < outbox.debts(store)[courier.target] < 600
    time.sleep(0.7)
    again = Receiver(port)
    assert courier.finish(20) == 0
    again.stop()
    assert_all_there_in_order(store, receiver.got + again.got)
    assert len(set(receiver.keys + again.keys)) == 600
    # Nobody can read the passwords; the receiver has them.
    assert again.paths == {"/hook?token=hunter3"}
    assert "answers 503" in caplog.text and "hunter" not in caplog.text + str(outbox.debts(store))


def test_without_a_receiver_the_end_comes_all_the_same(tmp_path: Path) -> None:
    config = WebhookConfig(url=f"http://127.0.0.1:{free_port()}/hook")
    store = filled(tmp_path / "s.db", 10, config.url)
    courier = webhook_courier(store, config)
    courier.start()
    started = time.monotonic()
    assert courier.finish(0.5) == 10 and time.monotonic() - started < 3


class Mosquitto:
    """The broker on loopback, with a user; over TLS at ``secure``, where there is openssl to make its key.

    It keeps its sessions when it is stopped in order; where it ``saves``, on each change.
    """

    def __init__(self, folder: Path, saves: bool = False) -> None:
        assert MOSQUITTO is not None
        self.port, self.secure = free_port(), free_port()
        tool = Path(MOSQUITTO).with_name("mosquitto_passwd")
        passwords = folder / "passwords"
        passwords.touch()
        command = shutil.which("mosquitto_passwd") or str(tool)
        subprocess.run([command, "-b", passwords, "cam", "hunter2"], check=True, capture_output=True)
        passwords.chmod(0o644)
        folder.chmod(0o777)
        self.page = folder / "mosquitto.conf"
        self.page.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\n"
            f"persistence true\npersistence_location {folder}/\nmax_queued_messages 0\nuser root\n"
        )
        if saves:
            # And what it takes it hands on before it acknowledges it.
            with self.page.open("a") as page:
                page.write("autosave_interval 1\nautosave_on_changes true\nmax_inflight_messages 0\n")
        self.certificate = self._certificate(folder)
        self.start()

    def _certificate(self, folder: Path) -> Path | None:
        if shutil.which("openssl") is None:
            return None
        key, certificate = folder / "key.pem", folder / "certificate.pem"
        subprocess.run(
            [
                "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-days", "2", "-keyout", key, "-out", certificate, "-subj", "/CN=127.0.0.1",
                "-addext", "subjectAltName=IP:127.0.0.1",
            ],
            check=True, capture_output=True,
        )  # fmt: skip
        key.chmod(0o644)
        with self.page.open("a") as page:
            page.write(f"listener {self.secure} 127.0.0.1\ncertfile {certificate}\nkeyfile {key}\n")
        return certificate

    def start(self) -> None:
        assert MOSQUITTO is not None
        self.process = subprocess.Popen(
            [MOSQUITTO, "-c", self.page], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError("mosquitto does not start")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)

    def freeze(self) -> None:
        """It stays connected and takes nothing any more."""
        self.process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)


@pytest.fixture
def broker(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Mosquitto]:
    """Mosquitto; one that ``saves`` each change where a test asks for it with the parameter True."""
    pytest.importorskip("paho.mqtt.client", reason="needs the extra mqtt")
    if MOSQUITTO is None:
        pytest.skip("no mosquitto here; .ci/run installs Debian's")
    started = Mosquitto(tmp_path_factory.mktemp("mosquitto"), getattr(request, "param", False))
    yield started
    started.stop()


class Listener:
    """A subscriber with a session that outlives connections."""

    def __init__(self, port: int) -> None:
        from paho.mqtt import client

        self.got: list[dict[str, Any]] = []
        self.client = client.Client(
            client.CallbackAPIVersion.VERSION2, client_id="listener", clean_session=False
        )
        self.client.username_pw_set("cam", "hunter2")
        self.client.reconnect_delay_set(1, 1)
        self.client.on_message = lambda _, __, message: self.got.append(json.loads(message.payload))
        self.client.connect("127.0.0.1", port)
        subscribed = threading.Event()
        self.client.on_subscribe = lambda *_: subscribed.set()
        self.client.subscribe("gate/plates", 1)
        self.client.loop_start()
        assert subscribed.wait(10)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def test_a_broker_that_is_restarted_gets_everything_in_order(
    broker: Mosquitto, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    listener = Listener(broker.port)
    config = MqttConfig(url=f"mqtt://cam:hunter2@127.0.0.1:{broker.port}/gate/plates")
    store, made = Store.open(tmp_path / "s.db"), simulate(1e9)
    store.load([next(made) for _ in range(2000)], [f"mqtt://cam:***@127.0.0.1:{broker.port}/gate/plates"])
    courier = mqtt_courier(store, config)
    courier.start()
    while courier.delivered < 500:
        time.sleep(0.01)
    broker.stop()
    # The run goes on, and what it brings waits.
    store.load([next(made) for _ in range(1000)], [courier.target])
    assert outbox.debts(store)[courier.target] >= 1000
    broker.start()
    assert courier.finish(20) == 0
    await_true(lambda: len({(m["id"], m["sequence"]) for m in listener.got}) >= 3000)
    listener.close()
    assert_all_there_in_order(store, listener.got)
    assert "hunter" not in caplog.text + str(outbox.debts(store))


@pytest.mark.parametrize("broker", [True], indirect=True)
def test_a_broker_killed_with_messages_under_way_loses_nothing(broker: Mosquitto, tmp_path: Path) -> None:
    listener = Listener(broker.port)
    config = MqttConfig(url=f"mqtt://cam:hunter2@127.0.0.1:{broker.port}/gate/plates")
    store, made = Store.open(tmp_path / "s.db"), simulate(1e9)
    courier = mqtt_courier(store, config)
    store.load([next(made) for _ in range(150)], [courier.target])
    courier.start()
    await_true(lambda: courier.delivered >= 20)
    broker.freeze()
    store.load([next(made) for _ in range(150)], [courier.target])
    # Some lie unread in its socket now.
    time.sleep(0.3)
    broker.kill()
    assert outbox.debts(store)[courier.target] >= 150
    broker.start()
    assert courier.finish(20) == 0
    await_true(lambda: len({(m["id"], m["sequence"]) for m in listener.got}) >= 300)
    listener.close()
    assert_all_there_in_order(store, listener.got)


# After a failed handshake paho leaves its socket to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
def test_over_tls_only_to_a_broker_whose_certificate_is_known(
    broker: Mosquitto, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if broker.certificate is None:
        pytest.skip("no openssl to make a certificate with")
    listener = Listener(broker.port)
    url = f"mqtts://cam:hunter2@127.0.0.1:{broker.secure}/gate/plates"
    store = filled(tmp_path / "s.db", 100, f"mqtts://cam:***@127.0.0.1:{broker.secure}/gate/plates")
    stranger = mqtt_courier(store, MqttConfig(url=url))
    stranger.start()
    assert stranger.finish(0.5) == 100 and "self-signed certificate" in caplog.text
    friend = mqtt_courier(store, MqttConfig(url=url, ca=broker.certificate))
    friend.start()
    assert friend.finish(20) == 0
    await_true(lambda: len(listener.got) >= 100)
    listener.close()
    assert_all_there_in_order(store, listener.got)
    assert "hunter" not in caplog.text + str(outbox.debts(store))


def test_certificates_that_cannot_be_read_are_the_users_mistake(tmp_path: Path) -> None:
    pytest.importorskip("paho.mqtt.client", reason="needs the extra mqtt")
    empty = tmp_path / "empty.pem"
    empty.touch()
    for file, why in ((tmp_path / "absent.pem", "No such file"), (empty, "no certificate")):
        with pytest.raises(UserError, match=why):
            push.check(MqttConfig(url="mqtts://host/topic", ca=file), None)


def test_a_broker_that_refuses_says_why(
    broker: Mosquitto, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = MqttConfig(url=f"mqtt://cam:wrong@127.0.0.1:{broker.port}/gate")
    store = filled(tmp_path / "s.db", 5, f"mqtt://cam:***@127.0.0.1:{broker.port}/gate")
    courier = mqtt_courier(store, config)
    courier.start()
    assert courier.finish(1) == 5
    assert "not authorized" in caplog.text.lower() and "wrong" not in caplog.text
    assert len(caplog.records) == 1


@pytest.mark.parametrize("url", ["host", "mqtt://host", "mqtt://host/a/#", "mqtt://host/+/b", "http://h/t"])
def test_what_is_no_mqtt_topic(url: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        MqttConfig(url=url)


def test_a_port_that_is_no_number_is_told_without_the_password() -> None:
    with pytest.raises(UserError, match=r"u:\*\*\*@h:x") as told:
        push.check(None, WebhookConfig(url="http://u:hunter2@h:x/t"))
    assert "hunter2" not in str(told.value)


def test_a_run_delivers_and_the_next_one_sends_what_waited(
    write_video: Callable[..., Path],
    toy_scene: Callable,
    toy_weights: Path,
    tmp_path: Path,
    plateloop: Call,
) -> None:
    pictures = [toy_scene(10 + 10 * number) for number in range(30)]
    clip = write_video("cars.mp4", pictures, fps=10)
    port = free_port()
    run = [
        "run", clip, "--weights", toy_weights, "--no-overlay", "--out", tmp_path / "out",
        "--webhook", f"http://me:hunter2@127.0.0.1:{port}/hook",
        "--set", "webhook.patience_s=0.3", "--set", "fusion.min_length=1", "--json",
    ]  # fmt: skip
    first = plateloop(*run)
    events = [json.loads(line) for line in first.stdout.splitlines()]
    assert first.returncode == 1 and f"{len(events)} events wait in the store for webhook" in first.stderr
    assert events[-1]["phase"] == "end" and "hunter2" not in first.stderr
    receiver = Receiver(port)
    second = plateloop(*run)
    receiver.stop()
    assert (second.returncode, second.stderr) == (0, "")
    told = events + [json.loads(line) for line in second.stdout.splitlines()]
    assert [message["id"] for message in receiver.got] == [event["id"] for event in told]
