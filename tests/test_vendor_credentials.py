"""Several credentials of one vendor: used in turn, resting when refused; and tokens of Google and Azure, fetched from scripted services.

In virtual time, over real sockets.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from aisa.cli.preflight import credential_problems
from aisa.config.detect import detect
from aisa.config.load import load
from aisa.config.schema import AzureApp, Config, Vendor
from aisa.credentials.azure import SCOPE as AZURE_SCOPE
from aisa.credentials.expiring import REFUSED_AGAIN_SECONDS
from aisa.credentials.google import DEFAULT, GRANT, METADATA, METADATA_PATH, SCOPE, STATEMENT_SECONDS, default_place, google_source
from aisa.credentials.port import Question, Reply
from aisa.credentials.rotation import LIMITED_SECONDS, LIMITED_SECONDS_MAX, REFUSED_SECONDS
from aisa.errors import UpstreamFailed
from aisa.facts import CredentialRests, Fact
from aisa.http.names import Names
from aisa.http.pool import CREDENTIALS_TRIED_MAX, HttpUpstream
from aisa.observe.columns import text_line
from aisa.routing import vendor_target
from aisa.testing.clock import run_virtual
from aisa.vendor_pool import open_pool
from http_client_rig import Connection, FakeVendor, call, post

KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
#: Takes what a request is proved with; returns the status, further headers and a body.
Judge = Callable[[str], tuple[int, str, bytes]]


def http(status: int, body: bytes, headers: str = "") -> bytes:
    """Write an answer."""
    return f"HTTP/1.1 {status} X\r\n{headers}content-length: {len(body)}\r\n\r\n".encode() + body


class Keyed:
    """A vendor that judges each request by its bearer."""

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        self.asked: list[str] = []

    async def __call__(self, connection: Connection) -> None:
        """Answer one connection's requests."""
        while True:
            head, _ = await connection.request()
            key = head.lower().partition(b"authorization: bearer ")[2].partition(b"\r\n")[0].decode()
            self.asked.append(key)
            status, headers, body = self.judge(key)
            connection.send(http(status, body, headers))


def pool(port: int, facts: list[Fact], environment: dict[str, str] | None = None, **settings: Any) -> HttpUpstream:
    """Return the way to a vendor as the server opens it."""
    vendor = Vendor(base_url=f"http://127.0.0.1:{port}/v1", **settings)
    return open_pool("v", vendor, names=Names(), report=facts.append, environment=environment or {})


def rotating(judge: Judge, scenario: Callable[[HttpUpstream, Keyed, list[Fact]], Any], **settings: Any) -> None:
    """Run a scenario with a vendor and the way to it."""

    async def run() -> None:
        keyed, facts = Keyed(judge), list[Fact]()
        async with FakeVendor(keyed).serving() as fake:
            upstream = pool(fake.port, facts, **settings)
            await scenario(upstream, keyed, facts)
            await upstream.close()

    run_virtual(run())


def good(*keys: str) -> Judge:
    """Take these keys and refuse all others as unknown."""
    return lambda key: (200, "", b"ok") if key in keys else (401, "", b"{}")


def test_keys_are_used_in_turn() -> None:
    """Evenly, `api_key` among them, and one that stands twice counts once."""

    async def scenario(upstream: HttpUpstream, keyed: Keyed, facts: list[Fact]) -> None:
        for _ in range(30):
            assert await call(upstream) == (200, b"ok")
        assert Counter(keyed.asked) == {"a": 10, "b": 10, "c": 10}
        assert keyed.asked[:4] == ["a", "b", "c", "a"]
        assert facts == []

    rotating(good("a", "b", "c"), scenario, api_key="a", api_keys=("b", "c", "a"))


def test_a_key_that_is_refused_rests_and_the_request_goes_out_with_the_next() -> None:
    """No call notices; after its rest it is tried once more; the operator reads which it was, and never the key."""

    async def scenario(upstream: HttpUpstream, keyed: Keyed, facts: list[Fact]) -> None:
        for _ in range(20):
            assert await call(upstream) == (200, b"ok")
        assert Counter(keyed.asked) == {"bad-key": 1, "a": 10, "b": 10}
        assert facts == [CredentialRests("v", 2, 3, 401, REFUSED_SECONDS)]
        assert "credential 2 of 3" in text_line(0.0, facts[0]).decode()
        assert "bad-key" not in text_line(0.0, facts[0]).decode()
        await asyncio.sleep(REFUSED_SECONDS - 1)
        await call(upstream)
        assert keyed.asked.count("bad-key") == 1
        await asyncio.sleep(2)
        for _ in range(3):
            assert await call(upstream) == (200, b"ok")
        assert keyed.asked.count("bad-key") == 2

    rotating(good("a", "b"), scenario, api_keys=("a", "bad-key", "b"))


