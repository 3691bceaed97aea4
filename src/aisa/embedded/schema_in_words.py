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
    **dict.fromkeys(("string", "str", "text", "texte", "cadena", "字符串"), "string"),
    **dict.fromkeys(("integer", "int", "whole number", "ganzzahl", "entier", "entero", "整数"), "integer"),
    **dict.fromkeys(("number", "float", "decimal", "zahl", "nombre", "número", "数字"), "number"),
    **dict.fromkeys(("boolean", "bool", "true/false", "true or false", "wahrheitswert", "booléen", "布尔"), "boolean"),
}
KINDS = "|".join(sorted(map(re.escape, TYPES), key=len, reverse=True))
NAME = r"[A-Za-z_][A-Za-z0-9_]{0,63}"
LIST = re.compile(r"\b(?:an? )?(?:array|list) of (\w+)|\b(\w+)\[\]|\b(?:list|array|sequence|set)[\[<](\w+)[\]>]", re.IGNORECASE)
NUMBER = r"(-?\d{1,15}(?:\.\d{1,15})?)"
RANGE = re.compile(rf"(?:\bbetween |\bfrom )?{NUMBER}\s*(?:-|–|to|and|\.\.)\s*{NUMBER}")
CHOICES = re.compile(r"\W*(?:one|any) of:?\s+(.*)", re.IGNORECASE | re.DOTALL)
AND = r"\b(?:and|or|und|oder|et|ou|y|o|e)\b|和|と|、|，"
#: `{name: string; age: number}` as TypeScript has it, `"score": 0-10` and `"answer": <string>` as people write; up to the line's end.
TYPED = rf"(?:{KINDS.replace(' ', '[ ]')})(?:\[\])?|(?:list|array)[\[<]\w+[\]>]"
VALUE = rf"<[^<>\n]{{1,100}}>|\"[^\"\n]{{0,200}}\"|{NUMBER}(?:[ ]*(?:-|to)[ ]*{NUMBER})?".replace("(-", "(?:-")
MEMBER = re.compile(rf"[{{,;\n]\s*[\"']?({NAME})[\"']?\??\s*:\s*({TYPED}|{VALUE})\s*(?=[,;}}\n]|$)", re.IGNORECASE)
#: `class Person(BaseModel):` with `name: str` below it, as Python has it.
CLASS = re.compile(r"\bclass \w+[^\n]{0,100}:[ \t]*((?:\n[ \t]+[^\n]*){1,60})")
#: `- name (string): what for` or `* name: what for`, one a line.
POINT = re.compile(
    rf"^[ \t]*(?:[-*•]|\d+[.)])[ \t]*[\"'`*]*({NAME})[\"'`*]*[ \t]*(?:\(([^()\n]{{0,200}})\))?[ \t]*(?::|-|–|$)", re.MULTILINE
)
ANNOTATED = re.compile(rf"^[ \t]+({NAME})[ \t]*:[ \t]*([^=#\n]{{1,200}}?)[ \t]*(?:=.*|#.*)?$", re.MULTILINE)
POINTS_MIN = 2  # a list of one point may be about anything
#: `keys "name" (string), "age" and tags (a list of strings)`
WORD_FOR_KEYS = (
    r"(?:\b(?:keys?|fields?|properties|members|attributes|with(?=\s*[\"'`])|Feld(?:er|ern)?|Schlüsseln?|clés?|champs|claves?|campos?|chiavi|campi|chaves?)\b"
    r"|字段|键|キー|フィールド|필드|ключ\w*|пол[яе]\w*)"
)
KEYS = re.compile(rf"{WORD_FOR_KEYS}(?: named| called| are|:)?\s*:?\s*(?=(.{{1,1000}}))", re.IGNORECASE | re.DOTALL)
#: One of them: quoted or bare, what it is in parentheses or behind a colon, and what stands behind it.
KEY = re.compile(
    rf"""\s*(?:[-*]\s*)?(?:(?:{AND})\s*)?
    (?:["'`]({NAME})["'`]|({NAME}))
    \s*(?:\(([^()]{{0,200}})\)|:\s*({KINDS.replace(" ", "[ ]")})\b)?
    [ \t]*(,|;|{AND}|\n|$|[.:。])""",
    re.IGNORECASE | re.VERBOSE,
)


def schema_in_words(texts: Iterable[str]) -> JsonObject | None:
    """Return the schema of the first object that one of these texts asks for in words, None if none does."""
    for text in texts:
        looked = text[:CHARACTERS_MAX]
        found = of_example(looked) or of_members(looked) or of_class(looked) or of_keys(looked) or of_points(looked)
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
        inner = next(filter(None, several.groups())).removesuffix("s")
        return {"type": "array", "items": {"type": TYPES.get(inner, "string")}, "minItems": 1}
    if said in TYPES:
        return {"type": TYPES[said]}
    span = RANGE.search(said)
    if span is not None:
        low, high = float(span[1]), float(span[2])
        kind = "number" if "." in span[0] or high - low <= 1 or "number" in said or "float" in said else "integer"
        return {"type": kind, "minimum": min(low, high), "maximum": max(low, high)}
    if re.fullmatch(NUMBER, said):
        return {"type": "number" if "." in said else "integer"}
    one_of = CHOICES.match(words)
    divided = r",\s*(?:or\s+)?|\s+or\s+|\||/" if one_of else r"\||\bor\b(?=\s*['\"])"
    choices = [choice.strip(" '\"`.") for choice in re.split(divided, one_of[1] if one_of else words)]
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


def of_class(text: str) -> JsonObject | None:
    """Return the schema of a class of Python whose members have types."""
    for place in CLASS.finditer(text):
        found = {name: typed(kind) for name, kind in ANNOTATED.findall(place[1])[:KEYS_MAX]}
        if found:
            return of_object(found)
    return None


def of_points(text: str) -> JsonObject | None:
    """Return the schema of an object whose members a list has, one a line."""
    found = {name: typed(kind) for name, kind in POINT.findall(text)[:KEYS_MAX]}
    return of_object(found) if len(found) >= POINTS_MIN else None


def of_keys(text: str) -> JsonObject | None:
    """Return the schema of an object whose keys a text lists."""
    for place in KEYS.finditer(text):
        found = dict(keys_in(place[1]))
        if found:
            return of_object(found)
    return None


def keys_in(text: str) -> Iterator[tuple[str, JsonObject]]:
    """Yield the keys that a list in a text begins with, each with its value's schema."""
    at = 0
    for number in range(KEYS_MAX):
        found = KEY.match(text, at)
        if found is None:
            return
        quoted, bare, words, kind, end = found.groups()
        if not quoted and not words and not kind and number == 0 and end not in (",", "and"):
            return  # a bare word is a key only if something shows it
        yield quoted or bare, typed(words or kind or "")
        at = found.end()
        if end in (".", ":", "。", "") or text.startswith("\n", at):
            return


def of_object(properties: dict[str, JsonObject]) -> JsonObject:
    """Return the schema of an object that has all of these members and no others."""
    names: list[Json] = list(properties)
    return {"type": "object", "properties": cast("Json", properties), "required": names, "additionalProperties": False}
