"""Refusals in every shape that vendors give them, read into a Report. Does not judge them.

OpenAI's `error` object, a text in its place, `errors` and `detail` lists, `message` at the top, `base_resp`, an array around it all, one
error inside another, plain text. HTML is nothing to read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from aisa.providers.redaction import LOOKED_AT_CHARACTERS_MAX, MARKUP
from aisa.providers.retry_after import length, reset_wait, told_wait, wait_in_words
from aisa.wire.trees import Tree, is_list, is_tree

DEPTH_MAX = 8  # of objects inside objects; a wrapped error that wraps another has six
ITEMS_MAX = 5  # of a list of errors; the first says what the others repeat
CODES_MAX = 24  # of one refusal; a wrapped one has ten
CODE_CHARACTERS_MAX = 100  # longer codes are sentences

#: Members that hold a code, and those that hold a sentence, the best first.
CODES = ("code", "type", "status", "reason", "error_code", "status_code", "error_type", "__type", "Code")
SENTENCES = (
    "message", "msg", "detail", "error_msg", "error_message", "status_msg", "Message", "error_description", "description", "faultstring",
    "title", "reason",
)  # fmt: skip
#: Members that hold another error.
INNER = (
    "error",
    "errors",
    "detail",
    "details",
    "base_resp",
    "innererror",
    "inner_error",
    "metadata",
    "raw",
    "message",
    "Error",
    "cause",
    "body",
    "fault",
)
#: Members that hold a wait in seconds, and in milliseconds.
WAITS = ("retry_after", "retryAfter", "retry_after_seconds", "retryAfterSeconds", "estimated_time")
WAITS_MS = ("retry_after_ms", "retryAfterMs")
MADE = "failed_generation"  # a member that holds what the model made; that it is there says that this was refused
STATUS = re.compile(r"[45]\d\d", re.ASCII)
NO_CODES = ("error", "none", "null")  # they say that it failed, which is known
#: An error inside a text, as gateways write those of others: alone, or after words that announce it. JSON elsewhere in a text is quoted.
EMBEDDED_JSON = re.compile(r"(?:^|\b(?:error|exception|response|status|code|body|data)\b[^{\n]{0,60})(\{\s{0,10}\")", re.IGNORECASE)
#: A sentence of somebody else inside a vendor's: more than one word between quotation marks, unless it is an error inside the error.
QUOTED = re.compile(
    "".join(rf"(?<!{name}['\"]:{blank})" for name in ("message", "error", "detail", "msg") for blank in ("", " "))
    + r"(?<!\w)([\"'`“])(?=[^\"'`”\n]{0,400} )[^\"'`”\n]{1,400}[\"'`”](?!\w)"
)
#: A code where a sentence begins or after what announces it: words with underscores, or the name of an exception.
HEAD_CODE = re.compile(r"(?:^|: |\[)([A-Za-z]{2,30}(?:_[A-Za-z]{1,30}){1,6}|[A-Z][A-Za-z]{6,40}(?:Error|Exception))(?=[:\])\s,]|$)")
INPUT_VALUE = re.compile(r"\binput(?:_value)?=[^\n]{0,400}?(?=, input_type=|\]|\n|$)")
ADDRESS = re.compile(r"\b[a-z]{2,10}://\S{1,400}")


class Report(NamedTuple):
    """A vendor's refusal in the terms that all vendors share.

    `status` is HTTP's; inside an answer it is what the codes say, 0 if they say nothing. `codes` are the vendor's codes, types and
    reasons as it wrote them, the first the most telling. `wait` is the time after which to try again, as told for this refusal, `reset`
    as limits in the headers have it, in true seconds; `used_up`: that limit has nothing remaining.
    """

    status: int
    message: str = ""
    codes: tuple[str, ...] = ()
    param: str | None = None
    wait: float | None = None
    reset: float | None = None
    used_up: bool = False

    @property
    def all_codes(self) -> tuple[str, ...]:
        """The codes, those that stand at the head of the words, as in `model_not_found: no such model`, and the field `model` as one."""
        field = ("param_model",) if self.param == "model" else ()
        return (*self.codes, *HEAD_CODE.findall(self.message[:CODE_CHARACTERS_MAX]), *field)

    @property
    def words(self) -> str:
        """The vendor's own words in lower case, to be judged: without addresses and without what it quotes from others."""
        text = INPUT_VALUE.sub("input=…", self.message[:LOOKED_AT_CHARACTERS_MAX].lower())
        return QUOTED.sub('"…"', ADDRESS.sub("…", text))


BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_refusal(status: int, headers: Mapping[str, str], body: bytes, *, now: float) -> Report:
    """Read a refusal with a status of its own. `now` is UNIX seconds."""
    try:
        value: object = msgspec.json.decode(body.removeprefix(BYTE_ORDER_MARK))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = body[:LOOKED_AT_CHARACTERS_MAX].decode("utf-8", "replace") if "html" not in headers.get("content-type", "") else None
    report = read_report(value, status)
    kind = headers.get("x-amzn-errortype", "").partition(":")[0]
    reset, used_up = reset_wait(headers, now)
    return report._replace(
        codes=(*report.codes, kind) if kind else report.codes,
        wait=first(told_wait(headers, now), report.wait),
        reset=reset,
        used_up=used_up,
    )


