"""Who is signed in to the console, and the one-time links that sign in. In memory: a restart signs everybody out. Sends no cookie."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from hmac import compare_digest

import msgspec

from aisa.clock import Chance, WallClock
from aisa.edge.admin import Actor
from aisa.errors import ApiError
from aisa.keys.rules import ALPHABET, WRITE, AdminKey

SESSION_SECONDS = 8 * 3_600  # a working day
SESSIONS_MAX = 1_000  # of all administrators; the oldest goes
FORMS_MAX = 1_000  # that a session remembers to have taken, the last: more than anybody sends before he looks at what they did
LINK_SECONDS = 600  # from the terminal to the browser: ten minutes
TOKEN_CHARACTERS = 43  # 256 bits


class Notice(msgspec.Struct, frozen=True):
    """What is told on the next page: a `kind` of good or bad, words, a secret that is shown this once, and what is to be looked at."""

    kind: str
    text: str
    secret: str | None = None
    notes: tuple[str, ...] = ()


class Session(msgspec.Struct):
    """One who is signed in until a UNIX second. `key` is the admin key that he came with, None for a link of this machine's operator.

    `token` stands in every form of his that changes something, and so does `form`, the number of the page that shows it: by that and its
    address each is taken once.
    """

    actor: Actor
    scope: str
    until: float
    token: str
    key: AdminKey | None = None
    notice: Notice | None = None
    form: str = "0"
    pages: int = 0
    taken: dict[tuple[str, str], bool] = {}

    def number(self, form: str | None = None) -> None:
        """Number the forms of a page: anew, or as one that was sent already and is shown again."""
        self.pages += 1
        self.form = form or str(self.pages)

    def take(self, path: str, form: str) -> bool | None:
        """Take a form with this number that was sent to a path. Return None, or of one taken before whether it is known to be done."""
        known = self.taken.get((path, form))
        if known is None and form:
            self.taken[path, form] = False
            if len(self.taken) > FORMS_MAX:
                del self.taken[next(iter(self.taken))]
        return known

    def settle(self, path: str, form: str, *, done: bool) -> None:
        """Say what became of a form that was taken: it is done, or it was refused and may be sent again."""
        if not done:
            self.taken.pop((path, form), None)
        elif form:
            self.taken[path, form] = True

    @property
    def may_write(self) -> bool:
        """Whether it may change anything."""
        return self.scope == WRITE

    def take_notice(self) -> Notice | None:
        """Return what is to be told, once."""
        notice, self.notice = self.notice, None
        return notice

    def check_token(self, given: str) -> None:
        """Raise ApiError insufficient_permissions unless a form came with the session's token."""
        if not compare_digest(given.encode(), self.token.encode()):
            raise ApiError("insufficient_permissions", "This form is not from this session's pages. Open the page again, and repeat it.")


class Sessions:
    """The sessions by the SHA-256 of their cookies, and the links that were not used. `is_good` says whether an admin key still is.

    `chance` must be fit for secrets.
    """

    def __init__(self, wall_clock: WallClock, chance: Chance, is_good: Callable[[AdminKey], bool]) -> None:
        self._now = wall_clock
        self._chance = chance
        self._is_good = is_good
        self._sessions: dict[bytes, Session] = {}
        self._links: dict[bytes, float] = {}

    def open(self, actor: Actor, scope: str, key: AdminKey | None = None) -> tuple[Session, str]:
        """Sign somebody in, and return the session with its cookie's value, which is kept nowhere."""
        if len(self._sessions) >= SESSIONS_MAX:
            del self._sessions[next(iter(self._sessions))]
        secret = self._token()
        session = Session(actor, scope, self._now() + SESSION_SECONDS, self._token(), key)
        self._sessions[digest(secret)] = session
        return session, secret

    def find(self, secret: str) -> Session | None:
        """Return the session of a cookie, None if it is over or its key was revoked."""
        session = self._sessions.get(digest(secret))
        if session is None or not self.is_open(session):
            self.close(secret)
            return None
        return session

    def is_open(self, session: Session) -> bool:
        """Say whether a session still counts."""
        return self._now() < session.until and (session.key is None or self._is_good(session.key))

    def close(self, secret: str) -> None:
        """Sign out."""
        self._sessions.pop(digest(secret), None)

    def new_link(self) -> str:
        """Return the secret of a link that signs this machine's operator in once, within LINK_SECONDS."""
        secret = self._token()
        self._links = {digest(secret): self._now() + LINK_SECONDS}  # an older one is good no more
        return secret

    def use_link(self, secret: str) -> bool:
        """Say whether a link is good, which it is not any more then."""
        until = self._links.pop(digest(secret), None)
        return until is not None and self._now() < until

    def _token(self) -> str:
        return "".join(self._chance.choice(ALPHABET) for _ in range(TOKEN_CHARACTERS))


def digest(secret: str) -> bytes:
    """Return what is kept of a secret."""
    return sha256(secret.encode()).digest()
