"""`aisa status`: how a server is, what of it needs attention, and an exit status for who watches it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from aisa.cli.status_lines import page
from aisa.config.schema import Config, Embedded, Model, Prices, Vendor
from aisa.edge.admin_status import ROOM_BYTES_LOW, Attention, StatusShown, StoreShown, with_attention
from aisa.edge.admin_views import NOT_REACHED, Trouble, VendorLimit, VendorShown
from aisa.http.certificate import end_of
from aisa.routing import Routes
from aisa.standing import stranded
from postgres_rig import needs_postgres, postgres_server
from server import PROCESS_SECONDS_MAX, environment, serving

WELL = StatusShown(True, {"aisa": "0"}, StoreShown("/data", 1, 0, ROOM_BYTES_LOW, "0021"), journal_slots=1_024)
NOW = 1_795_878_000.0
DAY = 86_400


def found(status: StatusShown) -> list[tuple[str, str]]:
    """What needs attention: how much, and what."""
    return [(each.level, each.what) for each in with_attention(status, NOW).attention]


def vendor(*troubles: Trouble) -> VendorShown:
    """A vendor with these troubles."""
    return VendorShown("openai", 1, 0, 0, None, troubles)


def failing(reason: str, seconds: float, unheard: str = "") -> StatusShown:
    """A vendor that fails as a whole."""
    failed = vendor(Trouble("openai", 3, seconds, reason))
    return msgspec.structs.replace(WELL, vendors=(msgspec.structs.replace(failed, unheard=unheard),))


def never_reached() -> StatusShown:
    """A vendor that could not even be asked for its list."""
    return msgspec.structs.replace(WELL, vendors=(msgspec.structs.replace(vendor(), unheard=NOT_REACHED),))


CASES: dict[str, tuple[StatusShown, str, str]] = {
    "stranded": (
        msgspec.structs.replace(WELL, stranded=tuple(f"m{number}" for number in range(7))),
        "warning",
        "Calls to `m0`, `m1`, `m2`, `m3`, `m4` and 2 more may fail meanwhile: nothing else serves them.",
    ),
    "disk full": (msgspec.structs.replace(WELL, store=StoreShown("/data", 1, 0, 1 << 20, "1")), "error", "has 1 MiB left"),
    "disk low": (msgspec.structs.replace(WELL, store=StoreShown("/data", 1, 0, 512 << 20, "1")), "warning", "has 512 MiB left"),
    "open folder": (
        msgspec.structs.replace(WELL, store=StoreShown("/data", 1, 0, ROOM_BYTES_LOW, "1", "other users may look; close it")),
        "warning",
        "Other users may look.",
    ),
    "ledger away": (msgspec.structs.replace(WELL, ledger_away=True, rows_waiting=3), "error", "3 ended calls wait"),
    "limits away": (msgspec.structs.replace(WELL, limits_away=True), "error", "The store of limits does not answer."),
    "journal half full": (msgspec.structs.replace(WELL, journal_slots_taken=512), "warning", "512 of 1,024"),
    "key refused": (failing("key_refused", 5.0), "error", "openai refuses our key; it is asked last for 5 s more."),
    "key refused once": (failing("key_refused", 0.0), "error", "openai refuses our key; it has said so 3 times in a row."),
    "never reached": (never_reached(), "warning", "openai was not reached since the server began"),
    "never reached, and asked": (failing("unreachable", 0.0, NOT_REACHED), "warning", "openai was not reached since the server began"),
    "never reached, and rests": (failing("unreachable", 5.0, NOT_REACHED), "warning", "openai cannot be reached; it is asked last"),
    "no credit": (failing("no_credit", 5.0), "error", "openai has no credit for us; it is asked last"),
    "unreachable": (failing("unreachable", 5.0), "warning", "openai cannot be reached; it is asked last"),
    "unreachable, and asked again": (
        failing("unreachable", 0.0),
        "warning",
        "openai could not be used 3 times in a row; the next call asks it again.",
    ),
    "target asked again": (
        msgspec.structs.replace(WELL, vendors=(vendor(Trouble("openai/x", 3, 0.0)),)),
        "warning",
        "openai/x has failed 3 times in a row; the next call asks it again.",
    ),
    "target down": (
        msgspec.structs.replace(WELL, vendors=(vendor(Trouble("openai/x", 3, 5.0)),)),
        "warning",
        "openai/x has failed 3 times",
    ),
    "certificate ended": (msgspec.structs.replace(WELL, certificate_ends=int(NOW)), "error", "has ended"),
    "certificate ends": (msgspec.structs.replace(WELL, certificate_ends=int(NOW) + 3 * DAY + 5), "warning", "ends in 3 days"),
    "certificate made for 5 days": (msgspec.structs.replace(WELL, certificate_ends=int(NOW) + 5 * DAY - 9), "warning", "ends in 5 days"),
    "certificate ends today": (msgspec.structs.replace(WELL, certificate_ends=int(NOW) + 9), "warning", "ends within hours"),
}


def test_how_full_a_vendor_s_limits_are_is_shown() -> None:
    """Of each kind that is limited what is used, and who waits."""
    limit = VendorLimit("openai/x", 60, 12, 1_000, 1_000, None, None, 3, 1.25, shared=True)
    shown = page(msgspec.structs.replace(WELL, vendors=(msgspec.structs.replace(vendor(), limits=(limit,)),)))
    assert "openai/x  48 of 60 calls a minute; 0 of 1,000 tokens a minute" in shown
    assert "3 wait, the first for 1.2 s" in shown


def test_a_shared_database_is_named() -> None:
    """Of a server whose database is PostgreSQL it said `database 0 B`, of the folder where there is none."""
    shared = msgspec.structs.replace(WELL.store, database_bytes=0, shared="postgresql://aisa:***@db.internal/aisa")
    shown = page(msgspec.structs.replace(WELL, store=shared))
    assert "postgresql://aisa:***@db.internal/aisa (schema 0021)" in shown
    assert "0 B" not in shown


@needs_postgres
def test_a_server_on_postgresql_names_its_database_and_itself_and_no_password(tmp_path: Path) -> None:
    """Neither that before the host nor that behind the question mark, which libpq takes as well."""
    with postgres_server() as postgres:
        url = postgres.fresh()
        with serving(tmp_path, "", variables={"DATABASE_URL": f"{url.replace('aisa@', 'aisa:s3cret@', 1)}&password=s3cret"}) as server:
            shown = server.aisa("status")
            whole = server.aisa("status", "--json")
            called = (server.folder / "data" / "server.id").read_bytes().hex()  # as other servers name it in their logs
    assert f"where this server is called {called}".replace(" ", "") in "".join(shown.split())
    assert f"postgresql://aisa:***@/{url.partition('?')[0].rpartition('/')[2]}" in "".join(shown.split())
    assert "s3cret" not in shown + whole


@pytest.mark.parametrize("case", CASES)
def test_what_needs_attention_is_told(case: str) -> None:
    """[issue 14] Each by itself, at its level, with what to do."""
    status, level, what = CASES[case]
    [(told_level, told)] = found(status)
    assert (told_level, what in told) == (level, True)
    assert all(each.remedy for each in with_attention(status, NOW).attention)


def test_a_server_that_is_well_needs_no_attention() -> None:
    """A watcher is not woken for a single failure, or what is weeks away."""
    well = msgspec.structs.replace(
        WELL, vendors=(vendor(Trouble("openai", 1, 0.0, "unreachable"), Trouble("openai/x", 1, 0.0)),), certificate_ends=int(NOW) + 15 * DAY
    )
    assert found(WELL) == found(well) == []


def test_a_vendor_that_is_down_is_told_behind_its_rests_as_within_them() -> None:
    """[fault P13] Of one that was reached before it was told in turns: while it rested, and not until the next call asked it again."""
    for reason in ("unreachable", ""):
        told = [bool(found(msgspec.structs.replace(WELL, vendors=(vendor(Trouble("openai", 4, rest, reason)),)))) for rest in (9.0, 0.0)]
        assert told == [True, True]


def test_a_vendor_whose_rest_is_over_is_not_said_to_be_away_above_that_all_is_well() -> None:
    """[fault P13] "cannot be reached" stood above "Nothing needs attention", in turns; what failed once is asked again by the next call."""
    over, resting = (page(with_attention(failing("unreachable", seconds), NOW)) for seconds in (0.0, 5.0))
    assert "not reached lately" in over
    assert "cannot be reached" not in over
    assert ("cannot be reached" in resting, "Nothing needs attention" in over + resting) == (True, False)
    once = page(with_attention(msgspec.structs.replace(WELL, vendors=(vendor(Trouble("openai/x", 1, 0.0)),)), NOW))
    assert "Nothing needs attention now. What failed lately is asked again by the next call" in once


def test_what_must_be_acted_on_stands_first() -> None:
    """However many things are only to be looked at."""
    bad = with_attention(msgspec.structs.replace(WELL, journal_slots_taken=1_024), NOW, [Attention("error", "x", "y")])
    assert [each.level for each in bad.attention] == ["error", "warning"]


def watched(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a monitor would."""
    command = [sys.executable, "-m", "aisa", "status", *words, "--data-dir", str(folder)]
    return subprocess.run(command, check=False, env=environment(), capture_output=True, text=True, timeout=PROCESS_SECONDS_MAX)


