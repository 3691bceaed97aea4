"""One chat request to its completion: the chunks of a stream, or the whole. Pure: parsed JSON in, JSON objects out, one token at a time.

Both forms are made from the same steps, so that a stream, put together, is the answer that would not have been streamed.
"""

from __future__ import annotations

import string
from collections.abc import Generator, Iterator
from itertools import islice
from typing import Literal, NamedTuple, cast

import msgspec

from aisa.clock import Chance
from aisa.embedded.budget import Budget, Exhausted
from aisa.embedded.calls import Decision, Offer, decide, write_input
from aisa.embedded.json_value import Json, as_object
from aisa.embedded.model import VERSION, Model
from aisa.embedded.phrases import Phrases
from aisa.embedded.request import OUTPUT_TOKENS_MAX, OUTPUT_TOKENS_USUAL, Ask, Refusal, read_request
from aisa.embedded.sampling import ChosenLogprob, Sampler, chosen_logprob
from aisa.embedded.schema_in_text import schema_in
from aisa.embedded.schema_in_words import schema_in_words
from aisa.embedded.structure import write_json
from aisa.embedded.text import Cutter, Part
from aisa.embedded.validity import Unsatisfiable
from aisa.embedded.vocabulary import END, TOPIC_CHARS_MAX

FINGERPRINT = f"embedded-tiny-{VERSION}"
CONTEXT_TOKENS_MAX = 131_072  # of a prompt: what is usual for models; counting them takes some tens of milliseconds
MESSAGE_TOKENS = 3  # that a message costs beside its text, and the answer's opening too
ATTACHMENT_TOKENS = 85  # that an image, a sound or a file is counted as; the model does not look at them
LOGPROBS_MAX = 250_000  # of one answer: some 100 MB while it is made
SENTENCE_TOKENS_MAX = 40  # of a string in a document
ID_CHARACTERS = string.ascii_letters + string.digits

JsonDict = dict[str, object]
Logprobs = list[ChosenLogprob]
Finish = Literal["stop", "length"]


class Step(NamedTuple):
    """What one choice says next: a delta as OpenAI streams it, the tokens it stands for, or the end with its reason."""

    choice: int
    delta: JsonDict
    logprobs: Logprobs | None = None
    tokens: int = 0
    finish: str | None = None


