"""What others who speak the Responses API send in other shapes, as OpenAI sends it.

Nothing that was said is lost behind a `completed`: what cannot be read is a failure, and so is an error wherever it stands.
"""

from __future__ import annotations

from aisa.wire.keyed_lists import is_block, is_content, objects_of, same_items
from aisa.wire.said import CALL_TYPES, called
from aisa.wire.tool_calls import arguments_text
from aisa.wire.trees import Tree, as_list, as_tree, is_list, is_tree, text_or_none
from aisa.wire.vendor_error import Unintelligible, VendorError, is_error

MEMBERS = frozenset({"type", "role", "content"})  # of an item
PART = frozenset({"type", "text", "refusal"})  # of a message
TEXTS = ("output_text", "text")  # types of messages in the words of others
ANSWER = "response"
ITEM_EVENTS = ("response.output_item.added", "response.output_item.done")


def usual(event: Tree) -> Tree:
    """Return an event, or a document, as OpenAI itself would send it; the same object, if it is so. Raises VendorError."""
    kind, response = event.get("type"), event.get("response")
    if kind is None and is_tree(response) and "output" in response:  # a document in a wrapping
        event, response = response, None
    if event.get("object") == ANSWER or (
        kind is None and not event.get("error") and is_list(event.get("output")) and "choices" not in event
    ):
        return answer_of(event if "object" in event else {**event, "object": ANSWER})
    for holder in (event, as_tree(response)):
        if kind not in ("error", "response.failed") and is_error(holder.get("error")):
            raise VendorError(holder["error"])
    if is_tree(response) and kind in ("response.completed", "response.incomplete"):
        whole = answer_of(response)
        return event if whole is response else {**event, "response": whole}
    if kind in ITEM_EVENTS and is_tree(event.get("item")):
        item = item_of(given := as_tree(event["item"]))
        return event if item is given else {**event, "item": item}
    return with_delta(event, kind) if isinstance(kind, str) and kind.endswith(".delta") else event


def with_delta(event: Tree, kind: str) -> Tree:
    """Return an event of a further piece with that as text. Raises Unintelligible for what is none."""
    delta = event.get("delta", event.get("text"))
    if isinstance(delta, str | None):
        return event if "delta" in event or delta is None else {**event, "delta": delta}
    if "arguments" in kind or "input" in kind:
        return {**event, "delta": arguments_text(delta)}
    if not kind.startswith(("response.output_text", "response.refusal", "response.reasoning")):
        return event
    text = next((value for name in ("text", "value", "content") if isinstance(value := as_tree(delta).get(name), str)), None)
    if text is None:
        raise Unintelligible("a piece of a text that is none")
    return {**event, "delta": text}


def answer_of(response: Tree) -> Tree:
    """Return a whole response; its text stands in a message. Raises VendorError."""
    if is_error(response.get("error")) and response.get("status") in (None, "completed"):
        raise VendorError(response["error"])
    output = response.get("output")
    if not is_content(output):
        raise Unintelligible("an output that is none")
    given = as_list(output) if is_list(output) else [*objects_of(output, MEMBERS)] if is_tree(output) else [output] if output else []
    items: list[object] = [item for place, each in enumerate(given) if (item := entry_of(each, place)) is not None]
    said = any(as_tree(item).get("type") == "message" for item in items)
    text = response.get("output_text")
    text = "".join([each for each in text if isinstance(each, str)]) if is_list(text) else text
    if not said and text_or_none(text) and not any(as_tree(item).get("type") == "function_call" for item in items):
        items.append(message_of(text, len(items)))
    same = same_items(items, output) if is_list(output) else output is None and not items
    return response if same else {**response, "output": items}


def entry_of(each: object, place: int) -> object:
    """Return an entry of the output; nothing of null. Raises Unintelligible for what is no item."""
    if isinstance(each, str):
        return message_of(each, place)
    if each is not None and not is_tree(each):
        raise Unintelligible("an item that is none")
    return item_of(each) if is_tree(each) else None


def message_of(text: object, place: int) -> Tree:
    """Return a message of the model's that says a text."""
    content: list[object] = [{"type": "output_text", "text": text, "annotations": []}]
    return {"id": f"msg_{place}", "type": "message", "role": "assistant", "status": "completed", "content": content}


def item_of(item: Tree) -> Tree:
    """Return an item with the type, the content, the arguments that it should have; the same object, if it has them."""
    kind = item.get("type")
    if kind in TEXTS:
        return with_content({"id": item.get("id"), "type": "message", "role": "assistant", "content": [{**item, "type": "output_text"}]})
    if kind == "message" or (kind is None and ("content" in item or "text" in item)):
        return with_content(item if kind == "message" else {**item, "type": "message"})
    if kind not in CALL_TYPES or (kind == "function_call" and "function" not in item and "arguments" in item):
        return item
    told = called(item)
    held = {**told, **as_tree(told.get("function"))}
    arguments: Tree = {"arguments": arguments_text(held["arguments"])} if held.get("arguments") is not None else {}
    return {
        **{name: value for name, value in told.items() if name != "function"},
        "type": "function_call",
        "name": held.get("name"),
        **arguments,
    }


def with_content(item: Tree) -> Tree:
    """Return a message whose content can be read. Raises Unintelligible."""
    content = item.get("content", item.get("text"))
    if not is_content(content):
        raise Unintelligible("a content that is none")
    parts: object = objects_of(content, PART) if is_tree(content) else content
    for part in as_list(parts):
        if not is_block(part) or not isinstance(as_tree(part).get("text"), str | None):
            raise Unintelligible("a part of a content that is none")
    return item if parts is item.get("content") else {**item, "content": [parts] if isinstance(parts, str) else parts}
