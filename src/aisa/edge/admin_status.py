"""How a server is, and what of it needs attention, as one request and answer in JSON. Gathers nothing: whoever makes the route does.

| request | answer |
|---|---|
| `GET /status` | 200, a `StatusShown` |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import msgspec

from aisa.edge.admin_route import Answering, look
from aisa.edge.admin_views import NOT_REACHED, VendorShown
from aisa.edge.routes import Route
from aisa.edge.statement import left_in_words

ROOM_BYTES_MIN = 64 << 20  # of the disk: below it the next start may fail
ROOM_BYTES_LOW = 1 << 30  # some million calls, at a kilobyte a row
CERTIFICATE_SECONDS_LOW = 14 * 86_400  # before its end; who renews by himself does it a month before
NAMED_MAX = 5  # models in a sentence
JOURNAL_FULL_PART = 2  # the journal has room for calls until the database is back: half of it is to be looked at
SECONDS_PER_DAY = 86_400


class StoreShown(msgspec.Struct, frozen=True):
    """The data folder: `database_bytes` with its log, `copies_bytes` of databases that were kept before an upgrade or a restore.

    `schema` is the database's version, None if there is none. `exposed` says who else may look into the folder, None if nobody may.
    `shared` names the database that several servers share, without its password; None where it is that of the folder. `server` is what
    this one is called there, as the log and other servers name it.
    """

    folder: str
    database_bytes: int
    copies_bytes: int
    disk_free_bytes: int
    schema: str | None
    exposed: str | None = None
    shared: str | None = None
    server: str | None = None


class Attention(msgspec.Struct, frozen=True):
    """Something to be looked at (`warning`) or acted on (`error`), and what to do."""

    level: Literal["warning", "error"]
    what: str
    remedy: str


class StatusShown(msgspec.Struct, frozen=True):
    """A server, or the folder of one that does not run. `why_not_ready` is None while calls are taken; times are UNIX seconds.

    `models` counts the names that the configuration has or that are built in, `models_listed` those beside them that callers can use
    because a vendor lists them; with `any_name` the built-in model answers under every other. `free_models` are all that callers are
    offered without a price, `vendor/model of name` where the name has one as soon as another target answers. `calls_left` are in the
    journals of a server that died, `calls_left_ended` of which had ended. `ledger_away` says that the database does not take the rows of
    calls now, `limits_away` that the store of limits does not answer, or only for moments. `stranded` are the names of the configuration
    that only targets serve which failed lately, and are asked all the same, as there are no others. `versions` are of what it is made of,
    by name.
    """

    running: bool
    versions: dict[str, str]
    store: StoreShown
    url: str | None = None
    process: int | None = None
    workers: int = 0
    started: int | None = None
    why_not_ready: str | None = None
    calls_in_flight: int = 0
    journal_slots: int = 0
    journal_slots_taken: int = 0
    rows_waiting: int = 0
    calls_left: int = 0
    calls_left_ended: int = 0
    ledger_away: bool = False
    limits_away: bool = False
    keys: int = 0
    models: int = 0
    models_listed: int = 0
    any_name: bool = False
    free_models: tuple[str, ...] = ()
    vendors: tuple[VendorShown, ...] = ()
    stranded: tuple[str, ...] = ()
    certificate_ends: int | None = None
    attention: tuple[Attention, ...] = ()


def with_attention(status: StatusShown, now: float, more: Sequence[Attention] = ()) -> StatusShown:
    """Return a status with what of it needs attention at a UNIX second, what must be acted on first."""
    found = [*of_store(status.store), *of_ledger(status), *of_vendors(status.vendors), *of_names(status.stranded)]
    found += [*of_certificate(status.certificate_ends, now), *more]
    found.sort(key=lambda each: each.level != "error")
    return msgspec.structs.replace(status, attention=tuple(found))


def of_store(store: StoreShown) -> Iterator[Attention]:
    """Yield what needs attention of the data folder and its disk."""
    left = f"The disk of {store.folder} has {store.disk_free_bytes >> 20:,} MiB left."
    if store.disk_free_bytes < ROOM_BYTES_MIN:
        yield Attention("error", left, "Free some space: calls are refused when the journal has no room, and the next start may fail.")
    elif store.disk_free_bytes < ROOM_BYTES_LOW:
        yield Attention("warning", left, "Free some space, or move the data folder; a million calls take about 1 GiB.")
    if store.exposed is not None:
        yield Attention("warning", f"{store.exposed.partition('; ')[0].capitalize()}.", f"Close it: chmod 700 {store.folder}")


def of_ledger(status: StatusShown) -> Iterator[Attention]:
    """Yield what needs attention of the way of bills to the database."""
    if status.calls_left:
        yield Attention(
            "warning",
            left_in_words(status.calls_left, status.calls_left_ended),
            "Start the server again before you count on what was used and billed.",
        )
    waiting = f"{status.rows_waiting:,} ended call{' waits' if status.rows_waiting == 1 else 's wait'} in the journal"
    if status.ledger_away:
        yield Attention(
            "error", f"The database does not take the rows of calls; {waiting}.", "The log's `ledger_away` or `store_away` line says why."
        )
    elif status.journal_slots and status.journal_slots_taken * JOURNAL_FULL_PART >= status.journal_slots:
        what = f"The journal is half full: {status.journal_slots_taken:,} of {status.journal_slots:,}; {waiting}."
        yield Attention("warning", what, "If they do not get fewer, the disk is too slow, or ledger.calls_waiting_max too low.")
    if status.limits_away:
        twice = "One that was away twice within a window is taken to be until it decides again."
        why = f"The log's `store_away` line says why, and what counts meanwhile. {twice}"
        yield Attention("error", "The store of limits does not answer.", why)


def of_vendors(vendors: Sequence[VendorShown]) -> Iterator[Attention]:
    """Yield what failed lately. One that refuses our key, or has no credit for us, is to be acted on from its first refusal."""
    for vendor in vendors:
        if vendor.unheard == NOT_REACHED and not any(trouble.seconds and trouble.said for trouble in vendor.troubles):
            what = f"{vendor.name} was not reached since the server began: its list of models could not be asked for."
            yield Attention("warning", what, "See why: aisa config check --online")
        for trouble in vendor.troubles:
            last = f"it is asked last for {trouble.seconds:.0f} s more" if trouble.seconds else "the next call asks it again"
            times = f"{trouble.failures} time{'' if trouble.failures == 1 else 's'} in a row"
            if trouble.must_be_acted_on:
                asked = last if trouble.seconds else f"it has said so {times}"
                yield Attention("error", f"{trouble.target} {trouble.said}; {asked}.", "See what it says: aisa config check --online")
            elif trouble.stands and trouble.said:
                if trouble.seconds or vendor.unheard != NOT_REACHED:  # else it was said above
                    said = trouble.said if trouble.seconds else f"could not be used {times}"
                    yield Attention("warning", f"{trouble.target} {said}; {last}.", "See why: aisa config check --online")
            elif trouble.stands:
                yield Attention("warning", f"{trouble.target} has failed {times}; {last}.", "See what it says: aisa calls --failed")


def of_names(stranded: Sequence[str]) -> Iterator[Attention]:
    """Yield which names callers cannot use while what serves them fails: what whoever is woken wants to know first."""
    if stranded:
        named = ", ".join(f"`{name}`" for name in stranded[:NAMED_MAX]) + (
            f" and {len(stranded) - NAMED_MAX} more" if len(stranded) > NAMED_MAX else ""
        )
        what = f"Calls to {named} may fail meanwhile: nothing else serves {'it' if len(stranded) == 1 else 'them'}."
        yield Attention("warning", what, "Name another target for each under `models`, and: aisa reload")


def of_certificate(ends: int | None, now: float) -> Iterator[Attention]:
    """Yield what needs attention of the certificate that ends at a UNIX second."""
    if ends is None or ends > now + CERTIFICATE_SECONDS_LOW:
        return
    remedy = "Put another one in its place, and: aisa reload"
    if ends <= now:
        yield Attention("error", "The TLS certificate has ended: clients refuse it.", remedy)
    else:
        days = round((ends - now) / SECONDS_PER_DAY)  # as `ago` says it of the same certificate
        soon = f"in {days} day{'' if days == 1 else 's'}" if days else "within hours"
        yield Attention("warning", f"The TLS certificate ends {soon}.", remedy)


def status_route(status: Callable[[], StatusShown]) -> Route[Answering]:
    """Return the route."""
    return look("/status", lambda _asked: (200, status()))
