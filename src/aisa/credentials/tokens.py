"""Tokens by OAuth: what a token service is asked, and what it says. Sends nothing itself."""

from __future__ import annotations

import msgspec

from aisa.credentials.expiring import Token
from aisa.credentials.port import Question, Send
from aisa.credentials.renewal import CredentialFailed
from aisa.credentials.rules import Proof
from aisa.errors import UpstreamFailed

SECONDS_UNKNOWN = 300.0  # that a token holds whose service does not say it: the shortest that any is given out for
SHOWN_CHARACTERS_MAX = 200  # of a service's words in the log


class _Granted(msgspec.Struct):
    """A token as services write it. What else stands there is not looked at."""

    access_token: str
    expires_in: float | str | None = None


class _Refused(msgspec.Struct):
    error: object = None
    error_description: object = None


async def ask_for_token(send: Send, question: Question, service: str) -> Token:
    """Ask a service, here called by its name, for a token. Raises CredentialFailed, whose text has no secret, or OSError."""
    try:
        reply = await send(question)
    except UpstreamFailed as failure:
        raise CredentialFailed(f"{service} cannot be asked: {failure.detail or failure.error.message}") from failure
    if reply.status != 200:
        raise CredentialFailed(f"{service} refuses (status {reply.status}): {words_of(reply.body)}")
    try:
        granted = msgspec.json.decode(reply.body, type=_Granted)
        seconds = SECONDS_UNKNOWN if granted.expires_in is None else float(granted.expires_in)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, RecursionError):
        raise CredentialFailed(f"{service} answers with no token") from None
    token = granted.access_token
    if not token or not token.isascii() or not token.isprintable() or not 0 < seconds < 1e9:
        raise CredentialFailed(f"{service} answers with a token that cannot be one")
    return Token(Proof(headers=(("authorization", f"Bearer {token}"),)), seconds)


def words_of(body: bytes) -> str:
    """Return what a service says of a refusal, for the log: its code and its sentence, never more of the body."""
    try:
        said = msgspec.json.decode(body, type=_Refused)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return "without a word"
    words = [word for word in (said.error, said.error_description) if isinstance(word, str)]
    return "".join([letter if letter.isprintable() else " " for letter in ": ".join(words)])[:SHOWN_CHARACTERS_MAX] or "without a word"
