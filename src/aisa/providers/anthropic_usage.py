"""Anthropic's report of usage, read into our kinds of tokens: its input excludes what was cached. Prices nothing."""

from __future__ import annotations

from aisa.usage import REPORTED, Usage
from aisa.wire.shown import Asked, Shown
from aisa.wire.trees import Tree, as_tree, is_tree, text_or_none, trees_in
from aisa.wire.usage_report import UsageReport, count_of, lifetimes
from aisa.wire.vendor_tier import tier_in

INPUT, OUTPUT = "input_tokens", "output_tokens"
COMPACTION, ADVICE = "compaction", "advisor_message"  # parts of an answer's making that the sums leave out
ADVICE_MAX = 32  # entries of one answer that are believed
ADVICE_TOKENS_MAX = 2_000_000  # of each, and a side: no window is larger
READ, WRITTEN = "cache_read_input_tokens", "cache_creation_input_tokens"


class MessageUsage:
    """What a vendor has reported of one answer so far: at its beginning, and once more or several times at its end."""

    def __init__(self) -> None:
        self.fields: Tree = {}
        self._report = UsageReport()

    def take(self, value: object) -> None:
        """Take a further report: what it names replaces what was known, but for a zero or no number in place of a count."""
        for name, later in as_tree(value).items():
            known = self.fields.get(name)
            if is_tree(known) and is_tree(later):
                self.fields[name] = {**known, **{key: inner for key, inner in later.items() if inner is not None}}
            elif later is not None and (count_of(later) or not count_of(known)):
                self.fields[name] = later

    @property
    def tier(self) -> str | None:
        """The service tier, or the speed, that it names; None if it has named none."""
        return tier_in(self.fields)

    @property
    def served_by(self) -> str:
        """The model that took over from the one that was asked, in the vendor's own fall-back; nothing if none did."""
        entries = [entry for entry in trees_in(self.fields.get("iterations")) if entry.get("type") == "fallback_message"]
        return text_or_none(entries[-1].get("model")) or "" if entries else ""

    @property
    def advice(self) -> tuple[tuple[str, Usage], ...]:
        """What other models made for this answer, which has a price of its own."""
        entries = [entry for entry in trees_in(self.fields.get("iterations")) if entry.get("type") == ADVICE]
        found = [(text_or_none(entry.get("model")) or "", advice_of(entry)) for entry in entries[:ADVICE_MAX]]
        return tuple([(model, usage) for model, usage in found if usage.input_tokens or usage.output_tokens])

    def usage(self, shown: Shown, asked: Asked) -> Usage:
        """Return the tokens: each side as reported, else by our own count."""
        self._report.replace(summed(self.fields) if self.fields else None)
        return self._report.usage(shown, asked)

    def fault(self, usage: Usage) -> str:
        """Say what is wrong with a report that left a side to be counted; nothing if there was no report, or a good one."""
        return self._report.fault(usage)


def summed(fields: Tree) -> Tree:
    """Return a report whose input is the whole of it, as all other vendors have it.

    What was spent on making the conversation shorter stands beside the sums at the top, and costs all the same.
    """
    whole = dict(fields)
    beside = [entry for entry in trees_in(fields.get("iterations")) if entry.get("type") == COMPACTION]
    for name in (READ, WRITTEN, INPUT, OUTPUT):
        more = sum([count_of(entry.get(name)) or 0 for entry in beside])
        if more:
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


def advice_of(entry: Tree) -> Usage:
    """Return the tokens of an entry for another model's advice; none of what cannot be."""
    read, written, fresh, made = (count_of(entry.get(name)) or 0 for name in (READ, WRITTEN, INPUT, OUTPUT))
    taken = fresh + read + written
    if taken > ADVICE_TOKENS_MAX or made > ADVICE_TOKENS_MAX:
        return Usage()
    return Usage(taken, made, read, written, source=REPORTED, input_source=REPORTED)


def taken_apart(usage: Usage) -> Tree:
    """Write an input as Anthropic has it: what was cached beside the rest, not in it."""
    counts: Tree = {INPUT: usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens}
    if usage.cached_tokens:
        counts[READ] = usage.cached_tokens
    if usage.cache_write_tokens:
        counts[WRITTEN] = usage.cache_write_tokens
    return counts
