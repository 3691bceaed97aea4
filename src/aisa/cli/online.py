"""Asks each vendor what calls need of it: can it be reached, does it take our key, has it our models. Orders no answer, so it is free.

The key is proved by a call of the vendor's own dialect without messages: who refuses the key says so before looking at the call, and who
takes it refuses the call. What a refusal means is judged as it is for calls.
"""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import NamedTuple

import msgspec

from aisa.cli.unreached import unreached
from aisa.config.problem import Problem
from aisa.config.schema import Config, Model, Target, Vendor
from aisa.credentials.rules import keys_of
from aisa.errors import UpstreamFailed
from aisa.facts import Fact
from aisa.http.names import Names
from aisa.http.pool import HttpUpstream
from aisa.providers.blame import verdict_on
from aisa.providers.blame_table import OUR_CREDIT, OUR_KEY, UNKNOWN_NAME, Verdict
from aisa.providers.listed_models import Listing
from aisa.providers.port import UpstreamRequest
from aisa.providers.report import read_refusal
from aisa.providers.shape import Target as Place
from aisa.providers.tasks import DIALECTS
from aisa.vendor_pool import open_pool
from aisa.vendor_targets import has_list, vendor_target
from aisa.vendors.table import row_of
from aisa.wire.chat import parse_chat

VENDORS_AT_ONCE_MAX = 8  # so that some that cannot be reached do not make the others wait, and no network is flooded
ANSWER_SECONDS_MAX = 15.0  # for each question, connecting included; lists of models come in one or two
BODY_BYTES_MAX = 4_194_304  # of a list: the longest real ones have half a megabyte
WORDS_BYTES_MAX = 4_096  # of a refusal
NO_MODEL = "no-such-model"  # is asked for where a model stands in the path and none is configured
CONVERSATION = frozenset({"messages", "input", "contents"})  # the members in which the dialects have what is to be answered


class Finding(NamedTuple):
    """What one vendor answered: `good` in a few words, and what would keep calls from working."""

    vendor: str
    good: tuple[str, ...]
    problems: tuple[Problem, ...]


class Heard(NamedTuple):
    """One answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def ask_vendors(config: Config, environment: Mapping[str, str]) -> AsyncIterator[Finding]:
    """Yield what is found out about each vendor, in the configuration's order."""
    names = Names()
    places = asyncio.Semaphore(VENDORS_AT_ONCE_MAX)
    asked = [asyncio.create_task(_ask_vendor(config, name, environment, names=names, places=places)) for name in config.vendors]
    try:
        for task in asked:
            yield await task
    finally:
        for task in asked:
            task.cancel()


async def _ask_vendor(config: Config, name: str, environment: Mapping[str, str], *, names: Names, places: asyncio.Semaphore) -> Finding:
    async with places:
        upstream = open_pool(name, config.vendors[name], names=names, report=quiet, environment=environment)
        try:
            return await _Vendor(config, name, upstream, environment=environment).look()
        finally:
            await upstream.close()


def quiet(_fact: Fact) -> None:
    """Report nothing: what fails is found by its answer."""


def variables_of(vendor: Vendor, environment: Mapping[str, str]) -> list[str]:
    """Return the variables whose values a vendor's keys are: what a refused one came from."""
    keys = set(keys_of(vendor))
    return [name for name, value in environment.items() if value.strip() in keys]


def proves_itself(vendor: Vendor) -> bool:
    """Say whether a vendor gets anything that could prove our requests."""
    return bool(keys_of(vendor) or vendor.headers or vendor.google_credentials or vendor.azure_credentials or vendor.aws_credentials)


