"""What a request may say, and the error for everything else. Rows in brackets are those of the fault catalogue."""

from __future__ import annotations

import contextlib
import gzip
import json
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aisa.errors import ApiError
from aisa.providers import openai
from aisa.providers.shape import Target
from aisa.wire.chat import parse_chat
from aisa.wire.json_places import LOOKED_AT_BYTES_MAX
from aisa.wire.strict_json import beside_long, marks, parse_object

USER = [{"role": "user", "content": "Hi."}]


@given(st.lists(st.sampled_from([b'"', b'""', b"a" * 4_095, b"a" * 4_096, b"b", b'"' * 5_000])).map(b"".join))
def test_marks_are_counted_wherever_they_stand(text: bytes) -> None:
    """At the ends of the steps too, and many at once."""
    assert marks(text) == text.count(b'"')


@given(st.lists(st.sampled_from([b'"', b"a", b"{", b'"a"', b'""'])).map(b"".join))
def test_what_stands_outside_strings_is_found_either_way(text: bytes) -> None:
    """Also behind a string without an end."""
    assert beside_long(text) == b"".join(text.split(b'"')[::2])


def test_marks_of_a_long_text_are_counted_in_steps() -> None:
    """[fault S7] Three counts of 30 MB held the streams of everybody for 25 ms each, whatever thread they ran in."""
    text = b'"' + b"a" * 8_000_000 + b'"'

    def seconds(count: Callable[[], int]) -> float:
        began = time.thread_time()
        assert count() == 2
        return time.thread_time() - began

    assert min(seconds(lambda: marks(text)) for _ in range(5)) < min(seconds(lambda: text.count(b'"')) for _ in range(5)) / 2


def test_the_messages_of_a_large_body_are_copied_once() -> None:
    """[fault S7] Into what the vendor is sent. They were copied to be looked over, on the event loop: 40 ms of 30 MB."""
    chat = parse_chat(json.dumps({"model": "m", "messages": [{"role": "user", "content": "x" * 4_000_000}]}).encode())
    target = Target("acme", "m-1", "openai")
    tracemalloc.start()
    try:
        written = openai.to_upstream(chat, target)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(written.body) > 4_000_000
    assert most < 8_000_000  # the encoder's buffer grows beyond it


def refusal(body: bytes) -> ApiError:
    """The error for a body that must be refused."""
    with pytest.raises(ApiError) as caught:
        parse_chat(body)
    return caught.value


def body(**fields: Any) -> bytes:
    """A request with these fields."""
    return json.dumps({"model": "m", "messages": USER, **fields}).encode()


NOT_JSON = {
    "nothing": b"",
    "blanks": b"  \n",
    "half an object": b'{"model"',
    "bytes after the end": body() + b" x",
    "a second object": body() + body(),
    "an array": b"[]",
    "a string": b'"model"',
    "a single quote": b"{'model': 1}",
    "a trailing comma": b'{"model": "m",}',
    "a comment": b'{/**/"model": "m"}',
    "NaN": b'{"model": "m", "messages": [], "n": NaN}',
    "Infinity": b'{"model": "m", "messages": [], "n": -Infinity}',
    "a number out of range": b'{"temperature": 1e999}',
    "an integer of 5,000 digits": b'{"n": ' + b"9" * 5000 + b"}",
    "a leading zero": b'{"n": 01}',
    "the same key twice": b'{"model": "a", "model": "b", "messages": []}',
    "the same key twice, spelled differently": b'{"model": "a", "mod\\u0065l": "b", "messages": []}',
    "the same key twice, deep inside": b'{"metadata": {"a": [{"b": 1, "b": 1}]}}',
    "invalid UTF-8": b'{"model": "\xff"}',
    "overlong UTF-8": b'{"model": "\xc0\xaf"}',
    "UTF-16": '{"model": "m"}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + body(),
    "a lone surrogate": b'{"model": "\\ud800"}',
    "a raw control character": b'{"model": "a\nb"}',
    "65 levels": b'{"a":' + b"[" * 64 + b"]" * 64 + b"}",
    "100,000 levels": b"[" * 100_000,
    "2,000 levels, closed": b'{"a":' + b"[" * 2000 + b"]" * 2000 + b"}",
}


