"""What a caller sees of a vendor's words: what helps him, whatever its shape, and nothing of the vendor's house. Faults B8, S11."""

from __future__ import annotations

import re
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aisa.providers.redaction import LOOKED_AT_CHARACTERS_MAX, MESSAGE_CHARACTERS_MAX, fit_to_show
from aisa.providers.report import read_refusal, read_report
from aisa.providers.shape import Target
from aisa.wire.vendor_error import error_in

TARGET = Target("acme", "org/model-7b:2411", "openai", secrets=("acme-secret", "acme-longer-secret", "api.acme.example"))
SECONDS_MAX = 0.5  # of the processor's time; a pattern that is not linear takes minutes

SHAPES: dict[str, object] = {
    "OpenAI's": {"error": {"message": "No pictures here.", "type": "x", "code": None}},
    "a text for the error": {"error": "No pictures here."},
    "errors in a list": {"errors": [{"message": "No pictures here."}]},
    "texts in a list": {"errors": ["No pictures here."]},
    "a detail": {"detail": "No pictures here."},
    "a detail's object": {"detail": {"message": "No pictures here.", "code": 3}},
    "a list of details": {"detail": [{"type": "value_error", "msg": "No pictures here.", "loc": []}]},
    "a message at the top": {"object": "error", "message": "No pictures here.", "type": "x"},
    "a message that is an object": {"object": "error", "message": {"detail": [{"msg": "No pictures here."}]}},
    "an array around it": [{"error": {"code": 400, "message": "No pictures here.", "status": "INVALID_ARGUMENT"}}],
    "an error in an error": {"error": {"error": {"message": "No pictures here."}}},
    "base_resp": {"base_resp": {"status_code": 2013, "status_msg": "No pictures here."}},
    "error_msg": {"error_code": 17, "error_msg": "No pictures here."},
    "AWS's": {"Error": {"Code": "ValidationException", "Message": "No pictures here."}},
    "a cause": {"cause": {"message": "No pictures here."}},
    "JSON in the message": {"error": {"message": 'Error code: 400 - {"error": {"message": "No pictures here."}}'}},
    "JSON in raw": {"error": {"message": "", "metadata": {"raw": '{"error":{"message":"No pictures here."}}'}}},
    "a bare text": "No pictures here.",
    "an event's text": 'event: error\ndata: {"error": {"message": "No pictures here."}}',
}


@pytest.mark.parametrize("body", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("kind", ["application/json", "text/plain", ""])
def test_the_words_are_found_in_every_shape(body: object, kind: str) -> None:
    """[fault B8] Whatever the content type says."""
    report = read_refusal(400, {"content-type": kind}, msgspec.json.encode(body), now=0.0)
    assert report.message.endswith("No pictures here.")


@pytest.mark.parametrize("kind", ["text/plain", "text/plain; charset=utf-8", "application/octet-stream", "application/json", ""])
def test_plain_text_is_read_as_it_is(kind: str) -> None:
    """[fault B8] A server of one's own often says no more than a sentence."""
    assert read_refusal(400, {"content-type": kind}, b" No pictures\xff here.\n", now=0.0).message == "No pictures\ufffd here."


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html", b"No pictures here."),
        ("text/plain", b"<html><body>No</body></html>"),
        ("", b"\n <!DOCTYPE html><p>No"),
        ("application/xml", b'<?xml version="1.0"?><Error>No</Error>'),
        ("application/json", b'{"error": {"message": "<html><h1>No</h1></html>"}}'),
        ("application/json", b'{"error": "Bad gateway <title>nginx</title>"}'),
    ],
)
def test_a_page_is_nothing_to_show(kind: str, body: bytes) -> None:
    """[fault B8] Neither as a body nor as a message."""
    assert read_refusal(400, {"content-type": kind}, body, now=0.0).message == ""


def test_where_in_the_request_something_is_wrong_is_told() -> None:
    """[fault B8] Lists of details name places; several are told one behind the other."""
    details = [{"loc": ["body", "top_p"], "msg": "Too low"}, {"loc": ["body", "messages", 0, "name"], "msg": "No text."}]
    report = read_report({"detail": details}, 422)
    assert (report.message, report.param) == ("body.top_p: Too low: body.messages.0.name: No text.", "top_p")


