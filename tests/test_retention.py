"""Sums by hour and day, and the removal of rows: every figure is the same before and after, whatever the clocks said."""

from __future__ import annotations

import asyncio
import calendar
import json
import random
from collections import Counter
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TypeVar, cast

import psycopg
import pytest
import uvloop
from alembic import command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, delete, insert, inspect, select, update

from aisa.clock import pause
from aisa.config.ledger_settings import Ledger
from aisa.edge.admin_calls import CallRoutes
from aisa.edge.admin_route import Asked
from aisa.edge.key_usings import KeyUsings
from aisa.edge.statement import Statement
from aisa.errors import ApiError
from aisa.facts import Fact, ServerWarning
from aisa.ids import first_id
from aisa.keys.store import KeyStore
from aisa.ledger.audit import audit
from aisa.ledger.find import CallFinder
from aisa.ledger.pieces import HOUR_MS, ROWS, RolledUp, pieces_of
from aisa.ledger.port_admin import AuditReport
from aisa.ledger.port_usage import ACCOUNT, DAY, DAY_MS, GROUPINGS, KEY, MODEL, VENDOR, Span, Used, day_of
from aisa.ledger.removal import insert_left, remove_old
from aisa.ledger.retention import REMOVE_AFTER_LOOKS, Retention
from aisa.ledger.row import CallRow
from aisa.ledger.rules import CLIENT_GONE, CUT, FAILED
from aisa.ledger.store import LedgerStore
from aisa.ledger.sums import STEP_ROWS, earliest, known_of, roll_up
from aisa.ledger.usage import UsageStore
from aisa.ledger.writer import Errand, Writer, insert_rows, write
from aisa.storage.engine import Database, open_database, version_of
from aisa.storage.failure import StorageFailed
from aisa.storage.migrate import alembic_config, migrate
from aisa.storage.months import AHEAD, OTHER, drop_empty, make_ahead, parts_of
from aisa.storage.postgres import open_postgres, parsed
from aisa.storage.tables import accounts, calls, made_sums, removed_calls, removed_files, rolled_up, usage_sums
from aisa.testing.clock import run_virtual
from aisa.usage import COUNTED, Usage
from faults_rig import until
from postgres_rig import Postgres, needs_postgres, postgres_only, sqlite_only
from repeats import repeats
from rows import priced

Result = TypeVar("Result")
MIDNIGHT = 1_767_225_600_000  # 2026-01-01T00:00:00Z
EVER = Span(0, 2**46)
#: Around borders of hours, days and months of UTC, and by clocks that were never set or are years ahead.
MOMENTS = [
    *(MIDNIGHT + days * DAY_MS + hours * HOUR_MS + ms for days in (-33, -1, 0, 1) for hours in (0, 1, 13) for ms in (-1, 0, 1, 1_799_999)),
    *(0, 5, 86_399_999, MIDNIGHT + 1_000 * DAY_MS),
]
moments = st.sampled_from(MOMENTS)
LITTLE = Usage(10, 2, source=COUNTED, input_source=COUNTED)


@pytest.fixture
def database(opened: Database) -> Database:
    """A database with the accounts that the rows name."""
    with opened.transaction() as connection:
        connection.execute(insert(accounts).values(name="acme", balance=None, charged=0, spent=0, calls=0, created_at=1))
    return opened


def emptied(database: Database) -> Database:
    """Have a database be as it was made: for the next of a property's examples."""
    with database.transaction() as connection:
        for table in (calls, usage_sums, made_sums, removed_calls, removed_files):
            connection.execute(delete(table))
        connection.execute(update(rolled_up).values(rolled_ms=0, removed_ms=0))
        connection.execute(update(accounts).values(charged=0, spent=0, calls=0))
    return database


def row(number: int, began_ms: int, ended_ms: int, **fields: Any) -> CallRow:
    """Return a call whose id says when it began."""
    return priced(number, id=f"{first_id(began_ms)}{number:016d}", began_ms=began_ms, ended_ms=max(began_ms, ended_ms), **fields)


