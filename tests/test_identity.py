"""Tokens of an identity provider as keys: whom they let in, as whom, and what becomes of those that are not right."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import jwt
import msgspec
import pytest

from aisa.composition import take_tokens
from aisa.config.identity import IdentitySettings
from aisa.config.load import load
from aisa.config.problem import ConfigErrors
from aisa.config.schema import Config
from aisa.credentials.port import Question, Reply
from aisa.errors import ApiError
from aisa.facts import Fact
from aisa.identity.keys import TokenKeys
from aisa.identity.signing_keys import LOOK_SECONDS, LOOKS_AT_ONCE, RENEW_SECONDS, RETRY_SECONDS, SigningKeys
from aisa.identity.tokens import LEEWAY_SECONDS, Tokens
from aisa.keys.doubted import DoubtedKeys
from aisa.keys.rules import DEFAULT_ACCOUNT, Key
from aisa.keys.store import KeyStore
from aisa.storage.engine import open_database
from aisa.storage.migrate import migrate
from aisa.testing.clock import run_virtual
from identity_rig import AUDIENCE, NOW, Provider, identity_provider, private_key, public_key
from server import PROCESS_SECONDS_MAX, serving
from test_workers import ask, connection, until


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    """A provider, of whom these tests take tokens and documents."""
    with identity_provider() as running:
        yield running


class OneKey:
    """The keys of a server that has one; implements `keys.port.Keys`."""

    key = Key("key_1", "own", b"", "", "active", 0)

    def verify(self, secret: str | None) -> Key:
        """Return the one key."""
        if secret == "sk-own":
            return self.key
        raise ApiError("invalid_api_key", "The API key is not one of this server's.")

    def __init__(self) -> None:
        self.kept: dict[str, Key] = {}

    def again(self, key: Key, secret: str) -> Key:
        """Ask anew."""
        return self.verify(secret)

    def known(self, secret: str | None) -> Key | None:
        """Return the one key."""
        return self.key if secret == "sk-own" else None

    def with_id(self, id_: str) -> Key | None:
        """Return what was adopted."""
        return self.kept.get(id_)


class Documents:
    """Sends questions to a provider without a socket: what it answers at once, or not at all."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.away = False
        self.asked = 0

    async def __call__(self, question: Question) -> Reply:
        """Answer a question."""
        self.asked += 1
        if self.away:
            raise OSError("connection refused")
        found: object = {"issuer": self.provider.issuer, "jwks_uri": f"{self.provider.issuer}/keys"}
        return Reply(200, json.dumps({"keys": self.provider.keys} if question.url.endswith("/keys") else found).encode())


class Bench:
    """What a test does with tokens: at a time of its own, with what was reported."""

    def __init__(self, provider: Provider, **settings: object) -> None:
        self.settings = IdentitySettings(issuer=provider.issuer, audience=AUDIENCE, **settings)  # type: ignore[arg-type]  # each test has its own
        self.documents = Documents(provider)
        self.reported: list[Fact] = []
        self.now = float(NOW)
        self.signing_keys = SigningKeys(self.settings, self.documents, self.reported.append, loop=asyncio.get_running_loop())
        self.own = OneKey()
        tokens = Tokens(self.settings, self.signing_keys, lambda: self.now)
        self.met: list[Key] = []
        self.keys = TokenKeys(self.own, tokens, disabled=frozenset({"closed"}), adopt=self.met.append, wall_clock=lambda: self.now)

    async def fetched(self) -> Bench:
        """Fetch the provider's keys."""
        self.signing_keys.fetch()
        await asyncio.sleep(0.001)
        return self

    def refused(self, token: str) -> str:
        """Return the code with which a token is refused."""
        with pytest.raises(ApiError) as refusal:
            self.keys.verify(token)
        return refusal.value.code

    async def refused_for_good(self, token: str) -> str:
        """Return the same when its key, if it is not known, was looked for."""
        code = self.refused(token)
        if code == "overloaded":
            await asyncio.sleep(0.001)
            code = self.refused(token)
        return code


