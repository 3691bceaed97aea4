"""Refused calls of known keys: each leaves one record, bounded in number and time, found by operator and caller (fault P3)."""

from __future__ import annotations

import asyncio
import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest
import uvloop
from sqlalchemy import select

from aisa.config.ledger_settings import Ledger
from aisa.edge.asked_model import READ_BYTES_MAX, asked_model
from aisa.errors import ApiError
from aisa.facts import Fact, RefusalsNotKept
from aisa.ids import CROCKFORD, first_id
from aisa.keys.rules import Key
from aisa.ledger import refused_table
from aisa.ledger.port_usage import DAY_MS
from aisa.ledger.refusal import IN_LOG_ALONE, KEPT_DAYS, KEPT_EACH_MAX, Refusal, RefusedCalls
from aisa.ledger.refused import COUNTED_MAX, MESSAGE_CHARACTERS_MAX, MINUTE_SECONDS, WAITING_MAX, RefusalRecords
from aisa.ledger.retention import Retention
from aisa.ledger.writer import Errand, Writer
from aisa.names import STORED_CHARACTERS_MAX
from aisa.storage.engine import open_database
from aisa.storage.migrate import migrate
from aisa.storage.tables import refused_calls
from aisa.testing.clock import run_virtual
from faults_rig import until
from rows import NOON
from server import Server, serving

CONFIGURATION = """\
models:
  gpt-4.1: [embedded/tiny]
  dear: {to: [embedded/tiny], prices: {input: 2000.0, output: 8000.0}}
server: {body_bytes_max: 100000}
"""
PROMPT = "a-prompt-that-nobody-keeps"
MISPLACED = "sk-aisa-" + "x9" * 21
GOOD = {"model": "gpt-4.1", "messages": [{"role": "user", "content": PROMPT}]}


class Answer(NamedTuple):
    """What a request was answered with."""

    status: int
    id: str
    body: Any


def ask(server: Server, key: str, body: bytes | None = None, path: str = "/v1/chat/completions", **headers: str) -> Answer:
    """Make a request: a POST with a body, a GET without."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = {"authorization": f"Bearer {key}", "content-type": "application/json", **named}
    try:
        with urllib.request.urlopen(urllib.request.Request(server.url + path, body, sent), timeout=60) as answer:
            return Answer(answer.status, answer.headers["x-request-id"], json.loads(answer.read()))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers["x-request-id"], json.loads(error.read()))


def chat(**changes: object) -> bytes:
    """A chat request, changed."""
    return json.dumps({**GOOD, **changes}).encode()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a model that costs much and two that cost nothing."""
    with serving(tmp_path_factory.mktemp("refused"), CONFIGURATION) as server:
        yield server


def made(server: Server, label: str, *words: str) -> str:
    """Make a key."""
    return server.aisa("keys", "create", label, "--quiet", *words).strip()


def listed(server: Server, *words: str) -> list[dict[str, Any]]:
    """Return what `aisa calls --json` lists, the oldest first."""
    found: list[dict[str, Any]] = json.loads(server.aisa("calls", "--json", "--limit", "1000", *words))
    return found


def test_each_way_to_be_refused_leaves_one_record_with_its_reason(running: Server) -> None:
    """Body, model, parameters, money, type, size, route and the key's own state: one record each, and nothing of a prompt (fault P3)."""
    keys = {
        "plain": made(running, "plain"),
        "fenced": made(running, "fenced", "--models", "gpt-4.1"),
        "capped": made(running, "capped", "--spend-cap", "0.01/day"),
        "gone": made(running, "gone"),
    }
    running.aisa("keys", "revoke", "gone")
    huge = chat(pad="x" * 200_000)
    refused = [
        ("plain", ask(running, keys["plain"], b"{"), 400, ""),
        ("plain", ask(running, keys["plain"], chat(messages=7)), 400, GOOD["model"]),
        ("fenced", ask(running, keys["fenced"], chat(model="dear")), 403, "dear"),
        ("capped", ask(running, keys["capped"], chat(model="dear"), x_client_request_id="order-9"), 429, "dear"),
        ("plain", ask(running, keys["plain"], chat(), content_type="text/plain"), 415, ""),
        ("plain", ask(running, keys["plain"], huge), 413, ""),
        ("plain", ask(running, keys["plain"], chat(), path="/v1/nothing"), 404, ""),
        ("plain", ask(running, keys["plain"], chat(model=7)), 400, ""),
        ("plain", ask(running, keys["plain"], chat(model="none"), path="/v1/responses/input_tokens"), 400, "none"),
        ("gone", ask(running, keys["gone"], chat()), 401, ""),
    ]
    assert [answer.status for _, answer, *_ in refused] == [status for *_, status, _ in refused]
    everything = listed(running)
    for label, answer, status, model in refused:
        [line] = [line for line in everything if line["id"] == answer.id]
        assert line["outcome"] == "refused"
        told = answer.body["error"]
        assert (line["error_status"], line["error_code"], line["error_message"]) == (status, told["code"], told["message"])
        assert (line["key_label"], line["account"], line["model"], line["calls"]) == (label, "default", model, 1)
        logged = json.loads(next(line for line in running.told(answer.id).splitlines() if answer.id in line))
        assert (logged["key_label"], logged["model"], bool(logged["address"])) == (label, model, True)
    assert PROMPT not in json.dumps(everything)
    assert running.aisa("explain", "latest").count(refused[-1][1].id) == 1
    assert "order-9" in running.aisa("explain", refused[3][1].id[4:].lower())
    assert '"key_label":"gone"' in next(line for line in running.log.splitlines() if refused[-1][1].id in line)


