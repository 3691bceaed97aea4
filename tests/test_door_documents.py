"""The documents of every door in front of every dialect, read by the types of the doors' own clients: a cell is a test.

Beside `test_door_matrix.py`, which has the streams. Vendors are scripted in memory, by the scripts that `polyglot.py` has in every dialect.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, NamedTuple

import pytest
from anthropic.types import Message
from google.genai.types import GenerateContentResponse
from openai.types import Completion
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from aisa.config.schema import Prices
from aisa.providers.vendor_state import SEAL_KEY_BYTES, Memory, Seals, VendorStates
from aisa.testing.clock import run_virtual
from aisa.wire.door import Door
from aisa.wire.gemini_door import GeminiDoor
from door_readers import PICTURE, RESULT, SPEAKERS, Json, Seen
from polyglot import AGENT, CITY, SCRIPTS, TONGUES
from polyglot_words import INPUT, OUTPUT, SIGNATURE, Script
from rig import MemoryClient, Rig, ScriptedUpstream, Stall
from rig import Script as Sent
from test_door_matrix import ENDS, NOT_ASKED, NOT_SENT

NAMES = {line.name for script in SCRIPTS.values() for line in script if line.kind == "call"}
COST = (INPUT * 1 + OUTPUT * 2) * 1000  # nano-dollars


def chat(document: bytes) -> Seen:
    """By OpenAI's client."""
    [choice] = ChatCompletion.model_validate_json(document).choices
    message = choice.message
    calls = [(call.function.name, call.function.arguments) for call in message.tool_calls or () if call.type == "function"]
    history = json.loads(document)["choices"][0]["message"]
    return Seen(message.content or message.refusal or "", calls, choice.finish_reason, history=[history])


def responses(document: bytes) -> Seen:
    """By the same."""
    response = Response.model_validate_json(document)
    reason = response.incomplete_details and response.incomplete_details.reason
    said = [part.refusal for item in response.output if item.type == "message" for part in item.content if part.type == "refusal"]
    calls = [(item.name, item.arguments) for item in response.output if item.type == "function_call"]
    assert response.usage is not None
    assert response.usage.total_tokens == INPUT + OUTPUT
    return Seen(response.output_text + "".join(said), calls, reason or str(response.status), history=json.loads(document)["output"])


def messages(document: bytes) -> Seen:
    """By Anthropic's client."""
    message = Message.model_validate_json(document)
    text = "".join([block.text for block in message.content if block.type == "text"])
    why = (message.stop_details.explanation if message.stop_details else None) or ""
    calls = [(block.name, json.dumps(block.input)) for block in message.content if block.type == "tool_use"]
    usage = message.usage
    assert usage.input_tokens + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0) == INPUT
    history = json.loads(document)["content"]
    return Seen(text + ("" if why in text else why), calls, str(message.stop_reason), history=history)


def gemini(document: bytes) -> Seen:
    """By Google's client."""
    answer = GenerateContentResponse.model_validate_json(document)
    [candidate] = answer.candidates or ()
    assert candidate.finish_reason is not None
    assert answer.usage_metadata is not None
    assert answer.usage_metadata.total_token_count == INPUT + OUTPUT
    content = json.loads(document)["candidates"][0].get("content", {})
    parts = (candidate.content and candidate.content.parts) or []
    text = "".join([part.text or "" for part in parts if not part.thought])
    calls = [(call.name or "", json.dumps(call.args)) for part in parts if (call := part.function_call)]
    return Seen(text, calls, candidate.finish_reason.value, history=content.get("parts", []))


def completions(document: bytes) -> Seen:
    """By OpenAI's client."""
    [choice] = Completion.model_validate_json(document).choices
    return Seen(choice.text, [], choice.finish_reason)


READERS = {"chat": chat, "responses": responses, "messages": messages, "gemini": gemini, "completions": completions}
DOORS: dict[str, Door] = {name: GeminiDoor("fast") if name == "gemini" else speaker.door for name, speaker in SPEAKERS.items()}


class Outcome(NamedTuple):
    """What became of calls: the rig, the last client, and what vendors were asked."""

    rig: Rig
    client: MemoryClient
    vendor: ScriptedUpstream

    @property
    def sent(self) -> bytes:
        """The body of the last request to the vendor."""
        return self.vendor.requests[-1].body


def asked_of(door: str, wanted: str) -> Json:
    """What a client of a door asks when it wants no stream."""
    return {name: value for name, value in SPEAKERS[door].ask(wanted).items() if name != "stream"}


def rig_of(dialect: str, *sent: Sent) -> tuple[Rig, ScriptedUpstream]:
    """The path in front of a vendor of a dialect."""
    vendor = ScriptedUpstream(*sent)
    rig = Rig(vendor, vendor={"dialect": dialect, "completions": False}, prices=Prices(input=1, output=2))
    rig.dependencies.states = VendorStates(Seals(bytes(SEAL_KEY_BYTES)), Memory(lambda: 0.0))
    return rig, vendor


def document_of(dialect: str, script: Script) -> Sent:
    """A script as a vendor writes it whole."""
    return Sent([json.dumps(TONGUES[dialect].document(script)).encode()], headers={"content-type": "application/json"})


def called(door: str, dialect: str, wanted: str, *sent: Sent, client: MemoryClient | None = None) -> Outcome:
    """Make one call that wants no stream."""
    rig, vendor = rig_of(dialect, *sent)
    client = client or MemoryClient()
    run_virtual(rig.call(client, json.dumps(asked_of(door, wanted)).encode(), door=DOORS[door]))
    return Outcome(rig, client, vendor)


