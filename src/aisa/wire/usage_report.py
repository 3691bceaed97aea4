"""A vendor's report of usage, in whichever names and places it gives its counts, read into our own kinds of tokens. Knows no dialect.

Counts nothing itself: where a vendor reported nothing that can be read, what others counted stands in. The table of names is in
`docs/billing.md`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from msgspec import Raw

from aisa.usage import IMPLAUSIBLE, REPORTED, Breakdown, Usage, Way
from aisa.wire.lenient_json import encode
from aisa.wire.report_sums import fitted, heard_beside, with_part
from aisa.wire.shown import BESIDE_TOKENS_MAX, COUNT_MAX, Asked, Shown
from aisa.wire.steps import Steps, beside
from aisa.wire.trees import Tree, as_tree, is_tree
from aisa.wire.vendor_cost import has_cost_of

SEARCHES_MAX = 1_000  # and as many sources, of one call: at the highest fee (`PRICE_MAX` has the sum) their cost too fits 64 bits
DIGITS = re.compile("[0-9]{1,10}").fullmatch  # a count that is written as text
FAULT_CHARACTERS_MAX = 200  # of a report that the operator is shown

#: What vendors call the whole of a side, first come, first served.
INPUT = ("prompt_tokens", "input_tokens", "promptTokenCount", "promptTokens", "inputTokens")
OUTPUT = ("completion_tokens", "output_tokens", "completionTokens", "outputTokens")
TOTAL = ("total_tokens", "totalTokenCount", "totalTokens")
#: Where the parts of a side stand: here, or at the top.
INPUT_DETAILS = ("prompt_tokens_details", "input_tokens_details")
OUTPUT_DETAILS = ("completion_tokens_details", "output_tokens_details")
#: What they call a part of a side. Of several that are given, which repeat each other, the largest is meant.
CACHED = (
    *("cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens", "cache_read_tokens"),
    *("cachedContentTokenCount", "cachedInputTokens", "cacheReadInputTokens"),
)
WRITTEN = ("cache_write_tokens", "cache_creation_input_tokens", "cache_creation_tokens", "cacheWriteInputTokens")
REASONING = ("reasoning_tokens", "thinking_tokens", "thoughtsTokenCount", "reasoningTokens")
REJECTED = "rejected_prediction_tokens"  # in the output, and charged as it: what the request foretold and the model did not write
PICTURES = ("image_tokens", "video_tokens")  # what is seen, at rest or moving, has one price
#: Gemini's own names, where thinking and tools' results stand beside the whole.
SHOWN, FROM_TOOLS = "candidatesTokenCount", "toolUsePromptTokenCount"

#: How long what was written is cached -> the member of Breakdown; five minutes, which is usual, have none.
LIFETIMES = {"30m": "cache_write_30m_tokens", "1h": "cache_write_1h_tokens", "12h": "cache_write_12h_tokens"}
#: Objects of `ephemeral_1h_input_tokens`, `ttl_12h_tokens` and the like.
WRITES = ("cache_creation", "cache_creation_token_details", "cache_write_tokens_details")
SEARCHES = ("web_search_requests", "num_search_queries")
SEARCHING_TOOLS = ("web_search_calls", "x_search_calls")  # xAI's, each with a count of its own
#: Where else searches are counted: DashScope's two protocols, OpenAI's tools, Ark's.
SEARCHED = (
    *(("plugins", "search", "count"), ("x_tools", "web_search", "count")),
    *(("tool_usage", "web_search", "num_requests"), ("tool_usage", "web_search")),
)
USED = ("server_tool_use", "server_tool_use_details", "server_side_tool_usage_details")
SOURCES = ("num_sources_used",)
#: Searches in files and runs of code, each by the tool that made them: xAI's, and ours for what a response shows.
IN_FILES = ("file_search_calls", "collections_search_calls", "attachment_search_calls", "document_search_calls")
CODE_RUNS = ("code_interpreter_calls", "code_execution_calls")
#: Perplexity's, for what a search found and the model read. It has the price of the prompt, where there is one.
CITED = "citation_tokens"
SECONDS = "prompt_audio_seconds"  # Mistral's, of sound whose tokens may stand in the total alone
BILLED = "billed_units"  # Cohere's: what is charged for, where that is less than what was processed

#: Written by us, or for us alone: `cost` is what we charge, and what a vendor charges us is nobody else's business.
OURS = frozenset({"cost", "cost_details", "cost_in_usd_ticks", "cost_in_nano_usd", "is_byok", "estimated_cost"})
NAMED = frozenset({*INPUT, *OUTPUT, *TOTAL, *CACHED, *WRITTEN, *REASONING, SHOWN, FROM_TOOLS})


class UsageReport:
    """What a vendor has reported of one answer so far."""

    __slots__ = ("_fields", "_running", "steps")

    def __init__(self) -> None:
        self.steps: Steps | None = None  # of one that took several
        self._fields: Tree | None = None
        self._running: tuple[Tree, Callable[[Tree], Tree]] | None = None  # the last of running reports, and what reads it

    @property
    def fields(self) -> Tree | None:
        """All reports put together, None while there is none."""
        if self._running is not None:
            report, read_it = self._running
            self._running = None
            self.take(read_it(report))
        return self._fields

    def replace(self, report: Tree | None) -> None:
        """Take a report in place of all before it; None for none."""
        self._fields, self._running = report, None

    def take_running(self, report: Tree, read_it: Callable[[Tree], Tree]) -> None:
        """Take one of the reports that a vendor gives with every event. Nobody may want to know before the last: it is read when asked for.

        One that has the same members and no smaller count replaces the one before, which would not have changed what is known then.
        """
        before = self._running
        if before is not None and not replaces(report, before[0]):
            _ = self.fields
        self._running = report, read_it

    def take(self, report: object) -> None:
        """Take a further report. Counts grow while an answer is made, so one that is smaller or cannot be read does not replace another."""
        if report is not None:
            later, known = report if is_tree(report) else {}, self.fields
            self._fields = later if known is None else merged(known, later)

    def usage(self, shown: Shown, asked: Asked) -> Usage:
        """Return the tokens: each side as reported, else by our own count."""
        if self.fields is not None:
            return read(self.fields, shown, asked, steps=self.steps)
        taken, source = asked.input()
        return Usage(taken, input_source=source).with_output(shown.tokens, shown.reasoning, shown.way)

    def document(self, usage: Usage) -> Tree:
        """Write the `usage` object that a client gets for these tokens: OpenAI's names and sums, and whatever else the vendor said."""
        fields = self.fields or {}
        inner, outer = details(fields, INPUT_DETAILS), details(fields, OUTPUT_DETAILS)
        parts = ((inner, "cached_tokens", usage.cached_tokens), (inner, "cache_write_tokens", usage.cache_write_tokens))
        for tree, name, count in (*parts, (outer, "reasoning_tokens", usage.reasoning_tokens)):
            if count or name in tree:
                tree[name] = count
        inner = {name: min(count, usage.input_tokens) for name, count in inner.items()}
        outer = {name: min(count, usage.output_tokens) for name, count in outer.items()}
        written: Tree = {
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "total_tokens": usage.input_tokens + usage.output_tokens,
        }
        if inner:
            written[INPUT_DETAILS[0]] = inner
        if outer:
            written[OUTPUT_DETAILS[0]] = outer
        hidden = written.keys() | OURS | {*INPUT_DETAILS, *OUTPUT_DETAILS}
        for name, value in fields.items():
            shown = count_of(value) if name in NAMED else value
            if name not in hidden and (shown is not None or name not in NAMED):
                written[name] = shown
        return written

    def fault(self, usage: Usage) -> str:
        """Say what is wrong with a report that left a side to be counted; nothing if there was no report, or a good one."""
        if self.fields is None or usage.input_source == usage.source == REPORTED:
            return ""
        sides = {"input": usage.input_source, "output": usage.source}
        wrong = [side for side, source in sides.items() if source != REPORTED]
        what = "an impossible count" if IMPLAUSIBLE in sides.values() else "no count"
        said = encode(self.fields).decode()
        return f"usage with {what} of the {' and the '.join(wrong)}: {said[:FAULT_CHARACTERS_MAX]}"


