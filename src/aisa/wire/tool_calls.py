"""Fragments of tool calls and of the legacy function call, put in the one order that every client can add up. Knows one choice.

What clients need: a dense index from 0 by first appearance; id, type and name exactly once, in the first fragment, with empty arguments;
later fragments with index and arguments only; at least one fragment of arguments.
"""

from __future__ import annotations

from aisa.wire.completeness import Completeness
from aisa.wire.halves import Seam, whole
from aisa.wire.lenient_json import encode
from aisa.wire.said import calls_of, function_of
from aisa.wire.tool_terms import ToolTerms
from aisa.wire.trees import Tree, is_tree, text_or_none
from aisa.wire.usage_report import count_of
from aisa.wire.vendor_error import Unintelligible

CALLS_MAX = 1024  # more calls in one answer are an attack or a bug
IDS_KEPT_MAX = 4096  # of one choice: a vendor that makes one up for every fragment would fill the memory


class Call:
    """One tool call as emitted so far. `index` is -1 until it is opened."""

    __slots__ = ("argued", "custom", "extras", "given", "held", "id", "index", "name", "progress", "seam")

    def __init__(self) -> None:
        self.index = -1
        self.id = ""
        self.given = ""  # the id in its newest fragment
        self.name = ""
        self.custom = False
        self.argued = False
        self.held = ""  # arguments that came before the name
        self.extras: Tree = {}  # what waits for the opening
        self.seam = Seam()
        self.progress = Completeness()

    @property
    def opened(self) -> bool:
        """True once the client has seen it."""
        return self.index >= 0

    @property
    def waiting(self) -> bool:
        """True while its name, which is known, may still grow."""
        return self.name != "" and not self.opened

    def fragment(self, text: str) -> Tree:
        """Return a later fragment."""
        self.argued = self.argued or text != ""
        return {"index": self.index, "custom": {"input": text}} if self.custom else {"index": self.index, "function": {"arguments": text}}


class ToolCallStream:
    """The tool calls of one choice. `seed` makes ids for vendors that give none."""

    def __init__(self, seed: str, terms: ToolTerms) -> None:
        self._seed = seed
        self._terms = terms
        self._calls: list[Call] = []
        self._by_key: dict[object, Call] = {}  # by index; by index and id; by id alone where there is no index
        self._ids: set[str] = set()
        self._opened = 0

    @property
    def begun(self) -> bool:
        """True once there is a call."""
        return bool(self._calls)

    @property
    def count(self) -> int:
        """How many calls the client has seen."""
        return self._opened

    def accept(self, fragments: object) -> list[Tree]:
        """Return the deltas to emit for a `tool_calls` value of the vendor. Raises Unintelligible for what holds no calls."""
        parts: list[Tree] = []
        together: list[Call] = []
        for fragment in calls_of(fragments):
            if len(self._calls) <= CALLS_MAX:
                parts += self._accept(fragment, together)
        return in_deltas(parts)

    def close(self, *, cut: bool = False) -> list[Tree]:
        """Return what is owed before the finish chunk: openings that waited, `{}` where no arguments came, unless the last call was `cut`.

        Raises Unintelligible for a call without a name.
        """
        parts = [part for call in self._calls if call.waiting for part in self._show(call)]
        self._calls = [call for call in self._calls if call.opened or call.held]
        for call in self._calls:
            if not call.opened:
                raise Unintelligible("a tool call without a name")
            if (rest := call.seam.end()) or not (call.argued or (cut and call is self._calls[-1])):
                parts.append(call.fragment(rest or ("" if call.custom else "{}")))
        return in_deltas(parts)

    def _accept(self, fragment: Tree, together: list[Call]) -> list[Tree]:
        custom, function = fragment.get("custom"), fragment.get("function")
        body = custom if is_tree(custom) else function if is_tree(function) else fragment  # some leave the wrapping out
        text = arguments_text(body.get("input" if is_tree(custom) else "arguments"))
        given, name = whole(text_or_none(fragment.get("id")) or ""), whole(text_or_none(body.get("name")) or "")
        key = count_of(fragment.get("index"))
        call = self._candidate(key, given, name)
        if call is None or (name and self._is_another(call, given, name, numbered=key is not None, text=text, together=together)):
            call = self._begin(key)
        together.append(call)
        self._note(call, key, given)
        call.custom = call.custom or is_tree(custom)
        if name and not call.opened:
            call.name = continued(call.name, name, self._terms)
        text = call.seam.take(text)
        call.progress.feed(text)
        extras = {member: value for member, value in fragment.items() if member not in HANDLED and value is not None}
        return self._fragments(call, text, extras)

    def _fragments(self, call: Call, text: str, extras: Tree) -> list[Tree]:
        """Return the fragments to emit for one of the vendor's: none while a name may still grow."""
        parts: list[Tree] = []
        if not call.opened:
            call.held += text
            call.extras |= extras
            first = not any(other.waiting for other in self._calls if other is not call)
            if call.name and (call.held or (first and self._terms.is_whole(call.name))):
                parts = self._open(call)
        elif text:
            parts.append(call.fragment(text))
        return parts

    def _open(self, call: Call) -> list[Tree]:
        """Show a call to the client, after those that began before it."""
        earlier = [part for other in self._calls[: self._calls.index(call)] if other.waiting for part in self._show(other)]
        return earlier + self._show(call)

    def _show(self, call: Call) -> list[Tree]:
        call.index, self._opened = self._opened, self._opened + 1
        if not call.id or call.id in self._ids:
            call.id = f"call_{self._seed}_{call.index}"
        self._ids.add(call.id)
        kind, empty = ("custom", "input") if call.custom else ("function", "arguments")
        opening: Tree = {"index": call.index, "id": call.id, "type": kind, kind: {"name": call.name, empty: ""}, **call.extras}
        held, call.held, call.extras = call.held, "", {}
        return [opening, call.fragment(held)] if held else [opening]

    def _begin(self, key: int | None) -> Call:
        call = Call()
        self._calls.append(call)
        if key is not None:
            self._by_key[key] = call
        return call

    def _note(self, call: Call, key: int | None, given: str) -> None:
        """Remember the id in a fragment: the first is the call's, and any of them may lead back to it."""
        if given:
            call.id = call.id or given
            call.given = given
            if len(self._by_key) < IDS_KEPT_MAX:
                self._by_key[key, given] = call

    def _candidate(self, key: int | None, given: str, name: str) -> Call | None:
        """Return the call that a fragment continues by its index and id, if those can be believed."""
        newest = self._by_key.get(key) if key is not None else (self._calls[-1] if self._calls else None)
        if newest is None or not given or given == newest.given or (name and key is not None):
            return newest
        return self._by_key.get((key, given), newest)

    def _is_another(self, call: Call, given: str, name: str, *, numbered: bool, text: str, together: list[Call]) -> bool:
        """Tell whether a named fragment begins a call of its own, whatever its index and its id say. The order of the rules matters."""
        differs = given != "" and call.id != "" and given not in (call.given, call.id)
        if not call.name:
            return differs and not numbered
        if call.progress.complete:
            return text != "" or name != call.name or given == "" or differs
        if name == call.name:
            return differs and not call.argued and not call.held and (not numbered or call in together)
        if call.argued or call.held:
            return name in self._terms.names or not (call.name.startswith(name) or call.name.endswith(name))
        if self._terms.is_beginning(call.name + name):
            return False
        if name.startswith(call.name) and not differs:
            return call.opened
        return call.opened or name in self._terms.names or differs


