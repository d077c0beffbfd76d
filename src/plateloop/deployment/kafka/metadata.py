"""The static file of sensors, places and analytics modules that DeepStream's nvmsgconv reads, as it is.

INI or YAML with groups ``sensorN``, ``placeN`` and ``analyticsN``, where N is the number of a source; numbers
of a location or coordinate are separated by semicolons.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from configparser import ConfigParser
from configparser import Error as IniError
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from plateloop.deployment.sources import SourceConfig
from plateloop.errors import UserError, one_line

Triple = tuple[float, float, float]
ORIGIN: Triple = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Sensor:
    """A camera: latitude, longitude and altitude, and a coordinate of the site's own."""

    id: str
    type: str = "Camera"
    description: str = ""
    location: Triple = ORIGIN
    coordinate: Triple = ORIGIN


@dataclass(frozen=True, slots=True)
class Place:
    """Where a camera looks; ``parts`` are the three fields of an aisle: id, name and level."""

    id: str
    type: str = ""
    name: str = ""
    location: Triple = ORIGIN
    coordinate: Triple = ORIGIN
    parts: tuple[str, str, str] = ("", "", "")


@dataclass(frozen=True, slots=True)
class Module:
    """What has analysed the pictures."""

    id: str
    description: str = ""
    source: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Scenery:
    """Everything a file says, by the number of the source; and what a page says, by the source's name."""

    sensors: Mapping[int, Sensor] = field(default_factory=dict)
    places: Mapping[int, Place] = field(default_factory=dict)
    modules: Mapping[int, Module] = field(default_factory=dict)
    named_sensors: Mapping[str, Sensor] = field(default_factory=dict)
    named_places: Mapping[str, Place] = field(default_factory=dict)

    def number(self, source: str, position: int) -> int:
        """The number that stands for a source: of the sensor of that id, else its own position."""
        named = [number for number, sensor in self.sensors.items() if sensor.id == source]
        return named[0] if named else position

    def sensor(self, source: str, position: int) -> Sensor:
        """The sensor of a source; one that bears the source's name where the file has none."""
        known = self.named_sensors.get(source) or self.sensors.get(self.number(source, position))
        return known or Sensor(id=source, description=source)

    def place(self, source: str, position: int) -> Place | None:
        """The place of a source, if it is known."""
        return self.named_places.get(source) or self.places.get(self.number(source, position))


def with_sources(scenery: Scenery, sources: Iterable[SourceConfig]) -> Scenery:
    """What a file says and, before it, what a page says of its sources."""
    sensors, places = {}, {}
    for source in sources:
        if source.sensor is not None:
            keys = source.sensor.model_dump()
            sensors[source.title] = Sensor(**{**keys, "id": source.sensor.id or source.title})
        if source.place is not None:
            places[source.title] = Place(**source.place.model_dump())
    return replace(scenery, named_sensors=sensors, named_places=places)


def read_scenery(path: Path | None) -> Scenery:
    """Read a file (None: nothing is known). Raises UserError naming the group and the key that is wrong."""
    if path is None:
        return Scenery()
    sensors: dict[int, Sensor] = {}
    places: dict[int, Place] = {}
    modules: dict[int, Module] = {}
    for name, keys in _groups(path).items():
        match = re.fullmatch(r"(sensor|place|analytics)(\d+)", name)
        if match is None or str(keys.get("enable", "1")).strip().lower() in ("0", "false"):
            continue
        number, where = int(match[2]), f"{path}: {name}"
        text = {key: _text(value) for key, value in keys.items()}
        known = {
            key: text[key] for key in ("type", "description", "name", "source", "version") if key in text
        }
        points = {
            key: _triple(text[key], f"{where}.{key}") for key in ("location", "coordinate") if key in text
        }
        identity = text.get("id", str(number))
        try:
            if match[1] == "sensor":
                sensors[number] = Sensor(identity, **known, **points)  # type: ignore[arg-type]
            elif match[1] == "place":
                parts = tuple(text.get(f"place-sub-field{part}", "") for part in (1, 2, 3))
                places[number] = Place(identity, **known, **points, parts=parts)  # type: ignore[arg-type]
            else:
                modules[number] = Module(identity, **known, **points)  # type: ignore[arg-type]
        except TypeError as error:
            raise UserError(f"{where}: {str(error).partition(') ')[2]}") from None
    return Scenery(sensors, places, modules)


def _groups(path: Path) -> dict[str, dict[str, Any]]:
    try:
        content = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() in (".yaml", ".yml"):
            # As text: an id such as 007 must keep its zeros.
            data = yaml.load(content, yaml.BaseLoader)
            groups = data if isinstance(data, dict) else None
        else:
            parser = ConfigParser(interpolation=None, strict=False, delimiters=("=",))
            parser.read_string(content)
            groups = {name: dict(parser[name]) for name in parser.sections()}
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except (yaml.YAMLError, IniError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: neither INI nor YAML: {one_line(error)}") from None
    if groups is None or not all(isinstance(keys, dict) for keys in groups.values()):
        raise UserError(f"{path}: not groups of keys such as sensor0 with its id")
    return groups


def _text(value: Any) -> str:
    text = str(value).strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def _triple(text: str, where: str) -> Triple:
    try:
        x, y, z = (float(part) for part in text.rstrip("; ").split(";"))
    except ValueError:
        raise UserError(f"{where}: expected three numbers x;y;z, not {text!r}") from None
    return x, y, z