PRIVATE = {
    "a host with a port": "gpu-7.corp.internal:8000",
    "a short host with a port": "redis:6379",
    "a host of a cluster": "vllm-0.vllm.default.svc.cluster.local",
    "an internal name": "build.corp",
    "a machine of a cloud": "ip-10-1-2-3.ec2.internal",
    "IPv4": "10.1.2.3",
    "IPv4 with a port": "10.1.2.3:99",
    "IPv6 with a port": "[fd00::7]:8000",
    "IPv6": "2001:db8::1",
    "IPv6 with a zone": "fe80::1%eth0",
    "whole IPv6": "2001:0db8:0000:0000:0000:ff00:0042:8329",
    "localhost": "localhost:9000",
    "an address": "https://inner.acme.example/v1?key=1",
    "a database's address": "postgres://user:pw@db/x",
    "our vendor's host": "api.acme.example",
    "our key": "acme-secret",
    "mail": "ops@acme.example",
    "OpenAI's key": "sk-vendorsecret123456",
    "a project key": "sk-proj-AbCdEf_0123-45",
    "Anthropic's key": "sk-ant-api03-abcdefgh",
    "a masked key": "sk-ab****************yz",
    "Hugging Face's token": "hf_AbCdEf0123456789",
    "an AWS key": "AKIA1234567890ABCDEF",
    "a temporary AWS key": "ASIA1234567890ABCDEF",
    "GitHub's token": "ghp_abcdefghij0123456789",
    "GitHub's new token": "github_pat_11AAAAAA0_abcdef",
    "Google's key": "AIzaSyA-1234567890abc",
    "Google's token": "ya29.a0AfH6SMB-xyz",
    "Groq's key": "gsk_abcdefgh12345678",
    "xAI's key": "xai-abcdefgh12345678",
    "Slack's token": "xoxb-123456-abcdef",
    "GitLab's token": "glpat-abcdefgh12345",
    "NVIDIA's key": "nvapi-abcdefgh12345",
    "Replicate's token": "r8_abcdefgh12345",
    "a JWT": "eyJhbGciOiJIUzI1.eyJzdWIiOiIx.SflKxwRJSM",
    "a bearer": "Bearer abcdef123456",
    "a hexadecimal key": "0123456789abcdef0123456789abcdef",
    "a password": "password=hunter2222",
    "a file": "/srv/models/tiny/config.json",
    "a home": "~/models/tiny/config",
    "a file of Windows": "C:\\models\\tiny.bin",
    "a relative file": "engine/worker.py",
    "a socket": "/run/engine/worker.sock",
    "an ARN": "arn:aws:bedrock:us-east-1:123456789012:inference-profile/tiny",
    "a pod": "vllm-7d9f8b6c5-x2x4z",
    "a network card": "02:42:ac:11:00:02",
    "an Azure resource's host": "acme-llm-prod.openai.azure.com",
    "a storage account": "acme.blob.core.windows.net",
    "an app in a cloud": "acme-llm-x7-uc.a.run.app",
    "an organization": "org-AbCdEf1234567890GhIjKlMn",
    "a project of OpenAI's": "proj_AbCdEf1234567890GhIj",
    "a workspace": "wrkspc_01AbCdEf1234567890",
    "a machine of AWS": "i-0abcd1234ef567890",
    "a network of AWS": "vpc-0a1b2c3d",
    "a secret of AWS": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKE9",
    "base64": "dmVyeSBzZWNyZXQgdGhpbmcgMTIzNA==",
    "our key in base64": "YWNtZS1zZWNyZXQ=",
    "our key in base64, behind a name": "dXNlcjphY21lLXNlY3JldA==",
    "our key in capitals": "ACME-LONGER-SECRET",
    "our key without its middle": "acm...et",
    "our key behind asterisks": "acm****et",
    "anybody's key behind asterisks": "abcd********wxyz",
    "a secret with a prefix": "client_secret: 3Q8~abcdEFGH1234",
    "a secret in JSON in JSON": r"\"x-api-key\": \"abcd1234efgh5678\"",
    "a signature": "sig=abc123%2Fdef456%3D",
    "a session": "session=abcd1234efgh5678",
}


@pytest.mark.parametrize("private", PRIVATE.values(), ids=PRIVATE)
@pytest.mark.parametrize(
    "around", ["refused by {} today", "refused by {}.", "({})", "'{}'", "{}, then", "\u201c{}\u201d", "at={}", "dial {}: no", "by @{}:"]
)
def test_the_vendors_house_is_not_shown(private: str, around: str) -> None:
    """[fault S11] Hosts, addresses, credentials and files, wherever in a sentence they stand."""
    assert private not in fit_to_show(around.format(private), TARGET)


