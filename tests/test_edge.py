"""The edge: routes, browsers, request ids, and the order in which a request is judged. Real sockets, virtual time."""

from __future__ import annotations

import asyncio
import json
from importlib.resources import files
from typing import Any

import pytest

from aisa.config.schema import Cors
from aisa.edge.app import ROUTES
from aisa.edge.cors import CrossOrigin
from aisa.edge.hints import SHOWN_CHARACTERS_MAX
from aisa.edge.refusals import MINUTE_SECONDS, REFUSALS_TOLD_MAX
from aisa.edge.routes import Route
from aisa.errors import ApiError
from aisa.facts import CallEnded, Refused, ServerNotice
from aisa.http.request import Request
from aisa.keys.rules import Key
from aisa.testing.clock import run_virtual
from faults_rig import CLIENT_KEY, Gateway, Reply, body, failure, gateway, post, says
from rig import document

ANSWER = document()
GOOD = says(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(ANSWER), ANSWER))


def get(path: str, *headers: str, method: str = "GET", key: str | None = CLIENT_KEY) -> bytes:
    """A request without a body."""
    lines = [f"{method} {path} HTTP/1.1", "host: gateway", *headers]
    lines += [] if key is None else [f"authorization: Bearer {key}"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def head_of(path: str, *headers: str, key: str | None = CLIENT_KEY, method: str = "POST") -> bytes:
    """A request whose body does not come."""
    return get(path, *headers, method=method, key=key)


def asked(request: bytes, **options: Any) -> tuple[Reply, Gateway]:
    """Ask once and return the answer."""

    async def main() -> tuple[Reply, Gateway]:
        async with gateway(GOOD, **options) as home:
            return await home.ask(request), home

    return run_virtual(main())


def test_every_answer_has_a_request_id_of_ours_that_the_log_has_too() -> None:
    """`req_` and a ULID; a receipt is found by it."""
    reply, home = asked(post(body()))
    [ended] = home.calls
    assert reply.header("x-request-id") == ended.request_id
    assert len(ended.request_id) == 30


@pytest.mark.parametrize(
    ("header", "kept"),
    [
        ("x-client-request-id: mine-1", "mine-1"),
        ("x-request-id: mine-2", "mine-2"),
        ("x-client-request-id: " + "x" * 128, "x" * 128),
        ("x-client-request-id: " + "x" * 129, None),
        ("x-client-request-id: caf\xe9", None),
        ("x-client-request-id;: a", None),
    ],
)
def test_the_callers_own_id_is_kept_beside_ours(header: str, kept: str | None) -> None:
    """1 to 128 printable ASCII characters; anything else is ignored, and ours is never replaced."""
    reply, home = asked(post(body(), header))
    ended = [fact for fact in home.facts if isinstance(fact, CallEnded | Refused)][-1]
    assert ended.client_request_id == kept
    assert reply.header("x-request-id") == ended.request_id != kept


def key_with(models: tuple[str, ...] | None) -> Any:
    """Keys of which only the right one is known, with an allow-list."""

    class Keys:
        def verify(self, secret: str | None) -> Key:
            """Return it."""
            if secret != CLIENT_KEY:
                raise ApiError("invalid_api_key" if secret else "missing_api_key", "No such key.")
            return Key("key_1", "test", b"", "sk-…", "active", 0, models=models)

        def again(self, key: Key, secret: str) -> Key:
            """Ask anew."""
            return self.verify(secret)

        def known(self, secret: str | None) -> Key | None:
            """Return the same, or None."""
            return self.verify(secret) if secret == CLIENT_KEY else None

    return Keys()


FORM = "content-type: text/plain"
LARGE = "content-length: 99999999"
JUDGED = [
    (post(b"", "x: " + "y" * 70_000, key=None, path="/v9"), 431, "headers_too_large"),
    (post(b"", "x: " + "y" * 70_000, key=None, path="/v9").replace(b"POST", b"BREW"), 431, "headers_too_large"),
    (head_of("/v9", FORM, LARGE, key=None), 404, "unknown_endpoint"),
    (head_of("/v9", FORM, LARGE, key=None, method="BREW"), 404, "unknown_endpoint"),
    (head_of("/v1/chat/completions", FORM, LARGE, key=None, method="BREW"), 405, "method_not_allowed"),
    (head_of("/v1/models", FORM, LARGE, key=None), 405, "method_not_allowed"),
    (head_of("/v1/chat/completions", FORM, LARGE, key=None), 401, "missing_api_key"),
    (head_of("/v1/chat/completions", FORM, LARGE, key="wrong"), 401, "invalid_api_key"),
    (head_of("/v1/chat/completions", FORM, LARGE), 415, "unsupported_media_type"),
    (head_of("/v1/chat/completions", "content-type: application/json", LARGE), 413, "request_too_large"),
    (head_of("/v1/chat/completions", "expect: 100-continue", LARGE, key=None), 401, "missing_api_key"),
    (head_of("/v1/chat/completions", "expect: 100-continue", "transfer-encoding: chunked", key=None), 401, "missing_api_key"),
    (head_of("/v1/models", "transfer-encoding: chunked", key=None, method="GET"), 401, "missing_api_key"),
    (post(b"{", "content-encoding: gzip", key=None), 401, "missing_api_key"),
    (post(b"{", key="wrong"), 401, "invalid_api_key"),
    (post(b"{"), 400, "json_parse_error"),
    (post(b'{"model": "nothing"}'), 400, "missing_parameter"),
    (post(body(model="nothing", max_tokens=99)), 404, "unknown_model"),
    (post(body(model="a/other", max_tokens=99)), 403, "model_not_allowed"),
    (post(body(max_tokens=99)), 422, "max_tokens_exceeded"),
]


@pytest.mark.parametrize(("request_bytes", "status", "code"), JUDGED)
def test_a_request_with_several_faults_is_told_the_first_in_order(request_bytes: bytes, status: int, code: str) -> None:
    """The contract's order of checks; fault S1: of the head first, whose body has not come."""
    reply, _ = asked(request_bytes, keys=key_with(("fast",)), max_output_tokens=50)
    failure(reply, status, code)


def test_a_content_type_that_names_no_type_is_told_so() -> None:
    """[fault S24] And not quoted as nothing."""
    reply, _ = asked(post(body()).replace(b"application/json", b";;;"))
    message = failure(reply, 415, "unsupported_media_type")["message"]
    assert "names no type" in message
    assert "''" not in message


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_a_body_that_does_not_call_itself_json_is_refused_with_the_remedy(kind: str) -> None:
    """What curl sends without a header is the commonest mistake of all."""
    reply, _ = asked(post(body()).replace(b"application/json", kind.encode()))
    assert "Content-Type: application/json" in failure(reply, 415, "unsupported_media_type")["message"]


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON", "application/vnd.api+json"])
def test_json_by_any_of_its_names_is_taken(kind: str) -> None:
    """Parameters and case do not matter."""
    reply, _ = asked(post(body()).replace(b"application/json", kind.encode()))
    assert reply.status == 200


def test_an_unknown_path_is_told_so_and_neither_echoed_nor_logged_beyond_reason() -> None:
    """[fault S10] 128 characters of it are told and logged, and of an unknown method twenty."""
    reply, home = asked(get("/" + "x" * 5_000))
    message = failure(reply, 404, "unknown_endpoint")["message"]
    [fact] = [fact for fact in home.facts if isinstance(fact, Refused)]
    assert len(message) < 200
    assert fact.path == "/" + "x" * (SHOWN_CHARACTERS_MAX - 1) + "…"


@pytest.mark.parametrize("secret", ["sk-aisa-" + "x9" * 21, "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"])
@pytest.mark.parametrize("where", ["/v1/{}/chat/completions", "/v1/models/{}", "/v1beta/models/{}:generateContent", "/{}"])
def test_a_key_in_an_address_or_in_place_of_a_model_is_neither_told_nor_logged_nor_kept(where: str, secret: str) -> None:
    """[fault S11] The log had it whole, and so had the row of the refused call, for thirty days."""
    for request in (get(where.format(secret)), get(where.format(secret), key=None), post(body(model=secret))):
        reply, home = asked(request)
        [fact] = [fact for fact in home.facts if isinstance(fact, Refused)]
        assert fact.status in (401, 404, 405)
        assert secret[8:20] not in f"{fact} {reply.body!r}"


def test_a_flood_of_refusals_does_not_flood_the_log() -> None:
    """[fault S10] A hundred are told in a minute, the rest is a number; in the next minute they are told again."""

    async def main() -> Gateway:
        async with gateway(GOOD) as home:
            for key in [None] * REFUSALS_TOLD_MAX + ["wrong"] * 20 + [None] * 5:
                assert (await home.ask(post(body(), key=key))).status == 401
            told = [fact for fact in home.facts if isinstance(fact, Refused)]
            assert len(told) == REFUSALS_TOLD_MAX
            await asyncio.sleep(MINUTE_SECONDS + 1)
            assert (await home.ask(post(body(), key=None))).status == 401
            return home

    *_, notice, last = run_virtual(main()).facts
    assert isinstance(notice, ServerNotice)
    assert notice.message == "25 more requests without a known key were refused within a minute: invalid_api_key 20, missing_api_key 5"
    assert isinstance(last, Refused)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_a_route_says_which_methods_it_takes(route: Route) -> None:
    """405 with Allow, and OPTIONS gives the same list, by every path of the route; a path may be several routes'."""
    for path in (route.path, *route.aliases):
        there = [each.method for each in ROUTES if path in (each.path, *each.aliases)]
        methods = [method for each in there for method in (("GET", "HEAD") if each == "GET" else (each,))]
        reply, _ = asked(get(path.replace("{id}", "x"), method="PUT"))
        if path.startswith("/v1/messages"):  # its clients are told in their own shape
            assert (reply.status, reply.json["type"], reply.json["error"]["code"]) == (405, "error", "method_not_allowed")
        elif path.startswith("/v1beta"):
            assert (reply.status, list(reply.json), reply.json["error"]["code"]) == (405, ["error"], 405)
        else:
            failure(reply, 405, "method_not_allowed")
        options, _ = asked(get(path.replace("{id}", "x"), method="OPTIONS", key=None))
        assert options.status == 204
        assert options.header("allow") == reply.header("allow") == ", ".join((*methods, "OPTIONS"))


@pytest.mark.parametrize(("method", "path"), [("POST", "/api/chat"), ("GET", "/api/tags"), ("DELETE", "/api/delete")])
def test_ollamas_clients_are_told_in_their_own_shape(method: str, path: str) -> None:
    """[fault P14] Their `error` is a text: that of JavaScript shows anything else as `[object Object]`."""
    reply, _ = asked(get(path, method=method, key=None))
    assert (reply.status, reply.json["code"]) == (404, "unknown_endpoint")
    assert reply.json["error"].endswith("it has POST /v1/chat/completions.")
    failure(asked(get("/api/chat/completions", method="POST", key=None))[0], 404, "unknown_endpoint")


def test_a_client_may_ask_what_the_whole_server_takes() -> None:
    """`OPTIONS *` is the one request that is for no path; no other method has that target."""
    reply, _ = asked(get("*", method="OPTIONS", key=None))
    assert (reply.status, reply.header("allow")) == (204, ", ".join((*sorted({route.method for route in ROUTES}), "OPTIONS")))
    failure(asked(get("*"))[0], 404, "unknown_endpoint")


def test_the_routes_are_also_there_without_v1() -> None:
    """[fault P14] A base URL without `/v1` works, for calls and for models."""
    reply, home = asked(post(body(), path="/chat/completions"))
    assert (reply.status, len(home.calls)) == (200, 1)
    assert [model["id"] for model in asked(get("/models"), keys=key_with(("fast",)))[0].json["data"]] == ["fast"]
    assert asked(get("/models/fast"))[0].json["id"] == "fast"


@pytest.mark.parametrize(
    ("path", "headers", "words"),
    [
        ("/v1/models?key=sk-aisa-secret", [], "Send the header `Authorization: Bearer"),
        ("/v1/models?a=b&API_KEY=sk-aisa-secret", [], "Send the header `Authorization: Bearer"),
        ("/v1/models", ["authorization: sk-aisa-secret"], "send `Authorization: Bearer"),
        ("/v1/models", ["authorization: Basic sk-aisa-secret"], "send `Authorization: Bearer"),
        ("/v1/models", ["api-key: sk-aisa-secret"], "from the header `api-key`. Send the header `Authorization: Bearer"),
    ],
)
def test_a_key_in_the_wrong_place_is_told_the_right_one(path: str, headers: list[str], words: str) -> None:
    """401, which does not say the key again."""
    reply, home = asked(get(path, *headers, key=None))
    assert words in failure(reply, 401, "missing_api_key")["message"]
    assert not any("secret" in str(fact) for fact in home.facts)


@pytest.mark.parametrize("name", ["x-api-key", "api-key", "x-goog-api-key"])
def test_a_key_in_a_header_of_another_api_is_told_the_right_one(name: str) -> None:
    """Not that none was sent; at its own door it counts."""
    reply, home = asked(post(body(), f"{name}: sk-aisa-secret", key=None))
    message = failure(reply, 401, "missing_api_key")["message"]
    assert message == f"No key is taken here from the header `{name}`. Send the header `Authorization: Bearer <your key>`."
    assert not any("secret" in str(fact) for fact in home.facts)
    empty, _ = asked(post(body(), f"{name}: ", key=None))
    assert name not in failure(empty, 401, "missing_api_key")["message"]


@pytest.mark.parametrize("sent", [b"[]", b"null"])
@pytest.mark.parametrize(
    ("path", "members"),
    [
        ("/v1/chat/completions", '"model": ..., "messages": [...]'),
        ("/v1/messages", '"model": ..., "messages": [...]'),
        ("/v1/responses", '"model": ..., "input": ...'),
        ("/v1/completions", '"model": ..., "prompt": ...'),
        ("/v1/embeddings", '"model": ..., "input": ...'),
        ("/v1/rerank", '"model": ..., "query": ..., "documents": [...]'),
        ("/v1beta/models/fast:generateContent", '"contents": [...]'),
        ("/v1beta/models/fast:countTokens", '"contents": [...]'),
        ("/v1beta/models/fast:embedContent", '"content": ...'),
        ("/v1beta/models/fast:batchEmbedContents", '"requests": [...]'),
    ],
)
def test_a_body_that_is_no_object_is_told_what_its_own_door_takes(path: str, members: str, sent: bytes) -> None:
    """And not what another door takes."""
    reply, _ = asked(post(sent, path=path))
    assert (reply.status, f"such as {{{members}}}." in reply.json["error"]["message"]) == (400, True), reply.json


def test_contents_that_are_there_and_empty_are_not_told_to_be_missing() -> None:
    """They are told to be empty; without them they are missing."""
    path = "/v1beta/models/fast:generateContent"
    empty, missing = [asked(post(sent, path=path))[0].json["error"]["message"] for sent in (b'{"contents":[]}', b"{}")]
    assert ("'contents' is empty" in empty, "Missing required parameter: 'contents'" in missing) == (True, True)


@pytest.mark.parametrize("route", ["/health/live", "/health/ready", "/health", "/", "/favicon.ico", "/openapi.json"])
def test_what_needs_no_key_answers_without_one(route: str) -> None:
    """HEAD gives the same head without the body."""

    async def main() -> tuple[Reply, bytes]:
        async with gateway(GOOD) as home:
            full = await home.ask(get(route, key=None))
            caller = await home.client(get(route, "connection: close", key=None, method="HEAD"))
            return full, await caller.rest()

    full, head = run_virtual(main())
    assert full.status == 200
    assert full.header("content-length") == str(len(full.body))
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert f"content-length: {len(full.body)}\r\n".encode() in head
    assert head.endswith(b"\r\n\r\n")


def test_a_browser_gets_an_icon_wherever_it_is() -> None:
    """It asks for one beside every document that is no page; the console's, without a refusal in the log."""
    reply, home = asked(get("/favicon.ico", key=None))
    drawn = (files("aisa.console") / "static" / "icon.svg").read_bytes()
    assert (reply.status, reply.header("content-type")) == (200, "image/svg+xml")
    assert reply.body.strip().replace(b"'", b'"') == drawn.strip()
    assert home.facts == []
    assert b"favicon" not in asked(get("/", key=None))[0].body


def test_models_are_listed_for_the_key_that_asks() -> None:
    """Filtered by its allow-list, with our fields beside OpenAI's."""
    reply, _ = asked(get("/v1/models"), keys=key_with(("fast",)), context_window=1000)
    assert [model["id"] for model in reply.json["data"]] == ["fast"]
    assert reply.json["data"][0]["context_window"] == 1000
    one, _ = asked(get("/v1/models/fast"))
    assert (one.json["id"], one.json["object"], one.json["owned_by"]) == ("fast", "model", "a")
    slashed, _ = asked(get("/v1/models/a%2Freal-model"))
    assert slashed.json["id"] == "a/real-model"
    failure(asked(get("/v1/models/nothing"))[0], 404, "unknown_model")
    failure(asked(get("/v1/models", key=None))[0], 401, "missing_api_key")


def test_a_browser_may_ask_from_any_origin_by_default_and_read_our_headers() -> None:
    """Preflight without a key, then the call; no cookies are ever allowed."""
    wanted = "authorization,content-type,x-stainless-os"
    preflight, _ = asked(
        get(
            "/v1/chat/completions",
            "origin: https://app.example",
            "access-control-request-method: POST",
            f"access-control-request-headers: {wanted}",
            method="OPTIONS",
            key=None,
        )
    )
    assert (preflight.status, preflight.header("access-control-allow-origin")) == (204, "*")
    assert preflight.header("access-control-allow-headers") == wanted
    assert "POST" in str(preflight.header("access-control-allow-methods"))
    for request in (post(body(), "origin: https://app.example"), post(b"{", "origin: https://app.example")):
        reply, _ = asked(request)
        assert reply.header("access-control-allow-origin") == "*"
        assert "x-request-id" in str(reply.header("access-control-expose-headers"))
        assert reply.header("access-control-allow-credentials") is None


def test_only_the_configured_origins_are_allowed() -> None:
    """Each is named back, so that caches keep them apart; others get no leave at all."""
    rules = CrossOrigin(Cors(origins=("https://a.example",)))

    def leave(origin: str) -> dict[str, str]:
        return dict(rules.headers(Request("GET", "/", "", {"origin": origin}, b"", "1.1")))

    assert leave("https://a.example")["access-control-allow-origin"] == "https://a.example"
    assert leave("https://a.example")["vary"] == "origin"
    assert leave("https://b.example") == {}


def test_the_openapi_document_is_json_with_the_version_in_it() -> None:
    """The placeholder is filled in."""
    reply, _ = asked(get("/openapi.json", key=None))
    assert json.loads(reply.body)["info"]["version"].count(".") == 2
