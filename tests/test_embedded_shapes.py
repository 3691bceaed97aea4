"""The embedded model and the schemas that JavaScript's libraries write: natural values, whatever their bounds and patterns allow."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from aisa.embedded.budget import Budget
from aisa.embedded.pattern import matches, write_matching
from test_embedded_answer import request, text

SAFE = {"minimum": -9007199254740991, "maximum": 9007199254740991}
LEAP = r"(?:\d\d[2468][048]|\d\d[13579][26]|\d\d0[48]|[02468][048]00|[13579][26]00)-02-29"
DAYS = r"\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|(?:02)-(?:0[1-9]|1\d|2[0-8]))"
CLOCK = r"T(?:(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:Z))"
MAIL = r"^(?:[A-Za-z0-9_'+\-]+\.)*[A-Za-z0-9_'+\-]*[A-Za-z0-9_+-]@(?:[A-Za-z0-9][A-Za-z0-9\-]*\.)+[A-Za-z]{2,}$"
UUID = r"^([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-8][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}|0{8}-0{4}-0{4}-0{4}-0{12})$"
FIRST, SECOND = {"k": {"const": "a"}, "n": {"type": "integer", **SAFE}}, {"k": {"const": "b"}, "s": {"type": "string"}}


def whole(**properties: Any) -> dict[str, Any]:
    """An object with all of these."""
    return {"type": "object", "properties": properties, "required": list(properties)}


#: What the libraries make, by their newest versions of November 2026; the draft that they write for, where it is not the newest.
SHAPES: dict[str, dict[str, Any]] = {
    "zod, integers": whole(
        age={"type": "integer", **SAFE},
        count={"type": "integer", "exclusiveMinimum": 0, "maximum": SAFE["maximum"]},
        negative={"type": "integer", "minimum": SAFE["minimum"], "exclusiveMaximum": 0},
        fives={"type": "integer", **SAFE, "multipleOf": 5},
        perhaps={"anyOf": [{"type": "integer", **SAFE}, {"type": "null"}]},
    ),
    "zod, machine types": whole(
        f32={"type": "number", "minimum": -3.4028234663852886e38, "maximum": 3.4028234663852886e38},
        f64={"type": "number", "minimum": -1.7976931348623157e308, "maximum": 1.7976931348623157e308},
        i32={"type": "integer", "minimum": -2147483648, "maximum": 2147483647},
        u32={"type": "integer", "minimum": 0, "maximum": 4294967295},
    ),
    "zod, records and tuples": whole(
        record={"type": "object", "propertyNames": {"type": "string"}, "additionalProperties": {"type": "integer", **SAFE}},
        tuple={"type": "array", "prefixItems": [{"type": "integer", **SAFE}, {"type": "string"}], "items": False, "minItems": 2},
        codes={
            "type": "object",
            "propertyNames": {"pattern": "^[A-Z]{2}$"},
            "additionalProperties": {"type": "integer"},
            "minProperties": 2,
        },
    ),
    "zod, a union": whole(
        either={"oneOf": [whole(**FIRST), whole(**SECOND)]},
        both={"allOf": [whole(a={"type": "integer", **SAFE}), whole(b={"type": "string"})]},
    ),
    "zod for OpenAPI 3.0": {
        "$schema": "http://json-schema.org/draft-04/schema#",
        **whole(
            count={"type": "integer", "minimum": 0, "exclusiveMinimum": True},
            below={"type": "number", "maximum": 1, "exclusiveMaximum": True},
        ),
    },
    "zod-to-json-schema": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **whole(
            tuple={"type": "array", "minItems": 2, "maxItems": 2, "items": [{"type": "number"}, {"type": "string"}]},
            three={"type": "array", "items": {"type": "integer", "minimum": -5, "maximum": 5}, "minItems": 3, "maxItems": 3},
            perhaps={"type": ["number", "null"]},
            literal={"type": ["string", "number"], "enum": ["a", 2]},
        ),
    },
    "TypeBox": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **whole(
            tuple={
                "type": "array",
                "items": [{"type": "integer"}, {"type": "string"}],
                "additionalItems": False,
                "minItems": 2,
                "maxItems": 2,
            },
            above={"exclusiveMinimum": 0, "type": "number"},
            different={"uniqueItems": True, "minItems": 3, "type": "array", "items": {"type": "integer"}},
        ),
    },
    "Valibot": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **whole(
            tuple={"type": "array", "items": [{"type": "number"}, {"type": "string"}], "minItems": 2},
            more={"type": "array", "items": [{"type": "number"}], "additionalItems": {"type": "boolean"}, "minItems": 3},
            variant={"oneOf": [whole(k={"const": "a"}, x={"type": "number"}), whole(k={"const": "b"})]},
        ),
    },
    "ArkType": whole(
        moment={"type": "integer", "minimum": -8640000000000000, "maximum": 8640000000000000},
        percent={"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 100},
        safe={"type": "number", **SAFE},
    ),
    "Effect": whole(
        finite={"anyOf": [{"type": "number"}, {"type": "string", "enum": ["Infinity", "-Infinity", "NaN"]}]},
        record={"type": "object", "additionalProperties": {"type": "integer", **SAFE}},
    ),
    "Yup": {"default": {}, **whole(a={"type": "number", **SAFE}, b={"type": "array", "items": {"type": "integer"}, "minItems": 2})},
}
STRINGS: dict[str, tuple[dict[str, Any], str]] = {
    "zod's email": ({"format": "email", "pattern": MAIL}, r"[a-z]+@example\.com"),
    "ArkType's email": ({"format": "email", "pattern": r"^[\w%+.-]+@[\d.A-Za-z-]+\.[A-Za-z]{2,}$"}, r"[a-z]+@example\.com"),
    "zod's day": ({"format": "date", "pattern": f"^(?:{LEAP}|{DAYS})$"}, r"2026-\d\d-\d\d"),
    "zod's moment": ({"format": "date-time", "pattern": f"^(?:{LEAP}|{DAYS}){CLOCK}$"}, r"2026-\d\d-\d\dT.*Z"),
    "zod's UUID": ({"format": "uuid", "pattern": UUID}, r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f-]+"),
    "a pattern that the format does not fit": ({"format": "email", "pattern": r"^x{3}@y\.org$"}, r"xxx@y\.org"),
    "a pattern that is not understood": ({"format": "date", "pattern": r"^(?!x)\d{4}.*$"}, r"2026-\d\d-\d\d"),
}


def numbers_in(value: object) -> Iterator[float]:
    """Every number in a document."""
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from numbers_in(each)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


def written(schema: dict[str, Any], seed: int) -> Any:
    """What the model writes for a schema."""
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    return json.loads(text(request("Give me one.", response_format=form, seed=seed)))


@pytest.mark.parametrize("library", SHAPES)
@pytest.mark.parametrize("seed", range(4))
def test_a_librarys_numbers_come_out_small_and_valid(library: str, seed: int) -> None:
    """[fault P15] Also in the drafts of before 2020, where a list's first items and excluded bounds are said otherwise."""
    document = written(SHAPES[library], seed)
    jsonschema.validators.validator_for(SHAPES[library])(SHAPES[library]).validate(document)
    assert all(abs(number) <= 100 for number in numbers_in(document)), document


