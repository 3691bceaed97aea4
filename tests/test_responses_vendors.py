"""Whatever vendor answers, in whichever dialect, its answer keeps the promises of the Responses API: the streams of the corpus."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from aisa.answer import Extra, Part
from aisa.providers import anthropic, gemini, openai, responses
from aisa.providers.shape import Target, continued
from aisa.providers.vendor_state import Memory, Seals, VendorState
from aisa.wire.chat import parse_chat
from aisa.wire.responses import parse_responses
from aisa.wire.responses_door import RESPONSES_DOOR
from responses_reading import codex_turn, events_in, faults_in, streamed

CORPUS = Path(__file__).parent / "corpus"
DIALECTS: dict[str, ModuleType] = {"anthropic": anthropic, "gemini": gemini, "openai": openai, "responses": responses}
STATE = VendorState(Seals(b"k" * 64), Memory(lambda: 0.0), account="default", vendor="acme")
CASES = [
    pytest.param(path, name, id=f"{name}-{path.name}")
    for name in DIALECTS
    for path in sorted((CORPUS / name).iterdir())
    if (path / "upstream.sse").exists() and json.loads((path / "request.json").read_bytes()).get("n", 1) == 1
]
OWN = parse_responses(b'{"model":"m","input":"Hi.","stream":true}')


def sent(case: Path, dialect: str) -> tuple[bytes, bool, list[Part]]:
    """What a client of the Responses API gets for a case, whether that is whole, and the parts that it was made of."""
    chat = parse_chat(json.dumps({**json.loads((case / "request.json").read_bytes()), "stream": True}).encode())
    decoder = DIALECTS[dialect].decoder(chat, Target("acme", "m-1", dialect, state=STATE), call_id="req_1", created=1, protocol="other")
    parts: list[Part] = []
    for name in ("upstream.sse", "upstream.next.sse"):
        if (case / name).exists() and not (decoder.done or decoder.failure):
            if parts:  # it gives its answer in several parts, and is asked for the next
                continued(decoder, DIALECTS[dialect].to_upstream(chat, Target("acme", "m-1", dialect)))
            parts += decoder.feed((case / name).read_bytes())
            parts += () if decoder.done or decoder.failure else decoder.end()
    encoder = RESPONSES_DOOR.encoder(OWN, call_id="req_1", created=1)
    piece = encoder.write(parts) if parts else None
    begun = b"" if piece is None else piece.data
    if decoder.failure is not None:
        return begun + encoder.failure(decoder.failure.error, "req_1"), False, parts
    if not any(isinstance(part, Extra) for part in parts):  # sound, for one, which this protocol cannot show
        assert (0 if piece is None else piece.tokens) == decoder.tokens
    return begun + encoder.closing(decoder.closing(None)), True, parts


@pytest.mark.parametrize(("case", "dialect"), CASES)
def test_every_answer_keeps_the_promises(case: Path, dialect: str) -> None:
    """One that is whole is complete by OpenAI's reader and Codex's, with as many tokens as were counted; any other ends as a failure."""
    data, whole, _ = sent(case, dialect)
    if not whole:
        assert [event["type"] for event in events_in(data)[-2:]] == ["error", "response.failed"]
        return
    assert faults_in(data) == []
    _, end = codex_turn(data)
    if end["type"] == "response.completed":
        assert [item.type for item in streamed(data).output] == [item["type"] for item in end["response"]["output"]]


@pytest.mark.parametrize("dialect", ["anthropic", "responses"])
def test_thinking_comes_back_to_its_vendor_as_it_was(dialect: str) -> None:
    """What a vendor has sealed travels in the item of reasoning, and stands in the next request where that vendor wants it."""
    data, _, _ = sent(CORPUS / dialect / "thinking-before-a-tool-call", dialect)
    items, _ = codex_turn(data)
    [call] = [item for item in items if item["type"] == "function_call"]
    result: dict[str, Any] = {"type": "function_call_output", "call_id": call["call_id"], "output": "4"}
    asked = parse_responses(json.dumps({"model": "m", "input": [{"role": "user", "content": "Hi."}, *items, result]}).encode())
    body = DIALECTS[dialect].to_upstream(asked.chat, Target("acme", "m-1", dialect, state=STATE)).body
    upstream = (CORPUS / dialect / "thinking-before-a-tool-call" / "upstream.sse").read_text()
    seal = upstream.split('"signature_delta"' if dialect == "anthropic" else '"encrypted_content":', 1)[1].split('"')[
        1 if dialect == "responses" else 3
    ]
    assert seal
    assert seal in body.decode()
