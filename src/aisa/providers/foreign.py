"""What a chat request may have that only OpenAI's own API for chats can do: said to the caller by every other dialect."""

from __future__ import annotations

import msgspec

from aisa.providers.concessions import Concessions
from aisa.providers.wishes import is_wished
from aisa.wire.chat import ChatRequest
from aisa.wire.trees import is_tree, trees_in

MODERATION = "moderation"
SPOKEN = b'"audio"'  # of an earlier turn: the vendor that spoke keeps the sound, under an id


def refuse_foreign(chat: ChatRequest, concessions: Concessions, *, moderated: bool = False) -> None:
    """Give up a judgement on what is said, unless it is `moderated` there. Raises UpstreamFailed, too, for a turn that is sound alone."""
    if not moderated and is_wished(chat, MODERATION):
        concessions.drop(MODERATION, "what is said is not judged there")
    messages = chat.fields["messages"]
    if SPOKEN not in bytes(messages):
        return
    for place, message in enumerate(trees_in(msgspec.json.decode(messages))):
        said = message.get("content") or message.get("tool_calls") or message.get("function_call") or message.get("refusal")
        if message.get("role") == "assistant" and is_tree(message.get("audio")) and not said:
            why = "the sound of that turn is kept by the vendor that made it. Send its transcript as 'content'"
            raise concessions.refusal(f"messages[{place}].audio", why)
