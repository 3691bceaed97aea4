"""What leavers pay, in money: streams of many tokens a delta, of few, of a call, behind a picture, before hidden thinking is reported."""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import Callable
from typing import Any

import pytest

from aisa.background_reads import REPORT_SECONDS_MAX
from aisa.config.schema import Config, Model, Prices, Vendor
from aisa.routing import Routes
from aisa.testing.clock import run_virtual
from one_call import FOR_EVER
from rig import DONE, HEAD, MemoryClient, Rig, Script, ScriptedUpstream, Stall, body, chunk, event, text

ENGLISH = (
    "Tides follow the moon, and the sea remembers its pull for a little while after it has gone; on long shelving "
    "coasts the water comes in as a thin sheet, turns over the worm casts, and leaves again before anyone has noticed it. "
)
REPORTED = 100 * 2_000 + 5_003 * 8_000  # nano-dollars
VENDOR = Vendor(base_url="http://a.example:9/v1", api_key="secret")


def cost(steps: list[Any], prices: Prices, *, leaves_after: int, model: str = "m", deltas: str = "token", **fields: Any) -> int:
    """Have a client leave after so many writes, and return what it pays in nano-dollars."""
    vendor = Vendor(base_url=VENDOR.base_url, api_key="secret", deltas="text" if deltas == "text" else "token")
    rig = Rig(ScriptedUpstream(Script(steps)))
    rig.dependencies.routes = Routes(Config(vendors={"a": vendor}, models={"fast": Model(to=(f"a/{model}",), prices=prices)}))

    async def main() -> None:
        await rig.call(MemoryClient(leaves_after=leaves_after), body(stream=True, **fields))
        await asyncio.sleep(2 * REPORT_SECONDS_MAX)  # what may still be read of the vendor

    run_virtual(main())
    [row] = rig.rows
    assert row.outcome == "client_gone"
    return row.cost


def counts(prompt: int, completion: int, reasoning: int = 0) -> bytes:
    """A report."""
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return event({**HEAD, "choices": [], "usage": {**usage, "completion_tokens_details": {"reasoning_tokens": reasoning}}})


