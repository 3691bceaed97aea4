"""Which settings count from a reload on, and which only from a restart: none is said to count that does not."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import signal
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aisa.config.identity import IdentitySettings
from aisa.config.load import Loaded
from aisa.config.schema import Config
from aisa.config.telemetry import TelemetrySettings
from aisa.edge.admin_reload import Swapped
from aisa.errors import ApiError
from aisa.facts import Fact, ServerWarning
from aisa.reload import FOR_A_LIFETIME, Reload
from aisa.routing import Routes
from server import PROCESS_SECONDS_MAX, SOURCE, Server, serving
from test_reload import taken, until

ANYBODY = IdentitySettings(issuer="https://login.example.com", audience="aisa")


@pytest.mark.parametrize(
    ("before", "after", "lasting"),
    [
        (Config(identity=ANYBODY), Config(identity=msgspec.structs.replace(ANYBODY, admin_claim="groups")), ["identity.admin_claim"]),
        (Config(identity=ANYBODY), Config(), ["identity"]),
        (Config(), Config(identity=ANYBODY), ["identity"]),
        (Config(), Config(telemetry=TelemetrySettings(endpoint="http://127.0.0.1:4318")), ["telemetry.endpoint"]),
        (Config(telemetry=TelemetrySettings(sample=0.5)), Config(), ["telemetry.sample"]),
        (Config(console=True), Config(console=False), ["console"]),
    ],
)
def test_what_does_not_count_before_a_restart_is_not_said_to(before: Config, after: Config, lasting: list[str]) -> None:
    """[issue 13] A reload told that a member of `identity`, or of `telemetry`, counts from now on: a right that was taken away did not."""
    reload = Reload(before, lambda _fact: None, again=lambda: Loaded(after, {}, None), routes_of=Routes, swap=taken)
    swapped = asyncio.run(reload())
    assert (swapped.changed, swapped.after_restart) == ([], lasting)
    [told] = reload.attention()
    assert told.what.startswith(f"What is written of {lasting[0]} counts only after a restart")


def test_what_waits_for_a_restart_needs_attention_until_it_is_written_as_it_was() -> None:
    """[issue 13] It was told by the reload alone, and whoever looked later was told that nothing needs attention."""
    written = [Config(identity=ANYBODY), Config(identity=ANYBODY, console=False), Config()]

    async def main() -> None:
        reload = Reload(Config(), lambda _fact: None, again=lambda: Loaded(written.pop(0), {}, None), routes_of=Routes, swap=taken)
        assert reload.attention() == ()
        told = []
        while written:
            await reload()
            told.append([each.what.partition(" counts")[0] for each in reload.attention()])
        assert told == [["What is written of identity"], ["What is written of console, identity"], []]

    asyncio.run(main())


def test_a_reload_refuses_what_the_next_start_would_for_want_of_a_package(tmp_path: Path) -> None:
    """[issue 13] It said that the setting counts after a restart, which then was none: the packages of an extra were not there."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['jwt'] = None\n")  # as where it is not installed
    with serving(tmp_path, "{}\n", variables={"PYTHONPATH": f"{tmp_path}:{SOURCE}"}) as server:
        (tmp_path / "aisa.yaml").write_text("identity: {issuer: 'https://login.example.com', audience: a}\n")
        with pytest.raises(subprocess.CalledProcessError) as refused:
            server.aisa("reload")
        assert "The `identity` extra is not installed." in refused.value.stderr
        assert "the old one stays" in refused.value.stderr


def test_what_a_process_has_for_its_lifetime_is_in_the_configuration() -> None:
    """Nothing is named that is no setting any more: its successor would be said to count."""
    known = msgspec.to_builtins(Config())
    for path in FOR_A_LIFETIME:
        section, _, name = path.partition(".")
        assert section in known
        assert not name or name in known[section]


