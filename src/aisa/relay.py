"""The path of one call, from the client's bytes to the settled bill, in order. Start reading here; what it calls only computes.

It pushes to the client and never returns a generator, so that one frame owns the call's end, however the call ends.
"""

from __future__ import annotations

import asyncio

from aisa.answer import Piece
from aisa.call import FAIL, Call
from aisa.document import DocumentDelivery
from aisa.errors import ApiError, UpstreamFailed
from aisa.facts import TargetHealth, VendorFailed
from aisa.large_events import LARGE_BYTES_MIN
from aisa.ledger.port import Bill
from aisa.ledger.rules import CLIENT_GONE, CLIENT_STALLED, COMPLETED, CUT, FAILED, SHUT_DOWN
from aisa.money import dollars_text
from aisa.permit import open_permit
from aisa.providers.blame import may_do_better, to_tell
from aisa.providers.port import Answer
from aisa.providers.shape import Asked, Target
from aisa.routing import Offer
from aisa.run import Gate, Run
from aisa.wire.door import refuse
from aisa.wire.port import CLIENT_LEFT, CLIENT_STALLS, SERVER_CLOSES, VENDOR_SILENT, Client

FAILURE_BYTES_MAX = 65_536  # a vendor's refusal is read no further; error documents are small


async def relay(call: Call, client: Client, gate: Gate) -> None:
    """Carry one call to its end.

    Raises ApiError when the call is refused before anything was opened; from then on the client is told here.
    """
    key = call.key  # 1 who: the edge has found that by the head, before it took the body
    request = await gate.read(call.door, call.body)  # 2 what
    call.asked = request.model
    plan = gate.routes.plan(request, key, gate.chance, health=gate.health, now=gate.timers.loop.time())  # 3 where
    run = Run(call, client, gate, request=request, plan=plan)
    try:
        run.permit = await open_permit(gate.ledger, gate.admission, call, key=key, request=request, plan=plan)  # 4 may they
        call.opened = True
        piece = await first_piece(run)  # 5 ask, falling back until something comes
        while piece is not None:  # 6 relay
            await send(run, piece)
            if run.large is not None:
                run.large.release()
            piece = await next_piece(run)
        bill = run.settle(COMPLETED)  # 7 settle, before the client can see the end
        gate.health.completed(run.life.target)
        await run.charge.settled()
        await finish(run, bill)  # 8 the end of the stream, or the whole document
    except (ApiError, UpstreamFailed, asyncio.CancelledError) as ending:
        run.error = explain(run, ending)
        if run.permit is not None:
            run.settle(run.life.outcome)
        if run.error is not None:
            tell(run, run.error)
    finally:
        run.close()


async def first_piece(run: Run) -> Piece | None:
    """Ask the targets in order and return the first piece of the first that answers; None if it is done at once, as a document is.

    Raises UpstreamFailed of the one that the caller is to be told of: `blame.to_tell`.
    """
    offers = list(run.plan.offers)
    told: UpstreamFailed | None = None
    may_repeat = True
    without: tuple[str, ...] = ()
    while True:
        offer = offers.pop(0)
        target = run.gate.omissions.applied(offer.target, without)
        try:
            piece = await ask(run, offer, target)
        except UpstreamFailed as failure:
            report_failure(run, target, failure)
            without = failure.refused
            if without:
                offers.insert(0, offer)
            else:
                told = to_tell(told, failure)
                offers = [other for other in offers if may_do_better(failure, other.target, run.request.body_bytes)]
                if failure.may_repeat and may_repeat:
                    may_repeat = False
                    offers.insert(0, offer)
            if not offers:
                raise told or failure from None
            run.life.step(FAIL)
        else:
            run.gate.omissions.learn(target, without)
            if run.gate.health.answered(offer.name):
                run.gate.report(TargetHealth(offer.name))
            return piece


async def ask(run: Run, offer: Offer, target: Target) -> Piece | None:
    """Ask the target of an offer, as it is to be asked now, for its first piece. Raises UpstreamFailed, and leaves nothing open then."""
    dialect = run.gate.dialects[target.dialect]
    request = dialect.to_upstream(run.request, target)
    run.dropped = request.dropped
    run.target, run.encoder = target, None
    run.life.ask(offer.name, run.timeouts.ask())
    run.charge.serve(offer, run.life.attempts)  # from here on the call costs what it does there
    answer = run.answer = None
    try:
        answer = run.answer = await run.gate.upstreams[target.vendor].ask(request)
        if answer.status != 200:
            body = await read_some(answer)
            asked = Asked(run.call.created + run.timeouts.now() - run.call.began, request.added)
            raise dialect.read_failure(answer.status, answer.headers, body, target=target, asked=asked)
        call = run.call
        run.decoder = dialect.decoder(run.request, target, call_id=call.id, created=call.created, protocol=call.door.protocol)
        return await next_piece(run)
    except (UpstreamFailed, asyncio.CancelledError) as ending:
        if answer is not None:
            answer.close()
        run.decoder = None
        if isinstance(ending, asyncio.CancelledError) and run.timeouts.forgive(ending):
            raise UpstreamFailed(too_silent(target.vendor)) from None
        raise


