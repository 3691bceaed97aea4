"""Marks for the prompt cache in a request of the Messages API, on what its blocks come to as chat completions. Knows no model.

Only who asks for them gets them (`messages.py`): most vendors refuse members that they do not know.
"""

from __future__ import annotations

from aisa.wire.messages_content import texts_in
from aisa.wire.trees import Tree, as_tree, is_tree, trees_in

MARK = "cache_control"


def mark_in(block: Tree) -> Tree | None:
    """Return the mark of a block, else that of the last one inside it that has one: a result or a document is one part here, or few."""
    own = block.get(MARK)
    if is_tree(own):
        return own
    inner = [*trees_in(as_tree(block.get("source")).get("content")), *trees_in(block.get("content"))]
    return next((mark for each in reversed(inner) if is_tree(mark := each.get(MARK))), None)


def put_mark(written: list[Tree], block: Tree) -> None:
    """Put a block's mark on the last of what was written up to and with it. A block that came to nothing marks what stands before it."""
    mark = mark_in(block)
    if mark is not None and written:
        written[-1][MARK] = mark


def marked_texts(content: object, left_out: str) -> list[Tree]:
    """Return the texts of a content as parts, each with its mark, which put together are those texts with a blank line between them.

    They are parts whether or not there is a mark, so that one that moves on changes nothing else. Without texts that begin with `left_out`.
    """
    parts: list[Tree] = []
    blocks: list[Tree] = [{"text": content}] if isinstance(content, str) else trees_in(content)
    for block in blocks:
        for text in texts_in([block]):
            if not (left_out and text.startswith(left_out)):
                parts.append({"type": "text", "text": f"\n\n{text}" if parts else text})
                put_mark(parts, block)
    return parts


def mark_of_texts(content: object) -> Tree:
    """Return the member that marks a message of the model's: its text is one, and all of its marks on texts are one behind that."""
    marks = [mark for block in trees_in(content) if block.get("type") == "text" and (mark := mark_in(block)) is not None]
    return {MARK: marks[-1]} if marks else {}
