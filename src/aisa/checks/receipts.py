"""Checks of what only this project's server promises: receipts, settlement before the end, repeats with a key that are billed once."""

from __future__ import annotations

import asyncio
from typing import Any

from aisa.checks.chat_stream import first_of
from aisa.checks.client import Response
from aisa.checks.events import chunks_of
from aisa.checks.members import at
from aisa.checks.subject import OURS, Broken, Skipped, Subject, good, value_of

Json = dict[str, Any]
RECEIPT = "/v1/usage/calls/"
RECEIPT_LOOKS_MAX = 50  # until a call's delivery is known
RECEIPT_SECONDS = 0.1  # between them
ENDED = "running"


async def receipt(subject: Subject, id_: str) -> Json | None:
    """Return the receipt of a call that has ended; None where there are none."""
    for _ in range(RECEIPT_LOOKS_MAX):
        response = await subject.ask(subject.request(method="GET", path=f"{RECEIPT}{id_}"))
        if response.status not in (200, 404):
            return None
        if response.status == 200 and (told := value_of(response)).get("outcome") not in (None, ENDED):
            return told
        await asyncio.sleep(RECEIPT_SECONDS)
    return None


async def own_id(subject: Subject) -> str:
    """Return the id of a call that ended. Raises Skipped for another's server."""
    response = await subject.streamed(stream_options={"include_usage": True})
    id_ = response.headers.get("x-request-id", "")
    if not id_.startswith(OURS):
        raise Skipped("this is no server of ours, by its x-request-id")
    good(response)
    return id_


async def there(subject: Subject) -> str:
    """A call has a receipt, with what it cost."""
    told = await receipt(subject, await own_id(subject))
    return first_of(["there is none"] if told is None else [] if at(told, "billed", "cost_nanos") is not None else ["it has no cost"])


async def agrees(subject: Subject) -> str:
    """The receipt says what the stream's usage said."""
    told = await receipt(subject, await own_id(subject)) or {}
    used = [chunk["usage"] for chunk in chunks_of(await subject.streamed(stream_options={"include_usage": True})) if chunk.get("usage")]
    counts = [at(told, "billed", "output_tokens"), at(used, -1, "completion_tokens")]
    return first_of([f"{counts[0]} tokens billed, {counts[1]} in usage"] if counts[0] != counts[1] else [])


async def settled_first(subject: Subject) -> str:
    """The bill is closed before the client can see the end."""
    await own_id(subject)
    response = good(await subject.ask(subject.request(subject.chat())))
    seen = await subject.ask(subject.request(method="GET", path=f"{RECEIPT}{response.headers.get('x-request-id', '')}"))
    state = value_of(seen).get("outcome") if seen.status == 200 else f"status {seen.status}"
    return first_of([f"right after [DONE] the receipt says {state}"] if state != "completed" else [])


async def not_others(subject: Subject) -> str:
    """Nobody sees a receipt without the key that made the call."""
    response = await subject.ask(subject.request(method="GET", path=f"{RECEIPT}{await own_id(subject)}", key=None))
    return first_of([f"status {response.status} without a key"] if response.status != 401 else [])


async def repeated(subject: Subject, request: bytes) -> Response:
    """Return the answer to a repeat once the first's bill is final: a proxy may have passed an answer on that it has not acknowledged."""
    for _ in range(RECEIPT_LOOKS_MAX):
        response = await subject.ask(request)
        if response.status != 409 or at(value_of(response), "error", "code") != "request_in_progress":
            return response
        await asyncio.sleep(RECEIPT_SECONDS)
    raise Broken("the first call's bill does not become final")


async def billed_once(subject: Subject) -> str:
    """A repeat with the same Idempotency-Key is the same answer, and asks no vendor again."""
    await own_id(subject)
    mark, headers = subject.mark(), {"idempotency-key": f"aisa-check-{subject.now()}"}
    request = subject.request(subject.chat("hello", mark, stream=False), headers=headers)
    first, second = value_of(good(await subject.ask(request))), value_of(good(await repeated(subject, request)))
    asked = 1 if subject.vendor is None else len(subject.vendor.marked(mark))
    if asked > 1:
        raise Broken(f"the vendor was asked {asked} times")
    return first_of(["two answers"] if first != second else [])
