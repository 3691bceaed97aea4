"""Anthropic's report of usage, read into our kinds of tokens: its input excludes what was cached. Prices nothing."""

from __future__ import annotations

from collections.abc import Iterable
from operator import lt

from aisa.answer import ADVISED, BESIDE, WITHIN
from aisa.usage import REPORTED, Breakdown, Usage
from aisa.wire.shown import COUNT_MAX, Asked, Shown
from aisa.wire.trees import Tree, as_tree, is_tree, text_or_none, trees_in
from aisa.wire.usage_report import LIFETIMES, UsageReport, count_of, lifetimes, merged
from aisa.wire.vendor_tier import tier_in

INPUT, OUTPUT = "input_tokens", "output_tokens"
COMPACTION, ADVICE = "compaction", "advisor_message"  # parts of an answer's making that the sums leave out
TURNS = ("message", "fallback_message")  # what the sums are of: each a model's turn, the last of them that of one that took over
ADVICE_MAX = 32  # entries of one answer that are believed
ADVICE_TOKENS_MAX = 2_000_000  # of each, and a side: no window is larger
READ, WRITTEN = "cache_read_input_tokens", "cache_creation_input_tokens"
INPUT_SIDE, LASTING = (INPUT, READ, WRITTEN), "cache_creation"  # which has what was written by how long it lasts


class MessageUsage:
    """What a vendor has reported of one answer so far: at its beginning, and once more or several times at its end."""

    def __init__(self) -> None:
        self.fields: Tree = {}
        self._report = UsageReport()

    def take(self, value: object) -> None:
        """Take a further report: what it names replaces what was known, but for what is smaller or no number in place of a count."""
        self.fields = restated(self.fields, as_tree(value))

    @property
    def tier(self) -> str | None:
        """The service tier, or the speed, that it names; None if it has named none."""
        return tier_in(self.fields)

    @property
    def served_by(self) -> str:
        """The model that took over from the one that was asked, in the vendor's own fall-back; nothing if none did."""
        turns = entries_of(self.fields, *TURNS)
        names = [text_or_none(entry.get("model")) or "" for entry in turns]
        handed_on = len(set(names) - {""}) > 1 or any(entry.get("type") == TURNS[-1] for entry in turns)
        return names[-1] if handed_on else ""

    @property
    def advice(self) -> tuple[tuple[str, Usage, str], ...]:
        """What other models made for this answer, which has a price of its own, and whether it is in the sums of the report.

        That is advice, which is not, and turns of models that gave up, which are; what such a model was asked and made nothing of is free.
        """
        turns, last = entries_of(self.fields, *TURNS), self.served_by
        given_up = [entry for entry in turns if last and text_or_none(entry.get("model")) not in (None, "", last)]
        within = all(sum_of(turns, name) <= (count_of(self.fields.get(name)) or 0) for name in (READ, WRITTEN, INPUT, OUTPUT))
        found = [(entry, advice_of(entry), ADVISED) for entry in entries_of(self.fields, ADVICE)[:ADVICE_MAX]]
        found = [one for one in found if one[1].input_tokens or one[1].output_tokens]
        told = [(entry, advice_of(entry), WITHIN if within else BESIDE) for entry in given_up[:ADVICE_MAX]]
        found += [one for one in told if within or one[1].output_tokens]
        return tuple([(text_or_none(entry.get("model")) or "", usage, kind) for entry, usage, kind in found])

    def usage(self, shown: Shown, asked: Asked) -> Usage:
        """Return the tokens: each side as reported, else by our own count."""
        self._report.replace(summed(self.fields) if self.fields else None)
        return self._report.usage(shown, asked)

    def fault(self, usage: Usage) -> str:
        """Say what is wrong with a report that left a side to be counted; nothing if there was no report, or a good one."""
        return self._report.fault(usage)


