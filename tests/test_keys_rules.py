"""What a key is: how its secret is made and recognised, what is shown of it, when it may be used."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aisa.errors import ApiError
from aisa.keys import rules
from aisa.keys.rules import Key
from aisa.keys.terms import parse_expiry, parse_spend_cap

NOW = datetime(2030, 6, 15, 12, 0, 30, 500_000, tzinfo=UTC).timestamp()
SECRET = "sk-aisa-000000000000000000000000000000000000"  # with its checksum left to the tests


def key(state: str, expires_at: int | None = None) -> Key:
    """Return a key in a state."""
    return Key("key_1", "ci", b"", "", state, created_at=0, expires_at=expires_at)


def at(*parts: int) -> int:
    """Return a moment in UTC as a UNIX second."""
    return int(datetime(*parts, tzinfo=UTC).timestamp())


@given(seed=st.integers())
def test_a_new_secret_is_well_formed(seed: int) -> None:
    """Whatever chance says, the secret has its prefix, 36 letters and digits, and a checksum that fits."""
    secret = rules.new_secret(random.Random(seed))
    assert re.fullmatch(r"sk-aisa-[0-9A-Za-z]{42}", secret)
    assert rules.is_well_formed(secret)


def test_secrets_use_the_whole_alphabet_and_do_not_repeat() -> None:
    """A thousand secrets are a thousand different ones, and no letter or digit is left out anywhere."""
    chance = random.Random(1)
    secrets = {rules.new_secret(chance) for _ in range(1000)}
    assert len(secrets) == 1000
    for position in range(len(rules.PREFIX), len(rules.PREFIX) + rules.RANDOM_CHARS):
        assert len({secret[position] for secret in secrets}) == 62


def test_the_checksum_is_the_documented_one() -> None:
    """The construction can be repeated from its description, so that others can check keys offline."""
    number = int.from_bytes(sha256(SECRET.encode()).digest()[:8], "big") % 62**6
    digits = "".join(rules.ALPHABET[number // 62**power % 62] for power in (5, 4, 3, 2, 1, 0))
    assert rules.checksum(SECRET) == digits == "BLxnIC"


@given(seed=st.integers(), position=st.integers(0, 49), character=st.characters())
def test_one_wrong_character_is_noticed(seed: int, position: int, character: str) -> None:
    """A key with any one character replaced, dropped or doubled is not well formed."""
    secret = rules.new_secret(random.Random(seed))
    replaced = secret[:position] + character + secret[position + 1 :]
    assert rules.is_well_formed(replaced) is (replaced == secret)
    assert not rules.is_well_formed(secret[:position] + secret[position + 1 :])
    assert not rules.is_well_formed(secret[:position] + secret[position] + secret[position:])


@pytest.mark.parametrize("text", ["", "sk-aisa-", "x" * 50, "sk-aisa-" + "é" * 42, "sk-aisa-" + "\udc80" * 42])
def test_other_texts_are_not_well_formed(text: str) -> None:
    """Anything that a client may send is judged without an exception."""
    assert not rules.is_well_formed(text)


@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        (SECRET + "BLxnIC", "sk-aisa-0000…xnIC"),
        (SECRET + "BLxnID", "…xnID"),
        ("My API Key", "…ey"),
        ("sk-proj-0123456789abcdef", "…cdef"),
        ("abc", "…"),
        ("", "…"),
    ],
)
def test_the_hint_shows_little(secret: str, shown: str) -> None:
    """A key made here shows its first twelve and last four characters, any other at most four and a quarter of it."""
    assert rules.hint(secret) == shown


@given(secret=st.text(min_size=1, max_size=60))
def test_the_hint_of_a_foreign_key_keeps_three_quarters_of_it_to_itself(secret: str) -> None:
    """Even a short imported key cannot be guessed from its hint."""
    shown = rules.hint(secret).removeprefix("…")
    assert secret.endswith(shown)
    assert len(shown) <= min(4, len(secret) / 4)


@pytest.mark.parametrize(
    ("stored", "expires_at", "now", "state", "code"),
    [
        ("active", None, 10, "active", None),
        ("active", 11, 10.999, "active", None),
        ("active", 11, 11, "expired", "expired_api_key"),
        ("active", 11, 12, "expired", "expired_api_key"),
        ("disabled", None, 10, "disabled", "invalid_api_key"),
        ("disabled", 5, 10, "disabled", "invalid_api_key"),
        ("revoked", None, 10, "revoked", "revoked_api_key"),
        ("revoked", 5, 10, "revoked", "revoked_api_key"),
        ("nonsense", None, 10, "nonsense", "invalid_api_key"),
    ],
)
def test_a_key_is_usable_only_while_active(stored: str, expires_at: int | None, now: float, state: str, code: str | None) -> None:
    """Its state follows from what is stored and the time, and each state has its error."""
    assert rules.state_at(key(stored, expires_at), now) == state
    if code is None:
        rules.verify_state(key(stored, expires_at), now)
    else:
        with pytest.raises(ApiError) as caught:
            rules.verify_state(key(stored, expires_at), now)
        assert (caught.value.code, caught.value.status) == (code, 401)


@pytest.mark.parametrize(
    ("text", "expires_at"),
    [
        (None, None),
        ("1m", at(2030, 6, 15, 12, 1, 30)),
        ("12h", at(2030, 6, 16, 0, 0, 30)),
        (" 30d ", at(2030, 7, 15, 12, 0, 30)),
        ("2 w", at(2030, 6, 29, 12, 0, 30)),
        ("2030-06-15", at(2030, 6, 16)),
        ("20301231", at(2031, 1, 1)),
        ("2030-06-15T13:00", at(2030, 6, 15, 13)),
        ("2030-06-15 13:00:01", at(2030, 6, 15, 13, 0, 1)),
        ("2030-06-15T13:00Z", at(2030, 6, 15, 13)),
        ("2030-06-15T15:00+02:00", at(2030, 6, 15, 13)),
    ],
)
def test_an_expiry_is_a_duration_or_a_moment(text: str | None, expires_at: int | None) -> None:
    """A date alone means the end of that day, and a time without a zone is UTC."""
    assert parse_expiry(text, NOW) == expires_at


@pytest.mark.parametrize(
    "text",
    [
        "",
        "never",
        "0d",
        "-1d",
        "1.5h",
        "30",
        "d",
        "1y",
        "2030-06-14",
        "2030-06-15T12:00:30",
        "2030-13-01",
        "9999-12-31",
        "9999999999w",
        "37000d",
    ],
)
def test_what_is_no_expiry_in_the_coming_century_is_refused(text: str) -> None:
    """The past, the present second, the far future and everything else are invalid requests that name the field."""
    with pytest.raises(ApiError) as caught:
        parse_expiry(text, NOW)
    assert (caught.value.code, caught.value.param) == ("invalid_request", "expires")


@pytest.mark.parametrize("label", ["", "  ", "a\nb", "a\x1b[31m", "key_1", "x" * 101, "\u202eabc"])
def test_a_label_that_cannot_be_shown_is_refused(label: str) -> None:
    """Labels go to logs and terminals, so they hold nothing that would change either."""
    with pytest.raises(ApiError) as caught:
        rules.check_label(label)
    assert (caught.value.code, caught.value.param) == ("invalid_request", "label")


def test_a_label_may_be_any_words() -> None:
    """Spaces inside, accents, slashes and full length are fine; spaces at the ends go."""
    assert rules.check_label(" Zoë's CI/CD key ") == "Zoë's CI/CD key"
    assert rules.check_label("x" * 100) == "x" * 100


@pytest.mark.parametrize("secret", ["short", " padded key", "padded key ", "tab\tinside", "schlüssel", "x" * 513])
def test_a_secret_that_no_client_could_send_is_not_imported(secret: str) -> None:
    """Too short, too long, not ASCII or padded is refused, and the message does not repeat it."""
    with pytest.raises(ApiError) as caught:
        rules.check_secret(secret)
    assert (caught.value.code, caught.value.param) == ("invalid_request", "key")
    assert secret not in caught.value.message


@pytest.mark.parametrize("secret", ["My very own API Key", "sk-proj-abcdefgh", SECRET + "BLxnIC", SECRET, "x" * 512])
def test_a_secret_of_any_form_may_be_imported(secret: str) -> None:
    """Keys of other systems, even with our prefix, keys with spaces and keys made here are taken as they are."""
    assert rules.check_secret(secret) == secret


def test_an_allow_list_is_names_without_repetition() -> None:
    """The order stays, repetitions and spaces at the ends go, and no list is no restriction."""
    assert rules.check_models(("b", " a ", "b")) == ("b", "a")
    assert rules.check_models(None) is None


@pytest.mark.parametrize("models", [(), ("",), ("a", " "), ("a\nb",), ("*",), ("a", "v/*"), ("x" * 257,), tuple(map(str, range(1001)))])
def test_a_bad_allow_list_is_refused(models: tuple[str, ...]) -> None:
    """An empty list would be a key that can do nothing; an empty name is a slip of the comma."""
    with pytest.raises(ApiError) as caught:
        rules.check_models(models)
    assert (caught.value.code, caught.value.param) == ("invalid_request", "models")


@pytest.mark.parametrize(
    ("text", "amount", "window"),
    [("5/day", 5_000_000_000, "day"), (" 0.000000001/week ", 1, "week"), ("99.50/month", 99_500_000_000, "month"), (None, 0, "")],
)
def test_a_spend_cap_is_an_amount_in_a_window(text: str | None, amount: int, window: str) -> None:
    """Dollars as people write them, exact to the nano-dollar, and one of three windows; no cap is no cap."""
    assert parse_spend_cap(text) == (None if text is None else rules.SpendCap(amount, window))


@pytest.mark.parametrize(
    "text", ["", "5", "5/", "/day", "5/year", "5/days", "0/day", "-5/day", "5,5/day", "0.0000000001/day", "1e3/day", "$5/day"]
)
def test_what_is_no_spend_cap_is_refused(text: str) -> None:
    """A cap that would never let a call through, or that could be meant in two ways, is an invalid request that names the field."""
    with pytest.raises(ApiError) as caught:
        parse_spend_cap(text)
    assert (caught.value.code, caught.value.param) == ("invalid_request", "spend_cap")


@pytest.mark.parametrize(
    ("window", "moment", "began"),
    [
        ("day", "2028-02-29T23:59:59.9", "2028-02-29"),
        ("day", "2028-03-01T00:00:00", "2028-03-01"),
        ("week", "2026-11-22T23:59:59", "2026-11-16"),
        ("week", "2026-11-23T00:00:00", "2026-11-23"),
        ("week", "2027-01-01T12:00:00", "2026-12-28"),
        ("month", "2028-02-29T12:00:00", "2028-02-01"),
        ("month", "2027-01-01T00:00:00", "2027-01-01"),
        ("day", "1970-01-01T00:00:00", "1970-01-01"),
    ],
)
def test_a_window_begins_at_midnight_utc(window: str, moment: str, began: str) -> None:
    """Of the day, of its Monday, of the first of its month; over the ends of years and Februaries."""
    now, start = (datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() for text in (moment, began))
    assert rules.window_start(window, now) == start


@given(st.floats(0, 4e9), st.sampled_from(["day", "week", "month"]))
def test_every_moment_is_in_its_window(now: float, window: str) -> None:
    """A window that began at a moment is the window of that moment, and lasts a day, a week or a month at most."""
    start = rules.window_start(window, now)
    assert -7 * 86_400 < start <= now < start + {"day": 1, "week": 7, "month": 31}[window] * 86_400
    assert window == "week" or rules.window_start(window, start) == start
    assert window != "week" or datetime.fromtimestamp(start, UTC).weekday() == 0


@pytest.mark.parametrize("name", ["", " ", "x" * 65, "a\nb"])
def test_an_account_that_cannot_be_shown_is_refused(name: str) -> None:
    """As labels, accounts stand in logs and tables."""
    with pytest.raises(ApiError) as caught:
        rules.check_account(name)
    assert (caught.value.code, caught.value.param) == ("invalid_request", "account")
    assert rules.check_account(" Team A/B ") == "Team A/B"