@pytest.mark.parametrize(
    ("headers", "rest"),
    [
        ("retry-after: 30\r\n", 30),
        ("retry-after-ms: 1500\r\n", 1.5),
        ("retry-after: 864000\r\n", LIMITED_SECONDS_MAX),
        ("", LIMITED_SECONDS),
        ("retry-after: soon\r\n", LIMITED_SECONDS),
    ],
)
def test_a_key_at_its_limit_rests_for_as_long_as_the_vendor_says(headers: str, rest: float) -> None:
    """Or a bounded while, where that says nothing or too much."""
    limited = {"a"}

    def judge(key: str) -> tuple[int, str, bytes]:
        return (429, headers, b"{}") if key in limited else (200, "", b"ok")

    async def scenario(upstream: HttpUpstream, keyed: Keyed, facts: list[Fact]) -> None:
        assert await call(upstream) == (200, b"ok")
        assert facts == [CredentialRests("v", 1, 2, 429, rest)]
        limited.clear()
        await asyncio.sleep(rest - 0.25)
        await call(upstream)
        assert keyed.asked == ["a", "b", "b"]
        await asyncio.sleep(0.5)
        await call(upstream)
        assert keyed.asked[-1] == "a"

    rotating(judge, scenario, api_keys=("a", "b"))


def test_where_all_rest_the_one_whose_rest_ends_first_is_used() -> None:
    """Nothing is refused here that the vendor might take, and its refusal is told as it is."""
    waits = {"a": 50, "b": 20}

    def judge(key: str) -> tuple[int, str, bytes]:
        return 429, f"retry-after: {waits[key]}\r\n", b"slow down"

    async def scenario(upstream: HttpUpstream, keyed: Keyed, facts: list[Fact]) -> None:
        assert await call(upstream) == (429, b"slow down")
        assert keyed.asked == ["a", "b"]
        assert await call(upstream) == (429, b"slow down")
        assert keyed.asked == ["a", "b", "b"]
        assert len(facts) == 2  # a key that rests is not told again

    rotating(judge, scenario, api_keys=("a", "b"))


def test_one_request_is_not_sent_with_every_key_there_is() -> None:
    """When so many are refused it is for another reason."""

    async def scenario(upstream: HttpUpstream, keyed: Keyed, facts: list[Fact]) -> None:
        assert (await call(upstream))[0] == 401
        assert len(keyed.asked) == CREDENTIALS_TRIED_MAX
        assert len(facts) == CREDENTIALS_TRIED_MAX

    rotating(good(), scenario, api_keys=tuple(map(str, range(10))))


@pytest.mark.parametrize("status", [400, 403, 404, 500, 503, 529])
def test_what_a_vendor_says_of_the_request_or_of_itself_is_no_matter_of_keys(status: int) -> None:
    """It is returned at once, and no key rests."""

    async def scenario(upstream: HttpUpstream, keyed: Keyed, facts: list[Fact]) -> None:
        assert await call(upstream) == (status, b"no")
        assert (keyed.asked, facts) == (["a"], [])

    rotating(lambda _key: (status, "", b"no"), scenario, api_keys=("a", "b"))


GEMINIS = b'{"error": {"code": 400, "message": "API key not valid.", "details": [{"reason": "API_KEY_INVALID"}]}}'
XAIS = b'{"code": "Client specified an invalid argument", "error": "Incorrect API key provided: xa***1."}'
ECHOED = json.dumps({"error": {"message": f"Invalid value: {GEMINIS.decode()} {XAIS.decode()}", "code": "invalid_value"}}).encode()