def said(total: int, pieces: int) -> list[str]:
    """English of so many bytes in so many pieces."""
    whole = (ENGLISH * (total // len(ENGLISH) + 1))[:total]
    edges = [total * place // pieces for place in range(pieces + 1)]
    return [whole[edges[place] : edges[place + 1]] for place in range(pieces)]


@pytest.mark.parametrize(("pieces", "total", "tokens"), [(16, 1_508, 377), (1, 1_508, 377), (3, 100, 25), (16, 1_509, 378)])
def test_several_tokens_a_delta_cost_what_their_text_is_worth(pieces: int, total: int, tokens: int) -> None:
    """[fault M7] Sixteen deltas of 94 bytes: 1,508 / 4 = 377 tokens x 10 micro-dollars, and 1 of input; never sixteen tokens."""
    words = said(total, pieces)
    steps = [*text(*words), Stall(3.0), chunk({}, "stop"), counts(2, tokens), DONE]
    assert cost(steps, Prices(input=1, output=10), leaves_after=pieces) == 1 * 1_000 + tokens * 10_000


@pytest.mark.parametrize(("pieces", "total", "tokens"), [(351, 1_500, 375), (1_500, 1_500, 375), (2, 1_500, 375)])
def test_small_deltas_of_text_cost_the_whole_of_it(pieces: int, total: int, tokens: int) -> None:
    """[fault M8] 1,500 / 4 = 375 tokens x 10 micro-dollars, however small the deltas; rounded up for each of 351 it would be 527."""
    steps = [*text(*said(total, pieces)), FOR_EVER]
    assert cost(steps, Prices(input=1, output=10), leaves_after=pieces, deltas="text") == 1_000 + tokens * 10_000


#: What a delta may say, and how: each is text that the model wrote.
SAYING: dict[str, Callable[[str], dict[str, Any]]] = {
    "text": lambda part: {"content": part},
    "thinking": lambda part: {"reasoning_content": part},
    "thinking by its other name": lambda part: {"reasoning": part},
    "a refusal": lambda part: {"refusal": part},
    "arguments": lambda part: {"tool_calls": [{"index": 0, "function": {"arguments": part}}]},
    "arguments of old": lambda part: {"function_call": {"arguments": part}},
}
#: How the same 1,200 bytes are cut.
CUTS: dict[str, list[str]] = {
    "characters": said(1_200, 1_200),
    "two or three": said(1_200, 480),
    "words with the blank behind": [f"{word} " for word in said(1_200, 1)[0].split(" ")[:-1]] + said(1_200, 1)[0].split(" ")[-1:],
    "halves": said(1_200, 2),
}


@pytest.mark.parametrize("kind", SAYING)
@pytest.mark.parametrize("cut", CUTS)
def test_whatever_is_said_in_small_deltas_costs_the_whole_of_it(kind: str, cut: str) -> None:
    """[fault M8] 1,200 / 4 = 300 tokens x 10 micro-dollars, for thinking, refusals and arguments as for text, however they are cut."""
    opening = {
        "arguments": {"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        "arguments of old": {"function_call": {"name": "f", "arguments": ""}},
    }.get(kind, {"content": ""})
    assert "".join(CUTS[cut]) == said(1_200, 1)[0]
    steps = [*text(), chunk(opening), *(chunk(SAYING[kind](part)) for part in CUTS[cut]), FOR_EVER]
    leaves_after = len(CUTS[cut]) + (kind in ("arguments", "arguments of old"))
    assert abs(cost(steps, Prices(input=1, output=10), leaves_after=leaves_after, deltas="text") - 1_000 - 300 * 10_000) <= 20_000


@pytest.mark.parametrize("choices", [2, 3])
def test_small_deltas_of_several_choices_cost_each_the_whole_of_its_own(choices: int) -> None:
    """[fault M8] 400 / 4 = 100 tokens x 10 micro-dollars a choice, whose single characters come in turn."""
    parts = [{**HEAD, "choices": [{"index": at, "delta": {"content": part}}]} for part in said(400, 400) for at in range(choices)]
    steps = [*text(), *map(event, parts), FOR_EVER]
    paid = cost(steps, Prices(input=1, output=10), leaves_after=len(parts), deltas="text", n=choices)
    assert paid == 1_000 + choices * 100 * 10_000


@pytest.mark.parametrize("parts", [1, 2, 940])
@pytest.mark.parametrize("legacy", [False, True])
def test_a_call_of_a_tool_costs_its_name_and_arguments(parts: int, *, legacy: bool) -> None:
    """[fault M7] 7 and 940 bytes / 4 = 237 tokens x 10 micro-dollars in one delta or two; in single bytes 235 to 237; never two tokens."""
    arguments = said(940, parts)
    deltas: list[dict[str, Any]] = []
    for position, part in enumerate(arguments):
        function = {"arguments": part} if position else {"name": "look_up", "arguments": part}
        call = {"index": 0, "function": function} if position else {"index": 0, "id": "call_1", "type": "function", "function": function}
        deltas.append({"function_call": function} if legacy else {"tool_calls": [call]})
    paid = cost([*text(), *map(chunk, deltas), FOR_EVER], Prices(input=1, output=10), leaves_after=parts)
    assert paid == 1_000 + 237 * 10_000 if parts < 940 else 1_000 + 235 * 10_000 <= paid <= 1_000 + 237 * 10_000


@pytest.mark.parametrize("kilobytes", [1, 1_000])
def test_a_leaver_pays_for_a_picture_and_not_for_its_bytes(kilobytes: int) -> None:
    """[fault M6] gpt-4o: 765 for one of unknown size and 4 of text = 769 x 2.5, and 5 x 10 micro-dollars = $0.00197, not $0.83."""
    data = base64.b64encode(random.Random(6).randbytes(kilobytes * 1_000)).decode()
    address = f"data:image/png;base64,{data}"
    parts = [{"type": "text", "text": "What is on this?"}, {"type": "image_url", "image_url": {"url": address}}]
    steps = [*text(*["word "] * 5), Stall(3.0), chunk({}, "stop"), counts(800, 5), DONE]
    messages = [{"role": "user", "content": parts}]
    assert cost(steps, Prices(input=2.5, output=10), leaves_after=5, model="gpt-4o", messages=messages) == 769 * 2_500 + 5 * 10_000


@pytest.mark.parametrize(("late", "paid"), [(0.1, REPORTED), (0.9, REPORTED), (1.5, 2_000 + 3 * 8_000)])
def test_who_leaves_at_the_finish_pays_the_report_if_it_comes_within_a_second(late: float, paid: int) -> None:
    """[fault M2] 100 x 2 + 5,003 x 8 = 40,224 micro-dollars; a report that comes later is not waited for."""
    words = text("one ", "two ", "three ")
    steps = [*words[:-1], words[-1] + chunk({}, "stop"), Stall(late), counts(100, 5_003, 5_000), DONE]
    assert cost(steps, Prices(input=2, output=8), leaves_after=3) == paid


def test_who_leaves_before_the_finish_pays_what_was_delivered() -> None:
    """[fault M2] The input, 1 x 2 micro-dollars, and three tokens x 8."""
    words = text("one ", "two ", "three ")
    steps = [*words, Stall(0.5), chunk({}, "stop"), counts(100, 5_003, 5_000), DONE]
    assert cost(steps, Prices(input=2, output=8), leaves_after=3) == 2_000 + 3 * 8_000
