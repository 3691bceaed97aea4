"""The messages of a chat as Anthropic's `system` and `messages`. A history is always written the same, and a longer one goes on from it.

Thinking is bound to everything before it, so nothing is moved to the front, sorted or added from turn to turn. What an answer had beside
text and calls comes back as `anthropic_layout.py` kept it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import blake2b
from typing import cast

import msgspec
from msgspec import Raw

from aisa.providers.anthropic_layout import restored
from aisa.providers.anthropic_media import part_block
from aisa.providers.anthropic_models import Traits
from aisa.providers.concessions import Concessions
from aisa.providers.malformed import calls_in
from aisa.providers.vendor_state import VendorState
from aisa.wire.reasoning_details import seals_in
from aisa.wire.trees import Tree, as_tree, is_tree, trees_in

CALL_ID = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
SYSTEM_ROLES = frozenset({"system", "developer"})
#: Returns a content part as a block, None for one that says nothing; it is given the part's place in the request for errors.
PartWriter = Callable[[Tree, str, Concessions], Tree | None]


class Turns:
    """Builds the turns of one request."""

    def __init__(
        self,
        traits: Traits,
        state: VendorState | None,
        concessions: Concessions,
        *,
        write_part: PartWriter = part_block,
        marks_calls: bool = False,
    ) -> None:
        """`write_part` is given each part of a message's content, and makes blocks of it. `marks_calls`: a call too may be marked."""
        self.system: list[Tree] = []
        self.messages: list[Tree] = []
        self.unthought = False  # the call that is being answered came without the thinking that led to it
        self._traits = traits
        self._state = state
        self._concessions = concessions
        self._write_part = write_part
        self._marks_calls = marks_calls
        self._legacy: list[str] = []  # ids of calls in the older form, which has none

    def take(self, messages: list[Tree]) -> None:
        """Write these messages. Raises UpstreamFailed for content that this vendor has no words for."""
        for place, message in enumerate(messages):
            role = message.get("role")
            if role in SYSTEM_ROLES:
                self._instruct(self._blocks(message, place))
            elif role in ("tool", "function"):
                self._answer(message, place)
            elif role == "assistant":
                self._say(message, place)
            else:
                self._add("user", self._blocks(message, place))
        if not self.messages:  # instructions alone are what the model is to answer to, and it wants somebody to say them
            self._add("user", self.system)
            self.system = []
        last = self.messages[-1] if self.messages else {}
        if last.get("role") == "assistant":
            trim(blocks_of(last))

    def _instruct(self, blocks: list[Tree]) -> None:
        if not self.messages:
            self.system += blocks
        else:
            self._add("system" if self._traits.takes_system_in_place else "user", blocks)

    def _say(self, message: Tree, place: int) -> None:
        """Write what the model said: its text and calls, and what else it had made, in its order."""
        texts = self._blocks(message, place)
        calls = [call_block(call, marked=self._marks_calls) for call in calls_in(message, f"messages[{place}]")]
        legacy = message.get("function_call")
        layouts = [layout for seal in seals_in(message) if self._state is not None and (layout := self._state.open(seal)) is not None]
        if not layouts and calls and self._state is not None:
            kept = self._state.kept(str(calls[0]["id"]))
            layouts = [] if kept is None else [kept]
        if is_tree(legacy):
            calls.append(call_block({"id": f"toolu_fn_{len(self._legacy)}", "function": legacy}))
        blocks = restored(layouts, texts, calls)
        if is_tree(legacy):
            self._legacy += [str(block["id"]) for block in blocks if block["type"] == "tool_use"]
        self.unthought = bool(calls) and not any(block["type"] in ("thinking", "redacted_thinking") for block in blocks)
        self._add("assistant", blocks)

    def _answer(self, message: Tree, place: int) -> None:
        """Write a tool's result: in the turn right behind that of its call, before anything that was said there."""
        given = message.get("tool_call_id")
        if not isinstance(given, str):
            given = self._legacy[-1] if self._legacy else "toolu_fn_0"
        result: Tree = {"type": "tool_result", "tool_use_id": call_id(given)}
        content = self._blocks(message, place, marked=False)
        if content:
            result["content"] = content
        if message.get("is_error") is True:
            result["is_error"] = True
        mark = message.get("cache_control")
        if is_tree(mark):
            result["cache_control"] = mark
        asked = max([at for at, turn in enumerate(self.messages) if turn["role"] == "assistant"], default=len(self.messages) - 1)
        if asked + 1 == len(self.messages) or self.messages[asked + 1]["role"] != "user":
            self.messages.insert(asked + 1, {"role": "user", "content": [result]})
            return
        blocks = blocks_of(self.messages[asked + 1])
        behind = max([at for at, block in enumerate(blocks) if block["type"] == "tool_result"], default=-1) + 1
        blocks.insert(behind, result)

    def _blocks(self, message: Tree, place: int, *, marked: bool = True) -> list[Tree]:
        """Return the content of a message. A mark for the cache on the message is one on its last block."""
        content = message.get("content")
        parts: list[Tree] = [{"type": "text", "text": content}] if isinstance(content, str) else trees_in(content)
        refusal = message.get("refusal")
        if isinstance(refusal, str):
            parts = [*parts, {"type": "text", "text": refusal}]
        blocks: list[Tree] = []
        for at, part in enumerate(parts):
            block = self._write_part(part, f"messages[{place}].content[{at}]", self._concessions)
            if block is not None:
                blocks.append(block)
        mark = message.get("cache_control")
        if marked and blocks and is_tree(mark):
            blocks[-1]["cache_control"] = mark
        return blocks

    def _add(self, role: str, blocks: list[Tree]) -> None:
        """Add blocks to the last turn if it is of this role, else a turn. Nothing of nothing."""
        if not blocks:
            return
        if self.messages and self.messages[-1]["role"] == role:
            blocks_of(self.messages[-1]).extend(blocks)
        else:
            self.messages.append({"role": role, "content": blocks})


