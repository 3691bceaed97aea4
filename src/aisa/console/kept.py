"""A form that was sent after its session had ended: kept in the page to sign in, and shown again behind it. Does none of what it says."""

from __future__ import annotations

from urllib.parse import urlencode

import msgspec

from aisa.console.routes import LOGIN
from aisa.console.sessions import Session
from aisa.console.visit import Visit

MARK = "kept."  # before the names of its fields in the form that signs in; alone it names the address that it was sent to
OF_SESSION = frozenset({"token", "form"})  # which are another session's
SIGNED_OUT = "You were signed out, so that was not done. Sign in, and the form comes back with what you had filled in."


def kept_of(visit: Visit) -> dict[str, str]:
    """Return the fields that keep what was sent, be it a form or what the page to sign in has kept."""
    sent = visit.sent
    if visit.request.path == LOGIN:
        return {name: value for name, value in sent.items() if name.startswith(MARK)}
    return {MARK: visit.request.path, **{MARK + name: value for name, value in sent.items() if name not in OF_SESSION}}


def again(visit: Visit, session: Session) -> Visit | None:
    """Return what was kept as it was sent, as if it were in this session; None if nothing was."""
    kept = kept_of(visit)
    path = kept.pop(MARK, None)
    if path is None:
        return None
    body = urlencode({name.removeprefix(MARK): value for name, value in kept.items()}).encode()
    request = msgspec.structs.replace(visit.request, path=path, body=body)
    return msgspec.structs.replace(visit, request=request, session=session)