@pytest.mark.parametrize(("refusal", "rests"), [(GEMINIS, True), (XAIS, True), (ECHOED, False), (b"{}", False)])
def test_a_bad_key_that_is_a_bad_request_rests_and_other_bad_requests_are_told_whole(refusal: bytes, *, rests: bool) -> None:
    """Gemini and xAI say 400 of a key. What a caller wrote, and a vendor repeats, rests nothing."""

    def judge(key: str) -> tuple[int, str, bytes]:
        return (400, "", refusal) if key == "bad" else (200, "", b"ok")

    async def scenario(upstream: HttpUpstream, keyed: Keyed, facts: list[Fact]) -> None:
        assert await call(upstream) == ((200, b"ok") if rests else (400, refusal))
        assert facts == ([CredentialRests("v", 1, 2, 400, REFUSED_SECONDS)] if rests else [])
        assert keyed.asked == (["bad", "good"] if rests else ["bad"])

    rotating(judge, scenario, api_keys=("bad", "good"))


def test_one_key_is_asked_with_once() -> None:
    """Nothing rotates where there is nothing to rotate to."""

    async def scenario(upstream: HttpUpstream, keyed: Keyed, facts: list[Fact]) -> None:
        assert (await call(upstream))[0] == 401
        assert (keyed.asked, facts) == (["a"], [])

    rotating(good(), scenario, api_keys=("a",))


# Tokens


class Service:
    """A token service: gives `t1`, `t2`, ... and keeps what it was asked."""

    def __init__(self, seconds: object = 3600, status: int = 200, body: bytes = b"") -> None:
        self.seconds = seconds
        self.status = status
        self.body = body
        self.asked: list[tuple[str, bytes, dict[str, str]]] = []

    async def __call__(self, connection: Connection) -> None:
        """Answer one connection's requests."""
        while True:
            head, body = await connection.request()
            self.asked.append((head.split(b" ")[1].decode(), head.lower(), dict(parse_qsl(body.decode()))))
            grant = {"access_token": f"t{len(self.asked)}", "expires_in": self.seconds, "token_type": "Bearer"}
            connection.send(http(self.status, self.body or json.dumps(grant).encode()))


def with_tokens(
    service: Service,
    scenario: Callable[[HttpUpstream, Keyed], Any],
    judge: Judge,
    settings: Callable[[int], tuple[dict[str, Any], dict[str, str]]],
) -> None:
    """Run a scenario with a vendor whose tokens come from a service; `settings` makes vendor's settings and environment of its port."""

    async def run() -> None:
        async with AsyncExitStack() as stack:
            tokens = await stack.enter_async_context(FakeVendor(service).serving())
            keyed = Keyed(judge)
            fake = await stack.enter_async_context(FakeVendor(keyed).serving())
            own, environment = settings(tokens.port)
            upstream = pool(fake.port, [], environment, **own)
            await scenario(upstream, keyed)
            await upstream.close()

    run_virtual(run())


def account_file(folder: Path, **changed: object) -> str:
    """Write a service account's file and return its path."""
    content = {
        "type": "service_account",
        "client_email": "me@p.iam.gserviceaccount.com",
        "private_key": PEM,
        "private_key_id": "key-1",
        "project_id": "p",
        **changed,
    }
    path = folder / "account.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


