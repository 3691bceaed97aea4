"""The console in Debian's Chromium: every page, its first paint, axe-core, and nothing asked of anybody else."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from console_rig import CHROMIUM, CONFIGURATION, Consoled, chromium, consoled, needs_assets, sign_in
from server import Server
from test_console import Visitor
from test_reload import asked
from test_workers import until
from vendor import ScriptedVendor

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium: apt install chromium")

AXE = Path(__file__).resolve().parents[1] / "build" / "axe" / "axe.min.js"
CALLS = 100_000
READ_BYTES_MAX = 500_000  # of a database of 43 MB: some fifty calls, through an index, and what else there is
PLOTS = "/usage/plots?by=model&days=30"
PAGES = (
    "",
    "/live",
    "/calls",
    "/usage",
    "/keys",
    "/teams",
    "/teams/bots",
    "/accounts",
    "/accounts/acme",
    "/accounts/acme/statement",
    "/vendors",
    "/models",
    "/changes",
    "/playground",
    "/setup",
)


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consoled]:
    """A server with a hundred thousand calls in its database, of the last thirty days."""
    with ScriptedVendor() as vendor:
        configuration = CONFIGURATION.format(vendor=vendor.url)
        with consoled(tmp_path_factory.mktemp("browser"), configuration, calls=CALLS) as running:
            asked(running.server, "/v1/chat/completions", {"model": "gpt-4.1", "messages": [{"role": "user", "content": "Hi."}]})
            until(lambda: summed_ms(running.server) > 1000 * (time.time() - 2 * 3600), "the calls are not summed up")
            yield running


def summed_ms(server: Server) -> int:
    """Return up to when calls are summed up, which the server does bit by bit from its start: before, plots read the calls."""
    with contextlib.closing(sqlite3.connect(f"file:{server.folder}/data/aisa.db?mode=ro", uri=True)) as database:
        return int(database.execute("select rolled_ms from rolled_up").fetchone()[0])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium."""
    with chromium() as running:
        yield running


class Watched:
    """What a context's pages asked for, and what went wrong on them."""

    def __init__(self, context: BrowserContext) -> None:
        self.asked: list[str] = []
        self.wrong: list[str] = []
        context.on("request", lambda request: self.asked.append(request.url))
        context.on("console", lambda message: self.wrong.append(message.text) if message.type in ("error", "warning") else None)
        context.on("weberror", lambda error: self.wrong.append(str(error.error)))


@pytest.fixture
def page(at: Consoled, browser: Browser) -> Iterator[Page]:
    """A page that is signed in; nothing may go wrong on it, and nothing may be asked of another server."""
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        watched = Watched(context)
        page = context.new_page()
        sign_in(page, at)
        yield page
        settled(page)
        assert watched.wrong == []
        assert {urlsplit(url).netloc for url in watched.asked if not url.startswith("data:")} == {at.netloc}


def settled(page: Page) -> None:
    """Wait until nothing is loading any more."""
    expect(page.locator("[aria-busy]")).to_have_count(0)


def test_no_page_waits_for_sums_over_calls(at: Consoled, page: Page) -> None:
    """Before its first paint a page reads a page of calls of the hundred thousand, and no more: sums come behind it.

    What is read is counted by the system, as its time would be the machine's. The paints are printed, and what the plots read.
    """
    visitor = Visitor(at.netloc).signed_in(at.reads)
    read: dict[str, int] = {}
    for path in (*PAGES, PLOTS):
        each: list[int] = []
        for _ in range(4):  # the first compiles its template, and the server also does what no page asked for
            before = bytes_read(at)
            visitor.ask(path)
            each.append(bytes_read(at) - before)
        read[path] = min(each[1:])
    paints = {}
    for path in PAGES:
        page.goto(f"{at.server.url}/console{path}", wait_until="load")
        page.wait_for_timeout(50)
        shown = page.evaluate("performance.getEntriesByType('paint').map((entry) => Math.round(entry.startTime))")
        paints[path or "/"] = max(shown, default=None)
    print(json.dumps({"first paint, ms": paints, "bytes read": read}))
    before = bytes_read(at)
    with contextlib.suppress(subprocess.CalledProcessError):  # calls that were made up do not add up
        at.server.aisa("ledger", "audit")
    assert bytes_read(at) - before > 10 * READ_BYTES_MAX, "the count sees what is read"
    assert max(read.values()) < READ_BYTES_MAX


