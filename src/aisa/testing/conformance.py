"""Grades what a server sent by the contract of the chat API: bytes in, broken rules out. Opens no socket and repairs nothing.

A rule that is broken many times is reported once, with the first event that broke it, so that one mistake reads as one line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import msgspec

from aisa.errors import CODES, RETRY_AFTER_SECONDS_MAX

FINISH_REASONS = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})
CUT = frozenset({"length", "content_filter"})  # end an answer wherever it was: before a last call was given anything, too
ERROR_FIELDS = frozenset({"type", "code", "message", "param", "request_id"})
KEEP_ALIVE = b": keep-alive"
DONE = b"[DONE]"
#: How the text of a tool call is reached: call type -> (its member, the member of that which holds the text).
TOOL_TEXT = {"function": ("function", "arguments"), "custom": ("custom", "input")}
OUTPUT = ("content", "refusal", "reasoning_content", "reasoning", "tool_calls", "function_call", "audio")

Members = dict[str, object]
Fault = Callable[[str], None]


def check_stream(body: bytes, *, include_usage: bool, choices: int = 1) -> list[str]:
    """Return the rules that the body of a streamed answer breaks, in words; an empty list is a conformant stream.

    `include_usage`: the request asked for it in `stream_options`. `choices`: the request's `n`.
    """
    stream = _Stream(include_usage, choices)
    *blocks, rest = body.split(b"\n\n")
    for block in blocks:
        stream.block(block)
    stream.end(rest)
    return [f"event {number}: {rule}" for rule, number in stream.broken.items()]


def check_answer(body: bytes) -> list[str]:
    """Return the rules that the body of a non-streamed answer breaks, in words."""
    broken: list[str] = []
    answer = _decoded(body)
    if answer is None:
        return ["the body is one JSON object"]
    _check_identity(answer, "chat.completion", broken.append)
    if "error" in answer:
        broken.append("an answer has no `error` member")
    choices = _objects(answer.get("choices"))
    if not choices:
        broken.append("`choices` is a non-empty array of objects")
    for index, choice in enumerate(choices or []):
        _check_answered(choice, index, broken.append)
    if "usage" in answer:
        _check_usage(answer["usage"], broken.append)
    return list(dict.fromkeys(broken))


def check_error(body: bytes, status: int, headers: Mapping[str, str]) -> list[str]:
    """Return the rules that a response with an error status breaks, in words. Header names may have any case."""
    broken: list[str] = []
    named = {name.lower(): value for name, value in headers.items()}
    answer = _decoded(body)
    if answer is None or set(answer) != {"error"}:
        return ["the body is one JSON object with the one member `error`"]
    error = _check_failure(answer["error"], broken.append)
    code = error.get("code")
    if isinstance(code, str) and code in CODES and CODES[code][0] != status:
        broken.append(f"code {code} has status {CODES[code][0]}")
    if not named.get("content-type", "").startswith("application/json"):
        broken.append("an error is application/json")
    if named.get("x-request-id") != error.get("request_id"):
        broken.append("x-request-id equals the error's request_id")
    wait = named.get("retry-after")
    if wait is not None and not (wait.isdecimal() and 1 <= int(wait) <= RETRY_AFTER_SECONDS_MAX):
        broken.append(f"Retry-After is a whole number of seconds from 1 to {RETRY_AFTER_SECONDS_MAX}")
    if status in (429, 503) and wait is None and named.get("x-should-retry") != "false":
        broken.append("429 and 503 say when to retry, or x-should-retry: false")
    return broken


class _Stream:
    """What has been seen of one stream, and the rules it broke: rule -> number of the first event that broke it."""

    def __init__(self, include_usage: bool, choices: int) -> None:
        self.broken: dict[str, int] = {}
        self._include_usage = include_usage
        self._choices = [_Choice() for _ in range(choices)]
        self._identity: Members = {}
        self._number = 0
        self._used = self._failed = self._done = False

    def block(self, block: bytes) -> None:
        """Take what stands before one blank line."""
        self._number += 1
        if self._done or self._failed:
            self._fault("nothing follows [DONE] or an error event")
        elif block == KEEP_ALIVE:
            return
        elif not block.startswith(b"data: ") or b"\n" in block or b"\r" in block:
            self._fault("an event is one `data: ` line, or the comment `: keep-alive`, and a blank line")
        elif block[6:] == DONE:
            self._done = True
            self._close()
        elif (event := _decoded(block[6:])) is None:
            self._fault("an event holds one JSON object")
        elif event.get("error") is not None:
            self._error(event)
        else:
            self._chunk(event)

    def end(self, rest: bytes) -> None:
        """Take what stands after the last blank line."""
        if rest:
            self._number += 1
            self._fault("the last event ends with a blank line")
        elif not (self._done or self._failed):
            self._fault("a stream ends with [DONE] or an error event")

    def _fault(self, rule: str) -> None:
        self.broken.setdefault(rule, self._number)

    def _close(self) -> None:
        if not all(choice.finished for choice in self._choices):
            self._fault("every choice finishes before [DONE]")
        if self._include_usage and not self._used:
            self._fault("usage that was asked for is sent before [DONE]")

    def _error(self, event: Members) -> None:
        self._failed = True
        if set(event) != {"error"}:
            self._fault("an error event has no other member than `error`, no choices above all")
        if self._used:
            self._fault("a stream that fails sends no usage")
        _check_failure(event["error"], self._fault)

    def _chunk(self, event: Members) -> None:
        if "error" in event:
            self._fault("a chunk has no `error` member, not even null")
        _check_identity(event, "chat.completion.chunk", self._fault)
        for name in ("id", "created", "model"):
            if event.get(name) != self._identity.setdefault(name, event.get(name)):
                self._fault(f"`{name}` is the same in all chunks")
        choices = _objects(event.get("choices"))
        if choices is None:
            self._fault("`choices` is an array of objects")
        if self._used:
            self._fault("only [DONE] follows the usage chunk")
        self._check_usage_member(event, last=choices == [])
        for choice in choices or []:
            self._choice(choice)

    def _check_usage_member(self, event: Members, *, last: bool) -> None:
        if not self._include_usage:
            if "usage" in event:
                self._fault("there is no `usage` member unless it was asked for")
        elif event.get("usage") is not None and last:
            self._used = True
            _check_usage(event["usage"], self._fault)
            if not all(choice.finished for choice in self._choices):
                self._fault("usage follows the finish of every choice")
        elif "usage" not in event or event["usage"] is not None:
            self._fault("`usage` is null on every chunk but the last, whose `choices` is []")

    def _choice(self, choice: Members) -> None:
        index = choice.get("index")
        if type(index) is not int or not 0 <= index < len(self._choices):
            self._fault("a choice's `index` counts from 0 and stays below n")
            return
        state = self._choices[index]
        if not state.opened and not all(earlier.opened for earlier in self._choices[:index]):
            self._fault("choices open in the order of their index")
        state.take(choice, self._fault)


class _Choice:
    """What has been seen of one choice of a stream."""

    def __init__(self) -> None:
        self.opened = False
        self.finished = False
        self._calls: list[_Call] = []
        self._legacy = False

    def take(self, choice: Members, fault: Fault) -> None:
        """Grade one entry of a chunk's `choices`."""
        delta = _members(choice.get("delta"))
        if delta is None:
            fault("`delta` is an object")
        delta = delta or {}
        if self.finished:
            fault("nothing follows the finish of a choice")
            return
        if not self.opened:
            self._open(delta, fault)
        elif "role" in delta:
            fault("only the first chunk of a choice carries a role")
        _check_texts(delta, fault)
        if "tool_calls" in delta:
            self._take_calls(delta["tool_calls"], fault)
        if "function_call" in delta:
            self._take_legacy(delta["function_call"], fault)
        if choice.get("finish_reason") is not None:
            self._finish(choice["finish_reason"], delta, fault)

    def _open(self, delta: Members, fault: Fault) -> None:
        self.opened = True
        if delta.get("role") != "assistant" or delta.get("content") != "":
            fault('the first chunk of a choice carries role assistant and content ""')
        if any(delta.get(name) for name in OUTPUT if name != "content"):
            fault("the first chunk of a choice carries no output")

    def _finish(self, reason: object, delta: Members, fault: Fault) -> None:
        self.finished = True
        if reason not in FINISH_REASONS:
            fault("finish_reason is one of " + ", ".join(sorted(FINISH_REASONS)))
        if delta:
            fault("the delta of a finish chunk is {}")
        if any(not call.texted for call in (self._calls[:-1] if reason in CUT else self._calls)):
            fault("every function call was sent argument text, {} if it takes none")

    def _take_calls(self, value: object, fault: Fault) -> None:
        fragments = _objects(value)
        if not fragments:
            fault("`tool_calls` is a non-empty array of objects")
            return
        if self._legacy:
            fault("a choice calls tools or the legacy function, not both")
        for fragment in fragments:
            index = fragment.get("index")
            if type(index) is not int or not 0 <= index <= len(self._calls):
                fault("tool indexes count from 0 without gaps, in order of appearance")
            elif index == len(self._calls):
                self._calls.append(_Call(fragment, fault))
            else:
                self._calls[index].take(fragment, fault)

    def _take_legacy(self, value: object, fault: Fault) -> None:
        call = _members(value)
        if call is None or not isinstance(call.get("arguments"), str) or ("name" in call) == self._legacy:
            fault("`function_call` has its name in its first fragment only, and arguments as a string in each")
        if self._calls:
            fault("a choice calls tools or the legacy function, not both")
        self._legacy = True


