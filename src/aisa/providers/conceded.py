"""A chat request as its target's model takes it: what the model lacks refused or left out, values moved, older and newer names exchanged.

Only what facts say is touched: the rest passes as it came. A request that has nothing of it is returned as it is.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from aisa.providers.concessions import Concessions
from aisa.providers.legacy_calls import choice_of, is_legacy, tools_of, with_tool_calls
from aisa.providers.model_facts import (
    DEVELOPER,
    EFFORT,
    FUNCTION_CALL,
    FUNCTIONS,
    MESSAGES,
    NEWER_BOUND,
    OLDER_BOUND,
    SYSTEM,
    TOOLS,
    ModelFacts,
)
from aisa.providers.wishes import PARALLEL, is_wished
from aisa.wire.chat import ChatRequest, Known
from aisa.wire.efforts import EFFORTS, NONE, nearest
from aisa.wire.searches import PAGES
from aisa.wire.trees import is_tree, trees_in

THINKING, OTHER_THINKING = "reasoning_content", "reasoning"  # the names that vendors have for what was thought


def conceded(chat: ChatRequest, facts: ModelFacts | None, concessions: Concessions) -> ChatRequest:
    """Return a request as a model takes it. Raises UpstreamFailed for what it lacks, unless its entry has such left out."""
    if facts is None or facts.touched.isdisjoint(chat.fields):
        return chat
    changes = _Changes(chat)
    effort = _effort(chat.known, facts, changes, concessions=concessions)
    if not (facts.free_at_none and effort == NONE):
        for name in facts.lacks:
            if is_wished(chat, name):
                give_up = concessions.do_without if name in (EFFORT, PARALLEL) else concessions.drop
                give_up(name, "they have no such parameter")
            if name in chat.fields:
                changes.leave_out(name)
        for name, only in facts.only:
            value = getattr(chat.known, name)
            if value is not None and value != only:
                concessions.move(name, f"{only:g}", f"they take {only:g} only")
                changes.put(name, only)
    if facts.pages_if_asked and TOOLS in chat.fields and any(tool.type == PAGES for tool in chat.known.tools or ()):
        changes.put_raw(TOOLS, _with_pages(chat.fields[TOOLS]))
    if facts.bound:
        _bounded(chat, facts.bound, changes, concessions=concessions)
    _told(chat, facts, changes)
    return changes.made()


def _effort(known: Known, facts: ModelFacts, changes: _Changes, *, concessions: Concessions) -> object:
    """Return the effort that the model gets, moved to one that it takes. A word that nobody knows is its vendor's to judge."""
    asked: object = known.reasoning_effort
    if asked is None:
        return facts.unsaid_effort
    if EFFORT in facts.lacks or not facts.efforts or asked not in EFFORTS or asked in facts.efforts:
        return asked
    near = nearest(str(asked), facts.efforts)
    concessions.move(EFFORT, near, f"they take {', '.join(facts.efforts)}")
    changes.put(EFFORT, near)
    return near


def _bounded(chat: ChatRequest, bound: str, changes: _Changes, *, concessions: Concessions) -> None:
    """Bound the output by the name that the model knows; of two bounds the one that counts stays."""
    other = OLDER_BOUND if bound == NEWER_BOUND else NEWER_BOUND
    if other not in chat.fields:
        return
    most = chat.max_tokens
    changes.leave_out(other)
    if most is not None:
        changes.put(bound, most)
    elif getattr(chat.known, other) is not None:  # below 1, which is none
        concessions.leave_out(other)


def _told(chat: ChatRequest, facts: ModelFacts, changes: _Changes) -> None:
    """Write the messages with the roles, and the calls in the form, that the model knows."""
    if not facts.developer and b'"developer"' in bytes(chat.fields[MESSAGES]):
        changes.put_raw(MESSAGES, _without_developers(changes.messages))
    if facts.tools_only:
        _in_newer_form(chat, changes)
    if facts.thinking_back and b'"tool_calls"' in bytes(changes.messages):
        changes.put_raw(MESSAGES, _with_thinking(changes.messages))


def _in_newer_form(chat: ChatRequest, changes: _Changes) -> None:
    """Give functions as tools, and write the calls of the history as calls of tools."""
    if is_legacy(chat):
        changes.leave_out(FUNCTIONS)
        changes.put_raw("tools", msgspec.json.encode(tools_of(trees_in(msgspec.json.decode(chat.fields[FUNCTIONS])))))
        if FUNCTION_CALL in chat.fields:
            changes.leave_out(FUNCTION_CALL)
        if (choice := choice_of(chat.known.function_call)) is not None:
            changes.put_raw("tool_choice", msgspec.json.encode(choice))
    if b'"function_call"' in bytes(changes.messages):
        changes.put_raw(MESSAGES, msgspec.json.encode(with_tool_calls(trees_in(msgspec.json.decode(changes.messages)))))


def _with_pages(tools: Raw) -> bytes:
    """Write tools so that a search of the web shows what it found: the bill has nothing else to go by."""
    tree = msgspec.json.decode(tools)
    for tool in trees_in(tree):
        if tool.get("type") == PAGES and is_tree(search := tool.get(PAGES)):
            tool[PAGES] = {**search, "search_result": True}
    return msgspec.json.encode(tree)


def _without_developers(messages: Raw) -> bytes:
    """Write messages with the older name of the role that instructs."""
    tree = msgspec.json.decode(messages)
    for message in trees_in(tree):
        if message.get("role") == DEVELOPER:
            message["role"] = SYSTEM
    return msgspec.json.encode(tree)


def _with_thinking(messages: Raw | bytes) -> bytes:
    """Write messages whose calls have beside them what was thought before; nothing, where the client did not send it back."""
    tree = msgspec.json.decode(messages)
    for message in trees_in(tree):
        if message.get("tool_calls") and not isinstance(message.get(THINKING), str):
            told = message.get(OTHER_THINKING)
            message[THINKING] = told if isinstance(told, str) else ""
    return msgspec.json.encode(tree)


class _Changes:
    """What becomes of the members of a request; nothing is copied while nothing changes."""

    def __init__(self, chat: ChatRequest) -> None:
        self._chat = chat
        self._fields: dict[str, Raw] = {}
        self._known: dict[str, Any] = {}
        self._gone: set[str] = set()

    def leave_out(self, name: str) -> None:
        """Take a member out."""
        self._gone.add(name)
        self._set(name, None)

    def put(self, name: str, value: object) -> None:
        """Give a member another value."""
        self.put_raw(name, msgspec.json.encode(value))
        self._set(name, value)

    def put_raw(self, name: str, value: bytes) -> None:
        """Give a member other bytes, which are read as before."""
        self._gone.discard(name)
        self._fields[name] = Raw(value)

    @property
    def messages(self) -> Raw:
        """The messages as they are by now."""
        return self._fields.get(MESSAGES) or self._chat.fields[MESSAGES]

    def made(self) -> ChatRequest:
        """Return the request with its changes, or itself if there are none."""
        if not self._fields and not self._gone:
            return self._chat
        fields = {name: value for name, value in (self._chat.fields | self._fields).items() if name not in self._gone}
        return msgspec.structs.replace(self._chat, fields=fields, known=msgspec.structs.replace(self._chat.known, **self._known))

    def _set(self, name: str, value: object) -> None:
        if hasattr(self._chat.known, name):
            self._known[name] = value