def replaces(later: Tree, earlier: Tree) -> bool:
    """Tell whether a report says all that an earlier one does, or more: the same members, counts that are no smaller, the rest the same."""
    if later.keys() != earlier.keys():
        return False
    for name, value in later.items():
        before = earlier[name]
        if value != before and not (type(value) is int and type(before) is int and before <= value <= COUNT_MAX):
            return False
    return True


def count_of(value: object) -> int | None:
    """Return a count: a whole number from 0 to COUNT_MAX, which may be written as 100.0 or as the text "100". None for anything else."""
    if isinstance(value, float):
        value = int(value) if value.is_integer() else None
    elif isinstance(value, str):
        value = int(value) if DIGITS(value) else None
    return value if type(value) is int and 0 <= value <= COUNT_MAX else None


def merged(earlier: Tree, later: Tree) -> Tree:
    """Return a report with a later one over it, member by member: what is absent, null, smaller or no count does not replace a count.

    Of costs the last one holds.
    """
    both = dict(earlier)
    for name, value in later.items():
        known = both.get(name)
        if is_tree(known) and is_tree(value):
            both[name] = merged(known, value)
        elif value is not None and (name in OURS or is_news(value, known)):
            both[name] = value
    return both


def is_news(value: object, known: object) -> bool:
    """Tell whether a value replaces one that is known."""
    before = count_of(known)
    if before is None:
        return True
    now = count_of(value)
    return now is not None and now >= before


