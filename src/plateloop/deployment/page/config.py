"""Settings of what a run serves over HTTP."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator

from plateloop.errors import UserError
from plateloop.web import parse_address


class HttpConfig(BaseModel):
    """The live page, Prometheus' metrics and the checks of health."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    listen: str = Field(
        "127.0.0.1:9100", description="HOST:PORT to serve on; 0.0.0.0 is for all who can reach"
    )
    names: tuple[str, ...] = Field(
        (), description="host names by which it may be called; none: loopback's there, else any"
    )

    control: bool = Field(
        False,
        description="let whoever can reach it add and remove sources; the run then ends when it is told to",
    )

    @field_validator("listen")
    @classmethod
    def _is_address(cls, value: str) -> str:
        try:
            parse_address(value)
        except UserError as error:
            raise ValueError(str(error)) from None
        return value
