"""The admin API's OpenAPI document, made from its routes and the types of its bodies and answers, to agree with them. Answers nothing."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from aisa import __version__
from aisa.edge.admin_accounts import AccountAsked, TierAsked
from aisa.edge.admin_calls import CallEnded, CallsShown
from aisa.edge.admin_keys import KeyAsked, RotationAsked, SecretAsked, TermsAsked
from aisa.edge.admin_reload import Swapped
from aisa.edge.admin_route import PAGE_MAX, PAGED, Answering
from aisa.edge.admin_status import StatusShown
from aisa.edge.admin_teams import TeamAsked, TeamList, TeamMade, TeamStanding, TeamTermsAsked
from aisa.edge.admin_usage import SeriesShown, UsageShown
from aisa.edge.admin_views import ChangesShown, LimitsShown, ModelList, VendorList
from aisa.edge.admin_wallets import AccountList, AdjustAsked, EntryList, MadeAsked, MadeList, TopUpAsked, WalletShown
from aisa.edge.board_view import BoardShown
from aisa.edge.key_shapes import KeyChanged, KeyImported, KeyList, KeyMade, KeyRotated, KeyShown, KeyStanding
from aisa.edge.model_view import ModelShown
from aisa.edge.routes import RouteTable
from aisa.edge.statement import CallFound
from aisa.errors import CODES
from aisa.keys.rules import Account, Team
from aisa.ledger.port_admin import AccountStanding, AuditReport, Booking, WalletPage
from aisa.wire.reply import ErrorAnswer, ErrorFields

OPENAPI = "/openapi.json"
DESCRIPTION = "Keys begin with `sk-aisa-admin-`. Money is in nano-dollars, `_ms` are UNIX milliseconds, other times UNIX seconds."
REFERENCE = "#/components/schemas/{name}"
MADE = frozenset({"POST /keys", "POST /keys/import", "POST /teams", "POST /accounts"})  # whose good answer is 201


class Operation(NamedTuple):
    """What a route does, what it answers, and what its body is, None for none."""

    summary: str
    answer: type[msgspec.Struct]
    body: type[msgspec.Struct] | None = None


#: By method and path.
OPERATIONS: dict[str, Operation] = {
    "GET /keys": Operation("List the keys", KeyList),
    "POST /keys": Operation("Make a key; its secret is in this answer alone", KeyMade, KeyAsked),
    "POST /keys/import": Operation("Take over a key that clients already have", KeyImported, KeyAsked),
    "POST /keys/find": Operation("Find the key that has this text, or had it before", KeyShown, SecretAsked),
    "GET /keys/{name}": Operation("Show a key: its terms, what it has spent and has left, its last use", KeyStanding),
    "POST /keys/{name}/update": Operation("Change a key's terms; null takes one away", KeyChanged, TermsAsked),
    "POST /keys/{name}/rotate": Operation("Give a key another secret; the former stays good for a grace", KeyRotated, RotationAsked),
    "POST /keys/{name}/disable": Operation("Refuse a key until it is enabled", KeyShown),
    "POST /keys/{name}/enable": Operation("Let a disabled key in again", KeyShown),
    "POST /keys/{name}/revoke": Operation("Revoke a key for good", KeyShown),
    "GET /teams": Operation("List the teams: their caps, what they have spent and have left, how many keys", TeamList),
    "GET /teams/{name}": Operation("Show a team, by id or name", TeamStanding),
    "POST /teams": Operation("Make a team, whose keys share a cap", TeamMade, TeamAsked),
    "POST /teams/{name}/update": Operation("Give a team another name or cap; null takes the cap away", Team, TeamTermsAsked),
    "GET /accounts": Operation("List the accounts with their wallets", AccountList),
    "POST /accounts": Operation("Make an account", Account, AccountAsked),
    "POST /accounts/{name}/tier": Operation("Give an account another tier of limits", Account, TierAsked),
    "POST /accounts/{name}/disable": Operation("Refuse every key of an account", Account),
    "POST /accounts/{name}/enable": Operation("Let the keys of a disabled account in again", Account),
    "GET /accounts/{name}/entries": Operation("List the entries of a wallet, the newest first", EntryList),
    "GET /accounts/{name}/statement": Operation(
        "Show a wallet's statement: entries and calls; since_ms, until_ms, limit, after in the query", WalletPage
    ),
    "POST /accounts/{name}/top-up": Operation("Put money into a wallet", Booking, TopUpAsked),
    "POST /accounts/{name}/adjust": Operation("Correct a wallet", Booking, AdjustAsked),
    "POST /accounts/{name}/unlimit": Operation("Make an account unlimited", AccountStanding),
    "GET /wallets": Operation("List the wallets: the accounts with what is in them", AccountList),
    "GET /wallets/{name}": Operation("Show the wallet of an account, with its entries", WalletShown),
    "GET /wallets/{name}/entries": Operation("List the entries of a wallet, the newest first", EntryList),
    "GET /wallets/{name}/statement": Operation(
        "Show a wallet's statement: entries and calls; since_ms, until_ms, limit, after in the query", WalletPage
    ),
    "POST /wallets/{name}/top-up": Operation("Put money into a wallet", Booking, TopUpAsked),
    "POST /wallets/{name}/adjust": Operation("Correct a wallet", Booking, AdjustAsked),
    "POST /wallets/{name}/unlimit": Operation("Make an account unlimited", AccountStanding),
    "POST /ledger/audit": Operation("Add up the whole ledger and say what does not fit", AuditReport),
    "POST /ledger/made": Operation("Add up what a vendor made of each model in each day", MadeList, MadeAsked),
    "GET /usage": Operation("Sum up ended calls: by, start_ms and end_ms in the query", UsageShown),
    "GET /usage/series": Operation("The same sums day by day", SeriesShown),
    "POST /calls/{name}/end": Operation("End a call that runs; what has arrived of it is billed", CallEnded),
    "GET /board": Operation("Show the calls that run", BoardShown),
    "GET /calls": Operation("List calls: key, account, model, failed, refused, since_ms, limit, after in the query", CallsShown),
    "GET /calls/{name}": Operation("Show one call", CallFound),
    "GET /models": Operation("List every name that callers can use", ModelList),
    "GET /models/{name}": Operation("Say where a name goes, at what price, and why", ModelShown),
    "GET /vendors": Operation("Show the vendors: connections, lists, failures", VendorList),
    "GET /status": Operation("Show how the server is, and what needs attention", StatusShown),
    "GET /limits": Operation("Show the tiers, and which accounts are in which", LimitsShown),
    "GET /changes": Operation("List what administrators changed, the newest first: limit, after in the query", ChangesShown),
    "POST /reload": Operation("Read the configuration again", Swapped),
}
#: What may be asked for in the query of a question, beside the PAGING of a list; what must be there ends in a star.
LIMIT = {"type": "integer", "minimum": 1, "maximum": PAGE_MAX}
SUMMED = ("by", "start_ms*", "end_ms*", "key", "account")
QUERIES: dict[str, tuple[str, ...]] = {
    "GET /keys": ("standing",),
    "GET /teams": ("account",),
    "GET /teams/{name}": ("account",),
    "GET /accounts/{name}/statement": ("since_ms", "until_ms"),
    "GET /wallets/{name}/statement": ("since_ms", "until_ms"),
    "GET /usage": SUMMED,
    "GET /usage/series": SUMMED,
    "GET /calls": ("key", "account", "model", "failed", "refused", "by_end", "since_ms"),
}


def admin_document(routes: RouteTable[Answering], *, without: str) -> dict[str, object]:
    """Return the document of a table's routes but those whose paths begin with a text."""
    paths: dict[str, dict[str, object]] = {}
    told: list[Operation] = []
    for route in routes.routes:
        if not route.path.startswith(without):
            known = OPERATIONS[f"{route.method} {route.path}"]
            told.append(known)
            paths.setdefault(route.path, {})[route.method.lower()] = described(known, route.path, method=route.method)
    bodies = msgspec.json.schema_components([each.body for each in told if each.body is not None], ref_template=REFERENCE)[1]
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
            "schemas": {**bodies, **answer_schemas(each.answer for each in told)},
        },
    }