def bytes_read(at: Consoled) -> int:
    """Return how many bytes the server's process has read so far, files from the system's memory included."""
    counts = Path(f"/proc/{at.server.process.pid}/io").read_text(encoding="ascii")
    return int(dict(line.split(": ") for line in counts.splitlines())["rchar"])


@pytest.mark.parametrize("width", [500, 1280, 1366])
def test_nothing_sticks_out_and_no_field_lies_on_another(at: Consoled, browser: Browser, width: int) -> None:
    """On every page as wide as a narrow window and two laptops; what does not fit into a table is scrolled in it."""
    wrong: list[str] = []
    with browser.new_context(viewport={"width": width, "height": 860}) as context:
        page = context.new_page()
        sign_in(page, at)
        for path in (*PAGES, "/usage?by=key&days=7", "/keys?q=support+bot", "/calls/latest"):
            page.goto(f"{at.server.url}/console{path}", wait_until="load")
            if path.startswith("/keys?"):
                page.get_by_role("link", name="support bot").click()
                page.wait_for_url("**/console/keys/key_*")
            settled(page)
            page.evaluate("document.querySelectorAll('details.fold').forEach((each) => (each.open = true))")
            wrong += [f"{path}: {each}" for each in page.evaluate(MISPLACED)]
        for path in refused_forms(page, at):
            wrong += [f"{path}, refused: {each}" for each in page.evaluate(MISPLACED)]
    assert wrong == []


def refused_forms(page: Page, at: Consoled) -> Iterator[str]:
    """Send forms that are refused, and have the page of each: its wrong field has the focus, and the others what was typed."""
    for path, summary, button in (("/keys", "Make a key", "Make the key"), ("/teams/bots", None, "Make the key")):
        page.goto(f"{at.server.url}/console{path}", wait_until="load")
        if summary is not None:
            page.locator("summary", has_text=summary).click()
            page.get_by_label("Expires").fill("30d")
        page.get_by_label("Label").fill("key_of_mine")
        page.get_by_role("button", name=button).click()
        wrong = page.get_by_label("Label")
        expect(wrong).to_be_focused()
        expect(wrong).to_have_value("key_of_mine")
        expect(wrong).to_have_accessible_description("A label must not begin with key_, as keys' ids do.")
        if summary is not None:
            expect(page.get_by_label("Expires")).to_have_value("30d")
        settled(page)
        yield path


#: What of a page is wider than its room, and which fields, buttons and labels of it lie on one another.
MISPLACED = """() => {
  const seen = (each) => each.checkVisibility() && !each.closest(".hidden, .skip, .plot-room, dialog");
  const named = (each) => `${each.localName} ${each.id || each.className} ${each.textContent.trim().slice(0, 40)}`;
  const kept = (each) => getComputedStyle(each).overflowX === "visible";
  const wide = [...document.querySelectorAll("main, main *, header *")].filter(
    (each) => seen(each) && each.clientWidth && kept(each) && each.scrollWidth > each.clientWidth);
  const page = document.documentElement;
  const boxes = [...document.querySelectorAll("main :is(input, select, textarea, button, label, h1, h2)")].filter(seen);
  const on = (one, other) => {
    const [a, b] = [one.getBoundingClientRect(), other.getBoundingClientRect()];
    const [x, y] = [Math.min(a.right, b.right) - Math.max(a.left, b.left), Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top)];
    return x > 1 && y > 1 && !one.contains(other) && !other.contains(one);
  };
  const pairs = boxes.flatMap((one, place) => boxes.slice(place + 1).filter((other) => on(one, other)).map((other) => [one, other]));
  return [
    ...(page.scrollWidth > page.clientWidth ? ["the page"] : []),
    ...wide.map((each) => `${named(each)} is too wide`),
    ...pairs.map(([one, other]) => `${named(one)} lies on ${named(other)}`),
  ];
}"""