def restated(known: Tree, later: Tree) -> Tree:
    """Return a report with a later one over it, as `merged` has it; of the input as a whole, whose parts stand beside each other.

    That is smaller only if all of it is: what was told as new may turn out to have been in the cache, or be written there. And it may be
    smaller where the later one tells whose turns its sums are of.
    """
    named = counts_of(later, INPUT_SIDE)
    if not named:
        return merged(known, later)
    before, given = as_tree(known.get(LASTING)), as_tree(later.get(LASTING))
    lasting = before | counts_of(given, given)
    if not given and named.get(WRITTEN, COUNT_MAX) < sum(lifetimes(known).values()):
        lasting = {}  # it is of what was told before
    whole = known | named | {LASTING: lasting}
    if any(map(lt, taken_in(whole), taken_in(known))) and not entries_of(later, *TURNS):
        whole, lasting = known, before
    both = merged(known, {name: value for name, value in later.items() if name not in (*INPUT_SIDE, LASTING)})
    both |= {name: value for name, value in whole.items() if name in INPUT_SIDE}
    return both | {LASTING: lasting} if lasting or LASTING in known else both


def counts_of(fields: Tree, names: Iterable[str]) -> dict[str, int]:
    """Return the counts that a report has by these names."""
    return {name: count for name in names if (count := count_of(fields.get(name))) is not None}


def taken_in(fields: Tree) -> tuple[int, int]:
    """Return how large the whole input of a report is: by its sums, and by what was written for how long, which some tell alone."""
    fresh, read, written = (count_of(fields.get(name)) or 0 for name in INPUT_SIDE)
    return fresh + read + written, fresh + read + max(written, sum(lifetimes(fields).values()))


def written(fields: Tree) -> Tree:
    """Return a report with its counts as clients read them: numbers, where the vendor writes text or decimals. The same if they all are.

    What is billed as none, because it is no count, is none here too.
    """
    changed: Tree = {}
    for name, value in fields.items():
        told: object = written(value) if is_tree(value) else count_of(value) if isinstance(value, str | float) else None
        if name in (READ, WRITTEN) and value is not None:
            told = count_of(value) or 0
        if told is not None and told is not value:
            changed[name] = told
    return fields | changed if changed else fields


def summed(fields: Tree) -> Tree:
    """Return a report whose input is the whole of it, as all other vendors have it.

    What was spent on making the conversation shorter stands beside the sums at the top, and costs all the same.
    """
    whole = dict(fields)
    beside = entries_of(fields, COMPACTION)
    for name in (READ, WRITTEN, INPUT, OUTPUT):
        if more := sum_of(beside, name):
            whole[name] = (count_of(fields.get(name)) or 0) + more
    read = count_of(whole.get(READ)) or 0
    written = max(count_of(whole.get(WRITTEN)) or 0, sum(lifetimes(fields).values()))
    thought = count_of(as_tree(fields.get("output_tokens_details")).get("thinking_tokens"))
    if thought is not None:
        whole["reasoning_tokens"] = thought
    taken = count_of(whole.get(INPUT))
    if taken is not None:
        whole[INPUT] = taken + read + written
    return whole


def entries_of(fields: Tree, *kinds: str) -> list[Tree]:
    """Return the entries of these kinds that a report has on the steps of an answer's making."""
    return [entry for entry in trees_in(fields.get("iterations")) if entry.get("type") in kinds]


def sum_of(entries: list[Tree], name: str) -> int:
    """Return how many tokens of a kind entries have together."""
    return sum([count_of(entry.get(name)) or 0 for entry in entries])


def advice_of(entry: Tree) -> Usage:
    """Return the tokens of an entry of another model's; none of what cannot be."""
    read, written, fresh, made = (count_of(entry.get(name)) or 0 for name in (READ, WRITTEN, INPUT, OUTPUT))
    taken = fresh + read + written
    if taken > ADVICE_TOKENS_MAX or made > ADVICE_TOKENS_MAX:
        return Usage()
    kept = {LIFETIMES[lifetime]: count for lifetime, count in lifetimes(entry).items() if count and lifetime in LIFETIMES}
    return Usage(taken, made, read, written, source=REPORTED, input_source=REPORTED, breakdown=Breakdown(**kept) if kept else None)


def in_place_of(fields: Tree, usage: Usage) -> Tree:
    """Return what stands in place of an input that a report does not tell: what was counted, of which none was cached."""
    return {name: 0 for name in (READ, WRITTEN) if fields.get(name) is not None} | taken_apart(usage)


def taken_apart(usage: Usage) -> Tree:
    """Write an input as Anthropic has it: what was cached beside the rest, not in it."""
    counts: Tree = {INPUT: usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens}
    if usage.cached_tokens:
        counts[READ] = usage.cached_tokens
    if usage.cache_write_tokens:
        counts[WRITTEN] = usage.cache_write_tokens
    return counts
