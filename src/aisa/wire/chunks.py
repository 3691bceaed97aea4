"""The chunks of one stream, made to keep OpenAI's rules whatever a vendor sent: chunk objects in, conformant chunk objects out.

The rules are those that official clients break on when they are broken. Knows no bytes, no framing and no vendor by name.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from aisa.wire.tool_calls import FunctionCallStream, ToolCallStream
from aisa.wire.trees import Tree, is_list, is_tree, text_or_none, trees_in
from aisa.wire.usage_report import UsageReport, visible
from aisa.wire.vendor_error import VendorError, error_in

OBJECT = "chat.completion.chunk"
FINISH_REASONS = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})
SYNONYMS = {"model_length": "length", "max_tokens": "length", "safety": "content_filter", "end_turn": "stop", "eos": "stop"}

#: Reasons that say the answer was given up, not finished.
FAILURES = frozenset({"error", "insufficient_system_resource"})

HANDLED_TOP = frozenset({"id", "object", "created", "model", "choices", "usage", "error"})
HANDLED_DELTA = frozenset({"role", "content", "refusal", "reasoning", "reasoning_content", "tool_calls", "function_call"})


class ChoiceState:
    """What one choice has emitted so far."""

    __slots__ = ("details", "finished", "function_call", "tool_calls")

    def __init__(self, call_id: str, index: int) -> None:
        self.finished = False
        self.tool_calls = ToolCallStream(f"{call_id}_{index}")
        self.function_call = FunctionCallStream()
        self.details: dict[str, int] = {}


class ChunkStream:
    """Keeps the state of one stream of `n` choices.

    `fallback_id` and `created` (UNIX seconds) stand in where a vendor gives none.
    """

    def __init__(
        self, fallback_id: str, created: int, model: str, *, include_usage: bool, n: int = 1, count: Callable[[str], int] | None = None
    ) -> None:
        self.identity: Tree = {}
        self.include_usage = include_usage
        self.report = UsageReport()
        self.tokens = 0  # output tokens seen so far: one a delta unless its logprobs, the vendor's running count or `count` tell more
        self.reasoning = 0  # of them, those that show the model's thinking
        self._fallback: Tree = {"id": fallback_id, "created": created, "model": model}
        self._call_seed = fallback_id.removeprefix("chatcmpl-")
        self._choices: dict[int, ChoiceState] = {}
        self._waiting: Tree = {}
        self._n = n
        self._count_text = count
        self._alias: int | None = None

    @property
    def finished(self) -> bool:
        """True when every choice that was opened has its finish reason."""
        return bool(self._choices) and all(choice.finished for choice in self._choices.values())

    @property
    def complete(self) -> bool:
        """True when as many choices as were asked for have begun and finished: no token can follow."""
        return len(self._choices) >= self._n and self.finished

    def is_open(self, index: int) -> bool:
        """Tell whether a choice has begun and not finished."""
        choice = self._choices.get(index)
        return choice is not None and not choice.finished

    def accept(self, tree: Tree) -> list[Tree]:
        """Return the chunks to emit for one chunk of the vendor. Raises VendorError."""
        refuse_errors(tree)
        groq = tree.get("x_groq")
        for report in (groq.get("usage") if is_tree(groq) else None, tree.get("usage")):
            self.report.take(report)
        extras = {name: value for name, value in tree.items() if name not in HANDLED_TOP}
        choices = trees_in(tree.get("choices"))
        if not choices:
            if tree.get("usage") is not None or "choices" not in tree or not extras:
                return []
            if self.identity:
                usage: Tree = {"usage": None} if self.include_usage else {}
                return [{**self._head(), "choices": [], **usage, **extras}]
            self._waiting |= extras  # such as Azure's prompt filter results: they ride on the next chunk
            return []
        self._identify(tree)
        counted = self.tokens
        chunks: list[Tree] = []
        for position, choice in enumerate(choices):
            self.report.take(choice.get("usage"))
            chunks += self._accept_choice(choice, position)
            if self.tokens > counted:
                self._catch_up(choice.get("usage"))
        if self.tokens > counted:
            self._catch_up(tree.get("usage"))  # not where a report comes with the finish reason: that one is for the settlement
        if chunks:
            extras, self._waiting = self._waiting | extras, {}
        return [self._chunk(choice, extras if last == len(chunks) else {}) for last, choice in enumerate(chunks, 1)]

    def finish(self) -> list[Tree]:
        """Return the finish chunks that a vendor owes when it said `[DONE]` without them."""
        self._identify({})
        owed = [index for index, choice in self._choices.items() if not choice.finished] or ([] if self._choices else [0])
        chunks: list[Tree] = []
        for index in owed:
            chunks += self._accept_choice({"index": index, "delta": {}, "finish_reason": NOT_GIVEN}, index)
        return [self._chunk(choice, {}) for choice in chunks]

    def usage_chunk(self, report: Tree) -> Tree:
        """Return the one chunk that carries usage."""
        self._identify({})
        return {**self._head(), "choices": [], "usage": report}

    def _identify(self, tree: Tree) -> None:
        if self.identity:
            return
        given = {"id": text_or_none(tree.get("id")), "created": tree.get("created"), "model": text_or_none(tree.get("model"))}
        known = {name: value for name, value in given.items() if type(value) is (int if name == "created" else str)}
        self.identity = {**self._fallback, **known}

    def _head(self) -> Tree:
        identity = self.identity
        return {"id": identity["id"], "object": OBJECT, "created": identity["created"], "model": identity["model"]}

    def _chunk(self, choice: Tree, extras: Tree) -> Tree:
        chunk = self._head()
        for name in ("service_tier", "system_fingerprint"):
            if name in extras:
                chunk[name] = extras[name]
        chunk["choices"] = [choice]
        if self.include_usage:
            chunk["usage"] = None
        return chunk | extras

    def _accept_choice(self, choice: Tree, position: int) -> list[Tree]:
        index = choice.get("index")
        if type(index) is not int or index < 0:
            index = position
        if index >= self._n:
            if self._n > 1 or not self._is_the_only_one(index):
                return []
            index = 0
        opened = self._open(index)
        state = self._choices[index]
        if state.finished:
            return opened
        delta = choice.get("delta")
        deltas = self._deltas(delta if is_tree(delta) else {}, state)
        reason = choice.get("finish_reason") or None
        if reason is not None:
            deltas += state.tool_calls.close()
        emitted = [self._choice(index, part) for part in deltas]
        rest = {name: value for name, value in choice.items() if name not in ("index", "delta", "finish_reason", "usage")}
        logprobs = rest.get("logprobs")
        if is_tree(logprobs):
            rest["logprobs"] = logprobs = {"content": None, "refusal": None, **logprobs}
        if reason is not None:
            emitted.append({**self._choice(index, {}), "finish_reason": self._reason(reason, state)})
            state.finished = True
        if emitted:
            target = emitted[0] if logprobs and deltas else emitted[-1]
            target |= rest
        elif opened:
            opened[-1] |= rest
        elif any(value is not None for value in rest.values()):
            emitted.append({**self._choice(index, {}), **rest})
        self._count(deltas, logprobs)
        return opened + emitted

    def _is_the_only_one(self, index: int) -> bool:
        """Tell whether a vendor numbers its one choice otherwise than 0. A second choice that nobody asked for is dropped."""
        if self._alias is None and not self._choices:
            self._alias = index
        return index == self._alias

    def _open(self, index: int) -> list[Tree]:
        """Open a choice, and those before it that have not begun: clients append choices in index order."""
        opened: list[Tree] = []
        for earlier in range(index + 1):
            if earlier not in self._choices:
                self._choices[earlier] = ChoiceState(self._call_seed, earlier)
                opened.append(self._choice(earlier, {"role": "assistant", "content": "", "refusal": None}))
        return opened

    def _choice(self, index: int, delta: Tree) -> Tree:
        return {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}

    def _deltas(self, delta: Tree, state: ChoiceState) -> list[Tree]:
        """Split a delta into conformant ones: text and its companions in one, each tool call fragment in its own."""
        text: Tree = {}
        content, thinking = flatten(delta.get("content"))
        if content:
            text["content"] = content
        if isinstance(delta.get("refusal"), str) and delta["refusal"]:
            text["refusal"] = delta["refusal"]
        reasoning = text_or_none(delta.get("reasoning_content")) or text_or_none(delta.get("reasoning")) or thinking
        if reasoning:
            text["reasoning_content"] = reasoning
        for name, value in delta.items():
            if name not in HANDLED_DELTA and value is not None:
                text[name] = numbered(value, name, state.details)
        parts = [text] if text else []
        parts += state.tool_calls.accept(delta.get("tool_calls"))
        if state.tool_calls.count:
            return parts  # a legacy call beside tool calls is the same call again, in the words of an older API
        return parts + state.function_call.accept(delta.get("function_call"))

    def _reason(self, reason: object, state: ChoiceState) -> str:
        name = str(reason).lower()
        if name in FAILURES:
            raise VendorError(f"finish_reason is {name}")
        name = SYNONYMS.get(name, name)
        # A forced call by name finishes with `stop` at OpenAI; that is left alone. Only what is no reason at all is replaced.
        if name not in FINISH_REASONS:
            return "tool_calls" if state.tool_calls.count else "function_call" if state.function_call.begun else "stop"
        return name

    def _count(self, deltas: list[Tree], logprobs: object) -> None:
        counted = logprobs.get("content") if is_tree(logprobs) else None
        carrying = [delta for delta in deltas if carries_token(delta)]
        if is_list(counted) and counted:
            tokens = len(counted)
        elif self._count_text is None:
            tokens = len(carrying)
        else:
            tokens = sum([max(1, self._count_text(text_in(delta))) for delta in carrying])
        self.tokens += tokens
        if any("reasoning_content" in delta for delta in carrying):
            self.reasoning += tokens

    def _catch_up(self, report: object) -> None:
        """Take a vendor's running count of what it has shown, where it is ahead of ours."""
        if self._n > 1 or not is_tree(report):
            return
        ahead = visible(report, thinking_shown=bool(self.reasoning)) - self.tokens
        if ahead > 0 and self.tokens:
            self.tokens += ahead


