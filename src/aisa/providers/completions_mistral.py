"""Text completions by Mistral's own API: with a suffix what its models of code fill in between, else conversations. Sans-IO.

What comes back has the form of a conversation's answer either way.
"""

from __future__ import annotations

from aisa.providers import mistral
from aisa.providers.concessions import Concessions
from aisa.providers.embeddings_openai import post
from aisa.providers.mistral import decoder, read_failure
from aisa.providers.port import UpstreamRequest
from aisa.providers.shape import Target
from aisa.providers.through_chat import ThroughChat, asked
from aisa.wire.door import Request

__all__ = ["NAME", "decoder", "read_failure", "to_upstream"]

NAME: str = "completions/mistral"
SAME = ("suffix", "temperature", "top_p", "max_tokens", "min_tokens", "stop", "stream", "metadata")
THROUGH_CHAT = ThroughChat(mistral)


def to_upstream(request: Request, target: Target) -> UpstreamRequest:
    """Write the request. Raises UpstreamFailed."""
    given = asked(request)
    if not given.known.suffix:
        return THROUGH_CHAT.to_upstream(given, target)
    concessions = Concessions(target, f"the model '{given.model}'")
    for loss in given.losses:
        if loss.name == "prompt":
            raise concessions.refusal(loss.name, loss.why)
        if loss.name != "suffix":
            concessions.drop(loss.name, loss.why)
    if given.answers > 1:
        concessions.drop("n", "it fills in one answer")
    fields = {name: given.fields[name] for name in SAME if name in given.fields and bytes(given.fields[name]) != b"null"}
    written = post("/fim/completions", {"model": target.model, "prompt": given.prompts[0], **fields}, target)
    return UpstreamRequest(written.path, written.headers, written.body, dropped=concessions.dropped)
