"""File descriptors: what fits is known at the start, and beyond it clients are told."""

from __future__ import annotations

import http.client
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from aisa.http.descriptors import CONNECTIONS_MIN, DESCRIPTORS_MIN, OWN_DESCRIPTORS, clients_that_fit
from server import PROCESS_SECONDS_MAX, Server, environment, read_banner, serving


@pytest.mark.parametrize("descriptors", [0, 100, 256, 1_024, 4_096, 20_000, 1 << 20])
@pytest.mark.parametrize("vendors", [[], [1_000], [1_000] * 5, [20_000], [10]])
@pytest.mark.parametrize("tls", [False, True])
def test_clients_and_their_vendors_fit_together(descriptors: int, vendors: list[int], tls: bool) -> None:
    """[fault S5] Each client has a descriptor, two over TLS, each call one to a vendor, unless vendors take fewer; some always fit."""
    fit = clients_that_fit(descriptors, vendors, tls=tls)
    used = OWN_DESCRIPTORS + fit * (2 if tls else 1) + min(fit, sum(vendors))
    assert fit == CONNECTIONS_MIN or used <= descriptors < used + 2 + (1 if tls else 0) + 1


def test_the_soft_limit_is_raised_and_what_does_not_fit_is_told(tmp_path: Path) -> None:
    """[fault S5] With a soft limit of 64 and a hard one of 200 the server says how many fit; so many are served, the next is told 503."""
    limited = ["sh", "-c", 'ulimit -n 200; ulimit -S -n 64; exec "$@"', "sh"]
    command = [*limited, sys.executable, "-m", "aisa", "serve", "--port", "0", "--data-dir", str(tmp_path / "data"), "--log-format", "json"]
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            server = Server(tmp_path, process, read_banner(process))
            fit = clients_that_fit(200, [], tls=False)
            server.told(f"only {fit} connections of clients fit the 200 file descriptors")
            connections = [http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30) for _ in range(fit + 1)]
            answers = []
            for connection in connections:
                connection.request("GET", "/health")
                answer = connection.getresponse()
                answers.append((answer.status, json.loads(answer.read())))
            for connection in connections:
                connection.close()
            assert [status for status, _ in answers] == [200] * fit + [503]
            assert answers[-1][1]["error"]["code"] == "overloaded"
        finally:
            process.terminate()
            process.communicate()


def begun(folder: Path, files: int) -> subprocess.CompletedProcess[str]:
    """Start a server that may have so many files open, and is to refuse."""
    command = f"ulimit -n {files}; exec {sys.executable} -m aisa serve --port 0 --data-dir {folder / 'data'}"
    return subprocess.run(
        ["sh", "-c", command], cwd=folder, env=environment(), capture_output=True, text=True, check=False, timeout=PROCESS_SECONDS_MAX
    )


@pytest.mark.parametrize("files", [16, 24, DESCRIPTORS_MIN - 1])
def test_too_few_descriptors_are_a_problem_at_the_start(tmp_path: Path, files: int) -> None:
    """[issue 13] It died at whichever file was one too many, with a traceback, or a word about the rights to the database."""
    refused = begun(tmp_path, files)
    told = " ".join(refused.stderr.split())
    assert (refused.returncode, "Traceback" in told) == (2, False), told
    assert f"This process may have {files} files open, and a server needs {DESCRIPTORS_MIN} at the least. → Raise the limit" in told


def test_data_that_cannot_be_read_late_in_a_start_are_a_problem_like_all_others(tmp_path: Path) -> None:
    """[issue 13] Once the database was open, what it refused was a traceback: a table that is gone, a PostgreSQL that just went away."""
    with serving(tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / "data" / "aisa.db")) as database:
        database.execute("DROP TABLE replaced_secrets")
    refused = begun(tmp_path, 1_024)
    told = " ".join(refused.stderr.split())
    assert (refused.returncode, "Traceback" in told) == (2, False), told
    assert "the server cannot start: 1 problem" in told
    assert "no such table: replaced_secrets" in told


def test_enough_descriptors_are_said_too(server: Server) -> None:
    """An operator who looks finds what fits."""
    assert "file descriptors of this process" in server.log


FITTING = """\
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]),) * 2)
from aisa.composition import fitting
from aisa.config.schema import Config, Server
server = Server() if len(sys.argv) == 2 else Server(connections_max=int(sys.argv[2]))
print(fitting(Config(server=server), lambda fact: print(fact.message)).connections_max)
"""


@pytest.mark.parametrize(
    ("descriptors", "asked", "alarms"), [(12_000, None, False), (12_000, 12_000, True), (4_000, None, True), (4_000, 1_000, False)]
)
def test_only_what_somebody_asked_for_or_what_is_scarce_is_complained_of(descriptors: int, asked: int | None, alarms: bool) -> None:
    """A default that does not quite fit is nobody's wish: the first line of a new server's log is no call to act."""
    words = [str(number) for number in (descriptors, asked) if number is not None]
    ended = subprocess.run([sys.executable, "-c", FITTING, *words], check=True, capture_output=True, text=True, timeout=60)
    told, taken = ended.stdout.splitlines()
    assert ("Raise the hard limit" in told) == alarms
    assert int(taken) == min(asked or 20_000, clients_that_fit(descriptors, [], tls=False))
    assert taken in told
