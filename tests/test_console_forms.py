"""What becomes of a form that is sent twice, or whose answer was lost: the console beside a real administration on a real database."""

from __future__ import annotations

import asyncio
import html
import random
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from aisa.console.app import Console
from aisa.console.assets import Assets
from aisa.console.page import COOKIE, Page
from aisa.console.sessions import FORMS_MAX, Session, Sessions
from aisa.console.templating import Templates
from aisa.console.visit import Ask
from aisa.edge.admin import OPERATOR, Actor, Admin, Answer
from aisa.edge.admin_gate import AdminGate, Hosts
from aisa.edge.admin_wallets import LedgerRoutes
from aisa.edge.control import Control
from aisa.errors import ApiError
from aisa.http.request import Request
from aisa.keys.admin_keys import AdminKeyStore
from aisa.keys.rules import WRITE
from aisa.keys.store import KeyStore
from aisa.ledger.store import LedgerStore
from aisa.storage.engine import Database, open_database
from aisa.storage.lock import own_folder
from aisa.storage.migrate import migrate
from aisa.wire.reply import error_json

NOW = 1_800_000_000.0
LIMITS = b'{"default_tier": "default", "tiers": {"default": {}}, "accounts": {}}'
GONE = "The database went away."


class Losing:
    """An administration whose answers to changes can be lost, `behind` the change or before it; implements `visit.Administration`."""

    def __init__(self, admin: Admin) -> None:
        self.admin = admin
        self.lost: str | None = None

    async def __call__(self, method: str, path: str, body: bytes, *, actor: Actor) -> Answer:
        """Answer, if that is not lost."""
        del actor
        if path == "/limits":
            return 200, LIMITS
        lost = None if method == "GET" else self.lost
        if lost == "before":
            raise ApiError("overloaded", GONE)
        answered = self.admin.answer(method, path, body)
        return (500, error_json(ApiError("internal_error", GONE), "control")) if lost == "behind" else answered


