"""Text completions in a dialect that holds conversations only: the prompt is its one message. Knows no dialect by name.

What a conversation has no word for is refused, or left out where the model's entry says so; several prompts always are refused.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from aisa.errors import UpstreamFailed
from aisa.providers.concessions import Concessions
from aisa.providers.port import UpstreamRequest
from aisa.providers.shape import Asked, Decoder, Dialect, Target
from aisa.wire.completions import OUTPUT_MIN, CompletionsRequest
from aisa.wire.door import Request
from aisa.wire.texts import no_conversation

NEEDED = "prompt"  # without it nothing is asked


class ThroughChat:
    """A dialect's conversations as completions; implements `shape.Dialect`."""

    NAME: str = "completions"

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    def to_upstream(self, request: Request, target: Target) -> UpstreamRequest:
        """Write the request. Raises UpstreamFailed for what no conversation can say: another target may be able to."""
        given = asked(request)
        concessions = Concessions(target, f"the model '{given.model}', which is asked through conversations")
        for loss in given.losses:
            if loss.name == NEEDED:
                raise concessions.refusal(loss.name, loss.why)
            concessions.drop(loss.name, loss.why)
        if given.known.max_tokens == 0:
            concessions.move("max_tokens", OUTPUT_MIN, "an answer has a token at least")
        elif (given.known.max_tokens or 0) < 0:
            concessions.leave_out("max_tokens")
        written = self._dialect.to_upstream(given, target)
        dropped, changed = (*concessions.dropped, *written.dropped), (*concessions.changed, *written.changed)
        return msgspec.structs.replace(written, dropped=dropped, changed=changed)

    def decoder(self, request: Request, target: Target, *, call_id: str, created: int, protocol: str) -> Decoder:
        """Return what reads the answer, as the dialect's own for any other door."""
        return self._dialect.decoder(request, target, call_id=call_id, created=created, protocol=protocol)

    def read_failure(self, status: int, headers: Mapping[str, str], body: bytes, *, target: Target, asked: Asked) -> UpstreamFailed:
        """Say what an HTTP status other than 200 means, as the dialect does."""
        return self._dialect.read_failure(status, headers, body, target=target, asked=asked)


def asked(request: Request) -> CompletionsRequest:
    """Return a request for a completion. Raises UpstreamFailed for any other."""
    if not isinstance(request, CompletionsRequest):
        raise no_conversation("This call")
    return request