def described(known: Operation, path: str, *, method: str) -> dict[str, object]:
    """Return one operation."""
    named = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in re.findall(r"\{(\w+)\}", path)]
    asked = (*QUERIES.get(f"{method} {path}", ()), *(PAGED if is_list(method, path) else ()))
    query = [
        {
            "name": name.rstrip("*"),
            "in": "query",
            "required": name.endswith("*"),
            "schema": LIMIT if name == "limit" else {"type": "integer" if "ms" in name else "string"},
        }
        for name in asked
    ]
    good = "201" if f"{method} {path}" in MADE else "200"
    responses = {good: json_body("Done", known.answer), "default": json_body("Refused", ErrorAnswer)}
    made: dict[str, object] = {"summary": known.summary, "parameters": [*named, *query], "responses": responses}
    if known.body is not None:
        made["requestBody"] = {"required": True, **json_body("", known.body)}
    return made


def is_list(method: str, path: str) -> bool:
    """Say whether a route answers with a list, which comes in pages."""
    return method == "GET" and "has_more" in OPERATIONS[f"{method} {path}"].answer.__struct_fields__


def json_body(description: str, shape: type[msgspec.Struct]) -> dict[str, object]:
    """Return a body that is JSON of a shape."""
    content = {"application/json": {"schema": {"$ref": REFERENCE.format(name=shape.__name__)}}}
    return {"description": description, "content": content} if description else {"content": content}


