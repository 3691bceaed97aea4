"""What an answer calls its model: the operator's name for it, the vendor's, and never a path on somebody's machine."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest

from aisa.config.schema import Config, Model, Vendor
from aisa.providers import openai
from aisa.providers.shape import Target
from aisa.routing import Routes
from aisa.testing.conformance import check_answer, check_stream
from aisa.wire.chat import parse_chat
from aisa.wire.gemini_door import GeminiDoor
from aisa.wire.model_name import shown_name
from door_mutations import CORPUS, asked_whole, called
from door_readers import SPEAKERS
from rig import DONE, HEAD, Script, ScriptedUpstream, body, chunk, closing_of, content_of, document, events_of, text, usage
from test_door_matrix import steps_of

TARGET = Target(vendor="acme", model="some-model", dialect=openai.NAME)
VENDORS = {"a": Vendor(base_url="http://a.example/v1")}
PATHS = ["/srv/models/tiny", "~/tiny", "./tiny", "..\\tiny", "C:\\models\\tiny", "D:/tiny", "\\\\host\\share", "file:///tiny"]
PATHS += ["s3://weights/tiny", "http://10.0.0.3:8000/tiny", "HF+ssh://host/tiny"]
NAMED = re.compile(rb'"(model|modelVersion)": ?"[^"]*"')


def streamed(*parts: bytes, public: str, model: str = "some-model") -> tuple[bytes, list[Any]]:
    """Return what a client gets of a stream whose chunks name a model, and its events."""
    sent = b"".join(parts).replace(b'"some-model"', json.dumps(model).encode())
    decoder = openai.decoder(parse_chat(body(stream=True)), msgspec.structs.replace(TARGET, public=public), call_id="1", created=1)
    got = b"".join(piece.data for piece in decoder.feed(sent)) + closing_of(decoder, None)
    assert check_stream(got, include_usage=False) == []
    return got, [item for item in events_of(got) if isinstance(item, dict)]


def whole(public: str, model: str = "some-model", cost: str | None = None) -> Any:
    """Return a document as the client gets it."""
    decoder = openai.decoder(parse_chat(body()), msgspec.structs.replace(TARGET, public=public), call_id="1", created=1)
    decoder.feed(document().replace(b'"some-model"', json.dumps(model).encode()))
    decoder.end()
    got = closing_of(decoder, cost)
    assert check_answer(got) == []
    return json.loads(got)


WORDS = ["a", 'say "model":"some-model"', "b", "\\", "some-model", "c", "é", "d"]


@pytest.mark.parametrize("spaced", [False, True])
@pytest.mark.parametrize("model", ["some-model", "vendor/m-1-2026", "a/ü", 'q"x'])
def test_every_chunk_bears_the_public_name_and_the_text_is_untouched(model: str, *, spaced: bool) -> None:
    """[fault W11, F5] Whatever the text says, and however the vendor writes its JSON."""
    parts = [*text(*WORDS), chunk({}, "stop"), usage(9, 8), DONE]
    if spaced:
        parts = [part if part == DONE else b"data: " + json.dumps(json.loads(part[6:])).encode() + b"\n\n" for part in parts]
    got, events = streamed(*parts, public="fast", model=model)
    assert {item["model"] for item in events} == {"fast"}
    assert content_of(got).replace(model, "some-model") == "".join(WORDS)


def test_a_vendor_that_uses_the_public_name_itself_is_relayed_byte_for_byte() -> None:
    """[fault W11] Nothing is renamed to what it is."""
    parts = [*text("a", "b"), chunk({}, "stop"), DONE]
    assert streamed(*parts, public="some-model")[0] == b"".join(parts)


@pytest.mark.parametrize("cost", [None, "0.25"])
def test_a_document_bears_the_public_name(cost: str | None) -> None:
    """[fault W11] With a price and without; everything else is as it was."""
    answer = whole("fast", cost=cost)
    assert answer.pop("model") == "fast"
    assert answer["choices"] == json.loads(document())["choices"]
    assert answer["usage"].get("cost") == (None if cost is None else 0.25)


@pytest.mark.parametrize("path", PATHS)
def test_a_path_on_a_vendors_machine_is_never_shown(path: str) -> None:
    """[fault F5] Whoever asked sees the name that he asked by."""
    _, events = streamed(*text("a"), chunk({}, "stop"), DONE, public="", model=path)
    assert {item["model"] for item in events} == {"fast"}
    assert whole("", model=path)["model"] == "fast"
    assert shown_name(path, "asked") == "asked"


@pytest.mark.parametrize("name", ["gpt-4o-2024-08-06", "meta-llama/Llama-3", "@cf/meta/llama", "accounts/x/models/y", "m:free", "é"])
def test_a_vendors_name_that_is_no_path_is_shown(name: str) -> None:
    """[contract 1] A dated snapshot says more than the name that was asked for."""
    assert streamed(*text("a"), chunk({}, "stop"), DONE, public="", model=name)[1][0]["model"] == name
    assert whole("", model=name)["model"] == name


@pytest.mark.parametrize(
    ("name", "to", "setting", "public"),
    [
        ("fast", "a/m", None, "fast"),
        ("m", "a/m", None, ""),
        ("a/m", "a/m", None, ""),
        ("m", "a/m", "own", "m"),
        ("fast", "a/m", "vendor", ""),
        ("fast", "a/m", "own", "fast"),
    ],
)
def test_the_configuration_decides_which_name_is_shown(name: str, to: str, setting: Any, public: str) -> None:
    """[contract 1] The public one where it is another than the vendor's; a setting for either."""
    routes = Routes(Config(vendors=VENDORS, models={name: Model(to=(to,), name_in_answers=setting)}))
    assert routes.find(name).offers[0].target.public == public


