"""Events to an MQTT broker or to a web address, as lines of JSON; marked once they are acknowledged."""

from __future__ import annotations

import logging
import ssl
import time
from collections import deque
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field

from plateloop.deployment.courier import Courier, LinkError
from plateloop.deployment.lines import as_line
from plateloop.deployment.store import Store, Stored
from plateloop.errors import UserError, one_line
from plateloop.passwords import redact

# What a broker may take for its answer to a new connection, and after how long without a sign it is gone.
ANSWER_S = 5.0
KEEPALIVE_S = 15


class MqttConfig(BaseModel):
    """A topic of an MQTT broker. Messages have QoS 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(
        pattern=r"^mqtts?://[^\s/?#]+/[^\s#+?]+$",
        description="mqtt://[USER:PASSWORD@]HOST[:PORT]/TOPIC; mqtts: over TLS",
    )
    ca: Path | None = Field(
        None,
        description="PEM file of the authority that signed a mqtts broker's certificate; else the system's",
    )
    patience_s: float = Field(
        5.0, ge=0, description="seconds without an acknowledgement after which the end of a run stops waiting"
    )


class WebhookConfig(BaseModel):
    """A web address that each event is posted to; any answer of 200 to 299 acknowledges it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(pattern=r"^https?://[^\s/?#]+\S*$", description="http or https address")
    timeout_s: float = Field(3.0, gt=0, description="seconds to wait for an answer")
    patience_s: float = Field(
        5.0, ge=0, description="seconds without an acknowledgement after which the end of a run stops waiting"
    )


def mqtt_courier(store: Store, config: MqttConfig) -> Courier:
    """Delivers to an MQTT topic."""
    name = redact(config.url)
    return Courier(store, name, f"MQTT {name}", partial(_Mqtt, config), config.patience_s)


def webhook_courier(store: Store, config: WebhookConfig) -> Courier:
    """Delivers to a web address."""
    name = redact(config.url)
    return Courier(store, name, f"webhook {name}", partial(_Webhook, config), config.patience_s)


def check(mqtt: MqttConfig | None, webhook: WebhookConfig | None) -> None:
    """Raise UserError where a package is missing, an address is none, or certificates cannot be read."""
    for config, need in ((mqtt, _paho), (webhook, _httpx)):
        if config is not None:
            need()
            try:
                _ = urlsplit(config.url).port
            except ValueError:
                raise UserError(f"{redact(config.url)}: not an address; its port is no number") from None
    if mqtt is not None:
        _trust(mqtt)


class _Mqtt:
    # Several messages are under way at once; the broker keeps and acknowledges them in order.

    def __init__(self, config: MqttConfig) -> None:
        self.trouble: str | None = None
        paho, place = _paho(), urlsplit(config.url)
        secure = place.scheme == "mqtts"
        self._topic = unquote(place.path[1:])
        self._sent: deque[tuple[int, Any]] = deque()
        self._refusal: str | None = None
        # A connection that was lost is a new link's matter, which begins with what was not acknowledged.
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
        self._client.on_connect = self._answered
        if place.username is not None:
            password = unquote(place.password) if place.password is not None else None
            self._client.username_pw_set(unquote(place.username), password)
        if secure:
            self._client.tls_set_context(_trust(config))
        try:
            self._client.connect(place.hostname or "", place.port or (8883 if secure else 1883), KEEPALIVE_S)
        except (OSError, ValueError) as error:
            raise LinkError(_why(error)) from None
        self._client.loop_start()
        end = time.monotonic() + ANSWER_S
        while not self._client.is_connected():
            if self._refusal is not None or time.monotonic() > end:
                self.close()
                raise LinkError(self._refusal or "does not answer")
            time.sleep(0.01)

    def send(self, item: Stored) -> None:
        self._sent.append((item.row, self._client.publish(self._topic, as_line(item).encode(), qos=1)))

    def poll(self, seconds: float) -> Sequence[int]:
        end = time.monotonic() + seconds
        while not (rows := self._arrived()) and time.monotonic() < end:
            if not self._client.is_connected():
                raise LinkError(self._refusal or "the connection is lost")
            time.sleep(0.005)
        return rows

    def close(self) -> Sequence[int]:
        self._client.disconnect()
        self._client.loop_stop()
        return self._arrived()

    def _arrived(self) -> list[int]:
        rows = []
        while self._sent and self._sent[0][1].rc == 0 and self._sent[0][1].is_published():
            rows.append(self._sent.popleft()[0])
        return rows

    def _answered(self, _: Any, __: Any, ___: Any, reason: Any, ____: Any) -> None:
        if reason.is_failure:
            self._refusal = str(reason).lower()


class _Webhook:
    # One event after the other: only then is there an order.

    def __init__(self, config: WebhookConfig) -> None:
        self.trouble: str | None = None
        self._httpx = _httpx()
        # It would log addresses with their passwords.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self._url = config.url
        self._client = self._httpx.Client(timeout=config.timeout_s)
        self._waiting: deque[Stored] = deque()
        self._arrived: list[int] = []

    def send(self, item: Stored) -> None:
        self._waiting.append(item)

    def poll(self, seconds: float) -> Sequence[int]:
        end = time.monotonic() + max(seconds, 0.1)
        while self._waiting and time.monotonic() < end:
            self._post(self._waiting[0])
            self._arrived.append(self._waiting.popleft().row)
        if not self._arrived:
            time.sleep(seconds)
        rows, self._arrived = self._arrived, []
        return rows

    def close(self) -> Sequence[int]:
        self._client.close()
        return self._arrived

    def _post(self, item: Stored) -> None:
        headers = {
            "content-type": "application/json",
            "idempotency-key": f"{item.event.id}/{item.sequence}".encode("ascii", "replace").decode(),
        }
        try:
            answer = self._client.post(self._url, content=as_line(item).encode(), headers=headers)
        except (self._httpx.HTTPError, self._httpx.InvalidURL, OSError) as error:
            raise LinkError(_why(error)) from None
        if not answer.is_success:
            raise LinkError(f"answers {answer.status_code}")


def _trust(config: MqttConfig) -> ssl.SSLContext:
    """Whom a broker's certificate may come from. Raises UserError where ``config.ca`` holds none."""
    try:
        return ssl.create_default_context(cafile=config.ca)
    except OSError as error:
        reason = "holds no certificate in PEM" if isinstance(error, ssl.SSLError) else error.strerror
        raise UserError(f"mqtt.ca: {config.ca}: {reason}") from None


def _why(error: Exception) -> str:
    return redact(one_line(error) or type(error).__name__)


def _paho() -> Any:
    try:
        from paho.mqtt import client
    except ModuleNotFoundError:
        raise UserError("MQTT needs the Python package paho-mqtt: pip install 'plateloop[mqtt]'") from None
    return client


def _httpx() -> Any:
    try:
        import httpx
    except ModuleNotFoundError:
        raise UserError(
            "a webhook needs the Python package httpx: pip install 'plateloop[webhook]'"
        ) from None
    return httpx
