"""What the events of Cohere's streams, and its documents, mean: text, thinking, plans, calls, citations. Frames and counts nothing."""

from __future__ import annotations

from aisa.providers.answer_builder import AnswerBuilder
from aisa.providers.cohere_plans import Plan, sealed
from aisa.providers.content_blocks import blocks_said, text_of
from aisa.providers.shape import Target
from aisa.wire.said import calls_of
from aisa.wire.trees import Tree, as_list, as_tree, is_tree, key_in, text_or_none, trees_in
from aisa.wire.usage_report import count_of
from aisa.wire.vendor_error import Unintelligible, VendorError, error_in, is_error

#: What a citation may be of beside what is said.
UNSAID = ("THINKING_CONTENT", "PLAN")
SIDES = {"input_tokens": "prompt_tokens", "output_tokens": "completion_tokens"}


class CohereReader:
    """Reads one answer; implements `typed_stream.Reader`."""

    def __init__(self, builder: AnswerBuilder, target: Target) -> None:
        self.ended = False
        self._builder = builder
        self._state = target.state
        self._calls: dict[object, int] = {}  # Cohere's index of a call -> which it is here
        self._first_call = ""
        self._plan: list[str] = []
        self._thinking: list[str] = []
        self._said = 0  # characters of text
        self._begins: dict[object, int] = {}  # where a block of text begins among them

    def take(self, event: Tree) -> None:
        """Tell what an event, or a document, says. Raises VendorError."""
        kind = event.get("type")
        if is_error(event.get("error")) or kind == "error":
            raise VendorError(event.get("error") or event)
        if kind is None:
            if event:  # an empty one is somebody's sign of life
                self._document(event)
            return
        delta = as_tree(event.get("delta"))
        message = as_tree(delta.get("message") or event.get("message")) or delta  # some leave the wrapping out
        index = key_in(event, "index")
        match kind:
            case "content-delta" | "content-start":
                said = message.get("content", message.get("text") and {"text": message["text"]})
                self._content(said, index, event.get("logprobs"))
            case "message-start":
                self._builder.identify(event.get("id"), None)
            case "tool-plan-delta":
                self._planned(message.get("tool_plan"))
            case "tool-call-start":
                self._call(message.get("tool_calls"), index)
            case "tool-call-delta":
                self._given(message.get("tool_calls"), index)
            case "citation-start":
                self._cite([as_tree(message.get("citations"))])
            case "message-end":
                self._end(event | delta)
            case _:
                pass

    def _document(self, document: Tree) -> None:
        """Tell what a whole answer says."""
        message = document.get("message")
        if not is_tree(message):
            raise VendorError(error_in(document) or document)
        self._builder.identify(document.get("id"), None)
        for index, block in enumerate(blocks_said(message.get("content"))):
            self._content(block, index, None)
        for item in trees_in(document.get("logprobs")):
            self._logprobs(item)
        self._planned(message.get("tool_plan"))
        for index, call in enumerate(calls_of(message.get("tool_calls"))):
            self._call(call, index)
        self._cite(trees_in(message.get("citations")))
        self._end(document)

    def _content(self, content: object, index: object, logprobs: object) -> None:
        for block in blocks_said(content):
            text, thought = text_of(block), text_of(block, "thinking")
            if thought:
                self._thinking.append(thought)
                self._builder.think(0, thought)
            if text:
                self.say(index, text)
        if is_tree(logprobs):
            self._logprobs(logprobs)

    def say(self, index: object, text: str) -> None:
        """Tell a piece of the text of a block."""
        if text:
            self._begins.setdefault(index, self._said)
            self._said += len(text)
            self._builder.say(0, text)

    def hear(self, texts: list[bytes]) -> None:
        """Tell further pieces of the text of a block that has begun. They are as they stand in JSON, without escapes."""
        self._said += sum([len(part.text) for part in self._builder.hear(texts)])

    def _logprobs(self, item: Tree) -> None:
        """Carry what a text was worth: several tokens of one text are told together, as where each ends is not said."""
        text = text_or_none(item.get("text"))
        numbers = [float(value) for value in as_list(item.get("logprobs")) if isinstance(value, int | float)]
        if text is not None and numbers:
            token: Tree = {"token": text, "logprob": sum(numbers), "bytes": list(text.encode("utf-8", "replace")), "top_logprobs": []}
            self._builder.carry(0, "logprobs", {"content": [token], "refusal": None}, beside=True)

    def _planned(self, text: object) -> None:
        """A model says what it will call, and why, before it does: that is thinking."""
        if isinstance(text, str) and text:
            self._plan.append(text)
            self._builder.think(0, text)

    def _call(self, calls: object, index: object) -> None:
        for call in calls_of(calls):
            call_id = self._builder.id_of_next(0, text_or_none(call.get("id")))
            name = (as_tree(call.get("function")) or call).get("name")
            self._first_call = self._first_call or call_id
            self._calls[index] = self._builder.call(0, call_id, text_or_none(name) or "")
            self._given(call, index)

    def _given(self, calls: object, index: object) -> None:
        for call in calls_of(calls):
            self._arguments((as_tree(call.get("function")) or call).get("arguments"), index)

    def _arguments(self, given: object, index: object) -> None:
        if not given:
            return
        if index not in self._calls:
            raise Unintelligible("arguments of a call that was not begun")
        self._builder.give(0, self._calls[index], given)

    def _cite(self, citations: list[Tree]) -> None:
        """Carry what the answer rests on: pages as chat completions tell them, and what has no address in Cohere's own words."""
        pages: list[Tree] = []
        others: list[Tree] = []
        for cited in citations:
            found = [] if cited.get("type") in UNSAID else self._pages(cited)
            pages += found
            if not found and cited.get("type") not in UNSAID and trees_in(cited.get("sources")):
                others.append(cited)
        if pages:
            self._builder.carry(0, "annotations", pages)
        if others:
            self._builder.carry(0, "citations", others)

    def _pages(self, cited: Tree) -> list[Tree]:
        begin = self._begins.get(key_in(cited, "content_index") or 0, 0)
        start, end = (begin + (count_of(cited.get(name)) or 0) for name in ("start", "end"))
        pages: list[Tree] = []
        for source in trees_in(cited.get("sources")):
            held = as_tree(source.get("document") or source.get("tool_output"))
            url = text_or_none(held.get("url"))
            if url:
                page: Tree = {"url": url, "title": text_or_none(held.get("title")) or "", "start_index": start, "end_index": end}
                pages.append({"type": "url_citation", "url_citation": page})
        return pages

    def _end(self, ending: Tree) -> None:
        """The answer is over: what it cost, what Cohere wants back, and why it ended."""
        usage = ending.get("usage", ending.get("meta"))  # as the API of before has it
        if is_tree(usage):
            self._builder.reported(report_of(usage))
        if is_error(ending.get("error")):
            raise VendorError(ending.get("error"))
        plan = Plan("".join(self._plan), "".join(self._thinking))
        self._builder.think(0, "", sealed(plan, self._first_call, self._state))
        self._builder.finish(0, ending.get("finish_reason"))
        self.ended = True


def report_of(usage: Tree) -> Tree:
    """Return a report that `wire.usage_report` reads: the tokens that were processed, and beside them those that are billed."""
    tokens, billed = as_tree(usage.get("tokens")), as_tree(usage.get("billed_units"))
    report: Tree = {} if tokens or billed else {**usage}  # in the words of others
    for name, ours in SIDES.items():
        counts = [count for tree in (tokens, billed) if (count := count_of(tree.get(name))) is not None]
        if counts:
            report[ours] = max(counts)
    if billed:
        report["billed_units"] = billed
    if cached := count_of(usage.get("cached_tokens")):
        report["prompt_tokens_details"] = {"cached_tokens": cached}
    if searches := count_of(billed.get("search_units")):
        report["num_search_queries"] = searches
    return report
