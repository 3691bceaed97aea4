"""What the events of Bedrock's streams, and its documents, mean: text, thinking, calls, citations, usage. Frames and counts nothing.

Thinking with its signature goes to the client sealed, and is kept by the id of the first call that it led to, as of Anthropic itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from aisa.providers.answer_builder import AnswerBuilder
from aisa.providers.anthropic_layout import Layout
from aisa.providers.content_blocks import blocks_said, text_of
from aisa.providers.event_stream import EXCEPTION
from aisa.providers.shape import Target
from aisa.wire.tool_calls import arguments_text
from aisa.wire.trees import Tree, as_tree, is_list, is_tree, key_in, text_or_none, trees_in
from aisa.wire.usage_report import count_of
from aisa.wire.vendor_error import Unintelligible, VendorError, error_in, is_error
from aisa.wire.vendor_tier import tier_named


class Block:
    """A content block that is open."""

    __slots__ = ("call", "given", "opening", "picture", "redacted", "signature")

    def __init__(self) -> None:
        self.call: tuple[int, str] | None = None  # which call it is, and its id
        self.given: list[str] = []  # text, thinking or arguments
        self.opening: object = None  # what a call was given where it began: all of it, unless pieces follow
        self.signature: str | None = None  # of thinking
        self.redacted: str | None = None
        self.picture = ""  # its format


class BedrockReader:
    """Reads one answer; implements `typed_stream.Reader`."""

    def __init__(self, builder: AnswerBuilder, target: Target) -> None:
        self._builder = builder
        self._state = target.state
        self._layout = Layout()
        self._open: dict[object, Block] = {}
        self._stopped = self._reported = False
        self._said = 0  # characters of text
        self._pictures = 0

    @property
    def ended(self) -> bool:
        """True once the answer has its reason and its report, whichever came first."""
        return self._stopped and self._reported

    def take(self, event: Tree) -> None:
        """Tell what an event, or a document, says. Raises VendorError. What is not known is skipped."""
        kind, index = event.get("type"), key_in(event, "contentBlockIndex")
        match kind:
            case "contentBlockDelta":
                delta = event.get("delta")
                self._grow(index, {"text": delta} if isinstance(delta, str) else as_tree(delta))
            case "contentBlockStart":
                self._start(index, as_tree(event.get("start")))
            case "contentBlockStop":
                self._stop(index)
            case "messageStart":
                self._builder.identify(None, None)
            case "messageStop":
                self._end(event.get("stopReason", event.get("stop_reason")))
                if is_tree(event.get("usage")):
                    self._report(event)
            case "metadata":
                self._report(event)
            case None | "error":
                self._document(event)
            case _ if kind == EXCEPTION:
                raise VendorError(event.get("report"))
            case _ if str(kind).endswith("Exception") or is_error(event.get("error")):  # in a frame of another type
                raise VendorError(event.get("error") or event)
            case _:
                pass

    def say(self, index: object, texts: Sequence[str]) -> None:
        """Tell of further texts of a block."""
        block = self._block(index)
        block.given += texts
        self._said += sum(map(len, texts))
        if not self._builder.begun:  # the first opens the answer, the others go on
            self._builder.say(0, texts[0])
            texts = texts[1:]
        if texts:
            self._builder.say_all(texts)

    def _document(self, document: Tree) -> None:
        output = document.get("output")
        if not is_tree(output) or is_error(document.get("error")):
            raise VendorError(error_in(document) or document)
        self._builder.identify(None, None)
        message = output.get("message")
        if is_list(message) and len(message) == 1:
            message = message[0]
        if not is_tree(message):
            raise Unintelligible("a message that is none")
        for index, block in enumerate(blocks_said(message.get("content"))):
            self._whole(index, block)
        self._report(document)
        self._end(document.get("stopReason", document.get("stop_reason")))

    def _whole(self, index: int, block: Tree) -> None:
        """Tell of a block that came whole."""
        use, picture = use_of(block), as_tree(block.get("image"))
        if use is not None:
            if text := text_of(block):
                self._grow(f"{index} said", {"text": text})
                self._stop(f"{index} said")
            self._start(index, {"toolUse": use})
        elif is_tree(thought := block.get("reasoningContent")):
            self._grow(index, {"reasoningContent": {**thought, **as_tree(thought.get("reasoningText"))}})
        elif picture:
            self._start(index, {"image": picture})
            self._grow(index, {"image": picture})
        elif is_tree(cited := block.get("citationsContent")):
            text = "".join([text_or_none(each.get("text")) or "" for each in trees_in(cited.get("content"))])
            self._grow(index, {"text": text})
            for citation in trees_in(cited.get("citations")):
                self._grow(index, {"citation": citation})
        else:
            self._grow(index, {"text": block.get("text")})
        self._stop(index)

    def _start(self, index: object, start: Tree) -> None:
        block = self._open[index] = Block()
        use, picture = use_of(start), start.get("image")
        if use is None and (text := text_of(start)):
            self._grow(index, {"text": text})
        elif use is not None and use.get("type") != "server_tool_use":
            call_id = self._builder.id_of_next(0, text_or_none(use.get("toolUseId")))
            block.call = self._builder.call(0, call_id, text_or_none(use.get("name")) or ""), call_id
            block.opening = use.get("input")
        elif is_tree(picture):
            block.picture = text_or_none(picture.get("format")) or "png"

    def _grow(self, index: object, delta: Tree) -> None:
        text = text_of(delta)
        if text is not None:
            self.say(index, [text])
            return
        use, thought = use_of(delta), delta.get("reasoningContent")
        if use is not None and index not in self._open and use.get("name"):
            self._start(index, delta)
            return
        if use is not None and index not in self._open:
            raise Unintelligible("a part of a call that was not begun")
        block = self._block(index)
        if use is not None:
            self._arguments(block, use.get("input"))
        elif is_tree(thought):
            self._think(block, thought)
        elif is_tree(citation := delta.get("citation")):
            self._cite(block, citation)
        elif is_tree(picture := delta.get("image")):
            self._draw(block, as_tree(picture.get("source")).get("bytes"))

    def _block(self, index: object) -> Block:
        """Return the block that is open there; of one that is no call the start may be missing."""
        block = self._open.get(index)
        if block is None:
            block = self._open[index] = Block()
        return block

    def _arguments(self, block: Block, given: object) -> None:
        if block.call is not None and given:
            block.given.append(arguments_text(given))
            self._builder.give(0, block.call[0], given)

    def _think(self, block: Block, thought: Tree) -> None:
        text, signature, redacted = (text_or_none(thought.get(name)) for name in ("text", "signature", "redactedContent"))
        block.signature = (block.signature or "") + (signature or "")
        if text:
            block.given.append(text)
            self._builder.think(0, text)
        if redacted:
            block.redacted = (block.redacted or "") + redacted

    def _cite(self, block: Block, citation: Tree) -> None:
        """Carry what a text rests on, where that is a page."""
        url = text_or_none(as_tree(as_tree(citation.get("location")).get("web")).get("url"))
        if url is None:
            return
        begin = self._said - sum([len(text) for text in block.given])
        page: Tree = {"url": url, "title": text_or_none(citation.get("title")) or "", "start_index": begin, "end_index": self._said}
        self._builder.carry(0, "annotations", [{"type": "url_citation", "url_citation": page}])

    def _draw(self, block: Block, data: object) -> None:
        if isinstance(data, str) and data:
            picture = {"type": "image_url", "image_url": {"url": f"data:image/{block.picture};base64,{data}"}, "index": self._pictures}
            self._pictures += 1
            self._builder.carry(0, "images", [picture], made=True)

    def _stop(self, index: object) -> None:
        block = self._open.pop(index, None)
        if block is None:
            return
        if block.opening and not block.given:
            self._arguments(block, block.opening)
        said = "".join(block.given)
        if block.call is not None:
            self._layout.call(block.call[1])
        elif block.redacted is not None:
            self._layout.other({"type": "redacted_thinking", "data": block.redacted})
        elif block.signature is not None:
            self._layout.other({"type": "thinking", "thinking": said, "signature": block.signature})
        elif said:
            self._layout.text(said)

    def _report(self, event: Tree) -> None:
        usage = event.get("usage")
        if is_tree(usage):
            self._builder.reported(report_of(usage))
        tier = tier_named(as_tree(event.get("serviceTier")).get("type"))
        self._builder.tier = self._builder.tier if tier is None else tier
        self._reported = True

    def _end(self, reason: object) -> None:
        """The answer is over: what is open ends, what the model wants back goes along, and why."""
        if not isinstance(reason, str) or not reason:
            raise Unintelligible("an answer that stopped without a reason")
        for index in list(self._open):
            self._stop(index)
        layout = self._layout.encoded()
        if self._state is not None and layout:
            if self._layout.first_call:
                self._state.keep(self._layout.first_call, layout)
            self._builder.think(0, "", self._state.seal(layout))
        self._builder.finish(0, reason)
        self._stopped = True


def use_of(holder: Tree) -> Tree | None:
    """Return the call in a block, or in a part of one; None if there is none. Raises Unintelligible for what is no call."""
    use = holder.get("toolUse", holder if holder.get("type") == "tool_use" else None)
    if use is None:
        return None
    if not is_tree(use):
        raise Unintelligible("a call that is none")
    given = next((use[name] for name in ("input", "arguments", "args") if use.get(name) is not None), None)
    return {**use, "input": given, "toolUseId": use.get("toolUseId", use.get("id"))}


def report_of(usage: Tree) -> Tree:
    """Return a report that `wire.usage_report` reads: what was read from caches and written to them stands beside the input."""
    if "inputTokens" not in usage and "outputTokens" not in usage:  # in the words of others
        return {**usage}
    told = {name: count for name, value in usage.items() if (count := count_of(value)) is not None}
    cached, written = told.get("cacheReadInputTokens", 0), told.get("cacheWriteInputTokens", 0)
    report: Tree = {}
    if "inputTokens" in told:
        report["prompt_tokens"] = told["inputTokens"] + cached + written
    if "outputTokens" in told:
        report["completion_tokens"] = told["outputTokens"]
    if "totalTokens" in told:
        report["total_tokens"] = told["totalTokens"]
    if cached or written:
        report["prompt_tokens_details"] = {"cached_tokens": cached, "cache_write_tokens": written}
    classes: dict[str, int] = {}
    for detail in trees_in(usage.get("cacheDetails")):
        name = f"ttl_{detail.get('ttl')}_tokens"
        classes[name] = classes.get(name, 0) + (count_of(detail.get("inputTokens")) or 0)
    if classes:
        report["cache_write_tokens_details"] = {**classes}
    return report
