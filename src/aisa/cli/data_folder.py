"""Which server a command means: the one whose folder is named or lies here, else the one that runs. Makes no folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from aisa.cli.problems import Misuse, counted
from aisa.cli.stand_ins import load_without_keys
from aisa.cli.terminal import paint, say
from aisa.config.load import DEFAULT_PATH, OTHER_PATH, PATH_VARIABLE, ConfigErrors, Loaded, load
from aisa.config.schema import Config, Server
from aisa.storage.engine import DATABASE_NAME
from aisa.storage.failure import NoData
from aisa.storage.lock import CONTROL_NAME
from aisa.storage.running import Running, running

#: What is said beside the problems of a file that tells no data folder, where nobody runs who could be meant.
NAMELESS = ("--data-dir", "The file tells no data folder, and no server was found without it.", "Mend it, or name one: --data-dir FOLDER.")


def settings(config: str | None, data_dir: str | None, *, makes: bool = False, told: bool = True) -> Config:
    """Return the configuration, of which only the data folder must be right: the server's variables may not be set here.

    Where no folder is named and none lies here, it is that of the server that runs with this file, else of the one that runs on this
    machine. `makes` is for commands that would make a data folder: they do it only where one was named, and where a configuration lies
    here only at a server that runs with it. Without `told` nothing is said of a broken file that is not used: a server that is asked to
    read it says what is wrong with it. Raises Misuse when the folder cannot be told.
    """
    try:
        found, named = read(config, data_dir, told=told)
    except Misuse as unusable:
        if config or os.environ.get(PATH_VARIABLE) or data_dir == "" or not Path(DEFAULT_PATH).exists():
            raise
        return beside_unusable(unusable, data_dir, makes=makes)
    if named or (Path(found.server.data_dir) / DATABASE_NAME).exists():
        return found
    servers = running(os.environ)
    here = Path(config or os.environ.get(PATH_VARIABLE) or DEFAULT_PATH)
    ours = [server for server in servers if server.config is not None and Path(server.config).resolve() == here.resolve()]
    if ours or (makes and servers and here.exists()):
        servers = ours  # whatever the file says by now: it may be empty while it is edited, or be gone
        if not servers:
            what = f"No server runs with {here}, and there is no aisa data in {Path(found.server.data_dir).absolute()} yet."
            remedy = "Start it with `aisa serve`, or name another server's folder: --data-dir FOLDER."
            raise Misuse("no server is meant", [("--data-dir", what, remedy)])
    if servers:
        is_here = bool(config or os.environ.get(PATH_VARIABLE) or Path(DEFAULT_PATH).exists())
        return of_server(the_one(servers), found, is_here=is_here)
    if makes:
        raise nobody(found.server.data_dir)
    return found


def beside_unusable(unusable: Misuse, data_dir: str | None, *, makes: bool) -> Config:
    """Return the configuration where the file here tells no data folder: of the folder that is named, else of the server that runs.

    What a command makes it does not make at a server that may be another's. Raises Misuse: the one given, where nobody else is found.
    """
    folder = data_dir or os.environ.get("AISA_DATA_DIR")
    servers = [] if folder or makes else running(os.environ)
    if servers:
        unused(DEFAULT_PATH)
        return of_server(the_one(servers), Config(), is_here=False)
    if folder and (Path(folder) / DATABASE_NAME).exists():
        unused(DEFAULT_PATH)
        return Config(server=Server(data_dir=folder))
    raise Misuse(unusable.message, [*unusable.problems, NAMELESS]) from unusable


def unused(path: str) -> None:
    """Say that a file was not used."""
    say(paint(f"{path} is broken and was not used; what is wrong: aisa config check", dim=True), err=True)


def the_one(servers: Sequence[Running]) -> Running:
    """Return the server that runs, and say which it is. Raises Misuse where several run."""
    if len(servers) > 1:
        remedy = "Say which one: " + " or ".join(f"--data-dir {server.data_dir}" for server in servers)
        raise Misuse("several servers run on this machine", [("--data-dir", "No data folder here says which is meant.", remedy)])
    say(paint(f"The server in {servers[0].data_dir}:", dim=True), err=True)
    return servers[0]


def configuration(path: str | None, data_dir: str | None = None) -> Loaded:
    """Return the configuration of the file that is named or lies here, else that of the server that runs on this machine.

    For commands that ask no vendor: variables that are keys need not be set in this shell. `data_dir` names the server's folder. Raises
    Misuse for any other problem.
    """
    server = server_elsewhere(path, data_dir)
    folder = data_dir if server is None else server.data_dir
    file, overrides = path if server is None else server.config, {} if folder is None else {"server.data_dir": folder}
    try:
        return load_without_keys(file, os.environ, overrides)
    except ConfigErrors as errors:
        if server is None or errors.partial is None:
            raise Misuse(f"the configuration has {counted(len(errors.problems))}", errors.problems) from errors
        return Loaded(errors.partial, {}, file)


def server_elsewhere(path: str | None, data_dir: str | None = None) -> Running | None:
    """Return the one server that runs on this machine where no configuration is named and none lies here, None elsewhere; and say so.

    Where a data folder is named, it is the server of that.
    """
    if path or os.environ.get(PATH_VARIABLE) or Path(DEFAULT_PATH).exists() or Path(OTHER_PATH).exists():
        return None
    servers = running(os.environ)
    if data_dir is not None:
        return next((server for server in servers if Path(server.data_dir).resolve() == Path(data_dir).resolve()), None)
    if len(servers) != 1:
        return None
    say(paint(f"The server in {servers[0].data_dir}:", dim=True), err=True)
    return servers[0]


def nobody(data_dir: str) -> Misuse:
    """Return how a command ends that found neither data nor a server."""
    failure = NoData(data_dir)
    return Misuse("no server is meant", [(failure.where, failure.what, failure.remedy)])


def of_server(server: Running, here: Config, *, is_here: bool) -> Config:
    """Return the configuration of a running server: its own file's, unless there is one here."""
    known = here if is_here or server.config is None else read(server.config, server.data_dir)[0]
    return msgspec.structs.replace(known, server=msgspec.structs.replace(known.server, data_dir=shorter(server.data_dir)))


