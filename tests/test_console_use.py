"""The console as it is used, in Debian's Chromium: by keyboard alone on every page, and the playground's pictures, tools and code."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from aisa.console.page import FORM_BYTES_MAX
from console_rig import CHROMIUM, CONFIGURATION, Consoled, chromium, consoled, needs_assets, press_copy, sign_in
from pictures import forever
from server import PROCESS_SECONDS_MAX
from test_reload import asked
from vendor import ScriptedVendor

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium: apt install chromium")

NODE = shutil.which("node")
CALLS = 400
PAGES = (
    *("", "/live", "/calls", "/calls?kind=refused", "/calls/latest", "/usage", "/keys", "/teams", "/teams/bots"),
    *("/accounts", "/accounts/acme", "/accounts/acme/statement", "/vendors", "/models", "/changes", "/playground", "/setup"),
)
#: Put into a page: what can be reached by Tab (seen, not turned off, not in something that is closed), and what has the focus now.
LOOK = """window.reachable = () =>
  [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")].filter((element) =>
    element.checkVisibility() && !element.disabled && element.type !== "hidden" && !element.closest("dialog:not([open])"));
window.focus_now = () => {
  const element = document.activeElement;
  const shown = [element, document.querySelector(`label[for="${element.id}"].button`) ?? element];
  const box = shown[1].getBoundingClientRect();
  return {
    at: reachable().indexOf(element),
    ringed: shown.some((each) => getComputedStyle(each).outlineStyle !== "none" && getComputedStyle(each).outlineWidth !== "0px"),
    name: `${element.tagName} ${element.id || element.textContent.trim().slice(0, 30)}`,
    inside: box.bottom > 0 && box.top < innerHeight,
  };
};"""
PICTURE = bytes.fromhex(  # one red point
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": 'The weather of a city, it\'s "now"',
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
                "additionalProperties": False,
            },
        },
    }
]
#: What stands for OpenAI's client where code for Node is run: it sends what it is given, and yields the events that come.
OPENAI_FOR_NODE = """
export default class OpenAI {
  constructor({ baseURL, apiKey }) {
    const create = async (body) => {
      const headers = { authorization: `Bearer ${apiKey}`, "content-type": "application/json" };
      const answer = await fetch(`${baseURL}/chat/completions`, { method: "POST", headers, body: JSON.stringify(body) });
      if (!answer.ok) throw new Error(await answer.text());
      if (!body.stream) return answer.json();
      const events = (await answer.text()).split("\\n\\n").filter((each) => each.startsWith("data: {"));
      return events.map((each) => JSON.parse(each.slice(6)));
    };
    this.chat = { completions: { create } };
  }
}
"""


@pytest.fixture(scope="module")
def vendor() -> Iterator[ScriptedVendor]:
    """A vendor that answers in five words, and keeps what it was asked."""
    with ScriptedVendor() as running:
        yield running


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory, vendor: ScriptedVendor) -> Iterator[Consoled]:
    """A server with some calls in its database, and one that runs."""
    with consoled(tmp_path_factory.mktemp("use"), CONFIGURATION.format(vendor=vendor.url), calls=CALLS, days=5) as running:
        asked(running.server, "/v1/chat/completions", {"model": "gpt-4.1", "messages": [{"role": "user", "content": "Hi."}]})
        body = {"model": "endless", "stream": True, "messages": [{"role": "user", "content": "Go on."}]}
        threading.Thread(target=forever, args=(running, body), daemon=True).start()
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def context(at: Consoled, browser: Browser) -> Iterator[BrowserContext]:
    """Who is signed in, and may copy; nothing may go wrong on any of its pages."""
    with browser.new_context(viewport={"width": 1280, "height": 900}, permissions=["clipboard-read", "clipboard-write"]) as context:
        wrong: list[str] = []
        context.on("weberror", lambda error: wrong.append(str(error.error)))
        sign_in(context.new_page(), at)
        yield context
        assert wrong == []


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page of its own."""
    page = context.new_page()
    yield page
    page.close()