endings = st.sampled_from(
    [
        {},
        {"outcome": FAILED, "usage": Usage()},
        {"outcome": CUT, "usage": LITTLE, "delivered": 2},
        {
            "outcome": CLIENT_GONE,
            "usage": LITTLE,
            "delivered": 2,
            "generated": Usage(10, 9),
        },  # amended downwards: less arrived than was made
        {"marks": "answered_otherwise", "answered_model": "gpt-5-2025-08-07", "vendor_cost": 7, "reported_cost": 5},
        {"prices": None, "first_token_ms": 40, "vendor_cost": 3},
    ]
)
drawn_rows = st.lists(
    st.tuples(
        moments,
        moments,
        st.sampled_from(["default", "acme"]),
        st.sampled_from(["key_1", "key_2"]),
        st.sampled_from(["openai/gpt-5", "other/gpt-5", ""]),
        st.booleans(),
        endings,
    ),
    max_size=8,
)
steps = st.lists(
    st.tuples(st.just("write"), drawn_rows) | st.tuples(st.just("roll up"), moments) | st.tuples(st.just("remove"), moments), max_size=8
)
spans = st.tuples(moments, moments, st.integers(-2, 2)).map(
    lambda ends: Span(min(ends[:2]), max(max(ends[:2]) + ends[2], min(ends[:2]) + 1))
)
whose = st.sampled_from([{}, {"whose": "key_1"}, {"account": "acme"}])


def expected(rows: list[CallRow], by: str, span: Span) -> dict[str, Used]:
    """Return the sums, added up row by row."""
    sums: dict[str, Used] = {}
    for each in rows:
        if span.has(each):
            vendor, day = each.target.partition("/")[0], day_of(each.ended_ms)
            group = {KEY: each.key_id, ACCOUNT: each.account, MODEL: each.model, VENDOR: vendor, DAY: day}[by]
            sums.setdefault(group, Used()).add(each)
    return dict(sorted(sums.items()))


def done(database: Database, what: str, drawn: Any, written: list[CallRow]) -> None:
    """Do one of the steps."""
    if what == "write":
        first = len(written)
        made = [
            row(first + number, *times, account=account, key_id=key, target=target, prepaid=prepaid, **ending)
            for number, (*times, account, key, target, prepaid, ending) in enumerate(drawn)
        ]
        insert_rows(database, made)
        insert_rows(database, made[:2])  # an answer was lost, and they are sent again
        written += made
        return
    step, more = {"roll up": roll_up, "remove": remove_old}[what], True
    while more:
        with database.transaction() as connection:
            more = step(connection, drawn)


