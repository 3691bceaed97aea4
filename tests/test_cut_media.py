"""(fault M6) Sound and pictures that arrived of an answer which was cut are in its bill, by fixed figures: nobody has reported them."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from aisa.config.schema import Prices
from aisa.testing.clock import run_virtual
from aisa.wire.media_tokens import PICTURE_TOKENS
from rig import Break, MemoryClient, Rig, Script, ScriptedUpstream, body, chunk, event

SECOND = base64.b64encode(bytes(48_000)).decode()  # of 16-bit samples at 24,000 a second: 20 tokens
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + SECOND}}
OPENED = chunk({"role": "assistant", "content": ""})
PART = {"inlineData": {"mimeType": "image/png", "data": SECOND}}
GEMINI: dict[str, Any] = {"candidates": [{"content": {"parts": [PART], "role": "model"}}]}


def delivered(steps: list[bytes], dialect: str = "openai") -> int:
    """Return the output tokens of the bill of a stream that its vendor broke off behind these."""
    vendor: dict[str, Any] = {"dialect": dialect, "completions": False}
    rig = Rig(ScriptedUpstream(Script([*steps, Break()])), each=[Prices(input=1, output=1)], vendor=vendor)
    client = MemoryClient()
    run_virtual(rig.call(client, body(stream=True)))
    row = rig.rows[0]
    assert (client.status, row.outcome) == (200, "cut"), client.body
    assert (row.cost > 0, row.billed.input_tokens > 0) == (True, True), "what arrived costs its input too"
    return row.billed.output_tokens


@pytest.mark.parametrize(
    ("steps", "tokens"),
    [
        ([OPENED, *[chunk({"audio": {"data": SECOND}}) for _ in range(10)]], 200),
        ([OPENED, chunk({"audio": {"data": "AAAA"}})], 1),
        ([OPENED, chunk({"audio": {"id": "audio_1"}}), chunk({"audio": {"transcript": "Hi"}})], 2),
        ([OPENED, chunk({"images": [PICTURE]})], PICTURE_TOKENS),
        ([OPENED, chunk({"content": "Here", "images": [PICTURE, PICTURE]})], 1 + 2 * PICTURE_TOKENS),
        ([OPENED, chunk({"content": "Here", "images": [{}] * 100})], 1),
        ([OPENED, chunk({"content": "Here"})], 1),
    ],
)
def test_what_is_no_text_is_counted_by_fixed_figures(steps: list[bytes], tokens: int) -> None:
    """[fault M6] Ten seconds of speech cost ten tokens, and a picture none: with it the input was free, for who left in time."""
    assert delivered(steps) == tokens


def test_a_picture_of_geminis_own_protocol_is_counted_so() -> None:
    """[fault M6] It was a token."""
    assert delivered([event(GEMINI)], "gemini") == PICTURE_TOKENS
