"""Which of the tools on offer are called, and with what. Decides by simple rules and writes arguments; sends nothing.

A tool is called when the request forces it, or when the last message is the user's and its last text has the tool's name, or all the words
of it but `get` and its like: then one is, as clients act on what they get, and one that could change something only by its name. If a call
is forced and the prompt names several, each is called once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple, cast

from aisa.clock import Chance
from aisa.embedded.budget import Budget, Exhausted
from aisa.embedded.json_value import Json, JsonObject, as_list, as_object
from aisa.embedded.pattern import Unwritable, write_matching
from aisa.embedded.phrases import Phrases, has_word
from aisa.embedded.request import Ask, Refusal
from aisa.embedded.structure import CHARS_MAX, write_arguments
from aisa.embedded.tool_names import is_named, paraphrase
from aisa.embedded.validity import Unsatisfiable
from aisa.embedded.vocabulary import TOPIC_CHARS_MAX, Vocabulary

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # what OpenAI allows; another name is a placeholder, which only a forced call uses

Kind = Literal["function", "custom", "legacy"]


class Offer(NamedTuple):
    """A tool on offer. `schema` is that of a function's arguments, or the `format` of a custom tool."""

    kind: Kind
    name: str
    description: str
    schema: Json


class Decision(NamedTuple):
    """The tools to call, none to write text, and the finish reason after calls."""

    offers: list[Offer]
    finish: str


def offers_of(ask: Ask) -> list[Offer]:
    """Return all tools and functions of a request. Raises Refusal for a tool that is neither a function nor custom."""
    offers: list[Offer] = []
    for place, tool in enumerate(ask.tools or ()):
        if tool.type == "function" and tool.function:
            function = tool.function
            offers.append(Offer("function", function.name, function.description or "", cast("Json", function.parameters)))
        elif tool.type == "custom" and tool.custom:
            custom = tool.custom
            offers.append(Offer("custom", custom.name, custom.description or "", cast("Json", custom.format)))
        else:
            param = f"tools[{place}]"
            message = f"Invalid value: '{param}' must be of type 'function' or 'custom' and hold that object."
            raise Refusal(message, param, "invalid_value" if tool.type in ("function", "custom") else "unsupported_value")
    if not offers:
        offers = [Offer("legacy", each.name, each.description or "", cast("Json", each.parameters)) for each in ask.functions or ()]
    return offers


def decide(ask: Ask, vocabulary: Vocabulary) -> Decision:
    """Decide which tools are called. Raises Refusal when the request forces one that is not there."""
    offers = offers_of(ask)
    legacy = not ask.tools and (bool(ask.functions) or ask.tool_choice is None)
    param, choice = ("function_call", ask.function_call) if legacy else ("tool_choice", ask.tool_choice)
    finish = "function_call" if legacy else "tool_calls"
    mode, named = read_choice(cast("Json", choice))
    if named is not None:
        offers = [offer for offer in offers if offer.name in named]
    if mode == "none":
        return Decision([], finish)
    if mode in ("named", "required") and not offers:
        raise Refusal(f"Invalid value: '{param}' asks for a tool that is not on offer.", param, "invalid_value")
    if mode == "named":
        return Decision(offers[:1], finish if legacy else "stop")
    if mode not in ("auto", "required"):
        raise Refusal(f"Invalid value: '{param}' must be 'none', 'auto', 'required' or name a tool.", param, "invalid_value")
    if mode == "auto":
        after_result = ask.messages[-1].role in ("tool", "function")
        offers = [] if after_result else [offer for offer in offers if NAME.fullmatch(offer.name)]
    return Decision(chosen(offers, ask, vocabulary, forced=mode == "required"), finish)


def chosen(offers: Sequence[Offer], ask: Ask, vocabulary: Vocabulary, *, forced: bool) -> list[Offer]:
    """Return the tools to call: of those on offer the one that the prompt names, if any. Where a call is forced, all that it names."""
    prompt = ask.prompt()
    words = set(vocabulary.topic_words(prompt))
    if not forced:
        said = ask.last_said()
        is_meant = paraphrase(said[-TOPIC_CHARS_MAX:])
        named = [offer for offer in offers if is_named(said, offer.name)]
        return sorted(named, key=lambda offer: said.find(offer.name))[:1] or [offer for offer in offers if is_meant(offer.name)][:1]
    named = [offer for offer in offers if has_word(prompt, offer.name)]
    if len(named) > 1 and named[0].kind != "legacy" and ask.parallel_tool_calls is not False:
        return named
    ranked = [(len(words.intersection(vocabulary.topic_words(f"{offer.name} {offer.description}"))), offer) for offer in named or offers]
    _, best = max(ranked, key=lambda pair: pair[0], default=(0, None))
    return [best] if best else []


def read_choice(choice: Json) -> tuple[str, set[str] | None]:
    """Read a `tool_choice` or `function_call`: the mode (none, auto, required, named) and the names it is limited to, if any."""
    if choice is None:
        return "auto", None
    if isinstance(choice, str):
        return choice, None
    choice = as_object(choice)
    if choice.get("type") == "allowed_tools":
        allowed = as_object(choice.get("allowed_tools"))
        return str(allowed.get("mode", "auto")), {name_in(as_object(tool)) for tool in as_list(allowed.get("tools"))}
    return "named", {name_in(choice)}


def name_in(choice: JsonObject) -> str:
    """Return the name of a tool from `{type, function: {name}}`, `{type, custom: {name}}` or `{name}`."""
    inner = as_object(choice.get("function")) or as_object(choice.get("custom")) or choice
    return str(inner.get("name", ""))


def write_input(offer: Offer, phrases: Phrases, *, chance: Chance, budget: Budget) -> str:
    """Return a function's arguments as JSON text, or a custom tool's input. Raises Refusal when that cannot be written."""
    param = "functions" if offer.kind == "legacy" else "tools"
    try:
        if offer.kind == "custom":
            return write_custom(as_object(offer.schema), phrases, chance=chance, budget=budget)
        return write_arguments(offer.schema, phrases, chance=chance, budget=budget)
    except (Unsatisfiable, Unwritable, Exhausted) as error:
        raise Refusal(f"Invalid schema for function '{offer.name}': {error}.", param, "invalid_function_parameters") from error


def write_custom(form: JsonObject, phrases: Phrases, *, chance: Chance, budget: Budget) -> str:
    """Return the input of a custom tool: free text, or text that matches its regular expression. Raises Refusal, Unwritable, Exhausted."""
    if form.get("type") != "grammar":
        return phrases.named("input")
    grammar = as_object(form.get("grammar"))
    if grammar.get("syntax") != "regex":
        raise Refusal("Unsupported parameter: this model knows no grammar but regular expressions.", "tools", "unsupported_parameter")
    definition = str(grammar.get("definition", ""))
    return write_matching(definition, shortest=0, longest=CHARS_MAX, chance=chance, budget=budget)