def test_a_receipt_says_why_and_to_nobody_else(running: Server) -> None:
    """The key that was refused sees the message at once; another key, and whoever has an unknown key, does not."""
    key, other = made(running, "asker"), made(running, "other")
    answer = ask(running, key, b"[]", x_client_request_id="mine-1")
    receipt = ask(running, key, path=f"/v1/usage/calls/{answer.id}")
    assert receipt.status == 200
    told = answer.body["error"]
    shown = receipt.body
    assert (shown["outcome"], shown["error_code"], shown["error_message"], shown["error_status"]) == (
        "refused",
        told["code"],
        told["message"],
        answer.status,
    )
    assert (shown["billed"], shown["number"], shown["client_request_id"]) == (None, 1, "mine-1")
    assert ask(running, other, path=f"/v1/usage/calls/{answer.id}").status == 404
    unknown = ask(running, "sk-not-one-of-ours", chat())
    assert unknown.status == 401
    assert unknown.id not in running.aisa("calls", "--json", "--limit", "1000")


def test_where_a_request_without_a_known_key_is_to_be_found_is_said(tmp_path: Path) -> None:
    """In the log alone, under its id: the list of refused calls says so, and so does `explain`, by its id or as the latest."""
    with serving(tmp_path, CONFIGURATION) as server:
        unknown, absent = ask(server, "sk-not-one-of-ours", chat()), ask(server, "", chat())
        assert (unknown.status, absent.status) == (401, 401)
        assert IN_LOG_ALONE in server.aisa("calls", "--refused")
        for name in (unknown.id, absent.id, "latest"):
            with pytest.raises(subprocess.CalledProcessError) as failed:
                server.aisa("explain", name)
            assert IN_LOG_ALONE in " ".join(failed.value.stderr.split())
        for answer in (unknown, absent):
            server.told(answer.id)


def test_calls_are_chosen_by_key_model_kind_and_time_and_shown_in_columns(running: Server) -> None:
    """A good call is in the list of its key and in no list of refused ones; who is unknown is told, an empty list is a sentence."""
    key = made(running, "chooser")
    good, bad = ask(running, key, chat()), ask(running, key, b"{")
    assert [line["outcome"] for line in listed(running, "--key", "chooser")] == ["completed", "refused"]
    assert [line["id"] for line in listed(running, "--key", "chooser", "--refused")] == [bad.id]
    assert [line["id"] for line in listed(running, "--key", "chooser", "--model", "gpt-4.1")] == [good.id]
    assert listed(running, "--key", "chooser", "--failed") == []
    running.aisa("accounts", "create", "idle")
    assert listed(running, "--key", "chooser", "--account", "idle") == []
    with pytest.raises(subprocess.CalledProcessError) as failed:
        running.aisa("calls", "--account", "nobody")
    assert "nobody" in failed.value.stderr
    table = running.aisa("calls", "--key", "chooser", "--refused").splitlines()
    assert table[0].split() == ["TIME", "UTC", "KEY", "MODEL", "HOW", "IT", "ENDED", "ID"]
    assert "400 json_parse_error" in table[1]
    assert "└" in table[2] or "- " in table[2]
    assert running.aisa("calls", "--key", "chooser", "--failed").startswith("No such call since 20")


