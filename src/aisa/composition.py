"""What a server is put together from: from a configuration and what its data folder has. Starts nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

import msgspec

from aisa.accounting import server_id
from aisa.admission.memory import MemoryAdmission, loop_clock
from aisa.background_reads import BackgroundReads
from aisa.bodies import body_reader, body_threads, body_work
from aisa.clock import Chance, system_chance, wall_clock
from aisa.config.problem import ConfigErrors, Problem, installing
from aisa.config.schema import Config
from aisa.config.schema import Server as ServerSettings
from aisa.context import Dependencies
from aisa.edge.account import Accounts
from aisa.edge.admin_gate import AdminGate
from aisa.edge.app import Edge
from aisa.edge.cors import CrossOrigin
from aisa.edge.idempotency import IdempotencyStore, Uses
from aisa.edge.pages import Readiness
from aisa.embedded.upstream import EmbeddedUpstream
from aisa.errors import ApiError
from aisa.facts import Fact, ServerNotice, ServerWarning
from aisa.http.descriptors import clients_that_fit, raise_limit
from aisa.http.sockets import cut_off
from aisa.http.token_requests import token_sender
from aisa.identity.keys import TokenAdminKeys, TokenKeys
from aisa.ids import CallIds
from aisa.keys.doubted import DoubtedAdminKeys, DoubtedKeys
from aisa.keys.port import Keys
from aisa.keys.rules import DEFAULT_ACCOUNT, Key
from aisa.keys.store import KeyStore
from aisa.known_models import Known, nothing_listed
from aisa.large_events import LargeEvents
from aisa.ledger.live_ledger import LiveLedger
from aisa.ledger.store import LedgerStore
from aisa.ledger.writer import Writer
from aisa.long_counts import LongOutputs
from aisa.notices import Notices
from aisa.prices.price_file import BadPriceFile, price_sources
from aisa.prices.rules import LookUp, may_be_listed, unlisted
from aisa.providers.counting import Counting, NoTokenizer, tokenizers_of
from aisa.providers.port import Upstream
from aisa.providers.tasks import DIALECTS
from aisa.providers.vendor_state import SEAL_KEY_BYTES
from aisa.resets import Resets
from aisa.routing import EMBEDDED, Routes
from aisa.shared_uses import SharedUses
from aisa.storage.engine import Database, Migrate, open_database, open_readers
from aisa.storage.lock import SERVER_ID_NAME
from aisa.storage.secret import own_secret
from aisa.tokenizers.on_demand import load_tokenizer
from aisa.wire.tokenized_text import Tokenizer

SEAL_KEY_NAME = "seal.key"  # what vendors want back is sealed with it: processes that share it open each other's seals


def tokenizers_in(config: Config) -> Mapping[str, Tokenizer]:
    """Return the tokenizers that a configuration names. Raises ConfigErrors when one is not there."""
    outputs = LongOutputs()
    try:
        return tokenizers_of(config, lambda name: outputs.with_thread(load_tokenizer(name)))
    except NoTokenizer as failure:
        raise ConfigErrors([Problem(failure.where, str(failure), "Correct it, or leave it out.")], config) from failure


def routes_from(store: LedgerStore, writer: Writer) -> Callable[..., Routes]:
    """Return what makes a configuration's models, with what was learned of them: `made` below, which is called again at a reload.

    The database is asked once for what was learned before this process: at a reload it may be away, and must not be in its way.
    """
    counting: Counting | None = None

    def made(config: Config, *, known: Known, tokenizers: Mapping[str, Tokenizer] | None = None) -> Routes:
        """Return them; loads the configuration's tokenizers if they are not given. Raises ConfigErrors."""
        nonlocal counting
        loaded = tokenizers_in(config) if tokenizers is None else tokenizers
        counts = Counting(loaded, store.known_answers(), writer.keep_answers) if counting is None else counting.renewed(loaded)
        routes = counted_routes(config, counts, known)
        counting, writer.learned_elsewhere = counts, counts.take
        return routes

    return made


def counted_routes(config: Config, counting: Counting, known: Known) -> Routes:
    """Return a configuration's models. Raises ConfigErrors."""
    known = msgspec.structs.replace(known, catalogued=names_look_up(config))
    return Routes(config, price_look_up(config), counting, known=known)


def seal_key(config: Config) -> bytes:
    """Return the key that states of vendors are sealed with, which the first start makes. Raises StorageFailed."""
    return own_secret(Path(config.server.data_dir) / SEAL_KEY_NAME, SEAL_KEY_BYTES, system_chance())


