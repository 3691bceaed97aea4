"""The commands on keys, in a folder that nobody serves and against a server that does."""

from __future__ import annotations

import http.server
import json
import os
import random
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import insert

from aisa.cli.commands import aisa
from aisa.cli.control import ANSWER_BYTES_MAX
from aisa.clock import wall_clock
from aisa.edge.admin import Admin, Records
from aisa.edge.key_usings import KeyUsings
from aisa.edge.statement import Statement
from aisa.keys.store import KeyStore
from aisa.ledger.find import CallFinder
from aisa.ledger.usage import UsageStore
from aisa.storage.engine import open_database
from aisa.storage.lock import control_path, own_folder
from aisa.storage.migrate import migrate
from aisa.storage.tables import keys

CLEAN = {
    "HOST": None,
    "PORT": None,
    "AISA_DATA_DIR": "./aisa-data",
    "AISA_CONFIG": None,
    "OPENAI_API_KEY": None,
    "NO_COLOR": None,
    "AISA_DISCOVERY_LOOPBACK": "never",
    "COLUMNS": "100",
}
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in an empty folder and an environment without our variables."""
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str, typed: str | None = None, **environment: str) -> Result:
        return CliRunner().invoke(aisa, arguments, input=typed, env={**CLEAN, **environment}, prog_name="aisa", catch_exceptions=False)

    return invoke


def made(result: Result) -> str:
    """Return the only output of a quiet creation."""
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout.strip()


@contextmanager
def opened(folder: str) -> Iterator[KeyStore]:
    """Open the store of a folder as a server would."""
    with own_folder(folder):
        database = open_database(folder, migrate)
        yield KeyStore(database, wall_clock, random.Random(1))
        database.close()


@contextmanager
def serving(folder: str) -> Iterator[Admin]:
    """Own a folder and answer on its socket, as a running server does."""
    with opened(folder) as store, closing(open_database(folder, migrate)) as database:
        usings = KeyUsings(Statement(None, UsageStore(database)), CallFinder(database), wall_clock)
        admin = Admin(store, wall_clock, records=Records(usings))

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("content-length", 0))
                status, body = admin.answer(self.command, self.path, self.rfile.read(length))
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self) -> None:
                self.do_POST()

            def log_message(self, *_arguments: object) -> None: ...

        with listening(folder, Handler):
            yield admin


@contextmanager
def listening(folder: str, handler: type[socketserver.BaseRequestHandler]) -> Iterator[None]:
    """Answer connections to a folder's socket with a handler, in a thread."""
    with socketserver.UnixStreamServer(control_path(folder), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def test_a_key_is_made_in_a_folder_that_nobody_serves(run: Run) -> None:
    """The output holds the key and a curl line that carries it; the server that starts next lets it in."""
    result = run("keys", "create", "laptop")
    assert result.exit_code == 0
    assert "shown this once" in result.stdout
    secret = next(word for word in result.stdout.split() if word.startswith("sk-aisa-"))
    assert "curl http://127.0.0.1:8000/v1/chat/completions" in result.stdout
    assert f"-H 'Authorization: Bearer {secret}'" in result.stdout
    with opened("aisa-data") as store:
        assert store.verify(secret).label == "laptop"


def test_the_curl_line_fits_the_configuration(run: Run) -> None:
    """Address, scheme and model are those of the server and of the key."""
    Path("cert.pem").touch()
    text = (
        "server: {host: '::', port: 9}\nvendors: {v: {base_url: http://h}}\nmodels: {fast: [v/m]}\ntls: {cert: cert.pem, key: cert.pem}\n"
    )
    Path("aisa.yaml").write_text(text, encoding="utf-8")
    assert "curl https://[::1]:9/v1/chat/completions" in run("keys", "create", "a").stdout
    assert '"model":"fast"' in run("keys", "create", "b", HOST="0.0.0.0").stdout
    assert '"model":"it\'\\\'\'s"' in run("keys", "create", "c", "--models", "it's,x").stdout


def test_a_quiet_creation_prints_the_key_alone(run: Run) -> None:
    """`KEY=$(aisa keys create ci --quiet)` gets nothing but the key."""
    secret = made(run("keys", "create", "ci", "--quiet", "--models", "a, b", "--expires", "30d"))
    with opened("aisa-data") as store:
        key = store.verify(secret)
    assert key.models == ("a", "b")
    assert key.expires_at is not None
    assert key.expires_at - key.created_at == 30 * 86_400


def test_keys_are_listed_in_an_aligned_table(run: Run) -> None:
    """Each column starts where its head does, and no line holds a secret."""
    secret = made(run("keys", "create", "a key with a long label", "--quiet", "--models", "m,n", "--expires", "12h"))
    run("keys", "create", "b", "--import", typed="My very old API Key\n")
    run("keys", "revoke", "b")
    lines = run("keys", "list").stdout.splitlines()
    assert lines[0].split() == ["ID", "LABEL", "KEY", "STATE", "MODELS", "CREATED", "EXPIRES", "LAST", "USED"]
    cells = [[line[lines[0].index(head) :].split("  ")[0].strip() for head in lines[0].split()[1:]] for line in lines[1:]]
    cells.sort()  # keys of the same second are in no particular order
    assert [row[:4] for row in cells] == [
        ["a key with a long label", f"{secret[:12]}…{secret[-4:]}", "active", "m, n"],
        ["b", "… Key", "revoked", "all"],
    ]
    assert [row[5] for row in cells] == ["in 12 hours", "never"]
    assert secret not in "".join(lines)


def test_keys_are_listed_as_json(run: Run) -> None:
    """Programs get every field, and lists that the table would cut in full."""
    run("keys", "create", "ci", "--models", ",".join(f"model-{number}" for number in range(20)))
    assert "…" in run("keys", "list").stdout
    (key,) = json.loads(run("keys", "list", "--json").stdout)
    assert len(key["models"]) == 20
    fields = "id label hint state created_at expires_at models account spend_window rpm tpm concurrency team"
    fields += " former_secret_expires_at spent_since last_used_ms last_address"
    money = {f"{name}_{unit}" for name in ("spend_cap", "spent", "left") for unit in ("usd", "nanos_usd")}
    assert set(key) == set(fields.split()) | money


def test_a_key_with_a_cap_shows_it(run: Run) -> None:
    """Columns that say the same of every key are left out, and an account that is made for a key is told, as it may be a typing error."""
    made(run("keys", "create", "a", "--quiet"))
    assert run("keys", "list").stdout.splitlines()[0].split() == [
        "ID",
        "LABEL",
        "KEY",
        "STATE",
        "MODELS",
        "CREATED",
        "EXPIRES",
        "LAST",
        "USED",
    ]
    result = run("keys", "create", "b", "--account", "acme", "--spend-cap", "99.50/month")
    assert "account acme is new" in result.stdout
    assert "is new" not in run("keys", "create", "c", "--account", "acme").stdout
    assert "is new" in run("keys", "create", "d", "--import", "--account", "umbrella", typed="My very old API Key\n").stdout
    lines = run("keys", "list").stdout.splitlines()
    cells = sorted([line[lines[0].index(head) :].split("  ")[0] for head in ("LABEL", "ACCOUNT", "SPENT OF CAP")] for line in lines[1:])
    assert cells == [["a", "default", "none"], ["b", "acme", "$0.00 of 99.5/month"], ["c", "acme", "none"], ["d", "umbrella", "none"]]
    (shown,) = [key for key in json.loads(run("keys", "list", "--json").stdout) if key["label"] == "b"]
    assert (shown["account"], shown["spend_cap_nanos_usd"], shown["spend_window"]) == ("acme", 99_500_000_000, "month")


@pytest.mark.parametrize(
    ("option", "word", "member"),
    [("--models", "all", "models"), ("--spend-cap", "None", "spend_cap_usd"), ("--expires", "never", "expires_at")],
)
def test_a_term_that_a_new_key_does_not_have_can_be_said_in_the_words_of_help(run: Run, option: str, word: str, member: str) -> None:
    """As where a key is changed: `all` became an allow-list of one model of that name, which no call could use."""
    made(run("keys", "create", "laptop", option, word, "--quiet"))
    (key,) = json.loads(run("keys", "list", "--json").stdout)
    assert key[member] is None


def test_an_imported_key_is_read_from_standard_input_and_not_shown(run: Run) -> None:
    """Only the line's end is taken off: spaces inside are part of the key."""
    result = run("keys", "create", "old", "--import", typed="My very old API Key\nsecond line\n")
    assert result.stdout.startswith("Key old imported: … Key (key_")
    with opened("aisa-data") as store:
        assert store.verify("My very old API Key").label == "old"


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("keys", "create", ""), 2, "label has 1 to 100"),
        (("keys", "create", "taken"), 1, "'taken' is taken by key_"),
        (("keys", "create", "x", "--expires", "soon"), 2, "write 20s, 30m"),
        (("keys", "create", "x", "--models", ""), 2, "model's name"),
        (("keys", "create", "x", "--import"), 1, "16 to 512 characters"),
        (("keys", "revoke", "nobody"), 1, "`aisa keys list` shows them"),
        (("keys", "create"), 2, "Missing argument 'LABEL'"),
        (("keys", "create", "x", "--model", "a"), 2, "--models"),
        (("keys", "list", "--data-dir", "elsewhere"), 1, "no aisa data in this folder"),
        (("keys", "list", "--data-dir", "file"), 1, "no aisa data in this folder"),
        (("keys", "create", "x", "--data-dir", "file"), 1, "cannot be used"),
        (("keys", "create", "x", "--data-dir", "d" * 200), 1, "too long"),
        (("keys", "create", "x", "--config", "nope.yaml"), 2, "cannot be read"),
        (("keys", "create", "x", "--data-dir", ""), 2, "empty"),
        (("kyes",), 2, "keys"),
        (("keys", "create", "\udcff"), 2, "not UTF-8"),
        (("keys", "create", "x", "--models", "\udcff"), 2, "not UTF-8"),
        (("keys", "revoke", "\udcff"), 2, "not UTF-8"),
    ],
)
def test_what_fails_is_told_in_a_block_on_standard_error(run: Run, arguments: tuple[str, ...], status: int, words: str) -> None:
    """1 for a failure, 2 for a misuse; the words say what to do, nothing is printed as a result, and nothing is left behind."""
    run("keys", "create", "taken")
    Path("file").touch()
    before = sorted(Path().iterdir())
    result = run(*arguments, typed="short\n")
    assert result.exit_code == status
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert sorted(Path().iterdir()) == before