@given(steps, spans, whose, st.sampled_from(GROUPINGS))
@settings(max_examples=repeats(120), deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_sums_say_what_the_rows_said(database: Database, drawn: list[tuple[str, Any]], span: Span, ours: dict[str, str], by: str) -> None:
    """Whatever order calls are written, summed up and removed in, and whatever their times, every sum is that of all calls ever written.

    Or it is refused, because it cuts an hour whose rows are gone. And the audit adds up.
    """
    emptied(database)
    written: list[CallRow] = []
    for what, how in drawn:
        done(database, what, how, written)
        store = LedgerStore(database, lambda: 1)
        with database.reading() as connection:
            known = known_of(connection)
        assert UsageStore(database).used(by, EVER._replace(**ours)) == expected(written, by, EVER._replace(**ours))
        whole = span._replace(start_ms=span.start_ms // HOUR_MS * HOUR_MS, end_ms=-(-span.end_ms // HOUR_MS) * HOUR_MS, **ours)
        assert UsageStore(database).used(by, whole) == expected(written, by, whole)
        cut = span._replace(**ours)
        if any(border % HOUR_MS and border < known.removed_ms for border in (cut.start_ms, cut.end_ms)):
            with pytest.raises(ApiError, match="full hours"):
                UsageStore(database).used(by, cut)
        else:
            assert UsageStore(database).used(by, cut) == expected(written, by, cut)
        assert (
            store.spent_in(whole._replace(whose="key_2", account=None))
            == sum(each.cost for each in written if whole.has(each) and each.key_id == "key_2")
            or ours
        ), "of one key"
        assert store.newest_ms("key_1") == max((each.ended_ms for each in written if each.key_id == "key_1"), default=0)
        report = audited(store)
        assert report.counts == {}
        assert report.calls + report.removed == len(written)
        assert made_of_days(store, span) == made_by_rows(written, span)


def made_of_days(store: LedgerStore, span: Span) -> Counter[tuple[str, str]]:
    """Return the tokens that a vendor made in the days of a span, the last ones, by model."""
    start_ms = span.start_ms // DAY_MS * DAY_MS
    made = finished(store.made("openai", start_ms, start_ms + 3 * DAY_MS))
    return Counter({(each.day, each.model): each.input_tokens + each.output_tokens + each.reported for each in made})


def made_by_rows(written: list[CallRow], span: Span) -> Counter[tuple[str, str]]:
    """Return the same, row by row."""
    start_ms = span.start_ms // DAY_MS * DAY_MS
    found: Counter[tuple[str, str]] = Counter()
    for each in written:
        if each.target == "openai/gpt-5" and start_ms <= each.ended_ms < start_ms + 3 * DAY_MS:
            made = each.generated.input_tokens + each.generated.output_tokens + (each.reported_cost is not None)
            found[day_of(each.ended_ms), each.answered_model or "gpt-5"] += made
    return found


def audited(store: LedgerStore) -> AuditReport:
    """Audit to the end."""
    return finished(store.audit())


def finished(steps: Generator[None, None, Result]) -> Result:
    """Do all steps, and return what comes of them."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result


@contextmanager
def undone(database: Database) -> Generator[Connection]:
    """Run a transaction that is never committed."""
    with suppress(ZeroDivisionError), database.transaction() as connection:
        yield connection
        raise ZeroDivisionError


@given(moments, moments, moments, moments)
@settings(max_examples=repeats(300), deadline=None)
def test_the_pieces_of_a_span_are_the_span(start_ms: int, end_ms: int, rolled_ms: int, removed_ms: int) -> None:
    """They follow each other without a gap, sums are of whole hours that are over, and rows are asked for only where all of them are."""
    if start_ms >= end_ms:
        return
    known = RolledUp(rolled_ms, min(removed_ms // DAY_MS * DAY_MS, rolled_ms // DAY_MS * DAY_MS))
    try:
        pieces = pieces_of(start_ms, end_ms, known)
    except ApiError:
        assert start_ms % HOUR_MS or end_ms % HOUR_MS
        return
    assert [piece.start_ms for piece in pieces] == [start_ms, *(piece.end_ms for piece in pieces[:-1])]
    assert pieces[-1].end_ms == end_ms
    for piece in pieces:
        if piece.source == ROWS:
            assert piece.start_ms >= known.removed_ms
        else:
            width = piece.source * HOUR_MS
            assert piece.start_ms % width == 0
            assert piece.end_ms % width == 0 or piece.end_ms == rolled_ms <= end_ms
            assert piece.end_ms <= rolled_ms
    assert len(pieces) <= 5


def test_more_calls_than_a_step_takes_are_summed_up_in_several(database: Database) -> None:
    """A step holds other writers up for as long as it takes, so a busy minute is not one step."""
    number = STEP_ROWS + 500
    for start in range(0, number, 500):
        insert_rows(database, [row(each, MIDNIGHT, MIDNIGHT + each * 20) for each in range(start, start + 500)])
    with database.transaction() as connection:
        assert roll_up(connection, MIDNIGHT + DAY_MS)
        assert MIDNIGHT < known_of(connection).rolled_ms < MIDNIGHT + number * 20
    while True:
        with database.transaction() as connection:
            if not roll_up(connection, MIDNIGHT + DAY_MS):
                break
    assert UsageStore(database).used(DAY, Span(MIDNIGHT, MIDNIGHT + DAY_MS))["2026-01-01"].requests == number


@sqlite_only
def test_where_to_go_on_is_found_without_a_look_at_every_call(database: Database) -> None:
    """Ten times the calls are not twice the steps of the database, with its lock held: of ten million it was seven seconds."""
    steps: list[int] = []
    for end in (400, 4_000):
        for start in range(0 if end == 400 else 400, end, 400):
            insert_rows(database, [row(each, MIDNIGHT, MIDNIGHT + each) for each in range(start, start + 400)])
        with database.transaction() as connection:
            driver: Any = connection.connection.driver_connection
            taken = count()
            driver.set_progress_handler(lambda taken=taken: next(taken) and None, 1)
            assert earliest(connection, MIDNIGHT + end - 2) == MIDNIGHT + end - 2
            driver.set_progress_handler(None, 1)
        steps.append(next(taken))
    assert 0 < steps[1] < 2 * steps[0]


def swept(database: Database, before_ms: int, folder: Path | None = None) -> None:
    """Sum up and remove all that is from before a moment."""
    for step in (partial(roll_up, before_ms=before_ms), partial(remove_old, before_ms=before_ms, folder=folder)):
        more = True
        while more:
            with database.transaction() as connection:
                more = step(connection)


def test_removed_calls_are_in_files_once(database: Database, tmp_path: Path) -> None:
    """Each in the file of the month in which it ended, as `aisa ledger export` writes it, also if a step dies before it is committed."""
    written = [row(each, MIDNIGHT - 40 * DAY_MS + each * HOUR_MS, MIDNIGHT - 40 * DAY_MS + each * HOUR_MS + 5) for each in range(1_200)]
    for start in range(0, 1_200, 400):
        insert_rows(database, written[start : start + 400])
    cutoff = MIDNIGHT + 9 * DAY_MS
    with database.transaction() as connection:
        while roll_up(connection, cutoff):
            pass
    with undone(database) as connection:  # as if the process died before the commit
        remove_old(connection, cutoff, tmp_path / "old")
    swept(database, cutoff, tmp_path / "old")
    insert_rows(database, [row(5_000, MIDNIGHT + 7, MIDNIGHT + 8)])  # comes late, and goes at the next sweep
    swept(database, cutoff, tmp_path / "old")
    gone = [each for each in written if each.ended_ms < cutoff]
    found = [json.loads(line)["id"] for path in sorted((tmp_path / "old").iterdir()) for line in path.read_text().splitlines()]
    assert sorted(found) == sorted([*(each.id for each in gone), f"{first_id(MIDNIGHT + 7)}{5_000:016d}"])
    assert {path.name for path in (tmp_path / "old").iterdir()} == {"calls-2025-11.jsonl", "calls-2025-12.jsonl", "calls-2026-01.jsonl"}
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in (tmp_path / "old").iterdir())
    removal = UsageStore(database).removal(MIDNIGHT + 3)
    assert removal is not None
    assert (removal.before_ms, removal.file) == (cutoff, "calls-2026-01.jsonl")
    assert UsageStore(database).removal(cutoff) is None


def test_a_file_that_was_moved_away_is_begun_anew(database: Database, tmp_path: Path) -> None:
    """Whoever takes the files to another place loses nothing: what comes later for the month stands in a new one."""
    insert_rows(database, [row(1, MIDNIGHT, MIDNIGHT)])
    swept(database, MIDNIGHT + DAY_MS, tmp_path / "old")
    (tmp_path / "old" / "calls-2026-01.jsonl").rename(tmp_path / "taken")
    insert_rows(database, [row(2, MIDNIGHT, MIDNIGHT)])
    swept(database, MIDNIGHT + DAY_MS, tmp_path / "old")
    for place, number in ((tmp_path / "taken", 1), (tmp_path / "old" / "calls-2026-01.jsonl", 2)):
        assert [json.loads(line)["id"] for line in place.read_text().splitlines()] == [f"{first_id(MIDNIGHT)}{number:016d}"]


def test_lines_of_another_database_are_never_cut_off(database: Database, tmp_path: Path) -> None:
    """[fault M6] The calls of another server in the same folder, or of a data folder that is no more, may stand nowhere else."""
    folder = tmp_path / "old"
    folder.mkdir()
    file = folder / "calls-2026-01.jsonl"
    others = b"".join(b'{"id":"%s%016d"}\n' % (first_id(MIDNIGHT).encode(), number) for number in range(700, 1_400)) + b'{"id":"re'
    insert_rows(database, [row(1, MIDNIGHT, MIDNIGHT)])
    for left in (others, b"not ours\n"):
        file.write_bytes(left)
        with pytest.raises(StorageFailed, match="calls that this server's database does not have"):
            swept(database, MIDNIGHT + DAY_MS, folder)
        assert file.read_bytes() == left
    assert audited(LedgerStore(database, lambda: 1)).calls == 1
    file.unlink()
    swept(database, MIDNIGHT + DAY_MS, folder)
    assert len(file.read_text().splitlines()) == 1


def test_after_a_back_up_is_restored_calls_are_in_files_once(database: Database, tmp_path: Path) -> None:
    """[fault M6] What was written since is there again as rows: their lines are written anew, be they more than one step takes."""
    written = [row(each, MIDNIGHT, MIDNIGHT + each) for each in range(1_200)]
    for _ in range(2):  # a database that knows nothing of the file
        emptied(database)
        for start in range(0, 1_200, 400):
            insert_rows(database, written[start : start + 400])
        swept(database, MIDNIGHT + DAY_MS, tmp_path / "old")
    lines = (tmp_path / "old" / "calls-2026-01.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [each.id for each in written]


def test_calls_stay_where_they_cannot_be_written(database: Database, tmp_path: Path) -> None:
    """A folder that is none keeps every row, says so with the setting to look at, and changes nothing."""
    insert_rows(database, [row(1, MIDNIGHT, MIDNIGHT)])
    (tmp_path / "file").touch()
    with pytest.raises(StorageFailed, match=r"ledger\.export_dir"):
        swept(database, MIDNIGHT + DAY_MS, tmp_path / "file" / "below")
    assert audited(LedgerStore(database, lambda: 1)).calls == 1
    with database.reading() as connection:
        assert known_of(connection).removed_ms == 0


def test_a_call_that_is_not_summed_up_stays(database: Database) -> None:
    """However old it is: a removal that comes before the roll-up finds nothing to remove."""
    insert_rows(database, [row(1, 5, 6)])
    with database.transaction() as connection:
        assert not remove_old(connection, MIDNIGHT)
    assert audited(LedgerStore(database, lambda: 1)).calls == 1


def test_the_audit_finds_what_was_changed_in_the_sums(database: Database) -> None:
    """[fault kind: money] A sum, what removed calls came to and a row that is in the sums: whichever is changed is told, by its account."""
    insert_rows(database, [row(1, MIDNIGHT, MIDNIGHT), row(2, MIDNIGHT + 40 * DAY_MS, MIDNIGHT + 40 * DAY_MS)])
    swept(database, MIDNIGHT + DAY_MS)
    with database.transaction() as connection:
        while roll_up(connection, MIDNIGHT + 50 * DAY_MS):
            pass
    store = LedgerStore(database, lambda: 1)
    assert audited(store).counts == {}
    assert (audited(store).calls, audited(store).removed, audited(store).proven_since_ms) == (1, 1, MIDNIGHT + DAY_MS)
    for statement, kinds in (
        (update(usage_sums).where(usage_sums.c.hours == 1).values(cost=usage_sums.c.cost + 1), {"rolled"}),
        (update(usage_sums).where(usage_sums.c.hours == 24).values(charged=usage_sums.c.charged + 1), {"rolled"}),
        (update(removed_calls).values(spent=removed_calls.c.spent - 1), {"rolled", "sum"}),
        (delete(removed_calls), {"rolled", "sum", "missing"}),
        (delete(calls), {"rolled", "sum", "missing"}),
        (delete(usage_sums), {"rolled"}),
    ):
        with undone(database) as connection:
            connection.execute(statement)
            report = finished(audit(connection, ()))
        assert set(report.counts) == kinds
        assert {difference.where for difference in report.differences} == {"default"}


def test_who_asks_for_a_removed_call_is_told(database: Database, tmp_path: Path) -> None:
    """`aisa explain`, by its whole id or its beginning, says since when calls are kept and where it is."""
    insert_rows(database, [row(1, MIDNIGHT, MIDNIGHT), row(2, MIDNIGHT + DAY_MS, MIDNIGHT + DAY_MS)])
    swept(database, MIDNIGHT + DAY_MS, tmp_path / "old")
    statement = Statement(None, UsageStore(database))
    keys = KeyStore(database, lambda: 1, random.Random(1))
    routes = {route.path: route for route in CallRoutes(statement, keys, CallFinder(database)).routes()}
    gone, newer = row(1, MIDNIGHT, MIDNIGHT).id, row(3, MIDNIGHT + 2 * DAY_MS, MIDNIGHT + 2 * DAY_MS).id
    for name in (gone, gone.removeprefix("req_").lower(), gone[:20]):
        with pytest.raises(ApiError, match=r"ended before 2026-01-02T00:00:00Z have been removed.*look for its id in calls-2026-01\.jsonl"):
            routes["/calls/{name}"].handler(Asked(name, {}, b""))
    for name in (newer, "nonsense"):
        with pytest.raises(ApiError, match="There is no call") as caught:
            routes["/calls/{name}"].handler(Asked(name, {}, b""))
        assert "removed" not in caught.value.message


def test_a_key_whose_calls_are_removed_was_used_all_the_same(database: Database) -> None:
    """When it was last used stays known, from where does not; and what it has spent since any full hour."""
    insert_rows(database, [row(1, MIDNIGHT, MIDNIGHT + 9)])
    swept(database, MIDNIGHT + DAY_MS)
    usings = KeyUsings(Statement(None, UsageStore(database)), CallFinder(database), lambda: MIDNIGHT / 1000 + 40 * 86_400)
    assert usings.last_uses(["key_1", "key_2"]) == {"key_1": (MIDNIGHT + 9, None)}
    assert usings.spent_since("key_1", MIDNIGHT // 1000) == row(1, 0, 0).cost


def test_errands_go_on_with_the_clock_and_nothing_is_removed_at_once() -> None:
    """Every ten minutes what has settled is summed up; removal begins an hour after a start, with the settings as they are then."""

    async def scenario() -> None:
        posted: list[Errand] = []
        now = asyncio.get_running_loop().time
        settings = Ledger(keep_days=40)
        Retention(posted.append, lambda: settings, wall_clock=lambda: MIDNIGHT / 1000 + now(), report=lambda _fact: None).look()
        assert [errand.name for errand in posted] == ["roll up", "months"]
        await asyncio.sleep(3_599)
        assert {errand.name for errand in posted}.isdisjoint({"remove", "prune"})
        settings = Ledger(keep_days=50)
        await asyncio.sleep(2)
        (last,) = [errand for errand in posted if errand.name == "remove"]
        assert cast("partial[bool]", last.run).args[0] == MIDNIGHT + 3_600_000 - 50 * DAY_MS

    run_virtual(scenario())


def test_after_a_step_of_the_clock_nothing_is_removed_for_an_hour() -> None:
    """[fault O6] A clock that is set into another year, and back within the hour, takes no call with it; nights asleep are no such step."""

    async def scenario() -> None:
        posted: list[Errand] = []
        time, ahead = asyncio.get_running_loop().time, 0.0
        clock = lambda: MIDNIGHT / 1000 + time() + ahead  # noqa: E731 - it looks at what changes
        Retention(posted.append, lambda: Ledger(keep_days=40), wall_clock=clock, report=lambda _fact: None).look()

        def removed() -> int:
            count = sum(errand.name == "remove" for errand in posted)
            assert sum(errand.name == "prune" for errand in posted) == count  # the refused ones
            posted.clear()
            return count

        await asyncio.sleep(7_201)
        assert removed() == 7
        ahead = 5 * 366 * 86_400
        await asyncio.sleep(3_000)
        assert removed() == 0
        ahead = 0.0
        await asyncio.sleep(4_200)
        assert removed() == 1
        for _ in range(3):
            ahead += 0.9 * 86_400
            await asyncio.sleep(600)
        assert removed() == 3

    run_virtual(scenario())


@postgres_only
def test_parts_of_all_months_follow_each_other_whenever_servers_ran(database: Database) -> None:
    """Over leap years, and years in which none ran or the clock was wrong: the part of a moment is its month's, and two more are there."""
    days = [*range(0, 900, 13), *range(1_400, 1_500, 30), 18_000, *range(1_500, 1_600, 30)]
    for day in days:
        with database.transaction() as connection:
            make_ahead(connection, MIDNIGHT + day * DAY_MS + 86_399_999)
            parts = {part.name: part for part in parts_of(connection)}
        began = datetime.fromtimestamp(MIDNIGHT / 1000 + day * 86_400, UTC)
        for further in range(AHEAD):
            year, month = divmod(began.year * 12 + began.month - 1 + further, 12)
            part = parts[f"calls_{year}_{month + 1:02}"]
            last = calendar.monthrange(year, month + 1)[1]
            assert part.first == first_id(int(datetime(year, month + 1, 1, tzinfo=UTC).timestamp() * 1000))
            assert part.end == first_id(int(datetime(year, month + 1, last, tzinfo=UTC).timestamp() * 1000) + DAY_MS)


def test_a_folder_that_takes_no_calls_is_told_once(tmp_path: Path) -> None:
    """The log names the setting and what is the matter, not every ten minutes anew; the writer goes on."""
    (tmp_path / "data").mkdir()
    database = open_database(str(tmp_path / "data"), migrate)
    insert_rows(database, [row(1, MIDNIGHT, MIDNIGHT)])
    with database.transaction() as connection:
        while roll_up(connection, MIDNIGHT + DAY_MS):
            pass
    (tmp_path / "file").touch()

    async def scenario() -> None:
        facts: list[Fact] = []
        writer = Writer(database, facts.append)
        retention = Retention(
            writer.run_errand,
            lambda: Ledger(keep_days=33, export_dir=str(tmp_path / "file")),
            wall_clock=lambda: MIDNIGHT / 1000 + 90 * 86_400,
            report=facts.append,
        )
        for _ in range(REMOVE_AFTER_LOOKS + 3):
            retention.look()
        await until(lambda: len(facts) > 0)
        writer.post(row(2, MIDNIGHT, MIDNIGHT), lambda: None)
        await until(lambda: writer.waiting == 0)
        assert await writer.stop(10) == 0
        assert ["ledger.export_dir" in fact.message for fact in facts if isinstance(fact, ServerWarning)] == [True]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())
    assert audited(LedgerStore(database, lambda: 1)).calls == 2
    database.close()


def rows_in(database: Database, table: str) -> int:
    """Count the rows of a table or a part of one."""
    with database.reading() as connection:
        return int(connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one())


@postgres_only
def test_each_month_has_a_part_of_its_own_that_goes_when_it_is_empty(database: Database) -> None:
    """Parts are made ahead; what came before its month had one moves there; a call of no month is kept aside; an empty month is dropped."""
    began = (MIDNIGHT - 5, MIDNIGHT, 0, MIDNIGHT + 40 * DAY_MS)
    insert_rows(database, [row(number, moment, MIDNIGHT) for number, moment in enumerate(began, 1)])
    assert rows_in(database, OTHER) == 4
    for moment in (MIDNIGHT - 1, MIDNIGHT - 1, MIDNIGHT + 20 * DAY_MS):
        with database.transaction() as connection:
            make_ahead(connection, moment)
    with database.transaction() as connection:
        names = [part.name for part in parts_of(connection)]
    assert names == ["calls_2025_12", "calls_2026_01", "calls_2026_02", "calls_2026_03"]
    assert [rows_in(database, name) for name in (*names, OTHER, "calls")] == [1, 1, 1, 0, 1, 4]
    insert_rows(database, [row(2, MIDNIGHT, MIDNIGHT), row(5, MIDNIGHT + 1, MIDNIGHT + 1)])  # one of them is known, in whichever part
    assert rows_in(database, "calls") == 5
    swept(database, MIDNIGHT + 3 * DAY_MS)
    with database.transaction() as connection:
        drop_empty(connection, MIDNIGHT + 3 * DAY_MS)
        assert [part.name for part in parts_of(connection)] == ["calls_2026_01", "calls_2026_02", "calls_2026_03"]
    swept(database, MIDNIGHT + 50 * DAY_MS)
    with database.transaction() as connection:
        drop_empty(connection, MIDNIGHT + 50 * DAY_MS)
        assert [part.name for part in parts_of(connection)] == ["calls_2026_02", "calls_2026_03"]
    report = audited(LedgerStore(database, lambda: 1))
    assert (report.counts, report.calls, report.removed) == ({}, 0, 5)


def write_as_before(connection: Connection, rows: list[CallRow]) -> None:
    """Write rows into a table that has not all columns of today."""
    has = {column["name"] for column in inspect(connection).get_columns("calls")}
    lacking = [column.name for column in calls.columns if column.name not in has]
    for name in lacking:
        connection.exec_driver_sql(f"ALTER TABLE calls ADD COLUMN {name} text")
    write(connection, rows)
    for name in lacking:
        connection.exec_driver_sql(f"ALTER TABLE calls DROP COLUMN {name}")


@needs_postgres
@pytest.mark.parametrize("full", [True, False])
def test_a_table_of_before_becomes_the_first_part(postgres: Postgres, *, full: bool) -> None:
    """Its calls stay where they are and are found by every way; by what docs/stores.md says, it is the whole table again afterwards."""
    url = postgres.fresh()
    engine = create_engine(parsed(url))
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "0044")
        if full:
            write_as_before(connection, [row(1, 0, 5), row(2, MIDNIGHT, MIDNIGHT)])
    refused = pytest.raises(StorageFailed, match=r"Servers of another version use this database \(1 connections\).*Stop all of them")
    former = psycopg.connect(url, application_name="aisa")  # as servers of schema 0044 call themselves

    def ended(seconds: float) -> None:
        former.close()
        pause(seconds)

    with closing(former):
        with refused:
            open_postgres(url, migrate, pause=lambda _: None)
        told: list[str] = []
        # PostgreSQL lists it for a moment after it has gone: who replaces the version at once is not told to stop it
        database = open_postgres(url, partial(migrate, tell=told.append), pause=ended)
    assert "0045  Divides PostgreSQL's table of calls by months" in told[0]
    insert_rows(database, [row(3, MIDNIGHT + 1, MIDNIGHT + 1), row(4, 2**42, 2**42)])
    with database.transaction() as connection:
        make_ahead(connection, MIDNIGHT + 4_000 * DAY_MS)
    assert rows_in(database, "calls") == (4 if full else 2)
    assert (rows_in(database, "calls_before") if full else 3) == 3
    assert [made.requests for made in UsageStore(database).used(DAY, EVER).values()] == ([1, 2, 1] if full else [1, 1])
    database.close()
    engine.dispose()


