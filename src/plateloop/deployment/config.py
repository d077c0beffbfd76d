"""The page that declares a pipeline: every key with its default and meaning."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator
from pydantic.fields import FieldInfo

from plateloop.deployment.cluster.config import RayConfig
from plateloop.deployment.fusion import FusionConfig
from plateloop.deployment.kafka.config import KafkaConfig
from plateloop.deployment.overrides import apply
from plateloop.deployment.page.config import HttpConfig
from plateloop.deployment.passages import PassageConfig
from plateloop.deployment.push import MqttConfig, WebhookConfig
from plateloop.deployment.schedule import ScheduleConfig
from plateloop.deployment.sinks.mp4 import Mp4Config
from plateloop.deployment.sinks.pictures import PicturesConfig
from plateloop.deployment.sinks.probe import ProbeConfig
from plateloop.deployment.sinks.rtsp import parse_place
from plateloop.deployment.sources import SourceConfig
from plateloop.deployment.tiler import TilerConfig
from plateloop.deployment.tracking import TrackerConfig
from plateloop.errors import UserError, one_line


class NetworksConfig(BaseModel):
    """The networks and the device they run on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: Path | None = Field(None, description="folder of cards and ONNX files; else the package's")
    device: str = Field("cpu", description="cpu, cuda, tensorrt, openvino…")
    threads: int = Field(0, ge=0, description="CPU threads for the networks; 0: all cores but one")
    plate_score: float | None = Field(
        None, ge=0, le=1, description="replaces lpdnet's score threshold; tcnet's are the tracker's"
    )
    batch: int = Field(8, ge=1, description="frames that go through the networks together at most")
    latency_s: float = Field(0.05, ge=0, description="longest time that a frame waits for others to join it")


class OutputConfig(BaseModel):
    """What is written, and where."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path | None = Field(None, description="where everything goes; else runs/run-DATE-TIME")
    overlay: bool = Field(True, description="write an annotated MP4 of each source")
    layout: Literal["streams", "tiled", "both"] = Field(
        "streams", description="streams: an MP4 of each; tiled: one, tiled.mp4, of all side by side; or both"
    )
    trails: bool = Field(True, description="draw where each vehicle came from")
    mp4: Mp4Config = Field(default_factory=Mp4Config, description="encoding of annotated video")
    tiler: TilerConfig = Field(default_factory=TilerConfig, description="see there")
    rtsp: str | None = Field(
        None,
        description="RTSP of all streams side by side: [USER:PASSWORD@][HOST]:PORT/PATH to serve at (without "
        "a host for this machine alone), or rtsp://[USER:PASSWORD@]HOST:PORT/PATH of an RTSP server to push "
        "to; off unless given",
    )
    pictures: bool = Field(False, description="write pictures of each event's plate and vehicle")
    picture: PicturesConfig = Field(
        default_factory=PicturesConfig, description="what these are like, and how long they are kept"
    )
    store: str | None = Field(
        None, description="database URL or SQLite file of the event store; else plateloop.db in the folder"
    )

    @field_validator("rtsp")
    @classmethod
    def _is_place(cls, value: str | None) -> str | None:
        try:
            if value is not None:
                parse_place(value)
        except UserError as error:
            raise ValueError(str(error)) from None
        return value

    @property
    def tiles(self) -> bool:
        """Whether the streams are wanted side by side."""
        return self.rtsp is not None or (self.overlay and self.layout != "streams")


def _as_probe(value: object) -> object:
    # ``probe: package.module:function`` is called with each frame.
    return {"frame": value} if isinstance(value, str) else value


class PipelineConfig(BaseModel):
    """A whole pipeline."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sources: tuple[SourceConfig, ...] = Field((), description="where pictures come from")
    networks: NetworksConfig = Field(default_factory=NetworksConfig, description="see there")
    schedule: ScheduleConfig = Field(default_factory=ScheduleConfig, description="see there")
    tracker: TrackerConfig = Field(default_factory=TrackerConfig, description="see there")
    fusion: FusionConfig = Field(default_factory=FusionConfig, description="see there")
    events: PassageConfig = Field(default_factory=PassageConfig, description="see there")
    output: OutputConfig = Field(default_factory=OutputConfig, description="see there")
    kafka: KafkaConfig | None = Field(None, description="topic that all events go to; none unless given")
    mqtt: MqttConfig | None = Field(None, description="MQTT topic that all events go to; none unless given")
    webhook: WebhookConfig | None = Field(
        None, description="web address that all events are posted to; none unless given"
    )
    http: HttpConfig | None = Field(
        None, description="serve the live page, metrics and checks of health; not unless given"
    )
    ray: RayConfig | None = Field(
        None, description="Ray cluster that the sources are spread over; none unless given"
    )
    probe: Annotated[ProbeConfig | None, BeforeValidator(_as_probe)] = Field(
        None,
        description="your own Python functions; package.module:function alone is called with each frame",
    )
    queue: int = Field(8, ge=1, description="decoded frames that wait for each source, and for each sink")


def load_config(
    path: Path | None,
    sources: Sequence[str] = (),
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    settings: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> PipelineConfig:
    """Read and check a page (None: all defaults), with more ``sources`` (urls) and what overrides it.

    The environment (``environ``, else the process's) overrides the page, ``settings`` (``section.key=value``)
    that, and ``overrides`` all: section → key → value, None for a value that was not given. Raises UserError
    naming the key (and the likeliest intended one) where something is unknown or wrong.
    """
    data = _read(path) if path is not None else {}
    data["sources"] = [*(data.get("sources") or ()), *({"url": url} for url in sources)]
    apply(data, settings, os.environ if environ is None else environ)
    for section, values in (overrides or {}).items():
        given = {key: value for key, value in values.items() if value is not None}
        if given:
            data[section] = {**(data.get(section) or {}), **given}
    try:
        return PipelineConfig.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise UserError(f"{path or 'settings'}: {_explain(first)}") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not YAML: {one_line(error)}") from None
    if not isinstance(data, dict | None):
        raise UserError(f"{path}: not a page of settings (key: value)")
    return data or {}


def _explain(error: Any) -> str:
    *place, name = error["loc"]
    where = ".".join(str(part) for part in error["loc"])
    known = _fields(PipelineConfig, place)
    if error["type"] == "extra_forbidden":
        close = get_close_matches(str(name), known, 1)
        return f"{where}: unknown key" + (f"; did you mean {close[0]}?" if close else "")
    if error["type"] == "missing" and name in known:
        return f"{where}: not given: {known[name].description}"
    if error["type"] == "string_pattern_mismatch" and name in known:
        return f"{where}: expected {known[name].description}"
    said = error["msg"].removeprefix("Value error, ")
    return f"{where}: {said[0].lower()}{said[1:]}"


def _fields(model: type[BaseModel], place: list[Any]) -> Mapping[str, FieldInfo]:
    # What is allowed at a place of the page; list positions on the way are passed over.
    for part in place:
        if isinstance(part, int):
            continue
        annotation: Any = model.model_fields[part].annotation
        inner = annotation if isinstance(annotation, type) else annotation.__args__[0]
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return {}
        model = inner
    return model.model_fields