def fitting(config: Config, report: Callable[[Fact], None]) -> ServerSettings:
    """Return the server's settings with no more connections than there are file descriptors for, and say what fits."""
    descriptors = raise_limit()
    asked = config.server.connections_max
    fit = clients_that_fit(descriptors, [vendor.connections_max for vendor in config.vendors.values()], tls=config.tls is not None)
    if asked <= fit or (asked == ServerSettings().connections_max and 2 * fit >= asked):  # nobody has asked for the default's last ones
        taken = min(asked, fit)
        report(ServerNotice(f"{taken} connections of clients fit the {descriptors} file descriptors of this process"))
        return msgspec.structs.replace(config.server, connections_max=taken)
    what = f"only {fit} connections of clients fit the {descriptors} file descriptors of this process, besides those to vendors"
    report(ServerNotice(f"{what}: server.connections_max is {fit} instead of {asked}. Raise the hard limit (ulimit -Hn, LimitNOFILE=)."))
    return msgspec.structs.replace(config.server, connections_max=fit)


def open_edge(
    config: Config,
    dependencies: Dependencies,
    chance: Chance,
    *,
    not_ready: Readiness,
    idempotency: Uses,
    accounts: Accounts,
) -> Edge:
    """Return what answers the API's requests."""
    edge = Edge(
        dependencies,
        CallIds(wall_clock, chance),
        wall_clock,
        cross_origin=CrossOrigin(config.cors),
        not_ready=not_ready,
        idempotency=idempotency,
        accounts=accounts,
    )
    edge.configure(config)
    return edge


def open_dependencies(
    config: Config,
    keys: KeyStore,
    ledger: LiveLedger,
    *,
    pools: Mapping[str, Upstream],
    routes: Routes,
    chance: Chance,
    report: Callable[[Fact], None],
) -> Dependencies:
    """Return everything that the path of a call needs."""
    resets, threads = Resets(), body_threads()
    admission = MemoryAdmission(config.limits, keys.tiers, wall_clock=wall_clock, micros=loop_clock(), report=report, resets=resets)
    admission.expect(ledger.usual)
    embedded = EmbeddedUpstream(config.embedded.tokens_per_second, wall_clock, chance)
    read_on = [name for name, vendor in config.vendors.items() if vendor.on_disconnect == "drain"]
    return Dependencies(
        keys=keys,
        read=body_reader(threads),
        work=body_work(threads),
        routes=routes,
        admission=admission,
        resets=resets,
        ledger=ledger,
        dialects=DIALECTS,
        upstreams={EMBEDDED: embedded, **pools},
        stream=config.stream,
        large_events=LargeEvents(config.stream.large_events_bytes_max, report),
        chance=chance,
        report=report,
        notices=Notices(report),
        background_reads=BackgroundReads(read_on, reads_max=config.ledger.drains_max, seconds_max=config.ledger.drain_seconds),
    )


def check_extras(config: Config, find: Callable[[str], object] = find_spec) -> None:
    """Raise ConfigErrors where a setting needs packages that are not installed, as `find` says."""
    needed = (("stores.limits", config.stores.limits, ("hiredis", "asyncpg")), ("stores.database", config.stores.database, ("psycopg",)))
    missing = [where for where, value, packages in needed if value is not None and not all(map(find, packages))]
    if missing:
        what, remedy = "The `stores` extra is not installed.", installing("stores")
        raise ConfigErrors([Problem(where, what, remedy) for where in missing], config)
    if config.telemetry.endpoint is not None and find("opentelemetry") is None:
        what, remedy = "The `otel` extra is not installed.", f"{installing('otel')}, or unset OTEL_EXPORTER_OTLP_ENDPOINT."
        raise ConfigErrors([Problem("telemetry.endpoint", what, remedy)], config)
    if config.identity is not None and find("jwt") is None:
        raise ConfigErrors([Problem("identity", "The `identity` extra is not installed.", installing("identity"))], config)


def open_data(config: Config, migrate: Migrate) -> Database:
    """Open the database that the configuration names, else that of the data folder. Raises StorageFailed."""
    if config.stores.database is None:
        return open_database(config.server.data_dir, migrate)
    from aisa.storage.postgres import open_postgres

    return open_postgres(config.stores.database, migrate, cut_off, had_tables=(Path(config.server.data_dir) / SERVER_ID_NAME).exists())


def open_uses(config: Config) -> IdempotencyStore | SharedUses:
    """Return the Idempotency-Keys that were used: those of this server, or of all on its database."""
    local = IdempotencyStore(wall_clock)
    if config.stores.database is None:
        return local
    from aisa.storage.postgres import open_postgres_unlocked

    uses = SharedUses(local, open_postgres_unlocked(config.stores.database, cut_off), server_id(config))
    uses.start()
    return uses


def open_worker_data(config: Config) -> Database:
    """Open for reading alone what another process of this server writes."""
    if config.stores.database is None:
        return open_readers(config.server.data_dir)
    from aisa.storage.postgres import open_postgres_readers

    return open_postgres_readers(config.stores.database, cut_off)


