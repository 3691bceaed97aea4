"""What `aisa check` was asked for, and the verdicts on it; what would make them useless is told before. Prints no verdict."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from types import MappingProxyType

import click
import msgspec

from aisa.checks.check import SKIPPED, Check, Verdict
from aisa.checks.client import Response
from aisa.checks.members import objects
from aisa.checks.registry import CHECKS
from aisa.checks.running import look, run
from aisa.checks.subject import Broken, Subject, address_of, short, value_of
from aisa.cli.problems import Misuse
from aisa.cli.terminal import is_dumb
from aisa.http.failures import in_words
from aisa.testing.scenario import built_in
from aisa.testing.scripted_server import ScriptedServer

KEY_CHARACTERS_MAX = 4_096  # of a key that is read from standard input
KEY_ARRIVES = "key-arrives"  # the check that is left where the key is refused
#: Headers that carry keys, which have no place on a command line that everybody on the machine can read.
SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"})
#: What a connection that came to nothing may mean, by a word in it -> what to do.
REMEDIES: Mapping[str, str] = MappingProxyType(
    {
        "CERTIFICATE_VERIFY_FAILED": "Put the right certificate there, or look at the rest with --insecure.",
        "WRONG_VERSION_NUMBER": "Write http:// where the port speaks no TLS.",
        "no HTTP": "Is it the port of the API? One that speaks TLS wants https://.",
        "the connection was": "Is it the port of the API? One that speaks TLS wants https://.",
        "Connection refused": "Does it run, and at this port?",
        "service not known": "Check how the name is spelt.",
        "": "Is the address right, and does it run?",
    }
)


class Asked(msgspec.Struct):
    """What the command line asks for."""

    url: str
    key_env: str
    model: str | None
    quick: bool
    vendor_port: int | None
    vendor_host: str
    headers: tuple[str, ...]
    only: tuple[str, ...]
    without: tuple[str, ...]
    json_file: str | None
    junit: str | None
    insecure: bool


async def checked(asked: Asked) -> tuple[Subject, list[Verdict]]:
    """Run the checks. Raises Misuse where nothing answers, or where the vendor that we play is not asked."""
    try:
        address, prefix = address_of(asked.url, verify=not asked.insecure)
    except ValueError as error:
        where = re.sub(r"(?s)^([^/@]*//)?.*@|[?#].*", r"\1", asked.url)  # nobody's password
        raise Misuse("the address cannot be used", [(where, f"This is no address: {error}.", "Write http://127.0.0.1:8000")]) from error
    vendor = None if asked.vendor_port is None else ScriptedServer(built_in(), "hello")
    subject = Subject(address, prefix, key=key_of(asked), model=asked.model or "", vendor=vendor)
    subject.headers = dict(header_of(line) for line in asked.headers)
    try:
        if vendor is not None:
            await played(vendor, asked)
        return subject, await judged(subject, asked)
    except Broken as broken:
        what = subject.without_key(in_peoples_words(broken))
        remedy = next(text for sign, text in REMEDIES.items() if sign in what)
        raise Misuse("the endpoint does not answer", [(asked.url, f"{what}.", remedy)]) from broken
    finally:
        if vendor is not None:
            await vendor.close()


def in_peoples_words(broken: Broken) -> str:
    """Return why there is no answer, of a connection in the system's words."""
    cause = broken.__cause__
    if isinstance(cause, TimeoutError) and cause.errno is None:
        return "no connection in time"
    return f"no connection: {in_words(cause)}" if isinstance(cause, OSError) else str(broken)


async def played(vendor: ScriptedServer, asked: Asked) -> None:
    """Play the vendor. Raises Misuse where its port cannot be listened on."""
    try:
        await vendor.listen(asked.vendor_host, asked.vendor_port or 0)
    except OSError as error:
        where, what = f"{asked.vendor_host}:{asked.vendor_port}", f"It cannot be listened on: {in_words(error)}."
        raise Misuse("the vendor cannot be played", [(where, what, "Choose another --vendor-port.")]) from error


async def judged(subject: Subject, asked: Asked) -> list[Verdict]:
    """Run the checks that were asked for. Raises Broken where nothing answers, Misuse where it would be of no use."""
    named = [check for check in CHECKS if (not asked.only or check.name in asked.only) and check.name not in asked.without]
    wanted = [check for check in named if check.quick or not asked.quick]
    status = await look(subject)
    if status == 401 and subject.key is None:
        raise Misuse("a key is wanted", [(asked.key_env, "The endpoint answers 401, and there is no key.", f"export {asked.key_env}=...")])
    if status != 401:
        subject.model = subject.model or await first_model(subject)
        status = await meet(subject, asked)
    progress = Progress(len(wanted))
    try:
        return await run(subject, wanted, progress.tell) if status != 401 else await refused(subject, wanted)
    finally:
        progress.end()


