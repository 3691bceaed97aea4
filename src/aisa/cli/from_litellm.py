"""What the commands do that take over from LiteLLM: read its files, write ours, and say what was left behind. Translates nothing itself."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import yaml

from aisa.cli.control import ask
from aisa.cli.data_folder import settings
from aisa.cli.keyring import KeyShown
from aisa.cli.problems import Misuse, Problem, Stop
from aisa.cli.terminal import paint, say
from aisa.cli.unwritten import write_new
from aisa.clock import wall_clock
from aisa.config.schema import Config
from aisa.errors import ApiError
from aisa.keys.rules import (
    ALREADY_HERE,
    DEFAULT_ACCOUNT,
    check_account,
    check_label,
    check_models,
    check_secret,
    trace,
    trace_of_digest,
)
from aisa.keys.terms import parse_spend_cap
from aisa.litellm.exported_keys import KeyWanted, NotAnExport, Skipped, rows_of, wanted
from aisa.litellm.providers import Tree
from aisa.litellm.translated import Note, translated

FILE_BYTES_MAX = 16_777_216  # of a configuration that is read
PRIVATE = 0o600
HEAD = "# Made from {file} by `aisa config import litellm`.\n"
LEFT = "# Not carried over: {where}: {what}"


def import_configuration(file: str, output: str) -> None:
    """Write the configuration of a LiteLLM proxy as ours. Raises Stop, and has written nothing then."""
    made = translated(read_tree(file), os.environ)
    if not made.config:
        show_notes(made.notes)
        raise Misuse("nothing was written", [(file, "Its `model_list` has nothing that could be carried over.", "Name another file.")])
    text = HEAD.format(file=Path(file).name) + "".join([one_line(LEFT.format(where=note.where, what=note.what)) for note in made.notes])
    text += "\n" + yaml.safe_dump(made.config, sort_keys=False, allow_unicode=True, width=120)
    write_configuration(output, text)
    vendors, models = (len(cast("dict[str, object]", made.config.get(name, {}))) for name in ("vendors", "models"))
    say(f"{output} is written, with {vendors} vendor{'s' * (vendors != 1)} and {models} model{'s' * (models != 1)}.")
    show_notes(made.notes)
    chosen = "" if Path(output) == Path("aisa.yaml") else f" --config {output}"
    say(f"\nSee what would run: aisa config check{chosen}")


def one_line(text: str) -> str:
    """Return a comment that stays one, whatever names the file had."""
    return "".join([letter if letter.isprintable() else " " for letter in text]) + "\n"


def show_notes(notes: list[Note]) -> None:
    """Say what was left behind."""
    if notes:
        say(paint(f"\nNot carried over: {len(notes)}", bold=True))
        for note in notes:
            say(f"  {paint(note.where, 'yellow')}  {note.what}")


def read_tree(file: str) -> Tree:
    """Return a YAML file's mapping. Raises Misuse."""
    try:
        with Path(file).open("rb") as source:
            tree: object = yaml.safe_load(source.read(FILE_BYTES_MAX))
    except OSError as error:
        raise Misuse("nothing was written", [(file, f"It cannot be read: {error.strerror}.", "Name another file.")]) from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        said = str(getattr(error, "problem", None) or "it cannot be parsed")
        raise Misuse("nothing was written", [(file, f"It is not valid YAML: {said}.", "Name LiteLLM's configuration.")]) from None
    if not isinstance(tree, dict):
        raise Misuse("nothing was written", [(file, "It is no mapping of settings.", "Name LiteLLM's configuration.")])
    return cast("Tree", tree)


def write_configuration(output: str, text: str) -> None:
    """Write a file that is not there, for its owner alone. Raises Stop."""
    try:
        write_new(Path(output), text, PRIVATE)
    except FileExistsError:
        raise Misuse("nothing was written", [(output, "It is there already.", "Remove it, or name another: --output FILE")]) from None
    except OSError as error:
        raise Stop("nothing was written", [(output, f"It cannot be made: {error.strerror}.", "Name another: --output FILE")]) from error


