"""What `aisa route explain` prints: the targets that a request would be sent to, in order, and why the others would not. Asks nobody."""

from __future__ import annotations

import json
from typing import NamedTuple

from aisa.admission.allowance import Allowance
from aisa.admission.vendor_caps import VendorCaps
from aisa.cli.data_folder import configuration
from aisa.cli.fitting import fitted
from aisa.cli.price_check import look_up_for
from aisa.cli.price_tables import say_json
from aisa.cli.problems import Misuse, Stop
from aisa.cli.terminal import paint, say
from aisa.clock import quick_chance, wall_clock
from aisa.config.limits import Limits, Rates
from aisa.config.route import COST, LATENCY, LOAD, NO_ROUTE, ORDER, PROMPT
from aisa.errors import ApiError
from aisa.fitness import IN_WORDS, is_too_small, refused_by, shown_by
from aisa.keys.rules import Key
from aisa.money import TOKENS_PER_PRICE, dollars_text
from aisa.names import MODEL_NAME_CHARACTERS_MAX
from aisa.offer import Entry, Offer, Plan
from aisa.ranking import cost_of, pictured
from aisa.routing import Routes
from aisa.wire.chat import ChatRequest, parse_chat
from aisa.wire.content import input_tokens
from aisa.wire.kinds_asked import kinds_asked
from aisa.wire.request_content import content_of

SHORT = b'{"messages": [{"role": "user", "content": "Hello."}]}'
STARTED = (
    "So would a server that has just started. What the running one has seen of its targets (failures, calls in flight, times) is not known "
    "here; which of them it asks last now: aisa status"
)
ANYONE = Key("", "", b"", "", "active", 0)


class Explained(NamedTuple):
    """One target: its place from 1 on, None if it would not be asked, and why."""

    target: str
    place: int | None
    why: str


def explain(model: str, body: bytes | None, path: str | None, *, as_json: bool) -> None:
    """Print the plan of a request to a model. Raises Misuse for what is no request, Stop where nobody would be asked."""
    loaded = configuration(path)
    chat = request_of(model, SHORT if body is None else body)
    routes = Routes(loaded.config, look_up_for(loaded.config))
    now = wall_clock()
    try:
        plan = routes.plan(chat, ANYONE, quick_chance(), unix_seconds=now)
    except ApiError as error:
        told = [(model[:MODEL_NAME_CHARACTERS_MAX], f"{error.status} {error.code}: {error.message}", "")]
        raise Stop("no target would be asked", told) from error
    rules = [*rules_of(plan.entry), *limits_of(loaded.config.limits, plan)]
    rows = [*placed(plan, chat, now), *left_out(plan, chat)]
    if as_json:
        say_json({"model": plan.entry.name, "targets": [row._asdict() for row in rows], "rules": rules})
        return
    say(f"{paint(plan.entry.name, bold=True)}, {sizes(chat)}:\n")
    say(fitted(("", "TARGET", "WHY"), [[str(row.place or "-"), row.target, row.why] for row in rows], prose=True))
    for rule in rules:
        say(f"\n{rule}")


def request_of(model: str, body: bytes) -> ChatRequest:
    """Return a request to a model. Raises Misuse."""
    try:
        tree: object = json.loads(body)
        if not isinstance(tree, dict):
            raise ApiError("json_parse_error", "It is no JSON object.")
        return parse_chat(json.dumps({**tree, "model": model}).encode())
    except (ApiError, ValueError) as error:
        raise Misuse("this is no request", [("--body", str(error), "Write what a client would send to /v1/chat/completions.")]) from error


def sizes(chat: ChatRequest) -> str:
    """Say what is looked at in a request."""
    shown = [IN_WORDS[word] for word in shown_by(chat)]
    tokens = input_tokens(content_of(chat), "")
    return f"{'a stream' if chat.stream else 'a document'} of some {tokens:,} input tokens" + (
        f", with {', '.join(shown)}" if shown else ""
    )


