"""A vendor that fails with all of its models is told as what it is, wherever it is told: our key, our credit, or no way to it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from aisa.console.templating import Templates
from aisa.edge.admin_views import VendorShown
from aisa.errors import OF_VENDORS, ApiError, CreditSpent, KeyRefused, Unreachable, UpstreamFailed
from aisa.health import Health
from aisa.http.failures import unreachable
from server import PROCESS_SECONDS_MAX, Server, environment, serving
from test_reload import asked, write
from test_workers import until
from vendor import ScriptedVendor

NOWHERE = "  nowhere: {base_url: 'https://llm.invalid/v1', api_key: x, prices: {m: {input: 1, output: 1}}}\n"
REFUSING = "  {name}: {{base_url: '{url}', api_key: x}}\n"
SAID = {
    "nowhere": ("unreachable", "cannot be reached"),
    "strict": ("key_refused", "refuses our key"),
    "poor": ("no_credit", "has no credit for us"),
}


class Failing(NamedTuple):
    """A server whose vendors have failed, each in its way, and its configuration."""

    server: Server
    vendors: str


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Failing]:
    """One name that is not there, one vendor that refuses our key, one that wants money: the first fails twice, so that it rests."""
    with ScriptedVendor() as vendor:
        vendors = f"vendors:\n{NOWHERE}" + "".join(REFUSING.format(name=name, url=vendor.url) for name in ("strict", "poor"))
        with serving(tmp_path_factory.mktemp("failing"), vendors) as server:
            for model in ("nowhere/m", "nowhere/m", "strict/status-401", "poor/status-402"):
                asked(server, "/v1/chat/completions", {"model": model, "messages": [{"role": "user", "content": "x"}]})
            yield Failing(server, vendors)


def status_of(server: Server) -> str:
    """What `aisa status` prints, whatever its exit status."""
    try:
        return server.aisa("status")
    except subprocess.CalledProcessError as failure:
        return str(failure.stdout)


def test_status_says_of_each_vendor_what_is_wrong_with_it(failing: Failing) -> None:
    """A refused key and an empty account are to be acted on from the first refusal; one that is away is not said to refuse anything."""
    said = status_of(failing.server)
    assert "look at\n    nowhere cannot be reached; it is asked last" in said
    assert "ACT NOW\n    strict refuses our key; it has said so 1 time in a row." in said
    assert "ACT NOW\n    poor has no credit for us; it has said so 1 time in a row." in said
    assert said.count("ACT NOW") == 2
    for name, (_, words) in SAID.items():
        assert f"{name} {words}" in " ".join(said.split("\n\n")[1].split())


def test_the_log_the_api_and_the_list_of_vendors_say_the_same(failing: Failing) -> None:
    """The log of the vendor that rests, the others' state of each."""
    server = failing.server
    rests = [json.loads(line) for line in server.told('"target_health"').splitlines() if '"target_health"' in line]
    assert [(each["target"], each["reason"]) for each in rests] == [("nowhere", "unreachable")]
    listed = server.aisa("vendors", "--config", str(server.folder / "aisa.yaml"))
    for name, (_, words) in SAID.items():
        [line] = [each for each in listed.splitlines() if each.startswith(name)]
        assert line.endswith(f"; it {words}")


@pytest.mark.parametrize("reason", OF_VENDORS)
def test_the_console_says_it_too(reason: str) -> None:
    """In the state of the vendor, on its own page; behind its rest one that was not reached may be well, as `aisa status` has it."""
    vendor = {"name": "v", "connections_open": 0, "connections_in_use": 0, "calls_waiting": 0, "models_listed": None, "limits": []}
    for seconds in (5.0, 0.0):
        vendor["troubles"] = [{"target": "v", "failures": 1, "seconds": seconds, "reason": reason}]
        page = Templates()("vendors.html", {"layout": "part.html", "title": "x", "vendors": [vendor]})
        mended = reason == Unreachable.of_vendor and not seconds
        state = '<span class="state warn">not reached lately' if mended else f'<span class="state bad">{OF_VENDORS[reason]}'
        assert f"{state}</span>" in page