class Completion:
    """The answer to one request. Generates as its iterators are read, never ahead. Refuses in its constructor, or not at all."""

    def __init__(self, body: object, *, model: Model, chance: Chance, created: int) -> None:
        """Read the request. `created` is UNIX seconds. Raises Refusal for what cannot be answered."""
        self._ask = ask = read_request(body)
        self._model = model
        if (ask.top_logprobs or 0) > len(model.vocabulary):
            message = f"'top_logprobs' is {ask.top_logprobs}, but this model has {len(model.vocabulary)} tokens to choose from."
            raise Refusal(message, "top_logprobs", "unsupported_value")
        self._chance = chance
        self._prompt = ask.prompt()
        self._topic = model.topic(self._prompt)
        self._prompt_tokens = count_prompt(ask, model)
        self._completion_tokens = 0
        self._created = created
        self._budget = Budget()
        self._id = "chatcmpl-" + new_id(chance, 29)
        self.stream = bool(ask.stream)
        decision = decide(ask, model.vocabulary)
        self._choices = [self._choice(index, decision) for index in range(ask.n or 1)]

    def chunks(self) -> Iterator[tuple[JsonDict, int]]:
        """Yield each chunk of the stream with the number of tokens in it, the usage chunk included if it was asked for."""
        with_usage = self._ask.stream_options is not None and bool(self._ask.stream_options.include_usage)
        extra: JsonDict = {"usage": None} if with_usage else {}
        head = self._head("chat.completion.chunk")
        for step in self._steps():
            logprobs = None if step.logprobs is None else {"content": step.logprobs, "refusal": None}
            choice = {"index": step.choice, "delta": step.delta, "logprobs": logprobs, "finish_reason": step.finish}
            yield {**head, "choices": [choice], **extra}, step.tokens
        if with_usage:
            yield {**head, "choices": [], "usage": self._usage()}, 0

    def whole(self) -> Generator[int, None, JsonDict]:
        """Yield the number of tokens of each step; return the whole completion."""
        gathered = [Gathered() for _ in self._choices]
        for step in self._steps():
            gathered[step.choice].add(step)
            yield step.tokens
        choices = [each.choice(index, with_logprobs=bool(self._ask.logprobs)) for index, each in enumerate(gathered)]
        metadata = as_object(cast("Json", self._ask.metadata))
        extra: JsonDict = {"metadata": metadata} if metadata else {}
        return {**self._head("chat.completion"), "choices": choices, "usage": self._usage(), **extra}

    def _head(self, name: str) -> JsonDict:
        return {"id": self._id, "object": name, "created": self._created, "model": self._ask.model, "system_fingerprint": FINGERPRINT}

    def _usage(self) -> JsonDict:
        return {
            "prompt_tokens": self._prompt_tokens,
            "completion_tokens": self._completion_tokens,
            "total_tokens": self._prompt_tokens + self._completion_tokens,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }

    def _steps(self) -> Iterator[Step]:
        """Yield the steps of all choices, in turn: first every opening, then one part of each, until all have ended."""
        for index in range(len(self._choices)):
            yield Step(index, {"role": "assistant", "content": "", "refusal": None})
        running = list(self._choices)
        while running:
            for choice in list(running):
                step = next(choice, None)
                if step is None:
                    running.remove(choice)
                    continue
                self._completion_tokens += step.tokens
                yield step

    def _choice(self, index: int, decision: Decision) -> Iterator[Step]:
        """Return the steps of one choice after its opening. What the request demands to be written as JSON is written now."""
        settings, chance = self._ask.settings(), self._chance_of(index)
        phrases = Phrases(
            self._prompt, self._model.vocabulary.topic_words(self._prompt), sentence=lambda: self._sentence(chance), chance=chance
        )
        if decision.offers:
            inputs = [(offer, write_input(offer, phrases, chance=chance, budget=self._budget)) for offer in decision.offers]
            return self._calling(index, inputs, decision.finish)
        sampler = Sampler(self._model, settings, topic=self._topic, chance=chance)
        document = write_document(self._ask, phrases, chance=chance, budget=self._budget)
        if document is None:
            tokens = self._sampled(sampler, self._limit(OUTPUT_TOKENS_USUAL))
        else:
            tokens = self._spelled(document, self._limit(OUTPUT_TOKENS_MAX))
        return self._speaking(index, tokens, sampler)

    def _limit(self, usual: int) -> int:
        """Return how many tokens a choice of text may have; one with many log-probabilities ends early, as a document holds them all."""
        ask = self._ask
        entries = (1 + (ask.top_logprobs or 0)) * (ask.n or 1) if ask.logprobs else 0
        limit = ask.token_limit() or usual
        return min(limit, max(1, LOGPROBS_MAX // entries)) if entries else limit

    def _chance_of(self, index: int) -> Chance:
        """Return the dice of one choice. They depend on the prompt too, so that one seed does not make all answers alike."""
        seed = self._ask.seed
        if seed is None and self._ask.temperature == 0:
            seed = 0
        return Chance(self._chance.getrandbits(64)) if seed is None else Chance(f"{seed}/{index}/{self._prompt[-TOPIC_CHARS_MAX:]}")

    def _sampled(self, sampler: Sampler, limit: int) -> Iterator[int | Finish]:
        """Yield what the model says, then why it ends."""
        for _ in range(limit):
            token = sampler.choose()
            if token == END:
                yield "stop"
                return
            yield token
        yield "length"

    def _spelled(self, text: str, limit: int) -> Iterator[int | Finish]:
        """Yield the tokens of a text, then why it ends."""
        tokens = self._model.vocabulary.encode(text)
        yield from islice(tokens, limit)
        yield "stop" if next(tokens, None) is None else "length"

    def _speaking(self, index: int, tokens: Iterator[int | Finish], sampler: Sampler) -> Iterator[Step]:
        """Yield text steps, each with its log-probabilities if they were asked for."""
        ask, model = self._ask, self._model
        top = ask.top_logprobs or 0

        def note(token: int) -> ChosenLogprob | None:
            return chosen_logprob(model, sampler.distribution(), token, top=top) if ask.logprobs else None

        def step(part: Part[ChosenLogprob | None]) -> Step:
            logprobs = [each for each in part.notes if each] if ask.logprobs else None
            return Step(index, {"content": part.text}, logprobs, len(part.notes))

        cutter = Cutter[ChosenLogprob | None](ask.stops())
        for token in tokens:
            if isinstance(token, str):
                yield from map(step, cutter.end())
                yield Step(index, {}, finish=token)
                return
            parts = cutter.feed(model.vocabulary.tokens[token], note(token))
            sampler.take(token)
            yield from map(step, parts)
            if cutter.stopped:
                yield Step(index, {}, finish="stop")
                return

    def _calling(self, index: int, inputs: list[tuple[Offer, str]], finish: str) -> Iterator[Step]:
        """Yield the steps of tool calls: the head of each, then its input in fragments of a token."""
        vocabulary = self._model.vocabulary
        left = self._ask.token_limit() or OUTPUT_TOKENS_MAX
        for place, (offer, written) in enumerate(inputs):
            name_tokens = sum(1 for _ in vocabulary.encode(offer.name))
            yield Step(index, call_head(offer, place, "call_" + new_id(self._chance, 24)), tokens=name_tokens)
            left = max(1, left - name_tokens)  # at least one fragment: clients take a call without arguments as broken
            cutter = Cutter[int](())
            for item in self._spelled(written, left):
                for part in cutter.end() if isinstance(item, str) else cutter.feed(vocabulary.tokens[item], 1):
                    left -= len(part.notes)
                    yield Step(index, call_fragment(offer, place, part.text), tokens=len(part.notes))
                if item == "length":
                    yield Step(index, {}, finish="length")
                    return
        yield Step(index, {}, finish=finish)

    def _sentence(self, chance: Chance) -> str:
        """Return one sentence of the model's, for a string in a document."""
        sampler = Sampler(self._model, self._ask.settings(), topic=self._topic, chance=chance)
        written = b""
        for token in self._sampled(sampler, SENTENCE_TOKENS_MAX):
            if isinstance(token, str) or written.endswith((b".", b"?", b"!")):
                break
            sampler.take(token)
            written += self._model.vocabulary.tokens[token]
        return written.decode("utf-8", "replace").strip()


class Gathered:
    """Puts the steps of one choice together."""

    def __init__(self) -> None:
        self._content: list[str] = []
        self._logprobs: Logprobs = []
        self._calls: list[JsonDict] = []
        self._legacy: dict[str, str] | None = None
        self._finish: str | None = None

    def add(self, step: Step) -> None:
        """Take the next step."""
        self._finish = step.finish or self._finish
        self._logprobs += step.logprobs or []
        delta = step.delta
        if "content" in delta:
            self._content.append(str(delta["content"]))
        if "function_call" in delta:
            part = cast("dict[str, str]", delta["function_call"])
            before = self._legacy or {"name": part["name"], "arguments": ""}
            self._legacy = {**before, "arguments": before["arguments"] + part["arguments"]}
        for call in cast("list[JsonDict]", delta.get("tool_calls", [])):
            self._add_call(dict(call))

    def _add_call(self, call: JsonDict) -> None:
        if call.pop("index") == len(self._calls):
            self._calls.append(call)
            return
        before = self._calls[-1]
        for kind, field in (("function", "arguments"), ("custom", "input")):
            if kind in call:
                inner = cast("dict[str, str]", before[kind])
                before[kind] = {**inner, field: inner[field] + cast("dict[str, str]", call[kind])[field]}

    def choice(self, index: int, *, with_logprobs: bool) -> JsonDict:
        """Return the choice as a completion holds it."""
        calls = bool(self._calls or self._legacy)
        message: JsonDict = {"role": "assistant", "content": None if calls else "".join(self._content), "refusal": None, "annotations": []}
        if self._calls:
            message["tool_calls"] = self._calls
        if self._legacy:
            message["function_call"] = self._legacy
        logprobs = {"content": self._logprobs, "refusal": None} if with_logprobs and not calls else None
        return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": self._finish}


def call_head(offer: Offer, place: int, call_id: str) -> JsonDict:
    """Return the delta that opens a call."""
    if offer.kind == "legacy":
        return {"function_call": {"name": offer.name, "arguments": ""}}
    field = "input" if offer.kind == "custom" else "arguments"
    return {"tool_calls": [{"index": place, "id": call_id, "type": offer.kind, offer.kind: {"name": offer.name, field: ""}}]}


def call_fragment(offer: Offer, place: int, text: str) -> JsonDict:
    """Return the delta that goes on with a call's input."""
    if offer.kind == "legacy":
        return {"function_call": {"arguments": text}}
    field = "input" if offer.kind == "custom" else "arguments"
    return {"tool_calls": [{"index": place, offer.kind: {field: text}}]}


def write_document(ask: Ask, phrases: Phrases, *, chance: Chance, budget: Budget) -> str | None:
    """Return the JSON text that the request's `response_format` asks for, or None for plain text. Raises Refusal."""
    form = ask.response_format
    if form is None or form.type == "text":
        return None
    schema: Json = cast("Json", form.json_schema.schema) if form.json_schema else None
    if form.type == "json_object":
        told = write_as_told(ask, phrases, chance=chance)
        if told is not None:
            return told
    if form.type == "json_object" or (form.type == "json_schema" and schema is None):
        properties: dict[str, Json] = {name: {"type": "string"} for name in phrases.property_names()}
        schema = {"type": "object", "properties": properties}
    elif form.type != "json_schema":
        raise Refusal(
            "Invalid value: 'response_format.type' must be text, json_object or json_schema.", "response_format.type", "invalid_value"
        )
    try:
        return write_json(schema, phrases, chance=chance, budget=budget)
    except (Unsatisfiable, Exhausted) as error:
        raise Refusal(f"Invalid schema for response_format: {error}.", "response_format", "invalid_json_schema") from error


def write_as_told(ask: Ask, phrases: Phrases, *, chance: Chance) -> str | None:
    """Return the document for a schema that stands in the text of the last user or of a system message, None if there is none to follow."""
    schema = schema_in(ask.instructions()) or schema_in_words(ask.instructions())
    if schema is None:
        return None
    try:
        return write_json(schema, phrases, chance=chance, budget=Budget())  # of its own: it may be no schema at all
    except (Unsatisfiable, Exhausted):
        return None


def count_prompt(ask: Ask, model: Model) -> int:
    """Count the tokens of the prompt: messages, tools and schema. Raises Refusal when they are more than CONTEXT_TOKENS_MAX."""
    texts: list[str] = []
    count = MESSAGE_TOKENS
    for message in ask.messages:
        texts += [message.role, message.text(), message.name or ""]
        count += MESSAGE_TOKENS
        if isinstance(message.content, list):
            count += sum(ATTACHMENT_TOKENS for part in message.content if part.text is None and part.refusal is None)
        texts += [as_text(calls) for calls in (message.tool_calls, message.function_call) if calls]
    texts += [as_text(part) for part in (ask.tools, ask.functions, ask.response_format) if part]
    for text in texts:
        for _ in model.vocabulary.encode(text):
            count += 1
            if count > CONTEXT_TOKENS_MAX:
                reason = f"This model's maximum context length is {CONTEXT_TOKENS_MAX} tokens. Please reduce the length of the messages."
                raise Refusal(reason, "messages", "context_length_exceeded")
    return count


def as_text(value: object) -> str:
    """Return a JSON value as the text that a model would read."""
    return msgspec.json.encode(value).decode()


def new_id(chance: Chance, length: int) -> str:
    """Return random letters and digits."""
    return "".join(chance.choices(ID_CHARACTERS, k=length))
