"""What tests and pictures of the console share: a data folder with made-up calls, a server on it, and Debian's Chromium. Not a test."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from sqlalchemy import text

from aisa.clock import wall_clock
from aisa.console.assets import Assets
from aisa.ids import first_id
from aisa.keys.rules import READ, WRITE, SpendCap
from aisa.keys.store import KeyStore
from aisa.ledger.refusal import RefusedCalls
from aisa.ledger.row import CallRow
from aisa.ledger.rules import CLIENT_GONE, COMPLETED, CUT, FAILED
from aisa.ledger.store import LedgerStore
from aisa.ledger.writer import BATCH_ROWS_MAX, insert_rows
from aisa.pricing import cost_of, unit_prices
from aisa.storage.engine import Database, open_database
from aisa.storage.lock import own_folder
from aisa.storage.migrate import migrate
from aisa.storage.tables import calls as table
from aisa.storage.tables import refused_calls
from aisa.usage import COUNTED, REPORTED, Usage
from server import Server, serving
from test_workers import until

CHROMIUM = shutil.which("chromium")
MISSING = Assets().missing
#: For what is shown otherwise, or not at all, without them: a plot without its library is a table.
needs_assets = pytest.mark.skipif(bool(MISSING), reason=f"`make assets` has not fetched {', '.join(MISSING)}")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]
FLAGS += ["--disable-component-update", "--font-render-hinting=none", "--hide-scrollbars"]
expect.set_options(timeout=30_000)  # ms; by default five seconds, in which a busy machine may not come so far
DAY_MS = 86_400_000
MADE_UP_MAX = 6_000  # calls that are made up one by one; the others are copies of them
#: Model, vendor, and what a million tokens of input and output cost.
MODELS = (
    ("gpt-4.1", "openai", 2.0, 8.0),
    ("claude-sonnet-4-5", "anthropic", 3.0, 15.0),
    ("gpt-4.1-mini", "openai", 0.4, 1.6),
    ("gemini-2.5-flash", "google", 0.3, 2.5),
    ("mistral-small-latest", "mistral", 0.1, 0.3),
)
KEYS = (("web app", "default"), ("support bot", "acme"), ("nightly evaluation", "research"), ("mobile", "default"), ("ci", "research"))
CONFIGURATION = """\
vendors:
  local: {{base_url: "{vendor}", api_key: vendor-secret}}
models:
  gpt-4.1: {{to: [embedded/tiny], prices: {{input: 2.0, output: 8.0}}}}
  claude-sonnet-4-5: {{to: [local/hello, embedded/tiny], prices: {{input: 3.0, output: 15.0}}}}
  endless: {{to: [local/endless], prices: {{input: 0.3, output: 2.5}}}}
  broken: {{to: [local/once-503]}}
