"""What systemd wants to hear (sd_notify): that the service is ready, alive, or about to stop."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable


def tell(state: str) -> None:
    """Send ``READY=1``, ``STOPPING=1``… to whoever supervises this process; nothing where nobody does."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    # A leading @ stands for the zero byte of Linux's abstract names.
    target = f"\0{address[1:]}" if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.settimeout(1)
        try:
            channel.sendto(state.encode(), target)
        except OSError:
            return  # the supervisor is gone, which is not this process's trouble


def watchdog_s() -> float | None:
    """Seconds within which the supervisor wants a sign of life each time; None where it wants none."""
    meant = os.environ.get("WATCHDOG_PID") in (None, str(os.getpid()))
    time_us = os.environ.get("WATCHDOG_USEC", "")
    return int(time_us) / 1e6 if meant and time_us.isdecimal() and int(time_us) else None


def keep_alive(is_alive: Callable[[], bool], stop: threading.Event) -> None:
    """Give signs of life in a thread until ``stop``, as long as ``is_alive`` says so."""
    limit = watchdog_s()
    if limit is None:
        return

    def run() -> None:
        while not stop.wait(limit / 3):
            if is_alive():
                tell("WATCHDOG=1")

    threading.Thread(target=run, name="watchdog", daemon=True).start()
