"""The events of a Messages stream as clients of the same protocol get them: the vendor's own bytes, made whole where clients would break.

Each event has its name, blocks are numbered without gaps and each is stopped, and there is one `message_delta`, which has usage. It is kept
back until the bill is settled. What is not known here passes: the vendor's own clients bear it.
"""

from __future__ import annotations

import re

import msgspec
from msgspec import Raw

from aisa.answer import Piece
from aisa.providers.anthropic_events import Asker
from aisa.providers.anthropic_usage import OUTPUT, taken_apart
from aisa.providers.shape import Target
from aisa.usage import REPORTED, Usage
from aisa.wire.model_name import shown_name
from aisa.wire.trees import Tree, as_tree, text_or_none
from aisa.wire.usage_report import count_of

EVENT_NAME = re.compile(r"[a-z][a-z0-9_.]{0,60}", re.ASCII)
#: What a block begins with, by its type: clients add to it.
STARTS: dict[object, Tree] = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}, "tool_use": {"input": {}}}
STOP: Tree = {"type": "message_stop"}


def named_event(tree: Tree, data: bytes = b"") -> bytes:
    """Write an event with its name, in the bytes in which it came if they are given and fit on one line."""
    body = data if data and b"\n" not in data else msgspec.json.encode(tree)
    return b"event: %b\ndata: %b\n\n" % (str(tree["type"]).encode(), body)


class Passing:
    """Passes the events of one message."""

    def __init__(self, target: Target, asker: Asker) -> None:
        self._target = target
        self._asker = asker
        self._places: dict[object, int] = {}  # the vendor's number of a block -> its place here
        self._open: dict[int, None] = {}
        self._delta: Tree = {}
        self._usage: Tree = {}

    def take(self, tree: Tree, data: bytes, tokens: int) -> list[Piece]:
        """Return what the client gets for an event that shows so many tokens. `data` is how it came, nothing if it did not."""
        kind = tree["type"]
        if kind == "content_block_delta":
            return [self._numbered(tree, data, tokens)]
        if kind == "message_start":
            return [Piece(named_event(*self._whole(tree, data)), 0)]
        if kind == "content_block_start":
            return [self._begun(tree, data, tokens)]
        if kind == "content_block_stop":
            piece = self._numbered(tree, data, 0)
            self._open.pop(self._place(tree), None)
            return [piece]
        if kind == "message_delta":
            self._delta |= {name: value for name, value in as_tree(tree.get("delta")).items() if value is not None}
            self._usage |= {name: value for name, value in as_tree(tree.get("usage")).items() if value is not None}
            return self._closed() if "stop_reason" in self._delta else []
        if kind == "message_stop" or not EVENT_NAME.fullmatch(str(kind)):
            return self._closed() if kind == "message_stop" else []
        return [Piece(named_event(tree, data), 0)]

    def keeps(self, index: int, data: bytes) -> bool:
        """Tell whether a part of a block passes in its own bytes: its number is the right one, and it fits on one line."""
        return self._places.get(index) == index and b"\n" not in data

    def closing(self, told: Tree, usage: Usage, cost_usd: str | None) -> bytes:
        """Return the end of a complete message. `told` is all that the vendor has reported, `usage` what counts."""
        counts = {OUTPUT: told.get(OUTPUT), **self._usage}
        if usage.source != REPORTED or count_of(counts[OUTPUT]) is None:
            counts[OUTPUT] = usage.output_tokens
        if usage.input_source != REPORTED:
            counts |= taken_apart(usage)
        if cost_usd is not None:
            counts["cost"] = Raw(cost_usd.encode())
        delta: Tree = {"stop_reason": None, "stop_sequence": None, **self._delta}
        return named_event({"type": "message_delta", "delta": delta, "usage": counts}) + named_event(STOP)

    def _place(self, tree: Tree) -> int:
        return self._places.setdefault(tree.get("index"), len(self._places))

    def _numbered(self, tree: Tree, data: bytes, tokens: int) -> Piece:
        place = self._place(tree)
        if tree.get("index") != place:
            tree, data = {**tree, "index": place}, b""
        delta = as_tree(tree.get("delta"))
        return Piece(named_event(tree, data), tokens, carries=tokens > 0 or (bool(delta) and is_alive(delta)))

    def _begun(self, tree: Tree, data: bytes, tokens: int) -> Piece:
        start = as_tree(tree.get("content_block"))
        lacks = {name: value for name, value in STARTS.get(start.get("type"), {}).items() if start.get(name) is None}
        if lacks:
            tree, data = {**tree, "content_block": {**start, **lacks}}, b""
        piece = self._numbered(tree, data, tokens)
        self._open[self._place(tree)] = None
        return piece

    def _closed(self) -> list[Piece]:
        """Stop the blocks that the vendor has left open."""
        stops = [Piece(named_event({"type": "content_block_stop", "index": place}), 0) for place in self._open]
        self._open.clear()
        return stops

    def _whole(self, tree: Tree, data: bytes) -> tuple[Tree, bytes]:
        """Return the event that opens a message, with all that clients look for in it, and the model's name here."""
        message = as_tree(tree.get("message"))
        usage = as_tree(message.get("usage"))
        counts: Tree = {name: 0 for name in ("input_tokens", OUTPUT) if count_of(usage.get(name)) is None}
        whole: Tree = {
            **message,
            "id": text_or_none(message.get("id")) or f"msg_{self._asker.call_id}",
            "type": "message",
            "role": "assistant",
            "model": self._target.public or shown_name(message.get("model"), self._asker.model),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {**usage, **counts},
        }
        return (tree, data) if whole == message else ({**tree, "message": whole}, b"")


def is_alive(delta: Tree) -> bool:
    """Tell whether a part of a block that shows nothing says all the same that the model is at work: hidden thinking that grows."""
    return bool(delta.get("signature") or delta.get("estimated_tokens") or delta.get("citation"))
