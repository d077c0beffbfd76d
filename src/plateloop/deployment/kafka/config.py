"""Where events go in Kafka, and in which form."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from plateloop.errors import UserError

Schema = Literal["custom", "full", "minimal"]
TOPIC = "plateloop"


class KafkaConfig(BaseModel):
    """A topic of a Kafka cluster, and the form in which events go there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    servers: str = Field(pattern=r"^[^\s,/@]+:\d+(,[^\s,/@]+:\d+)*$", description="HOST:PORT, more by commas")
    topic: str = Field(TOPIC, pattern=r"^[A-Za-z0-9._-]{1,249}$", description="topic")
    payload: Schema = Field("custom", description="schema of the messages: custom, full or minimal")
    sensors: Path | None = Field(
        None, description="nvmsgconv's file of sensors, places and analytics modules"
    )
    settings: Path | None = Field(
        None, description="properties file of more librdkafka settings (TLS, SASL, compression.type…)"
    )
    patience_s: float = Field(
        5.0, ge=0, description="seconds without an acknowledgement after which the end of a run stops waiting"
    )

    @property
    def target(self) -> str:
        """The name of this receiver in the outbox."""
        return f"kafka:{self.servers}/{self.topic}"


def parse_address(text: str) -> tuple[str, str]:
    """``HOST:PORT[,HOST:PORT…][/TOPIC]`` → servers and topic (``plateloop`` unless given)."""
    servers, _, topic = text.partition("/")
    try:
        config = KafkaConfig(servers=servers, topic=topic or TOPIC)
    except ValueError:
        shown = text if "@" not in text else f"…@{text.rpartition('@')[2]}"
        raise UserError(f"{shown}: not a Kafka address; expected HOST:PORT or HOST:PORT/TOPIC") from None
    return config.servers, config.topic


class Properties(dict[str, str]):
    """Settings read from a file; shows no values, for some are passwords."""

    def __repr__(self) -> str:
        return f"Properties({', '.join(self)})"

    @classmethod
    def read(cls, path: Path | None) -> Self:
        """Read ``key=value`` lines; ``#`` begins a comment line. Raises UserError naming the line."""
        found = cls()
        if path is None:
            return found
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: cannot be read ({error})") from None
        for number, line in enumerate(map(str.strip, lines), 1):
            if not line or line.startswith(("#", "!")):
                continue
            key, separator, value = line.partition("=")
            if not separator:
                raise UserError(f"{path}, line {number}: expected key=value")
            found[key.strip()] = value.strip()
        return found
