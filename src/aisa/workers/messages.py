"""What the office and a worker say to each other over their link. Sends nothing.

The office is the process that owns the data folder: it alone writes the database, and changes keys, accounts and wallets.
"""

from __future__ import annotations

import msgspec

from aisa.config.schema import Config
from aisa.edge.idempotency import Answer as KeptAnswer
from aisa.edge.retries import Kept
from aisa.errors import ApiError
from aisa.keys.rules import Account, Key
from aisa.known_models import Known
from aisa.ledger.refusal import RefusedCalls
from aisa.ledger.row import CallRow
from aisa.providers.measure import Answer

#: What is asked. A worker asks the office for the last four, of which the office asks the other workers for CALL.
BOARD, IDS, CONFIGURE, VENDORS, CALL, CLAIM, CAP, ADMIN = "board", "ids", "configure", "vendors", "call", "claim", "cap", "admin"
END = "end"  # asked of the workers: to end a call
USING = "using"  # asked of the workers: which keys calls run with, and from where
CONSOLE = "console"  # asked by a worker: a page of the console
METRICS = "metrics"  # asked by a worker: the metrics of all, for an administrator
STATES = "states"  # asked of the workers: what is now, for metrics (a list of `observe.metrics.Gauge`)
RETRIED = "retried"  # asked by a worker: what is kept for a client's retry
MORE = "more"  # asked by a worker: money that its server was not allotted yet (`ledger.shared_allotments.MoreWanted`)


class ModelsKnown(msgspec.Struct, tag="models", frozen=True):
    """To a worker: what vendors list, and which are being asked for the first time (see `known_models.Known`)."""

    lists: dict[str, tuple[str, ...]] = {}
    awaited: list[str] = []

    def known(self) -> Known:
        """Return it as the routes take it."""
        return Known(lists=self.lists, awaited=frozenset(self.awaited))


class Begin(msgspec.Struct, tag="begin", frozen=True):
    """To a worker, first of all: what it serves with."""

    config: Config
    models: ModelsKnown


class Ready(msgspec.Struct, tag="ready", frozen=True):
    """From a worker: it takes connections from now on."""


class Drain(msgspec.Struct, tag="drain", frozen=True):
    """To a worker: it is not ready any more, and each answer from now on is the last on its connection."""


class Ended(msgspec.Struct, tag="ended", frozen=True):
    """From a worker: a call has ended, and its bill is final."""

    row: CallRow


class RefusedOnes(msgspec.Struct, tag="refused", frozen=True):
    """From a worker: calls that were refused."""

    record: RefusedCalls


class Written(msgspec.Struct, tag="written", frozen=True):
    """To a worker: the database has the rows of the calls with these ids, and what is kept of the refused ones. A call may be in both."""

    ids: list[str]
    refused: list[str] = []


class KeyKnown(msgspec.Struct, tag="key", frozen=True):
    """To a worker: a key is new or has changed. `former` are digests of its former secrets, and until when (UNIX seconds) each is good."""

    key: Key
    former: dict[bytes, int] = {}


class AccountKnown(msgspec.Struct, tag="account", frozen=True):
    """To a worker: an account is new or has changed."""

    account: Account


class KeysDoubted(msgspec.Struct, tag="doubted", frozen=True):
    """To a worker: nobody can know which keys still count, or it is known again."""

    doubted: bool


class FolderGone(msgspec.Struct, tag="gone", frozen=True):
    """To a worker: the data folder is gone, so no new calls are taken; or it is back."""

    gone: bool


class PersonMet(msgspec.Struct, tag="met", frozen=True):
    """From a worker: somebody came with a token of the identity provider, for the first time here."""

    key: Key


class AnswersLearned(msgspec.Struct, tag="learned", frozen=True):
    """From a worker, and to the others: what a target's last complete answers came to."""

    target: str
    answers: list[Answer]


class LossesNoted(msgspec.Struct, tag="losses", frozen=True):
    """From a worker, and to the others: a key has lost one more document, see `aisa.resets`."""

    key_id: str


class AnswerKept(msgspec.Struct, tag="kept", frozen=True):
    """From a worker: what a running call with an Idempotency-Key answers."""

    answer: KeptAnswer


class RetryKept(msgspec.Struct, tag="retry", frozen=True):
    """From a worker: a document that did not reach its client, for that one's next try."""

    mark: str
    kept: Kept


class ClaimForgotten(msgspec.Struct, tag="forgotten", frozen=True):
    """From a worker: a call with an Idempotency-Key was refused before it was opened."""

    mark: str
    call_id: str


class Ask(msgspec.Struct, tag="ask", frozen=True):
    """A question, with a number that its answer has too."""

    number: int
    what: str
    body: bytes = b""


class Refusal(msgspec.Struct, frozen=True):
    """An ApiError as it travels."""

    code: str
    message: str
    retry_after: float | None = None
    should_retry: bool | None = None
    param: str | None = None
    allow: str | None = None

    def error(self) -> ApiError:
        """Return it to be raised."""
        return ApiError(
            self.code, self.message, param=self.param, retry_after=self.retry_after, should_retry=self.should_retry, allow=self.allow
        )


class Reply(msgspec.Struct, tag="reply", frozen=True):
    """The answer to a question."""

    number: int
    body: bytes = b""
    refusal: Refusal | None = None


class Retried(msgspec.Struct, frozen=True):
    """What is asked with RETRIED: the mark of a request, and when that is by the machine's clock that every event loop has."""

    mark: str
    now: float


class Claim(msgspec.Struct, frozen=True):
    """What is asked with CLAIM: whether a call may be the first with its mark (see `edge.idempotency.mark_of`)."""

    mark: str
    call_id: str


Message = (
    Begin
    | ModelsKnown
    | Ready
    | Drain
    | Ended
    | RefusedOnes
    | Written
    | KeyKnown
    | AccountKnown
    | KeysDoubted
    | FolderGone
    | AnswersLearned
    | LossesNoted
    | PersonMet
    | AnswerKept
    | RetryKept
    | ClaimForgotten
    | Ask
    | Reply
)