def test_what_was_refused_is_there_after_a_restart_and_the_rest_of_a_minute_as_one_number(tmp_path: Path) -> None:
    """Of 70 refusals within a minute 60 are records and the 61st one that stands for 10, written at the stop at the latest."""
    with serving(tmp_path, CONFIGURATION) as server:
        key = made(server, "loud")
        ids = [ask(server, key, b"{").id for _ in range(KEPT_EACH_MAX + 10)]
    lines = listed(server, "--refused")
    assert [(line["id"], line["calls"]) for line in lines] == [(id_, 1) for id_ in ids[:KEPT_EACH_MAX]] + [(ids[KEPT_EACH_MAX], 10)]
    assert "It stands for 10 calls" in server.aisa("explain", ids[KEPT_EACH_MAX])


# Bounds, in virtual time


class Rig:
    """Records whose database is a list; the wall clock goes with the loop's."""

    def __init__(self) -> None:
        self.posted: list[tuple[RefusedCalls, Callable[[], None]]] = []
        self.facts: list[Fact] = []
        now = asyncio.get_running_loop().time
        self.records = RefusalRecords(
            lambda record, done: self.posted.append((record, done)),
            wall_clock=lambda: NOON / 1000 + now(),
            report=self.facts.append,
        )

    def refuse(self, number: int, *, key: str = "key_1", code: str = "json_parse_error", message: str = "No.", model: str = "m") -> None:
        """Refuse a call."""
        whose = Key(key, key, b"", "", "active", 0)
        self.records.keep(Refusal(f"req_{number}", whose, ApiError(code, message), model))

    def commit(self) -> None:
        """Have the database take what was posted."""
        posted, self.posted = self.posted, []
        for _, done in posted:
            done()


def in_virtual_time(scenario: Callable[[Rig], Any]) -> None:
    """Run a scenario on a rig."""

    async def run() -> None:
        await scenario(Rig())

    run_virtual(run())


def test_each_key_and_code_has_its_own_sixty_of_each_minute() -> None:
    """Another code and another key are counted apart, and the next minute begins anew."""

    async def scenario(rig: Rig) -> None:
        for number in range(KEPT_EACH_MAX + 3):
            rig.refuse(number)
        rig.refuse(1_000, code="unknown_model")
        rig.refuse(1_001, key="key_2")
        assert len(rig.posted) == KEPT_EACH_MAX + 2
        await asyncio.sleep(MINUTE_SECONDS + 1)
        assert [(record.id, record.number) for record, _ in rig.posted[KEPT_EACH_MAX + 2 :]] == [(f"req_{KEPT_EACH_MAX}", 3)]
        rig.refuse(2_000)
        assert rig.posted[-1][0].id == "req_2000"
        await asyncio.sleep(2 * MINUTE_SECONDS)
        assert rig.posted[-1][0].id == "req_2000"
        assert not rig.facts

    in_virtual_time(scenario)


def test_what_a_database_that_is_away_costs_is_bounded_and_the_rest_is_told() -> None:
    """So many records wait and so many keys and codes are told apart; how many left no record is said once a minute."""

    async def scenario(rig: Rig) -> None:
        keys = WAITING_MAX // KEPT_EACH_MAX + 1
        for number in range(keys * KEPT_EACH_MAX):
            rig.refuse(number, key=f"key_{number % keys}")
        lost = keys * KEPT_EACH_MAX - WAITING_MAX
        assert len(rig.posted) == len(rig.records.waiting) == WAITING_MAX
        await asyncio.sleep(MINUTE_SECONDS + 1)
        assert rig.facts == [RefusalsNotKept(lost)]
        rig.commit()
        assert not rig.records.waiting
        for number in range(COUNTED_MAX + 5):
            rig.refuse(10**6 + number, key=f"key_{number}")
        await asyncio.sleep(MINUTE_SECONDS + 1)
        assert rig.facts[1:] == [RefusalsNotKept(5)]

    in_virtual_time(scenario)


