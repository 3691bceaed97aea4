"""Files that a client gives by an address, at every door: passed on where the vendor reads addresses, refused by name elsewhere.

This server reads none of them itself.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from aisa.config.schema import Config, Vendor
from aisa.errors import UpstreamFailed
from aisa.providers import anthropic, bedrock, cohere, gemini, mistral, openai, responses
from aisa.providers.shape import Target
from aisa.vendor_targets import vendor_target
from door_readers import SPEAKERS

Json = dict[str, Any]
URL = "https://a.example/report.pdf"
MODEL = {"anthropic": "claude-opus-5-5", "bedrock": "anthropic.claude-opus-5-5", "gemini": "gemini-3.8-flash"}
DIALECTS = {each.NAME: each for each in (anthropic, bedrock, cohere, gemini, mistral, openai, responses)}
#: How a client of each door gives a file by its address.
GIVEN: dict[str, Json] = {
    "responses": {"input": [{"role": "user", "content": [{"type": "input_file", "file_url": URL}]}]},
    "messages": {"messages": [{"role": "user", "content": [{"type": "document", "source": {"type": "url", "url": URL}}]}], "max_tokens": 9},
    "gemini": {"contents": [{"role": "user", "parts": [{"fileData": {"mimeType": "application/pdf", "fileUri": URL}}]}]},
    "chat": {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_data": URL}}]}]},
}
#: What of it a vendor of each dialect is asked.
ASKED: dict[str, Json] = {
    "anthropic": {"type": "document", "source": {"type": "url", "url": URL}},
    "gemini": {"fileData": {"mimeType": "application/pdf", "fileUri": URL}},
    "mistral": {"type": "document_url", "document_url": URL},
    "responses": {"type": "input_file", "file_url": URL},
}


def written(door: str, dialect: str, **target: Any) -> Json:
    """What the vendor is asked."""
    request = SPEAKERS[door].door.read(json.dumps({"model": "m", **GIVEN[door]}).encode())
    model = target.pop("model", MODEL.get(dialect, "m"))
    asked = DIALECTS[dialect].to_upstream(request, Target("v", model, dialect, **target))
    body: Json = json.loads(asked.body)
    assert asked.fetches == ()
    return body


@pytest.mark.parametrize("door", GIVEN)
@pytest.mark.parametrize("dialect", ASKED)
def test_a_vendor_that_reads_addresses_is_given_it(door: str, dialect: str) -> None:
    """In its own words."""
    assert json.dumps(ASKED[dialect]) in json.dumps(written(door, dialect))


@pytest.mark.parametrize("door", GIVEN)
@pytest.mark.parametrize("dialect", ["bedrock", "cohere", "openai"])
def test_one_that_does_not_is_not_asked_and_the_client_is_told_the_way_out(door: str, dialect: str) -> None:
    """Another target may be; a chat goes to a vendor of chat completions as it is, whose word counts."""
    if (door, dialect) == ("chat", "openai"):
        assert json.dumps(GIVEN[door]["messages"]) in json.dumps(written(door, dialect))
        return
    with pytest.raises(UpstreamFailed) as refused:
        written(door, dialect)
    error = refused.value.error
    assert (error.status, error.code, refused.value.may_fall_back) == (422, "unsupported_parameter", True)
    assert "messages[0].content[0]" in (error.param or "")
    assert "Send" in error.message or "send" in error.message


def test_openrouter_reads_addresses_in_chat_completions() -> None:
    """By its documentation, and nobody else that is known."""
    config = Config(vendors={"openrouter": Vendor(base_url="https://openrouter.ai/api/v1"), "other": Vendor(base_url="https://a.example")})
    assert [vendor_target(name, config).file_addresses for name in ("openrouter", "other")] == [True, False]
    assert written("responses", "openai", file_addresses=True)["messages"][0]["content"][0]["file"] == {"file_data": URL}


def test_gemini_reads_addresses_from_2_5_on() -> None:
    """Before, only those of Google's own; a name says the type where the address does not."""
    with pytest.raises(UpstreamFailed):
        written("chat", "gemini", model="gemini-2.0-flash")
    assert "fileData" in json.dumps(written("chat", "gemini", model="gemini-2.5-pro"))


def test_a_file_by_its_data_is_what_it_was() -> None:
    """Though its text has an address in it, and where both are given."""
    both = {"type": "input_file", "file_url": URL, "file_data": "data:application/pdf;base64,JVBE", "filename": "a.pdf"}
    text = {"type": "input_text", "text": '"file_data":"https://a.example"'}
    body = json.dumps({"model": "m", "input": [{"role": "user", "content": [text, both]}]}).encode()
    asked = openai.to_upstream(SPEAKERS["responses"].door.read(body), Target("v", "m", "openai"))
    [_, file] = json.loads(asked.body)["messages"][0]["content"]
    assert file == {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}}