def test_a_name_that_the_caller_chose_is_shown_as_the_vendor_says_it() -> None:
    """[contract 1] `vendor/model` is nobody's own name."""
    assert Routes(Config(vendors=VENDORS)).find("a/m").offers[0].target.public == ""
    assert HEAD["model"] == "some-model"


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "document"])
@pytest.mark.parametrize("door", SPEAKERS)
@pytest.mark.parametrize("dialect", ["openai", "responses", "anthropic", "gemini", "mistral"])
def test_no_door_tells_where_a_vendor_keeps_its_files(dialect: str, door: str, *, stream: bool) -> None:
    """[fault W11] Whichever protocol the vendor speaks, its own client's too, where all else passes: in stream and document."""
    for path in PATHS:
        told = json.dumps(path).encode()
        for steps in (steps_of(dialect, "text"), whole_answers(dialect)):
            vendor = ScriptedUpstream(*[Script([NAMED.sub(rb'"\1":' + told.replace(b"\\", b"\\\\"), b"".join(steps))])] * 2)
            asked = SPEAKERS[door].ask("text")
            spoken = GeminiDoor("fast", stream=stream) if door == "gemini" else SPEAKERS[door].door
            client, _ = called(vendor, dialect, asked if stream else asked_whole(asked), door=spoken)
            assert told[1:-1] not in client.body
            assert client.status in (200, 502)


def whole_answers(dialect: str) -> list[bytes]:
    """A document of a vendor."""
    case = CORPUS / dialect / ("an-answer-passes-byte-for-byte" if dialect == "openai" else "text-document")
    return [(case / "upstream.json").read_bytes()]


@pytest.mark.parametrize("name", ["models/gemini-2.5-pro", "meta-llama/Llama-3", "accounts/fireworks/models/x", "hf:org/model", "a.b:1"])
def test_a_name_with_slashes_or_colons_is_no_path(name: str) -> None:
    """Vendors' own names have them."""
    assert shown_name(name, "asked") == name
