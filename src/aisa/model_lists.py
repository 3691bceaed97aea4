"""Asks vendors for the lists of their models, apart from any call, and has the routes know them. Keeps them for the next start.

A list is asked for at the start, then every hour, and sooner after a failure; what is not in it may still be called as `vendor/model`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path

import msgspec

from aisa.clock import WallClock
from aisa.config.schema import Config
from aisa.endless import begun_again
from aisa.errors import UpstreamFailed
from aisa.facts import Fact, ServerNotice
from aisa.known_models import Known
from aisa.providers.listed_models import Listing
from aisa.providers.port import Upstream, UpstreamRequest
from aisa.vendor_targets import has_list, vendor_target

FILE_NAME = "models.json"  # in the data folder: what each vendor listed last
REFRESH_SECONDS = 3_600.0  # new models come by the week
RETRY_SECONDS = 60.0  # after a failure; doubled with each further one, up to REFRESH_SECONDS
ANSWER_SECONDS_MAX = 15.0  # for a list with all its pages, connecting included; real ones come in one or two
AWAITED_SECONDS_MAX = 3.0  # for which an unknown name is "ask again" instead of "not here", while a first list is on its way
BODY_BYTES_MAX = 4_194_304  # of a page of a list: the longest real ones have half a megabyte


class Kept(msgspec.Struct):
    """The list of one vendor as it is kept: it counts only while the vendor is at that address. `at` is a UNIX second."""

    base_url: str
    at: int
    names: tuple[str, ...]


class ModelLists:
    """The lists of the vendors of a server. `learned` is called with what is known, whenever that has changed.

    `folder` is where they are kept: losing the file costs nothing but a second after the next start.
    """

    def __init__(self, folder: Path, wall_clock: WallClock, report: Callable[[Fact], None]) -> None:
        self._path = folder / FILE_NAME
        self._wall_clock = wall_clock
        self._report = report
        self._kept = read_kept(self._path)
        self._awaited: set[str] = set()
        self._unheard: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._learned: Callable[[Known], Awaitable[None]] | None = None

    def known(self, config: Config) -> Known:
        """Return what is known of a configuration's vendors."""
        return Known(lists=lists_of(self._kept, config), awaited=frozenset(self._awaited))

    def names_of(self, vendor: str) -> tuple[str, ...] | None:
        """Return what a vendor listed last, None if it has not said."""
        kept = self._kept.get(vendor)
        return None if kept is None else kept.names

    def went_unheard(self, vendor: str) -> bool:
        """Say whether a vendor was asked for its list, and could not be asked the last time."""
        return vendor in self._unheard

    def follow(self, config: Config, upstreams: Mapping[str, Upstream], learned: Callable[[Known], Awaitable[None]]) -> None:
        """Ask the vendors of a configuration from now on, instead of those before, and tell `learned` what is new."""
        self.stop()
        self._learned = learned
        asked = [name for name, vendor in config.vendors.items() if has_list(name, vendor)]
        lists = self.known(config).lists
        self._awaited = {name for name in asked if name not in lists}
        self._tasks = [asyncio.create_task(begun_again(partial(self._follow, config, name, upstreams[name]))) for name in asked]
        if self._awaited:
            self._tasks.append(asyncio.create_task(self._give_up(config)))

    def stop(self) -> None:
        """Ask nobody any more."""
        for task in self._tasks:
            task.cancel()
        self._tasks = []

    async def _follow(self, config: Config, name: str, upstream: Upstream) -> None:
        failures, first = 0, True
        while True:
            names, whole = await self._ask(config, name, upstream)
            failures = 0 if whole else failures + 1
            fresh = names is not None and self.known(config).lists.get(name) != names
            if names is not None and fresh:
                self._kept[name] = Kept(config.vendors[name].base_url, int(self._wall_clock()), names)
                await asyncio.to_thread(write_kept, self._path, dict(self._kept))
                self._report(ServerNotice(f"vendor {name} lists {len(names)} models"))
            self._awaited.discard(name)
            if first or fresh:
                first = False
                await self._tell(config)
            await asyncio.sleep(REFRESH_SECONDS if not failures else min(REFRESH_SECONDS, RETRY_SECONDS * 2 ** min(failures - 1, 10)))

    async def _give_up(self, config: Config) -> None:
        await asyncio.sleep(AWAITED_SECONDS_MAX)
        if self._awaited:
            self._awaited.clear()
            await self._tell(config)

    async def _tell(self, config: Config) -> None:
        if self._learned is not None:
            await self._learned(self.known(config))

    async def _ask(self, config: Config, name: str, upstream: Upstream) -> tuple[tuple[str, ...] | None, bool]:
        """Return what a vendor lists, and whether that is all. A list that breaks off counts only where none is known."""
        target = vendor_target(name, config)
        listing = Listing(target.dialect, target.headers)
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                while (request := listing.request) is not None:
                    listing.take(*await hear(upstream, request))
        except (UpstreamFailed, TimeoutError):
            self._unheard.add(name)  # what it is that keeps us away, its calls will tell
        else:
            self._unheard.discard(name)
        whole = listing.names is not None and not listing.broken and listing.request is None
        counts = listing.names is not None and (whole or name not in self.known(config).lists)
        return tuple(listing.names) if listing.names is not None and counts else None, whole


async def hear(upstream: Upstream, request: UpstreamRequest) -> tuple[int, bytes]:
    """Return the status and the body of a page. Raises UpstreamFailed."""
    answer = await upstream.ask(request)
    try:
        body = b""
        while len(body) < BODY_BYTES_MAX and (data := await answer.read()):
            body += data
        return answer.status, body
    finally:
        answer.close()


def kept_lists(folder: Path, config: Config) -> Mapping[str, tuple[str, ...]]:
    """Return the lists that a data folder has of a configuration's vendors."""
    return lists_of(read_kept(folder / FILE_NAME), config)


def lists_of(kept: Mapping[str, Kept], config: Config) -> Mapping[str, tuple[str, ...]]:
    """Return those of some lists that count for a configuration."""
    return {
        name: kept[name].names
        for name, vendor in config.vendors.items()
        if vendor.list_models and name in kept and kept[name].base_url == vendor.base_url
    }


def read_kept(path: Path) -> dict[str, Kept]:
    """Return what was kept; nothing if that cannot be read, as it will be asked for again."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Kept])
    except (OSError, msgspec.MsgspecError):
        return {}


def write_kept(path: Path, kept: Mapping[str, Kept]) -> None:
    """Keep the lists: the file has the old ones or the new, whenever the process dies. A full disk keeps the old ones."""
    fresh = path.with_name(f"{path.name}.new")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(kept))
        os.replace(fresh, path)
    except OSError:
        fresh.unlink(missing_ok=True)
