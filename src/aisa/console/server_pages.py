"""Pages on the server: its vendors, models and prices, what administrators changed, the playground, and how clients are set up."""

from __future__ import annotations

from aisa.console.clients import clients_for
from aisa.console.page import Page
from aisa.console.usage_pages import first_token
from aisa.console.visit import Visit
from aisa.edge.admin_usage import UsageShown
from aisa.ledger.port_usage import DAY_MS, VENDOR

MODELS_MAX = 200  # in one list; more are found by their names
CHANGES = 100  # on one page


async def vendors(visit: Visit) -> Page:
    """Show how the vendors are."""
    shown = (await visit.get("/vendors"))["data"]
    return visit.page("vendors.html", vendors=shown)


async def vendor_sums(visit: Visit) -> Page:
    """Show what came of the last day's calls at each vendor."""
    now = int(visit.with_.now() * 1000)
    path = f"/usage?by={VENDOR}&start_ms={now - DAY_MS}&end_ms={now + 1}"
    groups = (await visit.typed(path, UsageShown)).groups
    rows = [(name or "nobody", used, first_token(used)) for name, used in groups.items()]
    return visit.page("vendor_sums.html", rows=sorted(rows, key=lambda row: -row[1].requests))


async def models(visit: Visit) -> Page:
    """Show the frame of the list of models."""
    return visit.page("models.html")


async def model_rows(visit: Visit) -> Page:
    """Show models with their targets, prices, and where these are from."""
    every = (await visit.get("/models"))["data"]
    query = visit.query.get("q", "").casefold()
    fits = [model for model in every if query in model["name"].casefold()]
    return visit.page("model_rows.html", models=fits[:MODELS_MAX], count_all=len(fits))


async def changes(visit: Visit) -> Page:
    """Show what administrators changed."""
    shown = await visit.get("/changes", limit=CHANGES, after=visit.query.get("after"))
    return visit.page("changes.html", changes=shown["data"], has_more=shown["has_more"])


async def playground(visit: Visit) -> Page:
    """Show the playground."""
    models = (await visit.get("/models"))["data"]
    names = [model["name"] for model in models[:MODELS_MAX]]
    return visit.page("playground.html", models=names, model=names[0] if names else "")


async def setup(visit: Visit) -> Page:
    """Show how clients are set up for this server."""
    models = (await visit.get("/models"))["data"]
    name = models[0]["name"] if models else "MODEL"
    return visit.page("setup.html", clients=clients_for(visit.origin, name))
