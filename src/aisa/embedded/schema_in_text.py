"""Finds the JSON Schema that a prompt gives in its text, as people write it who ask for `json_object`. Judges and follows none."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import cast

from aisa.embedded.json_value import JsonObject

CHARACTERS_MAX = 100_000  # of one text that are looked at; schemas in prompts have some thousands
STARTS_MAX = 100  # of objects that are tried in one text
DECODER = json.JSONDecoder()


def schema_in(texts: Iterable[str]) -> JsonObject | None:
    """Return the first object in these texts that is a schema of an object, as far as its `properties` tell."""
    return next((found for text in texts if (found := first_schema(text[:CHARACTERS_MAX])) is not None), None)


def first_schema(text: str) -> JsonObject | None:
    """Return the first such object in a text. What it stands in is looked through too."""
    start = -1
    for _ in range(STARTS_MAX):
        start = text.find("{", start + 1)
        if start < 0:
            return None
        try:
            found, _end = cast("tuple[object, int]", DECODER.raw_decode(text, start))
        except (ValueError, RecursionError):
            continue
        schema = cast("JsonObject", found)
        if isinstance(schema.get("properties"), dict) and schema.get("type", "object") == "object":
            return schema
    return None
