"""Facts as lines on standard error: one JSON object each, or one line for people. Writes off the call's path; never holds a secret."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import BinaryIO

import msgspec

from aisa.clock import WallClock
from aisa.errors import CALLER, OPERATOR, VENDOR
from aisa.facts import (
    AccountChanged,
    AnsweredOtherwise,
    BugFound,
    CallEnded,
    CallStopped,
    ChoicesMissing,
    CredentialRests,
    DocumentLost,
    Fact,
    FinishUnknown,
    KeysChanged,
    KindUnpriced,
    LedgerAway,
    LedgerBack,
    RefusalsNotKept,
    Refused,
    Replayed,
    ServerNotice,
    TargetHealth,
    UsageMisreported,
    VendorFailed,
    WalletChanged,
)
from aisa.money import dollars_text

#: Facts kept while standard error does not take them; beyond, they are dropped and counted. About 5 MB.
WAITING_FACTS_MAX = 10_000
WAITING_BATCHES_MAX = 200
LINE_CHARACTERS_MAX = 8_000  # of the texts in one line; a long trace has 4,000
LINE_BYTES_MAX = 3 * LINE_CHARACTERS_MAX  # no line is looked at closer below it
FLUSH_SECONDS = 0.05  # facts of one burst are written together

Stamped = tuple[float, Fact]


class Log:
    """Collects facts on the event loop and writes them from a thread of its own, so that a slow terminal never slows a call."""

    def __init__(self, out: BinaryIO, line: Callable[[float, Fact], bytes], wall_clock: WallClock) -> None:
        self._out = out
        self._line = line
        self._wall_clock = wall_clock
        self._waiting: list[Stamped] = []
        self._dropped = 0
        self._armed = False
        self._batches: queue.SimpleQueue[list[Stamped] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def report(self, fact: Fact) -> None:
        """Note a fact. Returns at once."""
        if len(self._waiting) >= WAITING_FACTS_MAX or self._batches.qsize() >= WAITING_BATCHES_MAX:
            self._dropped += 1
            return
        self._waiting.append((self._wall_clock(), fact))
        if not self._armed:
            self._armed = True
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._flush)

    def close(self) -> None:
        """Write what is left, waiting a few seconds at most."""
        self._flush()
        self._batches.put(None)
        self._thread.join(CLOSE_SECONDS_MAX)

    def _flush(self) -> None:
        self._armed = False
        batch, self._waiting = self._waiting, []
        if self._dropped:
            batch.append((self._wall_clock(), ServerNotice(f"{self._dropped} log lines were dropped: standard error was too slow")))
            self._dropped = 0
        self._batches.put(batch)

    def _write(self) -> None:
        while (batch := self._batches.get()) is not None:
            try:
                self._out.write(b"".join([self._line(at, fact) for at, fact in batch]))
                self._out.flush()
            except (OSError, ValueError):
                pass  # nobody reads standard error any more, or a fact cannot be written; the server and the thread go on


CLOSE_SECONDS_MAX = 2.0


@lru_cache(1)
def second_text(second: int) -> str:
    """Return a UNIX second in ISO 8601; all lines of a second share it."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def json_line(at: float, fact: Fact) -> bytes:
    """Write a fact as one JSON object; `type` says which fact, `time` is ISO 8601 in UTC."""
    second, millisecond = divmod(int(at * 1000), 1000)
    time = f"{second_text(second)}.{millisecond:03}+00:00"
    written = msgspec.json.encode(fact)
    if len(written) > LINE_BYTES_MAX:
        written = msgspec.json.encode(shortened(fact))
    return b'{"time":"%b",%b\n' % (time.encode(), written[1:])  # a fact is an object and never an empty one


def text_line(at: float, fact: Fact) -> bytes:
    """Write a fact for a person at a terminal, in local time."""
    clock = datetime.fromtimestamp(at).astimezone().strftime("%H:%M:%S")
    said = in_words(fact)
    return f"{clock}  {said if len(said) <= LINE_CHARACTERS_MAX else middle_cut(said, LINE_CHARACTERS_MAX)}\n".encode(
        "utf-8", "backslashreplace"
    )


