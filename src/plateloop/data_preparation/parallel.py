"""The one place where work on pictures is spread: over this machine's cores, or over a Ray cluster."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from plateloop.cluster import connected, machines
from plateloop.cores import cores
from plateloop.errors import UserError

A = TypeVar("A")
B = TypeVar("B")

PARCEL = 32
"""Items that travel together to a worker of the cluster, unless told otherwise."""

# Parcels for each core of the cluster.
UNDER_WAY = 2


def each(
    function: Callable[[A], B],
    items: Iterable[A],
    ray: str | None = None,
    folders: Sequence[Path] = (),
    parcel: int = PARCEL,
    threads: int = 0,
) -> Iterator[B]:
    """``function`` of each item, in order; few items and results are in memory at a time.

    It is called by ``threads`` at once (0: one a core; decoding and scaling leave Python's lock), or with
    ``ray``, an address as for `cluster.connected`, by all cores of a cluster; there, ``parcel`` items travel
    together, and what a dead node had is done again elsewhere. Raises UserError where a node does not see one
    of the ``folders``.
    """
    if ray is not None:
        yield from _over_cluster(function, items, ray, folders, parcel)
        return
    count = threads or cores()
    rest = iter(items)
    with ThreadPoolExecutor(count) as pool:
        under_way = deque(pool.submit(function, item) for item in islice(rest, 8 * count))
        while under_way:
            yield under_way.popleft().result()
            under_way.extend(pool.submit(function, item) for item in islice(rest, 1))


def _over_cluster(
    function: Callable[[A], B], items: Iterable[A], address: str, folders: Sequence[Path], size: int
) -> Iterator[B]:
    with connected(address) as ray:
        # A node that dies is no fault of the item's: it is done again as often as that happens.
        remote = ray.remote(num_cpus=1, max_retries=-1)(_work)
        shared = ray.put(function)
        rest = iter(items)
        under_way: deque[Any] = deque()
        while True:
            cpus = sum(node["Resources"].get("CPU", 0) for node in machines(ray))
            while len(under_way) < UNDER_WAY * max(1, cpus) and (parcel := list(islice(rest, size))):
                under_way.append(remote.remote(shared, parcel, list(folders)))
            if not under_way:
                return
            try:
                done = ray.get(under_way.popleft())
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None
            yield from done


def _work(function: Callable[[A], B], items: Sequence[A], folders: Sequence[Path]) -> list[B]:
    # Else a machine without the dataset would call all its pictures missing.
    for folder in folders:
        if not folder.is_dir():
            raise UserError(
                f"{folder}: not there on {socket.gethostname()}; a cluster's machines must share it"
            )
    return [function(item) for item in items]
