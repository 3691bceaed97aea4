"""Pages on calls: those that run, those that ended or were refused, and the receipt of one. Computes no bill: `edge.bill_view` does."""

from __future__ import annotations

from typing import Any

from aisa.console.page import PREFIX, Page, redirected
from aisa.console.visit import Visit, part, with_query
from aisa.edge.admin_calls import CallsShown
from aisa.edge.bill_view import (
    AWAITED,
    bill_shown,
    counts_shown,
    delivered_head,
    ending,
    facts_of,
    price_origin,
    refusal_facts,
    refusal_heading,
    verdict,
    which_way,
)
from aisa.edge.board_view import BoardShown
from aisa.edge.statement import CallFound
from aisa.errors import ApiError
from aisa.ledger.refusal import KEPT_DAYS

LINES = 50  # calls on one page: two screens
NAMES_MAX = 200  # that a field suggests
HOUR_MS = 3_600_000
SPANS = {"1h": ("Last hour", HOUR_MS), "24h": ("Last 24 hours", 24 * HOUR_MS), "7d": ("Last 7 days", 168 * HOUR_MS), "": ("Any time", 0)}
KINDS = {"": "All calls", "failed": "Failed", "refused": "Refused"}


async def live(visit: Visit) -> Page:
    """Show the calls that run."""
    board = await visit.typed("/board", BoardShown)
    return visit.page("live_rows.html" if visit.wants_part else "live.html", board=board)


async def end_call(visit: Visit) -> Page:
    """End a call that runs."""
    await visit.post(f"/calls/{part(visit.name)}/end")
    return visit.done("/live", f"Call {visit.name} was ended. What had arrived of it is billed.")


async def calls(visit: Visit) -> Page:
    """Show calls that ended or were refused, the newest first."""
    query = visit.query
    if "id" in query:
        return redirected(f"{PREFIX}/calls/{part(query['id'].strip())}")
    span, kind = query.get("span", ""), query.get("kind", "")
    asked = {name: query.get(name) for name in ("key", "account", "model", "after")}
    since = int(visit.with_.now() * 1000) - SPANS[span][1] if SPANS.get(span, ("", 0))[1] else None
    path = with_query("/calls", {**asked, "since_ms": since, "limit": LINES, **({kind: 1} if kind in KINDS and kind else {})})
    try:
        shown = await visit.typed(path, CallsShown)
    except ApiError as error:
        if visit.wants_part:
            raise
        visit.refused, shown = error, CallsShown([], has_more=False)  # the filters are shown again as they were filled in
    keys: list[Any] = [] if visit.wants_part else (await visit.get("/keys"))["data"]
    older = None
    if shown.has_more:
        rest = {name: value for name, value in query.items() if name != "after"}
        older = with_query(f"{PREFIX}/calls", {**rest, "after": min(line.id for line in shown.data)})
    return visit.page(
        "call_rows.html" if visit.wants_part else "calls.html",
        calls=shown.data,
        older=older,
        spans=SPANS,
        kinds=KINDS,
        keys=sorted({key["label"] for key in keys})[:NAMES_MAX],
        accounts=sorted({key["account"] for key in keys})[:NAMES_MAX],
        kept_days=KEPT_DAYS,
    )


async def receipt(visit: Visit) -> Page:
    """Show the receipt of a call: in the drawer, or as a page of its own."""
    found = await visit.typed(f"/calls/{part(visit.name)}", CallFound)
    known = found.row or found.opening or found.refused
    assert known is not None, "one of them is there"
    values: dict[str, Any] = {"found": found, "call": known, "row": found.row, "refused": found.refused, "running": found.opening}
    if found.refused is not None:
        heading, facts = refusal_heading(found.refused, found.row), refusal_facts(found.refused)
        values |= {"ending": " ".join(heading), "facts": facts if found.row is None else facts_of(found.row), "row": None}
    elif found.row is not None:
        row, bill = found.row, bill_shown(found.row)
        values |= {
            "ending": ending(row),
            "awaited": None if found.final else AWAITED,
            "counts": counts_shown(row),
            "delivered": delivered_head(row).capitalize(),
            "way": which_way(row),
            "bill": bill,
            "verdict": "" if bill is None else verdict(row, agrees=bill.agrees),
            "prices_from": "" if bill is None else price_origin(row),
            "facts": facts_of(row),
        }
    return visit.page("receipt.html", **values)
