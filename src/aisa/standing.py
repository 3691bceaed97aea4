"""How a server stands, gathered from its parts: data folder, disk, certificate, versions, calls, vendors. Changes nothing."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from aisa import __version__
from aisa.clock import wall_clock
from aisa.config.schema import Config
from aisa.edge.admin import Admin
from aisa.edge.admin_status import StatusShown, StoreShown, with_attention
from aisa.edge.admin_views import VendorShown
from aisa.edge.board_view import BoardShown
from aisa.edge.free_models import free_models
from aisa.http.certificate import end_of
from aisa.ledger.left_behind import ended_behind, left_behind
from aisa.routing import Routes
from aisa.storage.ballast import free_bytes
from aisa.storage.engine import DATABASE_NAME, schema_of
from aisa.storage.lock import SERVER_ID_NAME, exposure
from aisa.storage.tables import HEAD

PEM_BYTES_MAX = 65_536  # of a certificate file that are looked at; a long chain has 10,000


class Standing:
    """Says how one server stands. `admin` is asked where it listens; the callables return what is so now, in any thread.

    `shared` names the database that it shares with others, None if it has its own.
    """

    admin: Admin

    def __init__(
        self,
        config: Config,
        *,
        board: Callable[[], BoardShown],
        vendors: Callable[[], list[VendorShown]],
        routes: Callable[[], Routes],
        is_away: Callable[[], bool],
        keys_count: Callable[[], int],
        shared: str | None,
    ) -> None:
        self._config = config
        self._board = board
        self._vendors = vendors
        self._routes = routes
        self._is_away = is_away
        self._keys_count = keys_count
        self._shared = shared
        self._started = int(wall_clock())

    def __call__(self) -> StatusShown:
        """Return how it stands. Raises ApiError overloaded when the event loop is stuck."""
        config, board, admin, routes, vendors = self._config, self._board(), self.admin, self._routes(), tuple(self._vendors())
        shown = StatusShown(
            running=True,
            versions=versions(),
            store=msgspec.structs.replace(store_shown(config.server.data_dir, HEAD), shared=self._shared),
            url=admin.url,
            process=os.getpid(),
            workers=config.server.workers,
            started=self._started,
            why_not_ready=admin.why_not_ready(),
            calls_in_flight=board.calls_count,
            journal_slots=config.ledger.calls_waiting_max * config.server.workers,
            journal_slots_taken=board.slots_taken,
            rows_waiting=board.rows_waiting,
            ledger_away=self._is_away(),
            limits_away=board.limits_away,
            keys=self._keys_count(),
            models=len(routes.names()),
            models_listed=len(routes.offered),
            any_name=routes.any_name,
            free_models=free_models(routes),
            vendors=vendors,
            stranded=stranded(routes, vendors),
            certificate_ends=None if config.tls is None else certificate_end(config.tls.cert),
        )
        return with_attention(shown, wall_clock(), admin.attention())


def stranded(routes: Routes, vendors: Sequence[VendorShown]) -> tuple[str, ...]:
    """Return the names of the configuration that only targets serve which have failed again and again, and not completed a call since."""
    failing = {each.target for vendor in vendors for each in vendor.troubles if each.stands}
    found: list[str] = []
    for name in routes.names():
        entry = routes.find(name)
        asked = [offer for offer in entry.offers if offer not in entry.unpriced]
        if asked and all(offer.name in failing or offer.target.vendor in failing for offer in asked):
            found.append(name)
    return tuple(found)


def versions() -> dict[str, str]:
    """Return what this program is and runs on."""
    return {"aisa": __version__, "python": platform.python_version(), "sqlite": sqlite3.sqlite_version}


def store_shown(data_dir: str, schema: str | None) -> StoreShown:
    """Return how a data folder is, with a database of this version. Of one that is gone, the disk is that of its nearest parent."""
    folder = Path(data_dir)
    is_there, whole = folder.is_dir(), folder.absolute()
    on_disk = whole if is_there else next(path for path in whole.parents if path.is_dir())
    sizes: dict[bool, int] = {True: 0, False: 0}
    for path in folder.glob(f"{DATABASE_NAME}*"):
        is_copy = ".before-restore-" in path.name or ".schema-" in path.name
        sizes[is_copy] += path.stat().st_size
    exposed = exposure(data_dir) if is_there else None
    return StoreShown(str(whole), sizes[False], sizes[True], free_bytes(on_disk), schema, exposed, server=known_server_id(folder))


def known_server_id(folder: Path) -> str | None:
    """Return what the server of a folder is called in a database that it shares; None if it has never been on one, or may not be read."""
    try:
        return (folder / SERVER_ID_NAME).read_bytes().hex()
    except OSError:
        return None


def standing_still(data_dir: str) -> StatusShown:
    """Return how the folder of a server is that does not run, which has a database. Raises StorageFailed if that cannot be read."""
    store = store_shown(data_dir, schema_of(data_dir))
    found = StatusShown(
        running=False,
        versions=versions(),
        store=store,
        calls_left=left_behind(Path(data_dir)),
        calls_left_ended=ended_behind(Path(data_dir)),
    )
    return with_attention(found, wall_clock())


def certificate_end(path: str) -> int | None:
    """Return the UNIX second at which a certificate ends, None if its file cannot be read or understood."""
    try:
        with Path(path).open("rb") as file:
            return end_of(file.read(PEM_BYTES_MAX))
    except (OSError, ValueError, IndexError):
        return None
