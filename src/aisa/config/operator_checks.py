"""What is wrong with settings on names that may be called, on identity, and on where administration, metrics, stores are. Changes none."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from urllib.parse import urlsplit

from aisa.config.admin_settings import listening
from aisa.config.identity import is_safe_way
from aisa.config.problem import SHOWN_CHARACTERS_MAX, Flaw
from aisa.config.schema import Config
from aisa.config.stores import DATABASE_SCHEMES, address_of, limits_database
from aisa.names import ACCOUNT_CHARACTERS_MAX


def check_names(config: Config, vendor_names: Collection[str]) -> Iterator[tuple[tuple[str, ...], Flaw]]:
    """Yield what is wrong with which names callers may use, and with vendors that settings name.

    `vendor_names` also holds vendors whose entry is broken.
    """
    if config.models_only and not config.models:
        yield ("models_only",), Flaw("Nothing could be called: there is no model under `models`.", "List the models, or remove it.")
    named = [(("models_prefer", str(position)), name) for position, name in enumerate(config.models_prefer)]
    for place, name in (*named, *((("limits", "vendors", name), name) for name in config.limits.vendors)):
        if name not in vendor_names:
            near = difflib.get_close_matches(name, vendor_names, 1)
            remedy = f"Did you mean `{near[0]}`?" if near else f"Known vendors: {', '.join(sorted(vendor_names)) or 'none'}."
            yield place, Flaw(f"There is no vendor `{name[:SHOWN_CHARACTERS_MAX]}`.", remedy)


def check_listen(config: Config) -> Iterator[tuple[tuple[str, ...], Flaw]]:
    """Yield what is wrong with the addresses of administration and metrics."""
    for section, text in (("admin", config.admin.listen), ("metrics", config.metrics.listen)):
        try:
            if text is not None:
                listening(text)
        except ValueError as error:
            yield (section, "listen"), Flaw(f"It cannot be listened on: {error}.", "Write for example 127.0.0.1:9000, or [::1]:9000.")
    for position, name in enumerate(config.admin.hosts):
        if not name or not set("/*@ ").isdisjoint(name):
            yield ("admin", "hosts", str(position)), Flaw("No request's `Host` is that.", "Write a name alone, such as aisa.example.com.")
    if config.admin.listen is not None and config.admin.listen == config.metrics.listen:
        yield ("metrics", "listen"), Flaw("The admin API is at that address.", "Choose another port.")


def check_stores(config: Config) -> Iterator[tuple[tuple[str, ...], Flaw]]:
    """Yield what is wrong with the addresses of stores."""
    limits = config.stores.limits
    try:
        if limits is not None and limits.startswith(DATABASE_SCHEMES):
            limits_database(limits)
        elif limits is not None:
            address_of(limits)
    except ValueError as error:
        yield ("stores", "limits"), Flaw(f"It is no address of a store: {error}.", "Write for example redis://127.0.0.1:6379/0.")
    database = config.stores.database
    if database is not None and not database.startswith(DATABASE_SCHEMES):
        remedy = "Write for example postgresql://aisa@127.0.0.1/aisa."
        yield ("stores", "database"), Flaw("It is no address of a PostgreSQL database.", remedy)
    if config.responses.keep_minutes and config.server.workers > 1:
        what = "Each worker would keep responses of its own, and the next call of a conversation may come to another."
        yield ("responses", "keep_minutes"), Flaw(what, "Set it to 0, or `server.workers` to 1.")


def check_telemetry(config: Config) -> Iterator[tuple[tuple[str, ...], Flaw]]:
    """Yield what is wrong with the address of the collector."""
    scheme, host = whereabouts(config.telemetry.endpoint or "http://127.0.0.1")
    if not host or scheme not in ("http", "https"):
        yield ("telemetry", "endpoint"), Flaw("It is no address of a collector.", "Write for example http://127.0.0.1:4318.")


def whereabouts(url: str) -> tuple[str, str]:
    """Return the scheme and the host of an address, no host of what is none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "", ""
    return parts.scheme, "" if port == 0 else parts.hostname or ""


def check_identity(config: Config) -> Iterator[tuple[tuple[str, ...], Flaw]]:
    """Yield what is wrong with the identity provider: what is said over a network that anybody may read proves nothing."""
    identity = config.identity
    if identity is None:
        return
    for name, url in (("issuer", identity.issuer), ("keys_url", identity.keys_url)):
        if url is not None and not is_safe_way(url, local=True):
            yield ("identity", name), Flaw("It must be an https:// address.", "Only a provider on this machine may speak http://.")
    if identity.account_claim is not None and not identity.accounts:
        yield ("identity", "accounts"), Flaw("Nobody would be let in: no value of `account_claim` has an account.", "Add them.")
    if identity.account_claim is None and identity.accounts:
        yield ("identity", "account_claim"), Flaw("It is missing: `accounts` lists values of it.", "Name the claim, such as groups.")
    for value, account in identity.accounts.items():
        if not 0 < len(account) <= ACCOUNT_CHARACTERS_MAX or not account.isprintable():
            yield ("identity", "accounts", value), Flaw("That is no account's name.", f"Write 1 to {ACCOUNT_CHARACTERS_MAX} characters.")
    if (identity.admin_claim is None) != (not identity.admin_read and not identity.admin_write):
        yield (
            ("identity", "admin_claim"),
            Flaw("`admin_claim` needs `admin_read` or `admin_write`, and these need it.", "Write both, or neither."),
        )
