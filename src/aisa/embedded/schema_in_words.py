"""Finds what a prompt asks of a JSON answer in words: keys in a sentence or in points, with what they hold. Judges and follows none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import islice

from aisa.embedded.json_value import JsonObject, as_object
from aisa.embedded.schema_notation import KINDS, NAME, TYPES, list_of, object_of, schema_in_notation, typed

CHARACTERS_MAX = 20_000  # of one text that are looked at
DEPTH_MAX = 6  # of lists and objects within each other
KEYS_MAX = 50  # of one object
PLACES_MAX = 50  # of one text at which keys are looked for
POINTS_MAX, POINTS_MIN = 200, 2  # a list of one point may be about anything
BRACKETS_CHARACTERS_MAX = 2_000  # between two of them

AND = r"\b(?:and|or|und|oder|et|ou|y|o|e)\b|和|と|、|，"
ARTICLE = r"\b(?:an?|the|one|eine?[nrms]?|une?|una?)\b"
WORD_FOR_KEYS = (
    r"(?:\b(?:keys?|fields?|properties|property|members?|attributes?|Feld(?:er|ern)?|Schlüsseln?|clés?|champs?|claves?|campos?|chiavi|campi"
    r"|chaves?)\b|字段|键|キー|フィールド|필드|ключ\w*|пол[яе]\w*)"
)
CALLED = r"(?:named|called|are|genannt|appelée?s?|llamad[oa]s?)"
LIST_NOUN = r"(?:JSON )?(?:arrays?|lists?|Listen?|tableaux?|listes?|listas?|arreglos?)\b"
ONE_OBJECT = r"(?:JSON )?(?:object|dict(?:ionary)?|record|struct|Objekt|objet|objeto|oggetto)\b"
#: What stands between an object, or a list of them, and its keys.
HAVING = (
    rf"[,;:]?\s*(?:(?:where|and|in which)\s+)?(?:(?:each|every|all)\b(?:\s+(?!ha[sv]|with|contain)\w+){{0,2}}\s*)?(?:(?:that|which|to)\s+)?"
    rf"(?:(?:having|has|have|with|containing|contains?|holding|consisting\s+of|including|includes?|mit|avec|con|com)\b|whose\b(?=\s+{WORD_FOR_KEYS}))"
    rf"(?:\s+(?:the|these|exactly|following|only|two|three|four|five|den|die|dem|les|la|le|los|las|el|an?)\b)*"
    rf"(?:\s*{WORD_FOR_KEYS})?(?:\s+{CALLED}\b)?\s*:?\s*"
)
COUNTS = {name: number for number, name in enumerate("two three four five six seven eight nine ten".split(), 2)}
A_LIST = re.compile(
    rf"{LIST_NOUN}(?:\s+(?:of|von|de|di|d['’])\s*(?:{ARTICLE}\s+)?(?:exactly\s+)?(?:(\d{{1,2}}|{'|'.join(COUNTS)})\s+)?(?:JSON\s+)?(\w+))?",
    re.IGNORECASE,
)
AN_OBJECT = re.compile(ONE_OBJECT, re.IGNORECASE)
OBJECTS = re.compile(r"objects|dicts|dictionaries|records|structs|objekten?|objets|objetos|oggetti")
OTHERS = re.compile(r"items|entries|elements|things")  # which say no more than that
SHOWN = re.compile(r"[\"'`“(:]")  # by quotes, or by saying what it holds, a word is a key
HOLDS = re.compile(HAVING, re.IGNORECASE)
#: A later sentence that says it: `a list called "steps"; each step has "n" and "text"`.
EACH = re.compile(r"[^{}]{0,200}?\b(?:each|every)\b(?:\s+\w+){0,3}?\s+(?:has|have|having|with|contains?|containing)\b[\s:]*", re.IGNORECASE)
COMPOUND = re.compile(rf"\s*(?:{ARTICLE}\s+)?(?={LIST_NOUN}|{ONE_OBJECT})", re.IGNORECASE)
#: Between a key and what it holds.
LINK = re.compile(
    r"\s*(?:,\s*)?(?:(?:which|that|whose value|with)\s+)?"
    r"(?:(?:is|are|being|holds?|holding|contains?|containing|has|as|of\s+type|einer?|avec|con)\b|[:=])?\s*",
    re.IGNORECASE,
)
KIND = re.compile(rf"\s*(?::|=|\bof type\b|\bas\b|\bis\b)?\s*(?:{ARTICLE}\s+)?({KINDS})(?!\w)", re.IGNORECASE)
KEY = re.compile(
    rf"\s*(?:[-*]\s*)?(?:(?:{AND})\s*)?(?:{ARTICLE}\s+)?(?:{WORD_FOR_KEYS}\s+(?:{CALLED}\s+)?)?"
    rf"(?:({KINDS}|array|list|object)s?(?:\s+of\s+\w+)?\s+(?:{CALLED}\s+(?=[\"'`“\w])|(?=[\"'`“])))?"
    rf"(?:[\"'`“]({NAME})[\"'`”]|({NAME})(?!\w))",
    re.IGNORECASE,
)
END = re.compile(rf"[ \t]*(,|;|{AND}|\n|$|[.:。])", re.IGNORECASE)
#: Where the keys of the answer may begin. After a mere `with` they are quoted, else half of all sentences would have keys.
BEGIN = re.compile(
    rf"(?P<list>{LIST_NOUN}\s+(?:of|von|de|di|d['’]))|(?:{ONE_OBJECT}|\bJSON\b)\s+{HAVING}|\bwith\s+(?:{ARTICLE}\s+)?(?=[\"'`“]|{LIST_NOUN}\s+{CALLED})"
    rf"|{WORD_FOR_KEYS}(?:\s+{CALLED}\b)?\s*:?\s*|\b(?:JSON|structure|format|shape)\s*[.:]\s*(?={NAME}\s*(?::|\())",
    re.IGNORECASE,
)
#: `- name (string): what for`, `* name: what for` or `1. name - what for`, one a line.
POINT = re.compile(
    rf"^([ \t]*)(?:[-*•]|\d{{1,3}}[.)])[ \t]*[\"'`*]*({NAME})[\"'`*]*[ \t]*(?:\(([^()\n]{{0,200}})\))?[ \t]*"
    r"(?:(?::|-|–)([^\n]{0,300})|$)",
    re.MULTILINE,
)
Keys = dict[str, JsonObject]


def schema_in_words(texts: Iterable[str]) -> JsonObject | None:
    """Return the schema of the first object that one of these texts asks for in words, None if none does."""
    for text in texts:
        looked = text[:CHARACTERS_MAX]
        written, said = schema_in_notation(looked), of_sentence(looked) or of_points(looked)
        if written is None or said is None:
            found = written or said
        else:  # a sentence that has more than what is written out has that as a part
            found = written if as_object(said["properties"]).keys() <= as_object(written["properties"]).keys() else said
        if found is not None:
            return found
    return None


def of_sentence(text: str) -> JsonObject | None:
    """Return the schema of an object whose keys a sentence lists. A list that is asked for by itself is the object's only member."""
    for place in islice(BEGIN.finditer(text), PLACES_MAX):
        if POINT.match(text, text.rfind("\n", 0, place.start()) + 1):
            return None  # points say it
        if place["list"]:
            if (listed := of_list(text, place)) is not None:
                return listed
            continue
        ended = text.rfind("\n", place.start(), place.end()) >= 0
        pointed = of_points(text[place.end() - 1 :]) if ended else None
        if pointed is not None:
            return pointed
        if keys := keys_at(text, place.end(), DEPTH_MAX)[0]:
            return object_of(keys)
    return None