@pytest.mark.parametrize(
    ("body", "address", "model"),
    [
        (b'{"model":"m","messages":7}', "", "m"),
        (b'{"messages":7}', "", ""),
        (b'{"model":["m"]}', "", ""),
        (b'{"model":"m"', "", ""),
        (b'{"model":"\xff"}', "", ""),
        (b"", "", ""),
        (b"[]", "", ""),
        (b'{"pad":"%b","model":"m"}' % (b"x" * READ_BYTES_MAX), "", ""),
        (b'{"contents":7}', "tuned/m:generateContent", "tuned/m"),
        (b"", "resp_1", ""),
    ],
    ids=["said", "not said", "a list", "half", "no UTF-8", "nothing", "no object", "too large", "in the address", "another address"],
)
def test_a_refusal_names_the_model_that_was_asked_for_if_that_can_be_read(body: bytes, address: str, model: str) -> None:
    """[point 11] Whatever else of the body was wrong; nothing that is wrong with it raises an error of its own."""
    assert asked_model(body, address) == model


def test_texts_are_cut_where_they_are_kept() -> None:
    """A model's name and a message of any length and with any character fit the record."""

    async def scenario(rig: Rig) -> None:
        rig.refuse(1, message="é\n" * 10_000, model="\x00" * 10_000)
        record = rig.posted[0][0]
        assert len(record.message) == MESSAGE_CHARACTERS_MAX
        assert record.model == "?" * STORED_CHARACTERS_MAX
        assert record.message.isprintable()

    in_virtual_time(scenario)


def test_no_key_is_kept_where_somebody_put_it_in_place_of_a_name() -> None:
    """[fault S11] In a message or as a model it would lie in the database for thirty days, and in its copies."""

    async def scenario(rig: Rig) -> None:
        rig.refuse(1, message=f"There is no /v1/{MISPLACED} here.", model=MISPLACED)
        assert (rig.posted[0][0].message, rig.posted[0][0].model) == ("There is no /v1/sk-aisa-… here.", "sk-aisa-…")

    in_virtual_time(scenario)


def test_what_is_too_old_is_asked_to_be_forgotten_again_and_again() -> None:
    """The moment before which nothing is kept goes on with the wall clock, an hour after the start: until then a clock may be wrong."""

    async def scenario(rig: Rig) -> None:
        posted: list[Errand] = []
        now = asyncio.get_running_loop().time
        Retention(posted.append, Ledger, wall_clock=lambda: NOON / 1000 + now(), report=rig.facts.append).look()
        await asyncio.sleep(4_201)
        moments = [cast("partial[bool]", errand.run).keywords["before_ms"] for errand in posted if errand.name == "prune"]
        assert [moment - NOON + KEPT_DAYS * DAY_MS for moment in moments] == [3_600_000, 4_200_000]

    in_virtual_time(scenario)


def test_the_writer_forgets_in_steps_what_is_older_and_nothing_else(tmp_path: Path) -> None:
    """More records than one step takes go, a record of the moment itself stays, and the same record posted twice is there once."""
    database = open_database(str(tmp_path), migrate)

    def record(moment_ms: int, number: int) -> RefusedCalls:
        id_ = first_id(moment_ms) + f"{number:016d}"
        return RefusedCalls(id_, "default", "key_1", "m", 400, "json_parse_error", "No.", moment_ms, moment_ms)

    async def scenario() -> None:
        facts: list[Fact] = []
        writer = Writer(database, facts.append)
        told: list[str] = []
        old = [record(NOON - 1, number) for number in range(2 * refused_table.PRUNED_MAX + 1)]
        for each in (*old, record(NOON, 1), record(NOON, 1)):
            writer.post_refused(each, lambda id_=each.id: told.append(id_))
        writer.run_errand(Errand("prune", partial(refused_table.prune_refused, before_ms=NOON)))
        await until(lambda: stored() == [record(NOON, 1)])
        assert writer.waiting == 0
        assert await writer.stop(10) == 0
        assert len(told) == len(old) + 2
        assert not facts

    def stored() -> list[RefusedCalls]:
        with database.reading() as connection:
            return [RefusedCalls(*row) for row in connection.execute(select(refused_calls).order_by(refused_calls.c.id))]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())
    database.close()


def test_the_first_id_of_a_millisecond_is_between_those_before_and_after() -> None:
    """Whatever follows it, an id sorts by its millisecond, the first of a second and of an epoch of ids included."""
    for moment in (NOON, NOON + 1, (NOON >> 10 << 10), (NOON >> 10 << 10) - 1):
        for last in (CROCKFORD[0], CROCKFORD[-1]):
            assert first_id(moment - 1) + last * 16 < first_id(moment) <= first_id(moment) + last * 16 < first_id(moment + 1)
