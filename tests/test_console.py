"""The console over HTTP: who is let in and how, what keeps other sites out, and that its pages show and change what commands do."""

from __future__ import annotations

import contextlib
import copy
import html
import http.client
import json
import os
import pty
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from timeit import repeat
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

import pytest

from aisa.console.account_pages import one_or_more
from aisa.console.assets import FETCHED, Assets
from aisa.console.clients import CLIENTS
from aisa.console.figures import began, changed_value, cost, dollars, duration, near, plotted, price, several, share, short_count
from aisa.console.key_pages import terms
from aisa.console.page import FIELDS_MAX, FORM_BYTES_MAX, cookie_of
from aisa.console.sessions import LINK_SECONDS, SESSION_SECONDS, SESSIONS_MAX, Sessions
from aisa.console.usage_pages import BY, DRAWN_MAX, OTHERS, drawn_of, drawn_plots
from aisa.edge.admin import OPERATOR
from aisa.edge.admin_gate import WRONG_KEYS_MAX
from aisa.ids import short_id
from aisa.keys.rules import READ, WRITE, AdminKey
from aisa.ledger.port_usage import Used
from console_rig import CONFIGURATION, Consoled, consoled
from server import OURS, RUNTIME, environment
from test_keys_store import ManualClock, watch
from test_reload import SECONDS_MAX, asked, until
from vendor import ScriptedVendor

__all__ = ["watch"]

PAGES = (
    "",
    "/live",
    "/calls",
    "/usage",
    "/keys",
    "/teams",
    "/accounts",
    "/accounts/acme/statement",
    "/vendors",
    "/models",
    "/changes",
    "/playground",
    "/setup",
)
SLOW = "vendors: {{local: {{base_url: '{}'}}}}\nmodels: {{endless: [local/endless]}}\nserver: {{drain_seconds: 30}}\n"
PARTS = ("/sums", "/usage/plots?by=key&days=30", "/vendors/sums", "/models/rows")


class Answered(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def token(self) -> str:
        """The token of the page's forms."""
        return re.findall(r'name="token" value="(\w+)"', self.text)[0]


class Visitor:
    """A browser without scripts: one cookie."""

    def __init__(self, netloc: str) -> None:
        self.netloc = netloc
        self.cookie = ""

    def ask(self, path: str, form: dict[str, str] | None = None, *, method: str | None = None, **headers: str) -> Answered:
        """Ask for a page below /console, or send a form."""
        connection = http.client.HTTPConnection(self.netloc, timeout=SECONDS_MAX)
        sent = {"cookie": self.cookie} if self.cookie else {}
        sent |= {"content-type": "application/x-www-form-urlencoded"} if form is not None else {}
        body = None if form is None else urlencode(form)
        connection.request(method or ("GET" if form is None else "POST"), f"/console{path}", body, sent | headers)
        answer = connection.getresponse()
        got = Answered(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode())
        connection.close()
        if "set-cookie" in got.headers:
            self.cookie = got.headers["set-cookie"].partition(";")[0]
        return got

    def signed_in(self, key: str) -> Visitor:
        """Sign in with an admin key."""
        assert self.ask("/login", {"key": key}).status == 303
        return self


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consoled]:
    """A server with a console, some calls and a vendor."""
    with ScriptedVendor() as vendor:
        folder = tmp_path_factory.mktemp("console")
        with consoled(folder, CONFIGURATION.format(vendor=vendor.url), calls=300, days=6) as running:
            yield running


@pytest.fixture
def writer(at: Consoled) -> Visitor:
    """Somebody who may write."""
    return Visitor(at.netloc).signed_in(at.writes)


# Who is let in


def test_nobody_sees_a_page_without_signing_in(at: Consoled) -> None:
    """Each leads to the page that signs in, and changes nothing; what is a form is answered with it; a script is told to go there."""
    for path in (*PAGES, *PARTS):
        answer = Visitor(at.netloc).ask(path)
        assert (answer.status, answer.headers["location"]) == (303, "/console/login"), path
    form = Visitor(at.netloc).ask("/keys", {"label": "x"})
    assert (form.status, "Sign in to the console" in form.text) == (401, True)
    assert Visitor(at.netloc).ask("/keys/x/revoke", {}).headers["location"] == "/console/login"
    assert Visitor(at.netloc).ask("/sums", **{"x-fragment": "1"}).status == 401
    assert "Sign in" in Visitor(at.netloc).ask("/login").text


def test_a_slash_too_many_leads_to_the_page_without_it(at: Consoled, writer: Visitor) -> None:
    """To whom it may, the page itself then asks; a form that is sent there is not taken elsewhere."""
    paths = (
        ("/", ""),
        ("/keys/", "/keys"),
        ("/calls/?kind=refused", "/calls?kind=refused"),
        ("//", ""),
        ("/keys/web%20app/", "/keys/web%20app"),
    )
    for visitor in (Visitor(at.netloc), writer):
        for asked_for, right in paths:
            answer = visitor.ask(asked_for)
            assert (answer.status, answer.headers["location"]) == (303, f"/console{right}"), asked_for
    assert writer.ask("/keys/", {"label": "x", "token": writer.ask("/keys").token}).status == 404


def test_a_page_that_is_not_there_is_no_other_one(at: Consoled, writer: Visitor) -> None:
    """What is nearest by its letters was a page to sign in, or a form's address."""
    for visitor in (Visitor(at.netloc), writer):
        for path in ("/nothing", "/keyz"):
            answer = visitor.ask(path)
            assert answer.status == 404
            assert "Did you mean" not in answer.text
    assert "The console has no page at /console/nothing." in writer.ask("/nothing").text