def settled(page: Page) -> None:
    """Wait until nothing is loading any more."""
    expect(page.locator("[aria-busy]")).to_have_count(0)


def to(page: Page, name: str, *, of: str = "button") -> None:
    """Press Tab until something has the focus that is called so."""
    for _ in range(200):
        page.keyboard.press("Tab")
        if page.evaluate(
            "([of, name]) => document.activeElement.matches(of) && [document.activeElement.textContent.trim(), "
            "document.activeElement.getAttribute('aria-label'), document.activeElement.labels?.[0]?.textContent.trim(), "
            "document.activeElement.id].includes(name)",
            [of, name],
        ):
            return
    raise AssertionError(f"Tab never came to {name!r}")


# By keyboard alone


@pytest.mark.parametrize("path", PAGES, ids=[path or "/" for path in PAGES])
def test_everything_on_a_page_is_reached_by_tab_and_seen_to_be(at: Consoled, page: Page, path: str) -> None:
    """In turn, each with a ring around it and in view, and nothing keeps the focus: behind the last it leaves the page."""
    page.goto(f"{at.server.url}/console{path}", wait_until="load")
    settled(page)
    page.evaluate(LOOK)
    wanted = page.evaluate("reachable().length")
    seen: list[dict[str, Any]] = []
    for _ in range(wanted + 2):
        page.keyboard.press("Tab")
        step = page.evaluate("focus_now()")
        if step["at"] < 0 and seen:
            break
        seen.append(step)
    assert [step["at"] for step in seen if step["at"] >= 0] == list(range(wanted))
    assert [step["name"] for step in seen if not step["ringed"]] == []
    assert [step["name"] for step in seen if not step["inside"]] == []


def test_no_page_is_wider_than_a_telephone_and_the_menu_takes_no_more_than_its_room(at: Consoled, page: Page) -> None:
    """What does not fit, tables and code, is moved within its own room; a short page leaves no gap above itself."""
    page.set_viewport_size({"width": 390, "height": 800})
    wide: dict[str, int] = {}
    tall: dict[str, int] = {}
    for path in PAGES:
        page.goto(f"{at.server.url}/console{path}", wait_until="load")
        settled(page)
        wide[path] = page.evaluate("document.documentElement.scrollWidth")
        tall[path] = page.evaluate("document.querySelector('.side').clientHeight - document.querySelector('.side-in').clientHeight")
    assert {path: width for path, width in wide.items() if width > 390} == {}
    assert {path: gap for path, gap in tall.items() if gap} == {}


@pytest.mark.parametrize("width", [320, 390])
def test_no_page_of_who_is_not_signed_in_is_wider_than_a_telephone(at: Consoled, browser: Browser, width: int) -> None:
    """The sign-in, after a link that is used up, and what another's page says; the command there is moved within its own room."""
    context = browser.new_context(viewport={"width": width, "height": 800})
    page = context.new_page()
    wide: dict[str, int] = {}
    for path in ("", "/enter?link=nobody-has-this", "/calls"):
        page.goto(f"{at.server.url}/console{path}", wait_until="load")
        wide[path] = page.evaluate("document.documentElement.scrollWidth")
    context.close()
    assert {path: points for path, points in wide.items() if points > width} == {}


BEYOND = """Math.max(0, ...[...document.querySelectorAll('.scroll')].filter(room => !room.closest('details:not([open])'))
    .map(room => room.scrollWidth - room.clientWidth))"""


@needs_assets
def test_no_table_is_wider_than_a_small_screen_of_a_desk(at: Consoled, page: Page) -> None:
    """On 1,360 points every column is seen: nobody has to push the costs of calls into sight."""
    page.set_viewport_size({"width": 1360, "height": 800})
    beyond: dict[str, int] = {}
    for path in PAGES:
        page.goto(f"{at.server.url}/console{path}", wait_until="load")
        settled(page)
        beyond[path] = page.evaluate(BEYOND)
    assert {path: points for path, points in beyond.items() if points} == {}


