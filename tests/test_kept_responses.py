"""Responses that an operator has kept: conversations lead on by `previous_response_id` and by references, within bounds, for one key."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import BadRequestError, NotFoundError, OpenAI

from aisa.config.load import load
from aisa.config.problem import ConfigErrors
from aisa.config.responses import ResponsesSettings
from aisa.edge.kept_responses import KeptResponses
from aisa.errors import ApiError
from aisa.testing.clock import run_virtual
from responses_reading import events_in, faults_in
from rig import MemoryClient, Rig, Script, ScriptedUpstream, document, whole_stream
from server import FRONT, Front, serving
from vendor import ScriptedVendor

Json = dict[str, Any]
KEEPING = "responses: {keep_minutes: 10}\n"
NAMED_BY_THE_VENDOR = {"id": "resp_of_the_vendor", "object": "response", "created_at": 1, "status": "completed", "model": "some-model"}
SAID = {"id": "msg_of_the_vendor", "type": "message", "role": "assistant", "status": "completed", "content": []}


def kept_by(minutes: int = 10, bytes_max: int = 1 << 20) -> tuple[KeptResponses, list[float]]:
    """What keeps, and its clock."""
    now = [0.0]
    return KeptResponses(ResponsesSettings(keep_minutes=minutes, keep_bytes_max=bytes_max), lambda: now[0]), now


def answered(name: str, text: str = "Hi.") -> Json:
    """A response."""
    part = {"type": "output_text", "text": text, "annotations": []}
    return {"id": name, "output": [{"id": f"msg_{name}", "type": "message", "role": "assistant", "content": [part]}]}


def call(kept: KeptResponses, rig: Rig, key: str = "k", **members: object) -> Json:
    """One call through the door that keeps, and its answer."""
    client = MemoryClient()
    run_virtual(rig.call(client, json.dumps({"model": "fast", **members}).encode(), door=kept.door(key)))
    assert client.status == 200, client.body
    if not members.get("stream"):
        whole: Json = json.loads(client.body)
        return whole
    assert not faults_in(bytes(client.body))
    last: Json = events_in(bytes(client.body))[-1]["response"]
    return last


@pytest.mark.parametrize("stream", [False, True])
def test_a_conversation_leads_on_and_the_vendor_is_asked_the_whole_of_it(stream: bool) -> None:
    """By chat completions: each turn has all before it, whatever was said in between; instructions are the call's own."""
    script = Script(whole_stream("one ", "two ")) if stream else Script([document("one two ")])
    vendor = ScriptedUpstream(script, script, script)
    kept, _ = kept_by()
    rig = Rig(vendor)
    first = call(kept, rig, input="First.", instructions="Be brief.", stream=stream)
    assert (first["store"], first["previous_response_id"]) == (True, None)
    second = call(kept, rig, input=[{"role": "user", "content": "Second."}], previous_response_id=first["id"], stream=stream)
    assert (second["store"], second["previous_response_id"]) == (True, first["id"])
    call(kept, rig, input="Third.", previous_response_id=second["id"], store=False, stream=stream)
    said = [[(each["role"], each["content"]) for each in json.loads(asked.body)["messages"]] for asked in vendor.requests]
    turns = [("user", "First."), ("assistant", "one two "), ("user", "Second."), ("assistant", "one two "), ("user", "Third.")]
    assert said == [[("system", "Be brief."), turns[0]], turns[:3], turns]


def test_a_conversation_leads_on_without_anything_more_to_say() -> None:
    """The model is asked to go on from what is kept: `input` is not needed then."""
    vendor = ScriptedUpstream(Script([document("one")]))
    rig, (kept, _) = Rig(vendor), kept_by()
    first = call(kept, rig, input="Say.")
    call(kept, rig, previous_response_id=first["id"])
    assert [message["role"] for message in json.loads(vendor.requests[-1].body)["messages"]] == ["user", "assistant"]


def test_one_response_can_lead_on_in_several_ways_and_is_not_changed_by_it() -> None:
    """As often as it is asked."""
    script = Script([document("ok")])
    vendor = ScriptedUpstream(script, script, script)
    kept, _ = kept_by()
    rig = Rig(vendor)
    first = call(kept, rig, input="First.")
    for text in ("Second.", "Other."):
        call(kept, rig, input=text, previous_response_id=first["id"])
    ends = [[each["content"] for each in json.loads(asked.body)["messages"]] for asked in vendor.requests]
    assert ends == [["First."], ["First.", "ok", "Second."], ["First.", "ok", "Other."]]


def test_a_reference_stands_for_the_item_of_an_earlier_answer() -> None:
    """Of the same key; the AI SDK sends such where it is told that answers are stored."""
    script = Script([document("ok")])
    vendor = ScriptedUpstream(script, script)
    kept, _ = kept_by()
    rig = Rig(vendor)
    item = call(kept, rig, input="First.")["output"][0]["id"]
    again = [{"role": "user", "content": "First."}, {"type": "item_reference", "id": item}, {"role": "user", "content": "Second."}]
    call(kept, rig, input=again)
    assert [each["content"] for each in json.loads(vendor.requests[-1].body)["messages"]] == ["First.", "ok", "Second."]
    with pytest.raises(ApiError) as refused:
        kept.door("other").read(json.dumps({"model": "fast", "input": again}).encode())
    assert refused.value.param == "input[1]"