def test_a_sign_in_that_is_refused_speaks_of_the_form(at: Consoled) -> None:
    """A browser's visitor sends no header; an empty field, one of blanks, two keys."""
    for form, said in (({}, "The field is empty"), ({"key": " "}, "The field is empty"), ({"key": "a,b"}, "one admin key alone")):
        answer = Visitor(at.netloc).ask("/login", form)
        assert answer.status == 401
        assert said in answer.text
        assert "eader" not in answer.text.partition("<body")[2]


def test_an_admin_key_signs_in_for_eight_hours_with_a_cookie_that_no_script_and_no_other_site_gets(at: Consoled) -> None:
    """A caller's key and a wrong one do not."""
    visitor = Visitor(at.netloc)
    answer = visitor.ask("/login", {"key": at.reads})
    name, *attributes = answer.headers["set-cookie"].split("; ")
    assert re.fullmatch(r"aisa_console=\w{43}", name)
    assert attributes == ["Path=/console", "HttpOnly", "SameSite=Strict", f"Max-Age={8 * 3600}"]
    assert visitor.ask("").status == 200
    for wrong in (at.server.key, "sk-aisa-admin-x"):
        refused = Visitor(at.netloc).ask("/login", {"key": wrong})
        assert (refused.status, "set-cookie" in refused.headers) == (401, False)
        assert wrong not in refused.text


def test_a_proxy_that_secures_the_connection_makes_the_cookie_secure(at: Consoled) -> None:
    """It must not travel in the clear when somebody follows a link without TLS."""
    answer = Visitor(at.netloc).ask("/login", {"key": at.reads}, **{"x-forwarded-proto": "https"})
    assert answer.headers["set-cookie"].endswith("; Secure")


def test_signing_out_ends_the_session(at: Consoled) -> None:
    """Here and on the server: the old cookie is good no more."""
    visitor = Visitor(at.netloc).signed_in(at.reads)
    old, token = visitor.cookie, visitor.ask("").token
    assert "Max-Age=0" in visitor.ask("/logout", {"token": token}).headers["set-cookie"]
    visitor.cookie = old
    assert visitor.ask("").status == 303


def test_a_revoked_admin_key_is_signed_out_at_once(tmp_path: Path) -> None:
    """And guessers are kept out for a minute, as at the admin API."""
    with consoled(tmp_path) as at:
        visitor = Visitor(at.netloc).signed_in(at.writes)
        at.server.aisa("admin-keys", "revoke", WRITE)
        assert visitor.ask("/keys").status == 303
        for number in range(WRONG_KEYS_MAX):
            assert Visitor(at.netloc).ask("/login", {"key": f"sk-aisa-admin-{number}"}).status == 401
        assert Visitor(at.netloc).ask("/login", {"key": at.reads}).status == 429


def test_the_console_can_be_turned_off(tmp_path: Path) -> None:
    """`console: false`: there is no such path, and none is printed."""
    with consoled(tmp_path, "console: false") as at:
        assert Visitor(at.netloc).ask("").status == 404
        assert "Console:" not in at.server.banner


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example"])
def test_a_foreign_host_name_is_refused(at: Consoled, host: str) -> None:
    """Also for files, and before anybody is signed in."""
    for path in ("", "/login", "/assets/console.css"):
        assert Visitor(at.netloc).ask(path, Host=host).status == 403


@pytest.mark.parametrize("workers", [1, 2])
def test_who_is_not_let_in_reads_why_on_a_page(tmp_path: Path, workers: int) -> None:
    """In a browser stands what to change, and not an error of the admin API as JSON; also where the form is too large."""
    with consoled(tmp_path, workers=workers) as at:
        visitor = Visitor(at.netloc)
        for path, form, headers, status, said in (
            ("", None, {"Host": "aisa.example:8000"}, 403, "list it in the setting `admin.hosts`"),
            ("/login", {"key": "x"}, {"Host": "<b>aisa.example"}, 403, "by the name &#x27;&lt;b&gt;aisa.example&#x27;"),
            ("/login", {"key": "x" * FORM_BYTES_MAX}, {}, 413, "the limit is 65536 bytes"),
            ("/login", {f"f{number}": "" for number in range(FIELDS_MAX + 1)}, {}, 400, f"more than {FIELDS_MAX} fields"),
            ("/enter?" + "&" * FIELDS_MAX, None, {}, 400, f"more than {FIELDS_MAX} fields"),
        ):
            answer = visitor.ask(path, form, **headers)
            assert (answer.status, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
            assert said in answer.text
            assert ("The console is not asked" in answer.text) == (status == 403)
            assert "admin API" not in answer.text
            assert "</html>" in answer.text
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert answer.headers["x-request-id"].startswith("req_")
            assert answer.headers["cache-control"] == "no-store"
        assert visitor.ask("").status == 303


def test_nothing_is_shared_with_other_origins_or_kept_by_caches(writer: Visitor) -> None:
    """No page, refusal or preflight has a header of CORS; each has the policy that lets nothing in from elsewhere."""
    origin = {"Origin": "https://page.example"}
    for answer in (writer.ask("", **origin), writer.ask("/nothing", **origin), writer.ask("", method="OPTIONS", **origin)):
        assert not [name for name in answer.headers if name.startswith("access-control")]
    headers = writer.ask("/keys").headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-frame-options"] == "DENY"
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "connect-src", "form-action")} == {"'self'"}


def test_every_change_needs_the_sessions_token_and_its_own_origin(at: Consoled, writer: Visitor) -> None:
    """A page of another site cannot have a browser change anything."""
    token = writer.ask("/keys").token
    other = Visitor(at.netloc).signed_in(at.writes).ask("/keys").token
    for form, headers in (
        ({"label": "x"}, {}),
        ({"label": "x", "token": other}, {}),
        ({"label": "x", "token": token}, {"Origin": "https://page.example"}),
        ({"label": "x", "token": token}, {"Origin": "null"}),
        ({"label": "x", "token": token}, {"Origin": "http://["}),
        ({"label": "x", "token": token}, {"Sec-Fetch-Site": "cross-site"}),
    ):
        assert writer.ask("/keys", form, **headers).status == 403
    assert not re.search(r"^x ", at.server.aisa("keys", "list"), re.MULTILINE)


