"""A call's bill computed anew from what its row keeps: its lines, their sum, and the words for them. Prints nothing, asks nobody.

What `aisa explain` prints and what the console shows are made of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from aisa.edge.receipt import is_timeless
from aisa.edge.statement import CallFound
from aisa.ledger.refusal import KEPT_EACH_MAX, RefusedCalls
from aisa.ledger.row import OTHER_PRICE, CallRow
from aisa.ledger.rules import CLIENT_GONE, CLIENT_STALLED, COMPLETED, CRASHED, CUT, FAILED, REFUSED, SHUT_DOWN
from aisa.money import NANOS_PER_DOLLAR, TOKENS_PER_PRICE, Nanos, divide_half_up, dollars_text
from aisa.pricing import FEES, UNCHARGED, Part, parts_of
from aisa.routing import EMBEDDED
from aisa.usage import COUNTED, ESTIMATED, REPORTED

ENDINGS = {
    COMPLETED: "The answer was completed.",
    FAILED: "It failed before anything of an answer had come, so it costs nothing.",
    REFUSED: "It was refused by its caller's own fault before anything of an answer had come, so it costs nothing.",
    CUT: "The answer broke off{why}. What had arrived of it is charged, and the input if anything had.",
    CLIENT_GONE: "The client left before it had the whole answer. What had arrived of it is charged, and the input if anything had.",
    CLIENT_STALLED: "The client did not read any more and was cut off. What had arrived is charged, and the input if anything had.",
    SHUT_DOWN: "The server was stopped before the answer was complete. What had arrived is charged, and the input if anything had.",
    CRASHED: "The server died during the call. What had left it by then is charged, and the input if anything had: how much more its "
    "vendor had made, and how much of it the client got, nobody saw.",
}
#: Why an answer broke off, by its error where that says it.
BROKE_OFF: Mapping[str, str] = MappingProxyType(
    {
        "insufficient_wallet_balance": ", as the wallet could not pay for more",
        "quota_exceeded": " at the spend cap of its key or team",
        "insufficient_permissions": ", as an operator of this server ended the call",
        "content_policy_violation": ", as the vendor's policy refused it",
        "overloaded": ": its vendor, or this server, was overloaded",
        "internal_error": " by a bug of this server",
        "upstream_rate_limit": " at a limit of its vendor's",
        **dict.fromkeys(("upstream_unavailable", "upstream_timeout", "gateway_error"), " by the vendor's fault"),
    }
)
#: Errors of tries at vendors. Rows of before schema 0052 do not have what the vendor said.
OF_TRIES = frozenset({"upstream_unavailable", "upstream_timeout", "gateway_error", "upstream_rate_limit", "overloaded"})
IN_LOG = " Why, in its vendor's words where it said any, is in the server's log beside this id."
LOST = "The client left before it had the whole document, which costs nothing then."
AWAITED = "Not final: its delivery, its vendor's report or the database is still awaited."
SOURCES = {
    REPORTED: "vendor's report",
    COUNTED: "our count",
    ESTIMATED: "estimate from its size",
}
OWN_SOURCE = "the built-in model's own count"
#: A field of Usage, and how it is called under which heading.
COUNTS = (
    ("input_tokens", "input"),
    ("cached_tokens", "  cached"),
    ("cache_write_tokens", "  cache write"),
    ("input_audio_tokens", "  audio"),
    ("output_tokens", "output"),
    ("reasoning_tokens", "  reasoning"),
    ("output_audio_tokens", "  audio"),
)
UNITS_PER_DOLLAR = NANOS_PER_DOLLAR * TOKENS_PER_PRICE  # tokens times a price of nano-dollars per million: exact, with 15 decimals
DECIMALS = 15
OTHERWISE = ", which the catalogue prices otherwise than the model asked for"
#: The kinds of a price, in the order in which people read them.
ROWS = (
    *("input", "cached_input", "cached_input_audio", "cache_write", "cache_write_30m", "cache_write_1h", "cache_write_12h"),
    *("input_audio", "input_image", "output", "reasoning", "output_audio", "output_image", *FEES),
)
ADVICE = "advice"  # of other models, which has an amount and no price for each token
BILL_ROWS = (*ROWS, ADVICE, *UNCHARGED)


class BillLine(NamedTuple):
    """One line as text: so many of a kind, times a price in US dollars per million (or each), is an amount in US dollars."""

    kind: str
    quantity: str
    price: str
    amount: str


class BillShown(NamedTuple):
    """A bill as text. The amounts have their points at the same place from the right; `agrees` says that the ledger has this cost."""

    lines: list[BillLine]
    total: str
    cost: str
    agrees: bool


def bill_shown(row: CallRow) -> BillShown | None:
    """Compute a bill anew, for people; None for a model without a price."""
    if row.prices is None:
        return None
    lines = lines_of(row)
    total, cost = sum(line.amount for line in lines), cost_of_lines(lines)
    decimals = max(len(exact(amount).partition(".")[2]) for amount in (total, *(line.amount for line in lines)))
    shown = [
        BillLine(line.kind.replace("_", " "), f"{line.quantity:,}", unit_text(line), padded(line.amount, decimals))
        for line in sorted(lines, key=lambda line: BILL_ROWS.index(line.kind))
    ]
    return BillShown(shown, padded(total, decimals), padded(cost * TOKENS_PER_PRICE, decimals), cost == row.cost)


class CountLine(NamedTuple):
    """Tokens of one kind as text: what was made, what of it arrived, what is charged, and where the first and the last are from.

    The second is empty for kinds of which nobody keeps it, and the first for what nobody saw.
    """

    name: str
    generated: str
    delivered: str
    billed: str
    source: str


def counts_shown(row: CallRow) -> list[CountLine]:
    """Return what was made, what arrived (or left, see `delivered_head`) and what is charged, in tokens. Parts without any are left out."""
    made, charged = row.generated, row.billed
    unseen = ("output_tokens",) if row.outcome == CRASHED else ()
    return [
        CountLine(
            name,
            "" if field in unseen else f"{getattr(made, field):,}",
            f"{row.delivered:,}" if field == "output_tokens" else "",
            f"{getattr(charged, field):,}",
            origin(row, field),
        )
        for field, name in COUNTS
        if field in ("input_tokens", "output_tokens") or getattr(made, field) or getattr(charged, field)
    ]


def delivered_head(row: CallRow) -> str:
    """Say what the second of the counts is: after a death nobody knows what arrived, and the journal has what had left."""
    return "had left" if row.outcome == CRASHED else "delivered"


def origin(row: CallRow, field: str) -> str:
    """Say where the two sums of a call's tokens are from."""
    sources = {
        "input_tokens": (row.generated.input_source, row.billed.input_source),
        "output_tokens": (row.generated.source, row.billed.source),
    }
    if field not in sources:
        return ""
    built_in = row.target.startswith(f"{EMBEDDED}/")
    made, charged = (OWN_SOURCE if built_in and source == REPORTED else SOURCES.get(source, source) for source in sources[field])
    return made if made == charged else f"{made}; billed: {charged}"


