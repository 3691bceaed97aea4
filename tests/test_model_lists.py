"""Vendors' own lists: asked for apart from calls, kept for the next start, asked for again. Real sockets; the clock is virtual."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from aisa.config.schema import Config, Vendor
from aisa.facts import Fact
from aisa.http.pool import HttpUpstream
from aisa.known_models import Known
from aisa.model_lists import AWAITED_SECONDS_MAX, FILE_NAME, REFRESH_SECONDS, RETRY_SECONDS, ModelLists
from aisa.providers.listed_models import NAMES_MAX, PAGES_MAX, Listing, models_request, names_in, read_document
from aisa.testing.clock import run_virtual
from aisa.vendor_targets import has_list
from http_client_rig import Connection, FakeVendor

OPENAI_LIST = {"object": "list", "data": [{"id": "gpt-4.1"}, {"id": "o3"}]}


@pytest.mark.parametrize(
    ("document", "names"),
    [
        (OPENAI_LIST, ["gpt-4.1", "o3"]),
        ([{"id": "bare"}], ["bare"]),
        ({"models": [{"name": "models/gemini-2.5-pro", "supportedGenerationMethods": ["generateContent"]}]}, ["gemini-2.5-pro"]),
        ({"models": [{"name": "models/embed", "supportedGenerationMethods": ["embedContent"]}]}, []),
        (
            {"models": [{"name": name, "endpoints": [name]} for name in ("chat", "embed", "rerank", "classify")]},
            ["chat", "embed", "rerank"],
        ),
        (
            {"models": [{"name": "command", "endpoints": [{}, "generate", "chat"]}, {"name": "unsaid", "endpoints": None}]},
            ["command", "unsaid"],
        ),
        ({"data": [{"id": "claude", "type": "model"}], "has_more": False}, ["claude"]),
        ({"data": []}, []),
        ({"object": "list", "data": None}, []),  # Ollama's, of no models
        ({"data": None}, None),
        ({"data": [{"id": "a"}, {"id": "a"}, {"id": ""}, {"id": 7}, {"id": "x\n"}, {"id": "y" * 5_000}, "text"]}, ["a"]),
        ({"data": ["text"]}, None),
        ({"error": {}}, None),
        ("no list", None),
    ],
)
def test_every_vendors_list_is_read(document: object, names: list[str] | None) -> None:
    """Whatever its shape; names that no call could carry are left out, models that only embed too."""
    assert names_in(document) == names


def test_what_is_no_json_is_no_list_and_a_long_one_is_cut() -> None:
    """A vendor's web page, a list without end."""
    assert names_in(read_document(b"<html>")) is None
    assert names_in(read_document(b"[" * 100_000)) is None
    assert len(names_in([{"id": str(number)} for number in range(NAMES_MAX + 9)]) or ()) == NAMES_MAX


def test_each_dialect_asks_in_its_own_way() -> None:
    """Anthropic refuses a request without its version, and two of them send pages."""
    headers = (("x-own", "1"),)
    assert models_request("openai", headers).path == "/models"
    anthropic = models_request("anthropic", headers)
    assert anthropic.path == "/models?limit=1000"
    assert {"anthropic-version", "x-own"} <= dict(anthropic.headers).keys()
    assert models_request("gemini", headers).path == "/models?pageSize=1000"
    assert models_request("cohere", headers).path == "/../v1/models?page_size=1000"


PAGES: list[tuple[str, Any, str]] = [
    (
        "cohere",
        {"models": [{"name": "a", "endpoints": ["chat"]}], "next_page_token": "t/1+"},
        "/../v1/models?page_size=1000&page_token=t%2F1%2B",
    ),
    ("cohere", {"models": [{"name": "a", "endpoints": ["classify"]}], "next_page_token": "t"}, "/../v1/models?page_size=1000&page_token=t"),
    ("gemini", {"models": [{"name": "models/a"}], "nextPageToken": "t"}, "/models?pageSize=1000&pageToken=t"),
    ("anthropic", {"data": [{"id": "a"}], "has_more": True, "last_id": "a"}, "/models?limit=1000&after_id=a"),
    ("openai", {"data": [{"id": "a"}], "has_more": True, "last_id": "a"}, "/models?after=a"),
    ("mistral", {"data": [{"id": "a"}], "has_more": True, "last_id": "a"}, "/models?after=a"),
]
LAST: list[tuple[str, Any]] = [
    ("cohere", {"models": [{"name": "a"}]}),
    ("cohere", {"models": [{"name": "a"}], "next_page_token": ""}),
    ("cohere", {"models": [{"name": "a"}], "next_page_token": None}),
    ("gemini", {"models": [{"name": "a"}], "nextPageToken": 7}),
    ("gemini", {"models": [{"name": "a"}], "nextPageToken": "t" * 5_000}),
    ("anthropic", {"data": [{"id": "a"}], "has_more": False, "last_id": "a"}),
    ("anthropic", {"data": [{"id": "a"}], "has_more": True, "last_id": None}),
    ("anthropic", {"data": [{"id": "a"}], "has_more": True}),
    ("openai", [{"id": "a"}]),
]


