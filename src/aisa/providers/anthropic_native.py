"""A request that came in Anthropic's own protocol, for a vendor of it: as it is, but for the model's name and for what is sealed in it.

Thinking that another account or another vendor got is left out; what this vendor gave this account goes back as it was.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from aisa.providers.anthropic_layout import decoded
from aisa.providers.anthropic_thinking import binding_relaxed
from aisa.providers.shape import Target
from aisa.wire.messages import MessagesRequest
from aisa.wire.messages_errors import no_threads
from aisa.wire.reasoning_details import SEALED_PREFIX
from aisa.wire.trees import Tree, as_tree, is_list, text_or_none, trees_in

#: From this version of the protocol on there are no sampling parameters; its clients get them from elsewhere, and mean nothing by them.
WITHOUT_SAMPLING = "2026-10-21"
SAMPLING = ("temperature", "top_p", "top_k")
THREADS_AT = "anthropic.com"  # whoever else speaks the protocol would answer the last message alone


def passed_on(request: MessagesRequest, target: Target) -> tuple[bytes, tuple[str, ...], tuple[str, ...]]:
    """Return the body, the betas, and which parameters were left out. Raises UpstreamFailed for a thread at a vendor that has none."""
    host = target.host.partition(":")[0]
    if request.known.thread is not None and not f".{host}".endswith(f".{THREADS_AT}"):
        raise no_threads()
    fields = dict(request.fields)
    fields["model"] = Raw(msgspec.json.encode(target.model))
    dropped = tuple([name for name in SAMPLING if name in fields]) if request.version >= WITHOUT_SAMPLING else ()
    for name in dropped:
        del fields[name]
    if f'"{SEALED_PREFIX}'.encode() in bytes(fields["messages"]):
        fields["messages"] = Raw(msgspec.json.encode(with_thinking_opened(msgspec.json.decode(fields["messages"]), target)))
    betas = list(request.betas)
    given = as_tree(msgspec.json.decode(fields["thinking"])) if "thinking" in fields else None
    thinking = binding_relaxed(given, target, betas)
    if thinking is not given:
        fields["thinking"] = Raw(msgspec.json.encode(thinking))
    return msgspec.json.encode(fields), tuple(dict.fromkeys(betas)), dropped


def with_thinking_opened(messages: object, target: Target) -> object:
    """Return messages with what this vendor had given in place of its seals, and nothing in place of others'."""
    for message in trees_in(messages):
        content = message.get("content")
        if is_list(content):
            message["content"] = [whole for block in trees_in(content) for whole in opened(block, target)]
    return messages


def opened(block: Tree, target: Target) -> list[Tree]:
    """Return what a block stands for."""
    signature = text_or_none(block.get("signature"))
    if signature is None or not signature.startswith(SEALED_PREFIX):
        return [block]
    layout = None if target.state is None else target.state.open(signature)
    return [] if layout is None else [kept for kept in trees_in(decoded(layout)) if kept.get("type") not in ("text", "tool_use")]
