"""The path of one call, from the client's bytes to the settled bill, in order. Start reading here; what it calls only computes.

It pushes to the client and never returns a generator, so that one frame owns the call's end, however the call ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import msgspec

from aisa.admission.port import Places
from aisa.answer import Piece
from aisa.call import FAIL, Call
from aisa.context import CallContext, Dependencies
from aisa.continuing import go_on, goes_on
from aisa.document import DocumentDelivery
from aisa.endings import explain, report_failure, too_silent
from aisa.errors import ApiError, UpstreamFailed
from aisa.facts import TargetHealth
from aisa.falling_back import next_try, tries_after
from aisa.large_events import LARGE_BYTES_MIN
from aisa.ledger.port import Bill
from aisa.ledger.rules import COMPLETED
from aisa.money import dollars_text
from aisa.offer import Offer
from aisa.permit import open_permit
from aisa.providers.port import Answer
from aisa.providers.shape import Asked, Decoder, Target
from aisa.timeouts import CallTimeouts
from aisa.traffic import TargetTry
from aisa.tries import may_be_charged
from aisa.wire.door import refuse
from aisa.wire.port import Client

#: Takes a piece; returns what is to be waited for before the next.
Taking = Callable[[CallContext, Piece], Awaitable[None] | None]

FAILURE_BYTES_MAX = 65_536  # a vendor's refusal is read no further; error documents are small


async def relay(call: Call, client: Client, dependencies: Dependencies) -> None:
    """Carry one call to its end.

    Raises ApiError when the call is refused before anything was opened; from then on the client is told here.
    """
    key = call.key  # 1 who: the edge has found that by the head, before it took the body
    request = await dependencies.read(call.door, call.body)  # 2 what
    call.asked = request.model
    now = dependencies.timers.loop.time()
    plan = dependencies.routes.plan(  # 3 where
        request, key, dependencies.chance, health=dependencies.health, now=now, unix_seconds=call.created
    )
    context = CallContext(call, client, dependencies, request=request, plan=plan)
    try:
        # 4 may they
        permit = await open_permit(dependencies.ledger, dependencies.admission, call, key=key, request=request, plan=plan)
        context.admit(permit)
        offer = plan.offers[0]
        if plan.entry.capped:
            offer = await permit.place(dependencies.admission, call, request=request, plan=plan)
        piece = await first_piece(context, offer, permit.places)  # 5 ask, falling back until something comes
        if piece is not None:  # 6 relay
            if context.is_whole:
                client.cork()  # it leaves with its end
            if (waiting := give(context, piece)) is not None:
                await waiting
            await read_on(context, give)
            if (cut := context.writer().cut) is not None:
                raise cut
        if context.target.measure.tokenizer is not None:
            await context.timeouts.wait_for_store(dependencies.long_counts.count(context.decoder))
        bill = context.settle(COMPLETED)  # 7 settle, before the client can see the end
        dependencies.health.completed(context.life.target, now)
        await context.charge.settled()
        await finish(context, bill)  # 8 the end of the stream, or the whole document
    except (ApiError, UpstreamFailed, asyncio.CancelledError) as ending:
        context.error = explain(context, ending)
        if context.permit is not None:
            context.settle(context.life.outcome)
        if context.error is not None:
            tell(context, context.error)
    finally:
        context.close()


async def first_piece(context: CallContext, offer: Offer, places: Places | None) -> Piece | None:
    """Ask the targets in order and return the first piece of the first that answers; None if it is done at once, as a document is.

    `offer` is asked first. Raises UpstreamFailed of the one that the caller is to be told of.
    """
    tries = None
    without: tuple[str, ...] = ()
    while True:
        target = context.with_state(context.dependencies.omissions.applied(offer.target, without))
        try:
            more = len(context.plan.offers) > 1 if tries is None else tries.more
            asked_at = await ask(context, offer, target, more=more, places=places)
            piece = await read_on(context)
        except (UpstreamFailed, asyncio.CancelledError) as ending:
            failure = given_up(context, ending)
            report_failure(context, target, failure)
            tries = tries or tries_after(context, offer, places)
            offer, wait_seconds = await next_try(context, tries, offer, failed=failure)
            without = failure.refused
            context.life.step(FAIL)
            if wait_seconds:
                await context.timeouts.wait_for_store(asyncio.sleep(wait_seconds))
            if places is not None:
                await context.timeouts.wait_for_store(places.again(offer))
        else:
            if without:
                context.dependencies.omissions.learn(target, without)
            context.served = offer
            context.timeouts.relax()
            if context.watch is not None:
                context.watch.answered(context.timeouts.now())
            if context.dependencies.health.answered(offer.name, asked_at):
                context.dependencies.report(TargetHealth(offer.name))
            return piece


async def ask(context: CallContext, offer: Offer, target: Target, *, more: bool, places: Places | None) -> float:
    """Ask the target of an offer, as it is to be asked now, and return when its answer begins: the time of asking. Raises UpstreamFailed.

    It fails too if its dialect cannot write what was asked; the next target's may. With `more` to ask, a setting may give it less time.
    """
    dialect = context.dependencies.dialects[context.request.task + target.dialect]
    context.target, context.encoder, context.answer = target, None, None
    now = context.timeouts.ask(context.plan.entry.patience_seconds if more and context.request.stream else None)
    context.life.ask(offer.name, now)
    if context.plan.watched:
        context.watch = TargetTry(context.dependencies.health.traffic, offer.name, now, stream=context.request.stream)
    context.charge.serve(offer, context.life.attempts)  # from here on the call costs what it does there
    request = dialect.to_upstream(context.request, target)
    context.dropped, context.changed = request.dropped, request.changed
    added, trace = request.added, context.call.trace
    if trace is not None:
        request = msgspec.structs.replace(request, headers=request.headers + trace.ask(offer.name, now, context.request))
    upstream = context.dependencies.upstreams[target.vendor]
    asking = upstream.ask(request) if places is None else places.ask(upstream, request)
    del request  # what was sent is not kept for as long as the answer takes
    answer = context.answer = await asking
    if answer.status != 200:
        body = await read_some(answer)
        asked = Asked(context.call.created + context.timeouts.now() - context.call.began, added)
        raise dialect.read_failure(answer.status, answer.headers, body, target=target, asked=asked)
    call = context.call
    context.decoder = dialect.decoder(context.request, target, call_id=call.id, created=call.created, protocol=call.door.protocol)
    return now


def given_up(context: CallContext, ending: UpstreamFailed | asyncio.CancelledError) -> UpstreamFailed:
    """Leave nothing open of an attempt, and return how its vendor failed. Raises what was no failure of the vendor's."""
    failure = ending
    if isinstance(ending, asyncio.CancelledError) and context.timeouts.forgive(ending):
        failure = UpstreamFailed(too_silent(context.target.vendor))
    answer = context.answer
    if answer is not None:
        answer.close()
    if isinstance(failure, UpstreamFailed) and may_be_charged(failure, None if answer is None else answer.status):
        context.charge.waste(context.used)
    context.decoder = None
    if context.watch is not None:
        context.watch.failed(failure, context.timeouts.now())
        context.watch = None
    if isinstance(failure, UpstreamFailed):
        failure.asked_in, failure.in_our_words = context.target.dialect, answer is None
        return failure
    raise failure


