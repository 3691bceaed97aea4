"""Which rarer kinds of cost a request shows that it will make: sound, pictures made, searches, long caches. Knows no price."""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet

import msgspec

from aisa.wire.chat import ChatRequest
from aisa.wire.request_content import cache_lifetime
from aisa.wire.trees import is_tree

#: What `modalities` may ask for -> the kind of output that it is.
MADE = {"audio": "output_audio", "image": "output_image"}
#: How long a cache is asked to last -> the kind that writing to it is.
WRITES = {"30m": "cache_write_30m", "1h": "cache_write_1h", "12h": "cache_write_12h"}
LONG_WRITES = frozenset(WRITES.values())
CACHEABLE = ("messages", "tools", "cache_control")  # members in which a request may ask for a cache
SOUND = "input_audio"  # the type of a part of a message
#: Tools of the vendor's own, by the kind of cost that each makes. Within a text the quotation marks would be escaped.
TOOLS = {
    "per_search": re.compile(rb'"type"\s*:\s*"web_search[a-z0-9_]{0,40}"'),
    "output_image": re.compile(rb'"type"\s*:\s*"image_generation[a-z0-9_]{0,40}"'),
}


def kinds_asked(chat: ChatRequest, wanted: AbstractSet[str]) -> list[tuple[str, str]]:
    """Return those of the wanted kinds that a request asks for, each with the member that does."""
    known, fields = chat.known, chat.fields
    found = [(MADE[word], "modalities") for word in known.modalities or () if word in MADE]
    if "audio" in fields and bytes(fields["audio"]) != b"null":
        found.append(("output_audio", "audio"))
    if known.web_search_options is not None:
        found.append(("per_search", "web_search_options"))
    if "tools" in fields:
        found += [(kind, "tools") for kind, tool in TOOLS.items() if kind in wanted and offers(tool, bytes(fields["tools"]))]
    if "search_parameters" in fields and searches(fields["search_parameters"]):
        found.append(("per_source", "search_parameters"))
    if SOUND in wanted:
        parted = [message.content for message in known.messages if isinstance(message.content, list)]
        found += [(SOUND, "messages")] if any(part.type == SOUND for content in parted for part in content) else []
    if wanted & LONG_WRITES and any(b'"ttl"' in bytes(fields[name]) for name in CACHEABLE if name in fields):
        lifetime = cache_lifetime(fields, WRITES)
        found += [(WRITES[lifetime], "cache_control")] if lifetime else []
    return [(kind, member) for kind, member in found if kind in wanted] if found else found


def offers(tool: re.Pattern[bytes], tools: bytes) -> bool:
    """Say whether one of these tools is of a kind that the vendor runs itself."""
    return tool.search(tools) is not None


def searches(parameters: msgspec.Raw) -> bool:
    """Say whether xAI's parameters of a search let it search."""
    value: object = msgspec.json.decode(parameters)
    return is_tree(value) and value.get("mode") != "off"