def first(names: Iterable[str], fields: Tree) -> int | None:
    """Return the first count above zero; zero if there is only that, None if there is none."""
    counts = [count for name in names if name in fields and (count := count_of(fields[name])) is not None]
    return next(filter(None, counts), 0 if counts else None)


def largest(names: Iterable[str], *places: Mapping[str, object]) -> int:
    """Return the largest count that goes by one of these names; 0 if there is none."""
    return max([count_of(fields[name]) or 0 for name in names for fields in places if name in fields], default=0)


def details(fields: Tree, names: Iterable[str]) -> dict[str, int]:
    """Return the counts in a report's details of one side, as integers; what is no count there is left out."""
    found: dict[str, int] = {}
    for name in names:
        inner = fields.get(name)
        for key, value in inner.items() if is_tree(inner) else ():
            count = count_of(value)
            if count is not None:
                found[key] = max(count, found.get(key, 0))
    return found


def value_at(fields: Tree, way: Iterable[str]) -> object:
    """Return what a report has at the end of these names, each within the one before; None if it has not."""
    found: object = fields
    for name in way:
        found = as_tree(found).get(name)
    return found


def apart(fields: Tree, name: str) -> int:
    """Return the tokens of a kind that are in no sum of a report: where its `cost` has a price for them, as Perplexity's has.

    A number beyond what a call can have in all is none.
    """
    count = count_of(fields.get(name)) or 0
    return count if count <= BESIDE_TOKENS_MAX and has_cost_of(fields, name) else 0


def pictures(counts: Mapping[str, int]) -> int:
    """Return the tokens of pictures and films among the counts of a side."""
    return sum([counts.get(name, 0) for name in PICTURES])


def output_of(fields: Tree) -> int | None:
    """Return what a report says was made, thinking included where it is known to be inside; None if it does not say."""
    made = first(OUTPUT, fields)
    if not made and (SHOWN in fields or "thoughtsTokenCount" in fields):
        made = (count_of(fields.get(SHOWN)) or 0) + (count_of(fields.get("thoughtsTokenCount")) or 0)
    return made


def visible(fields: object, *, thinking_shown: bool) -> int:
    """Return how many tokens a running report says have been shown; 0 if it does not say, or there is none."""
    if not is_tree(fields):
        return 0
    hidden = 0 if thinking_shown else largest(REASONING, fields, details(fields, OUTPUT_DETAILS))
    return max(0, (output_of(fields) or 0) - hidden)


def read(fields: Tree, shown: Shown, asked: Asked, *, steps: Steps | None = None) -> Usage:
    """Return the tokens that a report tells of; a side of which it tells nothing, or what cannot be, is as counted."""
    inner, outer = details(fields, INPUT_DETAILS), details(fields, OUTPUT_DETAILS)
    cached = largest(CACHED, fields, inner)
    written = max(largest(WRITTEN, fields, inner), sum(lifetimes(fields).values()))
    thought = largest(REASONING, fields, outer)
    taken, made, total = first(INPUT, fields), output_of(fields), first(TOTAL, fields) or 0
    if taken is not None:
        taken += count_of(fields.get(FROM_TOOLS)) or 0
    if not taken and asked.input()[0]:
        taken = None  # zero of what is there is no report
    if not made and shown.tokens:
        made = None
    output_source = input_source = REPORTED
    cited = pondered = beside_it = 0
    sound = largest(("audio_tokens",), inner)
    if taken is not None and made is not None:
        seconds = bool(count_of(fields.get(SECONDS)))
        beside_it = heard_beside((taken, made, total), heard=sound, thought=thought, seconds=seconds)
        taken += beside_it
        apart_of_it = apart(fields, CITED), apart(fields, "reasoning_tokens")
        cited, pondered, input_source = beside(steps, (taken, made, total), thought, apart=apart_of_it)
        total = 0 if total == taken + made and cited + pondered else total
        taken, made, thought = taken + cited, made + pondered, max(thought, pondered)
        most = asked.input_tokens_max + cited, asked.output_tokens_max + pondered
        taken, made, thought = fitted((taken, made, total), beside=(cached, written), thought=thought, most=most)
    elif taken is not None:
        taken = with_part(taken, cached + written, asked.input_tokens_max, total=total)
        made = total - taken if total > taken else None
    elif made is not None:
        made = with_part(made, thought, asked.output_tokens_max, total=total)
        taken = total - made if total > made else None
    elif total > shown.tokens:
        taken, input_source = total - shown.tokens, shown.way.source  # as good as that count
    thought = shown.hidden(made or 0, min(thought, made or 0))
    spoken, drawn = min(largest(("audio_tokens",), outer), made or 0), min(pictures(outer), made or 0)
    unshown = max(0, thought - pondered) + largest((REJECTED,), outer)
    if not shown.can_be(made or 0, (unshown, spoken, drawn + pondered), asked):
        made, output_source = None, IMPLAUSIBLE
    if taken is not None and taken - cited > asked.input_tokens_max:
        taken, input_source = None, IMPLAUSIBLE
    way = Way()
    if made is None:
        made, thought, spoken, way = shown.tokens, shown.reasoning, 0, shown.way
        output_source = way.source if output_source == REPORTED else output_source
    if taken is None:
        taken, source = asked.input()
        input_source = source if input_source == REPORTED else input_source
    cached = min(cached, taken)
    written = min(written, taken - cached)
    heard = min(sound or beside_it, taken)
    return Usage(
        input_tokens=taken,
        output_tokens=made,
        cached_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=min(thought, made),
        source=output_source,
        input_source=input_source,
        input_audio_tokens=heard,
        output_audio_tokens=spoken,
        counted_by=way.name,
        counted_answers=way.answers,
        breakdown=breakdown(fields, (cached, written, heard), asked.lifetime, whole=(taken, made)),
    )


