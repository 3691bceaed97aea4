"""Repeats of a request with the same `Idempotency-Key`: run once, billed once, answered again. Stores nothing on disk and makes no bill.

A key counts for 24 hours and for the API key that sent it. What is kept of it is a digest, see `digest_of`. A call is "running" until the
ledger calls its row final: an answer that could be replayed before its delivery is known would be free for whoever resets the connection.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from functools import partial
from hashlib import sha256
from typing import Protocol

import msgspec

from aisa.call import Call
from aisa.clock import WallClock
from aisa.context import Dependencies
from aisa.errors import ApiError
from aisa.facts import Replayed
from aisa.ledger.row import CallRow
from aisa.ledger.rules import COMPLETED
from aisa.relay import relay
from aisa.wire.port import Client, HeaderList

HEADER = "idempotency-key"
GIVEN_CHARACTERS_MAX = 255  # as many as others take who offer this header
REMEMBERED_SECONDS_MAX = 86_400.0  # after the call's end; programs that try again for longer than a day know their calls themselves
REMEMBERED_KEYS_MAX = 1_000_000  # some 390 MiB when full, which takes 11 calls with a key in every second of a day
FORGOTTEN_AT_ONCE_KEYS_MAX = 100  # by one call, so that no call waits for a day's worth; each adds one key at most
ANSWER_BYTES_MAX = 1 << 20  # of one answer; a chat answer has a few KB, one with audio or many choices may be too large to keep
ANSWERS_BYTES_MAX = 64 << 20  # of all answers: what the rest of an idle server takes
ANSWER_EXTRA_BYTES = 512  # the objects around a body, so that very many small answers are counted too
HASH_INLINE_BYTES_MAX = 262_144  # 0.25 ms; larger bodies are hashed in a thread, so that other streams' tokens do not wait for them

STREAMED = "a stream cannot be replayed"
NOT_KEPT = "its answer is not kept any more"


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A good answer that is no stream, as it was sent by the call `call_id`."""

    call_id: str
    content_type: str
    body: bytes


class Use(msgspec.Struct, frozen=True, gc=False):
    """What a key was used for: which call, with which body (its digest). `until` is UNIX seconds, `why_not` why it cannot be replayed."""

    call_id: str
    body: str
    until: float = 0.0
    why_not: str = NOT_KEPT


class Uses(Protocol):
    """The keys that were used, wherever they are kept."""

    async def claim(self, mark: str, call_id: str) -> Answer | None:
        """Do what `IdempotencyStore.begin` does. Raises ApiError."""
        ...

    def keep(self, call_id: str, content_type: str, body: bytes) -> None:
        """Keep what a running call answers."""
        ...

    def forget(self, mark: str, call_id: str) -> None:
        """Forget a call that was refused before it was opened in the ledger."""
        ...


class IdempotencyStore:
    """The keys that were used; implements `Uses`. And the answers that can be given again. Belongs to the event loop; memory only.

    What is too old is forgotten when the next request with a key comes.
    """

    def __init__(self, wall_clock: WallClock, *, keys_max: int = REMEMBERED_KEYS_MAX, answers_bytes_max: int = ANSWERS_BYTES_MAX) -> None:
        self._wall_clock = wall_clock
        self._keys_max = keys_max
        self._answers_bytes_max = answers_bytes_max
        self._running: dict[str, Use] = {}  # bounded by the calls in flight
        # In the order of their ends. A dict would look for its first item among all the places that were left before it.
        self._ended: OrderedDict[str, Use] = OrderedDict()
        self._answers: OrderedDict[str, Answer] = OrderedDict()  # by call id, also of calls that are still running
        self._answers_bytes = 0

    def begin(self, mark: str, call_id: str) -> Answer | None:
        """Return the answer to send again; None if the call is the first with its mark (see `digest_of`) and must run.

        Raises ApiError idempotency_conflict, request_in_progress, request_already_completed.
        """
        now = self._wall_clock()
        self._forget_old(now)
        key, _, body = mark.partition(":")
        running = self._running.get(key)
        use = running or self._ended.get(key)
        if use is None or (running is None and use.until <= now):
            self._running[key] = Use(call_id, body)
            return None
        first = use.call_id
        if use.body != body:
            raise conflict(first)
        if running is not None:
            raise is_running(first)
        answer = self._answers.get(first)
        if answer is None:
            raise was_completed(first, use.why_not)
        return answer

    def answer(self, call_id: str) -> Answer | None:
        """Return what is kept of a call's answer."""
        return self._answers.get(call_id)

    async def claim(self, mark: str, call_id: str) -> Answer | None:
        """Do what `begin` does, at once."""
        return self.begin(mark, call_id)

    def keep(self, call_id: str, content_type: str, body: bytes) -> None:
        """Keep what a running call answers. Unless it is too large; older ones go where it needs the room."""
        answer = Answer(call_id, content_type, body)
        size = size_of(answer)
        if size <= ANSWER_BYTES_MAX:
            self._answers[call_id] = answer
            self._answers_bytes += size
            while self._answers_bytes > self._answers_bytes_max:
                self._drop(next(iter(self._answers)))

    def final(self, row: CallRow) -> None:
        """Take the final row of a call. What was billed is remembered, what cost nothing may be tried again.

        Rows of calls without an Idempotency-Key are ignored.
        """
        if row.idempotency is None:
            return
        key, _, body = row.idempotency.partition(":")
        running = self._running.get(key)
        if running is not None and running.call_id != row.id:
            return  # it was forgotten before, and the key belongs to a later call
        self._running.pop(key, None)
        if is_billed(row):
            self._remember(key, Use(row.id, body, row.ended_ms / 1000 + REMEMBERED_SECONDS_MAX, STREAMED if row.stream else NOT_KEPT))
        else:
            self._drop(row.id)

    def forget(self, mark: str, call_id: str) -> None:
        """Forget a call that was refused before it was opened in the ledger: no row will come of it."""
        key = mark.partition(":")[0]
        running = self._running.get(key)
        if running is not None and running.call_id == call_id:
            del self._running[key]

    async def leave(self) -> None:
        """End: nobody else is told."""

    def remember(self, uses: Iterable[tuple[str, str, float]]) -> None:
        """Take (mark, call id, UNIX seconds of its end) of billed calls (see `is_billed`) from before a restart, the oldest first."""
        for mark, call_id, ended in uses:
            key, _, body = mark.partition(":")
            self._remember(key, Use(call_id, body, ended + REMEMBERED_SECONDS_MAX))

    def _remember(self, key: str, use: Use) -> None:
        old = self._ended.pop(key, None)
        if old is not None and old.call_id != use.call_id:
            self._drop(old.call_id)
        self._ended[key] = use
        if len(self._ended) > self._keys_max:
            self._drop(self._ended.popitem(last=False)[1].call_id)

    def _forget_old(self, now: float) -> None:
        for _ in range(FORGOTTEN_AT_ONCE_KEYS_MAX):
            key = next(iter(self._ended), None)
            if key is None or self._ended[key].until > now:
                break
            self._drop(self._ended.pop(key).call_id)

    def _drop(self, call_id: str) -> None:
        answer = self._answers.pop(call_id, None)
        if answer is not None:
            self._answers_bytes -= size_of(answer)


