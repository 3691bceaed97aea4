"""The corpus of the dialects that are translated: what vendors send, and what a chat client must get for it, however the bytes arrive.

A folder of `corpus/<dialect>` is a case; which there must be is in `dialect_cases.py`. Its files are those of `test_corpus.py`; besides,
`passed.sse` or `passed.json` is what a client of the dialect's own protocol gets, where that passes. `usage.json` may name parts of the
breakdown. Seals are compared by what is in them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import msgspec
import pytest

from aisa.answer import Part, Piece
from aisa.providers import anthropic, responses
from aisa.providers.shape import Asked, Decoder, Target
from aisa.providers.vendor_state import SEAL_KEY_BYTES, Memory, Seals, VendorState, VendorStates
from aisa.testing.conformance import check_answer, check_stream
from aisa.wire.chat import ChatRequest, parse_chat
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.reply import error_event
from dialect_cases import NOT_THERE, required
from test_corpus import CALL_ID, CREATED, REQUEST_ID, arrivals, bytes_of, read, values

CORPUS = Path(__file__).parent / "corpus"
DIALECTS: dict[str, ModuleType] = {"anthropic": anthropic, "responses": responses}
CASES = [
    pytest.param(path, name, id=f"{name}-{path.name}") for name in DIALECTS for path in sorted((CORPUS / name).iterdir()) if path.is_dir()
]
cases = pytest.mark.parametrize(("case", "dialect"), CASES)


class Outcome(NamedTuple):
    """What came of one arrival of a vendor's body."""

    sent: bytes
    tokens: int
    usage: dict[str, Any]
    failure: dict[str, Any] | None
    tier: str | None


def state() -> VendorState:
    """What vendors want back of the account that asks."""
    return VendorStates(Seals(bytes(SEAL_KEY_BYTES)), Memory(lambda: 0.0)).of("acme", "vendor")


def target_of(dialect: str) -> Target:
    """The target that the cases are of."""
    return Target("acme", "m-1-2026", dialect, state=state())


def decoder_of(chat: ChatRequest, dialect: str, protocol: str) -> Decoder:
    """What reads an answer."""
    decoder: Decoder = DIALECTS[dialect].decoder(chat, target_of(dialect), call_id=CALL_ID, created=CREATED, protocol=protocol)
    return decoder


def play(chat: ChatRequest, arrival: Iterator[bytes] | list[bytes], dialect: str, protocol: str = "openai") -> Outcome:
    """Feed a body through decoder and encoder the way the path of a call does; of a door of the dialect's own protocol the bytes."""
    decoder = decoder_of(chat, dialect, protocol)
    encoder = CHAT_DOOR.encoder(chat, call_id=CALL_ID, created=CREATED)
    parts: list[Part] = []
    for data in arrival:
        parts += decoder.feed(data)
        if decoder.done or decoder.failure:
            break
    else:
        parts += decoder.end()
    piece = encoder.write(parts) if parts else None
    failure = decoder.failure
    sent = b"" if piece is None else piece.data
    told = None
    if failure is None:
        sent += encoder.closing(decoder.closing(None))
    else:
        told = {"code": failure.error.code, "status": failure.error.status, "after_pieces": sent != b""}
    usage = decoder.usage()
    counts = msgspec.to_builtins(usage)
    counts |= counts.pop("breakdown", None) or {}
    return Outcome(sent, 0 if piece is None else piece.tokens, counts, told, decoder.tier)


