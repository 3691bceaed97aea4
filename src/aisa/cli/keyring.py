"""What the commands on API keys do: ask, and show the answer. Decides nothing about keys and opens nothing itself."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote

import click
import msgspec

from aisa.cli.account_lines import account_is_new
from aisa.cli.control import ask, ask_server
from aisa.cli.data_folder import settings
from aisa.cli.figures import listed, short
from aisa.cli.fitting import facts, fitted, room
from aisa.cli.free_lines import open_in_words
from aisa.cli.json_units import with_units
from aisa.cli.price_tables import say_json
from aisa.cli.problems import Misuse, Stop
from aisa.cli.shown_secret import say_secret
from aisa.cli.team_lines import cap_in_words
from aisa.cli.terminal import ago, paint, say
from aisa.cli.treasury import dollars
from aisa.cli.written import NO_TERM
from aisa.clock import wall_clock
from aisa.config.schema import Config
from aisa.edge.admin_teams import TeamStanding
from aisa.edge.bill_view import iso
from aisa.edge.free_models import OF
from aisa.edge.model_view import ModelShown
from aisa.keys.rules import DEFAULT_ACCOUNT, RATE_MAX
from aisa.money import dollars_text
from aisa.routing import TINY

SECRET_CHARS_MAX = 4096  # of standard input that are read for an imported key; the server's limit is lower and says so
MODELS_CHARS_MAX = 30  # of an allow-list in the table on a terminal
SHOW_SECONDS_MAX = 60.0  # a month of calls may have to be summed up
ROTATE = "Give the key another one: aisa keys rotate {id}"  # to whoever has not read its secret
LIMITS = ("rpm", "tpm", "concurrency")
OF_ACCOUNT = "its account's"  # limits of a key that has none of its own: its tier may have some
LIMIT_DIGITS_MAX = 18  # that are sent; the server's limit is lower and says so
#: Columns that a narrow terminal does without, the first first: a key is found by its label.
LEAST = ("KEY", "CREATED", "MODELS", "LIMITS", "EXPIRES", "ID", "ACCOUNT", "FORMER SECRET", "TEAM", "LAST USED", "SPENT OF CAP")
USUAL = {"ACCOUNT": DEFAULT_ACCOUNT, "TEAM": "none", "SPENT OF CAP": "none", "LIMITS": OF_ACCOUNT, "FORMER SECRET": ""}
STATE_COLOURS = {"active": "green", "revoked": "red", "expired": "yellow", "disabled": "yellow"}


class Terms(NamedTuple):
    """How a key is to be made, as the command line says it."""

    models: str | None = None
    expires: str | None = None
    spend_cap: str | None = None
    account: str | None = None
    team: str | None = None
    rpm: str | None = None
    tpm: str | None = None
    concurrency: str | None = None
    importing: bool = False
    quiet: bool = False
    config: str | None = None
    data_dir: str | None = None


class TeamNamed(msgspec.Struct):
    """The team that a key is in."""

    id: str
    name: str


class KeyShown(msgspec.Struct):
    """A key as the administrator's routes write it: times in UNIX seconds, the cap in nano-dollars.

    `secret`, the API's `url` and `account_made` only where it was just made.
    """

    id: str
    label: str
    hint: str
    state: str
    created_at: int
    expires_at: int | None = None
    models: list[str] | None = None
    account: str = ""
    spend_cap: int | None = None
    spend_window: str | None = None
    rpm: int | None = None
    tpm: int | None = None
    concurrency: int | None = None
    team: TeamNamed | None = None
    former_secret_expires_at: int | None = None
    secret: str = ""
    url: str | None = None
    example_model: str | None = None
    free_models: list[str] = []
    account_made: bool = False


class KeyStanding(KeyShown):
    """A key and how it stands: `spent` since the UNIX second `spent_since`, and `left` of its cap, in nano-dollars; its last use."""

    spent_since: int = 0
    spent: int = 0
    left: int | None = None
    last_used_ms: int | None = None
    last_address: str | None = None


class KeyList(msgspec.Struct):
    """Every key."""

    data: list[KeyStanding]


def create(label: str, terms: Terms) -> None:
    """Make or import a key and print it. Raises Stop."""
    config = settings(terms.config, terms.data_dir, makes=True)
    asked: dict[str, object] = {"label": label, "models": None, "expires": None}
    asked |= {name: value for name in NO_TERM if (value := term_in(name, getattr(terms, name))) is not None}
    asked |= {name: value for name in ("account", "team") if (value := getattr(terms, name)) is not None}
    asked |= {name: limit_in(value, name) for name in LIMITS if (value := getattr(terms, name)) is not None}
    if terms.importing:
        asked["secret"] = secret_from_outside()
    path = "/keys/import" if terms.importing else "/keys"
    key = ask(config.server.data_dir, "POST", path, expect=KeyShown, asked=asked, config=config)
    if terms.importing:
        if not terms.quiet:
            say(f"Key {paint(key.label, bold=True)} imported: {key.hint} ({key.id}).")
    elif terms.quiet:
        say_secret(key.secret, ROTATE.format(id=key.id))
    else:
        made = f"Key {paint(key.label, bold=True)} made ({key.id}). It is shown this once and kept nowhere: copy it now."
        say_secret(f"{made}\n\n  {paint(key.secret, 'green', bold=True)}", ROTATE.format(id=key.id))
        unserved = unserved_names(config.server.data_dir, key.models or ())
        for name in unserved:
            say(f"\n{paint('Nothing serves', 'yellow')} {name} now, which the key may call. What there is: aisa models")
        if key.models is None or len(unserved) < len(key.models):
            callable_ = key.models and [name for name in key.models if name not in unserved]
            say(f"\nTry it:\n\n{curl_line(config, msgspec.structs.replace(key, models=callable_))}")
    if key.free_models and not terms.quiet:
        say(f"\n{free_in_words(key)}")
    if key.account_made and not terms.quiet:
        say(f"\n{account_is_new(key.account)}")


def unserved_names(data_dir: str, names: Sequence[str]) -> list[str]:
    """Return the names that the server of a data folder, if one runs, leads nowhere now."""
    found: list[str] = []
    for name in names:
        try:
            ask_server(data_dir, f"/models/{quote(name, safe='')}", expect=ModelShown)
        except Stop:
            found.append(name)
    return found


def show_all(config: str | None, data_dir: str | None, *, as_json: bool) -> None:
    """Print every key. Raises Stop."""
    keys = ask(settings(config, data_dir).server.data_dir, "GET", "/keys?standing=1", expect=KeyList, seconds=SHOW_SECONDS_MAX).data
    if as_json:
        fields = [
            name for name in KeyStanding.__struct_fields__ if name not in ("secret", "url", "example_model", "free_models", "account_made")
        ]
        say_json(with_units([{name: msgspec.to_builtins(getattr(key, name)) for name in fields} for key in keys]))
    elif keys:
        now = wall_clock()
        rows = [row(key, now) for key in keys]
        # Some columns say the same in every line of most installs, and lines should fit the terminal.
        heads = [head for head in rows[0] if any(cells[head] != USUAL.get(head) for cells in rows)]
        say(fitted(heads, [[cells[head] for head in heads] for cells in rows], least=LEAST))
    else:
        say("There are no keys yet. Make one: aisa keys create LABEL")


def term_in(which: str, value: str | None) -> str | list[str] | None:
    """Return a term as it is sent, None for one that is not set: `all`, `never` and `none` say so in words."""
    if value is None or value.strip().lower() in NO_TERM[which]:
        return None
    return value.split(",") if which == "models" else value


def update(name: str, terms: Mapping[str, str | None], *, config: str | None, data_dir: str | None) -> None:
    """Change the terms of a key, found by id, label or `-`. Raises Stop."""
    asked: dict[str, object] = {which: limit_in(value, which) for which in LIMITS if (value := terms.get(which)) is not None}
    asked |= {which: term_in(which, value) for which in NO_TERM if (value := terms.get(which)) is not None}
    if terms.get("label") is not None:
        asked["label"] = terms["label"]
    if not asked:
        problem = ("keys update", "No term was named.", "Name one or more: --label, --models, --expires, --spend-cap, --rpm, --tpm, ...")
        raise Misuse("nothing is to be changed", [problem])
    key = change(name, "update", asked, config=config, data_dir=data_dir)
    say(f"Key {paint(key.label, bold=True)} ({key.id}), from the next request on: {terms_in_words(key, wall_clock())}.")
    if key.free_models:
        say(not_counted(key))


def change(name: str, how: str, asked: object = None, *, config: str | None, data_dir: str | None) -> KeyShown:
    """Change a key, found by id, label or `-`, and return it. Raises Stop."""
    known = settings(config, data_dir)
    path = f"/keys/{quote(identified(name, known), safe='')}/{how}"
    return ask(known.server.data_dir, "POST", path, expect=KeyShown, asked=asked, config=known)


def identified(name: str, known: Config) -> str:
    """Return a key's id or label; for `-` the id of the key whose whole text comes from outside, which is never shown. Raises Stop."""
    if name != "-":
        return name
    asked = {"secret": secret_from_outside("The key")}
    return ask(known.server.data_dir, "POST", "/keys/find", expect=KeyShown, asked=asked).id


