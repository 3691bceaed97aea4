"""The tables of routes: every row is found, and everything else is told in words that help. The API's rows, and rows of a test's own."""

from __future__ import annotations

import re
import time
from pathlib import Path
from types import ModuleType

import anthropic
import cohere
import mistralai
import openai
import pytest
from google import genai

from aisa.edge.app import BILLS, ROUTES
from aisa.edge.elsewhere import ELSEWHERE, GEMINI_METHODS
from aisa.edge.gemini import METHODS, asked_at
from aisa.edge.hints import SHOWN_CHARACTERS_MAX
from aisa.edge.routes import Route, RouteTable
from aisa.errors import ApiError

API = RouteTable(ROUTES + BILLS, everywhere=("OPTIONS",), elsewhere=ELSEWHERE)
#: What a second front door would add: rows, and nothing else.
DOORS = RouteTable(
    (
        Route("POST", "/v1/messages", "messages"),
        Route("POST", "/v1/messages/count_tokens", "count"),
        Route("POST", "/v1beta/models/{model}:streamGenerateContent", "gemini stream"),
        Route("POST", "/v1beta/models/{model}:generateContent", "gemini"),
        Route("GET", "/v1beta/models/{model}", "gemini model"),
        Route("DELETE", "/v1/messages", "forget", aliases=("/messages",)),
    )
)


def refusal(table: RouteTable, method: str, path: str) -> ApiError:
    """What a table says of a request that it has no route for."""
    with pytest.raises(ApiError) as caught:
        table.find(method, path)
    return caught.value


@pytest.mark.parametrize("route", ROUTES + BILLS, ids=lambda route: route.path)
def test_every_row_is_found_by_its_path_and_its_aliases(route: Route) -> None:
    """[fault A6] One table for all: with what stands for the part that varies, slashes and all; a GET also as a HEAD."""
    for path in (route.path, *route.aliases):
        for method in ("GET", "HEAD") if route.method == "GET" else (route.method,):
            name = "a/b" if "{id}" in path else ""
            assert API.find(method, path.replace("{id}", name)) == (route, name)


def test_a_door_is_a_row() -> None:
    """Several methods of one path, parts in the middle, and a path that begins like another are told apart."""
    assert DOORS.find("POST", "/v1/messages")[0].handler == "messages"
    assert DOORS.find("DELETE", "/messages")[0].handler == "forget"
    assert DOORS.find("POST", "/v1/messages/count_tokens")[0].handler == "count"
    route, model = DOORS.find("POST", "/v1beta/models/gemini-2.5-flash:streamGenerateContent")
    assert (route.handler, model) == ("gemini stream", "gemini-2.5-flash")
    assert DOORS.find("GET", "/v1beta/models/gemini-2.5-flash")[0].handler == "gemini model"
    assert DOORS.methods("/v1/messages") == ("POST", "DELETE")
    assert refusal(DOORS, "GET", "/messages").allow == "DELETE"


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/v1/chat/completion", "/v1/chat/completions"),
        ("/v1/chat/completions/", "/v1/chat/completions"),
        ("/v1/v1/chat/completions", "/v1/chat/completions"),
        ("/v1/chat/completions/chat/completions", "/v1/chat/completions"),
        ("/openai/deployments/gpt/chat/completions", "/v1/chat/completions"),
        ("/api/chat/completions", "/v1/chat/completions"),
        ("/v2/chat/completions", "/v1/chat/completions"),
        ("/v1/messages/", "/v1/messages"),
        ("/V1/Chat/Completions", "/v1/chat/completions"),
        ("//v1/models", "/v1/models"),
        ("/v1/model", "/v1/models"),
        ("/v1/chat", "/v1/chat/completions"),
        ("/v1", None),
        ("/healthz", None),
        ("/health/alive", "/health/live"),
        ("/v2", None),
        ("/favicon.png", None),
        ("/wp-login.php", None),
        ("/v1/models/", "/v1/models"),
        ("/" + "x" * 5_000, None),
    ],
)
def test_an_unknown_path_gets_a_hint_only_if_a_route_is_like_it(path: str, meant: str | None) -> None:
    """[fault P14] What is not like any route gets no hint, which would mislead."""
    error = refusal(API, "POST", path)
    assert (error.status, error.code) == (404, "unknown_endpoint")
    assert error.message.partition("Did you mean ")[2] == ("" if meant is None else f"{meant}?")


