"""`aisa keys`: the commands on API keys as they are called. What they do and print is in `keyring`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from aisa.cli.command_group import CommandGroup
from aisa.cli.written import NO_TERM, judge_cap, judge_expiry, judge_grace, judge_label, judge_models, text, written

Command = Callable[..., None]

#: What every option takes that says since or until when.
MOMENTS = "24h, 7d, 1h30m, today, week, month, a date (UTC)"

EXAMPLES = """\b
Examples:
  aisa keys create laptop
  aisa keys create ci --models gpt-4.1,fast --expires 30d
  aisa keys create trial --account acme --spend-cap 5/day
  aisa keys create crawler --team bots
  aisa keys create batch --rpm 60 --tpm 100000 --concurrency 4
  export AISA_API_KEY=$(aisa keys create notebook --quiet)
  aisa keys create old-client --import < key.txt
"""


def located(command: Command) -> Command:
    """Add the options that say which server's keys are meant."""
    command = click.option("--data-dir", metavar="FOLDER", help="The server's data folder.  [AISA_DATA_DIR; ./aisa-data]")(command)
    return click.option("--config", metavar="FILE", help="Its configuration file.  [AISA_CONFIG; ./aisa.yaml if it exists]")(command)


@click.group(cls=CommandGroup)
def keys() -> None:
    """Make, list, change and revoke API keys.

    Works on a running server at once, and otherwise on its data folder.
    """


def limited(command: Command) -> Command:
    """Add the options on a key's own limits."""
    for name, what in (("concurrency", "Calls in flight"), ("tpm", "Tokens in any minute"), ("rpm", "Calls in any minute")):
        command = click.option(
            f"--{name}", callback=text, metavar="N", help=f"{what}, at most; lower than its account's.  [as its account's]"
        )(command)
    return command


@keys.command(epilog=EXAMPLES)
@click.argument("label", callback=written(judge_label))
@click.option("--models", callback=written(judge_models, *NO_TERM["models"]), metavar="A,B", help="The only models it may use.  [all]")
@click.option(
    "--expires",
    callback=written(judge_expiry, *NO_TERM["expires"]),
    metavar="WHEN",
    help="20s, 12h, 30d, 2w, a date (to its end, UTC) or a date and time.  [never]",
)
@click.option(
    "--spend-cap",
    callback=written(judge_cap, *NO_TERM["spend_cap"]),
    metavar="CAP",
    help="US dollars a day, week or month (UTC): 5/day, 99.50/month. What a running call may come to at most is held of it.  [none]",
)
@click.option(
    "--account", callback=text, metavar="NAME", help="Who pays; made, without a limit, if it is not there.  [default, or its team's]"
)
@click.option(
    "--team", callback=text, metavar="ID|NAME", help="The team that it is in for good, whose cap bounds it too: `aisa teams`.  [none]"
)
@limited
@click.option("--import", "importing", is_flag=True, help="Take over an existing key: typed unseen, or read from standard input.")
@click.option("--quiet", is_flag=True, help="Print the key and nothing else.")
@located
def create(label: str, **options: Any) -> None:
    """Make a key named LABEL and show it, this once."""
    from aisa.cli import keyring

    keyring.create(label, keyring.Terms(**options))


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@located
def list_(config: str | None, data_dir: str | None, *, as_json: bool) -> None:
    """List the keys, the oldest first."""
    from aisa.cli import keyring

    keyring.show_all(config, data_dir, as_json=as_json)


@keys.group("import")
def importing() -> None:
    """Take over the keys of another gateway, whose clients need not change theirs."""


@importing.command()
@click.argument("file", metavar="FILE", type=click.Path(exists=True, dir_okay=False))
@click.option("--account", callback=text, metavar="NAME", help="Who pays for all of them.  [a key's team, else default]")
@click.option(
    "--team", callback=text, metavar="ID|NAME", help="The team of this server that all of them are in for good: `aisa teams`.  [none]"
)
@click.option("--dry-run", is_flag=True, help="Say what would be made, and make nothing.")
@located
def litellm(file: str, **options: Any) -> None:
    """Take over LiteLLM's virtual keys from FILE, an export of its table LiteLLM_VerificationToken.

    FILE is JSON, CSV, or what pg_dump writes. Keys are known by their SHA-256, as LiteLLM keeps them, so no secret is
    needed. What was imported before is left as it is.
    """
    from aisa.cli.from_litellm import import_keys

    import_keys(file, **options)


KEY = click.argument("key", callback=text, metavar="ID|LABEL|-")
EACH = "A key is named by its id, its label, or by - and the whole key, typed unseen or read from standard input."


@keys.command(epilog=EACH)
@KEY
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@located
def show(key: str, config: str | None, data_dir: str | None, *, as_json: bool) -> None:
    """Show one key: its terms, what it has spent and has left, when and from where it was used last."""
    from aisa.cli import keyring

    keyring.show(key, config, data_dir, as_json=as_json)


@keys.command(epilog=EACH)
@KEY
@click.option("--label", callback=written(judge_label), metavar="LABEL", help="Another label.")
@click.option("--models", callback=written(judge_models, *NO_TERM["models"]), metavar="A,B", help="The only models it may use, or all.")
@click.option(
    "--expires",
    callback=written(judge_expiry, *NO_TERM["expires"]),
    metavar="WHEN",
    help="20s, 12h, 30d, 2w, a date (to its end, UTC), a date and time, or never.",
)
@click.option(
    "--spend-cap",
    callback=written(judge_cap, *NO_TERM["spend_cap"]),
    metavar="CAP",
    help="US dollars a day, week or month (UTC), such as 5/day, or none.",
)
@limited
@located
def update(key: str, config: str | None, data_dir: str | None, **terms: str | None) -> None:
    """Change a key's terms, from the next request on; what is not named stays. `none` takes a limit away."""
    from aisa.cli import keyring

    keyring.update(key, terms, config=config, data_dir=data_dir)


@keys.command(epilog=EACH)
@KEY
@click.option(
    "--grace", callback=written(judge_grace), metavar="TIME", help="How long the former secret stays good: 0, 20s, 30m, 12h, 7d.  [24h]"
)
@click.option("--quiet", is_flag=True, help="Print the new secret and nothing else.")
@located
def rotate(key: str, config: str | None, data_dir: str | None, *, grace: str | None, quiet: bool) -> None:
    """Give a key a new secret, shown this once; its id, label, terms and history stay."""
    from aisa.cli import keyring

    keyring.rotate(key, grace, quiet=quiet, config=config, data_dir=data_dir)


@keys.command(epilog=EACH)
@KEY
@located
def disable(key: str, config: str | None, data_dir: str | None) -> None:
    """Refuse a key from the next request on, until it is enabled again."""
    from aisa.cli import keyring

    keyring.set_state(key, "disable", config=config, data_dir=data_dir)


@keys.command(epilog=EACH)
@KEY
@located
def enable(key: str, config: str | None, data_dir: str | None) -> None:
    """Let a disabled key in again."""
    from aisa.cli import keyring

    keyring.set_state(key, "enable", config=config, data_dir=data_dir)


@keys.command(epilog=EACH)
@KEY
@located
def revoke(key: str, config: str | None, data_dir: str | None) -> None:
    """Revoke a key for good, from the next request on. Its label is free again, its calls are found by its id."""
    from aisa.cli import keyring

    keyring.set_state(key, "revoke", config=config, data_dir=data_dir)