@pytest.mark.parametrize("odd", ["http://[", "http://[::1", "//[x]", "http://\xe2\x84\x80", "://", ""])
def test_an_address_that_is_none_is_no_bug_of_ours(at: Consoled, writer: Visitor, odd: str) -> None:
    """[fault S13] Anybody can send an origin or a page that no library takes apart: signed in or not, it is refused or passed over."""
    for visitor in (Visitor(at.netloc), writer):
        assert visitor.ask("/login", {"key": "x"}, Origin=odd).status == 403
        assert (answer := visitor.ask("/nothing", Referer=odd)).status == 404
        assert 'href="/console">Back' in answer.text


def test_a_refusal_leads_back_to_the_page_that_it_came_from(at: Consoled, writer: Visitor) -> None:
    """And never out of the console."""
    for referer, back in ((f"http://{at.netloc}/console/keys?after=a", "/console/keys"), ("https://page.example/else", "/console")):
        assert f'href="{back}">Back' in writer.ask("/keys/nobody", Referer=referer).text


def test_who_may_read_changes_nothing(at: Consoled) -> None:
    """Nor is a form shown."""
    visitor = Visitor(at.netloc).signed_in(at.reads)
    page = visitor.ask("/keys")
    assert "Make the key" not in page.text
    assert visitor.ask("/keys", {"label": "read", "token": page.token}).status == 403


# The link at the terminal


def test_a_server_at_a_terminal_prints_a_link_that_signs_in_once(tmp_path: Path) -> None:
    """A HEAD does not use it up; off a terminal there is none (see the banners of the other tests)."""
    primary, secondary = pty.openpty()
    command = [sys.executable, "-m", "aisa", "serve", "--port", "0", "--data-dir", str(tmp_path / "data"), "--log-format", "off"]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment() | OURS, stdout=secondary, stderr=subprocess.DEVNULL)
    os.close(secondary)
    try:
        said = b""
        while b"Stop with" not in said:
            said += os.read(primary, 4096)
        link = urlsplit(re.findall(r"Console: (http://\S+)", said.decode())[0])
        path = f"{link.path.removeprefix('/console')}?{link.query}"
        visitor = Visitor(link.netloc)
        assert visitor.ask(path, method="HEAD").headers["location"] == "/console/login"
        assert visitor.ask(path).headers["location"] == "/console"
        assert "operator" in visitor.ask("").text
        again = Visitor(link.netloc).ask(path)
        assert (again.status, "set-cookie" in again.headers) == (401, False)
    finally:
        process.terminate()
        process.wait(SECONDS_MAX)
        os.close(primary)
    assert RUNTIME.name


def test_off_a_terminal_no_link_is_printed(at: Consoled) -> None:
    """A log that others read must not let them in."""
    assert f"Console: {at.server.url}/console\n" in at.server.banner


def test_links_and_sessions_end_by_the_clock(watch: ManualClock) -> None:
    """Ten minutes, eight hours; a newer link ends the older one, and sessions are bounded."""
    good = [True]
    sessions = Sessions(watch, random.Random(1), lambda _key: good[0])
    link = sessions.new_link()
    watch.now += LINK_SECONDS
    assert not sessions.use_link(link)
    older, newer = sessions.new_link(), sessions.new_link()
    assert [sessions.use_link(each) for each in (older, newer, newer)] == [False, True, False]
    key = AdminKey("adm_1", "a", b"", "…", READ, 0)
    session, cookie = sessions.open(OPERATOR, READ, key)
    assert sessions.find(cookie) is session
    good[0] = False
    assert sessions.find(cookie) is None
    good[0] = True
    first = sessions.open(OPERATOR, WRITE)[1]
    watch.now += SESSION_SECONDS
    assert sessions.find(first) is None
    cookies = [sessions.open(OPERATOR, WRITE)[1] for _ in range(SESSIONS_MAX + 1)]
    assert [sessions.find(each) is None for each in (cookies[0], cookies[1])] == [True, False]


# What the pages show and change


def test_every_page_is_whole_without_scripts(writer: Visitor) -> None:
    """Also the parts that scripts load behind a page, and the one that says that something is not there."""
    for path in (*PAGES, *PARTS):
        answer = writer.ask(path)
        assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8"), path
        assert "</html>" in answer.text
        assert "<style" not in answer.text
        assert not re.findall(r"<script(?![^>]*\ssrc=)", answer.text)
        assert not re.findall(r"\s(style|onclick)=", answer.text)
    assert writer.ask("/nothing").status == 404
    assert "That was not done" in writer.ask("/keys/nobody").text


def test_a_part_is_sent_alone_to_a_script(writer: Visitor) -> None:
    """It replaces a part of the page."""
    for path in (*PARTS, "/calls", "/live", "/calls/latest"):
        assert "<html" not in writer.ask(path, **{"x-fragment": "1"}).text


def test_the_receipt_is_what_aisa_explain_says(at: Consoled, writer: Visitor) -> None:
    """Every line of the bill, the sum and the cost, digit for digit."""
    asked(at.server, "/v1/chat/completions", {"model": "gpt-4.1", "messages": [{"role": "user", "content": "Hi."}]})
    explained = at.server.aisa("explain", "latest")
    page = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", writer.ask("/calls/latest").text))
    for line in re.findall(r"^(input|output)\s+([\d,]+)\s+\S\s+(\S+)\s+=\s+(\S+)$", explained, re.MULTILINE):
        assert "{} {} × {} = {}".format(*line) in page
    assert re.findall(r"^cost\s+=\s+(\S+)", explained, re.MULTILINE)[0] in page
    assert "The ledger has the same." in page


