"""Takes pictures of every page of the console in Chromium, dark and light, wide and narrow: `make pictures`. What they show is made up."""

from __future__ import annotations

import contextlib
import http.client
import sys
import tempfile
import threading
from pathlib import Path

from playwright.sync_api import Page, expect

from console_rig import CONFIGURATION, Consoled, chromium, consoled, sign_in
from test_reload import asked
from vendor import ScriptedVendor

PAGES = (
    "",
    "live",
    "calls",
    "usage?by=model&days=30",
    "keys",
    "teams",
    "teams/bots",
    "accounts",
    "accounts/acme",
    "accounts/acme/statement",
    "vendors",
    "models",
    "changes",
    "playground",
    "setup",
)
CALLS = 6_000
NARROW = 400  # a telephone's width


def picture(page: Page, path: Path, *, whole: bool = True) -> None:
    """Take one, when nothing is loading any more."""
    expect(page.locator("[aria-busy]")).to_have_count(0)
    page.wait_for_timeout(250)
    page.screenshot(path=str(path), full_page=whole)


def forever(at: Consoled, body: dict[str, object]) -> None:
    """Make a call that ends with the server."""
    with contextlib.suppress(http.client.HTTPException, OSError):
        asked(at.server, "/v1/chat/completions", body)


def take(at: Consoled, folder: Path, only: list[str]) -> None:
    """Take all pictures."""
    body = {"model": "endless", "stream": True, "messages": [{"role": "user", "content": "Go on."}]}
    at.server.aisa("keys", "update", "t", "--label", "laptop")
    for _ in range(3):
        threading.Thread(target=forever, args=(at, body), daemon=True).start()
    asked(at.server, "/v1/chat/completions", {"model": "gpt-4.1", "messages": [{"role": "user", "content": "Hi."}]})
    with chromium() as browser:
        for scheme, width in (("light", 1360), ("dark", 1360), ("light", 390), ("dark", 390)):
            context = browser.new_context(viewport={"width": width, "height": 860}, color_scheme=scheme)
            look = scheme if width > NARROW else f"{scheme}-narrow"
            page = context.new_page()
            page.on("console", lambda message: print(f"  {message.type}: {message.text}") if message.type in ("error", "warning") else None)
            page.on("pageerror", lambda error: print(f"  {error}"))
            page.goto(f"{at.server.url}/console")
            picture(page, folder / f"login-{look}.png")
            sign_in(page, at)
            for path in PAGES:
                name = path.partition("?")[0].replace("/", "-") or "overview"
                if only and name not in only:
                    continue
                page.goto(f"{at.server.url}/console/{path}".rstrip("/"), wait_until="domcontentloaded")
                page.wait_for_load_state("load")
                picture(page, folder / f"{name}-{look}.png", whole=name not in ("setup", "calls"))
            if not only or "receipt" in only:
                page.goto(f"{at.server.url}/console/calls?kind=")
                page.locator("#rows tr", has_text="completed").nth(2).locator("a.mono").click()
                page.locator("#drawer .receipt").wait_for()
                picture(page, folder / f"receipt-{look}.png", whole=False)
            if not only or "key" in only:
                page.goto(f"{at.server.url}/console/keys")
                page.get_by_role("link", name="support bot").click()
                picture(page, folder / f"key-{look}.png")
            context.close()


def main() -> None:
    """Take them."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, ScriptedVendor(("hello", "endless", "stall")) as vendor:
        configuration = CONFIGURATION.format(vendor=vendor.url)
        with consoled(Path(place), configuration, calls=CALLS, days=29) as at:
            take(at, folder, sys.argv[2:])
    for path in sorted(folder.glob("*.png")):
        print(f"{path}  {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
