"""Reads one document in the OpenAI dialect. Sans-IO; what an answer must look like is `wire.answer`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import UNSET, Raw

from aisa.answer import Part, Piece, Report, Told
from aisa.errors import UpstreamFailed
from aisa.providers.answer_count import AnswerCount
from aisa.providers.blame import blame_for, unreadable
from aisa.providers.counting import AskedOf
from aisa.providers.event_objects import tree_in
from aisa.providers.measure import TOKENS_MIN
from aisa.providers.shape import Target
from aisa.usage import REPORTED, Usage
from aisa.wire.answer import Document
from aisa.wire.chat import ChatRequest
from aisa.wire.chat_parts import identity_of, parts_of
from aisa.wire.choice_reports import QUOTED_TIMINGS, of_its_prompt, of_one_choice
from aisa.wire.ends import NO_ENDS, Ends, ends_in
from aisa.wire.generated import text_bytes
from aisa.wire.lenient_json import NotEvenLenient, encode, read_leniently, with_whole_text
from aisa.wire.model_name import shown_name
from aisa.wire.passed_document import FIELDS, passed
from aisa.wire.plain import (
    ANSWER,
    BARE_ANSWER,
    NOT_PLAIN,
    BareAnswer,
    BareAnswerChoice,
    PlainAnswer,
    PlainAnswerChoice,
    PlainUsage,
    is_utf8,
)
from aisa.wire.searches import FORCING, NOTHING_SHOWN, Search, searches_beside, searches_in, searches_in_plain, shown_by
from aisa.wire.shown import VISIBLE_PER_BYTE, VISIBLE_SPARE, Asked
from aisa.wire.steps import steps_in, steps_shown
from aisa.wire.stop_sequences import stop_sequences, with_texts_cut
from aisa.wire.token_meter import PIECE_BYTES_MAX
from aisa.wire.tool_terms import ToolTerms
from aisa.wire.trees import Tree, as_tree, is_list, is_tree, trees_in
from aisa.wire.usage_report import UsageReport, with_cost
from aisa.wire.vendor_cost import vendor_cost
from aisa.wire.vendor_error import VendorError
from aisa.wire.vendor_tier import first_known, tier_in, tier_named

#: A call's id and its UNIX time in seconds: what stands in where a vendor gives none.
Identity = tuple[str, int]

NOTHING = Usage()


class AnswerDecoder:
    """Reads one document, and gives it back whole once the bill is settled: in the vendor's own bytes where nothing had to change."""

    __slots__ = (
        "_answered", "_body", "_chat", "_choices", "_identity", "_mended", "_model", "_parts", "_passes", "_report", "_searches",
        "_target", "_usage", "asked", "choices_made", "done", "failure", "held_bytes", "output", "tier", "unknown",
    )  # fmt: skip

    # A document is delivered whole or not at all, and has no finish but its end.
    finished = certain = False
    tokens = reasoning_shown = finishing = 0

    def __init__(self, chat: ChatRequest, target: Target, identity: Identity, *, passes: bool = True) -> None:
        self.done = False
        self.failure: UpstreamFailed | None = None
        self.choices_made = 0
        self.unknown: Sequence[str] = ()
        self.held_bytes = 0  # all of it, until it is sent
        self.tier: str | None = None
        self._answered = ""  # the model that the vendor names
        self._searches: frozenset[Search] = frozenset()  # that the answer shows
        self._model = ""  # what to call it in an answer whose bytes can pass otherwise
        self._choices: Raw | None = None  # of an answer that can pass otherwise, with what they lacked
        self._mended: Tree | None = None  # the answer, where its bytes cannot pass
        self._report: UsageReport | None = None  # ... and what it says of its usage
        self.output: AnswerCount | None = None  # ... and what counts it
        self._usage = NOTHING
        self._passes = passes  # the client's door speaks this protocol
        self._target = target
        self._chat = chat
        self._identity = identity
        self._parts: list[bytes] = []
        self.asked = AskedOf(chat, target)

    def feed(self, data: bytes) -> Sequence[Part]:
        """Take the next bytes of the vendor's body."""
        self._parts.append(data)
        self.held_bytes += len(data)
        if self.held_bytes > self._target.answer_bytes_max:
            self.failure = unreadable(self._target, "a document over the size limit")
        return []

    def end(self) -> Sequence[Part]:
        """Take the end of the vendor's body."""
        self._body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        stops = stop_sequences(self._chat.known) if self._target.cut_stop else ()
        several = self._chat.choices > 1 and QUOTED_TIMINGS in self._body  # of which the report may not tell
        plain: PlainAnswer | BareAnswer | None = None if stops or several else plain_answer(self._body, self._chat, self.asked)
        if plain is None and not (stops or several):
            plain = filled_up(self._body, self._chat, self.asked)
            self._choices = None if plain is None else Raw(msgspec.json.encode(plain.choices))
        if plain is not None:
            self._usage = as_usage(plain.usage)
            said = self._usage
            # Of thinking that was shown the text is counted in, and of a summary too little of it.
            if said.output_tokens >= TOKENS_MIN and not (said.reasoning_tokens or said.output_audio_tokens):
                self._target.measure.learn(said.output_tokens, 0, shown_bytes(plain), choices=len(plain.choices))
            self.tier = tier_named(plain.service_tier)
            self._answered = plain.model
            self._model = self._target.public or shown_name(plain.model, self._chat.model)
            self.choices_made = len(plain.choices)
            for choice in plain.choices:
                if choice.message.tool_calls or choice.message.annotations:
                    self._searches = self._searches.union(searches_in_plain(choice.index, choice.message))
            self.done = True
            return []
        document = read_document(self._body, self._target, self._identity, chat=self._chat)
        if isinstance(document, UpstreamFailed):
            self.failure = document
            return []
        answer, read = document
        self.unknown, self._answered = read.unknown, read.answered
        choices = trees_in(answer.get("choices"))
        self.choices_made = len(choices)
        messages = [as_tree(choice.get("message")) for choice in choices]
        self._searches = searches_beside(answer).union(*[searches_in(place, [message]) for place, message in enumerate(messages)])
        report = self._report = UsageReport()
        report.steps = steps_in(answer) or steps_shown(messages)
        for told in (answer.get("usage"), *[choice.get("usage") for choice in choices]):  # as in a stream, where some have it
            report.take(of_its_prompt(as_tree(told)) if several and of_one_choice(answer) else told)
        self.tier = first_known(tier_named(answer.get("service_tier")), tier_in(report.fields))
        self.output = AnswerCount(answer, self._target)
        seen = self.output.shown()
        self._usage = report.usage(seen, self.asked)
        if not self._usage.reasoning_tokens:  # as above
            self._target.measure.learn_from(self._usage, seen, 0, choices=self.choices_made)
        self._mended = with_texts_cut(answer, stops) if stops else answer
        self.done = True
        return []

    def usage(self) -> Usage:
        """Return the tokens reported, or what is known of them by now."""
        if self._report is not None and self.output is not None:
            self._usage = self._report.usage(self.output.shown(), self.asked)
        return self._usage

    def told(self) -> Told:
        """Return what the answer says of itself."""
        shown = shown_by(self._searches, self._chat) if self._searches or not FORCING.isdisjoint(self._chat.fields) else NOTHING_SHOWN
        return Told(self.tier, self._answered, None if self._report is None else vendor_cost(self._report.fields), *shown)

    def ends(self) -> Ends:
        """Return the answer's id and why its choices ended: read again, as only few want to know."""
        return ends_in(self._body if self._mended is None else encode(self._mended)) if self.done else NO_ENDS

    def usage_fault(self, usage: Usage) -> str:
        """Say what is wrong with the vendor's report."""
        return "" if self._report is None else self._report.fault(usage)

    def closing(self, cost_usd: str | None) -> Sequence[Part]:
        """Return the whole body, or what it says."""
        return given(self._whole(cost_usd), Report(self._usage, cost_usd), passes=self._passes)

    def _whole(self, cost_usd: str | None) -> bytes:
        if self._mended is not None and self._report is not None:
            return encode({**self._mended, "usage": with_cost(self._report.document(self._usage), cost_usd)})
        changed: Tree = {} if self._choices is None else {"choices": self._choices}
        return passed(self._body, self._answered, self._model, cost_usd=cost_usd, changed=changed)


