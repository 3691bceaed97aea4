"""Which types the members of a Gemini request have: one of another would be lost where chat completions are written. Knows no model.

Google's own servers refuse such a request too, so it is refused to everybody. What stands under names that are not here is free.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from aisa.errors import ApiError
from aisa.wire.gemini_names import member
from aisa.wire.trees import Tree, is_list, is_tree

#: What a member must be, in words.
OBJECT, OBJECTS = "an object", "an array of objects"
TEXT, TEXTS = "a text", "an array of texts"
YES_OR_NO = "true or false"
ENTRIES = {OBJECTS: OBJECT, TEXTS: TEXT}  # what stands in an array


class Typed(NamedTuple):
    """What a member must be, and the members of the object that it is, or of each in its array."""

    kind: str
    inner: Mapping[str, Typed] = {}


def texts(names: str) -> dict[str, Typed]:
    """Return members that are texts."""
    return {name: Typed(TEXT) for name in names.split()}


DATA = texts("mimeType data displayName fileUri")
PART = {
    "text": Typed(TEXT),
    "inlineData": Typed(OBJECT, DATA),
    "fileData": Typed(OBJECT, DATA),
    "functionCall": Typed(OBJECT, {**texts("id name"), "args": Typed(OBJECT)}),
    "functionResponse": Typed(OBJECT, texts("id name")),
}
DECLARATION = {**texts("name description"), "parameters": Typed(OBJECT), "parametersJsonSchema": Typed(OBJECT)}
CALLING = {"mode": Typed(TEXT), "allowedFunctionNames": Typed(TEXTS)}
GENERATION = {
    "responseMimeType": Typed(TEXT),
    "responseSchema": Typed(OBJECT),
    "responseJsonSchema": Typed(OBJECT),
    "responseModalities": Typed(TEXTS),
    "thinkingConfig": Typed(OBJECT, {"thinkingLevel": Typed(TEXT), "includeThoughts": Typed(YES_OR_NO)}),
}
REQUEST = {
    "tools": Typed(OBJECTS, {"functionDeclarations": Typed(OBJECTS, DECLARATION)}),
    "toolConfig": Typed(OBJECT, {"functionCallingConfig": Typed(OBJECT, CALLING)}),
    "generationConfig": Typed(OBJECT, GENERATION),
    "safetySettings": Typed(OBJECTS),
    "serviceTier": Typed(TEXT),
}


def check_types(tree: Tree, members: Mapping[str, Typed], path: str = "") -> None:
    """Raise ApiError invalid_parameter_type for a member of another type than it must have, by its place."""
    for name, typed in members.items():
        value, place = member(tree, name), f"{path}{name}"
        if typed.kind in ENTRIES and is_list(value):
            for position, each in enumerate(value):
                check(each, f"{place}[{position}]", typed._replace(kind=ENTRIES[typed.kind]))
        elif value is not None:
            check(value, place, typed)


def check(value: object, place: str, typed: Typed) -> None:
    """Raise ApiError invalid_parameter_type for what is of another type, or has members that are. For an array an object may stand."""
    if is_tree(value) and typed.kind in (OBJECT, OBJECTS):
        check_types(value, typed.inner, f"{place}.")
    elif not ((typed.kind == TEXT and isinstance(value, str)) or (typed.kind == YES_OR_NO and isinstance(value, bool))):
        raise ApiError("invalid_parameter_type", f"Invalid type for '{place}': expected {typed.kind}.", param=place)