def test_a_running_server_is_shown_and_one_that_stopped_is_missed(tmp_path: Path) -> None:
    """[issue 14] 0 and the server's own words while it runs; 1 and what to start when it does not, with nothing changed."""
    folder = tmp_path / "data"
    with serving(tmp_path, "vendors:\n  gone: {base_url: 'http://127.0.0.1:9/v1', api_key: x}\n") as server:
        running = watched(folder)
        shown = json.loads(watched(folder, "--json").stdout)
        quiet = watched(folder, "--quiet")
    assert (running.returncode, quiet.returncode) == (0, 0), running.stdout
    assert server.url in running.stdout
    assert "gone" in running.stdout
    assert (shown["process"], shown["running"], shown["vendors"][0]["name"]) == (server.process.pid, True, "gone")
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name != "ballast"}
    stopped = watched(folder)
    assert stopped.returncode == 1
    assert "No server runs" in stopped.stdout
    assert "aisa serve --data-dir" in stopped.stdout
    assert {name: (folder / name).read_bytes() for name in before} == before


def test_without_server_and_data_it_says_so_and_makes_nothing(tmp_path: Path) -> None:
    """[issue 14] 2, as nobody can tell which server is meant; no folder is made."""
    nowhere = watched(tmp_path / "none")
    assert nowhere.returncode == 2
    assert "no aisa data in this folder" in nowhere.stderr
    assert not (tmp_path / "none").exists()