HANDLED = frozenset({"index", "id", "type", "function", "custom", "name", "arguments"})  # the last two as they stand without a wrapping
GIVES_NOTHING = ("", "null")  # arguments, without the blanks around them, of a call that takes none: some models write the latter


def continued(known: str, name: str, terms: ToolTerms) -> str:
    """Return a call's name after another part of it: some vendors send the rest, some all of it again."""
    grown = known + name
    if name.startswith(known) and not (known and terms.is_beginning(grown)):
        return name
    return known if known.endswith(name) and not terms.is_beginning(grown) else grown


def in_deltas(parts: list[Tree]) -> list[Tree]:
    """Put each fragment into a delta of its own."""
    return [{"tool_calls": [part]} for part in parts]


def arguments_text(value: object) -> str:
    """Return arguments as the string that the protocol asks for; some vendors send an object."""
    if isinstance(value, str):
        return value
    return "" if value is None else encode(value).decode()


class FunctionCallStream:
    """The legacy `function_call` of one choice: name once, then arguments."""

    def __init__(self, terms: ToolTerms) -> None:
        self._terms = terms
        self._name: str | None = None  # None: no call; kept until it can no longer grow
        self._opened = False
        self.seam = Seam()

    @property
    def begun(self) -> bool:
        """True once there is a call."""
        return self._name is not None

    def accept(self, fragment: object) -> list[Tree]:
        """Return the deltas to emit for a `function_call` value of the vendor."""
        called = function_of(fragment)
        name, given = whole(text_or_none(called.get("name")) or ""), arguments_text(called.get("arguments"))
        if not (name or given or self.begun):
            return []
        self._name = continued(self._name or "", name, self._terms)
        text = self.seam.take(given)
        deltas = self._open() if text or self._terms.is_whole(self._name) else []
        if text:
            deltas.append({"function_call": {"arguments": text}})
        return deltas

    def close(self) -> list[Tree]:
        """Return what is owed before the finish chunk."""
        deltas = self._open() if self.begun else []
        if rest := self.seam.end():
            deltas.append({"function_call": {"arguments": rest}})
        return deltas

    def _open(self) -> list[Tree]:
        if self._opened:
            return []
        self._opened = True
        return [{"function_call": {"name": self._name or "", "arguments": ""}}]