def take_tokens(
    config: Config,
    keys: KeyStore,
    report: Callable[[Fact], None],
    *,
    gate: AdminGate | None = None,
    adopt: Callable[[Key], None] | None = None,
) -> Keys:
    """Return the keys, with tokens of the configuration's identity provider besides.

    Administrators among their owners pass `gate`. Who is new is told to `adopt`; if that is None, the keys keep him, in a thread.
    Where servers share a database none of them is let in while nobody could look for a minute which still count.
    """
    known = with_tokens(config, keys, report, gate=gate, adopt=adopt)
    if config.stores.database is None:
        return known
    ours, admins = DoubtedKeys(known), None if gate is None else DoubtedAdminKeys(gate.keys)
    if gate is not None and admins is not None:
        gate.keys = admins

    def doubted(doubted: bool) -> None:
        ours.doubted = doubted
        if admins is not None:
            admins.doubted = doubted

    keys.doubted = doubted
    return ours


def with_tokens(
    config: Config,
    keys: KeyStore,
    report: Callable[[Fact], None],
    *,
    gate: AdminGate | None,
    adopt: Callable[[Key], None] | None,
) -> Keys:
    """Return the keys, with tokens of the configuration's identity provider besides, if it names one."""
    if config.identity is None:
        return keys
    from aisa.identity.signing_keys import SigningKeys
    from aisa.identity.tokens import Tokens

    signing_keys = SigningKeys(config.identity, token_sender(os.environ), report, loop=asyncio.get_running_loop())
    tokens = Tokens(config.identity, signing_keys, wall_clock)
    signing_keys.fetch()
    adopt = adopt or in_thread(keys.adopt, report)
    people = TokenKeys(keys, tokens, disabled=keys.accounts.disabled, adopt=adopt, wall_clock=wall_clock)
    if gate is not None and config.identity.admin_claim is not None:
        gate.keys = TokenAdminKeys(gate.keys, tokens, people)
    return people


def in_thread(adopt: Callable[[Key], None], report: Callable[[Fact], None]) -> Callable[[Key], None]:
    """Return what keeps somebody's key without a wait for the database, and says where that did not work."""
    loop, begun = asyncio.get_running_loop(), set[str]()

    def kept(key: Key) -> None:
        try:
            adopt(key)
        except ApiError as error:
            report(ServerWarning(f"the key of {key.label} cannot be kept, so it is not listed: {error.message}"))
            begun.discard(key.id)

    def begin(key: Key) -> None:
        if key.id not in begun:  # workers meet one person at the same time
            begun.add(key.id)
            _ = loop.run_in_executor(None, kept, key)

    return begin


def open_keys(config: Config, database: Database) -> KeyStore:
    """Return the keys in a database. Accounts that an identity provider's tokens may belong to are made. Raises StorageFailed."""
    keys = KeyStore(database, wall_clock, system_chance())
    for name in dict.fromkeys((DEFAULT_ACCOUNT, *config.identity.accounts.values()) if config.identity is not None else ()):
        try:
            keys.accounts.account(name)
        except ApiError as error:
            if error.code != "resource_not_found":
                raise
            keys.accounts.create_account(name)
    return keys


async def share_limits(config: Config, dependencies: Dependencies, tiers: Mapping[str, str], *, server: str = "") -> None:
    """Have the limits be in the store that the configuration names, if it names one; those of vendors stay where they are.

    `server` names what the processes of this server have in common, '' if it has one.
    """
    if config.stores.limits is None:
        return
    from aisa.admission.store import StoreAdmission, open_way

    here = dependencies.admission
    assert isinstance(here, MemoryAdmission), "what counts in this server's memory was made before"
    way = await open_way(config, system_chance(), dependencies.report, server=server)
    admission = StoreAdmission(
        config.limits, tiers, way, wall_clock=wall_clock, micros=loop_clock(), report=dependencies.report, resets=dependencies.resets
    )
    admission.share_vendors(here.queue)
    admission.expect(dependencies.ledger.usual)
    dependencies.admission = admission


def price_look_up(config: Config) -> LookUp:
    """Return what asks the price lists. Raises ConfigErrors where one of the configuration's cannot be read.

    The catalogue is imported, in 0.3 s and 30 MiB, only if it can know one of the vendors.
    """
    built_in: LookUp = unlisted
    if has_listed_vendors(config):
        from aisa.prices.catalogue import catalogue_price

        built_in = catalogue_price
    try:
        return price_sources(config.price_catalogues, built_in)
    except BadPriceFile as bad:
        where = f"price_catalogues.{config.price_catalogues.index(bad.path)} ({bad.path})"
        raise ConfigErrors([Problem(where, str(bad), PRICE_FILE_REMEDY)], config) from bad


PRICE_FILE_REMEDY = "Name a list in the format of LiteLLM's model_prices_and_context_window.json, or remove the line."


def has_listed_vendors(config: Config) -> bool:
    """Say whether the catalogue can know one of the vendors."""
    return any(may_be_listed(name, vendor.base_url) for name, vendor in config.vendors.items())


def names_look_up(config: Config) -> Callable[[str, str], tuple[str, ...]]:
    """Return what asks the catalogue for a vendor's models, as `price_look_up` does for prices."""
    if not has_listed_vendors(config):
        return nothing_listed
    from aisa.prices.catalogue import catalogue_names

    return catalogue_names
