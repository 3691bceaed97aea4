"""Reads text completions as OpenAI and everyone compatible with it sends them, streamed or not. Sans-IO."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec import Raw

from aisa.answer import Part, Piece
from aisa.providers.answer_builder import AnswerBuilder
from aisa.providers.event_objects import NOT_JSON
from aisa.providers.shape import Target
from aisa.providers.typed_stream import TypedDocument, TypedStream
from aisa.usage import BYTES_PER_TOKEN
from aisa.wire.completions import CompletionsRequest
from aisa.wire.model_name import shown_name
from aisa.wire.texts import Given
from aisa.wire.trees import Tree, is_tree, trees_in
from aisa.wire.usage_report import with_cost
from aisa.wire.vendor_error import refuse_errors
from aisa.wire.vendor_tier import tier_named

FIELDS = msgspec.json.Decoder(dict[str, Raw])
SAID = frozenset({"index", "text", "finish_reason"})


class CompletionsReader:
    """Knows what chunks and documents mean; implements `typed_stream.Reader`."""

    def __init__(self, builder: AnswerBuilder, request: CompletionsRequest) -> None:
        self.ended = False
        self._builder = builder
        self._request = request
        self._echoes: dict[int, int] = {}  # characters of the prompt that a choice has still to repeat

    def take(self, event: Tree) -> None:
        """Tell what a chunk or a document says. Raises VendorError where that is a failure."""
        refuse_errors(event)
        builder = self._builder
        builder.identify(event.get("id"), event.get("model"))
        builder.tier = tier_named(event.get("service_tier")) or builder.tier
        for place, choice in enumerate(trees_in(event.get("choices"))):
            given = choice.get("index")
            index = given if type(given) is int else place
            text = choice.get("text")
            self._say(index, text if isinstance(text, str) else "")
            for name, value in choice.items():
                if name not in SAID and value is not None:
                    builder.carry(index, name, value, beside=True)
            if choice.get("finish_reason") is not None:
                builder.finish(index, choice["finish_reason"])
        usage = event.get("usage")
        if is_tree(usage):  # behind the text that it tells of
            builder.reported(usage)

    def end(self) -> None:
        """The vendor says that there is no more: a choice without a reason has ended."""
        self._builder.finish_rest()
        self.ended = True

    def _say(self, choice: int, text: str) -> None:
        """Say a text; what of it repeats the prompt is no output."""
        left = self._echo(choice)
        if left:
            self._builder.repeat(choice, text[:left])
            self._echoes[choice] = left - len(text[:left])
        self._builder.say(choice, text[left:])

    def _echo(self, choice: int) -> int:
        """Return how many characters of the prompt a choice has still to repeat; of one given as tokens, about how many."""
        if not self._request.known.echo:
            return 0
        prompts = self._request.prompts
        prompt: Given = prompts[min(choice // (self._request.known.n or 1), len(prompts) - 1)]
        whole = len(prompt) if isinstance(prompt, str) else len(prompt) * BYTES_PER_TOKEN
        return self._echoes.setdefault(choice, whole)


class CompletionsStream(TypedStream):
    """Reads a stream, which says `[DONE]` at its end."""

    def __init__(self, builder: AnswerBuilder, reader: CompletionsReader, target: Target) -> None:
        super().__init__(builder, reader, target)
        self._completions = reader

    def _take_event(self, data: bytes, *, last: bool) -> None:
        if data == b"[DONE]" and self._builder.begun:
            self._completions.end()
        else:
            super()._take_event(data, last=last)


class PlainChoice(msgspec.Struct):
    """A choice as it should be."""

    index: int
    text: str
    finish_reason: Literal["stop", "length", "content_filter"]


PLAIN = msgspec.json.Decoder(list[PlainChoice])


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
    """Return the members of a document whose choices are as they should be, None of any other."""
    try:
        members = FIELDS.decode(body)
        choices = PLAIN.decode(members.get("choices", b"null"))
    except NOT_JSON:
        return None
    whole = members.keys() >= {"id", "object", "created"} and [choice.index for choice in choices] == list(range(len(choices)))
    return members if whole else None
