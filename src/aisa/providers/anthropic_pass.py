"""The events of a Messages stream as clients of the same protocol get them: the vendor's own bytes, made whole where clients would break.

The message is opened, each event has its name, blocks are numbered without gaps and each is stopped once, and there is one `message_delta`,
which has usage and a reason that clients know. It is kept back until the bill is settled. Other events that are not known here pass.
"""

from __future__ import annotations

import re

import msgspec
from msgspec import Raw

from aisa.answer import Piece
from aisa.providers.anthropic_events import GROWN, Asker
from aisa.providers.anthropic_usage import OUTPUT, in_place_of, written
from aisa.providers.shape import Target
from aisa.usage import REPORTED, Usage
from aisa.wire.finish import CONTENT_FILTER, LENGTH, TOOL_CALLS, spoken, verdict_on
from aisa.wire.model_name import shown_name
from aisa.wire.sse import LF
from aisa.wire.trees import Tree, as_tree, key_in, text_or_none
from aisa.wire.usage_report import count_of

EVENT_NAME = re.compile(r"[a-z][a-z0-9_.]{0,60}", re.ASCII)
#: What a block begins with, by its type: clients add to it.
STARTS: dict[str, Tree] = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}, "tool_use": {"input": {}}}
STOP: Tree = {"type": "message_stop"}
#: The reasons that clients know, and theirs for what others mean: a word of another protocol, or nobody's.
REASONS = frozenset(
    {"end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "compaction", "refusal", "model_context_window_exceeded"}
)
CALLED, ENDED = "tool_use", "end_turn"
OTHERS = {LENGTH: "max_tokens", CONTENT_FILTER: "refusal", TOOL_CALLS: CALLED}


def named_event(tree: Tree, data: bytes = b"") -> bytes:
    """Write an event with its name, in the bytes in which it came if they are given and fit on one line."""
    body = data if data and LF not in data else msgspec.json.encode(tree)
    return b"event: %b\ndata: %b\n\n" % (str(tree["type"]).encode(), body)


class Passing:
    """Passes the events of one message."""

    def __init__(self, target: Target, asker: Asker) -> None:
        self._target = target
        self._asker = asker
        self._opened = False
        self._places: dict[object, int] = {}  # the vendor's number of a block -> its place here
        self._blocks = 0
        self._open: dict[int, None] = {}
        self._calls = False
        self._delta: Tree = {}
        self._usage: Tree = {}

    def take(self, tree: Tree, data: bytes, tokens: int) -> list[Piece]:
        """Return what the client gets for an event that shows so many tokens. `data` is how it came, nothing if it did not."""
        kind = tree["type"]
        if kind == "content_block_delta":
            return [self._numbered(tree, data, tokens)] if says_something(as_tree(tree.get("delta"))) else []
        if kind == "message_start":
            self._opened = True
            return [Piece(named_event(*self._whole(tree, data)), 0)]
        if kind == "content_block_start":
            return self._begun(tree, data, tokens)
        if kind == "content_block_stop":
            return self._stopped(tree, data)
        if kind == "message_delta":
            self._delta |= {name: value for name, value in as_tree(tree.get("delta")).items() if value is not None}
            self._usage |= {name: value for name, value in as_tree(tree.get("usage")).items() if value is not None}
            return []
        if kind == "message_stop":
            return self._opening() + self._closed()
        return [Piece(named_event(tree, data), 0)] if isinstance(kind, str) and EVENT_NAME.fullmatch(kind) else []

    def keeps(self, index: int, data: bytes) -> bool:
        """Tell whether a part of a block passes in its own bytes: its number is the right one, and it fits on one line."""
        return self._places.get(index) == index and LF not in data

    def closing(self, told: Tree, usage: Usage, cost_usd: str | None) -> bytes:
        """Return the end of a complete message. `told` is all that the vendor has reported, `usage` what counts."""
        counts = written({OUTPUT: told.get(OUTPUT), **{name: told[name] for name in self._usage if name in told}})  # or before
        if usage.source != REPORTED or count_of(counts[OUTPUT]) is None:
            counts[OUTPUT] = usage.output_tokens
        if usage.input_source != REPORTED:
            counts |= in_place_of(counts, usage)
        if cost_usd is not None:
            counts["cost"] = Raw(cost_usd.encode())
        delta: Tree = {"stop_reason": None, "stop_sequence": None, **self._delta}
        delta["stop_reason"] = reason_shown(delta["stop_reason"], calls=self._calls)
        return named_event({"type": "message_delta", "delta": delta, "usage": counts}) + named_event(STOP)

    def _opening(self) -> list[Piece]:
        """Open the message where the vendor has not."""
        if self._opened:
            return []
        self._opened = True
        return [Piece(named_event(*self._whole({"type": "message_start"}, b"")), 0)]

    def _numbered(self, tree: Tree, data: bytes, tokens: int) -> Piece:
        place = self._places[key_in(tree, "index")]
        if tree.get("index") != place:
            tree, data = {**tree, "index": place}, b""
        delta = as_tree(tree.get("delta"))
        return Piece(named_event(tree, data), tokens, carries=tokens > 0 or (bool(delta) and is_alive(delta)))

    def _begun(self, tree: Tree, data: bytes, tokens: int) -> list[Piece]:
        start, index = as_tree(tree.get("content_block")), key_in(tree, "index")
        self._calls = self._calls or start.get("type") == "tool_use"
        lacks = {name: value for name, value in STARTS.get(str(start.get("type")), {}).items() if type(start.get(name)) is not type(value)}
        if lacks:
            tree, data = {**tree, "content_block": {**start, **lacks}}, b""
        before = self._opening() + self._stopped({"type": "content_block_stop", "index": index}, b"")
        self._places[index] = self._blocks
        self._open[self._blocks] = None
        self._blocks += 1
        return [*before, self._numbered(tree, data, tokens)]

    def _stopped(self, tree: Tree, data: bytes) -> list[Piece]:
        """Stop a block that is open; of others there is nothing to tell."""
        place = self._places.get(key_in(tree, "index"))
        if place is None or place not in self._open:
            return []
        del self._open[place]
        return [self._numbered(tree, data, 0)]

    def _closed(self) -> list[Piece]:
        """Stop the blocks that the vendor has left open."""
        stops = [Piece(named_event({"type": "content_block_stop", "index": place}), 0) for place in self._open]
        self._open.clear()
        return stops

    def _whole(self, tree: Tree, data: bytes) -> tuple[Tree, bytes]:
        """Return the event that opens a message, with all that clients look for in it, and the model's name here."""
        message = as_tree(tree.get("message"))
        given = as_tree(message.get("usage"))
        usage = written(given)
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
        return (tree, data) if whole == message and usage is given else ({**tree, "message": whole}, b"")


def reason_shown(reason: object, *, calls: bool) -> object:
    """Return why a message stopped in a word that clients know, that does not contradict its calls; `calls` tells whether it has any."""
    known = reason if reason is None or (isinstance(reason, str) and reason in REASONS) else OTHERS.get(verdict_on(spoken(reason)), ENDED)
    return (CALLED if calls else ENDED) if known in (CALLED, ENDED) else known


def says_something(delta: Tree) -> bool:
    """Tell whether a part of a block is one that clients can add to it: what they know by its name must be a text."""
    name = GROWN.get(str(delta.get("type")))
    return isinstance(delta.get("type"), str) if name is None else isinstance(delta.get(name), str)


def is_alive(delta: Tree) -> bool:
    """Tell whether a part of a block that shows nothing says all the same that the model is at work: hidden thinking that grows."""
    return bool(delta.get("signature") or delta.get("estimated_tokens") or delta.get("citation"))