def test_the_end_of_a_certificate_is_read_in_both_forms_of_time(tmp_path: Path) -> None:
    """Certificates that end after 2049 write the year with four digits; what is no certificate is refused."""
    for days, least in ((30, 29), (20_000, 19_999)):
        options = ["-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", "-keyout", "key", "-out", "cert", "-days", str(days)]
        subprocess.run(["openssl", "req", *options], cwd=tmp_path, check=True, capture_output=True)
        begin = (tmp_path / "cert").stat().st_mtime
        assert least * DAY < end_of((tmp_path / "cert").read_bytes()) - begin <= days * DAY + 1
    for wrong in (b"", b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----"):
        with pytest.raises((ValueError, IndexError)):
            end_of(wrong)


def test_it_is_said_which_models_are_counted() -> None:
    """[issue 8] "3 models" was neither what is configured nor what can be called."""
    some = msgspec.structs.replace(WELL, models=3, models_listed=26)
    assert "models   3 names set here or built in, and 26 more that vendors list" in " ".join(page(some).split("\n"))
    alone = msgspec.structs.replace(WELL, models=1, any_name=True)
    assert "1 name set here or built in; the built-in model answers under every other name" in page(alone)


def test_names_that_nothing_else_serves_are_those_whose_every_target_fails() -> None:
    """[issue 8] Who is woken as a vendor is down was told of the vendor, and not which names callers cannot use meanwhile."""
    priced = Prices(input=1.0, output=1.0)
    models = {
        "alone": Model(to=("down/a",), prices=priced),
        "backed": Model(to=("down/a", "well/b"), prices=priced),
        "both": Model(to=("down/a", "well/c"), prices=priced),
    }
    vendors = {name: Vendor(base_url=f"http://{name}.example/v1", api_key="x") for name in ("down", "well")}
    routes = Routes(Config(vendors=vendors, models=models, embedded=Embedded(enabled="never")))
    down = VendorShown("down", 0, 0, 0, None, (Trouble("down", 3, 4.0, "unreachable"),))
    refused = VendorShown("down", 0, 0, 0, None, (Trouble("down", 1, 0.0, "key_refused"),))
    once, again = (VendorShown("down", 0, 0, 0, None, (Trouble("down", times, 0.0, "unreachable"),)) for times in (1, 3))
    target = VendorShown("well", 0, 0, 0, None, (Trouble("well/c", 3, 4.0),))
    assert stranded(routes, (down, target)) == ("alone", "both")
    assert stranded(routes, (refused,)) == ("alone",)
    assert stranded(routes, (once, target)) == ()
    assert stranded(routes, (again, target)) == ("alone", "both"), "its rest is over, and no call has completed"
