"""Documents for JSON Schemas: each is judged by another validator. Not how they are sent."""

from __future__ import annotations

import json
import random
import re
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from aisa.embedded.budget import Budget, Exhausted
from aisa.embedded.model import shipped_model
from aisa.embedded.pattern import Unwritable, write_matching
from aisa.embedded.phrases import Phrases
from aisa.embedded.structure import write_arguments, write_json
from aisa.embedded.validity import Judge, Unsatisfiable
from repeats import repeats

Schema = dict[str, Any] | bool

PERSON: Schema = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "email": {"type": "string", "format": "email"},
    },
    "required": ["name", "age", "email"],
    "additionalProperties": False,
}
TREE: Schema = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"value": {"type": "integer"}, "children": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
            "required": ["value", "children"],
            "additionalProperties": False,
        }
    },
}
LINKED: Schema = {
    "type": "object",
    "properties": {"item": {"type": "string"}, "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
    "required": ["item", "next"],
    "additionalProperties": False,
}
SHAPES: Schema = {
    "type": "object",
    "properties": {
        "shape": {
            "oneOf": [
                {
                    "type": "object",
                    "properties": {"kind": {"const": "circle"}, "radius": {"type": "number", "exclusiveMinimum": 0}},
                    "required": ["kind", "radius"],
                },
                {
                    "type": "object",
                    "properties": {"kind": {"const": "square"}, "side": {"type": "number", "exclusiveMinimum": 0}},
                    "required": ["kind", "side"],
                },
            ]
        }
    },
    "required": ["shape"],
}

SCHEMAS: dict[str, Schema] = {
    "anything": True,
    "an empty schema": {},
    "null": {"type": "null"},
    "a boolean": {"type": "boolean"},
    "an integer": {"type": "integer"},
    "a number": {"type": "number"},
    "a string": {"type": "string"},
    "an array": {"type": "array"},
    "an object": {"type": "object"},
    "a type or null": {"type": ["string", "null"]},
    "only null of two": {"type": ["null", "string"], "enum": [None]},
    "a constant": {"const": {"a": [1, 2.5, None]}},
    "an enum of mixed types": {"enum": [1, "one", None, [1]]},
    "an enum that the type narrows": {"type": "integer", "enum": ["x", 7]},
    "an integer range": {"type": "integer", "minimum": 18, "maximum": 18},
    "a negative range": {"type": "integer", "minimum": -20, "maximum": -10},
    "only a maximum": {"type": "integer", "maximum": -5},
    "exclusive bounds": {"type": "integer", "exclusiveMinimum": 4, "exclusiveMaximum": 6},
    "exclusive bounds of numbers": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.001},
    "a multiple": {"type": "integer", "minimum": 10, "multipleOf": 7},
    "a decimal multiple": {"type": "number", "multipleOf": 0.01, "minimum": 1, "maximum": 2},
    "an integer of a half multiple": {"type": "integer", "multipleOf": 0.5},
    "a wide multiple": {"type": "integer", "multipleOf": 1000, "maximum": 5000, "minimum": 100},
    "large numbers": {"type": "integer", "minimum": 9_007_199_254_740_990},
    "numbers beyond floats": {"type": "number", "maximum": 10**400},
    "the widest range": {"type": "number", "minimum": -1.7e308, "maximum": 1.7e308},
    "a huge minimum": {"type": "number", "minimum": 1.5e308},
    "a price": {"type": "number", "minimum": 0.01, "maximum": 0.02},
    "a short string": {"type": "string", "maxLength": 3},
    "an empty string": {"type": "string", "maxLength": 0},
    "a long string": {"type": "string", "minLength": 300},
    "an exact length": {"type": "string", "minLength": 17, "maxLength": 17},
    "a date": {"type": "string", "format": "date"},
    "a time": {"type": "string", "format": "time"},
    "a date and time": {"type": "string", "format": "date-time"},
    "an email": {"type": "string", "format": "email"},
    "an address": {"type": "string", "format": "uri"},
    "a uuid": {"type": "string", "format": "uuid"},
    "a host": {"type": "string", "format": "hostname"},
    "an IPv4 address": {"type": "string", "format": "ipv4"},
    "an IPv6 address": {"type": "string", "format": "ipv6"},
    "a duration": {"type": "string", "format": "duration"},
    "an unknown format": {"type": "string", "format": "iban"},
    "a plate": {"type": "string", "pattern": r"^[A-Z]{2}-\d{3,4}$"},
    "a phone number": {"type": "string", "pattern": r"^\+?[1-9]\d{1,14}$"},
    "a slug": {"type": "string", "pattern": "^[a-z0-9]+(?:-[a-z0-9]+)*$", "minLength": 12, "maxLength": 20},
    "alternatives in a pattern": {"type": "string", "pattern": "^(red|gr[ae]y|blue)$"},
    "a colour code": {"type": "string", "pattern": "^#([0-9a-fA-F]{3}){1,2}$"},
    "a negated class": {"type": "string", "pattern": r"^[^\s\d]{4}$"},
    "escapes in a pattern": {"type": "string", "pattern": r"^\$\d+\.\d{2}\x21\u0041$"},
    "a list of numbers": {"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3},
    "an empty list": {"type": "array", "maxItems": 0},
    "a tuple": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False, "minItems": 2},
    "a tuple and more": {"type": "array", "prefixItems": [{"type": "boolean"}], "items": {"type": "null"}, "minItems": 3},
    "unique integers": {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 5}, "uniqueItems": True, "minItems": 5},
    "unique words": {"type": "array", "items": {"type": "string"}, "uniqueItems": True, "minItems": 12},
    "unique choices": {"type": "array", "items": {"enum": ["a", "b", "c"]}, "uniqueItems": True, "minItems": 3},
    "many unique words": {"type": "array", "items": {"type": "string", "maxLength": 9}, "uniqueItems": True, "minItems": 400},
    "unique addresses": {"type": "array", "items": {"type": "string", "format": "email"}, "uniqueItems": True, "minItems": 9},
    "unique dates": {"type": "array", "items": {"type": "string", "format": "date"}, "uniqueItems": True, "minItems": 40},
    "both booleans": {"type": "array", "items": {"type": "boolean"}, "uniqueItems": True, "minItems": 2},
    "unique objects": {"type": "array", "items": PERSON, "uniqueItems": True, "minItems": 2},
    "a list that contains": {"type": "array", "items": {"type": "integer"}, "contains": {"const": 42}, "minItems": 2},
    "a list that contains two": {"type": "array", "contains": {"type": "null"}, "minContains": 2},
    "a matrix": {"type": "array", "items": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}, "minItems": 2},
    "a person": PERSON,
    "optional properties": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}},
    "required but not described": {"type": "object", "required": ["x", "y"]},
    "required from additional": {"type": "object", "required": ["x"], "additionalProperties": {"type": "integer"}},
    "a map": {"type": "object", "additionalProperties": {"type": "number"}},
    "a map of some size": {"type": "object", "additionalProperties": {"type": "boolean"}, "minProperties": 4},
    "at most one property": {
        "type": "object",
        "properties": {"a": {"type": "null"}, "b": {"type": "null"}},
        "required": ["b"],
        "maxProperties": 1,
    },
    "nothing allowed": {"type": "object", "additionalProperties": False},
    "an impossible optional": {"type": "object", "properties": {"a": False, "b": {"type": "string"}}, "required": ["b"]},
    "dependent properties": {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        "dependentRequired": {"a": ["b"]},
    },
    "deeply nested": {
        "type": "object",
        "properties": {"a": {"type": "object", "properties": {"b": {"type": "array", "items": PERSON, "minItems": 1}}, "required": ["b"]}},
        "required": ["a"],
    },
    "any of": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
    "any of with an impossible one": {"anyOf": [{"type": "integer", "minimum": 5, "maximum": 4}, {"type": "string"}]},
    "one of that overlap": {"oneOf": [{"type": "integer"}, {"type": "number"}]},
    "one of by range": {"type": "integer", "oneOf": [{"minimum": 5}, {"maximum": 10}]},
    "one of by kind": SHAPES,
    "all of": {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
            {"properties": {"b": {"type": "integer"}}, "required": ["b"]},
        ]
    },
    "all of that narrow": {"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 4}, {"type": ["integer", "string"]}]},
    "all of on one property": {
        "allOf": [{"properties": {"a": {"minLength": 4}}}, {"properties": {"a": {"type": "string", "maxLength": 4}}, "required": ["a"]}]
    },
    "all of with any of": {
        "allOf": [{"anyOf": [{"type": "string"}, {"type": "null"}]}, {"anyOf": [{"type": "null"}, {"type": "integer"}]}]
    },
    "not": {"type": "integer", "minimum": 1, "maximum": 3, "not": {"enum": [1, 2]}},
    "if and then": {
        "type": "object",
        "properties": {"kind": {"enum": ["a", "b"]}, "extra": {"type": "string"}},
        "required": ["kind"],
        "if": {"properties": {"kind": {"const": "a"}}},
        "then": {"required": ["extra"]},
        "else": {"properties": {"extra": False}},
    },
    "a definition": {
        "$defs": {"id": {"type": "string", "minLength": 8}},
        "type": "object",
        "properties": {"id": {"$ref": "#/$defs/id"}},
        "required": ["id"],
    },
    "an old definition": {"definitions": {"a/b~c": {"type": "integer"}}, "$ref": "#/definitions/a~1b~0c"},
    "a reference with neighbours": {"$defs": {"n": {"type": "integer"}}, "$ref": "#/$defs/n", "minimum": 30, "maximum": 31},
    "a tree": TREE,
    "a linked list": LINKED,
    "mutual recursion": {
        "$defs": {
            "a": {"type": "object", "properties": {"b": {"$ref": "#/$defs/b"}}},
            "b": {"type": "array", "items": {"$ref": "#/$defs/a"}},
        },
        "$ref": "#/$defs/a",
    },
    "defaults and examples": {
        "type": "object",
        "properties": {
            "unit": {"type": "string", "default": "celsius"},
            "code": {"type": "string", "minLength": 5, "default": "x", "examples": ["abcde"]},
        },
    },
    "no type, but keywords": {"properties": {"n": {"minimum": 4}, "l": {"minItems": 1}}, "required": ["n", "l"]},
    "unicode names": {
        "type": "object",
        "properties": {"größe": {"type": "integer"}, "城市": {"type": "string"}},
        "required": ["größe", "城市"],
    },
}

