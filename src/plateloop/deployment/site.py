"""Cameras and the places they look at, as Kafka messages describe them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class SensorConfig(BaseModel):
    """A camera, as Kafka messages describe it."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    id: str | None = Field(None, description="its id; else the source's name")
    type: str = Field("Camera", description="what it is")
    description: str = Field("", description="in words")
    location: tuple[float, float, float] = Field((0, 0, 0), description="latitude, longitude, altitude")
    coordinate: tuple[float, float, float] = Field((0, 0, 0), description="x, y, z in the site's own system")


class PlaceConfig(BaseModel):
    """Where a camera looks, as Kafka messages describe it."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    id: str = Field("0", description="its id")
    name: str = Field("", description="its name")
    type: str = Field("", description="what it is, such as garage or street")
    location: tuple[float, float, float] = Field((0, 0, 0), description="latitude, longitude, altitude")
    coordinate: tuple[float, float, float] = Field((0, 0, 0), description="x, y, z in the site's own system")
    parts: tuple[str, str, str] = Field(("", "", ""), description="id, name and level of the aisle")
