"""What a key is, how its secret is made, and whether it may be used now. Pure: no storage, no clock, no randomness of its own.

A secret is `sk-aisa-`, then 36 random letters and digits (214 bits), then a checksum of six letters and digits: the SHA-256 of all
before it, first eight bytes as a big-endian number, modulo 62^6, in base 62, most significant digit first. The checksum keeps no
secret; it tells a mistyped key from an unknown one without asking anybody, and lets scanners recognise leaked keys.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from hashlib import sha256
from typing import NamedTuple

import msgspec

from aisa.clock import Chance
from aisa.errors import ApiError
from aisa.money import Nanos
from aisa.names import ACCOUNT_CHARACTERS_MAX, LABEL_CHARACTERS_MAX, MODEL_NAME_CHARACTERS_MAX

ACTIVE = "active"
DISABLED = "disabled"
REVOKED = "revoked"
EXPIRED = "expired"  # never stored: it follows from `expires_at`

PREFIX = "sk-aisa-"
ADMIN_PREFIX = "sk-aisa-admin-"  # of keys for the admin API, which are good for no call
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
RANDOM_CHARS = 36
READ, WRITE = "read", "write"  # what an admin key may do; who may write may read too
CHECKSUM_CHARS = 6
SECRET_CHARS_MIN = 16  # of an imported key; shorter ones are words that somebody made up, and can be guessed over the network
SECRET_CHARS_MAX = 512  # the longest keys in use elsewhere have some 200
HINT_CHARS_MAX = 4  # of an imported key that the hint shows, and never more than a quarter of it

ALREADY_HERE = "This key is already here"  # how the refusal of an import begins that was made before
DIGEST = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)

KEYS_MAX = 100_000  # of one server: some 70 MB in memory and a second and a half to read; more needs a store that does not hold them all

ID_PREFIX = "key_"
TEAM_ID_PREFIX = "team_"
ID_CHARS = 10  # 59 bits: the store sees to it that no two are the same
MODELS_MAX = 1_000  # names on one allow-list

RATE_MAX = 1_000_000_000  # calls or tokens in a minute: beyond it a number was mistyped

DEFAULT_ACCOUNT = "default"
DAY, WEEK, MONTH = "day", "week", "month"
DAY_SECONDS = 86_400
WINDOW_SECONDS_MAX = {DAY: DAY_SECONDS, WEEK: 7 * DAY_SECONDS, MONTH: 31 * DAY_SECONDS}
THURSDAY = 3  # the weekday of the first day of UNIX time, counted from Monday


class Team(msgspec.Struct, frozen=True):
    """Keys of one account that together spend no more than `spend_cap` in each `spend_window`, as a key by itself; both may be None."""

    id: str
    account: str
    name: str
    created_at: int
    spend_cap: Nanos | None = None
    spend_window: str | None = None


class Key(msgspec.Struct, frozen=True):
    """A credential as the path of a call sees it: never the secret, only its SHA-256.

    `models` is the allow-list of public model names, None for all. `expires_at` and `created_at` are UNIX seconds. `spend_cap` is what may
    be spent in each `spend_window` (DAY, WEEK or MONTH), in nano-dollars; both are None for a key without a cap. `rpm`, `tpm` and
    `concurrency` are limits of its own, where they are lower than its account's: calls and tokens in any minute, calls in flight. It is
    in its `team` for good.
    """

    id: str
    label: str
    digest: bytes
    hint: str
    state: str
    created_at: int
    expires_at: int | None = None
    models: tuple[str, ...] | None = None
    account: str = DEFAULT_ACCOUNT
    spend_cap: Nanos | None = None
    spend_window: str | None = None
    rpm: int | None = None
    tpm: int | None = None
    concurrency: int | None = None
    team: Team | None = None


Capped = Key | Team  # what may have a cap


class Account(msgspec.Struct, frozen=True):
    """Whose keys they are. `tier` names their limits, None for the configuration's default; `state` is ACTIVE or DISABLED."""

    name: str
    tier: str | None = None
    state: str = ACTIVE


