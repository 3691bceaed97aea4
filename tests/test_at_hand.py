"""`aisa` at hand: what is printed works as printed, in another terminal and another folder. Real servers, real shells."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest
import yaml
from click.testing import CliRunner

from aisa.cli.commands import aisa
from aisa.cli.init import beginning
from aisa.cli.invocation import NAMES, as_typed, command
from aisa.config.detect import SPOKEN
from aisa.config.load import load
from aisa.config.schema import Config, Embedded, Model, Prices, Server, Tls, Vendor
from aisa.edge.example_model import MANY_NAMES, PREFERRED, example_model
from aisa.http.address import is_loopback
from aisa.known_models import Known
from aisa.model_catalogue.lookup import model_row
from aisa.observe.welcome import Opening, welcome
from aisa.prices.catalogue import catalogue_names, catalogue_price
from aisa.process import for_other_machines, with_key
from aisa.routing import Routes
from aisa.storage.failure import StorageFailed
from aisa.storage.lock import own_folder
from aisa.storage.running import Running, announced, running, runtime_folder
from aisa.vendors.table import ROWS
from server import PROCESS_SECONDS_MAX, environment, serving
from test_examples import curl_commands
from test_reload import asked, until

OPENING = Opening("http://127.0.0.1:8000", "/data", 1, "gpt-4.1", first_key="sk-aisa-x")
OPENAI = Vendor(base_url="https://api.openai.com/v1")
FAR = """\
vendors:
  far: {base_url: "https://far.example/v1", api_key: "${FAR_KEY}", prices: {gpt-4.1: {input: 3.0, output: 9.0}}}
models: {mine: [far/gpt-4.1]}
"""


# The server is found


def run_in(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `aisa` in a folder, without saying which server is meant."""
    command = [sys.executable, "-m", "aisa", *words]
    return subprocess.run(
        command, cwd=folder, env=environment() | variables, capture_output=True, text=True, timeout=PROCESS_SECONDS_MAX, check=False
    )


def test_a_command_in_another_folder_finds_the_server_that_runs_and_makes_no_folder(tmp_path: Path) -> None:
    """[fault P7] One server: it is meant, and said so. Two: they are named. None: nothing is made, and what to do is told."""
    elsewhere, runtime = tmp_path / "elsewhere", {"XDG_RUNTIME_DIR": str(tmp_path / "run")}
    elsewhere.mkdir()
    (tmp_path / "run").mkdir()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with serving(tmp_path / "one", variables=runtime) as one:
        made = run_in(elsewhere, "keys", "create", "mine", "--quiet", **runtime)
        assert (made.returncode, made.stderr.strip()) == (0, f"The server in {tmp_path / 'one' / 'data'}:")
        one.key = made.stdout.strip()
        assert asked(one, "/v1/models").status == 200
        assert run_in(elsewhere, "models", "gpt-5", **runtime).returncode == 0
        with serving(tmp_path / "two", variables=runtime):
            both = run_in(elsewhere, "keys", "list", **runtime)
            assert both.returncode == 2
            assert f"--data-dir {tmp_path / 'one' / 'data'} or --data-dir {tmp_path / 'two' / 'data'}" in " ".join(both.stderr.split())
        assert run_in(elsewhere, "keys", "list", **runtime).returncode == 0
    for words in (("keys", "create", "x"), ("accounts", "create", "x"), ("keys", "list")):
        gone = run_in(elsewhere, *words, **runtime)
        assert gone.returncode in (1, 2)
        assert "serve" in gone.stderr
    assert list(elsewhere.iterdir()) == []


