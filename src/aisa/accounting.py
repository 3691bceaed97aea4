"""What a server's accounting begins with: its ledger, wallets and caps, and the Idempotency-Keys of before. Writes no row.

Where servers share a database, wallets and caps are what each was allotted, and what the others change is followed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from aisa.clock import system_chance, wall_clock
from aisa.config.schema import Config
from aisa.edge.idempotency import IdempotencyStore
from aisa.facts import Fact
from aisa.keys.following import Following
from aisa.keys.rules import Account, window_end, window_start
from aisa.keys.store import KeyStore
from aisa.ledger.caps import Cap, capped, spender
from aisa.ledger.journal import Journal
from aisa.ledger.learned_elsewhere import LearnedElsewhere
from aisa.ledger.live_ledger import LiveLedger
from aisa.ledger.port_usage import Span
from aisa.ledger.shared_allotments import shared_amounts, tell_all
from aisa.ledger.store import LedgerStore
from aisa.ledger.stored_ledger import StoredLedger
from aisa.ledger.stored_money import StoredMoney
from aisa.ledger.sync import GroupSync
from aisa.ledger.wallets import Wallet
from aisa.ledger.writer import Writer
from aisa.money import Nanos
from aisa.providers.measure import Answer
from aisa.shared_uses import SharedUses
from aisa.storage.lock import SERVER_ID_NAME
from aisa.storage.secret import own_secret
from aisa.storage.shared_memory import SharedMemory

REPEATED_MS_MAX = 86_400_000  # how long an Idempotency-Key is remembered
SERVER_ID_BYTES = 16  # that no other server has


def open_ledger(
    config: Config,
    journal: Journal,
    store: LedgerStore,
    *,
    writer: Writer,
    keys: KeyStore,
    idempotency: IdempotencyStore | SharedUses,
    report: Callable[[Fact], None],
) -> LiveLedger:
    """Return the live ledger, with what the database has."""
    remember_uses(idempotency, store)
    sync = None if config.ledger.durability == "process" else GroupSync(journal.sync, config.server.data_dir, report)
    if config.stores.database is not None:
        writer.server = server_id(config)

        def learned(target: str, answers: list[Answer]) -> None:
            writer.learned_elsewhere(target, answers)  # of the routes that count then

        money = share_money(config, keys, store, report=report, learned=learned)
        stored = StoredLedger(journal, writer.post, money, wall_clock=wall_clock, sync=sync, final=idempotency.final)
        stored.leaving = idempotency.leave
        return stored
    wallets = [Wallet(account.name, account.balance) for account in store.accounts()]
    caps = caps_of(keys, store)
    ledger = LiveLedger(journal, writer.post, wallets=wallets, caps=caps.items(), wall_clock=wall_clock, sync=sync, final=idempotency.final)

    async def spent_in(span: Span, without: Callable[[], Sequence[str]]) -> Nanos:
        return await asyncio.to_thread(store.spent_in, span, without)

    ledger.spent = spent_in
    ledger.teams = teams_of(keys)
    return ledger


def server_id(config: Config) -> str:
    """Return what a server is called in a database that it shares: the same for as long as its data folder is. Raises StorageFailed."""
    return own_secret(Path(config.server.data_dir) / SERVER_ID_NAME, SERVER_ID_BYTES, system_chance()).hex()


def share_money(
    config: Config,
    keys: KeyStore,
    store: LedgerStore,
    *,
    report: Callable[[Fact], None],
    learned: Callable[[str, list[Answer]], None],
    memory: SharedMemory | None = None,
) -> StoredMoney:
    """Return the money of a server on a shared database, and follow what others change of keys and accounts. Raises StorageFailed.

    `learned` is told what other servers have learned of targets' answers. In `memory` the money is where this server's processes spend it.
    """
    server = server_id(config)
    if memory is None:
        money = StoredMoney(store.database, server, wall_clock=wall_clock, report=report)
    else:
        amounts, told = shared_amounts(memory), tell_all(memory)
        money = StoredMoney(store.database, server, wall_clock=wall_clock, report=report, amounts=amounts, told=told)
    for account in store.accounts():
        money.know(account.name, account.balance)
    money.start()

    def account_changed(account: Account, balance: Nanos | None) -> None:
        money.know(account.name, balance)

    Following(store.database, keys, account_changed, report=report).start()
    LearnedElsewhere(store.database, server, learned).start()
    return money


def remember_uses(idempotency: IdempotencyStore | SharedUses, store: LedgerStore) -> None:
    """Let the Idempotency-Keys count that were used before this process began; what is too old of anything is forgotten."""
    store.forget_old_answers()
    if isinstance(idempotency, SharedUses):
        return  # the database is asked
    since_ms = int(wall_clock() * 1000) - REPEATED_MS_MAX
    idempotency.remember((call.idempotency, call.id, call.ended_ms / 1000) for call in store.recent(since_ms))


def caps_of(keys: KeyStore, store: LedgerStore) -> dict[str, Cap]:
    """Return the caps of all keys and teams that have one by their ids, with what they have spent."""
    now, caps = wall_clock(), dict[str, Cap]()
    bounded = {each.id: each for key in keys.list() for each in capped(key)}
    for id_, each in bounded.items():
        if each.spend_cap is not None and each.spend_window is not None:
            began = window_start(each.spend_window, now)
            spent = store.spent_in(Span(began * 1000, window_end(each.spend_window, began) * 1000, id_))
            newest = store.newest_ms(id_) // 1000
            caps[id_] = Cap(each.spend_cap, each.spend_window, spent=spent, now=now, newest=newest, whose=spender(each))
    return caps


def teams_of(keys: KeyStore) -> dict[str, str]:
    """Return the teams of the keys that are in one, by key id."""
    return {key.id: key.team.id for key in keys.list() if key.team is not None}