def cells(*situations: str) -> Any:
    """Every door and dialect in these situations."""
    rows = [
        pytest.param(door, dialect, situation, id=f"{door}-{dialect}-{situation}")
        for situation in situations
        for dialect in TONGUES
        for door in READERS
        if (dialect, situation) not in NOT_SENT
    ]
    return pytest.mark.parametrize(("door", "dialect", "situation"), rows)


@cells("text", "schema", "picture", "thinking", "length", "refusal")
def test_a_document_is_what_the_doors_own_client_reads(door: str, dialect: str, situation: str) -> None:
    """Its text, the reason for its end, and a bill by what was reported; what was asked for reached the vendor."""
    script = SCRIPTS.get(situation, SCRIPTS["text"])
    wanted = situation if situation in ("schema", "picture") else "text"
    rig, client, vendor = outcome = called(door, dialect, wanted, document_of(dialect, script))
    assert client.status == 200, client.body
    seen, (good, _, length, refused) = READERS[door](client.body), ENDS[door]
    said = "".join([line.text for line in script if line.kind in ("say", "refuse")])
    told = chat(called("chat", dialect, wanted, document_of(dialect, script)).client.body).text
    assert told in (said, "")
    assert seen.text == told
    assert seen.end in {"length": (length,), "refusal": (refused, good)}.get(situation, (good,))
    assert (rig.rows[-1].outcome, rig.rows[-1].cost, len(vendor.requests)) == ("completed", COST, 1)
    if (door, situation) not in NOT_ASKED and situation in ("schema", "picture"):
        assert (PICTURE.encode() if situation == "picture" else b"city") in outcome.sent


@cells("tools", "parallel")
def test_the_calls_of_a_document_have_names_and_whole_arguments(door: str, dialect: str, situation: str) -> None:
    """One or several, as the vendor made them."""
    _, client, _ = called(door, dialect, "tools", document_of(dialect, SCRIPTS[situation]))
    assert client.status == 200, client.body
    seen = READERS[door](client.body)
    assert seen.end == ENDS[door][1]
    made = [(line.name, json.loads(line.arguments)) for line in SCRIPTS[situation] if line.kind == "call"]
    assert [(name, json.loads(given)) for name, given in seen.calls] == ([] if (door, "tools") in NOT_ASKED else made)


@cells("thinking over tools")
def test_the_thinking_of_a_document_goes_back_with_the_results_of_its_calls(door: str, dialect: str, situation: str) -> None:
    """In what the door's client keeps of it: the vendor gets its seal back as it gave it."""
    rig, vendor = rig_of(dialect, document_of(dialect, AGENT[0]), document_of(dialect, AGENT[2]))
    asked = asked_of(door, "tools")
    first, second = MemoryClient(), MemoryClient()
    run_virtual(rig.call(first, json.dumps(asked).encode(), door=DOORS[door]))
    seen = READERS[door](first.body)
    run_virtual(rig.call(second, json.dumps(SPEAKERS[door].turn(asked, seen)).encode(), door=DOORS[door]))
    assert (second.status, READERS[door](second.body).end) == (200, ENDS[door][0])
    if (door, situation) not in NOT_ASKED:
        assert RESULT.encode() in vendor.requests[-1].body
        assert TONGUES[dialect].keeps in vendor.requests[-1].body
        assert TONGUES[dialect].keeps != SIGNATURE.encode() or SIGNATURE.encode() in vendor.requests[-1].body


@cells("early error", "error in a 200", "cut", "no document")
def test_a_document_that_fails_has_its_true_status_and_is_free(door: str, dialect: str, situation: str) -> None:
    """Refused, an error where an answer should be, cut in its middle, or no JSON: in the door's shape of errors, never half an answer."""
    whole = json.dumps(TONGUES[dialect].document(SCRIPTS["text"])).encode()
    error = b'{"error":{"message":"busy","type":"overloaded_error","code":503},"message":"busy"}'
    body, status = {
        "early error": (error, 503),
        "error in a 200": (error, 200),
        "cut": (whole[: len(whole) // 2], 200),
        "no document": (b"<html>Bad gateway</html>", 200),
    }[situation]
    rig, client, _ = called(door, dialect, "text", Sent([body], status=status, headers={"content-type": "application/json"}))
    assert client.status is not None
    assert 500 <= client.status < 600
    assert SPEAKERS[door].refused(json.loads(client.body))
    assert (rig.rows[-1].outcome, rig.rows[-1].cost) == ("failed", 0)


@cells("leave")
def test_who_leaves_before_a_document_is_whole_pays_nothing_and_the_vendor_is_cancelled(door: str, dialect: str, situation: str) -> None:
    """At every door the same: nothing of it has arrived."""
    rig, vendor = rig_of(dialect, Sent([b'{"', Stall()], headers={"content-type": "application/json"}))
    client = MemoryClient()

    async def leaving() -> None:
        asyncio.get_running_loop().call_later(5.0, client.leave)
        await rig.call(client, json.dumps(asked_of(door, "text")).encode(), door=DOORS[door])

    run_virtual(leaving())
    assert (rig.rows[-1].outcome, rig.rows[-1].cost, vendor.aborted, vendor.open) == ("client_gone", 0, 1, 0)


def test_the_calls_of_the_scripts_are_those_that_clients_offer() -> None:
    """Else a vendor would call what nobody has."""
    offered = {tool["function"]["name"] for tool in SPEAKERS["chat"].ask("tools")["tools"]}
    assert offered >= NAMES
    assert json.loads(CITY) == {"city": "Oslo"}
