"""Pages on accounts and their wallets, and the forms that change them."""

from __future__ import annotations

from aisa.console.page import PREFIX, Page
from aisa.console.visit import Visit, part, with_query
from aisa.errors import ApiError
from aisa.ledger.port_admin import WalletPage
from aisa.money import dollars_text

SHOWN_MAX = 500  # accounts in one list
LINES = 50  # of a statement on one page: two screens


async def accounts(visit: Visit) -> Page:
    """List the accounts."""
    every = (await visit.get("/accounts"))["data"]
    query = visit.query.get("q", "").casefold()
    fits = [account for account in every if query in account["name"].casefold()]
    limits = await visit.get("/limits")
    return visit.page("accounts.html", accounts=fits[:SHOWN_MAX], hidden=max(0, len(fits) - SHOWN_MAX), limits=limits)


async def account(visit: Visit) -> Page:
    """Show one account: its wallet with every entry, its keys."""
    every = (await visit.get("/accounts"))["data"]
    found = next((account for account in every if account["name"] == visit.name), None)
    if found is None:
        raise ApiError("resource_not_found", f"There is no account {visit.name[:64]!r}.")
    entries = (await visit.get(f"/accounts/{part(visit.name)}/entries"))["data"]
    keys = [key for key in (await visit.get("/keys"))["data"] if key["account"] == visit.name]
    limits = await visit.get("/limits")
    return visit.page("account.html", account=found, entries=entries, keys=keys[:SHOWN_MAX], limits=limits)


async def statement(visit: Visit) -> Page:
    """Show a page of an account's wallet: its entries and calls, each with what was left."""
    path = f"/accounts/{part(visit.name)}/statement"
    shown = await visit.typed(with_query(path, {"after": visit.query.get("after"), "limit": LINES}), WalletPage)
    labels = {key["id"]: key["label"] for key in (await visit.get("/keys"))["data"]}
    older = f"{PREFIX}{path}?after={part(shown.data[-1].id)}" if shown.has_more else None
    return visit.page("statement_rows.html" if visit.wants_part else "statement.html", wallet=shown, labels=labels, older=older)


async def create(visit: Visit) -> Page:
    """Make an account."""
    form = visit.form
    made = await visit.post("/accounts", {"name": form.get("name", ""), "tier": form.get("tier")})
    return visit.done(
        f"/accounts/{part(made['name'])}", f"The account “{made['name']}” was made. It is unlimited until money is put into it."
    )


def one_or_more(amount: str) -> str:
    """Write US dollars, and the verb behind them."""
    return f"{amount} US dollar was" if amount == "1" else f"{amount} US dollars were"


async def top_up(visit: Visit) -> Page:
    """Put money into a wallet."""
    form = visit.form
    booked = await visit.post(
        f"/accounts/{part(visit.name)}/top-up",
        {"amount": form.get("amount", ""), "note": form.get("note", ""), "reference": form.get("reference")},
    )
    said = f"{one_or_more(dollars_text(booked['entry']['amount']))} put into the wallet."
    return visit.done(
        f"/accounts/{part(visit.name)}", said if booked["fresh"] else "This reference was booked before; nothing has changed."
    )


async def adjust(visit: Visit) -> Page:
    """Correct a wallet."""
    form = visit.form
    await visit.post(f"/accounts/{part(visit.name)}/adjust", {"amount": form.get("amount", ""), "note": form.get("note", "")})
    return visit.done(f"/accounts/{part(visit.name)}", "The wallet was corrected.")


async def set_state(visit: Visit) -> Page:
    """Disable, enable or unlimit an account, as the path says."""
    action = visit.request.path.rpartition("/")[2]
    await visit.post(f"/accounts/{part(visit.name)}/{action}")
    told = {
        "disable": "None of its keys is let in from now on.",
        "enable": "Its keys are let in again.",
        "unlimit": "No wallet limits it any more.",
    }
    return visit.done(f"/accounts/{part(visit.name)}", told[action])


async def set_tier(visit: Visit) -> Page:
    """Give an account another tier."""
    await visit.post(f"/accounts/{part(visit.name)}/tier", {"tier": visit.form.get("tier")})
    return visit.done(f"/accounts/{part(visit.name)}", "The tier was changed. It counts from the next call on.")
