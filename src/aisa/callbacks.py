"""Calling what others have left to be called: one that raises is reported, and takes nothing else along."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVarTuple

Given = TypeVarTuple("Given")


def call_guarded(callback: Callable[[*Given], object], *args: *Given) -> None:
    """Call it; an exception goes to the event loop's handler, and is a bug of ours."""
    try:
        callback(*args)
    except Exception as error:  # whoever calls has others to call, and their own timers to set anew
        context = {"message": f"a callback raised: {callback!r}", "exception": error}
        asyncio.get_running_loop().call_exception_handler(context)
