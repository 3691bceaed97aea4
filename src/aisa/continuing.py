"""Asks for the rest of an answer that a vendor gives in several. The client sees one, and so does the bill."""

from __future__ import annotations

from aisa.context import CallContext
from aisa.providers.port import Answer
from aisa.providers.shape import Asked, Decoder, continued


def goes_on(decoder: Decoder) -> bool:
    """Tell whether an answer whose bytes are at their end goes on in others."""
    return not decoder.done and decoder.failure is None


async def go_on(context: CallContext) -> Answer:
    """Return the next part of the answer that is being given, once it begins. Raises UpstreamFailed.

    The same target is asked: nobody else knows where the answer stands. The request is written anew, as none is kept while it is answered.
    """
    dependencies, target, request, before = context.dependencies, context.target, context.request, context.answer
    assert before is not None, "a part of it has been read"
    dialect = dependencies.dialects[request.task + target.dialect]
    rest = continued(context.decoder, dialect.to_upstream(request, target))
    before.release()
    before.close()
    upstream, places = dependencies.upstreams[target.vendor], None if context.permit is None else context.permit.places
    answer = context.answer = await (upstream.ask(rest) if places is None else places.ask(upstream, rest))
    if answer.status != 200:
        asked = Asked(context.call.created + context.timeouts.now() - context.call.began)
        raise dialect.read_failure(answer.status, answer.headers, await answer.read(), target=target, asked=asked)
    return answer
