"""Models' names: which of them a request may ask for, and which an answer tells. Knows no model."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec
from msgspec import Meta

from aisa.errors import ApiError
from aisa.names import MODEL_NAME_CHARACTERS_MAX
from aisa.wire.trees import text_or_none

#: What cannot be printed: controls, what ends a line, what is not seen and what turns round what is. The characters themselves, as every
#: dialect of expressions has them.
UNPRINTABLE = "\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f"
ODD = re.compile(f"[{UNPRINTABLE}]")
#: A model's name in a request, for the API's document; `check_name` refuses others in words of its own.
ModelName = Annotated[
    str, Meta(extra_json_schema={"minLength": 1, "maxLength": MODEL_NAME_CHARACTERS_MAX, "pattern": f"^[^{UNPRINTABLE}]*$"})
]
#: How a path begins, on any system, or an address. Names of models have slashes in them, but none before the first word.
PATH = re.compile(r"[/\\~]|\.{1,2}[/\\]|[A-Za-z]:[/\\]|file:|[A-Za-z][A-Za-z0-9+.-]*://")
MEMBER = b'"model"'  # as it stands in JSON


def check_name(model: str) -> None:
    """Raise ApiError invalid_request unless a model can be called so: what is accepted stands in rows, in log lines and on terminals."""
    odd = ODD.search(model)
    if 0 < len(model) <= MODEL_NAME_CHARACTERS_MAX and odd is None:
        return
    has = f"{len(model)}" if odd is None else f"U+{ord(odd[0]):04X}, which is none"
    message = f"A model's name has 1 to {MODEL_NAME_CHARACTERS_MAX} printable characters, this one has {has}."
    raise ApiError("invalid_request", message, param="model")


def shown_name(given: object, asked: str) -> str:
    """Return the name to show for the one that the vendor gives, and for the one that was asked for.

    That is the vendor's, unless it tells where the vendor keeps its files, or runs.
    """
    name = text_or_none(given)
    return asked if name is None or PATH.match(name) else name


class Renaming:
    """Puts one name of a model in place of another in chunks that pass in the vendor's own bytes."""

    def __init__(self, given: str, shown: str) -> None:
        old, new = msgspec.json.encode(given), msgspec.json.encode(shown)
        self._pairs = [(b'"model":' + blank + old, b'"model":' + blank + new) for blank in (b"", b" ")]

    def renamed(self, data: bytes) -> bytes | None:
        """Return the chunk with the other name; None where that cannot be done on the bytes.

        Inside a string the quotation marks would be escaped, so what is found once is the member itself.
        """
        if data.count(MEMBER) != 1:
            return None  # another may be a caller's, in what a tool is given
        for old, new in self._pairs:
            if data.count(old) == 1:
                return data.replace(old, new)
        return None
