"""AWS's credentials: our signatures against AWS's own library, keys from the environment and from its chain, and calls that are signed."""

from __future__ import annotations

import asyncio
from calendar import timegm
from itertools import pairwise
from pathlib import Path
from time import strptime, time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aisa.config.detect import completed, in_environment
from aisa.config.schema import Vendor
from aisa.credentials.aws import DEFAULT, HELD_SECONDS, KeysSource, Signed, place_of
from aisa.credentials.aws_clock import VendorClock
from aisa.credentials.aws_signature import Keys, Scope, Unsigned, signature
from aisa.credentials.of_vendor import credential_of, flaws_of
from aisa.credentials.port import Question, Reply
from aisa.credentials.renewal import CredentialFailed
from aisa.errors import OPERATOR, UpstreamFailed
from aisa.http.pool import HttpUpstream
from aisa.providers.port import UpstreamRequest
from aisa.testing.clock import run_virtual
from aisa.vendor_pool import aws_chain
from aisa.vendors.table import ROWS
from http_client_rig import OK, Connection, FakeVendor, call
from repeats import repeats

auth = pytest.importorskip("botocore.auth")
aws_requests = pytest.importorskip("botocore.awsrequest")
aws_keys = pytest.importorskip("botocore.credentials")

AT = 1_785_000_000.0
EUROPE = "https://bedrock-runtime.eu-west-1.amazonaws.com"
ASKED = UpstreamRequest("/model/anthropic.claude-x%3A0/converse", (("content-type", "application/json"),), b'{"a":1}')


def by_aws(keys: Keys, scope: Scope, request: Unsigned) -> tuple[dict[str, str], float]:
    """The headers that AWS's own library adds, and the UNIX time at which it did."""
    url = f"https://{request.host}{request.path}" + (f"?{request.query}" if request.query else "")
    asked = aws_requests.AWSRequest(method=request.method, url=url, data=request.body, headers={})
    held = aws_keys.Credentials(keys.access_key, keys.secret_key, keys.session_token or None)
    auth.SigV4Auth(held, scope.service, scope.region).add_auth(asked)
    added = {name.lower(): value for name, value in asked.headers.items()}
    return added, float(timegm(strptime(added["x-amz-date"], "%Y%m%dT%H%M%SZ")))


segments = st.text(st.sampled_from("abcAZ09-_.~%3A2F:@ "), min_size=1, max_size=12).filter(lambda text: text.strip(".") != "")
held_keys = st.builds(Keys, st.just("AKID"), st.just("secret/+="), st.sampled_from(["", "session/token=="]))
unsigned = st.builds(
    Unsigned,
    st.just("POST"),
    st.just("h.example"),
    st.lists(segments, min_size=1, max_size=4).map(lambda found: "/" + "/".join(found).replace(" ", "%20")),
    st.sampled_from(["", "b=2&a=1", "a=&a=0"]),
    st.binary(max_size=64),
)


@settings(max_examples=repeats(100), deadline=None)
@given(held_keys, unsigned)
def test_our_signature_is_that_of_awss_own_library(keys: Keys, request: Unsigned) -> None:
    """Whatever the path, the query, the body, and with a session's token or without."""
    scope = Scope("eu-west-1", "bedrock")
    theirs, at = by_aws(keys, scope, request)
    ours = dict(signature(keys, scope, request, at=at))
    assert ours == {name: theirs[name] for name in ours}
    assert theirs.keys() - {"x-amz-content-sha256"} == ours.keys()


async def no_send(question: Question) -> Reply:
    """AWS needs no token service here."""
    raise AssertionError(question)


def no_chain(profile: str) -> KeysSource:
    """The extra is not installed."""
    raise CredentialFailed(f"no library for {profile!r}")


def vendor(**settings_: Any) -> Vendor:
    """A vendor with AWS's credentials."""
    fields: dict[str, Any] = {"dialect": "bedrock", "base_url": EUROPE, "aws_credentials": (DEFAULT,), **settings_}
    return Vendor(**fields)


KEYS = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s3cret"}