@pytest.mark.parametrize("workers", [1, 2])
def test_a_vendor_that_was_never_reached_is_not_told_to_be_well(tmp_path: Path, workers: int) -> None:
    """One whose list could not be had, one that has none and was not asked, and one that gave its list; what calls find counts, then."""
    with ScriptedVendor() as vendor:
        quiet = REFUSING.format(name="quiet", url=vendor.url).replace("}", ", list_models: false}")
        vendors = f"vendors:\n{NOWHERE}{quiet}{REFUSING.format(name='heard', url=vendor.url)}"
        with serving(tmp_path, vendors, workers=workers) as server:
            states = {"nowhere": "not reached", "quiet": "not asked yet", "heard": "well"}
            until(
                lambda: all(re.search(rf"^{name} +{state} ", status_of(server), re.MULTILINE) for name, state in states.items()),
                "they are told so",
            )
            said = status_of(server)
            assert "nowhere was not reached since the server began" in said
            asked(server, "/v1/chat/completions", {"model": "quiet/hello", "messages": [{"role": "user", "content": "x"}]})
            assert re.search(r"^quiet +well ", status_of(server), re.MULTILINE)


@pytest.mark.parametrize(("unheard", "said"), [("not_reached", "not reached"), ("not_asked", "not asked yet"), ("", "well")])
def test_the_console_says_of_whom_nothing_was_heard(unheard: str, said: str) -> None:
    """As `aisa status` does."""
    vendor = msgspec.to_builtins(VendorShown("v", 0, 0, 0, None, (), unheard=unheard))
    page = Templates()("vendors.html", {"layout": "part.html", "title": "x", "vendors": [vendor]})
    assert f">{said}</span>" in page


@pytest.mark.parametrize("failure", [KeyRefused, CreditSpent])
def test_the_last_failure_of_a_vendor_is_the_one_that_is_told(failure: type[UpstreamFailed]) -> None:
    """One that was away and refuses our key now that it is back is no longer away."""
    health = Health()
    health.failed("a/x", unreachable("a", "x"), 0)
    health.failed("a/y", failure(ApiError("upstream_unavailable", "x")), 1)
    assert [(name, reason) for name, _, _, reason in health.troubles(1)] == [("a", failure.of_vendor)]


def test_what_failed_at_a_vendor_is_forgotten_when_a_reload_takes_or_changes_it(failing: Failing) -> None:
    """One that stays as it was is told as before; one that is gone is not shown at all."""
    server = failing.server
    write(server, failing.vendors.replace(NOWHERE, "").replace("api_key: x", "api_key: y", 1))
    server.aisa("reload")
    said = status_of(server)
    assert "nowhere" not in said
    assert "strict refuses" not in said
    assert "poor has no credit for us" in said


def test_what_the_server_has_by_its_own_environment_is_no_vendor_that_is_not_there(tmp_path: Path) -> None:
    """A shell without the variable is told so by `vendors`, `config check` and what asks vendors, which then have not all been asked."""
    runtime = tmp_path / "run"
    runtime.mkdir()
    known = {"XDG_RUNTIME_DIR": str(runtime)}
    with ScriptedVendor() as vendor, serving(tmp_path, variables=known | {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": vendor.url}):

        def told(*words: str, **more: str) -> tuple[int, str]:
            ended = subprocess.run(
                [sys.executable, "-m", "aisa", *words],
                cwd=runtime,
                env=environment() | known | more,
                capture_output=True,
                text=True,
                timeout=PROCESS_SECONDS_MAX,
                check=False,
            )
            return ended.returncode, " ".join((ended.stdout + ended.stderr).split())

        status, said = told("vendors")
        assert (status, "openai OpenAI openai OPENAI_API_KEY used: the server that runs has it" in said) == (0, True)
        status, said = told("config", "check")
        assert (status, "it was started with OPENAI_API_KEY, which this shell has not" in said) == (0, True)
        for command in (("vendors", "--check"), ("config", "check", "--online")):
            status, said = told(*command)
            assert (status, "asking the vendors found 1 problem vendors.openai The server that runs has it" in said) == (1, True)
        status, said = told("config", "check", OPENAI_API_KEY="k", OPENAI_BASE_URL=vendor.url)
        assert (status, "which this shell has not" in said) == (0, False)