def test_a_key_is_made_by_keyboard(at: Consoled, browser: Browser) -> None:
    """Sign in, skip to the page, make a key, see its secret, copy it, and sign out."""
    with browser.new_context(permissions=["clipboard-read", "clipboard-write"]) as context:
        page = context.new_page()
        page.goto(f"{at.server.url}/console")
        expect(page.get_by_label("Admin key")).to_be_focused()  # a busy browser gives it the focus behind the page's end
        page.keyboard.type(at.writes)
        page.keyboard.press("Enter")
        page.wait_for_url("**/console")
        page.keyboard.press("Tab")
        expect(page.get_by_text("Skip to the page")).to_be_focused()
        to(page, "Keys", of="a")
        page.keyboard.press("Enter")
        page.wait_for_url("**/console/keys")
        to(page, "Make a key", of="summary")
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        page.keyboard.type("typed")
        page.keyboard.press("Enter")
        page.wait_for_url("**/console/keys/key_*")
        expect(page.locator("#secret")).to_contain_text("sk-aisa-")
        expect(page.get_by_role("heading", name="typed")).to_be_visible()
        to(page, "Copy")
        press_copy(page.locator(":focus"), lambda: page.keyboard.press("Enter"))
        assert page.evaluate("navigator.clipboard.readText()") == page.locator("#secret").inner_text()
        to(page, "Sign out")
        page.keyboard.press("Enter")
        page.wait_for_url("**/console/login")


@needs_assets
def test_a_receipt_is_opened_and_closed_by_keyboard(at: Consoled, page: Page) -> None:
    """The focus goes into it, stays there, and comes back to the call; filters are chosen without a mouse."""
    page.goto(f"{at.server.url}/console/calls")
    to(page, "f-kind", of="select")
    page.keyboard.press("r")
    expect(page.locator("#rows tbody tr")).to_have_count(3)
    page.locator("#rows a.mono").first.wait_for()
    page.keyboard.press("Tab")
    for _ in range(40):
        if page.evaluate("document.activeElement.matches('#rows a.mono')"):
            break
        page.keyboard.press("Tab")
    called = page.evaluate("document.activeElement.href")
    page.keyboard.press("Enter")
    expect(page.locator("#drawer")).to_contain_text("What the caller was told")
    for _ in range(12):
        assert page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('#drawer')")
        page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    expect(page.locator("#drawer")).to_be_hidden()
    assert page.evaluate("document.activeElement.href") == called


def test_a_call_is_ended_by_keyboard_while_the_list_is_renewed(at: Consoled, page: Page) -> None:
    """The focus stays on the button of that call, whatever comes meanwhile."""
    page.goto(f"{at.server.url}/console/live")
    button = page.get_by_role("button", name=re.compile("End call"))
    button.wait_for()
    to(page, button.get_attribute("aria-label") or "")
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    expect(button).to_be_focused()
    page.once("dialog", lambda dialog: dialog.accept())
    page.keyboard.press("Enter")
    expect(page.get_by_text("was ended. What had arrived of it is billed.")).to_be_visible()


def test_money_is_put_in_by_keyboard(at: Consoled, page: Page) -> None:
    """And the statement has it, which is reached by keyboard too."""
    page.goto(f"{at.server.url}/console/accounts/acme")
    to(page, "US dollars", of="input")
    page.keyboard.type("2.5")
    page.keyboard.press("Tab")
    page.keyboard.type("typed by hand")
    page.keyboard.press("Enter")
    expect(page.get_by_text("2.5 US dollars were put into the wallet.")).to_be_visible()
    to(page, "Statement", of="a")
    page.keyboard.press("Enter")
    expect(page.get_by_text("typed by hand")).to_be_visible()