def change(port: int, key: str, label: str, *, forwarded: str) -> int:
    """Have an administrator behind a proxy make a key."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PROCESS_SECONDS_MAX)) as client:
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json", "x-forwarded-for": forwarded}
        client.request("POST", "/admin/v1/keys", json.dumps({"label": label}), headers)
        answer = client.getresponse()
        answer.read()
        return answer.status


def changes(server: Server, port: int, key: str) -> list[Any]:
    """Return what is on record."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PROCESS_SECONDS_MAX)) as client:
        client.request("GET", "/admin/v1/changes", headers={"authorization": f"Bearer {key}"})
        return list(json.loads(client.getresponse().read())["data"])


@pytest.mark.parametrize("workers", [1, 2])
def test_a_reload_by_a_signal_is_on_record(tmp_path: Path, workers: int) -> None:
    """[issue 13] As one by the command is: by whom, by which request, and the settings' names. A signal names nobody."""
    with serving(tmp_path, "admin: {listen: '127.0.0.1:0'}\n", workers=workers) as server:
        until(lambda: '"admin is at' in server.log)
        [port] = map(int, re.findall(r"admin is at 127\.0\.0\.1:(\d+)", server.log))
        key = server.aisa("admin-keys", "create", "op", "--scope", "read", "--quiet").strip()
        (tmp_path / "aisa.yaml").write_text("admin: {listen: '127.0.0.1:0'}\ncors: {origins: ['https://a.example']}\n", encoding="utf-8")
        server.process.send_signal(signal.SIGHUP)
        until(lambda: any(each["what"] == "reloaded" for each in changes(server, port, key)))
        [row] = [each for each in changes(server, port, key) if each["what"] == "reloaded"]
        assert (row["actor"], row["address"], row["action"]) == ("system", None, "SIGHUP")
        assert row["after"] == {"changed": ["cors.origins"], "after_restart": []}


def test_a_signal_of_which_no_record_can_be_kept_is_told_in_the_log() -> None:
    """The configuration counts all the same: nobody waits for an answer who could be told."""
    told: list[Fact] = []

    def refuse(_swapped: Swapped) -> None:
        raise ApiError("internal_error", "The database is away.")

    async def main() -> None:
        warned = asyncio.Event()

        def report(fact: Fact) -> None:
            told.append(fact)
            if isinstance(fact, ServerWarning):
                warned.set()

        reload = Reload(Config(), report, again=lambda: Loaded(Config(console=False), {}, None), routes_of=Routes, swap=taken)
        reload.keep = refuse
        reload.soon()
        async with asyncio.timeout(PROCESS_SECONDS_MAX):
            await warned.wait()
        assert reload.config.console is False

    asyncio.run(main())
    assert told[1] == ServerWarning("another configuration counts, but no record of it could be kept: The database is away.")


@pytest.mark.parametrize("workers", [1, 2])
def test_trusted_proxies_count_from_a_reload_on_where_administrators_have_their_own_address(tmp_path: Path, workers: int) -> None:
    """[issue 13] With several processes they counted at the API's address alone: all behind the proxy were one, ten wrong keys of whom."""
    with serving(tmp_path, "admin: {listen: '127.0.0.1:0'}\n", workers=workers) as server:
        until(lambda: '"admin is at' in server.log)
        [port] = map(int, re.findall(r"admin is at 127\.0\.0\.1:(\d+)", server.log))
        key = server.aisa("admin-keys", "create", "op", "--scope", "write", "--quiet").strip()
        assert change(port, key, "before", forwarded="203.0.113.9") == 201
        (tmp_path / "aisa.yaml").write_text("admin: {listen: '127.0.0.1:0'}\nserver: {trusted_proxies: [127.0.0.0/8]}\n", encoding="utf-8")
        assert "server.trusted_proxies" in server.aisa("reload")
        assert change(port, key, "after", forwarded="203.0.113.9") == 201
        made = [str(each["address"]) for each in changes(server, port, key) if each["action"].endswith("/keys")]
        assert [address.startswith("203.0.113.") for address in made[:2]] == [True, False]
