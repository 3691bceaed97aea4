"""Checks of clients that leave, stop reading, or only stop sending: whether the vendor hears of it, and what is swallowed on the way."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from aisa.checks.chat_stream import first_of
from aisa.checks.client import BODY_BYTES_MAX, WHOLE, BareConnection, NoAnswer, Response
from aisa.checks.events import errors_of, events_of, is_done, text_of, words_of
from aisa.checks.members import at
from aisa.checks.receipts import receipt
from aisa.checks.subject import OURS, Broken, Skipped, Subject, good

TOLD_SECONDS_MAX = 1.0  # until the vendor's request is stopped; promised are 0.1 direct
WAITED_SECONDS_MAX = 4.0  # for that, before it counts as not told; then the figure is not known
BEFORE_LEAVING_SECONDS = 0.5  # so that the request has arrived everywhere
READ_TOKENS = 20  # before a client stops reading
STOPPED_SECONDS = 2.0  # for which it does not: everything on the way fills up
RECEIVE_BYTES = 4_096  # its receive buffer; the kernel makes it twice that
# A proxy that stops reading when its client does still has what its kernel took: Linux starts the receive buffer of its connection to the
# server at 128 KiB (tcp_rmem), and its own buffers come on top; 30 to 170 KB were seen. One that reads on fills buffers that grow with the
# client's path, 0.5 to 7 MB. The bound is twice that first buffer.
SWALLOWED_BYTES_MAX = 262_144
MADE_BYTES_MAX = 2 * SWALLOWED_BYTES_MAX  # without receipts: what lies between vendor and server counts, too
BURST_TOKENS = 40_000


async def stopped(subject: Subject, mark: str, left_at: float) -> str:
    """Return how long after a client left its vendor's request was stopped. Raises Broken."""
    played = await subject.played(mark)
    try:
        async with asyncio.timeout(WAITED_SECONDS_MAX):
            await played.gone.wait()
    except TimeoutError:
        raise Broken(f"the vendor was not told within {WAITED_SECONDS_MAX:.0f} s") from None
    took = max(0.0, played.gone_at - left_at)
    return f"{took * 1000:.0f} ms" if took <= TOLD_SECONDS_MAX else first_of([f"the vendor was told after {took:.1f} s"])


async def leave(subject: Subject, scenario: str, *, tokens: int, rudely: bool = False, stream: bool = True) -> str:
    """Leave after so many tokens, by a FIN or a RST, and return how long it took to stop the vendor."""
    mark = subject.mark()
    async with subject.line(subject.request(subject.chat(scenario, mark, stream=stream))) as line:
        if tokens:
            response = good(await head_of(line, tokens))
            while words_of(response.body) < tokens and not response.ended:
                await line.piece(response)
            if response.ended:
                raise Broken(f"the answer ended {response.ended} before {tokens} tokens had come")
        else:
            await subject.played(mark)
        await asyncio.sleep(BEFORE_LEAVING_SECONDS)
        left_at = subject.now()
        (line.reset if rudely else line.close)()
    return await stopped(subject, mark, left_at)


async def head_of(line: BareConnection, tokens: int) -> Response:
    """Return the head of a stream that says so many tokens. Raises Broken where nothing of it comes."""
    try:
        return await line.head()
    except NoAnswer as nothing:
        raise Broken(f"of {tokens} tokens that were sent none came ({nothing}): something on the way holds them back") from nothing


async def by_reset(subject: Subject) -> str:
    """A client that resets its connection has left."""
    return await leave(subject, "paced", tokens=READ_TOKENS, rudely=True)


async def by_closing(subject: Subject) -> str:
    """A client that closes its connection has left."""
    return await leave(subject, "paced", tokens=READ_TOKENS)


async def while_idle(subject: Subject) -> str:
    """That is noticed while nothing flows, too."""
    return await leave(subject, "stalls", tokens=1)


async def while_thinking(subject: Subject) -> str:
    """And before the first token."""
    return await leave(subject, "silent", tokens=0)


async def awaiting_document(subject: Subject) -> str:
    """And while a document is awaited."""
    return await leave(subject, "silent", tokens=0, stream=False)


