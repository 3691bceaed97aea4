"""That nothing of a call is kept once it has ended, before anybody looks for garbage: that is seldom, and bodies are large."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest

from aisa.context import CallContext
from aisa.errors import ApiError, UpstreamFailed
from aisa.testing.clock import run_virtual
from rig import Break, MemoryClient, Rig, Script, ScriptedUpstream, Stall, body, document, text, whole_stream

BUSY = b'{"error": {"message": "Too many requests.", "type": "requests", "code": "rate_limit_exceeded"}}'
JSON = {"content-type": "application/json"}


def refused() -> Script:
    """A vendor that has no room."""
    return Script([BUSY], status=429, headers=JSON)


CALLS: dict[str, Callable[[], tuple[Rig, MemoryClient, dict[str, Any]]]] = {
    "a document": lambda: (Rig(ScriptedUpstream(Script([document()], headers=JSON))), MemoryClient(), {}),
    "a stream": lambda: (Rig(ScriptedUpstream(Script(whole_stream("a", "b")))), MemoryClient(), {"stream": True}),
    "a refusal": lambda: (Rig(ScriptedUpstream(refused())), MemoryClient(), {}),
    "a fall-back": lambda: (
        Rig(ScriptedUpstream(refused()), ScriptedUpstream(Script([document()], headers=JSON))),
        MemoryClient(),
        {},
    ),
    "a stream that broke": lambda: (Rig(ScriptedUpstream(Script([*text("a"), Break()]))), MemoryClient(), {"stream": True}),
    "a stream that broke before a word": lambda: (Rig(ScriptedUpstream(Script([Break()]))), MemoryClient(), {"stream": True}),
    "a vendor that fell silent": lambda: (Rig(ScriptedUpstream(Script([*text("a"), Stall(1e6)]))), MemoryClient(), {"stream": True}),
    "a client that left": lambda: (
        Rig(ScriptedUpstream(Script([*text("a"), Stall(5.0), *text("b")]))),
        MemoryClient(leaves_after=1),
        {"stream": True},
    ),
}


@pytest.mark.parametrize("what", CALLS)
def test_nothing_of_a_call_is_left_when_it_has_ended(what: str) -> None:
    """[fault S19] A part of it: documents of a megabyte each took a gigabyte until the next look for garbage."""
    rig, client, asked = CALLS[what]()
    gc.collect(0)  # what other tests made is older from here on: a look at all of it takes seconds
    gc.disable()
    try:
        run_virtual(rig.call(client, body(**asked)))
        after = [each for each in gc.get_objects(generation=0) if isinstance(each, CallContext | UpstreamFailed | ApiError)]
    finally:
        gc.enable()
    assert after == []
