"""A second front door and a second dialect go through the path unchanged, in every pair, whatever happens on the way.

Both are in `doors.py`. What a door for chat completions and the OpenAI dialect do with each other is in nearly all other tests.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import ModuleType

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import doors
from aisa.answer import Arguments, Finish, Identity, Part, Piece, Reasoning, Report, Text, ToolCall
from aisa.config.schema import Prices
from aisa.errors import ApiError
from aisa.ledger.row import CallRow
from aisa.providers import openai
from aisa.providers.shape import Target
from aisa.testing.clock import run_virtual
from aisa.testing.conformance import check_answer, check_stream
from aisa.usage import Usage
from aisa.wire.assembly import Assembly
from aisa.wire.chat import parse_chat
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.door import Door
from rig import DONE as CHAT_DONE
from rig import Break, MemoryClient, Rig, Script, ScriptedUpstream, Stall, body, chunk, content_of, document, events_of, text, usage

AISA = Path(doors.__file__).parent.parent / "src" / "aisa"
LINES = doors.LinesDoor()
STREAMS: dict[str, tuple[list[bytes], list[bytes]]] = {
    "openai": (text("one ", "two "), [chunk({}, "stop"), usage(9, 2), CHAT_DONE]),
    "lines": ([b"+one \n", b"+two \n"], [b"=2\n"]),
}
DOCUMENTS = {"openai": [document("one two ")], "lines": [b"+one \n+two \n", b"=3\n"]}
PAIRS = [pytest.param(door, dialect, id=f"{door.protocol}-{dialect}") for door in (LINES, CHAT_DOOR) for dialect in ("openai", "lines")]
pairs = pytest.mark.parametrize(("door", "dialect"), PAIRS)
PRICES = Prices(input=1, output=2)


class Spoken(Rig):
    """A rig whose vendors speak a dialect, called through a door."""

    def __init__(self, *scripts: Script, door: Door, dialect: str) -> None:
        super().__init__(*[ScriptedUpstream(script) for script in scripts], prices=PRICES)
        spoken: ModuleType = openai if dialect == "openai" else doors
        self.door = door
        self.dependencies.dialects = {"openai": spoken}  # the configuration knows one name; the module under it is what counts

    def ask(self, client: MemoryClient, *, live: bool = True) -> CallRow | None:
        """Make one call; returns its row."""
        asked = body(stream=live) if self.door is CHAT_DOOR else json.dumps({"model": "fast", "ask": "Hi.", "live": live}).encode()
        run_virtual(self.call(client, asked, door=self.door))
        return self.rows[-1] if self.rows else None


def said(client: MemoryClient, door: Door) -> str:
    """The text that a client has."""
    if door is LINES:
        return "".join(line[1:] for line in client.body.decode().split("\n") if line.startswith("+"))
    return content_of(client.body) if client.length is None else json.loads(client.body)["choices"][0]["message"]["content"]


@pairs
@pytest.mark.parametrize("together", [False, True], ids=["alone", "in one read"])
def test_a_stream_arrives_in_the_words_of_its_door(door: Door, dialect: str, together: bool) -> None:
    """Whole, in order, with its end behind the settlement, and billed as reported; each token counts where it is shown."""
    words, end = STREAMS[dialect]
    script = Script([b"".join([*words, *end])] if together else [*words, *end])
    client, rig = MemoryClient(), Spoken(script, door=door, dialect=dialect)
    row = rig.ask(client)
    assert (said(client, door), client.ended, client.status) == ("one two ", True, 200)
    assert row is not None
    assert (row.outcome, row.billed.output_tokens, row.stream) == ("completed", 2, True)
    if door is LINES:
        assert client.body.endswith(b"=2 0.000009\n" if dialect == "lines" else b"=2 0.000013\n")
        assert client.headers["content-type"] == "text/lines"
    else:
        assert check_stream(client.body, include_usage=False, choices=1) == []


@pairs
def test_a_document_arrives_in_the_words_of_its_door(door: Door, dialect: str) -> None:
    """Whole, with its length, and only once it is settled."""
    client, rig = MemoryClient(), Spoken(Script(DOCUMENTS[dialect], headers={}), door=door, dialect=dialect)
    row = rig.ask(client, live=False)
    assert (said(client, door), len(client.writes)) == ("one two ", 1)
    assert client.length == len(client.body)
    assert row is not None
    assert (row.outcome, row.billed.output_tokens) == ("completed", 3)
    if door is CHAT_DOOR:
        assert check_answer(client.body) == []
        assert json.loads(client.body)["usage"]["cost"] == row.cost / 10**9


@pairs
def test_a_failure_before_the_first_word_has_its_true_status_in_the_words_of_the_door(door: Door, dialect: str) -> None:
    """And another target is asked before."""
    broken = Script([Break()])
    client, rig = MemoryClient(), Spoken(broken, broken, door=door, dialect=dialect)
    row = rig.ask(client)
    assert (client.status, row and row.outcome, row and row.attempts) == (502, "failed", 2)
    if door is LINES:
        assert client.body == b"!upstream_unavailable req_1\n"
    else:
        assert json.loads(client.body)["error"]["code"] == "upstream_unavailable"


@pairs
def test_what_a_failed_target_only_began_is_forgotten(door: Door, dialect: str) -> None:
    """The client gets the answer of the second alone."""
    words, end = STREAMS[dialect]
    opening = words[:1] if dialect == "openai" else []
    client, rig = MemoryClient(), Spoken(Script([*opening, Break()]), Script([*words, *end]), door=door, dialect=dialect)
    row = rig.ask(client)
    assert (said(client, door), row and row.outcome, row and row.attempts) == ("one two ", "completed", 2)


@pairs
def test_a_failure_inside_a_stream_is_told_in_the_words_of_the_door_and_is_no_end(door: Door, dialect: str) -> None:
    """What came before it stays, and is billed."""
    client, rig = MemoryClient(), Spoken(Script([*STREAMS[dialect][0], Break()]), door=door, dialect=dialect)
    row = rig.ask(client)
    assert (said(client, door), row and row.outcome, row and row.billed.output_tokens) == ("one two ", "cut", 2)
    if door is LINES:
        assert client.body.endswith(b"!upstream_unavailable req_1\n")
    else:
        assert events_of(client.body)[-1]["error"]["code"] == "upstream_unavailable"


@pairs
def test_a_silence_is_filled_with_what_the_clients_of_the_door_ignore(door: Door, dialect: str) -> None:
    """The head after 15 s, a sign then and every 15 s, the end after 60 s; no other door's sign."""
    client, rig = MemoryClient(), Spoken(Script([Stall()]), door=door, dialect=dialect)
    rig.ask(client)
    assert client.times[:4] == [15, 30, 45, 60]
    assert client.writes[:3] == [door.keep_alive] * 3
    assert b"upstream_timeout" in client.writes[3]


