"""Encoded video by RTSP: served to whoever watches, or pushed to another server.

Either is done by a program of its own, which is fed through a pipe, started again when it dies, and gone when
this one is: a hanging network, or a fault in GStreamer, costs pictures and nothing else.
"""

from __future__ import annotations

import logging
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from plateloop.deployment.encoded import Codec, Unit
from plateloop.deployment.sinks.rtsp_server import HEADER, MISSING
from plateloop.errors import UserError
from plateloop.passwords import redact
from plateloop.web import names_of, parse_address

log = logging.getLogger(__name__)

# Those that may have GStreamer's bindings, which are installed with the system.
PYTHONS = ("/usr/bin/python3", shutil.which("python3"), sys.executable)

DEPTH = 64
"""Pictures that wait for the program."""

# Pauses before it is started again; how long it may take to end.
RETRY_S, RETRY_MOST_S, END_S = 1.0, 30.0, 1.0


class Place(NamedTuple):
    """Where to serve: the address to listen on, and the path."""

    host: str
    port: int
    path: str

    @property
    def url(self) -> str:
        """The address for clients."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"rtsp://{host}:{self.port}{self.path}"


def parse_place(text: str) -> Place | None:
    """Where to serve, of ``[USER:PASSWORD@][HOST]:PORT/PATH``; None of an ``rtsp://`` URL.

    Without a host it is this machine alone. Raises UserError, without the password, where it is neither.
    """
    if text.startswith("rtsp://"):
        try:
            place = urlsplit(text)
            known = place.hostname and place.port != 0 and place.path.strip("/")
        except ValueError:
            known = False
        if not known:
            raise UserError(f"{redact(text)}: not an RTSP address; expected rtsp://HOST:PORT/PATH")
        return None
    login, at, rest = text.rpartition("@")
    shown = f"{login.partition(':')[0]}:***@{rest}" if at else text
    if at and not re.fullmatch(r"[^\s:/?#@]+:[^\s:/?#@]+", login):
        raise UserError(
            f"{shown}: expected USER:PASSWORD@[HOST]:PORT/PATH; in them : / ? # @ are %3A %2F %3F %23 %40"
        )
    address, slash, path = rest.partition("/")
    if not re.fullmatch(r"[\w.-][\w./-]*", path, re.ASCII) or ":" not in address:
        raise UserError(
            f"{shown}: expected [USER:PASSWORD@][HOST]:PORT/PATH to serve at, as :8554/plates, "
            "or rtsp://HOST:PORT/PATH of a server to push to"
        )
    return Place(*parse_address(address), slash + path)


class Rtsp:
    """The pictures of one encoder, for RTSP. Waits for nobody: what is not taken in time is dropped.

    ``key_wanted`` is set whenever somebody has come who can only begin with a key picture.
    """

    def __init__(self, address: str, codec: Codec, size: tuple[int, int]) -> None:
        """Serve at, or push to ``address`` (see `parse_place`).

        Raises UserError where it cannot be served; a server to push to may come later.
        """
        place = parse_place(address)
        self.key_wanted = threading.Event()
        self._child: _Child | None = None
        if place is not None:
            self.url, self._line = place.url, address.rpartition("@")[0]
            self._child, self._command, self.url = _serve(place, codec, self._line, self._hear)
            log.info("RTSP at %s", self.url)
            if not self._line and names_of(place.host) is None:
                log.warning(
                    "%s: whoever can reach it may watch; USER:PASSWORD@ before the host asks for a password",
                    self.url,
                )
        else:
            module = "plateloop.deployment.sinks.rtsp_push"
            self._command = [sys.executable, "-m", module, *map(str, size), codec]
            self._line, self.url = address, redact(address)
        self._queue: queue.Queue[Unit | None] = queue.Queue(DEPTH)
        self._over = threading.Event()
        self._behind = False
        self._refused = self._passed_over = 0
        self._thread = threading.Thread(target=self._run, name="RTSP", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Pictures that could be given to nobody."""
        return self._refused + self._passed_over

    def write(self, unit: Unit) -> None:
        """Hand a picture over; after one that was dropped the next can only be a key picture."""
        if self._behind and not unit.key:
            self._refused += 1
            return
        try:
            self._queue.put_nowait(unit)
            self._behind = False
        except queue.Full:
            self._refused += 1
            self._behind = True

    def close(self) -> None:
        """Let all clients go, within three seconds. May be called twice."""
        if self._over.is_set():
            return
        self._over.set()
        with suppress(queue.Full):
            self._queue.put_nowait(None)
        self._thread.join(END_S)
        if self._thread.is_alive() and (child := self._child) is not None:
            child.kill()
            self._thread.join(END_S)
        if self.dropped:
            log.warning("%s: %d pictures were dropped", self.url, self.dropped)

    def _run(self) -> None:
        pause, told = RETRY_S, False
        while not self._over.is_set():
            begun = time.monotonic()
            try:
                if self._child is None:
                    self._child = _Child(self._command, self._line, self._hear)
                    self._child.ready()
                if told:
                    log.warning("%s: goes on; %d pictures were dropped so far", self.url, self.dropped)
                told = False
                self._feed(self._child)
            except (_ChildError, OSError) as error:
                if not (told or self._over.is_set()):
                    log.warning("%s: %s; trying again", self.url, error)
                told = True
            if self._child is not None:
                self._child.end()
                self._child = None
            if time.monotonic() - begun > RETRY_MOST_S:
                pause = RETRY_S
            self._over.wait(pause)
            pause = min(2 * pause, RETRY_MOST_S)

    def _feed(self, child: _Child) -> None:
        # What waits is of the time before, and nobody can begin but with a key picture.
        stale, begun = self._queue.qsize(), False
        self.key_wanted.set()
        while (unit := self._queue.get()) is not None and not self._over.is_set():
            stale -= 1
            begun = begun or (unit.key and stale < 0)
            if begun:
                child.send(unit)
            else:
                self._passed_over += 1

    def _hear(self, word: str, rest: str) -> bool:
        if word == "key":
            self.key_wanted.set()
        elif word == "refused":
            address, _, why = rest.partition(" ")
            log.warning("%s: a client at %s was refused: %s", self.url, address, why)
        return word in ("key", "refused")


