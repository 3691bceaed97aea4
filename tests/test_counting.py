"""How tokens are counted where no vendor reports them: a stream's text piece by piece, and what a request holds."""

from __future__ import annotations

import base64
import json
import random
import struct
from collections.abc import Callable
from typing import Any

import pytest

from aisa.config.schema import Config, Model, Prices, Vendor
from aisa.ledger.wallets import Wallet
from aisa.providers.counting import Counting, NoTokenizer, tokenizers_of
from aisa.routing import Routes
from aisa.testing.clock import run_virtual
from aisa.tokenizers.loading import load
from aisa.usage import COUNTED, ESTIMATED, IMPLAUSIBLE
from aisa.wire.chat import parse_chat
from aisa.wire.content import PAGE_TOKENS, PICTURE_TOKENS, Content, Picture, input_tokens, picture_of, sound_seconds
from aisa.wire.request_content import beginning, content_of
from aisa.wire.token_meter import PIECES, SIZE, Rate, TokenMeter
from aisa.wire.tokenized_text import TRIED_BYTES, Tokenizer
from one_call import FOR_EVER, IN, OUT, made, row_of
from rig import DONE, HEAD, MemoryClient, Rig, Script, ScriptedUpstream, Stall, body, chunk, document, event, text
from test_usage_report import told

VENDORS = {
    "plain": Vendor(base_url="http://127.0.0.1:9/v1"),
    "sized": Vendor(base_url="http://127.0.0.1:9/v1", deltas="text"),
    "exact": Vendor(base_url="http://127.0.0.1:9/v1", deltas="text", tokenizer="pairs"),
}
ENGLISH = "The quick brown fox jumps over the lazy dog while seven wizards watch from the old stone bridge, quietly. "


def pieces_of(words: str, size: int) -> list[str]:
    """Cut a text into pieces of so many characters."""
    return [words[place : place + size] for place in range(0, len(words), size)]


def metered(pieces: list[str], rate: Rate = PIECES, count: Callable[[str], int] | None = None) -> TokenMeter:
    """Count pieces."""
    meter = TokenMeter(rate, None if count is None else Tokenizer("t", count))
    assert sum([meter.add_text(piece) for piece in pieces]) == meter.tokens
    return meter


# The text of a stream


@pytest.mark.parametrize("size", [2, 3, 4, 5, 8])
def test_a_piece_is_a_token_while_pieces_are_as_long_as_tokens(size: int) -> None:
    """[fault M8] Of 2 to 8 bytes on average, as OpenAI and most servers send them."""
    pieces = pieces_of(ENGLISH * 4, size)
    assert metered(pieces).tokens == len(pieces)


