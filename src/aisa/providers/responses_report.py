"""What a Responses answer reports of itself: tokens, tools that are billed, its tier, and changes of its input. Knows no items."""

from __future__ import annotations

from aisa.providers.answer_builder import AnswerBuilder
from aisa.providers.responses_plain import plain_usage
from aisa.wire.containers import gigabytes_in
from aisa.wire.finish import UNKNOWN, spoken, verdict_on
from aisa.wire.trees import Tree, as_tree, is_tree, text_or_none, trees_in
from aisa.wire.usage_report import CODE_RUNS, IN_FILES, SEARCHES, SEARCHES_MAX, USED, count_of
from aisa.wire.vendor_tier import tier_named

SIDES = ("input_tokens", "output_tokens")
CHANGE = ("type", "action", "reason")  # what a change of the input is told by
CHANGES_MAX = 8  # kinds of them that are told: there are five
SEARCHED = "num_search_queries"
COUNTING = frozenset({*SEARCHES, *USED})  # members in which a report of usage counts searches itself
CONTAINER = "container_id"
CALL, SEARCH = "web_search_call", "search"  # an item of the output, and what was done: pages that are opened or searched cost nothing
CALLS = frozenset({CALL, "file_search_call", "code_interpreter_call", "shell_call"})  # items that may be billed by the call
INSIDE = (("action", "type"), ("environment", CONTAINER))
USED_TOOLS = "server_side_tool_usage_details"  # xAI's, which has the calls of each of its tools
#: Why an answer is not whole, where the vendor's word would not be known.
STOPPED = {"steered": "stop", "max_messages": "length"}
WORD_MAX = 40  # characters of a vendor's word in it


def tell_report(response: Tree, builder: AnswerBuilder, *, complete: bool | None = None) -> None:
    """Tell what a response reports: the one that ends the answer, which is `complete` if nothing cut it, or one before (None)."""
    used, tier = response.get("usage"), tier_named(response.get("service_tier"))
    if is_tree(used) and (complete is not None or any(map(count_of, used.values()))):
        told = (
            {**with_pictures(used, response), **searches_in(response, used), **looked_up_in(response, used)}
            if response.get("tool_usage")
            else {**used, **shown_in(response, used), **looked_up_in(response, used)}
        )
        plain = plain_usage(told) if complete else None
        if plain is not None or (complete is not None and all(count_of(used.get(name)) for name in SIDES)):
            builder.report.replace(None)  # what was told before was an estimate
        builder.reported(told, plain)
    builder.tier = builder.tier if tier is None else tier
    if changes := response.get("input_transformations"):
        builder.input_changes = changes_in(changes) or builder.input_changes


def reduced(call: Tree) -> Tree:
    """Return what of a call of the vendor's own tool says how it is billed."""
    kept = {name: call.get(name) for name in ("type", "id", CONTAINER)}
    return kept | {name: {of: said} for name, of in INSIDE if (said := as_tree(call.get(name)).get(of)) is not None}


def reason_in(why: object, *, cut: bool) -> str:
    """Return why an answer ended, for a vendor's details of that. What was `cut` for a reason that nobody knows has come to no end."""
    said = (text_or_none(why.get("reason")) if is_tree(why) else None) or ("length" if cut else "stop")
    reason = STOPPED.get(said, said)
    return "length" if cut and verdict_on(spoken(reason)) == UNKNOWN else reason


def changes_in(changes: object) -> str:
    """Return what the vendor says that it has changed in its input, each kind of change once; reasoning of others, say, it takes out."""
    words = [[str(change.get(name))[:WORD_MAX] for name in CHANGE] for change in trees_in(changes)]
    kinds = sorted({f"{kind} {action} ({reason})" for kind, action, reason in words})
    return ", ".join(kinds[:CHANGES_MAX])


def searches_in(response: Tree, used: Tree) -> Tree:
    """Return the searches that are billed beside tokens, under a name that reports of usage have for them; else those that it shows."""
    number = as_tree(as_tree(response.get("tool_usage")).get("web_search")).get("num_requests")
    return {SEARCHED: number} if number else {} if number == 0 else shown_in(response, used)


def shown_in(response: Tree, used: Tree) -> Tree:
    """Return the searches that a response shows whose report counts none: calls of the vendor's tool, but for pages that were opened."""
    if not COUNTING.isdisjoint(used):
        return {}
    calls = [as_tree(item.get("action")) for item in trees_in(response.get("output")) if item.get("type") == CALL]
    number = len([action for action in calls if action.get("type", SEARCH) == SEARCH])
    return {SEARCHED: number} if number else {}


def looked_up_in(response: Tree, used: Tree) -> Tree:
    """Return the searches in files, and the containers in which code ran, that a response shows whose report counts no tools."""
    output = [] if USED_TOOLS in used else trees_in(response.get("output"))
    looked = len([item for item in output if item.get("type") == "file_search_call"])
    ran = {str(container) for item in output if (container := container_of(item))}
    counts = {IN_FILES[0]: looked, CODE_RUNS[0]: min(len(ran) * gigabytes_in(response.get("tools")), max(len(ran), SEARCHES_MAX))}
    return {name: count for name, count in counts.items() if count}


def container_of(call: Tree) -> object:
    """Return the container in which the vendor ran code for a call, or the call's own id where that is not said; None of any other."""
    if call.get("type") == "code_interpreter_call":
        return call.get(CONTAINER) or call.get("id")
    return as_tree(call.get("environment")).get(CONTAINER) if call.get("type") == "shell_call" else None


def with_pictures(used: Tree, response: Tree) -> Tree:
    """Return a report with the tokens of pictures that a tool made, which stand beside it: images, but for what is said to be text."""
    made = as_tree(as_tree(response.get("tool_usage")).get("image_gen"))
    taken, drawn = (count_of(made.get(name)) or 0 for name in SIDES)
    if not (taken or drawn) or None in [count_of(used.get(name)) for name in SIDES]:
        return used
    inner, outer = as_tree(made.get("input_tokens_details")), as_tree(made.get("output_tokens_details"))
    parts = {"cached_tokens": count_of(made.get("cached_tokens")) or 0, "image_tokens": count_of(inner.get("image_tokens")) or 0}
    shown = max(0, drawn - (count_of(outer.get("text_tokens")) or 0))
    return {
        **grown(used, input_tokens=taken, output_tokens=drawn, total_tokens=taken + drawn),
        "input_tokens_details": grown(as_tree(used.get("input_tokens_details")), **parts),
        "output_tokens_details": grown(as_tree(used.get("output_tokens_details")), image_tokens=shown),
    }


def grown(counts: Tree, **more: int) -> Tree:
    """Return counts with these added to."""
    return counts | {name: (count_of(counts.get(name)) or 0) + number for name, number in more.items() if number}
