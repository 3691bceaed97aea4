"""A whole document in its vendor's own bytes, but for the name of its model, its cost, and what is changed besides. Knows no protocol."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from aisa.wire.model_name import Renaming
from aisa.wire.trees import Tree

FIELDS = msgspec.json.Decoder(dict[str, Raw])
USAGE, USAGE_BEGIN = b'"usage"', b'"usage":'


def passed(body: bytes, given: str, shown: str, *, cost_usd: str | None, changed: Tree | None = None) -> bytes:
    """Return a document as it may leave: the model under the name to be shown for the one given, and the cost in its usage.

    `body` is a JSON object with both members, whose usage holds numbers, objects of numbers and words. `changed` are other members, to be
    put in place of those that there are.
    """
    if not changed:
        told: bytes | None = body if given == shown else Renaming(given, shown).renamed(body)
        if told is not None and cost_usd is not None:
            told = with_cost_in(told, cost_usd)
        if told is not None:
            return told
    fields = FIELDS.decode(body)
    members: Tree = {**fields, **(changed or {}), "model": shown}
    if cost_usd is not None:
        members["usage"] = {**FIELDS.decode(fields["usage"]), "cost": Raw(cost_usd.encode())}
    return msgspec.json.encode(members)


def with_cost_in(body: bytes, cost_usd: str) -> bytes | None:
    """Return a document with its cost behind the other members of its usage; None where that cannot be done on the bytes.

    Inside a string the quotation marks would be escaped, so what is found once is the member itself.
    """
    begin = body.find(USAGE)
    if not body.startswith(USAGE_BEGIN, begin) or body.find(USAGE, begin + 1) >= 0:
        return None
    end = body.find(b"}", begin)
    if body.rfind(b"{", begin, end) != body.find(b"{", begin):
        while body.count(b"{", begin, end) > body.count(b"}", begin, end) + 1:
            end = body.find(b"}", end + 1)
    before = body[:end].rstrip()
    return None if before.endswith(b"{") else b'%b,"cost":%b%b' % (before, cost_usd.encode(), body[end:])
