"""A scripted vendor, in memory: says exactly what its script says, when it says it, and remembers what was asked of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import msgspec

from aisa.errors import ApiError, UpstreamFailed
from aisa.providers.port import UpstreamRequest


class Stall(msgspec.Struct, frozen=True):
    """Say nothing for so many seconds of the event loop's time; infinity never ends."""

    seconds: float = float("inf")


class Break(msgspec.Struct, frozen=True):
    """Break the connection."""


class Script(msgspec.Struct):
    """What a vendor does with one request: refuses the connection, or answers with a status and these bytes, stalls and breaks."""

    steps: Sequence[bytes | Stall | Break] = ()
    status: int = 200
    headers: Mapping[str, str] = msgspec.field(default_factory=lambda: {"content-type": "text/event-stream"})
    refuses: bool = False
    stale: bool = False


class ScriptedAnswer:
    """One answer being given."""

    def __init__(self, script: Script, upstream: ScriptedUpstream) -> None:
        self.status = script.status
        self.headers = script.headers
        self._steps = list(script.steps)
        self._upstream = upstream
        self._open = True
        upstream.open += 1

    async def read(self) -> bytes:
        """Return the next bytes of the script."""
        while self._steps:
            step = self._steps.pop(0)
            if isinstance(step, bytes):
                self._upstream.reads += 1
                return step
            if isinstance(step, Break):
                raise UpstreamFailed(ApiError("upstream_unavailable", "The vendor broke off."))
            self._steps.insert(0, step)  # still to come, should the caller leave meanwhile
            await (asyncio.Event().wait() if step.seconds == float("inf") else asyncio.sleep(step.seconds))
            self._steps.pop(0)
        return b""

    def release(self) -> None:
        """The caller is content."""
        self._leave(aborted=False)

    def close(self) -> None:
        """The caller leaves; that is an abort unless the script was over."""
        self._leave(aborted=bool(self._steps))

    def _leave(self, *, aborted: bool) -> None:
        if self._open:
            self._open = False
            self._upstream.open -= 1
            self._upstream.aborted += aborted


class ScriptedUpstream:
    """Answers each request with the next script; the last one again and again."""

    def __init__(self, *scripts: Script) -> None:
        self.requests: list[UpstreamRequest] = []
        self.open = 0
        self.aborted = 0
        self.reads = 0
        self._scripts = list(scripts)

    async def ask(self, request: UpstreamRequest) -> ScriptedAnswer:
        """Take a request."""
        self.requests.append(request)
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        if script.refuses or script.stale:
            raise UpstreamFailed(ApiError("upstream_unavailable", "The vendor could not be reached."), may_repeat=script.stale)
        return ScriptedAnswer(script, self)

    def __repr__(self) -> str:
        return f"<ScriptedUpstream {len(self.requests)} asked, {self.open} open, {self.aborted} aborted>"
