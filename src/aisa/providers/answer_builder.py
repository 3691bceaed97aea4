"""Puts an answer of any dialect together from typed parts: ids, calls, tokens, the finish that is held back. Knows no dialect, no framing.

A dialect's reader says what an event means; what all clients can rely on is kept here: calls are numbered without gaps, each choice
finishes once and after all that it says, and nothing leaves before there is more than an opening.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import cached_property

import msgspec

from aisa.answer import Arguments, Extra, Finish, FunctionCall, Identity, Part, Reasoning, Refusal, Text, ToolCall
from aisa.providers.counting import AskedOf
from aisa.providers.heard_texts import as_told, counted, heard
from aisa.providers.shape import Target
from aisa.usage import IMPLAUSIBLE, REPORTED, Usage
from aisa.wire.chat import ChatRequest
from aisa.wire.door import Request
from aisa.wire.finish import CUT, FAILURE, FUNCTION_CALL, STOP, UNKNOWN, later_of, spoken, verdict_on
from aisa.wire.media_tokens import unseen_in
from aisa.wire.model_name import shown_name
from aisa.wire.running_count import RunningCount
from aisa.wire.shown import Asked, Shown
from aisa.wire.token_meter import BY_VENDOR, TokenMeter, weakest
from aisa.wire.tool_calls import arguments_text
from aisa.wire.tool_terms import ToolTerms
from aisa.wire.trees import Tree
from aisa.wire.usage_report import UsageReport, visible
from aisa.wire.vendor_error import Unintelligible, VendorError

#: A call's id and its UNIX time in seconds: what stands in where a vendor gives none.
CallIdentity = tuple[str, int]


class AnswerBuilder:
    """One answer while it is made. `by_pieces`: a piece of text may be one token; else it is text of any length."""

    def __init__(
        self, request: Request, target: Target, identity: CallIdentity, *, by_pieces: bool = False, asked: Asked | None = None
    ) -> None:
        self.tokens = 0  # output tokens of the parts so far, by our own count
        self.reasoning_shown = 0  # of them, those that show the model's thinking
        self.unknown: list[str] = []  # finish reasons in nobody's table that were taken for `stop`
        self.report = UsageReport()
        self.tier: str | None = None
        self.answered = ""  # the model that the vendor names
        self.input_changes = ""  # what it says that it has changed in its input
        self.closed = False  # the finishes have left
        self._request = request
        self._target = target
        self._call_id, self._created = identity
        self.asked = asked or AskedOf(request, target)
        self._by_pieces = by_pieces
        self._meters: dict[int, TokenMeter] = {}
        self._calls: dict[int, int] = {}  # how many each choice has made
        self._ids: set[str] = set()  # of all of them
        self._ungiven: dict[tuple[int, int], None] = {}  # calls of functions that were given nothing yet, by choice and place
        self.verdicts: dict[int, tuple[str, str]] = {}  # what each choice's finish means, and the vendor's word
        self._parts: list[Part] = []
        self.answer_id = ""  # once it has said who answers
        self.begun = False  # there is more than an opening
        self._sealed = False  # there was thinking that is not shown
        self._unmeasured = False  # there was output whose size says nothing, such as sound
        self._heard = 0
        self._running = RunningCount()
        self._final: Usage | None = None  # once nothing of it changes any more

    @cached_property
    def _chat(self) -> ChatRequest:
        return self._request.chat or self._request.as_chat()

    @cached_property
    def _legacy(self) -> bool:
        """Whether calls are in the older form."""
        return self._chat.known.functions is not None and not self._chat.known.tools

    # What a reader tells.

    def identify(self, answer_id: object, model: object) -> None:
        """Say who answers; the first time counts, but for the model that the bill may follow."""
        self.answered = model if isinstance(model, str) and model else self.answered
        if self.answer_id:
            return
        self.answer_id = answer_id if isinstance(answer_id, str) and answer_id else f"chatcmpl-{self._call_id}"
        self._parts.append(Identity(self.answer_id, self._created, self.name_shown(model)))

    def name_shown(self, model: object) -> str:
        """Return the name of the model as the client is to see it, for the one that the vendor gives."""
        return self._target.public or shown_name(model, self._request.model)

    def say(self, choice: int, text: str) -> None:
        """The model says something. Of a choice that has begun nothing else is to be done, and nearly all texts are of one."""
        meter = self._meters.get(choice)
        if meter is None or not self.begun:
            if text and self._open(choice):
                self._add(Text(choice, text, self._count(choice, text)))
        elif text:
            self._say_more([Text(choice, text, meter.add_text(text))])

    def hear(self, texts: list[bytes]) -> list[Text]:
        """The first choice, which has begun, says further texts, which come as they stand in JSON, without escapes. Returns them."""
        parts = heard(0, texts, self._meters[0])
        self._say_more(parts)
        return parts

    def say_all(self, texts: Sequence[str]) -> None:
        """The first choice says these texts, one behind the other."""
        meter = self._meters.get(0)
        if meter is None or not self.begun or len(texts) == 1 or not all(texts):
            for text in texts:
                self.say(0, text)
        else:
            self._say_more(counted(0, texts, [text.encode("utf-8", "surrogatepass") for text in texts], meter=meter))

    def meter_of(self, choice: int) -> TokenMeter:
        """Return what counts a choice that has begun, for texts that pass without being told here; `tokens` has them too."""
        return self._meters[choice]

    def say_as_told(self, texts: Sequence[str], said: Sequence[int]) -> None:
        """The first choice says texts, and the vendor with each how many tokens were said by then: `say` and `catch_up` in one step."""
        meter, alone = self._meters.get(0), self.begun and len(self._meters) == 1 and said[0] > 0
        told = [count + self.reasoning_shown for count in said] if self.reasoning_shown else said
        if meter is None or not alone or (parts := as_told(0, texts, told, meter=meter)) is None:
            for text, count in zip(texts, said, strict=True):
                self.say(0, text)
                self.catch_up(max(0, count))
        else:
            self._say_more(parts)
            self._running.believe(self.tokens)

    def _say_more(self, parts: list[Text]) -> None:
        self.tokens += parts[0].tokens if len(parts) == 1 else sum([part.tokens for part in parts])
        self._heard += 1
        self._parts += parts

    def repeat(self, choice: int, text: str) -> None:
        """Something of the request is said again: no token of the output."""
        if text and self._open(choice):
            self._add(Text(choice, text))

    def think(self, choice: int, text: str, signature: str = "") -> None:
        """The model shows what it thinks, or seals it."""
        if (text or signature) and self._open(choice):
            tokens = self._count(choice, text) if text else 0
            self.reasoning_shown += tokens
            self._sealed = self._sealed or not text
            self._add(Reasoning(choice, text, tokens, signature), begins=bool(text))

    def refuse(self, choice: int, text: str) -> None:
        """The model will not answer."""
        if text and self._open(choice):
            self._add(Refusal(choice, text, self._count(choice, text)))

    def id_of_next(self, choice: int, given: str | None) -> str:
        """Return what the next call of a choice has as its id: the vendor's, unless it gives none, or one that another call has."""
        return given if given and given not in self._ids else f"call_{self._call_id}_{choice}_{self._calls.get(choice, 0)}"

    def call(self, choice: int, call_id: str, name: str, *, custom: bool = False) -> int:
        """The model calls a tool. Returns the how-manieth call of the choice this is; a call without an id of its own gets one.

        Raises Unintelligible for a call without a name.
        """
        if not name:
            raise Unintelligible("a tool call without a name")
        index = self._calls.get(choice, 0)
        if self._open(choice):
            call_id = self.id_of_next(choice, call_id)
            self._ids.add(call_id)
            self._calls[choice] = index + 1
            tokens = self._count(choice, name)
            if self._legacy:
                if index == 0:  # of calls in the older form there is one at most
                    self._add(FunctionCall(choice, name, "", tokens))
            else:
                self._add(ToolCall(choice, index, call_id, name, tokens, custom))
            if not custom:
                self._ungiven[choice, index] = None
        return index

    def give(self, choice: int, index: int, given: object) -> None:
        """A further part of what a call is given: text, or all of it as the object that some vendors send."""
        text = arguments_text(given)
        if text and self._open(choice):
            if self._ungiven:
                self._ungiven.pop((choice, index), None)
            tokens = self._count(choice, text)
            if not self._legacy:
                self._add(Arguments(choice, index, text, tokens))
            elif index == 0:
                self._add(FunctionCall(choice, "", text, tokens))

    def carry(self, choice: int, name: str, value: object, *, beside: bool = False, made: bool = False) -> None:
        """Carry something along by name, `beside` what is said or in it. `made`: the model made it, and its size says nothing."""
        if self._open(choice):
            self._unmeasured = self._unmeasured or made
            tokens = self._meters[choice].add_unseen(unseen_in([{name: value}], 1)) if made else 0
            self.tokens += tokens
            self._add(Extra(choice, name, value, tokens, beside))

    def finish(self, choice: int, reason: object) -> None:
        """A choice has ended for a vendor's reason; the last one counts. Raises VendorError if it says that the answer was given up."""
        word = spoken(reason)
        verdict = verdict_on(word)
        if verdict == FAILURE:
            raise VendorError(f"finish_reason is {word}")
        if not self._open(choice):
            return
        later = later_of(before := self.verdicts.get(choice, ("", ""))[0], verdict)
        self._heard += later != before
        self.verdicts[choice] = later, word

    def ask_again(self) -> None:
        """The answer comes in several parts, and the vendor is asked for one more: it may use as much as the others."""
        if isinstance(self.asked, AskedOf):
            self.asked.again()

    def finish_rest(self) -> None:
        """The vendor says that there is no more: a choice without a reason has stopped."""
        for choice in [begun for begun in self._meters if begun not in self.verdicts]:
            self.finish(choice, STOP)

    def reported(self, usage: Tree, plain: Usage | None = None) -> None:
        """The vendor reports usage, in whatever names `wire.usage_report` reads, of all that it has said so far.

        `plain` is what it comes to, where it is the last and needs no second look.
        """
        self.report.take(usage)
        self._final = plain if plain is not None and self.shown().allows(plain, self.asked) else None
        if self._final is None and not self.finished:
            self._running.hear(visible(self.report.fields, thinking_shown=self.reasoning_shown > 0))
            if self._running.shown(self.shown()) is not None:
                self._running.believe(self.tokens)

    def reported_anew(self, usage: Tree, read_it: Callable[[Tree], Tree]) -> None:
        """The vendor reports usage again, as with every event. `read_it` turns what it says into such a report, if it is wanted."""
        self.report.take_running(usage, read_it)

    def catch_up(self, said: int, *, ended: bool = False) -> None:
        """Take the vendor's running count of what was said, thinking apart, if it can be: none of what there is cannot.

        What differs is that of parts since the last `take`; where an answer has `ended` it is its report, and no part's.
        """
        visible = said + self.reasoning_shown if said or self.tokens == self.reasoning_shown else 0
        if not visible or visible > self.shown().most_shown():
            return
        if not ended:
            self._match(visible)
        self._running.believe(self.tokens)

    def _match(self, visible: int) -> None:
        """Bring our count to such a one. Of several choices it does not say which."""
        if len(self._meters) != 1:
            return
        [meter] = self._meters.values()
        more = max(visible, meter.known) - meter.tokens  # what it has said before holds
        for place in range(len(self._parts) - 1, -1, -1):
            if not more:
                break
            part = self._parts[place]
            if isinstance(part, Identity) or (isinstance(part, Reasoning) and not part.text):
                continue  # what shows nothing
            change = max(more, -part.tokens)  # what has left cannot be taken back
            self._parts[place] = msgspec.structs.replace(part, tokens=part.tokens + change)
            meter.tokens += change
            self.tokens += change
            self.reasoning_shown += change if isinstance(part, Reasoning) else 0
            more -= change
        meter.tell(meter.tokens, BY_VENDOR, [])

    def take_whole(self, texts: list[str], told: Usage) -> bool:
        """Take, and learn from, a complete answer of one choice: these texts and nothing rare. Of what cannot be do nothing, and say no."""
        meter = self._target.measure.meter() if self._by_pieces else self._target.measure.text_meter()
        tokens, text_bytes = sum([meter.add_text(text) for text in texts]), meter.total[1]
        if not Shown(tokens, 0, text_bytes=text_bytes).allows(told, self.asked):
            return False
        self._target.measure.learn(told.output_tokens - told.reasoning_tokens, 0, text_bytes)
        self._meters[0], self.tokens, self._final = meter, tokens, told
        self.verdicts[0] = STOP, STOP
        self.begun = self.closed = True
        return True

    # What the path takes.

    def take(self) -> list[Part]:
        """Return what may leave now: nothing while there is only an opening."""
        if not (self.begun or self.closed):
            return []
        parts, self._parts = self._parts, []
        return parts

    def close(self) -> list[Part]:
        """Return what is left, and the finishes. Raises VendorError where the answer is nothing but a reason that nobody knows."""
        for choice, index in list(self._ungiven):  # what takes nothing is given an empty object, but for what was cut before it was given
            if index < self._calls[choice] - 1 or self.verdicts.get(choice, ("", ""))[0] not in CUT:
                self.give(choice, index, "{}")
        for choice in sorted(self.verdicts):
            verdict, word = self.verdicts[choice]
            if verdict == UNKNOWN:
                if not self.begun:
                    raise Unintelligible(f"nothing but the finish reason {word!r}")
                verdict = STOP
                self.unknown += [word] if word else []
            called = self._calls.get(choice, 0) > 0
            if called or verdict == FUNCTION_CALL:  # of no other is the request asked, which may have to be translated for that
                verdict = ToolTerms(self._chat).reason(verdict, called=called and not self._legacy, called_legacy=called and self._legacy)
            self._parts.append(Finish(choice, verdict))
        self.closed = True
        return self.take()

    @property
    def finished(self) -> bool:
        """True when every choice that began, and at least one, has its finish."""
        return bool(self._meters) and len(self.verdicts) == len(self._meters)

    @property
    def complete(self) -> bool:
        """True when as many choices as were asked for have finished: no token can follow."""
        return self.finished and len(self._meters) >= self._request.choices

    @property
    def finishing(self) -> int:
        """As `shape.Decoder` has it."""
        return self._heard if self.verdicts and not self.closed and self.complete else 0

    @property
    def certain(self) -> bool:
        """True when no finish was given for a reason that nobody knows."""
        return all(verdict != UNKNOWN for verdict, _ in self.verdicts.values())

    @property
    def choices_made(self) -> int:
        """How many choices have begun."""
        return len(self._meters)

    @property
    def meters(self) -> Collection[TokenMeter]:
        """What counts each choice that has begun."""
        return self._meters.values()

    def shown(self, *, exact: bool = False) -> Shown:
        """Return the output so far by our own count; `exact` has a tokenizer count what still waits, and says how it was counted."""
        meters = self._meters.values()
        size = None if self._unmeasured else sum([meter.total[1] for meter in meters])
        if not exact:
            return Shown(self.tokens, self.reasoning_shown, text_bytes=size)
        tokens = sum([meter.exact() for meter in meters])
        return Shown(tokens, min(self.reasoning_shown, tokens), weakest([meter.way for meter in meters if meter.tokens]), size)

    def usage(self) -> Usage:
        """Return the tokens so far: reported, and of an answer that is not complete at least what was shown."""
        if self._final is not None:
            return self._final
        told = self._usage_so_far()
        if self.closed and told.source == told.input_source == REPORTED:
            self._final = told
        return told

    def _usage_so_far(self) -> Usage:
        told = self.report.usage(self.shown(), self.asked)
        if told.source != REPORTED:
            return self.report.usage(self.shown(exact=True), self.asked)
        if self.finished or self._running.tells_of(self.tokens):
            return told
        shown = self.shown(exact=True)
        return told.with_output(max(shown.tokens, told.output_tokens), max(told.reasoning_tokens, shown.reasoning), shown.way)

    def usage_fault(self, usage: Usage) -> str:
        """Say what is wrong with the vendor's report; before the answer's end it may leave something out."""
        told = self.finished or IMPLAUSIBLE in (usage.source, usage.input_source)
        return self.report.fault(usage) if told else ""

    def learn(self, *, streamed: bool) -> None:
        """Let the target's measure learn from an answer that is complete. Thinking that is shown is a summary with most vendors."""
        usage = self.usage()
        if self.reasoning_shown or (self._sealed and not usage.reasoning_tokens):
            return
        pieces = sum([meter.total[0] for meter in self._meters.values()]) if streamed and self._by_pieces else 0
        self._target.measure.learn_from(usage, self.shown(), pieces, choices=len(self._meters))

    def _open(self, choice: int) -> bool:
        """Begin a choice, if it is one that was asked for, and those before it."""
        if choice >= self._request.choices:
            return False
        for earlier in range(choice + 1):
            if earlier not in self._meters:
                self._meters[earlier] = self._target.measure.meter() if self._by_pieces else self._target.measure.text_meter()
        return True

    def _count(self, choice: int, text: str) -> int:
        tokens = self._meters[choice].add_text(text)
        self.tokens += tokens
        return tokens

    def _add(self, part: Part, *, begins: bool = True) -> None:
        self.identify(None, None)
        self.begun = self.begun or begins
        self._heard += 1
        self._parts.append(part)