@needs_assets
@pytest.mark.parametrize("width", [1200, 1280])
def test_no_number_is_cut_beside_the_menu(at: Consoled, browser: Browser, width: int) -> None:
    """Neither inside nor beyond the room of its table, which is scrolled for names alone. A million dollars is not cut, either."""
    wrong: list[str] = []
    with browser.new_context(viewport={"width": width, "height": 860}) as context:
        page = context.new_page()
        sign_in(page, at)
        for path in (*PAGES, "/usage?by=key&days=7", "/calls?kind=failed", "/calls/latest"):
            page.goto(f"{at.server.url}/console{path}", wait_until="load")
            settled(page)
            wrong += [f"{path}: {each}" for each in page.evaluate(CUT)]
            if path.startswith(("/accounts/", "/calls")):
                page.evaluate(LARGEST)
                wrong += [f"{path}, the largest: {each}" for each in page.evaluate(CUT)]
    assert wrong == []


#: Which numbers of a page are not seen whole without scrolling.
CUT = """() => [...document.querySelectorAll("main :is(td, th).num")].filter((each) => {
  const [box, room] = [each.getBoundingClientRect(), each.closest(".scroll, .card, main").getBoundingClientRect()];
  const seen = each.checkVisibility() && !each.closest(".hidden, dialog");
  return seen && (box.right > room.right + 1 || box.left < room.left - 1 || each.scrollWidth > each.clientWidth);
}).slice(0, 3).map((each) => `${each.closest("table").caption?.textContent}: ${each.textContent.trim()}`)"""
#: Has every amount and every duration of a page be as long as one can be.
LARGEST = """() => document.querySelectorAll("main td.num").forEach((each) => {
  const text = each.textContent.trim();
  if (text.includes("$")) each.textContent = "−$1,000,000." + "0".repeat(text.split(".").pop().length);
  if (/ (ms|s|min)$/.test(text)) each.textContent = "240.5 min";
})"""


def test_a_message_that_is_sent_leaves_no_mistake_behind(at: Consoled, page: Page) -> None:
    """The field is empty and waits; it was red, as one that was left out."""
    page.goto(f"{at.server.url}/console/playground")
    page.get_by_role("button", name="Make one").click()
    page.get_by_label("Your message").fill("Hello.")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("link", name="Receipt")).to_be_visible()
    expect(page.locator("#text:user-invalid")).to_have_count(0)
    assert page.locator("#text").input_value() == ""


@needs_assets
def test_sums_come_behind_the_page_and_are_drawn(at: Consoled, page: Page) -> None:
    """Four plots, each with its table, of the calls that there are."""
    page.goto(f"{at.server.url}/console/usage?by=model&days=7")
    settled(page)
    expect(page.locator(".plot canvas")).to_have_count(4)
    expect(page.locator(".legend").first).to_contain_text("gpt-4.1")
    expect(page.locator("tfoot .total")).to_contain_text("all")
    page.goto(f"{at.server.url}/console")
    settled(page)
    expect(page.locator(".plot canvas")).to_have_count(2)


