"""How the tokens of deltas are counted where a delta is not one token: by size, or by the real tiktoken with an encoding of ours."""

from __future__ import annotations

import pytest

from aisa.config.schema import Config, Model, Prices, Vendor
from aisa.providers.counting import NoTokenizer, counts_of, estimate
from aisa.providers.tokenizer import load
from aisa.routing import Routes
from aisa.testing.clock import run_virtual
from aisa.usage import COUNTED, ESTIMATED
from rig import MemoryClient, Rig, Script, ScriptedUpstream, Stall, body, text

VENDORS = {
    "plain": Vendor(base_url="http://127.0.0.1:9/v1"),
    "sized": Vendor(base_url="http://127.0.0.1:9/v1", deltas="text"),
    "exact": Vendor(base_url="http://127.0.0.1:9/v1", deltas="text", tokenizer="pairs"),
}


@pytest.mark.parametrize(("words", "tokens"), [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2), ("日本", 2), ("\ud800", 1)])
def test_an_estimate_is_a_token_for_four_bytes(words: str, tokens: int) -> None:
    """Rounded up, of UTF-8; half an emoji does not stop it."""
    assert estimate(words) == tokens


def test_each_vendor_is_counted_as_it_is_configured() -> None:
    """A delta is a token unless the operator says otherwise."""
    counts = counts_of(VENDORS, load)
    assert set(counts) == {"sized", "exact"}
    assert [(counts[name][0]("abab c"), counts[name][1]) for name in ("sized", "exact")] == [(2, ESTIMATED), (4, COUNTED)]


def test_a_tokenizer_that_is_not_there_is_an_error_with_its_remedy() -> None:
    """Not a silent estimate."""
    with pytest.raises(NoTokenizer, match=r"'no-such-encoding' cannot be loaded: Unknown encoding .* TIKTOKEN_CACHE_DIR"):
        counts_of({"v": Vendor(base_url="http://127.0.0.1:9/v1", tokenizer="no-such-encoding")}, load)


@pytest.mark.parametrize(("vendor", "tokens", "source"), [("plain", 3, COUNTED), ("sized", 6, ESTIMATED), ("exact", 16, COUNTED)])
def test_a_cut_stream_is_billed_as_its_vendor_is_counted(vendor: str, tokens: int, source: str) -> None:
    """[M15] Three deltas of several tokens each, of which two are of the same form and one is not."""
    config = Config(vendors=VENDORS, models={"fast": Model(to=(f"{vendor}/m",), prices=Prices(input=1, output=2))})
    rig = Rig(ScriptedUpstream())
    rig.gate.routes = Routes(config, counts=counts_of(VENDORS, load))
    rig.gate.upstreams = {vendor: ScriptedUpstream(Script([*text("ababab c", "ababab d", 'ababa" e'), Stall(float("inf"))]))}
    client = MemoryClient(leaves_after=4)
    run_virtual(rig.call(client, body(stream=True)))
    [row] = rig.rows
    assert (row.billed.output_tokens, row.billed.source) == (tokens, source)
