"""Files of byte-level BPE are counted many times as quick, and exactly as by the library they are written for; others are left to it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, models, normalizers, pre_tokenizers, trainers

from aisa.tokenizers.byte_level import WORDS, byte_level_bpe
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


@pytest.fixture(scope="module", params=PATTERNS)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small vocabulary, taught by a few texts."""
    whole = tokenizers.Tokenizer(models.BPE())
    whole.normalizer = normalizers.NFC() if request.param == "one pattern" else normalizers.Sequence([])
    steps = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in PATTERNS[request.param]]
    whole.pre_tokenizer = pre_tokenizers.Sequence([*steps, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    trainer = trainers.BpeTrainer(vocab_size=700, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    whole.train_from_iterator([*WORDS] * 20, trainer)
    path = tmp_path_factory.mktemp("vocabulary") / "tokenizer.json"
    whole.save(str(path))
    return path


@pytest.fixture(scope="module")
def counts(trained: Path) -> Counts:
    """Ours and the library's."""
    quick, own = from_file(trained), tokenizers.Tokenizer.from_file(str(trained))
    assert "quicker" in quick.count.__qualname__
    return quick.count, lambda text: len(own.encode(text, add_special_tokens=False))


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=200) | st.text("ab \t\n'sé日1²゛!\u0301\u200d\ue000😀", max_size=80))
def test_a_file_of_byte_level_bpe_counts_as_its_own_library_does(counts: Counts, text: str) -> None:
    """[budget] Any text: words, blanks, digits, what is to be composed, characters of four bytes."""
    ours, its = counts
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
def test_a_file_of_another_kind_is_counted_by_its_own_library(name: str, trained: Path, tmp_path: Path) -> None:
    """[point 4] Nothing is taken to be alike that is not, by its form or by its counts: each count is the library's own."""
    path = changed(CHANGES[name], trained, tmp_path)
    found, own = from_file(path), tokenizers.Tokenizer.from_file(str(path))
    assert [found.count(text) for text in WORDS] == [len(own.encode(text, add_special_tokens=False)) for text in WORDS]


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b'{"model":{"type":"BPE","merges":["a"]},"pre_tokenizer":null}'])
def test_what_is_no_such_file_is_read_as_none(data: bytes) -> None:
    """Whoever asks says then what is wrong with it."""
    assert byte_level_bpe(data) is None


def test_reading_such_a_file_loads_no_library() -> None:
    """[the extra] It may be missing, and takes a while to load."""
    code = "import sys; import aisa.tokenizers.byte_level; print({'tiktoken', 'tokenizers'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "set()\n"
