"""Writes JSON values that follow a JSON Schema: tool arguments and structured answers. Words come from the prompt and from the model.

Tries what is likely first and lets `validity` judge it; knows no message and no token.
"""

from __future__ import annotations

from collections.abc import Container, Hashable, Iterator
from itertools import islice
from math import ceil, floor, isfinite
from typing import NamedTuple

import msgspec

from aisa.clock import Chance
from aisa.embedded.budget import Budget
from aisa.embedded.json_value import NUMBER_MAX, Json, JsonObject, as_count, as_list, as_names, as_number, as_object, bound_of, places_of
from aisa.embedded.pattern import Unwritable, matches, write_matching
from aisa.embedded.phrases import Phrases
from aisa.embedded.validity import ENDLESS, Judge, Unsatisfiable, identity, resolve, same

DEPTH_MAX = 48  # of values within values and of schemas that refer to each other
SHALLOW = 3  # to this depth optional properties are written; below it only what is required, so that recursive schemas come to an end
ITEMS_MAX = 500  # of a list; a schema that demands more is refused
CHARS_MAX = 10_000  # of a string; likewise
CANDIDATES_MAX = 300  # tried for one value
OPTIONS_MAX = 1_000  # of an enum that are looked at
TRIES = 8  # of lists and objects, each time with other values
ITEMS_USUAL = 2
SMALL = 100  # a bound that far below zero is meant; a lower one is that of a type
INTEGER_MAX = 1 << 53  # larger numbers are not exact in most JSON readers and are written as floats

COMBINING = ("anyOf", "oneOf", "if", "$ref", "allOf")
KINDS = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})
#: A keyword that only makes sense for one type, when a schema names no type.
TYPE_OF_KEYWORD = {
    "properties": "object", "required": "object", "additionalProperties": "object", "minProperties": "object",
    "items": "array", "prefixItems": "array", "minItems": "array", "uniqueItems": "array", "contains": "array",
    "minimum": "number", "maximum": "number", "exclusiveMinimum": "number", "exclusiveMaximum": "number", "multipleOf": "number",
}  # fmt: skip


class Range(NamedTuple):
    """The numbers a schema allows: from `low` to `high`, in steps of `step` (0: any)."""

    low: float
    high: float
    step: float