def import_keys(file: str, *, account: str | None, team: str | None, config: str | None, data_dir: str | None, dry_run: bool) -> None:
    """Make the keys of an export, one after the other, in a team if one is named.

    Raises Stop; those before a failure are made, and so are those after it.
    """
    settings_of = settings(config, data_dir, makes=not dry_run)
    try:
        rows = rows_of(Path(file).read_text(encoding="utf-8-sig"))
    except (NotAnExport, OSError, UnicodeDecodeError) as error:
        raise Misuse("no key was imported", [(file, str(error), "Export the table as JSON or CSV, or with pg_dump.")]) from None
    now, made, here, problems = datetime.fromtimestamp(wall_clock(), UTC), 0, 0, list[Problem]()
    seen = set[bytes]()
    for number, row in enumerate(rows, 1):
        if "token" not in row:
            named = f" ({row['key_alias']})" if row.get("key_alias") else ""
            problems.append((f"row {number}{named}", "It has no column `token`.", "Export it again, or make it by hand: aisa keys create."))
            continue
        key = wanted(row, account=account, now=now)
        if isinstance(key, Skipped):
            say(f"  {paint(key.shown, 'yellow')}  is left out: {key.why}.")
            continue
        if team is not None:
            key = key._replace(asked=in_team(key.asked, team, account))
        label = str(key.asked["label"])
        try:
            label = would_make(key, seen) if dry_run else make(key, settings_of)
        except Stop as stopped:
            if stopped.message.startswith(ALREADY_HERE):
                here += 1
            else:
                problems.append((label, stopped.message, "Make it by hand: aisa keys create."))
            continue
        made += 1
        if dry_run:
            say(f"  {paint(label, bold=True)}  {', '.join(terms_in_words(key.asked))}")
        for note in (*(("it is disabled",) if key.disabled else ()), *key.notes):
            say(f"  {paint(label, 'yellow')}  {note}.")
    before = f"; {here} were here before" if here else ""
    say(f"{'Would import' if dry_run else 'Imported'} {made} key{'s' * (made != 1)}{before}.")
    if made:
        say("What they have spent in the running window there does not count here. Their secrets stay good as they are.")
    if problems:
        raise Stop(f"{len(problems)} key{'s' * (len(problems) != 1)} could not be imported", problems)


def in_team(asked: Mapping[str, object], team: str, account: str | None) -> dict[str, object]:
    """Return a key as it is asked for in one of our teams: of that team's account, whatever it was of there, unless one is named."""
    return {name: value for name, value in asked.items() if name != "account" or account is not None} | {"team": team}


def terms_in_words(asked: Mapping[str, object]) -> Iterator[str]:
    """Yield what an imported key may do, term by term."""
    yield f"of the team {asked['team']}" if "team" in asked else f"of the account {asked.get('account', DEFAULT_ACCOUNT)}"
    yield " and ".join(cast("list[str]", asked["models"])) if "models" in asked else "every model"
    yield f"at most {str(asked['spend_cap']).replace('/', ' US dollars a ')}" if "spend_cap" in asked else "no cap"
    for limit, unit in (("rpm", "calls a minute"), ("tpm", "tokens a minute"), ("concurrency", "calls at a time")):
        if limit in asked:
            yield f"{asked[limit]:,} {unit}"
    yield f"until {asked['expires']}" if "expires" in asked else "no expiry"


def would_make(key: KeyWanted, seen: set[bytes]) -> str:
    """Return the label of a key that could be made, as far as the export alone tells; `seen` gets its digest. Raises Stop as `make`."""
    asked = key.asked
    label = str(asked["label"])
    try:
        given = (
            trace(check_secret(str(asked["secret"]))) if "secret" in asked else trace_of_digest(str(asked["sha256"]), str(asked["hint"]))
        )
        check_label(label)
        check_models(tuple(cast("list[str]", asked["models"])) if "models" in asked else None)
        check_account(str(asked.get("account", DEFAULT_ACCOUNT)))
        parse_spend_cap(cast("str | None", asked.get("spend_cap")))
    except ApiError as error:
        raise Stop(error.message, []) from None
    if given.digest in seen:
        raise Stop(ALREADY_HERE, [])
    seen.add(given.digest)
    return label


def make(key: KeyWanted, config: Config) -> str:
    """Make one key and return its label, which gets an ending if it is taken. Raises Stop."""
    data_dir, asked = config.server.data_dir, key.asked
    try:
        shown = ask(data_dir, "POST", "/keys/import", expect=KeyShown, asked=asked, config=config)
    except Stop as stopped:
        if not stopped.message.startswith("The label"):
            raise
        ending = str(asked.get("sha256", ""))[:6]
        again = {**asked, "label": f"{str(asked['label'])[:90]} {ending}".strip()}
        shown = ask(data_dir, "POST", "/keys/import", expect=KeyShown, asked=again, config=config)
    if key.disabled:
        ask(data_dir, "POST", f"/keys/{shown.id}/disable", expect=KeyShown)
    return shown.label
