"""Puts together what is known of a target's model, once when routes are made: the catalogue, its vendor's row, the model's entry."""

from __future__ import annotations

import msgspec

from aisa.config.schema import Model
from aisa.model_catalogue.classes import class_of
from aisa.model_catalogue.lookup import model_row
from aisa.providers import anthropic_models, anthropic_request, cohere_request, gemini_request, gemini_thinking, mistral, responses_request
from aisa.providers.model_facts import EFFORT, FUNCTION_CALL, FUNCTIONS, MESSAGES, NEWER_BOUND, OLDER_BOUND, TOOLS, ModelFacts
from aisa.vendors.row import Row

#: dialect -> the parameters that it has no words for.
UNSPOKEN = {
    "anthropic": anthropic_request.LACKING,
    "bedrock": anthropic_request.LACKING,
    "cohere": cohere_request.LACKING,
    "gemini": gemini_request.LACKING,
    "mistral": mistral.LACKING,
    "responses": responses_request.LACKING,
}


def facts_of(vendor: Row | None, dialect: str, model: str, *, alias: str, settings: Model) -> ModelFacts:
    """Return what is known of a model of a vendor. `alias` is the `vendor/model` under which the operator says that it is known."""
    row = None if vendor is None else model_row(vendor.name, model)
    named, _, known_as = alias.partition("/")
    if row is None and alias:
        row = model_row(named, known_as)
    of_class = None if vendor is None else class_of(vendor.name, known_as if alias and named in ("openai", "azure") else model)
    lacks = (*(of_class.lacks if of_class else ()), *(vendor.refuses if vendor else ()), *settings.unsupported_parameters)
    title = of_class.title if of_class else f"the models of {vendor.title}" if vendor and vendor.refuses else ""
    chat = dialect == "openai"
    older = chat and vendor is not None and NEWER_BOUND in (*vendor.ignores, *vendor.refuses)
    developer = not chat or vendor is None or vendor.developer
    efforts = settings.reasoning_efforts or (of_class.efforts if of_class else _efforts(dialect, model))
    facts = ModelFacts(
        title=title,
        lacks=tuple(dict.fromkeys(lacks)),
        only=of_class.only if of_class else (),
        free_at_none=of_class is not None and of_class.free_at_none,
        unsaid_effort=of_class.unsaid_effort if of_class else "",
        efforts=efforts,
        bound=OLDER_BOUND if older else of_class.bound if of_class else "",
        developer=developer,
        thinking_back=chat and vendor is not None and vendor.thinking_back,
        tools_only=chat and vendor is not None and vendor.tools_only,
        pages_if_asked=chat and vendor is not None and vendor.pages_if_asked,
        unspoken=UNSPOKEN.get(dialect, ()),
        row=row,
        shutdown=settings.shutdown_date or (row.shutdown if row else None),
    )
    touched = {*facts.lacks, *[name for name, _ in facts.only]}
    touched |= {EFFORT} if of_class and of_class.efforts else set()
    touched |= {OLDER_BOUND, NEWER_BOUND} - {facts.bound} if facts.bound else set()
    touched |= {MESSAGES} if facts.thinking_back or not developer else set()
    touched |= {FUNCTIONS, FUNCTION_CALL, MESSAGES} if facts.tools_only else set()
    touched |= {TOOLS} if facts.pages_if_asked else set()
    return msgspec.structs.replace(facts, touched=frozenset(touched))


def _efforts(dialect: str, model: str) -> tuple[str, ...]:
    """Return the words for effort of a dialect's model, to show: a dialect that has such words moves others itself."""
    if dialect in ("anthropic", "bedrock"):
        return anthropic_models.traits_of(model).efforts
    return gemini_thinking.levels_of(model) if dialect == "gemini" else ()
