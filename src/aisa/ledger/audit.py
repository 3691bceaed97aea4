"""Looks whether the ledger adds up: computes every cost, sum and balance anew from what is kept beside it. Changes nothing.

What it holds to be true is what the documentation says: a cost is its tokens at its prices, rounded once, half up, at one price a token; a
balance is what was put in less what prepaid calls cost; a call ends once, costs nothing if it failed, and never more than it made. Of
removed calls it takes what they came to when they went, which the sums by hour and day must say too.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

import msgspec
from msgspec.structs import astuple
from sqlalchemy import Connection, func, select

from aisa.ledger.pieces import DAYS, HOURS, RolledUp
from aisa.ledger.port_admin import AccountStanding, AuditReport, Difference
from aisa.ledger.record import row_of
from aisa.ledger.row import CallRow
from aisa.ledger.rules import CLIENT_GONE, COMPLETED, FAILED, REFUSED
from aisa.ledger.sums import known_of
from aisa.money import TOKENS_PER_PRICE
from aisa.pricing import UnitPrices, cost_of
from aisa.storage.tables import accounts, calls, removed_calls, usage_sums, wallet_entries
from aisa.storage.tables import keys as key_table
from aisa.usage import REPORTED, Breakdown, Usage

STEP_ROWS = 250  # some ten milliseconds, after which another request may have its turn
DIFFERENCES_MAX = 20  # that are told in words; the others are counted
KEYLESS_MAX = 5  # calls of unknown keys that are named; the others are counted
OF_TOKENS = "idp_"  # how ids begin of keys that are an identity provider's tokens, which may be in no table
REPEAT_MS = 86_400_000  # after a call's end, in which its Idempotency-Key is not billed again

Found = Iterator[Difference]
Counts = tuple[int, int, int]  # of calls: their number, cost, and what of it was charged, in nano-dollars
NOTHING: Counts = (0, 0, 0)


class Sums:
    """What an account's calls and entries add up to."""

    def __init__(self) -> None:
        self.calls = self.spent = self.charged = self.entered = self.entries = 0
        #: Calls, their cost and what of it was charged: of rows that must be in the sums by hour and day, and of removed ones.
        self.rolled = self.removed = NOTHING


class Ledger:
    """What was read so far, and what did not add up. Holds a sum for each account, not the rows."""

    def __init__(self, on_board: Collection[str], known: RolledUp, keys: Collection[str]) -> None:
        self.known = known
        self.keyless, self.keyless_calls = 0, list[str]()
        self._keys = keys
        self.sums: dict[str, Sums] = {}
        self.counts: Counter[str] = Counter()
        self.differences: list[Difference] = []
        self.rows = 0
        self._waiting = set(on_board)
        self._previous = ""
        self._billed: OrderedDict[str, CallRow] = OrderedDict()  # by Idempotency-Key, of a day

    @property
    def waiting(self) -> int:
        """How many calls are in the journal of which no row was read."""
        return len(self._waiting)

    def note(self, found: Found) -> None:
        """Count differences, and keep the first."""
        for difference in found:
            self.counts[difference.kind] += 1
            if len(self.differences) < DIFFERENCES_MAX:
                self.differences.append(difference)

    def of(self, account: str) -> Sums:
        """Return an account's sums."""
        return self.sums.setdefault(account, Sums())

    def read(self, row: CallRow) -> None:
        """Take a call into the sums, and look at it. Calls come in the order of their ids."""
        self.rows += 1
        self._waiting.discard(row.id)
        if row.key_id not in self._keys and not row.key_id.startswith(OF_TOKENS):
            self.keyless += 1
            if self.keyless <= KEYLESS_MAX:
                self.keyless_calls.append(f"{row.id} of {row.key_id}")
        sums = self.of(row.account)
        sums.calls += 1
        sums.spent += row.cost
        charged = row.cost if row.prepaid else 0
        sums.charged += charged
        if row.ended_ms < self.known.rolled_ms:
            sums.rolled = plus(sums.rolled, (1, row.cost, charged))
        self.note(differences_of(row))
        self.note(self._doubled(row))

    def _doubled(self, row: CallRow) -> Found:
        if row.id == self._previous:
            yield Difference("doubled", row.id, "There are two rows of this call.")
        self._previous = row.id
        if row.idempotency is None or not row.cost:
            return
        while self._billed and next(iter(self._billed.values())).ended_ms + REPEAT_MS <= row.began_ms:
            self._billed.popitem(last=False)
        key = row.idempotency.partition(":")[0]  # behind the colon stands what was asked with it
        before = self._billed.pop(key, None)
        if before is not None and before.id != row.id:
            yield Difference("doubled", row.id, f"Its Idempotency-Key was billed before, with {before.id}.")
        self._billed[key] = row


