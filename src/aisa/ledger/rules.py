"""What a call costs its caller, by how it ended and what arrived. Pure: no clock, no storage, no sockets.

The rules are the contract's: a complete answer costs what the vendor reported, and an answer is complete when every token of it arrived,
whatever became of its end; a call that failed costs nothing; a stream that was cut costs its input in full and the output that was
delivered, and nothing if none was; a document is delivered whole or not at all.
"""

from __future__ import annotations

import msgspec

from aisa.money import TOKENS_PER_PRICE
from aisa.pricing import NO_BREAKDOWN
from aisa.usage import BY_SHARE, COUNTED, REPORTED, Breakdown, Usage, Way

#: How a call can end.
COMPLETED = "completed"
FAILED = "failed"  # before anything came
REFUSED = "refused"  # the same by the caller's own fault, or before it was opened: then it is no row of the ledger
CUT = "cut"  # by the vendor, or by a limit, inside the stream
CLIENT_GONE = "client_gone"
CLIENT_STALLED = "client_stalled"
SHUT_DOWN = "shut_down"
CRASHED = "crashed"  # by the death of our process; found at the next start
MOST = 2**63 - 1  # tokens, where nothing bounds them
#: What a bill has no more: it was for making it.
NONE_GIVEN_UP = {name: 0 for name in Breakdown.__struct_fields__ if name.startswith("given_up_")}


class Delivered(msgspec.Struct, frozen=True):
    """What of a stream's output arrived: `tokens` of the `counted` ones that the vendor sent, `reasoning` of which showed its thinking.

    `finished` says that the vendor had finished every choice, so that no token could follow; `opened` that at least the stream's opening
    arrived, and all that was sent behind it. Where a tokenizer counts, `text` has the tokens of the text that arrived, and of all text.
    More than `most` tokens cannot be in all text that was shown; `way` is how we counted it.
    """

    tokens: int = 0
    counted: int = 0
    reasoning: int = 0
    finished: bool = False
    opened: bool = False
    text: tuple[int, int] | None = None
    most: int = MOST
    way: Way = Way()

    @property
    def complete(self) -> bool:
        """True when every token of the answer arrived. One without a visible token is thinking alone: all that was sent must have."""
        return self.finished and self.tokens == self.counted and (self.tokens > 0 or self.opened)


def billed(outcome: str, generated: Usage, delivered: Delivered) -> Usage:
    """Return the tokens that a call is charged for. Who was told of a failure has no complete answer, whatever its vendor had finished."""
    if outcome == COMPLETED or (outcome in (CLIENT_GONE, CLIENT_STALLED) and delivered.complete):
        rarer = generated.breakdown
        if rarer is None or not rarer.given_up_output_tokens:
            return generated
        return msgspec.structs.replace(generated, breakdown=msgspec.structs.replace(rarer, **NONE_GIVEN_UP))
    if outcome in (FAILED, REFUSED) or delivered.tokens == 0:
        return Usage(source=COUNTED, input_source=COUNTED)
    return received(generated, delivered)


def received(generated: Usage, delivered: Delivered) -> Usage:
    """Return what a client has of a stream: the whole input, and the output that was delivered.

    Where a vendor has reported what its tokens were, our count is brought to that measure: it may put several tokens into one delta.
    Where a tokenizer counts, that is the count of the text that arrived itself.
    Reasoning that was not shown was not delivered: neither what the vendor says that it was, nor what its text has no room for.
    """
    had, counted = delivered.text or (delivered.tokens, delivered.counted)
    output, reasoning, way = had, min(delivered.reasoning, had), Way(generated.counted_by, generated.source, generated.counted_answers)
    rarer = generated.breakdown or NO_BREAKDOWN
    hidden = 0 if delivered.reasoning else generated.reasoning_tokens + rarer.given_up_reasoning_tokens
    visible = generated.output_tokens + rarer.given_up_output_tokens - hidden
    if way.source == REPORTED and visible > delivered.most:
        way = delivered.way
    elif way.source == REPORTED and counted:
        output = max(min(had, 1), visible * had // counted)  # of what arrived something is charged for
        reasoning = min(output, generated.reasoning_tokens) if reasoning else 0
        way = way if delivered.tokens == delivered.counted else Way(BY_SHARE)
    if rarer.advice_tokens:
        output, rarer = shared(output, generated.output_tokens, rarer)
        reasoning = min(reasoning, output)
    audio = min(output - reasoning, generated.output_audio_tokens)
    if rarer.output_image_tokens > output or rarer.uncharged_output_tokens:
        uncharged = rarer.uncharged_output_tokens
        if uncharged and generated.output_tokens:  # the same share of what arrived is charged for as of the whole
            uncharged = output - (generated.output_tokens - uncharged) * output // generated.output_tokens
        images = min(rarer.output_image_tokens, output)
        rarer = msgspec.structs.replace(rarer, output_image_tokens=images, uncharged_output_tokens=uncharged)
    kept = None if generated.breakdown is None else rarer
    return msgspec.structs.replace(generated, output_audio_tokens=audio, breakdown=kept).with_output(output, reasoning, way)


def shared(output: int, own: int, rarer: Breakdown) -> tuple[int, Breakdown]:
    """Return how much of the output that was delivered is the answer's own, of which there were so many, and the rest as it is charged for.

    The rest is of models that gave up, whose input counts in full. Nobody says whose output is missing, so it is that of the dearer.
    Advice was no part of what arrived.
    """
    made = rarer.given_up_output_tokens
    its = min(made, max(0, output - own) if rarer.given_up_dearer else output)
    tokens = rarer.given_up_input_tokens + its
    cost = rarer.given_up_input_cost + its * rarer.given_up_output_price // TOKENS_PER_PRICE
    unpriced = min(tokens, rarer.given_up_unpriced_tokens)
    counts = {"advice_tokens": tokens, "advice_cost": cost, "advice_unpriced_tokens": unpriced}
    return output - its, msgspec.structs.replace(rarer, **NONE_GIVEN_UP, **counts)
