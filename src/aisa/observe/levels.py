"""How much a fact matters: to be known, looked at, or acted on. Its kind says it, and of calls and failures whose fault it is."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from aisa.errors import CALLER, CODES, OPERATOR, SERVER, VENDOR
from aisa.facts import (
    REFUSED,
    AnsweredOtherwise,
    BugFound,
    CallEnded,
    CallQueued,
    ChoicesMissing,
    CredentialRests,
    DocumentLost,
    Fact,
    FinishUnknown,
    FolderGone,
    InputChanged,
    KindUnpriced,
    LedgerAway,
    RefusalsNotKept,
    Refused,
    ReloadRefused,
    ServerWarning,
    SharedStoreAway,
    TargetHealth,
    UsageMisreported,
    VendorFailed,
)

INFO, WARNING, ERROR = "info", "warning", "error"
#: From the least to the greatest.
LEVELS = (INFO, WARNING, ERROR)
OVERLOADED = frozenset({code for code, (status, _kind) in CODES.items() if status >= 500})

#: Of failed attempts and calls, by whose fault they are.
BY_BLAME: Mapping[str | None, str] = MappingProxyType({CALLER: INFO, VENDOR: WARNING, OPERATOR: ERROR, SERVER: ERROR})
#: Of facts whose kind says it; all others are to be known.
BY_KIND: Mapping[type, str] = MappingProxyType(
    {
        UsageMisreported: WARNING,
        AnsweredOtherwise: WARNING,
        FinishUnknown: WARNING,
        ChoicesMissing: WARNING,
        InputChanged: WARNING,
        DocumentLost: WARNING,
        RefusalsNotKept: WARNING,
        ServerWarning: WARNING,
        KindUnpriced: ERROR,
        CredentialRests: ERROR,
        BugFound: ERROR,
        LedgerAway: ERROR,
        FolderGone: ERROR,
        SharedStoreAway: ERROR,
        ReloadRefused: ERROR,
    }
)


def level_of(fact: Fact) -> str:
    """Return a fact's level, one of LEVELS."""
    if type(fact) is CallEnded or type(fact) is VendorFailed:
        return BY_BLAME.get(fact.blame, INFO)
    if isinstance(fact, TargetHealth):
        return WARNING if fact.last_for_seconds else INFO
    if isinstance(fact, CallQueued):
        return WARNING if fact.ended == REFUSED else INFO
    if isinstance(fact, Refused):
        return WARNING if fact.code in OVERLOADED else INFO
    return BY_KIND.get(type(fact), INFO)
