#!/usr/bin/env bash
# tiktoken 0.14.0 encodes what its pattern matches and drops the rest of a text, without an error; tokenizers 0.23.3 keeps that as a word.
#
# With the last pattern of DeepSeek V3's `tokenizer.json` a family of emoji loses its joiners and a line of digits is no token at all: whoever
# carries such a file over for its speed counts too few tokens, and decodes another text than was encoded.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tiktoken==0.14.0 tokenizers==0.23.3
"$folder/venv/bin/python" - <<'PYTHON'
import tiktoken
from tokenizers import Regex, pre_tokenizers

PATTERN = (
    r"[!-/:-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
bytes_alone = tiktoken.Encoding("bytes", pat_str=PATTERN, mergeable_ranks={bytes([byte]): byte for byte in range(256)}, special_tokens={})
split = pre_tokenizers.Split(Regex(PATTERN), "isolated")
for text in ("a \U0001f469\u200d\U0001f467 b", "in 2026 or so", "12345"):
    kept = bytes_alone.decode(bytes_alone.encode_ordinary(text))
    words = [word for word, _ in split.pre_tokenize_str(text)]
    print(ascii(text), "tiktoken keeps", ascii(kept), "tokenizers cuts", ascii(words))
    assert "".join(words) == text
    assert len(kept) < len(text)
PYTHON
