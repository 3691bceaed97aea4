"""What Mistral sends, and what a chat client must get for it, however the bytes arrive; its own client is the judge of both sides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aisa.providers import mistral
from corpus_runner import FILES, DialectCase, cases, check_case
from dialect_cases import required
from test_mistral import FUNCTION, NAMED, USER, body_of

CORPUS = Path(__file__).parent / "corpus" / "mistral"
CASES = cases(CORPUS)


@pytest.mark.parametrize("folder", CASES, ids=[folder.name for folder in CASES])
def test_a_client_gets_what_the_case_says_however_the_vendors_bytes_arrive(folder: Path) -> None:
    """Output, usage and failure are those of the case's files, and the same for every split of the body."""
    check_case(DialectCase(mistral, folder))


def test_every_case_is_whole_and_none_that_the_dialect_owes_is_missing() -> None:
    """A row of the mapping without a case is red; so is a case without an end."""
    for folder in CASES:
        names = {path.name for path in folder.iterdir()}
        assert names <= FILES, folder.name
        assert names & {"client.sse", "client.json", "failure.json"}, folder.name
    assert required(mistral.NAME) - {folder.name for folder in CASES} == set()


def answers_in(folder: Path) -> list[dict[str, Any]]:
    """The chunks, or the document, that the vendor of a case sends, if it is what Mistral sends when all goes well."""
    case = DialectCase(mistral, folder)
    text = case.upstream.decode()
    if case.meta["status"] != 200 or (case.has("failure.json") and "finish" not in folder.name):
        return []
    if not (folder / "upstream.sse").exists():
        return [json.loads(text)]
    return [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: {")]


@pytest.mark.parametrize("folder", [folder for folder in CASES if answers_in(folder)], ids=lambda folder: folder.name)
def test_mistrals_client_reads_what_our_scripts_send(folder: Path) -> None:
    """Its types take each chunk and each document, and what they hold is all that was said."""
    models = pytest.importorskip("mistralai.client.models")
    for answer in answers_in(folder):
        if "brand" in answer or folder.name == "model-length":  # a word of older models, which the client does not know any more
            continue
        kind = models.CompletionChunk if "chunk" in answer["object"] else models.ChatCompletionResponse
        read = kind.model_validate(answer).model_dump(exclude_unset=True)
        assert (
            read["choices"][0]["finish_reason"] == answer["choices"][0]["finish_reason"]
            or answer["choices"][0]["finish_reason"] == "model_length"
        )


LEGACY = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
PICTURE = {
    "role": "user",
    "content": [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}],
}
SOUND = {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}}]}
CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}
REQUESTS: list[tuple[list[Any], dict[str, Any]]] = [
    ([USER], {"temperature": 0.5, "seed": 7, "stop": ["x"], "max_completion_tokens": 9, "reasoning_effort": "high"}),
    ([USER, CALL, {"role": "tool", "tool_call_id": "call_1", "content": "1"}], {"tools": [FUNCTION], "tool_choice": NAMED}),
    ([PICTURE], {}),
    ([SOUND], {}),
    ([USER, LEGACY, {"role": "function", "name": "f", "content": "1"}], {"functions": [{"name": "f"}], "function_call": {"name": "f"}}),
    ([USER], {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}, "n": 2}),
]


@pytest.mark.parametrize(("messages", "fields"), REQUESTS)
def test_mistrals_client_knows_what_we_ask(messages: list[Any], fields: dict[str, Any]) -> None:
    """Its types take every message and every member, and leave none out: Mistral refuses what it does not know."""
    models = pytest.importorskip("mistralai.client.models")
    written = body_of(*messages, **fields)
    read = models.ChatCompletionRequest.model_validate(written).model_dump(exclude_unset=True, by_alias=True)
    assert read.keys() == written.keys()
    assert [message.keys() for message in read["messages"]] == [message.keys() for message in written["messages"]]
