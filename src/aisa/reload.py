"""Another configuration for a server that runs: read and checked as a whole, then swapped at once. What cannot be swapped is told.

Calls in flight go on as they began; what they ask from now on (another target, the rest of a hold) they ask of what is there then.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, cast

import msgspec

from aisa.administration import Doors
from aisa.admission.memory import MemoryAdmission
from aisa.clock import WallClock, wall_clock
from aisa.config.load import Loaded
from aisa.config.problem import ConfigErrors, Problem
from aisa.config.schema import Config, Vendor
from aisa.context import Dependencies
from aisa.edge.admin_reload import Swapped
from aisa.edge.admin_status import Attention
from aisa.edge.app import Edge
from aisa.errors import ApiError
from aisa.facts import Fact, Reloaded, ReloadRefused, ServerWarning
from aisa.http.pool import HttpUpstream
from aisa.http.server import HttpServer, tls_context
from aisa.known_models import Known
from aisa.model_lists import ModelLists
from aisa.routing import Routes

#: What a process has from its start to its end.
FOR_A_LIFETIME = (
    *("server.host", "server.port", "server.data_dir", "server.proxy_protocol", "server.connections_max", "server.workers"),
    *(
        "server.unfinished_bodies_bytes_max",
        "embedded.tokens_per_second",
        "log.format",
        "log.level",
        "ledger.durability",
        "admin.listen",
        "console",
        "metrics.listen",
        "stores.database",
        "stores.limits",
        "stores.limits_down",
        "identity",
        "telemetry",
        "ledger.calls_waiting_max",
    ),
)


class Prepared(NamedTuple):
    """A configuration that was found good, and what was made of it. `files` is what `certificate_in` has returned of it.

    `variables` are those of the environment that it was made from.
    """

    config: Config
    routes: Routes
    tls: ssl.SSLContext | None
    files: Mapping[str, bytes]
    variables: tuple[str, ...] = ()


class Parts(msgspec.Struct):
    """What of a running server follows from its configuration. `retired` are pools that calls in flight may still have.

    A worker, whose office is administered and follows the vendors' lists, has no `doors` and no `lists`.
    """

    dependencies: Dependencies
    edge: Edge
    doors: Doors | None
    server: HttpServer
    pools: dict[str, HttpUpstream]
    lists: ModelLists | None
    open_pool: Callable[[str, Vendor], HttpUpstream]
    retired: list[HttpUpstream] = []

    async def learn_models(self, known: Known) -> None:
        """Route by what is known of vendors' models from now on. They are made in a thread, and anew if swapped meanwhile."""
        made_of = routes = None
        while made_of is not self.dependencies.routes or routes is None:
            made_of = self.dependencies.routes
            routes = await asyncio.to_thread(made_of.knowing, known)
        self.dependencies.routes = routes

    async def swap(self, prepared: Prepared, old: Config) -> int:
        """Let another configuration count from now on, at once. Returns 0: there is nobody else to be told."""
        config, dependencies = prepared.config, self.dependencies
        gone = [name for name, vendor in old.vendors.items() if config.vendors.get(name) != vendor]
        fresh = {name: self.open_pool(name, vendor) for name, vendor in config.vendors.items() if name in gone or name not in self.pools}
        self.retired += [self.pools.pop(name) for name in gone]
        self.pools.update(fresh)
        dependencies.health.forget(gone)
        dependencies.upstreams = {**dependencies.upstreams, **self.pools}  # a call in flight may yet ask a vendor that is gone
        self.retired = [pool for pool in self.retired if pool.statistics().open or pool in dependencies.upstreams.values()]
        dependencies.routes = prepared.routes
        dependencies.stream = config.stream
        dependencies.large_events.bytes_max = config.stream.large_events_bytes_max
        bill_on = [name for name, vendor in config.vendors.items() if vendor.on_disconnect == "drain"]
        dependencies.background_reads.configure(bill_on, reads_max=config.ledger.drains_max, seconds_max=config.ledger.drain_seconds)
        admission = dependencies.admission
        assert isinstance(admission, MemoryAdmission), "it is what a server has"
        admission.configure(config.limits)
        self.edge.configure(config)
        if self.doors is not None:
            self.doors.configure(config)
        kept = {name: getattr(self.server.settings, name) for name in KEPT_OF_SERVER}  # as it has them, not as they were once written
        self.server.configure(msgspec.structs.replace(config.server, **kept), prepared.tls)
        if self.lists is not None:
            self.lists.follow(config, self.pools, self.learn_models)
        return 0


