"""Wallets and caps that several processes spend from: what each of them sees, and that nothing is spent twice or lost."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aisa.errors import ApiError
from aisa.keys.rules import DAY, DAY_SECONDS, Key, window_start
from aisa.ledger.caps import Cap
from aisa.ledger.shared_wallets import SharedCap, SharedWallet, Treasury
from aisa.storage.shared_memory import SharedLock, SharedMemory, new_memory
from repeats import repeats
from rows import priced

NOW = 1_800_000_000
CAPPED = Key("key_1", "capped", b"", "", "active", 0, account="acme", spend_cap=100, spend_window=DAY)


@contextmanager
def processes(count: int) -> Iterator[list[SharedMemory]]:
    """The same memory as an office, number 0, and its workers see it."""
    with tempfile.TemporaryDirectory() as folder:
        descriptor = new_memory(Path(folder), random.Random(1))
        yield [SharedMemory(descriptor, SharedLock(Path(folder) / "lock"), number) for number in range(count)]


def refused(limit: SharedWallet | SharedCap, amount: int, now: float = NOW) -> str:
    """Try to take more than there is, and return the code."""
    with pytest.raises(ApiError) as error:
        limit.take(amount, now)
    return error.value.code


def test_two_processes_cannot_hold_the_same_money() -> None:
    """[issue 13] What one holds is not there for the other, whether it is held, spent, or written."""
    with processes(3) as (office, *workers):
        treasury = Treasury(office, [("acme", 100)], {}, now=NOW)
        one, other = [SharedWallet(memory, "acme") for memory in workers]
        one.take(60, NOW)
        assert refused(other, 41) == "insufficient_wallet_balance"
        one.spend(50, NOW)  # the call cost less than was held
        assert refused(other, 1) == "insufficient_wallet_balance"  # until what was held is given back
        one.hold(-60)
        other.take(50, NOW)
        treasury.written([priced(1, account="acme", prepaid=True, cost=50)], NOW)
        assert refused(other, 1) == "insufficient_wallet_balance"  # it counts twice for a moment, and never not at all
        one.written(50)
        assert (other.balance, other.held) == (50, 50)
        assert refused(one, 1) == "insufficient_wallet_balance"


def test_a_wallet_that_was_never_made_is_unlimited_until_it_is() -> None:
    """An account is made without a limit; a top-up makes it prepaid for everybody, and it can be unlimited again."""
    with processes(2) as (office, worker):
        treasury = Treasury(office, [], {}, now=NOW)
        wallet = SharedWallet(worker, "acme")
        assert wallet.balance is None
        wallet_of_office = treasury.wallet("acme")
        wallet_of_office.add(10)
        assert wallet.balance == wallet_of_office.balance == 10
        wallet_of_office.spend(25)
        assert wallet.balance == -15
        wallet_of_office.lift()
        assert wallet.balance is None
        wallet_of_office.spend(5)
        wallet_of_office.add(7)
        assert wallet.balance == 7


def test_what_a_dead_process_held_is_free_once_its_journal_is_settled() -> None:
    """[issue 13] Its column is cleared; the others' are not."""
    with processes(3) as (office, *workers):
        treasury = Treasury(office, [("acme", 100)], {}, now=NOW)
        dead, alive = [SharedWallet(memory, "acme") for memory in workers]
        dead.take(40, NOW)
        dead.spend(10, NOW)
        alive.take(30, NOW)
        treasury.forget_worker(1)
        assert (alive.balance, alive.held) == (100, 30)


def test_a_cap_whose_place_is_not_made_yet_sends_nobody_to_the_log() -> None:
    """[fault S6] It was told as one for which there is no room, which the log has; of this one it has none, and it comes."""
    with processes(2) as (office, worker):
        with pytest.raises(ApiError, match=r"^This server cannot look up what is left to spend at the moment. Try again soon.$") as refusal:
            SharedCap(worker, CAPPED).take(1, NOW)
        assert (refusal.value.code, refusal.value.retry_after) == ("overloaded", 1)
        treasury = Treasury(office, [], {}, now=NOW)
        treasury.know(CAPPED, NOW)
        SharedCap(worker, CAPPED).take(1, NOW)


def test_a_cap_counts_what_all_processes_spend_in_its_window() -> None:
    """[contract 4] What was written, what was not yet, what is held; a new window begins with nothing written."""
    with processes(3) as (office, *workers):
        treasury = Treasury(office, [], {}, now=NOW)
        treasury.know(CAPPED, NOW)
        assert SharedCap(workers[0], CAPPED).spent_at(NOW) is None  # it may be an old key that has a cap now
        span = treasury.unread("key_1", NOW)
        assert span is not None
        treasury.learn(span, 0, NOW)
        one, other = [SharedCap(memory, CAPPED) for memory in workers]
        one.take(70, NOW)
        assert refused(other, 31) == "quota_exceeded"
        one.spend(70, NOW)
        one.hold(-70)
        treasury.written([priced(1, account="acme", key_id="key_1", cost=70, ended_ms=NOW * 1000)], NOW)
        one.written(70)
        assert other.spent_at(NOW) == 70
        assert refused(other, 31) == "quota_exceeded"
        tomorrow = NOW + DAY_SECONDS
        assert other.spent_at(tomorrow) == 0
        other.take(100, tomorrow)


