"""Reads text completions as OpenAI and everyone compatible with it sends them, streamed or not. Sans-IO."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw

from aisa.answer import Part, Piece
from aisa.providers.answer_builder import AnswerBuilder
from aisa.providers.blame import blame_for
from aisa.providers.event_objects import ENDS, NOT_JSON
from aisa.providers.shape import Target
from aisa.providers.typed_stream import ReportedStream, TypedDocument
from aisa.usage import BYTES_PER_TOKEN
from aisa.wire.choice import flatten
from aisa.wire.choice_reports import added, of_its_prompt, of_one_choice
from aisa.wire.completions import CompletionsRequest
from aisa.wire.finish import spoken
from aisa.wire.generated import listed
from aisa.wire.keyed_lists import choices_of
from aisa.wire.model_name import shown_name
from aisa.wire.plain import is_utf8
from aisa.wire.said import function_of, said_as
from aisa.wire.texts import Given
from aisa.wire.tool_calls import ToolCallStream
from aisa.wire.tool_terms import ToolTerms
from aisa.wire.trees import Tree, is_tree
from aisa.wire.usage_report import count_of, with_cost
from aisa.wire.vendor_error import VendorError, refuse_errors
from aisa.wire.vendor_tier import tier_named

FIELDS = msgspec.json.Decoder(dict[str, Raw])
SAID = frozenset({"index", "text", "finish_reason", "delta", "message"})


class CompletionsReader:
    """Knows what chunks and documents mean; implements `typed_stream.Reader`."""

    def __init__(self, builder: AnswerBuilder, request: CompletionsRequest) -> None:
        self.ended = False
        self.reported = False  # behind the last finish
        self._builder = builder
        self._request = request
        self._echoes: dict[int, int] = {}  # characters of the prompt that a choice has still to repeat
        self._named: int | None = 0  # tokens that the vendor has named, of one choice; None once it said something without
        self._saying: set[int] = set()  # choices that have said something by texts or deltas
        self._told_prompts: set[int] = set()  # whose tokens a report of one of their choices has told
        self._calls: dict[int, ToolCallStream] = {}  # which no completion shows; what is no call is no answer here either
        self._only: int | None = None  # how the vendor numbers its one choice, where one is asked for

    def take(self, event: Tree) -> None:
        """Tell what a chunk or a document says. Raises VendorError where that is a failure, or cannot be understood."""
        refuse_errors(event)
        builder = self._builder
        builder.identify(event.get("id"), event.get("model"))
        tier = tier_named(event.get("service_tier"))
        builder.tier = builder.tier if tier is None else tier
        for position, choice in enumerate(choices_of(event)):
            index = self._place(choice, position)
            text = self._text(choice, index)
            self._say(index, text)
            self._told_of(choice, text)
            for name, value in choice.items():
                if name not in SAID and value is not None:
                    builder.carry(index, name, value, beside=True)
            self._called(choice, index)
            if spoken(choice.get("finish_reason")):
                builder.finish(index, choice["finish_reason"])
        usage = event.get("usage")
        if is_tree(usage):  # behind the text that it tells of
            builder.reported(usage if self._request.choices == 1 or not of_one_choice(event) else self._share(usage, event))
            self.reported = builder.complete and not event.get("choices")

    def _share(self, usage: Tree, event: Tree) -> Tree:
        """Return the report of one choice as one of all: with those before it, or, in a document, as far as it goes for the others."""
        places = [self._place(choice, position) for position, choice in enumerate(choices_of(event))]
        if len(places) > 1:
            return of_its_prompt(usage) if len(self._request.prompts) == 1 else {}
        prompts = {place // (self._request.known.n or 1) for place in places}
        same = bool(prompts & self._told_prompts)
        self._told_prompts |= prompts
        return added(self._builder.report.fields, usage, same_prompt=same)

    def end(self) -> None:
        """The vendor says that there is no more: a choice without a reason has ended. Raises Unintelligible as a finish does."""
        for calls in self._calls.values():
            calls.close()
        self._builder.finish_rest()
        self.ended = True

    def _place(self, choice: Tree, position: int) -> int:
        """Return which choice this is; the one that was asked for is the first, whatever its number. Others nobody asked for."""
        given = count_of(choice.get("index"))
        index = position if given is None else given
        if self._request.answers > 1:
            return index
        self._only = index if self._only is None else self._only
        return 0 if index == self._only else self._request.choices

    def _text(self, choice: Tree, index: int) -> str:
        """Return what a choice says, whichever member is not empty; some vendors answer in the words of conversations.

        A message is what a document has; behind texts and deltas it is all of them once more.
        """
        text = choice.get("text")
        said = (text if isinstance(text, str) else "") or content_of(choice.get("delta"))
        if said:
            self._saying.add(index)
        return said or ("" if index in self._saying else content_of(choice.get("message")))

    def _called(self, choice: Tree, index: int) -> None:
        """Take note of calls in the words of conversations. Raises Unintelligible at a finish for one without a name."""
        for said in (said_as(choice.get("delta")), said_as(choice.get("message"))):
            function_of(said.get("function_call"))
            if calls := said.get("tool_calls"):
                self._calls.setdefault(index, ToolCallStream("", ToolTerms(self._request.as_chat()))).accept(calls)
        if index in self._calls and spoken(choice.get("finish_reason")):
            self._calls.pop(index).close()

    def _say(self, choice: int, text: str) -> None:
        """Say a text; what of it repeats the prompt is no output."""
        left = self._echo(choice)
        if left:
            self._builder.repeat(choice, text[:left])
            self._echoes[choice] = left - len(text[:left])
        self._builder.say(choice, text[left:])

    def _told_of(self, choice: Tree, text: str) -> None:
        """Count a text by the tokens that its vendor names with it, where it names those of all."""
        logprobs = choice.get("logprobs")
        named = listed(choice, "token_ids") or listed(logprobs, "tokens") or listed(logprobs, "content")
        if self._named is None or self._request.choices > 1 or self._request.known.echo or (text and not named):
            self._named = None
        elif named:
            self._named += named
            self._builder.catch_up(self._named)

    def _echo(self, choice: int) -> int:
        """Return how many characters of the prompt a choice has still to repeat; of one given as tokens, about how many."""
        if not self._request.known.echo:
            return 0
        prompts = self._request.prompts
        prompt: Given = prompts[min(choice // (self._request.known.n or 1), len(prompts) - 1)]
        whole = len(prompt) if isinstance(prompt, str) else len(prompt) * BYTES_PER_TOKEN
        return self._echoes.setdefault(choice, whole)


def content_of(message: object) -> str:
    """Return the text of a conversation's message, or of its delta."""
    return flatten(said_as(message).get("content"))[0]