def which_way(row: CallRow) -> str:
    """Say how output was counted that was not reported, and of how many answers that was learned; nothing where it was."""
    usage = row.billed
    answers = f", of {usage.counted_answers} complete answers" if usage.counted_answers else ""
    return f"The output was counted by: {usage.counted_by}{answers}" if usage.counted_by else ""


def ending(row: CallRow) -> str:
    """Say how a call ended, and with which error."""
    ending = LOST if row.outcome == CLIENT_GONE and not row.stream else ENDINGS.get(row.outcome, f"It ended as {row.outcome}.")
    ending = ending.replace("{why}", BROKE_OFF.get(row.error_code or "", ""))
    tried = row.error_code in OF_TRIES and row.attempts and row.outcome in (FAILED, CUT)
    said = IN_LOG if tried and row.error_message is None else ""
    return ending + (f" The error was {row.error_code}.{said}" if row.error_code else "")


def verdict(row: CallRow, *, agrees: bool) -> str:
    """Say whether the ledger has the same cost, and who paid it."""
    if not agrees:
        return f"THE LEDGER HAS ANOTHER COST: {dollars_text(row.cost)} US dollars."
    return f"The ledger has the same. {'It was taken from the wallet.' if row.prepaid else 'The account was unlimited; no wallet paid it.'}"


