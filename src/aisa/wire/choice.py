"""One choice of a stream: the vendor's deltas in, conformant deltas out, and the finish that is held back. Knows no chunk and no count."""

from __future__ import annotations

from collections.abc import Mapping

from aisa.wire.chat import ChatRequest
from aisa.wire.finish import CUT, FAILURE, STOP, UNKNOWN, later_of, spoken, verdict_on
from aisa.wire.halves import Seam
from aisa.wire.stop_sequences import StopSeam
from aisa.wire.thoughts import listed_thought, thought_in
from aisa.wire.token_meter import TokenMeter
from aisa.wire.tool_calls import FunctionCallStream, ToolCallStream
from aisa.wire.tool_terms import ToolTerms
from aisa.wire.trees import Tree, as_list, as_tree, is_list, is_tree, text_or_none, trees_in
from aisa.wire.vendor_error import Unintelligible, VendorError

HANDLED_DELTA = frozenset({"role", "content", "refusal", "reasoning", "reasoning_content", "tool_calls", "function_call"})
#: `message` is all that was said so far, where a vendor sends it beside a delta or behind the last.
HANDLED_CHOICE = frozenset({"index", "delta", "message", "content", "tool_calls", "function_call", "finish_reason", "usage"})
NOTHING: Tree = {}  # of every choice for whose finish nothing is held; never changed
NO_SEAMS: Mapping[str, Seam | StopSeam] = {}


class Choice:
    """What one choice has emitted so far. Its finish chunk will carry `held` in the choice and `beside` next to it.

    Its text is cut before the first of `stops`.
    """

    __slots__ = (
        "_call_id", "_chat", "_details", "_function_call", "_given", "_seams", "_tool_calls", "_word", "beside", "by_deltas", "closed",
        "held", "index", "meter", "said", "verdict",
    )  # fmt: skip

    def __init__(self, call_id: str, index: int, chat: ChatRequest, *, meter: TokenMeter, stops: tuple[str, ...] = ()) -> None:
        self.index = index
        self.meter = meter  # of its tokens
        self.verdict = ""  # what its finish reason means; nothing until one came
        self.closed = False  # the client has its finish
        self.by_deltas = True  # as nearly all come; else by what a document has, a message, of which each is a delta
        self.said = False  # something came: text, a call
        self.held = self.beside = NOTHING
        self._word = ""
        self._chat, self._call_id = chat, call_id
        self._tool_calls: ToolCallStream | None = None  # these two when there is the first call
        self._function_call: FunctionCallStream | None = None
        self._seams: Mapping[str, Seam | StopSeam] = {"content": StopSeam(stops)} if stops else NO_SEAMS  # others when first needed
        self._given: str | None = "" if stops else None  # the vendor's text of the newest delta, where ours may differ
        self._details: dict[str, int] | None = None

    @property
    def takes_plain_text(self) -> bool:
        """True while a delta of nothing but text can pass as it is."""
        return not self.verdict and not ("content" in self._seams and self._seams["content"].open)

    @property
    def ends_plainly(self) -> bool:
        """True while a bare finish can pass as it is: no call and no half of a character is owed before it, and nothing rides on it."""
        silent = not (self.verdict or self._seams or self.held or self.beside)
        return silent and self._tool_calls is None and self._function_call is None

    def deltas(self, delta: Tree) -> list[Tree]:
        """Split a delta into conformant ones: text and its companions in one, each tool call fragment in its own."""
        if not delta:
            return []
        content, thinking = flatten(delta.get("content"))
        refusal = text_or_none(delta.get("refusal"))
        thinking = thought_in(delta) or thinking or listed_thought(delta)
        text: Tree = {}
        counts = self._details = self._details or {}
        if self._given is not None:
            self._given = content
            self.said = self.said or content != ""
        if content and (ready := self._joined("content", content)):
            text["content"] = ready
        if refusal and (ready := self._joined("refusal", refusal)):
            text["refusal"] = ready
        if thinking and (ready := self._joined("reasoning_content", thinking)):
            text["reasoning_content"] = text["reasoning"] = ready
        if pictures := pictures_in(delta.get("content")):
            text["images"] = numbered(pictures, "images", counts)
        for name, value in delta.items():
            if name not in HANDLED_DELTA and value is not None:
                text[name] = numbered(value, name, counts)
        parts = [text] if text else []
        # Beside a call in the words of one API, one in those of the other is the same call again.
        twice = self._tool_calls is None and as_tree(delta.get("function_call")).get("name") and ToolTerms(self._chat).is_older
        if not (self._called_legacy or twice) and (self._tool_calls is not None or delta.get("tool_calls")):
            self._tool_calls = self._tool_calls or ToolCallStream(f"{self._call_id}_{self.index}", ToolTerms(self._chat))
            parts += self._tool_calls.accept(delta.get("tool_calls"))
        called = self._tool_calls is not None and self._tool_calls.begun
        if not called and (self._function_call is not None or delta.get("function_call")):
            self._function_call = self._function_call or FunctionCallStream(ToolTerms(self._chat))
            parts += self._function_call.accept(delta.get("function_call"))
        self.said = self.said or bool(parts) or called or self._called_legacy
        return parts

    @property
    def _called_legacy(self) -> bool:
        return self._function_call is not None and self._function_call.begun

    def made(self, deltas: list[Tree]) -> list[Tree]:
        """Return what the vendor made of which these deltas were emitted: with the text that is held back or cut out, to be counted."""
        if self._given is None:
            return deltas
        text, self._given = self._given, ""
        rest = [{name: value for name, value in delta.items() if name != "content"} for delta in deltas]
        if not text:
            return rest
        if rest and not ("tool_calls" in rest[0] or "function_call" in rest[0]):
            return [{**rest[0], "content": text}, *rest[1:]]
        return [{"content": text}, *rest]

    def _joined(self, name: str, text: str) -> str:
        """Return what can be sent of a text now that this piece of it has come."""
        if text.isascii() and name not in self._seams:
            return text
        self._seams = self._seams if name in self._seams else {**self._seams, name: Seam()}
        return self._seams[name].take(text)

    def finish(self, reason: object, rest: Tree) -> bool:
        """Take a finish reason and what came with it; the last one counts. Tells whether it changed anything.

        Raises VendorError if it says that the answer was given up.
        """
        word = spoken(reason)
        verdict = verdict_on(word)
        if verdict == FAILURE:
            raise VendorError(f"finish_reason is {word}")
        before = self.verdict
        self.verdict = later_of(before, verdict)
        if verdict == UNKNOWN:
            self._word = word
        self.hold(rest)
        return self.verdict != before

    def hold(self, rest: Tree) -> None:
        """Keep members of the choice for its finish chunk."""
        self.held = self.held | {name: value for name, value in rest.items() if value is not None or name not in self.held}

    def owe_finish(self) -> None:
        """The vendor said that it has finished, and not why."""
        if not self.verdict:
            self.verdict = STOP

    def close(self, *, said: bool) -> tuple[list[Tree], str, str]:
        """Return the deltas still owed, the finish reason, and the vendor's word for it if nobody knows that.

        Raises Unintelligible where an unknown word ends an answer that `said` nothing.
        """
        rest: Tree = {name: owed for name, seam in self._seams.items() if (owed := seam.end())}
        deltas = [with_both_names(rest)] if rest else []
        deltas += [] if self._tool_calls is None else self._tool_calls.close(cut=self.verdict in CUT)
        deltas += [] if self._function_call is None else self._function_call.close()
        verdict, word = self.verdict, ""
        if verdict == UNKNOWN:
            verdict, word = STOP, self._word
            if not said:
                raise Unintelligible(f"nothing but the finish reason {word!r}")
        self.closed = True
        called = self._tool_calls is not None and self._tool_calls.count > 0
        return deltas, ToolTerms(self._chat).reason(verdict, called=called, called_legacy=self._called_legacy), word


