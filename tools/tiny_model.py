"""Makes a language model of two megabytes, and a tokenizer, from the prose of pages: what a model server can be given without a download.

Usage: tiny_model.py FOLDER PAGE... Runs where a model server is installed, and trains with what that brings: MLX or PyTorch.
`count_server.py` and `servers.py` start it there.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

SEED = 7
VOCABULARY = 1_000
STEPS, BATCH, WINDOW, LEARNING_RATE = 400, 8, 32, 5e-3  # some two minutes on two cores
SPECIAL = ["<pad>", "<s>", "</s>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>"]
TEMPLATE = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}<|assistant|>"


def main() -> None:
    """Train tokenizer and model on the pages, and save both."""
    folder, said = Path(sys.argv[1]), "\n".join([prose_of(page) for page in sys.argv[2:]])
    transformers: Any = importlib.import_module("transformers")
    tokenizers: Any = importlib.import_module("tokenizers")
    folder.mkdir(parents=True, exist_ok=True)
    made = tokenizers.ByteLevelBPETokenizer()
    made.train_from_iterator(said.splitlines(keepends=True), vocab_size=VOCABULARY, special_tokens=SPECIAL, show_progress=False)
    made.save(str(folder / "tokenizer.json"))
    special = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), chat_template=TEMPLATE, **special)
    tokenizer.save_pretrained(str(folder))
    config = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": 128,
        "num_hidden_layers": 2,
        "intermediate_size": 256,
        "num_attention_heads": 4,
        "head_dim": 32,  # the least that every server has code for
        "rms_norm_eps": 1e-5,
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 2_048,
        "tie_word_embeddings": False,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    train = train_with_torch if importlib.util.find_spec("torch") else train_with_mlx
    train(folder, config, tokenizer.encode(said))


def prose_of(page: str) -> str:
    """Return a page without its tables, whose rulers a small model would write without end, and without what is indented."""
    lines = Path(page).read_text(encoding="utf-8").splitlines(keepends=True)
    return "".join([line for line in lines if not line.startswith(("|", " "))])


def train_with_mlx(folder: Path, config: dict[str, Any], said: list[int]) -> None:
    """Teach a model what comes next in a text, enough that it writes words and no broken characters, and save it."""
    mlx: Any = importlib.import_module("mlx.core")
    tree: Any = importlib.import_module("mlx.utils")
    llama: Any = importlib.import_module("mlx_lm.models.llama")
    nn: Any = importlib.import_module("mlx.nn")
    optimizers: Any = importlib.import_module("mlx.optimizers")
    mlx.random.seed(SEED)
    model, tokens = llama.Model(llama.ModelArgs.from_dict(config)), mlx.array(said)
    optimizer = optimizers.Adam(learning_rate=LEARNING_RATE)

    def loss(batch: Any) -> Any:
        return nn.losses.cross_entropy(model(batch[:, :-1]), batch[:, 1:], reduction="mean")

    step = nn.value_and_grad(model, loss)
    for _ in range(STEPS):
        starts = mlx.random.randint(0, tokens.size - WINDOW - 1, (BATCH,))
        _, gradients = step(tokens[starts[:, None] + mlx.arange(WINDOW + 1)[None, :]])
        optimizer.update(model, gradients)
        mlx.eval(model.parameters(), optimizer.state)
    mlx.save_safetensors(str(folder / "model.safetensors"), dict(tree.tree_flatten(model.parameters())), metadata={"format": "mlx"})


def train_with_torch(folder: Path, config: dict[str, Any], said: list[int]) -> None:
    """The same with the other library."""
    torch: Any = importlib.import_module("torch")
    transformers: Any = importlib.import_module("transformers")
    torch.manual_seed(SEED)
    model, tokens = transformers.LlamaForCausalLM(transformers.LlamaConfig(**config)), torch.tensor(said)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    for _ in range(STEPS):
        starts = torch.randint(0, len(tokens) - WINDOW, (BATCH,))
        batch = tokens[starts[:, None] + torch.arange(WINDOW)]
        model(batch, labels=batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(str(folder))


if __name__ == "__main__":
    main()
