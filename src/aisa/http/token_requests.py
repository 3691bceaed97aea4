"""Asks token services over the same client as vendors, by the same proxies. Knows no service, and keeps no connection."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from aisa.config.schema import Vendor
from aisa.credentials.port import Question, Reply, Send
from aisa.http.failures import unreachable
from aisa.http.names import Names
from aisa.http.pool import HttpUpstream
from aisa.providers.port import UpstreamRequest
from aisa.timers import Timers

REPLY_BYTES_MAX = 65_536  # a token has some 2,000; more is no answer of such a service
FORM = ("content-type", "application/x-www-form-urlencoded")


def token_sender(environment: Mapping[str, str], *, names: Names | None = None, timers: Timers | None = None) -> Send:
    """Return what sends a question to its token service. `environment` names proxies, as for vendors."""

    async def send(question: Question) -> Reply:
        url = urlsplit(question.url)
        where = f"token service at {url.hostname}"
        try:
            upstream = HttpUpstream(where, Vendor(base_url=f"{url.scheme}://{url.netloc}"), environment, names=names, timers=timers)
        except ValueError as error:
            raise unreachable(where, str(error)) from None
        posted = question.form is not None
        headers = (("accept", "application/json"), *((FORM,) if posted else ()), *question.headers)
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        try:
            answer = await upstream.ask(UpstreamRequest(path, headers, question.body, method="POST" if posted else "GET"))
            body = b""
            while len(body) < REPLY_BYTES_MAX and (data := await answer.read()):
                body += data
            return Reply(answer.status, body)
        finally:
            await upstream.close()

    return send