def test_a_token_is_a_key_of_its_person_until_it_ends(provider: Provider) -> None:
    """Two tokens of one person are one key; it ends with its token and half a minute, which a clock may be off."""

    async def scene() -> None:
        bench = await Bench(provider, label_claim="email").fetched()
        token = provider.token(email="ann@example.com")
        first, second = bench.keys.verify(token), bench.keys.verify(provider.token(email="ann@example.com", jti="2"))
        assert (first.id, first.label, first.account) == (second.id, "ann@example.com", DEFAULT_ACCOUNT)
        assert first.id != bench.keys.verify(provider.token(sub="bob")).id
        assert bench.refused(provider.token(nbf=NOW + LEEWAY_SECONDS + 1)) == "invalid_api_key", "it is not good yet"
        assert bench.keys.verify(provider.token(nbf=NOW + LEEWAY_SECONDS)).id == first.id
        bench.now = NOW + 3_600 + LEEWAY_SECONDS - 1
        assert bench.keys.verify(token).id == first.id
        bench.now += 1
        assert bench.refused(token) == "expired_api_key"
        known = bench.keys.known(token)
        assert known is not None
        assert known.label == "ann@example.com", "whose refusal it is is on record"

    run_virtual(scene())


def test_a_person_is_met_once_and_has_the_terms_that_were_given(provider: Provider) -> None:
    """A key that was kept for a person decides on models, cap and state; its account is always that of the token."""

    async def scene() -> None:
        bench = await Bench(provider, account_claim="groups", accounts={"staff": "all", "labs": "labs"}).fetched()
        for number in range(3):
            bench.keys.verify(provider.token(jti=str(number), groups=["staff"]))
        (met,) = bench.met
        bench.own.kept[met.id] = msgspec.structs.replace(met, models=("small",), expires_at=None, account="all")
        moved = bench.keys.verify(provider.token(groups=["labs"]))
        assert (moved.models, moved.account) == (("small",), "labs")
        bench.own.kept[met.id] = msgspec.structs.replace(met, state="disabled")
        assert bench.refused(provider.token(groups=["staff"])) == "invalid_api_key"

    run_virtual(scene())


def forged_without_signature(provider: Provider) -> str:
    """A token that says of itself that nobody signed it."""
    return jwt.encode({"iss": provider.issuer, "aud": AUDIENCE, "sub": "ann", "iat": NOW, "exp": NOW + 60}, key=None, algorithm="none")


def with_a_changed_claim(provider: Provider) -> str:
    """A good token, in which somebody has become somebody else."""
    head, body, signature = provider.token().split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    changed = base64.urlsafe_b64encode(json.dumps({**claims, "sub": "root"}).encode()).rstrip(b"=").decode()
    return f"{head}.{changed}.{signature}"


def headed(**head: object) -> str:
    """A token with this head, which nobody signed."""
    return f"{base64.urlsafe_b64encode(json.dumps(head).encode()).rstrip(b'=').decode()}.e30.c2ln"


@pytest.mark.parametrize(
    "make",
    [
        forged_without_signature,
        with_a_changed_claim,
        lambda provider: provider.token("two", headers={"kid": "one"}),
        lambda provider: provider.token(aud="another"),
        lambda provider: provider.token(iss="https://login.example.com"),
        lambda provider: provider.token(exp=None),
        lambda provider: provider.token(sub=None),
        lambda provider: jwt.encode(
            {"iss": provider.issuer, "aud": AUDIENCE, "sub": "ann", "iat": NOW, "exp": NOW + 60}, "s" * 64, "HS256", {"kid": "one"}
        ),
        lambda _provider: "eyJ.eyJ.",
        lambda _provider: "eyJhbGciOiJSUzI1NiJ9.e30.c2ln",
        lambda _provider: headed(alg=["RS256"], kid="one"),
        lambda _provider: headed(alg={}, kid="one"),
        lambda _provider: headed(alg=None),
        lambda _provider: headed(alg="RS256", kid=["one"]),
        lambda _provider: headed(alg="RS256", kid="\ud800"),
    ],
    ids=[
        *("unsigned", "changed", "wrong-key", "audience", "issuer", "no-end", "nobody", "shared-secret", "no-json", "no-claims"),
        *("list-of-algorithms", "object-for-algorithm", "no-algorithm", "list-of-keys", "half-a-character"),
    ],
)
def test_a_token_that_is_not_right_lets_nobody_in(provider: Provider, make: Callable[[Provider], str]) -> None:
    """[fault S11] Whatever is wrong with it, the answer is 401 and no failure of ours, and nothing of it is kept as proven."""

    async def scene() -> None:
        bench = await Bench(provider).fetched()
        assert await bench.refused_for_good(make(provider)) == "invalid_api_key"
        assert bench.keys.known(make(provider)) is None

    run_virtual(scene())


