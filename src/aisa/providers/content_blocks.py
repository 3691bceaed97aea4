"""The content of a message as blocks, in whichever form a vendor gives it. Knows no dialect, and reads no block."""

from __future__ import annotations

from aisa.wire.trees import Tree, as_list, is_tree


def blocks_of(content: object) -> list[Tree]:
    """Return the blocks in a list. What stands alone is a list of it, and a text, alone or in a list, a block of text."""
    given = [content] if isinstance(content, str) or is_tree(content) else as_list(content)
    return [
        {"type": "text", "text": block} if isinstance(block, str) else block for block in given if isinstance(block, str) or is_tree(block)
    ]
