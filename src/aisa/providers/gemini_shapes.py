"""What proxies of Gemini send in other shapes, as Gemini sends it: snake_case, reasons as numbers, one thing in place of a list of it.

Nothing that was said is lost behind a `stop`: what cannot be read is a failure.
"""

from __future__ import annotations

from aisa.wire.keyed_lists import objects_of, same_items
from aisa.wire.said import with_own_name
from aisa.wire.trees import Tree, as_list, as_tree, is_list, is_tree, trees_in
from aisa.wire.vendor_error import Unintelligible

#: What makes an object one of Gemini's answers, or part of one.
OF_ANSWERS = ("candidates", "usageMetadata", "promptFeedback", "modelVersion", "responseId")
#: Members by which an object is one candidate, one content, one part.
CANDIDATE = frozenset({"content", "parts", "index", "finishReason", "finish_reason", "text"})
PART = frozenset({"text", "functionCall", "inlineData", "thought", "functionCalls"})
#: What a model wrote, or a tool of the client's: its members are nobody's to rename.
OWN = frozenset({"args", "arguments", "input", "parameters", "response"})
NESTED = (dict, list)
LEVELS_MAX = 16  # of an answer's members, which are at most 8 deep
#: What a call is given, in the words of others.
GIVEN = ("arguments", "input", "parameters")
#: Counts in the words of others, once they are in camelCase.
COUNTS = {
    **dict.fromkeys(("promptTokens", "inputTokens"), "promptTokenCount"),
    **dict.fromkeys(("completionTokens", "outputTokens"), "candidatesTokenCount"),
    "totalTokens": "totalTokenCount",
}
#: Reasons as numbers, as Google's older client for Python writes them for who asks for a dictionary. What follows differs between APIs.
NAMED = ("STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "OTHER", "LANGUAGE", "PROHIBITED_CONTENT", "PROHIBITED_CONTENT")
#: The last two are a malformed call in one API, and what may not be said in the other: the worse is taken.
REASONS = dict(enumerate((*NAMED, "MALFORMED_FUNCTION_CALL", "MALFORMED_FUNCTION_CALL"), 1))


def usual(event: Tree) -> Tree:
    """Return an event, or a document, as Gemini itself would send it; the same object, if it is so. Raises Unintelligible."""
    inner = event.get("response")
    if is_tree(inner) and not any(name in event for name in OF_ANSWERS):  # Code Assist wraps what it hands on
        event = inner
    if not any(camel(name) in OF_ANSWERS for name in event):  # such as an error, in whoever's words
        return event
    told = as_tree(renamed(event))
    candidates = told.get("candidates")
    listed = objects_of(candidates, CANDIDATE) if is_tree(candidates) else trees_in(candidates)
    shaped = [candidate_of(candidate) for candidate in listed]
    if shaped and (is_tree(candidates) or not same_items(shaped, listed)):
        told = {**told, "candidates": shaped}
    metadata = told.get("usageMetadata")
    if not is_tree(metadata) and is_tree(told.get("usage")):
        metadata = told["usage"]
    if is_tree(metadata) and (metadata is not told.get("usageMetadata") or not COUNTS.keys().isdisjoint(metadata)):
        counts = {COUNTS.get(name, name): value for name, value in metadata.items()}
        told = {**{name: value for name, value in told.items() if name != "usage"}, "usageMetadata": counts}
    return told


def renamed(value: object, level: int = 0) -> object:
    """Return a value with the members of its objects in camelCase; the same one, if they are."""
    if level > LEVELS_MAX:
        return value
    if is_list(value):
        items = [renamed(item, level + 1) for item in value]
        return value if same_items(items, value) else items
    if not is_tree(value):
        return value
    names = {name: known for name in value if "_" in name and (known := camel(name)) not in value}
    tree = {names.get(name, name): held for name, held in value.items()} if names else value
    nested: list[tuple[str, object]] = [(name, held) for name, held in tree.items() if isinstance(held, NESTED) and name not in OWN]
    changed = {name: new for name, held in nested if (new := renamed(held, level + 1)) is not held}
    return tree | changed if changed else tree


def camel(name: str) -> str:
    """Return a member's name in camelCase."""
    if "_" not in name:  # as nearly all are
        return name
    first, *rest = name.split("_")
    return first + "".join([word[:1].upper() + word[1:] for word in rest])


def candidate_of(candidate: Tree) -> Tree:
    """Return a candidate with its content as it should be, and its reason as a word."""
    reason, content = candidate.get("finishReason"), candidate.get("content")
    changed: Tree = {}
    if type(reason) is int and reason in REASONS:
        changed["finishReason"] = REASONS[reason]
    parts = parts_of(content if content is not None else as_tree({name: candidate[name] for name in ("parts", *PART) if name in candidate}))
    if not (is_tree(content) and content.get("parts") is parts) and (parts or content is not None):
        changed["content"] = {"role": "model", **as_tree(content), "parts": parts}
    return candidate | changed if changed else candidate


def parts_of(content: object) -> object:
    """Return the parts of a content; the same list, if it is as it should be."""
    given = content["parts"] if is_tree(content) and "parts" in content else content
    if is_tree(given):
        given = [given] if not PART.isdisjoint(given) else []
    elif isinstance(given, str):
        given = [given]
    elif not is_list(given):
        if given:
            raise Unintelligible("a content that is none")
        return given if is_tree(content) and "parts" in content else []
    parts = [part for each in given for part in parts_in(each)]
    return given if same_items(parts, given) else parts


def parts_in(each: object) -> list[object]:
    """Return the parts that an entry of a list of parts is: nearly always itself. Raises Unintelligible for what says something unknown."""
    if isinstance(each, str):
        return [{"text": each}]
    if not is_tree(each):
        if each:
            raise Unintelligible("a part of a content that is none")
        return []
    if "parts" in each:  # a list of contents
        return as_list(parts_of(each))
    text, thought, calls = each.get("text"), each.get("thought"), each.get("functionCalls", each.get("functionCall"))
    if isinstance(thought, str) and text is None:
        return [{**each, "text": thought, "thought": True}]
    if text is not None and not isinstance(text, str):
        raise Unintelligible("a text that is none")
    if calls is None:
        return [each]
    if is_tree(calls) and not text and not any(name in calls for name in GIVEN) and "functionCall" in each:
        return [each]
    if not (is_tree(calls) or (is_list(calls) and all(map(is_tree, calls)))):
        raise Unintelligible("a call that is none")
    rest = {name: value for name, value in each.items() if name not in ("text", "functionCall", "functionCalls")}
    said: list[object] = [{"text": text}] if text else []
    return said + [{**rest, "functionCall": called(call)} for call in ([calls] if is_tree(calls) else trees_in(calls))]


def called(call: Tree) -> Tree:
    """Return a call with what it is given under the name that Gemini has for that."""
    return with_own_name(call, "args", GIVEN)