class _Vendor:
    """One vendor while it is asked."""

    def __init__(self, config: Config, name: str, upstream: HttpUpstream, *, environment: Mapping[str, str]) -> None:
        vendor = config.vendors[name]
        self._setting = f"vendors.{name}"
        self._name = name
        self._row = row_of(name, vendor.base_url, vendor.preset)
        self._has_key = proves_itself(vendor)
        variables = variables_of(vendor, environment)
        self._source = (
            f" (it is what {' and '.join(variables)} in the environment {'says' if len(variables) == 1 else 'say'})" if variables else ""
        )
        self._has_list = has_list(name, vendor)
        self._target: Place = msgspec.structs.replace(vendor_target(name, config), named_by_caller=True)
        self._upstream = upstream
        self._wanted = list(dict.fromkeys(configured_models(config, name)))
        self._good: list[str] = []
        self._problems: list[Problem] = []

    async def look(self) -> Finding:
        """Ask for the list, then with a call that cannot be answered, then for each model that the list has not."""
        try:
            names = await self._list() if self._has_list else None
            refusal = await self._hear(self._key_question())
            self._good.append("reachable")
            if self._is_let_in(refusal, listed=names is not None):
                await self._look_for_models(names)
        except UpstreamFailed as failure:
            self._add("base_url", *unreached(failure.detail or failure.error.message))
        except TimeoutError:
            self._add("base_url", f"It gave no answer within {ANSWER_SECONDS_MAX:g} s.", "Ask its operator, or check the address.")
        return Finding(self._name, tuple(self._good), tuple(self._problems))

    async def _list(self) -> list[str] | None:
        listing = Listing(self._target.dialect, self._target.headers)
        while (request := listing.request) is not None:
            listed = await self._hear(request)
            listing.take(listed.status, listed.body)
        return listing.names

    def _key_question(self) -> UpstreamRequest:
        """Return the dialect's own call with nothing in it, or, where a model is in its path, without a conversation."""
        request = empty_call(self._place(NO_MODEL))
        if NO_MODEL not in request.path:
            return msgspec.structs.replace(request, body=b"{}")
        return empty_call(self._place(self._wanted[0])) if self._wanted else request

    def _is_let_in(self, refusal: Heard, *, listed: bool) -> bool:
        status, verdict = refusal.status, self._verdict(refusal, self._wanted[0] if self._wanted else NO_MODEL)
        if verdict is OUR_CREDIT or status in (402, 429):
            self._add("api_key", f"It takes no calls now (status {status}).", "Look at the account's credit and limits there.")
        elif verdict is OUR_KEY:
            if self._has_key:
                other = "".join(
                    f" A key of another region wants base_url: {place}." for place in (self._row.elsewhere if self._row else ())
                )
                self._add(
                    "api_key", f"It refuses the key (status {status}).", f"Copy the key again, or make a new one{self._source}.{other}"
                )
            else:
                variable = self._row.key_variables[0] if self._row and self._row.key_variables else "VARIABLE"
                self._add("api_key", f"It wants a key (status {status}), and none is set.", f"Set api_key: ${{{variable}}}.")
        elif status in (404, 405) and not listed and not says_model(refusal):
            what = f"Neither a list of models nor {self._key_question().path} is there (status {status})."
            self._add("base_url", what, "Most vendors' addresses end in /v1 or the like; write all up to and without what calls add.")
        elif status >= 500:
            self._add("base_url", f"It fails (status {status}).", "Try again later, or ask its operator.")
        else:
            self._good.append("key accepted" if self._has_key else "needs no key")
            return True
        return False

    async def _look_for_models(self, names: list[str] | None) -> None:
        self._good.append("no list of models" if names is None else f"{len(names)} models")
        found = 0
        for model in self._wanted:
            if model in (names or ()) or await self._is_known(model):
                found += 1
                continue
            near = difflib.get_close_matches(model, names or (), 1)
            remedy = f"Did you mean {self._name}/{near[0]}?" if near else "See the vendor's list of models."
            self._problems.append(Problem("models", f"{self._name} has no model `{model}`.", remedy))
        if self._wanted:
            self._good.append(f"{found} of the {len(self._wanted)} configured there")

    async def _is_known(self, model: str) -> bool:
        """Lists leave out deployments and other names for a model, so ask by the name: who has it complains of the missing messages."""
        refusal = await self._hear(empty_call(self._place(model)))
        return self._verdict(refusal, model) is not UNKNOWN_NAME

    def _place(self, model: str) -> Place:
        return msgspec.structs.replace(self._target, model=model)

    def _verdict(self, refusal: Heard, model: str) -> Verdict:
        return verdict_on(read_refusal(refusal.status, refusal.headers, refusal.body[:WORDS_BYTES_MAX], now=0), self._place(model))

    async def _hear(self, request: UpstreamRequest) -> Heard:
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            answer = await self._upstream.ask(request)
            try:
                body = b""
                while len(body) < BODY_BYTES_MAX and (data := await answer.read()):
                    body += data
                return Heard(answer.status, answer.headers, body)
            finally:
                answer.close()

    def _add(self, setting: str, what: str, remedy: str) -> None:
        self._problems.append(Problem(f"{self._setting}.{setting}", what, remedy))


def empty_call(place: Place) -> UpstreamRequest:
    """Return a call as its dialect writes it, to a model at a vendor, without a conversation: nobody can answer it.

    Raises UpstreamFailed for a name that cannot be a model's.
    """
    call = {"model": place.model, "messages": [{"role": "user", "content": "?"}], "max_tokens": 16}
    written = DIALECTS[place.dialect].to_upstream(parse_chat(msgspec.json.encode(call)), place)
    members = msgspec.json.decode(written.body, type=dict[str, msgspec.Raw])
    return msgspec.structs.replace(
        written, body=msgspec.json.encode({name: [] if name in CONVERSATION else value for name, value in members.items()})
    )


def says_model(refusal: Heard) -> bool:
    """Tell whether a refusal speaks of a model, and so not of the address."""
    return b"model" in refusal.body[:WORDS_BYTES_MAX].lower() or b"deployment" in refusal.body[:WORDS_BYTES_MAX].lower()


def configured_models(config: Config, vendor: str) -> Iterator[str]:
    """Yield the names at a vendor that models of the configuration are served by."""
    for model in config.models.values():
        for entry in model.to if isinstance(model, Model) else model:
            name, _, there = (entry.target if isinstance(entry, Target) else entry).partition("/")
            if name == vendor:
                yield there


def each_finding(config: Config, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what `ask_vendors` does, as it comes, to a caller without an event loop."""
    with asyncio.Runner() as runner:
        findings = ask_vendors(config, environment)

        async def next_finding() -> Finding | None:
            return await anext(findings, None)

        while (finding := runner.run(next_finding())) is not None:
            yield finding