PROMPT = "Please book a table for 4 in New York on 2026-12-24 and write to ann@example.org about Monday. Unit: celsius."


def phrases(prompt: str, seed: int) -> Phrases:
    """Return the words of a prompt; sentences are always the same."""
    chance = random.Random(seed)
    return Phrases(prompt, shipped_model().vocabulary.topic_words(prompt), sentence=lambda: "A short sentence.", chance=chance)


def document(schema: Schema, prompt: str = PROMPT, seed: int = 1) -> Any:
    """Return the document that is written for a schema."""
    return json.loads(write_json(schema, phrases(prompt, seed), chance=random.Random(seed), budget=Budget()))


def arguments(schema: Schema, prompt: str) -> Any:
    """Return the arguments that are written for a function's parameters."""
    return json.loads(write_arguments(schema, phrases(prompt, 1), chance=random.Random(1), budget=Budget()))


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_document_follows_its_schema(name: str) -> None:
    """Whatever the dice, another validator finds nothing wrong, formats included."""
    schema = SCHEMAS[name]
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    for seed, prompt in enumerate([PROMPT, "", "hello", "1 2 3", PROMPT, "x" * 5000]):
        validator.validate(document(schema, prompt, seed))


def test_the_schemas_are_many_and_themselves_valid() -> None:
    """The table above covers at least sixty schemas, none of which is a mistake."""
    assert len(SCHEMAS) >= 60
    for schema in SCHEMAS.values():
        Draft202012Validator.check_schema(schema)