def test_keys_can_be_managed_where_the_servers_variables_are_not_set(run: Run) -> None:
    """An administrator's shell has no vendor keys; only what concerns the data folder must be right."""
    Path("aisa.yaml").write_text("server: {data_dir: d}\nvendors: {v: {base_url: http://h, api_key: '${NOPE}'}}", encoding="utf-8")
    assert run("keys", "create", "ci", AISA_DATA_DIR="").exit_code == 0
    assert Path("d/aisa.db").exists()
    Path("aisa.yaml").write_text("server: {data_dir: '${NOPE}'}", encoding="utf-8")
    result = run("keys", "create", "ci", AISA_DATA_DIR="")
    assert (result.exit_code, "variable NOPE is unset" in result.stderr) == (2, True)


def test_a_running_server_makes_and_revokes_the_keys_itself(run: Run) -> None:
    """The server's memory knows at once, and the command does not open the database beside it."""
    with serving("aisa-data") as admin:
        secret = made(run("keys", "create", "ci", "--quiet"))
        found = json.dumps({"secret": secret}).encode()
        assert json.loads(admin.answer("POST", "/keys/find", found)[1])["label"] == "ci"
        admin.url = "http://127.0.0.1:1234"
        assert "curl http://127.0.0.1:1234/v1" in run("keys", "create", "other").stdout
        assert run("keys", "revoke", "ci").stdout.startswith("Key ci (key_")
        assert json.loads(admin.answer("POST", "/keys/find", found)[1])["state"] == "revoked"
        assert [key["state"] for key in json.loads(run("keys", "list", "--json").stdout)] == ["revoked", "active"]
        refused = run("keys", "create", "other")
        assert (refused.exit_code, "'other' is taken" in refused.stderr) == (1, True)


