"""What of a text that somebody wrote may be told, logged and kept: no key that stands in it by mistake."""

from __future__ import annotations

import re

#: A key of ours, or a token, where somebody has put it in place of something else.
SECRET = re.compile(r"(sk-aisa-|eyJ)[\w-]{9,}[\w.-]*")


def without_secrets(text: str) -> str:
    """Return what somebody wrote as a name or an address as it may be told, logged and kept."""
    return SECRET.sub(r"\1…", text)
