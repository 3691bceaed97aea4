"""Checks of what becomes of a vendor's failures. Only where the checking program plays the vendor."""

from __future__ import annotations

from aisa.checks.chat_stream import first_of
from aisa.checks.client import CUT, WAS_RESET, WHOLE, Response
from aisa.checks.events import errors_of, finishes_of, is_done, text_of
from aisa.checks.members import at
from aisa.checks.refusals import refused
from aisa.checks.subject import Broken, Subject

RETRY_SECONDS_MAX = 120  # openai-python sleeps so long at most, and does not retry after more
ASKED_MAX = 1  # POSTs of which the vendor has read everything


async def early(subject: Subject, scenario: str, *, stream: bool = True) -> Response:
    """Return the answer to a chat that the vendor refuses."""
    return await subject.ask(subject.request(subject.chat(scenario, stream=stream)))


def ends_badly(response: Response) -> str:
    """Return how a stream that broke told so. Raises Broken where it ended as if it were complete, or hangs."""
    if response.status != 200:
        return f"status {response.status}"
    finishes = finishes_of(response)
    if errors_of(response) and not finishes:
        return "an error event" + (", and then [DONE]" if is_done(response) else "")  # clients raise at the first
    pretended = [*finishes, *(["[DONE]"] if is_done(response) else [])]
    if pretended:
        raise Broken(f"a stream that broke ends with {', '.join(pretended)}")
    if response.ended in (CUT, WAS_RESET):
        return "a broken connection"
    raise Broken("a stream that broke ends as if it were complete" if response.ended == WHOLE else "a stream that broke does not end")


async def error_event(subject: Subject) -> str:
    """A failure inside a stream is a `data:` event with an `error` member."""
    response = await subject.streamed("error-mid-stream")
    ends_badly(response)
    errors = errors_of(response)
    if not errors:
        raise Broken(f"no error event; the body ended {response.ended}")
    return first_of([] if at(errors[0].value, "error", "message") else ["`error` has no message"])


async def error_unnamed(subject: Subject) -> str:
    """The event of a failure has no name that a client would stumble over, and no choices."""
    errors = errors_of(await subject.streamed("error-mid-stream"))
    broken = [f"it is named {event.name!r}" for event in errors if event.name]
    return first_of([*broken, *("it has choices" for event in errors if event.value and event.value.get("choices"))])


async def text_kept(subject: Subject) -> str:
    """What came before the failure is delivered."""
    text = text_of(await subject.streamed("error-mid-stream"))
    return first_of([f"{text!r} came of 'One two'"] if text != "One two" else [])


async def cut(subject: Subject) -> str:
    """A vendor that closes the connection has not finished."""
    return ends_badly(await subject.streamed("cut-mid-stream"))


async def was_reset(subject: Subject) -> str:
    """A vendor that resets the connection has not finished."""
    return ends_badly(await subject.streamed("reset-mid-stream"))


async def unfinished(subject: Subject) -> str:
    """A body that ends without a finish reason and `[DONE]` is a failure."""
    return ends_badly(await subject.streamed("unfinished"))


async def early_status(subject: Subject) -> str:
    """A vendor's overload before the first token is a status, not an event under 200."""
    refused(await early(subject, "overloaded"), 502, 503, 529, 500)
    return ""


async def early_document(subject: Subject) -> str:
    """The same of a document."""
    refused(await early(subject, "overloaded", stream=False), 502, 503, 529, 500)
    return ""


async def error_first(subject: Subject) -> str:
    """An error that is a vendor's first event has its status: overload is no fault of the request's."""
    response = await early(subject, "error-first")
    if response.status == 200 and errors_of(response):
        raise Broken("200, and the error as an event")
    ends_badly(response)
    return first_of([f"status {response.status}"] if 400 <= response.status < 500 and response.status != 429 else [])


async def rate_limit(subject: Subject) -> str:
    """A vendor's 429 is one."""
    refused(await early(subject, "rate-limited"), 429, 503)
    return ""


async def retry_after(subject: Subject) -> str:
    """It says when to come back."""
    headers = (await early(subject, "rate-limited")).headers
    told = headers.get("retry-after", "")
    if not told and headers.get("x-should-retry") == "false":
        return "x-should-retry: false"
    return told if told.isdecimal() and 1 <= int(told) <= RETRY_SECONDS_MAX else first_of([f"retry-after is {told!r}"])


async def web_page(subject: Subject) -> str:
    """A vendor's web page does not reach the client."""
    refused(await early(subject, "web-page"), 500, 502, 503)
    return ""


async def vendors_key(subject: Subject) -> str:
    """A key of the gateway's that its vendor refuses is not the caller's 401."""
    response = await early(subject, "wrong-key")
    return first_of([f"status {response.status}: its caller looks for a fault in his own key"] if response.status < 500 else [])


async def asked_once(subject: Subject) -> str:
    """A request that the vendor has read whole is not sent again when the connection closes."""
    mark = subject.mark()
    response = await subject.ask(subject.request(subject.chat("takes-and-closes", mark)))
    assert subject.vendor is not None, "the check needs a vendor"
    times = len(subject.vendor.marked(mark))
    broken = [f"the vendor was asked {times} times"] if times > ASKED_MAX else []
    return first_of([*broken, *([f"status {response.status}"] if response.status < 500 else [])])