def facts_of(row: CallRow) -> list[tuple[str, str]]:
    """Return what else is known of a call: where it was served, how long everything took, what the vendor may charge."""
    asked, first = milliseconds(row.queue_ms), milliseconds(row.first_token_ms)
    return [
        *([("the caller was told", row.error_message)] if row.error_message and row.outcome != REFUSED else []),
        *([("the log says", row.error_detail)] if row.error_detail else []),
        ("model", row.model + (", streamed" if row.stream else "")),
        *([("answered by", row.answered_model + (OTHERWISE if OTHER_PRICE in (row.marks or "") else ""))] if row.answered_model else []),
        ("served by", f"{served_by(row)}{row.attempts} attempt{'' if row.attempts == 1 else 's'}"),
        ("vendor may charge", vendor_charge(row)),
        *([] if row.reported_cost is None else [("vendor says", f"{dollars_text(row.reported_cost)} US dollars")]),
        *([] if row.operator_cost is None else [("failed tries", f"{dollars_text(row.operator_cost)} US dollars at most, not billed")]),
        ("began", iso(row.began_ms // 1000)),
        *(
            [("settled", f"{iso(row.ended_ms // 1000)}, after its process had died: when the call ended is not known")]
            if is_timeless(row)
            else [("timings", f"vendor asked at {asked}, first token at {first}, end at {milliseconds(row.total_ms)}")]
        ),
        ("the client's id", row.client_request_id or "none"),
        *([] if row.address is None else [("came from", row.address)]),
    ]


def served_by(row: CallRow) -> str:
    """Say who made the answer; of a call that got none, who was asked last."""
    if row.outcome in (FAILED, REFUSED):
        return f"nobody, {row.target} was asked last, " if row.target else "nobody, "
    return f"{row.target or 'nobody'}, "


def vendor_charge(row: CallRow) -> str:
    """Say what the vendor of a call may charge us for it."""
    if not row.target:
        return "nothing: none was asked"
    if row.outcome == REFUSED or (row.outcome == FAILED and row.error_code in OF_TRIES):
        if row.operator_cost is not None:
            return "what its failed tries may cost, and nothing else"
        if row.prices is not None or row.outcome == REFUSED:
            return "nothing: no vendor had taken the request"
        return "nothing, unless a vendor had taken the request: the model has no price here to tell that by"
    if row.target.startswith(f"{EMBEDDED}/"):
        return "nothing: the built-in model answered"
    if row.vendor_cost is not None:
        return f"{dollars_text(row.vendor_cost)} US dollars, for what it generated"
    return "unknown: " + ("the model has no price here" if row.prices is None else "our price is not the vendor's own")


def refusal_facts(record: RefusedCalls) -> list[tuple[str, str]]:
    """Return what else is known of a refused call."""
    return [
        ("model", record.model or "none: no body was read that names one"),
        ("refused", iso(record.at_ms // 1000)),
        ("the client's id", record.client_request_id or "none"),
        *([] if record.address is None else [("came from", record.address)]),
    ]


def refusal_heading(record: RefusedCalls, row: CallRow | None = None) -> list[str]:
    """Say in lines that a call was refused, and how many calls it stands for. One that was opened has a row."""
    when = "anything was asked of a vendor" if row is None else "anything of an answer had come"
    heading = f"It was refused with {record.status} {record.code}, before {when}, and costs nothing."
    if record.number == 1:
        return [heading]
    return [
        heading,
        f"It stands for {record.number:,} calls of the key, refused with this code until {iso(record.last_ms // 1000)}:",
        f"beyond {KEPT_EACH_MAX} a minute only their number is kept, and what the first of them was told.",
    ]


def milliseconds(duration: int | None) -> str:
    """Write a duration; None is what never happened."""
    return "-" if duration is None else f"{duration:,} ms"


def iso(moment: float) -> str:
    """Write a UNIX moment as a date and a time of UTC."""
    return datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def lines_of(row: CallRow) -> list[Part]:
    """Return the lines of a bill, in the order of PRICED; kinds without a token are left out."""
    if row.prices is None:
        return []
    rates = row.prices.for_input(row.billed.input_tokens)
    return parts_of(row.billed, rates)


def cost_of_lines(lines: list[Part]) -> Nanos:
    """Return the sum of a bill's lines, rounded once, half up."""
    return divide_half_up(sum(line.amount for line in lines), TOKENS_PER_PRICE)


def unit_text(line: Part) -> str:
    """Write a line's price in US dollars per million tokens, or each; with a mark if it stands in for one that is missing."""
    return dollars_text(line.price) + (" each" if line.kind in (*FEES, ADVICE) else "") + ("" if line.own else " (no price of its own)")


def unit_of(line: Part) -> dict[str, object]:
    """Return a line's price for a program, and whether it is the kind's own."""
    return {"nanos_each" if line.kind in (*FEES, ADVICE) else "nanos_per_million": line.price, **({} if line.own else {"own_price": False})}


def price_origin(row: CallRow) -> str:
    """Say where the prices are from, and which tier of them holds."""
    assert row.prices is not None, "the caller looked"
    over = [tier.over_input_tokens for tier in row.prices.tiers if row.billed.input_tokens > tier.over_input_tokens]
    return row.price_source + (f", those for more than {over[-1]:,} input tokens" if over else "")


def exact(amount: int) -> str:
    """Write an exact amount (see UNITS_PER_DOLLAR) in US dollars, without superfluous digits."""
    whole, rest = divmod(amount, UNITS_PER_DOLLAR)
    return f"{whole}.{rest:0{DECIMALS}d}".rstrip("0").rstrip(".")


def padded(amount: int, decimals: int) -> str:
    """Write an exact amount with at least so many places, so that the points of a column are in line."""
    whole, _, rest = exact(amount).partition(".")
    return whole + (f".{rest}" if rest else " " if decimals else "") + " " * (decimals - len(rest))


def document(found: CallFound) -> dict[str, object]:
    """Return everything as a JSON object: the row as the ledger has it, and its bill computed anew. Amounts of US dollars are exact."""
    row = found.row
    if found.refused is not None and row is None:
        return {"call": found.refused, "key_label": found.key_label, "refused": True, "running": False}
    if row is None:
        return {"call": found.opening, "running": True, "output_tokens": found.tokens}
    lines = lines_of(row)
    cost = cost_of_lines(lines)
    return {
        "call": row,
        **({} if found.refused is None else {"refused": True, "told": found.refused}),
        "running": False,
        "final": found.final,
        "lines": [{"kind": line.kind, "tokens": line.quantity, **unit_of(line), "usd": number(exact(line.amount))} for line in lines],
        "sum_usd": number(exact(sum(line.amount for line in lines))),
        "cost_nanos": cost,
        "cost_usd": number(dollars_text(cost)),
        "agrees": cost == row.cost,
    }


def number(text: str) -> msgspec.Raw:
    """Return an exact JSON number."""
    return msgspec.Raw(text.encode())