class _ChildError(Exception):
    # The program has ended, with this exit code.

    def __init__(self, reason: str, code: int) -> None:
        super().__init__(reason)
        self.code = code


class _Child:
    # The program at the other end of the pipe. ``line`` is what it is told before the first picture; ``hear``
    # gets the first word and the rest of each line that it says once it is ready, and says if it knows that.

    def __init__(self, command: Sequence[str], line: str, hear: Callable[[str, str], bool]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._line = line
        self._hear = hear
        self._said = ""
        self._listener = threading.Thread(target=self._listen, name="RTSP program", daemon=True)

    def ready(self) -> str:
        # What it says once it is.
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(OSError):
            self._process.stdin.write(f"{self._line}\n".encode())
            self._process.stdin.flush()
        said = self._process.stdout.readline().decode(errors="replace").strip()
        word, _, rest = said.partition(" ")
        if word != "ready":
            raise self._error(said)
        self._listener.start()
        return rest

    def send(self, unit: Unit) -> None:
        self._write(HEADER.pack(len(unit.data), unit.pts, unit.key) + unit.data)

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> int:
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        code = self._process.wait()
        if self._listener.is_alive():
            self._listener.join()
        self._process.stdout.close()
        return code

    def _write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
            self._process.stdin.flush()
        except OSError:
            raise self._error() from None

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = line.decode(errors="replace").strip()
            word, _, rest = said.partition(" ")
            if not self._hear(word, rest):
                self._said = said

    def _error(self, said: str = "") -> _ChildError:
        code = self.end()
        silent = "does not answer" if code == -signal.SIGALRM else "its program has died"
        return _ChildError(said or self._said or silent, code)


def _serve(
    place: Place, codec: Codec, login: str, hear: Callable[[str, str], bool]
) -> tuple[_Child, list[str], str]:
    # The program that serves, the command that starts it again at the same port, and the address for clients.
    program = str(Path(__file__).with_name("rtsp_server.py"))
    for python in dict.fromkeys(name for name in PYTHONS if name and Path(name).exists()):
        command = [python, "-I", program, place.host, str(place.port), place.path, codec]
        child = _Child(command, login, hear)
        try:
            place = place._replace(port=int(child.ready()))
        except _ChildError as error:
            if error.code == MISSING:
                continue
            raise UserError(f"{place.url}: cannot be served: {error}") from None
        return child, [*command[:4], str(place.port), *command[5:]], place.url
    raise UserError(
        "RTSP is served by GStreamer, which is not here: apt-get install python3-gi "
        "gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good "
        "gstreamer1.0-plugins-bad; or push to an RTSP server: rtsp://HOST:PORT/PATH"
    )
