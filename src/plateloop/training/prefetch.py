"""Makes batches in a thread, on a stream of its own, while the step before still runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from queue import Full, Queue
from types import TracebackType
from typing import Any

import torch

from plateloop.training.batch_tensors import tensors_of


class Prefetch(Iterator[Any]):
    """``batches``, up to ``depth`` of them ahead. Use as a context manager, which ends the thread.

    An error in ``batches`` is raised where the batch is asked for. ``pause`` is a lock: while it is held no
    batch is in the making.
    """

    def __init__(self, batches: Iterator[Any], device: torch.device, depth: int = 2) -> None:
        self._batches = batches
        self._device = device
        self._ready: Queue[tuple[Any, torch.cuda.Event | None]] = Queue(depth)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._make, name="prefetch", daemon=True)
        self.pause = threading.Lock()

    def __enter__(self) -> Prefetch:
        if self._device.type == "cuda":
            # What the batches are made of was written on the stream that is current here.
            torch.cuda.synchronize(self._device)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def __iter__(self) -> Prefetch:
        return self

    def __next__(self) -> Any:
        batch, made = self._ready.get()
        if isinstance(batch, BaseException):
            raise batch
        if made is not None:
            stream = torch.cuda.current_stream(self._device)
            stream.wait_event(made)
            for tensor in tensors_of(batch):
                # Its memory must not be given away before this stream has read it.
                tensor.record_stream(stream)
        return batch

    def _stream(self) -> AbstractContextManager[Any]:
        if self._device.type != "cuda":
            return nullcontext()
        torch.cuda.set_device(self._device)
        return torch.cuda.stream(torch.cuda.Stream(self._device))  # type: ignore[no-untyped-call]

    def _make(self) -> None:
        with self._stream():
            while not self._stop.is_set():
                made = None
                try:
                    with self.pause:
                        batch = next(self._batches)
                        if self._device.type == "cuda":
                            made = torch.cuda.Event()  # type: ignore[no-untyped-call]
                            made.record()
                except BaseException as error:
                    batch = error
                while not self._stop.is_set():
                    try:
                        self._ready.put((batch, made), timeout=0.1)
                        break
                    except Full:
                        continue
                if isinstance(batch, BaseException):
                    return
