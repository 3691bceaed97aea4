"""Reads answers that are one document and no conversation: vectors, rankings. What is in one, its dialect says. Sans-IO."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

import msgspec
from msgspec import Raw

from aisa.answer import Part, Told
from aisa.errors import UpstreamFailed
from aisa.providers.blame import blame_for, unreadable
from aisa.providers.counting import OUTPUT_TOKENS_MAX
from aisa.providers.event_objects import document_in
from aisa.providers.own_input import OwnInput
from aisa.providers.shape import Target
from aisa.usage import REPORTED, Usage, Way
from aisa.wire.content import INPUT_TOKENS_MAX, Content
from aisa.wire.door import Request
from aisa.wire.shown import Shown
from aisa.wire.trees import Tree
from aisa.wire.usage_report import UsageReport
from aisa.wire.vendor_cost import vendor_cost
from aisa.wire.vendor_error import Unintelligible, VendorError, error_in

MEMBERS = msgspec.json.Decoder(dict[str, Raw])
NOT_READABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)
NOTHING_WRITTEN = Shown(0, 0, Way(source=REPORTED), 0)  # that no output was made needs no report


class TextsRequest(Request, Protocol):
    """A request with texts to be read that are no conversation."""

    def content(self) -> Content:
        """Return what there is to read."""
        ...

    def beginning(self, characters_max: int) -> str:
        """Return the beginning of it."""
        ...


class AskedOfTexts(OwnInput):
    """What the bill needs to know of such a request; implements `wire.shown.Asked`."""

    def __init__(self, request: TextsRequest, target: Target) -> None:
        self._known = None
        self._target = target
        self._request = request
        self._content = request.content()
        most = max(request.max_tokens or 0, target.output_tokens_max or 0) or OUTPUT_TOKENS_MAX
        self.output_tokens_max = most * request.choices
        self.unseen_max = most * (request.choices - getattr(request, "answers", request.choices))  # as `best_of` has it
        self.input_tokens_max = (target.context_window or INPUT_TOKENS_MAX) * self._content.windows

    def content(self) -> Content:
        """Return what there is to read."""
        return self._content

    def text(self, characters_max: int) -> str:
        """Return the beginning of it."""
        return self._request.beginning(characters_max)

    def lifetime(self) -> str:
        """Return nothing: no cache is written."""
        return ""


class WholeDocument(ABC):
    """One document; implements `shape.Decoder`. A dialect's own says in `_take` what its members mean."""

    # What such documents never change stands here.
    done = False
    failure: UpstreamFailed | None = None
    tokens = reasoning_shown = choices_made = 0
    finished = certain = False
    finishing = held_bytes = 0
    unknown: Sequence[str] = ()
    tier: str | None = None
    answered = ""  # the model that the vendor names
    unheeded: tuple[str, ...] = ()  # what was asked for in vain
    content_name = other_name = "data"  # the member without which there is no answer, and what else it may be called

    def __init__(self, request: TextsRequest, target: Target) -> None:
        self.asked = AskedOfTexts(request, target)
        self._target = target
        self._report = UsageReport()
        self._usage = Usage()
        self._parts: list[bytes] = []

    def feed(self, data: bytes) -> Sequence[Part]:
        """Take the next bytes of the vendor's body."""
        self._parts.append(data)
        self.held_bytes += len(data)
        if self.held_bytes > self._target.answer_bytes_max:
            self.failure = unreadable(self._target, "a document over the size limit")
        return []

    def end(self) -> Sequence[Part]:
        """Take the end of the vendor's body."""
        body, self._parts = b"".join(self._parts), []
        try:
            try:
                self._read(body)
            except NOT_READABLE:  # strictly; once more what every client reads
                self._read(again[1] if (again := document_in(body)) else b"")
        except VendorError as error:
            self.failure = blame_for(error, self._target)
        except NOT_READABLE:
            self.failure = unreadable(self._target, f"a document without {self.content_name} that can be read")
        else:
            self._usage = self._report.usage(NOTHING_WRITTEN, self.asked)
            self.done = True
        return []

    def _read(self, body: bytes) -> None:
        """Read a body of strict JSON. Raises VendorError where it is no answer, NOT_READABLE where it is no such body."""
        members = MEMBERS.decode(body)
        if self.content_name not in members and self.other_name in members:
            members[self.content_name] = members.pop(self.other_name)
        refuse_failure(members, self.content_name)
        self._take(members)

    def usage(self) -> Usage:
        """Return the tokens: reported, else what is known of them by now."""
        if self.done and self._usage.input_source != REPORTED:
            self._usage = self._report.usage(NOTHING_WRITTEN, self.asked)
        return self._usage

    def told(self) -> Told:
        """Return what the answer says of itself."""
        return Told(None, self.answered, vendor_cost(self._report.fields))

    def usage_fault(self, usage: Usage) -> str:
        """Say what is wrong with the vendor's report."""
        return self._report.fault(usage)

    @abstractmethod
    def closing(self, cost_usd: str | None) -> Sequence[Part]:
        """Return the document, or what it says."""

    @abstractmethod
    def _take(self, members: dict[str, Raw]) -> None:
        """Take the members of the document. Raises VendorError where they are no answer, what a decoder raises where they are no JSON."""


def refuse_failure(members: dict[str, Raw], content: str) -> None:
    """Raise VendorError if a document is, or carries, a failure, or lacks its content."""
    known: Tree = {name: msgspec.json.decode(value) for name, value in members.items() if name != content}
    report = error_in(known | {"choices": ()} if content in members else known)
    if report is not None:
        raise VendorError(report)
    if content not in members:
        raise Unintelligible(f"an answer without {content}")


def in_order(places: list[int], count: int) -> list[int]:
    """Return at which positions the entries for 0, 1, 2 ... stand. Raises Unintelligible unless there is one for each of so many texts."""
    if sorted(places) != list(range(count)):
        raise Unintelligible(f"{len(places)} entries for {count} texts")
    return sorted(range(count), key=places.__getitem__)