embedded: {{tokens_per_second: 40}}
discovery: {{environment: false}}
"""


def call(number: int, began_ms: int, key: tuple[str, str], chance: random.Random) -> CallRow:
    """Return a made-up call that began at a moment."""
    model, vendor, input_price, output_price = chance.choices(MODELS, (5, 4, 3, 3, 1))[0]
    prices = unit_prices({"input": int(input_price * 10**9), "output": int(output_price * 10**9)})
    outcome = chance.choices((COMPLETED, FAILED, CUT, CLIENT_GONE), (960, 15, 10, 15))[0]
    size = 0 if outcome == FAILED else int(chance.lognormvariate(5.2, 0.8)) + 1
    made = Usage(int(chance.lognormvariate(6.6, 0.9)), size, source=REPORTED, input_source=REPORTED)
    billed = Usage(0, 0, source=COUNTED, input_source=REPORTED) if outcome == FAILED else made
    first = None if outcome == FAILED else int(chance.lognormvariate(6.1, 0.35))
    took = (first or 300) + int(size * chance.uniform(8, 25))
    return CallRow(
        id=f"{first_id(began_ms)}{number:016d}",
        account=key[1],
        key_id=key[0],
        model=model,
        stream=chance.random() < 0.8,
        outcome=outcome,
        began_ms=began_ms,
        ended_ms=began_ms + took,
        generated=made,
        delivered=size,
        billed=billed,
        cost=cost_of(billed, prices),
        prices=prices,
        price_source=f"models.{model}.prices",
        target=f"{vendor}/{model}",
        attempts=2 if outcome == FAILED else 1,
        queue_ms=2,
        first_token_ms=first,
        total_ms=took,
        bytes_sent=size * 180,
        error_code="upstream_unavailable" if outcome == FAILED else "upstream_timeout" if outcome == CUT else None,
        error_message=f"The vendor '{vendor}' sent no token in time." if outcome == CUT else None,
        error_detail="192.0.2.7:443: Connection refused" if outcome == FAILED else None,
    )


def seed(folder: Path, calls: int, days: int) -> None:
    """Fill a data folder with made-up keys, a team, wallets and so many calls over the last days, the same whenever it is done."""
    chance = random.Random(14)
    with own_folder(str(folder)):
        database = open_database(str(folder), migrate)
        keys = KeyStore(database, wall_clock, random.Random(3))
        team = keys.teams.create("research", "bots", SpendCap(200_000_000_000, "month"))
        made: list[tuple[str, str]] = []
        for label, account in KEYS:
            spend = SpendCap(50_000_000_000, "month") if label == "support bot" else None
            made.append((keys.create(label, account=team if label == "ci" else account, spend=spend)[0].id, account))
        keys.revoke(keys.create("old laptop")[0].id)
        store = LedgerStore(database, wall_clock, tuple)
        store.top_up("acme", 120_000_000_000, note="invoice 2026-114", reference="2026-114")
        now_ms = int(wall_clock() * 1000) - 60_000
        moments = sorted(now_ms - int(days * DAY_MS * chance.random() ** 1.15) for _ in range(calls))
        made_up = min(calls, MADE_UP_MAX)
        moments = moments[:: max(1, calls // made_up)][:made_up]
        rows = [call(number, moment, chance.choices(made, (6, 4, 3, 2, 1))[0], chance) for number, moment in enumerate(moments)]
        for start in range(0, len(rows), BATCH_ROWS_MAX):
            insert_rows(database, rows[start : start + BATCH_ROWS_MAX])
        repeat(database, calls // made_up)
        refuse(database, made, now_ms)
        database.close()


def repeat(database: Database, times: int) -> None:
    """Have each call that many times, some milliseconds apart: the database copies faster than calls are made up."""
    names = [column.name for column in table.columns if column.name not in ("id", "began_ms", "ended_ms")]
    copied = ", ".join(names)
    with database.transaction() as connection:
        number = connection.execute(text("SELECT count(*) FROM calls")).scalar_one()
        for each in range(1, times):
            shifted = f"substr(id, 1, 14) || substr('{each * number + 10**15}' + substr(id, 15), -16), began_ms + {each}, ended_ms + {each}"
            statement = f"INSERT INTO calls (id, began_ms, ended_ms, {copied}) SELECT {shifted}, {copied} FROM calls LIMIT {number}"
            connection.execute(text(statement))


def refuse(database: Database, keys: list[tuple[str, str]], now_ms: int) -> None:
    """Add refused calls."""
    told = (
        (429, "rate_limit_exceeded", "The key 'ci' allows 60 calls a minute, and this would be the 61st. Wait 12 seconds.", 37),
        (403, "model_not_allowed", "The key 'support bot' may not use the model 'gpt-4.1'. It may use: gpt-4.1-mini.", 1),
        (402, "insufficient_wallet_balance", "The wallet of 'acme' has 0.00021 US dollars left, and this call may cost 0.0042.", 1),
    )
    with database.transaction() as connection:
        for number, (status, code, message, times) in enumerate(told):
            at = now_ms - number * 240_000
            key, account = keys[(4, 1, 1)[number]]
            record = RefusedCalls(
                id=f"{first_id(at)}{number:016d}",
                account=account,
                key_id=key,
                model="gpt-4.1",
                status=status,
                code=code,
                message=message,
                at_ms=at,
                last_ms=at + 900,
                number=times,
            )
            connection.execute(refused_calls.insert().values({name: getattr(record, name) for name in record.__struct_fields__}))


class Consoled(NamedTuple):
    """A server with a console, and an admin key of each scope."""

    server: Server
    reads: str
    writes: str

    @property
    def netloc(self) -> str:
        """Its host and port."""
        return urlsplit(self.server.url).netloc


@contextmanager
def consoled(
    folder: Path, configuration: str | None = None, *, calls: int = 0, days: int = 30, workers: int = 1, label: str = "t"
) -> Iterator[Consoled]:
    """Run a server on a folder with so many made-up calls. `label` is that of the key which is made."""
    if calls:
        seed(folder / "data", calls, days)
    with serving(folder, configuration, workers=workers, label=label) as server:
        keys = [server.aisa("admin-keys", "create", scope, "--scope", scope, "--quiet").strip() for scope in (READ, WRITE)]
        yield Consoled(server, *keys)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Debian's Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


#: Has a page note that a button said so, which it does for a second and a half: a test that looks for it may come too late.
NOTE_COPY = """copy => {
  window.copied = false;
  new MutationObserver(() => (window.copied ||= copy.textContent === "Copied")).observe(copy, { childList: true });
}"""


def press_copy(copy: Locator, press: Callable[[], None]) -> None:
    """Press a button that copies something, and wait until it says that it has."""
    copy.evaluate(NOTE_COPY)
    press()
    until(lambda: bool(copy.page.evaluate("window.copied")), "nothing was copied")


def sign_in(page: Page, consoled_at: Consoled, key: str | None = None) -> None:
    """Sign in with an admin key, that which may write if none is named."""
    page.goto(f"{consoled_at.server.url}/console")
    page.get_by_label("Admin key").fill(key or consoled_at.writes)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/console")
