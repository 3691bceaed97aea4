"""Running what has no end, as followers of a database have none: a bug is reported, and it begins again. Knows nothing that runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from aisa.callbacks import call_guarded

AGAIN_SECONDS = 5.0  # after a bug: the next try may meet it again, and each is a trace in the log


async def begun_again(run: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run it until this is cancelled, and again if it ends: nobody waits for it, or would notice."""
    while True:
        running = asyncio.ensure_future(run())
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError:
            running.cancel()
            await asyncio.wait([running])
            raise
        if not running.cancelled():  # as it is where it has waited for something that was
            call_guarded(running.result)
        await asyncio.sleep(AGAIN_SECONDS)