def audit(connection: Connection, on_board: Collection[str]) -> Generator[None, None, AuditReport]:
    """Read the whole ledger, a step of some milliseconds at a time, and return what differs.

    `connection` must show one state of the database throughout. `on_board` are the calls that may not have a row yet.
    """
    known = known_of(connection)
    ledger = Ledger(on_board, known, {*connection.execute(select(key_table.c.id)).scalars()})
    with connection.execution_options(yield_per=STEP_ROWS).execute(select(calls).order_by(calls.c.id)) as records:
        for part in records.partitions():
            for record in part:
                try:
                    ledger.read(row_of(record))
                except msgspec.MsgspecError as error:
                    ledger.note(iter([Difference("unreadable", str(record[0]), f"The row is not as it was written: {error}.")]))
            yield
    wanted = select(wallet_entries.c.account, wallet_entries.c.amount)
    for part in connection.execute(wanted).partitions():
        for account, amount in part:
            sums = ledger.of(account)
            sums.entries += 1
            sums.entered += amount
        yield
    for name, *removed in connection.execute(select(removed_calls)):
        sums = ledger.of(name)
        sums.removed = plus(NOTHING, removed)
        sums.calls, sums.spent, sums.charged = plus((sums.calls, sums.spent, sums.charged), removed)
    yield
    for hours in (HOURS, DAYS):
        ledger.note(differences_in_sums(ledger.sums, hours, rolled_sums(connection, hours)))
        yield
    known_accounts = [msgspec.convert(record, AccountStanding, from_attributes=True) for record in connection.execute(select(accounts))]
    for account in known_accounts:
        ledger.note(differences_in(account, ledger.of(account.name)))
    for name in sorted(ledger.sums.keys() - {account.name for account in known_accounts}):
        ledger.note(iter([Difference("account", name, f"It has {ledger.sums[name].calls} calls, but is not there.")]))
    entries = sum(sums.entries for sums in ledger.sums.values())
    return AuditReport(
        ledger.rows,
        len(known_accounts),
        entries,
        ledger.waiting,
        dict(ledger.counts),
        ledger.differences,
        removed=sum(sums.removed[0] for sums in ledger.sums.values()),
        proven_since_ms=known.removed_ms or None,
        keyless=ledger.keyless,
        keyless_calls=ledger.keyless_calls,
    )


def plus(ours: Counts, more: Sequence[int]) -> Counts:
    """Add calls, cost and charge."""
    return ours[0] + more[0], ours[1] + more[1], ours[2] + more[2]


def rolled_sums(connection: Connection, hours: int) -> dict[str, Counts]:
    """Return what the sums of one width come to, by account."""
    totals = [func.sum(usage_sums.c[name]) for name in ("requests", "cost", "charged")]
    wanted = select(usage_sums.c.account, *totals).where(usage_sums.c.hours == hours).group_by(usage_sums.c.account)
    return {name: plus(NOTHING, [*map(int, counts)]) for name, *counts in connection.execute(wanted)}