def shorter(path: str) -> str:
    """Return a path from the working directory where that is shorter: names of sockets have few characters."""
    relative = os.path.relpath(path)
    return relative if len(relative) < len(path) else path


def served_with(config: str | None, data_dir: str | None) -> str | None:
    """Return the folder that a server has, where nothing can be read of its file: while that is being edited, keys must be revocable.

    It is the folder that is named, or that of the server that runs with this file; None where no server runs in it.
    """
    here = Path(config or os.environ.get(PATH_VARIABLE) or DEFAULT_PATH).resolve()
    ours = [server.data_dir for server in running(os.environ) if server.config is not None and Path(server.config).resolve() == here]
    folder = data_dir or os.environ.get("AISA_DATA_DIR") or (shorter(ours[0]) if len(ours) == 1 else None)
    return folder if folder is not None and (Path(folder) / CONTROL_NAME).exists() else None


def read(config: str | None, data_dir: str | None, *, told: bool = True) -> tuple[Config, bool]:
    """Return the configuration as far as it can be read, and whether somebody named the data folder.

    Raises Misuse when the data folder is not in it.
    """
    try:
        loaded = load(config, os.environ, {"server.data_dir": data_dir})
    except ConfigErrors as errors:
        if errors.partial is None or errors.concern("server.data_dir"):
            served = served_with(config, data_dir)
            if served is not None:
                if told:
                    unused(config or os.environ.get(PATH_VARIABLE) or DEFAULT_PATH)
                return Config(server=Server(data_dir=served)), True
            raise Misuse(f"the data folder is not known: {counted(len(errors.problems))}", errors.problems) from errors
        given = data_dir or os.environ.get("AISA_DATA_DIR") or errors.partial.server.data_dir != Server().data_dir
        return errors.partial, bool(given)
    return loaded.config, "server.data_dir" in loaded.origins