def shortened(fact: Fact) -> Fact:
    """Return a fact whose texts fit a line together."""
    texts = {name: text for name in fact.__struct_fields__ if isinstance(text := getattr(fact, name), str)}
    return msgspec.structs.replace(fact, **{name: middle_cut(text, LINE_CHARACTERS_MAX // len(texts)) for name, text in texts.items()})


def middle_cut(text: str, characters_max: int) -> str:
    """Return a text without its middle if it is too long: a trace says what happened at its end."""
    half = characters_max // 2
    return text if len(text) <= characters_max else f"{text[:half]} … {text[-half:]}"


def health_in_words(fact: TargetHealth | CredentialRests) -> str:
    """Say what becomes of a target that has failed, or of a credential that was refused."""
    if isinstance(fact, CredentialRests):
        why = f"was refused (status {fact.status})" if fact.status else "cannot be had"
        return f"{fact.vendor}: credential {fact.number} of {fact.of} {why} and is not used for {fact.seconds:g} s"
    return f"{fact.target} is asked last for {fact.last_for_seconds:g} s" if fact.last_for_seconds else f"{fact.target} answers again"


def change_in_words(fact: KeysChanged | AccountChanged | WalletChanged) -> str:
    """Say what an administrator has changed."""
    if isinstance(fact, KeysChanged):
        return f"key {fact.action}: {fact.label} ({fact.key_id})"
    if isinstance(fact, AccountChanged):
        return f"account {fact.action}: {fact.account}, in {'the default tier' if fact.tier is None else f'the tier {fact.tier}'}"
    left = "unlimited" if fact.balance is None else f"{dollars_text(fact.balance)} US dollars left"
    return f"wallet of {fact.account}: {fact.action} {dollars_text(fact.amount)}, {left}"


def in_words(fact: Fact) -> str:
    """Say a fact in one line, with nothing unprintable in it."""
    match fact:
        case CallEnded():
            said = call_in_words(fact)
        case Refused():
            whose = f"  {fact.key_label} ({fact.key_id})" if fact.key_id else ""
            said = f"{fact.status}  {fact.method} {fact.path}  {fact.code}{whose}  {fact.request_id}{from_where(fact.address)}"
        case Replayed():
            said = f"200  the answer of {fact.call_id} again  {fact.key_label}  {fact.request_id}"
        case (
            VendorFailed() | UsageMisreported() | FinishUnknown() | ChoicesMissing() | DocumentLost() | AnsweredOtherwise() | KindUnpriced()
        ):
            said = deviation_in_words(fact)
        case TargetHealth() | CredentialRests():
            said = health_in_words(fact)
        case RefusalsNotKept():
            said = f"{fact.count} refused calls within a minute left no record: the database is away, or too many keys are refused"
        case BugFound():
            said = f"BUG  {fact.request_id}  {fact.trace}"
        case KeysChanged() | AccountChanged() | WalletChanged():
            said = change_in_words(fact)
        case CallStopped():
            said = f"call ended by an administrator: {fact.request_id}"
        case LedgerAway():
            said = f"ACT NOW: the ledger cannot be written: {fact.what} {fact.remedy} Calls go on while the journal has room."
        case LedgerBack():
            said = f"the ledger is written again, {fact.rows} calls at once"
        case _:
            said = fact.message
    return "".join(character if character.isprintable() else " " for character in said)


def price_in_words(fact: AnsweredOtherwise | KindUnpriced) -> str:
    """Say what is to be looked at in a price."""
    if isinstance(fact, AnsweredOtherwise):
        what = f"vendor {fact.vendor} answered with {fact.answered} for {fact.model}, which the catalogue prices otherwise"
        return f"{what}; charged by {fact.price_source or 'nobody'}  {fact.request_id}"
    what = f"ACT NOW: {fact.vendor}/{fact.model} has no price for {fact.kinds}, charged at the dearest price of the same side"
    return f"{what}; write one under prices  {fact.request_id}"


def deviation_in_words(
    fact: VendorFailed | UsageMisreported | FinishUnknown | ChoicesMissing | DocumentLost | AnsweredOtherwise | KindUnpriced,
) -> str:
    """Say what a vendor, or whoever received a document, did amiss or otherwise than expected in one call."""
    if isinstance(fact, AnsweredOtherwise | KindUnpriced):
        return price_in_words(fact)
    if isinstance(fact, VendorFailed):
        return f"{WHOSE[fact.blame].format(fact.vendor)} for {fact.model}: {fact.code} ({fact.detail})  {fact.request_id}"
    if isinstance(fact, UsageMisreported):
        return f"vendor {fact.vendor} misreports what {fact.model} uses, so it is counted: {fact.detail}  {fact.request_id}"
    if isinstance(fact, DocumentLost):
        what = f"a document is free: key {fact.key_label} lost the connection before its system had it, time {fact.count}"
        return f"{what}  {fact.request_id}"
    if isinstance(fact, ChoicesMissing):
        what = f"vendor {fact.vendor} made {fact.made} of the {fact.asked} choices that {fact.model} was asked for"
        return f"{what}; set max_n: {fact.made} for the model to have such requests refused  {fact.request_id}"
    return f"vendor {fact.vendor} ended with '{fact.word}', unknown here and taken for stop, {fact.model}  {fact.request_id}"


#: How a failed attempt at a vendor is announced, by whose fault it is.
WHOSE = {
    CALLER: "a caller's request was refused by vendor {}",
    OPERATOR: "ACT NOW: vendor {} failed",
    VENDOR: "vendor {} failed",
}


def call_in_words(fact: CallEnded) -> str:
    """Say how one call went."""
    usage = fact.usage
    first = "" if fact.first_token_seconds is None else f"  first {fact.first_token_seconds:.2f}s"
    served = f" via {fact.target}" if fact.target and fact.target != fact.model else ""
    tries = f"  {fact.attempts} attempts" if fact.attempts > 1 else ""
    ended = "" if fact.outcome == "completed" else f"  {fact.outcome}{' ' + fact.error_code if fact.error_code else ''}"
    tokens = f"{usage.input_tokens} in {usage.output_tokens} out"
    return (
        f"{fact.status}  {fact.model}{served}  {'stream' if fact.stream else 'whole'}  {tokens}{first}"
        f"  total {fact.total_seconds:.2f}s{tries}{ended}  {fact.key_label}  {fact.request_id}{from_where(fact.address)}"
    )


def from_where(address: str | None) -> str:
    """Say where a request came from, where that is known and may be said."""
    return "" if address is None else f"  from {address}"
