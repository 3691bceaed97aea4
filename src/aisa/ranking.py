"""In which order a model's targets are asked: by weight, load, latency or cost, or the same target for the same beginning. Pure.

What failed lately is put last by `health.py`; which may be asked at all is `fitness.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import groupby
from math import log
from typing import NamedTuple

from aisa.clock import Chance
from aisa.config.route import COST, LATENCY, LOAD, NO_ROUTE, ORDER, PROMPT, Route
from aisa.fitness import TOOLS, shown_by
from aisa.money import TOKENS_PER_PRICE
from aisa.offer import Entry, Offer
from aisa.traffic import Traffic
from aisa.usage import BYTES_PER_TOKEN
from aisa.wire.chat import ChatRequest, Part
from aisa.wire.content import Content, input_tokens
from aisa.wire.door import Request
from aisa.wire.request_content import content_of
from aisa.wire.rerank import TASK as RERANK
from aisa.wire.windows import text_prefix

NEAR_FACTOR = 1.2  # targets within this much of the quickest share the calls: smaller differences are chance
EXPECTED_OUTPUT_TOKENS = 500  # where a request does not bound it: of some length, so that input does not decide alone
FIRST_CHARACTERS_MAX = 4_096  # of each first message that are told apart: what is longer has begun the same, and shares that much cache
WORD_BYTES = 8
EXACT_BITS = 52  # of a fraction that is neither 0 nor 1
NAMES_KEPT_MAX = 1_000  # of targets whose digest is known


class Scene(NamedTuple):
    """What an order depends on besides request and targets. `now` is the event loop's seconds, `unix_seconds` the moment of prices."""

    traffic: Traffic
    chance: Chance
    now: float
    unix_seconds: float


def ranked(entry: Entry, offers: Sequence[Offer], request: Request, *, scene: Scene) -> list[Offer]:
    """Return offers in the order to ask them. Those of one step may change places; a weight of 0 comes last in its step."""
    route = entry.settings.route or NO_ROUTE
    order: list[Offer] = []
    turn = scene.traffic.turn(entry.name, scene.chance)
    for step in steps_of(offers):
        order += in_order(step, turn, request, route=route, scene=scene) if len(step) > 1 else step
    if route.affinity == PROMPT:
        stay(order, request, entry.name)
    return order


def in_order(step: list[Offer], turn: float, request: Request, *, route: Route, scene: Scene) -> list[Offer]:
    """Return the offers of a step in the order to ask them."""
    by_share = shared(step, turn, scene.chance)
    if route.by == LATENCY:
        order = by_latency(by_share, request, scene)
    elif route.by == LOAD:
        order = sorted(by_share, key=lambda offer: load_of(offer, scene.traffic))
    elif route.by == COST:
        content = pictured(request)
        order = sorted(step, key=lambda offer: cost_of(offer, request, content, unix_seconds=scene.unix_seconds))
    else:
        order = step if route.by == ORDER else by_share
    return sorted(order, key=is_stand_by)


def steps_of(offers: Sequence[Offer]) -> list[list[Offer]]:
    """Return offers by step. Most models have one."""
    if offers[0].step == offers[-1].step:
        return [list(offers)]
    return [list(group) for _, group in groupby(offers, offer_step)]


def offer_step(offer: Offer) -> int:
    """Return the place of an offer's step."""
    return offer.step


def is_stand_by(offer: Offer) -> bool:
    """Say whether an offer comes last in its step."""
    return offer.weight == 0


def shared(step: Sequence[Offer], turn: float, chance: Chance) -> list[Offer]:
    """Return the offers of a step with the one first whose share `turn` falls into; the others in an order drawn by weight."""
    left = list(step)
    order: list[Offer] = []
    while left:
        place = turn * sum([offer.weight for offer in left])
        chosen = 0
        while chosen < len(left) - 1 and place >= left[chosen].weight:
            place -= left[chosen].weight
            chosen += 1
        order.append(left.pop(chosen))
        turn = chance.random() if len(left) > 1 else 0.0
    return order


def load_of(offer: Offer, traffic: Traffic) -> float:
    """Return how busy a target is for its weight, the call that is about to come included."""
    return (traffic.in_flight(offer.name) + 1) / max(1, offer.weight)


