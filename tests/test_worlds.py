"""Lives thousands of small worlds and audits the ledger of each by the rules of docs/billing.md, which are written here once more.

The auditor shares no code with the ledger: it has its own parser, tiers and fractions, and looks at what clients hold in their hands.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cache
from itertools import product
from math import ceil, floor
from typing import NamedTuple

import msgspec
import pytest

from aisa.facts import CallEnded
from aisa.keys.rules import Key
from aisa.ledger.row import CallRow
from repeats import repeats
from worlds import (
    END_SECONDS,
    NEVER,
    Free,
    Left,
    Life,
    Making,
    Observer,
    Plan,
    Said,
    Seen,
    Tariff,
    Tokens,
    live,
    text_bytes_of,
    thoughts_in,
    world_of,
)

WORLDS = int(os.environ.get("AISA_WORLDS", str(repeats(1_000))))
FIRST = int(os.environ.get("AISA_WORLDS_FIRST", "0"))
STRICT = "AISA_WORLDS_STRICT" in os.environ  # count what is in KNOWN, too
SAMPLE = 200  # worlds that have something of everything
FAULTS_SHOWN_MAX = 40
FAULTS_SHOWN_PER_WORLD_MAX = 5

STEP = 256  # output tokens that a stream's hold begins with and grows by
DOCUMENT_END_BYTES = 16  # of a document, without which it counts as arrived
DOCUMENT = 4_096  # output tokens that are held for a document of which nobody says how long it may be
MILLION = 1_000_000
ROUNDINGS_NANOS = 60  # that the holds of thirty calls can be off by, where we do not know when each was taken
PARENT = {"cached_input": "input", "cache_write": "input", "input_audio": "input", "reasoning": "output", "output_audio": "output"}
INPUTS = ("input", "cached_input", "cache_write", "input_audio")
OUTPUTS = ("output", "reasoning", "output_audio")
AUDIO = {"input_audio": INPUTS, "output_audio": OUTPUTS}
NOTHING = Tokens()
TOLD = re.compile(rb'"cost":([0-9.]+)')


#: What docs/billing.md says beyond the plain rules that the auditor computes by: where the plain rule and the bill differ, it names the
#: exception that explains it. A difference that none of them explains is a fault; AISA_WORLDS_STRICT=1 shows these, too.
KNOWN = {
    "late document": "a document that leaves the process only some time after its end was written is free if the server dies then",
    "interleaved": "of a cut stream the first tokens are billed as reasoning, wherever they stood",
    "partly shown": "if any reasoning was shown, all that is reported counts as shown",
    "smaller report": "a report below our count is not believed before the vendor says [DONE]",
    "over hold": "a cut stream that is brought to the vendor's measure can cost more than was held for its output",
    "small model": "the first hold of a stream is bounded by the model's max_output_tokens too",
    "tier that is reported": "a reported input can be in a dearer tier than what was held for",
    "dear input": "input is held at the price of plain input or of a write to the cache, and audio may cost more",
}


class Fault(NamedTuple):
    """Something that is not as the documentation says. `case` names the disagreement that is known to be behind it, if one is."""

    text: str
    case: str = ""


def rate(rates: Mapping[str, int], kind: str) -> int:
    """Return the price of a kind of token: its own, or of audio the dearest of its side, or that of what it is a part of."""
    if kind in rates:
        return rates[kind]
    if kind in AUDIO:
        return max([rates[other] for other in AUDIO[kind] if other in rates])
    return rates[PARENT[kind]]


def rates_for(tariff: Tariff, input_tokens: int) -> Mapping[str, int]:
    """Return the prices of the highest tier whose threshold the input exceeds; they hold for all tokens."""
    exceeded = [(over, rates) for over, rates in tariff.tiers if input_tokens > over]
    return max(exceeded, key=lambda tier: tier[0])[1] if exceeded else tariff.rates


def cost_of(tariff: Tariff | None, tokens: Tokens) -> int:
    """Return what tokens cost: each at one price, and one rounding in the end, half up."""
    if tariff is None:
        return 0
    rates = rates_for(tariff, tokens.input)
    total = 0
    for whole, parts in (
        (("input", tokens.input), [("cached_input", tokens.cached), ("cache_write", tokens.written), ("input_audio", tokens.heard)]),
        (("output", tokens.output), [("reasoning", tokens.thought), ("output_audio", tokens.spoken)]),
    ):
        kind, left = whole
        for part, count in parts:
            total += min(count, left) * rate(rates, part)
            left -= min(count, left)
        total += left * rate(rates, kind)
    return floor(Fraction(total, MILLION) + Fraction(1, 2))


def first_output(plan: Plan) -> int:
    """Return the output tokens that are held for before a vendor is asked."""
    if plan.stream:
        return min(STEP, plan.max_tokens or STEP)
    return (plan.max_tokens or plan.model.output_max or DOCUMENT) * plan.choices


def output_held(plan: Plan, sent: int) -> int:
    """Return the output tokens that are held for when so many have been sent."""
    held = first_output(plan)
    return held + ceil(max(0, sent - held) / STEP) * STEP if plan.stream else held


def input_of(plan: Plan) -> int:
    """Return the tokens that a request is taken for where no vendor says it: four bytes of its text are one."""
    return ceil(text_bytes_of(plan.body) / 4)


def held_input(plan: Plan) -> int:
    """Return the input tokens that are held for."""
    return input_of(plan)


def hold_of(plan: Plan, output: int) -> int:
    """Return what is held for so many tokens of output, in millionths of a nano-dollar: the dearest that they can be."""
    if plan.model.tariff is None:
        return 0
    rates = rates_for(plan.model.tariff, held_input(plan))
    dearest_input = max(rates["input"], rate(rates, "cache_write"))  # any of it may be written to the vendor's cache
    return held_input(plan) * dearest_input + output * max(rate(rates, kind) for kind in OUTPUTS)


def arrived(data: bytes) -> tuple[int, int]:
    """Return the tokens, and the thoughts among them, of the events that are whole."""
    end = data.rfind(b"\n\n") + 2
    thoughts = thoughts_in(data[:end])
    return data.count(b"~", 0, end) + thoughts, thoughts


class Heard(NamedTuple):
    """What was read of a vendor: its last report, the tokens and thoughts that we counted, and the last bytes."""

    report: Tokens | None
    tokens: int
    thoughts: int
    last: bytes


def said_of(seen: Seen, *, late: bool = False) -> list[Said]:
    """Return what was read of the vendor of a call when it was settled, or when its last word was taken."""
    read = seen.read_late if late and seen.read_late is not None else seen.read
    return [step for step in seen.plan.steps if isinstance(step, Said)][:read]


def heard_of(seen: Seen, *, late: bool = False) -> Heard:
    """Return what was heard. Of several reports each count is the largest; a side is reported by none that says zero of what was there."""
    said = said_of(seen, late=late)
    reports = [each.report for each in said if each.report is not None]
    tokens, thoughts = sum(each.tokens for each in said), sum(each.thoughts for each in said)
    return Heard(Tokens(*map(max, *reports, NOTHING)) if reports else None, tokens, thoughts, said[-1].data if said else b"")


def reported(seen: Seen, heard: Heard) -> Tokens | None:
    """Return what a vendor reported, with what was counted on a side of which it said zero; None if it reported nothing."""
    report = heard.report
    if report is None:
        return None
    if not report.input:
        report = report._replace(input=input_of(seen.plan), cached=0, written=0, heard=0)
    if (not report.output and counted_of(seen, heard)) or not possible(seen, report):
        return report._replace(output=counted_of(seen, heard), thought=heard.thoughts, spoken=0)
    text = counted_of(seen, heard) - heard.thoughts
    return report if 2 * (report.output - report.thought) >= text else report._replace(thought=max(0, report.output - text))


def possible(seen: Seen, report: Tokens) -> bool:
    """Say whether an output is within what request or model allow."""
    plan = seen.plan
    most = max(plan.max_tokens or 0, plan.model.output_max or 0) or MILLION
    return report.output <= most * plan.choices


def counted_of(seen: Seen, heard: Heard) -> int:
    """Return the output tokens by our own count: of a document by its text, for which four bytes of each choice are one."""
    return heard.tokens if seen.plan.stream else ceil(heard.tokens * 3 / 4) * seen.plan.choices


def whole_bill(seen: Seen, *, late: bool = False) -> Tokens:
    """Return what a complete answer is billed for: what was reported, else what was counted."""
    heard = heard_of(seen, late=late)
    return reported(seen, heard) or Tokens(input_of(seen.plan), counted_of(seen, heard), thought=heard.thoughts)


def finishes_whole(seen: Seen) -> bool:
    """Say whether every choice that was asked for had finished when the call was settled."""
    data = b"".join(each.data for each in said_of(seen))
    return b"[DONE]" in data or data.count(b'"finish_reason":"stop"') >= seen.plan.choices


def complete(seen: Seen, has: tuple[int, int], outcome: str) -> bool:
    """Say whether a client has every token of a finished stream.

    Of one without tokens it must have all that was sent before the end, and it must have been the client who broke it off.
    """
    chunks_end = seen.body.find(b"\n\n", max(seen.body.rfind(b'"choices":[{'), 0)) + 2
    empty = outcome == "client_gone" and 2 < chunks_end <= seen.delivered
    has_all = has[0] == heard_of(seen).tokens and (has[0] > 0 or empty)
    return seen.plan.stream and finishes_whole(seen) and has_all


def part_bill(seen: Seen, has: tuple[int, int], *, late: bool = False) -> Tokens:
    """Return what is billed of a stream of which a client has so many tokens, and thoughts among them."""
    heard = heard_of(seen, late=late)
    tokens, thoughts = has
    if tokens == 0:
        return NOTHING
    report = reported(seen, heard)
    if report is None or heard.report is None:
        return Tokens(input_of(seen.plan), tokens, thought=thoughts)
    if not heard.report.output or not possible(seen, heard.report):
        return report._replace(output=tokens, thought=thoughts, spoken=0)
    visible = report.output - max(0, report.thought - heard.thoughts)
    output = max(min(tokens, 1), tokens * visible // heard.tokens)  # of what arrived a token at least
    shown = report.thought if heard.thoughts else 0
    return report._replace(output=output, thought=min(output, shown) if thoughts else 0, spoken=0)


def has_of(seen: Seen, *, found: bool) -> tuple[int, int]:
    """Return the tokens that a client has for good, and the thoughts among them. `found`: by the start after the server's death.

    What had left the dead server arrives all the same, and so does what was on the way, unless the connection was lost before.
    """
    if found and not seen.settled:
        return arrived(seen.body[: seen.taken])
    return arrived(seen.body if found and not seen.gone else seen.body[: seen.delivered])


def bill_of(seen: Seen, row: CallRow, *, found: bool) -> Tokens:
    """Return what the documentation says that a call is billed for."""
    plan, crashed = seen.plan, found and not seen.settled
    if row.outcome in ("failed", "refused"):
        return NOTHING
    if not plan.stream:
        arrives = seen.taken if found and not seen.gone else seen.delivered
        whole = seen.closed and arrives >= len(seen.body) - DOCUMENT_END_BYTES and b'"error"' not in seen.body
        return whole_bill(seen) if whole and not crashed else NOTHING
    if row.outcome == "completed":
        return whole_bill(seen)
    tokens, thoughts = has_of(seen, found=found)
    if crashed and tokens:  # the journal knows no more than how large the request was and how many tokens left
        return Tokens(input_of(plan), tokens)
    if complete(seen, (tokens, thoughts), row.outcome):
        return whole_bill(seen, late=True)
    return part_bill(seen, (tokens, thoughts), late=late_word(seen, (tokens, thoughts)))


def late_word(seen: Seen, has: tuple[int, int]) -> bool:
    """Say whether what a vendor said after its client had left counts: if only its report was to come, or if it makes the bill smaller."""
    bills = [part_bill(seen, has, late=late) for late in (False, True)]
    then, now = [cost_of(seen.plan.model.tariff, bill) for bill in bills]
    return finishes_whole(seen) or now < then


def tokens_of(row: CallRow) -> Tokens:
    """Return what a row bills."""
    billed = row.billed
    return Tokens(
        billed.input_tokens,
        billed.output_tokens,
        billed.cached_tokens,
        billed.cache_write_tokens,
        billed.reasoning_tokens,
        billed.input_audio_tokens,
        billed.output_audio_tokens,
    )


def window_of(key: Key, unix_seconds: float) -> datetime:
    """Return when the window of a key's cap began that a moment is in."""
    day = datetime.fromtimestamp(unix_seconds, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if key.spend_window == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if key.spend_window == "month" else day


def first_of(cases: Iterable[str]) -> str:
    """Return the first name that is not empty."""
    return next(filter(None, cases), "")


class Held(NamedTuple):
    """What has to be held for a call: by whom, for how many output tokens, how much, and how far off roundings may make it."""

    plan: Plan
    by: tuple[str, ...]
    output: int
    amount: int
    slack: int


class Auditor(Observer):
    """Keeps an account of its own of what has to be held at any moment, and compares. Amounts are millionths of a nano-dollar."""

    def __init__(self) -> None:
        self.calls: dict[str, Held] = {}
        self.limits: dict[str, tuple[str, ...]] = {}
        self.room: dict[tuple[str, str], int] = {}  # what a limit had left when a call was settled, less what the call cost
        self.totals: Counter[str] = Counter()
        self.slack: Counter[str] = Counter()
        self.faults: list[Fault] = []
        self.wrong: set[str] = set()
        self.must_refuse: dict[str, bool] = {}
        self.cases: dict[str, str] = {}
        self.quotas: dict[str, tuple[float, int]] = {}

    def admits(self, life: Life, making: Making) -> None:
        """See whether the wallet has to refuse a call, and take what is held for it."""
        plan, account = making.plan, making.plan.key.account
        need = hold_of(plan, first_output(plan))
        balance = life.ledger.wallets[account].balance
        by: tuple[str, ...] = ()
        if plan.model.tariff is not None:
            by = ((account,) if balance is not None else ()) + ((plan.key.id,) if plan.key.spend_cap is not None else ())
        if account in by and balance is not None:
            missing = need - (balance * MILLION - self.totals[account])
            if abs(missing) > self.slack[account] + 2 * MILLION:
                self.must_refuse[plan.id] = missing > 0
        self.quotas[plan.id] = life.wall_clock(), need + self.totals[plan.key.id]
        self.limits[plan.id] = by
        self._keep(plan.id, Held(plan, by, first_output(plan), need, 2 * MILLION))
        self.cases[plan.id] = first_of(map(self._case, by))

    def writes(self, life: Life, making: Making) -> None:
        """See to it that every token that is sent is held for, to the nano-dollar but for roundings."""
        plan = making.plan
        held = self.calls.get(plan.id)
        if held is not None and held.by and (output := output_held(plan, making.client.tokens)) > held.output:
            steps = (output - held.output) // STEP
            self._keep(plan.id, held._replace(output=output, amount=hold_of(plan, output), slack=held.slack + steps * MILLION))
        for name in self.limits[plan.id]:
            limit = life.ledger.caps.get(name) or life.ledger.wallets.get(name)
            kept = limit.held if limit else 0
            if abs(kept * MILLION - self.totals[name]) > self.slack[name] and name not in self.wrong:
                self.wrong.add(name)
                text = f"{plan.id}: {name} holds {kept} at {life.wall_clock()}, and it should be {self.totals[name] / MILLION}"
                self.faults.append(Fault(text, self._case(name)))

    def settles(self, life: Life, making: Making) -> None:
        """Give back what was held, and note what each limit had left before."""
        for name in self.limits.get(making.plan.id, ()):
            cap, wallet = life.ledger.caps.get(name), life.ledger.wallets.get(name)
            limit = cap.cap - (cap.spent_at(life.wall_clock()) or 0) if cap else (wallet.balance or 0 if wallet else 0)
            self.room[making.plan.id, name] = limit * MILLION - self.totals[name]
        self._keep(making.plan.id, None)

    def _case(self, name: str) -> str:
        """Name the exception that may be behind a difference in what is held by a wallet or cap, if there is one."""
        return first_of(known_hold(held.plan) for held in self.calls.values() if name in held.by)

    def _keep(self, call: str, held: Held | None) -> None:
        """Have this held for a call from now on."""
        before = self.calls.pop(call, None)
        for sign, each in ((-1, before), (1, held)):
            if each is not None:
                self.totals.update(dict.fromkeys(each.by, sign * each.amount))
                self.slack.update(dict.fromkeys(each.by, sign * each.slack))
        if held is not None:
            self.calls[call] = held


def overrun_of(seen: Seen) -> int:
    """Return the most that a call can cost beyond what was held for it, in millionths of a nano-dollar: by tokens that are reported."""
    plan, report = seen.plan, heard_of(seen).report
    if report is None or plan.model.tariff is None:
        return 0
    rates = rates_for(plan.model.tariff, report.input)
    sent, _ = arrived(seen.body)
    more_input = max(0, report.input - held_input(plan))
    more_output = max(0, report.output - output_held(plan, sent)) if finished(seen) else 0
    return more_input * max(rate(rates, kind) for kind in INPUTS) + more_output * max(rate(rates, kind) for kind in OUTPUTS)


def finished(seen: Seen) -> bool:
    """Say whether the vendor's answer was read to a proper end."""
    said = [step for step in seen.plan.steps if isinstance(step, Said)][: seen.read]
    return any(each.finishes for each in said)


def audit(left: Left, auditor: Auditor) -> list[Fault]:
    """Return everything in what a world left that is not as the documentation says."""
    rows: dict[str, list[CallRow]] = defaultdict(list)
    for row in left.rows:
        rows[row.id].append(row)
    faults = list(auditor.faults)
    for seen in left.seen:
        own = rows.pop(seen.plan.id, [])
        faults += [*audit_call(left, seen, own), *audit_refusal(seen, auditor)]
        faults += [fault for row in own for fault in audit_growth(seen, row, auditor)]
    faults += [Fault(f"{call}: a row of a call that nobody made") for call in rows]
    faults += audit_lines(left)
    if left.recoveries is None:
        faults += [*audit_wallets(left), *audit_caps(left, auditor)]
    else:
        faults += audit_recoveries(left)
    return faults


def audit_refusal(seen: Seen, auditor: Auditor) -> Iterator[Fault]:
    """Yield what is wrong with a call's admission: refused calls ask nobody, and are refused for a reason."""
    plan, refused = seen.plan, seen.refused
    if refused is None:
        if auditor.must_refuse.get(plan.id):
            yield Fault(f"{plan.id}: was admitted, and the wallet had too little", auditor.cases[plan.id])
        return
    if seen.asked:
        yield Fault(f"{plan.id}: was refused and asked a vendor")
    if refused == "insufficient_wallet_balance" and not auditor.must_refuse.get(plan.id, True):
        yield Fault(f"{plan.id}: was refused, and the wallet had enough", auditor.cases[plan.id])
    if refused == "quota_exceeded" and plan.key.spend_cap is None:
        yield Fault(f"{plan.id}: was refused for a cap that it does not have")


def audit_growth(seen: Seen, row: CallRow, auditor: Auditor) -> Iterator[Fault]:
    """Yield what is wrong with a stream that ended for want of money: none of its limits was in the way."""
    if row.error_code not in {"insufficient_wallet_balance", "quota_exceeded"}:
        return
    plan = seen.plan
    more = hold_of(plan, output_held(plan, heard_of(seen).tokens)) - hold_of(plan, output_held(plan, arrived(seen.body)[0]))
    limit = plan.key.account if row.error_code == "insufficient_wallet_balance" else plan.key.id
    room = auditor.room.get((plan.id, limit))
    if room is None or room + (row.cost - ROUNDINGS_NANOS) * MILLION > more:
        yield Fault(f"{plan.id}: ended for {row.error_code}, and {limit} had enough", known_hold(plan))


def audit_call(left: Left, seen: Seen, rows: list[CallRow]) -> Iterator[Fault]:
    """Yield what is wrong with the rows of a call."""
    plan, found = seen.plan, False
    if left.recoveries is not None:
        found = any(row.id == plan.id for row in left.recoveries.first)
    least = int(seen.asked)
    most = int(seen.asked or (left.recoveries is not None and seen.held))  # opened, and its vendor not asked yet
    if not least <= len(rows) <= most:
        yield Fault(f"{plan.id}: {len(rows)} rows, and it was {'asked' if seen.asked else 'not asked'}")
    for row in rows:
        yield from audit_row(left, seen, row, found=found)
    after = seen.body.partition(b'data: {"error"')[2]
    if b"\n\ndata" in after:
        yield Fault(f"{plan.id}: more was sent after the error that ended it")
    told = [Decimal(dollars.decode()) * 1_000_000_000 for dollars in TOLD.findall(seen.body)]
    for row, nanos in product(rows, told):
        if row.cost > nanos or (row.outcome == "completed" and row.cost != nanos):
            yield Fault(f"{plan.id}: was told {nanos}, and {row.outcome} it costs {row.cost}", known_bill(seen, row))


def audit_row(left: Left, seen: Seen, row: CallRow, *, found: bool) -> Iterator[Fault]:
    """Yield what is wrong with a row: who, what, how it ended, what is billed, what that costs."""
    plan, billed = seen.plan, tokens_of(row)
    who = (row.account, row.key_id, row.model, row.stream, row.prepaid)
    if who != (plan.key.account, plan.key.id, plan.model.name, plan.stream, seen.prepaid):
        yield Fault(f"{plan.id}: the row is of {who}")
    if not all(type(number) is int and number >= 0 for number in (*billed, row.cost, row.delivered)):
        yield Fault(f"{plan.id}: not all whole numbers: {billed} {row.cost} {row.delivered}")
    if not ended_so(left, seen, row.outcome, found=found):
        yield Fault(f"{plan.id}: did not end as {row.outcome}", known_bill(seen, row))
    expected = bill_of(seen, row, found=found)
    if billed != expected:
        yield Fault(f"{plan.id}: {row.outcome}, bills {billed}, and it should be {expected}", known_bill(seen, row))
    has = has_of(seen, found=found) if plan.stream else (0, 0)
    if row.outcome != "completed" and row.delivered != (expected.output if complete(seen, has, row.outcome) else has[0]):
        yield Fault(f"{plan.id}: {row.outcome}, {row.delivered} tokens are said to be delivered", known_bill(seen, row))
    if row.cost != cost_of(plan.model.tariff, billed):
        yield Fault(f"{plan.id}: costs {row.cost}, and it should be {cost_of(plan.model.tariff, billed)}")
    limited = row.prepaid or plan.key.spend_cap is not None
    for_output = row.cost - cost_of(plan.model.tariff, billed._replace(output=0, thought=0, spoken=0))
    held = hold_of(plan, output_held(plan, arrived(seen.body)[0])) - hold_of(plan, 0)
    cut = not finished(seen) or row.outcome in {"cut", "client_stalled", "shut_down"}
    if limited and cut and (for_output - 2) * MILLION > held:
        yield Fault(
            f"{plan.id}: {row.outcome}, its output costs {for_output}, and {held / MILLION} was held for it",
            known_cut(seen),
        )
    if billed.output and sources_of(row) != expected_sources(seen, row, found=found):
        yield Fault(f"{plan.id}: {row.outcome}, counts from {sources_of(row)}", known_bill(seen, row))
    latest = left.world.began + (seen.ended_seconds if seen.ended else END_SECONDS)
    if not left.world.began + seen.began_seconds - 1 <= row.ended_ms / 1000 <= latest:
        yield Fault(f"{plan.id}: ended at another time than {row.ended_ms}")


def ended_so(left: Left, seen: Seen, outcome: str, *, found: bool) -> bool:
    """Say whether a call can have ended so, by what is seen of it."""
    whole = seen.closed and seen.delivered >= len(seen.body) - (0 if seen.plan.stream else DOCUMENT_END_BYTES)
    can = {
        "completed": finished(seen) and (whole or found) and b'"error"' not in seen.body,
        "failed": not arrived(seen.body)[0],
        "refused": not arrived(seen.body)[0] and (seen.gone or b'"error"' in seen.body),
        "cut": seen.status == 200 and (seen.closed or seen.gone),
        "client_gone": seen.gone,
        "client_stalled": seen.gone and seen.plan.manner.stalls_after is not None,
        "shut_down": left.world.shuts_seconds < NEVER,
        "crashed": found,
    }
    return can[outcome]


def sources_of(row: CallRow) -> tuple[str, str]:
    """Return where a row says that its counts came from."""
    return row.billed.input_source, row.billed.source


def expected_sources(seen: Seen, row: CallRow, *, found: bool) -> tuple[str, str]:
    """Return where they came from: what was brought to the vendor's measure is counted still, unless it is all that was reported."""
    has, crashed = has_of(seen, found=found), found and not seen.settled
    whole = row.outcome == "completed" or complete(seen, has, row.outcome)
    heard = heard_of(seen, late=whole or late_word(seen, has))
    everything = whole or has[0] == heard.tokens
    report = NOTHING if heard.report is None or crashed else heard.report
    if report.output and not possible(seen, report):
        return "reported" if report.input else "estimated", "implausible"
    ours = "counted" if seen.plan.stream and (heard.tokens or crashed) else "estimated"
    return "reported" if report.input else "estimated", "reported" if report.output and everything else ours


def audit_wallets(left: Left) -> Iterator[Fault]:
    """Yield what is wrong with the wallets: money that came from nowhere or went there, or that was spent twice."""
    by_id = {seen.plan.id: seen for seen in left.seen}
    for name, begin in left.world.balances.items():
        balance, held = left.wallets[name]
        paid = [amount for _, account, amount in left.world.top_ups if account == name]
        expected = (
            None
            if begin is None and not paid
            else (begin or 0) + sum(paid) - sum(row.cost for row in left.rows if row.account == name and row.prepaid)
        )
        if (balance, held) != (expected, 0) or type(held) is not int:
            yield Fault(f"{name}: has {balance}, holds {held}, and it should have {expected}, and hold nothing")
    for free in left.free:
        blamed = [by_id[call] for call in free.ended]
        bound = sum(overrun_of(seen) for seen in blamed) + 2 * MILLION * len(blamed)
        if free.nanos * MILLION < -bound:
            known = first_of(map(known_overrun, blamed))
            yield Fault(
                f"{free.account}: is at {free.nanos} beyond what is held, and {-bound / MILLION} was the greatest overrun of {free.ended}",
                known,
            )
    if left.in_ledger:
        yield Fault(f"{left.in_ledger} are in the ledger for ever")


def audit_lines(left: Left) -> Iterator[Fault]:
    """Yield what is wrong with the log: each row has one line that says the same, unless the server died before it could say it."""
    lines: dict[str, list[CallEnded]] = defaultdict(list)
    for line in left.lines:
        lines[line.request_id].append(line)
    for row in left.rows:
        said = lines.pop(row.id, [])
        if len(said) != 1:
            if said or left.recoveries is None:
                yield Fault(f"{row.id}: {len(said)} lines in the log of a {row.outcome} call")
            continue
        [line] = said
        cost = None if row.prices is None else row.cost
        ours = (row.outcome, row.billed.output_tokens, cost, row.generated, row.error_code, row.target, row.attempts)
        theirs = (
            line.outcome,
            line.billed_tokens,
            line.cost_nanos,
            line.usage,
            line.error_code,
            line.target,
            line.attempts,
        )
        fails = row.first_token_ms is None and row.error_code is not None
        unheard = row.outcome == "client_gone" and not line.bytes_sent
        if ours != theirs or (line.status == 200) == (fails or unheard) or (line.status == 499) != unheard:
            yield Fault(f"{row.id}: the row says {ours}, the log {line.status} {theirs}")


def audit_caps(left: Left, auditor: Auditor) -> Iterator[Fault]:
    """Yield what is wrong with the caps: windows in which more was spent than could be, and calls that were refused too early."""
    calls = {seen.plan.id: seen for seen in left.seen}
    windows: dict[tuple[Key, datetime], list[CallRow]] = defaultdict(list)
    for row in left.rows:
        if row.id in calls:
            key = calls[row.id].plan.key
            windows[key, window_of(key, row.ended_ms / 1000)].append(row)
    for (key, window), rows in windows.items():
        spent, ended = sum(row.cost for row in rows), [calls[row.id] for row in rows]
        bound = sum(map(overrun_of, ended)) + 2 * MILLION * len(rows)
        if key.spend_cap is not None and (spent - key.spend_cap) * MILLION > bound:
            text = f"{key.id}: spent {spent} from {window}, of {key.spend_cap} and {bound / MILLION} of overrun"
            yield Fault(text, first_of(map(known_overrun, ended)))
    for seen in left.seen:
        key = seen.plan.key
        if seen.refused == "quota_exceeded" and key.spend_cap is not None:
            now, needed = auditor.quotas[seen.plan.id]
            before = [row for row in windows[key, window_of(key, now)] if row.ended_ms <= now * 1000]
            most = sum(max(row.cost, cost_of(calls[row.id].plan.model.tariff, whole_bill(calls[row.id]))) for row in before)
            if needed + (most - key.spend_cap + ROUNDINGS_NANOS) * MILLION < 0:
                text = f"{seen.plan.id}: was refused for its cap, and there was room"
                yield Fault(text, auditor.cases[seen.plan.id])
    yield from (Fault(f"{name}: holds {held} for ever") for name, held in left.caps_held.items() if held)


def audit_recoveries(left: Left) -> Iterator[Fault]:
    """Yield what is wrong with the starts after a death: a call is settled once, and then gone from the journal."""
    assert left.recoveries is not None, "the caller looked"
    first, second, slots_taken = left.recoveries
    settled = {row.id: row for row in first}
    yield from (Fault(f"{row.id}: was settled anew, and differently") for row in second if settled.get(row.id) != row)
    if slots_taken:
        yield Fault(f"{slots_taken} slots are taken for ever")
    if not left.world.seed % 2:
        again = {row.id for row in second}
        yield from (Fault(f"{call}: was not found by the second start, and the first had died") for call in settled.keys() - again)


def known_hold(plan: Plan) -> str:
    """Name the exception on what is held that a call is a case of, if it is one."""
    tariff = plan.model.tariff
    if tariff is None:
        return ""
    if plan.stream and (plan.model.output_max or STEP) < first_output(plan):
        return "small model"
    return ""


def known_overrun(seen: Seen) -> str:
    """Name the exception on the greatest overrun that a call is a case of, if it is one."""
    plan, report = seen.plan, heard_of(seen).report
    tariff = plan.model.tariff
    if tariff is not None and report is not None:
        rates = rates_for(tariff, report.input)
        if rates != rates_for(tariff, held_input(plan)):
            return "tier that is reported"
        if max(rate(rates, kind) for kind in INPUTS) > max(rates["input"], rate(rates, "cache_write")):
            return "dear input"
    return known_hold(plan)


def known_cut(seen: Seen) -> str:
    """Name the exception that lets a stream that was cut cost more than was held for its output."""
    case = known_overrun(seen)
    return case if case not in {"", "dear input"} else "over hold"


def known_bill(seen: Seen, row: CallRow) -> str:
    """Name the exception on what is billed that a call is a case of, if it is one."""
    heard = heard_of(seen, late=True)
    if not seen.plan.stream:
        return "late document" if row.outcome == "crashed" else ""
    has, thoughts = arrived(seen.body[: seen.delivered])
    if heard.report is not None and row.outcome != "completed":
        if heard.report.output < heard.tokens and b"[DONE]" not in heard.last:
            return "smaller report"
        if 0 < heard.thoughts < heard.report.thought:
            return "partly shown"
    if thoughts != min(has, heard.thoughts):
        return "interleaved"
    return ""


@cache
def lived(seed: int) -> tuple[Left, Auditor]:
    """Return what the world of a seed leaves, and the auditor that saw it."""
    auditor = Auditor()
    return live(world_of(seed), auditor), auditor


def faults_of(seed: int) -> list[Fault]:
    """Live the world of a seed and audit it."""
    auditor = Auditor()
    return audit(live(world_of(seed), auditor), auditor)


def test_the_books_of_every_world_are_as_the_documentation_says() -> None:
    """Whoever calls, whatever vendor and client do, whenever the server dies: nothing is lost, made up, or billed and did not arrive."""
    faults: list[str] = []
    for seed in range(FIRST, FIRST + WORLDS):
        found = [fault for fault in faults_of(seed) if STRICT or fault.case not in KNOWN]
        faults += [f"world {seed}: {fault.text}{fault.case and f' ({fault.case})'}" for fault in found[:FAULTS_SHOWN_PER_WORLD_MAX]]
        if found:
            faults.append(f"    again: AISA_WORLDS_FIRST={seed} AISA_WORLDS=1 python -m pytest tests/test_worlds.py")
        if len(faults) > FAULTS_SHOWN_MAX:
            break
    assert not faults, "\n".join(["", *faults])


def test_worlds_are_of_every_kind() -> None:
    """What no world does, no audit sees: every outcome, both refusals, a stream that runs out of money, a bill that was corrected."""
    seen: Counter[str] = Counter()
    for seed in range(SAMPLE):
        left, _ = lived(seed)
        seen.update(row.outcome for row in left.rows)
        seen.update(call.refused for call in left.seen if call.refused)
        seen.update(f"inside: {row.error_code}" for row in left.rows if row.outcome == "cut")
        seen.update("corrected" for call in left.seen if call.closed and call.gone)
        seen.update("died" for _ in [0] if left.recoveries is not None)
    wanted = {"completed", "failed", "cut", "client_gone", "client_stalled", "shut_down", "crashed", "corrected", "died"}
    wanted |= {"insufficient_wallet_balance", "quota_exceeded", "inside: insufficient_wallet_balance", "inside: quota_exceeded"}
    assert wanted <= set(seen), wanted - set(seen)


def test_a_world_is_the_same_each_time() -> None:
    """A seed that fails can be looked at again."""
    for seed in range(20):
        once, again = (live(world_of(seed)) for _ in range(2))
        assert (once.rows, once.wallets, once.seen) == (again.rows, again.wallets, again.seen)


def billed_row(left: Left) -> int:
    """Return the place of a row that a prepaid account paid for; ValueError if there is none."""
    return [row.prepaid and row.cost > 0 and row.outcome == "completed" for row in left.rows].index(True)


def with_row(left: Left, **changes: object) -> Left:
    """Return what is left with a row of a prepaid account changed."""
    place = billed_row(left)
    return replace(left, rows=[*left.rows[:place], msgspec.structs.replace(left.rows[place], **changes), *left.rows[place + 1 :]])


def with_bill(left: Left, **changes: object) -> Left:
    """Return what is left with the tokens changed that a row bills."""
    row = left.rows[billed_row(left)]
    return with_row(left, billed=msgspec.structs.replace(row.billed, **changes))


def with_wallet(left: Left, more: int, held: int) -> Left:
    """Return what is left with more in the wallet of a prepaid account, and with more held."""
    account = left.rows[billed_row(left)].account
    balance, _ = left.wallets[account]
    return replace(left, wallets={**left.wallets, account: ((balance or 0) + more, held)})


def with_call(left: Left, **changes: object) -> Left:
    """Return what is left with something else seen of a call that was billed."""
    call = left.rows[billed_row(left)].id
    return replace(left, seen=[seen._replace(**changes) if seen.plan.id == call else seen for seen in left.seen])


TAMPERED: Mapping[str, Callable[[Left], Left]] = {
    "a nano-dollar too much": lambda left: with_row(left, cost=left.rows[billed_row(left)].cost + 1),
    "a cost that is no whole number": lambda left: with_row(left, cost=float(left.rows[billed_row(left)].cost)),
    "a token too many": lambda left: with_bill(left, output_tokens=left.rows[billed_row(left)].billed.output_tokens + 1),
    "input that is not billed": lambda left: with_bill(left, input_tokens=0),
    "a count from elsewhere": lambda left: with_bill(left, source="estimated"),
    "another outcome": lambda left: with_row(left, outcome="client_gone"),
    "another account": lambda left: with_row(left, account="three"),
    "an unlimited account": lambda left: with_row(left, prepaid=False),
    "another time": lambda left: with_row(left, ended_ms=left.rows[billed_row(left)].ended_ms + 86_400_000),
    "a lost row": lambda left: replace(left, rows=[row for place, row in enumerate(left.rows) if place != billed_row(left)]),
    "a row twice": lambda left: replace(left, rows=[*left.rows, left.rows[billed_row(left)]]),
    "a row of nobody": lambda left: with_row(left, id="req_none"),
    "money from nowhere": lambda left: with_wallet(left, 1, 0),
    "money that stays held": lambda left: with_wallet(left, 0, 1),
    "a wallet that was overdrawn": lambda left: replace(left, free=[Free("one", -1, ())]),
    "a call that is never forgotten": lambda left: replace(left, in_ledger=["req_0"]),
    "a line that is missing": lambda left: replace(left, lines=left.lines[1:]),
    "a cap that stays held": lambda left: replace(left, caps_held={"key_0": 1}),
    "a refused call that asked": lambda left: with_call(left, refused="quota_exceeded"),
    "less that arrived": lambda left: with_call(left, delivered=0),
}


@pytest.mark.parametrize("change", TAMPERED)
def test_the_auditor_notices(change: str) -> None:
    """An auditor that signs anything is worth nothing: the ledger of a good world is changed in one place, and it says so."""
    for seed in range(SAMPLE):
        left, auditor = lived(seed)
        if (
            left.recoveries is None
            and not audit(left, auditor)
            and any(row.prepaid and row.cost and row.outcome == "completed" for row in left.rows)
        ):
            assert audit(TAMPERED[change](left), auditor)
            return
    pytest.fail("no world has a completed call of a prepaid account")