def test_why_calls_failed_stands_below_them(writer: Visitor) -> None:
    """As `aisa calls` has it; and on the receipt what else the log says."""
    page = writer.ask("/calls?kind=failed").text
    assert '<span class="why">192.0.2.7:443: Connection refused</span>' in page
    assert "sent no token in time.</span>" in page
    receipt = writer.ask(re.findall(r'href="/console(/calls/req_[0-9A-Z]+)"', page.partition("Connection refused")[0])[-1]).text
    assert "<dt>the log says</dt><dd>192.0.2.7:443: Connection refused</dd>" in receipt


@pytest.mark.parametrize("path", ["/keys", "/teams/bots/keys"])
def test_who_makes_a_key_is_told_what_he_may_not_expect_of_it(at: Consoled, writer: Visitor, path: str) -> None:
    """A name that nothing serves, a model that its cap does not count, an account that is new: as the command line says it."""
    token = writer.ask("/keys").token
    label, name = f"noted {path}", "new" + path.replace("/", "-")
    form = {"label": label, "cap": "2", "window": "day", "models": "vendorless/typo broken", "token": token}
    form |= {"account": name} if path == "/keys" else {}
    where = writer.ask(path, form).headers["location"].removeprefix("/console")
    page = html.unescape(writer.ask(where).text)
    notes = ["Nothing serves vendorless/typo now", "Its cap does not count calls to broken: without a price they are free."]
    notes += [f"The account “{name}” is new, and unlimited until it is topped up."] if path == "/keys" else []
    assert [note in page for note in notes] == [True] * len(notes)
    assert not any(note in html.unescape(writer.ask(where).text) for note in notes), "they are told once"
    changed = {"label": label, "models": "gpt-4.1 typo", "cap": "3", "window": "day", "token": token}
    assert writer.ask(f"{where}/update", changed).status == 303
    assert "Nothing serves typo now" in (page := html.unescape(writer.ask(where).text))
    assert "does not count" not in page
    writer.ask(f"{where}/update", {**changed, "models": "gpt-4.1"})
    assert "notice warn" not in writer.ask(where).text
    writer.ask(f"{where}/revoke", {"token": token})


def test_what_used_most_tokens_has_its_own_line_where_nothing_cost_anything(tmp_path: Path) -> None:
    """The first of the alphabet had them, and the one that everybody uses was among all others."""
    with consoled(tmp_path) as at:
        for model in (*"abcdefgh", "used-most"):
            wanted = {"model": model, "max_tokens": 40 if model == "used-most" else 1}
            asked(at.server, "/v1/chat/completions", {**wanted, "messages": [{"role": "user", "content": "Write a long poem."}]})
        page = Visitor(at.netloc).signed_in(at.reads).ask("/usage/plots?by=model&days=7").text
    drawn = re.findall(r'<th scope="col" class="num">([^<]+)', page)
    assert (drawn[0], drawn[1:7], drawn[7]) == ("used-most", [*"abcdef"], "all others")


def test_a_key_is_made_changed_rotated_and_revoked(at: Consoled, writer: Visitor) -> None:
    """By the same code as the commands: these see it, and the change is on record with who made it."""
    token = writer.ask("/keys").token
    form = {"label": "from console", "cap": "2.50", "window": "day", "models": "gpt-4.1\nbroken", "rpm": "7", "token": token}
    where = writer.ask("/keys", form).headers["location"].removeprefix("/console")
    page = writer.ask(where).text
    secret = re.findall(r'id="secret">(sk-aisa-\w+)<', page)[0]
    assert secret not in writer.ask(where).text, "it is shown once"
    shown = at.server.aisa("keys", "show", "from console")
    assert "2.5" in shown
    assert "gpt-4.1" in shown
    changed = {"label": "renamed", "cap": "3", "window": "week", "models": "", "expires": "30d", "token": token}
    assert writer.ask(f"{where}/update", changed).status == 303
    assert "30 days" in at.server.aisa("keys", "show", "renamed")
    assert writer.ask(f"{where}/rotate", {"grace": "1h", "token": token}).status == 303
    assert secret not in writer.ask(where).text
    for action, state in (("disable", "disabled"), ("enable", "active"), ("revoke", "revoked")):
        assert writer.ask(f"{where}/{action}", {"token": token}).status == 303
        assert state in writer.ask(where).text
    changes = writer.ask("/changes").text
    assert "write (adm_" in changes
    assert re.search(r"spend_cap</span> (<del>[^<]*</del> )?<ins>\$3\.00</ins>", changes), "amounts are in dollars"
    refused = writer.ask("/keys", {"label": "x", "cap": "many", "token": token})
    assert refused.status == 400
    assert "is no amount" in refused.text


def test_everybody_gets_a_key_for_the_playground_in_one_second(at: Consoled, writer: Visitor) -> None:
    """Two administrators who press the button at once, or one who presses it twice: no label is taken already."""
    form = {"token": writer.ask("/playground").token}
    answers = [writer.ask("/playground/key", form) for _ in range(8)]
    assert [(answer.status, answer.headers.get("location")) for answer in answers] == [(303, "/console/playground")] * 8
    made = [line for line in at.server.aisa("keys", "list").splitlines() if "playground 20" in line]
    assert len(made) == 8