class AdminKey(msgspec.Struct, frozen=True):
    """An administrator's credential: `scope` is READ or WRITE. Times are UNIX seconds; `revoked_at` is None while it is good."""

    id: str
    label: str
    digest: bytes
    hint: str
    scope: str
    created_at: int
    revoked_at: int | None = None


class SpendCap(NamedTuple):
    """What a key may spend: nano-dollars in each window of UTC."""

    amount: Nanos
    window: str


class Rates(NamedTuple):
    """Limits of a key's own; None for none."""

    rpm: int | None = None
    tpm: int | None = None
    concurrency: int | None = None


NO_RATES = Rates()


class KeyTerms(msgspec.Struct, frozen=True):
    """What of a key can be changed. `expires_at` is a UNIX second; None stands for never, every model, no cap."""

    label: str
    models: tuple[str, ...] | None = None
    expires_at: int | None = None
    spend: SpendCap | None = None
    rates: Rates = NO_RATES


def terms_of(key: Key) -> KeyTerms:
    """Return the terms that a key has."""
    spend = None if key.spend_cap is None or key.spend_window is None else SpendCap(key.spend_cap, key.spend_window)
    return KeyTerms(key.label, key.models, key.expires_at, spend, Rates(key.rpm, key.tpm, key.concurrency))


def state_at(key: Key, now: float) -> str:
    """Return the key's state at a UNIX time. A revoked or disabled key stays so, whatever its expiry."""
    if key.state == ACTIVE and key.expires_at is not None and key.expires_at <= now:
        return EXPIRED
    return key.state


def verify_state(key: Key, now: float) -> None:
    """Do nothing if the key may be used at a UNIX time.

    Raises ApiError: revoked_api_key, expired_api_key, invalid_api_key (disabled).
    """
    state = state_at(key, now)
    if state == REVOKED:
        raise ApiError("revoked_api_key", f"The API key labelled {key.label!r} was revoked. Use another one.")
    if state == EXPIRED:
        raise ApiError("expired_api_key", f"The API key labelled {key.label!r} has expired. Use another one.")
    if state != ACTIVE:
        raise ApiError("invalid_api_key", f"The API key labelled {key.label!r} is disabled. Have it enabled, or use another one.")


def new_secret(chance: Chance) -> str:
    """Return a new secret, built as the module's docstring says. `chance` must be fit for secrets."""
    body = PREFIX + "".join(chance.choice(ALPHABET) for _ in range(RANDOM_CHARS))
    return body + checksum(body)


def new_id(chance: Chance) -> str:
    """Return a new key id such as `key_7Hq0Zk3vXa`."""
    return ID_PREFIX + "".join(chance.choice(ALPHABET) for _ in range(ID_CHARS))


def checksum(body: str) -> str:
    """Return the six characters that end a secret which begins with `body`."""
    number = int.from_bytes(sha256(body.encode()).digest()[:8], "big") % len(ALPHABET) ** CHECKSUM_CHARS
    digits = ""
    for _ in range(CHECKSUM_CHARS):
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits


def is_well_formed(secret: str) -> bool:
    """Say whether a text has the form and the checksum of a secret made here."""
    body, given = secret[:-CHECKSUM_CHARS], secret[-CHECKSUM_CHARS:]
    if not body.startswith(PREFIX) or len(body) != len(PREFIX) + RANDOM_CHARS or not body.isascii():
        return False
    return given == checksum(body)


def digest(secret: str) -> bytes:
    """Return the SHA-256 of a secret, which is all that is kept of it."""
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()