def test_keys_in_the_environment_sign_without_any_library() -> None:
    """At the address of the region that the host names; the first call waits for nothing that takes time."""

    async def scenario() -> None:
        environment = {**KEYS, "AWS_SESSION_TOKEN": "t", "AWS_REGION": "us-east-1"}
        credential = credential_of("b", vendor(), environment, send=no_send, chain=no_chain, wall_clock=lambda: AT, report=print)
        assert credential is not None
        proof = await credential.fetch(ASKED)
        assert credential.proof(ASKED, asyncio.get_running_loop().time()) == proof
        unsigned = Unsigned("POST", "bedrock-runtime.eu-west-1.amazonaws.com", ASKED.path, "", ASKED.body)
        assert proof.headers == signature(Keys("AKID", "s3cret", "t"), Scope("eu-west-1", "bedrock"), unsigned, at=AT)

    run_virtual(scenario())


@pytest.mark.parametrize(
    ("base_url", "environment", "expected"),
    [
        (EUROPE, {}, ("bedrock-runtime.eu-west-1.amazonaws.com", "", "eu-west-1")),
        ("https://bedrock-runtime.cn-north-1.amazonaws.com.cn:443", {}, ("bedrock-runtime.cn-north-1.amazonaws.com.cn", "", "cn-north-1")),
        ("http://127.0.0.1:9000/aws", {"AWS_DEFAULT_REGION": "us-west-2"}, ("127.0.0.1:9000", "/aws", "us-west-2")),
        (
            "https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com",
            {},
            ("bedrock-runtime-fips.us-gov-west-1.amazonaws.com", "", "us-gov-west-1"),
        ),
    ],
)
def test_the_region_is_that_of_the_address_else_of_the_environment(
    base_url: str, environment: dict[str, str], expected: tuple[str, str, str]
) -> None:
    """The host is signed as its header has it."""
    place = place_of(vendor(base_url=base_url), environment)
    assert (place.host, place.prefix, place.scope.region) == expected


def test_what_keeps_requests_from_being_signed_is_told_before_the_start() -> None:
    """By its setting: no region, no extra. At the start it does not end the process, and calls say it."""
    [(setting, _)] = flaws_of(vendor(base_url="https://h/x"), KEYS, send=no_send, chain=no_chain, wall_clock=lambda: AT)
    assert setting == "aws_credentials.0"
    [(setting, what)] = flaws_of(vendor(aws_credentials=(DEFAULT, "work")), KEYS, send=no_send, chain=no_chain, wall_clock=lambda: AT)
    assert (setting, what) == ("aws_credentials.1", "no library for 'work'")

    async def scenario() -> None:
        credential = credential_of("b", vendor(), {}, send=no_send, chain=no_chain, wall_clock=lambda: AT, report=print)
        assert credential is not None
        with pytest.raises(UpstreamFailed, match="no token") as failed:
            await credential.fetch(ASKED)
        assert (failed.value.blame, "no library" in (failed.value.detail or "")) == (OPERATOR, True)

    run_virtual(scenario())


def test_keys_are_fetched_ahead_and_no_call_waits_for_the_next_ones() -> None:
    """A call a second for an hour: the chain is asked every four minutes, and only the first call waits."""

    async def scenario() -> None:
        asked: list[float] = []
        loop = asyncio.get_running_loop()

        async def source() -> tuple[Keys, float]:
            asked.append(loop.time())
            await asyncio.sleep(3)
            return Keys("AKID", f"secret {len(asked)}"), HELD_SECONDS

        credential = Signed("b", place_of(vendor(), {}), source, clock=VendorClock("b", loop.time, print))
        await credential.fetch(ASKED)
        for _ in range(3_600):
            assert credential.proof(ASKED, loop.time()) is not None
            await asyncio.sleep(1)
        assert {round(later - earlier) for earlier, later in pairwise(asked)} <= {240, 241}

    run_virtual(scenario())