def test_a_team_is_made_and_its_cap_changed(at: Consoled, writer: Visitor) -> None:
    """[issue 13] Keys are made in it; its page, theirs and the lists show what is left; the command line sees it; it is on record."""
    token = writer.ask("/teams").token
    where = writer.ask("/teams", {"name": "crew", "account": "acme", "cap": "40", "window": "week", "token": token}).headers["location"]
    where = where.removeprefix("/console")
    page = writer.ask(where).text
    assert "$40.00 left of $40.00 a week" in page
    assert "No key yet." in page
    key = writer.ask("/keys", {"label": "in a team", "team": where.rpartition("/")[2], "token": token}).headers["location"]
    assert '"team": {' in at.server.aisa("keys", "show", "in a team", "--json")
    for path in (where, "/keys?q=crew"):
        assert "in a team" in writer.ask(path).text
    assert "$40.00 left of $40.00 a week for all of its keys" in writer.ask(key.removeprefix("/console")).text
    assert writer.ask(f"{where}/update", {"name": "robots", "cap": "9.50", "window": "day", "token": token}).status == 303
    assert "9.5/day" in at.server.aisa("teams", "list")
    listed = writer.ask("/teams?q=robo").text
    assert ("robots" in listed, "No team fits." in writer.ask("/teams?q=nobody").text) == (True, True)
    assert "$9.50" in listed
    assert writer.ask(f"{where}/update", {"name": "robots", "cap": "", "token": token}).status == 303
    assert "no cap" in writer.ask(where).text
    changes = writer.ask("/changes").text
    assert re.search(r"team updated.*spend_cap</span> <del>\$40\.00</del> <ins>\$9\.50</ins>", changes, re.DOTALL)
    assert re.search(r"key created.*team</span> <ins>crew</ins>", changes, re.DOTALL)
    for form, status in (({"name": "robots", "account": "acme"}, 400), ({"name": ""}, 400), ({"name": "x", "cap": "many"}, 400)):
        assert writer.ask("/teams", {**form, "token": token}).status == status
    assert writer.ask("/teams/nobody").status == 404
    reader = Visitor(at.netloc).signed_in(at.reads)
    assert "<form" not in reader.ask(where).text.partition("<main")[2]
    assert reader.ask(f"{where}/update", {"name": "x", "token": reader.ask("/teams").token}).status == 403


def test_a_wallet_is_filled_and_corrected(at: Consoled, writer: Visitor) -> None:
    """And the account disabled, enabled, put in another tier, and made unlimited again."""
    token = writer.ask("/accounts").token
    where = writer.ask("/accounts", {"name": "new-co", "token": token}).headers["location"].removeprefix("/console")
    assert writer.ask(f"{where}/top-up", {"amount": "20", "note": "first", "reference": "r1", "token": token}).status == 303
    assert "20" in at.server.aisa("wallet", "show", "new-co")
    assert writer.ask(f"{where}/adjust", {"amount": "-5", "note": "mistake", "token": token}).status == 303
    page = writer.ask(where).text
    assert "$15.00" in page
    assert "mistake" in page
    for action, word in (("disable", "disabled"), ("enable", "active"), ("unlimit", "unlimited")):
        assert writer.ask(f"{where}/{action}", {"token": token}).status == 303
        assert word in writer.ask(where).text