@needs_assets
def test_a_receipt_opens_at_the_side_and_filters_change_the_rows(at: Consoled, page: Page) -> None:
    """Without leaving the page; the address goes along, and Escape closes."""
    page.goto(f"{at.server.url}/console/calls")
    page.locator("#rows a.mono").first.click()
    expect(page.locator("#drawer .bill")).to_contain_text("cost")
    page.keyboard.press("Escape")
    expect(page.locator("#drawer")).to_be_hidden()
    page.get_by_label("Which").select_option("refused")
    expect(page.locator("#rows tbody tr")).to_have_count(3)
    assert "kind=refused" in page.url


def test_every_page_brings_its_icon(at: Consoled, browser: Browser) -> None:
    """A browser that finds none asks for `/favicon.ico`, which is a refusal in the log; the page for people has the console's."""
    drawn = (files("aisa.console") / "static" / "icon.svg").read_text().strip()
    with browser.new_context() as context:
        watched = Watched(context)
        page = context.new_page()
        for path in ("/", "/console/login", "/console/enter?link=x", "/console"):
            page.goto(at.server.url + path)
            icon = page.locator("link[rel=icon]").get_attribute("href") or ""
            body = page.evaluate("async (address) => (await fetch(address)).text()", icon) if icon.startswith("/") else unquote(icon)
            assert body.partition(",")[2].replace("'", '"') == drawn if path == "/" else body.strip() == drawn
    assert [wrong for wrong in watched.wrong if "401" not in wrong] == []
    assert not [url for url in watched.asked if url.endswith("/favicon.ico")]


def test_colours_change_and_stay(at: Consoled, page: Page) -> None:
    """What was chosen last counts on the next page."""
    page.get_by_role("button", name="Change between dark and light").click()
    page.goto(f"{at.server.url}/console/keys")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_pages_work_without_scripts(at: Consoled, browser: Browser) -> None:
    """Links and forms do it all but the playground, forms that are refused as well."""
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        sign_in(page, at)
        page.get_by_role("link", name="Show them").click()
        expect(page.get_by_text("Spend today")).to_be_visible()
        page.goto(f"{at.server.url}/console/calls")
        page.get_by_label("Which").select_option("refused")
        page.get_by_role("button", name="Filter").click()
        expect(page.locator("#rows tbody tr")).to_have_count(3)
        page.locator("#rows a.mono").first.click()
        expect(page.get_by_text("What the caller was told")).to_be_visible()
        assert list(refused_forms(page, at)) == ["/keys", "/teams/bots"]


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not there: make axe")
def test_axe_finds_nothing_on_any_page(at: Consoled, browser: Browser) -> None:
    """Names, roles, contrasts and order are what screen readers and eyes need, dark and light."""
    found: list[str] = []
    with browser.new_context(bypass_csp=True) as context:
        page = context.new_page()
        page.goto(f"{at.server.url}/console")
        found += violations(page, "login")
        sign_in(page, at)
        for path in (*PAGES, "/calls/latest", "/usage?by=key"):
            page.goto(f"{at.server.url}/console{path}", wait_until="load")
            settled(page)
            found += violations(page, path)
        page.goto(f"{at.server.url}/console/keys")
        page.get_by_role("link", name="support bot").click()
        page.wait_for_url("**/console/keys/key_*")
        found += violations(page, "key")
        for path in refused_forms(page, at):
            found += violations(page, f"{path}, refused")
    assert found == []


def violations(page: Page, name: str) -> list[str]:
    """Return what axe-core finds on a page, a line each: everything in the light, and contrasts in the dark."""
    page.add_script_tag(path=str(AXE))
    found: list[str] = []
    for scheme, rules in (("light", ""), ("dark", "runOnly: ['color-contrast']")):
        page.emulate_media(color_scheme=scheme)
        results = page.evaluate(f"axe.run(document, {{resultTypes: ['violations'], {rules}}})")
        nodes = [(each["id"], node) for each in results["violations"] for node in each["nodes"][:3]]
        found += [f"{name}, {scheme}: {rule}: {node['html'][:120]}: {node['failureSummary'][:300]}" for rule, node in nodes]
    page.emulate_media(color_scheme="light")
    return found
