"""Writes the model of `tiny_model.py` in the format of llama.cpp's server, beside it. Makes no model itself.

Usage: gguf_model.py FOLDER. Runs where that server is installed.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

NAME = "tiny.gguf"
NORMAL, CONTROL = 1, 3  # kinds of tokens
#: The tensors of a layer by their names there and here.
LAYER = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
OTHERS = {"model.embed_tokens": "token_embd", "lm_head": "output", "model.norm": "output_norm"}


def main() -> None:
    """Write the file, unless it is there."""
    folder = Path(sys.argv[1])
    if (folder / NAME).exists():
        return
    gguf: Any = importlib.import_module("gguf")
    load: Any = importlib.import_module("safetensors.numpy")
    config, tokenizer = [json.loads((folder / name).read_bytes()) for name in ("config.json", "tokenizer.json")]
    writer = gguf.GGUFWriter(str(folder / NAME), "llama")
    describe(writer, config)
    say_tokens(writer, config, tokenizer)
    writer.add_chat_template((folder / "chat_template.jinja").read_text(encoding="utf-8"))
    heads = config["num_attention_heads"]
    for name, tensor in load.load_file(folder / "model.safetensors").items():
        turned = in_pairs(tensor, heads) if "q_proj" in name or "k_proj" in name else tensor
        writer.add_tensor(name_of(name), turned.astype("float32"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def describe(writer: Any, config: dict[str, Any]) -> None:
    """Say how large the model is."""
    writer.add_name("tiny")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_attention_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_vocab_size(config["vocab_size"])


def say_tokens(writer: Any, config: dict[str, Any], tokenizer: dict[str, Any]) -> None:
    """Write the tokenizer."""
    vocabulary = sorted(tokenizer["model"]["vocab"], key=tokenizer["model"]["vocab"].__getitem__)
    special = {token["content"] for token in tokenizer["added_tokens"]}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(vocabulary)
    writer.add_token_types([CONTROL if token in special else NORMAL for token in vocabulary])
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in tokenizer["model"]["merges"]])
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_pad_token_id(config["pad_token_id"])
    writer.add_add_bos_token(False)


def in_pairs(tensor: Any, heads: int) -> Any:
    """Return a tensor of queries or keys with what turns together in neighbouring rows, where the other format has it in two halves."""
    half = tensor.shape[0] // heads // 2
    return tensor.reshape(heads, 2, half, *tensor.shape[1:]).swapaxes(1, 2).reshape(tensor.shape)


def name_of(name: str) -> str:
    """Return what a tensor is called there."""
    stem = name.removesuffix(".weight")
    if stem in OTHERS:
        return f"{OTHERS[stem]}.weight"
    _, _, layer, rest = stem.split(".", 3)
    return f"blk.{layer}.{LAYER[rest]}.weight"


if __name__ == "__main__":
    main()