class _Call:
    """What has been seen of one tool call of a choice."""

    def __init__(self, opening: Members, fault: Fault) -> None:
        kind = opening.get("type")
        self._member, self._text = TOOL_TEXT[kind] if isinstance(kind, str) and kind in TOOL_TEXT else TOOL_TEXT["function"]
        self.texted = kind == "custom"  # free text, unlike JSON, may well be empty
        inner = _members(opening.get(self._member)) or {}
        if kind not in TOOL_TEXT or not _is_text(opening.get("id")) or not _is_text(inner.get("name")) or inner.get(self._text) != "":
            fault('a tool call opens with index, id, type, name and arguments ""')

    def take(self, fragment: Members, fault: Fault) -> None:
        """Grade a fragment after the opening."""
        inner = _members(fragment.get(self._member)) or {}
        text = inner.get(self._text)
        if set(fragment) != {"index", self._member} or set(inner) != {self._text} or not isinstance(text, str):
            fault("after its opening a tool call carries index and arguments (a string), nothing else")
        self.texted = self.texted or bool(text)


def _check_texts(delta: Members, fault: Fault) -> None:
    if any(not isinstance(delta.get(name), str | None) for name in ("content", "refusal", "reasoning_content")):
        fault("content, refusal and reasoning_content are strings")
    if "reasoning" in delta and delta["reasoning"] != delta.get("reasoning_content"):
        fault("`reasoning` is not sent, or only as a twin of reasoning_content")
    for name, value in delta.items():
        # openai-python adds lists up by `index`, and raises on the second one that has none.
        if name != "tool_calls" and any(type(item.get("index")) is not int for item in _objects(value) or []):
            fault("each item of a list in a delta has an integer `index`")