# The playground


def open_playground(page: Page, at: Consoled, model: str) -> None:
    """Open it with a key that it makes."""
    page.goto(f"{at.server.url}/console/playground")
    page.get_by_role("button", name=re.compile("Make one")).click()
    page.wait_for_url("**/console/playground")
    expect(page.get_by_label("Key", exact=True)).to_have_value(re.compile("sk-aisa-"))
    page.get_by_label("Model", exact=True).fill(model)


def say(page: Page, text: str) -> None:
    """Say something, and wait for what comes back."""
    before = page.locator("#talk li.them").count()
    page.get_by_label("Your message").fill(text)
    page.keyboard.press("Enter")
    expect(page.locator("#talk li.them")).to_have_count(before + 1)
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()


def test_the_playground_talks_and_counts(at: Consoled, page: Page) -> None:
    """The answer comes piece by piece, with its tokens and its cost, and the call as code."""
    open_playground(page, at, "gpt-4.1")
    page.get_by_label("Max tokens").fill("20")
    say(page, "Write a haiku about APIs.")
    expect(page.locator("#m-cost")).to_have_text(re.compile(r"\$0\.0\d*[1-9]"))
    expect(page.locator("#m-id a")).to_have_text("Receipt")


def test_a_picture_is_sent_and_is_in_the_code(at: Consoled, page: Page, vendor: ScriptedVendor) -> None:
    """As OpenAI's `image_url` with the picture itself, beside the text; it is chosen by keyboard, and seen in the conversation."""
    open_playground(page, at, "claude-sonnet-4-5")
    to(page, "Add a picture", of="input")
    page.locator("#image").set_input_files({"name": "point.png", "mimeType": "image/png", "buffer": PICTURE})
    expect(page.locator("#picture")).to_have_text("point.png")
    expect(page.locator("#code")).to_contain_text("data:image/png;base64,")
    say(page, "What is this?")
    text, picture = vendor.asked("hello")[-1].body["messages"][-1]["content"]
    assert text == {"type": "text", "text": "What is this?"}
    assert picture["image_url"]["url"].startswith("data:image/png;base64,iVBOR")
    expect(page.locator("#talk li.you img")).to_be_visible()
    expect(page.locator("#talk li.them")).to_have_text("Hello from the vendor.")
    say(page, "And now?")
    assert vendor.asked("hello")[-1].body["messages"][-1] == {"role": "user", "content": "And now?"}


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "document"])
def test_a_tool_is_called_its_result_asked_for_and_given(at: Consoled, page: Page, *, stream: bool) -> None:
    """By keyboard: the field for the result has the focus, and the conversation goes on as every vendor wants it."""
    open_playground(page, at, "gpt-4.1")
    page.get_by_label("Tools, as JSON").fill("[{")
    say_refused(page, "Call get_weather for Paris.", "The tools are no JSON")
    page.get_by_label("Tools, as JSON").fill(json.dumps(TOOLS))
    page.get_by_label("Stream the answer").set_checked(stream)
    say(page, "Call get_weather for Paris.")
    expect(page.locator("#talk li.them .tool")).to_contain_text("get_weather({")
    expect(page.get_by_label("Result of get_weather")).to_be_focused()
    page.keyboard.type("17 degrees")
    sent: list[Any] = []
    page.on("request", lambda request: sent.append(request.post_data_json) if request.method == "POST" else None)
    page.keyboard.press("Enter")
    expect(page.locator("#talk li.them")).to_have_count(2)
    called, told = sent[0]["messages"][-2:]
    assert called["tool_calls"][0]["function"]["name"] == "get_weather"
    assert called["content"] is None
    assert told == {"role": "tool", "tool_call_id": called["tool_calls"][0]["id"], "content": "17 degrees"}
    expect(page.locator("#talk li.bad")).to_have_count(1)  # the one of above