def cost_of(offer: Offer, request: Request, content: Content | None, *, unix_seconds: float) -> int:
    """Return what a request may cost at a target, roughly, in millionths of a nano-dollar; nothing without a price.

    Its input is that of its `content`, which some ten pictures a millisecond take to find, so once for all targets; without one, of its
    bytes. Of fees it has what every such call pays: that of a request, and of a ranking one search.
    """
    price = offer.price_at(unix_seconds)
    if price is None:
        return 0
    tokens = request.body_bytes // BYTES_PER_TOKEN if content is None else input_tokens(content, offer.target.model)
    rates = price.prices.for_input(tokens)
    fees = (rates.per_request or 0) + ((rates.per_search or 0) if request.task == RERANK else 0)
    written = request.choices * (request.max_tokens or EXPECTED_OUTPUT_TOKENS)
    return rates.input * tokens + rates.output * written + fees * TOKENS_PER_PRICE


def pictured(request: Request) -> Content | None:
    """Return what a request holds that shows pictures and the like, of which its bytes say too much; of others None."""
    chat = request.chat
    return None if chat is None or shown_by(chat).keys() <= {TOOLS} else content_of(chat)


def by_latency(by_share: Sequence[Offer], request: Request, scene: Scene) -> list[Offer]:
    """Return offers with the quickest first: one of those that hardly differ, as shared out. Of the others nothing is known, or they wait.

    One call at a time goes first to a target of which nothing is known any more.
    """
    traffic, now, stream = scene.traffic, scene.now, request.stream
    known = {offer.name: traffic.delay(offer.name, now, stream=stream) for offer in by_share}
    seconds = [delay for delay in known.values() if delay is not None]
    near = NEAR_FACTOR * min(seconds, default=0.0)

    def place(offer: Offer) -> tuple[bool, float]:
        delay = known[offer.name]
        return (delay is None, 0.0 if delay is None or delay <= near else delay)

    order = sorted(by_share, key=place)
    for offer in order:
        if offer.weight and known[offer.name] is None and traffic.may_explore(offer.name, now, stream=stream):
            return [offer, *[other for other in order if other is not offer]]
    return order


def stay(order: list[Offer], request: Request, model: str) -> None:
    """Put the target first that a request's beginning belongs to, of those of the first step that are no stand-bys.

    Each target draws a number from that beginning, the larger its weight the larger, and the largest wins: when a target comes or goes,
    only what belongs to it moves.
    """
    chat = request.chat
    candidates = [offer for offer in order if offer.step == order[0].step and offer.weight]
    if len(candidates) < 2:
        return
    if chat is not None:
        beginning = beginning_of(chat, model)
    elif (prefix := text_prefix(request, FIRST_CHARACTERS_MAX)) is not None:
        beginning = digest(f"{model}\0text\0{prefix}")
    else:
        return  # nobody's cache serves vectors and rankings
    first = max(candidates, key=lambda offer: drawn(beginning, offer))
    order.remove(first)
    order.insert(0, first)


def drawn(beginning: bytes, offer: Offer) -> float:
    """Return the number that a target draws from a beginning: its weight over the negative logarithm of an even fraction of both."""
    mixed = int.from_bytes(blake2b(beginning + digest_of(offer.name), digest_size=WORD_BYTES).digest())
    return offer.weight / -log(((mixed >> 8 * WORD_BYTES - EXACT_BITS) + 0.5) / (1 << EXACT_BITS))


def beginning_of(chat: ChatRequest, model: str) -> bytes:
    """Return a digest of what a request has in common with others whose cache may serve it: the key that it names, else how it begins."""
    key = chat.known.prompt_cache_key
    if key:
        return digest(f"{model}\0key\0{key}")
    texts = [model]
    for message in chat.known.messages:
        content = message.content
        texts.append(message.role)
        texts += [content[:FIRST_CHARACTERS_MAX]] if isinstance(content, str) else [beginning_of_part(part) for part in content or ()]
        if message.role == USER:
            break
    return digest("\0".join(texts))


def beginning_of_part(part: Part) -> str:
    """Return the text of a part, as far as it is looked at; nothing of a picture."""
    return (part.text or "")[:FIRST_CHARACTERS_MAX]


def digest(text: str) -> bytes:
    """Return 64 even bits of a text, the same in every process."""
    return blake2b(text.encode(), digest_size=WORD_BYTES).digest()


digest_of = lru_cache(NAMES_KEPT_MAX)(digest)  # of the names of targets
USER = "user"  # whose first message ends what is taken for a conversation's beginning
