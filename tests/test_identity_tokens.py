"""Tokens as providers make them, and as they do not: every way to sign, times that are none; and what is no guess of an admin key."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519

from aisa.composition import in_thread
from aisa.config.identity import IdentitySettings
from aisa.credentials.port import Question, Reply
from aisa.edge.admin_gate import WRONG_KEYS_MAX, AdminGate, Hosts
from aisa.edge.control import Control
from aisa.edge.routes import RouteTable
from aisa.errors import ApiError
from aisa.facts import Fact, ServerNotice, ServerWarning
from aisa.identity.keys import ADOPT_AGAIN_SECONDS, TokenAdminKeys
from aisa.identity.signing_keys import FIRST_SECONDS, SigningKeys
from aisa.identity.tokens import Tokens
from aisa.keys.admin_keys import AdminKeyStore
from aisa.keys.doubted import DoubtedAdminKeys
from aisa.keys.rules import DEFAULT_ACCOUNT, READ, WRITE, Key
from aisa.storage.engine import open_database
from aisa.storage.migrate import migrate
from aisa.testing.clock import run_virtual
from identity_rig import AUDIENCE, NOW, Provider, identity_provider, private_key, public_key
from test_identity import Bench, OneKey

RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
CURVES: dict[str, Any] = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}
EDWARDS: dict[str, Any] = {"Ed25519": ed25519.Ed25519PrivateKey, "Ed448": ed448.Ed448PrivateKey}


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    """A provider; to stop it takes half a second."""
    with identity_provider() as provider:
        yield provider


@pytest.fixture
def provider(running: Provider) -> Provider:
    """A provider with its usual key."""
    running.keys = [public_key("one")]
    return running


@lru_cache(None)
def pair(name: str) -> tuple[Any, dict[str, object]]:
    """Return a private key, and its public half as a set of keys has it, without a word on how it signs."""
    if name in RSA:
        made: Any = private_key("one")
        written = jwt.algorithms.RSAAlgorithm.to_jwk(made.public_key())
    elif name in CURVES:
        made = ec.generate_private_key(CURVES[name]())
        written = jwt.algorithms.ECAlgorithm.to_jwk(made.public_key())
    else:
        made = EDWARDS[name].generate()
        written = jwt.algorithms.OKPAlgorithm.to_jwk(made.public_key())
    return made, {**json.loads(written), "kid": "k"}


@pytest.mark.parametrize("says", [True, False], ids=["its key says how", "its key does not"])
@pytest.mark.parametrize("name", [*RSA, *CURVES, *EDWARDS])
def test_a_token_is_taken_however_its_provider_signs(provider: Provider, name: str, says: bool) -> None:
    """[issue 13] A key of RSA that says no `alg` (Entra ID's) was taken for RS256 alone, one of Ed448 for none."""
    private, public = pair(name)
    algorithm = "EdDSA" if name in EDWARDS else name
    provider.keys = [public | ({"alg": algorithm} if says else {})]
    claims = {"iss": provider.issuer, "aud": ["other", AUDIENCE], "sub": "ann", "iat": NOW, "exp": NOW + 60}

    async def scene() -> None:
        bench = await Bench(provider).fetched()
        assert bench.keys.verify(jwt.encode(claims, private, algorithm, {"kid": "k"})).label == "ann"
        if says and name in RSA:  # a key that says how it signs has signed nothing else
            other = "PS256" if name != "PS256" else "RS256"
            assert bench.refused(jwt.encode(claims, private, other, {"kid": "k"})) == "invalid_api_key"

    run_virtual(scene())


@pytest.mark.parametrize(
    "claims",
    [{"sub": ""}, {"nbf": 10**30}, {"nbf": "tomorrow"}, {"nbf": True}, {"exp": "soon"}, {"exp": float("nan")}, {"iat": -1}],
    ids=lambda claims: "-".join(f"{name}-{value}" for name, value in claims.items()),
)
def test_a_token_with_times_that_are_none_or_of_nobody_is_not_taken(provider: Provider, claims: dict[str, object]) -> None:
    """[issue 13] A `nbf` that could not be read was as if it were not there; all whose `sub` is empty were one person."""

    async def scene() -> None:
        bench = await Bench(provider).fetched()
        token = provider.token(**cast("dict[str, Any]", claims))
        assert bench.refused(token) == "invalid_api_key"
        assert bench.keys.known(token) is None

    run_virtual(scene())


def test_whoever_cannot_be_looked_up_or_has_no_right_has_guessed_no_admin_key(provider: Provider, tmp_path: Path) -> None:
    """[issue 13] Ten such requests were ten wrong keys, and kept out for a minute everybody who came from that address."""
    database = open_database(str(tmp_path), migrate)
    store = AdminKeyStore(database, lambda: NOW, random.Random(1))
    _, good = store.create("grafana", READ)

    async def scene() -> None:
        bench = Bench(provider, admin_claim="groups", admin_read=("auditors",))
        tokens = Tokens(bench.settings, bench.signing_keys, lambda: bench.now)
        doubted = DoubtedAdminKeys(TokenAdminKeys(store, tokens, bench.keys))
        gate = AdminGate(
            doubted, cast("Control", None), RouteTable(()), hosts=Hosts((), ("127.0.0.1",)), now=asyncio.get_running_loop().time
        )

        def refused(secret: str) -> set[str]:
            codes: set[str] = set()
            for _ in range(WRONG_KEYS_MAX):
                with pytest.raises(ApiError) as refusal:
                    gate.key_of(secret, "localhost", "192.0.2.1")
                codes.add(refusal.value.code)
            return codes

        auditor, guest = provider.token(groups=["auditors"]), provider.token(sub="bob")
        bench.documents.away = True
        assert refused(auditor) == {"overloaded"}, "the provider's keys are not here"
        await asyncio.sleep(100)
        bench.documents.away = False
        await asyncio.sleep(100)
        assert gate.key_of(auditor, "localhost", "192.0.2.1").label == "ann"
        assert refused(guest) == {"insufficient_permissions"}
        doubted.doubted = True
        assert refused(good) == {"overloaded"}, "nobody knows which keys count"
        doubted.doubted = False
        bench.now += 5_000
        assert refused(auditor) == {"expired_api_key"}
        assert gate.key_of(good, "localhost", "192.0.2.1").label == "grafana"
        assert refused("sk-aisa-admin-x") == {"invalid_api_key"}
        assert refused(good) == {"rate_limit_exceeded"}

    run_virtual(scene())
    database.close()


def test_who_was_put_out_administers_nothing_either(provider: Provider, tmp_path: Path) -> None:
    """[issue 13] A key that was disabled kept its person from calls alone: his token let him administer, and enable himself again."""
    database = open_database(str(tmp_path), migrate)

    async def scene() -> None:
        bench = await Bench(
            provider, account_claim="groups", accounts={"staff": "all"}, admin_claim="scope", admin_write=("admin",)
        ).fetched()
        tokens = Tokens(bench.settings, bench.signing_keys, lambda: bench.now)
        admins = TokenAdminKeys(AdminKeyStore(database, lambda: NOW, random.Random(1)), tokens, bench.keys)
        token = provider.token(scope="openid admin", groups=["nobody's"])
        let_in = admins.verify(token)
        assert (let_in.scope, admins.is_good(let_in)) == (WRITE, True)
        (met,) = bench.met
        assert (met.id, met.label, met.account) == ("idp_" + let_in.id.removeprefix("adm_idp_"), "ann", DEFAULT_ACCOUNT), (
            "he can be put out"
        )
        for state, expires_at in (("disabled", None), ("revoked", None), ("active", NOW - 1)):
            bench.own.kept[met.id] = msgspec.structs.replace(met, state=state, expires_at=expires_at)
            assert not admins.is_good(let_in), "nor does his session at the console go on"
            with pytest.raises(ApiError) as refusal:
                admins.verify(token)
            assert refusal.value.code == "insufficient_permissions", "which is no guess of a key"
        bench.own.kept[met.id] = met
        assert admins.verify(token) == let_in
        assert admins.is_good(let_in)
        admins.verify(provider.token(sub="bob", scope="admin", groups=["staff"]))
        assert [key.account for key in bench.met] == [DEFAULT_ACCOUNT, "all"]

    run_virtual(scene())
    database.close()


def test_a_provider_that_starts_beside_the_server_is_soon_asked_again(provider: Provider) -> None:
    """[issue 13] While there are no keys nobody is let in: for a minute after the first look, and clients were told to wait a second."""

    async def scene() -> None:
        bench = Bench(provider)
        bench.documents.away = True
        bench.signing_keys.fetch()
        await asyncio.sleep(0.001)
        with pytest.raises(ApiError) as refusal:
            bench.keys.verify(provider.token())
        bench.documents.away = False
        await asyncio.sleep(refusal.value.retry_after or 0)
        assert bench.keys.verify(provider.token()).label == "ann"

    run_virtual(scene())


def test_somebody_whose_key_could_not_be_kept_is_tried_again(provider: Provider) -> None:
    """[issue 13] With the database away at his first call, he could be listed and disabled only after a restart and another call."""

    async def scene() -> None:
        bench = await Bench(provider).fetched()
        for seconds, met in ((0, 1), (ADOPT_AGAIN_SECONDS - 1, 1), (1, 2)):
            bench.now += seconds
            assert (bench.keys.verify(provider.token()).label, len(bench.met)) == ("ann", met)
        bench.own.kept[bench.met[0].id] = bench.met[0]
        bench.now += 2 * ADOPT_AGAIN_SECONDS
        bench.keys.verify(provider.token())
        assert len(bench.met) == 2

    async def twice() -> None:
        tried, reported = list[str](), list[object]()

        def adopt(key: Key) -> None:
            tried.append(key.id)
            if len(tried) == 1:
                raise ApiError("internal_error", "The disk is full.")

        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        begin = in_thread(adopt, reported.append)
        for _ in range(3):
            begin(OneKey.key)
            await asyncio.to_thread(lambda: None)  # behind it
        assert (len(tried), len(reported)) == (2, 1)

    run_virtual(scene())
    asyncio.run(twice())


def test_a_set_of_keys_that_is_larger_than_any_is_not_read(provider: Provider) -> None:
    """Its reply has a bound, and of what is read the first hundred keys count."""
    provider.keys = [public_key("one", kid=f"k{number}") for number in range(101)]

    async def scene() -> None:
        bench = await Bench(provider).fetched()
        assert bench.keys.verify(provider.token(headers={"kid": "k99"})).label == "ann"
        assert await bench.refused_for_good(provider.token(headers={"kid": "k100"})) == "invalid_api_key"

    run_virtual(scene())


def test_a_set_that_is_nested_deeper_than_a_parser_goes_is_told_and_asked_for_again() -> None:
    """[issue 13] The task that fetches ended by it, and the keys were never fetched anew: a withdrawn one would have counted for ever."""
    deep = b'{"keys":[{"x":' + b"[" * 5_000 + b"]" * 5_000 + b"}]}"
    answers = [deep, json.dumps({"keys": [public_key("one")]}).encode()]
    reported: list[Fact] = []

    async def send(_question: Question) -> Reply:
        return Reply(200, answers.pop(0))

    async def scene() -> None:
        settings = IdentitySettings(issuer="https://login.example.com", audience=AUDIENCE, keys_url="https://login.example.com/keys")
        signing_keys = SigningKeys(settings, send, reported.append, loop=asyncio.get_running_loop())
        signing_keys.fetch()
        await asyncio.sleep(FIRST_SECONDS + 1)
        assert [key.name for key in signing_keys.find("one", "RS256")] == ["one"]

    run_virtual(scene())
    assert [type(fact) for fact in reported] == [ServerWarning, ServerNotice]
