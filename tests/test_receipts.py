"""The receipt of a call over HTTP: there from its end, the same before and after the database has it, and for nobody else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aisa.cli.bill_lines import counts_table
from aisa.cli.call_lines import cells
from aisa.edge.bill_view import ending, facts_of
from aisa.edge.receipt import receipt
from aisa.ledger.charge import crashed
from aisa.ledger.port_calls import line_of_row
from aisa.ledger.row import Opening
from aisa.money import nanos_per_million
from aisa.pricing import Tier, unit_prices
from aisa.usage import Usage
from bank import Bank, with_bank
from faults_rig import body, failure, hang, post, says, stream_of, until
from rows import PRICES, priced


def test_a_receipt_is_there_from_the_end_of_the_call_and_stays_the_same(tmp_path: Path) -> None:
    """Before the database has it and after, the receipt differs only in being final; it says what was made, what arrived, and the price."""

    async def scenario(made: Bank) -> None:
        id_ = await made.call()
        first = await made.json(f"/v1/usage/calls/{id_}")
        made.commit()
        later = await made.json(f"/v1/usage/calls/{id_}")
        assert first == {**later, "final": False}
        assert (later["id"], later["object"], later["model"], later["outcome"]) == (id_, "call.receipt", "fast", "completed")
        assert (later["final"], later["stream"], later["attempts"], later["error_code"]) == (True, False, 1, None)
        assert later["delivered"] == {"output_tokens": 3}
        assert (later["billed"]["input_tokens"], later["billed"]["output_tokens"], later["billed"]["source"]) == (9, 3, "reported")
        assert (later["billed"]["cost_nanos"], later["billed"]["cost_usd"]) == (41_250, 0.00004125)
        assert (later["prices"]["output"], later["prices"]["source"]) == (nanos_per_million(10), "operator")
        assert later["timings"]["total_ms"] >= later["timings"]["queue_ms"] >= 0
        assert "real-model" not in json.dumps(later)

    with_bank(scenario, tmp_path)


def test_what_had_left_a_dead_server_is_not_said_to_be_delivered() -> None:
    """[fault R2] A client that had stopped reading had 45 of 109 tokens, and explain, console and receipt said that all were delivered."""
    row = crashed(Opening("req_1", "acme", "key_1", "fast", True, 0, 40, prices=PRICES), 109, attempts=1, found_ms=9_000)
    shown = counts_table(row)
    heads, _, made = shown.splitlines()[:3]
    assert ("HAD LEFT" in heads, "DELIVERED" in heads) == (True, False)
    assert made.split()[:4] == ["output", "-", "109", "109"], "what the vendor had made, nobody knows"
    assert "how much of it the client got, nobody saw" in ending(row)
    assert receipt(row, final=True)["delivered"] == {"output_tokens": 109, "had_left": True}
    facts = dict(facts_of(row))
    assert "timings" not in facts, "they ended with the start that has settled it"
    assert facts["settled"] == "1970-01-01T00:00:09Z, after its process had died: when the call ended is not known"
    assert receipt(row, final=True)["timings"] == {"queue_ms": None, "first_token_ms": None, "total_ms": None}
    assert cells(line_of_row(row), day=False)[-2] == "-"
    ended = priced(1, delivered=5)
    assert "DELIVERED" in counts_table(ended)
    assert "end at 900 ms" in dict(facts_of(ended))["timings"]
    assert receipt(ended, final=True)["delivered"] == {"output_tokens": 5}


def test_a_call_that_runs_has_a_receipt_that_says_so(tmp_path: Path) -> None:
    """Its outcome is `running`, with the tokens sent so far and nothing billed yet."""

    async def scenario(made: Bank) -> None:
        caller = await made.home.client(post(body(stream=True), "x-client-request-id: order-7", key="mine"))
        await caller.until(b"two")
        [id_] = made.ledger.calls
        running = await made.json(f"/v1/usage/calls/{id_}")
        assert (running["outcome"], running["final"], running["ended"], running["billed"]) == ("running", False, None, None)
        assert (running["generated"]["output_tokens"], running["generated"]["source"]) == (2, "counted")
        assert (running["stream"], running["client_request_id"]) == (True, "order-7")
        caller.reset()
        await until(lambda: len(made.posted) == 1)
        ended = await made.json(f"/v1/usage/calls/{id_}")
        assert ended.keys() == running.keys()
        assert (ended["outcome"], ended["delivered"]["output_tokens"]) == ("client_gone", 2)

    with_bank(scenario, tmp_path, says(stream_of("one", "two")[:-200], hang))


def test_nobody_sees_a_receipt_but_the_key_that_made_the_call(tmp_path: Path) -> None:
    """Another key, of the same account too, is told what an unknown id is told, whether the call waits or is stored."""

    async def scenario(made: Bank) -> None:
        id_ = await made.call()
        unknown = failure(await made.get("/v1/usage/calls/req_0"), 404, "resource_not_found")["message"]
        for _ in range(2):
            for key in ("sister", "stranger"):
                assert failure(await made.get(f"/v1/usage/calls/{id_}", key=key), 404, "resource_not_found")["message"] == unknown
            made.commit()
        for path in ("/v1/usage/calls/%00", f"/v1/usage/calls/{id_}/x"):
            failure(await made.get(path), 404, "resource_not_found")
        failure(await made.get("/v1/usage/calls/"), 404, "unknown_endpoint")

    with_bank(scenario, tmp_path)


def test_a_receipt_has_the_prices_of_its_tier_and_does_not_name_a_target() -> None:
    """Of a catalogue's price, whose source names vendor and model, only `catalogue` is shown."""
    higher = unit_prices({"input": 7, "output": 9})
    row = priced(1, usage=Usage(501, 1), prices=unit_prices({"input": 1, "output": 2}, (Tier(500, higher),)))
    shown: Any = receipt(row, final=True)["prices"]
    assert (shown["input"], shown["output"], shown["source"]) == (7, 9, "operator")
    listed: Any = receipt(priced(2, price_source="catalogue 1.0: openai/gpt-5"), final=True)["prices"]
    assert (listed["input"], listed["source"]) == (PRICES.input, "catalogue")
    assert receipt(priced(3, prices=None), final=True)["prices"] is None