def test_keys_of_the_server_are_good_as_before(provider: Provider) -> None:
    """A key is looked at first, and what has not the form of a token never comes to a provider."""

    async def scene() -> None:
        bench = Bench(provider)
        assert bench.keys.verify("sk-own").label == "own"
        assert bench.refused("sk-other") == "invalid_api_key"
        assert bench.documents.asked == 0

    run_virtual(scene())


def test_tokens_are_doubted_as_keys_are(provider: Provider, tmp_path: Path) -> None:
    """[issue 13] While nobody could look for a minute which keys count, a token that was proven is refused too; then it is good again."""

    async def scene() -> None:
        bench = await Bench(provider).fetched()
        token, doubted = provider.token(), DoubtedKeys(bench.keys)
        for doubtful in (False, True, False):
            doubted.doubted = doubtful
            if doubtful:
                with pytest.raises(ApiError, match="has not been able to read its keys"):
                    doubted.verify(token)
            else:
                assert doubted.verify(token).account == DEFAULT_ACCOUNT

    run_virtual(scene())
    database = open_database(str(tmp_path), migrate)
    store = KeyStore(database, lambda: NOW, random.Random(1))
    _, secret = store.create("k")
    shared = msgspec.convert({"stores": {"database": "postgresql://db.internal/aisa"}}, Config)
    keys = take_tokens(shared, store, print)
    assert keys.verify(secret).label == "k"
    store.doubted(True)
    with pytest.raises(ApiError, match="has not been able to read its keys"):
        keys.verify(secret)
    assert take_tokens(Config(), store, print) is store  # who has a database of his own doubts nothing
    database.close()


def test_the_account_is_the_first_of_the_settings_that_a_claim_names(provider: Provider) -> None:
    """A list of groups, a claim inside of another, none that is known, and an account that is disabled."""
    accounts = {"research": "labs", "staff": "all", "former": "closed"}

    async def scene() -> None:
        bench = await Bench(provider, account_claim="org.groups", accounts=accounts).fetched()
        assert bench.keys.verify(provider.token(org={"groups": ["staff", "research"]})).account == "labs"
        assert bench.keys.verify(provider.token(**{"org.groups": "staff"})).account == "all"
        assert bench.refused(provider.token(org={"groups": ["guests"]})) == "insufficient_permissions"
        assert bench.refused(provider.token()) == "insufficient_permissions"
        assert bench.refused(provider.token(org={"groups": ["former"]})) == "invalid_api_key"

    run_virtual(scene())


def test_a_new_signing_key_is_fetched_and_nobody_makes_us_ask_again_and_again(provider: Provider) -> None:
    """The first token of a new key is told to come again in a second, and the next is taken; invented names cost a look each ten seconds.

    [issue 13] One that was published within a minute after the last look was refused until that was over.
    """

    async def scene() -> None:
        bench = await Bench(provider).fetched()
        asked = bench.documents.asked

        def looks() -> int:
            return (bench.documents.asked - asked) // 2  # where its keys are, and the keys

        async def invented(number: int) -> None:
            for each in range(number):
                assert bench.refused(provider.token("two", headers={"kid": f"x{each}"})) in ("invalid_api_key", "overloaded")
                await asyncio.sleep(0.001)

        try:
            for name in ("two", "three"):  # each a moment after the look before it
                provider.keys = [public_key("one"), public_key(name)]
                assert bench.refused(provider.token(name)) == "overloaded"
                await asyncio.sleep(0.001)
                assert bench.keys.verify(provider.token(name)).label == "ann"
            assert looks() == LOOKS_AT_ONCE == 2
            await invented(100)
            assert looks() == LOOKS_AT_ONCE
            for _ in range(20):
                await asyncio.sleep(LOOK_SECONDS)
                await invented(10)
            assert LOOKS_AT_ONCE + 18 <= looks() <= LOOKS_AT_ONCE + 20
            provider.keys = [public_key("two")]  # published while names are invented
            await asyncio.sleep(LOOK_SECONDS)
            assert bench.refused(provider.token("two", jti="2")) == "overloaded"
            await asyncio.sleep(0.001)
            assert bench.keys.verify(provider.token("two", jti="2")).label == "ann"
        finally:
            provider.keys = [public_key("one")]

    run_virtual(scene())