def given(document: bytes, report: Report, *, passes: bool) -> Sequence[Part]:
    """Return a whole document for a door of the same protocol as it is, for every other what it says."""
    if passes:
        return [Piece(document, 0)]
    answer = tree_in(document)
    return [identity_of(answer), *parts_of(answer, 0), report]


def plain_answer(body: bytes, chat: ChatRequest, asked: Asked) -> PlainAnswer | None:
    """Return an answer that is conformant as it is and can be true, None for any other."""
    try:
        answer = ANSWER.decode(body)
        for place, choice in enumerate(answer.choices):
            if choice.index != place or place >= chat.choices or not is_conformant(choice, chat):
                return None
    except NOT_PLAIN:
        return None
    passes = answer.error is UNSET and answer.usage.adds_up() and is_possible(answer, asked) and is_utf8(body)
    return answer if passes else None


def filled_up(body: bytes, chat: ChatRequest, asked: Asked) -> BareAnswer | None:
    """Return an answer that is conformant once its choices have all their members, None for any other."""
    try:
        answer = BARE_ANSWER.decode(body)
        nulls = b"null" in bytes(FIELDS.decode(body)["usage"])  # which are left out
        conformant = all(
            place == choice.index < chat.choices and is_conformant(choice, chat) for place, choice in enumerate(answer.choices)
        )
    except NOT_PLAIN:
        return None
    passes = conformant and answer.error is UNSET and answer.usage.adds_up() and not nulls and is_utf8(body)
    return answer if passes and is_possible(answer, asked) else None