def set_state(name: str, how: str, *, config: str | None, data_dir: str | None) -> None:
    """Revoke, disable or enable a key. Raises Stop."""
    key = change(name, how, config=config, data_dir=data_dir)
    what = {"revoke": "revoked: every request with it is refused", "disable": "disabled: it lets nobody in", "enable": f"{key.state} again"}
    say(f"Key {paint(key.label, bold=True)} ({key.id}) is {what[how]} from now on.")


def rotate(name: str, grace: str | None, *, quiet: bool, config: str | None, data_dir: str | None) -> None:
    """Give a key another secret and print that. Raises Stop."""
    key = change(name, "rotate", {} if grace is None else {"grace": grace}, config=config, data_dir=data_dir)
    if quiet:
        say_secret(key.secret, ROTATE.format(id=key.id))
        return
    made = f"Key {paint(key.label, bold=True)} ({key.id}) has a new secret, shown this once. {former_in_words(key, wall_clock())}"
    say_secret(f"{made}\n\n  {paint(key.secret, 'green', bold=True)}", ROTATE.format(id=key.id))


def show(name: str, config: str | None, data_dir: str | None, *, as_json: bool) -> None:
    """Print one key and how it stands, found by id, label or `-`. Raises Stop."""
    known = settings(config, data_dir)
    path = f"/keys/{quote(identified(name, known), safe='')}"
    key = ask(known.server.data_dir, "GET", path, expect=KeyStanding, seconds=SHOW_SECONDS_MAX)
    if as_json:
        say_json(with_units(msgspec.to_builtins(key)))
        return
    now = wall_clock()
    window = key.spend_window or "month"
    rows = [
        ["id", key.id],
        ["key", key.hint],
        [
            "former secret",
            "none is good" if key.former_secret_expires_at is None else f"good {until_in_words(key.former_secret_expires_at, now)}",
        ],
        ["state", paint(key.state, STATE_COLOURS.get(key.state))],
        ["account", key.account],
        *([["team", team_in_words(key.team, known)]] if key.team is not None else []),
        ["models", "all" if key.models is None else ", ".join(key.models)],
        ["limits", limits_in_words(key) or "as its account's"],
        ["spent", f"{dollars_text(key.spent)} US dollars this {window} (UTC)"],
        ["cap", "none" if key.spend_cap is None else f"{dollars_text(key.spend_cap)} a {window}; {dollars_text(key.left or 0)} left"],
        *([["free", f"{listed(key.free_models)}: no price, so the cap does not count calls to them"]] if key.free_models else []),
        ["last used", "never" if key.last_used_ms is None else ago(now - key.last_used_ms / 1000)],
        ["from", key.last_address or "not known"],
        ["made", ago(now - key.created_at)],
        ["expires", "never" if key.expires_at is None else ago(now - key.expires_at)],
    ]
    say(f"Key {paint(key.label, bold=True)}\n{facts(rows, indent='  ')}")