def test_awss_own_chain_gives_the_keys_of_a_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through AWS's library; a profile that does not exist is told at once, and one without keys when it is asked."""
    shared = tmp_path / "credentials"
    shared.write_text("[work]\naws_access_key_id = AKIDWORK\naws_secret_access_key = w\naws_session_token = t\n[empty]\n")
    for name, value in {
        "AWS_SHARED_CREDENTIALS_FILE": str(shared),
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", *KEYS, "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    keys, seconds = asyncio.run(asked_of(aws_chain("work")))
    assert (keys, seconds) == (Keys("AKIDWORK", "w", "t"), HELD_SECONDS)
    with pytest.raises(CredentialFailed, match="could not be found"):
        aws_chain("nobody")
    with pytest.raises(CredentialFailed, match="has none"):
        asyncio.run(asked_of(aws_chain("empty")))


def test_keys_that_were_replaced_in_their_file_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As tools for single sign-on do every hour; AWS's library keeps what it has read for as long as it lives."""
    shared = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(shared))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    for name in ("AWS_PROFILE", *KEYS, "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    sessions = ("first", "second")

    def write(session: str) -> None:
        shared.write_text(f"[work]\naws_access_key_id = A\naws_secret_access_key = w\naws_session_token = {session}\n")

    write(sessions[0])
    source = aws_chain("work")
    for session in sessions:
        write(session)
        keys, _ = asyncio.run(asked_of(source))
        assert keys.session_token == session


def test_a_profile_that_gave_no_keys_and_was_mended_gives_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS's library went on with the program, or the keys that a role is asked for with, that it had read at first, until a restart."""
    config = tmp_path / "config"
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    for name in ("AWS_PROFILE", *KEYS, "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    config.write_text("[profile work]\ncredential_process = /bin/false\n")
    source = aws_chain("work")
    for _ in range(2):
        with pytest.raises(CredentialFailed):
            asyncio.run(asked_of(source))
    config.write_text("[profile work]\naws_access_key_id = A\naws_secret_access_key = w\n")
    keys, _ = asyncio.run(asked_of(source))
    assert keys.access_key == "A"


@pytest.mark.parametrize(("kind", "asked"), [("ExpiredTokenException:http://x/", 2), ("AccessDeniedException", 1)])
def test_keys_that_aws_does_not_take_are_fetched_anew_and_the_request_goes_out_again(kind: str, asked: int) -> None:
    """AWS says so with 403, as of models that an account has not: only the header tells. Once a minute, or it is not the keys."""

    async def refusing(connection: Connection) -> None:
        while True:
            head, _ = await connection.request()
            if b"x-amz-security-token: old" in head.lower():
                connection.send(b"HTTP/1.1 403 F\r\nx-amzn-ErrorType: %b\r\ncontent-length: 2\r\n\r\n{}" % kind.encode())
            else:
                connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    tokens = ["old", "new", "old", "old"]

    async def source() -> tuple[Keys, float]:
        return Keys("AKID", "s", tokens.pop(0)), HELD_SECONDS

    async def scenario() -> None:
        async with FakeVendor(refusing).serving() as fake:
            settings_ = Vendor(base_url=f"http://127.0.0.1:{fake.port}", dialect="bedrock")
            clock = asyncio.get_running_loop().time
            signing = Signed("b", place_of(settings_, {"AWS_REGION": "eu-west-1"}), source, clock=VendorClock("b", clock, print))
            upstream = HttpUpstream("b", settings_, {}, credential=signing)
            assert [(await call(upstream))[0] for _ in range(2)] == ([200, 200] if asked > 1 else [403, 403])
            assert 4 - len(tokens) == asked
            if asked > 1:
                await asyncio.sleep(HELD_SECONDS - 1)
                assert [(await call(upstream))[0] for _ in range(4)] == [200, 403, 403, 403]
                assert tokens == []
            await upstream.close()

    run_virtual(scenario())


DENIED = b"""<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>AccessDenied</Code>
<Message>User u is not authorized to perform: sts:AssumeRole</Message></Error><RequestId>r</RequestId></ErrorResponse>"""


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("role_arn = arn:aws:iam::123456789012:role/r\nsource_profile = work", "AccessDenied.* not authorized to perform: sts:AssumeRole"),
        ("credential_process = echo no-json", "JSONDecodeError: Expecting value"),
        ("credential_process = echo [1]", "has no attribute"),
        ("credential_process = false", "Error when retrieving credentials from custom-process"),
    ],
    ids=["role that is refused", "process without JSON", "process with other JSON", "process that fails"],
)
def test_whatever_way_a_chain_fails_is_told_and_is_no_bug_of_ours(
    settings: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What AWS's library raises has no ancestor in common: refusals of services are no failure of the library in its eyes."""
    config = tmp_path / "config"
    config.write_text(f"[profile work]\naws_access_key_id = AKIDWORK\naws_secret_access_key = w\n[profile other]\n{settings}\n")

    async def denying(connection: Connection) -> None:
        while True:
            await connection.request()
            connection.send(b"HTTP/1.1 403 F\r\ncontent-type: text/xml\r\ncontent-length: %d\r\n\r\n%b" % (len(DENIED), DENIED))

    async def scenario() -> None:
        async with FakeVendor(denying).serving() as fake:
            monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{fake.port}")
            with pytest.raises(CredentialFailed, match=said):
                await aws_chain("other")()

    for name, value in {
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_CONFIG_FILE": str(config),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", *KEYS, "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    asyncio.run(scenario())


async def asked_of(source: KeysSource) -> tuple[Keys, float]:
    """What a source gives."""
    return await source()


def test_a_key_that_is_a_bearer_token_needs_nothing_of_all_this() -> None:
    """It is found by its variable and the region's, and is one proof for ever."""
    environment = {"AWS_BEARER_TOKEN_BEDROCK": "k", "AWS_REGION": "eu-west-1"}
    found = in_environment(ROWS["bedrock"], environment)
    assert found is not None
    assert (found.vendor.dialect, found.vendor.base_url, found.vendor.api_key) == ("bedrock", EUROPE, "k")
    assert credential_of("b", found.vendor, environment, send=no_send, chain=no_chain, wall_clock=lambda: AT, report=print) is None
    assert in_environment(ROWS["bedrock"], {**KEYS, "AWS_REGION": "eu-west-1"}) is None  # keys are there for many other things


def test_an_entry_that_names_bedrock_is_signed_with_what_the_environment_has() -> None:
    """Without a word on credentials."""
    environment = {**KEYS, "AWS_REGION": "eu-west-1"}
    made = completed(Vendor(), ROWS["bedrock"], given=(), environment=environment)
    assert (made.base_url, made.aws_credentials) == (EUROPE, (DEFAULT,))


@pytest.mark.parametrize("prefix", ["", "/behind/a proxy".replace(" ", "%20")])
def test_what_arrives_is_what_was_signed(prefix: str) -> None:
    """AWS's library comes to the same signature from the bytes that a server got: host, path and query as they were sent."""

    async def scenario() -> None:
        heads: list[bytes] = []

        async def script(connection: Connection) -> None:
            heads.append((await connection.request())[0])
            connection.send(OK)

        async with FakeVendor(script).serving() as fake:
            settings_ = vendor(base_url=f"http://127.0.0.1:{fake.port}{prefix}", query={"a b": "c"})
            environment = {**KEYS, "AWS_REGION": "eu-west-1"}
            credential = credential_of("b", settings_, environment, send=no_send, chain=no_chain, wall_clock=time, report=print)
            upstream = HttpUpstream("b", settings_, {}, credential=credential)
            answer = await upstream.ask(ASKED)
            answer.close()
            await upstream.close()
        line, *lines = heads[0].decode().split("\r\n")
        got = dict(each.split(": ", 1) for each in lines if each)
        path, _, query = line.split(" ")[1].partition("?")
        assert (path, query) == (prefix + ASKED.path, "a%20b=c")
        asked = Unsigned("POST", got["host"], path, query, ASKED.body)
        at = float(timegm(strptime(got["x-amz-date"], "%Y%m%dT%H%M%SZ")))
        assert dict(signature(Keys("AKID", "s3cret"), Scope("eu-west-1", "bedrock"), asked, at=at))["authorization"] == got["authorization"]

    run_virtual(scenario())