def test_a_new_key_is_not_called_wrong_while_its_provider_does_not_answer(provider: Provider) -> None:
    """[issue 13] A good token of a key that came with the outage was 401, which no client repeats; it is 503 until the provider answers.

    An administrator's counted among the ten wrong ones that keep an address out. With a name and without.
    """

    async def scene() -> None:
        bench = await Bench(provider).fetched()
        bench.documents.away = True
        for name in ("two", "two", None):
            assert bench.refused(provider.token("two", headers={"kid": name} if name else {})) == "overloaded"
            await asyncio.sleep(LOOK_SECONDS)
        assert bench.refused(provider.token("one", iss="https://elsewhere")) == "invalid_api_key", "its key is known"
        assert bench.keys.verify(provider.token()).label == "ann"
        bench.documents.away = False
        await asyncio.sleep(RETRY_SECONDS)
        bench.refused(provider.token("two"))
        await asyncio.sleep(0.001)
        assert bench.refused(provider.token("two")) == "invalid_api_key"

    run_virtual(scene())


def test_a_provider_that_fails_is_not_asked_for_names_that_are_invented(provider: Provider) -> None:
    """It is asked each minute as it is; whoever knows no key of it makes that no more."""

    async def scene() -> None:
        bench = await Bench(provider).fetched()
        bench.documents.away = True
        asked = bench.documents.asked
        for second in range(300):
            assert bench.refused(provider.token("two", headers={"kid": f"x{second}"})) in ("invalid_api_key", "overloaded")
            await asyncio.sleep(1)
        assert bench.documents.asked - asked <= 1 + 300 / RETRY_SECONDS

    run_virtual(scene())


def test_keys_that_were_fetched_count_while_the_provider_is_away(provider: Provider) -> None:
    """It is said once, asked every minute, and said once that it is there again; before the first fetch nobody is let in, with 503."""

    async def scene() -> None:
        bench = Bench(provider)
        bench.documents.away = True
        assert bench.refused(provider.token()) == "overloaded"
        await asyncio.sleep(0.001)
        bench.documents.away = False
        await asyncio.sleep(RETRY_SECONDS + 0.01)
        assert bench.keys.verify(provider.token()).label == "ann"
        bench.documents.away = True
        await asyncio.sleep(RENEW_SECONDS + 5 * RETRY_SECONDS)
        assert bench.keys.verify(provider.token(jti="2")).label == "ann"
        bench.documents.away = False
        await asyncio.sleep(RETRY_SECONDS)
        said = [getattr(fact, "message", "") for fact in bench.reported]
        assert [("cannot be fetched" in text, "here again" in text) for text in said] == [(True, False), (False, True)] * 2

    run_virtual(scene())


def test_keys_for_other_ends_and_of_kinds_that_nobody_knows_are_left_out(provider: Provider) -> None:
    """A secret that verifiers share, a key for encryption and one of next year's kinds take none of the others with them."""

    async def scene() -> None:
        bench = Bench(provider)
        provider.keys = [
            {"kty": "oct", "kid": "shared", "k": "c2VjcmV0", "alg": "HS256"},
            public_key("two", use="enc"),
            {"kty": "LATTICE", "kid": "new"},
            public_key("two", kid=["two"]),
            public_key("one", alg=None) | {"alg": "RS256"},
        ]
        try:
            await bench.fetched()
            assert bench.keys.verify(provider.token()).label == "ann"
            assert await bench.refused_for_good(provider.token("two")) == "invalid_api_key"
        finally:
            provider.keys = [public_key("one")]

    run_virtual(scene())


