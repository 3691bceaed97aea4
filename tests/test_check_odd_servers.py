"""`aisa check` at what is no such endpoint, or cannot be reached: a clear answer, a remedy, a status, and never a key.

Servers here are threads on loopback that send the bytes they were given, whatever is asked.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aisa.checks.subject import Subject, address_of
from aisa.cli.commands import aisa
from aisa.testing.scenario import built_in
from aisa.testing.scripted_server import ScriptedServer
from http_server_rig import pem
from server import Server, serving

__all__ = ["pem"]
KEY = "sk-aisa-odd-4kq8s7Zp2mLx9Rt6Vw3Yb1"
PAGE = b"<html><body><h1>Welcome to nginx!</h1></body></html>"
SERVER_SECONDS_MAX = 30.0


def answer(status: str, body: bytes = PAGE, kind: str = "text/html", more: str = "") -> bytes:
    """A whole answer, after which the connection is closed."""
    head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n{more}\r\n"
    return head.encode() + body


@contextmanager
def odd(sent: bytes, *, reads: bool = True, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server that sends these bytes and closes, after it has read a head if it `reads`; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return  # the test is over
                with connection:
                    connection.settimeout(SERVER_SECONDS_MAX)
                    try:
                        if tls is None:
                            speak(connection)
                        else:
                            with tls.wrap_socket(connection, server_side=True) as encrypted:
                                speak(encrypted)
                    except OSError:
                        continue  # the client did not like us

        def speak(connection: socket.socket) -> None:
            data = b""
            while reads and b"\r\n\r\n" not in data and (more := connection.recv(65_536)):
                data += more
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65_536):
                pass  # until the client is done, so that it gets no reset

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(SERVER_SECONDS_MAX)


def check(*words: str, key: str = KEY) -> Result:
    """Run the command with a key in the environment."""
    return CliRunner().invoke(aisa, ("check", *words), env={"AISA_API_KEY": key, "COLUMNS": "100"})


@pytest.mark.parametrize(
    ("sent", "words", "said"),
    [
        pytest.param(answer("200 OK"), (), "GET /v1/models says 200 and names none: <html>", id="a web page"),
        pytest.param(answer("200 OK", b'{"data": []}', "application/json"), (), "names none", id="no model"),
        pytest.param(answer("404 Not Found"), ("--model", "m"), "Is the API at /v1?", id="nothing there"),
        pytest.param(answer("502 Bad Gateway"), ("--model", "m"), "status 502: <html>", id="a proxy with nothing behind it"),
        pytest.param(answer("400 Bad Request", b'{"error": "no m"}', "application/json"), ("--model", "m"), "no m", id="a model unknown"),
        pytest.param(answer("301 Moved", more="location: https://x/\r\n"), (), "It sends to 'https://x/'", id="another address"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", (), "'SSH-2.0-OpenSSH_9.2\\r\\n', which is no HTTP/1.1", id="another protocol"),
        pytest.param(b"", (), "the connection was closed", id="no word"),
        pytest.param(b"HTTP/1.1 200 OK\r\nx:", (), "after b'HTTP/1.1 200 OK", id="half a head"),
    ],
)
def test_what_is_no_endpoint_is_told_as_what_it_is_with_status_2(sent: bytes, words: tuple[str, ...], said: str) -> None:
    """No check is run there: a hundred failures would only say the same."""
    with odd(sent) as port:
        result = check(f"http://127.0.0.1:{port}", *words)
    told = " ".join(result.output.split())
    assert (result.exit_code, said in told) == (2, True), told
    assert "→" in told
    assert "no-key" not in told


def test_a_certificate_that_nobody_vouches_for_is_told_and_can_be_borne(pem: Path) -> None:
    """With --insecure the rest is looked at; plain and encrypted ports that are mixed up are told, too."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    with odd(answer("404 Not Found"), tls=context) as port:
        strict, lax = check(f"https://127.0.0.1:{port}", "--model", "m"), check(f"https://127.0.0.1:{port}", "--model", "m", "--insecure")
        plain = check(f"http://127.0.0.1:{port}", "--model", "m")
    with odd(answer("404 Not Found"), reads=False) as port:
        encrypted = check(f"https://127.0.0.1:{port}", "--model", "m")
    told = [" ".join(each.output.split()) for each in (strict, lax, plain, encrypted)]
    assert [each.exit_code for each in (strict, lax, plain, encrypted)] == [2, 2, 2, 2]
    assert "certificate" in told[0] and "--insecure" in told[0], told[0]  # noqa: PT018 - one thing
    assert "Is the API at /v1?" in told[1], told[1]
    assert "https://" in told[2], told[2]
    assert "Write http://" in told[3], told[3]


