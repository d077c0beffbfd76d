"""Every `plateloop …` that the documents show is one that the program takes: commands, options, arguments."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.exceptions import TyperException

from plateloop.cli.main import app

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
ELLIPSIS = "…"
STAND_FOR = {"NETWORK": "tcnet", "P": "0.5", "COMMAND": "read"}
"""What a placeholder may be where not any word would do."""

PROGRAM = typer.main.get_command(app)


def lines(page: Path) -> Iterator[str]:
    """The commands in a page's code blocks; what stands four spaces behind one is a remark."""
    for block in re.findall(r"^```\w*\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S):
        for line in block.replace("\\\n", " ").splitlines():
            if match := re.match(r"\s*(?:\S*/)?(plateloop .*)", line):
                yield re.split(r"\s{4,}|\s#\s", match[1])[0]


def mentions(page: Path) -> Iterator[str]:
    """The commands that a page's text names, with or without their arguments."""
    text = re.sub(r"^```\w*\n.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for span in re.findall(r"`(plateloop [^`]+)`", text):
        words = " ".join(span.replace("\\|", "|").split())
        # `plateloop store list / search`: each of them.
        head, *others = re.split(r" / ", words)
        yield head
        last = others[-1].split()[1:] if others else []
        for other in others:
            yield " ".join([*head.split()[:-1], other.split()[0], *last])


def words_of(command: str) -> list[str]:
    """The words after `plateloop`: what may be left out is there, of alternatives the first, and nothing
    of what the shell does with the output."""
    command = re.sub(r"\[(-[^\]]*)\]", r"\1", command)
    words = shlex.split(re.sub(r"\b(\w+)\|\w+(\|\w+)*", r"\1", command))[1:]
    words = [STAND_FOR.get(word, word) for word in words]
    ends = [words.index(sign) for sign in (">", ">>", "|", "&&", "2>") if sign in words]
    return words[: min(ends, default=len(words))]


def parse(words: list[str]) -> None:
    """Parse a command line as the program does, without running it. Raises what it would raise."""
    command: Any = PROGRAM
    context, name = None, "plateloop"
    while hasattr(command, "get_command") and words:
        context = command.make_context(name, [], parent=context, resilient_parsing=True)
        name, *words = words
        command = command.get_command(context, name)
        if command is None:
            raise TyperException(f"no such command: {name}")
    if not hasattr(command, "get_command"):
        command.make_context(name, words, parent=context)


def fault(command: str, whole: bool) -> str | None:
    """Why a command is none; where it is not ``whole``, what lacks is no fault."""
    words = words_of(command)
    if ELLIPSIS in words:
        whole, words = False, [word for word in words if word != ELLIPSIS]
    if "--help" in words:
        words.remove("--help")
        whole = False
    try:
        parse(words)
    except TyperException as error:
        said = error.format_message()
        lacks = re.search("Missing|requires an argument", said) is not None
        return None if lacks and not whole else f"{command}\n    {said}"
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_documented_commands_are_real(page: Path) -> None:
    faults = [fault(command, True) for command in lines(page)]
    faults += [fault(command, False) for command in mentions(page)]
    assert not any(faults), "\n".join(filter(None, faults))


def test_the_test_sees_what_is_wrong() -> None:
    assert sum(len(list(lines(page))) for page in PAGES) > 50
    assert fault("plateloop run a.mp4 --out runs/today", True) is None
    for wrong in (
        "plateloop walk",
        "plateloop run --outt x",
        "plateloop data crop a",
        "plateloop read a --threads x",
    ):
        assert fault(wrong, True), wrong