async def read_some(answer: Answer) -> bytes:
    """Read a refusal's body, up to FAILURE_BYTES_MAX bytes."""
    body = b""
    while len(body) < FAILURE_BYTES_MAX and (data := await answer.read()):
        body += data
    return body


async def read_on(context: CallContext, take: Taking | None = None) -> Piece | None:
    """Read what the vendor says until it is done, and have each piece taken; without `take` return the next one. Raises UpstreamFailed.

    A vendor that falls silent or breaks off after every choice has finished has said all that it had to say.
    """
    answer, decoder, encoder, timeouts = context.answer, context.decoder, context.writer(), context.timeouts
    assert answer is not None, "`ask` has set it"
    assert decoder is not None, "`ask` has set it"
    while not decoder.done:
        if decoder.failure is not None or decoder.finishing != timeouts.finishing:
            heed(decoder, timeouts)
        data = b""  # so that what was read last is not kept while more is waited for
        try:
            data = await answer.read()
        except UpstreamFailed:
            if not (decoder.finishing and decoder.certain):
                raise
        except asyncio.CancelledError as ending:
            if not (decoder.finishing and timeouts.forgive(ending)):
                raise
        parts = decoder.feed(data) if data else decoder.end()
        if parts and (piece := encoder.write(parts)) is not None:
            if take is None:
                return piece
            if (waiting := take(context, piece)) is not None:
                await waiting
        elif not data and goes_on(decoder):
            answer = await go_on(context)
        elif decoder.held_bytes > LARGE_BYTES_MIN:
            await context.hold_event(decoder.held_bytes)
    return None