SLIPS = {
    b"{'model': 1}": "(byte 1). JSON has double quotation marks around names and texts.",
    b"{model: 1}": "(byte 1). JSON has double quotation marks around names and texts.",
    '{"model": \u201cm\u201d}'.encode(): "(byte 10). JSON has double quotation marks around names and texts, none that are curved.",
    rb"{\"model\": 1}": "without a backslash in front: look at what the shell makes of yours.",
    '{\n  "model": "\u00e9",\n  "n": True}'.encode(): "(byte 26; line 3, column 8). JSON writes true, false and null, in small letters.",
    b'{"model": "a\nb"}': "(byte 12; line 1, column 13). A line break within a text is written as a backslash and an n.",
    b'{"model": "a\tb"}': "(byte 12). A tab within a text is written as a backslash and a t.",
    b'{"n": NaN}': "(byte 6). JSON has no such number.",
    b'{"model": "m", // mine\n "n": 1}': "(byte 15; line 1, column 16). JSON has no comments.",
    b'{"model": "m"': "truncated: it ends at byte 13, with something still open.",
    b'{"model": "m",\n}': "trailing comma in object (byte 15; line 2, column 1).",
}


@pytest.mark.parametrize(("bad", "told"), SLIPS.items(), ids=repr)
def test_a_slip_in_json_is_told_with_its_place_and_what_would_be_right(bad: bytes, told: str) -> None:
    """[issue 13] Most bodies that are no JSON are written by hand: the decoder said `invalid character (byte 65)`, and nothing else."""
    assert refusal(bad).message.endswith(told)


@pytest.mark.parametrize("bad", [pytest.param(bad, id=name) for name, bad in NOT_JSON.items()])
def test_what_is_not_strict_json_is_refused(bad: bytes) -> None:
    """[J1][J2][J3][J4][J5] One code, status 400, and never an exception of another kind."""
    error = refusal(bad)
    assert (error.status, error.code) == (400, "json_parse_error")


DEEP = b'{"a":' + b"[" * 64 + b"]" * 64 + b"}"
#: A body -> what its refusal says, and which member it names.
PLACES: dict[str, tuple[bytes, tuple[str, ...], str | None]] = {
    "the same key twice": (b'{"model": "a", "model": "b"}', ("'model'", "outermost"), "model"),
    "the same key twice, inside": (
        b'{"metadata": {"a": [{}, {"b": 1, "c": {}, "b": 1}]}}',
        ("'b'", "'metadata.a[1]'"),
        "metadata.a[1].b",
    ),
    "a long key twice": (b'{"%b": 1, "%b": 2}' % ((b"k" * 5_000,) * 2), (f"'{'k' * 64}'",), "k" * 64),
    "a number out of range": (b'{"model": "1e999", "temperature": 1e999}', ("byte 34", "1.79e308"), None),
    "a whole number out of range": (b'{"n": ' + b"9" * 5_000 + b"}", ("byte 6",), None),
    "65 levels": (DEEP, ("64 levels", "byte 68"), None),
    "65 levels behind brackets in a text": (b'{"x":"[[\\"[[",' + DEEP[1:], ("64 levels", "byte 81"), None),
    "invalid UTF-8": (b'{"model": "ab\xff"}', ("UTF-8", "byte 13"), None),
    "a byte order mark": (b"\xef\xbb\xbf" + body(), ("byte order mark", "without one"), None),
    **{f"UTF-{bits}": ('{"model": "m"}'.encode(f"utf-{bits}"), (f"UTF-{bits[:2]}", "Send it as UTF-8"), None) for bits in ("16", "32")},
    **{
        f"UTF-{bits}, {order}": ('{"model": "m"}'.encode(f"utf-{bits}-{order}"), (f"UTF-{bits}", "Send it as UTF-8"), None)
        for bits in ("16", "32")
        for order in ("le", "be")
    },
    "packed": (gzip.compress(b"{}"), ("gzip", "Content-Encoding"), None),
    "half of a pair": (rb'{"a": "\ud83d\ude00", "b": "\\\ud83d!"}', ("surrogate pair", "byte 30"), None),
    "a second half": (rb'{"a": "\ud83d\ude00\ude00"}', ("surrogate pair", "byte 19"), None),
}


