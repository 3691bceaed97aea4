"""What the commands on admin keys do: ask, and show the answer. Decides nothing about keys."""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from aisa.cli.control import ask
from aisa.cli.data_folder import settings
from aisa.cli.fitting import fitted
from aisa.cli.price_tables import say_json
from aisa.cli.shown_secret import say_secret
from aisa.cli.terminal import ago, paint, say
from aisa.clock import wall_clock


class KeyShown(msgspec.Struct):
    """An admin key as the administrator's routes write it. Times are UNIX seconds; `secret` only where it was just made."""

    id: str
    label: str
    hint: str
    scope: str
    created_at: int
    revoked_at: int | None = None
    secret: str = ""


class KeyList(msgspec.Struct):
    """Every admin key."""

    data: list[KeyShown]


def create(label: str, scope: str, *, quiet: bool, config: str | None, data_dir: str | None) -> None:
    """Make an admin key and print it. Raises Stop."""
    folder = settings(config, data_dir).server.data_dir
    key = ask(folder, "POST", "/admin-keys", expect=KeyShown, asked={"label": label, "scope": scope})
    again = f"Revoke it, and make another: aisa admin-keys revoke {key.id}"
    if quiet:
        say_secret(key.secret, again)
        return
    may = "read and change everything" if key.scope == "write" else "read everything"
    made = f"Admin key {paint(key.label, bold=True)} ({key.id}) may {may}. It is shown this once and kept nowhere: copy it now."
    say_secret(f"{made}\n\n  {paint(key.secret, 'green', bold=True)}", again)


def show_all(config: str | None, data_dir: str | None, *, as_json: bool) -> None:
    """Print every admin key. Raises Stop."""
    keys = ask(settings(config, data_dir).server.data_dir, "GET", "/admin-keys", expect=KeyList).data
    if as_json:
        say_json([{name: value for name, value in msgspec.structs.asdict(key).items() if name != "secret"} for key in keys])
    elif keys:
        now = wall_clock()
        rows = [[key.id, key.label, key.hint, key.scope, ago(now - key.created_at), state(key, now)] for key in keys]
        say(fitted(("ID", "LABEL", "KEY", "SCOPE", "CREATED", "STATE"), rows, least=("KEY", "CREATED", "ID")))
    else:
        say("There is no admin key, so the admin API is off. Make one: aisa admin-keys create LABEL --scope read")


def revoke(name: str, config: str | None, data_dir: str | None) -> None:
    """Revoke an admin key. Raises Stop."""
    path = f"/admin-keys/{quote(name, safe='')}/revoke"
    key = ask(settings(config, data_dir).server.data_dir, "POST", path, expect=KeyShown)
    say(f"Admin key {paint(key.label, bold=True)} ({key.id}) is revoked: every request with it is refused from now on.")


def state(key: KeyShown, now: float) -> str:
    """Say whether a key is good."""
    return paint("active", "green") if key.revoked_at is None else paint(f"revoked {ago(now - key.revoked_at)}", "red")