def listing_after(dialect: str, *pages: Any) -> Listing:
    """A list of which these pages came."""
    listing = Listing(dialect, ())
    for page in pages:
        listing.take(200, json.dumps(page).encode())
    return listing


@pytest.mark.parametrize(("dialect", "page", "path"), PAGES)
def test_a_list_that_goes_on_is_asked_for_further_in_its_dialects_way(dialect: str, page: Any, path: str) -> None:
    """A page of nothing but models that are not asked here is no end either."""
    request = listing_after(dialect, page).request
    assert request is not None
    assert request.path == path
    assert listing_after(dialect, page, {"data": [{"id": "b"}]}).names == [*(names_in(page) or ()), "b"]


@pytest.mark.parametrize(("dialect", "page"), LAST)
def test_a_list_ends_where_its_vendor_names_no_further_page(dialect: str, page: Any) -> None:
    """None, nothing, no text, and what is too long for an address."""
    listing = listing_after(dialect, page)
    assert (listing.request, listing.names, listing.broken) == (None, ["a"], False)


def test_a_list_without_end_is_bounded() -> None:
    """A vendor that says the same page again and again, one whose pages are empty, one that has ever more of them or many names."""

    def page(number: int, size: int = 1) -> Any:
        return {"data": [{"id": f"{number}-{place}"} for place in range(size)], "has_more": True, "last_id": f"{number}"}

    assert listing_after("openai", page(1)).request is not None
    assert listing_after("openai", page(1), page(1)).request is None
    for pages in ([page(number) for number in range(PAGES_MAX)], [page(1, 0)] * PAGES_MAX):
        assert listing_after("openai", *pages[:-1]).request is not None
        assert listing_after("openai", *pages).request is None
    many = listing_after("openai", page(1, NAMES_MAX - 1), page(2, 9))
    assert (many.request, len(many.names or ())) == (None, NAMES_MAX)


class Followed:
    """The lists of vendors, each with what it answers in turn: a document, or nothing at all for None. `learned` is what was told."""

    def __init__(self, folder: Path, answers: dict[str, list[object]]) -> None:
        self.folder, self.answers = folder, answers
        self.learned: list[Known] = []
        self.asked: list[tuple[str, float]] = []
        self.facts: list[Fact] = []

    async def learn(self, known: Known) -> None:
        """Keep what is told."""
        self.learned.append(known)

    def script(self, name: str) -> Any:
        """Answer as told, the last answer again and again."""

        async def answer(connection: Connection) -> None:
            while True:
                await connection.request()
                self.asked.append((name, asyncio.get_running_loop().time()))
                number = sum(vendor == name for vendor, _ in self.asked)
                document = self.answers[name][min(number, len(self.answers[name])) - 1]
                if document is None:
                    await connection.gone()
                    return
                text = json.dumps(document).encode()
                connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(text), text))

        return answer

    async def run(self, seconds: float, **vendor: Any) -> ModelLists:
        """Follow the vendors for a time."""
        async with asyncio.TaskGroup() as group, asyncio.timeout(None):
            servers = {name: FakeVendor(self.script(name)) for name in self.answers}
            contexts = [fake.serving() for fake in servers.values()]
            for context in contexts:
                await context.__aenter__()
            vendors = {name: Vendor(base_url=f"http://127.0.0.1:{fake.port}/v1", **vendor) for name, fake in servers.items()}
            config = Config(vendors=vendors)
            pools = {name: HttpUpstream(name, setting, {}) for name, setting in vendors.items()}
            lists = ModelLists(self.folder, lambda: 1_700_000_000.0, self.facts.append)
            lists.follow(config, pools, self.learn)
            await group.create_task(asyncio.sleep(seconds))
            lists.stop()
            for pool in pools.values():
                await pool.close()
            for context in contexts:
                await context.__aexit__(None, None, None)
            self.config = config
        return lists


