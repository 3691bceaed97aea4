"""The admin API's OpenAPI document, made from the table of its routes, so that it cannot disagree with it. Answers nothing."""

from __future__ import annotations

import re

import msgspec

from aisa import __version__
from aisa.edge.admin_accounts import AccountAsked, TierAsked
from aisa.edge.admin_keys import KeyAsked, RotationAsked, SecretAsked, TermsAsked
from aisa.edge.admin_route import PAGED, Answering
from aisa.edge.admin_teams import TeamAsked, TeamTermsAsked
from aisa.edge.admin_wallets import AdjustAsked, MadeAsked, TopUpAsked
from aisa.edge.routes import RouteTable

OPENAPI = "/openapi.json"
DESCRIPTION = "Keys begin with `sk-aisa-admin-`. Money is in nano-dollars, `_ms` are UNIX milliseconds, other times UNIX seconds."
#: Method and path -> what it does, and what its body is.
OPERATIONS: dict[str, tuple[str, type[msgspec.Struct] | None]] = {
    "GET /keys": ("List the keys", None),
    "POST /keys": ("Make a key; its secret is in this answer alone", KeyAsked),
    "POST /keys/import": ("Take over a key that clients already have", KeyAsked),
    "POST /keys/find": ("Find the key that has this text, or had it before", SecretAsked),
    "GET /keys/{name}": ("Show a key: its terms, what it has spent and has left, its last use", None),
    "POST /keys/{name}/update": ("Change a key's terms; null takes one away", TermsAsked),
    "POST /keys/{name}/rotate": ("Give a key another secret; the former stays good for a grace", RotationAsked),
    "POST /keys/{name}/disable": ("Refuse a key until it is enabled", None),
    "POST /keys/{name}/enable": ("Let a disabled key in again", None),
    "POST /keys/{name}/revoke": ("Revoke a key for good", None),
    "GET /teams": ("List the teams: their caps, what they have spent and have left, how many keys", None),
    "GET /teams/{name}": ("Show a team, by id or name", None),
    "POST /teams": ("Make a team, whose keys share a cap", TeamAsked),
    "POST /teams/{name}/update": ("Give a team another name or cap; null takes the cap away", TeamTermsAsked),
    "GET /accounts": ("List the accounts with their wallets", None),
    "POST /accounts": ("Make an account", AccountAsked),
    "POST /accounts/{name}/tier": ("Give an account another tier of limits", TierAsked),
    "POST /accounts/{name}/disable": ("Refuse every key of an account", None),
    "POST /accounts/{name}/enable": ("Let the keys of a disabled account in again", None),
    "GET /accounts/{name}/entries": ("List the entries of a wallet, the newest first", None),
    "GET /accounts/{name}/statement": ("Show a wallet's statement: entries and calls; since_ms, until_ms, limit, after in the query", None),
    "POST /accounts/{name}/top-up": ("Put money into a wallet", TopUpAsked),
    "POST /accounts/{name}/adjust": ("Correct a wallet", AdjustAsked),
    "POST /accounts/{name}/unlimit": ("Make an account unlimited", None),
    "POST /ledger/audit": ("Add up the whole ledger and say what does not fit", None),
    "POST /ledger/made": ("Add up what a vendor made of each model in each day", MadeAsked),
    "GET /usage": ("Sum up ended calls: by, start_ms and end_ms in the query", None),
    "GET /usage/series": ("The same sums day by day", None),
    "POST /calls/{name}/end": ("End a call that runs; what has arrived of it is billed", None),
    "GET /board": ("Show the calls that run", None),
    "GET /calls": ("List calls: key, account, model, failed, refused, since_ms, limit, after in the query", None),
    "GET /calls/{name}": ("Show one call", None),
    "GET /models": ("List every name that callers can use", None),
    "GET /models/{name}": ("Say where a name goes, at what price, and why", None),
    "GET /vendors": ("Show the vendors: connections, lists, failures", None),
    "GET /status": ("Show how the server is, and what needs attention", None),
    "GET /limits": ("Show the tiers, and which accounts are in which", None),
    "GET /changes": ("List what administrators changed, the newest first: limit, after in the query", None),
    "POST /reload": ("Read the configuration again", None),
}
#: What may be asked for in the query of a question, beside `limit` and `after` of its list; what must be there ends in a star.
SUMMED = ("by", "start_ms*", "end_ms*", "key", "account")
QUERIES: dict[str, tuple[str, ...]] = {
    "GET /keys": ("standing",),
    "GET /teams": ("account",),
    "GET /teams/{name}": ("account",),
    "GET /accounts/{name}/statement": ("since_ms", "until_ms"),
    "GET /usage": SUMMED,
    "GET /usage/series": SUMMED,
    "GET /calls": ("key", "account", "model", "failed", "refused", "by_end", "since_ms"),
}


def admin_document(routes: RouteTable[Answering], *, without: str) -> dict[str, object]:
    """Return the document of a table's routes but those whose paths begin with a text."""
    paths: dict[str, dict[str, object]] = {}
    bodies: list[type[msgspec.Struct]] = []
    for route in routes.routes:
        if not route.path.startswith(without):
            summary, body = OPERATIONS[f"{route.method} {route.path}"]
            bodies += [body] if body is not None else []
            paths.setdefault(route.path, {})[route.method.lower()] = operation(route.path, summary, body, method=route.method)
    schemas = msgspec.json.schema_components(bodies, ref_template="#/components/schemas/{name}")[1]
    error = {"type": "object", "properties": {"error": {"type": "object"}}, "required": ["error"]}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "aisa admin API",
            "version": __version__,
            "description": DESCRIPTION,
        },
        "servers": [{"url": "/admin/v1"}],
        "security": [{"admin_key": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"admin_key": {"type": "http", "scheme": "bearer"}},
            "schemas": {**schemas, "Error": error},
        },
    }


def operation(path: str, summary: str, body: type[msgspec.Struct] | None, *, method: str) -> dict[str, object]:
    """Return one operation."""
    named = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in re.findall(r"\{(\w+)\}", path)]
    asked = (*QUERIES.get(f"{method} {path}", ()), *PAGED) if method == "GET" else ()
    query = [
        {
            "name": name.rstrip("*"),
            "in": "query",
            "required": name.endswith("*"),
            "schema": {"type": "integer" if "ms" in name else "string"},
        }
        for name in asked
    ]
    error = {"description": "Refused", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
    done = {"description": "Done", "content": {"application/json": {"schema": {"type": "object"}}}}
    made: dict[str, object] = {"summary": summary, "parameters": [*named, *query], "responses": {"2XX": done, "default": error}}
    if body is not None:
        schema = {"$ref": f"#/components/schemas/{body.__name__}"}
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return made
