"""The statements on Idempotency-Keys that several servers share: who was first with one, and what was answered. Opens no transaction.

A key is claimed by a row that only one can insert. What became of its call the ledger says, in the same database: so nothing here has to be
right for a call to be billed once. Run without the writers' lock, in the order of the keys, so that no two of them wait for each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, null, select, update
from sqlalchemy.dialects.postgresql import insert

from aisa.ledger.allotments import NOW
from aisa.ledger.rules import COMPLETED
from aisa.storage.tables import calls, servers
from aisa.storage.tables import idempotency_uses as uses

GONE_SECONDS = 3_600  # without a word of a server, after which a call that it had claimed and never ended may be made anew
TOLD_SECONDS_MAX = 10  # after a call's end, in which its server may yet bring what was answered
REMEMBERED_SECONDS = 86_400  # after a call's end, as the ledger tells it
KEPT_SECONDS = 2 * REMEMBERED_SECONDS  # after a claim: no call takes a day
ANSWERS_BYTES_MAX = 256 << 20  # of all that are kept: the oldest go


class Claim(NamedTuple):
    """A call that would be the first with its key: `mark` is what stands for key and owner, `body` what stands for the request."""

    mark: str
    body: str
    call_id: str


class Used(NamedTuple):
    """The call that was the first. It `runs`, or it is final and billed; `answer` is what it was answered, None for what is not kept."""

    call_id: str
    body: str
    runs: bool
    stream: bool = False
    content_type: str = ""
    answer: bytes | None = None


class End(NamedTuple):
    """How a claim ended: `billed` with what is kept of its answer, or not, and then nobody claims its key any more."""

    mark: str
    call_id: str
    billed: bool
    content_type: str | None = None
    answer: bytes | None = None


def claim(connection: Connection, server: str, claims: Sequence[Claim]) -> dict[str, Used | None]:
    """Claim keys for calls of a server, and return by mark who was first: None for whose claim it is now."""
    made = [{**each._asdict(), "server": server, "claimed_at": NOW, "told": False} for each in sorted(claims)]
    fresh = insert(uses).on_conflict_do_nothing().returning(uses.c.mark)
    ours = {mark for each in made for (mark,) in connection.execute(fresh.values(each))}
    found: dict[str, Used | None] = dict.fromkeys(ours)
    for each in sorted(claims):
        if each.mark not in ours:
            found[each.mark] = first_with(connection, server, each)
    return found


def first_with(connection: Connection, server: str, wanted: Claim) -> Used | None:
    """Return who was first with a key that is claimed, None if that came to nothing and the key is claimed anew."""
    c = calls.c
    billed = (c.outcome == COMPLETED) | (c.billed_input_tokens + c.billed_output_tokens > 0)
    joined = uses.outerjoin(calls, c.id == uses.c.call_id).outerjoin(servers, servers.c.server == uses.c.server)
    columns = (uses, c.id.label("ended"), c.ended_ms, c.stream, billed.label("billed"), servers.c.seen_at, NOW.label("now"))
    known = connection.execute(select(*columns).select_from(joined).where(uses.c.mark == wanted.mark)).first()
    if known is None:  # it was forgotten in between: whoever asks again finds it free
        return Used(wanted.call_id, wanted.body, runs=True)
    if known.ended is None:
        lost = known.server == server or (known.seen_at or 0) < known.now - GONE_SECONDS
        lost = lost or known.claimed_at < known.now - REMEMBERED_SECONDS  # no call takes a day: the ledger does not keep its row any more
    else:
        lost = not known.billed or known.ended_ms // 1000 < known.now - REMEMBERED_SECONDS
    if lost:
        mine = {"call_id": wanted.call_id, "body": wanted.body, "server": server, "claimed_at": NOW, "told": False}
        theirs = (uses.c.mark == wanted.mark) & (uses.c.call_id == known.call_id)
        taken = connection.execute(update(uses).where(theirs).values(**mine, content_type=null(), answer=null()))
        return None if taken.rowcount else Used(wanted.call_id, wanted.body, runs=True)
    runs = known.ended is None or not (known.told or known.stream or known.ended_ms // 1000 < known.now - TOLD_SECONDS_MAX)
    return Used(known.call_id, known.body, runs, bool(known.stream), known.content_type or "", known.answer)


def end(connection: Connection, ends: Sequence[End]) -> None:
    """Note how claims ended. Again does no harm."""
    for each in sorted(ends, key=lambda each: each.mark):
        ours = (uses.c.mark == each.mark) & (uses.c.call_id == each.call_id)
        if each.billed:
            connection.execute(update(uses).where(ours).values(told=True, content_type=each.content_type, answer=each.answer))
        else:
            connection.execute(delete(uses).where(ours))


def forget_old(connection: Connection, answers_bytes_max: int = ANSWERS_BYTES_MAX) -> None:
    """Delete keys that do not count any more, and the oldest answers beyond so many bytes."""
    connection.execute(delete(uses).where(uses.c.claimed_at < NOW - KEPT_SECONDS))
    size = func.octet_length(uses.c.answer)
    newest = func.sum(size).over(order_by=(uses.c.claimed_at.desc(), uses.c.mark)).label("size")
    kept = select(uses.c.mark, newest).where(uses.c.answer.is_not(None)).subquery()
    beyond = select(kept.c.mark).where(kept.c.size > answers_bytes_max)
    connection.execute(update(uses).where(uses.c.mark.in_(beyond)).values(content_type=null(), answer=null()))
