"""The statements on the table of what targets' complete answers came to, of which it is learned how to count. Opens no transaction."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, delete, func, insert, select

from aisa.providers.counting import MEASURES_MAX
from aisa.providers.measure import Answer
from aisa.storage.tables import learned_answers

decode = msgspec.json.Decoder(list[Answer]).decode


def keep_answers(connection: Connection, target: str, answers: Sequence[Answer], *, server: str | None = None) -> None:
    """Write what is known of a target, as `vendor/model`, in the place of what was; of several servers, `server` has learned it."""
    connection.execute(delete(learned_answers).where(learned_answers.c.target == target))
    newest = connection.execute(select(func.max(learned_answers.c.place))).scalar_one() or 0
    known = msgspec.json.encode(answers).decode()
    values = {"answers": known, "number": len(answers), "place": newest + 1, "server": server}
    connection.execute(insert(learned_answers).values(target=target, **values))


def known_answers(connection: Connection) -> dict[str, list[Answer]]:
    """Return what is known of each target, of the MEASURES_MAX of which something was learned last."""
    newest = select(learned_answers.c.target, learned_answers.c.answers).order_by(learned_answers.c.place.desc()).limit(MEASURES_MAX)
    return {target: decode(answers) for target, answers in connection.execute(newest)}


def answers_since(connection: Connection, place: int, server: str) -> tuple[int, dict[str, list[Answer]]]:
    """Return the newest place, and what other servers have learned of targets behind a place."""
    newest = connection.execute(select(func.max(learned_answers.c.place))).scalar_one() or 0
    theirs = (learned_answers.c.place > place) & (learned_answers.c.server != server)
    found = connection.execute(select(learned_answers.c.target, learned_answers.c.answers).where(theirs))
    return newest, {target: decode(answers) for target, answers in found}


def forget_old_answers(connection: Connection) -> None:
    """Delete what `known_answers` leaves out."""
    newest = select(learned_answers.c.target).order_by(learned_answers.c.place.desc()).limit(MEASURES_MAX)
    kept = [target for (target,) in connection.execute(newest)]
    if len(kept) == MEASURES_MAX:
        connection.execute(delete(learned_answers).where(learned_answers.c.target.not_in(kept)))
