"""What `aisa status` prints, and its exit status. Asks the server if one runs, else looks at its data folder without changing it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from aisa import __version__
from aisa.admission.rules import VendorLimit
from aisa.cli.control import ask_server
from aisa.cli.data_folder import nobody, settings
from aisa.cli.figures import listed, several, size
from aisa.cli.fitting import facts, fitted
from aisa.cli.free_lines import open_in_words
from aisa.cli.problems import Stop, block
from aisa.cli.terminal import ago, paint, say
from aisa.clock import wall_clock
from aisa.edge.admin_status import Attention, StatusShown
from aisa.edge.admin_views import NOT_REACHED, VendorShown
from aisa.storage.engine import DATABASE_NAME
from aisa.storage.failure import StorageFailed
from aisa.storage.lost import lost_database

WELL, UNWELL = 0, 1
LOOK_SECONDS_MAX = 15.0  # the server's event loop has five, and then says that it is stuck


def show(config: str | None, data_dir: str | None, *, as_json: bool, quiet: bool) -> int:
    """Print how a server is, and return the exit status. Raises Misuse if it cannot be told which, Stop if it does not answer."""
    folder = settings(config, data_dir).server.data_dir
    found = ask_server(folder, "/status", expect=StatusShown, seconds=LOOK_SECONDS_MAX) or still(folder)
    if found.running and found.versions.get("aisa") != __version__:
        what = f"The server is aisa {found.versions.get('aisa')}, this command is {__version__}."
        found = msgspec.structs.replace(found, attention=(*found.attention, Attention("warning", what, "Restart the server.")))
    if as_json:
        say(msgspec.json.format(msgspec.json.encode(found)).decode(), literal=True)
    else:
        if not quiet:
            say(page(found))
        for each in found.attention:
            colour = "red" if each.level == "error" else "yellow"
            say(("" if quiet else "\n") + block((paint("ACT NOW" if each.level == "error" else "look at", colour), each.what, each.remedy)))
    bad = not found.running or found.why_not_ready is not None or any(each.level == "error" for each in found.attention)
    return UNWELL if bad else WELL


def still(folder: str) -> StatusShown:
    """Return how the data folder of a server is that does not run. Raises Stop if there is none or if it cannot be read."""
    from aisa.standing import standing_still

    if not (Path(folder) / DATABASE_NAME).exists():
        raise unfound(folder)
    try:
        found = standing_still(folder)
    except StorageFailed as failure:
        raise Stop("the data cannot be used", [(failure.where, failure.what, failure.remedy)]) from None
    stopped = Attention("error", f"No server runs on {found.store.folder}.", f"Start one: aisa serve --data-dir {folder}")
    return msgspec.structs.replace(found, attention=(stopped, *found.attention))


def unfound(folder: str) -> Stop:
    """Return how a look at a folder without a database ends: there never was one, or it is lost."""
    lost = lost_database(Path(folder) / DATABASE_NAME)
    return nobody(folder) if lost is None else Stop("the data cannot be used", [(lost.where, lost.what, lost.remedy)])


def page(status: StatusShown) -> str:
    """Return everything but what needs attention."""
    parts = [facts([*server_rows(status), *store_rows(status)])]
    if status.vendors:
        heads = ("vendor", "state", "models", "connections", "waiting")
        parts.append(fitted(heads, [vendor_row(vendor) for vendor in status.vendors], least=("models", "waiting", "connections")))
    if limits := [limit_row(limit) for vendor in status.vendors for limit in vendor.limits]:
        parts.append(fitted(("limit of", "used", "waiting"), limits))
    if not status.attention:
        parts.append(paint(well_in_words(status.vendors), "green"))
    return "\n\n".join(parts)


def well_in_words(vendors: Sequence[VendorShown]) -> str:
    """Say that nothing needs attention, and why not what is shown as failed: a target whose rest is over may be well again."""
    failed = sum(bool(vendor.troubles) for vendor in vendors)
    if not failed:
        return "Nothing needs attention."
    return "Nothing needs attention now. What failed lately is asked again by the next call, which tells how it is (aisa calls --failed)."


def server_rows(status: StatusShown) -> list[list[str]]:
    """Return what there is to say of the server."""
    if not status.running:
        return [["server", paint("does not run", "red")], ["version", versions(status)]]
    state = paint("takes calls", "green") if status.why_not_ready is None else paint(status.why_not_ready, "yellow")
    since = "" if status.started is None else f", started {ago(wall_clock() - status.started)}"
    crew = f", {status.workers} workers" if status.workers > 1 else ""
    rows = [["server", f"{state} at {status.url} (process {status.process}{crew}{since})"], ["version", versions(status)]]
    rows.append(["calls", f"{status.calls_in_flight:,} in flight; {several(status.keys, 'key')}"])
    rows.append(["models", models_in_words(status)])
    if status.free_models:
        which = "it" if len(status.free_models) == 1 else "them"
        rows.append(["free", f"{listed(status.free_models)}: no price, so no spend cap and no wallet counts {which}"])
        rows += [["", said] for said in (open_in_words(status.free_models),) if said]
    if status.certificate_ends is not None:
        rows.append(["certificate", f"ends {ago(wall_clock() - status.certificate_ends)}"])
    return rows


def models_in_words(status: StatusShown) -> str:
    """Say how many names callers can use, and where these are from."""
    named = f"{several(status.models, 'name')} set here or built in"
    listed_there = f", and {status.models_listed:,} more that vendors list" if status.models_listed else ""
    every_other = "; the built-in model answers under every other name" if status.any_name else ""
    return f"{named}{listed_there}{every_other}"


def versions(status: StatusShown) -> str:
    """Return the versions in a line."""
    return ", ".join(f"{name} {version}" for name, version in status.versions.items())


def store_rows(status: StatusShown) -> list[list[str]]:
    """Return what there is to say of where things are kept."""
    store = status.store
    copies = f", kept copies {size(store.copies_bytes)}" if store.copies_bytes else ""
    if store.shared is None:
        rows = [["data", f"{store.folder}: database {size(store.database_bytes)} (schema {store.schema or 'none'}){copies}"]]
    else:
        called = f", where this server is called {store.server}" if store.server else ""
        rows = [["database", f"{store.shared} (schema {store.schema or 'none'}){called}"], ["data", f"{store.folder}{copies}"]]
    if status.running:
        state = paint("database away", "red") if status.ledger_away else paint("written", "green")
        slots = f"{status.journal_slots_taken:,} of {status.journal_slots:,} journal slots taken"
        rows.append(
            ["ledger", f"{state}; {several(status.rows_waiting, 'call')} wait{'s' if status.rows_waiting == 1 else ''} for it, {slots}"]
        )
    rows.append(["disk", f"{size(store.disk_free_bytes)} free"])
    return rows


def vendor_row(vendor: VendorShown) -> list[str]:
    """Return the line of a vendor."""
    resting = [trouble for trouble in vendor.troubles if trouble.seconds]
    failing = [trouble for trouble in vendor.troubles if not trouble.seconds]
    of_vendor = next((trouble for trouble in vendor.troubles if trouble.said), None)
    if of_vendor is not None and (of_vendor.seconds or of_vendor.must_be_acted_on):
        state = paint(of_vendor.said, "red" if of_vendor.must_be_acted_on else "yellow")
    elif of_vendor is not None:
        state = paint("not reached lately", "yellow")  # nobody knows how it is now: its rest is over, and the next call tries it
    elif resting:
        state = paint(f"{len(resting)} asked last", "yellow")
    elif failing:
        state = paint(f"{len(failing)} failed lately", "yellow")
    elif vendor.unheard:
        state = paint("not reached", "yellow") if vendor.unheard == NOT_REACHED else "not asked yet"
    else:
        state = paint("well", "green")
    listed = "-" if vendor.models_listed is None else f"{vendor.models_listed:,}"
    waiting = vendor.calls_waiting + max((limit.waiting for limit in vendor.limits), default=0)
    return [vendor.name, state, listed, f"{vendor.connections_in_use} of {vendor.connections_open} in use", f"{waiting}"]


def limit_row(limit: VendorLimit) -> list[str]:
    """Return the line of a vendor's limit: what is used of each kind, and who waits."""
    said = [
        f"{full - left:,} of {full:,} {kind} a minute"
        for kind, full, left in (("calls", limit.rpm, limit.rpm_left), ("tokens", limit.tpm, limit.tpm_left))
        if full is not None and left is not None
    ]
    if limit.concurrency is not None and limit.in_flight is not None:
        said.append(f"{limit.in_flight:,} of {limit.concurrency:,} in flight")
    waiting = (
        paint(f"{limit.waiting:,} wait{'s' if limit.waiting == 1 else ''}, the first for {limit.waited_seconds:.1f} s", "yellow")
        if limit.waiting
        else "nobody waits"
    )
    return [limit.target, "; ".join(said), waiting]
