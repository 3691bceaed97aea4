"""What a model thought, by the names that vendors give it in a delta or a message of chat completions."""

from __future__ import annotations

from collections.abc import Iterator

from aisa.wire.trees import Tree, is_tree, trees_in

#: DeepSeek; OpenRouter and vLLM; GitHub Copilot; Ollama and gateways that hand on what Anthropic says; those that hand on Gemini.
NAMES = ("reasoning_content", "reasoning", "reasoning_text", "thinking", "thought")
#: Lists of what was thought: OpenRouter's and MiniMax's, LiteLLM's.
LISTS = ("reasoning_details", "thinking_blocks")
TEXTS = ("text", "summary", "thinking", "content")


def thought_in(said: Tree) -> str:
    """Return what was thought, by the first name that holds some text of it; nothing if there is none."""
    for name in NAMES:
        value = said.get(name)
        if text := value if isinstance(value, str) else "".join(texts_in([value] if is_tree(value) else value)):
            return text
    return ""


def listed_thought(said: Tree) -> str:
    """Return what a list of thinking shows of it, for vendors that send it under no other name."""
    return next((text for name in LISTS if (text := "".join(texts_in(said.get(name))))), "")


def texts_in(parts: object) -> Iterator[str]:
    """Yield the texts of parts."""
    for part in trees_in(parts):
        yield next((text for name in TEXTS if isinstance(text := part.get(name), str) and text), "")
