"""The command line as a whole: help, start-up problems, configuration commands, colours, and what it costs to start."""

from __future__ import annotations

import json
import os
import pty
import socket
import subprocess
import sys
from pathlib import Path

import click
import jsonschema
import pytest
from click.testing import CliRunner, Result

from aisa import __version__
from aisa.cli.commands import aisa
from aisa.cli.preflight import listen_problems
from aisa.cli.terminal import ago, table
from aisa.config.reference import EXAMPLE
from aisa.config.schema import Server
from aisa.storage.lock import own_folder

SOURCE = str(Path(__file__).parent.parent / "src")
CLEAN = {
    "HOST": None,
    "PORT": None,
    "AISA_DATA_DIR": None,
    "AISA_CONFIG": None,
    "OPENAI_API_KEY": None,
    "NO_COLOR": None,
    "AISA_DISCOVERY_LOOPBACK": "never",
    "COLUMNS": "100",
}


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test starts in an empty working directory."""
    monkeypatch.chdir(tmp_path)


def run(*arguments: str, **environment: str) -> Result:
    """Run a command in this process, in an environment without our variables."""
    return CliRunner().invoke(aisa, arguments, env={**CLEAN, **environment}, prog_name="aisa", catch_exceptions=False)


@pytest.mark.parametrize("words", ["simulate --list", "models", "ledger export", "--version"])
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_command_whose_streams_are_closed_does_what_it_does(words: str, closed: str) -> None:
    """[issue 13] As cron jobs have them: it ended in a traceback, and the next file that it opened would have been its standard output."""
    assert run("keys", "create", "laptop", "--data-dir", "data").exit_code == 0
    command = f"exec {sys.executable} -m aisa {words} {closed}"
    environment = {"PYTHONPATH": SOURCE, "AISA_DATA_DIR": "data", "AISA_DISCOVERY_LOOPBACK": "never"}
    ended = subprocess.run(["/bin/sh", "-c", command], env=environment, capture_output=True, check=False, timeout=60)
    assert (ended.returncode, b"Traceback" in ended.stderr) == (0, False)


def test_the_version_needs_nothing_heavy() -> None:
    """`aisa --version` prints the version and imports neither database, YAML, HTTP nor event loop."""
    heavy = {"sqlalchemy", "alembic", "yaml", "msgspec", "uvloop", "asyncio", "http.client", "ssl"}
    code = (
        "import sys; from aisa.cli import main; sys.argv = ['aisa', '--version']\n"
        "try: main()\n"
        f"finally: print(sorted({heavy!r} & sys.modules.keys()), file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": SOURCE}, capture_output=True, check=False, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"aisa {__version__}\n".encode(), b"[]\n")


def groups(found: click.Group = aisa, *before: str) -> list[tuple[str, ...]]:
    """Return the words of every group of commands."""
    inner = [(name, one) for name, one in found.commands.items() if isinstance(one, click.Group)]
    return [before, *[words for name, one in inner for words in groups(one, *before, name)]]


@pytest.mark.parametrize("columns", ["60", "80", "100"])
@pytest.mark.parametrize("words", groups(), ids=" ".join)
def test_a_list_of_commands_says_of_each_what_it_does_to_the_end(words: tuple[str, ...], columns: str) -> None:
    """Click cuts what does not fit into a line, and half of them ended in three dots."""
    listed = run(*words, "-h", COLUMNS=columns).stdout.partition("Commands:")[2]
    assert listed
    assert "..." not in listed.strip().partition("\n\n")[0]


@pytest.mark.parametrize(
    "command", [(), ("serve",), ("keys",), ("keys", "create"), ("keys", "list"), ("config", "check"), ("config", "schema")]
)
def test_every_command_explains_itself(command: tuple[str, ...]) -> None:
    """`-h` works everywhere and fits a terminal of a hundred columns."""
    result = run(*command, "-h")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: {' '.join(('aisa', *command))}")
    assert max(map(len, result.stdout.splitlines())) <= 100
    assert "\b" not in result.stdout


def test_everything_in_the_way_of_a_start_is_told_at_once() -> None:
    """Configuration, address, data folder and certificate: four problems, four remedies, status 2."""
    for name in ("cert.pem", "key.pem"):
        Path(name).touch()
    Path("aisa.yaml").write_text("tls: {cert: cert.pem, key: key.pem}\nserver: {drain_seconds: 0}\n", encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as taken, own_folder("d"):
        result = run("serve", "--port", str(taken.getsockname()[1]), "--data-dir", "d")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "the server cannot start: 4 problems" in result.stderr
    for words in (
        "server.drain_seconds (aisa.yaml, line 2)",
        "Address already in use",
        f"in use by process {os.getpid()}",
        "are not a PEM",
    ):
        assert words in result.stderr
    assert result.stderr.count("→") == 4


def test_a_port_that_was_just_closed_is_free() -> None:
    """The remains of the last server's connections do not keep the next one from starting."""
    with socket.create_server(("127.0.0.1", 0)) as last:
        port = last.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        last.accept()[0].close()
        assert client.recv(1) == b""
        client.close()
    assert list(listen_problems(Server(port=port), {})) == []


