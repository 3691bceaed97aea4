"""Teams as an administrator makes, sees and changes them, by the admin API's routes. What their caps do to calls: `test_teams`."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import event

from aisa.edge.admin import Admin, Records
from aisa.edge.key_usings import KeyUsings
from aisa.edge.statement import Statement
from aisa.facts import AccountChanged, TeamChanged
from aisa.keys.changes import ChangeStore
from aisa.keys.store import KeyStore
from aisa.ledger.find import CallFinder
from aisa.ledger.usage import UsageStore
from aisa.ledger.writer import insert_rows
from aisa.storage.engine import Database, open_database
from aisa.storage.migrate import migrate
from rows import priced
from test_keys_admin import Rig

MORNING = int(datetime(2026, 11, 29, tzinfo=UTC).timestamp())  # a Sunday, whose week began on the 23rd
NOW = MORNING + 12 * 3_600
DOLLAR = 1_000_000_000


class TeamRig(Rig):
    """The same with what is known of calls, and what was changed."""

    def __init__(self, database: Database) -> None:
        super().__init__(KeyStore(database, lambda: NOW, random.Random(1)))
        self.database = database
        self.changes = ChangeStore(database, lambda: NOW)
        usings = KeyUsings(Statement(None, UsageStore(database)), CallFinder(database), lambda: NOW)
        self.admin = Admin(self.store, lambda: NOW, self.facts.append, records=Records(usings, self.changes))

    def made(self, path: str, **asked: object) -> Any:
        """Have something made."""
        status, answer = self.ask("POST", path, asked)
        assert status == 201, answer
        return answer

    def kept(self) -> list[Any]:
        """Return what is on record, the oldest first."""
        return json.loads(msgspec.json.encode(list(reversed(self.changes.newest(50, None)))))

    def spend(self, number: int, key: Any, dollars: float, ended: int = NOW - 60) -> None:
        """Have a call of a key in the database."""
        row = priced(number, key_id=key["id"], account=key["account"], ended_ms=ended * 1000, cost=int(dollars * DOLLAR))
        insert_rows(self.database, [row])


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[TeamRig]:
    """A rig on a fresh database."""
    database = open_database(str(tmp_path), migrate)
    yield TeamRig(database)
    database.close()


def test_a_team_is_made_with_its_account_and_changed(rig: TeamRig, tmp_path: Path) -> None:
    """What is not named stays; null takes the cap away; all of it is on record with before and after, and told to the log."""
    made = rig.made("/teams", account=" acme ", name=" bots ", spend_cap="50/month")
    team = {"account": "acme", "name": "bots", "created_at": NOW, "spend_cap": 50 * DOLLAR, "spend_window": "month"}
    assert made == {"id": made["id"], **team, "account_made": True}
    assert made["id"].startswith("team_")
    team["id"] = made["id"]
    for asked, path in (({"spend_cap": "2.50/day"}, "bots"), ({"name": "robots"}, made["id"]), ({"spend_cap": None}, "robots")):
        status, changed = rig.ask("POST", f"/teams/{path}/update", asked)
        cap, window = {"bots": (2_500_000_000, "day"), made["id"]: (2_500_000_000, "day"), "robots": (None, None)}[path]
        team |= {"spend_cap": cap, "spend_window": window, "name": asked.get("name", team["name"])}
        assert (status, changed) == (200, team)
    assert rig.made("/teams", account="acme", name="people")["account_made"] is False
    told = [
        TeamChanged("created", made["id"], "bots", "acme"),
        *[TeamChanged("updated", made["id"], name, "acme") for name in ("bots", "robots", "robots")],
    ]
    assert rig.facts[:5] == [AccountChanged("created", "acme", None), *told]
    made_account, created, lowered = rig.kept()[:3]
    assert [row["action"] for row in (made_account, created, lowered)] == ["POST /teams", "POST /teams", "POST /teams/bots/update"]
    assert [row["after"]["name"] for row in (made_account, created)] == ["acme", "bots"]
    assert [(row["spend_cap"], row["spend_window"]) for row in (lowered["before"], lowered["after"])] == [
        (50 * DOLLAR, "month"),
        (2_500_000_000, "day"),
    ]


def test_a_key_shows_its_team_and_is_of_its_account(rig: TeamRig) -> None:
    """Made or imported, by the team's id or name; where no account is named it is the team's, which is not made anew."""
    team = rig.made("/teams", account="acme", name="bots", spend_cap="5/day")
    shown = {"id": team["id"], "name": "bots"}
    first = rig.made("/keys", label="a", team="bots")
    second = rig.made("/keys/import", label="b", secret="My very old API Key", team=team["id"], account="acme")
    assert [(key["team"], key["account"], key["account_made"]) for key in (first, second)] == [(shown, "acme", False)] * 2
    assert [key["team"] for key in rig.ask("GET", "/keys")[1]["data"]] == [shown] * 2
    assert [key["team"] for key in rig.ask("GET", "/keys?standing=1")[1]["data"]] == [shown] * 2
    assert rig.ask("GET", "/keys/a")[1]["team"] == shown
    assert rig.ask("POST", "/keys/a/update", {"rpm": 5})[1]["team"] == shown
    assert rig.ask("POST", "/keys/a/rotate")[1]["team"] == shown
    rig.ask("POST", "/teams/bots/update", {"name": "robots"})
    assert rig.ask("GET", "/keys/a")[1]["team"] == {**shown, "name": "robots"}
    assert isinstance(rig.facts[-1], TeamChanged)
    assert [row["after"]["team"] for row in rig.kept() if row["action"] == "POST /keys"] == [shown]


def test_teams_are_listed_as_they_stand(rig: TeamRig) -> None:
    """What all keys of a team have spent in its window, revoked ones too, to the nano-dollar; what is left; how many keys are good."""
    day, week = (
        rig.made("/teams", account="acme", name="bots", spend_cap="5/day"),
        rig.made("/teams", account="acme", name="crew", spend_cap="9/week"),
    )
    month = rig.made("/teams", account="other", name="bots")
    in_day = [rig.made("/keys", label=label, team=day["id"]) for label in ("a", "b", "gone")]
    in_week, in_month = rig.made("/keys", label="c", team="crew"), rig.made("/keys", label="d", team=month["id"])
    alone = rig.made("/keys", label="alone", account="acme")
    for number, (key, dollars, ended) in enumerate(
        (
            *((in_day[0], 1.5, NOW), (in_day[1], 0.25, MORNING), (in_day[1], 100, MORNING - 1), (in_day[2], 0.000000001, NOW)),
            *((in_week, 9.5, MORNING - 5 * 86_400), (in_month, 2, MORNING - 20 * 86_400), (alone, 50, NOW)),
        )
    ):
        rig.spend(number, key, dollars, ended)
    rig.ask("POST", "/keys/gone/revoke")
    status, listed = rig.ask("GET", "/teams")
    told = [[each[name] for name in ("id", "keys", "spent", "left", "spent_since")] for each in listed["data"]]
    began = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp())
    assert (status, told) == (
        200,
        [
            [day["id"], 2, 1_750_000_001, 3_249_999_999, MORNING],
            [week["id"], 1, 9_500_000_000, 0, MORNING - 6 * 86_400],
            [month["id"], 1, 2_000_000_000, None, began],
        ],
    )
    assert rig.ask("GET", "/teams/crew") == (200, listed["data"][1])
    assert rig.ask("GET", "/teams/bots?account=other") == (200, listed["data"][2])
    assert [each["id"] for each in rig.ask("GET", "/teams?account=other")[1]["data"]] == [month["id"]]
    assert rig.ask("GET", "/teams?account=nobody") == (200, {"data": [], "has_more": False})
    page = rig.ask("GET", f"/teams?limit=1&after={day['id']}")[1]
    assert ([each["id"] for each in page["data"]], page["has_more"]) == ([week["id"]], True)


def test_a_list_of_teams_asks_the_ledger_as_often_for_many_accounts_as_for_one(rig: TeamRig) -> None:
    """[issue 13] Once for each account and kind of window it was: 300 accounts had 900 questions."""
    asked = Counter[str]()
    event.listen(rig.database._engine, "before_cursor_execute", lambda *said: asked.update([said[2].split()[0]]))

    def questions() -> int:
        asked.clear()
        assert rig.ask("GET", "/teams")[0] == 200
        return asked.total()

    for number in range(3):
        rig.made("/teams", account="one", name=f"team {number}", spend_cap=f"1/{('day', 'week', 'month')[number]}")
    few = questions()
    assert few < 200
    for number in range(30):
        rig.made("/teams", account=f"account {number}", name="bots", spend_cap=f"1/{('day', 'week', 'month')[number % 3]}")
    assert questions() == few


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/teams", {"name": "bots", "account": "acme"}, 400),  # it is there
        ("POST", "/teams", {"name": " "}, 400),
        ("POST", "/teams", {"name": "x" * 65}, 400),
        ("POST", "/teams", {"name": "team_x"}, 400),
        ("POST", "/teams", {"name": "a\0b"}, 400),
        ("POST", "/teams", {"name": "x", "account": ""}, 400),
        ("POST", "/teams", {"name": "x", "spend_cap": "5"}, 400),
        ("POST", "/teams", {"name": "x", "spend_cap": 5}, 400),
        ("POST", "/teams", {"name": "x", "rpm": 5}, 400),
        ("POST", "/teams", {}, 400),
        ("POST", "/teams/crew/update", {"name": "people"}, 400),  # that is another's
        ("POST", "/teams/crew/update", {"name": None}, 400),
        ("POST", "/teams/crew/update", {"spend_cap": "5/year"}, 400),
        ("POST", "/teams/crew/update", {"cap": "5/day"}, 400),
        ("POST", "/teams/bots/update", {"spend_cap": "5/day"}, 400),  # two accounts have one
        ("GET", "/teams/bots", None, 400),
        ("POST", "/teams/bots/update", {"account": "nobody"}, 404),
        ("POST", "/teams/nobody/update", {}, 404),
        ("POST", "/teams/%00/update", {}, 404),
        ("GET", "/teams/nobody", None, 404),
        ("GET", "/teams?acount=acme", None, 400),
        ("POST", "/keys", {"label": "x", "team": "nobody"}, 404),
        ("POST", "/keys", {"label": "x", "team": "crew", "account": "other"}, 404),
        ("POST", "/keys", {"label": "x", "team": "bots"}, 400),
        ("POST", "/keys", {"label": "x", "team": "a\0b"}, 404),
        ("POST", "/keys", {"label": "x", "account": None}, 400),
        ("POST", "/keys/import", {"label": "x", "secret": "My very old API Key", "team": "nobody"}, 404),
        ("POST", "/keys/a/update", {"team": "crew"}, 400),  # it is in its team for good
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(rig: TeamRig, method: str, path: str, body: object, status: int) -> None:
    """In the API's shape, in words, without a row on record."""
    for account, name in (("acme", "bots"), ("other", "bots"), ("acme", "crew"), ("acme", "people")):
        rig.made("/teams", account=account, name=name)
    rig.made("/keys", label="a")
    before = [rig.ask("GET", each) for each in ("/teams", "/keys")], rig.store.accounts.tiers, rig.changes.newest(50, None), len(rig.facts)
    answered, error = rig.ask(method, path, body)
    assert (answered, set(error["error"])) == (status, {"type", "code", "message", "param", "request_id"})
    assert (
        [rig.ask("GET", each) for each in ("/teams", "/keys")],
        rig.store.accounts.tiers,
        rig.changes.newest(50, None),
        len(rig.facts),
    ) == before