@pytest.mark.parametrize("bad", PLACES)
def test_what_is_wrong_in_a_body_is_told_with_its_place_and_nothing_else_of_it(bad: str) -> None:
    """[fault S24] Which key, or which byte of the body, and what would be right."""
    data, words, param = PLACES[bad]
    error = refusal(data)
    assert (error.status, error.code, error.param) == (400, "json_parse_error", param)
    assert all(word in error.message for word in words), error.message
    assert len(error.message) < 500


def test_no_place_is_looked_for_without_end() -> None:
    """[a named limit] What stands far behind is told without one; a text that does not end costs no more than its length."""
    for far in (
        b'{"a": "' + b"x" * LOOKED_AT_BYTES_MAX + b'", "n": 1e999}',
        b'{"a": "' + b"x" * LOOKED_AT_BYTES_MAX + b'", "b":' + DEEP + b"}",
    ):
        assert "byte" not in refusal(far).message
    assert "64 levels" in refusal(b'{"a": ' + b"[" * 65 + b'"' + b"\\x" * 200_000).message


HALVES = [
    r"\ud83d",
    r"\uD83D ",
    r"\ud83d\n",
    r"\ud83d\u0041",
    r"\ud83d\ud83d\ude00",
    r"\udc00",
    r"\ude00\ud83d",
    r"\\\ud83d",
    r"\ud83d\\ude00",
]


@pytest.mark.parametrize("text", HALVES)
def test_half_a_surrogate_pair_is_called_that(text: str) -> None:
    """[fault W11] As a value, as a name, at the end of a text or within, first or second half; never `truncated`."""
    for wrong in (f'{{"model": "{text}"}}', f'{{"a{text}": 1}}', f'{{"messages": ["{text}"], "model": "m"}}'):
        error = refusal(wrong.encode())
        assert error.code == "json_parse_error"
        assert "surrogate pair" in error.message
        assert "truncated" not in error.message


@pytest.mark.parametrize("cut", [b'{"a":"\\ud83d', b'{"a":"\\ud83d\\', b'{"a":"\\ud83d\\ud', b'{"a":"\\\\ud83d x', b'{"a":"\\ud83d\\ude00'])
def test_a_body_that_was_cut_is_called_that(cut: bytes) -> None:
    """[fault W11] Where only the body's end is missing, it is not blamed on a pair."""
    assert "truncated" in refusal(cut).message


GOOD = {
    "64 levels": b'{"a":' + b"[" * 63 + b"]" * 63 + b"}",
    "brackets inside strings do not nest": json.dumps({"a": "[{" * 500}).encode(),
    "an escaped quote before brackets": json.dumps({"a": '\\"' + "[" * 500}).encode(),
    "the same key in different objects": b'{"a": {"b": 1}, "c": {"b": 1}}',
    "a key equal to a value": b'{"a": "a", "b": "a"}',
    "escaped backslashes at the end of strings": rb'{"a\\": "b\\\\", "c\\\"": ""}',
    "NUL and other controls, escaped": b'{"a": "\\u0000\\u001b\\u2028"}',
    "surrogate pairs": b'{"a": "\\ud83d\\ude00"}',
}


