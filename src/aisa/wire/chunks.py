"""The chunks of one stream, made to keep OpenAI's rules whatever a vendor sent: chunk objects in, conformant chunk objects out.

The rules are those that official clients break on when they are broken. Knows no bytes, no framing and no vendor by name.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import UNSET

from aisa.wire.chat import ChatRequest
from aisa.wire.choice import HANDLED_CHOICE, NOTHING, Choice
from aisa.wire.choice_reports import TIMINGS, added, of_one_choice
from aisa.wire.finish import UNKNOWN, spoken
from aisa.wire.generated import carries_token, listed, text_bytes, text_in
from aisa.wire.keyed_lists import choices_of
from aisa.wire.logprobs import chat_logprobs
from aisa.wire.media_tokens import unseen_in
from aisa.wire.model_name import shown_name
from aisa.wire.plain import PlainChunk, PlainFinishChunk, PlainOpeningChunk
from aisa.wire.running_count import RunningCount
from aisa.wire.said import said_as, said_beside, says
from aisa.wire.searches import PAGES, SIGNS, Search, searches_beside, searches_in
from aisa.wire.shown import Shown
from aisa.wire.steps import GROQ, steps_in, steps_shown
from aisa.wire.token_meter import BY_LOGPROBS, BY_TOKEN_IDS, BY_VENDOR, TokenMeter, weakest
from aisa.wire.trees import Tree, as_tree, is_list, is_tree, text_or_none
from aisa.wire.usage_report import SEARCHES_MAX, UsageReport, count_of, visible
from aisa.wire.vendor_error import Unintelligible, VendorError, refuse_errors

OBJECT = "chat.completion.chunk"
#: What a vendor may say of the whole answer in its last chunk only (vLLM).
BESIDE_USAGE = ("service_tier", "system_fingerprint")
HANDLED_TOP = frozenset({"id", "object", "created", "model", "choices", "usage", "error"})
NO_SEARCHES: frozenset[Search] = frozenset()  # of nearly every stream, as the next: one object for all of them, never changed
NONE_UNKNOWN: list[str] = []


class ChunkStream:
    """Keeps the state of one stream of as many choices as `chat` asks for.

    `call` (id and UNIX seconds) and its model stand in for a vendor that names none. The finish of a choice is held back until
    `finish`, `end` or a report of usage without choices, because vendors send more after it. How long to wait is the reader's choice.
    """

    # Without them each stream has a dictionary of its own, as CPython shares the keys of thirty attributes at most: 1.3 KB.
    __slots__ = (
        "_alias", "_begun", "_beside_usage", "_call", "_chat", "_meter", "_reported", "_stops",
        "_unmeasured", "_waiting", "answered", "asked_for", "carried", "choices", "failed", "heard", "holding", "identity", "include_usage",
        "model", "reasoning", "report", "running", "searches", "service_tier", "tokens", "unknown",
    )  # fmt: skip

    def __init__(
        self,
        call: tuple[str, int],
        chat: ChatRequest,
        *,
        meter: Callable[[], TokenMeter] = TokenMeter,
        public: str = "",
        stops: tuple[str, ...] = (),
    ) -> None:
        self.model = public  # what the client is told; known once the stream is identified
        self.identity: tuple[str, int, str] | None = None  # the vendor's id, time and model; None until a chunk came
        self.include_usage = chat.include_usage
        self.report = UsageReport()
        self.service_tier: object = None  # the last that a chunk has named
        self.answered = ""  # the model by the last chunk to name one, whatever the client is told
        self.searches: frozenset[Search] = NO_SEARCHES  # that it shows
        self.tokens = 0  # output tokens seen so far: by the choices' meters, their logprobs or the vendor's running count
        self.reasoning = 0  # of them, those that show the model's thinking
        self.holding: Tree | None = None  # the finish chunk that the last event was, and nothing else
        self.failed: VendorError | None = None  # after the chunks returned so far
        self.unknown = NONE_UNKNOWN  # finish reasons in nobody's table that were taken for `stop`
        self._call, self._chat = call, chat
        self.choices: list[Choice] = []  # that have begun
        self._waiting = self._beside_usage = NOTHING
        self.asked_for, self._stops, self._meter = chat.choices, stops, meter
        self.carried = False  # whether there was output in what was accepted last
        self._unmeasured = False  # there was output whose size says nothing, such as sound
        self._alias: int | None = None
        self._begun = False
        self._reported = False  # usage came without choices: no choice will begin
        self.heard = 0  # events that said something
        self.running: RunningCount | None = None  # of a vendor that reports before the end

    @property
    def begun(self) -> bool:
        """True once more than a bare opening came: text, thinking, a call, logprobs."""
        return self._begun or self.tokens > 0

    @property
    def finished(self) -> bool:
        """True when every choice that was opened has its finish reason."""
        choices = self.choices  # most often one, for which no generator is made
        return bool(choices[0].verdict) if len(choices) == 1 else bool(choices) and all(choice.verdict for choice in choices)

    @property
    def closed(self) -> bool:
        """True when the client has the finish of every choice."""
        return bool(self.choices) and all(choice.closed for choice in self.choices)

    @property
    def certain(self) -> bool:
        """True when no finish held back was given for a reason that nobody knows."""
        return all(choice.verdict != UNKNOWN for choice in self.choices)

    @property
    def finishing(self) -> int:
        """0 while a choice may still be at work; then how many events said something, the last finish included."""
        return self.heard if self.finished and (self._reported or len(self.choices) >= self.asked_for) else 0

    @property
    def complete(self) -> bool:
        """True when as many choices as were asked for have begun and finished: no token can follow."""
        return len(self.choices) >= self.asked_for and self.finished

    def is_open(self, index: int) -> bool:
        """Tell whether a choice has begun and its next text may pass as it is."""
        choices = self.choices
        return 0 <= index < len(choices) and choices[index].takes_plain_text

    def ends_plainly(self, index: int) -> bool:
        """Tell whether this is the only choice and its finish may pass as it is: nothing is held for it, and nothing owed before it."""
        choices = self.choices
        return 0 <= index < len(choices) and choices[index].ends_plainly and self.asked_for == 1 and not self._waiting

    def end_plainly(self, index: int, reason: str) -> None:
        """Take note that the finish of such a choice has passed."""
        choice = self.choices[index]
        choice.verdict, choice.closed = reason, True
        self.heard += 1

    def continues(self, chunk: PlainChunk | PlainFinishChunk) -> bool:
        """Tell whether a conformant chunk carries on the stream as that began."""
        return (chunk.id, chunk.created, chunk.model) == self.identity and chunk.error is UNSET

    def may_begin(self, index: int) -> bool:
        """Tell whether nothing has come yet, so that a conformant opening of this choice is the stream's first chunk."""
        return index == 0 and not (self.identity or self.choices or self._waiting)

    def begin(self) -> None:
        """Take note that the next choice begins."""
        self.choices.append(Choice(self._call[0], len(self.choices), self._chat, meter=self._meter(), stops=self._stops))

    @property
    def meters(self) -> list[TokenMeter]:
        """What counts each of the choices."""
        return [choice.meter for choice in self.choices]

    def accept(self, tree: Tree) -> list[Tree]:
        """Return the chunks to emit for one chunk of the vendor. Raises VendorError; one that follows them waits in `failed`."""
        refuse_errors(tree)
        self.holding = None
        self._note_origin(tree)
        self.report.steps = steps_in(tree) or self.report.steps
        told = tree.get("usage")
        if self.asked_for > 1 and of_one_choice(tree):
            told = added(self.report.fields, as_tree(told), same_prompt=True)
        for report in (as_tree(tree.get(GROQ)).get("usage"), told):
            self.report.take(report)
        extras = {name: value for name, value in tree.items() if name not in HANDLED_TOP}
        choices = choices_of(tree)
        if not choices:
            return self._accept_no_choice(tree, extras)
        self.identify(tree)
        self.carried = False
        chunks: list[Tree] = []
        finished: Choice | None = None
        if self.asked_for == 1:  # of several choices a count does not say which
            alone = not carries_token(as_tree(choices[0].get("delta")))
            self._hear(tree.get("usage") or choices[0].get("usage"), alone=alone)
        for position, choice in enumerate(choices):
            self.report.take(choice.get("usage"))
            emitted, ended = self._accept_choice(choice, position)
            chunks += emitted
            finished = ended or finished
        if chunks or finished:
            extras, self._waiting = self._waiting | extras, NOTHING
        if finished is not None:
            finished.beside = finished.beside | extras
            extras = {}
        self.heard += bool(chunks)
        emitted = [self._chunk(choice, extras if last == len(chunks) else {}) for last, choice in enumerate(chunks, 1)]
        if finished is not None and not chunks:
            self.holding = self._finish_chunk(finished, finished.verdict)
        return emitted

    def finish(self) -> list[Tree]:
        """Return what is owed when the vendor says `[DONE]`: the finish chunks held back, and those that it never sent.

        Raises VendorError where it said nothing at all.
        """
        if not self.begun and not self.finished:
            raise Unintelligible("an answer with neither text nor a finish reason")
        for choice in self.choices:
            choice.owe_finish()
        return self.end()

    def end(self) -> list[Tree]:
        """Return the finish chunks held back, and what is owed before each. Raises VendorError."""
        chunks: list[Tree] = []
        for index, choice in enumerate(self.choices):
            if choice.verdict and not choice.closed:
                deltas, reason, word = choice.close(said=self.begun)
                self.unknown = [*self.unknown, word] if word else self.unknown
                self._count(choice.made(deltas), choice.meter)
                chunks += [self._chunk(self._choice(index, delta), {}) for delta in deltas]
                chunks.append(self._finish_chunk(choice, reason))
        return chunks

    def reported(self, beside: Tree) -> list[Tree]:
        """Take a report of usage without choices, with what stands beside it; return the finish chunks held back, if all have finished."""
        self._reported = self.asked_for == 1 or TIMINGS not in beside
        self.heard += 1
        if self._reported and not self.finished:
            self._hear(self.report.fields, alone=True)
        self._note_origin(beside)
        self._beside_usage = {name: value for name in BESIDE_USAGE if (value := beside.get(name)) is not None}
        return self.end() if self.finished else []

    def usage_chunk(self, report: Tree) -> Tree:
        """Return the one chunk that carries usage."""
        self.identify({})
        return {**self._head(), **self._beside_usage, "choices": [], "usage": report}

    def _note_origin(self, tree: Tree) -> None:
        """Take note of who made what a chunk carries: the bill may depend on it, and any chunk may say it."""
        self.service_tier = tree.get("service_tier") or self.service_tier
        self.answered = text_or_none(tree.get("model")) or self.answered
        if PAGES in tree:
            self.searches |= searches_beside(tree)

    def _note_searches(self, index: int, deltas: list[Tree]) -> None:
        if any(not SIGNS.isdisjoint(part) for part in deltas) and len(self.searches) < SEARCHES_MAX:
            self.searches = self.searches.union(searches_in(index, deltas))
            self.report.steps = self.report.steps or steps_shown(deltas)

    def identify(self, tree: Tree) -> None:
        """Take id, time and model from a vendor's chunk, if it is the first."""
        if self.identity is None:
            first_id, first_created, asked = self._stand_in()
            created, model = tree.get("created"), text_or_none(tree.get("model"))
            self.identity = text_or_none(tree.get("id")) or first_id, created if type(created) is int else first_created, model or asked
            self.answered = model or self.answered
            self.model = self.model or shown_name(model, asked)

    def identify_as(self, chunk: PlainOpeningChunk) -> None:
        """Take them from one that has them all."""
        self.answered = chunk.model
        self.identity = chunk.id, chunk.created, self.answered
        self.model = self.model or shown_name(chunk.model, self._chat.model)

    def _stand_in(self) -> tuple[str, int, str]:
        return f"chatcmpl-{self._call[0]}", self._call[1], self._chat.model

    def _head(self) -> Tree:
        vendors_id, created, _ = self.identity or self._stand_in()
        return {"id": vendors_id, "object": OBJECT, "created": created, "model": self.model}

    def _chunk(self, choice: Tree, extras: Tree) -> Tree:
        named = {name: extras[name] for name in ("service_tier", "system_fingerprint") if name in extras}
        usage: Tree = {"usage": None} if self.include_usage else {}
        return self._head() | named | {"choices": [choice]} | usage | extras

    def _accept_no_choice(self, tree: Tree, extras: Tree) -> list[Tree]:
        """Take a chunk that is about the stream as a whole. A report of usage in it is the last word on choices that have finished."""
        if tree.get("usage") is not None:
            return self.reported(extras)
        if "choices" not in tree or not extras:
            return []
        if self.identity:
            usage: Tree = {"usage": None} if self.include_usage else {}
            return [{**self._head(), "choices": [], **usage, **extras}]
        self._waiting = self._waiting | extras  # such as Azure's prompt filter results: they ride on the next chunk
        return []

    def _accept_choice(self, given: Tree, position: int) -> tuple[list[Tree], Choice | None]:
        """Return the choices to emit, and the choice itself if it has finished: what rides on the event belongs to its finish then."""
        told = count_of(given.get("index"))
        index = position if told is None else told
        if index >= self.asked_for:
            if self.asked_for > 1 or not (self._is_the_only_one(index) or as_tree(given.get("delta")).get("tool_calls")):
                return [], None
            index = 0
        opened = self._open(index)
        choice = self.choices[index]
        if choice.closed:
            return opened, None
        delta = said_as(given.get("delta"))
        if not says(delta) and not (choice.meter.tokens and choice.by_deltas) and (beside := said_beside(given)):
            choice.by_deltas, delta = False, beside
        deltas = choice.deltas(delta)
        emitted = [self._choice(index, part) for part in deltas]
        self._note_searches(index, deltas)
        rest = {name: value for name, value in given.items() if name not in HANDLED_CHOICE}
        logprobs, counted = rest.get("logprobs"), 0
        if logprobs is not None:
            several = is_tree(logprobs) or is_list(logprobs)  # one number need not be of one token
            rest["logprobs"] = logprobs = chat_logprobs(logprobs, "".join(map(text_in, deltas)), given.get("top_logprobs"))
            counted = listed(logprobs, "content") if several else 0
        self._begun = self._begun or choice.said or is_tree(logprobs)
        self._count(choice.made(deltas), choice.meter, logprobs=counted, token_ids=listed(given, "token_ids"))
        if logprobs and deltas:
            emitted[0] |= rest
            rest = {}
        reason = spoken(given.get("finish_reason")) or None
        if reason is not None and self._take_finish(choice, reason, rest):
            return opened + emitted, choice
        if choice.verdict and not emitted:
            choice.hold(rest)
            return opened, choice
        if emitted or opened:
            (emitted or opened)[-1] |= rest
        elif any(value is not None for value in rest.values()):
            emitted.append({**self._choice(index, {}), **rest})
        return opened + emitted, None

    def _take_finish(self, choice: Choice, reason: object, rest: Tree) -> bool:
        """Hold a finish back; False if it is no finish but a failure."""
        try:
            self.heard += choice.finish(reason, rest)
        except VendorError as error:
            self.failed = error
            return False
        return True

    def _finish_chunk(self, choice: Choice, reason: str) -> Tree:
        return self._chunk({**self._choice(choice.index, {}), "finish_reason": reason, **choice.held}, choice.beside)

    def _is_the_only_one(self, index: int) -> bool:
        """Tell whether a vendor numbers its one choice otherwise than 0. Of a second that nobody asked for only calls are taken."""
        if self._alias is None and not self.choices:
            self._alias = index
        return index == self._alias

    def _open(self, index: int) -> list[Tree]:
        """Open a choice, and those before it that have not begun: clients append choices in index order."""
        opened: list[Tree] = []
        for new in range(len(self.choices), index + 1):
            self.begin()
            opened.append(self._choice(new, {"role": "assistant", "content": "", "refusal": None}))
        return opened

    def _choice(self, index: int, delta: Tree) -> Tree:
        return {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}

    def shown(self, *, exact: bool = False) -> Shown:
        """Return the output so far by our own count; `exact` has a tokenizer count what still waits for it, and says how it was counted."""
        choices, size = self.choices, None
        if not self._unmeasured:
            size = choices[0].meter.total[1] if len(choices) == 1 else sum([choice.meter.total[1] for choice in choices])
        if not exact:
            return Shown(self.tokens, self.reasoning, text_bytes=size)
        tokens = sum([meter.exact() for meter in self.meters])
        return Shown(tokens, min(self.reasoning, tokens), weakest([meter.way for meter in self.meters if meter.tokens]), size)

    @property
    def pieces(self) -> int:
        """How many pieces of text have come."""
        return sum([choice.meter.total[0] for choice in self.choices])

    def _count(self, deltas: list[Tree], meter: TokenMeter, *, logprobs: int = 0, token_ids: int = 0) -> None:
        """Count what deltas hold: as their vendor tells, by ids, log probabilities or a running count; else by the text."""
        carrying = [delta for delta in deltas if carries_token(delta)]
        self.carried = self.carried or bool(carrying)
        texts = [text for delta in carrying if (text := text_in(delta))]
        sizes = [text_bytes(text) for text in texts]
        before, running, size, named = meter.tokens, self.running, sum(sizes), token_ids or logprobs
        told = running.shown(self.shown(), size) if running is not None and carrying else None
        if named and (named <= size or before + named <= self.shown().most_shown(size)):
            meter.tell(before + named, BY_TOKEN_IDS if token_ids else BY_LOGPROBS, sizes)
        elif told is not None:
            meter.tell(told, BY_VENDOR, sizes)
        else:
            for text in texts:
                meter.add_text(text)
            if unseen := unseen_in(carrying, len(carrying) - len(texts)):
                meter.add_unseen(unseen)
            if running is not None and carrying:
                running.doubt(meter.tokens)
        self._unmeasured = self._unmeasured or any("tool_calls" not in delta and not text_in(delta) for delta in carrying)
        tokens = meter.tokens - before
        self.tokens += tokens
        if running is not None and told == meter.tokens:
            running.believe(self.tokens)
        if any("reasoning_content" in delta for delta in carrying):
            self.reasoning += tokens

    def _hear(self, report: object, *, alone: bool) -> None:
        """Take what a vendor reports before the end. One that comes `alone`, without text, is of all that has been shown."""
        said = visible(report, thinking_shown=self.reasoning > 0)
        if said and self.running is None:
            self.running = RunningCount()
        if self.running is not None:
            self.running.hear(said)
            if alone and self.running.shown(self.shown()) is not None:
                self.running.believe(self.tokens)
