"""The endpoint that is checked, and how checks ask it: requests as bytes, answers as they came. Judges nothing.

An answer that several checks look at is asked for once.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec

from aisa.checks.client import SECONDS_MAX, Address, BareConnection, NoAnswer, Response, connect
from aisa.testing.scripted_server import Played, ScriptedServer

Json = dict[str, Any]
CHAT = "/v1/chat/completions"
NO_HEADERS: Mapping[str, str] = MappingProxyType({})
PROMPT = "Count from one to ten in words."
OURS = "req_"  # our requests' ids begin so
WAIT_SECONDS = 0.02  # between looks at what the vendor has seen
KEY_PART_CHARACTERS = 8  # of the key, that are hidden wherever they stand; what is shorter is no secret
#: Answers for a path that is not there.
ABSENT = (404, 405, 501)


class Broken(Exception):
    """The rule is broken; says what was seen."""


class Skipped(Exception):
    """The check cannot be made here; says why."""


def address_of(url: str, *, verify: bool) -> tuple[Address, str]:
    """Return where a URL leads, and the path before `/v1`. Raises ValueError."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError("an address is http://host:port or https://host, perhaps with a path, and nothing else")
    context = None
    if parts.scheme == "https":
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        if not verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    port = parts.port or (443 if context else 80)
    return Address(parts.hostname, port, context), parts.path.rstrip("/").removesuffix("/v1")


class Subject:
    """The endpoint, with the `model` that is asked and the `vendor` that we play, if we do. `server` is what it says that it is.

    `headers` go with every request.
    """

    def __init__(self, address: Address, prefix: str, *, key: str | None, model: str, vendor: ScriptedServer | None = None) -> None:
        self.address, self.prefix, self.key, self.model, self.vendor = address, prefix, key, model, vendor
        self.server = ""
        self.headers: Mapping[str, str] = NO_HEADERS
        self._marks = 0
        self._kept: dict[str, asyncio.Task[Response]] = {}

    def now(self) -> float:
        """Return the loop's time, in seconds."""
        return asyncio.get_running_loop().time()

    def without_key(self, text: str) -> str:
        """Return a text in which nothing of the key is left, as a server may have put it into its answer, whole or cut."""
        size = KEY_PART_CHARACTERS
        if self.key is None or len(self.key) < size:
            return text
        parts = {self.key[start : start + size] for start in range(len(self.key) - size + 1)}
        shown = [not any(text[max(0, at - back) : max(0, at - back) + size] in parts for back in range(size)) for at in range(len(text))]
        return "".join(sign if seen else "*" for sign, seen in zip(text, shown, strict=True))

    def mark(self) -> str:
        """Return a mark that no other request has."""
        self._marks += 1
        return f"m{self._marks}"

    def prompt(self, scenario: str, mark: str) -> str:
        """Return a text that names a scenario to the vendor that we play; a real model is asked to count."""
        return PROMPT if self.vendor is None else f"scenario:{scenario}#{mark} {PROMPT}"

    def chat(self, scenario: str = "hello", mark: str = "", **fields: object) -> Json:
        """Return a chat request; it is streamed unless `stream=False`."""
        messages = [{"role": "user", "content": self.prompt(scenario, mark or self.mark())}]
        return {"model": self.model, "messages": messages, "stream": True, **fields}

    def request(
        self,
        body: object = None,
        *,
        path: str = CHAT,
        whole_path: str = "",
        method: str = "POST",
        headers: Mapping[str, str] = NO_HEADERS,
        key: str | None = "own",
        raw: bytes | None = None,
    ) -> bytes:
        """Return a request. `body` is written as JSON, `raw` as it is. `path` is below the prefix, `whole_path` is not.

        `key`: another one, or None for none at all.
        """
        data = raw if raw is not None else b"" if body is None else msgspec.json.encode(body)
        secret = self.key if key == "own" else key
        default = 443 if self.address.context else 80
        name = f"[{self.address.host}]" if ":" in self.address.host else self.address.host
        host = name if self.address.port == default else f"{name}:{self.address.port}"
        told = {"host": host, "user-agent": "aisa-check"}
        told |= {"authorization": f"Bearer {secret}"} if secret else {}
        told |= {"content-type": "application/json", "content-length": str(len(data))} if data or method == "POST" else {}
        told |= {**self.headers, **headers}
        lines = [f"{method} {whole_path or self.prefix + path} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items())]
        return "\r\n".join([*lines, "", ""]).encode() + data

    @asynccontextmanager
    async def line(self, request: bytes = b"", *, receive_bytes: int | None = None) -> AsyncGenerator[BareConnection]:
        """Yield a connection on which a request was sent. Raises Broken when there is none."""
        try:
            line = await connect(self.address, receive_bytes=receive_bytes)
        except (OSError, TimeoutError) as error:
            raise Broken(f"no connection: {error}") from error
        try:
            if request:
                await line.send(request)
            yield line
        except NoAnswer as error:
            raise Broken(f"no answer: {error}") from error
        except ConnectionError as error:
            raise Broken(f"the connection broke: {error}") from error
        finally:
            line.close()

    async def ask(self, request: bytes, seconds: float = SECONDS_MAX) -> Response:
        """Return the whole answer to a request on a connection of its own; `seconds` are for its head, and for its body. Raises Broken."""
        async with self.line(request) as line:
            return await line.rest(await line.head(seconds, to_head=request.startswith(b"HEAD ")), seconds)

    async def once(self, name: str, request: Callable[[], bytes]) -> Response:
        """Return the answer to a request that is made once under this name, however many checks ask for it. Raises Broken."""
        if name not in self._kept:
            self._kept[name] = asyncio.get_running_loop().create_task(self.ask(request()))
        return await asyncio.shield(self._kept[name])

    async def streamed(self, scenario: str = "hello", **fields: object) -> Response:
        """Return a streamed chat, asked once for all checks with the same fields. Raises Broken."""
        return await self.once(f"{scenario} {fields}", lambda: self.request({**self.chat(scenario), **fields}))

    async def document(self, scenario: str = "hello", **fields: object) -> Response:
        """Return a chat that is not streamed, asked once. Raises Broken."""
        return await self.streamed(scenario, stream=False, **fields)

    async def played(self, mark: str, seconds: float = SECONDS_MAX) -> Played:
        """Return what the vendor that we play saw of a marked request. Raises Broken when it was never asked."""
        assert self.vendor is not None, "the check needs a vendor"
        until = self.now() + seconds
        while not self.vendor.marked(mark):
            if self.now() >= until:
                raise Broken("the vendor was never asked")
            await asyncio.sleep(WAIT_SECONDS)
        return self.vendor.marked(mark)[-1]


def value_of(response: Response) -> Json:
    """Return the JSON object of a body. Raises Broken."""
    try:
        value = msgspec.json.decode(response.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Broken(f"status {response.status} with {response.kind or 'no type'}: {short(response.body)}")
    return cast("Json", value)


def good(response: Response, door: str = "") -> Response:
    """Return an answer that is a 200. Raises Skipped for a door that is not there, Broken for all else."""
    if door and response.status in ABSENT:
        raise Skipped(f"there is no {door}")
    if response.status != 200:
        raise Broken(f"status {response.status}: {short(response.body)}")
    return response


def short(body: bytes) -> str:
    """Return the beginning of a body, on one line."""
    text = printable(" ".join(body[:160].decode("utf-8", "replace").split()))
    return text + ("…" if len(body) > 160 else "") if text else "an empty body"


def printable(text: str) -> str:
    """Return a text that an endpoint sent as a terminal and XML can bear it: what steers a terminal is no part of it."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
