"""Writes the folder."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from plateloop.deployment.config import PipelineConfig
from plateloop.deployment.deepstream.app import app_groups, sources
from plateloop.deployment.deepstream.networks import IDS, Groups, header, ini, listed, nvinfer
from plateloop.deployment.kafka.metadata import Scenery, read_scenery, with_sources
from plateloop.errors import UserError
from plateloop.runtime.card import Card, Task, card_path, load_card, onnx_path

CARRIED = {
    "sources",
    "networks.weights",
    "networks.plate_score",
    "networks.latency_s",
    "schedule.interval",
    "output.overlay",
    "kafka.servers",
    "kafka.topic",
    "kafka.payload",
    "kafka.sensors",
}
"""The keys of a page that the folder holds too."""


def export_deepstream(page: PipelineConfig, out: Path) -> list[str]:
    """Write a folder for deepstream-app into ``out``; returns the page's keys that it does not hold.

    Raises UserError, with nothing written, where ``out`` holds something already, a network is missing or a
    source cannot be read there.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: exists and is not empty; give another --out")
    paths = {task: card_path(task, page.networks.weights) for task in IDS}
    cards = {task: load_card(path) for task, path in paths.items()}
    graphs = {task: onnx_path(path, cards[task]).read_bytes() for task, path in paths.items()}
    texts = _texts(page, cards)
    out.mkdir(parents=True, exist_ok=True)
    for task, graph in graphs.items():
        (out / f"{task}.onnx").write_bytes(graph)
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8")
    # Addresses of cameras hold passwords.
    (out / "deepstream_app.txt").chmod(0o600)
    return sorted(
        key for key in _given(page.model_dump(mode="json", exclude_defaults=True)) if not _held(key, page)
    )


def _texts(page: PipelineConfig, cards: dict[Task, Card]) -> dict[str, str]:
    """Every file but the graphs."""
    count = len(sources(page))
    score = page.networks.plate_score
    thresholds: dict[Task, float] = {task: card.score_threshold for task, card in cards.items()}
    thresholds["lprnet"] = thresholds["colornet"] = 0.0  # the runtime gives every reading with its confidence
    if score is not None:
        thresholds["lpdnet"] = score
    batches = {"tcnet": count, "lpdnet": 16, "lprnet": 16, "colornet": 16}
    texts = {
        f"config_{task}.txt": ini(nvinfer(card, cards, batches[task], thresholds[task]))
        for task, card in cards.items()
    }
    texts["deepstream_app.txt"] = ini(app_groups(page, len(cards["tcnet"].labels)))
    for task in ("tcnet", "lpdnet", "colornet"):
        texts[f"labels_{task}.txt"] = "\n".join(cards[task].labels) + "\n"
    texts["dict.txt"] = "\n".join(cards["lprnet"].alphabet) + "\n"
    texts["plateloop_cards.h"] = header(cards)
    templates = files("plateloop.deployment.deepstream") / "templates"
    for name in ("plateloop_parsers.cpp", "plateloop_app.py", "Makefile", "README.md"):
        texts[name] = (templates / name).read_text(encoding="utf-8")
    if page.kafka is not None:
        texts["kafka.txt"] = ini({"message-broker": {"partition-key": _partition(page)}})
        scenery = with_sources(read_scenery(page.kafka.sensors), sources(page))
        texts["msgconv.txt"] = ini(_scenery(page, scenery))
    return texts


def _partition(page: PipelineConfig) -> str:
    return "sensorId" if page.kafka is not None and page.kafka.payload == "minimal" else "sensor.id"


def _scenery(page: PipelineConfig, scenery: Scenery) -> Groups:
    """nvmsgconv's static file: sensor, place and analytics module of each source, by its number."""
    groups: Groups = {}
    for number, source in enumerate(sources(page)):
        sensor, place = scenery.sensor(source.title, number), scenery.place(source.title, number)
        groups[f"sensor{number}"] = {
            "enable": 1,
            "type": sensor.type,
            "id": sensor.id,
            "location": listed(sensor.location),
            "description": sensor.description,
            "coordinate": listed(sensor.coordinate),
        }
        if place is not None:
            groups[f"place{number}"] = {
                "enable": 1,
                "id": place.id,
                "type": place.type,
                "name": place.name,
                "location": listed(place.location),
                "coordinate": listed(place.coordinate),
                **{f"place-sub-field{index}": part for index, part in enumerate(place.parts, 1)},
            }
        module = scenery.modules.get(scenery.number(source.title, number))
        if module is not None:
            groups[f"analytics{number}"] = {
                "enable": 1,
                "id": module.id,
                "description": module.description,
                "source": module.source,
                "version": module.version,
            }
    return groups


def _given(data: dict[str, Any], place: str = "") -> Iterator[str]:
    """The dotted keys of a page that differ from the defaults; of sources their keys, each once."""
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _given(value, f"{place}{key}.")
        elif key == "sources":
            yield from {f"sources.{name}" for source in value for name in source}
        else:
            yield f"{place}{key}"


def _held(key: str, page: PipelineConfig) -> bool:
    if key in ("sources.sensor", "sources.place"):
        return page.kafka is not None
    return key in CARRIED or key in ("sources.url", "sources.name", "sources.transport")
