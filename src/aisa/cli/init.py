"""`aisa init`: writes a configuration to begin with, from what the environment has. Reads no vendor's answer and starts nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aisa.cli.problems import Misuse, Stop, block

if TYPE_CHECKING:
    from aisa.vendors.row import Row

EXAMPLES = """\b
Examples:
  aisa init
  OPENAI_API_KEY=sk-... aisa init --config /etc/aisa.yaml
"""

HEAD = """\
# What this server is to do, written by `aisa init`. What a `#` stands before does not count.
# aisa config check   says what would run, or everything that is wrong
# aisa config schema  prints a JSON Schema for your editor; docs/configuration.md has every setting

server:
  host: 127.0.0.1               # 0.0.0.0 for every interface
  port: 8000
  data_dir: ./aisa-data         # keys, database, control socket

"""
TAIL = """\
# Names of your own, each with its targets: the second is asked when the first fails before its first piece.
# Without any, callers use vendor/model, and the bare name of any model that one vendor has: aisa models
# models:
#   fast: [{first}/MODEL, {second}/MODEL]
# models_only: true             # only the names above
# models_prefer: [{first}]      # who gets a bare name that several vendors have

# limits:
#   default_tier: starter       # free, starter, growth, unlimited: docs/limits.md
# log:
#   client_address: network     # whole, network, none
"""
OWN = """\
  # local:                      # anything that speaks OpenAI's dialect: Ollama, vLLM, llama.cpp, ...
  #   base_url: http://127.0.0.1:11434/v1
"""


@click.command(epilog=EXAMPLES)
@click.option("--config", "path", metavar="FILE", help="Where to write it; it must not be there.  [AISA_CONFIG; ./aisa.yaml]")
def init(path: str | None) -> None:
    """Write a commented configuration to begin with, from the vendors' keys in the environment.

    Keys are not written: the file names the variables.
    """
    from aisa.cli.terminal import say
    from aisa.cli.unwritten import write_new
    from aisa.config.known import half_there
    from aisa.config.load import DEFAULT_PATH, PATH_VARIABLE
    from aisa.config.schema import Config

    target = Path(path or os.environ.get(PATH_VARIABLE) or DEFAULT_PATH)
    try:
        write_new(target, beginning(os.environ))
    except FileExistsError:
        raise Misuse(
            "nothing was written", [(str(target), "It is there already.", "Remove it, or name another file: --config FILE")]
        ) from None
    except OSError as error:
        raise Stop(
            "nothing was written", [(str(target), f"It cannot be made: {error.strerror}.", "Name another file: --config FILE")]
        ) from error
    found = [name for name, *_ in vendors(os.environ)]
    say(f"{target} is written, with {', '.join(found) if found else 'no vendor yet: none has all that it needs in the environment'}.")
    for note in half_there(Config(), os.environ):
        say(block(note))
    chosen = "" if target == Path(DEFAULT_PATH) else f" --config {target}"
    say(f"See what would run: aisa config check{chosen}. Run it: aisa serve{chosen}")


def beginning(environment: Mapping[str, str]) -> str:
    """Return the file's text."""
    from aisa.config.detect import SPOKEN
    from aisa.vendors.table import ROWS

    found = {name: lines for name, *lines in vendors(environment)}
    text = HEAD + "vendors:".ljust(REMARK_COLUMN) + "# take away the # of those that you use\n"
    text += "".join(f"{line}\n" for lines in found.values() for line in lines)
    others = [row for row in ROWS.values() if row.name not in found and row.dialect in SPOKEN and not row.retired]
    text += "".join(f"  # {row.name}:".ljust(REMARK_COLUMN) + f"# {row.title}: {needs(row, environment)}\n" for row in others)
    names = [*found, *[row.name for row in others]]
    return f"{text}{OWN}\n{TAIL.format(first=names[0], second=names[1])}"


REMARK_COLUMN = 32
CREDENTIALS = {"aws": "and what AWS's own clients take as credentials", "google": "and what Google's own clients take as credentials"}


def needs(row: Row, environment: Mapping[str, str]) -> str:
    """Say what an entry without settings needs of the environment, beside what that has."""
    from aisa.config.detect import lacking, proof_variables

    if row.sign is not None:
        usual = f"looked for at 127.0.0.1:{row.sign.port}"
        return f"where {row.base_url_variable} says, else {usual}" if row.base_url_variable else usual
    missing = lacking(row, environment, named=True)
    said = [f"needs {' and '.join(missing)} in the environment" if missing else "has its variables in the environment"]
    said += [CREDENTIALS[row.proved_by]] if row.proved_by in CREDENTIALS and not proof_variables(row, environment) else []
    said += [f"{row.base_url_variable} for a key of another region"] if row.elsewhere else []
    return ", ".join(said)


def vendors(environment: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    """Yield each vendor that the environment has a key for: its name, then its lines."""
    from aisa.config.detect import detect
    from aisa.vendors.table import ROWS

    for name, found in detect(environment).items():
        row, vendor = ROWS[name], found.vendor
        lines = [f"  {name}:", f"    base_url: {vendor.base_url}"]
        if variable := row.key_variable(environment):
            lines.append(f"    api_key: ${{{variable}}}")
        elif vendor.azure_credentials:
            tenant, client, secret = row.other_proof
            lines += ["    azure_credentials:", f"      - tenant_id: ${{{tenant}}}"]
            lines += [f"        client_id: ${{{client}}}", f"        client_secret: ${{{secret}}}"]
        lines += [f"    api_key_as: {vendor.api_key_as}"] if vendor.api_key_as else []
        yield (name, *lines, *([f"    dialect: {vendor.dialect}"] if vendor.dialect != "openai" else []))