@pytest.mark.parametrize(
    ("path", "said"), [("/v1", " here. It is"), ("/v1/", " here. It is"), ("/api/v1", " here. Did you mean /v1? It is")]
)
def test_a_base_url_that_is_asked_itself_is_told_to_be_one(path: str, said: str) -> None:
    """What a person opens first, and what a client asks that adds nothing to it."""
    assert (
        f"There is no {path}{said} a base URL, to which clients add the rest: /v1/chat/completions, " in refusal(API, "GET", path).message
    )
    assert "base URL" not in refusal(API, "GET", "/v2").message


@pytest.mark.parametrize(
    "path",
    [
        "/v1/responses/resp_1/cancel",
        "/v1/responses/compact",
        "/v1/messages/batches",
        "/api/chat",
    ],
)
def test_an_api_that_others_have_is_named_with_what_to_set(path: str) -> None:
    """[fault P14] Not "did you mean", but that this version has no such thing and what to do."""
    message = refusal(API, "POST", path).message
    assert "This version has no" in message
    assert "Did you mean" not in message


@pytest.mark.parametrize(("path", "by"), [("/metrics", "metrics.listen"), ("/admin/v1/keys", "aisa admin-keys create")])
def test_what_is_turned_off_is_named_with_what_turns_it_on(path: str, by: str) -> None:
    """[fault P14] Its operator can have it: not that this version has no such thing."""
    message = refusal(API, "POST", path).message
    assert "has not turned" in message
    assert by in message


#: How the clients of four vendors write the paths that they know.
WRITTEN = {
    openai: (re.compile(r"""self\._(?:post|get|delete|get_api_list)\(\s*f?"(/[^"?]+)|path_template\(\s*"(/[^"?]+)"""), "/v1"),
    anthropic: (re.compile(r"""self\._(?:post|get|delete|get_api_list)\(\s*f?"(/v1[^"?]+)|path_template\(\s*"(/v1[^"?]+)"""), ""),
    cohere: (re.compile(r'"(v[12]/[^"?]+)"'), "/"),
    mistralai: (re.compile(r'path="(/v1/[^"?#]+)'), ""),
}


@pytest.mark.parametrize("client", WRITTEN, ids=lambda client: client.__name__)
def test_every_path_that_a_vendors_own_client_knows_is_a_route_or_says_what_to_set(client: ModuleType) -> None:
    """[fault P14] Several hundred of them: whichever of its methods somebody calls, the answer names what to do."""
    pattern, before = WRITTEN[client]
    files = [path.read_text(encoding="utf-8") for place in client.__path__ for path in Path(place).rglob("*.py")]
    found = {before + next(filter(None, match.groups())) for text in files for match in pattern.finditer(text)}
    paths = {re.sub(r"{[^}]*}+", "x", path).partition("{")[0] for path in found}
    assert len(paths) > 15
    unsaid: list[str] = []
    for path in sorted(paths):
        try:
            API.methods(path)
        except ApiError as error:
            told = "Did you mean" in error.message or any(sentence in error.message for sentence in ELSEWHERE.values())
            unsaid += [] if told else [path]
    assert unsaid == []


#: How Google's client writes them: what stands behind the version, which is any, or before it.
OF_GOOGLE = re.compile(r"path = '(upload/[{]api_version[}]/)?([a-zA-Z_]{3,})")


@pytest.mark.parametrize("version", ["v1", "v1beta", "v1alpha"])
def test_every_path_that_googles_client_knows_says_what_to_set(version: str) -> None:
    """[fault P14] Its caches, files, tunings, batches and agents are asked for below `/v1` by the newest, where OpenAI's are too."""
    files = [path.read_text(encoding="utf-8") for place in genai.__path__ for path in Path(place).glob("*.py")]
    found = {("/upload" if match[1] else "", match[2]) for text in files for match in OF_GOOGLE.finditer(text)} | {("", "interactions")}
    assert {("", "cachedContents"), ("", "fileSearchStores"), ("/upload", "files")} <= found
    unsaid: list[str] = []
    for before, name in sorted(found):
        message = refusal(API, "GET", f"{before}/{version}/{name}").message
        unsaid += [] if message.endswith(tuple(ELSEWHERE.values())) or name in ("test", "upload") else [message]
    assert unsaid == []


