"""Settings of a run over a Ray cluster."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator


class RayConfig(BaseModel):
    """A Ray cluster that the sources are spread over."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    address: str = Field(description="HOST:PORT of the cluster's head, ray://HOST:PORT, auto or local")
    cores: int = Field(2, ge=1, description="processor cores that each pipeline takes of a machine")
    gpus: float = Field(0.0, ge=0, description="GPUs that each takes; 0.25: four pipelines share one")
    attempts: int = Field(
        3, ge=1, description="times that a recording is begun, if all that read it die, before it is given up"
    )

    @field_validator("gpus")
    @classmethod
    def _is_share_or_whole(cls, value: float) -> float:
        if value > 1 and value != int(value):
            raise ValueError("a share of one GPU, or a whole number of them")
        return value