def is_possible(answer: PlainAnswer | BareAnswer, asked: Asked) -> bool:
    """Tell whether what an answer reports can be."""
    said = answer.usage
    if said.prompt_tokens > asked.input_tokens_max or said.completion_tokens > asked.output_tokens_max:
        return False
    visible = said.completion_tokens
    if said.completion_tokens_details:
        thought = said.parts()[2]
        if thought and (visible - thought) * PIECE_BYTES_MAX < shown_bytes(answer):
            return False  # for now: the text is to be counted
        visible -= thought + said.audio()[1]
    return visible <= VISIBLE_SPARE or visible <= VISIBLE_PER_BYTE * shown_bytes(answer) + VISIBLE_SPARE


def is_conformant(choice: PlainAnswerChoice | BareAnswerChoice, chat: ChatRequest) -> bool:
    """Tell whether what its type cannot say of a choice is right too. Raises what the decoders raise."""
    message, reason = choice.message, choice.finish_reason
    if message.tool_calls is UNSET and choice.logprobs is None and reason == "stop" and message.function_call is UNSET:
        return message.reasoning_content == message.reasoning
    calls = [] if message.tool_calls is UNSET else message.tool_calls
    legacy = message.function_call is not UNSET
    if (calls or legacy or reason == "function_call") and ToolTerms(chat).reason(
        reason, called=bool(calls), called_legacy=legacy
    ) != reason:
        return False
    if choice.logprobs is not None:
        msgspec.json.decode(choice.logprobs)  # it was skipped unread: a number in it may be none
    return message.reasoning_content == message.reasoning and len({call.id for call in calls}) == len(calls) and not (calls and legacy)


def as_usage(said: PlainUsage) -> Usage:
    """Read plain usage."""
    if not (said.prompt_tokens_details or said.completion_tokens_details):
        return Usage(said.prompt_tokens, said.completion_tokens, 0, 0, 0, REPORTED, REPORTED)
    cached, written, reasoning = said.parts()
    heard, spoken = said.audio()
    return Usage(said.prompt_tokens, said.completion_tokens, cached, written, reasoning, REPORTED, REPORTED, heard, spoken)


def read_document(body: bytes, target: Target, identity: Identity, *, chat: ChatRequest) -> tuple[Tree, Document] | UpstreamFailed:
    """Return the conformant answer in a body and what was noticed in making it so, or how the vendor failed."""
    lenient = False
    try:
        tree = msgspec.json.decode(body)
    except NOT_PLAIN:
        lenient = True
        try:
            tree = read_leniently(body)
        except NotEvenLenient:
            return unreadable(target, "a body that is not JSON")
    if is_list(tree) and tree:
        tree = tree[0]
    if not is_tree(tree):
        return unreadable(target, "a body that is not a JSON object")
    call_id, created = identity
    fallback = (f"chatcmpl-{call_id}", created, chat.model)
    document = Document(fallback, terms=ToolTerms(chat), n=chat.known.n or 1, public=target.public)
    try:
        answer = document.completed(tree)
    except VendorError as error:
        return blame_for(error, target)
    return with_whole_text(answer) if lenient else answer, document


def shown_bytes(answer: PlainAnswer | BareAnswer) -> int:
    """Return how many bytes of text an answer's choices have."""
    total = 0
    for choice in answer.choices:
        message = choice.message
        calls = [call.function for call in message.tool_calls or ()] + ([message.function_call] if message.function_call else [])
        total += sum([text_bytes(call.name) + text_bytes(call.arguments) for call in calls])
        total += sum([text_bytes(text) for text in (message.content, message.refusal, message.reasoning_content) if text])
    return total