def opened(value: Any) -> Any:
    """Return a value with what is in its seals in their place."""
    if isinstance(value, dict):
        return {name: opened(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [opened(inner) for inner in value]
    layout = state_of_tests().open(value) if isinstance(value, str) else None
    return value if layout is None else {"sealed": json.loads(layout)}


def state_of_tests() -> VendorState:
    """The same, to look into what was sealed."""
    return state()


def write_expected(case: Path, dialect: str = "anthropic") -> None:
    """Write down what a new case comes to, for its author to read and correct: `python -c` with this, once."""
    chat = parse_chat((case / "request.json").read_bytes())
    meta = read(case, "upstream.meta.json", {"status": 200, "headers": {}})
    upstream = bytes_of(case, "upstream")
    if meta["status"] != 200:
        refusal = DIALECTS[dialect].read_failure(
            meta["status"], meta["headers"], upstream, target=target_of(dialect), asked=Asked(float(CREATED))
        )
        told = {"code": refusal.error.code, "status": refusal.error.status, "after_pieces": False, "blame": refusal.blame}
        (case / "failure.json").write_text(json.dumps(told) + "\n")
        return
    outcome = play(chat, [upstream], dialect)
    if outcome.failure:
        (case / "failure.json").write_text(json.dumps(outcome.failure) + "\n")
    if outcome.sent:
        (case / f"client.{'sse' if chat.stream else 'json'}").write_bytes(outcome.sent)
    counts = {name: value for name, value in outcome.usage.items() if value} | ({"tier": outcome.tier} if outcome.tier else {})
    (case / "usage.json").write_text(json.dumps(counts) + "\n")
    if not outcome.failure and chat.stream == bool(list(case.glob("upstream.sse"))):
        passed = play(chat, [upstream], dialect, dialect)
        (case / f"passed.{'sse' if chat.stream else 'json'}").write_bytes(passed.sent)


@cases
def test_a_chat_client_gets_what_the_case_says_however_the_vendors_bytes_arrive(case: Path, dialect: str) -> None:
    """Output, usage, tier and failure are those of the case's files, conformant, and the same for every split of the body."""
    chat = parse_chat((case / "request.json").read_bytes())
    upstream = bytes_of(case, "upstream")
    meta = read(case, "upstream.meta.json", {"status": 200, "headers": {}})
    expected = read(case, "failure.json")
    if meta["status"] != 200:
        asked = Asked(float(CREATED))
        refusal = DIALECTS[dialect].read_failure(meta["status"], meta["headers"], upstream, target=target_of(dialect), asked=asked)
        told = {"code": refusal.error.code, "status": refusal.error.status, "after_pieces": False, "blame": refusal.blame}
        assert told == expected
        return
    outcome = play(chat, [upstream], dialect)
    assert outcome.failure == expected
    client = bytes_of(case, "client")
    assert opened(values(outcome.sent, stream=chat.stream)) == opened(values(client, stream=chat.stream))
    wanted = read(case, "usage.json", {})
    assert {name: ({**outcome.usage, "tier": outcome.tier}).get(name) for name in wanted} == wanted
    if not outcome.failure:
        faults = check_stream(outcome.sent, include_usage=True, choices=1) if chat.stream else check_answer(outcome.sent)
        assert faults == []
    elif outcome.sent:
        [error] = [outcome.failure["code"]]
        assert error
        assert b"[DONE]" not in outcome.sent
    for arrival in arrivals(upstream):
        again = play(chat, arrival, dialect)
        assert again == outcome, f"another outcome when split after {len(arrival[0])} bytes"


@cases
def test_a_client_of_the_same_protocol_gets_the_vendors_bytes_made_whole(case: Path, dialect: str) -> None:
    """Whatever the split; where nothing had to be mended but for the end, which carries the bill, in the very bytes of the vendor."""
    chat = parse_chat((case / "request.json").read_bytes())
    passed = bytes_of(case, "passed")
    if not passed:
        pytest.skip("nothing passes here")
    upstream = bytes_of(case, "upstream")
    outcome = play(chat, [upstream], dialect, dialect)
    assert outcome.sent == passed
    for arrival in arrivals(upstream):
        assert play(chat, arrival, dialect, dialect).sent == passed


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_dialect_has_every_case_that_it_must_have(dialect: str) -> None:
    """One that is missing is told by its name; one that is said to be impossible is not there."""
    there = {path.name for path in (CORPUS / dialect).iterdir() if path.is_dir()}
    assert sorted(required(dialect) - there) == []
    assert sorted(NOT_THERE.get(dialect, {}).keys() & there) == []


@cases
def test_every_case_says_how_it_ends(case: Path, dialect: str) -> None:
    """With what the client gets, or with a failure."""
    names = {path.name for path in case.iterdir()}
    assert names & {"client.sse", "client.json", "failure.json"}, dialect
    assert len(names & {"upstream.sse", "upstream.json", "upstream.txt"}) == 1


def test_a_failure_after_text_is_no_end() -> None:
    """What a chat client sees of a message that broke off is an error event behind the text."""
    case = CORPUS / "anthropic" / "error-after-text"
    chat = parse_chat((case / "request.json").read_bytes())
    decoder = decoder_of(chat, "anthropic", "openai")
    parts = [part for part in decoder.feed(bytes_of(case, "upstream")) if not isinstance(part, Piece)]
    assert decoder.failure is not None
    piece = CHAT_DOOR.encoder(chat, call_id=CALL_ID, created=CREATED).write(parts)
    assert piece is not None
    assert check_stream(piece.data + error_event(decoder.failure.error, REQUEST_ID), include_usage=True, choices=1) == []
