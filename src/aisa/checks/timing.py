"""Checks of time: when events arrive, what a silence survives, what ends it. Most need the vendor to be played."""

from __future__ import annotations

from itertools import pairwise
from statistics import median

from aisa.checks.chat_stream import first_of
from aisa.checks.client import NO_MORE, Response
from aisa.checks.events import deltas_of, errors_of, events_of, is_done, text_of, words_of
from aisa.checks.members import at
from aisa.checks.subject import Broken, Skipped, Subject, good, short, value_of

DELAY_SECONDS_MAX = 0.05  # of an event at the median: HAProxy adds 0.1 to 0.2 by default; a network adds less, as it is the same for all
PARTS = 3  # of a stream, the last of which is looked at alone
QUIET_SECONDS_MAX = 20.0  # without any byte: the shortest limits of load balancers are 30 and 60
HEAD_SECONDS_MAX = 20.0  # until a stream's head is there though its model thinks
IDLE_SECONDS_MAX = 90.0  # until a stream whose vendor has stalled is ended; the contract's are 60
LONG_SECONDS_MAX = 150.0  # for what takes 75
IDLE_BEFORE_REUSE_SECONDS = 10.0  # of a connection between two calls


async def paced(subject: Subject) -> tuple[Response, list[float]]:
    """Return a stream of a token each 50 ms, and how late each came. Raises Broken if some are lost, Skipped if they are put together."""
    mark = subject.mark()
    response = good(await subject.ask(subject.request(subject.chat("words", mark))))
    times = (await subject.played(mark)).times
    came = [event.at for event in events_of(response) if at(event.value, "choices", 0, "delta", "content")]
    if (words := words_of(text_of(response).encode())) != len(times):
        raise Broken(f"{words} of {len(times)} tokens came")
    if len(came) != len(times):
        raise Skipped(f"{len(times)} tokens were sent and {len(came)} came: they were put together anew")
    return response, [arrived - sent for arrived, sent in zip(came, times, strict=True)]


async def delivered_at_once(subject: Subject) -> str:
    """An event leaves when it is there, and does not wait for others."""
    _, late = await paced(subject)
    figure = f"{median(late) * 1000:.0f} ms late at the median, {max(late) * 1000:.0f} ms at most"
    tail = median(late[-len(late) // PARTS :])  # what fills a buffer first and waits for its end is late there alone
    return figure if max(median(late), tail) <= DELAY_SECONDS_MAX else first_of([f"{figure}, {tail * 1000:.0f} ms in the last third"])


async def first_token(subject: Subject) -> str:
    """The first token is not held for the second."""
    _, late = await paced(subject)
    figure = f"{late[0] * 1000:.0f} ms late"
    return figure if late[0] <= 3 * DELAY_SECONDS_MAX else first_of([figure])


async def one_by_one(subject: Subject) -> str:
    """Of a real model's answer events come one by one: there are as many arrivals as the time between them allows."""
    response = good(await subject.streamed())
    arrivals = len({at for at, _ in response.pieces})
    tokens = len([delta for delta in deltas_of(response) if delta.get("content")])
    took = response.ended_at - response.head_at
    lonely = tokens > 4 and took > 1.0 and arrivals < 3
    return first_of([f"{tokens} tokens in {arrivals} arrivals over {took:.1f} s"] if lonely else [])


async def head_in_time(subject: Subject) -> str:
    """A stream's head comes while its model still thinks."""
    async with subject.line(subject.request(subject.chat("thinks-50s"))) as line:
        response = await line.head(LONG_SECONDS_MAX)
        took = response.head_at - response.sent_at
    return f"{took:.0f} s" if took <= HEAD_SECONDS_MAX else first_of([f"status {response.status} after {took:.0f} s"])


async def thinking(subject: Subject) -> str:
    """A stream whose model thinks for 50 seconds is answered."""
    response = await subject.ask(subject.request(subject.chat("thinks-50s")), LONG_SECONDS_MAX)
    if response.status != 200:
        raise Broken(f"status {response.status} after {response.head_at - response.sent_at:.0f} s: {short(response.body)}")
    return first_of([f"cut after {response.ended_at - response.sent_at:.0f} s"] if text_of(response) != "Well." else [])


async def kept_alive(subject: Subject) -> str:
    """A silence is filled with comments, so that nothing on the way takes it for an end."""
    response = good(await subject.ask(subject.request(subject.chat("pauses-40s")), LONG_SECONDS_MAX))
    times = [response.head_at, *(at for at, _ in response.pieces), response.ended_at]
    quiet = max(later - sooner for sooner, later in pairwise(times))
    if not is_done(response):
        raise Broken(f"cut after {response.ended_at - response.sent_at:.0f} s")
    return f"{quiet:.0f} s at most" if quiet <= QUIET_SECONDS_MAX else first_of([f"nothing came for {quiet:.0f} s"])


async def stall_ends(subject: Subject) -> str:
    """A vendor that falls silent in the middle is given up, with an error event."""
    response = good(await subject.ask(subject.request(subject.chat("stalls")), LONG_SECONDS_MAX))
    took = response.ended_at - response.sent_at
    if response.ended == NO_MORE:
        raise Broken(f"still open after {took:.0f} s")
    if not errors_of(response):
        raise Broken(f"ended {response.ended} after {took:.0f} s, without an error event")
    return f"{took:.0f} s" if took <= IDLE_SECONDS_MAX else first_of([f"after {took:.0f} s"])


async def flows_on(subject: Subject) -> str:
    """A stream that flows for 75 seconds is not cut."""
    mark = subject.mark()
    response = good(await subject.ask(subject.request(subject.chat("flows-75s", mark)), LONG_SECONDS_MAX))
    if not is_done(response):
        raise Broken(f"cut after {response.ended_at - response.sent_at:.0f} s")
    came, sent = words_of(text_of(response).encode()), (await subject.played(mark)).tokens
    return first_of([f"{came} of {sent} tokens came"] if came != sent else [])


async def long_document(subject: Subject) -> str:
    """A document that takes 75 seconds is answered."""
    response = await subject.ask(subject.request(subject.chat("takes-75s", stream=False)), LONG_SECONDS_MAX)
    took = response.head_at - response.sent_at
    if response.status != 200:
        raise Broken(f"status {response.status} after {took:.0f} s: {short(response.body)}")
    said = at(value_of(response), "choices", 0, "message", "content")
    return first_of([f"the answer after {took:.0f} s is {said!r}"] if said != "At last." else [])


async def reuse_after_idle(subject: Subject) -> str:
    """A connection that lay idle for ten seconds serves, or was closed by then and not under the next request."""
    async with subject.line(subject.request(subject.chat(stream=False))) as line:
        first = good(await line.rest(await line.head()))
        if "close" in first.headers.get("connection", "").lower():
            raise Skipped("the server closes after an answer, and says so")
        if await line.closes_within(IDLE_BEFORE_REUSE_SECONDS):
            return "closed while idle"
        await line.send(subject.request(subject.chat(stream=False)))
        second = await line.rest(await line.head())
    return first_of([f"status {second.status}"] if second.status != 200 else [])
