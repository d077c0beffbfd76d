"""The model card: what a network is, and all that is needed to run it. It lies beside the ONNX as YAML."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from plateloop.errors import UserError, one_line
from plateloop.files import atomic, read_yaml

Task = Literal["tcnet", "lpdnet", "lprnet", "colornet"]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Input(_Strict):
    """How pixels enter the network: ``scale * (x - mean)``, x in 0..255."""

    width: int = Field(description="width of the network's input, pixels")
    height: int = Field(description="height of the network's input, pixels")
    color_order: Literal["RGB", "BGR"] = Field(default="RGB", description="order of the three channels")
    mean: tuple[float, float, float] = Field(default=(0, 0, 0), description="subtracted per channel, 0..255")
    scale: float = Field(default=1 / 255, description="one factor for all channels, applied after the mean")
    resize: Literal["letterbox", "stretch"] = Field(
        description="letterbox: keep the aspect, pad black at right and bottom; stretch: fill the input"
    )
    margin: float = Field(
        default=0.0, description="share of the box's (or plate's) own size added on each side of a crop"
    )


class Training(_Strict):
    """Where the weights come from."""

    sources: dict[str, str] = Field(description="name of each data source → its licence as stated there")
    samples: int = Field(description="distinct training pictures (synthetic ones not counted)")
    recipe: dict[str, Any] = Field(description="the training configuration, whole")
    started_from: str | None = Field(
        default=None, description="sha256 of the ONNX that training started from"
    )
    seed: int
    date: str = Field(description="ISO date on which training ended")
    hardware: str
    minutes: float = Field(description="wall-clock minutes on that hardware")


class Card(_Strict):
    """A network's model card, which is also the runtime's configuration of it."""

    task: Task
    description: str
    onnx: str = Field(description="file name of the ONNX beside the card")
    sha256: str = Field(description="of that file, lower-case hex")
    input: Input
    outputs: tuple[str, ...] = Field(description="names of the graph's outputs, in order")
    labels: tuple[str, ...] = Field(
        default=(), description="tcnet, lpdnet, colornet: class names in output order"
    )
    alphabet: str = Field(default="", description="lprnet: characters in output order, after the CTC blank")
    regions: tuple[str, ...] = Field(default=(), description="lprnet: regions in output order")
    score_threshold: float = Field(default=0.3, description="detections or readings below it are dropped")
    nms_threshold: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.6, description="IoU above which the lower-scored of two boxes is dropped"
    )
    temperature: float = Field(
        default=1.0, description="divides the logits, fitted on val: calibrates confidences"
    )
    gflops: float = Field(description="cost of one input; one multiply-add is 2 FLOPs")
    parameters: int
    precision: Literal["fp32", "fp16", "int8"] = Field(
        default="fp32", description="of the weights and of the arithmetic"
    )
    made_from: str | None = Field(
        default=None, description="sha256 of the FP32 ONNX that was quantized into this one"
    )
    training: Training
    metrics: dict[str, dict[str, float]] = Field(
        default_factory=dict, description="set name (such as 'test/hermes_TW') → metric → value"
    )
    limits: str = Field(default="", description="what the network cannot do, seen on its errors")


def load_card(path: Path) -> Card:
    """Read and check the card at ``path``.

    Raises UserError where the file is missing or does not describe a network.
    """
    try:
        return Card.model_validate(read_yaml(path))
    except FileNotFoundError:
        raise UserError(f"{path}: no such model card") from None
    except (yaml.YAMLError, ValidationError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a valid model card: {one_line(error)}") from None


def save_card(card: Card, path: Path) -> None:
    """Write ``card`` to ``path`` as YAML, keys in the class's order."""
    data = card.model_dump(mode="json")
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=110)
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8")


def package_card(task: Task) -> Path:
    """The path of the card of the network that ships with plateloop."""
    return Path(str(files("plateloop.weights"))) / f"{task}.yaml"


def card_path(task: Task, weights: Path | None = None) -> Path:
    """The path of ``task``'s card in the folder ``weights``, or the packaged one where that has none."""
    own = None if weights is None else weights / f"{task}.yaml"
    return own if own is not None and own.is_file() else package_card(task)


def file_sha256(path: Path) -> str:
    """What a card says of its ONNX: the SHA-256 of the file at ``path``, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def onnx_path(card_path: Path, card: Card) -> Path:
    """The ONNX beside the card, checked against its sha256.

    Raises UserError where it is missing or is not the file that the card describes.
    """
    path = card_path.parent / card.onnx
    if not path.is_file():
        raise UserError(f"{path}: missing, though {card_path.name} names it; reinstall or export it again")
    if file_sha256(path) != card.sha256:
        raise UserError(f"{path}: not the file that {card_path.name} describes (sha256 differs)")
    return path