@pytest.mark.parametrize(
    "address",
    [
        "localhost:11434",
        "ftp://x/v1",
        "http://",
        "http://x:99999/v1",
        "http://a b/v1",
        "http://u:p@h/v1",
        "https://h/v1#x",
        "http://[::1/v1",
        "",
    ],
)
def test_a_bad_address_of_a_vendor_is_told_once(address: str) -> None:
    """[fault P11] With its line, by `config check` and at the start alike, and no other check repeats it in words of its own."""
    Path("aisa.yaml").write_text(f"vendors:\n  a: {{base_url: '{address}', api_key: k}}\nmodels: {{x: [a/b]}}\n", encoding="utf-8")
    for command in (("config", "check"), ("serve", "--port", "0", "--data-dir", "data")):
        result = run(*command)
        assert result.exit_code == 2
        assert result.stderr.count("→") == 1, result.stderr
        assert "vendors.a.base_url (aisa.yaml, line 2)" in result.stderr


def test_a_database_that_is_away_at_a_start_is_told_with_what_helps_then() -> None:
    """[a newcomer's] Nobody tries again: the process ends."""
    result = run("serve", "--port", "0", "--data-dir", "data", DATABASE_URL="postgresql://aisa@127.0.0.1:1/aisa")
    said = " ".join(result.stderr.split())
    assert (result.exit_code, "The database does not answer." in said) == (2, True), said
    assert "It is tried again" not in said
    assert "Look whether it runs and can be reached." in said
    assert "must be started again" in said


def test_a_broken_setting_is_not_checked_under_its_default() -> None:
    """If the port is no port, what listens on the default port is of no interest."""
    with own_folder("aisa-data"):
        result = run("serve", PORT="eighty", AISA_DATA_DIR="aisa-data")
        assert result.stderr.count("→") == 2
        Path("aisa.yaml").write_text("server: {data_dir: 5, port: eighty}", encoding="utf-8")
        result = run("serve")
    assert "in use" not in result.stderr
    assert result.stderr.count("→") == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--host", "no such host"), "cannot be resolved"),
        (("--host", "192.0.2.1", "--port", "0"), "not one of this machine's"),
        (("--port", "70000"), "0<=x<=65535"),
        (("--log-format", "xml"), "auto"),
        (("--config", "nope.yaml"), "cannot be read"),
        (("--prot", "1"), "--port"),
        (("--data-dir", "/dev/null/x"), "cannot be"),
    ],
)
def test_a_start_that_is_asked_for_wrongly_is_status_2(arguments: tuple[str, ...], words: str) -> None:
    """Whatever is wrong with how the server is started, there is one readable block and nothing else."""
    result = run("serve", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert list(Path().iterdir()) == []


def certificate(name: str, *options: str) -> None:
    """Make a certificate `<name>.pem` and its key `<name>.key`."""
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-days",
        "2",
        "-subj",
        "/CN=x",
        "-out",
        f"{name}.pem",
        "-keyout",
        f"{name}.key",
    ]
    subprocess.run([*command, *options], check=True, capture_output=True, timeout=60)


