"""What a request shows that not every target takes, and which targets may be asked for it. Pure, and reads no more of it than it must."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from aisa.errors import ApiError
from aisa.offer import Entry, Offer
from aisa.usage import BYTES_PER_TOKEN
from aisa.wire.chat import ChatRequest
from aisa.wire.content import Content, input_tokens
from aisa.wire.door import Request
from aisa.wire.windows import largest_content

TOOLS = "tools"
#: The type of a part of a message -> what it shows. Others, text among them, every target takes or its vendor judges.
PARTS: Mapping[str, str] = MappingProxyType(
    {
        "image_url": "image",
        "input_image": "image",
        "input_audio": "audio",
        "file": "file",
        "input_file": "file",
        "video_url": "video",
    }
)


def shown_by(chat: ChatRequest) -> Mapping[str, str]:
    """Return what a request shows besides text, each with the member that does."""
    known = chat.known
    found = {TOOLS: "tools" if known.tools else "functions"} if known.tools or known.functions else {}
    for message in known.messages:
        if isinstance(message.content, list):
            found |= {PARTS[part.type]: "messages" for part in message.content if part.type in PARTS}
    return found


def fitting(entry: Entry, offers: Sequence[Offer], request: Request) -> list[Offer]:
    """Return the offers that take what a request shows, and whose window holds it where that is known of any.

    Raises ApiError unsupported_parameter if nobody takes it. If no window is large enough the vendors judge: sizes are estimates.
    """
    chat = request.chat
    left = list(offers)
    if entry.choosy and chat is not None:
        shown = shown_by(chat)
        left = [offer for offer in left if not refused_by(offer, shown)]
        if not left:
            alone = [word for word in shown if all(word in refused_by(offer, shown) for offer in offers)][:1]
            what = " together with ".join([IN_WORDS[word] for word in alone or shown])
            member = shown[alone[0]] if alone else next(iter(shown.values()))
            raise ApiError("unsupported_parameter", f"No target of the model '{entry.name}' takes {what}.", param=member)
    if may_be_too_long(entry, request):
        content = largest_content(request)
        large = [offer for offer in left if not is_too_small(offer, request, content)]
        return large or left
    return left


def may_be_too_long(entry: Entry, request: Request) -> bool:
    """Say whether it must be looked at if a request fits the smallest window: by its size, in which pictures count far too much."""
    return request.body_bytes // BYTES_PER_TOKEN + (request.max_tokens or 0) > entry.smallest_window


def refused_by(offer: Offer, shown: Mapping[str, str]) -> list[str]:
    """Return what a target does not take of what is shown."""
    return [] if offer.takes is None else [word for word in shown if word not in offer.takes]


def is_too_small(offer: Offer, request: Request, content: Content) -> bool:
    """Say whether a target's window is known, and by our estimate too small for input and the output that is asked for."""
    window = offer.target.context_window
    return window is not None and input_tokens(content, offer.target.model) + (request.max_tokens or 0) > window


IN_WORDS: Mapping[str, str] = MappingProxyType({"image": "pictures", "audio": "sound", "file": "files", "video": "video", TOOLS: "tools"})
