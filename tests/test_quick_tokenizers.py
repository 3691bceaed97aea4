"""Files of two kinds are counted many times as quick, and exactly as by the library they are written for; others are left to it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, models, normalizers, pre_tokenizers, trainers

from aisa.tokenizers.as_encoding import WORDS
from aisa.tokenizers.blank_led import BLANK, blank_led_bpe
from aisa.tokenizers.byte_level import byte_level_bpe
from aisa.tokenizers.loading import from_file

WORD = r"(?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
#: Numbers and East Asian words are cut out before all else, and what is between them as if it stood alone: as DeepSeek's is.
CUT_BEFORE = (
    r"\p{N}{1,3}",
    "[一-龥぀-ゟ゠-ヿ]+",
    r"[!-/:-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
)
PATTERNS = {"one pattern": (WORD,), "three patterns": CUT_BEFORE, "one that leaves something": CUT_BEFORE[-1:]}
Json = dict[str, Any]
Counts = tuple[Callable[[str], int], Callable[[str], int]]
#: Tokens that are found before all else.
ADDED = ("<eos>", "<table>", "<t", "\n", "\n\n", "\n\n\n")


@pytest.fixture(scope="module", params=PATTERNS)
def byte_level(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small vocabulary of bytes, taught by a few texts."""
    whole = tokenizers.Tokenizer(models.BPE())
    whole.normalizer = normalizers.NFC() if request.param == "one pattern" else normalizers.Sequence([])
    steps = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in PATTERNS[request.param]]
    whole.pre_tokenizer = pre_tokenizers.Sequence([*steps, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    trainer = trainers.BpeTrainer(vocab_size=700, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    whole.train_from_iterator([*WORDS] * 20, trainer)
    return saved(json.loads(whole.to_str()), ADDED[:2], tmp_path_factory.mktemp("vocabulary"))


@pytest.fixture(scope="module")
def blank_led(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small vocabulary of characters, as those that come from SentencePiece are written: every way to make a token is a pair."""
    whole = tokenizers.Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    whole.normalizer = normalizers.Replace(" ", BLANK)
    whole.pre_tokenizer = pre_tokenizers.Split(Regex(f"{BLANK}+[^{BLANK}]*"), "isolated")  # while it learns
    whole.train_from_iterator([*WORDS] * 20, trainers.BpeTrainer(vocab_size=700, special_tokens=["<unk>"], show_progress=False))
    file = json.loads(whole.to_str())
    vocabulary = file["model"]["vocab"]
    made = ["".join(pair) for pair in file["model"]["merges"]]
    splits = [(token[:at], token[at:]) for token in made for at in range(1, len(token))]
    file["model"]["merges"] = [list(pair) for pair in splits if set(pair) <= vocabulary.keys()]
    for byte in range(256):
        if byte != ord("a"):  # which is a token itself
            vocabulary[f"<0x{byte:02X}>"] = 10_000 + byte
    return saved({**file, "pre_tokenizer": None}, ADDED, tmp_path_factory.mktemp("vocabulary"))


def saved(file: Json, added: Iterable[str], folder: Path) -> Path:
    """Write the file with some more tokens, which are found before all else."""
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    file["added_tokens"] += [{"id": 700 + at, "content": each, **flags, "special": at == 0} for at, each in enumerate(added)]
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(file))
    return path


def counts_of(path: Path) -> Counts:
    """Ours and the library's."""
    quick, own = from_file(path), tokenizers.Tokenizer.from_file(str(path))
    assert "quicker" in quick.count.__qualname__
    return quick.count, lambda text: len(own.encode(text, add_special_tokens=False))


@pytest.fixture(scope="module")
def byte_level_counts(byte_level: Path) -> Counts:
    """Of the first kind."""
    return counts_of(byte_level)


@pytest.fixture(scope="module")
def blank_led_counts(blank_led: Path) -> Counts:
    """Of the second."""
    return counts_of(blank_led)


TEXTS = st.lists(
    st.text(max_size=200)
    | st.text("ab \t\n'sé日1²゛!\u0301\u200d\ue000😀\U0001f9ff\u0378\ufdd0本語\u2581<t>", max_size=80)
    | st.sampled_from([*ADDED, " <table> ", "<eos", "   ", *WORDS]),
    max_size=5,
).map("".join)


@settings(deadline=None, max_examples=200)
@given(TEXTS)
def test_a_file_of_byte_level_bpe_counts_as_its_own_library_does(byte_level_counts: Counts, text: str) -> None:
    """[budget] Any text: words, blanks, digits, added tokens, what is to be composed, characters of four bytes."""
    ours, its = byte_level_counts
    assert ours(text) == its(text)


@settings(deadline=None, max_examples=400)
@given(TEXTS)
def test_a_file_whose_tokens_begin_with_blanks_counts_as_its_own_library_does(blank_led_counts: Counts, text: str) -> None:
    """[budget] Any text: characters that are no token and begin as others do, the character that stands for a blank, added tokens."""
    ours, its = blank_led_counts
    assert ours(text) == its(text)


def changed(change: Callable[[Json], object], trained: Path, folder: Path) -> Path:
    """The file with something else in it."""
    file = json.loads(trained.read_text())
    change(file)
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(file))
    return path


CHANGES: dict[str, Callable[[Json], object]] = {
    "lower case": lambda file: file.update(normalizer={"type": "Lowercase"}),
    "a blank before all": lambda file: file["pre_tokenizer"]["pretokenizers"][-1].update(add_prefix_space=True),
    "words by the library's own pattern": lambda file: file["pre_tokenizer"]["pretokenizers"][-1].update(use_regex=True),
    "words without what is between": lambda file: file["pre_tokenizer"]["pretokenizers"][0].update(behavior="Removed"),
    "a pattern twice": lambda file: file["pre_tokenizer"]["pretokenizers"].insert(0, file["pre_tokenizer"]["pretokenizers"][0]),
    "a pattern behind the bytes": lambda file: file["pre_tokenizer"]["pretokenizers"].append(file["pre_tokenizer"]["pretokenizers"][0]),
    "bytes alone": lambda file: file["pre_tokenizer"].update(pretokenizers=file["pre_tokenizer"]["pretokenizers"][-1:]),
    "nothing before the model": lambda file: file["pre_tokenizer"].update(pretokenizers=[]),
    "changes in order": lambda file: file.update(normalizer={"type": "Sequence", "normalizers": [{"type": "Lowercase"}]}),
    "words that are no bytes": lambda file: file.update(pre_tokenizer={"type": "Whitespace"}),
    "an order of pairs that makes other tokens": lambda file: file["model"]["merges"].reverse(),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_file_of_another_kind_is_counted_by_its_own_library(name: str, byte_level: Path, tmp_path: Path) -> None:
    """[point 4] Nothing is taken to be alike that is not, by its form or by its counts: each count is the library's own."""
    check_counts(changed(CHANGES[name], byte_level, tmp_path))


def check_counts(path: Path) -> None:
    """Hold ours against the library's."""
    found, own = from_file(path), tokenizers.Tokenizer.from_file(str(path))
    assert [found.count(text) for text in WORDS] == [len(own.encode(text, add_special_tokens=False)) for text in WORDS]


def a_token_goes_on_behind_a_blank(file: Json) -> None:
    """Make a token of a word, a blank and another."""
    vocabulary, merges = file["model"]["vocab"], file["model"]["merges"]
    vocabulary[f"w{BLANK}"] = 20_000
    merges.insert(0, ["w", BLANK])


BLANK_LED_CHANGES: dict[str, Callable[[Json], object]] = {
    "a blank before all": lambda file: file.update(
        normalizer={"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": BLANK}, file["normalizer"]]}
    ),
    "another character for a blank": lambda file: file["normalizer"].update(content="_"),
    "words are cut beforehand": lambda file: file.update(pre_tokenizer={"type": "Digits", "individual_digits": True}),
    "no bytes": lambda file: file["model"].update(byte_fallback=False),
    "a byte is missing": lambda file: file["model"]["vocab"].pop("<0xE0>"),
    "a byte of what is no token is missing": lambda file: file["model"]["vocab"].pop("<0x01>"),
    "a token goes on behind a blank": a_token_goes_on_behind_a_blank,
    "an added token takes its blanks along": lambda file: [each.update(lstrip=True) for each in file["added_tokens"]],
    "an order of pairs that makes other tokens": lambda file: file["model"]["merges"].reverse(),
    "no private character is left": lambda file: file["model"]["vocab"].update(
        {chr(code): 20_000 + code for code in range(0xE000, 0xF900)}
    ),
    "no added tokens": lambda file: file.update(added_tokens=[]),
}


@pytest.mark.parametrize("name", BLANK_LED_CHANGES)
def test_a_file_that_differs_from_the_second_kind_is_counted_as_its_own_library_does(name: str, blank_led: Path, tmp_path: Path) -> None:
    """[point 4] As above."""
    check_counts(changed(BLANK_LED_CHANGES[name], blank_led, tmp_path))


def test_a_file_that_lacks_a_pair_which_makes_a_token_is_left_to_its_library(blank_led: Path, tmp_path: Path) -> None:
    """[point 4] The other would merge the two all the same, if only in texts that no sample has."""

    def lose_one_way(file: Json) -> None:
        pairs = file["model"]["merges"]
        made = Counter("".join(pair) for pair in pairs)
        pairs.remove(next(pair for pair in pairs if made["".join(pair)] > 1))

    assert blank_led_bpe(blank_led.read_bytes()) is not None
    assert blank_led_bpe(changed(lose_one_way, blank_led, tmp_path).read_bytes()) is None


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b'{"model":{"type":"BPE","merges":["a"]},"pre_tokenizer":null}'])
def test_what_is_no_such_file_is_read_as_none(data: bytes) -> None:
    """Whoever asks says then what is wrong with it."""
    assert byte_level_bpe(data) is blank_led_bpe(data) is None