LEAVES = st.one_of(
    st.builds(lambda low, size: {"type": "integer", "minimum": low, "maximum": low + size}, st.integers(-50, 50), st.integers(0, 9)),
    st.builds(lambda low, size: {"type": "string", "minLength": low, "maxLength": low + size}, st.integers(0, 9), st.integers(0, 9)),
    st.builds(lambda options: {"enum": options}, st.lists(st.one_of(st.integers(), st.text(), st.none()), min_size=1, max_size=4)),
    st.sampled_from([{"type": "boolean"}, {"type": ["null", "number"]}, {"type": "string", "format": "date"}, {"const": [1]}, True]),
)


def larger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Build schemas of schemas."""
    names = st.sampled_from(["city", "count", "items", "a b", "name"])
    return st.one_of(
        st.builds(lambda items, least: {"type": "array", "items": items, "minItems": least}, inner, st.integers(0, 3)),
        st.builds(
            lambda properties, closed: {
                "type": "object",
                "properties": properties,
                "required": sorted(properties),
                "additionalProperties": not closed,
            },
            st.dictionaries(names, inner, max_size=3),
            st.booleans(),
        ),
        st.builds(lambda options: {"anyOf": options}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda first: {"allOf": [first, True]}, inner),
        st.builds(lambda first: {"$defs": {"x": first}, "type": "object", "properties": {"x": first}}, inner),
    )


@settings(max_examples=repeats(150), deadline=None)
@given(st.recursive(LEAVES, larger, max_leaves=8), st.integers(0, 1000))
def test_documents_follow_schemas_that_nobody_wrote(schema: Any, seed: int) -> None:
    """Any nesting of the usual keywords is followed, and our own judge agrees with the other validator."""
    value = document(schema, PROMPT, seed)
    assert Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).is_valid(value)
    assert Judge(schema, Budget()).accepts(value, schema)


ANY_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["a", "type", "$ref", "items"]), inner, max_size=3)
    ),
    max_leaves=6,
)
KEYWORDS = sorted(set(re.findall(r"\"([$a-zA-Z]+)\":", json.dumps(list(SCHEMAS.values())))) - {"a", "b", "x", "n", "l"})


@pytest.mark.heavy
@settings(max_examples=repeats(300), deadline=None)
@given(st.dictionaries(st.sampled_from(KEYWORDS), ANY_JSON, max_size=5))
def test_a_schema_full_of_nonsense_is_followed_or_refused_and_nothing_else(schema: Any) -> None:
    """Keywords with values of any type lead to a JSON document or to a refusal, never to a crash."""
    with suppress(Unsatisfiable, Exhausted):
        document(schema)


VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    1.0,
    2.5,
    -3,
    42,
    "",
    "one",
    "abc",
    [],
    [1, 1],
    [True, 1],
    ["a", 2],
    [42, None, None],
    {},
    {"a": "abcd"},
    {"a": 1, "b": 2},
    {"kind": "a"},
    {"x": 1, "y": 2},
]


@pytest.mark.parametrize(
    "name", [name for name in SCHEMAS if "pattern" not in json.dumps(SCHEMAS[name]) and "format" not in json.dumps(SCHEMAS[name])]
)
def test_our_judge_says_what_the_other_validator_says(name: str) -> None:
    """On values that nobody wrote for the schema, right ones and wrong ones, both give the same verdict."""
    schema = SCHEMAS[name]
    judge, other = Judge(schema, Budget()), Draft202012Validator(schema)
    for value in VALUES:
        assert judge.accepts(value, schema) == other.is_valid(value), value


def test_words_of_the_prompt_become_values() -> None:
    """Numbers, places, dates, addresses and choices are taken from the prompt where the schema has room for them."""
    schema: Schema = {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "guests": {"type": "integer"},
            "date": {"type": "string", "format": "date"},
            "email": {"type": "string", "format": "email"},
            "unit": {"enum": ["kelvin", "celsius"]},
            "question": {"type": "string"},
            "reason": {"type": "string"},
        },
    }
    assert arguments(schema, PROMPT) == {
        "city": "New York",
        "guests": 4,
        "date": "2026-12-24",
        "email": "ann@example.org",
        "unit": "celsius",
        "question": PROMPT,
        "reason": "A short sentence.",
    }


def test_numbers_of_the_prompt_are_used_once_and_in_order() -> None:
    """Two numbers fill two properties, and a bound that a number breaks leaves it for another."""
    pair: Schema = {"properties": {"a": {"type": "integer"}, "b": {"type": "number"}}}
    assert arguments(pair, "What is 12 plus 30.5?") == {"a": 12, "b": 30.5}
    assert arguments({"properties": {"a": {"type": "integer", "maximum": 20}, "b": {"type": "integer"}}}, "30 and 12") == {"a": 12, "b": 30}


@pytest.mark.parametrize("schema", [{}, True, {"type": "object"}, {"type": "object", "properties": {}}, None])
def test_a_function_without_parameters_gets_an_empty_object(schema: Any) -> None:
    """Arguments are never made up for a function that names none."""
    assert arguments(schema, PROMPT) == {}


IMPOSSIBLE: list[Any] = [
    False,
    {"type": "integer", "minimum": 2, "maximum": 1},
    {"type": "string", "minLength": 5, "maxLength": 4},
    {"type": "string", "minLength": 10_000_000},
    {"type": "array", "minItems": 1_000_000},
    {"type": "array", "items": {"type": "boolean"}, "uniqueItems": True, "minItems": 3},
    {"$ref": "#"},
    {"$ref": "#/$defs/nowhere"},
    {"$ref": "https://example.com/schema"},
    {"type": "object", "properties": {"self": {"$ref": "#"}}, "required": ["self"]},
    {"oneOf": [{"$ref": "#"}, {"$ref": "#"}, {"$ref": "#"}]},
    {"allOf": [{"$ref": "#"}, {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}]},
    {"not": {}},
    {"enum": []},
    {"type": "number", "minimum": 1e308, "multipleOf": 1e-300},
    {"type": "object", "required": [f"p{number}" for number in range(100_000)]},
]


@pytest.mark.heavy
@pytest.mark.parametrize("schema", IMPOSSIBLE)
def test_a_schema_that_nothing_can_follow_is_refused_after_little_work(schema: Any) -> None:
    """Contradictions, circles and sizes beyond reason end in a refusal, not in a wrong document or a long wait."""
    with pytest.raises((Unsatisfiable, Exhausted)):
        document(schema)


@pytest.mark.heavy
def test_judging_costs_no_more_than_the_budget() -> None:
    """Alternatives that double with every reference, a thousand million at the end, are given up."""
    doubling: Any = {
        "$defs": {f"d{level}": {"oneOf": [{"$ref": f"#/$defs/d{level + 1}"}] * 2} for level in range(30)},
        "$ref": "#/$defs/d0",
    }
    doubling["$defs"]["d30"] = True
    judge = Judge(doubling, Budget())
    with pytest.raises(Exhausted):
        judge.accepts(1, doubling)


PATTERNS = [
    "abc",
    "a?b*c+",
    "[a-z]{3}",
    "(foo|bar){2}",
    r"\d\D\w\W\s\S",
    "^(?:x|y)$",
    "(?P<name>z){2,3}",
    "[^abc]",
    r"[\w.-]+@\w+\.com",
    "a{2,}",
    "[-a]",
    "[]x]",
    "x*?y+?",
    r"\bword\b",
    r"[\[\]]",
    "a|",
    "()",
    "é+",
    r"[\u4e00-\u9fa5]{2}",
    r"\/path\/\d+",
    ".{5}",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_string_matches_the_pattern_that_it_was_written_for(pattern: str) -> None:
    """Python's own engine agrees, for every seed."""
    for seed in range(30):
        text = write_matching(pattern, shortest=0, longest=100, chance=random.Random(seed), budget=Budget())
        assert re.search(f"^(?:{pattern})$", text), text


