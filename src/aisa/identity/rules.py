"""What the claims of a token mean here: whose key it is, to which account it belongs, what it may administer. Pure; proves nothing."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import TypeGuard

from aisa.config.identity import IdentitySettings
from aisa.errors import ApiError
from aisa.keys.rules import ACTIVE, ALPHABET, DEFAULT_ACCOUNT, READ, WRITE, AdminKey, Key
from aisa.names import LABEL_CHARACTERS_MAX
from aisa.wire.trees import as_list, as_tree

KEY_ID_PREFIX, ADMIN_ID_PREFIX = "idp_", "adm_idp_"
ID_CHARS = 16  # of a person, from 95 bits of a hash: no two of them meet
SECONDS_MAX = 2**53  # of a time that is stated; beyond, numbers of JSON are not exact
SHOWN_CHARACTERS_MAX = 100  # of a claim's value, in a message
SPACED = ("scope", "scp")  # claims that have several values in one text, with spaces between (RFC 8693, 4.2; Entra ID)
SAID_MAX = 5  # of a claim's values that mean nothing here: enough for that message, where a directory may name hundreds of groups

Claims = Mapping[str, object]


def looks_like_token(secret: str) -> bool:
    """Say whether a text has the form of a signed token (JWS, three parts, the first of which is a JSON object)."""
    return secret.startswith("eyJ") and secret.count(".") == 2


def values_of(claims: Claims, claim: str) -> tuple[str, ...]:
    """Return the texts of a claim, none if it is not there; `a.b` is `b` inside of `a` unless there is a claim of that whole name."""
    found = claim_of(claims, claim)
    values = found.split() if claim in SPACED and isinstance(found, str) else as_list(found) or [found]
    return tuple(value for value in values if isinstance(value, str))


def claim_of(claims: Claims, claim: str) -> object:
    """Return a claim, None if it is not there. Names may have dots themselves (`https://example.com/roles`): the longest counts."""
    if (found := claims.get(claim)) is not None:
        return found
    end = claim.rfind(".")
    while end >= 0:
        inner = as_tree(claims.get(claim[:end]))
        if inner and (found := claim_of(inner, claim[end + 1 :])) is not None:
            return found
        end = claim.rfind(".", 0, end)
    return None


def counting(settings: IdentitySettings, claims: Claims) -> Claims:
    """Return what of a token's claims counts here, as it is kept while the token lives: the others may be large, and are nobody's here."""
    own = {name: claims[name] for name in ("sub", "iat", "exp") if name in claims}
    named = (settings.label_claim, settings.account_claim, settings.admin_claim)
    meant = {*settings.accounts, *settings.admin_read, *settings.admin_write}
    kept = {claim: values_of(claims, claim) for claim in named if claim is not None and claim not in own}
    return own | {
        claim: [value for place, value in enumerate(values) if place < SAID_MAX or value in meant] for claim, values in kept.items()
    }


def person(settings: IdentitySettings, claims: Claims) -> str:
    """Return who a token is of, in letters and digits: the same for all tokens of one person at one provider."""
    number = int.from_bytes(sha256(f"{settings.issuer}\n{claims['sub']}".encode("utf-8", "surrogatepass")).digest(), "big")
    digits = ""
    for _ in range(ID_CHARS):
        number, digit = divmod(number, len(ALPHABET))
        digits += ALPHABET[digit]
    return digits


def label_of(settings: IdentitySettings, claims: Claims) -> str:
    """Return what a person is called here."""
    named = values_of(claims, settings.label_claim) or (str(claims["sub"]),)
    label = "".join(character for character in named[0] if character.isprintable()).strip()
    return label[:LABEL_CHARACTERS_MAX] or person(settings, claims)


def account_of(settings: IdentitySettings, claims: Claims) -> str:
    """Return the account of a person. Raises ApiError insufficient_permissions where the settings name none."""
    if settings.account_claim is None:
        return DEFAULT_ACCOUNT
    values = values_of(claims, settings.account_claim)
    account = next((account for value, account in settings.accounts.items() if value in values), None)
    if account is None:
        said = ", ".join(values)[:SHOWN_CHARACTERS_MAX] or "nothing"
        what = f"The token says {said!r} as {settings.account_claim!r}, which belongs to no account here."
        raise ApiError("insufficient_permissions", f"{what} Ask whoever runs this server.")
    return account


def key_of(settings: IdentitySettings, claims: Claims, digest: bytes, *, account: str | None = None) -> Key:
    """Return a token's key, which has no end of its own. `digest` is its SHA-256; an `account` takes the place of the token's.

    Raises ApiError insufficient_permissions.
    """
    return Key(
        id=KEY_ID_PREFIX + person(settings, claims),
        label=label_of(settings, claims),
        digest=digest,
        hint="token",
        state=ACTIVE,
        created_at=second_of(claims, "iat"),
        account=account or account_of(settings, claims),
    )


def listed_key_of(settings: IdentitySettings, claims: Claims, digest: bytes) -> Key:
    """Return the same of somebody who may have no account, as he only administers: it is there to be listed, and disabled."""
    try:
        return key_of(settings, claims, digest)
    except ApiError:
        return key_of(settings, claims, digest, account=DEFAULT_ACCOUNT)


def key_id_of(key: AdminKey) -> str:
    """Return the id of the key that somebody has who came to administer with a token."""
    return KEY_ID_PREFIX + key.id.removeprefix(ADMIN_ID_PREFIX)


def admin_key_of(settings: IdentitySettings, claims: Claims, digest: bytes) -> AdminKey:
    """Return what a token may administer. Raises ApiError insufficient_permissions for nothing."""
    values = () if settings.admin_claim is None else values_of(claims, settings.admin_claim)
    if not any(value in (*settings.admin_read, *settings.admin_write) for value in values):
        raise ApiError("insufficient_permissions", "The token is good, but gives no right to the admin API.")
    scope = WRITE if any(value in settings.admin_write for value in values) else READ
    id_ = ADMIN_ID_PREFIX + person(settings, claims)
    return AdminKey(id_, label_of(settings, claims), digest, "token", scope, second_of(claims, "iat"))


def second_of(claims: Claims, name: str) -> int:
    """Return a UNIX second that a token states; 0 if it is none."""
    value = claims.get(name)
    return int(value) if is_second(value) else 0


def is_second(value: object) -> TypeGuard[float]:
    """Say whether a claim is a UNIX second, or a part of one."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < SECONDS_MAX