def answer_schemas(shapes: Iterable[type[msgspec.Struct]]) -> dict[str, dict[str, object]]:
    """Return the schemas of answers, errors included, by name. In what we send a member with a default is there too.

    Only a member that can be unset may be absent, and any of a type that leaves out what has its default.
    """
    kinds: list[type[msgspec.Struct]] = [*shapes, ErrorAnswer]
    schemas: dict[str, dict[str, Any]] = msgspec.json.schema_components(kinds, ref_template=REFERENCE)[1]
    for shape in structs_in(kinds):
        schema = schemas[shape.__name__]
        fields = msgspec.structs.fields(shape)
        there = [field.encode_name for field in fields if field.required or not may_lack(shape, field)]
        schema["required"] = there
        schema["description"] = inspect.getdoc(shape)
        for member in schema["properties"].values():
            member.pop("default", None)
    schemas[ErrorFields.__name__]["properties"]["code"] = {"enum": sorted(CODES)}
    return schemas


def may_lack(shape: type[msgspec.Struct], field: msgspec.structs.FieldInfo) -> bool:
    """Say whether an answer of a type may be without a member that has a default."""
    return shape.__struct_config__.omit_defaults or field.default is msgspec.UNSET


def structs_in(shapes: Iterable[type[msgspec.Struct]]) -> set[type[msgspec.Struct]]:
    """Return these types and all that their members are of."""
    found: set[type[msgspec.Struct]] = set()
    waiting: list[object] = [*msgspec.inspect.multi_type_info(shapes)]
    while waiting:
        kind = waiting.pop()
        if isinstance(kind, msgspec.inspect.StructType):
            if kind.cls in found:
                continue
            found.add(kind.cls)
            waiting += [field.type for field in kind.fields]
        for part in ("type", "item_type", "key_type", "value_type"):
            waiting += [getattr(kind, part)] if hasattr(kind, part) else []
        waiting += [*getattr(kind, "item_types", ()), *getattr(kind, "types", ())]
    return found
