"""The items of a Responses answer while they grow, and the events that tell of it. Knows no bytes and no numbers of events.

What was said is kept to the end, as the protocol repeats it whole in the events that end an item and in the one that ends the answer.
"""

from __future__ import annotations

import msgspec

from aisa.answer import Arguments, Extra, Finish, FunctionCall, Part, Reasoning, Refusal, Text, ToolCall
from aisa.errors import ApiError
from aisa.wire.held_calls import HeldCall, HeldCalls
from aisa.wire.responses_custom import input_in
from aisa.wire.responses_kinds import OUTPUT_TEXT, REFUSAL, Calling, Item, Message, OwnCalling, Picture, Thought
from aisa.wire.responses_tools import Called, ToolNames
from aisa.wire.trees import Tree, as_tree, is_list, is_tree, trees_in

ANSWER_BYTES_MAX = 67_108_864  # of one answer's texts, which are kept; as much as a document may have
INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


class Output:
    """All items of one answer. `incomplete` says why it is not whole, if it is not."""

    def __init__(self, seed: str, names: ToolNames) -> None:
        self.incomplete: str | None = None
        self._seed = seed
        self._names = names
        self._items: list[Item] = []
        self._message: Message | None = None
        self._ended: Message | None = None  # the last before it
        self._thought: Thought | None = None
        self._calls: dict[int, Calling] = {}
        self.held = HeldCalls()  # of tools that are no functions, and what stands behind them
        self._bytes = 0

    def items(self) -> list[Tree]:
        """Return the items that are whole."""
        return [item.done for item in self._items if item.done is not None]

    def take(self, part: Part) -> list[Tree]:
        """Return the events for a part; what it shows is in the last of them. Raises ApiError when there is too much to keep."""
        if type(part) is Text:  # as most are, and each pattern below would be tried at its cost
            return self._said(OUTPUT_TEXT, part.text)
        if type(part) is Finish:
            return self._finish(part.reason)
        match part:
            case Refusal(_, text):
                return self._said(REFUSAL, text)
            case Reasoning():
                return self._thinks(part)
            case ToolCall():
                return self._called(part)
            case Arguments(_, index, text):
                self._keep(text)
                if index in self._calls:
                    return self._calls[index].give(text)
                self.held.add(part)
                return []
            case FunctionCall(_, name, arguments):
                return self._called_in_the_older_form(name, arguments)
            case Extra(_, "annotations", value):
                return self._annotated(trees_in(value))
            case Extra(_, "images", value):
                return [event for picture in trees_in(value) for event in self._pictured(picture)]
            case _:
                return []

    def further(self, texts: list[str]) -> bytes:
        """Take more text of what is being said, and return what its events begin with; none is taken if something else is said."""
        message = self._message
        beginning = b"" if message is None or self._thought is not None else message.beginning()
        if message is not None and beginning:
            self._keep(texts[0] if len(texts) == 1 else "".join(texts))
            message.texts += texts
        return beginning

    def weigh(self, logprobs: list[object]) -> list[Tree]:
        """Add log-probabilities to the text that was said last, and return them as this protocol has them."""
        told = [weighed(entry) for entry in trees_in(logprobs)]
        if self._message is not None:
            self._message.logprobs += told
        elif self._ended is not None:
            self._ended.note("logprobs", told)
        return told

    def _said(self, kind: str, text: str) -> list[Tree]:
        events = self._end_thought("completed")
        self._keep(text)
        if self._message is None:
            events += self._let_go(self.held.whole(0))
            self._message = Message(*self._next("msg"))
            events.append(self._begin(self._message))
        return events + self._message.say(kind, text)

    def _thinks(self, part: Reasoning) -> list[Tree]:
        events = self._end_message("completed")
        if self._thought is None:
            events += self._let_go(self.held.whole(0))
            self._thought = Thought(*self._next("rs"))
            events.append(self._begin(self._thought))
        if part.text:
            self._keep(part.text)
            events += self._thought.think(part.text)
        if part.signature:
            self._thought.seal = part.signature
            events += self._end_thought("completed")
        return events

    def _pictured(self, picture: Tree) -> list[Tree]:
        """Tell of a picture by its data; nothing of one that stands at an address, for which this protocol has no place."""
        kind, found, data = str(as_tree(picture.get("image_url")).get("url")).removeprefix("data:").partition(";base64,")
        if not found:
            return []
        self._keep(data)
        events = [*self._end_thought("completed"), *self._end_message("completed"), *self._let_go(self.held.whole(0))]
        item = Picture(*self._next("ig"), form=kind.rpartition("/")[2], data=data)
        return [*events, self._begin(item), *item.end("completed")]

    def _called(self, call: ToolCall) -> list[Tree]:
        """Begin a call. One of a tool that is no function is held until it is whole, and those behind it with it."""
        events = [*self._end_thought("completed"), *self._end_message("completed"), *self._let_go(self.held.whole(0))]
        called = self._names.called(call.name)
        if self.held or called.own is not None or self._stands_for_custom(call, called):
            self.held.begin(call)
            return events
        item = self._calls[call.index] = self._calling(call, called)
        return [*events, self._begin(item)]

    def _calling(self, call: ToolCall, called: Called) -> Calling:
        return Calling(*self._next("ctc" if call.custom else "fc"), call, called=called)

    def _let_go(self, calls: list[HeldCall], status: str = "completed") -> list[Tree]:
        """Return the events for calls that were held. One that does not fit its tool is told as the function call that it was."""
        events: list[Tree] = []
        for held in calls:
            call, called, text = held.call, self._names.called(held.call.name), "".join(held.texts)
            if self._stands_for_custom(call, called) and (given := input_in(text)) is not None:
                call, text = msgspec.structs.replace(call, custom=True), given
            members = None if called.own is None else called.own.members(text, status)
            if called.own is not None and members is not None:
                own = OwnCalling(*self._next(called.own.mark), called.own, call_id=call.id, members=members)
                events += [self._begin(own), *own.end(status)]
            else:
                item = self._calling(call, called)
                events += [self._begin(item), *(item.give(text) if text else []), *item.end(status)]
        return events

    def _stands_for_custom(self, call: ToolCall, called: Called) -> bool:
        """Tell whether a call of a function is one of a custom tool, at a vendor that has none."""
        return not call.custom and self._names.is_custom(called)

    def _called_in_the_older_form(self, name: str, arguments: str) -> list[Tree]:
        events: list[Tree] = []
        if 0 not in self._calls and not self.held:
            events += self._called(ToolCall(0, 0, f"call_{self._seed}", name))
        return events + self.take(Arguments(0, 0, arguments)) if arguments else events

    def _annotated(self, annotations: list[Tree]) -> list[Tree]:
        notes = [flat(annotation) for annotation in annotations]
        if self._message is not None:
            return [self._message.annotate(note) for note in notes]
        if self._ended is not None:  # a call has begun since
            self._ended.note("annotations", notes)
        return []

    def _finish(self, reason: str) -> list[Tree]:
        """End what is open. Where the answer was cut short, so was what was open."""
        self.incomplete = INCOMPLETE.get(reason)
        status = "completed" if self.incomplete is None else "incomplete"
        events = [*self._end_thought(status), *self._end_message(status)]
        for item in self._calls.values():
            events += item.end(status)
        self._calls.clear()
        return events + self._let_go(self.held.rest(), status)

    def _end_message(self, status: str) -> list[Tree]:
        message, self._message = self._message, None
        self._ended = message or self._ended
        return [] if message is None else message.end(status)

    def _end_thought(self, status: str) -> list[Tree]:
        thought, self._thought = self._thought, None
        return [] if thought is None else thought.end(status)

    def _next(self, kind: str) -> tuple[str, int]:
        index = len(self._items)
        return f"{kind}_{self._seed}_{index}", index

    def _begin(self, item: Item) -> Tree:
        self._items.append(item)
        return item.added()

    def _keep(self, text: str) -> None:
        self._bytes += len(text)
        if self._bytes > ANSWER_BYTES_MAX:
            raise ApiError("gateway_error", f"The answer is longer than {ANSWER_BYTES_MAX} characters, and is not kept any further.")


def weighed(entry: Tree) -> Tree:
    """Return a token with its log-probability. Its bytes and those of its rivals are always there, which chat completions may leave out."""
    given = entry.get("bytes")
    rivals = {"top_logprobs": [weighed(rival) for rival in trees_in(entry.get("top_logprobs"))]} if "top_logprobs" in entry else {}
    return {**entry, "bytes": given if is_list(given) else list(str(entry.get("token") or "").encode()), **rivals}


def flat(annotation: Tree) -> Tree:
    """Return a note on a text as this protocol has it: chat completions put what it says into an object of its own."""
    kind = annotation.get("type")
    inner = annotation.get(str(kind))
    return {"type": kind, **inner} if is_tree(inner) else annotation
