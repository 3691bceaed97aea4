"""What complete answers teach of a target's tokens, whichever dialect it speaks, and that its cut streams are counted so."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from aisa.answer import Part, Reasoning, Text
from aisa.providers import anthropic, bedrock, cohere, completions_openai, gemini, mistral, responses
from aisa.providers.measure import LEARN_EVERY, TOKENS_MIN, Measure
from aisa.providers.shape import Decoder, Target
from aisa.usage import REPORTED
from aisa.wire.completions import CompletionsRequest
from aisa.wire.token_meter import BY_LEARNED_PIECES, BY_LEARNED_SIZE
from corpus_runner import CALL_ID, CREATED, DialectCase, cases
from test_dialect_corpus import state

CORPUS = Path(__file__).parent / "corpus"
DIALECTS: dict[str, ModuleType] = {each.NAME: each for each in (anthropic, bedrock, cohere, gemini, mistral, responses)}
#: Thinking that they show is all that there was; with the others it is mostly a summary, or its tokens are told apart.
SHOW_ALL = {"mistral"}
REPORTED_OUTPUT = re.compile(r'("(?:output_tokens|completion_tokens|candidatesTokenCount|outputTokens)": ?)\d+')
TOTAL = re.compile(r'"total_?[tT]oken(?:s|Count)": ?\d+')
LONG = "word " * 80
dialects = pytest.mark.parametrize("dialect", sorted(DIALECTS))


class Heard(Measure):
    """Keeps what it was taught."""

    def __init__(self) -> None:
        super().__init__()
        self.taught: list[tuple[int, int, int]] = []

    def learn(self, tokens: int, pieces: int, text_bytes: int, *, choices: int = 1) -> None:
        """Keep an answer."""
        self.taught.append((tokens, pieces, text_bytes))


def decoder_of(case: DialectCase, measure: Measure) -> Decoder:
    """What reads an answer of a target that is counted in this way."""
    target = Target("acme", case.target.model, case.target.dialect, unsupported=case.target.unsupported, measure=measure, state=state())
    decoder: Decoder = case.dialect.decoder(case.chat, target, call_id=CALL_ID, created=CREATED, protocol="typed parts")
    return decoder


def read(decoder: Decoder, body: bytes) -> list[Part]:
    """Read a body to its end, settle the bill, and return what it says."""
    parts = [*decoder.feed(body), *decoder.end()]
    assert decoder.failure is None
    return [*parts, *decoder.closing(None)]


def complete_streams() -> list[Any]:
    """The streams of the corpus that are complete and answer with something."""
    return [
        pytest.param(dialect, folder, id=f"{name}-{folder.name}")
        for name, dialect in DIALECTS.items()
        for folder in cases(CORPUS / name)
        if (folder / "client.sse").exists() and not (folder / "failure.json").exists()
    ]


@pytest.mark.parametrize(("dialect", "folder"), complete_streams())
def test_a_complete_stream_teaches_its_visible_tokens_once(dialect: ModuleType, folder: Path) -> None:
    """[point 4] What was reported but hidden thinking, by pieces and bytes of text; nothing if a summary of thinking was shown."""
    case, measure = DialectCase(dialect, folder), Heard()
    decoder = decoder_of(case, measure)
    parts = read(decoder, case.upstream)
    usage = decoder.usage()
    assert len(measure.taught) <= 1
    if usage.source != REPORTED or (dialect.NAME not in SHOW_ALL and any(isinstance(part, Reasoning) and part.text for part in parts)):
        assert not measure.taught
    elif all(isinstance(part, Text) or not part.tokens for part in parts) and usage.breakdown is None and measure.taught:
        texts = [part.text.encode() for part in parts if isinstance(part, Text)]
        [(tokens, pieces, size)] = measure.taught
        assert tokens == usage.output_tokens - usage.reasoning_tokens
        assert size == sum(map(len, texts))
        assert pieces == (0 if dialect is gemini or case.has("upstream.json") else len(texts))


@dialects
@pytest.mark.parametrize("folder", ["text", "text-document"])
def test_a_plain_answer_teaches(dialect: str, folder: str) -> None:
    """[point 4] A document by its size alone."""
    place = CORPUS / dialect / folder
    case, measure = DialectCase(DIALECTS[dialect], place, renamed=reported_as(place, TOKENS_MIN)), Heard()
    decoder = decoder_of(case, measure)
    parts = read(decoder, case.upstream)
    [(tokens, pieces, size)] = measure.taught
    assert tokens == decoder.usage().output_tokens - decoder.usage().reasoning_tokens
    texts = [part.text for part in parts if isinstance(part, Text)]
    assert size == len("".join(texts).encode())
    assert pieces == (len(texts) if folder == "text" and dialect != "gemini" else 0)


@dialects
def test_a_cut_stream_is_counted_by_what_complete_answers_taught(dialect: str) -> None:
    """[point 4] Before, by pieces or size; after eight complete streams at what they were reported to be worth, with their number."""
    opening = "One " if dialect == "gemini" else "It "
    folder = CORPUS / dialect / "text"
    case = DialectCase(DIALECTS[dialect], folder, renamed={f'"{opening}"': f'"{LONG}"', **reported_as(folder, 100)})
    measure = Measure()
    before = cut(case, measure)
    assert not before.counted_by.startswith("learned")
    for _ in range(LEARN_EVERY):
        read(decoder_of(case, measure), case.upstream)
    after = cut(case, measure)
    assert after.counted_by in (BY_LEARNED_PIECES, BY_LEARNED_SIZE)
    assert after.counted_answers == LEARN_EVERY
    assert 85 <= after.output_tokens <= 100


def reported_as(folder: Path, tokens: int) -> dict[str, str]:
    """What stands otherwise in a stream whose vendor reports so many tokens of output."""
    [body] = [path.read_text(encoding="utf-8") for path in folder.glob("upstream.*")]
    outputs = {found[0]: f"{found[1]}{tokens}" for found in REPORTED_OUTPUT.finditer(body)}
    outputs = {old: new for old, new in outputs.items() if not any(other != old and other.startswith(old) for other in outputs)}
    return outputs | {found[0]: '"x":0' for found in TOTAL.finditer(body)}


@pytest.mark.parametrize(("members", "teaches"), [({}, True), ({"best_of": 2}, False)])
def test_a_completion_teaches_unless_choices_were_left_out(members: dict[str, int], *, teaches: bool) -> None:
    """[point 4] The report counts what `best_of` left out, and the text does not show it."""
    request, measure = CompletionsRequest(json.dumps({"model": "m", "prompt": "Hi.", **members}).encode()), Heard()
    target = Target("acme", "m", "openai", completions=True, measure=measure)
    decoder = completions_openai.decoder(request, target, call_id=CALL_ID, created=CREATED, protocol="completions")
    choice = {"index": 0, "text": LONG, "logprobs": None, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 160, "total_tokens": 163}
    read(
        decoder,
        json.dumps({"id": "c", "object": "text_completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}).encode(),
    )
    assert measure.taught == ([(160, 0, len(LONG))] if teaches else [])


def cut(case: DialectCase, measure: Measure) -> Any:
    """The usage of a stream that is left when its last piece is there, and nothing behind it."""
    decoder, body, seen = decoder_of(case, measure), case.upstream, 0
    found = decoder.usage()
    for position in range(len(body)):
        decoder.feed(body[position : position + 1])
        if decoder.tokens > seen:
            seen, found = decoder.tokens, decoder.usage()
    return found