def team_in_words(named: TeamNamed, known: Config) -> str:
    """Say which team a key is in, and how its cap stands. Raises Stop."""
    team = ask(known.server.data_dir, "GET", f"/teams/{named.id}", expect=TeamStanding, seconds=SHOW_SECONDS_MAX)
    left = f"; {dollars_text(team.left)} left" if team.left is not None else ""
    return f"{team.name}: {cap_in_words(team)} for all of its keys{left}"


def not_counted(key: KeyShown) -> str:
    """Say which models a key's cap does not count."""
    return f"Its cap does not count calls to {listed(key.free_models)}: without a price they are free."


def free_in_words(key: KeyShown) -> str:
    """Say the same of a new key, and what can be done about it."""
    said = [not_counted(key)]
    any_of = open_in_words(key.free_models)
    return " ".join([*said, any_of or f"To give one: aisa prices {key.free_models[0].partition(OF)[0]}"])


def terms_in_words(key: KeyShown, now: float) -> str:
    """Say what a key may do."""
    models = "every model" if key.models is None else ", ".join(key.models)
    cap = "no cap" if key.spend_cap is None else f"at most {dollars_text(key.spend_cap)} US dollars a {key.spend_window}"
    expires = "no expiry" if key.expires_at is None else f"expires {ago(now - key.expires_at)}"
    return f"{models}; {limits_in_words(key) or 'limited as its account is'}; {cap}; {expires}"