@pytest.mark.parametrize("pattern", ["(?=a)b", r"(a)\1", "(", ")", "[", "[b-a]", r"\p{L}", "a" * 50, "(?i)a", "(" * 50 + ")" * 50, "\\"])
def test_a_pattern_that_is_not_understood_or_too_long_is_refused(pattern: str) -> None:
    """Nothing is written for a pattern that might not be matched."""
    with pytest.raises(Unwritable):
        write_matching(pattern, shortest=0, longest=40, chance=random.Random(1), budget=Budget())


@pytest.mark.parametrize(
    "pattern", ["((((a{99999}){99999}){99999}){99999})", "(){999999999}(a{9999}){9999}", "(a+)+" * 2000, "x" * 100_000]
)
def test_a_hostile_pattern_costs_no_more_than_the_budget(pattern: str) -> None:
    """Repetitions of repetitions are given up when the work allowed for a request is done."""
    with pytest.raises(Exhausted):
        write_matching(pattern, shortest=0, longest=10_000, chance=random.Random(1), budget=Budget())


def test_a_property_with_a_pattern_that_is_not_understood_still_gets_a_string() -> None:
    """The rest of the document is valid; the string is the best that could be done."""
    value = document({"type": "object", "properties": {"a": {"type": "string", "pattern": "^(?=x).*$"}}, "required": ["a"]})
    assert isinstance(value["a"], str)
