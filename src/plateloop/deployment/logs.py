"""Logs of a run on stderr: lines for people or JSON for machines, without passwords."""

from __future__ import annotations

import json
import logging
from contextvars import ContextVar
from typing import Literal

from plateloop.deployment.lines import timestamp
from plateloop.passwords import redact

source: ContextVar[str | None] = ContextVar("source", default=None)
"""The source that the current thread works for."""


def configure(handler: logging.Handler, form: Literal["text", "json"], level: int) -> None:
    """Send all records of ``level`` and above to ``handler``, and nowhere else."""
    handler.addFilter(clean)
    handler.setFormatter(_Json() if form == "json" else _Text())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # The clients of other libraries talk much of what they are about to do.
    for name in ("asyncio", "uvicorn.access", "sqlalchemy.pool"):
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def clean(record: logging.LogRecord) -> bool:
    """Passes all; gives a record its text, without passwords, and the ``source`` that it is about."""
    record.msg, record.args = redact(record.getMessage()), ()
    if record.exc_info:
        record.exc_text = redact(logging.Formatter().formatException(record.exc_info))
    record.source = source.get()
    return True


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"plateloop: {record.msg}" + (f"\n{record.exc_text}" if record.exc_text else "")


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "source": record.__dict__["source"],
            "message": record.msg,
        }
        if record.exc_text:
            fields["exception"] = record.exc_text
        return json.dumps(fields, ensure_ascii=False)