@pytest.mark.parametrize("good", [pytest.param(good, id=name) for name, good in GOOD.items()])
def test_what_only_looks_bad_passes(good: bytes) -> None:
    """[J6] The checks read JSON; they do not match text."""
    assert parse_object(good) == json.loads(good)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_every_object_that_python_can_write_is_read_back(value: Any) -> None:
    """No valid document is mistaken for one with a duplicate key, whatever quotes and backslashes it holds."""
    document = {"value": value}
    assert parse_object(json.dumps(document).encode()) == document
    assert parse_object(json.dumps(document, ensure_ascii=False).encode()) == document


@given(st.text(), st.integers(), st.integers())
def test_every_duplicate_key_is_found(key: str, first: int, second: int) -> None:
    """[J4] Whatever characters the key is made of."""
    name = json.dumps(key)
    with pytest.raises(ApiError):
        parse_object(f'{{"x": [{{{name}: {first % 1000}, {name}: {second % 1000}}}]}}'.encode())


def test_too_many_values_are_refused_before_they_are_parsed() -> None:
    """[J7] Parsing half a million objects would hold up every other stream."""
    parts = ",".join(['{"type":"text","text":"a"}'] * 400_000)
    error = refusal(f'{{"model":"m","messages":[{{"role":"user","content":[{parts}]}}]}}'.encode())
    assert (error.status, error.code) == (413, "request_too_large")


def test_a_large_prompt_passes() -> None:
    """[J7] The bounds count values, not text."""
    assert parse_chat(body(messages=[{"role": "user", "content": '{"a": [1, 2]},\n' * 200_000}])).model == "m"


def test_types_are_named_as_json_names_them() -> None:
    """[issue 13] Whoever writes JavaScript or Go was told of `float | null` and `str`, which are the words of our decoder."""
    assert refusal(body(temperature="hot")).message == "Invalid type for 'temperature': expected `number | null`, got `string`."
    assert refusal(body(model=1)).message == "Invalid type for 'model': expected `string`, got `integer`."
    assert refusal(body(stream="yes")).message == "Invalid type for 'stream': expected `boolean | null`, got `string`."


WRONG = [
    ({"model": 1}, "invalid_parameter_type", "model"),
    ({"model": None}, "invalid_parameter_type", "model"),
    ({"messages": None}, "invalid_parameter_type", "messages"),
    ({"model": ""}, "invalid_request", "model"),
    ({"model": "m" * 257}, "invalid_request", "model"),
    ({"messages": "Hi."}, "invalid_parameter_type", "messages"),
    ({"messages": []}, "invalid_request", "messages"),
    ({"messages": [{"content": "Hi."}]}, "missing_parameter", "messages[0].role"),
    ({"messages": [{"role": None, "content": "Hi."}]}, "invalid_parameter_type", "messages[0].role"),
    ({"messages": [{"role": "", "content": "Hi."}]}, "invalid_request", "messages[0].role"),
    ({"messages": [None]}, "invalid_parameter_type", "messages[0]"),
    ({"messages": [{"role": "user"}]}, "missing_parameter", "messages[0].content"),
    ({"messages": [{"role": "user", "content": None}]}, "missing_parameter", "messages[0].content"),
    ({"messages": [{"role": "user", "content": []}]}, "invalid_request", "messages[0].content"),
    ({"messages": [{"role": "user", "content": 5}]}, "invalid_parameter_type", "messages[0].content"),
    ({"messages": [*USER, {"role": "tool", "content": "4"}]}, "missing_parameter", "messages[1].tool_call_id"),
    ({"messages": [{"role": "user", "content": [{"text": "Hi."}]}]}, "missing_parameter", "messages[0].content[0].type"),
    ({"stream": "true"}, "invalid_parameter_type", "stream"),
    ({"stream": 1}, "invalid_parameter_type", "stream"),
    ({"stream_options": {"include_usage": True}}, "invalid_request", "stream_options"),
    ({"top_logprobs": 3}, "invalid_request", "top_logprobs"),
    ({"logprobs": True, "top_logprobs": 1.5}, "invalid_parameter_type", "top_logprobs"),
    ({"temperature": "hot"}, "invalid_parameter_type", "temperature"),
    ({"n": 0}, "invalid_request", "n"),
    ({"n": 129}, "invalid_request", "n"),
    ({"n": -1}, "invalid_request", "n"),
    ({"n": 1.5}, "invalid_parameter_type", "n"),
    ({"max_tokens": "5"}, "invalid_parameter_type", "max_tokens"),
    ({"stop": {}}, "invalid_parameter_type", "stop"),
    ({"max_tokens": 5, "max_completion_tokens": 5}, "invalid_request", "max_tokens"),
    ({"functions": [{}]}, "missing_parameter", "functions[0].name"),
    ({"tools": {}}, "invalid_parameter_type", "tools"),
]