@pytest.mark.parametrize("size", [1, 12, 94, 424])
@pytest.mark.parametrize("words", [ENGLISH * 4, "日本語のテキストです。" * 20, '{"key": [1, 2, 3]}' * 20])
def test_else_four_bytes_of_the_whole_text_are_a_token(size: int, words: str) -> None:
    """[fault M7, fault M8] Single characters and pieces of many tokens cost by the text, rounded up once."""
    pieces = pieces_of(words, size)
    sizes = len(words.encode())
    in_range = 2 * len(pieces) <= sizes <= 8 * len(pieces)
    assert metered(pieces).tokens == (len(pieces) if in_range else -(-sizes // 4))


def test_text_of_any_length_is_counted_as_a_whole() -> None:
    """[fault M8] A vendor with `deltas: text` costs its text by size, however it is cut, not each piece rounded up."""
    chance = random.Random(8)
    words = ENGLISH * 14
    for _ in range(20):
        cuts = sorted(chance.sample(range(1, len(words)), 350))
        pieces = [words[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(words)], strict=True)]
        assert metered(pieces, SIZE).tokens == -(-len(words) // 4)


def test_a_count_never_falls() -> None:
    """[fault M7, fault M8] Whatever the pieces, with a tokenizer whose count falls at times and without one."""
    chance = random.Random(7)
    for seed in range(300):
        meter = TokenMeter(PIECES if seed % 3 else SIZE, Tokenizer("t", lambda text: len(text.split("e"))) if seed % 2 else None)
        for _ in range(chance.randrange(1, 60)):
            before = meter.tokens
            more = meter.add_text(chance.choice(["e", "a", "日", "🙂", ENGLISH, "word ", ENGLISH * 60]))
            assert more == meter.tokens - before >= 0


def test_a_tokenizer_sees_the_whole_text_a_few_kibibytes_at_a_time() -> None:
    """[fault M8] Never one piece alone; together all of it; and what waits is bounded."""
    seen: list[str] = []

    def count(words: str) -> int:
        seen.append(words)
        return len(words.split())

    words = ENGLISH * 200
    meter = metered(pieces_of(words, 7), count=count)
    assert meter.exact() == len(words.split())
    assert "".join(seen) == words
    assert all(TRIED_BYTES // 2 <= len(piece) <= TRIED_BYTES + 7 for piece in seen[:-1])


def test_each_vendor_is_counted_as_it_is_configured() -> None:
    """A tokenizer where the operator gave one; else by pieces and size."""
    found = tokenizers_of(Config(vendors=VENDORS), load)
    assert set(found) == {"pairs"}
    assert found["pairs"].count("abab c") == 4


def test_a_tokenizer_that_is_not_there_is_an_error_with_its_remedy() -> None:
    """Not a silent estimate."""
    with pytest.raises(NoTokenizer, match=r"'no-such-encoding' cannot be loaded: Unknown encoding .* TIKTOKEN_CACHE_DIR"):
        load("no-such-encoding")


@pytest.mark.parametrize(("vendor", "tokens", "source"), [("plain", 3, COUNTED), ("sized", 6, ESTIMATED), ("exact", 16, COUNTED)])
def test_a_cut_stream_is_billed_as_its_vendor_is_counted(vendor: str, tokens: int, source: str) -> None:
    """[M15] Three deltas of 24 bytes in all: three tokens by pieces, six by size, sixteen by the tokenizer over all of them."""
    config = Config(vendors=VENDORS, models={"fast": Model(to=(f"{vendor}/m",), prices=Prices(input=1, output=2))})
    rig = Rig(ScriptedUpstream())
    rig.dependencies.routes = Routes(config, counting=Counting(tokenizers_of(config, load)))
    rig.dependencies.upstreams = {vendor: ScriptedUpstream(Script([*text("ababab c", "ababab d", 'ababa" e'), Stall(float("inf"))]))}
    client = MemoryClient(leaves_after=4)
    run_virtual(rig.call(client, body(stream=True)))
    [row] = rig.rows
    assert (row.billed.output_tokens, row.billed.source) == (tokens, source)


def left(*deltas: dict[str, Any]) -> int:
    """Have a client leave with the last of these deltas; return the output tokens that it is billed for."""
    events = [*text(), *map(chunk, deltas)]
    return row_of(made([*events, FOR_EVER], MemoryClient(leaves_after=len(events)))[1]).billed.output_tokens


def test_a_leaver_pays_for_what_the_deltas_held() -> None:
    """[fault M7] Sixteen deltas of 94 bytes are 376 tokens; a tool call in one delta is its name and arguments, a refusal its text."""
    assert left(*[{"content": "x" * 94}] * 16) == 376
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": "a" * 940}}
    assert left({"tool_calls": [call]}) == -(-(940 + 7) // 4)
    assert left({"function_call": {"name": "look_up", "arguments": "a" * 940}}) == -(-(940 + 7) // 4)
    assert left({"refusal": "r" * 400}) == left({"reasoning_content": "r" * 400}) == 100


def test_holds_follow_the_same_count() -> None:
    """[fault M7] A wallet for 700 tokens of output is empty after as many, however few deltas they come in."""
    wallet = Wallet("default", IN + 700 * OUT)
    row = row_of(made(text(*["x" * 100] * 60), wallet=wallet)[1])
    assert (row.outcome, row.billed.output_tokens) == ("cut", 500)
    assert wallet.balance is not None
    assert wallet.balance >= 0


def test_choices_are_counted_each_for_itself() -> None:
    """[fault M7] One choice of large pieces does not turn the tokens of another into bytes."""
    events = [*text(), *[chunk({"content": "x" * 94}, index=1), chunk({"content": "word"})] * 10]
    row = row_of(made([*events, FOR_EVER], MemoryClient(leaves_after=len(events) + 1), n=2)[1])
    assert row.billed.output_tokens == 10 + 235


def test_a_document_without_a_report_costs_its_text() -> None:
    """[fault M14] Text, thinking, refusal, names and arguments of each choice; none of the JSON around them."""
    message: dict[str, Any] = {"role": "assistant", "content": "Yes.", "refusal": None}
    calls = [{"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": '{"a": 1}'}}]
    for more, tokens in (({}, 1), ({"reasoning_content": "x" * 40}, 11), ({"tool_calls": calls}, 5), ({"content": "Yes. " * 10}, 13)):
        tree = {**json.loads(document()), "usage": None}
        tree["choices"][0]["message"] = {**message, **more}
        assert row_of(made([json.dumps(tree).encode()], stream=False)[1]).billed.output_tokens == tokens


# What cannot be


IMPOSSIBLE: dict[str, dict[str, int]] = {
    "visible beyond the text": {"prompt_tokens": 9, "completion_tokens": 10_000},
    "a billion": {"prompt_tokens": 10**9, "completion_tokens": 10**9},
    "thinking beyond any model": {"prompt_tokens": 9, "completion_tokens": 1_000_010, "reasoning_tokens": 1_000_000},
    "input beyond any window": {"prompt_tokens": 2_000_001, "completion_tokens": 3},
}


@pytest.mark.parametrize("report", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_what_cannot_be_is_not_believed(report: dict[str, int]) -> None:
    """[fault M5] What was counted is billed, the row says why, and the operator hears of it; complete or cut, stream or document."""
    usage = event({**HEAD, "choices": [], "usage": report})
    first, *words = text("Hello", " there", ".")
    complete = [first, *words, chunk({}, "stop"), usage, DONE]
    cut = [first, usage, *words, FOR_EVER]
    whole = json.dumps({**json.loads(document("Hello there.")), "usage": report}).encode()
    for steps, client, stream in ((complete, None, True), (cut, MemoryClient(leaves_after=4), True), ([whole], None, False)):
        _, rig = made(steps, client, stream=stream)
        billed = row_of(rig).billed
        assert billed.input_tokens <= 9
        assert billed.output_tokens == 3
        assert IMPLAUSIBLE in (billed.source, billed.input_source)
        assert ["impossible" in fact.detail for fact in told(rig)] == [True]


def test_what_request_and_model_allow_bounds_what_is_believed() -> None:
    """[fault M5] The larger of `max_tokens` and the model's limit, times the choices; the context window for the input."""
    hidden = {"prompt_tokens": 900, "completion_tokens": 403, "completion_tokens_details": {"reasoning_tokens": 400}}
    steps = [*text("Hello", " there", "."), chunk({}, "stop"), event({**HEAD, "choices": [], "usage": hidden}), DONE]

    def billed(window: int | None = None, limit: int | None = None, **asked: int) -> tuple[int, int]:
        rig = Rig(ScriptedUpstream(Script(steps)), prices=Prices(input=1, output=2), context_window=window, max_output_tokens=limit)
        run_virtual(rig.call(MemoryClient(), body(stream=True, **asked)))
        return rig.rows[0].billed.input_tokens, rig.rows[0].billed.output_tokens

    assert (
        billed() == billed(limit=403) == billed(max_tokens=403) == billed(limit=500, max_tokens=100) == billed(limit=202, n=2) == (900, 403)
    )
    assert billed(limit=402) == billed(max_tokens=402) == (900, 3)
    assert (billed(window=900), billed(window=899)) == ((900, 403), (1, 403))


# The input


def asked(*parts: Any, **fields: Any) -> Content:
    """Return the content of a request with these parts, or one text."""
    content: Any = parts[0] if len(parts) == 1 and isinstance(parts[0], str) else list(parts)
    return content_of(parse_chat(json.dumps({"model": "m", "messages": [{"role": "user", "content": content}], **fields}).encode()))


def png(width: int, height: int, *, size: int = 100) -> str:
    """A data URL that begins as a PNG of that size does."""
    head = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height)
    return "data:image/png;base64," + base64.b64encode(head + b"\0" * size).decode()


def test_input_is_counted_by_its_text() -> None:
    """[fault M6] Escapes are decoded, the JSON around it is left out, and it is rounded up once."""
    assert asked("hi") == Content(2)
    escaped = json.dumps({"model": "m", "messages": [{"role": "user", "content": "日本" * 1_600}]})
    raw = escaped.encode().decode("unicode_escape")
    assert content_of(parse_chat(escaped.encode())) == content_of(parse_chat(raw.encode())) == Content(9_600)
    assert input_tokens(Content(9_600), "m") == 2_400
    parts = [{"type": "text", "text": "abc"}] * 3
    assert (asked(*parts), input_tokens(asked(*parts), "m")) == (Content(9), 3)


def test_tools_are_text_however_they_are_written() -> None:
    """[fault M6] Blanks and escapes of the caller's JSON are not the model's."""
    tools = [{"type": "function", "function": {"name": "look_up", "description": "é" * 10, "parameters": {"type": "object"}}}]
    compact = json.dumps(tools, separators=(",", ":"), ensure_ascii=False)
    sizes = {len(compact.encode())}
    for separators, indent, ascii_only in (((",", ":"), None, False), ((", ", ": "), None, True), (None, 4, True)):
        written = json.dumps(tools, separators=separators, indent=indent, ensure_ascii=ascii_only)
        request = b'{"model":"m","messages":[{"role":"user","content":""}],"tools":%b}' % written.encode()
        sizes.add(content_of(parse_chat(request)).text_bytes)
    assert len(sizes) == 1
    assert asked("", functions=[{"name": "f"}]).text_bytes == len('[{"name":"f"}]')


def test_calls_that_were_made_are_text() -> None:
    """[fault M6] Names and arguments, of tool calls and the older kind."""
    function = {"name": "look_up", "arguments": "x" * 93}
    messages = [
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function", "function": function}]},
        {"role": "assistant", "content": None, "function_call": function},
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "y" * 50}]},
    ]
    assert content_of(parse_chat(json.dumps({"model": "m", "messages": messages}).encode())) == Content(250)


PICTURES = [
    ("gpt-4o", 1_024, 1_024, None, 765),
    ("gpt-4o", 2_048, 4_096, "high", 1_105),
    ("gpt-4o", 4_096, 8_192, "low", 85),
    ("gpt-4.1-mini", 1_024, 1_024, None, 1_659),
    ("claude-sonnet-4-5", 1_000, 1_000, None, 1_334),
    ("claude-sonnet-4-5", 10_000, 10_000, None, 1_600),
    ("gemini-2.5-flash", 300, 300, None, 258),
    ("gemini-2.5-flash", 1_000, 700, None, 516),
    ("some-model", 5_000, 5_000, None, PICTURE_TOKENS),
]


@pytest.mark.parametrize(("model", "width", "height", "detail", "tokens"), PICTURES)
def test_a_picture_costs_what_its_vendor_documents(model: str, width: int, height: int, detail: str | None, tokens: int) -> None:
    """[fault M6] By the size that its head tells and by `detail`, whatever its bytes; a fixed number where there is no formula."""
    for size in (100, 1_000_000):
        part = {"type": "image_url", "image_url": {"url": png(width, height, size=size), **({"detail": detail} if detail else {})}}
        assert input_tokens(asked(part, {"type": "text", "text": "What?"}), model) == tokens + 2


def test_a_picture_without_a_size_is_taken_for_a_usual_one() -> None:
    """[fault M6] By address, of an unknown kind, broken or cut off: never its bytes, and never nothing."""
    addresses = [
        "https://example.com/a.png",
        "data:image/png;base64,",
        "data:image/bmp;base64,AAAA",
        "data:image/png;base64,****",
        "x" * 10**6,
    ]
    addresses += [png(0, 0), "data:image/jpeg;base64,/9j/", "data:image/webp;base64,UklGRg"]
    for url in addresses:
        assert picture_of(url, None) == Picture()
        assert input_tokens(asked({"type": "image_url", "image_url": url}), "gpt-4o") == 765
        assert input_tokens(asked({"type": "image_url", "image_url": {"url": url}}), "m") == PICTURE_TOKENS


def test_sizes_are_read_of_every_usual_kind() -> None:
    """[fault M6] PNG, GIF, JPEG behind a large segment, and the three kinds of WebP."""
    jpeg = b"\xff\xd8\xff\xe1" + struct.pack(">H", 20_000) + b"\0" * 19_998 + b"\xff\xc0\0\x11\x08" + struct.pack(">HH", 30, 40) + b"\0" * 9
    webp = b"RIFF\0\0\0\0WEBP"
    extended = webp + b"VP8X" + b"\0" * 8 + (39).to_bytes(3, "little") + (29).to_bytes(3, "little")
    lossless = webp + b"VP8L" + b"\0" * 5 + (39 | 29 << 14).to_bytes(4, "little")
    lossy = webp + b"VP8 " + b"\0" * 10 + struct.pack("<HH", 40, 30)
    for data in (b"GIF89a" + struct.pack("<HH", 40, 30), jpeg, extended, lossless, lossy):
        url = "data:image/x;base64," + base64.b64encode(data + b"\0" * 20).decode()
        assert picture_of(url, "high") == Picture(40, 30)


def test_no_head_of_a_picture_breaks_the_reading() -> None:
    """[fault M6] Random bytes behind every signature give a size or none."""
    chance = random.Random(6)
    for signature in (b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\0\0\0\0WEBPVP8X", b"RIFF\0\0\0\0WEBPVP8L", b"\xff\xd8\xff", b""):
        for _ in range(300):
            data = signature + chance.randbytes(chance.randrange(60))
            picture = picture_of("data:image/x;base64," + base64.b64encode(data).decode(), None)
            assert 0 < input_tokens(Content(0, (picture,)), "gpt-4o") < 10_000


def test_sound_and_files_cost_by_the_second_and_the_page() -> None:
    """[fault M6] 480 kB of a WAV are ten seconds, of compressed sound thirty; a file is as many pages as its size makes it."""
    wav = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0" + struct.pack("<II", 24_000, 48_000) + b"\0" * 480_000
    assert round(sound_seconds(base64.b64encode(wav).decode())) == 10
    sound = {"type": "input_audio", "input_audio": {"data": base64.b64encode(b"\0" * 480_000).decode(), "format": "mp3"}}
    assert (input_tokens(asked(sound), "gpt-4o"), input_tokens(asked(sound), "gemini-2.5-flash")) == (300, 960)
    file = {"type": "file", "file": {"file_data": base64.b64encode(b"\0" * 120_000).decode(), "filename": "a.pdf"}}
    assert input_tokens(asked(file), "m") == 3 * PAGE_TOKENS
    assert input_tokens(asked({"type": "file", "file": {"file_id": "f"}}), "m") == PAGE_TOKENS


@pytest.mark.parametrize("by_itself", [False, True])
def test_sound_and_video_with_an_address_cost_by_the_second(by_itself: bool) -> None:
    """[fault M6] As other servers than OpenAI's take them: by the data in the address, ten seconds where it holds none; never nothing."""

    def tokens(name: str, url: str) -> int:
        return input_tokens(asked({"type": name, name: url if by_itself else {"url": url}}), "m")

    sound, film = (base64.b64encode(b"\0" * size).decode() for size in (480_000, 499_998))
    assert (tokens("audio_url", f"data:audio/mp3;base64,{sound}"), tokens("audio_url", "https://a.example/b.mp3")) == (300, 100)
    assert (tokens("video_url", f"data:video/mp4;base64,{film}"), tokens("video_url", "https://a.example/b.mp4")) == (600, 3_000)


def test_an_input_never_has_more_tokens_than_the_models_window() -> None:
    """[fault M6] However large the body is, or says that its picture is; 2,000,000 where the window is not known."""
    assert input_tokens(Content(10**7, (Picture(),) * 100, 10_000.0, 100), "gpt-4o", 128_000) == 128_000
    for model in ("gemini-2.5-pro", "gpt-4o", "claude-opus-4-5", "m"):
        assert input_tokens(Content(10**8, (Picture(2**31 - 1, 2**31 - 1),) * 9), model) == 2_000_000
        assert input_tokens(Content(0, (Picture(2**31 - 1, 2**31 - 1),)), model) <= 2_000_000


def test_a_pictures_formula_is_its_models_however_that_is_written() -> None:
    """[fault M6] Deployments have names of their own."""
    for model in ("gpt-4o", "GPT-4o", "openai/GPT-4O-2024-08-06"):
        assert input_tokens(Content(0, (Picture(1_024, 1_024, low=True),)), model) == 85


def test_what_was_thought_and_refused_before_is_text() -> None:
    """[fault M6] Whoever wants it back reads it: in the count of the size, and in what a tokenizer is given."""
    messages = [
        {"role": "assistant", "content": "said", "reasoning_content": "thought"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "refused"}]},
        {"role": "assistant", "content": "", "reasoning_content": None},
    ]
    chat = parse_chat(json.dumps({"model": "m", "messages": messages}).encode())
    assert content_of(chat).text_bytes == len("saidthoughtrefused")
    assert beginning(chat, 1_000) == "saidthoughtrefused"
    assert beginning(chat, 6) == "saidth"