def former_in_words(key: KeyShown, now: float) -> str:
    """Say what becomes of the secret that a key had before."""
    if key.former_secret_expires_at is None:
        return "No former one is good any more."
    return f"The former one stays good {until_in_words(key.former_secret_expires_at, now)}."


def until_in_words(at: int, now: float) -> str:
    """Say until which UNIX second something holds, and how long that is."""
    return f"until {iso(at)} ({ago(now - at)})"


def limit_in(value: str, name: str) -> int | None:
    """Return a limit that was written as a number, None for `none`. Raises Misuse."""
    if value.strip().lower() == "none":
        return None
    digits = value.strip().replace(",", "").replace("_", "")
    if not digits.isascii() or not digits.isdigit() or len(digits) > LIMIT_DIGITS_MAX or not 1 <= int(digits) <= RATE_MAX:
        what = f"{value[:40]!r} is no whole number from 1 to {RATE_MAX:,}."
        raise Misuse(f"--{name} is not understood", [(f"--{name}", what, "Write a number such as 60, or none.")])
    return int(digits)


def limits_in_words(key: KeyShown) -> str:
    """Say which limits a key has of its own."""
    said = ((key.rpm, "calls/min"), (key.tpm, "tokens/min"), (key.concurrency, "at once"))
    return ", ".join(f"{value:,} {what}" for value, what in said if value is not None)


def secret_from_outside(prompt: str = "Key to import") -> str:
    """Read a whole key: unseen from the terminal, else the first line of standard input.

    Never an argument, which every user of the machine could read in the list of processes.
    """
    if sys.stdin.isatty():
        return str(click.prompt(prompt, hide_input=True, err=True))
    return sys.stdin.readline(SECRET_CHARS_MAX).rstrip("\r\n")


def row(key: KeyStanding, now: float) -> dict[str, str]:
    """Return a key's line of the table, by the head of each column. `now` is in UNIX seconds."""
    models = ", ".join(key.models) if key.models is not None else "all"
    models = models if room() is None else short(models, MODELS_CHARS_MAX)
    expires = "never" if key.expires_at is None else ago(now - key.expires_at)
    state = paint(key.state, STATE_COLOURS.get(key.state))
    cap = "none" if key.spend_cap is None else f"{dollars(key.spent)} of {dollars_text(key.spend_cap)}/{key.spend_window}"
    return {
        "ID": key.id,
        "LABEL": key.label,
        "KEY": key.hint,
        "FORMER SECRET": "" if key.former_secret_expires_at is None else f"ends {ago(now - key.former_secret_expires_at)}",
        "STATE": state,
        "ACCOUNT": key.account,
        "TEAM": "none" if key.team is None else key.team.name,
        "SPENT OF CAP": cap,
        "LIMITS": limits_in_words(key) or OF_ACCOUNT,
        "MODELS": models,
        "CREATED": ago(now - key.created_at),
        "EXPIRES": expires,
        "LAST USED": "never" if key.last_used_ms is None else ago(now - key.last_used_ms / 1000),
    }


def curl_line(config: Config, key: KeyShown) -> str:
    """Return a command that asks the server something with the key, to be pasted into a shell."""
    model = (key.models or [key.example_model or next(iter(config.models), TINY)])[0]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.server.host, config.server.host)  # noqa: S104 - compared, not listened on
    address = key.url or f"{'https' if config.tls else 'http'}://{f'[{host}]' if ':' in host else host}:{config.server.port}"
    body = msgspec.json.encode({"model": model, "messages": [{"role": "user", "content": "Write a haiku about APIs."}]}).decode()
    lines = (
        f"curl {address}/v1/chat/completions",
        f"-H 'Authorization: Bearer {key.secret}'",
        "-H 'Content-Type: application/json'",
        "-d '{}'".format(body.replace("'", r"'\''")),
    )
    return "  " + " \\\n    ".join(lines)
