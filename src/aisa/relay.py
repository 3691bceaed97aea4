"""The path of one call, from the client's bytes to the settled bill, in order. Start reading here; what it calls only computes.

It pushes to the client and never returns a generator, so that one frame owns the call's end, however the call ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from aisa.admission.port import Admission, Lease
from aisa.call import ANSWERING, END, FAIL, Call, Life
from aisa.clock import Chance
from aisa.config.schema import Stream
from aisa.errors import ApiError, UpstreamFailed
from aisa.facts import CallEnded, Fact, VendorFailed
from aisa.keys.port import Keys
from aisa.keys.rules import Key
from aisa.ledger.port import CLIENT_GONE, CLIENT_STALLED, COMPLETED, CUT, FAILED, SHUT_DOWN, Bill, Charge, Ledger
from aisa.money import dollars_text
from aisa.patience import Patience, Watch
from aisa.providers.port import Answer, Upstream
from aisa.providers.shape import Decoder, Dialect, Piece, Target
from aisa.routing import EMBEDDED, TINY, Plan, Routes
from aisa.usage import Usage
from aisa.wire.chat import ChatRequest
from aisa.wire.port import Client, HeaderList
from aisa.wire.reply import send_error

FAILURE_BYTES_MAX = 65_536  # a vendor's refusal is read no further; error documents are small
STREAM_HEADERS: HeaderList = [("cache-control", "no-cache"), ("x-accel-buffering", "no")]


class Gate(msgspec.Struct):
    """Everything that the path needs, made once at start."""

    keys: Keys
    read: Callable[[bytes], Awaitable[ChatRequest]]
    routes: Routes
    admission: Admission
    ledger: Ledger
    dialects: Mapping[str, Dialect]
    upstreams: Mapping[str, Upstream]
    stream: Stream
    chance: Chance
    report: Callable[[Fact], None]
    watch: Watch


async def relay(call: Call, client: Client, gate: Gate) -> None:
    """Carry one chat call to its end.

    Raises ApiError when the call is refused before anything was opened; from then on the client is told here.
    """
    key = gate.keys.verify(call.bearer)  # 1 who
    chat = await gate.read(call.body)  # 2 what
    plan = gate.routes.plan(chat, key, gate.chance)  # 3 where
    lease = await gate.admission.admit(key, chat, plan)  # 4 may they
    run = Run(call, client, gate, key=key, chat=chat, plan=plan, lease=lease)
    try:
        run.charge = await gate.ledger.open(call.id, key, plan)  # 5 can they pay
        pieces = await first_pieces(run)  # 6 ask, falling back until something comes
        while pieces:  # 7 relay
            await send(run, pieces)
            pieces = await next_pieces(run.answer, run.decoder)
        bill = run.settle(COMPLETED)  # 8 settle, before the client can see the end
        finish(run, bill)  # 9 usage and [DONE], or the whole document
    except (ApiError, UpstreamFailed, asyncio.CancelledError) as ending:
        run.error = explain(run, ending)
        run.settle(run.outcome)
        if run.error is not None:
            send_error(client, run.error, call.id, headers=call.headers)
    finally:
        run.close()


class Run:
    """What one admitted call holds open, and the only place where it is let go."""

    def __init__(self, call: Call, client: Client, gate: Gate, *, key: Key, chat: ChatRequest, plan: Plan, lease: Lease) -> None:
        self.call = call
        self.chat = chat
        self.plan = plan
        self.client = client
        self.gate = gate
        self.life = Life()
        self.target = plan.targets[0]
        self.answer: Answer | None = None
        self.decoder: Decoder | None = None
        self.charge: Charge | None = None
        self.outcome = FAILED
        self.used = Usage()
        self.error: ApiError | None = None
        self.dropped: tuple[str, ...] = ()
        self._key = key
        self._lease = lease
        self._bill: Bill | None = None
        settings = plan.entry.settings
        idle = settings.idle_timeout_seconds
        silence = idle if chat.stream else settings.answer_timeout_seconds or ANSWER_PER_IDLE * idle
        self.patience = Patience(
            gate.watch, client, gate.stream, silence_seconds=silence, hold_head=self.start_stream if chat.stream else None
        )

    def start_stream(self) -> None:
        """Commit to a stream's head."""
        self.client.start(200, self.headers("text/event-stream; charset=utf-8") + STREAM_HEADERS, None)

    def headers(self, content_type: str) -> HeaderList:
        """Return the headers of a good answer."""
        headers = [("content-type", content_type), *self.call.headers]
        if self.target.vendor == EMBEDDED:
            headers.append(("x-aisa-served-by", TINY))
        if self.dropped:
            headers.append(("x-aisa-dropped-params", ", ".join(self.dropped)))
        return headers

    def settle(self, outcome: str) -> Bill:
        """Close the charge with what is known now. The first settlement counts."""
        if self._bill is None:
            self.outcome = outcome
            if self.decoder is not None:
                self.used = self.decoder.usage()
            self._bill = Bill(None) if self.charge is None else self.charge.close(self.used, outcome)
        return self._bill

    def close(self) -> None:
        """Let everything go and report the call. Synchronous, so that no cancellation can fall into it."""
        self.patience.stop()
        if self.answer is not None:
            self.answer.close()
        self.life.step(END)
        self.settle(self.outcome)
        self._lease.release(self.used)
        now = self.patience.now()
        first = self.life.first_token_at
        self.gate.report(
            CallEnded(
                request_id=self.call.id,
                outcome=self.outcome,
                status=200 if self.error is None or self.life.answered else self.error.status,
                model=self.plan.entry.name,
                stream=self.chat.stream,
                key_id=self._key.id,
                key_label=self._key.label,
                target=self.life.target,
                attempts=self.life.attempts,
                usage=self.used,
                first_token_seconds=None if first is None else first - self.call.began,
                total_seconds=now - self.call.began,
                bytes_sent=self.client.bytes_sent,
                client_request_id=self.call.client_request_id,
                error_code=None if self.error is None else self.error.code,
            )
        )


