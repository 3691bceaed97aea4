"""What an answer of Anthropic's had beside its text and calls (thinking, signatures, work of its own tools), and in which order, as bytes.

A chat client knows the text as one and the calls as a list. With this the turn is written as the model made it, block for block: what is
signed holds only then.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from aisa.wire.trees import Tree, is_list, trees_in


class Layout:
    """The blocks of an answer while it is made: of texts only the length, of calls only the id, everything else whole."""

    def __init__(self) -> None:
        self._blocks: list[Tree] = []
        self._kept = False

    def text(self, text: str) -> None:
        """A block of text has ended."""
        self._blocks.append({"type": "text", "n": len(text)})

    def call(self, call_id: str) -> None:
        """A call has ended."""
        self._blocks.append({"type": "tool_use", "id": call_id})

    def other(self, block: Tree) -> None:
        """Any other block has ended."""
        self._blocks.append(block)
        self._kept = True

    @property
    def first_call(self) -> str:
        """The id of the first call, nothing if there is none."""
        return next((str(block["id"]) for block in self._blocks if block.get("type") == "tool_use"), "")

    def encoded(self) -> bytes:
        """Return it as bytes; none if there is nothing but text and calls."""
        return msgspec.json.encode(self._blocks) if self._kept else b""


def restored(layouts: Sequence[bytes], texts: list[Tree], calls: list[Tree]) -> list[Tree]:
    """Return the blocks of a turn: texts and calls, with all else where it was.

    If the client has changed texts or calls, what was beside them comes first. Marks for the cache stay on the last part of their text.
    """
    laid = [block for layout in layouts for block in trees_in(decoded(layout))]
    if not laid:
        return texts + calls
    text = "".join([str(block.get("text") or "") for block in texts])
    lengths = [n for block in laid if block.get("type") == "text" and isinstance(n := block.get("n"), int)]
    places = sum([block.get("type") == "tool_use" for block in laid])
    if sum(lengths) != len(text) or places != len(calls) or any(block.get("type") != "text" for block in texts):
        return [block for block in laid if block.get("type") not in ("text", "tool_use")] + texts + calls
    blocks: list[Tree] = []
    begin, waiting = 0, list(calls)
    for block in laid:
        if block.get("type") == "text":
            end = begin + lengths.pop(0)
            if text[begin:end].strip():
                blocks.append({"type": "text", "text": text[begin:end]})
            begin = end
        elif block.get("type") == "tool_use":
            blocks.append({**waiting.pop(0), "id": block["id"]})
        else:
            blocks.append(block)
    marks = [block["cache_control"] for block in texts if "cache_control" in block]
    if marks:
        last = max([at for at, block in enumerate(blocks) if block["type"] == "text"], default=None)
        if last is not None:
            blocks[last]["cache_control"] = marks[-1]
    return blocks


def decoded(layout: bytes) -> list[object]:
    """Return a layout's blocks; none of what is no layout."""
    try:
        value: object = msgspec.json.decode(layout)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []
    return value if is_list(value) else []
