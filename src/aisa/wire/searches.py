"""Searches of the web that an answer shows where its vendor does not count them in usage. Reads no report of usage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

import msgspec
from msgspec import Raw

from aisa.wire.chat import ChatRequest, Known
from aisa.wire.plain import BareMessage, BareToolCall, PlainMessage, PlainToolCall
from aisa.wire.steps import EXECUTED
from aisa.wire.trees import Tree, as_tree, text_or_none, trees_in
from aisa.wire.usage_report import SEARCHES_MAX

CITATION = "url_citation"  # a type of annotation: a page
FUNCTION = "$web_search"  # Moonshot's, each call of which it has run and charges for
OWN = "function"  # the type of a function that the caller runs, whatever its name; Moonshot's is a `builtin_function`
CALLS = "tool_calls"
OPTIONS = "search_options"  # DashScope's, of a request
PLUGINS, RESULTS = "plugins", "max_results"  # OpenRouter's, of a request; its `web` searches once, and is charged for by the page
RESULTS_USUAL, RESULTS_MAX = 5, 1_000  # pages of a search, unless more are asked for, which are taken for as many searches as that is
FORCING = frozenset({OPTIONS, PLUGINS})  # members that may leave no choice
PAGES = "web_search"  # Zhipu's, beside the choices: what it has found
#: Members of a message or a delta that may show a search.
SIGNS = frozenset({CALLS, EXECUTED, "annotations"})

#: What shows a search, or code that ran: a member, the choice that has it, and the number of a call or tool there: none counts twice.
Search: TypeAlias = tuple[str, int, int]
#: Groq's tools that run something for a time that is charged for, as its `executed_tools` name them, and as what such a one stands here.
RUNS = frozenset({"python", "code_interpreter", "code_execution", "browser_automation"})
RAN = "ran"
NOTHING_SHOWN = (0, 0)  # no searches, and no runs
#: Pages that were cited or listed: of one search at least, however many there are.
FOUND: Search = ("pages", 0, 0)


def shown_by(signs: frozenset[Search], chat: ChatRequest) -> tuple[int, int]:
    """Return how many searches, and how many runs of code, an answer to such a request shows by all these."""
    ran = frozenset([sign for sign in signs if sign[0] == RAN])
    return number_of(signs - ran, chat), min(len(ran), SEARCHES_MAX)


def number_of(searches: frozenset[Search], chat: ChatRequest) -> int:
    """Return how many searches there were by all that shows one, in an answer to such a request: SEARCHES_MAX at most."""
    if types_offered(chat.known) == {OWN}:
        searches = frozenset([search for search in searches if search[0] != CALLS])
    return max(min(len(searches - {FOUND}) or len(searches), SEARCHES_MAX), made_to_search(chat.fields))


def made_to_search(fields: Mapping[str, Raw]) -> int:
    """Return how many searches a request leaves its vendor no choice of, as DashScope's and OpenRouter's may, whatever an answer shows."""
    if PLUGINS in fields:
        found = [plugin.get(RESULTS) for plugin in plugins_on(msgspec.json.decode(fields[PLUGINS])) if plugin.get("id") == "web"]
        asked = [min(each, RESULTS_MAX) if isinstance(each, int | float) and each > 0 else 1 for each in found]  # 50.0 is 50 to a vendor
        return int(max([-(-each // RESULTS_USUAL) for each in asked], default=0))
    if OPTIONS not in fields or bytes(fields.get("enable_search", b"")) != b"true":
        return 0
    return int(as_tree(msgspec.json.decode(fields[OPTIONS])).get("forced_search") is True)


def plugins_on(plugins: object) -> list[Tree]:
    """Return those of OpenRouter's plugins that a request does not turn off, as it may those that are on without being asked for."""
    return [plugin for plugin in trees_in(plugins) if plugin.get("enabled") is not False]


def types_offered(known: Known) -> set[str]:
    """Return the types of tools under which a request offers a function of the name that Moonshot's has."""
    older = {OWN for function in known.functions or () if function.name == FUNCTION}
    return older.union(tool.type for tool in known.tools or () if tool.function is not None and tool.function.name == FUNCTION)


def searches_beside(answer: Tree) -> frozenset[Search]:
    """Return what an answer, or a chunk of one, shows beside its choices."""
    return frozenset({FOUND}) if trees_in(answer.get(PAGES)) else frozenset()


def searches_in(choice: int, parts: Iterable[Tree]) -> Iterator[Search]:
    """Return what a choice shows in its message, or in deltas of it, where calls and tools have numbers."""
    for part in parts:
        for position, call in enumerate(trees_in(part.get(CALLS))):
            if as_tree(call.get("function")).get("name") == FUNCTION:
                yield CALLS, choice, numbered(call, position)
        for position, tool in enumerate(trees_in(part.get(EXECUTED))):
            kind = text_or_none(tool.get("type")) or ""
            if "search" in kind or kind in RUNS:
                yield RAN if kind in RUNS else EXECUTED, choice, numbered(tool, position)
        if any(note.get("type") == CITATION for note in trees_in(part.get("annotations"))):
            yield FOUND


def numbered(entry: Tree, position: int) -> int:
    """Return the number that a call or a tool has, else where it stands in its list."""
    number = entry.get("index")
    return number if type(number) is int else position


def searches_in_plain(choice: int, message: PlainMessage | BareMessage) -> Iterator[Search]:
    """Return what a message shows that was read into types. A quotation mark inside a text would be escaped."""
    calls: Sequence[PlainToolCall | BareToolCall] = message.tool_calls or ()
    for position, call in enumerate(calls):
        if call.function.name == FUNCTION:
            yield CALLS, choice, position
    if any(b'"url_citation"' in bytes(note) for note in message.annotations or ()):
        yield FOUND
