"""Where in the cluster there is room for a pipeline, and which machines are left alone for a while."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from plateloop.cluster import machines
from plateloop.deployment.cluster.config import RayConfig

# How long a machine that failed is left alone: at first, and at most.
REST_S, REST_MOST_S = 1.0, 60.0
# The list of machines is asked for at most this often.
LOOK_S = 0.5


@dataclass(slots=True)
class Place:
    """A pipeline on a machine (``node``, called ``host``).

    ``handle`` is Ray's of its actor; ``there``: it has its cores; ``ready``: its networks, too; ``done``: how
    many of its news the driver has; ``since``: when it was asked for (monotonic seconds).
    """

    node: str
    host: str
    handle: Any
    there: bool = False
    ready: bool = False
    done: int = 0
    since: float = field(default_factory=time.monotonic)


class Room:
    """The machines of a cluster, and how many pipelines each one has room for, whoever else works there."""

    def __init__(self, ray: Any, config: RayConfig) -> None:
        self._ray, self._config = ray, config
        self._looked = float("-inf")
        self._nodes: dict[str, tuple[str, int]] = {}
        self._resting: dict[str, tuple[float, float]] = {}

    def capacity(self) -> int:
        """How many pipelines there is room for, on machines that are not resting."""
        return sum(slots for node, (_, slots) in self._look().items() if not self._rests(node))

    def free(self, places: Iterable[Place]) -> list[str]:
        """A machine for each pipeline that could be added to ``places``, the emptiest machine first."""
        taken = Counter(place.node for place in places)
        slots = [
            (number, node)
            for node, (_, slots) in self._look().items()
            if not self._rests(node)
            for number in range(taken[node], slots)
        ]
        return [node for _, node in sorted(slots)]

    def host(self, node: str) -> str:
        """The name of a machine; where several have one, with a part of the node's id."""
        hosts = Counter(host for host, _ in self._nodes.values())
        host = self._nodes[node][0]
        return host if hosts[host] == 1 else f"{host}/{node[:6]}"

    def rest(self, node: str) -> None:
        """Leave a machine alone for a while, which doubles each time."""
        pause = min(2 * self._resting[node][1], REST_MOST_S) if node in self._resting else REST_S
        self._resting[node] = time.monotonic() + pause, pause

    def trust(self, node: str) -> None:
        """A machine works: what was is forgotten."""
        self._resting.pop(node, None)

    def _rests(self, node: str) -> bool:
        return node in self._resting and time.monotonic() < self._resting[node][0]

    def _look(self) -> dict[str, tuple[str, int]]:
        if time.monotonic() > self._looked + LOOK_S:
            self._looked = time.monotonic()
            self._nodes = {
                node["NodeID"]: (node["NodeManagerHostname"], self._slots(node["Resources"]))
                for node in machines(self._ray)
            }
        return self._nodes

    def _slots(self, resources: dict[str, float]) -> int:
        slots = int(resources.get("CPU", 0) // self._config.cores)
        if self._config.gpus:
            slots = min(slots, int(resources.get("GPU", 0) / self._config.gpus + 1e-6))
        return slots