def test_a_wallets_statement_lists_every_entry_and_every_call(at: Consoled, writer: Visitor) -> None:
    """Page by page, each line once, to a billionth of a dollar: the lines add up to what is in the wallet (fault P12)."""
    token = writer.ask("/accounts").token
    assert writer.ask("/accounts/paid/top-up", {"amount": "3", "token": token}).status == 404
    secret = at.server.aisa("keys", "create", "payer", "--account", "paid", "--quiet").strip()
    payer = copy.copy(at.server)
    payer.key = secret
    writer.ask("/accounts/paid/top-up", {"amount": "3", "token": token})
    for _ in range(2):
        body = {"model": "gpt-4.1", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi."}]}
        asked(payer, "/v1/chat/completions", body)
    until(lambda: at.server.aisa("wallet", "statement", "paid").count("gpt-4.1") == 2)
    page = writer.ask("/accounts/paid/statement").text
    amounts = [int(f"{sign}{whole}{rest}") for sign, whole, rest in re.findall(r'num">(-?)\$(\d+)\.(\d{9})<', page.replace("−", "-"))]
    assert len(amounts) == 2 * 3 + 1
    changed, left = amounts[:-1:2], amounts[1:-1:2]
    assert (left[0], amounts[-1]) == (sum(changed), 0)
    assert changed[-1] == 3 * 10**9
    whole = writer.ask("/accounts/acme/statement").text
    assert "Older lines" not in whole
    assert "invoice 2026-114" in whole


def test_what_failed_is_the_same_number_as_at_the_terminal(at: Consoled, writer: Visitor) -> None:
    """[issue 8] By the same definition, under the same word: the rig's calls fail and break off, and clients leave some."""
    told = {
        line.split()[0]: line.split()[1:3] for line in at.server.aisa("usage", "--by", "account", "--since", "30d").splitlines()[3:] if line
    }
    page = writer.ask("/usage/plots?by=account&days=30").text
    for account in ("acme", "research"):
        cells = re.findall(rf'<th scope="row">{account}</th>(.*?)</tr>', page)[0]
        numbers = re.findall(r'class="num">([^<]*)', cells)
        assert [numbers[0], numbers[5].strip()] == told[account]
    assert ">Failed</th>" in page
    assert "Failed today" in writer.ask("/sums").text


def test_calls_are_found_and_filtered(writer: Visitor) -> None:
    """By what, by whom, when; a page of them leads to the older ones, each once."""
    seen: list[str] = []
    path = "/calls?key=web+app"
    while path:
        page = writer.ask(path).text
        seen += re.findall(r'class="mono" href="/console/calls/(\w+)"', page)
        older = re.findall(r'class="button" href="/console(/calls\?[^"]+)"', page)
        path = older[0].replace("&amp;", "&") if older else ""
    assert len(seen) == len(set(seen)) > 50
    assert "429 rate_limit_exceeded ×37" in writer.ask("/calls?kind=refused").text
    assert "No call fits." in writer.ask("/calls?model=nothing-has-this-name").text
    assert writer.ask("/calls?id=latest").headers["location"] == "/console/calls/latest"
    assert writer.ask("/calls?key=nobody").status == 404


def test_what_callers_choose_is_text_on_every_page(at: Consoled, writer: Visitor) -> None:
    """Names of models, labels and notes do not become markup."""
    bad = "<img src=x onerror=alert(1)>"
    asked(at.server, "/v1/chat/completions", {"model": bad, "messages": [{"role": "user", "content": "Hi."}]})
    token = writer.ask("/keys").token
    writer.ask("/keys", {"label": bad, "token": token})
    for path in (
        "",
        "/calls",
        "/keys",
        "/changes",
        f"/calls?{urlencode({'model': bad})}",
        f"/keys/{bad.replace('/', '%2F').replace(' ', '%20')}",
    ):
        assert bad not in writer.ask(path).text
    assert "&lt;img" in writer.ask("/keys").text


@pytest.mark.parametrize("workers", [1, 2])
def test_calls_that_run_are_followed_and_ended(tmp_path: Path, workers: int) -> None:
    """By events, until the browser leaves; a server that stops does not wait for who watches."""
    with contextlib.ExitStack() as last, ScriptedVendor() as vendor, consoled(tmp_path, SLOW.format(vendor.url), workers=workers) as at:
        until(lambda: Visitor(at.netloc).ask("/login").status == 200)
        writer = Visitor(at.netloc).signed_in(at.writes)
        connection = http.client.HTTPConnection(at.netloc, timeout=SECONDS_MAX)
        sent = {"authorization": f"Bearer {at.server.key}", "content-type": "application/json"}
        body = '{"model": "endless", "stream": true, "messages": [{"role": "user", "content": "Go on."}]}'
        connection.request("POST", "/v1/chat/completions", body, sent)
        stream = connection.getresponse()
        stream.readline()
        watching = http.client.HTTPConnection(at.netloc, timeout=SECONDS_MAX)
        watching.request("GET", "/console/live/events", headers={"cookie": writer.cookie})
        events = watching.getresponse()
        last.callback(watching.close)  # behind the server's end
        last.callback(events.close)
        assert events.headers["content-type"] == "text/event-stream"
        call = ""
        while not call:
            found = re.findall(rb"/console/calls/(\w+)/end", events.readline())
            call = found[0].decode() if found else ""
        assert writer.ask(f"/calls/{call}/end", {"token": writer.ask("/live").token}).status == 303
        assert "ended this call" in stream.read().decode()
        connection.close()


def test_what_is_fetched_while_the_server_runs_is_on_the_next_page(tmp_path: Path) -> None:
    """It needs no restart, and nobody said that it did: the foot of a page says what is missing until it is there."""
    assets = Assets(tmp_path)
    assert assets.missing == FETCHED
    assert assets.page(FETCHED[0]) is None
    for name in FETCHED[:2]:
        (tmp_path / name).write_text(f"// {name}")
    assert set(FETCHED[:2]) < set(assets.urls)
    assert assets.missing == FETCHED[2:]
    assert (found := assets.page(FETCHED[0])) is not None
    assert found.body == f"// {FETCHED[0]}".encode()


# The words on the pages


def test_small_money_is_seen_on_every_page(at: Consoled, writer: Visitor) -> None:
    """A billionth of a dollar is not nothing; no figure of a table is one of a machine's, such as `8.4e-05` or `13.1429`."""
    at.server.aisa("accounts", "create", "small")
    at.server.aisa("wallet", "top-up", "small", "0.000000001")
    usage = [f"/usage/plots?by={by}" for by in BY]
    for path in ("/accounts", "/accounts/small", "/accounts/acme", "/teams", "/vendors/sums", "/sums", *usage):
        cells = re.findall(r"<(?:td|dd)[^>]*>(?:<[^>]*>)*([^<]+)", writer.ask(path).text)
        odd = [cell for cell in cells if re.search(r"[0-9]e-|[0-9]{4,}\.|^[0-9]+\.[0-9]{3,}|\$0\.0{4}$", cell)]
        assert cells
        assert odd == [], path
    assert writer.ask("/accounts").text.count("&lt;$0.000001") == 1
    assert "&lt;$0.000001" in writer.ask("/accounts/small").text
    booked = writer.ask("/changes").text
    assert '<span class="soft">entry</span> <ins>&lt;$0.000001</ins>' in booked
    assert "<ins>None" not in booked


def test_a_wallet_is_shown_with_the_decimals_of_what_is_taken_from_it(at: Consoled, writer: Visitor) -> None:
    """$2.0011 was $2.00, in the tile beside what was spent with six decimals."""
    at.server.aisa("accounts", "create", "tenth")
    at.server.aisa("wallet", "top-up", "tenth", "2.0011")
    assert "<dt>Wallet</dt><dd>$2.001100</dd>" in writer.ask("/accounts/tenth").text


def test_calls_are_listed_by_the_moment_in_their_first_column(writer: Visitor) -> None:
    """They are in the order in which they began, and the column told when they had ended."""
    page = writer.ask("/calls").text
    assert '<th scope="col">Began</th>' in page
    shown = re.findall(r'<td class="time stamp">([^<]+)', page)
    moments = [datetime.strptime(f"2024 {each}", "%Y %b %d %H:%M:%S").replace(tzinfo=UTC) for each in shown]
    moments = [each.replace(year=2023) if (each - moments[0]).days > 180 else each for each in moments]  # no year is shown
    assert moments == sorted(moments, reverse=True)
    assert began("req_01M8J6DZFBH9DDW8ETTMBXCD23") == "Nov 28 23:04:19"


@pytest.mark.parametrize(("amount", "said"), [("1", "1 US dollar was"), ("0.5", "0.5 US dollars were"), ("1.5", "1.5 US dollars were")])
def test_one_is_written_as_one(amount: str, said: str) -> None:
    """`1 US dollars were put`, `1 slots of the journal taken`."""
    assert one_or_more(amount) == said
    assert [several(number, "slot") for number in (0, 1, 1_024)] == ["0 slots", "1 slot", "1,024 slots"]


def test_figures_are_written_for_people() -> None:
    """With the digits that matter, and nothing as nothing."""
    assert [
        changed_value(*each)
        for each in (
            (400_000, "spend_cap"),
            (["a", "b"], "models"),
            ([], "changed"),
            (60, "rpm"),
            (0, "created_at"),
            ({"id": "w", "amount": -5}, "entry"),
            ({"name": "bots"}, "team"),
            (True, "fresh"),
        )
    ] == [
        "$0.000400",
        "a, b",
        "nothing",
        "60",
        "Jan 01 00:00:00",
        "−<$0.000001",
        "bots",
        "yes",
    ]
    assert [dollars(each) for each in (None, 0, 1_234_567_890_000, 12_345_678, 12_345, -2_000_000_000)] == [
        *("–", "$0.00", "$1,234.57", "$0.0123", "$0.000012", "−$2.00")
    ]
    assert [each(amount) for each in (dollars, cost) for amount in (1, 499, -1, 302_000)] == [
        *("<$0.000001", "<$0.000001", "−<$0.000001", "$0.000302"),
        *("<$0.000001", "<$0.000001", "−<$0.000001", "$0.000302"),
    ]
    assert [cost(1_500_000), cost(999_999_500), price(150_000_000), price(2_500_000_000), price(None)] == [
        *("$0.001500", "$1.000000", "$0.15", "$2.50", "–")
    ]
    assert [price(0), price(1), price(1_234_567_890_123)] == ["$0.00", "$0.000000001", "$1,234.567890123"]
    values = (
        (8.4e-05, "$"),
        (1e-09, "$"),
        (12.5, "$"),
        (13.1429, "%"),
        (1.66667, "%"),
        (0.25, "%"),
        (0, "%"),
        (484.298, "ms"),
        (1e6, "tokens"),
        (7, ""),
    )
    assert [plotted(*each) for each in values] == [
        *("$0.000084", "<$0.000001", "$12.500000", "13.1 %", "1.7 %", "0.25 %", "0 %", "484 ms", "1,000,000", "7")
    ]
    assert [plotted(None, unit) for unit in ("$", "ms", "%", "tokens")] == ["–"] * 4
    assert [share(0, 0), share(0, 5), share(1, 3), share(1, 1_000), share(5, 5)] == ["–", "0 %", "33.3 %", "0.10 %", "100 %"]
    assert [duration(None), duration(80), duration(1_234), duration(240_000)] == ["–", "80 ms", "1.23 s", "4.0 min"]
    assert [short_count(9_999), short_count(12_345), short_count(4_560_000)] == ["9,999", "12.3k", "4.56M"]
    assert [near(None, 0), near(100, 100), near(40, 100), near(100 + 86_400, 100)] == ["never", "just now", "1 min ago", "in 1 d"]
    assert short_id("req_01M8J7ZMETS6NG7QDSZV5ECYCH") == "01M8J7ZMETS6N…CYCH"


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("", ""),
        ("aisa_console=x", "x"),
        ("a=b; aisa_console=x; c=d", "x"),
        ('{"a": 1}; b="; aisa_console=x', "x"),
        ("aisa_console=x; aisa_console=y", "x"),
        ("other=1", ""),
        (";;=", ""),
    ],
)
def test_cookies_are_read(header: str, value: str) -> None:
    """Whatever else a browser sends; of two the first, whose path is longer."""
    assert cookie_of(header) == value


