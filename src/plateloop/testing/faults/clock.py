"""``plateloop`` with a clock that jumps: ``python -m plateloop.testing.faults.clock run …``.

SIGUSR1 sets the process's clock an hour forward, SIGUSR2 two hours back. What jumps is Python's
``time.time``; the clocks that libraries written in C ask themselves (librdkafka's, FFmpeg's) do not.
"""

from __future__ import annotations

import runpy
import signal
import time

FORWARD_S, BACK_S = 3600.0, -7200.0


def install() -> None:
    """Let the two signals move ``time.time`` of this process."""
    true_time, offset = time.time, 0.0

    def jump(number: int, _: object) -> None:
        nonlocal offset
        offset += FORWARD_S if number == signal.SIGUSR1 else BACK_S

    signal.signal(signal.SIGUSR1, jump)
    signal.signal(signal.SIGUSR2, jump)
    time.time = lambda: true_time() + offset


if __name__ == "__main__":
    install()
    runpy.run_module("plateloop", run_name="__main__", alter_sys=True)