class Author:
    """Writes one document for one schema."""

    def __init__(self, root: Json, phrases: Phrases, *, chance: Chance, budget: Budget) -> None:
        self._root = root
        self._phrases = phrases
        self._chance = chance
        self._judge = Judge(root, budget)
        self._serial = 0  # makes strings differ where a list must not repeat one
        self._budget = budget

    def write(self, schema: Json, name: str = "", depth: int = 0, *, avoid: Container[Hashable] = ()) -> Json:
        """Return a value that follows the schema and whose identity is not in `avoid`; `name` is the property's.

        Raises Unsatisfiable, Exhausted.
        """
        self._step(depth)
        if schema is False:
            raise Unsatisfiable("a schema that is false")
        for flat in self._alternatives(as_object(schema), depth):
            for value in islice(self._candidates(flat, name, depth), CANDIDATES_MAX):
                if self._judge.accepts(value, schema) and identity(value) not in avoid:
                    return value
        raise Unsatisfiable("no value was found that follows the schema")

    def _step(self, depth: int) -> None:
        self._budget.spend()
        if depth > DEPTH_MAX:
            raise Unsatisfiable("it demands values within values without end")

    def _alternatives(self, schema: JsonObject, depth: int) -> Iterator[JsonObject]:
        """Yield schemas without references and combinations: one for each way to choose among the alternatives."""
        self._step(depth)
        key = next((key for key in COMBINING if key in schema), None)
        if key is None:
            yield schema
            return
        rest = {name: part for name, part in schema.items() if name != key}
        for option in self._options(key, schema, depth):
            try:
                yield from self._alternatives(merge(rest, option), depth + 1)
            except Unsatisfiable:
                continue

    def _options(self, key: str, schema: JsonObject, depth: int) -> list[JsonObject]:
        part = schema[key]
        if key == "$ref":
            return [as_object(resolve(part, self._root))]
        if key == "allOf":
            first, *others = as_list(part) or [True]
            return [merge({"allOf": others}, as_object(first)) if others else as_object(first)]
        if key == "if":
            return [{"allOf": [part, schema.get("then", True)]}, as_object(schema.get("else"))]
        options = [as_object(option) for option in as_list(part) if option is not False]
        return sorted(options, key=simplicity) if depth > SHALLOW else sorted(options, key=lambda option: option.get("type") == "null")

    def _candidates(self, schema: JsonObject, name: str, depth: int) -> Iterator[Json]:
        """Yield values that may follow a schema without combinations, likely ones first."""
        if "const" in schema:
            yield schema["const"]
            return
        if "enum" in schema:
            options = as_list(schema["enum"])[:OPTIONS_MAX]
            shuffled = self._chance.sample(options, len(options))
            yield from sorted(shuffled, key=lambda option: not (isinstance(option, str) and self._phrases.mentions(option)))
            return
        yield from (value for value in [schema.get("default"), *as_list(schema.get("examples"))] if value)
        for kind in types_of(schema):
            try:
                yield from self._of_type(kind, schema, name, depth=depth)
            except Unsatisfiable:
                continue

    def _of_type(self, kind: str, schema: JsonObject, name: str, *, depth: int) -> Iterator[Json]:
        match kind:
            case "boolean":
                yield from self._chance.sample([True, False], 2)
            case "integer":
                yield from self._integers(schema)
            case "number":
                yield from self._numbers(schema)
            case "string":
                yield from self._strings(schema, name)
            case "array":
                yield from (self._array(schema, depth) for _ in range(TRIES))
            case "object":
                yield from (self._object(schema, depth) for _ in range(TRIES))
            case _:
                yield None

    def _integers(self, schema: JsonObject) -> Iterator[Json]:
        yield from self._phrases.numbers(lambda number: self._judge.accepts(number, {**schema, "type": "integer"}))
        low, high, step = range_of(schema)
        unit = step or 1
        first, last = ceil(near_zero(low, high, unit) / unit), floor(high / unit)
        if first <= last:
            yield whole(self._chance.randint(first, min(last, first + 9)) * unit)
            yield from (whole(number * unit) for number in range(first, min(last, first + CANDIDATES_MAX) + 1))
        first = ceil(low / unit)
        if first <= last:
            yield from (whole(number * unit) for number in range(first, min(last, first + CANDIDATES_MAX) + 1))

    def _numbers(self, schema: JsonObject) -> Iterator[Json]:
        low, high, step = range_of(schema)
        if step:
            yield from self._integers(schema)
            first, last = ceil(low / step), floor(high / step)
            yield from (number * step for number in range(first, min(last, first + CANDIDATES_MAX) + 1))
            return
        yield from self._phrases.numbers(lambda number: self._judge.accepts(number, schema))
        start = near_zero(low, high, 1)
        yield round(start + min(10.0, float(high) - float(start)) * self._chance.random(), 2)
        width = float(high) - float(low)  # as integers their difference may be larger than any float
        yield round(low + width * self._chance.random(), 2)
        yield from (low, high)
        yield from (low + width * part / CANDIDATES_MAX for part in range(1, CANDIDATES_MAX))

    def _strings(self, schema: JsonObject, name: str) -> Iterator[Json]:
        shortest, longest = as_count(schema.get("minLength"), 0), as_count(schema.get("maxLength"), ENDLESS)
        if shortest > CHARS_MAX:
            raise Unsatisfiable("minLength is too large")
        pattern, form = schema.get("pattern"), schema.get("format")
        if isinstance(pattern, str):
            likely = self._phrases.formatted(form, None) if isinstance(form, str) else None
            if likely is not None and shortest <= len(likely) <= longest and matches(pattern, likely, self._budget):
                yield likely
            try:
                for _ in range(CANDIDATES_MAX):
                    yield write_matching(
                        pattern, shortest=shortest, longest=min(longest, CHARS_MAX), chance=self._chance, budget=self._budget
                    )
            except Unwritable:
                pass
        for attempt in range(CANDIDATES_MAX):
            self._serial += attempt > 0
            text = self._phrases.formatted(form, self._serial if attempt else None) if isinstance(form, str) else None
            if text is None:
                text = fit(self._phrases.named(name), shortest, longest, suffix=f" {self._serial}" if attempt >= TRIES else "")
            yield text

    def _array(self, schema: JsonObject, depth: int) -> Json:
        least, most = as_count(schema.get("minItems"), 0), as_count(schema.get("maxItems"), ENDLESS)
        if least > ITEMS_MAX:
            raise Unsatisfiable("minItems is too large")
        parts, others = places_of(schema)
        parts = parts[:ITEMS_MAX]
        if "contains" in schema:
            both: Json = {"allOf": [others, schema["contains"]]}
            parts = parts + [both] * min(as_count(schema.get("minContains"), 1), ITEMS_MAX)
        usual = ITEMS_USUAL if depth <= SHALLOW and others is not False else 0
        count = min(max(least, usual, len(parts) if depth <= SHALLOW else 0), most)
        values: list[Json] = []
        written: set[Hashable] = set()
        for place in range(count):
            part = parts[place] if place < len(parts) else others
            try:
                values.append(self.write(part, "", depth + 1, avoid=written if schema.get("uniqueItems") is True else ()))
            except Unsatisfiable:
                if len(values) < least:
                    raise
                break
            written.add(identity(values[-1]))
        return values

    def _object(self, schema: JsonObject, depth: int) -> Json:
        properties = as_object(schema.get("properties"))
        required = dict.fromkeys(as_names(schema.get("required")))
        other = schema.get("additionalProperties", True)
        least, most = as_count(schema.get("minProperties"), 0), as_count(schema.get("maxProperties"), ENDLESS)
        written: JsonObject = {}
        optional = depth <= SHALLOW and len({*properties, *required}) <= most
        for name in [*properties, *(name for name in required if name not in properties)]:
            if name not in required and not optional:
                continue
            try:
                written[name] = self.write(properties.get(name, other), name, depth + 1)
            except Unsatisfiable:
                if name in required:
                    raise
        if not properties and isinstance(other, dict) and other and depth <= SHALLOW and not written:
            least = max(least, min(1, most))
        for number in range(1, min(least - len(written), ITEMS_MAX) + 1):
            name = self._name(schema.get("propertyNames"), number=number, written=written, depth=depth)
            written[name] = self.write(other, name, depth + 1)
        return written

    def _name(self, names: Json, *, number: int, written: JsonObject, depth: int) -> str:
        """Return a name for a further property that a schema of names lets pass."""
        usual = f"key{number}"
        if not names or (self._judge.accepts(usual, names) and "pattern" not in as_object(names)):
            return usual
        return str(self.write({"type": "string", **as_object(names)}, "", depth + 1, avoid=written))