def part(text: str) -> bytes:
    """Decode a part of a signed statement."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_a_service_account_signs_for_its_tokens_and_they_are_renewed_ahead(tmp_path: Path) -> None:
    """The statement is what Google's service checks: RS256 by the account's key, for the scope, an hour at most."""
    service = Service(seconds=600)
    seen: list[float] = []

    async def scenario(upstream: HttpUpstream, keyed: Keyed) -> None:
        for _ in range(60):
            began = asyncio.get_running_loop().time()
            assert await call(upstream) == (200, b"ok")
            seen.append(asyncio.get_running_loop().time() - began)
            await asyncio.sleep(30)
        assert keyed.asked[0] == "t1"
        assert len(set(keyed.asked)) == len(service.asked) == 4

    with_tokens(
        service,
        scenario,
        lambda key: (200 if key.startswith("t") else 401, "", b"ok"),
        lambda port: ({"google_credentials": (account_file(tmp_path, token_uri=f"http://127.0.0.1:{port}/token"),)}, {}),
    )
    path, head, form = service.asked[0]
    assert (path, form["grant_type"]) == ("/token", GRANT)
    assert b"content-type: application/x-www-form-urlencoded" in head
    signed, _, signature = form["assertion"].rpartition(".")
    KEY.public_key().verify(part(signature), signed.encode(), PKCS1v15(), SHA256())
    with pytest.raises(InvalidSignature):
        KEY.public_key().verify(part(signature), signed.encode() + b"x", PKCS1v15(), SHA256())
    header, claims = (json.loads(part(text)) for text in signed.split("."))
    assert header == {"alg": "RS256", "typ": "JWT", "kid": "key-1"}
    assert (claims["iss"], claims["scope"], claims["exp"] - claims["iat"]) == ("me@p.iam.gserviceaccount.com", SCOPE, STATEMENT_SECONDS)
    assert claims["aud"].endswith("/token")


def test_a_service_account_whose_key_was_replaced_in_its_file_signs_with_the_new_one(tmp_path: Path) -> None:
    """As a mounted secret is renewed: the settings stay, so no reload would do it. A file that is half written changes nothing."""
    service = Service(seconds=600)

    async def scenario(upstream: HttpUpstream, keyed: Keyed) -> None:
        uri = {"token_uri": json.loads((tmp_path / "account.json").read_text())["token_uri"]}
        for change in (
            lambda: None,
            lambda: account_file(tmp_path, **uri, private_key_id="key-2"),
            lambda: (tmp_path / "account.json").write_text("{"),
        ):
            change()
            assert await call(upstream) == (200, b"ok")
            await asyncio.sleep(601)

    with_tokens(
        service,
        scenario,
        lambda key: (200 if key.startswith("t") else 401, "", b"ok"),
        lambda port: ({"google_credentials": (account_file(tmp_path, token_uri=f"http://127.0.0.1:{port}/token"),)}, {}),
    )
    heads = [json.loads(part(form["assertion"].partition(".")[0])) for _, _, form in service.asked]
    assert [head["kid"] for head in heads] == ["key-1", "key-2", "key-2"]


def test_a_service_account_s_file_that_hangs_holds_up_no_other_call(tmp_path: Path) -> None:
    """One on a network's disk that is away: it is read anew for each token, and what was read last does as well."""
    path = Path(account_file(tmp_path, token_uri="http://127.0.0.1:1/token"))
    fed: list[str] = []

    def feed(by: str) -> None:
        fed.append(by)
        with path.open("wb") as file:  # waits for who reads
            file.write(b"{")

    async def send(_question: Question) -> Reply:
        return Reply(200, b'{"access_token": "t1", "expires_in": 600}')

    async def scene() -> None:
        asking = asyncio.ensure_future(source())
        for _ in range(3):
            await asyncio.sleep(0)
        if not fed:
            feed("the loop, which turns")
        assert (await asking).seconds == 600

    source = google_source(str(path), {}, send, wall_clock=lambda: 1.8e9)
    path.unlink()
    os.mkfifo(path)
    rescue = threading.Timer(5, feed, ("the rescue of a run that would hang",))
    rescue.start()
    asyncio.run(scene())
    rescue.cancel()
    assert fed == ["the loop, which turns"]


def test_a_user_s_own_file_and_a_machine_s_account_give_tokens_too(tmp_path: Path) -> None:
    """As gcloud leaves it, by its refresh token; and from the metadata server, which wants its header."""
    user = tmp_path / "user.json"

    def as_user(port: int) -> tuple[dict[str, Any], dict[str, str]]:
        content = {
            "type": "authorized_user",
            "client_id": "c",
            "client_secret": "s",
            "refresh_token": "r",
            "token_uri": f"http://127.0.0.1:{port}/t",
        }
        user.write_text(json.dumps(content), encoding="utf-8")
        return {"google_credentials": (DEFAULT,)}, {"GOOGLE_APPLICATION_CREDENTIALS": str(user)}

    async def scenario(upstream: HttpUpstream, keyed: Keyed) -> None:
        assert await call(upstream) == (200, b"ok")
        assert keyed.asked == ["t1"]

    service = Service()
    with_tokens(service, scenario, good("t1"), as_user)
    assert service.asked[0][2] == {"grant_type": "refresh_token", "client_id": "c", "client_secret": "s", "refresh_token": "r"}
    service = Service()
    with_tokens(
        service, scenario, good("t1"), lambda port: ({"google_credentials": (METADATA,)}, {"GCE_METADATA_HOST": f"127.0.0.1:{port}"})
    )
    assert service.asked[0][0] == METADATA_PATH
    assert b"metadata-flavor: google" in service.asked[0][1]