def blocks_of(turn: Tree) -> list[Tree]:
    """Return the blocks of a turn of ours, which is a list of them; they can be changed."""
    return cast("list[Tree]", turn["content"])


def call_block(call: Tree, *, marked: bool = False) -> Tree:
    """Return a call of a tool, if `marked` with the mark for the cache that it may have."""
    function = call.get("function")
    held = function if is_tree(function) else as_tree(call.get("custom"))
    arguments = held.get("arguments")
    given = arguments if isinstance(arguments, str) else ""
    block: Tree = {"type": "tool_use", "id": call_id(str(call.get("id"))), "name": str(held.get("name") or ""), "input": input_of(given)}
    mark = call.get("cache_control") if marked else None
    return {**block, "cache_control": mark} if is_tree(mark) else block


def input_of(arguments: str) -> Raw | Tree:
    """Return a call's arguments, in the very bytes in which the model wrote them. What is no object goes along as text, as it was said."""
    if not arguments.strip():
        return {}
    try:
        value: object = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, UnicodeDecodeError, UnicodeEncodeError, RecursionError):
        value = None
    return Raw(arguments.strip().encode()) if is_tree(value) else {"raw": arguments}


def call_id(given: str) -> str:
    """Return the id of a call in letters that Anthropic takes: its own as it is, another vendor's odd one always as the same other."""
    return given if CALL_ID.fullmatch(given) else f"toolu_{blake2b(given.encode('utf-8', 'surrogatepass'), digest_size=12).hexdigest()}"


def trim(blocks: list[Tree]) -> None:
    """Take the blanks from the end of what the model is to go on from: it takes none there."""
    text = blocks[-1].get("text") if blocks else None
    if isinstance(text, str):
        blocks[-1]["text"] = text.rstrip()
