"""What gateways in front of Anthropic, and others who speak its protocol, send in other shapes, as Anthropic sends it.

Nothing that was said is lost behind a reason to stop: what cannot be read is a failure, and so is an error wherever it stands.
"""

from __future__ import annotations

from aisa.providers.anthropic_events import GROWN
from aisa.providers.event_objects import read
from aisa.wire.keyed_lists import is_block, is_content, objects_of, same_items
from aisa.wire.said import CALL_TYPES, called
from aisa.wire.tool_calls import arguments_text
from aisa.wire.trees import Tree, as_tree, is_list, is_tree
from aisa.wire.vendor_error import Unintelligible, VendorError, is_error

MEMBERS = frozenset({"type", "text"})  # of a block
TEXTS = ("text", "output_text")  # types of blocks, the second in the words of others
#: Which kind of delta has which member, for those that have none of the known types.
KINDS = {member: kind for kind, member in GROWN.items()} | {"signature": "signature_delta"}
KNOWN = frozenset({*GROWN, "signature_delta", "citations_delta"})
UNKNOWN_BUT_READ = frozenset({"", "None", "text", "thinking", "input_json", "output_text_delta"})
ARGUMENTS = ("input", "arguments")  # what a delta of a call's arguments may have them in
REASON = "stop_reason"


def usual(event: Tree) -> Tree:
    """Return an event as Anthropic itself would send it; the same object, if it is so. Raises VendorError."""
    message, kind = as_tree(event.get("message")), event.get("type")
    for holder in (event, message):
        if kind != "error" and is_error(holder.get("error")):
            raise VendorError(holder["error"])
    if kind == "content_block_delta":
        given = event.get("delta")
        delta = delta_of(given)
        return event if delta is given else {**event, "delta": delta}
    if kind == "content_block_start":
        start = event.get("content_block")
        block = block_of(start) if is_tree(start) else start
        return event if block is start else {**event, "content_block": block}
    if kind == "message_start" and not message.get("usage") and is_tree(event.get("usage")):
        return {**event, "message": {**message, "usage": event["usage"]}}
    return ending_of(event, message) if kind == "message_delta" else event


def ending_of(event: Tree, message: Tree) -> Tree:
    """Return what ends a message with its reason and its usage where they are looked for."""
    delta = as_tree(event.get("delta"))
    reason = next((holder[REASON] for holder in (delta, event, message) if holder.get(REASON)), None)
    usage = next((holder["usage"] for holder in (event, delta, message) if is_tree(holder.get("usage"))), None)
    told: Tree = {} if reason == delta.get(REASON) else {"delta": {**delta, REASON: reason}}
    return {**event, **told, "usage": usage} if told or usage is not event.get("usage") else event


def before_its_end(event: Tree) -> list[Tree]:
    """Return, for the end of a message that says why it ends, or what it used, the event that should have said so, and the end."""
    if event.get("type") != "message_stop":
        return [event]
    ending = ending_of({"type": "message_delta", REASON: event.get(REASON), "usage": event.get("usage")}, as_tree(event.get("message")))
    return [ending, event] if ending.get("usage") or as_tree(ending.get("delta")).get(REASON) else [event]


def delta_of(delta: object) -> object:
    """Return a part of a block with its type, and what it adds as text. Raises Unintelligible for what is none."""
    if isinstance(delta, str):
        return {"type": "text_delta", "text": delta}
    if not is_tree(delta):
        return delta
    kind = str(delta.get("type") or "")
    if kind not in KNOWN and kind in UNKNOWN_BUT_READ:
        kind = next((named for member, named in KINDS.items() if delta.get(member) is not None), kind)
    if kind == "input_json_delta":
        given = next((delta[name] for name in ("partial_json", *ARGUMENTS) if delta.get(name) is not None), None)
        if not isinstance(delta.get("partial_json"), str) and given is not None:
            delta = {"type": kind, "partial_json": arguments_text(given)}
    elif kind in GROWN and isinstance(delta.get(GROWN[kind]), list | dict):  # a number is nobody's words
        raise Unintelligible("a part of a text that is none")
    return delta if delta.get("type") == kind or not kind else {**delta, "type": kind}


def block_of(block: Tree) -> Tree:
    """Return a block with its type, and what a call is given in `input`. Raises Unintelligible for a text that is none."""
    kind = block.get("type")
    if kind in TEXTS:
        if isinstance(block.get("text"), list | dict):
            raise Unintelligible("a text that is none")
        return block if kind == "text" else {**block, "type": "text"}
    if kind not in CALL_TYPES:
        return block
    told = called({name: value for name, value in block.items() if name != "input" or value})
    held = as_tree(told.get("function")) or told
    if kind == "tool_use" and (block.get("input") or held.get("arguments") is None):
        return block
    named = block.get("call_id") or block.get("id")
    return {"type": "tool_use", "id": named, "name": held.get("name"), "input": held.get("arguments") or {}}


def message_of(message: Tree) -> Tree:
    """Return a whole message as Anthropic itself would send it; the same object, if it is so. Raises Unintelligible."""
    content = message.get("content")
    changed: Tree = {}
    blocks: list[object] = content if is_list(content) else [*objects_of(content, MEMBERS)] if is_tree(content) else []
    if not is_content(content) or not all(is_block(each) for each in blocks):
        raise Unintelligible("a content that is none")
    shaped: list[object] = [block_of(each) if is_tree(each) else each for each in blocks]
    if blocks and (is_tree(content) or not same_items(shaped, blocks)):
        changed["content"] = shaped
    if not message.get(REASON) and message.get("finish_reason"):
        changed[REASON] = message["finish_reason"]
    if "error" in message and not is_error(message["error"]):
        message = {name: value for name, value in message.items() if name != "error"}
    return {**message, **changed} if changed else message


def error_of(data: bytes) -> Tree:
    """Return the event that an error is, in whatever form it came."""
    value = read(data)[0]
    if is_list(value) and value:
        value = value[0]
    if is_tree(value):
        value = value.get("error") or value
    return {"type": "error", "error": value or data.decode("utf-8", "replace") or {"message": "an error without a word"}}