def test_a_header_full_of_cookies_is_read_in_no_time() -> None:
    """[fault S10] Of 64 KiB, which need no key, the library's parser made 60 to 150 ms of the loop."""
    header = "a=b; " * 13_000
    assert min(repeat(lambda: cookie_of(header), number=1, repeat=9)) < 0.02


def test_the_settings_of_clients_are_filled_in() -> None:
    """With the server's address and a model, and nothing is left open."""
    for client in CLIENTS:
        text = "\n".join(each.text for each in client.filled("https://aisa.example", "gpt-4.1").settings)
        assert "https://aisa.example" in text
        assert not re.findall(r"\{(url|model)\}", text)


def test_a_limit_of_thousands_of_digits_is_the_forms_mistake() -> None:
    """(fault W11) Python takes it for no number; what is wrong with it the API says."""
    long = "9" * 5_000
    assert terms({"rpm": long, "tpm": "7", "concurrency": "x"}) == {
        "spend_cap": None,
        "models": None,
        "rpm": long,
        "tpm": 7,
        "concurrency": "x",
    }


def test_whatever_a_group_is_called_its_line_is_drawn() -> None:
    """[fault M6] One called as what is left of all others is, and two of one name, took each other's place."""
    names = ["a", OTHERS, "b", "b", *"cdefg"]
    drawn = drawn_of([(name, [Used(requests=place), Used(requests=1)]) for place, name in enumerate(names)])
    assert [name for name, _ in drawn] == [*names[:DRAWN_MAX], OTHERS]
    assert [[used.requests for used in each] for _, each in drawn] == [*([place, 1] for place in range(DRAWN_MAX)), [7 + 8, 2]]
    assert [plot.names for plot in drawn_plots(drawn)] == [[*names[:DRAWN_MAX], OTHERS]] * 4


# Forms that are refused


def field_of(page: str, name: str, typed: str) -> str:
    """Return the tag of a form's field that has what was typed."""
    return next(tag for tag in re.findall(rf'<(?:input|textarea)[^>]* name="{name}"[^>]*>(?:\n[^<]*)?', page) if typed in tag)