async def refused(subject: Subject, wanted: list[Check]) -> list[Verdict]:
    """Return the verdict on a key that is refused; every other check would only say the same."""
    [given] = await run(subject, [check for check in CHECKS if check.name == KEY_ARRIVES])
    rest = [Verdict(check, SKIPPED, "the key is refused", 0.0) for check in wanted if check.name != KEY_ARRIVES]
    return [given, *rest]


async def first_model(subject: Subject) -> str:
    """Return the first model that is listed. Raises Misuse."""
    response = await subject.ask(subject.request(method="GET", path="/v1/models"))
    elsewhere(response)
    if response.status == 200 and response.kind == "application/json":
        for row in objects(value_of(response).get("data")):
            return str(row.get("id"))
    what = f"GET {subject.prefix}/v1/models says {response.status} and names none: {short(response.body)}"
    raise Misuse("no model is known to ask", [("--model", subject.without_key(what), "Name one, if this is the address of the API.")])


async def meet(subject: Subject, asked: Asked) -> int:
    """Make sure that the model answers, from the vendor that we play if we do, and return its status: 200, or 401. Raises Misuse."""
    mark = subject.mark()
    response = await subject.ask(subject.request(subject.chat("hello", mark, stream=False)))
    elsewhere(response)
    if response.status == 401:
        return response.status
    said = subject.without_key(f"status {response.status}: {short(response.body)}")
    if subject.vendor is not None and not subject.vendor.marked(mark):
        where = f"http://{asked.vendor_host}:{subject.vendor.port}/v1"
        what = f"The model {subject.model} was asked, and nobody came to {where}; {said}"
        raise Misuse("the played vendor is not asked", [("--model", what, f"Configure a model whose base URL is {where}, with any key.")])
    if response.status != 200:
        there = f"Name one that GET /v1/models lists. Is the API at {subject.prefix}/v1?"
        remedy = there if response.status == 404 else "See what its log says of this call."
        raise Misuse("the model does not answer", [("--model", f"The model {subject.model} was asked for a word; {said}", remedy)])
    return response.status


def elsewhere(response: Response) -> None:
    """Raise Misuse where an answer sends somewhere else: a POST does not survive that with every client."""
    where = response.headers.get("location", "")
    if 300 <= response.status < 400:
        problem = (f"status {response.status}", f"It sends to {where[:100]!r}.", "Check that address; clients of an API do not follow.")
        raise Misuse("the endpoint is elsewhere", [problem])


def header_of(line: str) -> tuple[str, str]:
    """Return name and value of a header. Raises Misuse."""
    name, found, value = line.partition(":")
    name = name.strip().lower()
    if name in SECRET_HEADERS:
        what = "It carries a key, and everybody on this machine can read a command line."
        raise Misuse("a key stands on the command line", [(name, what, "Put the key into AISA_API_KEY, or use --key-env.")])
    if not found or not name or not line.isprintable():
        raise Misuse("the header cannot be read", [("--header", f"{line[:40]!r} is none.", "Write --header 'x-tenant: acme'.")])
    return name, value.strip()


def key_of(asked: Asked) -> str | None:
    """Return the key, None for none. Raises Misuse."""
    typed = asked.key_env == "-"
    key = sys.stdin.readline(KEY_CHARACTERS_MAX).strip() if typed else os.environ.get(asked.key_env)
    if key is None and asked.key_env != "AISA_API_KEY":
        problem = (asked.key_env, "There is no such variable in the environment.", f"export {asked.key_env}=...")
        raise Misuse("there is no key", [problem])
    if key and not (key.isascii() and key.isprintable()):
        where = "standard input" if typed else asked.key_env
        raise Misuse(
            "the key cannot be sent", [(where, "A header cannot hold some of its characters.", "Is it the key, and nothing else?")]
        )
    return key or None


class Progress:
    """Counts on a terminal what is done, on standard error; says nothing elsewhere."""

    def __init__(self, total: int) -> None:
        self._total, self._done, self._shown = total, 0, sys.stderr.isatty() and not is_dumb()

    def tell(self, verdict: Verdict) -> None:
        """Take note of a verdict."""
        self._done += 1
        if self._shown:
            click.echo(f"\r\x1b[K  {self._done} of {self._total}  {verdict.check.name}", err=True, nl=False)

    def end(self) -> None:
        """Leave no line behind."""
        if self._shown:
            click.echo("\r\x1b[K", err=True, nl=False)