def test_a_socket_that_was_left_behind_is_no_server(run: Run) -> None:
    """After a crash the file is still there; the folder is free all the same."""
    Path("aisa-data").mkdir()
    with listening("aisa-data", socketserver.BaseRequestHandler):
        pass
    assert Path("aisa-data/control.sock").exists()
    assert run("keys", "create", "ci").exit_code == 0


def test_an_owner_that_does_not_listen_is_told(run: Run) -> None:
    """A server that is starting or stopping owns the folder, and the command does not wait for it."""
    with opened("aisa-data"):
        result = run("keys", "create", "ci")
    assert result.exit_code == 1
    assert f"in use by process {os.getpid()}" in result.stderr
    assert "try again in a moment" in result.stderr


class Hangup(socketserver.StreamRequestHandler):
    """A server that takes the whole request and then says `says`, however well that fits."""

    says = b""

    def handle(self) -> None:
        """Read the request, say it, and leave."""
        length = 0
        while (line := self.rfile.readline()) != b"\r\n":
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        self.rfile.read(length)
        self.wfile.write(self.says)


class Endless(Hangup):
    """A server that announces more than anybody sends."""

    says = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n{" % (ANSWER_BYTES_MAX + 1)


class Truncated(Hangup):
    """A server that dies while it answers."""

    says = b"HTTP/1.1 201 Created\r\ncontent-length: 100\r\n\r\n{"


class Stranger(Hangup):
    """A server of another version."""

    says = b'HTTP/1.1 201 Created\r\ncontent-length: 14\r\n\r\n{"name": "ci"}'


@pytest.mark.parametrize(("handler", "why"), [(Hangup, "without response"), (Endless, "too much of it"), (Truncated, "99 more expected")])
def test_a_server_that_breaks_off_is_told(run: Run, handler: type[socketserver.BaseRequestHandler], why: str) -> None:
    """Whether the change was made is then unknown, and the message says how to find out."""
    Path("aisa-data").mkdir()
    with listening("aisa-data", handler):
        result = run("keys", "create", "ci")
    assert result.exit_code == 1
    assert "broke off" in result.stderr
    assert why in " ".join(result.stderr.split())
    assert "shows whether the change was made" in result.stderr


def test_a_server_of_another_version_is_told(run: Run) -> None:
    """An answer of another shape is no traceback."""
    Path("aisa-data").mkdir()
    with listening("aisa-data", Stranger):
        result = run("keys", "create", "ci")
    assert (result.exit_code, "Use the command of the version" in result.stderr) == (1, True)


def test_a_closed_pipe_is_no_traceback(tmp_path: Path) -> None:
    """`aisa keys list | head -1` ends quietly."""
    with opened(str(tmp_path)) as store, store._database.transaction() as connection:
        row = {"hint": "…", "state": "active", "created_at": 1, "account": "default"}
        rows = [{**row, "id": f"key_{number}", "label": f"label {number}", "digest": b"%d" % number} for number in range(3000)]
        connection.execute(insert(keys), rows)
    source = str(Path(__file__).parent.parent / "src")
    command = [sys.executable, "-m", "aisa", "keys", "list", "--data-dir", str(tmp_path)]
    with subprocess.Popen(command, env={"PYTHONPATH": source}, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        process.wait(30)


def test_a_keys_own_limits_are_set_shown_and_taken_away(run: Run) -> None:
    """`none` takes one away; a number may be grouped; the table shows them where any key has one, and what another has from its account."""
    run("keys", "create", "ci", "--rpm", "60", "--tpm", "100,000")
    run("keys", "create", "laptop")
    other, one = sorted(run("keys", "list").stdout.splitlines()[1:], key=lambda line: "ci" in line)
    assert ("60 calls/min, 100,000 tokens/min" in one, "its account's" in other) == (True, True)
    run("keys", "revoke", "laptop")
    changed = run("keys", "update", "ci", "--rpm", "none", "--concurrency", "2")
    assert (changed.exit_code, "100,000 tokens/min, 2 at once" in changed.stdout) == (0, True)
    [key] = [each for each in json.loads(run("keys", "list", "--json").stdout) if each["label"] == "ci"]
    assert (key["rpm"], key["tpm"], key["concurrency"]) == (None, 100_000, 2)


@pytest.mark.parametrize("arguments", [["--rpm", "many"], ["--tpm", "1.5"], ["--rpm", "-1"], ["--concurrency", "²"], []])
def test_a_limit_that_is_no_number_is_misuse(run: Run, arguments: list[str]) -> None:
    """Told before anything is asked, as is a change of nothing."""
    run("keys", "create", "ci")
    assert run("keys", "update", "ci", *arguments).exit_code == 2


def test_a_limit_above_the_configurations_is_refused_without_a_server_too(run: Run, tmp_path: Path) -> None:
    """The command line knows the same tiers as the server does."""
    (tmp_path / "aisa.yaml").write_text("limits: {default_tier: free}\n")
    refused = run("keys", "create", "ci", "--rpm", "61")
    assert (refused.exit_code, "can only be lower" in refused.stderr) == (1, True)


@pytest.mark.parametrize(
    ("words", "shows"),
    [
        (("keys", "create", "ci"), "`aisa keys list` shows whether the change was made: look before you repeat it."),
        (("wallet", "top-up", "acme", "20"), "`aisa wallet show` shows whether the change was made: look before you repeat it."),
        (("wallet", "top-up", "acme", "20"), "What has a --reference is booked once, however often it is asked for."),
        (("teams", "create", "bots"), "`aisa teams list` shows whether the change was made"),
        (("calls", "end", "req_1"), "`aisa board` shows whether the change was made"),
        (("keys", "list"), ""),
        (("status",), ""),
    ],
)
def test_a_lost_answer_names_what_shows_whether_it_was_done(run: Run, words: tuple[str, ...], shows: str) -> None:
    """[fault M1] Of a top-up it said that `aisa keys list` shows it, which does not: who repeated it paid twice."""
    Path("aisa-data").mkdir()
    with listening("aisa-data", Hangup):
        result = run(*words)
    told = " ".join(result.stderr.split())
    assert (result.exit_code, "Look at the server's log." in told, shows in told) == (1, True, True), told
    assert ("whether the change was made" in told) == bool(shows)
