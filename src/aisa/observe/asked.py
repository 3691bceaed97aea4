"""What of a request is told of its tries at vendors, in the words of the conventions for generative AI: settings, never its texts.

Its stop sequences are the caller's texts too, and left out, though the conventions have a name for them. It is what the caller asked for; a
vendor may be asked without what it does not take.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeGuard

import msgspec

from aisa.errors import ApiError, UpstreamFailed
from aisa.wire.chat import ChatRequest
from aisa.wire.completions import CompletionsRequest
from aisa.wire.door import Request
from aisa.wire.embeddings import EmbeddingsRequest
from aisa.wire.messages import MessagesRequest
from aisa.wire.trees import as_list, is_tree

LEVEL_CHARACTERS_MAX = 64  # of a level of reasoning: any word is told, as vendors have names of their own, and nothing else is
#: What is told as it is, if it is a number: its name in a request -> the conventions'.
NUMBERS: Mapping[str, str] = MappingProxyType(
    {
        "temperature": "gen_ai.request.temperature",
        "top_p": "gen_ai.request.top_p",
        "frequency_penalty": "gen_ai.request.frequency_penalty",
        "presence_penalty": "gen_ai.request.presence_penalty",
    }
)
LARGEST = 2**63  # which a collector takes no more
TEXT, JSON, IMAGE, SPEECH = "text", "json", "image", "speech"
#: Requests that have their members by name. Those of other protocols are asked for them in chat's words.
WITH_MEMBERS = (ChatRequest, MessagesRequest, CompletionsRequest, EmbeddingsRequest)
Asked = dict[str, Any]
Members = Mapping[str, msgspec.Raw]


def asked_of(request: Request) -> Asked:
    """Return what a request says of how it is to be answered, by attribute. Keeps nothing of it."""
    members = members_of(request)
    given: Asked = {name: float(value) for ours, name in NUMBERS.items() if can_be_told(value := said(members, ours))}
    given["gen_ai.request.stream"] = request.stream
    if request.choices > 1:
        given["gen_ai.request.choice.count"] = request.choices
    if can_be_told(bound := request.max_tokens):
        given["gen_ai.request.max_tokens"] = bound
    if can_be_told(seed := said(members, "seed")):
        given["gen_ai.request.seed"] = int(seed)
    if can_be_told(top_k := said(members, "top_k")) and isinstance(top_k, int):
        given["gen_ai.request.top_k"] = top_k
    if kind := output_type(members):
        given["gen_ai.output.type"] = kind
    if isinstance(effort := said(members, "reasoning_effort"), str) and effort.isascii() and effort.isidentifier():
        given["gen_ai.request.reasoning.level"] = effort[:LEVEL_CHARACTERS_MAX]
    if isinstance(request, EmbeddingsRequest):
        if (form := request.known.encoding_format) is not None:
            given["gen_ai.request.encoding_formats"] = (form,)
        if can_be_told(dimensions := request.dimensions):
            given["gen_ai.embeddings.dimension.count"] = dimensions
    return given


def members_of(request: Request) -> Members:
    """Return the members of a request as they are written, in the words of chat completions where it has some."""
    try:
        whole = request.chat or request
    except (ApiError, UpstreamFailed):  # it cannot be said in chat's words, and the vendor that speaks the client's may be able to
        whole = request
    return whole.fields if isinstance(whole, WITH_MEMBERS) else {}


def output_type(members: Members) -> str:
    """Return what kind of output is asked for, nothing if the request does not say."""
    kinds = as_list(said(members, "modalities"))
    if "audio" in kinds:
        return SPEECH
    if IMAGE in kinds:
        return IMAGE
    form = said(members, "response_format")
    kind = form.get("type") if is_tree(form) else None
    return "" if not isinstance(kind, str) else TEXT if kind == TEXT else JSON


def said(members: Members, name: str) -> Any:
    """Return what a member says, None where there is none that can be read."""
    found = members.get(name)
    try:
        return None if found is None else msgspec.json.decode(found)
    except msgspec.MsgspecError:
        return None


def can_be_told(value: object) -> TypeGuard[int | float]:
    """Say whether a value is a number that a collector takes, and neither a truth nor an endless one."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST
