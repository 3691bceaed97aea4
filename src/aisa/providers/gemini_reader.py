"""What the events of Gemini's streams, and its documents, mean: parts, calls, citations, finishes, usage. Frames and counts nothing."""

from __future__ import annotations

from collections.abc import Sequence

from aisa.providers.answer_builder import AnswerBuilder
from aisa.providers.content_blocks import blocks_of
from aisa.providers.continuation import Continuation
from aisa.providers.gemini_arguments import PartialArguments
from aisa.providers.gemini_plain import PlainUsage, plain_events
from aisa.providers.gemini_shapes import OF_ANSWERS, usual
from aisa.providers.gemini_signatures import Signatures
from aisa.providers.gemini_thinking import FIRST_WITH_LEVELS, generation
from aisa.providers.gemini_usage import counts_in, report_of, thinks_inside, tier_in, visible_in
from aisa.providers.shape import Target
from aisa.wire.finish import STOP
from aisa.wire.sse import Event
from aisa.wire.trees import Tree, as_list, is_tree, text_or_none, trees_in
from aisa.wire.usage_report import IN_FILES
from aisa.wire.vendor_error import VendorError, error_in, is_error

#: What official clients need beside the data of sound; nothing is kept here that an id could name.
SPOKEN: Tree = {"id": "audio_0", "transcript": "", "expires_at": 0}
UNREAD: Tree = {"\0": 1}  # stands for a running report that is read when it is asked for; no vendor's says as much
CONTINUES = "CONTINUATION"  # the finish of an answer that is not at its end
FREE_FILES = "generativelanguage.googleapis.com"  # where searches in files cost their tokens alone


