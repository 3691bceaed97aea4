"""The kinds of items of a Responses answer: what each says while it grows, and the events that tell of it. Knows no other item."""

from __future__ import annotations

from abc import ABC, abstractmethod

import msgspec

from aisa.answer import ToolCall
from aisa.wire.responses_client_tools import ClientTool
from aisa.wire.responses_tools import Called
from aisa.wire.trees import Tree, is_list

OUTPUT_TEXT, REFUSAL = "output_text", "refusal"
TEXT_DELTA = "response.output_text.delta"
PICTURE = "image_generation_call"


class Item(ABC):
    """An item: where it stands, and its text so far."""

    def __init__(self, item_id: str, index: int) -> None:
        self.id = item_id
        self.index = index
        self.done: Tree | None = None  # the whole of it, once it is
        self.texts: list[str] = []

    def place(self) -> Tree:
        """Return what names the item in an event."""
        return {"item_id": self.id, "output_index": self.index}

    def added(self) -> Tree:
        """Return the event that begins it."""
        return {"type": "response.output_item.added", "output_index": self.index, "item": self.tree("in_progress")}

    def ended(self, status: str) -> Tree:
        """Return the event that ends it."""
        self.done = self.tree(status)
        return {"type": "response.output_item.done", "output_index": self.index, "item": self.done}

    @abstractmethod
    def tree(self, status: str) -> Tree:
        """Return the item as it is."""

    @abstractmethod
    def end(self, status: str) -> list[Tree]:
        """Return the events that end it and what is open in it."""


class Message(Item):
    """What the model says: parts of text, and of refusal."""

    def __init__(self, item_id: str, index: int) -> None:
        super().__init__(item_id, index)
        self._parts: list[Tree] = []
        self._kind = ""  # of the part that is open
        self._beginning = b""  # of its events
        self.logprobs: list[Tree] = []
        self.annotations: list[Tree] = []

    def say(self, kind: str, text: str) -> list[Tree]:
        """Return the events for more text."""
        events: list[Tree] = []
        begins = self._kind != kind
        if begins:
            events = self._end_part()
            self._kind, self.texts, self.logprobs, self.annotations = kind, [], [], []
        where = self._where()
        if begins:
            events.append({"type": "response.content_part.added", **where, "part": self._part("")})
        self.texts.append(text)
        if kind == REFUSAL:
            events.append({"type": "response.refusal.delta", **where, "delta": text})
        else:
            events.append({"type": TEXT_DELTA, **where, "delta": text, "logprobs": []})
        return events

    def beginning(self) -> bytes:
        """Return what the events of further text begin with, up to the text; nothing if there is none yet."""
        if self._kind == OUTPUT_TEXT and not self._beginning:
            place = msgspec.json.encode({"type": TEXT_DELTA, **self._where()})
            self._beginning = b"event: " + TEXT_DELTA.encode() + b"\ndata: " + place[:-1] + b',"delta":'
        return self._beginning

    def annotate(self, annotation: Tree) -> Tree:
        """Return the event for a note on the text."""
        self.annotations.append(annotation)
        place = {"annotation_index": len(self.annotations) - 1, "annotation": annotation}
        return {"type": "response.output_text.annotation.added", **self._where(), **place}

    def note(self, name: str, more: list[Tree]) -> None:
        """Add notes on its last text, which has ended: the whole answer has them. `name` is what they are."""
        said = self._parts[-1].get(name) if self._parts else None
        if is_list(said):
            said += more

    def tree(self, status: str) -> Tree:
        """Return the item as it is."""
        return {"id": self.id, "type": "message", "role": "assistant", "status": status, "content": [*self._parts]}

    def end(self, status: str) -> list[Tree]:
        """Return the events that end it."""
        return [*self._end_part(), self.ended(status)]

    def _where(self) -> Tree:
        return {**self.place(), "content_index": len(self._parts)}

    def _part(self, text: str) -> Tree:
        if self._kind == REFUSAL:
            return {"type": REFUSAL, "refusal": text}
        return {"type": OUTPUT_TEXT, "text": text, "annotations": [*self.annotations], "logprobs": [*self.logprobs]}

    def _end_part(self) -> list[Tree]:
        if not self._kind:
            return []
        where, text = self._where(), "".join(self.texts)
        part = self._part(text)
        said: Tree = {"refusal": text} if self._kind == REFUSAL else {"text": text, "logprobs": part["logprobs"]}
        self._parts.append(part)
        kind, self._kind, self._beginning = self._kind, "", b""
        return [{"type": f"response.{kind}.done", **where, **said}, {"type": "response.content_part.done", **where, "part": part}]


