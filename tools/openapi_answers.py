"""Schemas of what the API sends, for `openapi_document.py`: bodies of answers, errors and bills. Knows no route."""

from __future__ import annotations

from openapi_calls import calls
from openapi_terms import Document, nullable, object_of, or_null, ref

from aisa.errors import CODES
from aisa.ledger.row import MARKS
from aisa.pricing import AUDIO, KINDS, PRICED
from aisa.usage import COUNTED, ESTIMATED, IMPLAUSIBLE, REPORTED, Usage
from aisa.wire.responses_errors import NAMED


def answers() -> Document:
    """The schemas of what we send."""
    text, number = {"type": "string"}, {"type": "integer"}
    model = {"id": text, "object": {"const": "model"}, "created": number, "owned_by": text}
    error = {
        "type": text,
        "code": {"enum": sorted({*CODES, *NAMED.values()})},
        "message": text,
        "param": nullable("string"),
        "request_id": text,
    }
    return {
        **calls(),
        "InputTokens": object_of({"input_tokens": number}),
        "Deleted": object_of({"id": text, "object": {"const": "response"}, "deleted": {"const": True}}),
        "MessagesError": object_of(
            {"type": {"const": "error"}, "error": object_of({"type": text, "message": text, "code": text}), "request_id": text}
        ),
        "Model": object_of(model),
        "ModelList": object_of({"object": {"const": "list"}, "data": {"type": "array", "items": ref("Model")}}),
        "Health": object_of({"status": text}),
        **bills(),
        "Error": object_of({"error": object_of(error)}),
    }


def bills() -> Document:
    """The schemas of what callers see of their bills."""
    text, number, flag = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}
    micros = {"type": "integer", "description": "Micro-dollars (1 USD = 1,000,000), rounded half up."}
    span = {"start_time": number, "end_time": number}
    dollars = dict.fromkeys(("usage_value_micros_usd", "charged_micros_usd"), micros)
    tokens = dict.fromkeys(("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"), number)
    used = {"requests": number, "failed_requests": number, **tokens, **dollars}
    limited = {"anyOf": [micros, {"type": "null"}], "description": "Null for an account without a limit."}
    window = {"window": {"enum": ["day", "week", "month"]}, "window_start_time": number}
    counts = {name: number for name in Usage.__struct_fields__ if name.endswith("_tokens")}
    sources = {name: {"enum": [REPORTED, COUNTED, ESTIMATED, IMPLAUSIBLE]} for name in ("source", "input_source")}
    way = {"counted_by": {"type": "string", "description": "How output was counted that was not reported."}}
    way["counted_answers"] = {"type": "integer", "description": "Of how many answers that was learned; 0 if of none."}
    cost = {"cost_nanos": number, "cost_usd": {"type": "number"}}
    unit_prices = {**dict.fromkeys(PRICED, number), "source": {"enum": ["catalogue", "operator"]}}
    prices = object_of(unit_prices, required=[*(kind for kind in KINDS if kind not in AUDIO), "source"])
    timings = {"queue_ms": nullable("integer"), "first_token_ms": nullable("integer"), "total_ms": nullable("integer")}
    key = {"unlimited": flag, "remaining_micros_usd": micros, "used_micros_usd": micros, **window}
    kinds_of = "What is noted of the price: a word to the kinds that it is about, none if it is about the whole."
    marked = object_of({mark: {"type": "array", "items": {"type": "string"}} for mark in MARKS}, required=[]) | {"description": kinds_of}
    team = {"name": text, "remaining_micros_usd": micros, "used_micros_usd": micros, **window}
    left = {"type": "boolean", "description": "The server died during the call: so many had left it, and what arrived nobody saw."}
    receipt = {
        "id": text,
        "object": {"const": "call.receipt"},
        "answered_model": nullable("string"),
        "model": text,
        "outcome": text,
        "stream": nullable("boolean"),
        "final": {"type": "boolean", "description": "Nothing of it changes any more."},
        "created": number,
        "ended": nullable("integer"),
        "generated": or_null(object_of({**counts, **sources, **way}, required=[*counts, *sources])),
        "delivered": or_null(object_of({"output_tokens": number, "had_left": left}, required=["output_tokens"])),
        "billed": or_null(object_of({**counts, **sources, **way, **cost}, required=[*counts, *sources, *cost])),
        "prices": or_null(prices),
        "marks": or_null(marked),
        "timings": or_null(object_of(timings)),
        "attempts": nullable("integer"),
        "error_code": nullable("string"),
        "error_message": {**nullable("string"), "description": "What the caller was told of a call that failed, was cut or refused."},
        "client_request_id": nullable("string"),
    }
    many = "Above 1, so many refused calls of a minute are kept as one, with what the first of them was told."
    refused = {
        "error_status": {"type": "integer", "description": "The status that a refused call was answered with."},
        "number": {"type": "integer", "description": many},
    }
    return {
        "UsageReport": object_of(
            {
                "scope": {"enum": ["key", "account"]},
                "currency": {"const": "USD"},
                **span,
                "bucket_width": {"const": "1d"},
                "totals": object_of(used),
                "buckets": {"type": "array", "items": object_of({**span, **used})},
            }
        ),
        "Balance": object_of(
            {
                "currency": {"const": "USD"},
                "unlimited": flag,
                "account_balance_micros_usd": limited,
                "available_balance_micros_usd": limited,
                "go_to_market_balance_micros_usd": micros,
                "api_key": object_of(key),
                "team": or_null(object_of(team)),
                "as_of": {"type": "string", "format": "date-time"},
            }
        ),
        "Receipt": object_of(receipt | refused, list(receipt)),
    }
