"""Which parameters classes of models do not take, and which of their values, by their names. Facts only.

Of models whose dialect has words of its own the dialect knows that (`anthropic_models.py`, `gemini_thinking.py`).
"""

from __future__ import annotations

import re
from types import MappingProxyType

import msgspec

LESS, MORE = ("none", "low", "medium", "high", "xhigh"), ("none", "low", "medium", "high", "xhigh", "max")
NEWER_BOUND = "max_completion_tokens"
#: What these models are always sampled with.
SAMPLING = (("temperature", 1.0), ("top_p", 1.0), ("presence_penalty", 0.0), ("frequency_penalty", 0.0))
UNSEEN = ("logprobs", "top_logprobs", "logit_bias")


class ModelClass(msgspec.Struct, frozen=True, kw_only=True):
    """A class of models, by a pattern of their whole names. `title` is what errors call them.

    `lacks` are parameters that they do not have; `only` those of which they take one value. Both hold only while the model thinks, if
    `free_at_none`: with the effort `none`, which `unsaid_effort` says whether it has without being told. `efforts` are the words that they
    take for it, in order, empty where that is not known. `bound` is the parameter by which their output is bounded, if only that is taken.
    """

    pattern: str
    title: str
    lacks: tuple[str, ...] = ()
    only: tuple[tuple[str, float], ...] = ()
    free_at_none: bool = False
    unsaid_effort: str = ""
    efforts: tuple[str, ...] = ()
    bound: str = ""


DATED = r"(?:-20\d\d-\d\d-\d\d)?"

#: OpenAI's, the first that fits counts. Read on 2026-11-28: https://developers.openai.com/api/docs/guides/reasoning and its errors.
OPENAI = (
    ModelClass(
        pattern=r"gpt-(?:3\.5|4)(?:[.o-].*)?|chatgpt-.*|gpt-(?:4o-)?audio.*|gpt-5(?:\.\d)?-chat.*",
        title="OpenAI's models that do not reason",
        lacks=("reasoning_effort",),
    ),
    ModelClass(
        pattern=rf"o[134](?:-mini|-pro)?{DATED}",
        title="OpenAI's o models",
        lacks=(*UNSEEN, "stop"),
        only=SAMPLING,
        efforts=("low", "medium", "high"),
        bound=NEWER_BOUND,
    ),
    ModelClass(
        pattern=rf"gpt-5(?:-mini|-nano|-pro)?{DATED}",
        title="OpenAI's GPT-5 models",
        lacks=UNSEEN,
        only=SAMPLING,
        efforts=("minimal", "low", "medium", "high"),
        bound=NEWER_BOUND,
    ),
    ModelClass(
        pattern=rf"gpt-5\.1{DATED}",
        title="OpenAI's GPT-5.1 models while they reason",
        lacks=UNSEEN,
        only=SAMPLING,
        free_at_none=True,
        unsaid_effort="none",
        efforts=("none", "low", "medium", "high"),
        bound=NEWER_BOUND,
    ),
    ModelClass(
        pattern=rf"gpt-5\.[24](?:-mini|-nano)?{DATED}",
        title="OpenAI's GPT-5.2 and GPT-5.4 models while they reason",
        lacks=UNSEEN,
        only=SAMPLING,
        free_at_none=True,
        unsaid_effort="none",
        efforts=LESS,
        bound=NEWER_BOUND,
    ),
    ModelClass(
        pattern=rf"gpt-5\.5{DATED}",
        title="OpenAI's GPT-5.5 models while they reason",
        lacks=UNSEEN,
        only=SAMPLING,
        free_at_none=True,
        efforts=LESS,
        bound=NEWER_BOUND,
    ),
    ModelClass(
        pattern=rf"gpt-5\.6(?:-sol|-terra|-luna)?{DATED}",
        title="OpenAI's GPT-5.6 models while they reason",
        lacks=UNSEEN,
        only=SAMPLING,
        free_at_none=True,
        efforts=MORE,
        bound=NEWER_BOUND,
    ),
    ModelClass(
        pattern=rf"gpt-6-astra{DATED}|gpt-6\.1-sol{DATED}",
        title="OpenAI's GPT-6 models that always reason",
        lacks=(*UNSEEN, "stop"),
        only=SAMPLING,
        efforts=MORE[1:],
        bound=NEWER_BOUND,
    ),
    ModelClass(
        pattern=rf"gpt-6-(?:sol|luna){DATED}|gpt-6\.1-terra{DATED}",
        title="OpenAI's GPT-6 models",
        lacks=UNSEEN,
        only=SAMPLING,
        efforts=MORE,
        bound=NEWER_BOUND,
    ),
)

#: xAI's. Read on 2026-11-29: https://docs.x.ai/docs/guides/reasoning and the pages of these models.
XAI = (
    ModelClass(pattern=r"grok-4\.3(?:-latest)?", title="xAI's Grok 4.3", efforts=("none", "low", "medium", "high")),
    ModelClass(pattern=r"grok-4\.5(?:-latest)?", title="xAI's Grok 4.5, which always reasons", efforts=("low", "medium", "high")),
)

#: A vendor's name in `aisa.vendors` -> the classes of the models that it serves under their own names.
CLASSES: MappingProxyType[str, tuple[ModelClass, ...]] = MappingProxyType({"openai": OPENAI, "azure": OPENAI, "xai": XAI})


def class_of(vendor: str, model: str) -> ModelClass | None:
    """Return the class of a model of a vendor, None if it is in none that is known."""
    name = model.lower()
    return next((each for each in CLASSES.get(vendor, ()) if re.fullmatch(each.pattern, name)), None)