def say_refused(page: Page, text: str, why: str) -> None:
    """Say something that is told not to work."""
    page.get_by_label("Your message").fill(text)
    page.get_by_label("Your message").press("Enter")
    expect(page.locator("#talk li.bad")).to_contain_text(why)


def test_what_a_call_was_refused_for_is_told(at: Consoled, page: Page) -> None:
    """In the server's own words, and the message can be sent again with another model."""
    open_playground(page, at, "gpt-4.1")
    page.get_by_label("Temperature").fill("9")
    say_refused(page, "Hi.", "temperature")
    page.get_by_label("Temperature").fill("1")
    say(page, "Hi.")


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "document"])
def test_the_code_that_is_copied_makes_the_same_call(
    at: Consoled, page: Page, vendor: ScriptedVendor, tmp_path: Path, *, stream: bool
) -> None:
    """With curl, Python and Node: each runs as it was copied, and the vendor gets the same from all, quotes and a picture in it."""
    open_playground(page, at, "claude-sonnet-4-5")
    secret = page.get_by_label("Key", exact=True).input_value()
    page.get_by_label("System").fill('It\'s a "test" with $HOME, `ticks`, \\ and\nlines.')
    page.get_by_label("Temperature").fill("0.5")
    page.get_by_label("Seed").fill("7")
    page.get_by_label("Stop").fill("END'S")
    page.get_by_label("Tools, as JSON").fill(json.dumps(TOOLS))
    page.get_by_label("Stream the answer").set_checked(stream)
    page.locator("#image").set_input_files({"name": "point.png", "mimeType": "image/png", "buffer": PICTURE})
    expect(page.locator("#code")).to_contain_text("data:image/png;base64,")
    page.get_by_label("Your message").fill("What's “this”? 😀")
    copied: dict[str, str] = {}
    for name in ("curl", "Python", "Node"):
        page.get_by_role("button", name=name, exact=True).click()
        copy = page.locator("[data-copy='#code']")
        press_copy(copy, copy.click)
        copied[name] = page.evaluate("navigator.clipboard.readText()")
        expect(copy).to_have_text("Copy")
    say(page, "What's “this”? 😀")
    expected = vendor.asked("hello")[-1].body
    (tmp_path / "node_modules" / "openai").mkdir(parents=True)
    (tmp_path / "node_modules" / "openai" / "index.mjs").write_text(OPENAI_FOR_NODE, encoding="utf-8")
    (tmp_path / "node_modules" / "openai" / "package.json").write_text('{"exports": "./index.mjs"}', encoding="utf-8")
    (tmp_path / "call.mjs").write_text(copied["Node"], encoding="utf-8")
    commands = {"curl": ["bash", "-c", copied["curl"]], "Python": [sys.executable, "-c", copied["Python"]]}
    commands |= {"Node": [NODE, "call.mjs"]} if NODE else {}
    for name, command in commands.items():
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AISA_API_KEY": secret}
        done = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=PROCESS_SECONDS_MAX, check=False
        )
        assert done.returncode == 0, (name, done.stderr)
        assert "vendor" in done.stdout, name
        assert vendor.asked("hello")[-1].body == expected, name


def test_a_form_that_is_too_large_is_not_sent(at: Consoled, page: Page) -> None:
    """[fault S6] The server refuses it unread, and what was typed was lost: it is told beside what was typed, which can be made shorter."""
    page.goto(f"{at.server.url}/console/teams/bots")
    field = page.locator("#c-name")
    field.evaluate(f"element => element.value = 'x'.repeat({FORM_BYTES_MAX})")
    field.press("Enter")
    expect(page.get_by_text(f"{FORM_BYTES_MAX:,} are taken at most. It was not sent.")).to_be_visible()
    field.fill("bots")
    field.press("Enter")
    expect(page.get_by_text("The team was changed", exact=False)).to_be_visible()
