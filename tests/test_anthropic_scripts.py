"""Anthropic's own client reads the streams of the corpus as we do: what our scripted vendor sends is what the vendor would.

And it reads what a client of the same protocol is passed on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from anthropic import Anthropic, APIStatusError
from anthropic.types import Message

from aisa.providers.anthropic_pass import REASONS

CORPUS = Path(__file__).parent / "corpus" / "anthropic"
#: Streams that are broken on purpose, or that the client reads otherwise on purpose: see the case's name.
BROKEN = frozenset(
    {
        "no-event-names",
        "second-message-start",
        "part-of-a-block-that-was-not-begun",
        "not-json",
        "cut-before-text",
        "cut-after-text",
        "no-message-stop",
        "unknown-events-are-skipped",
    }
)
GOOD = [path for path in sorted(CORPUS.iterdir()) if (path / "upstream.sse").exists() and path.name not in BROKEN]
ASKED: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi."}]}


def client(body: bytes, kind: str = "text/event-stream") -> Anthropic:
    """The client, of a vendor that answers with this body."""

    def answer(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=body, headers={"content-type": kind})

    return Anthropic(api_key="k", max_retries=0, http_client=httpx2.Client(transport=httpx2.MockTransport(answer)))


def message_in(body: bytes) -> Message:
    """The message that the client puts together from a stream."""
    with client(body).messages.stream(**ASKED) as stream:
        return stream.get_final_message()


def chat_of(case: Path) -> Iterator[dict[str, Any]]:
    """The choices of the chunks that a chat client gets."""
    for block in (case / "client.sse").read_text().split("\n\n"):
        if block.startswith("data: {"):
            yield from json.loads(block[6:])["choices"]


@pytest.mark.parametrize("case", GOOD, ids=[case.name for case in GOOD])
def test_the_vendors_client_reads_our_scripts_and_what_we_pass_on(case: Path) -> None:
    """Its text is the text of the chat client, and of a good message nothing is lost on the way."""
    body = (case / "upstream.sse").read_bytes()
    if not (case / "passed.sse").exists():
        with pytest.raises(APIStatusError):
            message_in(body)
        return
    message = message_in(body)
    text = "".join(block.text for block in message.content if block.type == "text")
    assert text == "".join(choice["delta"].get("content") or "" for choice in chat_of(case))
    passed = message_in((case / "passed.sse").read_bytes())
    assert passed.model_dump(exclude={"usage", "stop_reason"}) == message.model_dump(exclude={"usage", "stop_reason"})
    assert passed.stop_reason == (message.stop_reason if message.stop_reason in REASONS else "end_turn")
    assert passed.usage.output_tokens == message.usage.output_tokens


@pytest.mark.parametrize("name", ["no-event-names", "unknown-events-are-skipped"])
def test_what_the_client_cannot_read_from_the_vendor_it_reads_from_us(name: str) -> None:
    """Events get their names; what is new passes, and does no harm."""
    message = message_in((CORPUS / name / "passed.sse").read_bytes())
    assert "".join(block.text for block in message.content if block.type == "text") == "It rains in Oslo."