class Reload:
    """Reloads a server, one time after another: reads and checks what is written now, and has it swapped; or tells why not.

    `again` reads and checks the configuration as the start did, `routes_of` makes its routes, both in a thread. `swap` is given the outcome
    and what counted before, and returns how many workers do not have it yet.
    """

    def __init__(
        self,
        config: Config,
        report: Callable[[Fact], None],
        *,
        again: Callable[[], Loaded],
        routes_of: Callable[[Config], Routes],
        swap: Callable[[Prepared, Config], Awaitable[int]],
        now: WallClock = wall_clock,
    ) -> None:
        self.config = config
        self._report = report
        self._again = again
        self._routes_of = routes_of
        self._swap = swap
        self._now = now
        self._refused: tuple[float, Problem] | None = None  # when the last reading was, if it was, and the first reason
        self._begun = config  # as the process did, with what it has for its lifetime
        self._lasting: list[str] = []  # of that what is written otherwise, as of the last reading
        self._files = certificate_in(config)
        self._one = asyncio.Lock()
        self.keep: Callable[[Swapped], None] = lambda _swapped: None  # for good, what a signal has changed: in a thread; raises ApiError
        self._heard = False  # a signal, and nothing has been read since
        self._task: asyncio.Task[None] | None = None

    async def __call__(self) -> Swapped:
        """Swap the configuration for what is written now. Raises ConfigErrors, and nothing has changed then."""
        async with self._one:
            self._heard = False
            try:
                prepared = await asyncio.to_thread(self._prepare)
            except ConfigErrors as errors:
                self._refused = self._now(), errors.problems[0]
                self._report(ReloadRefused(tuple(f"{problem.where}: {problem.what}" for problem in errors.problems)))
                raise
            old, config = self.config, prepared.config
            renewed = [path for path, held in prepared.files.items() if self._files.get(path, held) != held]
            changed = sorted({*differences(old, config), *renewed})
            lasting = [path for path in differences(self._begun, config) if is_lasting(path, self._begun, config)]
            behind = await self._swap(prepared, old)
            self.config, self._files, self._refused, self._lasting = config, prepared.files, None, lasting
        swapped = Swapped([path for path in changed if not is_lasting(path, old, config)], lasting, list(prepared.variables))
        self._report(Reloaded(tuple(swapped.changed), tuple(lasting), behind))
        return swapped

    def attention(self) -> Sequence[Attention]:
        """Return that what is written is not what counts: from a refusal until a reading succeeds, or a restart is due. From any thread."""
        refused, lasting = self._refused, self._lasting
        waiting: tuple[Attention, ...] = ()
        if lasting:
            what = f"What is written of {', '.join(lasting)} counts only after a restart; until then it is as it was when the server began."
            waiting = (Attention("warning", what, "Restart the server, or write it as it was, and: aisa reload"),)
        if refused is None:
            return waiting
        at, problem = datetime.fromtimestamp(refused[0], UTC), refused[1]
        what = f"The configuration as it is written was refused at {at:%Y-%m-%d %H:%M} UTC, and the one before it counts"
        remedy = "Correct it, and: aisa reload. The next start refuses it too."
        return (Attention("warning", f"{what}: {problem.where}: {problem.what}", remedy), *waiting)

    def soon(self) -> None:
        """Reload for a signal. All that come while another is answered are answered together, by one reading after it."""
        if not self._heard:
            self._heard = True
            self._task = asyncio.get_running_loop().create_task(self._answer())

    async def _answer(self) -> None:
        """Reload, for somebody who reads the log."""
        try:
            swapped = await self()
            await asyncio.to_thread(self.keep, swapped)
        except ConfigErrors:
            pass  # it is in the log
        except ApiError as error:
            self._report(ServerWarning(f"another configuration counts, but no record of it could be kept: {error.message}"))

    def _prepare(self) -> Prepared:
        loaded = self._again()
        config = loaded.config
        files = certificate_in(config)  # before they are loaded: what is renewed meanwhile is told the next time
        try:
            tls = None if config.tls is None else tls_context(config.tls.cert, config.tls.key)
        except OSError as error:
            raise ConfigErrors([Problem("tls", f"The certificate cannot be used: {error}.", "Correct it.")], config) from error
        return Prepared(config, self._routes_of(config), tls, files, loaded.variables)


KEPT_OF_SERVER = [path.removeprefix("server.") for path in FOR_A_LIFETIME if path.startswith("server.")]


def is_lasting(path: str, old: Config, new: Config) -> bool:
    """Say whether a process has a setting, in which two configurations differ, for its lifetime."""
    section = path.partition(".")[0]
    return path in FOR_A_LIFETIME or section in FOR_A_LIFETIME or (path == "tls" and None in (old.tls, new.tls))


def certificate_in(config: Config) -> Mapping[str, bytes]:
    """Return what each file of the certificate holds, as a digest, by its setting; nothing of one that cannot be read."""
    found: dict[str, bytes] = {}
    if config.tls is not None:
        for name in ("cert", "key"):
            with suppress(OSError):
                found[f"tls.{name}"] = sha256(Path(getattr(config.tls, name)).read_bytes()).digest()
    return found


def differences(old: Config, new: Config) -> list[str]:
    """Return what two configurations differ in: settings of sections that are always there, entries of those that are lists by name."""
    before, after = plain(old), plain(new)
    found: list[str] = []
    for section in sorted(before.keys() | after.keys()):
        left, right = before.get(section), after.get(section)
        if left == right:
            continue
        if isinstance(left, dict) and isinstance(right, dict):
            left, right = cast("dict[str, object]", left), cast("dict[str, object]", right)
            found += [f"{section}.{name}" for name in sorted(left.keys() | right.keys()) if left.get(name) != right.get(name)]
        else:
            found.append(section)
    return found


def plain(config: Config) -> dict[str, object]:
    """Return a configuration as mappings."""
    made: dict[str, object] = msgspec.to_builtins(config)
    return made
