"""The settings on an identity provider, whose tokens may stand in place of keys. Asks nobody."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

from aisa.config.section import Section


class IdentitySettings(Section, frozen=True, kw_only=True):
    """Who makes tokens, for whom, and what their claims mean here."""

    issuer: str
    audience: str
    keys_url: str | None = None
    label_claim: str = "sub"
    account_claim: str | None = None
    accounts: dict[str, str] = {}
    admin_claim: str | None = None
    admin_read: tuple[str, ...] = ()
    admin_write: tuple[str, ...] = ()


def is_safe_way(url: str, *, local: bool) -> bool:
    """Say whether what is read at an address proves something: nobody on the way can change it. `local` allows this machine's own."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (local and parts.scheme == "http" and host in ("localhost", "127.0.0.1", "::1")))


IDENTITY_IN_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "identity.issuer": "The OpenID Connect provider whose tokens are taken as keys, as its tokens name it (`iss`): "
        "`https://login.example.com/realms/team`. Needs the extra `identity`.",
        "identity.audience": "What a token must be for (`aud`): the name under which this server is known there.",
        "identity.keys_url": "Where the provider's signing keys are (JWKS). If absent, the provider's own discovery document says it.",
        "identity.label_claim": "The claim that log, ledger and usage name a caller by, such as `email`. Who he is is always `sub`.",
        "identity.account_claim": "The claim that says to which account a caller belongs: a text or a list of them; `a.b` is `b` inside of "
        "`a`. If absent, all belong to the account `default`.",
        "identity.accounts": "Values of `account_claim`, and the account of whoever has one; of several the first in this list. "
        "Who has none of them is refused.",
        "identity.admin_claim": "The claim that says who may use the admin API; written as `account_claim`.",
        "identity.admin_read": "Its values that let somebody read there.",
        "identity.admin_write": "Its values that let somebody change things there, and read.",
    }
)
