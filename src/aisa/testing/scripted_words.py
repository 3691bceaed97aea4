"""What a scripted vendor writes for the steps of a scenario, in OpenAI's dialect: chunks, documents, vectors. Waits for nothing."""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from aisa.testing.scenario import Answer, Step, ToolCall

Json = dict[str, Any]
PROMPT_TOKENS = 11  # as any number
CHOICES_MAX = 128  # as OpenAI has it
VECTOR = (0.25, -0.5, 0.125, 1.0, -1.0, 0.0, 0.5, -0.25)  # exact in four bytes
CREATED = 1_750_000_000
#: What OpenAI's chunks have besides; with it an event is as long as theirs, some 250 bytes, and buffers hold as many tokens.
USUAL = {"service_tier": "default", "system_fingerprint": "fp_44709d6fcb"}


class Words:
    """The words of one answer: `tokens` counts what was said. `completion` is the form of text completions.

    A bound that the request sets (`max_tokens`) ends it early; of `n` choices each says the same.
    """

    def __init__(self, asked: Mapping[str, object], *, completion: bool = False) -> None:
        self.tokens = 0
        self.over = False
        self._completion = completion
        self._model = str(asked.get("model", "m"))
        self._choices = asked.get("n") if isinstance(asked.get("n"), int) else 1
        bound = asked.get("max_completion_tokens") or asked.get("max_tokens")
        self._tokens_max = bound if isinstance(bound, int) and bound > 0 else None
        options = asked.get("stream_options")
        self._usage_asked = isinstance(options, dict) and bool(cast("Json", options).get("include_usage"))
        self._calls = 0

    def opening(self) -> bytes:
        """Return the chunk of the role, of each choice."""
        return b"" if self._completion else self._of_all({"role": "assistant", "content": "", "refusal": None})

    def token(self, text: str) -> bytes:
        """Return one token; the end instead, once the request's bound is reached."""
        if self.over:
            return b""
        self.tokens += 1
        sent = self._of_all(text if self._completion else {"content": text})
        return sent + self.end("length") if self.tokens == self._tokens_max else sent

    def call(self, asked: ToolCall) -> bytes:
        """Return the chunks of a call: its opening, then its arguments in parts."""
        index = self._calls if asked.index is None else asked.index
        self._calls += 1
        self.tokens += 1
        opening = {"index": index, "id": f"call_{self._calls}", "type": "function", "function": {"name": asked.name, "arguments": ""}}
        size = max(1, -(-len(asked.arguments) // asked.fragments))
        parts = [asked.arguments[at : at + size] for at in range(0, len(asked.arguments), size)]
        deltas: list[Json] = [opening, *({"index": index, "function": {"arguments": part}} for part in parts)]
        return b"".join(self._of_all({"tool_calls": [delta]}) for delta in deltas)

    def end(self, reason: str) -> bytes:
        """Return what ends a stream: a finish for each choice, usage if it was asked for, `[DONE]`. Nothing if it is over."""
        if self.over:
            return b""
        self.over = True
        sent = self._of_all("" if self._completion else {}, reason)
        if self._usage_asked:
            sent += event({**self._head(), "choices": [], "usage": usage(self.tokens)})
        return sent + b"data: [DONE]\n\n"

    def _of_all(self, said: str | Json, finish: str | None = None) -> bytes:
        numbers = range(cast("int", self._choices))
        return b"".join(event({**self._head(), "choices": [self._choice(index, said, finish)]}) for index in numbers)

    def _choice(self, index: int, said: str | Json, finish: str | None) -> Json:
        return {"index": index, "text" if self._completion else "delta": said, "logprobs": None, "finish_reason": finish}

    def _head(self) -> Json:
        kind = "text_completion" if self._completion else "chat.completion.chunk"
        return {"id": "chatcmpl-scripted", "object": kind, "created": CREATED, "model": self._model, **USUAL}


def document(asked: Mapping[str, object], answer: Answer, *, completion: bool = False) -> tuple[int, Json]:
    """Return status and body of what the steps make where no stream was asked for; a failure among them is the whole answer."""
    text, calls, reason = "", list[Json](), "stop"
    for step in answer.steps:
        told: object = step.event
        if isinstance(told, dict) and "error" in told:
            return 500, cast("Json", told)
        text += "".join(text_of(step, number) for number in range(step.times)) if step.say else ""
        if step.call is not None:
            function = {"name": step.call.name, "arguments": step.call.arguments}
            calls.append({"id": f"call_{len(calls) + 1}", "type": "function", "function": function})
        reason = step.end or reason
    tokens = sum(step.times for step in answer.steps if step.say) + len(calls)
    count = cast("int", asked.get("n")) if isinstance(asked.get("n"), int) else 1
    bound = asked.get("max_completion_tokens") or asked.get("max_tokens")
    if isinstance(bound, int) and 0 < bound <= tokens:
        text, tokens, reason = "".join(said_of(answer.steps, bound)), bound, "length"
    message: Json = {"role": "assistant", "content": text or None, "refusal": None, **({"tool_calls": calls} if calls else {})}
    said: Json = {"text": text} if completion else {"message": message}
    choices = [{"index": index, **said, "logprobs": None, "finish_reason": reason} for index in range(count)]
    kind = "text_completion" if completion else "chat.completion"
    head = {"id": "chatcmpl-scripted", "object": kind, "created": CREATED, "model": str(asked.get("model", "m"))}
    return answer.status, {**head, "choices": choices, "usage": usage(tokens)}


def said_of(steps: Sequence[Step], bound: int) -> list[str]:
    """Return the first tokens that the steps say."""
    said: list[str] = []
    for step in steps:
        said += [text_of(step, number) for number in range(min(step.times, bound - len(said)))] if step.say else []
    return said


def text_of(step: Step, number: int) -> str:
    """Return the text of a step's token of this number, from 0, which stands for `{n}` in it."""
    texts = (step.say,) if isinstance(step.say, str) else step.say or ("",)
    return texts[number % len(texts)].replace("{n}", str(number + 1)) * step.repeat


def refusal_of(path: str, asked: Mapping[str, object] | None) -> tuple[int, Mapping[str, str], bytes] | None:
    """Return status, headers and body for what no vendor of OpenAI's would answer: a route that it has not, no JSON, no messages."""
    status, code, param, what = 400, None, None, ""
    if not path.endswith("/completions"):
        status, what = 404, f"Invalid URL (POST {path[:80]})"
    elif asked is None:
        what = "We could not parse the JSON body of your request."
    elif path.endswith("/chat/completions") and not isinstance(asked.get("messages"), list):
        code, param, what = "missing_required_parameter", "messages", "Missing required parameter: 'messages'."
    elif not (asked.get("n") is None or (type(asked["n"]) is int and 1 <= asked["n"] <= CHOICES_MAX)):
        code, param, what = "invalid_value", "n", f"Invalid value for 'n': expected an integer from 1 to {CHOICES_MAX}."
    error = {"message": what, "type": "invalid_request_error", "param": param, "code": code}
    return (status, {}, msgspec.json.encode({"error": error})) if what else None


def usage(tokens: int) -> Json:
    """Return a report of so many output tokens."""
    return {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": tokens, "total_tokens": PROMPT_TOKENS + tokens}


def vectors(asked: Mapping[str, object]) -> Json:
    """Return an embedding for each input, the same for all but for its first number, which counts them."""
    given = asked.get("input")
    count = len(cast("list[object]", given)) if isinstance(given, list) and given and not isinstance(given[0], int) else 1
    rows = [(float(number), *VECTOR[1:]) for number in range(count)]
    packed = asked.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": number, "embedding": base64.b64encode(struct.pack("<8f", *row)).decode() if packed else list(row)}
        for number, row in enumerate(rows)
    ]
    counts = {"prompt_tokens": PROMPT_TOKENS, "total_tokens": PROMPT_TOKENS}
    return {"object": "list", "data": data, "model": str(asked.get("model", "m")), "usage": counts}


def ranking(asked: Mapping[str, object]) -> Json:
    """Return a ranking of the documents: the last first."""
    documents = asked.get("documents")
    count = len(cast("list[object]", documents)) if isinstance(documents, list) else 0
    results = [{"index": index, "relevance_score": (index + 1) / (count + 1)} for index in reversed(range(count))]
    return {"id": "rerank-scripted", "results": results, "usage": {"total_tokens": PROMPT_TOKENS, "prompt_tokens": PROMPT_TOKENS}}


def event(value: object) -> bytes:
    """Return one server-sent event."""
    return b"data: " + msgspec.json.encode(value) + b"\n\n"