def test_what_a_name_costs_is_told_elsewhere_as_the_server_has_it(tmp_path: Path) -> None:
    """[fault P7] In every folder, though the shell lacks its variables; what it has from its environment alone is not told wrongly."""
    elsewhere, runtime = tmp_path / "elsewhere", {"XDG_RUNTIME_DIR": str(tmp_path / "run")}
    for folder in (elsewhere, tmp_path / "run"):
        folder.mkdir()
    variables = {**runtime, "FAR_KEY": "x", "OPENAI_API_KEY": "y", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    with serving(tmp_path, FAR, variables=variables):
        for words in (("prices", "mine"), ("models", "mine"), ("route", "explain", "mine")):
            told = run_in(elsewhere, *words, **runtime)
            assert (told.returncode, "far/gpt-4.1" in told.stdout) == (0, True), told.stderr
        assert "openai/gpt-4.1" in run_in(elsewhere, "models", "openai/gpt-4.1", **runtime).stdout
        unknown = run_in(elsewhere, "prices", "openai/gpt-4.1", **runtime)
        assert (unknown.returncode, "aisa models" in unknown.stderr) == (1, True), unknown.stdout
        checked = run_in(elsewhere, "config", "check", **runtime)
        assert (checked.returncode, "FAR_KEY" in checked.stderr) == (2, True)
        (elsewhere / "aisa.yml").write_text("{}", encoding="utf-8")
        misnamed = run_in(elsewhere, "config", "check", **runtime)  # somebody's own, under a name that nobody looks for
        assert (misnamed.returncode, "is aisa.yaml" in " ".join(misnamed.stderr.split())) == (2, True), misnamed.stderr
        (elsewhere / "aisa.yml").unlink()
    assert list(elsewhere.iterdir()) == []


def test_a_folder_that_is_named_is_meant_though_a_server_runs_elsewhere(tmp_path: Path) -> None:
    """By option, variable or file; also one that is called as the default is."""
    with own_folder(str(tmp_path / "held")), announced(Running(str(tmp_path / "held")), {"XDG_RUNTIME_DIR": str(tmp_path)}):
        made = run_in(tmp_path, "keys", "create", "x", "--quiet", "--data-dir", "./aisa-data", XDG_RUNTIME_DIR=str(tmp_path))
        assert (made.returncode, made.stderr) == (0, "")
        assert (tmp_path / "aisa-data" / "aisa.db").exists()


def test_what_is_made_beside_a_configuration_is_not_made_at_a_server_that_runs_with_another(tmp_path: Path) -> None:
    """Whoever has written aisa.yaml and makes a key means that server, though only another runs; one that runs with the file is meant."""
    runtime = {"XDG_RUNTIME_DIR": str(tmp_path)}
    (tmp_path / "aisa.yaml").write_text("server: {port: 8123}\n", encoding="utf-8")
    other = Running(str(tmp_path / "held"), "/etc/aisa.yaml")
    with own_folder(other.data_dir), announced(other, runtime):
        refused = run_in(tmp_path, "keys", "create", "x", **runtime)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "No server runs with aisa.yaml" in " ".join(refused.stderr.split())
    own = Running(str(tmp_path / "held"), str(tmp_path / "aisa.yaml"))
    with own_folder(own.data_dir), announced(own, runtime):
        meant = run_in(tmp_path, "keys", "create", "x", **runtime)
        assert "The server in" in meant.stderr
    assert not (tmp_path / "aisa-data").exists()


@pytest.fixture
def two_servers(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Two servers of this user, the first of which runs with the file in the folder `here`; and the variables that find them."""
    (tmp_path / "here").mkdir()
    runtime = {"XDG_RUNTIME_DIR": str(tmp_path)}
    one, other = Running(str(tmp_path / "one"), str(tmp_path / "here" / "aisa.yaml")), Running(str(tmp_path / "two"), "/etc/aisa.yaml")
    with own_folder(one.data_dir), announced(one, runtime), own_folder(other.data_dir), announced(other, runtime):
        yield runtime


@pytest.mark.parametrize("left", ["", "# nothing\n", "models: {}\n", None], ids=["empty", "comment", "other", "gone"])
@pytest.mark.parametrize("words", [("reload",), ("keys", "list"), ("keys", "create", "x")], ids=" ".join)
def test_the_server_that_runs_with_the_file_here_is_meant_whatever_is_in_it(
    two_servers: dict[str, str], tmp_path: Path, left: str | None, words: tuple[str, ...]
) -> None:
    """One that was found with broken YAML was not with an empty file, or none: "several servers run on this machine"."""
    if left is not None:
        (tmp_path / "here" / "aisa.yaml").write_text(left, encoding="utf-8")
    told = run_in(tmp_path / "here", *words, **two_servers)
    assert "several servers" not in told.stderr
    assert f"The server in {tmp_path / 'one'}:" in told.stderr


@pytest.mark.parametrize("words", [(), ("mine",), ("mine", "--json")], ids=["all", "one", "json"])
def test_what_a_server_would_do_with_a_file_is_shown_whoever_runs(
    two_servers: dict[str, str], tmp_path: Path, words: tuple[str, ...]
) -> None:
    """No server is asked, so it need not be told which; `aisa prices` did as much."""
    (tmp_path / "far.yaml").write_text(FAR, encoding="utf-8")
    told = run_in(tmp_path / "here", "models", *words, "--config", str(tmp_path / "far.yaml"), **two_servers)
    assert (told.returncode, "far/gpt-4.1" in told.stdout) == (0, True), told.stderr


def test_only_servers_that_run_and_that_this_user_started_are_found(tmp_path: Path) -> None:
    """A dead one's file counts for nothing, nor does a folder in which others may write; without a place nothing fails."""
    variables = {"XDG_RUNTIME_DIR": str(tmp_path)}
    server = Running(str(tmp_path / "data"), "/etc/aisa.yaml")
    with announced(server, variables):
        assert running(variables) == [], "nobody holds the data folder"
        with own_folder(server.data_dir):
            assert running(variables) == [server]
            runtime_folder(variables).chmod(0o777)
            assert running(variables) == []
            runtime_folder(variables).chmod(0o700)
            (runtime_folder(variables) / "broken.json").write_text("{")
            assert running(variables) == [server]
    assert running(variables) == []
    (tmp_path / "file").write_text("")
    with announced(server, {"XDG_RUNTIME_DIR": str(tmp_path / "file")}):
        assert running({"XDG_RUNTIME_DIR": str(tmp_path / "file")}) == []


# Commands work as printed


def test_every_command_is_known_by_its_name() -> None:
    """What is printed of a command that this list lacks would not be typed right."""
    assert set(aisa.commands) <= set(NAMES) | {"serve"}


@pytest.mark.parametrize(
    ("called", "on_path", "typed"),
    [("bin/aisa", "bin/aisa", "aisa"), ("bin/aisa", None, "{}/bin/aisa"), ("bin/aisa", "other/aisa", "{}/bin/aisa")],
)
def test_a_command_is_printed_as_the_shell_would_find_it(tmp_path: Path, called: str, on_path: str | None, typed: str) -> None:
    """[fault P7] `aisa` alone only where that is this very program."""
    for folder in ("bin", "other"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "aisa").write_text("")
    found = command([str(tmp_path / called)], "python", lambda _name: None if on_path is None else str(tmp_path / on_path))
    assert found == typed.format(tmp_path)


def test_other_ways_of_calling_are_printed_too() -> None:
    """As a module, quoted for the shell; under a test's name it is `aisa`."""
    assert command(["/x/aisa/__main__.py"], "/opt/my python/bin/python") == "'/opt/my python/bin/python' -m aisa"
    assert command(["/x/pytest"], "python") == command([], "python") == "aisa"
    assert as_typed("See aisa keys list, not aisa 1.0 or /bin/aisa keys.") == "See aisa keys list, not aisa 1.0 or /bin/aisa keys."


# The example can be pasted


@pytest.mark.parametrize("started", ["first", "again"])
def test_the_printed_example_is_pasted_and_answered(tmp_path: Path, started: str) -> None:
    """[fault P8] At the first start, and at one that shows no key, by a shell in another folder, beside another server."""
    (tmp_path / "other").mkdir()
    if started == "again":
        run_in(tmp_path, "keys", "create", "x", "--data-dir", "data")
    with serving(tmp_path / "other"), serving(tmp_path) as server:
        block = server.banner.partition("Try it:")[2].partition("  Stop with")[0].strip()
        if started == "again":
            assert block.startswith("export AISA_API_KEY=$(")
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        pasted = ["bash", "-euc", block]
        came = subprocess.run(pasted, cwd=elsewhere, env=environment(), capture_output=True, check=True, timeout=PROCESS_SECONDS_MAX)
        assert came.stdout.startswith(b'data: {"id":"chatcmpl-'), server.url
        assert came.stdout.endswith(b"data: [DONE]\n\n")
        assert list(elsewhere.iterdir()) == []


def test_off_a_terminal_no_live_key_is_printed(tmp_path: Path) -> None:
    """[fault P10] A journal or a container's log is read by others: the first key is in a file that its owner alone can read."""
    with serving(tmp_path) as server:
        path = tmp_path / "data" / "first-key"
        assert "sk-aisa-" not in server.banner + server.log
        assert str(path) in server.banner
        assert path.stat().st_mode & 0o777 == 0o600
        server.key = path.read_text().strip()
        assert asked(server, "/v1/models").status == 200


def test_a_first_key_whose_file_cannot_be_written_ends_the_start_in_words(tmp_path: Path) -> None:
    """[issue 13] Of a disk that filled up meanwhile the operator got a traceback; the key stays untold, so the next start tells it."""
    known = Opening("http://127.0.0.1:8000", str(tmp_path / "gone"), 1, "gpt-4.1")
    with pytest.raises(StorageFailed, match=r"gone/first-key: The file of the first key cannot be written: .*start again"):
        with_key(known, "sk-aisa-x", at_terminal=False)
    assert with_key(known, "sk-aisa-x", at_terminal=True).first_key == "sk-aisa-x"


def test_a_first_key_is_told_by_the_start_that_lives(tmp_path: Path) -> None:
    """[issue 8] One that is killed while its workers start has made the key; the next said that one was known, whose secret nobody had."""
    (tmp_path / "aisa.yaml").write_text("server: {workers: 2}\n")
    words = [sys.executable, "-m", "aisa", "serve", "--port", "0", "--data-dir", str(tmp_path / "data"), "--log-format", "off"]
    with subprocess.Popen(words, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        until(lambda: labels_in(tmp_path / "data") == ["first"])
        process.kill()
        assert process.stdout is not None
        assert process.stdout.read() == b""
    with serving(tmp_path, workers=2) as server:
        assert "Your first key is in" in server.banner
        server.key = (tmp_path / "data" / "first-key").read_text().strip()
        assert asked(server, "/v1/models").status == 200
        assert not (tmp_path / "data" / "first-key-untold").exists()
    with serving(tmp_path, label="u") as server:
        assert "Keys: 2 known" in server.banner


def labels_in(folder: Path) -> list[str]:
    """Return the labels of the keys in a data folder, none while it has no database."""
    with (
        contextlib.suppress(sqlite3.OperationalError),
        contextlib.closing(sqlite3.connect(f"file:{folder}/aisa.db?mode=ro", uri=True)) as database,
    ):
        return [label for (label,) in database.execute("SELECT label FROM keys")]
    return []


def test_on_a_terminal_the_first_key_is_shown(tmp_path: Path) -> None:
    """And written nowhere."""
    primary, secondary = pty.openpty()
    words = [sys.executable, "-m", "aisa", "serve", "--port", "0", "--data-dir", str(tmp_path / "data"), "--log-format", "off"]
    with subprocess.Popen(words, cwd=tmp_path, env=environment(), stdout=secondary, stderr=subprocess.DEVNULL) as process:
        os.close(secondary)
        shown = ""
        while "Stop with" not in shown:
            shown += os.read(primary, 65_536).decode()
        process.terminate()
    os.close(primary)
    assert re.search(r"shown only this once:\s+sk-aisa-\w{42}\s", shown)
    assert not (tmp_path / "data" / "first-key").exists()


CONFIGURATIONS = {
    "nothing": (Config(), "gpt-6.1-sol"),
    "openai": (Config(vendors={"openai": OPENAI}), "gpt-6-luna"),
    "named": (Config(vendors={"openai": OPENAI}, models={"it's": Model(to=("openai/gpt-4.1",))}), "it's"),
    "unpriced first": (
        Config(vendors={"openai": OPENAI}, models={"a": Model(to=("openai/none",)), "b": Model(to=("openai/gpt-4.1",))}),
        "b",
    ),
    "anthropic": (Config(vendors={"anthropic": Vendor(base_url="https://api.anthropic.com/v1", dialect="anthropic")}), "claude-haiku-4-5"),
    "local": (Config(vendors={"local": Vendor(base_url="http://127.0.0.1:9/v1")}), "embedded/tiny"),
    "priced": (Config(vendors={"far": Vendor(base_url="http://10.9.9.9/v1", prices={"m": Prices(input=1, output=1)})}), "far/m"),
    "no model known": (Config(vendors={"local": Vendor(base_url="http://127.0.0.1:9/v1")}, embedded=Embedded(enabled="never")), None),
    "fence": (Config(vendors={"openai": OPENAI}, models={"x": Model(to=("openai/gpt-4.1",))}, models_only=True), "x"),
}


@pytest.mark.parametrize("name", [*PREFERRED, MANY_NAMES])
def test_no_example_names_a_model_that_will_be_shut_down(name: str) -> None:
    """What the first start prints is what people paste into their programs."""
    assert all(row is None or row.shutdown is None for row in [model_row(vendor, name) for vendor in ROWS])


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_example_names_a_model_that_can_be_called(name: str) -> None:
    """[fault P8] `openai/MODEL` and names that are 404 are no examples. The body is JSON behind the shell's quotes."""
    config, model = CONFIGURATIONS[name]
    found = example_model(Routes(config, catalogue_price, known=Known(catalogue_names)))
    assert found == model
    text = welcome(config, Opening("http://127.0.0.1:8000", "/data", 1, found, first_key="sk-aisa-x"))
    (line,) = curl_commands(text)
    words = shlex.split(line.replace("\\\n", " "))
    if model is None:
        assert words[1].endswith("/v1/models")
    else:
        assert json.loads(words[words.index("-d") + 1])["model"] == model


def test_what_the_start_says_is_true_of_this_server() -> None:
    """[fault P16] The data folder as a whole path, where other machines reach it, and TLS whose certificate need not fit."""
    outside = msgspec.structs.replace(OPENING, elsewhere="http://10.1.2.3:8000", console="http://127.0.0.1:8000/console")
    text = welcome(Config(server=Server(host="0.0.0.0"), tls=Tls(cert="c", key="k")), outside)
    assert "Data: /data\n" in text
    assert "For other machines: http://10.1.2.3:8000\n" in text
    assert "--insecure" in text
    assert "readable" not in text
    clear = welcome(Config(server=Server(host="0.0.0.0")), outside)
    assert "readable: set `tls`" in clear
    assert "aisa admin-keys create ME --scope write" in clear
    assert "other machines" not in welcome(Config(), OPENING)
    assert max(map(len, clear.splitlines())) <= 100


@pytest.mark.parametrize(
    ("host", "url", "expected"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000", None),
        ("localhost", "http://127.0.0.1:8000", None),
        ("::1", "http://[::1]:8000", None),
        ("192.0.2.7", "https://192.0.2.7:8443", "https://192.0.2.7:8443"),
        ("2001:db8::7", "http://[2001:db8::7]:80", "http://[2001:db8::7]:80"),
        ("api.example.com", "http://192.0.2.7:8000", "http://api.example.com:8000"),
    ],
)
def test_other_machines_are_told_an_address_that_they_can_reach(host: str, url: str, expected: str | None) -> None:
    """[fault P16] And none where this machine alone does."""
    assert for_other_machines(host, url) == expected


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_server_on_every_interface_names_one_that_is_not_this_machines_own(host: str) -> None:
    """[fault P16] Not 127.0.0.1, which is another machine there; without a way to the internet it is this one's name."""
    told = for_other_machines(host, "http://127.0.0.1:8000")
    assert told is not None
    assert not is_loopback(urlsplit(told).hostname or "")
    assert told.endswith(":8000")


def test_the_page_shows_what_this_server_has(tmp_path: Path) -> None:
    """[faults P8, P16] Its example is of this address and names a model that answers; every route is there; answers end their line."""
    with serving(tmp_path, 'models: {"mine": [embedded/tiny]}\nmodels_only: true\n') as server:
        page = asked(server, "/").body.decode()
        assert '"model": "mine"' in page
        assert f'<span id="origin">{server.url}</span>/v1/chat/completions' in page  # without scripts, too
        call = {"model": "mine", "messages": [{"role": "user", "content": "Hi."}]}
        for path, body in (
            ("/v1/models", None),
            ("/health", None),
            ("/nothing", None),
            ("/v1/chat/completions", {}),
            ("/v1/chat/completions", call),
        ):
            assert asked(server, path, body).body.endswith(b"}\n"), path
        listed = re.findall(r"<li><code>GET ([^<{]+)</code>", page)
        assert {"/v1/models", "/health/live", "/openapi.json", "/v1/usage"} <= set(listed)
        for path in listed:
            assert asked(server, path).status != 404, path


# A configuration to begin with


@pytest.mark.parametrize(
    "variables", [{}, {"OPENAI_API_KEY": "k"}, {"GEMINI_API_KEY": "k", "ANTHROPIC_API_KEY": "k", "OPENAI_BASE_URL": "http://x/v1"}]
)
def test_the_configuration_that_is_written_works_as_it_stands(tmp_path: Path, variables: dict[str, str]) -> None:
    """`aisa init`: the vendors of the environment with the names of their variables, never a key; all others are there as comments."""
    text = beginning(variables)
    (tmp_path / "c.yaml").write_text(text)
    loaded = load(str(tmp_path / "c.yaml"), variables, {})
    assert loaded.config.vendors.keys() == load(None, variables, {}).config.vendors.keys()
    assert loaded.config.vendors == load(None, variables, {}).config.vendors
    assert ": k\n" not in text
    for row in [row for row in ROWS.values() if row.key_variables and row.dialect in SPOKEN and not row.retired]:
        variable = next((name for name in row.key_variables if name in variables), "")
        assert re.search(rf"^  {row.name}:\n|^  # {row.name}: +# {re.escape(row.title)}: ", text, re.MULTILINE)
        assert ("${" + variable + "}" in text) is bool(variable)
    assert isinstance(yaml.safe_load(text), dict)


def test_a_vendor_of_the_beginning_counts_once_its_sign_is_taken_away(tmp_path: Path) -> None:
    """Whichever line it is, with and without vendors in the environment: no other line has to be touched."""
    needed = dict.fromkeys(ROWS["groq"].key_variables, "k")
    for variables in ({}, {"OPENAI_API_KEY": "k"}):
        text = beginning(variables)
        for name, lines in {"groq": r"  # (groq: )", "local": r"  # (local: .*\n)  # (  base_url)"}.items():
            written = re.sub(lines, lambda found: "".join(f"  {part}" for part in found.groups()), text)
            (tmp_path / "c.yaml").write_text(written)
            loaded = load(str(tmp_path / "c.yaml"), {**variables, **needed}, {})
            assert loaded.origins[f"vendors.{name}"].startswith(str(tmp_path))


def test_a_configuration_that_is_there_is_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody wrote it."""
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(aisa, ("init",), env={"AISA_CONFIG": None}).exit_code == 0
    written = Path("aisa.yaml").read_text()
    again = CliRunner().invoke(aisa, ("init",), env={"AISA_CONFIG": None})
    assert again.exit_code == 2
    assert "there already" in again.stderr
    assert Path("aisa.yaml").read_text() == written