async def half_closed(subject: Subject) -> Response:
    """Return what becomes of an answer whose client says in the middle that it sends no more."""
    async with subject.line(subject.request(subject.chat("words"))) as line:
        response = good(await line.head())
        while not words_of(response.body) and not response.ended:
            await line.piece(response)
        line.half_close()
        return await line.rest(response)


async def broken_end(subject: Subject) -> str:
    """An answer that is broken off on the way does not end as a whole one; a half-close makes many proxies break one off."""
    response = await half_closed(subject)
    pretended = response.ended == WHOLE and not is_done(response) and not errors_of(response)
    return first_of([f"it ended as if it were complete, after {words_of(response.body)} of 40 tokens"] if pretended else [])


async def half_close(subject: Subject) -> str:
    """A client that has only finished sending gets its answer."""
    response = await half_closed(subject)
    return first_of([f"the answer ended {response.ended}"] if not is_done(response) else [])


class Unread(NamedTuple):
    """What came of an answer that nobody read to its end: tokens that the client had, that were billed, that the vendor made.

    `token_bytes` is how long the event of one is.
    """

    had: int
    billed: int | None
    made: int
    token_bytes: float


async def unread(subject: Subject) -> Unread:
    """Stop reading a burst, wait, count what this machine has, and reset. Raises Broken, Skipped."""
    mark = subject.mark()
    request = subject.request(subject.chat("burst", mark))
    async with subject.line(request, receive_bytes=RECEIVE_BYTES) as line:
        response = good(await line.head())
        while words_of(response.body) < READ_TOKENS and not response.ended:
            await line.piece(response)
        if response.ended:
            raise Skipped("the answer ended at once")
        await asyncio.sleep(STOPPED_SECONDS)
        token_bytes = len(response.body) / words_of(response.body)
        had = had_of(line, response.body, token_bytes)
        line.reset()
    id_ = response.headers.get("x-request-id", "")
    told = await receipt(subject, id_) if id_.startswith(OURS) else None
    delivered = at(told, "delivered", "output_tokens")
    await asyncio.sleep(0 if told else BEFORE_LEAVING_SECONDS)
    return Unread(had, delivered, (await subject.played(mark)).tokens, token_bytes)


def had_of(line: BareConnection, body: bytes, token_bytes: float) -> int:
    """Return how many tokens a client has: read, and waiting in its kernel. TLS hides how many wait, and not how many bytes."""
    waiting = line.waiting()
    return words_of(body) + (int(len(waiting) / token_bytes) if line.is_encrypted else words_of(waiting))


async def swallowed(subject: Subject) -> str:
    """Who stops reading pays for what he has, not for what lies in buffers on the way."""
    seen = await unread(subject)
    if seen.billed is None:
        counted, limit, word = seen.made, MADE_BYTES_MAX, "made"
    else:
        counted, limit, word = seen.billed, SWALLOWED_BYTES_MAX, "billed"
    over = max(0, counted - seen.had)
    size = over * seen.token_bytes
    figure = f"{over:,} tokens ({size / 1024:,.0f} KiB) swallowed on the way ({seen.had} had, {counted:,} {word})"
    return figure if size <= limit else first_of([figure])


async def throttled(subject: Subject) -> str:
    """While the client does not read, the vendor is slowed down."""
    seen = await unread(subject)
    figure = f"{seen.made:,} tokens made while {seen.had} were taken"
    return figure if seen.made < BURST_TOKENS // 2 else first_of([figure])


async def slow_reader(subject: Subject) -> str:
    """A client that stops for a while loses nothing."""
    async with subject.line(subject.request(subject.chat("burst")), receive_bytes=RECEIVE_BYTES * 16) as line:
        response = good(await line.head())
        await asyncio.sleep(STOPPED_SECONDS)
        await line.rest(response, SLOW_READ_SECONDS_MAX)
    tokens = words_of(text_of(response).encode()) if len(response.body) < BODY_BYTES_MAX else -1
    return first_of([f"{tokens:,} of {BURST_TOKENS:,} tokens came"] if tokens != BURST_TOKENS or not events_of(response) else [])


SLOW_READ_SECONDS_MAX = 60.0  # for eleven megabytes