def differences_in_sums(sums: Mapping[str, Sums], hours: int, rolled: Mapping[str, Counts]) -> Found:
    """Yield where the sums by hour or day are not what the calls come to that are in them, removed ones among them."""
    for name in sorted(sums.keys() | rolled.keys()):
        ours = plus(sums[name].rolled, sums[name].removed) if name in sums else NOTHING
        theirs = rolled.get(name, NOTHING)
        if ours != theirs:
            width = "hours" if hours == HOURS else "days"
            what = f"The sums of {width} have {theirs[0]} calls that cost {theirs[1]} nano-dollars; there were {ours[0]}, for {ours[1]}."
            yield Difference(
                "rolled", name, what if ours[:2] != theirs[:2] else f"The sums of {width} have {theirs[2]} charged, not {ours[2]}."
            )


def differences_in(account: AccountStanding, sums: Sums) -> Found:
    """Yield what an account says that its calls and entries do not."""
    if account.calls != sums.calls:
        kind = "missing" if account.calls > sums.calls else "doubled"
        yield Difference(kind, account.name, f"{account.calls} calls were written for it, and {sums.calls} are there.")
    if account.spent != sums.spent:
        yield Difference("sum", account.name, f"Its calls cost {account.spent} nano-dollars when they were written, and {sums.spent} now.")
    if account.charged != sums.charged:
        what = f"{account.charged} nano-dollars were taken for its prepaid calls, which cost {sums.charged}."
        yield Difference("sum", account.name, what)
    if account.balance is not None and account.balance != sums.entered - sums.charged:
        what = f"The balance is {account.balance} nano-dollars; {sums.entered} were put in and {sums.charged} spent."
        yield Difference("balance", account.name, what)


def differences_of(row: CallRow) -> Found:
    """Yield what does not fit in one row."""
    yield from priced_otherwise(row)
    if row.ended_ms < row.began_ms:
        yield Difference("time", row.id, f"It ended {row.began_ms - row.ended_ms} ms before it began.")
    negative = [name for name, count in counts_of(row) if count < 0]
    if negative:
        yield Difference("negative", row.id, f"Below zero: {', '.join(negative)}.")
    made, charged = row.generated, row.billed
    if row.outcome in (FAILED, REFUSED) and (charged.input_tokens or charged.output_tokens):
        yield Difference("billed", row.id, f"It {'failed' if row.outcome == FAILED else 'was refused'}, and is billed.")
    empty = row.outcome == CLIENT_GONE and not (made.output_tokens or charged.output_tokens)  # an answer of nothing, which is complete
    if row.outcome != COMPLETED and not empty and not row.delivered and (charged.input_tokens or charged.output_tokens):
        yield Difference("billed", row.id, "Nothing of it was delivered, and it is billed.")
    if made.source == REPORTED and charged.output_tokens > made.output_tokens:
        yield Difference("billed", row.id, f"{charged.output_tokens} output tokens are billed, and its vendor made {made.output_tokens}.")
    if row.outcome == COMPLETED:
        if row.delivered > made.output_tokens:
            yield Difference("delivered", row.id, f"{row.delivered} output tokens were delivered of {made.output_tokens}.")
    elif made.source != REPORTED and charged.output_tokens > row.delivered:
        # Where the vendor has told its own count, what is billed is in its tokens, and what was delivered in ours.
        yield Difference("billed", row.id, f"{charged.output_tokens} output tokens are billed, and {row.delivered} were delivered.")


def priced_otherwise(row: CallRow) -> Found:
    """Yield a cost that is not that of the tokens, computed as the server does and computed slowly."""
    if row.prices is None:
        if row.cost:
            yield Difference("cost", row.id, f"It costs {row.cost} nano-dollars and has no prices.")
        return
    usual, slow = cost_of(row.billed, row.prices), exact_cost(row.billed, row.prices)
    if row.cost != usual or usual != slow:
        rule = "" if usual == slow else f", or {usual} by the server's rule"
        yield Difference("cost", row.id, f"It costs {row.cost} nano-dollars; its tokens at its prices cost {slow}{rule}.")


