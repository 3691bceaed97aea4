"""Which server a command means: the one whose folder is named or lies here, else the one that runs. Makes no folder."""

from __future__ import annotations

import os
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


def settings(config: str | None, data_dir: str | None, *, makes: bool = False) -> Config:
    """Return the configuration, of which only the data folder must be right: the server's variables may not be set here.

    Where no folder is named and none lies here, it is that of the server that runs on this machine. `makes` is for commands that would
    make a data folder: they do it only where one was named, and where a configuration lies here only at a server that runs with it.
    Raises Misuse when the folder cannot be told.
    """
    found, named = read(config, data_dir)
    if named or (Path(found.server.data_dir) / DATABASE_NAME).exists():
        return found
    servers = running(os.environ)
    here = Path(config or os.environ.get(PATH_VARIABLE) or DEFAULT_PATH)
    if makes and servers and here.exists():
        servers = [server for server in servers if server.config is not None and Path(server.config).resolve() == here.resolve()]
        if not servers:
            what = f"No server runs with {here}, and there is no aisa data in {Path(found.server.data_dir).absolute()} yet."
            remedy = "Start it with `aisa serve`, or name another server's folder: --data-dir FOLDER."
            raise Misuse("no server is meant", [("--data-dir", what, remedy)])
    if len(servers) == 1:
        say(paint(f"The server in {servers[0].data_dir}:", dim=True), err=True)
        return of_server(servers[0], found, config)
    if servers:
        remedy = "Say which one: " + " or ".join(f"--data-dir {server.data_dir}" for server in servers)
        raise Misuse("several servers run on this machine", [("--data-dir", "No data folder here says which is meant.", remedy)])
    if makes:
        raise nobody(found.server.data_dir)
    return found


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


def of_server(server: Running, here: Config, config: str | None) -> Config:
    """Return the configuration of a running server: its own file's, unless there is one here."""
    named = config or os.environ.get(PATH_VARIABLE) or Path(DEFAULT_PATH).exists()
    known = here if named or server.config is None else read(server.config, server.data_dir)[0]
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


def read(config: str | None, data_dir: str | None) -> tuple[Config, bool]:
    """Return the configuration as far as it can be read, and whether somebody named the data folder.

    Raises Misuse when the data folder is not in it.
    """
    try:
        loaded = load(config, os.environ, {"server.data_dir": data_dir})
    except ConfigErrors as errors:
        served = served_with(config, data_dir) if errors.partial is None else None
        if served is not None:
            return Config(server=Server(data_dir=served)), True
        if errors.partial is None or errors.concern("server.data_dir"):
            raise Misuse(f"the data folder is not known: {counted(len(errors.problems))}", errors.problems) from errors
        given = data_dir or os.environ.get("AISA_DATA_DIR") or errors.partial.server.data_dir != Server().data_dir
        return errors.partial, bool(given)
    return loaded.config, "server.data_dir" in loaded.origins