def test_a_certificate_that_cannot_be_used_is_told() -> None:
    """Another one's key, and a key with a passphrase, which must not be asked for on the terminal."""
    certificate("a", "-nodes")
    certificate("b", "-passout", "pass:secret")
    for key, words in (("b.key", "without a passphrase"), ("a.key", "do not belong together")):
        Path("aisa.yaml").write_text(f"tls: {{cert: b.pem, key: {key}}}", encoding="utf-8")
        result = run("serve", "--port", "0")
        assert result.exit_code == 2
        assert words in " ".join(result.stderr.split())


@pytest.mark.parametrize("command", [("config", "check"), ("serve", "--port", "0")])
def test_a_certificate_and_a_key_in_each_others_place_are_told(command: tuple[str, ...]) -> None:
    """[fault P11] What to write is told, by the check as well as by the start."""
    certificate("a", "-nodes")
    Path("aisa.yaml").write_text("tls: {cert: a.key, key: a.pem}", encoding="utf-8")
    result = run(*command)
    assert result.exit_code == 2
    assert "Write cert: a.pem and key: a.key." in " ".join(result.stderr.split())


@pytest.mark.parametrize("command", [("config", "check"), ("serve", "--port", "0")])
def test_a_host_that_somebody_elses_variable_gave_is_told_as_that(command: tuple[str, ...]) -> None:
    """[fault P11] Conda exports HOST as the name of a compiler's target."""
    result = run(*command, HOST="x86_64-conda-linux-gnu.invalid")
    assert result.exit_code == 2
    assert "unset HOST, or say --host 127.0.0.1" in " ".join(result.stderr.split())


@pytest.mark.parametrize("command", [("config", "check"), ("serve", "--port", "0")])
def test_a_proxy_that_we_cannot_speak_to_is_told(command: tuple[str, ...]) -> None:
    """[fault S14] Before the first call, with the vendor it is for and the ways out, and without its password."""
    result = run(*command, OPENAI_API_KEY="k", ALL_PROXY="socks5://u:hidden@proxy.test:1080", HTTPS_PROXY="", https_proxy="", NO_PROXY="")
    told = " ".join(result.stderr.split())
    assert result.exit_code == 2
    assert "ALL_PROXY must look like http://" in told
    assert "set vendors.openai.proxy" in told
    assert "hidden" not in told


def test_what_was_understood_otherwise_than_written_is_told() -> None:
    """[fault P11] The check says how an address was read, and which proxy leads there."""
    text = "vendors: {v: {base_url: 'https://h.test/v1/chat/completions?api-version=2024-10-21', proxy: 'http://proxy.test:3128'}}"
    Path("aisa.yaml").write_text(text, encoding="utf-8")
    Path("aisa.yml").touch()
    result = run("config", "check")
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert result.exit_code == 0
    assert "→ Read as https://h.test/v1." in lines
    assert "It is not read, as aisa.yaml stands beside it." in lines
    assert "v https://h.test/v1 without a key, by the proxy proxy.test:3128 aisa.yaml, line 1" in lines


def test_a_sound_configuration_is_shown_as_what_would_run() -> None:
    """Address, vendors, models in words, and where settings came from."""
    Path("aisa.yaml").write_text(EXAMPLE, encoding="utf-8")
    result = run("config", "check", PORT="9001", OPENAI_API_KEY="the key")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[0] == "No problems in aisa.yaml."
    for line in (
        "listens on http://0.0.0.0:9001",
        "built-in model answers as embedded/tiny",
        "openai https://api.openai.com/v1 with a key aisa.yaml, line 7",
        "local http://127.0.0.1:11434/v1 without a key aisa.yaml, line 10",
        "gpt-4.1 openai/gpt-4.1, then local/llama3.2",
        "spread openai/gpt-4.1-mini (9) or local/llama3.2 (1)",
        "server.port 9001 PORT in the environment",
        'server.host "0.0.0.0" aisa.yaml, line 2',
    ):
        assert line in lines
    assert "the key" not in result.stdout


#: Settings of every kind that is no plain value, and what is shown of them.
SHOWN = {
    "limits: {tiers: {starter: {rpm: 60, account: {rpm: 300}}}}": 'limits.tiers {"starter": {"rpm": 60, "account": {"rpm": 300}}}',
    "limits: {tiers: {none: {}}}": 'limits.tiers {"none": {}}',
    "limits: {address: {rpm: 9}}": 'limits.address {"rpm": 9}',
    "server: {trusted_proxies: [10.0.0.0/8]}": 'server.trusted_proxies ["10.0.0.0/8"]',
    'stores: {database: "postgresql://aisa:hunter2@db.invalid/aisa"}': "stores.database not shown",
    'stores: {limits: "redis://:hunter2@db.invalid/0"}': "stores.limits not shown",
}