def heed(decoder: Decoder, timeouts: CallTimeouts) -> None:
    """Take note of what a decoder has found at the end: a failure, which is raised now, or a finish, which is held back for a moment."""
    if decoder.failure is not None:
        raise decoder.failure
    timeouts.hold_finish(decoder.finishing)


def give(context: CallContext, piece: Piece) -> Awaitable[None] | None:
    """Give a piece to the client. Returns what has to be waited for before the next, or even before this one; most often nothing.

    What has left is noted right after the write: whenever we die, no more is billed than the client will get, and at most what one
    read of the vendor brought less.
    """
    client, delivery, tokens = context.client, context.delivery, piece.tokens
    if delivery.tokens + tokens > context.covered:
        return give_covered(context, piece)
    if not client.started:
        context.start_stream()
    context.charge.note(delivery.write(piece))
    now = context.timeouts.sent(tokens or piece.carries)
    if context.life.first_token_at is None:
        context.life.sent(now, tokens)
    if client.congested:
        return context.wait_for_client()
    if context.large is not None and not context.is_whole:  # else it waits for its end
        context.large.release()
    return None


async def give_covered(context: CallContext, piece: Piece) -> None:
    """Give a piece to the client once its tokens may be sent. Raises ApiError if they may not."""
    await context.cover(piece.tokens)
    if (waiting := give(context, piece)) is not None:
        await waiting


async def finish(context: CallContext, bill: Bill) -> None:
    """Send what comes after the settlement and end the body."""
    client = context.client
    assert context.answer is not None, "the call is complete"
    assert context.decoder is not None, "the call is complete"
    encoder = context.writer()
    last = encoder.closing(context.decoder.closing(None if bill.cost is None else dollars_text(bill.cost)))
    if not client.started:
        context.correct()
        client.start(200, context.headers(), len(last))
    if not context.request.stream:
        if context.call.keep is not None:
            context.call.keep(dict(encoder.headers)["content-type"], last)  # before its end, which may make the row final
        context.document = DocumentDelivery(client)
        if context.dependencies.resets.count(context.key.id):
            last = await context.document.all_but_the_end(last)
    client.end(last)
    context.life.finish()
    if context.document is not None:
        context.document.ended()
    # A document counts only once it has left whole: if we die before, it is free.
    client.when_taken(partial(context.charge.note_whole, bill.billed.output_tokens))
    context.answer.release()


def tell(context: CallContext, error: ApiError) -> None:
    """Tell the client of a failure, with its true status if nothing was sent, and end the answer."""
    call, client = context.call, context.client
    if client.started and not client.gone:
        client.write(context.writer().failure(error, call.id))
        client.end()
    else:
        refuse(client, error, call.id, headers=[*context.told(), ("x-aisa-attempts", str(context.life.attempts))], door=call.door)