def conflict(first: str) -> ApiError:
    """Return the refusal of a key that was used for another request."""
    said = f"This Idempotency-Key was used for another request, {first}. Use a new one for each new request."
    return ApiError("idempotency_conflict", said, should_retry=False)


def is_running(first: str) -> ApiError:
    """Return the refusal of a repeat whose first call has not ended."""
    said = f"The first request with this Idempotency-Key, {first}, is running, or its bill is not final yet. Ask again."
    return ApiError("request_in_progress", said, retry_after=1)


def was_completed(first: str, why_not: str) -> ApiError:
    """Return the refusal of a repeat that cannot be answered again."""
    said = (
        f"The first request with this Idempotency-Key, {first}, was answered and billed, but {why_not}. Its receipt is at "
        f"GET /v1/usage/calls/{first}. Use a new Idempotency-Key to ask anew."
    )
    return ApiError("request_already_completed", said, should_retry=False)


def size_of(answer: Answer) -> int:
    """Return the bytes that an answer counts for."""
    return len(answer.body) + ANSWER_EXTRA_BYTES


def is_billed(row: CallRow) -> bool:
    """Say whether a call must not run again: it was completed, or charged for what arrived of it (if only at a price of nothing)."""
    return row.outcome == COMPLETED or row.billed.input_tokens + row.billed.output_tokens > 0


async def mark_of(call: Call, given: str) -> str:
    """Return what is kept of a key and a request, as `digest_of` does."""
    asked = call.key.id, given, call.door.outside_body
    in_thread = len(call.body) > HASH_INLINE_BYTES_MAX
    return await asyncio.to_thread(digest_of, *asked, body=call.body) if in_thread else digest_of(*asked, body=call.body)


def digest_of(key_id: str, given: str, outside_body: str, *, body: bytes) -> str:
    """Return 32 hexadecimal digits that stand for a key, a colon, and 16 that stand for a request.

    The first are of SHA-256 over the API key's id and the Idempotency-Key, a line end after each; the others of the same bytes followed by
    what the request says outside of its body, if anything, and the body, so that nobody can recognise a body in the database without the
    key that came with it.
    """
    digest = sha256(f"{key_id}\n{given}\n".encode())
    key = digest.hexdigest()[:32]
    digest.update(outside_body.encode())
    digest.update(body)
    return f"{key}:{digest.hexdigest()[:16]}"


def check_given(given: str) -> None:
    """Raise ApiError invalid_request unless the header's value can be an Idempotency-Key."""
    if not (0 < len(given) <= GIVEN_CHARACTERS_MAX and given.isascii() and given.isprintable()):
        raise ApiError("invalid_request", f"The header Idempotency-Key must have 1 to {GIVEN_CHARACTERS_MAX} printable ASCII characters.")


async def relay_idempotent(call: Call, given: str, client: Client, *, dependencies: Dependencies, idempotency: Uses) -> None:
    """Carry a call with an Idempotency-Key to its end, as `relay` does, or give it the answer that the first one got.

    Raises ApiError when the call is refused before anything was opened.
    """
    key = call.key
    check_given(given)
    mark = await mark_of(call, given)
    answer = await idempotency.claim(mark, call.id)
    if answer is not None:
        replay(answer, call, client, limits=dependencies.admission.headers(key))
        dependencies.report(Replayed(call.id, answer.call_id, key.id, key.label, len(answer.body), call.client_request_id))
        return
    call.idempotency, call.keep = mark, partial(idempotency.keep, call.id)
    try:
        await relay(call, client, dependencies)
    finally:
        if not call.opened:
            idempotency.forget(mark, call.id)


def replay(answer: Answer, call: Call, client: Client, *, limits: HeaderList) -> None:
    """Send an answer again, under the id of the call that was billed for it. `limits` are the headers on the limits of its key."""
    headers = [(name, value) for name, value in call.headers + limits if name != "x-request-id"]
    ours = [("content-type", answer.content_type), ("x-request-id", answer.call_id), ("idempotent-replayed", "true")]
    client.start(200, ours + headers, len(answer.body))
    client.write(answer.body)
    client.end()