def test_hold_cut_and_complete_count_a_picture_alike() -> None:
    """[fault M6] A megabyte of picture in gpt-4o's measure: a wallet that has just enough for it serves the call, cut or whole."""
    parts = [{"type": "image_url", "image_url": {"url": png(1_024, 1_024, size=1_000_000)}}]
    needed = 765 + 0

    def row(steps: list[Any], client: MemoryClient | None) -> Any:
        wallet = Wallet("default", needed * IN + 256 * OUT)
        rig = Rig(ScriptedUpstream(Script(steps)), prices=Prices(input=1, output=2), wallets=[wallet])
        rig.dependencies.routes = Routes(
            Config(vendors={"a": VENDORS["plain"]}, models={"fast": Model(to=("a/gpt-4o",), prices=Prices(input=1, output=2))})
        )
        run_virtual(rig.call(client or MemoryClient(), body(stream=True, messages=[{"role": "user", "content": parts}])))
        return rig.rows[0]

    words = text("five", "tiny", "bits", "of ", "text")
    cut = row([b"".join(words), FOR_EVER], MemoryClient(leaves_after=len(words)))
    whole = row([*words, chunk({}, "stop"), DONE], None)
    assert cut.billed.input_tokens == whole.billed.input_tokens == needed
    assert cut.cost == whole.cost == needed * IN + 5 * OUT
    assert cut.billed.input_source == ESTIMATED