NOT_GIVEN = "not given"  # a finish reason that the vendor owes


def refuse_errors(tree: Tree) -> None:
    """Raise VendorError if a chunk is, or carries, a failure."""
    report = error_in(tree)
    if report is not None:
        raise VendorError(report)


def flatten(content: object) -> tuple[str, str]:
    """Return (text, thinking) of a content value; some vendors send an array of parts (Mistral)."""
    if isinstance(content, str):
        return content, ""
    text = thinking = ""
    for part in trees_in(content):
        if part.get("type") == "thinking":
            inner = part.get("thinking")
            thinking += inner if isinstance(inner, str) else flatten(inner)[0]
        elif isinstance(part.get("text"), str):
            text += str(part["text"])
    return text, thinking


def numbered(value: object, name: str, counts: dict[str, int]) -> object:
    """Give the objects in a list extension the integer `index` that openai-python needs to add such lists up."""
    if not is_list(value):
        return value
    items: list[object] = []
    for item in value:
        unnumbered = is_tree(item) and not isinstance(item.get("index"), int)
        items.append({**item, "index": counts.get(name, 0)} if is_tree(item) and unnumbered else item)
        counts[name] = counts.get(name, 0) + 1
    return items


def carries_token(delta: Tree) -> bool:
    """Tell whether a delta holds generated output: text, reasoning, refusal, arguments or audio."""
    calls = delta.get("tool_calls")
    if is_list(calls):
        return True
    return any(delta.get(name) for name in ("content", "reasoning_content", "refusal", "function_call", "audio", "reasoning_details"))


def text_in(delta: Tree) -> str:
    """Return the generated text of a delta or a message, whatever kind of output it is."""
    calls = [delta.get("function_call"), *[item.get(kind) for item in trees_in(delta.get("tool_calls")) for kind in ("function", "custom")]]
    parts = [delta.get(name) for name in ("content", "reasoning_content", "refusal")]
    parts += [call.get(name) for call in calls if is_tree(call) for name in ("name", "arguments", "input")]
    return "".join([part for part in parts if isinstance(part, str)])


def encode_chunk(chunk: Tree) -> bytes:
    """Write a chunk as one line of JSON."""
    return msgspec.json.encode(chunk)
