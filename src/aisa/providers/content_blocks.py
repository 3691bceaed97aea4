"""The content of a message as blocks, in whichever form a vendor gives it. Knows no dialect, and reads no block."""

from __future__ import annotations

from aisa.wire.keyed_lists import is_block, is_content, is_place
from aisa.wire.trees import Tree, as_list, is_tree
from aisa.wire.vendor_error import Unintelligible


def blocks_of(content: object) -> list[Tree]:
    """Return the blocks in a list. What stands alone is a list of it, and a text, alone or in a list, a block of text."""
    given = [content] if isinstance(content, str) or is_tree(content) else as_list(content)
    return [
        {"type": "text", "text": block} if isinstance(block, str) else block for block in given if isinstance(block, str) or is_tree(block)
    ]


def blocks_said(content: object) -> list[Tree]:
    """Return the blocks of what a vendor said, which may be keyed by place. Raises Unintelligible for what is no content."""
    if is_tree(content) and content and all(map(is_place, content)):
        content = [content[name] for name in sorted(content, key=int)]
    blocks = as_list(content)
    if not is_content(content) or not all(is_block(block) for block in blocks):
        raise Unintelligible("a content that is none")
    return blocks_of(content)


def text_of(holder: Tree, name: str = "text") -> str | None:
    """Return a text. Raises Unintelligible for what stands in its place."""
    text = holder.get(name)
    if not isinstance(text, str | None):
        raise Unintelligible("a text that is none")
    return text
