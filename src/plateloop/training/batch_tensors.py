"""Batches of any make: tensors, and tuples and dataclasses of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor


def tensors_of(batch: Any) -> Iterator[Tensor]:
    """All tensors of ``batch``, in a fixed order.

    Raises TypeError for a batch that holds anything else.
    """
    if isinstance(batch, Tensor):
        yield batch
    elif isinstance(batch, tuple):
        for part in batch:
            yield from tensors_of(part)
    elif is_dataclass(batch):
        for field in fields(batch):
            yield from tensors_of(getattr(batch, field.name))
    else:
        raise TypeError(f"a batch consists of tensors, tuples and dataclasses, not of {type(batch).__name__}")


def mapped(batch: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """A batch like ``batch`` whose every tensor is what ``change`` makes of it."""
    if isinstance(batch, Tensor):
        return change(batch)
    if isinstance(batch, tuple):
        return tuple(mapped(part, change) for part in batch)
    return type(batch)(*(mapped(getattr(batch, field.name), change) for field in fields(batch)))