@pairs
def test_who_leaves_pays_for_what_arrived(door: Door, dialect: str) -> None:
    """Of two tokens of which one was written when the client went, that one; of typed parts as of bytes that pass."""
    words, _ = STREAMS[dialect]
    client = MemoryClient(leaves_after=1)
    row = Spoken(Script([*words[:-1], Stall(1), words[-1], Stall()]), door=door, dialect=dialect).ask(client)
    assert row is not None
    assert (row.outcome, row.billed.output_tokens, said(client, door)) == ("client_gone", 1, "one ")


@pytest.mark.parametrize("door", [LINES, CHAT_DOOR], ids=["lines", "openai"])
def test_what_is_refused_before_the_call_is_opened_is_raised_for_the_edge_to_tell(door: Door) -> None:
    """A body that is no request, and a model that is not there: nothing is asked and nothing kept."""
    for asked, code in (
        (b"oops", {LINES: "invalid_request", CHAT_DOOR: "json_parse_error"}),
        (NOBODYS[door], dict.fromkeys(NOBODYS, "unknown_model")),
    ):
        client, rig = MemoryClient(), Spoken(Script(), door=door, dialect="openai")
        with pytest.raises(ApiError) as refused:
            run_virtual(rig.call(client, asked, door=door))
        assert (refused.value.code, client.started, rig.rows) == (code[door], False, [])


NOBODYS = {LINES: b'{"model": "nobodys", "ask": "Hi."}', CHAT_DOOR: body(model="nobodys")}


# Typed parts


CASES = sorted(path for path in (Path(__file__).parent / "corpus" / "openai").iterdir() if (path / "upstream.sse").exists())