def _check_identity(answer: Members, kind: str, fault: Fault) -> None:
    if not _is_text(answer.get("id")) or not _is_text(answer.get("model")):
        fault("`id` and `model` are non-empty strings")
    if type(answer.get("created")) is not int:
        fault("`created` is a whole number of seconds")
    if answer.get("object") != kind:
        fault(f"`object` is {kind}")


def _check_answered(choice: Members, index: int, fault: Fault) -> None:
    if choice.get("index") != index or type(choice.get("index")) is not int:
        fault("choices are in the order of their index, from 0")
    if choice.get("finish_reason") not in FINISH_REASONS:
        fault("finish_reason is one of " + ", ".join(sorted(FINISH_REASONS)))
    if not isinstance(choice.get("logprobs", False), dict | None):
        fault("`logprobs` is there, null or an object")
    message = _members(choice.get("message")) or {}
    if message.get("role") != "assistant":
        fault("`message` has the role assistant")
    if any(not isinstance(message.get(name, False), str | None) for name in ("content", "refusal")):
        fault("`content` and `refusal` are there, null or a string")
    if "tool_calls" in message:
        _check_answered_calls(message["tool_calls"], fault, cut=choice.get("finish_reason") in CUT)


def _check_answered_calls(value: object, fault: Fault, *, cut: bool) -> None:
    calls = _objects(value)
    if not calls:
        fault("`tool_calls` is a non-empty array of objects, or absent")
    for call in calls or []:
        kind = call.get("type")
        member, text = TOOL_TEXT[kind] if isinstance(kind, str) and kind in TOOL_TEXT else TOOL_TEXT["function"]
        inner = _members(call.get(member)) or {}
        whole = kind in TOOL_TEXT and _is_text(call.get("id")) and _is_text(inner.get("name")) and isinstance(inner.get(text), str)
        if not whole or (kind == "function" and not inner[text] and not (cut and calls and call is calls[-1])):
            fault("a tool call has id, type, name and arguments (a string, {} if it takes none)")


