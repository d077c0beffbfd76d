"""Passwords in addresses: nobody gets to see them."""

from __future__ import annotations

import re


def redact(text: str) -> str:
    """``text`` with the passwords and keys of the addresses in it replaced by ``***``."""
    # One slash is what a path makes of a URL's two.
    text = re.sub(r"(\w:/{1,2}[^/@:\s]*):[^/\s]*@", r"\1:***@", text)
    # A password with a slash makes no URL, but is one to its owner. What looks like a port is one.
    text = re.sub(r"(\w://[^/@:\s\[]*):(?!\d+[/?#])[^@\s]*@", r"\1:***@", text)
    # Where to serve, with a login: USER:PASSWORD@[HOST]:PORT/PATH.
    text = re.sub(r"(?<![\w/])([^\s:/@]+):[^\s:/@]+@(?=(?:\[[^\s/\]]+\]|[\w.-]*):\d+/)", r"\1:***@", text)
    # Some cameras take both in the path: /user=admin_password=secret_channel=1.
    return re.sub(
        r"(?i)([?&;#/_][^=&;#/\s]*(?:pass|pwd|token|key|secret|auth|sig)[^=&;#/\s]*)=[^&;\s]*",
        r"\1=***",
        text,
    )