def breakdown(fields: Tree, parts: tuple[int, int, int], lifetime: Callable[[], str], *, whole: tuple[int, int]) -> Breakdown | None:
    """Return the rarer kinds that a report tells of, None if there are none. `parts` are cached, written and audio tokens of the input."""
    cached, written, heard = parts
    taken, made = whole
    found: dict[str, int] = {}
    left = written
    classes = lifetimes(fields) or ({lifetime(): written} if written else {})
    for name, member in LIFETIMES.items():  # no part is larger than what is left for it
        found[member] = count = min(classes.get(name, 0), left)
        left -= count
    # Where a vendor does not say how much of the audio was cached, it is at least what cannot have been text.
    inside = trees_named(fields, ("cached_tokens_details",))
    told = largest(("audio_tokens",), *inside) if inside else cached + heard - taken
    found["cached_audio_tokens"] = max(0, min(told, cached, heard))
    found["input_image_tokens"] = min(pictures(details(fields, INPUT_DETAILS)), taken)
    found["output_image_tokens"] = min(pictures(details(fields, OUTPUT_DETAILS)), made)
    used = trees_named(fields, USED)
    searched = max(
        largest(SEARCHES, fields, *used),
        sum([largest((name,), *used) for name in SEARCHING_TOOLS]),
        *[count_of(value_at(fields, way)) or 0 for way in SEARCHED],
    )
    # A report beyond what is possible is none: what it tells of happened at least once.
    found["searches"], found["sources"] = possible(searched), possible(largest(SOURCES, fields))
    found["file_searches"] = possible(sum([largest((name,), fields, *used) for name in IN_FILES]))
    found["code_runs"] = possible(largest(CODE_RUNS, fields, *used))
    billed = fields.get(BILLED)
    if is_tree(billed):
        found["uncharged_input_tokens"] = uncharged(billed.get("input_tokens"), taken)
        found["uncharged_output_tokens"] = uncharged(billed.get("output_tokens"), made)
    return Breakdown(**found) if any(found.values()) else None


def uncharged(charged: object, whole: int) -> int:
    """Return how many of the tokens of a side are not charged for; none if that is not said."""
    count = count_of(charged)
    return 0 if count is None else max(0, whole - count)


def possible(number: int) -> int:
    """Return a number of searches, or 1 for one that cannot be."""
    return number if number <= SEARCHES_MAX else 1


def trees_named(fields: Tree, names: Iterable[str]) -> list[Tree]:
    """Return the objects of these names, at the top or in the details of the input."""
    places = [fields, *[inner for name in INPUT_DETAILS if is_tree(inner := fields.get(name))]]
    return [tree for place in places for name in names if is_tree(tree := place.get(name))]


def lifetimes(fields: Tree) -> dict[str, int]:
    """Return how many written tokens are cached for how long, where a report says so."""
    found: dict[str, int] = {}
    for tree in trees_named(fields, WRITES):
        for name, value in tree.items():
            lifetime = name.removeprefix("ephemeral_").removeprefix("ttl_").removesuffix("_tokens").removesuffix("_input")
            found[lifetime] = max(found.get(lifetime, 0), count_of(value) or 0)
    return found


def with_cost(report: Tree, cost_usd: str | None) -> Tree:
    """Add what the call costs the caller, in US dollars as an exact JSON number."""
    return report if cost_usd is None else {**report, "cost": Raw(cost_usd.encode())}