#: What is not shown of these stands between the braces.
IN_WORDS = {
    "AWS's account": "account {123456789012} has no access",
    "AWS's account id": "AWS account id {123456789012}",
    "Azure's subscription": "subscription {6c3b1b1a-1f2e-4d5c-9a8b-0c1d2e3f4a5b} is disabled",
    "Azure's tenant": "tenant '{6c3b1b1a-1f2e-4d5c-9a8b-0c1d2e3f4a5b}' not found",
    "Google's project": "Permission denied on resource project {my-llm-123456}.",
    "Google's project in a path": "projects/{my-llm}/locations/us-central1 was not found",
    "Google's consumer": "for consumer 'project_number:{123456789012}'",
    "a host by its word": "upstream host {router.acme-prod.net} did not answer",
    "a host that was looked up": "lookup {router.acme.io}: no such host",
    "a database": "host={db.acme.io} user={alice} dbname={llm}",
    "a trace of .NET": "x\n   at {Acme.Llm.Call(String s)} in C:\\src\\Llm.cs:line 12",
    "a trace of .NET in one line": "x at {Acme.Llm.Call(String s)} in Llm.cs",
}


@pytest.mark.parametrize("words", IN_WORDS.values(), ids=IN_WORDS)
def test_accounts_and_machines_are_not_shown_behind_the_word_for_them(words: str) -> None:
    """[fault S11] A number or a name is private by what stands before it."""
    shown = fit_to_show(words.replace("{", "").replace("}", ""), TARGET)
    assert [private for private in re.findall("{(.*?)}", words) if private in shown] == []
    assert shown.startswith(words.partition("{")[0][:8].split("\n")[0].split(" at ")[0])


def test_a_key_that_is_a_common_word_does_not_hide_that_word() -> None:
    """Model servers of one's own are given keys such as `EMPTY`; what is not written as the key is says something to the caller."""
    target = Target("own", "tiny", "openai", secrets=("EMPTY", "dummy"))
    assert fit_to_show("messages: must not be empty", target) == "messages: must not be empty"
    assert fit_to_show("no such key: EMPTY", target) == "no such key: [redacted]"


WHOLE_KEYS = {
    "OpenAI's": "sk-proj-AbCdEfGh1234-IjKlMnOp5678_QrStUvWx",
    "Anthropic's": "sk-ant-api03-abcdefgh1234_ijklmnop5678-AA",
    "Groq's": "gsk_abcdefgh12345678ABCDEFGH",
    "Google's": "AIzaSyA-1234567890abcdefghijklmnopqrst",
    "AWS's": "AKIA1234567890ABCDEF",
    "a JWT": "eyJhbGciOiJIUzI1NiJ9abcd.eyJzdWIiOiIxMjM0NTY3ODkwIn0.SflKxwRJSM",
}


@pytest.mark.parametrize("key", WHOLE_KEYS.values(), ids=WHOLE_KEYS)
@pytest.mark.parametrize(
    "around", ["key{}", "OPENAI_API_KEY_{}", "%22{}%22", "said\\n{}", "Bearer%20{}", "\u5bc6\u94a5{}\u65e0\u6548", "7{}!"]
)
def test_a_key_is_not_shown_where_letters_stand_right_before_it_either(key: str, around: str) -> None:
    """[fault S11] As in what was escaped, or written without blanks: no eight characters of it in a row are left."""
    shown = fit_to_show(f"Incorrect: {around.format(key)} of yours", TARGET)
    assert [at for at in range(len(key) - 8) if key[at : at + 8] in shown] == []
    assert shown.endswith("of yours")


TRACES = [
    'Traceback (most recent call last):\n  File "/app/x.py", line 3, in f\nValueError: secret',
    'File "app.py", line 3, secret',
    'Traceback: File "app.py" secret',
    "Traceback:\n  secret",
    "\n    at handle (/app/index.js:10:5)\n    at secret",
    "\n\tat com.acme.Engine.run(Engine.java:10)\n\tat secret",
    "goroutine 1 [running]:\nmain.secret()",
    "thread 'main' panicked at src/main.rs:3:5: secret",
    "stack backtrace:\n 0: secret",
    "\n#0 /app/index.php(3): secret",
    "engine/core.py:123 secret",
    "at Acme.Engine.<Run>b__1(Request request) in C:\\Acme\\Engine.cs:line 12 secret",
    "at Program.<Main>$(String[] args) in /app/Program.cs:line 3 secret",
]


@pytest.mark.parametrize("trace", TRACES)
def test_a_trace_is_cut_off_where_it_begins(trace: str) -> None:
    """[fault S11] The sentence before it stays."""
    shown = fit_to_show(f"It failed. {trace}", TARGET)
    assert shown.startswith("It failed.")
    assert "secret" not in shown