def simplicity(schema: JsonObject) -> int:
    """Rank alternatives for deep places: first those that hold no other values, last those that refer to more."""
    return 2 * ("$ref" in schema) + any(key in schema for key in ("properties", "items", "prefixItems", *COMBINING))


def types_of(schema: JsonObject) -> list[str]:
    """Return the types that a schema allows, null last; if it names none, the one that its keywords speak of, else string."""
    named = schema.get("type")
    kinds = [kind for kind in (named if isinstance(named, list) else [named]) if isinstance(kind, str)]
    if named is None:
        kinds = [next((TYPE_OF_KEYWORD[key] for key in schema if key in TYPE_OF_KEYWORD), "string")]
    return sorted((kind for kind in kinds if kind in KINDS), key=lambda kind: kind == "null")


def merge(one: JsonObject, other: JsonObject) -> JsonObject:
    """Return a schema that asks for what both ask for, as far as their keywords can be joined."""
    merged = dict(one)
    for key, value in other.items():
        if key not in merged:
            merged[key] = value
        elif key in COMBINING:
            merged["allOf"] = [*as_list(merged.get("allOf")), *(as_list(value) if key == "allOf" else [{key: value}])]
        else:
            merged[key] = joined(key, merged[key], value)
    return merged


def joined(key: str, one: Json, other: Json) -> Json:
    """Return what a keyword must say for two schemas to hold; where that cannot be said, the second."""
    if key == "properties":
        first, both = as_object(one), as_object(other)
        return {**first, **both, **{name: {"allOf": [first[name], both[name]]} for name in first if name in both}}
    if key == "required":
        return list[Json](dict.fromkeys([*as_names(one), *as_names(other)]))
    if key == "enum":
        return [option for option in as_list(one) if any(same(option, allowed) for allowed in as_list(other))]
    if key == "type":
        allowed = [*as_list(other), other]
        kinds = [
            kind for kind in (one if isinstance(one, list) else [one]) if kind in allowed or (kind == "number" and "integer" in allowed)
        ]
        return ["integer" if kind == "number" and "number" not in allowed else kind for kind in kinds]
    if key in ("items", "additionalProperties", "contains"):
        return {"allOf": [one, other]}
    first_number, second_number = as_number(one), as_number(other)
    if first_number is not None and second_number is not None and key != "multipleOf":
        pick = max if key.startswith(("min", "exclusiveMin")) else min
        return pick(first_number, second_number)
    return other