def test_lists_are_learned_at_the_start_and_again_every_hour(tmp_path: Path) -> None:
    """Each when it comes, however long another takes; what has not changed is told once."""
    followed = Followed(tmp_path, {"quick": [OPENAI_LIST], "slow": [None]})
    run_virtual(followed.run(2 * REFRESH_SECONDS + 60))
    assert [when for name, when in followed.asked if name == "quick"] == pytest.approx([0, REFRESH_SECONDS, 2 * REFRESH_SECONDS], abs=1)
    assert followed.learned[0].lists == {"quick": ("gpt-4.1", "o3")}
    assert followed.learned[0].awaited == {"slow"}
    assert followed.learned[-1].awaited == frozenset()
    assert len(followed.learned) == 3, "the first list, that the other is waited for no more, and that it has failed"


def test_all_pages_of_a_list_are_learned_at_once(tmp_path: Path) -> None:
    """And the next hour again. One that breaks off counts only as long as nothing better is known, and is asked for again soon."""
    first, second = {"data": [{"id": "a"}], "has_more": True, "last_id": "a"}, {"data": [{"id": "b"}]}
    followed = Followed(tmp_path, {"v": [first, second, first, {"error": "x"}]})
    run_virtual(followed.run(REFRESH_SECONDS + RETRY_SECONDS / 2))
    assert [known.lists for known in followed.learned] == [{"v": ("a", "b")}]
    assert [when for _, when in followed.asked] == pytest.approx([0, 0, REFRESH_SECONDS, REFRESH_SECONDS], abs=1)
    cut = Followed(tmp_path / "other", {"v": [first, {"error": "x"}]})
    (tmp_path / "other").mkdir()
    run_virtual(cut.run(RETRY_SECONDS + 1))
    assert cut.learned[-1].lists == {"v": ("a",)}
    assert [when for _, when in cut.asked] == pytest.approx([0, 0, RETRY_SECONDS], abs=1), "what is not whole is asked for again soon"


def test_a_vendor_that_says_nothing_is_waited_for_a_moment_and_asked_ever_more_rarely(tmp_path: Path) -> None:
    """An unknown name is 503 for seconds only."""
    followed = Followed(tmp_path, {"mute": [None]})
    run_virtual(followed.run(AWAITED_SECONDS_MAX + 0.5))
    assert followed.learned[-1].awaited == frozenset()
    again = Followed(tmp_path, {"refusing": [{"error": "x"}]})
    run_virtual(again.run(REFRESH_SECONDS))
    times = [when for _, when in again.asked]
    assert times[:4] == pytest.approx([0, RETRY_SECONDS, 3 * RETRY_SECONDS, 7 * RETRY_SECONDS], abs=1)


def test_a_list_is_kept_for_the_next_start_and_counts_for_the_same_address_only(tmp_path: Path) -> None:
    """After a restart every name works from the first call on; a vendor that has moved is asked first."""
    followed = Followed(tmp_path, {"v": [OPENAI_LIST]})
    run_virtual(followed.run(1))
    fresh = ModelLists(tmp_path, lambda: 0.0, followed.facts.append)
    assert fresh.known(followed.config).lists == {"v": ("gpt-4.1", "o3")}
    assert fresh.known(Config(vendors={"v": Vendor(base_url="http://127.0.0.1:1/v1")})).lists == {}
    assert oct((tmp_path / FILE_NAME).stat().st_mode)[-3:] == "600"
    (tmp_path / FILE_NAME).write_text("{broken")
    assert ModelLists(tmp_path, lambda: 0.0, followed.facts.append).known(followed.config).lists == {}


def test_a_vendor_is_not_asked_where_the_operator_says_so(tmp_path: Path) -> None:
    """`list_models: false`: for a vendor that bills or logs every request."""
    followed = Followed(tmp_path, {"v": [OPENAI_LIST]})
    run_virtual(followed.run(REFRESH_SECONDS, list_models=False))
    assert followed.asked == []
    assert followed.learned == []


@pytest.mark.parametrize(
    ("base_url", "asked"),
    [
        ("https://r-1.openai.azure.com/openai/v1", False),
        ("https://bedrock-runtime.eu-west-1.amazonaws.com", False),
        ("https://api.cohere.com/v2", True),
        ("https://api.openai.com/v1", True),
        ("https://azure.example/v1", True),
    ],
)
def test_a_vendor_whose_list_is_not_of_what_may_be_called_is_not_asked(base_url: str, asked: bool) -> None:
    """[fault P1] Azure lists what could be deployed, Bedrock has its list at another host: a name of those would be a 404."""
    assert has_list("v", Vendor(base_url=base_url)) is asked
    assert not has_list("v", Vendor(base_url=base_url, list_models=False))


def test_a_folder_that_cannot_be_written_costs_nothing_but_the_memory(tmp_path: Path) -> None:
    """The list counts all the same."""
    followed = Followed(tmp_path / "gone", {"v": [OPENAI_LIST]})
    run_virtual(followed.run(1))
    assert followed.learned[-1].lists == {"v": ("gpt-4.1", "o3")}