def placed(plan: Plan, chat: ChatRequest, now: float) -> list[Explained]:
    """Return the targets that would be asked, in order."""
    return [Explained(offer.name, place, why(plan, offer, chat, now=now)) for place, offer in enumerate(plan.offers, 1)]


def why(plan: Plan, offer: Offer, chat: ChatRequest, *, now: float) -> str:
    """Say why a target stands where it does."""
    route = plan.entry.settings.route or NO_ROUTE
    peers = [other for other in plan.offers if other.step == offer.step]
    if len(peers) == 1:
        return "as it stands" if len(plan.offers) > 1 else "the only one"
    if offer.weight == 0:
        return "stand-by: its weight is 0"
    if route.affinity == PROMPT and offer is plan.offers[0]:
        return "requests that begin like this one go here"
    if route.by == ORDER:
        return "as it stands"
    if route.by == COST:
        cost = cost_of(offer, chat, pictured(chat), unix_seconds=now) // TOKENS_PER_PRICE
        return f"this request costs some {dollars_text(cost)} US dollars there"
    if route.by == LATENCY:
        return "by its time to the first token, which only the running server knows"
    if route.by == LOAD:
        return (
            f"by its calls in flight, which only the running server knows{'' if offer.weight == 1 else f', for its weight {offer.weight}'}"
        )
    share = 100 * offer.weight / sum([other.weight for other in peers])
    return f"{share:.3g} % of the calls ask it first"


def left_out(plan: Plan, chat: ChatRequest) -> list[Explained]:
    """Return the targets that would not be asked, each with the reason."""
    asked = {offer.name for offer in plan.offers}
    return [Explained(offer.name, None, why_not(plan.entry, offer, chat)) for offer in plan.entry.offers if offer.name not in asked]


def why_not(entry: Entry, offer: Offer, chat: ChatRequest) -> str:
    """Say why a target is left out."""
    if offer in entry.unpriced:
        return "left out: it has no price, and may not be used without"
    for kind, member in kinds_asked(chat, offer.target.lacking):
        return f"left out: `{member}` asks for what has no price there, `{kind}`"
    tier, member = chat.tier()
    if tier and offer.lacks(tier):
        return f"left out: `{member}` asks for the tier `{tier}`, which has no price there"
    refused = refused_by(offer, shown_by(chat))
    if refused:
        return f"left out: it does not take {' and '.join([IN_WORDS[word] for word in refused])}"
    if is_too_small(offer, chat, content_of(chat)):
        return f"left out: its window of {offer.target.context_window:,} tokens is too small"
    return "left out"


def rules_of(entry: Entry) -> list[str]:
    """Say what else holds for the calls of a model."""
    route = entry.settings.route or NO_ROUTE
    rules = ["A target that failed lately is asked after the others.", STARTED] if len(entry.offers) > 1 else []
    if route.first_token_seconds is not None:
        rules.append(f"A stream waits {route.first_token_seconds:g} s for a target's first token while there is another to ask.")
    if route.retries:
        rules.append(f"When all have failed, up to {route.retries} more tries begin within {route.retry_seconds:g} s.")
    return rules


def limits_of(limits: Limits, plan: Plan) -> list[str]:
    """Say what the vendors of a plan let this server ask, and what becomes of a call for which there is no room."""
    caps = VendorCaps(lambda _name, whose: Allowance(whose))
    caps.configure(limits)
    targets = {offer.name: caps.settings(offer.name) for offer in plan.offers if caps.of(offer.name)}
    if not targets:
        return []
    names = {name for target in targets for name in (target.partition("/")[0], target)}
    said = [f"{name} may be asked {rates_in_words(cap.rates)}." for name, cap in caps.named() if name in names]
    seconds = max(each.queue_seconds for each in targets.values() if each is not None)
    return [*said, f"A target that is full is asked after those with room; if all are, the call waits for {seconds:g} s at most."]


def rates_in_words(rates: Rates) -> str:
    """Say how much may be asked."""
    kinds = (("{:,} calls a minute", rates.rpm), ("{:,} tokens a minute", rates.tpm), ("{:,} calls at once", rates.concurrency))
    return ", ".join([said.format(number) for said, number in kinds if number is not None])