def hint(secret: str) -> str:
    """Return what may be shown of a secret: enough to tell keys apart, too little to guess from."""
    if is_well_formed(secret):
        return f"{secret[:12]}…{secret[-4:]}"
    shown = min(HINT_CHARS_MAX, len(secret) // 4)
    return f"…{secret[-shown:]}" if shown else "…"


def check_secret(secret: str) -> str:
    """Return a secret that is to be imported. Raises ApiError invalid_request if no client could send it, or it is too short."""
    if not SECRET_CHARS_MIN <= len(secret) <= SECRET_CHARS_MAX:
        raise invalid("key", f"A key has {SECRET_CHARS_MIN} to {SECRET_CHARS_MAX} characters, this one has {len(secret)}.")
    if secret.startswith(ADMIN_PREFIX):
        raise invalid("key", "This is an admin key, which is for the admin API and good for no call.")
    if not secret.isascii() or not secret.isprintable() or secret != secret.strip():
        raise invalid("key", "A key is printable ASCII without spaces at its ends, or no HTTP client could send it.")
    return secret


class Trace(NamedTuple):
    """All that is kept of a secret: its SHA-256, and what may be shown of it."""

    digest: bytes
    hint: str


def trace(secret: str) -> Trace:
    """Return what is kept of a secret."""
    return Trace(digest(secret), hint(secret))


def trace_of_digest(text: str, shown: str) -> Trace:
    """Return what is kept of a secret that nobody here has seen: the 64 hexadecimal digits of its SHA-256, its end where that is known.

    Raises ApiError invalid_request.
    """
    if not DIGEST.fullmatch(text):
        raise invalid("sha256", "The SHA-256 of a key has 64 hexadecimal digits.")
    end = shown[-HINT_CHARS_MAX:]
    return Trace(bytes.fromhex(text), f"…{end}" if end.isascii() and end.isprintable() else "…")


def check_label(label: str) -> str:
    """Return a label without spaces at its ends. Raises ApiError invalid_request for one that could not be shown or looked up."""
    label = label.strip()
    if not label or len(label) > LABEL_CHARACTERS_MAX or not label.isprintable():
        raise invalid("label", f"A label has 1 to {LABEL_CHARACTERS_MAX} printable characters.")
    if label.startswith(ID_PREFIX):
        raise invalid("label", f"A label must not begin with {ID_PREFIX}, as keys' ids do.")
    return label


def check_models(models: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Return an allow-list without repetitions; None is every model. Raises ApiError invalid_request for an empty one or a bad name."""
    if models is None:
        return None
    names = tuple(dict.fromkeys(name.strip() for name in models))
    if not names or len(names) > MODELS_MAX:
        raise invalid("models", f"An allow-list names 1 to {MODELS_MAX} models; leave it out to allow every model.")
    for name in names:
        if not name or len(name) > MODEL_NAME_CHARACTERS_MAX or not name.isprintable():
            raise invalid("models", f"A model's name has 1 to {MODEL_NAME_CHARACTERS_MAX} printable characters.")
        if "*" in name:
            said = f"`*` stands for nothing in an allow-list, so `{name}` allows none. Name each model; leave the list out to allow all."
            raise invalid("models", said)
    return names


def check_rates(rates: Rates) -> Rates:
    """Return limits as they are. Raises ApiError invalid_request for one that lets nobody in, or nobody means."""
    for name, value in rates._asdict().items():
        if value is not None and not 1 <= value <= RATE_MAX:
            raise invalid(name, f"A limit is a whole number from 1 to {RATE_MAX:,}; {value} is not. To stop a key, revoke it.")
    return rates


def check_account(name: str) -> str:
    """Return an account's name without spaces at its ends. Raises ApiError invalid_request for one that could not be shown."""
    name = name.strip()
    if not name or len(name) > ACCOUNT_CHARACTERS_MAX or not name.isprintable():
        raise invalid("account", f"An account's name has 1 to {ACCOUNT_CHARACTERS_MAX} printable characters.")
    return name


def window_start(window: str, now: float) -> int:
    """Return the UNIX second at which the window that contains a UNIX time began: midnight UTC of the day, of its Monday, of its first."""
    day = int(now // DAY_SECONDS)
    if window == WEEK:
        day -= (day + THURSDAY) % 7
    elif window == MONTH:
        day -= datetime.fromtimestamp(day * DAY_SECONDS, UTC).day - 1
    return day * DAY_SECONDS


def window_end(window: str, began: int) -> int:
    """Return the UNIX second at which a window ends that began at one."""
    return window_start(window, began + WINDOW_SECONDS_MAX[window])


def invalid(param: str, message: str) -> ApiError:
    """Return the error for a field of a new key."""
    return ApiError("invalid_request", message, param=param)