def choices_in(pieces: list[Piece]) -> object:
    """What the chunks in these pieces come to."""
    assembly = Assembly()
    for item in events_of(b"".join([piece.data for piece in pieces])):
        if isinstance(item, dict):
            assembly.take(item)
    return assembly.document()["choices"]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_typed_parts_say_what_the_bytes_say(case: Path) -> None:
    """For every stream of the corpus: another door gets all that the chat door does, with as many tokens, and the same failure."""
    request = json.loads((case / "request.json").read_bytes())
    chat = parse_chat(msgspec.json.encode({**request, "stream": True}))
    target = Target(vendor="acme", model="m", dialect="openai")
    passing, typed = (openai.decoder(chat, target, call_id="1", created=1, protocol=protocol) for protocol in ("openai", "other"))
    encoder = CHAT_DOOR.encoder(chat, call_id="1", created=1)
    told: list[list[Piece]] = []
    for decoder in (passing, typed):
        data = (case / "upstream.sse").read_bytes()
        parts: list[Part] = [*decoder.feed(data), *(() if decoder.done or decoder.failure else decoder.end())]
        assert (decoder is passing) is all(isinstance(part, Piece) for part in parts) or not parts
        written = encoder.write(parts)
        told.append([] if written is None else [written])
    assert str(typed.failure) == str(passing.failure)
    assert choices_in(told[1]) == choices_in(told[0])
    assert [sum(piece.tokens for piece in pieces) for pieces in told] == [passing.tokens if told[0] else 0] * 2


CALLS = st.builds(ToolCall, st.just(0), st.just(0), st.just("c1"), st.just("f"), st.integers(0, 3), st.booleans())
SAYINGS = st.builds(Text, st.integers(0, 2), st.text(min_size=1), st.integers(0, 9)) | st.builds(
    Reasoning, st.integers(0, 2), st.text(min_size=1), st.integers(0, 9), st.just("sealed")
)


@given(st.lists(SAYINGS, max_size=6), st.none() | CALLS, st.booleans())
def test_whatever_parts_come_the_chat_door_writes_a_conformant_answer(said: list[Part], call: Part | None, asked: bool) -> None:
    """Each choice opens once and in order, calls begin before their arguments, and the tokens are those of the parts."""
    choices = 3
    calls: list[Part] = [] if call is None else [call, Arguments(0, 0, '{"a":', 1), Arguments(0, 0, "1}", 1)]
    finishes: list[Part] = [Finish(index, "tool_calls" if calls and index == 0 else "stop") for index in range(choices)]
    parts: list[Part] = [Identity("chatcmpl-9", 7, "some-model"), *said, *calls, *finishes]
    request = {"model": "m", "n": choices, "messages": [{"role": "user", "content": "Hi."}]}
    report = Report(Usage(9, 5, 1, reasoning_tokens=2), "0.25")
    streamed = {**request, "stream": True, "stream_options": {"include_usage": asked}}
    encoder = CHAT_DOOR.encoder(parse_chat(json.dumps(streamed).encode()), call_id="1", created=1)
    pieces = [piece for part in parts if (piece := encoder.write([part])) is not None]
    sent = b"".join([piece.data for piece in pieces]) + encoder.closing([report])
    assert check_stream(sent, include_usage=asked, choices=choices) == []
    assert sum(piece.tokens for piece in pieces) == sum(part.tokens for part in parts)
    whole = CHAT_DOOR.encoder(parse_chat(json.dumps(request).encode()), call_id="1", created=1)
    assert whole.write(parts) is None
    answer = whole.closing([report])
    assert check_answer(answer) == []
    assert json.loads(answer)["choices"] == choices_in([Piece(sent, 0)])
    assert json.loads(answer)["usage"]["cost"] == 0.25


def test_the_path_and_its_clocks_name_no_protocol() -> None:
    """[fault A7] What the two toys prove is not taken back by an import: nothing between the doors and the dialects knows either."""
    for name in ("relay", "context", "timeouts", "delivery", "background_reads", "routing", "model_limits"):
        source = (AISA / f"{name}.py").read_text()
        assert not re.search(r"wire\.(chat|sse|reply|chunks|plain)|providers\.openai", source), name
    for path in [*(AISA / "http").glob("*.py"), *(AISA / "ledger").glob("*.py"), *(AISA / "admission").glob("*.py")]:
        assert not re.search(r"wire\.(chat|chat_door|sse|reply|chunks|plain)\b|keep-alive\\n", path.read_text()), path.name