def range_of(schema: JsonObject) -> Range:
    """Return the range of numbers that a schema allows, of usual size where it has no bound; excluded bounds are still in it."""
    lows = [number for number in bound_of(schema, "minimum") if number is not None]
    highs = [number for number in bound_of(schema, "maximum") if number is not None]
    step = abs(as_number(schema.get("multipleOf")) or 0)
    usual = 10 * (step or 1)
    low = max(lows) if lows else min(1, min(highs) - usual) if highs else 1
    high = min(highs) if highs else max(low, 0) + usual
    if not isfinite(low / (step or 1)) or not isfinite(high / (step or 1)):
        raise Unsatisfiable("the bounds are too far apart")
    return Range(low, high, step)


def near_zero(low: float, high: float, unit: float) -> float:
    """Return where to begin in a range so that numbers are small: schemas of JavaScript say only what an integer can be at all."""
    if low >= -SMALL * unit:
        return low
    return max(low, min(unit, high - 10 * unit))


def whole(number: float) -> int | float:
    """Return a number as an integer if it is one and JSON readers can hold it exactly. Raises Unsatisfiable if no float holds it."""
    if abs(number) > NUMBER_MAX:
        raise Unsatisfiable("the numbers are too large")
    return int(number) if abs(number) < INTEGER_MAX and number == number // 1 else float(number)


def fit(text: str, shortest: int, longest: int, *, suffix: str) -> str:
    """Return a text with a suffix, cut or filled so that it has between `shortest` and `longest` characters."""
    text = text[: max(0, longest - len(suffix))].rstrip() + suffix
    if len(text) < shortest:
        text = (text + " and so on" * (shortest // 10 + 1))[:shortest]
    return text[:longest]


def write_json(schema: Json, phrases: Phrases, *, chance: Chance, budget: Budget) -> str:
    """Return a JSON document, compact, that follows the schema. Raises Unsatisfiable, Exhausted."""
    return msgspec.json.encode(Author(schema, phrases, chance=chance, budget=budget).write(schema)).decode()


def write_arguments(schema: Json, phrases: Phrases, *, chance: Chance, budget: Budget) -> str:
    """Return the arguments of a function as a JSON object; `{}` when it takes none. Raises Unsatisfiable, Exhausted."""
    return msgspec.json.encode(
        Author(schema, phrases, chance=chance, budget=budget).write({"type": "object", **as_object(schema)})
    ).decode()