@pytest.mark.parametrize("text", SHOWN, ids=[words.split()[0] + str(number) for number, words in enumerate(SHOWN.values())])
def test_settings_of_every_kind_are_shown_and_no_secret_is(text: str) -> None:
    """[fault P11] Sections within sections as they were written; of an address with a password only that there is one."""
    Path("c.yaml").write_text(text, encoding="utf-8")
    result = run("config", "check", "--config", "c.yaml")
    assert (result.exit_code, result.stderr) == (0, "")
    assert SHOWN[text] in " ".join(result.stdout.split())
    assert "hunter2" not in result.stdout


def test_no_configuration_at_all_is_sound() -> None:
    """A fresh install is told that the built-in model answers."""
    result = run("config", "check")
    assert result.exit_code == 0
    assert "there is no configuration file" in result.stdout
    assert "answers under every name" in result.stdout


def test_a_faulty_configuration_is_told_in_full() -> None:
    """Every problem with its line and its remedy; status 2."""
    Path("c.yaml").write_text("server: {prot: 1}\nmodels: {m: [v/m]}\n", encoding="utf-8")
    result = run("config", "check", "--config", "c.yaml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "aisa: the configuration has 2 problems\n"
        "\n"
        "  server.prot (c.yaml, line 1)\n"
        "    There is no such setting.\n"
        "    → Did you mean `port`?\n"
        "\n"
        "  models.m.to.0 (c.yaml, line 2)\n"
        "    There is no vendor `v`.\n"
        "    → Known vendors: embedded.\n"
    )


def test_the_schema_is_printed_as_json() -> None:
    """What an editor is given is a valid JSON Schema."""
    result = run("config", "schema")
    assert result.exit_code == 0
    jsonschema.Draft202012Validator.check_schema(json.loads(result.stdout))


def on_terminal(*arguments: str, **environment: str) -> bytes:
    """Return what a command writes to a terminal."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "aisa", *arguments]
    with subprocess.Popen(
        command, env={"PYTHONPATH": SOURCE, "TERM": "xterm", **environment}, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        written = b""
        try:
            while data := os.read(ours, 65_536):
                written += data
        except OSError:
            pass  # Linux's way to say that the terminal has no more writers
        os.close(ours)
        process.wait(60)
    return written


def test_colours_are_for_terminals_that_want_them() -> None:
    """On a terminal the error is painted, with NO_COLOR it is not, and in a file it is not."""
    arguments = ("config", "check", "--config", "nope.yaml")
    assert b"\x1b[" in on_terminal(*arguments)
    assert b"\x1b[" not in on_terminal(*arguments, NO_COLOR="1")
    assert "\x1b[" not in run(*arguments).stderr


def test_a_terminal_without_our_characters_gets_others() -> None:
    """An encoding that lacks the arrow does not turn an explanation into a traceback."""
    written = on_terminal("config", "check", "--config", "nope.yaml", PYTHONIOENCODING="latin-1", NO_COLOR="1")
    assert b"? Name a readable YAML file" in written


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "just now"),
        (0.9, "just now"),
        (1, "1 second ago"),
        (59, "59 seconds ago"),
        (90, "2 minutes ago"),
        (3_600, "1 hour ago"),
        (86_399 * 2, "2 days ago"),
        (-30 * 86_400 + 5, "in 30 days"),
        (-43_200, "in 12 hours"),
        (86_400 * 400, "1 year ago"),
    ],
)
def test_times_are_told_as_people_say_them(seconds: float, words: str) -> None:
    """One unit, rounded to the nearest, in the past or to come."""
    assert ago(seconds) == words


def test_a_table_without_rows_is_its_heads() -> None:
    """No data is no crash, and no heads no line."""
    assert (table(("A", "B"), []), table((), [])) == ("\x1b[2mA\x1b[0m  \x1b[2mB\x1b[0m", "")