def test_keys_of_one_name_that_sign_in_different_ways_count_all(provider: Provider) -> None:
    """[fault M6] As RFC 7517 allows: the second took the place of the first, whose tokens were then signed "in another way"."""

    async def scene() -> None:
        bench = Bench(provider)
        provider.keys = [public_key("one"), public_key("one") | {"alg": "RS512"}]
        try:
            await bench.fetched()
            assert bench.keys.verify(provider.token()).label == "ann"
        finally:
            provider.keys = [public_key("one")]

    run_virtual(scene())


CONFIGURATION = """\
identity:
  issuer: {issuer}
  audience: aisa
  label_claim: email
  account_claim: groups
  accounts: {{research: labs}}
  admin_claim: groups
  admin_write: [operators]
  admin_read: [auditors]
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_person_calls_is_billed_and_administers_with_tokens(provider: Provider, tmp_path: Path, workers: int) -> None:
    """A real server: the call stands in the ledger under name and account; an auditor may look and not change; an unknown group is 403."""
    now, configuration = time.time(), CONFIGURATION.format(issuer=provider.issuer)
    token = provider.token(now=now, email="ann@example.com", groups=["research"])
    with serving(tmp_path, configuration, workers=workers) as server:
        statuses = list[int]()

        def is_known() -> bool:
            with closing(connection(server)) as client:
                status, headers, _ = ask(client, token, "hello")
            statuses.append(status)
            assert status != 503 or headers["retry-after"] == "1"
            return status != 503

        until(is_known, "the provider's keys are not there")
        assert statuses[-1] == 200
        until(lambda: "ann@example.com" in server.aisa("keys", "list"), "no key is listed")
        assert "ann@example.com" in server.aisa("calls", "--account", "labs")
        server.aisa("keys", "disable", "ann@example.com")
        with closing(connection(server)) as client:
            assert ask(client, token, "hello")[0] == 401
        with closing(connection(server)) as client:
            assert ask(client, provider.token(now=now, groups=["guests"]), "hello")[0] == 403
        auditor, operator = (provider.token(now=now, sub=group, groups=[group]) for group in ("auditors", "operators"))
        assert administer(server.url, auditor, "GET", "/admin/v1/keys") == 200
        assert administer(server.url, auditor, "POST", "/admin/v1/accounts") == 403
        assert administer(server.url, token, "GET", "/admin/v1/keys") == 403
        assert administer(server.url, operator, "POST", "/admin/v1/accounts") == 201


def administer(url: str, token: str, method: str, path: str) -> int:
    """Ask the admin API, and return the status."""
    client = http.client.HTTPConnection(url.removeprefix("http://"), timeout=PROCESS_SECONDS_MAX)
    with closing(client):
        body = json.dumps({"name": "acme"}) if method == "POST" else None
        client.request(method, path, body, {"authorization": f"Bearer {token}", "content-type": "application/json"})
        return client.getresponse().status


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ("issuer: http://login.example.com, audience: aisa", "identity.issuer"),
        ("issuer: https://login.example.com, audience: aisa, account_claim: groups", "identity.accounts"),
        ("issuer: https://login.example.com, audience: aisa, accounts: {a: b}", "identity.account_claim"),
        ("issuer: https://login.example.com, audience: aisa, admin_read: [a]", "identity.admin_claim"),
        ("issuer: https://login.example.com", "identity"),
    ],
)
def test_settings_that_would_let_in_nobody_or_anybody_are_refused(tmp_path: Path, settings: str, where: str) -> None:
    """Each with the setting that is wrong."""
    file = tmp_path / "aisa.yaml"
    file.write_text(f"identity: {{{settings}}}\n", encoding="utf-8")
    with pytest.raises(ConfigErrors) as refusal:
        load(str(file), {}, {})
    assert any(problem.where.startswith(where) or where in str(problem) for problem in refusal.value.problems), refusal.value.problems


def test_the_rig_signs_with_two_keys() -> None:
    """Else a token of another key would prove nothing."""
    assert private_key("one") is not private_key("two")
