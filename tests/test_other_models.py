"""(fault S3) Further models that a request names for its vendor to ask are no way around a key's allow-list."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from aisa.config.schema import Config, Model, Prices, Vendor
from aisa.errors import ApiError
from aisa.keys.rules import Key
from aisa.offer import Entry
from aisa.other_models import FURTHER_MAX, refuse_others
from aisa.prices.rules import unlisted
from aisa.routing import Routes
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.completions_door import COMPLETIONS_DOOR
from aisa.wire.door import Door
from aisa.wire.embeddings_door import EMBEDDINGS_DOOR
from aisa.wire.gemini_door import GeminiDoor
from aisa.wire.messages_door import MESSAGES_DOOR
from aisa.wire.rerank_door import RERANK_DOOR
from aisa.wire.responses_door import RESPONSES_DOOR

SAYS: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi."}]}
CLAUDE: dict[str, Any] = {**SAYS, "max_tokens": 9}
#: The door and what a request has besides its model, in which `dear` is named; the member that names it.
NAMING: list[tuple[Door, dict[str, Any], str]] = [
    (CHAT_DOOR, {**SAYS, "models": ["cheap", "dear"]}, "models"),
    (CHAT_DOOR, {**SAYS, "fallbacks": ["dear"]}, "fallbacks"),
    (CHAT_DOOR, {**SAYS, "fallbacks": [{"model": "dear", "max_tokens": 3}]}, "fallbacks"),
    (CHAT_DOOR, {**SAYS, "compound_custom": {"models": {"answering_model": "dear"}}}, "compound_custom"),
    (CHAT_DOOR, {**SAYS, "providerOptions": {"gateway": {"models": ["dear"]}}}, "providerOptions"),
    (CHAT_DOOR, {**SAYS, "tools": [{"type": "advisor_20260301", "name": "advisor", "model": "dear"}]}, "tools"),
    (MESSAGES_DOOR, {**CLAUDE, "fallbacks": [{"model": "dear"}]}, "fallbacks"),
    (MESSAGES_DOOR, {**CLAUDE, "tools": [{"type": "advisor_20260301", "name": "advisor", "model": "dear"}]}, "tools"),
    (RESPONSES_DOOR, {"input": "Hi.", "models": ["dear"]}, "models"),
    (COMPLETIONS_DOOR, {"prompt": "Hi.", "models": ["dear"]}, "models"),
    (EMBEDDINGS_DOOR, {"input": "Hi.", "fallbacks": ["dear"]}, "fallbacks"),
    (RERANK_DOOR, {"query": "q", "documents": ["d"], "providerOptions": {"gateway": {"models": ["dear"]}}}, "providerOptions"),
    (GeminiDoor("m"), {"contents": [{"role": "user", "parts": [{"text": "Hi."}]}], "models": ["dear"]}, "models"),
]
KEY = "sk-aisa-abcdefghijklmnopqrstuvwxyz"


def routes(priced: Sequence[str] = ()) -> Routes:
    """A vendor with a cheap and a dear model, one of them by another name; those that are `priced` cost as much."""
    prices = {name: Prices(input=1, output=1) for name in ("cheap", "dear", *priced)}
    vendors = {"v": Vendor(base_url="https://api.example.com/v1", prices=prices)}
    return Routes(Config(vendors=vendors, models={"m": Model(to=("v/cheap",)), "best": Model(to=("v/dear",))}), unlisted)


def planned(door: Door, fields: dict[str, Any], allowed: tuple[str, ...] | None, priced: Sequence[str] = ()) -> bool:
    """Tell whether a key with this allow-list may send a request. Raises ApiError."""
    key = Key("key_1", "test", b"", "…", "active", 0, models=allowed)
    named = {} if isinstance(door, GeminiDoor) else {"model": "m"}
    return bool(routes(priced).plan(door.read(json.dumps(named | fields).encode()), key, lambda: 0.5).offers)


@pytest.mark.parametrize(("door", "fields", "member"), NAMING)
def test_a_further_model_that_the_key_may_not_use_is_refused(door: Door, fields: dict[str, Any], member: str) -> None:
    """[fault S3] Its vendor would have asked it, by itself, in place of the model that the key is let to, or beside it."""
    with pytest.raises(ApiError) as refused:
        planned(door, fields, ("m",))
    assert (refused.value.code, refused.value.param) == ("model_not_allowed", member)
    assert "'dear'" in refused.value.message


@pytest.mark.parametrize("allowed", [None, ("m", "v/dear"), ("m", "best"), ("m", "BEST"), ("m", "gone", "dear")])
@pytest.mark.parametrize(("door", "fields", "member"), NAMING)
def test_one_that_it_may_use_is_asked(door: Door, fields: dict[str, Any], member: str, allowed: tuple[str, ...] | None) -> None:
    """By its vendor's name for it, with the vendor before it, or by a name here that leads to it; a key without a list may use all."""
    assert member in fields
    assert planned(door, fields, allowed)


@pytest.mark.parametrize("given", [None, "x", 3, [], [None, 3, {}], {"models": 3}, {"gateway": 3}])
def test_what_names_no_model_is_the_vendors_to_judge(given: object) -> None:
    """It is passed as it came."""
    for member in ("models", "fallbacks", "compound_custom", "providerOptions"):
        assert planned(CHAT_DOOR, {**SAYS, member: given}, ("m",))


def looked_up(fields: dict[str, Any], allowed: tuple[str, ...]) -> list[str]:
    """Return the names that are looked up for a request of `m`, whose further models the key may use."""
    names: list[str] = []
    known = routes()

    def find(name: str) -> Entry:
        names.append(name)
        return known.find(name)

    refuse_others(allowed, known.find("m"), CHAT_DOOR.read(json.dumps({"model": "m", **SAYS, **fields}).encode()), find=find)
    return names


def test_an_allow_list_is_looked_up_once_however_many_names_are_given() -> None:
    """[fault S3] Each name was held against the whole list anew: 5,000 times `dear` against 201 names held all calls up for 17 s."""
    allowed = ("m", *[f"gone-{number}" for number in range(50)], "best")
    assert looked_up({"models": ["dear"] * 5_000, "fallbacks": ["v/dear"] * 5_000}, allowed) == list(allowed)
    assert looked_up({"models": ["m", "v/cheap", "best"]}, allowed) == []  # what needs no looking up


@pytest.mark.parametrize("give", [list, lambda names: [{"model": name} for name in names]], ids=["names", "objects"])
def test_so_many_further_models_as_no_request_needs_are_refused(give: Callable[[list[str]], list[Any]]) -> None:
    """Different ones: the same again is no further one. Of a key that may use all models, too, as each must have a price."""
    names = [f"gone-{number}" for number in range(FURTHER_MAX)]
    allowed = ("m", "one-more", *names)
    assert planned(CHAT_DOOR, {**SAYS, "models": give(names * 2)}, allowed, priced=names)
    for listed in (allowed, None):
        with pytest.raises(ApiError) as refused:
            planned(CHAT_DOOR, {**SAYS, "models": give([*names, "one-more"])}, listed)
        assert (refused.value.code, refused.value.param) == ("invalid_request", "models")
        assert f"name {FURTHER_MAX} different ones at most" in refused.value.message


def test_a_key_in_place_of_a_name_is_not_told() -> None:
    """[fault S3] Neither in the answer nor, by it, in what is kept of a refused call."""
    with pytest.raises(ApiError) as refused:
        planned(CHAT_DOOR, {**SAYS, "models": [KEY]}, ("m",))
    assert refused.value.message.startswith("This key may not use the model 'sk-aisa-…', which `models` names.")