def test_a_key_that_is_refused_is_one_failure_and_not_a_hundred(server: Server, tmp_path: Path) -> None:
    """Whether it is wrong or lost on the way cannot be seen from here; both are said, and everything else is skipped."""
    junit, written = tmp_path / "c.xml", tmp_path / "c.json"
    result = check(server.url, "--model", "gpt-4.1", "--quick", "--json", str(written), "--junit", str(junit))
    assert result.exit_code == 1
    assert "1 failed" in result.output
    assert "0 passed" in result.output
    assert "it is wrong, or did not arrive" in " ".join(result.output.split())
    assert KEY not in result.output + junit.read_text(encoding="utf-8") + written.read_text(encoding="utf-8")


def test_a_key_that_is_refused_where_models_are_shown_to_everybody_is_a_failure() -> None:
    """As OpenRouter shows them: it was no failure, and all else skipped, so that a pipeline was green."""

    async def main() -> Result:
        vendor = ScriptedServer(built_in(), "wrong-key")
        port = await vendor.listen("127.0.0.1", 0)
        result = await asyncio.to_thread(check, f"http://127.0.0.1:{port}", "--model", "wrong-key", "--quick")
        await vendor.close()
        return result

    result = asyncio.run(main())
    assert (result.exit_code, "1 failed" in result.output, "0 passed" in result.output) == (1, True, True)


@pytest.mark.parametrize("status", ["401 Unauthorized", "500 Oops"])
def test_a_key_that_an_endpoint_repeats_is_shown_nowhere(tmp_path: Path, status: str) -> None:
    """Neither whole nor cut, in the table, on standard error, in JSON, in JUnit; nor what would steer a terminal."""
    written = (tmp_path / "c.json", tmp_path / "c.xml")
    body = b'{"error": {"message": "\x1b[2J %b Incorrect API key provided: %b"}}' % (b"." * 40, KEY.encode())
    with odd(answer(status, body, "application/json")) as port:
        result = check(f"http://127.0.0.1:{port}", "--model", "m", "--json", str(written[0]), "--junit", str(written[1]))
    told = result.output + "".join(path.read_text(encoding="utf-8") for path in written if path.exists())
    assert result.exit_code == (1 if status.startswith("401") else 2)
    assert "****" in told
    assert not any(KEY[start : start + 8] in told for start in range(len(KEY) - 8)), told
    assert "\x1b[2J" not in told


@pytest.mark.parametrize(
    ("words", "secret"),
    [
        (("http://127.0.0.1:1", "--header", "Authorization: Bearer sk-secret"), "sk-secret"),
        (("http://127.0.0.1:1", "--header", "x-api-key: sk-secret"), "sk-secret"),
        (("http://someone:sk-secret@127.0.0.1:1",), "sk-secret"),
        (("http://127.0.0.1:1/v1?key=sk-secret",), "sk-secret"),
    ],
)
def test_a_key_on_the_command_line_is_refused_and_not_repeated(words: tuple[str, ...], secret: str) -> None:
    """It was read by everybody on the machine already; what we print goes further."""
    result = check(*words)
    assert result.exit_code == 2
    assert secret not in result.output


def test_a_key_that_no_header_can_hold_is_told_without_it() -> None:
    """A file that was read whole, say, or quotes that a mail program made."""
    result = check("http://127.0.0.1:1", key="“sk-secret”")
    assert (result.exit_code, "sk-secret" in result.output) == (2, False)


@pytest.mark.parametrize(("host", "listened"), [("[::1]", "::1"), ("localhost", "127.0.0.1")])
def test_every_address_of_a_host_is_tried_and_written_as_it_must_be(host: str, listened: str) -> None:
    """An address of IPv6 stands in brackets in `host`; of a name that has several, one that refuses is not the last word."""

    async def main() -> int:
        vendor = ScriptedServer(built_in(), "hello")
        port = await vendor.listen(listened, 0)
        address, prefix = address_of(f"http://{host}:{port}/llm/v1/", verify=True)
        subject = Subject(address, prefix, key=None, model="m", vendor=vendor)
        request = subject.request(method="GET", path="/v1/models")
        assert request.startswith(f"GET /llm/v1/models HTTP/1.1\r\nhost: {host}:{port}\r\n".encode())
        status = (await subject.ask(request)).status
        await vendor.close()
        return status

    assert asyncio.run(main()) == 200


def test_a_known_failure_can_be_left_out(tmp_path: Path) -> None:
    """So that CI is green behind a proxy that takes a half-close for leaving, and red for everything else."""
    with serving(tmp_path) as running:
        whole = check(running.url, "--model", "gpt-4.1", "--only", "health", "--only", "models", "--except", "models", key=running.key)
        unknown = check(running.url, "--except", "nothing")
    assert "1 passed, 0 failed, 0 skipped. Left out: models." in whole.output
    assert unknown.exit_code == 2