def test_a_vendor_of_the_same_protocol_keeps_nothing_and_is_sent_the_items() -> None:
    """Its own id is the one to lead on from."""
    script = Script([json.dumps({**NAMED_BY_THE_VENDOR, "output": [SAID], "usage": None, "store": False}).encode()])
    vendor = ScriptedUpstream(script, script)
    kept, _ = kept_by()
    rig = Rig(vendor, vendor={"dialect": "responses"})
    assert call(kept, rig, input="First.")["id"] == "resp_of_the_vendor"
    call(kept, rig, input="Second.", previous_response_id="resp_of_the_vendor")
    asked = json.loads(vendor.requests[-1].body)
    assert asked["input"] == [{"role": "user", "content": "First."}, SAID, {"role": "user", "content": "Second."}]
    assert (asked["store"], "previous_response_id" in asked) == (False, False)


def test_what_is_not_wanted_not_whole_or_another_keys_is_not_kept() -> None:
    """`store: false`, a failure, somebody else's id: each is as if nothing had been said."""
    kept, _ = kept_by()
    rig = Rig(ScriptedUpstream(Script([document("ok")]), Script([b"{}"], 500)))
    unwanted = call(kept, rig, input="First.", store=False)
    assert unwanted["store"] is False
    client = MemoryClient()
    run_virtual(rig.call(client, b'{"model":"fast","input":"Second."}', door=kept.door("k")))
    assert client.status == 502
    kept.keep("k", answered("resp_here"), [])
    for key, name in (("k", unwanted["id"]), ("other", "resp_here"), ("k", "resp_9" * 100)):
        with pytest.raises(ApiError) as refused:
            kept.door(key).read(json.dumps({"model": "fast", "input": "x", "previous_response_id": name}).encode())
        assert (refused.value.status, refused.value.param) == (400, "previous_response_id")
        assert len(refused.value.message) < 300


def test_what_is_kept_ends_after_its_time() -> None:
    """With the item that can be referred to."""
    kept, now = kept_by(minutes=10)
    assert kept.keep("k", answered("resp_1"), [])
    now[0] = 599.0
    assert kept.find("k", "resp_1") is not None
    now[0] = 600.0
    assert (kept.find("k", "resp_1"), kept.item("k", "msg_resp_1")) == (None, None)


def test_what_is_kept_is_bounded_and_the_oldest_go_first() -> None:
    """One conversation takes a quarter at most, and is told then that it is not kept."""
    kept, _ = kept_by(bytes_max=20_000)
    names = [f"resp_{number}" for number in range(100)]
    assert all(kept.keep("k", answered(name), []) for name in names)
    here = [name for name in names if kept.find("k", name) is not None]
    assert here == names[-len(here) :]
    assert 5 < len(here) < 20
    assert not kept.keep("k", answered("large", "x" * 5_000), [])
    assert not kept.keep("k", answered("large"), [{"role": "user", "content": "x" * 5_000}])


def test_turning_it_off_forgets_everything() -> None:
    """At the next reload."""
    kept, _ = kept_by()
    kept.keep("k", answered("resp_1"), [])
    kept.configure(ResponsesSettings())
    kept.configure(ResponsesSettings(keep_minutes=10))
    assert kept.find("k", "resp_1") is None


def test_several_workers_and_kept_responses_are_refused_at_the_start(tmp_path: Path) -> None:
    """The next call of a conversation may come to another worker."""
    path = tmp_path / "aisa.yaml"
    path.write_text(f"{KEEPING}server: {{workers: 2}}\n", encoding="utf-8")
    with pytest.raises(ConfigErrors, match="keep_minutes"):
        load(str(path), {}, {})


# OpenAI's own client against a running server


@pytest.fixture(scope="module")
def keeping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """A server that keeps responses."""
    with ScriptedVendor() as vendor, serving(tmp_path_factory.mktemp("keeping"), KEEPING + FRONT.format(vendor=vendor.url)) as running:
        yield Front(running, vendor)


def test_the_official_client_leads_on_looks_and_deletes(keeping: Front) -> None:
    """Streamed and not; another key finds nothing."""
    with OpenAI(base_url=keeping.server.api, api_key=keeping.server.key, max_retries=0) as client:
        first = client.responses.create(model="gpt-4.1", input="Hello!")
        with client.responses.stream(model="gpt-4.1", input="And you?", previous_response_id=first.id) as stream:
            second = stream.get_final_response()
        assert second.previous_response_id == first.id
        assert client.responses.retrieve(second.id).output_text == second.output_text
        assert len(client.responses.input_items.list(second.id).data) == 3
        more = client.responses.input_tokens.count(model="gpt-4.1", input="x", previous_response_id=second.id)
        assert more.input_tokens > client.responses.input_tokens.count(model="gpt-4.1", input="x").input_tokens
        client.responses.delete(first.id)
        with pytest.raises(NotFoundError, match="not any longer"):
            client.responses.retrieve(first.id)
        with pytest.raises(BadRequestError, match="whole conversation"):
            client.responses.create(model="gpt-4.1", input="x", previous_response_id=first.id)
        assert client.responses.create(model="gpt-4.1", input="x", previous_response_id=second.id).status == "completed"
    other = keeping.server.aisa("keys", "create", "other", "--quiet").strip()
    with OpenAI(base_url=keeping.server.api, api_key=other, max_retries=0) as client, pytest.raises(NotFoundError):
        client.responses.retrieve(second.id)


def test_calls_at_the_same_time_keep_their_own(keeping: Front) -> None:
    """Each leads on from its own."""
    with OpenAI(base_url=keeping.server.api, api_key=keeping.server.key, max_retries=0) as client:

        def two(number: int) -> tuple[str, str | None]:
            first = client.responses.create(model="gpt-4.1", input=f"Hello {number}!")
            return first.id, client.responses.create(model="gpt-4.1", input="Go on.", previous_response_id=first.id).previous_response_id

        async def all_of_them() -> list[tuple[str, str | None]]:
            return list(await asyncio.gather(*[asyncio.to_thread(two, number) for number in range(4)]))

        assert all(first == led_on for first, led_on in asyncio.run(all_of_them()))
