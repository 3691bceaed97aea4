"""`aisa vendors`: every vendor that is known by name, whether it is used, and what it lacks. Starts nothing, and asks no vendor unasked."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from aisa.cli.fitting import fitted
from aisa.cli.problems import Misuse, counted
from aisa.cli.terminal import paint, say

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from aisa.config.load import Loaded
    from aisa.vendors.row import Row

HEADS = ("vendor", "", "speaks", "key", "state")
LEAST = ("", "speaks", "key")  # columns that a narrow terminal does without: what is not set says the state


@click.command()
@click.option("--config", "path", metavar="FILE", help="Configuration file.  [AISA_CONFIG; ./aisa.yaml if it exists]")
@click.option("--data-dir", metavar="FOLDER", help="Whose server is asked what failed lately.  [AISA_DATA_DIR; ./aisa-data]")
@click.option("--check", is_flag=True, help="Ask each vendor that is used: can it be reached, does it take the key.")
def vendors(path: str | None, data_dir: str | None, *, check: bool) -> None:
    """List the vendors that are known by name, which of them are used, and what the others lack.

    A server that runs says which of them refuses our key, has no credit for us, or cannot be reached.

    Servers of models on this machine are looked for. Asking with --check costs nothing: no vendor is made to answer a
    prompt. It exits with 1 if one of them would fail.
    """
    from aisa.cli.configuration import ask_vendors
    from aisa.cli.data_folder import server_elsewhere
    from aisa.cli.served_vendors import served_at, unseen
    from aisa.config.load import ConfigErrors, load
    from aisa.http.nearby import look_around
    from aisa.storage.running import running
    from aisa.vendors.table import ROWS

    try:
        server = server_elsewhere(path)
        folder = data_dir if data_dir or server is None else server.data_dir
        overrides = {"server.data_dir": folder} if folder else {}
        loaded = load(path if server is None else server.config, os.environ, overrides, nearby=look_around)
    except ConfigErrors as errors:
        raise Misuse(f"the configuration has {counted(len(errors.problems))}", errors.problems) from errors
    used = loaded.config.vendors
    served = served_at(loaded.config.server.data_dir)
    ours = {each.port or 0 for each in running(os.environ)} or {loaded.config.server.port}
    lines = [line(row, loaded, os.environ, served=served, ours=ours) for row in ROWS.values()]
    lines += [[name, "", setting.dialect, "", used_as(name, loaded, served)] for name, setting in used.items() if name not in ROWS]
    say(fitted(HEADS, lines, least=LEAST, prose=True))
    if check:
        ask_vendors(loaded.config, list(unseen(served, used, os.environ)))


def used_as(name: str, loaded: Loaded, served: Mapping[str, str]) -> str:
    """Return what there is to say of a vendor that is used. `served` are those of the server that runs, with what fails at them."""
    told = paint(f"; it {served[name]}", "red") if served.get(name) else ""
    origin = loaded.origins.get(f"vendors.{name}", "the server that runs has it, and this shell's environment does not say so")
    return paint("used", "green") + f": {origin}{told}"


def line(row: Row, loaded: Loaded, environment: Mapping[str, str], *, served: Mapping[str, str], ours: Collection[int]) -> list[str]:
    """Return the line of a vendor of the table. `ours` are the ports that servers of ours listen at."""
    used = row.name in loaded.config.vendors or row.name in served
    state = used_as(row.name, loaded, served) if used else paint(unused(row, environment, ours), dim=True)
    variables = " or ".join(row.key_variables) or {"google": "a Google credential"}.get(row.proved_by, "")
    return [row.name, row.title, row.dialect, variables, state]


def unused(row: Row, environment: Mapping[str, str], ours: Collection[int]) -> str:
    """Say why a vendor is not used. `ours` are the ports that servers of ours listen at."""
    from aisa.config.detect import SPOKEN, lacking

    if row.retired:
        return f"was shut down on {row.retired}"
    if row.dialect not in SPOKEN:
        return f"the dialect `{row.dialect}` is not built in yet"
    missing = " and ".join(lacking(row, environment, named=row.named_only))
    if row.named_only:
        entry = f"write `{row.name}: {{}}` under `vendors`"
        return f"{entry}, and set {missing}" if missing else f"{entry}; what proves its requests serves other things, too"
    if row.sign is not None:
        way = f", and {row.base_url_variable} is not set" if row.base_url_variable else ""
        return ("we listen" if row.sign.port in ours else "it does not answer") + f" at port {row.sign.port}{way}"
    return f"set {missing}" if missing else "switched off by `discovery`"
