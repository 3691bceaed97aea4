"""Every fact that the server reports. Logs, metrics and traces are made from these and from nothing else."""

from __future__ import annotations

import msgspec

from aisa.trace import Trace
from aisa.usage import Usage

SERVED, REFUSED, LEFT = "served", "refused", "left"  # how a wait for a vendor's limit ends
DATABASE, JOURNAL, FOLDER = "database", "journal", "folder"  # what of a ledger fails and comes back, each by itself


class CallEnded(msgspec.Struct, frozen=True, tag="call"):
    """One call came to its end, however it ended. Times are seconds since the call was read; None when it did not happen.

    `usage` is what the vendor made, `billed_tokens` the output that the caller pays for; the cost is in nano-dollars, None without a price.
    `blame` says who made it fail: the caller, the operator, the vendor or this server; None if nobody did. `traceparent` is its place in a
    trace, where calls are traced.
    """

    request_id: str
    outcome: str
    status: int
    model: str
    stream: bool
    key_id: str
    key_label: str
    target: str
    attempts: int
    usage: Usage
    billed_tokens: int
    cost_nanos: int | None
    first_token_seconds: float | None
    total_seconds: float
    bytes_sent: int
    client_request_id: str | None = None
    error_code: str | None = None
    address: str | None = None
    blame: str | None = None
    traceparent: Trace | None = None


class VendorFailed(msgspec.Struct, frozen=True, tag="vendor_failed"):
    """An attempt at a vendor failed, or was refused. `blame` says whose fault that is: the caller's, the operator's or the vendor's.

    `loud` asks for an operator: our credential, our credit or our configuration.
    """

    request_id: str
    vendor: str
    model: str
    code: str
    detail: str
    loud: bool
    blame: str


class CallQueued(msgspec.Struct, frozen=True, tag="call_queued"):
    """A call waited because its vendors had no room within their limits (`limits.vendors`), and how that `ended`: served, refused, left.

    `target`, `vendor/model`, is the first that it could have gone to.
    """

    request_id: str
    key_id: str
    model: str
    target: str
    seconds: float
    ended: str


class UsageMisreported(msgspec.Struct, frozen=True, tag="usage_misreported"):
    """A vendor's report of usage was not taken, so its tokens were counted. Said once a vendor and hour."""

    request_id: str
    vendor: str
    model: str
    detail: str


class AnsweredOtherwise(msgspec.Struct, frozen=True, tag="answered_otherwise"):
    """A vendor answered with a model that the price catalogue prices otherwise than the one asked for; told once for each pair of them.

    `price_source` says whose price the call cost.
    """

    request_id: str
    vendor: str
    model: str
    answered: str
    price_source: str


class KindUnpriced(msgspec.Struct, frozen=True, tag="kind_unpriced"):
    """A vendor reported what has no price of its own here, so the dearest price of its side was charged. Said once a vendor and hour.

    `kinds` are the keys of the prices that are missing.
    """

    request_id: str
    vendor: str
    model: str
    kinds: str


class DocumentLost(msgspec.Struct, frozen=True, tag="document_lost"):
    """A client's connection ended before its system had acknowledged a whole document, so it is free. `count` is how often for this key.

    It may have read it: from the first time on the ends of documents to this key wait for the acknowledgement of the rest.
    """

    request_id: str
    key_id: str
    key_label: str
    count: int


class FinishUnknown(msgspec.Struct, frozen=True, tag="finish_unknown"):
    """A vendor ended an answer for a reason that no table has. The answer was complete, so it was taken for `stop`; told once a word."""

    request_id: str
    vendor: str
    model: str
    word: str


class ChoicesMissing(msgspec.Struct, frozen=True, tag="choices_missing"):
    """A vendor answered in order, but with fewer choices than were asked for; told once a vendor and model."""

    request_id: str
    vendor: str
    model: str
    asked: int
    made: int


class InputChanged(msgspec.Struct, frozen=True, tag="input_changed"):
    """A vendor says that it has changed its input, such as taken reasoning out that is not its own; told once a vendor and model.

    `changes` are the kinds of changes in that call, in the vendor's words, with commas between.
    """

    request_id: str
    vendor: str
    model: str
    changes: str


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """A request ended before it became a call: bad key, bad body, unknown route.

    The key is the one that was sent if we know it, whether or not it may still be used; else it is empty, as `model` is where no body
    was read that names one. Of a head that cannot be read method and path are `-`, and `message`, which quotes nothing, says why.
    """

    request_id: str
    status: int
    code: str
    method: str
    path: str
    client_request_id: str | None = None
    key_id: str = ""
    key_label: str = ""
    address: str | None = None
    model: str = ""
    message: str = ""


class Replayed(msgspec.Struct, frozen=True, tag="replayed"):
    """A request repeated an earlier one under its Idempotency-Key and got the answer of `call_id` again. Nothing was billed."""

    request_id: str
    call_id: str
    key_id: str
    key_label: str
    bytes_sent: int
    client_request_id: str | None = None


class RefusalsNotKept(msgspec.Struct, frozen=True, tag="refusals_not_kept"):
    """So many refused calls of known keys within a minute left no record: the database is away, or too many keys are refused."""

    count: int


class BugFound(msgspec.Struct, frozen=True, tag="bug"):
    """An exception that should not exist reached the edge; `trace` goes to the log only."""

    request_id: str
    trace: str


class KeysChanged(msgspec.Struct, frozen=True, tag="keys_changed"):
    """A key was created, imported or revoked."""

    action: str
    key_id: str
    label: str