def test_a_window_that_the_clock_was_set_back_to_is_read_by_the_office_alone() -> None:
    """Nobody guesses: until it was read a call is refused for a second, then all see it."""
    with processes(2) as (office, worker):
        cap = Cap(100, DAY, spent=5, now=NOW)
        treasury = Treasury(office, [], {"key_1": cap}, now=NOW)
        shared, yesterday = SharedCap(worker, CAPPED), NOW - DAY_SECONDS
        assert (shared.spent_at(NOW), shared.spent_at(yesterday)) == (5, None)
        assert (shared.reading(1), shared.reading(1)) == (False, True)
        span = treasury.unread("key_1", yesterday)
        assert span is not None
        assert (span.whose, span.start_ms) == ("key_1", (yesterday - yesterday % DAY_SECONDS) * 1000)
        treasury.learn(span, 33, yesterday)
        shared.learn(1, 0)
        assert shared.spent_at(yesterday) == 33
        assert treasury.unread("key_1", yesterday) is None
        assert treasury.unread("key_of_no_cap", NOW) is None


def spend_all(treasury: Treasury, cap: SharedCap, now: float, written: dict[int, int]) -> int:
    """Spend what a cap leaves, ten at a time, as a worker does whose office reads what it does not know; return how much that was."""
    spent = 0
    while True:
        if cap.spent_at(now) is None:
            span = treasury.unread("key_1", now)
            if span is not None:
                treasury.learn(span, written.get(span.start_ms // 1000, 0), now)
            continue
        try:
            cap.take(10, now)
        except ApiError:
            return spent
        cap.spend(10, int(now))
        cap.hold(-10)
        row = priced(spent, account="acme", key_id="key_1", cost=10, ended_ms=int(now) * 1000)
        began = window_start(DAY, now)
        written[began] = written.get(began, 0) + 10
        treasury.written([row], now)
        cap.written(10)
        spent += 10


@pytest.mark.parametrize("jump", [1, 2, 40, 400, -1, -40])
def test_a_clock_that_is_set_to_and_fro_leaves_no_more_of_a_cap_to_any_process(jump: int) -> None:
    """[fault M13] Of every day the cap is spent once, however often the clock comes back to it, and whichever process looks."""
    with processes(3) as (office, *workers):
        treasury = Treasury(office, [], {"key_1": Cap(100, DAY, spent=30, now=NOW)}, now=NOW)
        written = {window_start(DAY, NOW): 30}
        caps = [SharedCap(memory, CAPPED) for memory in workers]
        found = [spend_all(treasury, caps[step % 2], NOW + step % 2 * jump * DAY_SECONDS + step, written) for step in range(6)]
        assert found == [70, 100, 0, 0, 0, 0]
        assert set(written.values()) == {100}


def test_at_random_steps_of_many_processes_nothing_is_spent_beyond_the_wallet() -> None:
    """Holds, ends, rows written late, deaths: what is held and spent never exceeds what was put in, and in the end the sums agree."""
    for seed in range(repeats(20)):
        chance = random.Random(seed)
        with processes(5) as (office, *workers):
            treasury = Treasury(office, [("acme", 1_000)], {}, now=NOW)
            wallets = [SharedWallet(memory, "acme") for memory in workers]
            open_calls: list[list[int]] = [[] for _ in workers]
            unwritten: list[list[int]] = [[] for _ in workers]
            spent = 0
            for _ in range(300):
                which = chance.randrange(4)
                wallet, calls = wallets[which], open_calls[which]
                step = chance.randrange(4)
                if step == 0:
                    amount = chance.randrange(1, 60)
                    try:
                        wallet.take(amount, NOW)
                        calls.append(amount)
                    except ApiError:
                        assert amount + sum(map(sum, open_calls)) + sum(map(sum, unwritten)) + spent > 1_000
                elif step == 1 and calls:
                    held = calls.pop()
                    cost = chance.randrange(held + 1)
                    wallet.spend(cost, NOW)
                    wallet.hold(-held)
                    unwritten[which].append(cost)
                elif step == 2 and unwritten[which]:
                    cost = unwritten[which].pop()
                    treasury.written([priced(1, account="acme", prepaid=True, cost=cost)], NOW)
                    wallet.written(cost)
                    spent += cost
                elif step == 3 and chance.random() < 0.05:
                    for cost in unwritten[which]:
                        treasury.written([priced(1, account="acme", prepaid=True, cost=cost)], NOW)
                        spent += cost
                    treasury.forget_worker(workers[which].worker)
                    open_calls[which], unwritten[which] = [], []
                assert sum(map(sum, open_calls)) + sum(map(sum, unwritten)) + spent <= 1_000
            assert wallets[0].balance == 1_000 - spent
            assert wallets[0].held == sum(map(sum, open_calls)) + sum(map(sum, unwritten))
