"""Asks each vendor what calls need of it: can it be reached, does it take our key, has it our models. Orders no answer, so it is free.

The key is proved by a call without messages: who refuses the key says so before looking at the call, and who takes it refuses the call.
"""

from __future__ import annotations

import asyncio
import difflib
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import NamedTuple

import msgspec

from aisa.config.problem import Problem
from aisa.config.schema import Config, Model, Target, Vendor
from aisa.credentials.rules import keys_of
from aisa.errors import UpstreamFailed
from aisa.facts import Fact
from aisa.http.names import Names
from aisa.http.pool import HttpUpstream
from aisa.providers.listed_models import models_request, read_models
from aisa.providers.port import UpstreamRequest
from aisa.providers.shape import Target as Place
from aisa.vendor_pool import open_pool
from aisa.vendor_targets import vendor_target

VENDORS_AT_ONCE_MAX = 8  # so that some that cannot be reached do not make the others wait, and no network is flooded
ANSWER_SECONDS_MAX = 15.0  # for each question, connecting included; lists of models come in one or two
BODY_BYTES_MAX = 4_194_304  # of a list: the longest real ones have half a megabyte
WORDS_BYTES_MAX = 4_096  # of a refusal
NO_SUCH_MODEL = re.compile(
    r"model.{0,200}(not found|not exist|unknown|invalid|not supported|no such)|(unknown|invalid|no such) model", re.IGNORECASE | re.DOTALL
)


class Finding(NamedTuple):
    """What one vendor answered: `good` in a few words, and what would keep calls from working."""

    vendor: str
    good: tuple[str, ...]
    problems: tuple[Problem, ...]


class Heard(NamedTuple):
    """One answer."""

    status: int
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
            return await _Vendor(config, name, upstream).look()
        finally:
            await upstream.close()


def quiet(_fact: Fact) -> None:
    """Report nothing: what fails is found by its answer."""


def proves_itself(vendor: Vendor) -> bool:
    """Say whether a vendor gets anything that could prove our requests."""
    return bool(keys_of(vendor) or vendor.headers or vendor.google_credentials or vendor.azure_credentials or vendor.aws_credentials)


class _Vendor:
    """One vendor while it is asked."""

    def __init__(self, config: Config, name: str, upstream: HttpUpstream) -> None:
        self._setting = f"vendors.{name}"
        self._name = name
        self._has_key = proves_itself(config.vendors[name])
        self._target: Place = vendor_target(name, config)
        self._upstream = upstream
        self._wanted = list(dict.fromkeys(configured_models(config, name)))
        self._good: list[str] = []
        self._problems: list[Problem] = []

    async def look(self) -> Finding:
        """Ask for the list, then with a call that cannot be answered, then for each model that the list has not."""
        try:
            listed = await self._hear(models_request(self._target.dialect, self._target.headers))
            self._good.append("reachable")
            refusal = await self._hear(self._call({}))
            if self._is_let_in(listed, refusal):
                await self._look_for_models(listed)
        except UpstreamFailed as failure:
            self._add(
                "base_url",
                f"It cannot be asked: {failure.detail or failure.error.message}",
                "Check address, network and proxy.",
            )
        except TimeoutError:
            self._add("base_url", f"It gave no answer within {ANSWER_SECONDS_MAX:g} s.", "Ask its operator, or check the address.")
        return Finding(self._name, tuple(self._good), tuple(self._problems))

    def _is_let_in(self, listed: Heard, refusal: Heard) -> bool:
        if refusal.status in (401, 403):
            if self._has_key:
                self._add("api_key", f"It refuses the key (status {refusal.status}).", "Copy the key again, or make a new one.")
            else:
                self._add("api_key", f"It wants a key (status {refusal.status}), and none is set.", "Set api_key: ${VARIABLE}.")
            return False
        if refusal.status in (404, 405) and listed.status != 200:
            what = f"Neither the list of models nor chat completions are there (status {refusal.status})."
            self._add("base_url", what, "Most vendors' addresses end in /v1 or the like; write all up to and without /chat/completions.")
            return False
        if refusal.status in (402, 429):
            self._add("api_key", f"It takes no calls now (status {refusal.status}).", "Look at the account's credit and limits there.")
            return False
        if refusal.status >= 500:
            self._add("base_url", f"It fails (status {refusal.status}).", "Try again later, or ask its operator.")
            return False
        self._good.append("key accepted" if self._has_key else "needs no key")
        return True

    async def _look_for_models(self, listed: Heard) -> None:
        names = read_models(listed.body) if listed.status == 200 else None
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
        refusal = await self._hear(self._call({"model": model, "messages": []}))
        return refusal.status != 404 and NO_SUCH_MODEL.search(refusal.body[:WORDS_BYTES_MAX].decode("utf-8", "replace")) is None

    def _call(self, body: dict[str, object]) -> UpstreamRequest:
        headers = (("content-type", "application/json"), ("accept", "application/json"), *self._target.headers)
        return UpstreamRequest(path="/chat/completions", headers=headers, body=msgspec.json.encode(body))

    async def _hear(self, request: UpstreamRequest) -> Heard:
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            answer = await self._upstream.ask(request)
            try:
                body = b""
                while len(body) < BODY_BYTES_MAX and (data := await answer.read()):
                    body += data
                return Heard(answer.status, body)
            finally:
                answer.close()

    def _add(self, setting: str, what: str, remedy: str) -> None:
        self._problems.append(Problem(f"{self._setting}.{setting}", what, remedy))


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