def with_both_names(text: Tree) -> Tree:
    """Add the model's thinking under the second of the two names that clients read it by."""
    return {**text, "reasoning": text["reasoning_content"]} if "reasoning_content" in text else text


def flatten(content: object) -> tuple[str, str]:
    """Return (text, thinking) of a content value; some vendors send an array of parts (Mistral) or of texts, or one part."""
    if isinstance(content, str):
        return content, ""
    text = thinking = ""
    for item in [content] if is_tree(content) else as_list(content):
        part = {"text": item} if isinstance(item, str) else as_tree(item)
        if part.get("type") == "thinking":
            inner = part.get("thinking")
            thinking += inner if isinstance(inner, str) else flatten(inner)[0]
        elif isinstance(part.get("text"), str):
            text += str(part["text"])
    return text, thinking


def pictures_in(content: object) -> list[object]:
    """Return the pictures among the parts of a content value, as vendors that have a member for them send them there."""
    return [] if isinstance(content, str) else [part for part in trees_in(content) if part.get("type") == "image_url"]


def numbered(value: object, name: str, counts: dict[str, int]) -> object:
    """Give the objects in a list extension the integer `index` that openai-python needs to add such lists up."""
    if not is_list(value):
        return value
    items: list[object] = []
    for item in value:
        unnumbered = is_tree(item) and not isinstance(item.get("index"), int)
        items.append({**item, "index": counts.get(name, 0)} if is_tree(item) and unnumbered else item)
        counts[name] = counts.get(name, 0) + 1
    return items