@pytest.mark.parametrize("case", STRINGS)
def test_a_format_beside_a_pattern_gives_what_people_write(case: str) -> None:
    """[fault P15] An address and a day of this year, where the pattern lets them pass, and what matches it where not."""
    schema, natural = STRINGS[case]
    for seed in range(4):
        [value] = written(whole(it={"type": "string", **schema}), seed).values()
        assert re.fullmatch(natural, value), value


@pytest.mark.parametrize("pattern", [r"^(a|ab)(c|bcd)*$", r"^[^0-9]{2,5}$", r"^(?:xy?)+z$", r"^(?:|a)b{0,3}$", r"^\d+(\.\d{1,2})?$", MAIL])
def test_what_is_written_for_a_pattern_is_known_to_match_it(pattern: str) -> None:
    """As Python's own engine finds, in little work; and what was spoiled is known not to match."""
    chance = random.Random(7)
    for _ in range(20):
        made = write_matching(pattern, shortest=0, longest=60, chance=chance, budget=Budget(100_000))
        for given in (made, made + "\n!", made[1:]):
            assert matches(pattern, given, Budget(100_000)) == bool(re.fullmatch(pattern, given)), given


def test_following_a_pattern_costs_no_more_than_its_length_times_the_texts() -> None:
    """It is followed at all places at once: as many pieces of work as parts are followed, and not as ways to split a text."""
    assert not matches(r"^[a-z]+[a-z]+[a-z]+[a-z]+1$", "a" * 300, Budget(3_000))