ANSWER_PER_IDLE = 10  # a document shows no tokens while it is made; ten times the patience for one token, 600 s by default


async def first_pieces(run: Run) -> list[Piece]:
    """Ask the targets in order and return the first pieces of the first that answers; none if it is done at once, as a document is.

    Raises UpstreamFailed of the last one asked.
    """
    targets = list(run.plan.targets)
    may_repeat = True
    while True:
        target = targets.pop(0)
        try:
            return await ask(run, target)
        except UpstreamFailed as failure:
            report_failure(run, target, failure)
            if failure.may_repeat and may_repeat:
                may_repeat = False
                targets.insert(0, target)
            if not failure.may_fall_back or not targets:
                raise
            run.life.step(FAIL)


async def ask(run: Run, target: Target) -> list[Piece]:
    """Ask one target and return its first pieces. Raises UpstreamFailed, and leaves nothing open then."""
    dialect = run.gate.dialects[target.dialect]
    request = dialect.to_upstream(run.chat, target)
    run.dropped = request.dropped
    run.target = target
    run.life.ask(f"{target.vendor}/{target.model}")
    run.patience.ask()
    answer = run.answer = None
    try:
        answer = run.answer = await run.gate.upstreams[target.vendor].ask(request)
        if answer.status != 200:
            raise dialect.read_failure(answer.status, answer.headers, await read_some(answer), target=target)
        run.decoder = dialect.decoder(run.chat, target, call_id=run.call.id, created=run.call.created)
        return await next_pieces(answer, run.decoder)
    except (UpstreamFailed, asyncio.CancelledError) as ending:
        if answer is not None:
            answer.close()
        run.decoder = None
        if isinstance(ending, asyncio.CancelledError) and run.patience.forgive():
            raise UpstreamFailed(too_silent(target.vendor)) from None
        raise


async def read_some(answer: Answer) -> bytes:
    """Read a refusal's body, up to FAILURE_BYTES_MAX bytes."""
    body = b""
    while len(body) < FAILURE_BYTES_MAX and (data := await answer.read()):
        body += data
    return body


async def next_pieces(answer: Answer | None, decoder: Decoder | None) -> list[Piece]:
    """Return the next pieces, none when the vendor is done. Raises UpstreamFailed."""
    assert answer is not None, "`ask` has set it"
    assert decoder is not None, "`ask` has set it"
    while not decoder.done:
        if decoder.failure is not None:
            raise decoder.failure
        data = await answer.read()
        pieces = decoder.feed(data) if data else decoder.end()
        if pieces:
            return pieces
    return []


async def send(run: Run, pieces: list[Piece]) -> None:
    """Give pieces to the client, and wait while it is the slow one: nothing is read from the vendor meanwhile."""
    client = run.client
    if not client.started:
        run.start_stream()
    client.write(pieces[0].data if len(pieces) == 1 else b"".join([piece.data for piece in pieces]))
    tokens = sum([piece.tokens for piece in pieces])
    run.life.sent(run.patience.sent(tokens), tokens)
    if client.congested:
        pieces.clear()  # what waits for the client is held once, not twice
        await run.patience.wait_for_client()


def finish(run: Run, bill: Bill) -> None:
    """Send what comes after the settlement and end the body."""
    assert run.answer is not None, "the call is complete"
    assert run.decoder is not None, "the call is complete"
    last = run.decoder.closing(None if bill.cost is None else dollars_text(bill.cost))
    if not run.client.started:
        run.client.start(200, run.headers(run.decoder.content_type), len(last))
    run.client.write(last)
    run.client.end()
    run.answer.release()


def explain(run: Run, ending: BaseException) -> ApiError | None:
    """Say how an unfinished call ended, in `run.outcome`, and return what the client is to be told, if it can hear it."""
    answering = run.life.state is ANSWERING
    run.outcome = CUT if answering else FAILED
    if isinstance(ending, ApiError):
        return ending
    if isinstance(ending, UpstreamFailed):
        if answering:
            report_failure(run, run.target, ending)
        return ending.error
    if run.client.gone:
        run.outcome = CLIENT_GONE
        return None
    if run.patience.client_stalled:
        run.outcome = CLIENT_STALLED
        run.client.abort()
        return None
    if run.patience.vendor_silent:
        return too_silent(run.target.vendor)
    if run.client.closing:
        run.outcome = SHUT_DOWN
        return ApiError("overloaded", "The server is shutting down. Send the request again.", retry_after=1)
    raise ending  # somebody else cancelled this task; that is theirs to handle


def too_silent(vendor: str) -> ApiError:
    """The error for a vendor that sent no token in time."""
    return ApiError("upstream_timeout", f"The vendor '{vendor}' sent no token in time.")


def report_failure(run: Run, target: Target, failure: UpstreamFailed) -> None:
    """Tell the operator about a failed attempt."""
    detail = failure.detail or failure.error.message
    run.gate.report(VendorFailed(run.call.id, target.vendor, target.model, failure.error.code, detail, failure.loud))