@pytest.mark.parametrize(("fields", "code", "param"), WRONG)
def test_a_wrong_field_is_named(fields: dict[str, Any], code: str, param: str) -> None:
    """[J8][J9][J11][J12] Status 400, a code that says what kind of fault, and the parameter as OpenAI writes it."""
    error = refusal(body(**fields))
    assert (error.status, error.code, error.param) == (400, code, param)


@pytest.mark.parametrize("field", ["model", "messages"])
def test_the_two_required_fields_are_missed_by_name(field: str) -> None:
    """[J9] The message names the parameter, as clients look for it there."""
    fields = {"model": "m", "messages": USER}
    del fields[field]
    error = refusal(json.dumps(fields).encode())
    assert (error.code, error.param) == ("missing_parameter", field)
    assert field in error.message


NULLABLE = [
    "stream",
    "stream_options",
    "stop",
    "temperature",
    "top_p",
    "n",
    "max_tokens",
    "seed",
    "logit_bias",
    "user",
    "tools",
    "functions",
]


@pytest.mark.parametrize("field", NULLABLE)
def test_null_means_not_given(field: str) -> None:
    """[J12] Clients that serialise every field send nulls."""
    assert parse_chat(body(**{field: None})).stream is False


def test_the_bytes_of_unknown_fields_are_kept() -> None:
    """What we do not understand is carried as it came: numbers keep their spelling, objects their order."""
    request = parse_chat(b'{"model":"m","x_new":{"b":1.50,"a":[1E2]},"messages":[{"role":"user","content":"Hi."}]}')
    assert bytes(request.fields["x_new"]) == b'{"b":1.50,"a":[1E2]}'


def test_the_reference_pages_own_body_is_valid() -> None:
    """top_logprobs 123 and a function named <string> are the page's example; a model's limits are not the parser's."""
    functions = [{"name": "<string>", "description": "<string>", "parameters": {}}]
    request = parse_chat(body(stream=False, logprobs=True, top_logprobs=123, functions=functions, function_call="auto"))
    assert request.known.top_logprobs == 123


@given(st.binary(max_size=200))
def test_no_body_whatever_raises_anything_but_our_error(data: bytes) -> None:
    """[J1] A refusal is a refusal, never a crash."""
    for candidate in (data, b'{"model":"m","messages":' + data + b"}"):
        with contextlib.suppress(ApiError):
            parse_chat(candidate)


def test_an_image_url_as_text_becomes_an_object_in_a_part_of_that_type_only() -> None:
    """[fault W10] AIsa's schema has both forms, OpenAI's one; a part of another type is carried as the caller wrote it."""
    ours = {"type": "image_url", "image_url": "https://example.com/a.png"}
    theirs = {"type": "input_image", "image_url": "https://example.com/b.png", "detail": "low"}
    for parts, sent in (
        ([ours, theirs], [{"type": "image_url", "image_url": {"url": ours["image_url"]}}, theirs]),
        ([theirs], [theirs]),
    ):
        data = json.dumps({"model": "m", "messages": [{"role": "user", "content": parts}]}).encode()
        request = openai.to_upstream(parse_chat(data), Target("acme", "m", openai.NAME))
        assert json.loads(request.body)["messages"][0]["content"] == sent
