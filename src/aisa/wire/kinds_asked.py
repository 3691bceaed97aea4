"""Which rarer kinds of cost a request shows that it will make: sound, pictures made, searches, long caches. Knows no price."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Self

import msgspec
from msgspec import Raw

from aisa.wire.cache_lifetimes import cache_lifetime
from aisa.wire.chat import ChatRequest
from aisa.wire.searches import OWN, plugins_on, types_offered
from aisa.wire.spelled_out import spelled_out
from aisa.wire.trees import is_tree

#: What `modalities` may ask for -> the kind of output that it is.
MADE = {"audio": "output_audio", "image": "output_image"}
#: How long a cache is asked to last -> the kind that writing to it is.
WRITES = {"1h": "cache_write_1h", "12h": "cache_write_12h"}
LONG_WRITES = frozenset(WRITES.values())
OPENAIS_TTL = re.compile(rb'"prompt_cache_(?:options|breakpoint)"\s*:\s*\{[^{}]*"ttl"\s*:\s*"12h"')
SOUND, SOUNDS = "input_audio", ("input_audio", "audio_url")  # the kind, and the types of such a part of a message


class Native(str):
    """A member that only targets of these `dialects` are sent as it stands: what it asks for is no matter of others."""

    __slots__ = ("dialects",)
    dialects: tuple[str, ...]

    def __new__(cls, name: str, *dialects: str) -> Self:
        """Make one of a member's name."""
        found = super().__new__(cls, name)
        found.dialects = dialects
        return found


#: It may also stand at a mark. Other dialects have lifetimes of their own.
OPTIONS = Native("prompt_cache_options", "openai", "responses")
CACHEABLE = ("messages", "tools", "cache_control", OPTIONS)  # members in which a request may ask for a cache
RUNS_CODE = Native("tools", "openai", "responses", "mistral")  # elsewhere code that is run costs its tokens alone, or is not offered so
#: The types of the vendor's own tools, in chats and in responses, by the kind of cost that each makes. xAI searches posts and collections,
#: Perplexity people and prices, OpenRouter puts its name before its tools, and Groq has a browser look. A shell names the container that it
#: runs in, else it is the client's.
TYPES = {
    "per_search": r"(?:openrouter:)?(?:web|x|browser|google|enterprise_web|people|finance)_search\w{0,40}|google_maps",
    "output_image": r"(?:openrouter:)?image_generation\w{0,40}",
    "per_file_search": r"(?:file|collections|attachment)_search",
    "per_code_run": r"code_(?:interpreter|execution)|sandbox|container_(?:auto|reference)",
}
#: The same as they are written. Within a text the quotation marks would be escaped.
TOOLS = {kind: re.compile(rf'"type"\s*:\s*"(?:{types})"'.encode()) for kind, types in TYPES.items()}
BY = {"per_code_run": RUNS_CODE}  # the member that asks for a kind, where that is not heeded everywhere


def kinds_asked(chat: ChatRequest, wanted: AbstractSet[str]) -> list[tuple[str, str]]:
    """Return those of the wanted kinds that a request asks for, each with the member that does."""
    known, fields = chat.known, chat.fields
    found = [(MADE[word], "modalities") for word in known.modalities or () if word in MADE]
    if "audio" in fields and bytes(fields["audio"]) != b"null":
        found.append(("output_audio", "audio"))
    if known.web_search_options is not None:
        found.append(("per_search", "web_search_options"))
    if "tools" in fields:
        found += [(kind, BY.get(kind, "tools")) for kind, tool in TOOLS.items() if kind in wanted and offers(tool, bytes(fields["tools"]))]
        found += [("per_search", "tools")] if types_offered(known) - {OWN} else []  # Moonshot names the function
    for member, (kind, asks) in SEARCHING.items():
        if member in fields and asks(msgspec.json.decode(fields[member])):
            found.append((kind, member))
    if SOUND in wanted:
        parted = [message.content for message in known.messages if isinstance(message.content, list)]
        found += [(SOUND, "messages")] if any(part.type in SOUNDS for content in parted for part in content) else []
    if wanted & LONG_WRITES and any(b'"ttl"' in spelled_out(bytes(fields[name])) for name in CACHEABLE if name in fields):
        lifetime = cache_lifetime(fields, WRITES)
        found += [(WRITES[lifetime], "cache_control")] if lifetime else []
        found += [(WRITES["12h"], OPTIONS)] if half_a_day_asked(fields) else []
    return [(kind, member) for kind, member in found if kind in wanted] if found else found


def half_a_day_asked(fields: Mapping[str, Raw]) -> bool:
    """Say whether OpenAI's members of a request ask for its long lifetime, for all that is written or for some."""
    own, messages = [spelled_out(bytes(fields.get(name, b""))) for name in (OPTIONS, "messages")]
    return any(map(OPENAIS_TTL.search, (b'"prompt_cache_options":' + own, messages)))


def offers(tool: re.Pattern[bytes], tools: bytes) -> bool:
    """Say whether one of these tools is of a kind that the vendor runs itself."""
    return tool.search(spelled_out(tools)) is not None


#: Members by which a vendor is let search, xAI, OpenRouter and DashScope: the kind of cost, and whether a value of it does.
SEARCHING: Mapping[str, tuple[str, Callable[[object], bool]]] = {
    "search_parameters": ("per_source", lambda value: is_tree(value) and value.get("mode") != "off"),
    "plugins": ("per_search", lambda value: any(plugin.get("id") == "web" for plugin in plugins_on(value))),
    "enable_search": ("per_search", lambda value: value is True),
}
