"""Pages on keys, and the forms that make and change them. The administration judges what they say."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from aisa.console.page import Page
from aisa.console.visit import Visit, part
from aisa.edge.admin_keys import GRACE
from aisa.edge.bill_view import iso
from aisa.errors import ApiError

SHOWN_MAX = 500  # keys in one list; more are found by their names
NO_TEAM = {"name": ""}
STATES = {"": "Usable and not", "active": "Active", "disabled": "Disabled", "expired": "Expired", "revoked": "Revoked"}
RATES = ("rpm", "tpm", "concurrency")
NAMED_MAX = 5  # models in a sentence
DIGITS_MAX = 20  # of a limit; a number of thousands is none to Python
PLAYGROUND_CAP = "1/day"  # what a key for the playground may spend, in US dollars
PLAYGROUND_EXPIRES = "8h"  # as long as a session


async def keys(visit: Visit) -> Page:
    """List the keys, the newest first."""
    every = (await visit.get("/keys"))["data"]
    query, state = visit.query.get("q", "").casefold(), visit.query.get("state", "")
    fits = [
        key
        for key in reversed(every)
        if query in f"{key['label']} {key['id']} {key['account']} {(key['team'] or NO_TEAM)['name']}".casefold()
        and (state == key["state"] if state else True)
    ]
    accounts = sorted({key["account"] for key in every})
    return visit.page(
        "keys.html", keys=fits[:SHOWN_MAX], hidden=max(0, len(fits) - SHOWN_MAX), every=len(every), states=STATES, accounts=accounts
    )


async def key(visit: Visit) -> Page:
    """Show one key."""
    shown = await visit.get(f"/keys/{part(visit.name)}")
    calls = (await visit.get("/calls", key=shown["id"], limit=8))["data"]
    team = None if shown["team"] is None else await visit.get(f"/teams/{part(shown['team']['id'])}")
    return visit.page("key.html", key=shown, calls=calls, team=team, grace=GRACE)


async def create(visit: Visit) -> Page:
    """Make a key; its secret is on the next page alone."""
    return await made_of(visit, visit.form)


async def made_of(visit: Visit, form: dict[str, str]) -> Page:
    """Make a key as a form says."""
    check_numbers(form)
    wanted = {name: form[name] for name in ("label", "account", "team", "expires") if name in form} | terms(form)
    made = await visit.post("/keys", {"label": "", **{name: value for name, value in wanted.items() if value is not None}})
    said = f"The key “{made['label']}” was made. This is its secret, shown only now:"
    return visit.done(f"/keys/{part(made['id'])}", said, made["secret"], notes=await notes_on(visit, made))


async def notes_on(visit: Visit, key: dict[str, Any]) -> tuple[str, ...]:
    """Say what whoever has made or changed a key may not expect of it, as the command line does."""
    unserved: list[str] = []
    for name in key["models"] or ():
        try:
            await visit.get(f"/models/{part(name)}")
        except ApiError:
            unserved.append(name)
    told = [f"Nothing serves {in_words(unserved)} now, which the key may call."] if unserved else []
    if key["free_models"]:
        told.append(f"Its cap does not count calls to {in_words(key['free_models'])}: without a price they are free.")
    if key.get("account_made"):
        told.append(f"The account “{key['account']}” is new, and unlimited until it is topped up.")
    return tuple(told)


def in_words(names: list[str]) -> str:
    """Name some, and how many there are beside."""
    more = len(names) - NAMED_MAX
    return ", ".join(names[:NAMED_MAX]) + (f" and {more:,} more" if more > 0 else "")


async def update(visit: Visit) -> Page:
    """Change a key's terms to what the form says."""
    form = visit.form
    check_numbers(form)
    wanted: dict[str, object] = {"label": form.get("label", ""), **terms(form)}
    if "expires" in form:
        wanted["expires"] = None if form["expires"] == "never" else form["expires"]
    shown = await visit.post(f"/keys/{part(visit.name)}/update", wanted)
    said = "The key was changed. It counts from the next call on."
    return visit.done(f"/keys/{part(shown['id'])}", said, notes=await notes_on(visit, shown))


async def rotate(visit: Visit) -> Page:
    """Give a key another secret."""
    grace = visit.form.get("grace", GRACE)
    made = await visit.post(f"/keys/{part(visit.name)}/rotate", {"grace": grace})
    until = made["former_secret_expires_at"]
    former = "No former one is good any more." if until is None else f"The former one stays good until {iso(until)}."
    said = f"This is the new secret of “{made['label']}”, shown only now. {former}"
    return visit.done(f"/keys/{part(made['id'])}", said, made["secret"])


async def set_state(visit: Visit) -> Page:
    """Disable, enable or revoke a key, as the path says."""
    action = visit.request.path.rpartition("/")[2]
    shown = await visit.post(f"/keys/{part(visit.name)}/{action}")
    return visit.done(f"/keys/{part(shown['id'])}", f"The key is {shown['state']} from the next call on.")


async def for_playground(visit: Visit) -> Page:
    """Make a key that the playground calls with: for a few hours, and a dollar. Its label has the microsecond: two may ask at once."""
    label = f"playground {datetime.fromtimestamp(visit.with_.now(), UTC):%Y-%m-%d %H:%M:%S.%f}"
    made = await visit.post("/keys", {"label": label, "expires": PLAYGROUND_EXPIRES, "spend_cap": PLAYGROUND_CAP})
    return visit.done("/playground", "A key for the playground was made: for 8 hours, and a dollar a day.", made["secret"])


def check_numbers(form: dict[str, str]) -> None:
    """Raise ApiError invalid_request for a limit that is no number, in words for whoever typed it."""
    for name in RATES:
        if name in form and not re.fullmatch(r"[0-9]+", form[name]):
            raise ApiError("invalid_request", f"{form[name][:40]!r} is no whole number: write digits alone, such as 1000.", param=name)


def terms(form: dict[str, str]) -> dict[str, object]:
    """Return a key's terms as a form has them: None for each that is empty."""
    cap = form.get("cap")
    models = [name for name in re.split(r"[\s,]+", form.get("models", "")) if name]
    given = {name: form.get(name) for name in RATES}
    limits = {name: int(text) if text and text.isdecimal() and len(text) < DIGITS_MAX else text for name, text in given.items()}
    return {"spend_cap": None if cap is None else f"{cap}/{form.get('window', 'month')}", "models": models or None, **limits}
