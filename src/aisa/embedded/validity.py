"""Does a value follow a JSON Schema? The part of draft 2020-12 that the model can write to; `pattern` and `format` are not looked at."""

from __future__ import annotations

import re
from collections.abc import Hashable
from urllib.parse import unquote

from aisa.embedded.budget import Budget
from aisa.embedded.json_value import Json, JsonObject, as_count, as_list, as_names, as_number, as_object, bound_of, places_of

DEPTH_MAX = 64  # of references and combinations; a body is not nested deeper, so what is must be a circle
ENDLESS = 1 << 62
INDEX = re.compile(r"[0-9]{1,9}")  # of an array, in a reference


class Unsatisfiable(Exception):
    """No value that follows the schema was found."""


def resolve(reference: Json, root: Json) -> Json:
    """Return the schema that a local `$ref` points to. Raises Unsatisfiable when it points nowhere."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        raise Unsatisfiable("only local references are known")
    place = root
    for step in reference[1:].split("/")[1:]:
        key = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(place, dict) and key in place:
            place = place[key]
        elif isinstance(place, list) and INDEX.fullmatch(key) and int(key) < len(place):
            place = place[int(key)]
        else:
            raise Unsatisfiable(f"{reference} points nowhere")
    return place


def has_type(value: Json, name: Json) -> bool:
    """Say whether a value has a JSON Schema type."""
    match name:
        case "null":
            return value is None
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            number = as_number(value)
            return number is not None and number == number // 1
        case "number":
            return as_number(value) is not None
        case "string":
            return isinstance(value, str)
        case "array":
            return isinstance(value, list)
        case "object":
            return isinstance(value, dict)
        case _:
            return False


def identity(value: Json) -> Hashable:
    """Return what two values have in common if and only if they are equal as JSON: 1 is 1.0, but true is not 1."""
    if isinstance(value, list):
        return tuple(map(identity, value))
    if isinstance(value, dict):
        return frozenset((key, identity(part)) for key, part in value.items())
    return (bool, value) if isinstance(value, bool) else value


def same(one: Json, other: Json) -> bool:
    """Say whether two values are equal as JSON."""
    return identity(one) == identity(other)


def is_multiple(number: float, of: float) -> bool:
    """Say whether a number is a multiple of another, which is above 0; exactly for integers, as floats allow for others."""
    if isinstance(number, int) and isinstance(of, int):
        return number % of == 0
    quotient = number / of
    return quotient == quotient // 1


class Judge:
    """Checks values against schemas of one document."""

    def __init__(self, root: Json, budget: Budget) -> None:
        self._root = root
        self._budget = budget

    def accepts(self, value: Json, schema: Json, depth: int = 0) -> bool:
        """Say whether the value follows the schema. Raises Unsatisfiable for references that lead nowhere or in a circle, Exhausted."""
        self._budget.spend()
        if depth > DEPTH_MAX:
            raise Unsatisfiable("it refers to itself without end")
        if not isinstance(schema, dict):
            return schema is not False
        return (
            self._plain(value, schema)
            and self._combined(value, schema, depth + 1)
            and (
                not isinstance(value, str)
                or as_count(schema.get("minLength"), 0) <= len(value) <= as_count(schema.get("maxLength"), ENDLESS)
            )
            and (as_number(value) is None or self._number(as_number(value) or 0, schema))
            and (not isinstance(value, list) or self._array(value, schema, depth + 1))
            and (not isinstance(value, dict) or self._object(value, schema, depth + 1))
        )

    def _plain(self, value: Json, schema: JsonObject) -> bool:
        types = schema.get("type")
        if types is not None and not any(has_type(value, name) for name in (types if isinstance(types, list) else [types])):
            return schema.get("nullable") is True and value is None
        if "const" in schema and not same(value, schema["const"]):
            return False
        return "enum" not in schema or any(same(value, option) for option in as_list(schema["enum"]))

    def _combined(self, value: Json, schema: JsonObject, depth: int) -> bool:
        def accepts(other: Json) -> bool:
            return self.accepts(value, other, depth)

        if "$ref" in schema and not accepts(resolve(schema["$ref"], self._root)):
            return False
        if not all(map(accepts, as_list(schema.get("allOf")))):
            return False
        if "anyOf" in schema and not any(map(accepts, as_list(schema["anyOf"]))):
            return False
        if "oneOf" in schema and sum(map(accepts, as_list(schema["oneOf"]))) != 1:
            return False
        if "not" in schema and accepts(schema["not"]):
            return False
        return "if" not in schema or accepts(schema.get("then" if accepts(schema["if"]) else "else"))

    def _number(self, number: float, schema: JsonObject) -> bool:
        (least, above), (most, below), step = bound_of(schema, "minimum"), bound_of(schema, "maximum"), as_number(schema.get("multipleOf"))
        return (
            (least is None or number >= least)
            and (above is None or number > above)
            and (most is None or number <= most)
            and (below is None or number < below)
            and (not step or is_multiple(number, step))
        )

    def _array(self, value: list[Json], schema: JsonObject, depth: int) -> bool:
        if not as_count(schema.get("minItems"), 0) <= len(value) <= as_count(schema.get("maxItems"), ENDLESS):
            return False
        if schema.get("uniqueItems") is True and len(set(map(identity, value))) < len(value):
            return False
        first, other = places_of(schema)
        if not all(self.accepts(item, part, depth) for item, part in zip(value, first, strict=False)):
            return False
        if "contains" in schema:
            count = sum(self.accepts(item, schema["contains"], depth) for item in value)
            if not as_count(schema.get("minContains"), 1) <= count <= as_count(schema.get("maxContains"), ENDLESS):
                return False
        return all(self.accepts(item, other, depth) for item in value[len(first) :])

    def _object(self, value: JsonObject, schema: JsonObject, depth: int) -> bool:
        properties = as_object(schema.get("properties"))
        if not as_count(schema.get("minProperties"), 0) <= len(value) <= as_count(schema.get("maxProperties"), ENDLESS):
            return False
        if any(name not in value for name in as_names(schema.get("required"))):
            return False
        needs = as_object(schema.get("dependentRequired"))
        if any(name in value and any(other not in value for other in as_names(others)) for name, others in needs.items()):
            return False
        other, names = schema.get("additionalProperties"), schema.get("propertyNames", True)
        if names is not True and not all(self.accepts(name, names, depth) for name in value):
            return False
        return all(self.accepts(item, properties.get(name, other), depth) for name, item in value.items())