@needs_postgres
def test_the_way_back_of_the_page_makes_it_one_table_again(postgres: Postgres) -> None:
    """What docs/stores.md says brings schema 0045 back to 0044 with every call, and it can be divided again."""
    url = postgres.fresh()
    page = (Path(__file__).parent.parent / "docs" / "stores.md").read_text()
    engine = create_engine(parsed(url))
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "0044")
        write_as_before(connection, [row(1, 0, 5), row(2, MIDNIGHT, MIDNIGHT)])
        command.upgrade(alembic_config(connection), "0045")
        make_ahead(connection, MIDNIGHT + 4_000 * DAY_MS)
        write_as_before(connection, [row(3, 2**42, 2**42)])
    postgres.sql(url, page.partition("```sql\n")[2].partition("```")[0])
    with engine.begin() as connection:
        assert len(connection.execute(select(calls.c.id)).all()) == 3
        assert version_of(connection) == "0044"
        command.upgrade(alembic_config(connection), "0045")
        assert connection.exec_driver_sql("SELECT count(*) FROM calls_before").scalar() == 3
    engine.dispose()


@needs_postgres
def test_a_journal_that_is_older_than_what_is_kept_is_refused(postgres: Postgres) -> None:
    """Whether its calls were billed cannot be told any more, so a server that was away for so long does not bill them again."""
    database = open_postgres(postgres.migrated(), migrate)
    billed = [row(number, MIDNIGHT, MIDNIGHT) for number in range(3)]
    insert_rows(database, billed)
    assert insert_left(database, billed) == 0
    swept(database, MIDNIGHT + DAY_MS)
    with pytest.raises(StorageFailed, match=r"3 calls.*before 2026-01-02T00:00:00Z.*aisa wallet adjust"):
        insert_left(database, billed)
    assert insert_left(database, [row(9, MIDNIGHT + DAY_MS, MIDNIGHT + DAY_MS)]) == 1
    database.close()