def of_list(text: str, place: re.Match[str]) -> JsonObject | None:
    """Return the schema of an object with one member, the list that is asked for at a place, by the name of its entries."""
    named, found = A_LIST.match(text, place.start()), compound_at(text, place.start(), DEPTH_MAX)
    noun = ((named and named[2]) or "").lower()
    of_kind, of_objects = noun.removesuffix("s") in TYPES, OBJECTS.fullmatch(noun) is not None
    if found is None or not (of_kind or "properties" in as_object(found[0]["items"])):
        return None
    if not (of_kind or of_objects or SHOWN.search(text, place.end(), found[1])):
        return None  # `a list of items with bread and butter`
    return object_of({"items" if of_kind or of_objects or OTHERS.fullmatch(noun) else noun: found[0]})


def of_points(text: str) -> JsonObject | None:
    """Return the schema of an object whose members a list has, one a line; those of a member stand below it, further in."""
    points = [found.groups("") for found in POINT.finditer(text)][:POINTS_MAX]
    keys = keys_of_points([(len(indent.expandtabs()), name, kind or said) for indent, name, kind, said in points], DEPTH_MAX)
    return object_of(keys) if len(keys) >= POINTS_MIN else None


def keys_of_points(points: Sequence[tuple[int, str, str]], depth: int) -> Keys:
    """Return what points hold: each is how far in it stands, its name, and what is said of it."""
    keys: Keys = {}
    for place, (indent, name, said) in enumerate(points):
        if indent > points[0][0] or len(keys) == KEYS_MAX:
            continue
        below = next((at for at in range(place + 1, len(points)) if points[at][0] <= indent), len(points))
        inner = keys_of_points(points[place + 1 : below], depth - 1) if depth else {}
        schema = described(said, depth) if KIND.match(said) or COMPOUND.match(said) or not said.startswith(" ") else typed("")
        several = schema.get("type") == "array"
        keys[name] = (list_of(object_of(inner)) if several else object_of(inner)) if inner else schema
    return keys