class CompletionsStream(ReportedStream):
    """Reads a stream, which says `[DONE]` at its end."""

    def _take_event(self, data: bytes, *, last: bool) -> None:
        if data.startswith(ENDS) and self._builder.begun:
            try:
                self._reporting.end()
            except VendorError as error:
                self._fail(blame_for(error, self._target))
        else:
            super()._take_event(data, last=last)


class PlainLogprobs(msgspec.Struct):
    """Log-probabilities as they should be: lists with an entry a token, of numbers, and none of conversations'."""

    tokens: list[str]
    token_logprobs: list[float | None] | None = None
    top_logprobs: list[dict[str, float] | None] | None = None


class PlainChoice(msgspec.Struct):
    """A choice as it should be."""

    index: int
    text: str
    finish_reason: Literal["stop", "length", "content_filter"]
    logprobs: PlainLogprobs | None = None


class PlainCompletion(msgspec.Struct):
    """A document as it should be."""

    id: Annotated[str, Meta(min_length=1)]
    object: Literal["text_completion"]
    created: int
    choices: list[PlainChoice]


PLAIN = msgspec.json.Decoder(PlainCompletion)


class CompletionsDocument(TypedDocument):
    """Reads one document, which passes as it came if it is as it should be."""

    def __init__(self, builder: AnswerBuilder, reader: CompletionsReader, target: Target, *, request: CompletionsRequest) -> None:
        super().__init__(builder, reader, target)
        self._request = request

    @property
    def choices_made(self) -> int:
        """How many choices the vendor made; those that `best_of` leaves out are not shown."""
        made = self._builder.choices_made
        return self._request.choices if made == self._request.answers else made

    def _learn(self) -> None:
        """Learn from an answer that is complete, unless its vendor counts choices that `best_of` left out."""
        if self._request.answers == self._request.choices:
            super()._learn()

    def closing(self, cost_usd: str | None) -> Sequence[Part]:
        """Return the document, or what it says."""
        members = conformant(b"".join(self._body))
        if members is None:
            return super().closing(cost_usd)
        model: object = msgspec.json.decode(members.get("model", b"null"))
        shown = self._target.public or shown_name(model, self._request.model)
        usage = with_cost(self._builder.report.document(self.usage()), cost_usd)
        return [Piece(msgspec.json.encode({**members, "model": shown, "usage": usage}), 0)]


def conformant(body: bytes) -> dict[str, Raw] | None:
    """Return the members of a document that is as it should be, None of any other."""
    try:
        members, choices = FIELDS.decode(body), PLAIN.decode(body).choices
    except NOT_JSON:
        return None
    return members if [choice.index for choice in choices] == list(range(len(choices))) and is_utf8(body) else None