def _check_failure(value: object, fault: Fault) -> Members:
    error = _members(value) or {}
    if error.keys() != ERROR_FIELDS:
        fault("an error has the fields " + ", ".join(sorted(ERROR_FIELDS)) + " and no others")
        return error
    if not _is_text(error["message"]) or not _is_text(error["request_id"]) or not isinstance(error["param"], str | None):
        fault("an error's message and request_id are non-empty strings, its param a string or null")
    code = error["code"]
    if not isinstance(code, str) or code not in CODES or CODES[code][1] != error["type"]:
        fault("an error's code is in the table of errors, beside its type")
    return error


def _check_usage(value: object, fault: Fault) -> None:
    usage = _members(value) or {}
    prompt, completion, total = (_count(usage.get(name)) for name in ("prompt_tokens", "completion_tokens", "total_tokens"))
    before = _members(usage.get("prompt_tokens_details")) or {}
    after = _members(usage.get("completion_tokens_details")) or {}
    cached, written = (_count(before.get(name, 0)) for name in ("cached_tokens", "cache_write_tokens"))
    reasoning = _count(after.get("reasoning_tokens", 0))
    if min(prompt, completion, total, cached, written, reasoning) < 0:
        fault("usage counts are whole numbers from 0: prompt_tokens, completion_tokens, total_tokens and their details")
        return
    if total != prompt + completion:
        fault("total_tokens is prompt_tokens + completion_tokens")
    if cached + written > prompt:
        fault("cached_tokens and cache_write_tokens are part of prompt_tokens")
    if reasoning > completion:
        fault("reasoning_tokens are part of completion_tokens")
    if "cost" in usage and not (type(usage["cost"]) in (int, float) and cast("float", usage["cost"]) >= 0):
        fault("`cost` is a number of US dollars, not below 0")


def _count(value: object) -> int:
    """Return a token count, or -1 for what is none."""
    return value if type(value) is int and value >= 0 else -1


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _decoded(data: bytes) -> Members | None:
    try:
        return _members(msgspec.json.decode(data))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _members(value: object) -> Members | None:
    return cast("Members", value) if isinstance(value, dict) else None


def _objects(value: object) -> list[Members] | None:
    """Return a list whose items are all objects, else None."""
    if not isinstance(value, list):
        return None
    items = cast("list[object]", value)
    return cast("list[Members]", items) if all(isinstance(item, dict) for item in items) else None
