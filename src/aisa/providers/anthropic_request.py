"""A chat request in Anthropic's words, for the generation of models that it is for. Writes no messages and no tools itself."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from msgspec import Raw

from aisa.providers.anthropic_media import with_lifetimes
from aisa.providers.anthropic_models import Traits, traits_of
from aisa.providers.anthropic_thinking import binding_relaxed, thinking_of
from aisa.providers.anthropic_tools import ONLY_JSON, choice_of, format_of, tools_of
from aisa.providers.anthropic_turns import Turns
from aisa.providers.conceded import conceded
from aisa.providers.concessions import Concessions, nothing_to_answer, refused
from aisa.providers.foreign import refuse_foreign
from aisa.providers.no_bound import tell_no_bound
from aisa.providers.shape import Target
from aisa.providers.wishes import is_wished
from aisa.wire.chat import ChatRequest
from aisa.wire.trees import Tree, is_tree, trees_in

USER_CHARACTERS_MAX = 256  # of a user's id; Anthropic's own bound
STANDARD_TIERS = frozenset({"default", "standard", "standard_only"})
FAST_TIERS = frozenset({"fast", "priority"})


class Written(NamedTuple):
    """A request's body, the betas that it needs, and what gave way."""

    body: bytes
    betas: tuple[str, ...]
    concessions: Concessions


def written(chat: ChatRequest, target: Target, *, translated: bool = False) -> Written:
    """Write a request that may be `translated` from another protocol. Raises UpstreamFailed for what its model cannot be asked."""
    traits = traits_of(target.model)
    concessions = Concessions(target, traits.title, translated=translated)
    chat = conceded(chat, target.facts, concessions)
    refuse_foreign(chat, concessions)
    refuse_what_nobody_here_has(chat, concessions)
    limit = limit_of(chat, target, traits)
    tell_no_bound(chat, concessions, limit)
    turns = Turns(traits, target.state, concessions)
    turns.take(with_lifetimes(trees_in(msgspec.json.decode(chat.fields["messages"])), chat))
    schema, only_json = format_of(chat, concessions)
    if only_json:
        turns.system.append({"type": "text", "text": ONLY_JSON})
    if not turns.messages:
        raise nothing_to_answer()
    thinking, effort = thinking_of(chat, traits, limit, concessions=concessions, unthought=turns.unthought)
    by_budget = thinking is not None and thinking.get("type") == "enabled"
    choice, tools = choice_of(chat, tools_of(chat, concessions), traits, concessions=concessions, thinks=by_budget)
    config: Tree = {"effort": effort} if effort else {}
    config |= {"format": schema} if schema else {}
    thinks = thinking is not None and thinking.get("type") in ("enabled", "adaptive")
    betas: list[str] = []
    body: Tree = {
        "model": target.model,
        "max_tokens": limit,
        "system": turns.system or None,
        "tools": tools or None,
        "messages": turns.messages,
        "tool_choice": choice,
        "stream": True if chat.stream or target.assemble else None,
        "stop_sequences": stops_of(chat, concessions) or None,
        **sampling_of(chat, traits, concessions, thinks=thinks),
        "thinking": binding_relaxed(thinking, target, betas),
        "output_config": config or None,
        "metadata": user_of(chat),
        **tier_of(chat, traits, concessions, betas=betas),
        "cache_control": own_member(chat, "cache_control"),
    }
    return Written(msgspec.json.encode({name: value for name, value in body.items() if value is not None}), tuple(betas), concessions)


#: What these models have no form of.
LACKING = (
    *("n", "logprobs", "top_logprobs", "logit_bias", "frequency_penalty", "presence_penalty", "seed", "modalities", "prediction"),
    *("web_search_options", "verbosity"),
)


def refuse_what_nobody_here_has(chat: ChatRequest, concessions: Concessions) -> None:
    """Give up the parameters that these models have no form of."""
    for name in LACKING:
        if is_wished(chat, name) and not (name == "top_logprobs" and chat.known.logprobs):
            concessions.drop(name)


def limit_of(chat: ChatRequest, target: Target, traits: Traits) -> int:
    """Return the bound on the output, which this vendor must be given: the client's, else the most that the model writes."""
    most = traits.output_tokens_max
    asked = chat.max_tokens
    if asked is None:
        return min(most, target.output_tokens_max or most)
    if traits.known and asked > most:
        message = f"{chat.bound_name}: {asked} > {most}, which is the maximum allowed number of output tokens for {traits.title}"
        raise refused("max_tokens_exceeded", message, param=chat.bound_name)
    return asked


def stops_of(chat: ChatRequest, concessions: Concessions) -> list[str]:
    """Return the stop sequences; those of blanks alone are not taken."""
    asked = [chat.known.stop] if isinstance(chat.known.stop, str) else chat.known.stop or []
    told = [text for text in asked if text.strip()]
    if len(told) < len([text for text in asked if text]):
        concessions.drop("stop", "a sequence of blanks alone ends nothing there")
    return told


def sampling_of(chat: ChatRequest, traits: Traits, concessions: Concessions, *, thinks: bool) -> Tree:
    """Return temperature and the like: 1 at most, one of them at a time, and of the newest models, or where they think, only the usual."""
    known = chat.known
    usual_only = not traits.takes_sampling or (thinks and traits.known)
    found: Tree = {}
    if known.temperature is not None:
        if usual_only or known.temperature > 1:
            if known.temperature != 1:
                concessions.move("temperature", 1)
            found = {} if usual_only else {"temperature": 1}
        elif known.temperature < 0:
            concessions.move("temperature", 0)
            found = {"temperature": 0}
        else:
            found = {"temperature": known.temperature}
    if known.top_p is not None and known.top_p != 1:
        if usual_only or (found and traits.known):
            concessions.move("top_p", 1)
        else:
            found["top_p"] = known.top_p
    top_k = own_member(chat, "top_k")
    if top_k is not None and usual_only:
        concessions.leave_out("top_k")
    elif top_k is not None:
        found["top_k"] = top_k
    return found


def user_of(chat: ChatRequest) -> Tree | None:
    """Return whom the call is for, as far as the client says."""
    user = chat.known.safety_identifier or chat.known.user
    return None if user is None or user == "" else {"user_id": str(user)[:USER_CHARACTERS_MAX]}


def tier_of(chat: ChatRequest, traits: Traits, concessions: Concessions, *, betas: list[str]) -> Tree:
    """Return what asks for a service tier. Faster ones are a speed here."""
    word = (chat.known.service_tier or "").strip().lower()
    speed = own_member(chat, "speed")
    if word in FAST_TIERS or speed == "fast":
        if traits.fast is not None:
            betas += [traits.fast] if traits.fast else []
            return {"speed": "fast"}
        concessions.move("service_tier" if word else "speed", "auto" if word else "standard", "they have no faster tier")
        return {}
    if word in STANDARD_TIERS:
        return {"service_tier": "standard_only"}
    if word not in ("", "auto"):
        concessions.move("service_tier", "auto", f"they have no tier '{word[:40]}'")
    return {}


def own_member(chat: ChatRequest, name: str) -> object:
    """Return a member of the request that is Anthropic's own and none of OpenAI's; None if it is not there."""
    raw: Raw | None = chat.fields.get(name)
    value: object = None if raw is None else msgspec.json.decode(raw)
    return value if name != "cache_control" or is_tree(value) else None