HARMLESS = [
    "prompt is too long: 9000 tokens > 8192 maximum",
    "messages.5.content.1.image.source: image exceeds 5 MB maximum: 6000000 bytes > 5242880 bytes",
    "Invalid type for 'tools[0].function.name': expected a string",
    "at /messages/0/content: is too long",
    "Call /v1/models to see the models.",
    "org/model-7b:2411 has no tools",
    "models/m-9 is not found for API version v1beta",
    "image/png and text/plain, and/or 1/2 of it",
    "Limit:6000, requested: 9000, tokens:12345",
    "The window of 3.5 is from 12:30:45 to 13:00",
    "std::vector failed",
    "see docs.example.com for help",
    "<400> InvalidParameter: Range of input length should be [1, 8192]",
    "the task-force's risk-assessment",
    "task-20261129-0123456789abcdef and disk_2026-11-29-of-the-risk-desk-1 are gone",
    "gpt-4o:2024-08-06 takes no audio",
    "max_tokens: 12345678 is more than 4096",
    "Your account has no access to 2 of the 3 tools of this project, see the organization's settings",
    "The server response.error.code and node.js are fine, as is node 18.2.0",
    "Look at (https) or **bold** words in messages.0.content",
    "user: 'user-1234' is no name",
    "Unexpected value at index(2) in messages, and a number at most(4) in others",
    "Unexpected token: identifier1 at line 2, expected token: 'ENDOFFILE1'",
]


@pytest.mark.parametrize("words", HARMLESS)
def test_what_helps_the_caller_is_left_alone(words: str) -> None:
    """Fields, limits, models and the API's own paths are no secrets."""
    assert fit_to_show(words, TARGET) == words


@given(st.text(max_size=3_000))
def test_what_is_shown_is_one_short_line(words: str) -> None:
    """No vendor can write into a caller's terminal, or fill it."""
    shown = fit_to_show(words, TARGET)
    assert len(shown) <= MESSAGE_CHARACTERS_MAX + 1
    assert all(character.isprintable() for character in shown)


HOSTILE = [
    *(
        "a.",
        ":",
        "a:",
        "/a",
        "a-",
        "sk-",
        "gsk_a",
        "xsk-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.",
        "eyJaaaaaaa.",
        " ",
        "\\a",
        "a@",
        "-----BEGIN A",
        "\n at a",
        "a.a/",
        'file "',
        "1.",
        "a",
        "token=",
        "api-key=",
        "projects/",
        "account 1",
        "host=",
        "host a.",
        "a*",
        "***-",
        "acm",
        "acm-...",
        "a/1+",
        " at a(",
        "org-1",
    ),
    *(
        "[::",
        "<",
        "api key ",
        "{",
        '{"error":',
        '"',
        "'a ",
        "https://",
        "\u2028",
        "retry in 1s ",
        "limit 1 ",
        "input_value=",
        "A" * 31 + "-",
    ),
]


@pytest.mark.parametrize("part", HOSTILE)
def test_words_made_to_take_long_are_read_no_further_than_a_few_pages(part: str) -> None:
    """[fault S11] Sixteen times as many characters as are looked at, in the worst form, are judged in well under a second."""
    words = part * (16 * LOOKED_AT_CHARACTERS_MAX // len(part))
    began = time.process_time()
    report = read_refusal(400, {}, words.encode(), now=0.0)
    fit_to_show(report.message, TARGET)
    assert time.process_time() - began < SECONDS_MAX


@pytest.mark.parametrize(
    "value",
    [
        *(None, "", [], {}, 0, False, {"code": 0}, {"code": "0", "message": "ok"}),
        *({"code": None, "message": None}, {"code": "", "message": ""}, [{"code": 0}]),
    ],
)
def test_what_has_no_code_is_no_error(value: object) -> None:
    """[fault B5] Vendors write success in the error's place."""
    assert error_in({"choices": [{}], "error": value, "errors": value}) is None


@pytest.mark.parametrize("code", [1008, "1008", -1, 2.5, "failed"])
def test_a_code_that_is_not_zero_is_an_error_in_every_place(code: object) -> None:
    """[fault B5] At the top, in a list, in a choice, or in `base_resp`."""
    error = {"code": code, "message": "No."}
    places: list[dict[str, object]] = [{"error": error}, {"errors": [error]}, {"choices": [{"error": error}]}, {"x_groq": {"error": error}}]
    assert all(error_in({"choices": [], **place}) for place in places)
    assert error_in({"choices": [{}], "base_resp": {"status_code": code}})


def test_words_without_a_code_are_an_error_and_so_is_what_stands_beside_it() -> None:
    """[fault B5] An empty code is none; Cerebras has the status next to the error, which may have one of its own."""
    assert error_in({"choices": [{}], "error": {"code": "", "message": "Busy."}}) == {"code": "", "message": "Busy."}
    assert error_in({"error": {"message": "Busy."}, "status_code": 503}) == {"status_code": 503, "message": "Busy."}
    assert error_in({"error": {"status_code": 429}, "status_code": 200}) == {"status_code": 429}
    assert error_in({"choices": [{}], "error": None, "status_code": 200}) is None
