"""How a Gemini request wants its answer, as members of a chat completion: bounds, sampling, form, thinking. Knows no model."""

from __future__ import annotations

from types import UnionType

import msgspec

from aisa.errors import ApiError
from aisa.wire.efforts import effort_of
from aisa.wire.gemini_names import list_at, member, tree_in
from aisa.wire.losses import Loss, Losses
from aisa.wire.trees import Tree, is_list, is_tree

Kind = type[object] | UnionType

#: What means the same in chat completions, and what it must be.
SAME: dict[str, tuple[str, Kind]] = {
    "temperature": ("temperature", int | float),
    "topP": ("top_p", int | float),
    "topK": ("top_k", int),
    "candidateCount": ("n", int),
    "maxOutputTokens": ("max_completion_tokens", int),
    "stopSequences": ("stop", list),
    "seed": ("seed", int),
    "presencePenalty": ("presence_penalty", int | float),
    "frequencyPenalty": ("frequency_penalty", int | float),
    "responseLogprobs": ("logprobs", bool),
    "logprobs": ("top_logprobs", int),
}
WORDS: dict[Kind, str] = {int: "a whole number", int | float: "a number", list: "an array", bool: "true or false"}
JSON, ONE_OF = "application/json", "text/x.enum"
CONFIG, THINKING = "generationConfig.", "generationConfig.thinkingConfig."  # where members stand
DEPTH_MAX = 64  # of a schema; no JSON that we take is nested deeper


def answer_as(config: Tree, losses: Losses) -> Tree:
    """Return the members; what they cannot say is added to `losses`. Raises ApiError invalid_parameter_type."""
    chat = {ours: value for name, (ours, kind) in SAME.items() if (value := taken(config, name, kind)) is not None}
    if isinstance(bound := chat.get("max_completion_tokens"), int) and bound < 1:
        what = f"'maxOutputTokens' is {bound}. Ask for one token at least, or leave it out."
        losses.append(Loss(CONFIG + "maxOutputTokens", what))
    if chat.get("logprobs") is not True:
        chat.pop("top_logprobs", None)
    if chat.get("stop") == []:
        del chat["stop"]  # OpenAI's API takes no empty list
    chat |= form_of(config, losses)
    thinking = tree_in(config, "thinkingConfig")
    level, budget = member(thinking, "thinkingLevel"), taken(thinking, "thinkingBudget", int, path=THINKING)
    if isinstance(level, str) and "UNSPECIFIED" not in level.upper():
        chat["reasoning_effort"] = level.lower()
    elif isinstance(budget, int) and budget >= 0:  # -1 leaves it to the model
        chat["reasoning_effort"] = effort_of(budget)
    for kind in list_at(config, "responseModalities"):
        if str(kind).upper() not in ("TEXT", "MODALITY_UNSPECIFIED"):
            what = f"'responseModalities' asks for '{str(kind)[:40]}', and others answer Gemini's clients with text alone. Ask Gemini."
            losses.append(Loss("generationConfig.responseModalities", what))
    return chat


def taken(config: Tree, name: str, kind: Kind, *, path: str = CONFIG) -> object:
    """Return a member's value, None if it is absent; `path` leads to it.

    Numbers may be texts, and whole ones may have a point, as in all of Google's JSON. Raises ApiError invalid_parameter_type.
    """
    value = member(config, name)
    if isinstance(value, str) and kind not in (list, bool):
        value = number_in(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None and member(config, name) is None:
        return None
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        param = f"{path}{name}"
        raise ApiError("invalid_parameter_type", f"Invalid type for '{param}': expected {WORDS[kind]}.", param=param)
    return value


def number_in(text: str) -> object:
    """Return the number that a text is; None if it is none."""
    try:
        value: object = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
    return value if isinstance(value, int | float) else None


def form_of(config: Tree, losses: Losses) -> Tree:
    """Return the form that an answer is to have. A schema counts, whatever is said of the type."""
    kind = member(config, "responseMimeType")
    if kind == ONE_OF:
        what = f"Only Gemini answers with one of several words ('{ONE_OF}'). Ask for '{JSON}' with the same schema."
        losses.append(Loss("generationConfig.responseMimeType", what))
        return {}
    schema = member(config, "responseJsonSchema")
    if schema is None and member(config, "responseSchema") is not None:
        schema = json_schema(member(config, "responseSchema"))
    if schema is None:
        return {"response_format": {"type": "json_object"}} if kind == JSON else {}
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}}


def json_schema(schema: object, depth: int = 0) -> object:
    """Return a schema of Google's, a subset of OpenAPI's with types in capitals, as JSON Schema."""
    if is_list(schema):
        return [json_schema(item, depth + 1) for item in schema]
    if not is_tree(schema) or depth > DEPTH_MAX:
        return schema
    fitted: Tree = {}
    for name, value in schema.items():
        if name == "type" and isinstance(value, str):
            fitted["type"] = [value.lower(), "null"] if schema.get("nullable") is True else value.lower()
        elif name == "properties" and is_tree(value):
            fitted[name] = {key: json_schema(inner, depth + 2) for key, inner in value.items()}
        elif name in ("items", "anyOf", "any_of"):
            fitted["anyOf" if name == "any_of" else name] = json_schema(value, depth + 1)
        elif name not in ("nullable", "propertyOrdering", "property_ordering"):
            fitted[BOUNDS.get(name, name)] = bound_of(value) if name in BOUNDS else value
    return fitted


def bound_of(value: object) -> object:
    """Return a bound that is written as text as a number; what is none as it is."""
    return int(value) if isinstance(value, str) and value.isdecimal() and len(value) < BOUND_DIGITS_MAX else value


BOUND_DIGITS_MAX = 20  # of Google's type int64
#: Bounds, which Google writes as text, under both spellings.
BOUNDS = {
    spelling: name
    for name in ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")
    for spelling in (name, name[:3] + "_" + name[3:].lower())
}
