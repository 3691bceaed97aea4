"""The receipt of one call, as its caller sees it: what was made, what arrived, what is charged and at which prices. Looks nothing up.

It names no vendor and no setting: which targets serve a model is the operator's configuration.
"""

from __future__ import annotations

import msgspec

from aisa.ledger.refusal import RefusedCalls
from aisa.ledger.row import CallRow, Opening
from aisa.ledger.rules import CRASHED, REFUSED
from aisa.money import dollars_text
from aisa.prices.rules import CATALOGUE
from aisa.pricing import PRICED, UnitPrices
from aisa.usage import COUNTED, ESTIMATED, Usage
from aisa.wire.model_name import shown_name

Document = dict[str, object]

OBJECT = "call.receipt"
RUNNING = "running"


def receipt(row: CallRow, *, final: bool, refused: RefusedCalls | None = None) -> Document:
    """Write the receipt of a call that ended. Unless `final`, its delivery or its vendor's report may still change what it says.

    Of a call that a later start has settled, `ended` is when that was, and no timing is known. `had_left` says of
    a call during which the server died that its output had left; what of it arrived, nobody saw.
    `refused` is what is kept of it if it was refused: what its caller was told.
    """
    return {
        "id": row.id,
        "object": OBJECT,
        "model": row.model,
        "answered_model": shown_name(row.answered_model, "") or None,
        "outcome": row.outcome,
        "stream": row.stream,
        "final": final,
        "created": row.began_ms // 1000,
        "ended": row.ended_ms // 1000,
        "generated": counts(row.generated),
        "delivered": {"output_tokens": row.delivered, **({"had_left": True} if row.outcome == CRASHED else {})},
        "billed": {**counts(row.billed), "cost_nanos": row.cost, "cost_usd": msgspec.Raw(dollars_text(row.cost).encode())},
        "prices": price_document(row.prices, row.price_source, row.billed.input_tokens),
        "marks": marks(row.marks),
        "timings": {"queue_ms": row.queue_ms, "first_token_ms": row.first_token_ms, "total_ms": None if is_timeless(row) else row.total_ms},
        "attempts": row.attempts,
        "error_code": row.error_code,
        "error_message": row.error_message if refused is None else refused.message,
        **({} if refused is None else {"error_status": refused.status}),
        "client_request_id": row.client_request_id,
    }


def is_timeless(row: CallRow) -> bool:
    """Say whether nobody knows how long a call took: its process died in it, and its row's times end with whoever settled it then."""
    return row.outcome == CRASHED and row.queue_ms is None and row.first_token_ms is None


def running_receipt(opening: Opening, tokens: int) -> Document:
    """Write what is known of a call that runs and has sent so many output tokens; null for what its end will tell."""
    so_far = Usage(opening.input_tokens, tokens, source=COUNTED, input_source=ESTIMATED)
    return {
        "id": opening.id,
        "object": OBJECT,
        "model": opening.model,
        "answered_model": None,
        "outcome": RUNNING,
        "stream": opening.stream,
        "final": False,
        "created": opening.began_ms // 1000,
        "ended": None,
        "generated": counts(so_far),
        "delivered": None,
        "billed": None,
        "prices": price_document(opening.prices, opening.price_source, opening.input_tokens),
        "marks": None,
        "timings": None,
        "attempts": None,
        "error_code": None,
        "error_message": None,
        "client_request_id": opening.client_request_id,
    }


def refused_receipt(record: RefusedCalls) -> Document:
    """Write the receipt of a call that was refused before anything of it was counted; it cost nothing.

    `number` is above 1 where so many of one minute are kept as one.
    """
    return {
        "id": record.id,
        "object": OBJECT,
        "model": record.model,
        "answered_model": None,
        "outcome": REFUSED,
        "stream": None,
        "final": True,
        "created": record.at_ms // 1000,
        "ended": record.last_ms // 1000,
        "generated": None,
        "delivered": None,
        "billed": None,
        "prices": None,
        "marks": None,
        "timings": None,
        "attempts": 0,
        "error_code": record.code,
        "error_status": record.status,
        "error_message": record.message,
        "number": record.number,
        "client_request_id": record.client_request_id,
    }


def marks(text: str | None) -> dict[str, list[str]]:
    """Write what is noted of a price: each mark with the kinds that it is about, none for one about the whole."""
    found = [mark.partition(":") for mark in (text or "").split()]
    return {mark: kinds.split(",") if kinds else [] for mark, _, kinds in found}


def counts(usage: Usage) -> Document:
    """Write token counts, and where they are from: `source` those of the output, `input_source` those of the input."""
    return {
        "input_tokens": usage.input_tokens,
        "cached_tokens": usage.cached_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "input_audio_tokens": usage.input_audio_tokens,
        "output_tokens": usage.output_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "output_audio_tokens": usage.output_audio_tokens,
        "source": usage.source,
        "input_source": usage.input_source,
        **({"counted_by": usage.counted_by, "counted_answers": usage.counted_answers} if usage.counted_by else {}),
        **(msgspec.to_builtins(usage.breakdown) if usage.breakdown else {}),
    }


def price_document(prices: UnitPrices | None, source: str, input_tokens: int) -> Document | None:
    """Write the prices that hold for a call with so many input tokens, in nano-dollars per million tokens; null without a price.

    The source is `catalogue` for the vendor's list price, else `operator`: more would name a target or a setting.
    """
    if prices is None:
        return None
    rates = prices.for_input(input_tokens)
    shown = {kind: price for kind in PRICED if (price := getattr(rates, kind)) is not None}
    return {
        **shown,
        "source": "catalogue" if source.startswith(CATALOGUE) else "operator",
    }