class Desk:
    """A console, and one who is signed in."""

    def __init__(self, database: Database) -> None:
        keys, self.ledger = KeyStore(database, lambda: NOW, random.Random(1)), LedgerStore(database, lambda: NOW, tuple)
        admin = Admin(keys, lambda: NOW, wallets=self.ledger, more=LedgerRoutes(self.ledger).routes())
        self.admin_keys = AdminKeyStore(database, lambda: NOW, random.Random(4))
        gate = AdminGate(self.admin_keys, Control(admin), admin.routes, hosts=Hosts((), ()), now=lambda: NOW)
        self.losing, self.sessions = Losing(admin), Sessions(lambda: NOW, random.Random(2), lambda _key: True)
        ask = Ask(self.losing, Templates(), lambda: NOW, lambda: None, Assets())
        self.console = Console(gate, self.sessions, ask, tls=False, stopping=lambda: None)
        self.cookie = ""
        self.sign_in()
        self.ledger.top_up("acme", 5, note="first")

    def sign_in(self) -> None:
        """Begin another session."""
        self.session: Session
        self.session, self.cookie = self.sessions.open(OPERATOR, WRITE)

    def ask(self, path: str, form: dict[str, str] | None = None) -> Page:
        """Ask for a page below /console, or send a form."""
        body = b"" if form is None else urlencode(form).encode()
        headers = {"host": "localhost", "cookie": f"{COOKIE}={self.cookie}"}
        request = Request("GET" if form is None else "POST", f"/console{path}", "", headers, body, "1.1")
        return asyncio.run(self.console.page(request, "127.0.0.1"))

    def form(self, page: Page, **fields: str) -> dict[str, str]:
        """Return a form of a page with these fields filled in."""
        hidden = {name: re.findall(rf'name="{name}" value="([^"]*)"', page.body.decode())[-1] for name in ("token", "form")}
        return {**hidden, **fields}

    def top_ups(self) -> int:
        """Return how many were booked behind the first."""
        return len(self.ledger.entries("acme")) - 1


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A console on an empty database with the account acme."""
    with own_folder(str(tmp_path)):
        database = open_database(str(tmp_path), migrate)
        KeyStore(database, lambda: NOW, random.Random(1)).accounts.create_account("acme")
        yield Desk(database)
        database.close()


def test_a_form_that_is_sent_twice_is_done_once(desk: Desk) -> None:
    """[fault M1] A second click, or a page that was loaded again, booked a second top-up."""
    form = desk.form(desk.ask("/accounts/acme"), amount="20", note="n")
    first, second = (desk.ask("/accounts/acme/top-up", form) for _ in range(2))
    assert [dict(page.headers)["location"] for page in (first, second)] == ["/console/accounts/acme"] * 2
    assert desk.top_ups() == 1
    shown = desk.ask("/accounts/acme")
    assert "20 US dollars were put into the wallet." in shown.body.decode(), "what the first did is told, not that there was a second"
    desk.ask("/accounts/acme/top-up", form)
    assert "It was not done a second time." in desk.ask("/accounts/acme").body.decode()
    desk.ask("/accounts/acme/top-up", desk.form(shown, amount="20", note="n"))
    assert desk.top_ups() == 2, "a page shown anew has a new form"


@pytest.mark.parametrize("lost", ["before", "behind"])
def test_a_form_whose_answer_was_lost_says_that_it_may_be_done_and_is_not_taken_again(desk: Desk, lost: str) -> None:
    """[fault M1] It was shown again as "not done", filled in, and one more click put the money in twice."""
    desk.losing.lost = lost
    shown = desk.ask("/accounts/acme/top-up", desk.form(desk.ask("/accounts/acme"), amount="20", note="n"))
    assert shown.status >= 500
    told = shown.body.decode()
    assert "<title>Not known whether done · Account acme · aisa</title>" in told
    assert f"{GONE} It may have been done all the same: look whether it was." in told
    assert 'value="20"' in told
    desk.losing.lost, done = None, desk.top_ups()
    assert done == (lost == "behind")
    again = desk.ask("/accounts/acme/top-up", desk.form(shown, amount="20", note="n"))
    assert (again.status, dict(again.headers)["location"], desk.top_ups()) == (303, "/console/accounts/acme", done)
    page = desk.ask("/accounts/acme")
    assert "what became of it is not known" in page.body.decode()
    desk.ask("/accounts/acme/top-up", desk.form(page, amount="20", note="n"))
    assert desk.top_ups() == done + 1


def test_a_form_without_a_page_that_can_be_shown_again_says_so_too(desk: Desk) -> None:
    """What is about no field has a page of its own, whose heading must not say that nothing was done."""
    desk.losing.lost = "behind"
    told = desk.ask("/accounts/acme/unlimit", desk.form(desk.ask("/accounts/acme"))).body.decode()
    assert "<h1>It is not known whether that was done</h1>" in told
    assert "It may have been done all the same" in told


def test_a_form_that_was_refused_is_taken_again_with_what_was_mended(desk: Desk) -> None:
    """Nothing was done, so there is nothing to do twice."""
    refused = desk.ask("/accounts/acme/top-up", form := desk.form(desk.ask("/accounts/acme"), amount="-1", note="n"))
    assert refused.status == 400
    assert "That" not in refused.body.decode().partition("<main")[2].partition("</h1>")[0]
    assert desk.ask("/accounts/acme/top-up", {**form, "amount": "20"}).status == 303
    assert desk.ask("/accounts/acme/top-up", desk.form(refused, amount="20", note="n")).status == 303
    assert desk.top_ups() == 2


def test_a_session_remembers_so_many_forms_that_nobody_sends_an_older_one(desk: Desk) -> None:
    """And no more: it lasts a working day."""
    for number in range(FORMS_MAX + 5):
        assert desk.session.take("/p", str(number)) is None
        desk.session.settle("/p", str(number), done=True)
    assert len(desk.session.taken) == FORMS_MAX
    assert (desk.session.take("/p", "5"), desk.session.take("/q", "5"), desk.session.take("/p", "")) == (True, None, None)


def test_a_form_that_was_sent_after_the_session_ended_comes_back_behind_the_sign_in(desk: Desk) -> None:
    """[fault S6] It was lost. A wrong key keeps it too, and nothing is done before it is sent again."""
    form = desk.form(desk.ask("/accounts/acme"), amount="20", note='a "note"')
    desk.sessions.close(desk.cookie)
    out = desk.ask("/accounts/acme/top-up", form)
    assert (out.status, "so that was not done" in out.body.decode()) == (401, True)
    _, secret = desk.admin_keys.create("me", WRITE)
    wrong = desk.ask("/login", {**kept_in(out), "key": "sk-aisa-admin-wrong"})
    assert wrong.status == 401
    shown = desk.ask("/login", {**kept_in(wrong), "key": secret})
    assert shown.status == 200
    told = shown.body.decode()
    assert "Your session had ended when you sent this, so it was not done." in told
    assert all(each in told for each in ('value="20"', 'value="a &#34;note&#34;"'))
    assert desk.top_ups() == 0
    desk.cookie = dict(shown.headers)["set-cookie"].partition(";")[0].partition("=")[2]
    assert desk.ask("/accounts/acme/top-up", desk.form(shown, amount="20", note="n")).status == 303
    assert desk.top_ups() == 1


def test_what_came_from_no_form_with_fields_is_not_kept(desk: Desk) -> None:
    """Whoever signs in gets the first page, also where what was kept is not ours, or is there no more."""
    desk.sessions.close(desk.cookie)
    assert desk.ask("/accounts/acme/unlimit", {"token": "x"}).status == 303
    _, secret = desk.admin_keys.create("me", WRITE)
    for path in ("/console/accounts/nobody/top-up", "/console/calls", "/elsewhere", ""):
        page = desk.ask("/login", {"kept.": path, "kept.amount": "1", "key": secret})
        assert (page.status, dict(page.headers)["location"]) == (303, "/console")


def test_a_form_of_another_session_is_shown_again_in_this_one(desk: Desk) -> None:
    """Its page was open while the server was started anew, and somebody signed in beside it: what was typed is there."""
    form = desk.form(desk.ask("/accounts/acme"), amount="20", note="n")
    desk.sign_in()
    shown = desk.ask("/accounts/acme/top-up", form)
    assert shown.status == 403
    assert "This form is not from this session" in shown.body.decode()
    assert desk.top_ups() == 0
    assert desk.ask("/accounts/acme/top-up", desk.form(shown, amount="20", note="n")).status == 303
    assert desk.top_ups() == 1


def kept_in(page: Page) -> dict[str, str]:
    """Return what a page to sign in has kept."""
    return {name: html.unescape(value) for name, value in re.findall(r'name="(kept\.[^"]*)" value="([^"]*)"', page.body.decode())}