class Thought(Item):
    """What the model thinks, as one part of a summary: the form that clients show. `seal` is given back by the client."""

    seal: str | None = None

    def think(self, text: str) -> list[Tree]:
        """Return the events for more of it."""
        events: list[Tree] = []
        if not self.texts:
            part = {"type": "summary_text", "text": ""}
            events.append({"type": "response.reasoning_summary_part.added", **self._where(), "part": part})
        self.texts.append(text)
        return [*events, {"type": "response.reasoning_summary_text.delta", **self._where(), "delta": text}]

    def tree(self, status: str) -> Tree:
        """Return the item as it is."""
        sealed = {} if self.seal is None else {"encrypted_content": self.seal}
        summary = [{"type": "summary_text", "text": "".join(self.texts)}] if self.texts else []
        return {"id": self.id, "type": "reasoning", "summary": summary, **sealed}

    def end(self, status: str) -> list[Tree]:
        """Return the events that end it."""
        if not self.texts:
            return [self.ended(status)]
        part = {"type": "summary_text", "text": "".join(self.texts)}
        return [
            {"type": "response.reasoning_summary_text.done", **self._where(), "text": part["text"]},
            {"type": "response.reasoning_summary_part.done", **self._where(), "part": part},
            self.ended(status),
        ]

    def _where(self) -> Tree:
        return {**self.place(), "summary_index": 0}


class Calling(Item):
    """A call of a tool, by the name that the client gave it."""

    def __init__(self, item_id: str, index: int, call: ToolCall, *, called: Called) -> None:
        super().__init__(item_id, index)
        self._custom = call.custom
        namespace = {} if called.namespace is None else {"namespace": called.namespace}
        kind = "custom_tool_call" if call.custom else "function_call"
        self._head: Tree = {"id": item_id, "type": kind, "call_id": call.id, **namespace, "name": called.name}
        self._name = called.name

    def give(self, text: str) -> list[Tree]:
        """Return the event for more of what it is given."""
        self.texts.append(text)
        kind = "custom_tool_call_input" if self._custom else "function_call_arguments"
        return [{"type": f"response.{kind}.delta", **self.place(), "delta": text}]

    def tree(self, status: str) -> Tree:
        """Return the item as it is."""
        given = "".join(self.texts)
        return {**self._head, "input" if self._custom else "arguments": given, "status": status}

    def end(self, status: str) -> list[Tree]:
        """Return the events that end it."""
        given = "".join(self.texts)
        if self._custom:
            last: Tree = {"type": "response.custom_tool_call_input.done", **self.place(), "input": given}
        else:
            last = {"type": "response.function_call_arguments.done", **self.place(), "name": self._name, "arguments": given}
        return [last, self.ended(status)]


class OwnCalling(Item):
    """A call of a tool that is no function: an item of its own, which is told once it is whole."""

    def __init__(self, item_id: str, index: int, own: ClientTool, *, call_id: str, members: Tree) -> None:
        super().__init__(item_id, index)
        self._own = own
        self._head: Tree = {"id": item_id, "type": own.call, "call_id": call_id}
        self._members = members

    def added(self) -> Tree:
        """Return the event that begins it."""
        return {**super().added(), "item": {**self._head, **self._own.begun(self._members)}}

    def tree(self, status: str) -> Tree:
        """Return the item, which has a status of its own."""
        return {**self._head, **self._members}

    def end(self, status: str) -> list[Tree]:
        """Return the events that tell what it says and end it."""
        return [*self._own.events(self._members, self.index), self.ended(status)]


class Picture(Item):
    """A picture that the model made, which comes whole: a call of the vendor's own tool, as this protocol has it."""

    def __init__(self, item_id: str, index: int, *, form: str, data: str) -> None:
        super().__init__(item_id, index)
        self._form = form
        self._data = data

    def tree(self, status: str) -> Tree:
        """Return the item, without its data until it is done."""
        whole = status != "in_progress"
        return {"id": self.id, "type": PICTURE, "status": status, "result": self._data if whole else None, "output_format": self._form}

    def end(self, status: str) -> list[Tree]:
        """Return the events that end it."""
        return [{"type": f"response.{PICTURE}.completed", **self.place()}, self.ended(status)]
