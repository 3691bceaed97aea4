"""`aisa reload`: has a running server read its configuration again. The server does it; this only asks and shows the answer."""

from __future__ import annotations

import click

from aisa.cli.keys import located

OF_VARIABLES = "A running server never sees another value of a variable: restart it, or name a file with the key in api_key_file."
RELOAD_SECONDS_MAX = 30.0  # the price catalogue may have to be read, on a busy machine


@click.command()
@located
def reload(config: str | None, data_dir: str | None) -> None:
    """Have the running server read its configuration again, as SIGHUP does.

    Open streams go on. A configuration that cannot be used changes nothing, and what is wrong with it is told.
    """
    from aisa.cli.control import ask
    from aisa.cli.data_folder import settings
    from aisa.cli.terminal import say
    from aisa.edge.admin_reload import Swapped

    told = ask(settings(config, data_dir, told=False).server.data_dir, "POST", "/reload", expect=Swapped, seconds=RELOAD_SECONDS_MAX)
    say(f"Reloaded: {', '.join(told.changed) or 'nothing has changed'}.")
    if told.after_restart:
        say(f"These count only after a restart: {', '.join(told.after_restart)}.")
    if told.variables:
        say(f"As they were when the server was started: {', '.join(told.variables)}. {OF_VARIABLES}")