def test_the_default_is_what_google_s_own_clients_would_take(tmp_path: Path) -> None:
    """The file that the environment names, else gcloud's own, else the machine's account."""
    own = tmp_path / ".config" / "gcloud"
    assert default_place({"HOME": str(tmp_path)}) == METADATA
    own.mkdir(parents=True)
    (own / "application_default_credentials.json").write_text("{}", encoding="utf-8")
    assert default_place({"HOME": str(tmp_path)}) == str(own / "application_default_credentials.json")
    assert default_place({"HOME": str(tmp_path), "GOOGLE_APPLICATION_CREDENTIALS": "/f"}) == "/f"


def test_an_application_of_entra_id_gets_its_token_by_its_secret() -> None:
    """With the scope that Azure OpenAI asks for, at the authority that the environment names; the token goes as a bearer."""
    service = Service(seconds="3599")

    async def scenario(upstream: HttpUpstream, keyed: Keyed) -> None:
        assert await call(upstream) == (200, b"ok")
        assert keyed.asked == ["t1"]

    app = AzureApp(tenant_id="ten/ant", client_id="c", client_secret="s&cret")
    with_tokens(
        service,
        scenario,
        good("t1"),
        lambda port: (
            {"azure_credentials": (app,), "api_key_as": "header:api-key"},
            {"AZURE_AUTHORITY_HOST": f"http://127.0.0.1:{port}/"},
        ),
    )
    path, _, form = service.asked[0]
    assert path == "/ten%2Fant/oauth2/v2.0/token"
    assert form == {"grant_type": "client_credentials", "client_id": "c", "client_secret": "s&cret", "scope": AZURE_SCOPE}


def test_a_token_that_its_vendor_does_not_take_any_more_is_replaced_at_once() -> None:
    """As after a revocation: no call notices. If the new one is refused, too, it is not the token, and the vendor's word is told."""
    valid = {"t1"}
    service = Service()

    async def scenario(upstream: HttpUpstream, keyed: Keyed) -> None:
        assert await call(upstream) == (200, b"ok")
        valid.clear()
        valid.add("t2")
        assert await call(upstream) == (200, b"ok")
        valid.clear()
        assert (await call(upstream))[0] == 401
        assert keyed.asked == ["t1", "t1", "t2", "t2"]
        await asyncio.sleep(REFUSED_AGAIN_SECONDS)
        valid.add("t3")
        assert await call(upstream) == (200, b"ok")

    with_tokens(
        service,
        scenario,
        lambda key: (200, "", b"ok") if key in valid else (401, "", b"{}"),
        lambda port: ({"google_credentials": (METADATA,)}, {"GCE_METADATA_HOST": f"127.0.0.1:{port}"}),
    )


@pytest.mark.parametrize(
    ("service", "said"),
    [
        (
            Service(status=400, body=b'{"error":"invalid_grant","error_description":"Account not found"}'),
            "invalid_grant: Account not found",
        ),
        (Service(status=500, body=b"\xff\xfe"), "status 500"),
        (Service(body=b"[]"), "no token"),
        (Service(body=b'{"access_token":"a\\nb","expires_in":1}'), "cannot be one"),
        (Service(body=b'{"access_token":"","expires_in":3600}'), "cannot be one"),
        (Service(seconds=0), "cannot be one"),
        (Service(seconds="soon"), "no token"),
    ],
)
def test_a_service_that_gives_no_token_is_quoted_to_the_operator(service: Service, said: str) -> None:
    """The call fails as ours, with the next target to ask; the log has the service's words and none of our secrets."""

    async def scenario(upstream: HttpUpstream, keyed: Keyed) -> None:
        with pytest.raises(UpstreamFailed) as failed:
            await call(upstream)
        assert said in failed.value.detail
        assert "s3cret" not in failed.value.detail
        assert (failed.value.error.code, failed.value.loud, failed.value.may_fall_back) == ("upstream_unavailable", True, True)
        assert keyed.asked == []

    app = AzureApp(tenant_id="t", client_id="c", client_secret="s3cret")
    with_tokens(
        service, scenario, good(), lambda port: ({"azure_credentials": (app,)}, {"AZURE_AUTHORITY_HOST": f"http://127.0.0.1:{port}"})
    )


