"""Facts in the words of people, a line each and whole. How much of it a terminal shows, and in which columns, is in `columns.py`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from aisa.errors import CALLER, OF_VENDORS, OPERATOR, VENDOR
from aisa.facts import (
    FOLDER,
    JOURNAL,
    LEFT,
    REFUSED,
    SERVED,
    AccountChanged,
    AnsweredOtherwise,
    BugFound,
    CallEnded,
    CallQueued,
    CallStopped,
    Changed,
    ChoicesMissing,
    CrashSettled,
    CredentialRests,
    DocumentLost,
    Draining,
    Fact,
    FinishUnknown,
    FolderGone,
    InputChanged,
    KeysChanged,
    KindUnpriced,
    LedgerAway,
    LedgerBack,
    NotReady,
    RefusalsNotKept,
    Refused,
    Reloaded,
    ReloadRefused,
    Replayed,
    ServerStarted,
    SharedStoreAway,
    Stopped,
    TargetHealth,
    TeamChanged,
    UsageMisreported,
    VendorFailed,
    WalletChanged,
)
from aisa.money import dollars_text
from aisa.names import UNREAD

#: What becomes of a server, from its start to its end.
LifeOfServer = ServerStarted | CrashSettled | Reloaded | ReloadRefused | NotReady | Draining | Stopped


def health_in_words(fact: TargetHealth | CredentialRests | CallQueued) -> str:
    """Say what becomes of a target that has failed, of a credential that was refused, or of a call that had to wait for room."""
    if isinstance(fact, CallQueued):
        ended = QUEUE_ENDS.get(fact.ended, fact.ended)
        return f"waited {fact.seconds:g} s for room at {fact.target} {ended}  {fact.model}  {fact.request_id}"
    if isinstance(fact, CredentialRests):
        why = f"was refused (status {fact.status})" if fact.status else "cannot be had"
        return f"{fact.vendor}: credential {fact.number} of {fact.of} {why} and is not used for {fact.seconds:g} s"
    if not fact.last_for_seconds:
        return f"{fact.target} answers again"
    why = f"{OF_VENDORS[fact.reason]}, so it " if fact.reason else ""
    return f"{fact.target} {why}is asked last for {fact.last_for_seconds:g} s"


def change_in_words(fact: Changed) -> str:
    """Say what an administrator has changed."""
    if isinstance(fact, KeysChanged):
        return f"key {fact.action}: {fact.label} ({fact.key_id})"
    if isinstance(fact, CallStopped):
        return f"call ended by an administrator: {fact.request_id}"
    if isinstance(fact, TeamChanged):
        return f"team {fact.action}: {fact.name} ({fact.team_id}), of the account {fact.account}"
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
            model = f"  {fact.model}" if fact.model else ""
            said = f"{fact.status}  {what_was_asked(fact)}{model}  {fact.code}{whose}  {fact.request_id}{from_where(fact.address)}"
        case Replayed():
            said = f"200  the answer of {fact.call_id} again  {fact.key_label}  {fact.request_id}"
        case (
            VendorFailed()
            | UsageMisreported()
            | FinishUnknown()
            | ChoicesMissing()
            | InputChanged()
            | DocumentLost()
            | AnsweredOtherwise()
            | KindUnpriced()
        ):
            said = deviation_in_words(fact)
        case TargetHealth() | CredentialRests() | CallQueued():
            said = health_in_words(fact)
        case RefusalsNotKept():
            said = f"{fact.count} refused calls within a minute left no record: the database is away, or too many keys are refused"
        case BugFound():
            said = f"BUG  {fact.request_id}  {fact.trace}"
        case KeysChanged() | AccountChanged() | TeamChanged() | WalletChanged() | CallStopped():
            said = change_in_words(fact)
        case LedgerAway() | SharedStoreAway() | FolderGone():
            said = f"ACT NOW: {outage_in_words(fact)}"
        case LedgerBack():
            said = BACK.get(fact.part, f"the ledger is written again, {fact.rows} call{'' if fact.rows == 1 else 's'} at once")
        case ServerStarted() | CrashSettled() | Reloaded() | ReloadRefused() | NotReady() | Draining() | Stopped():
            said = server_in_words(fact)
        case _:
            said = fact.message
    return printable(said)


def what_was_asked(fact: Refused) -> str:
    """Say what a refused request asked for, and of one that could not be read, why."""
    return f"{fact.method} {fact.path}" if fact.path != UNREAD else fact.message or "no request that can be read"


def outage_in_words(fact: LedgerAway | SharedStoreAway | FolderGone) -> str:
    """Say what a server lacks."""
    if isinstance(fact, SharedStoreAway):
        return f"{fact.message}. {fact.remedy}"
    if isinstance(fact, FolderGone):
        return f"{fact.what} New calls are refused. {fact.remedy}"
    if fact.part == JOURNAL:
        return f"{fact.what} {fact.remedy}"
    return f"the ledger cannot be written: {fact.what} {fact.remedy} Calls go on while the journal has room."


#: What is said of other parts than the database that are back.
BACK: Mapping[str, str] = MappingProxyType({JOURNAL: "the journal can be written to disk again", FOLDER: "the data folder is back"})


def printable(text: str) -> str:
    """Return a text as one line that does nothing to a terminal."""
    return text if text.isprintable() else "".join(character if character.isprintable() else " " for character in text)


def server_in_words(fact: LifeOfServer) -> str:
    """Say what becomes of the server."""
    match fact:
        case ServerStarted():
            more = f", {fact.workers} workers" if fact.workers > 1 else ""
            return f"listening on {fact.url}: aisa {fact.version}, process {fact.process}{more}, data in {fact.data_dir}"
        case CrashSettled():
            tokens = f"{fact.billed_tokens} output token{'' if fact.billed_tokens == 1 else 's'}"
            return f"{left_over_in_words(fact)}: {tokens}, {dollars_text(fact.cost_nanos)} US dollars"
        case Reloaded():
            later = f"; only after a restart: {', '.join(fact.after_restart)}" if fact.after_restart else ""
            behind = f"{fact.workers_waiting} worker{' has' if fact.workers_waiting == 1 else 's have'}"
            slow = f"; {behind} not answered yet" if fact.workers_waiting else ""
            return f"reloaded: {', '.join(fact.changed) or 'nothing has changed'}{later}{slow}"
        case ReloadRefused():
            return f"NOT RELOADED, the old configuration stays: {'; '.join(fact.problems)}"
        case NotReady():
            return f"not ready any more: connections are accepted for {fact.seconds:g} s more, for one answer each"
        case Draining():
            calls = "no new calls" if fact.calls is None else f"{fact.calls} call{'' if fact.calls == 1 else 's'} in flight"
            cut = "" if fact.calls == 0 else "; a second Ctrl-C or SIGTERM leaves at once, as a crash does"
            return f"draining: {calls}, {fact.seconds:g} s at most{cut}"
        case Stopped():
            left = fact.calls_in_journal
            stay, them = ("call stays", "it") if left == 1 else ("calls stay", "them")
            return f"stopped; {left} {stay} in the journal until the database takes {them}" if left else "stopped"


def left_over_in_words(fact: CrashSettled) -> str:
    """Say which calls a dead process had left: those that it cut, and those that had ended before, whose rows no database had taken."""
    cut, (s, verb) = fact.calls - fact.calls_ended, ("", "is") if fact.calls == 1 else ("s", "are")
    if not fact.calls_ended:
        return f"{fact.calls} call{s} that a crash had cut {verb} settled"
    waited = f"{fact.calls} call{s} that the process before had left in the journal {verb} booked"
    return (
        f"{waited}, {cut} of which its end had cut" if cut else f"{waited}, all of which had ended" if s else f"{waited}, which had ended"
    )


def price_in_words(fact: AnsweredOtherwise | KindUnpriced) -> str:
    """Say what is to be looked at in a price."""
    if isinstance(fact, AnsweredOtherwise):
        what = f"vendor {fact.vendor} answered with {fact.answered} for {fact.model}, which the catalogue prices otherwise"
        return f"{what}; charged by {fact.price_source or 'nobody'}  {fact.request_id}"
    what = f"ACT NOW: {fact.vendor}/{fact.model} has no price for {fact.kinds}, charged at the dearest price of the same side"
    return f"{what}; write one under prices  {fact.request_id}"


def deviation_in_words(
    fact: VendorFailed | UsageMisreported | FinishUnknown | ChoicesMissing | InputChanged | DocumentLost | AnsweredOtherwise | KindUnpriced,
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
    if isinstance(fact, InputChanged):
        return f"vendor {fact.vendor} has changed what {fact.model} was sent: {fact.changes}  {fact.request_id}"
    return f"vendor {fact.vendor} ended with '{fact.word}', unknown here and taken for stop, {fact.model}  {fact.request_id}"


#: How a wait for a vendor's limit has ended.
QUEUE_ENDS = {SERVED: "and had it", REFUSED: "in vain", LEFT: "and left"}
#: How a failed attempt at a vendor is announced, by whose fault it is.
WHOSE = {
    CALLER: "a caller's request was refused by vendor {}",
    OPERATOR: "ACT NOW: vendor {} failed",
    VENDOR: "vendor {} failed",
}


def call_in_words(fact: CallEnded) -> str:
    """Say how one call went, whole."""
    usage = fact.usage
    cost = "no price" if fact.cost_nanos is None else f"${dollars_text(fact.cost_nanos)}"
    first = "" if fact.first_token_seconds is None else f"  first {fact.first_token_seconds:.2f}s"
    tokens = f"{usage.input_tokens} in {usage.output_tokens} out"
    tail = "  ".join(part for part in (noted(fact), fact.key_label, fact.request_id) if part)
    kind = "stream" if fact.stream else "whole"
    return (
        f"{fact.status}  {fact.model}  {kind}  {tokens}  {cost}{first}  total {fact.total_seconds:.2f}s  {tail}{from_where(fact.address)}"
    )


def noted(fact: CallEnded) -> str:
    """Say what is out of the ordinary in a call: how it ended and by whose fault, where it went, how often it was tried."""
    ended = "" if fact.outcome == "completed" else fact.outcome.replace("_", " ")
    whose = f"({fact.blame})" if fact.blame else ""
    served = f"via {fact.target}" if fact.target and fact.target != fact.model else ""
    tries = f"{fact.attempts} attempts" if fact.attempts > 1 else ""
    return " ".join(part for part in (ended, fact.error_code or "", whose, served, tries) if part)


def from_where(address: str | None) -> str:
    """Say where a request came from, where that is known and may be said."""
    return "" if address is None else f"  from {address}"