def test_what_is_asked_of_a_thing_that_is_a_route_says_what_to_set_too() -> None:
    """A response can be got and deleted, but not cancelled: 405 would say nothing of what to do."""
    table = RouteTable(ROUTES + BILLS, elsewhere=ELSEWHERE)
    with pytest.raises(ApiError, match="in the background") as refused:
        table.find("POST", "/v1/responses/resp_1/cancel")
    assert refused.value.code == "unknown_endpoint"
    with pytest.raises(ApiError) as refused:
        table.find("POST", "/v1/responses/resp_1")
    assert refused.value.code == "method_not_allowed"


@pytest.mark.parametrize("below", ["", "/messages"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_stored_chat_completion_is_told_by_the_setting_that_stores_it(method: str, below: str) -> None:
    """[fault P14] A client that keeps its answers at OpenAI (`store`) asks for them by id, changes and forgets them."""
    for path in (f"/v1/chat/completions/chatcmpl-1{below}", f"/chat/completions/chatcmpl-1{below}"):
        error = refusal(API, method, path)
        assert (error.status, error.code) == (404, "unknown_endpoint")
        assert "`store`" in error.message


def test_a_list_of_stored_chat_completions_is_told_by_that_setting_too() -> None:
    """[fault P14] The path is there and takes POST, as whoever opens it by hand is told; a list of what is stored is not."""
    for path in ("/v1/chat/completions", "/chat/completions"):
        error = refusal(API, "GET", path)
        assert (error.status, error.allow) == (405, "POST, OPTIONS")
        assert "takes POST, not GET. This version has no chat completions that are stored. Leave `store` out" in error.message
        assert "store" not in refusal(API, "PUT", path).message


@pytest.mark.parametrize("method", "batchGenerateContent asyncBatchEmbedContent predict predictLongRunning bidiGenerateContent".split())
def test_what_gemini_does_with_a_model_and_we_do_not_says_what_to_set(method: str) -> None:
    """[fault P14] Batches, pictures, films and live talk: each in its own words, and not by a list of what there is."""
    with pytest.raises(ApiError, match=r"This version has no .*(generateContent|batchEmbedContents|client)") as refused:
        asked_at(f"m:{method}", "")
    assert (refused.value.status, refused.value.code) == (404, "unknown_endpoint")


def test_every_method_that_googles_client_asks_of_a_model_is_here_or_says_what_to_set() -> None:
    """[fault P14] By its own source: a new one fails here."""
    files = [path.read_text(encoding="utf-8") for place in genai.__path__ for path in Path(place).glob("*.py")]
    found = {name for text in files for name in re.findall(r"path = '[{]model[}]:([a-zA-Z]+)", text)}
    assert {"predict", "generateContent"} <= found
    assert found - set(METHODS) - set(GEMINI_METHODS) == set()


def test_no_sentence_on_others_hides_a_route_of_ours() -> None:
    """A row that is added later takes its path from the list of what is missing; none here has both."""
    for beginning in ELSEWHERE:
        assert refusal(API, "POST", beginning).code == "unknown_endpoint"


def test_an_unknown_path_is_cut_before_it_is_compared_and_told() -> None:
    """[fault S10] Sixty kilobytes cost no more than their first 128 characters, and those little."""
    long, short = "/" + "a1b2/" * 12_000, "/" + "a1b2/" * 30

    def milliseconds(path: str) -> float:
        began = time.thread_time()
        for _ in range(50):
            refusal(API, "GET", path)
        return (time.thread_time() - began) * 1000 / 50

    assert len(refusal(API, "GET", long).message) < SHOWN_CHARACTERS_MAX + 200
    assert len(refusal(API, "X" * 5_000, "/v1/models").message) < 200
    assert min(milliseconds(long) for _ in range(5)) < 2 * min(milliseconds(short) for _ in range(5)) + 0.05