@pytest.mark.parametrize(
    ("path", "page", "form", "wrong", "said"),
    [
        ("/keys", "Keys", {"label": "typed label", "team": "nobody's", "rpm": "70"}, "team", "There is no team with the id or name"),
        ("/keys", "Keys", {"label": "typed label", "cap": "many", "window": "week", "models": "a\nb"}, "cap", "is no amount"),
        ("/keys", "Keys", {"label": "typed label", "expires": "later"}, "expires", "is no expiry"),
        ("/keys", "Keys", {"label": "typed label", "rpm": "1,000"}, "rpm", "is no whole number"),
        ("/keys", "Keys", {"label": "typed label", "rpm": "0"}, "rpm", "A limit is a whole number from 1"),
        ("/keys", "Keys", {"label": "key_mine", "account": "typed account"}, "label", "must not begin with key_"),
        ("/keys/support bot/update", "Key support bot", {"label": "typed label", "tpm": "x"}, "tpm", "is no whole number"),
        ("/keys/support bot/update", "Key support bot", {"label": "mobile", "expires": "30d"}, "label", "is taken by"),
        ("/keys/support bot/rotate", "Key support bot", {"grace": "soon"}, "grace", "is no time of at most"),
        ("/teams", "Teams", {"name": "typed name", "cap": "0", "account": "acme"}, "cap", "must be above 0"),
        ("/teams", "Teams", {"name": "bots", "account": "research"}, "name", "has a team"),
        ("/teams/bots/update", "Team bots", {"name": "typed name", "cap": "-1"}, "cap", "must be above 0"),
        ("/teams/bots/keys", "Team bots", {"label": "mobile"}, "label", "is taken by"),
        ("/accounts", "Accounts", {"name": "acme"}, "name", "There is an account"),
        ("/accounts", "Accounts", {"name": "typed\x01name"}, "name", "printable"),
        ("/accounts/acme/top-up", "Account acme", {"amount": "5 $", "note": "typed note", "reference": "r9"}, "amount", "is no amount"),
        ("/accounts/acme/top-up", "Account acme", {"amount": "7", "note": "n", "reference": "2026-114"}, "reference", "is used for 120"),
        ("/accounts/acme/adjust", "Account acme", {"amount": "0", "note": "typed note"}, "amount", "other than zero"),
        ("/accounts/acme/adjust", "Account acme", {"amount": "-3", "note": ""}, "note", "a note that says why"),
    ],
)
def test_a_refused_form_is_shown_again_with_what_was_typed_and_its_wrong_field_marked(
    writer: Visitor, path: str, page: str, form: dict[str, str], wrong: str, said: str
) -> None:
    """[issue 8] Nothing has to be typed twice; eyes, screen readers and keyboards find the field, and programs the status."""
    token = writer.ask("/keys").token
    answer = writer.ask(path.replace(" ", "%20"), {**form, "token": token})
    assert answer.status == 400 or (wrong, answer.status) == ("team", 404)
    assert f"<title>Not done · {page} · aisa</title>" in answer.text
    assert answer.text.count("aria-invalid") == 1
    for name, typed in form.items():
        if name == "window":
            assert re.search(rf'<option value="{typed}" selected>', answer.text)
            continue
        tag = field_of(answer.text, name, "aria-invalid" if name == wrong else html.escape(typed).replace("&#x27;", "&#39;"))
        assert (html.escape(typed).replace("&#x27;", "&#39;") in tag, "autofocus" in tag) == (True, name == wrong), name
    described = re.findall(r'aria-describedby="([\w-]+)"', tag_of_wrong := field_of(answer.text, wrong, "aria-invalid"))[0]
    assert described.removesuffix("-wrong") in tag_of_wrong
    told = re.findall(rf'<p class="wrong" id="{described}">(.*?)</p>', answer.text)
    assert said in html.unescape(told[0])
    assert answer.text.count('<details class="card fold" open>') == (path in ("/keys", "/teams", "/accounts"))
    assert "aria-invalid" not in writer.ask(f"/{path.split('/')[1]}").text, "it is told once"


def test_what_is_wrong_with_no_field_is_told_at_the_head_of_its_form(writer: Visitor) -> None:
    """And where the page is gone meanwhile, or has the form no more, on a page of its own."""
    token = writer.ask("/accounts").token
    form = {"amount": "999999999", "note": "typed", "token": token}
    answer = writer.ask("/teams/bots/update", {"token": token, "cap": "5"})
    assert 'aria-describedby="c-name-wrong"' not in answer.text, "the form had no such field"
    assert re.search(r'<p class="wrong whole" role="alert">A team&#39;s name has 1 to', answer.text)
    for path, said in (
        ("/accounts/nobody/top-up", "There is no account"),
        ("/accounts/research/adjust", "is unlimited and has no balance"),
    ):
        answer = writer.ask(path, form)
        assert answer.status in (400, 404)
        assert "<h1>That was not done</h1>" in answer.text
        assert said in answer.text


def test_filters_that_name_nobody_stay_as_they_were_filled_in(writer: Visitor) -> None:
    """[issue 8] An unknown key among them led to a page of its own, and a way back to the overview."""
    answer = writer.ask("/calls?key=nobody&model=gpt-4.1&kind=failed")
    assert (answer.status, "<title>Not done · Calls · aisa</title>" in answer.text) == (404, True)
    assert re.search(r'<p class="wrong whole" role="alert">There is no key with the id or label', answer.text)
    assert all(each in answer.text for each in ('value="nobody"', 'value="gpt-4.1"', '<option value="failed" selected>'))
    assert "There is no key" in writer.ask("/calls?key=nobody", **{"x-fragment": "1"}).text
    assert "role=" not in writer.ask("/calls?model=nothing").text.partition('class="filters')[2].partition("</form>")[0]


def test_a_list_of_models_is_taken_whole_however_long(at: Consoled, writer: Visitor) -> None:
    """[fault S6] One of more than ten thousand characters was passed over, and the key was let to every model."""
    names = [f"a-model-with-a-long-name-{number:04d}" for number in range(600)]
    form = {"label": "many models", "models": "\n".join(names), "token": writer.ask("/keys").token}
    assert writer.ask("/keys", form).status == 303
    assert json.loads(at.server.aisa("keys", "show", "many models", "--json"))["models"] == names
