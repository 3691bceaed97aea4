"""What a client is told of a value in its request that is missing or of another type or range than it must be. Finds none itself."""

from __future__ import annotations

import re

from aisa.errors import ApiError

MISSING = re.compile(r"Object missing required field `(?P<field>[^`]*)`")
TYPE = re.compile(r"`([^`]*)`")
#: The decoder's words for types -> JSON's, which whoever writes the request knows in any language.
WORDS = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
PLACE = re.compile(r" - at `(?P<path>[^`]*)`$")


def explain(problem: str) -> ApiError:
    """Turn msgspec's words for a bad value into an error of ours that names the parameter the way OpenAI does."""
    place = PLACE.search(problem)
    path = place["path"].removeprefix("$").removeprefix(".") if place else ""
    path = path.replace("[...]", "")
    said = PLACE.sub("", problem)
    missing = MISSING.match(said)
    if missing:
        param = f"{path}.{missing['field']}".removeprefix(".")
        return ApiError("missing_parameter", f"Missing required parameter: '{param}'.", param=param)
    where = f" for '{path}'" if path else ""
    if ", got `" in said:
        return ApiError("invalid_parameter_type", f"Invalid type{where}: {lower_first(in_json_words(said))}.", param=path or None)
    return ApiError("invalid_request", f"Invalid value{where}: {lower_first(in_json_words(said))}.", param=path or None)


def in_json_words(said: str) -> str:
    """Return what the decoder says with the types named as JSON does: `number | null` for `float | null`."""
    return TYPE.sub(lambda found: f"`{' | '.join(WORDS.get(each, each) for each in found[1].split(' | '))}`", said)


def lower_first(text: str) -> str:
    """Continue a sentence with another's words."""
    return text[:1].lower() + text[1:]
