"""What becomes of a call when one of its targets has failed: who is left to ask, or what its client is told. Asks nobody itself."""

from __future__ import annotations

from functools import partial

from aisa.admission.port import Places
from aisa.context import CallContext
from aisa.errors import UpstreamFailed
from aisa.offer import Offer
from aisa.tries import Tries
from aisa.wire.origins import at_home


def tries_after(context: CallContext, first: Offer, places: Places | None) -> Tries:
    """Return what is left to ask once the first target has failed."""
    return Tries(
        context.plan,
        context.request.body_bytes,
        context.dependencies.chance,
        began=context.life.asked_at or 0.0,
        first=first,
        health=context.dependencies.health,
        has_room=None if places is None else places.has_room,
    )


async def next_try(context: CallContext, tries: Tries, offer: Offer, *, failed: UpstreamFailed) -> tuple[Offer, float]:
    """Return which target is asked next, and in how many seconds.

    Raises the failure that the caller is to be told of if none is left, by the places that he wrote: they are looked for this once.
    """
    try:
        return tries.after(offer, failed, context.timeouts.now())
    except UpstreamFailed as told:
        retell = partial(at_home, told, context.request, told.asked_in, ours=told.in_our_words)
        await context.timeouts.wait_for_store(context.dependencies.work(context.request.body_bytes, retell))
        raise
