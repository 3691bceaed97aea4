"""Who answered and why it ended, as traces tell it: what every dialect's decoders know of it is what the client is told."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from aisa.providers import anthropic, bedrock, cohere, gemini, mistral, openai, responses
from aisa.providers.output import ends_of
from aisa.providers.shape import Target
from aisa.wire.chat import parse_chat
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.finish import UNKNOWN
from corpus_runner import CALL_ID, CREATED, DialectCase
from rig import whole_stream

CORPUS = Path(__file__).parent / "corpus"
DIALECTS = (anthropic, bedrock, cohere, gemini, mistral, openai, responses)
#: What a client is told where the vendor says `stop`, or a word in nobody's table.
MENDED = {"stop", "tool_calls", "function_call", UNKNOWN}


def told_of(case: DialectCase) -> tuple[tuple[str, tuple[str, ...]], tuple[str, tuple[str, ...]]] | None:
    """Return how an answer ended by its decoder and by what the client got; None of one that failed, or goes on."""
    if case.meta["status"] != 200 or case.next:
        return None
    decoder = case.dialect.decoder(case.chat, case.target, call_id=CALL_ID, created=CREATED, protocol=CHAT_DOOR.protocol)
    encoder = CHAT_DOOR.encoder(case.chat, call_id=CALL_ID, created=CREATED)
    sent = b""
    for parts in (decoder.feed(case.upstream), () if decoder.done else decoder.end()):
        piece = encoder.write(list(parts)) if parts else None
        sent += b"" if piece is None else piece.data
    if decoder.failure is not None or not decoder.done:
        return None
    sent += encoder.closing(decoder.closing(None))
    return ends_of(decoder), client_told(sent, stream=case.chat.stream)


def client_told(sent: bytes, *, stream: bool) -> tuple[str, tuple[str, ...]]:
    """Return the id of an answer and why its choices ended, as its client reads them."""
    events = [line[6:] for line in sent.split(b"\n") if line.startswith(b"data: {")] if stream else [sent]
    found: dict[int, str] = {}
    answer_id = ""
    for event in events:
        tree: dict[str, Any] = json.loads(event)
        answer_id = answer_id or tree.get("id", "")
        found |= {choice["index"]: choice["finish_reason"] for choice in tree.get("choices", ()) if choice.get("finish_reason")}
    return answer_id, tuple(found[index] for index in sorted(found))


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.NAME)
def test_how_an_answer_ended_is_known_of_every_dialects_as_its_client_is_told(dialect: ModuleType) -> None:
    """Of streams and documents, each whole case of the corpus; only what is mended for clients may be told in the vendor's meaning."""
    seen = 0
    for folder in sorted((CORPUS / dialect.NAME).iterdir()):
        known = told_of(DialectCase(dialect, folder))
        if known is None:
            continue
        (answer_id, reasons), (clients_id, clients_reasons) = known
        assert (answer_id, len(reasons)) == (clients_id, len(clients_reasons)), folder.name
        for ours, theirs in zip(reasons, clients_reasons, strict=True):
            assert ours == theirs or {ours, theirs} <= MENDED, folder.name
        seen += 1
    assert seen > 10


def test_a_document_that_is_put_together_of_a_stream_has_the_streams_ends() -> None:
    """It is read as what it was."""
    target = Target("acme", "m-1", openai.NAME, assemble=True)
    chat = parse_chat(b'{"model": "m", "messages": [{"role": "user", "content": "Hi."}]}')
    decoder = openai.decoder(chat, target, call_id=CALL_ID, created=CREATED, protocol=CHAT_DOOR.protocol)
    decoder.feed(b"".join(whole_stream("Hello", ".")))
    decoder.end()
    assert (type(decoder).__name__, ends_of(decoder)) == ("AssemblyDecoder", ("chatcmpl-1", ("stop",)))