def test_where_one_token_cannot_be_had_another_credential_serves() -> None:
    """A key stands beside an application whose service is down."""
    app = AzureApp(tenant_id="t", client_id="c", client_secret="s")

    async def scenario(upstream: HttpUpstream, keyed: Keyed) -> None:
        for _ in range(4):
            assert await call(upstream) == (200, b"ok")
        assert keyed.asked == ["k"] * 4

    with_tokens(
        Service(status=503, body=b"{}"),
        scenario,
        good("k"),
        lambda port: ({"azure_credentials": (app,), "api_keys": ("k",)}, {"AZURE_AUTHORITY_HOST": f"http://127.0.0.1:{port}"}),
    )


# Settings


def elliptic() -> str:
    """Return a private key that is no RSA key."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (None, "cannot be read"),
        ({"private_key": "nonsense"}, "is no private key"),
        ({"private_key": elliptic()}, "is no RSA key"),
        ({"type": "external_account"}, "external_account"),
        ({"client_email": 7}, "no credentials file"),
    ],
)
def test_a_credential_that_cannot_be_used_is_found_before_the_start(changed: dict[str, object] | None, said: str, tmp_path: Path) -> None:
    """With the setting, and nothing of the key."""
    path = str(tmp_path / "none.json") if changed is None else account_file(tmp_path, **changed)
    config = Config(vendors={"v": Vendor(base_url="http://h/v1", google_credentials=(METADATA, path))})
    (problem,) = credential_problems(config.vendors, {})
    assert problem.where == "vendors.v.google_credentials.1"
    assert said in problem.what
    assert "PRIVATE" not in problem.what


def test_the_environment_s_credentials_make_vendors_and_an_entry_s_own_count_instead(tmp_path: Path) -> None:
    """Azure by its key, else by an application; Vertex, once it is named, by what Google's clients take."""
    app = {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_CLIENT_SECRET": "s"}
    where = {"AZURE_OPENAI_ENDPOINT": "https://r.openai.azure.com"}
    assert detect(app) == {}
    assert detect(where | app)["azure"].vendor.azure_credentials == (AzureApp(tenant_id="t", client_id="c", client_secret="s"),)
    by_key = detect(where | app | {"AZURE_OPENAI_API_KEY": "k"})["azure"].vendor
    assert (by_key.api_key, by_key.azure_credentials) == ("k", ())
    (tmp_path / "aisa.yaml").write_text("vendors: {vertex: {}, azure: {api_keys: [a, b]}}", encoding="utf-8")
    vendors = load(str(tmp_path / "aisa.yaml"), {**where, **app, "GOOGLE_CLOUD_PROJECT": "p"}, {}).config.vendors
    assert vendors["vertex"].google_credentials == (DEFAULT,)
    assert (vendors["azure"].azure_credentials, vendors["azure"].api_keys) == ((), ("a", "b"))


def test_no_credential_is_ever_shown_to_a_caller() -> None:
    """All keys and secrets are among what is redacted, and none is in the headers that routing knows."""
    vendor = Vendor(
        base_url="http://h/v1",
        api_key="first-key",
        api_keys=("second-key",),
        azure_credentials=(AzureApp(tenant_id="t", client_id="c", client_secret="app-secret"),),
    )
    target = vendor_target("v", Config(vendors={"v": vendor}))
    assert {"first-key", "second-key", "app-secret"} <= set(target.secrets)
    assert target.headers == ()


def test_a_request_that_is_sent_again_is_the_same() -> None:
    """Body and path, byte for byte."""
    seen: list[bytes] = []

    async def script(connection: Connection) -> None:
        while True:
            head, body = await connection.request()
            seen.append(body)
            connection.send(http(401 if b"bearer a" in head.lower() else 200, b"ok"))

    async def run() -> None:
        async with FakeVendor(script).serving() as fake:
            upstream = pool(fake.port, [], api_keys=("a", "b"))
            answer = await upstream.ask(post(b'{"x":1}' * 50_000))
            assert answer.status == 200
            answer.close()
            await upstream.close()

    run_virtual(run())
    assert seen == [b'{"x":1}' * 50_000] * 2