def read_report(value: object, status: int = 0) -> Report:
    """Read an error value: an object, a list of them, a bare string, or nothing of use. Status 0 for one inside an answer."""
    codes: list[str] = []
    sentences: list[str] = []
    param: str | None = None
    wait: float | None = None
    for tree in nested(value):
        codes += [code for name in CODES if (code := code_of(tree.get(name)))]
        if "base_resp" in tree and is_tree(tree["base_resp"]):
            codes.append(f"base_resp {tree['base_resp'].get('status_code')}")
        param = param if param is not None else param_of(tree)
        wait = first(
            wait,
            length(tree.get("retryDelay")),
            length(tree.get("retry_delay")),
            *[seconds(tree.get(name)) for name in WAITS],
            *[told / 1_000 for name in WAITS_MS if (told := seconds(tree.get(name))) is not None],
        )
        codes += [MADE for name in tree if name == MADE]
        sentence = sentence_of(tree)
        if sentence and sentence not in sentences and len(sentences) < ITEMS_MAX:
            sentences.append(sentence)
    message = joined(sentences) if sentences else value.strip() if isinstance(value, str) else ""
    message = "" if MARKUP.search(message[:LOOKED_AT_CHARACTERS_MAX]) else message
    if not status:
        status = next((int(code) for code in codes if STATUS.fullmatch(code)), 0)
    return Report(status, message, tuple(dict.fromkeys(codes))[:CODES_MAX], param, first(wait, wait_in_words(message)))


def joined(sentences: list[str]) -> str:
    """Put what several objects say one behind the other."""
    return " ".join([sentence if sentence[-1] in ".:;!?" else f"{sentence}:" for sentence in sentences[:-1]] + sentences[-1:])


def nested(value: object, depth: int = 0) -> Iterator[Tree]:
    """Yield the objects of an error, from the outside in."""
    if isinstance(value, str):
        inner = embedded(value)
        if inner is not None and depth < DEPTH_MAX:
            yield from nested(inner[1], depth + 1)
    elif is_list(value):
        for item in value[:ITEMS_MAX]:
            yield from nested({"message": item} if isinstance(item, str) else item, depth)
    elif is_tree(value) and depth < DEPTH_MAX:
        yield value
        for name in INNER:
            if name in value:
                yield from nested(value[name], depth + 1)
        if is_tree(fields := value.get("errors")):  # what is wrong, by the field that it is wrong with (ASP.NET, Laravel)
            for name, wrong in list(fields.items())[:ITEMS_MAX]:
                yield from nested([{"loc": [name], "msg": each} for each in wrong[:1]] if is_list(wrong) else [], depth + 1)


def embedded(text: str) -> tuple[str, Tree] | None:
    """Return the words before the JSON error that a text holds, and the error; None if it holds none."""
    found = EMBEDDED_JSON.search(text[:LOOKED_AT_CHARACTERS_MAX])
    if not found:
        return None
    inside = text[found.start(1) : found.start(1) + LOOKED_AT_CHARACTERS_MAX]
    try:
        value: object = msgspec.json.decode(inside[: inside.rfind("}") + 1])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return (text[: found.start(1)].strip(" -:"), value) if is_tree(value) and ("error" in value or "message" in value) else None


def code_of(value: object) -> str:
    """Return a code as text; nothing of what is none."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return text.strip() if len(text) <= CODE_CHARACTERS_MAX and text.lower() not in NO_CODES else ""


def sentence_of(tree: Tree) -> str:
    """Return what an object says in words: where, if it names a place in the request, and what. Nothing of what an inner error says."""
    for name in (*SENTENCES, "error"):
        said = tree.get(name)
        if isinstance(said, str) and said.strip() and (name != "reason" or " " in said.strip()):  # one word there is a code
            inner = embedded(said)
            place = place_of(tree.get("loc"))
            said = inner[0] if inner else said.strip()
            return f"{place}: {said}" if place else said
    return ""


def param_of(tree: Tree) -> str | None:
    """Return the field of the request that an object names."""
    param = tree.get("param")
    if isinstance(param, str) and param.strip():
        return param
    return place_of(tree.get("loc")).removeprefix("body.") or None


def place_of(loc: object) -> str:
    """Return a place in the request as Python's web frameworks write it, `["body", "stream_options"]`, with dots."""
    return ".".join(str(step) for step in loc[:10]) if is_list(loc) else ""


def seconds(value: object) -> float | None:
    """Return a wait in a member that holds seconds."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9 else length(value)


def first(*values: float | None) -> float | None:
    """Return the first that is known."""
    return next((value for value in values if value is not None), None)