async def read_some(answer: Answer) -> bytes:
    """Read a refusal's body, up to FAILURE_BYTES_MAX bytes."""
    body = b""
    while len(body) < FAILURE_BYTES_MAX and (data := await answer.read()):
        body += data
    return body


async def next_piece(run: Run) -> Piece | None:
    """Return the next piece, None when the vendor is done. Raises UpstreamFailed.

    A vendor that falls silent or breaks off after every choice has finished has said all that it had to say.
    """
    answer, decoder, encoder, timeouts = run.answer, run.decoder, run.writer(), run.timeouts
    assert answer is not None, "`ask` has set it"
    assert decoder is not None, "`ask` has set it"
    while not decoder.done:
        if decoder.failure is not None:
            raise decoder.failure
        if decoder.finishing != timeouts.finishing:
            timeouts.hold_finish(decoder.finishing)
        try:
            data = await answer.read()
        except UpstreamFailed:
            if not (decoder.finishing and decoder.certain):
                raise
            data = b""
        except asyncio.CancelledError as ending:
            if not (decoder.finishing and timeouts.forgive(ending)):
                raise
            data = b""
        parts = decoder.feed(data) if data else decoder.end()
        if parts and (piece := encoder.write(parts)) is not None:
            return piece
        if decoder.held_bytes > LARGE_BYTES_MIN:
            await run.hold_event(decoder.held_bytes)
    return None


async def send(run: Run, piece: Piece) -> None:
    """Give a piece to the client, and wait while it is the slow one: nothing is read from the vendor meanwhile.

    What has left is noted right after the write: whenever we die, no more is billed than the client will get, and at most what one
    read of the vendor brought less. Raises ApiError when its tokens cannot be paid for; it is not sent then.
    """
    permit, client, delivery = run.permit, run.client, run.delivery
    assert permit is not None, "it was given before the vendor was asked"
    charge = permit.charge
    if delivery.tokens + piece.tokens > permit.covered:
        await run.timeouts.wait_for_store(permit.extend(delivery.tokens + piece.tokens))
    if not client.started:
        run.start_stream()
    charge.note(delivery.write(piece))
    now = run.timeouts.sent(piece.tokens or piece.carries)
    if run.life.first_token_at is None:
        run.life.sent(now, piece.tokens)
    if client.congested:
        await run.timeouts.wait_for_client(lambda: charge.note(delivery.taken()))


async def finish(run: Run, bill: Bill) -> None:
    """Send what comes after the settlement and end the body."""
    charge = run.charge
    assert run.answer is not None, "the call is complete"
    assert run.decoder is not None, "the call is complete"
    last = run.writer().closing(run.decoder.closing(None if bill.cost is None else dollars_text(bill.cost)))
    if not run.client.started:
        run.client.start(200, run.headers(), len(last))
    if not run.request.stream:
        run.document = DocumentDelivery(run.client)
        if run.gate.resets.count(run.key.id):
            last = await run.document.all_but_the_end(last)
    run.client.end(last)
    run.life.finish()
    if run.document is not None:
        run.document.ended()
    # A document counts only once it has left whole: if we die before, it is free.
    run.client.when_taken(lambda: charge.note(bill.billed.output_tokens or 1))
    run.answer.release()


def tell(run: Run, error: ApiError) -> None:
    """Tell the client of a failure, with its true status if nothing was sent, and end the answer."""
    call, client = run.call, run.client
    if client.started and not client.gone:
        client.write(run.writer().failure(error, call.id))
        client.end()
    else:
        refuse(client, error, call.id, headers=run.told(), door=call.door)


def explain(run: Run, ending: BaseException) -> ApiError | None:
    """Say how an unfinished call ended, in its life's outcome, and return what the client is to be told, if it can hear it."""
    life = run.life
    life.outcome = CUT if life.answered else FAILED
    if isinstance(ending, ApiError):
        return ending
    if isinstance(ending, UpstreamFailed):
        if life.answered:
            report_failure(run, run.target, ending)
        return ending.error
    reason = CLIENT_LEFT if run.client.gone else ending.args[0] if ending.args else None
    if reason is CLIENT_LEFT:
        life.outcome = CLIENT_GONE
        return None
    if reason is CLIENT_STALLS:
        life.outcome = CLIENT_STALLED
        run.client.abort()
        return None
    if reason is VENDOR_SILENT:
        silence = UpstreamFailed(too_silent(run.target.vendor))
        report_failure(run, run.target, silence)
        return silence.error
    if reason is SERVER_CLOSES:
        life.outcome = SHUT_DOWN
        return ApiError("overloaded", "The server is shutting down. Send the request again.", retry_after=1)
    raise ending  # somebody else cancelled this task; that is theirs to handle


def too_silent(vendor: str) -> ApiError:
    """The error for a vendor that sent no token in time."""
    return ApiError("upstream_timeout", f"The vendor '{vendor}' sent no token in time.")


def report_failure(run: Run, target: Target, failure: UpstreamFailed) -> None:
    """Tell the operator about a failed attempt, and the next plans."""
    detail = failure.detail or failure.error.message
    run.gate.report(VendorFailed(run.call.id, target.vendor, target.model, failure.error.code, detail, failure.loud, failure.blame))
    seconds = run.gate.health.failed(run.life.target, failure, run.timeouts.now())
    if seconds is not None:
        run.gate.report(TargetHealth(run.life.target, seconds))
