"""Reads the shape of a JSON answer that a prompt writes as programmers do: an example, a type in braces, classes. Follows none.

One reader for all of them, as prompts mix them: `{"name": string, "tags": ["..."], "score": 0-10, pets?: Array<{kind: "cat" | "dog"}>}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, cast

from aisa.embedded.json_value import Json, JsonObject

STARTS_MAX = 20  # of objects that are tried in one text
DEPTH_MAX = 8  # of objects and lists within each other
KEYS_MAX = 50  # of one object, and entries of one list
NAMED_MAX = 20  # types and classes that a text defines
LINES_MAX = 60  # of one class
TYPES = {
    **dict.fromkeys(("string", "str", "text", "texte", "cadena", "字符串"), "string"),
    **dict.fromkeys(("integer", "int", "whole number", "ganzzahl", "entier", "entero", "整数"), "integer"),
    **dict.fromkeys(("number", "float", "decimal", "zahl", "nombre", "número", "数字"), "number"),
    **dict.fromkeys(("boolean", "bool", "true/false", "true or false", "wahrheitswert", "booléen", "布尔"), "boolean"),
}
KINDS = "|".join(sorted(map(re.escape, TYPES), key=len, reverse=True))
NAME = r"[A-Za-z_][A-Za-z0-9_]{0,63}"
NUMBER = r"-?\d{1,15}(?:\.\d{1,15})?"
RANGE = re.compile(rf"(?:\bbetween |\bfrom )?({NUMBER})\s*(?:-|–|to|and|\.\.)\s*({NUMBER})")
CHOICES = re.compile(r"\W*(?:one|any) of:?\s+(.*)", re.IGNORECASE | re.DOTALL)
LIST_OF = re.compile(r"\b(?:an? )?(?:array|list) of (\w+)|\b(\w+)\[\]|\b(?:list|array|sequence|set)[\[<](\w+)[\]>]", re.IGNORECASE)
SPACE = re.compile(r"(?:\s|//[^\n]*)*")
KEY = re.compile(rf"[\"']?({NAME})[\"']?\s*\??\s*:\s*")
TEXT = re.compile(r'"(?:[^"\\\n]|\\.){0,1000}"|\'[^\'\n]{0,1000}\'')
ANGLES = re.compile(r"<([^<>\n]{1,100})>")
AMOUNT = re.compile(rf"{NUMBER}(?:[ ]*(?:-|to)[ ]*{NUMBER})?")
GENERIC = re.compile(r"(list|array|sequence|set|readonlyarray|optional|literal)\s*[<\[]\s*", re.IGNORECASE)
WORD = re.compile(rf"(?:{KINDS}|[A-Za-z_][\w.]{{0,63}})(?!\w)", re.IGNORECASE)
PROSE = re.compile(r"[^,;{}\[\]<>\n]{1,200}")
SEPARATOR = re.compile(r"[ \t]*(?:[,;]|#[^\n]*)?(?:\s|//[^\n]*|\.\.\.|…)*")
ALTERNATIVE = re.compile(r"\s*(?:\||\bor\b(?=\s*[\"']))\s*")
TRUTHS, NOTHING, ANYTHING = ("true", "false"), ("null", "none", "undefined"), ("any", "object", "dict", "unknown")
#: `interface Item {`, `type Item = {`, and `class Item(BaseModel):` with its members below.
DEFINED = re.compile(rf"\b(?:interface|type|class)\s+({NAME})(?:\s*=\s*|\s+|\([^()\n]{{0,80}}\)[ \t]*)?(?=\{{|:[ \t]*\n)")
MEMBER = re.compile(rf"\n[ \t]+(?:({NAME})[ \t]*:[ \t]*(?=\S)|)|\n(?=\s)")
#: What stands before a list that is the answer, or a member that is written without the object around it.
LISTED = re.compile(rf"(?:[\"']?({NAME})[\"']?\s*:\s*)?\[\s*$")


class Value(NamedTuple):
    """What stands at a place: its schema, where it ends, if it is a kind of values and no prose, and the text that it is, if it is one."""

    schema: JsonObject | None
    end: int
    told: bool = True
    text: str | None = None


def schema_in_notation(text: str) -> JsonObject | None:
    """Return the schema of the first object in a text that is written out, None if none is."""
    return _Reader(text).whole()


class _Reader:
    """Reads one text. Methods take a place in it, and return None where what they read does not stand there."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._defined = {found[1]: found.end() for found in list(DEFINED.finditer(text))[:NAMED_MAX]}
        self._used: set[str] = set()
        self._read: dict[str, JsonObject] = {}

    def whole(self) -> JsonObject | None:
        """Return the schema of the first type that no other one uses, else of the first object."""
        read = {name: self._definition(name, DEPTH_MAX) for name in self._defined}
        for name, schema in read.items():
            if "properties" in schema and name not in self._used:
                return schema
        at = -1
        for _ in range(STARTS_MAX):
            at = self._text.find("{", at + 1)
            if at < 0:
                return None
            found = self._object(at, DEPTH_MAX)
            if found is not None and found.schema and found.told:
                listed = LISTED.search(self._text, max(0, at - 100), at)
                return object_of({listed[1] or "items": list_of(found.schema)}) if listed else found.schema
        return None

    def _definition(self, name: str, depth: int) -> JsonObject:
        """Return a type by its name; within itself it is any object, and what is defined otherwise, as an enumeration is, a text."""
        if name not in self._read:
            self._read[name] = {"type": "object"}
            found = self._object(self._defined[name], depth)
            self._read[name] = (found.schema if found else None) or {"type": "string"}
        return self._read[name]

    def _object(self, at: int, depth: int) -> Value | None:
        if self._text.startswith(":", at):
            return self._class(at, depth)
        members: dict[str, JsonObject] = {}
        told = False
        at = self._behind(SPACE, at + 1)
        while depth and len(members) < KEYS_MAX and (key := KEY.match(self._text, at)):
            value = self._value(key.end(), depth - 1)
            if value is None:
                return None
            members[key[1]] = value.schema or {}
            told = told or value.told or key[0][0] in "\"'"
            at = self._behind(SEPARATOR, value.end)
        if not self._text.startswith("}", at):
            return None
        return Value(object_of(members) if members else {"type": "object"}, at + 1, told)

    def _class(self, at: int, depth: int) -> Value | None:
        members: dict[str, JsonObject] = {}
        at = self._text.find("\n", at)
        for _ in range(LINES_MAX):
            line = MEMBER.match(self._text, at) if at >= 0 else None
            if line is None or not depth:
                break
            value = self._value(line.end(), depth - 1) if line[1] else None
            if value is not None:
                members[line[1]] = value.schema or {}
            at = self._text.find("\n", line.end())
        return Value(object_of(members), at) if members else None

    def _value(self, at: int, depth: int) -> Value | None:
        """Read what a member holds: one kind, or several of which the first counts; texts are choices."""
        found: list[Value] = []
        while len(found) < KEYS_MAX and (value := self._one(at, depth)) is not None:
            at = value.end
            while self._text.startswith("[]", at):
                at += 2
                value = Value(list_of(value.schema or {}), at)
            found.append(value)
            further = ALTERNATIVE.match(self._text, at)
            if further is None:
                break
            at = further.end()
        kinds = [value for value in found if value.schema is not None]
        if not kinds:
            return Value(None, at) if found else None
        texts = [value.text for value in kinds if value.text is not None]
        if len(texts) == len(kinds) > 1:
            return Value(enum_of(texts), at)
        return Value(kinds[0].schema, at, kinds[0].told)

    def _one(self, at: int, depth: int) -> Value | None:
        first = self._text[at : at + 1]
        if first == "{":
            return self._object(at, depth)
        if first == "[":
            return self._list(at + 1, depth, "]")
        if text := TEXT.match(self._text, at):
            return Value(typed(text[0][1:-1]), text.end(), text=text[0][1:-1])
        if words := ANGLES.match(self._text, at):
            return Value(typed(words[1]), words.end())
        if amount := AMOUNT.match(self._text, at):
            return Value(typed(amount[0]), amount.end())
        if generic := GENERIC.match(self._text, at):
            return self._generic(generic, depth)
        return self._word(at, depth)

    def _list(self, at: int, depth: int, closing: str) -> Value | None:
        entries = list(self._entries(at, depth))
        end = self._behind(SEPARATOR, entries[-1].end if entries else at)
        if not self._text.startswith(closing, end):
            return None
        return Value(list_of((entries[0].schema if entries else None) or {"type": "string"}), end + 1)

    def _entries(self, at: int, depth: int) -> Iterator[Value]:
        for _ in range(KEYS_MAX if depth else 0):
            value = self._value(self._behind(SPACE, at), depth - 1)
            if value is None:
                return
            yield value
            at = self._behind(SEPARATOR, value.end)

    def _generic(self, generic: re.Match[str], depth: int) -> Value | None:
        kind, closing = generic[1].lower(), ">" if "<" in generic[0] else "]"
        if kind in ("optional", "literal"):
            choices = list(self._entries(generic.end(), depth))
            end = self._behind(SPACE, choices[-1].end) if choices else generic.end()
            texts = [choice.text for choice in choices if choice.text is not None]
            schema = enum_of(texts) if texts else (choices[0].schema if choices else None)
            return Value(schema, end + 1) if self._text.startswith(closing, end) else None
        return self._list(generic.end(), depth, closing)

    def _word(self, at: int, depth: int) -> Value | None:
        word = WORD.match(self._text, at)
        said = word[0].lower() if word else ""
        if word and said in NOTHING:
            return Value(None, word.end())
        if word and word[0] in self._defined and depth:
            self._used.add(word[0])
            return Value(self._definition(word[0], depth - 1), word.end())
        if (
            word
            and (said in TYPES or said in TRUTHS or said in ANYTHING)
            and self._text[word.end() : word.end() + 2].strip()[:1] in "),;|[}]>=#/"
        ):
            return Value({} if said in ANYTHING else {"type": TYPES.get(said, "boolean")}, word.end())
        prose = PROSE.match(self._text, at)
        return Value(typed(prose[0]), prose.end(), told=False) if prose and prose[0].strip() else None

    def _behind(self, pattern: re.Pattern[str], at: int) -> int:
        found = pattern.match(self._text, at)
        return found.end() if found else at


def typed(words: str) -> JsonObject:
    """Return the schema of a value that is described in a few words, such as `a|b` or `0 to 10`; of a text where they name no type."""
    said = words.strip(" <>").lower()
    several = LIST_OF.search(said)
    if several is not None:
        inner = next(filter(None, several.groups())).removesuffix("s")
        return list_of({"type": TYPES.get(inner, "string")})
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
        return enum_of(choices)
    for name, kind in TYPES.items():
        if re.match(rf"(?:an? )?{re.escape(name)}\b", said):
            return {"type": kind}
    return {"type": "string"}


def enum_of(texts: list[str]) -> JsonObject:
    """Return the schema of one of several texts."""
    return {"enum": cast("list[Json]", texts)}


def list_of(entry: JsonObject) -> JsonObject:
    """Return the schema of a list of at least one such entry."""
    return {"type": "array", "items": entry, "minItems": 1}


def object_of(properties: dict[str, JsonObject]) -> JsonObject:
    """Return the schema of an object that has all of these members and no others."""
    names: list[Json] = list(properties)
    return {"type": "object", "properties": cast("Json", properties), "required": names, "additionalProperties": False}