def exact_cost(usage: Usage, prices: UnitPrices) -> int:
    """Return what tokens cost in nano-dollars, as the documentation has it, without the server's code."""
    reached = [tier for tier in prices.tiers if usage.input_tokens > tier.over_input_tokens]
    rates = max(reached, key=lambda tier: tier.over_input_tokens).prices if reached else prices
    rarer = usage.breakdown or Breakdown()
    side = (rates.input, rates.cached_input, rates.cache_write, rates.input_audio, rates.cached_input_audio, rates.input_image)
    dear_input = max(price or 0 for price in (*side, rates.cache_write_30m, rates.cache_write_1h, rates.cache_write_12h))
    dear_output = max(price or 0 for price in (rates.output, rates.reasoning, rates.output_audio, rates.output_image))

    def price(own: int | None, instead: int) -> int:
        return instead if own is None else own

    writes = (
        (rarer.cache_write_30m_tokens, price(rates.cache_write_30m, rates.cache_write)),
        (rarer.cache_write_1h_tokens, price(rates.cache_write_1h, dear_input)),
        (rarer.cache_write_12h_tokens, price(rates.cache_write_12h, dear_input)),
        (usage.cache_write_tokens, rates.cache_write),
    )
    cached = min(usage.cached_tokens, usage.input_tokens)
    written = min(usage.cache_write_tokens, usage.input_tokens - cached)
    again = min(rarer.cached_audio_tokens, cached)
    heard = max(0, usage.input_audio_tokens - again)
    free, free_cached = spread(rarer.uncharged_input_tokens, usage.input_tokens - cached - written - heard - rarer.input_image_tokens)
    inputs = (
        (heard, price(rates.input_audio, dear_input)),
        (rarer.input_image_tokens, price(rates.input_image, rates.input)),
        (free, 0),
        (usage.input_tokens, rates.input),
    )
    thought = min(usage.reasoning_tokens, usage.output_tokens)
    said = usage.output_tokens - thought - usage.output_audio_tokens - rarer.output_image_tokens
    free, free_thought = spread(rarer.uncharged_output_tokens, said)
    outputs = (
        (min(thought, free_thought), 0),
        (thought - min(thought, free_thought), rates.reasoning),
        (usage.output_audio_tokens, price(rates.output_audio, dear_output)),
        (rarer.output_image_tokens, price(rates.output_image, dear_output)),
        (free, 0),
        (usage.output_tokens, rates.output),
    )
    total = parts_of(cached, ((again, price(rates.cached_input_audio, dear_input)), (free_cached, 0), (cached, rates.cached_input)))
    total += parts_of(written, writes) + parts_of(usage.input_tokens - cached - written, inputs)
    total += parts_of(usage.output_tokens, outputs)
    fees = rarer.searches * (rates.per_search or 0) + rarer.sources * (rates.per_source or 0)
    fees += rarer.file_searches * (rates.per_file_search or 0) + rarer.code_runs * (rates.per_code_run or 0)
    fees += (rates.per_request or 0) if usage.input_tokens or usage.output_tokens else 0
    total += (fees + rarer.advice_cost) * TOKENS_PER_PRICE
    return int(Fraction(total, TOKENS_PER_PRICE) + Fraction(1, 2))  # amounts are not below zero, so this rounds halves up


def spread(uncharged: int, plain: int) -> tuple[int, int]:
    """Return how many tokens that cost nothing are plain ones, and how many are left for what is cached or thought."""
    most = min(uncharged, max(0, plain))
    return most, uncharged - most


def parts_of(tokens: int, parts: Iterable[tuple[int, int]]) -> int:
    """Return the sum of tokens x price, where so many have each price: a part gets what those before it have left."""
    total = 0
    for count, price in parts:
        taken = min(count, tokens)
        tokens -= taken
        total += taken * price
    return total


def counts_of(row: CallRow) -> Iterator[tuple[str, int]]:
    """Yield every number of a row, by name."""
    for prefix, part in (("", row), ("generated.", row.generated), ("billed.", row.billed)):
        for name, value in zip(part.__struct_fields__, astuple(part), strict=True):
            if isinstance(value, int):
                yield prefix + name, value