def keys_at(text: str, at: int, depth: int) -> tuple[Keys, int]:
    """Return the keys that a list in a text begins with, each with its value's schema, and where they end."""
    keys: Keys = {}
    while len(keys) < KEYS_MAX and depth and (key := KEY.match(text, at)):
        kind, quoted, bare = key.groups()
        schema, end, told = held_at(text, key.end(), depth - 1)
        if kind and not told:
            schema, told = described(key[0], depth - 1), True
            each = EACH.match(text, end) if schema.get("type") == "array" else None
            entries, behind = keys_at(text, each.end(), depth - 1) if each else ({}, end)
            schema, end = (list_of(object_of(entries)), behind) if entries else (schema, end)
        stop = END.match(text, end)
        if not quoted and not told and (stop is None or (not keys and stop[1].lower() not in (",", "and", "und", "et", "y"))):
            break  # a bare word is a key only if something shows it
        keys[quoted or bare] = schema
        at = end if stop is None else stop.end()
        if stop is None or stop[1] in (".", ":", "。", "") or text.startswith("\n", at):
            break
    return keys, at


def held_at(text: str, at: int, depth: int) -> tuple[JsonObject, int, bool]:
    """Return what the key before a place holds, where its description ends, and whether there is one."""
    bracket = re.compile(r"\s*\(").match(text, at)
    if bracket is not None and (end := closing(text, bracket.end())):
        return described(text[bracket.end() : end - 1], depth), end, True
    link = LINK.match(text, at)
    begun = COMPOUND.match(text, link.end() if link else at)
    if begun is not None and (found := compound_at(text, begun.end(), depth)) is not None:
        return *found, True
    kind = KIND.match(text, at)
    return ({"type": TYPES[kind[1].lower()]}, kind.end(), True) if kind else ({"type": "string"}, at, False)


def described(words: str, depth: int) -> JsonObject:
    """Return the schema of what is described by words alone: in brackets, or behind a point."""
    begun = COMPOUND.search(words) if depth else None
    if begun is not None and "{" in words:
        written = schema_in_notation(words)
        return (list_of(written) if A_LIST.match(words, begun.end()) else written) if written else typed(words)
    found = compound_at(words, begun.end(), depth) if begun else None
    return typed(words.strip()) if found is None else found[0]


def compound_at(text: str, at: int, depth: int) -> tuple[JsonObject, int] | None:
    """Return a list or an object that is described at a place, and where that ends."""
    several, single = A_LIST.match(text, at), AN_OBJECT.match(text, at)
    noun = several or single
    if noun is None:
        return None
    count, entry = several.groups("") if several else ("", "")
    kind = TYPES.get(entry.lower().removesuffix("s"))
    if kind is not None:
        return counted(list_of({"type": kind}), count), noun.end()
    holds = HOLDS.match(text, noun.end()) or (EACH.match(text, noun.end()) if several else None)
    keys, end = keys_at(text, holds.end(), depth - 1) if holds and depth else ({}, noun.end())
    if several:
        listed = (list_of(object_of(keys)), end) if keys else (list_of({"type": "string"}), noun.end())
        return counted(listed[0], count), listed[1]
    return (object_of(keys), end) if keys else ({"type": "object"}, noun.end())


def counted(schema: JsonObject, count: str) -> JsonObject:
    """Return the schema of a list with as many entries as a word or a figure says, if it says a number of any."""
    number = COUNTS.get(count.lower()) or int(count or 0)
    return {**schema, "minItems": number, "maxItems": number} if number else schema


def closing(text: str, at: int) -> int:
    """Return the place behind the bracket that closes what begins at a place, 0 if none does."""
    open_ones = 1
    for place in range(at, min(len(text), at + BRACKETS_CHARACTERS_MAX)):
        open_ones += {"(": 1, ")": -1}.get(text[place], 0)
        if not open_ones:
            return place + 1
    return 0
