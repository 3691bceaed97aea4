"""Finds what a prompt asks of a JSON answer in words: an example object, a type in braces, or a list of keys. Judges and follows none."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import cast

from aisa.embedded.json_value import Json, JsonObject

CHARACTERS_MAX = 20_000  # of one text that are looked at
STARTS_MAX = 20  # of objects that are tried in one text
DEPTH_MAX = 8  # of an example that is followed
KEYS_MAX = 50  # of one object
TYPES = {
    **dict.fromkeys(("string", "str", "text"), "string"),
    **dict.fromkeys(("integer", "int", "whole number"), "integer"),
    **dict.fromkeys(("number", "float", "decimal"), "number"),
    **dict.fromkeys(("boolean", "bool", "true/false", "true or false"), "boolean"),
}
KINDS = "|".join(sorted(map(re.escape, TYPES), key=len, reverse=True))
NAME = r"[A-Za-z_][A-Za-z0-9_]{0,63}"
LIST = re.compile(r"\b(?:an? )?(?:array|list) of (\w+)|\b(\w+)\[\]", re.IGNORECASE)
#: `{name: string; age: number}`, as TypeScript has it
MEMBER = re.compile(rf"[\"']?({NAME})[\"']?\??\s*:\s*((?:{KINDS})(?:\[\])?)\s*[,;}}\n]", re.IGNORECASE)
#: `keys "name" (string), "age" and tags (a list of strings)`
WORD_FOR_KEYS = r"\b(?:keys?|fields?|properties|members|attributes)\b"
KEYS = re.compile(rf"{WORD_FOR_KEYS}(?: named| called| are|:)?\s*:?\s*(.{{1,1000}})", re.IGNORECASE | re.DOTALL)
#: One of them: quoted or bare, what it is in parentheses or behind a colon, and what stands behind it.
KEY = re.compile(
    rf"""\s*(?:[-*]\s*)?(?:(?:and|or)\s+)?
    (?:["'`]({NAME})["'`]|({NAME}))
    \s*(?:\(([^()]{{0,200}})\)|:\s*({KINDS.replace(" ", "[ ]")})\b)?
    [ \t]*(,|;|\band\b|\n|$|[.:])""",
    re.IGNORECASE | re.VERBOSE,
)


def schema_in_words(texts: Iterable[str]) -> JsonObject | None:
    """Return the schema of the first object that one of these texts asks for in words, None if none does."""
    for text in texts:
        found = of_example(text[:CHARACTERS_MAX]) or of_members(text[:CHARACTERS_MAX]) or of_keys(text[:CHARACTERS_MAX])
        if found is not None:
            return found
    return None


def of_example(text: str) -> JsonObject | None:
    """Return the schema of the first object in a text that is an example of an answer."""
    start, decoder = -1, json.JSONDecoder()
    for _ in range(STARTS_MAX):
        start = text.find("{", start + 1)
        if start < 0:
            return None
        try:
            found, _end = cast("tuple[Json, int]", decoder.raw_decode(text, start))
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict) and found:
            return like(found, DEPTH_MAX)
    return None


def like(value: Json, depth: int) -> JsonObject:
    """Return the schema of what is like an example. A text that names types or choices (`"a|b"`) means them."""
    match value:
        case bool():
            return {"type": "boolean"}
        case int():
            return {"type": "integer"}
        case float():
            return {"type": "number"}
        case str():
            return typed(value)
        case list():
            return {"type": "array", "items": like(value[0], depth - 1) if value and depth else {"type": "string"}, "minItems": 1}
        case dict() if depth:
            names = list(value)[:KEYS_MAX]
            return of_object({name: like(value[name], depth - 1) for name in names})
        case _:
            return {}


def typed(words: str) -> JsonObject:
    """Return the schema of a value that is described in a few words; of a text where they name no type."""
    said = words.strip(" <>").lower()
    several = LIST.search(said)
    if several is not None:
        inner = (several[1] or several[2]).removesuffix("s")
        return {"type": "array", "items": {"type": TYPES.get(inner, "string")}, "minItems": 1}
    if said in TYPES:
        return {"type": TYPES[said]}
    choices = [choice.strip(" '\"") for choice in re.split(r"\||\bor\b(?=\s*['\"])", words)]
    if len(choices) > 1 and all(0 < len(choice) <= 64 for choice in choices):
        return {"enum": cast("list[Json]", choices)}
    for name, kind in TYPES.items():
        if re.match(rf"(?:an? )?{re.escape(name)}\b", said):
            return {"type": kind}
    return {"type": "string"}


def of_members(text: str) -> JsonObject | None:
    """Return the schema of members with types, as programmers write them in braces."""
    found = {name: typed(kind) for name, kind in MEMBER.findall(text)[:KEYS_MAX]}
    return of_object(found) if found and "{" in text else None


def of_keys(text: str) -> JsonObject | None:
    """Return the schema of an object whose keys a text lists."""
    for place in KEYS.finditer(text):
        found = dict(keys_in(place[1]))
        if found:
            return of_object(found)
    return None


def keys_in(text: str) -> Iterator[tuple[str, JsonObject]]:
    """Yield the keys that a list in a text begins with, each with its value's schema. A bare word is one only if something shows it."""
    at = 0
    for number in range(KEYS_MAX):
        found = KEY.match(text, at)
        if found is None:
            return
        quoted, bare, words, kind, end = found.groups()
        if not quoted and not words and not kind and number == 0 and end not in (",", "and"):
            return
        yield quoted or bare, typed(words or kind or "")
        at = found.end()
        if end in (".", ":", "") or text.startswith("\n", at):
            return


def of_object(properties: dict[str, JsonObject]) -> JsonObject:
    """Return the schema of an object that has all of these members and no others."""
    names: list[Json] = list(properties)
    return {"type": "object", "properties": cast("Json", properties), "required": names, "additionalProperties": False}