class AccountChanged(msgspec.Struct, frozen=True, tag="account_changed"):
    """An account was created, enabled or disabled, or has another tier, None for the configuration's default."""

    action: str
    account: str
    tier: str | None


class TeamChanged(msgspec.Struct, frozen=True, tag="team_changed"):
    """A team was created, or has another name or cap."""

    action: str
    team_id: str
    name: str
    account: str


class WalletChanged(msgspec.Struct, frozen=True, tag="wallet_changed"):
    """Money was put into a wallet or taken out by hand, or its limit was removed. In nano-dollars; `balance` is what is in it now."""

    action: str
    account: str
    amount: int
    balance: int | None


class CallStopped(msgspec.Struct, frozen=True, tag="call_stopped"):
    """An administrator has ended a call that ran."""

    action: str
    request_id: str


class LedgerAway(msgspec.Struct, frozen=True, tag="ledger_away"):
    """The `database` does not take the rows of ended calls, which go on while the journal has room; or the disk not the `journal`."""

    what: str
    remedy: str
    part: str = DATABASE


class FolderGone(msgspec.Struct, frozen=True, tag="folder_gone"):
    """The data folder of the running server was deleted, moved or replaced. New calls are refused; what is in it ends with the process."""

    what: str
    remedy: str


class SharedStoreAway(msgspec.Struct, frozen=True, tag="store_away"):
    """A store that servers share does not answer, or takes nothing: the `database`, or that of `limits`. What counts meanwhile is said."""

    store: str
    message: str
    remedy: str


class SharedStoreBack(msgspec.Struct, frozen=True, tag="store_back"):
    """It answers again."""

    store: str
    message: str


class TargetHealth(msgspec.Struct, frozen=True, tag="target_health"):
    """A target, as `vendor/model`, or a whole vendor is asked last for so many seconds because it failed, or in its own place again (0).

    `reason` says why a whole vendor is: `key_refused`, `no_credit` or `unreachable`; it is empty for a target.
    """

    target: str
    last_for_seconds: float = 0.0
    reason: str = ""


class CredentialRests(msgspec.Struct, frozen=True, tag="credential_rests"):
    """One of a vendor's credentials, by its number among `of`, rests for so long: it was refused with a status, or 0, could not be had."""

    vendor: str
    number: int
    of: int
    status: int
    seconds: float


class LedgerBack(msgspec.Struct, frozen=True, tag="ledger_back"):
    """The database takes rows again, `rows` of them at first; or the journal is on disk again, or the data `folder` in its place."""

    rows: int
    part: str = DATABASE


class ServerStarted(msgspec.Struct, frozen=True, tag="started"):
    """The server listens, and takes calls from now on."""

    url: str
    version: str
    data_dir: str
    process: int
    workers: int
    vendors: tuple[str, ...]
    keys: int


class CrashSettled(msgspec.Struct, frozen=True, tag="crash_settled"):
    """Calls that the process before left in its journal are booked: `calls_ended` of them as they were, the others for what had left it."""

    calls: int
    billed_tokens: int
    cost_nanos: int
    calls_ended: int = 0


class Reloaded(msgspec.Struct, frozen=True, tag="reloaded"):
    """Another configuration counts. `changed` are its settings that differ, `after_restart` those that count only then.

    `workers_waiting` have not said yet that they have it.
    """

    changed: tuple[str, ...]
    after_restart: tuple[str, ...]
    workers_waiting: int = 0


class ReloadRefused(msgspec.Struct, frozen=True, tag="reload_refused"):
    """Another configuration was not taken, and the one before it stays."""

    problems: tuple[str, ...]


class NotReady(msgspec.Struct, frozen=True, tag="not_ready"):
    """The server goes away: it says that it is not ready, and accepts connections for so many seconds more, for one answer each."""

    seconds: float


class Draining(msgspec.Struct, frozen=True, tag="draining"):
    """Nothing is accepted any more, and calls in flight have so many seconds to end. `calls` is None where workers have them."""

    seconds: float
    calls: int | None = None


class Stopped(msgspec.Struct, frozen=True, tag="stopped"):
    """The server is about to end. So many calls stay in the journal until the database takes them."""

    calls_in_journal: int


class ServerNotice(msgspec.Struct, frozen=True, tag="server"):
    """Something about the server as a whole that is as it should be."""

    message: str


class ServerWarning(msgspec.Struct, frozen=True, tag="server_warning"):
    """Something about the server as a whole that somebody should look at."""

    message: str


#: What an administrator changed.
Changed = KeysChanged | AccountChanged | TeamChanged | WalletChanged | CallStopped
Fact = (
    CallEnded
    | VendorFailed
    | CallQueued
    | TargetHealth
    | CredentialRests
    | UsageMisreported
    | AnsweredOtherwise
    | KindUnpriced
    | DocumentLost
    | FinishUnknown
    | ChoicesMissing
    | InputChanged
    | Refused
    | Replayed
    | RefusalsNotKept
    | BugFound
    | KeysChanged
    | AccountChanged
    | TeamChanged
    | WalletChanged
    | CallStopped
    | LedgerAway
    | LedgerBack
    | FolderGone
    | SharedStoreAway
    | SharedStoreBack
    | ServerStarted
    | CrashSettled
    | Reloaded
    | ReloadRefused
    | NotReady
    | Draining
    | Stopped
    | ServerNotice
    | ServerWarning
)
