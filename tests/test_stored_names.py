"""Names as long as may be: what is accepted fits the journal, the row, the database and the log (fault S2)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any, cast, get_args, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aisa.answer import Told
from aisa.config.checks import check, check_targets
from aisa.config.schema import Config, Model, Prices, PriceTier, Vendor
from aisa.errors import CALLER, CODES, ApiError
from aisa.facts import Fact
from aisa.keys.rules import check_account, check_label
from aisa.ledger.charge import Charge, amended, crashed, row_of
from aisa.ledger.journal import CLOSING_BYTES_MAX, OPENING_BYTES_MAX, Slot
from aisa.ledger.journal_record import KEPT, WORDS, closing_record, opening_record
from aisa.ledger.port import Ending
from aisa.ledger.record import record_of
from aisa.ledger.record import row_of as row_of_record
from aisa.ledger.recovery import ATTEMPTS_MAX, TOKENS_MAX
from aisa.ledger.row import CallRow, Opening
from aisa.ledger.rules import CLIENT_GONE, CLIENT_STALLED, COMPLETED, CUT, FAILED, SHUT_DOWN, Delivered
from aisa.money import NANOS_PER_DOLLAR
from aisa.names import (
    ACCOUNT_CHARACTERS_MAX,
    CLIENT_ID_CHARACTERS_MAX,
    LABEL_CHARACTERS_MAX,
    MODEL_NAME_CHARACTERS_MAX,
    REASON_CHARACTERS_MAX,
    STORED_CHARACTERS_MAX,
    VENDOR_NAME_CHARACTERS_MAX,
    stored,
)
from aisa.observe.columns import text_line
from aisa.observe.log import LINE_CHARACTERS_MAX, json_line
from aisa.offer import Offer
from aisa.pricing import FEE_MAX, FEES, KINDS, PRICE_MAX, RARER, RARER_PRICES_MAX, TIERS_MAX, Tier, UnitPrices
from aisa.providers.shape import Target
from aisa.routing import Routes
from aisa.testing.client import MemoryClient
from aisa.testing.clock import run_virtual
from aisa.testing.upstream import Script, ScriptedUpstream
from aisa.usage import COUNTED, REPORTED, Breakdown, Usage
from aisa.wire.chat import parse_chat
from aisa.wire.door import Door
from aisa.wire.embeddings_door import EMBEDDINGS_DOOR
from aisa.wire.gemini_door import GeminiDoor
from aisa.wire.gemini_embeddings_door import GeminiEmbeddingsDoor
from aisa.wire.rerank_door import RERANK_DOOR
from aisa.wire.shown import COUNT_MAX
from aisa.wire.usage_report import SEARCHES_MAX
from aisa.wire.vendor_cost import DOLLARS_MAX
from door_readers import SPEAKERS
from ledger_rig import shared_journal
from repeats import repeats
from rig import Rig, body, document, outcome, whole_stream

NASTY = 'a"\\é語😀\u2028\x7f\x1b\u0000'  # one to four bytes, escaped or not, printable or not
PRINTABLE = 'a"\\é語😀'
ID = "req_" + "0" * 26
LINE_LENGTH_MAX = 6 * LINE_CHARACTERS_MAX + 1_000  # a control character takes six bytes of JSON; the numbers and names take the rest
WIDEST = 'x"\\語😀'  # shapes of a whole name: each is filled with one of these characters


def texts(alphabet: str, characters_max: int, least: int = 0) -> st.SearchStrategy[str]:
    """Texts of any such characters, and those as long as may be."""
    filled = st.sampled_from([character * characters_max for character in alphabet])
    return filled | st.text(st.sampled_from(alphabet), min_size=least, max_size=characters_max)


nanos = st.sampled_from([0, 1, 2_500_000_000, PRICE_MAX])
fees = st.sampled_from([0, 1, FEE_MAX])
counts = st.sampled_from([0, 7, COUNT_MAX])
searches = st.sampled_from([0, 7, SEARCHES_MAX])
milliseconds = st.sampled_from([0, 10**10])
flat = st.builds(UnitPrices, *[nanos] * len(KINDS))


def with_rarer(sets: list[UnitPrices], kinds: list[str], amount: int, fee: int) -> UnitPrices:
    """Prices with tiers, and in each as many of the rarer kinds as may be."""
    rarer = {kind: fee if kind in FEES else amount for kind in kinds[: RARER_PRICES_MAX // len(sets)]}
    first, *others = [msgspec.structs.replace(each, **rarer) for each in sets]
    return msgspec.structs.replace(first, tiers=tuple(Tier(COUNT_MAX - 9 + at, other) for at, other in enumerate(others)))


prices = st.builds(with_rarer, st.lists(flat, min_size=1, max_size=1 + TIERS_MAX), st.permutations([*RARER, *FEES]), nanos, fees)
#: What Anthropic's models made before they gave up, and by advice; which others that have the kinds above never report.
HANDED_ON_COSTS = ("advice_cost", "given_up_input_cost", "given_up_output_price")
HANDED_ON = tuple(name for name in Breakdown.__struct_fields__ if name.startswith(("advice", "given_up")) and name not in HANDED_ON_COSTS)
usages = st.builds(
    Usage,
    *[counts] * 5,
    source=st.sampled_from([REPORTED, COUNTED]),
    input_source=st.sampled_from([REPORTED, COUNTED]),
    input_audio_tokens=counts,
    output_audio_tokens=counts,
    breakdown=st.none()
    | st.builds(Breakdown, *[counts] * 6, searches, searches, counts, counts)
    | st.builds(Breakdown, *[counts] * 3, searches=searches, **dict.fromkeys(HANDED_ON, counts), **dict.fromkeys(HANDED_ON_COSTS, nanos)),
)
openings = st.builds(
    Opening,
    id=st.just(ID),
    account=texts(PRINTABLE, ACCOUNT_CHARACTERS_MAX, 1),
    key_id=st.just("key_0123456789"),
    model=texts(NASTY, MODEL_NAME_CHARACTERS_MAX, 1).map(stored),
    stream=st.booleans(),
    began_ms=st.just(2**45),
    input_tokens=st.sampled_from([0, 2**30]),
    prices=st.none() | prices,
    price_source=texts(NASTY, STORED_CHARACTERS_MAX).map(stored),
    prepaid=st.booleans(),
    client_request_id=st.none() | texts('a"\\', CLIENT_ID_CHARACTERS_MAX, 1),
    idempotency=st.none() | st.just("0" * 32 + ":" + "0" * 16),
    target=texts(NASTY, VENDOR_NAME_CHARACTERS_MAX + 1 + MODEL_NAME_CHARACTERS_MAX).map(stored),
    address=st.sampled_from([None, "198.51.100.7", "2001:0db8:ffff:ffff:ffff:ffff:255.255.255.255"]),
)
tolds = st.builds(
    Told,
    tier=st.none() | st.just("priority"),
    model=texts(NASTY, 2 * STORED_CHARACTERS_MAX),  # a vendor may call itself anything
    cost=st.sampled_from([None, 0, DOLLARS_MAX * NANOS_PER_DOLLAR]),
    searches=searches,
)
delivereds = st.tuples(counts, counts, counts).map(lambda found: Delivered(*sorted(found)[:2], found[2]))  # never more than was counted
endings = st.builds(
    Ending,
    outcome=st.sampled_from([COMPLETED, FAILED, CUT, CLIENT_GONE, CLIENT_STALLED, SHUT_DOWN]),
    generated=usages,
    delivered=delivereds,
    attempts=st.sampled_from([0, 1_000]),
    queue_ms=st.none() | milliseconds,
    first_token_ms=st.none() | milliseconds,
    total_ms=milliseconds,
    bytes_sent=st.sampled_from([0, 2**50]),
    error_code=st.none() | st.sampled_from(sorted(CODES)),
    told=tolds,
    error_message=st.none() | texts(NASTY, 2 * REASON_CHARACTERS_MAX),  # a vendor may say anything
    error_detail=st.none() | texts(NASTY, 2 * REASON_CHARACTERS_MAX),
)


def without_texts(given_row: CallRow | Opening) -> dict[str, Any]:
    """What a bill depends on."""
    members = msgspec.structs.asdict(given_row)
    return {name: value for name, value in members.items() if name in KEPT or not isinstance(value, str)}


@pytest.mark.heavy
@settings(max_examples=repeats(500), derandomize=True, deadline=None)
@given(openings, endings, delivereds)
def test_every_row_that_can_be_made_fits_its_slot(opening: Opening, ending: Ending, delivered: Delivered) -> None:
    """[fault S2] Opening, closing, amendment and what is settled after a crash are within their bounds, and say all that a bill needs."""
    record = opening_record(opening)
    assert len(record) <= OPENING_BYTES_MAX
    assert without_texts(msgspec.json.decode(record, type=Opening)) == without_texts(opening)
    row = row_of(opening, ending)
    for each in (row, amended(row, CLIENT_GONE, delivered), crashed(opening, TOKENS_MAX, attempts=ATTEMPTS_MAX, found_ms=2**46)):
        record = closing_record(each)
        assert len(record) <= CLOSING_BYTES_MAX
        assert without_texts(msgspec.json.decode(record, type=CallRow)) == without_texts(each)
        assert row_of_record(record_of(each)) == each
        assert all(abs(value) < 2**63 for value in record_of(each) if isinstance(value, int))  # as the database's integers


@settings(max_examples=repeats(200), derandomize=True, deadline=None)
@given(openings, endings)
def test_ordinary_names_are_kept_whole(opening: Opening, ending: Ending) -> None:
    """[fault S2] A name of ASCII, however long, under a price with one tier is not cut in the journal either."""
    plain = msgspec.structs.replace(
        opening,
        model="m" * MODEL_NAME_CHARACTERS_MAX,
        account="a" * ACCOUNT_CHARACTERS_MAX,
        price_source="p" * STORED_CHARACTERS_MAX,
        client_request_id="c" * CLIENT_ID_CHARACTERS_MAX,
        target="v" * VENDOR_NAME_CHARACTERS_MAX + "/" + "m" * MODEL_NAME_CHARACTERS_MAX,
        prices=UnitPrices(*[10**10] * 7, tiers=(Tier(200_000, UnitPrices(*[10**10] * 7)),)),
    )
    row = row_of(plain, msgspec.structs.replace(ending, told=Told(model="m" * 50)))
    assert msgspec.json.decode(opening_record(plain), type=Opening) == plain
    kept = msgspec.json.decode(closing_record(row), type=CallRow)
    words = {name: getattr(row, name) for name in WORDS}
    assert all((word or "").startswith(getattr(kept, name) or "") for name, word in words.items())  # are no names, and give way first
    assert msgspec.structs.replace(kept, **words) == row


def facts_with(text: str) -> Iterator[Fact]:
    """Every fact that there is, each text of it the same."""
    for kind in get_args(Fact):
        values = {name: text if "str" in str(hint) else 0 for name, hint in get_type_hints(kind).items()}
        yield kind(**values | {"usage": Usage()} if "usage" in values else values | ({"blame": CALLER} if "blame" in values else {}))


@pytest.mark.parametrize("character", [*WIDEST, "\x1b", "\n", "\x9b", "\u2028", "\U000e0001", "\ud800"])
def test_every_line_of_the_log_is_short_and_one_line(character: str) -> None:
    """[fault S2] Whatever a fact holds, its line is bounded, in JSON valid, and says the first and the last of each text.

    It is one line for whoever splits text by Unicode's rules, and nothing in it moves a terminal.
    """
    for fact in facts_with("<" + character * repeats(200_000) + ">"):
        if character != "\ud800":  # which no text of a caller or a vendor can hold; a terminal gets it escaped
            line = json_line(1_767_182_400.0, fact)
            assert len(line) <= LINE_LENGTH_MAX
            assert line.decode().removesuffix("\n").isprintable()
            assert all(text.startswith("<") and text.endswith(">") for text in json.loads(line).values() if "x" * 9 in str(text))
        line = text_line(1_767_182_400.0, fact)
        assert len(line) <= LINE_LENGTH_MAX
        assert line.count(b"\n") == 1


@pytest.mark.parametrize("gone", [False, True])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("character", WIDEST)
def test_a_call_under_the_longest_name_ends_as_any_other(character: str, stream: bool, gone: bool) -> None:
    """[fault S2] A name of 256 characters of any kind, with all tiers that a price can have, is answered, booked, and leaves no slot."""
    name = character * MODEL_NAME_CHARACTERS_MAX
    dear = Prices(input=1e6, output=1e6, tiers=tuple(PriceTier(over_input_tokens=9 + at, input=1e6, output=1e6) for at in range(TIERS_MAX)))
    script = Script(whole_stream("a", "b")) if stream else Script([document()], headers={"content-type": "application/json"})
    client = MemoryClient(takes_bytes_max=10 if gone else sys.maxsize)
    taken = shared_journal().taken

    async def main() -> Rig:
        rig = Rig(ScriptedUpstream(script))
        vendors = {"a": Vendor(base_url="http://a.example:9/v1")}
        rig.dependencies.routes = Routes(Config(vendors=vendors, models={name: Model(to=("a/" + name,), prices=dear)}))
        await rig.call(client, body(model=name, stream=stream))
        return rig

    rig = run_virtual(main())
    assert client.status == 200
    assert shared_journal().taken == taken
    (row,) = rig.rows
    assert (row.model, row.target) == (name, "a/" + name)
    assert outcome(rig.facts).outcome == row.outcome == (CLIENT_GONE if gone else COMPLETED)


class FailingSlot:
    """A slot whose records cannot be written."""

    def __init__(self) -> None:
        self.words = [0] * 8
        self.at = 1
        self.freed = 0

    def close(self, _record: bytes) -> None:
        """Take the closing."""

    def amend(self, _record: bytes) -> None:
        """Fail."""
        raise ValueError("no room")

    def free(self) -> None:
        """Forget the call."""
        self.freed += 1


def test_a_slot_is_freed_even_if_an_amendment_fails() -> None:
    """[fault S2] An exception between the end of a call and its row may lose the amendment in the journal, never the slot."""
    rows: list[CallRow] = []

    class RowsLedger:
        """As much of the ledger as a charge asks."""

        wall_clock = staticmethod(lambda: 0.0)
        sync = None

        def post(self, row: CallRow, slot: Slot, _choices: int, *, counted: int) -> None:
            """Write the row at once."""
            rows.append(row)
            slot.free()

    slot = FailingSlot()
    opening = Opening(ID, "default", "key_1", "m", True, 0, 3, prices=UnitPrices(*[PRICE_MAX] * 7))
    charge = Charge(RowsLedger(), opening, cast("Slot", slot), offer=Offer(Target("v", "m", "openai"), "v/m"))
    ending = Ending(COMPLETED, Usage(3, 5), Delivered(5, 5), 1, 0, 0, 1, 9, None)
    charge.close(ending)
    with pytest.raises(ValueError, match="no room"):
        charge.confirm(Delivered(2, 5), whole=False)
    assert slot.freed == 1
    assert [row.billed.output_tokens for row in rows] == [2]


@pytest.mark.parametrize(("kind", "longest"), [(check_label, LABEL_CHARACTERS_MAX), (check_account, ACCOUNT_CHARACTERS_MAX)])
def test_names_of_keys_and_accounts_end_at_their_bound(kind: Callable[[str], str], longest: int) -> None:
    """[fault S2] One more than fits is refused where it is entered."""
    assert kind("x" * longest) == "x" * longest
    with pytest.raises(ApiError):
        kind("x" * (longest + 1))


def test_names_of_the_configuration_end_at_the_same_bounds() -> None:
    """[fault S2] What a caller may write, an operator may configure, and no more."""
    assert check("models.<name>", "m" * MODEL_NAME_CHARACTERS_MAX, None) is None
    assert check("models.<name>", "m" * (MODEL_NAME_CHARACTERS_MAX + 1), None) is not None
    assert check("vendors.<name>", "v" * VENDOR_NAME_CHARACTERS_MAX, None) is None
    assert check("vendors.<name>", "v" * (VENDOR_NAME_CHARACTERS_MAX + 1), None) is not None
    vendors = {"v": Vendor(base_url="http://a.example/v1")}
    for size, flaws in ((MODEL_NAME_CHARACTERS_MAX, 0), (MODEL_NAME_CHARACTERS_MAX + 1, 1)):
        config = Config(vendors=vendors, models={"m": Model(to=("v/" + "d" * size,))})
        assert len(list(check_targets(config, ["v"], {}))) == flaws
    assert parse_chat(body(model="m" * MODEL_NAME_CHARACTERS_MAX)).model == "m" * MODEL_NAME_CHARACTERS_MAX


def asked_at(door: str, name: str) -> tuple[Door, dict[str, Any]]:
    """A door, and what is asked there of a model of this name."""
    if door == "gemini":
        return GeminiDoor(name, stream=False), SPEAKERS[door].ask("text")
    if door == "gemini embeddings":
        return GeminiEmbeddingsDoor(name, batch=False), {"content": {"parts": [{"text": "a"}]}}
    if door == "embeddings":
        return EMBEDDINGS_DOOR, {"model": name, "input": "a"}
    if door == "rerank":
        return RERANK_DOOR, {"model": name, "query": "a", "documents": ["b"]}
    return SPEAKERS[door].door, {**SPEAKERS[door].ask("text"), "model": name}


@pytest.mark.parametrize("odd", ["\0", "\n", "\x7f", "\x9b", "\u2028", "\u202e", "\U000e0001"])
@pytest.mark.parametrize("door", [*SPEAKERS, "gemini embeddings", "embeddings", "rerank"])
def test_a_name_that_cannot_be_printed_is_refused_at_every_door(door: str, odd: str) -> None:
    """[fault S2] Row, log line and vendor would each have another name for the model."""
    there, request = asked_at(door, f"a{odd}b")
    with pytest.raises(ApiError, match=f"U\\+{ord(odd):04X}") as refused:
        there.read(json.dumps(request).encode())
    assert (refused.value.code, refused.value.param) == ("invalid_request", "model")
    there, request = asked_at(door, "a 語")
    assert there.read(json.dumps(request).encode()).model == "a 語"