class GeminiReader:
    """Reads one answer; implements `typed_stream.ReportingReader`. Its streams just end."""

    def __init__(self, builder: AnswerBuilder, target: Target, continuation: Continuation | None) -> None:
        """`continuation` is None where the client itself asks for the rest of an answer that comes in several parts."""
        self.continuation = continuation
        self.ended = self.reported = False
        self._before = 0  # characters of the parts of the answer that have ended
        self._builder = builder
        self._model, self._host = target.model, target.host
        self._signatures = Signatures(target.state)
        self._cited: set[tuple[object, ...]] = set()
        self._first_said: list[str] = []
        self._said: dict[int, list[str]] = {0: self._first_said}  # what was said, by choice: offsets of citations go by that
        self._plain: PlainUsage | None = None  # the last report, if it was of the plain shape
        self._inside = False  # the last report, if it was of another, has thinking inside what was made
        self._goes_on = False  # this is no longer the first part of the answer
        self._counted = 0  # tokens said in the parts that have ended, by the running count
        self._told: tuple[Tree | None] | None = None  # what was reported, where our count of a further part stands beside it
        self._partial: dict[int, PartialArguments] = {}
        self._pictures: dict[int, int] = {}

    def take(self, event: Tree) -> Tree:
        """Tell what an event says, and return it as Gemini itself would send it. Raises VendorError."""
        event = usual(event)
        refuse_failures(event)
        self._builder.identify(event.get("responseId"), event.get("modelVersion"))
        metadata, candidates = event.get("usageMetadata"), trees_in(event.get("candidates"))
        said = 0
        if self._told is not None:
            [told], self._told = self._told, None
            self._builder.report.replace(told)
        if is_tree(metadata):
            said, metadata = visible_in(metadata), self._usage(metadata)
        finished = any(candidate.get("finishReason") for candidate in candidates)
        try:
            for position, candidate in enumerate(candidates):
                index = candidate.get("index")
                self._candidate(candidate, index if type(index) is int and index >= 0 else position)
        finally:  # whatever is wrong with it, what it reports is of all that was shown
            if is_tree(metadata):
                self._builder.catch_up(said and visible_in(metadata), ended=finished)
            if self._goes_on:
                self._count_part()
        goes_on = not finished and says(candidates)  # behind a finish that came too early
        self.reported = not goes_on and self._builder.complete and (self.reported or is_tree(metadata))
        feedback = event.get("promptFeedback")
        reason = feedback.get("blockReason") if is_tree(feedback) else None
        if is_tree(feedback) and reason and not candidates and "UNSPECIFIED" not in str(reason):
            message = text_or_none(feedback.get("blockReasonMessage")) or f"The prompt was blocked: {reason}."
            raise VendorError({"code": "content_policy_violation", "message": message})
        return event

    def end(self) -> None:
        """There is no more."""
        self.ended = True

    def take_plain(self, events: Sequence[Event], at: int) -> int:
        """Tell what events say from a place on, up to one that is not of the kind that streams are made of; return how many these are."""
        plain = [] if self._goes_on else plain_events(events, at)
        if not plain:
            return 0
        builder, last, self.reported = self._builder, self._plain, False
        texts: list[str] = []
        visible: list[int] = []
        for event in plain:
            usage = event.usage_metadata
            texts.append(event.candidates[0].content.parts[0].text)
            visible.append(usage.candidates_token_count)
            if last is None or not usage.covers(last):
                tier = tier_in({"trafficType": usage.traffic_type})
                builder.tier = builder.tier if tier is None else tier
                if last is not None:
                    builder.report.take_running(UNREAD, last.report)
                    self._plain = last
                    self._end_plain()
                _ = builder.report.fields  # what was reported before is read, and this put beside it
            if event.model_version != builder.answered:
                builder.identify(event.response_id, event.model_version)
            last = usage
        self._plain = last = plain[-1].usage_metadata
        builder.report.take_running(UNREAD, last.report)
        self._first_said += texts
        if not builder.begun and len(texts) > 1:  # the first opens the answer, the others go on
            builder.say_as_told(texts[:1], visible[:1])
            texts, visible = texts[1:], visible[1:]
        builder.say_as_told(texts, visible)
        return len(plain)

    def _usage(self, metadata: Tree) -> Tree:
        builder = self._builder
        self._end_plain()
        if self.continuation is not None:
            metadata = self.continuation.used(metadata)
        inside = "thoughtsTokenCount" in metadata and thinks_inside(counts_in(metadata))
        if inside and not self._inside:
            _ = builder.report.fields  # what was reported before may come to more, so it is read, and this put beside it
        self._inside = inside
        builder.reported_anew(metadata, report_of)
        tier = tier_in(metadata)
        builder.tier = builder.tier if tier is None else tier
        return metadata

    def _end_plain(self) -> None:
        """Another report follows the last of the plain shape: of what the part has used it is one."""
        if self._plain is not None and self.continuation is not None:
            self.continuation.used(self._plain.tree)
        self._plain = None

    def _candidate(self, candidate: Tree, choice: int) -> None:
        content = candidate.get("content")
        for part in blocks_of(content.get("parts")) if is_tree(content) else ():
            self._part(part, choice)
        logprobs = candidate.get("logprobsResult")
        if is_tree(logprobs) and logprobs.get("chosenCandidates"):
            self._builder.carry(choice, "logprobs", logprobs_of(logprobs), beside=True)
        self._citations(candidate, choice)
        reason = candidate.get("finishReason")
        if self.continuation is not None and "continuationToken" in candidate:
            self.continuation.note(candidate["continuationToken"])
        if reason == CONTINUES and choice == 0 and (self.continuation is None or self.continuation.want()):
            self._go_on()
        elif reason:
            self._end_call(choice)
            self._builder.finish(choice, reason)

    def _go_on(self) -> None:
        """The answer goes on in another part, whose offsets begin anew. For Google's own clients, which ask for it, this is the end."""
        if self.continuation is None:
            self._builder.finish(0, STOP)
            return
        builder = self._builder
        self._end_plain()
        self.continuation.lacking(self._own_count())
        self._counted = builder.tokens - builder.reasoning_shown
        builder.ask_again()
        self._goes_on = True
        self._before += len("".join(self._first_said))
        self._first_said.clear()

    def _own_count(self) -> Tree:
        """Return what the part that is being read has used by our own count."""
        builder = self._builder
        said = builder.tokens - builder.reasoning_shown - self._counted
        return {"promptTokenCount": builder.asked.input()[0], "candidatesTokenCount": said}

    def _count_part(self) -> None:
        """A further part may end without a report of its own, or be cut before it: what those before it told is not all."""
        report, counted = self._builder.report, self._own_count()
        if self.continuation is not None and self.continuation.lacks(counted):
            self._told = (report.fields,)
            report.take(report_of(self.continuation.whole(counted)))

    def _part(self, part: Tree, choice: int) -> None:
        builder, text = self._builder, part.get("text")
        if len(part) == 1 and isinstance(text, str):  # as nearly all are
            self._said.setdefault(choice, []).append(text)
            builder.say(choice, text)
            return
        signature = text_or_none(part.get("thoughtSignature")) or ""
        sealed = self._signatures.sealed("", signature) if signature and "functionCall" not in part else ""
        call, data = part.get("functionCall"), part.get("inlineData")
        if is_tree(call):
            self._call(call, choice, signature)
        elif isinstance(text, str):
            if part.get("thought") is True:
                builder.think(choice, text, sealed)
            else:
                self._said.setdefault(choice, []).append(text)
                builder.say(choice, text)
                builder.think(choice, "", sealed)
        elif is_tree(data):
            self._media(data, choice)
        else:
            ran = {name: part[name] for name in ("executableCode", "codeExecutionResult") if is_tree(part.get(name))}
            if ran:
                builder.carry(choice, "code_execution", [ran], made=True)

    def _call(self, call: Tree, choice: int, signature: str) -> None:
        """Tell of a call: most come whole, some with arguments in pieces up to an empty one."""
        partial = self._partial.get(choice)
        name = text_or_none(call.get("name"))
        if partial is not None and name is None:
            partial.take(call.get("partialArgs"))
            if not call.get("willContinue"):
                self._end_call(choice)
            return
        self._end_call(choice)
        if name is None and not (call.get("id") or call.get("args")):
            return  # the end of pieces that has come before
        call_id = self._builder.id_of_next(choice, text_or_none(call.get("id")))
        if signature:
            self._builder.think(choice, "", self._signatures.sealed(call_id, signature))
        index = self._builder.call(choice, call_id, name or "")
        if call.get("willContinue"):
            begun = self._partial[choice] = PartialArguments(index)
            begun.take(call.get("partialArgs"))
            return
        given = call.get("args")
        self._builder.give(choice, index, {} if given is None else given)

    def _end_call(self, choice: int) -> None:
        """Give the arguments that came in pieces."""
        partial = self._partial.pop(choice, None)
        if partial is not None:
            self._builder.give(choice, partial.index, partial.arguments)

    def _media(self, data: Tree, choice: int) -> None:
        """Carry a picture, or sound, as chat completions have it."""
        kind, content = str(data.get("mimeType") or ""), text_or_none(data.get("data"))
        if content is None:
            return
        if kind.startswith("audio/"):
            self._builder.carry(choice, "audio", {"data": content, **SPOKEN}, made=True)
            return
        place = self._pictures[choice] = self._pictures.get(choice, -1) + 1
        picture = {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{content}"}, "index": place}
        self._builder.carry(choice, "images", [picture], made=True)

    def _citations(self, candidate: Tree, choice: int) -> None:
        """Carry what the answer rests on as annotations, each once: metadata may be repeated in every event."""
        grounding, cited = candidate.get("groundingMetadata"), candidate.get("citationMetadata")
        if grounding is None and cited is None:
            return
        found: list[Tree] = []
        if is_tree(grounding):
            found += self._grounds(grounding, choice)
            searches = searches_in(grounding)
            if searches:
                searches = searches if generation(self._model) >= FIRST_WITH_LEVELS else 1  # older models bill by the prompt
                self._builder.reported({"num_search_queries": searches})
            if (looked := len(as_list(grounding.get("retrievalQueries")))) and self._host != FREE_FILES:
                self._builder.reported({IN_FILES[0]: looked})
        if is_tree(cited):
            found += [
                self._citation(each, each.get("startIndex"), each.get("endIndex"))
                for each in trees_in(cited.get("citations") or cited.get("citationSources"))
                if text_or_none(each.get("uri"))
            ]
        fresh = [each for each in found if (choice, *each.values()) not in self._cited]
        self._cited.update((choice, *each.values()) for each in fresh)
        if fresh:
            self._builder.carry(choice, "annotations", [{"type": "url_citation", "url_citation": each} for each in fresh])

    def _grounds(self, grounding: Tree, choice: int) -> list[Tree]:
        """Return the citations of an answer that was looked up. Its offsets are bytes of UTF-8, ours characters."""
        chunks = trees_in(grounding.get("groundingChunks"))
        supports = trees_in(grounding.get("groundingSupports"))
        text = "".join(self._said.get(choice, ())).encode() if supports else b""
        found: list[Tree] = []
        for support in supports:
            segment = support.get("segment")
            begin, end = (characters(text, segment.get(name)) if is_tree(segment) else 0 for name in ("startIndex", "endIndex"))
            for place in as_list(support.get("groundingChunkIndices")):
                source = source_of(chunks[place]) if type(place) is int and 0 <= place < len(chunks) else None
                if source is not None:
                    found.append(self._citation(source, begin, end))
        return found

    def _citation(self, source: Tree, begin: object, end: object) -> Tree:
        """Write a citation as chat completions do."""
        begin, end = (self._before + (value if type(value) is int else 0) for value in (begin, end))
        title = text_or_none(source.get("title")) or ""
        return {"url": source.get("uri"), "title": title, "start_index": begin, "end_index": end}


def refuse_failures(event: Tree) -> None:
    """Raise VendorError if an event is, or carries, a failure."""
    for holder in (event, *trees_in(event.get("candidates"))):
        if (error := holder.get("error")) is not None and is_error(error):
            raise VendorError(error)
    if "candidates" not in event and not any(name in event for name in OF_ANSWERS):
        report = error_in(event)
        if report is not None:
            raise VendorError(report)


def says(candidates: list[Tree]) -> bool:
    """Tell whether there is something in what candidates say."""
    return any(trees_in(content.get("parts")) for candidate in candidates if is_tree(content := candidate.get("content")))


def characters(text: bytes, offset: object) -> int:
    """Return an offset in UTF-8 as one in characters."""
    return len(text[:offset].decode("utf-8", "ignore")) if type(offset) is int and offset > 0 else 0


def searches_in(grounding: Tree) -> int:
    """Return how many searches an answer rests on: for pages and for pictures; of maps one, whose queries are not told."""
    queries = [query for name in ("webSearchQueries", "imageSearchQueries") for query in as_list(grounding.get(name))]
    return len(queries) or int(any(is_tree(chunk.get("maps")) for chunk in trees_in(grounding.get("groundingChunks"))))


def source_of(chunk: Tree) -> Tree | None:
    """Return where a chunk that an answer rests on comes from: the web, a store of documents, a map."""
    sources = [source for name in ("web", "retrievedContext", "maps") if is_tree(source := chunk.get(name))]
    return next((source for source in sources if text_or_none(source.get("uri"))), None)


def logprobs_of(result: Tree) -> Tree:
    """Write log probabilities as chat completions do."""
    tops = [trees_in(each.get("candidates")) for each in trees_in(result.get("topCandidates"))]
    tokens: list[Tree] = []
    for place, chosen in enumerate(trees_in(result.get("chosenCandidates"))):
        top = [logprob_of(each) for each in tops[place]] if place < len(tops) else []
        tokens.append({**logprob_of(chosen), "top_logprobs": top})
    return {"content": tokens, "refusal": None}


def logprob_of(token: Tree) -> Tree:
    """Write one token's log probability."""
    text = str(token.get("token") or "")
    value = token.get("logProbability")
    return {"token": text, "logprob": value if isinstance(value, int | float) else -9999.0, "bytes": list(text.encode("utf-8", "replace"))}
