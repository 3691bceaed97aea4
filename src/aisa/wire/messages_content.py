"""Content blocks of the Messages API as parts of a chat message: what a user shows and what tools gave back. Knows no roles and no tools.

Blocks that only tell what Anthropic's own tools did are left out. What the model is to see and cannot be sent is a loss, never left out.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence

from aisa.wire.addresses import is_web_address
from aisa.wire.losses import Loss, Losses
from aisa.wire.trees import Tree, as_tree, is_list, is_tree, text_or_none, trees_in

SOURCES = "Send its data as `base64`: only Anthropic has the files that are kept there."
#: What is shown to the model in a form that only Anthropic's servers write out for it -> what to send instead.
SHOWN_BY_ANTHROPIC = {
    "container_upload": "is a file in a container of Anthropic's. Send what it holds as text or a document",
    "browser_state": "is written out for the model by Anthropic alone. Send what the browser shows as text",
}

#: What tells of the conversation and its tools, which the model has in another way.
TOLD_ANYWAY = frozenset("thinking redacted_thinking tool_addition tool_removal fallback mcp_tool_listing".split())
#: How the names of blocks end that tell what tools did which Anthropic runs.
OF_SERVERS = ("server_tool_use", "mcp_tool_use", "_tool_result")
MADE_THERE = "container_upload"  # a file, where it stands in what a model has said
SHOWN = ("image", "document", "search_result")
USERS = ("text", *SHOWN, "tool_result")  # in a user's message; only the first that is none is compared with them, as it takes its time
LIKENESS_MIN = 0.7  # of such a type to one of them; `image_url` has it
PDF = "application/pdf"
TEXT_BLOCK = 'Send {"type": "text", "text": "..."}.'
SHOWN_CHARACTERS_MAX = 64  # of a caller's word in a message


def texts_in(content: object) -> list[str]:
    """Return the texts of a content, which is one or a list of blocks."""
    if isinstance(content, str):
        return [content] if content else []
    return [
        text for block in trees_in(content) if (text := text_or_none(block.get("content" if is_summary(block) else "text"))) is not None
    ]


def unread_texts(content: object, param: str) -> Iterator[Loss]:
    """Yield what is lost of a content that only has texts, as what a system says: texts that are none, and what is shown."""
    for place, block in enumerate(trees_in(content)):
        yield from no_words(block, f"{param}[{place}]")


def no_words(block: Tree, param: str) -> list[Loss]:
    """Return what is lost of a block where only words are told: of one that has none and was to have some, or is not known."""
    kind = block.get("type")
    if kind in (None, "text"):
        return no_text(block, param)
    if isinstance(block.get("text"), str) or is_told_anyway(kind) or is_summary(block):
        return []
    if kind in (*SHOWN, *SHOWN_BY_ANTHROPIC, "tool_result"):
        return [Loss(f"{param}.type", f"The block '{kind}' at '{param}' can be shown in a message with the role 'user' alone.")]
    return [unknown(kind, param)]


def is_told_anyway(kind: object) -> bool:
    """Tell whether blocks of a type tell what the model has in another way, or what tools did that Anthropic runs."""
    return isinstance(kind, str) and (kind in TOLD_ANYWAY or kind.endswith(OF_SERVERS))


def unknown(kind: object, param: str, known: Sequence[str] = ()) -> Loss:
    """Return the loss of a block of a type that nobody here knows; one of the known types that is like it may have been meant."""
    shown = str(kind)[:SHOWN_CHARACTERS_MAX]
    near = difflib.get_close_matches(shown.lower(), known, 1, cutoff=LIKENESS_MIN)
    if near:
        return Loss(f"{param}.type", f"The block '{shown}' at '{param}' has no type that is known here. Did you mean '{near[0]}'?")
    what = f"The block '{shown}' at '{param}' is known to Anthropic's models alone."
    return Loss(f"{param}.type", f"{what} Send what it holds as text, a picture or a document.")


def no_text(block: Tree, param: str) -> list[Loss]:
    """Return what is lost of a block that was to have a text: nothing if it does."""
    return [] if isinstance(block.get("text"), str) else [Loss(f"{param}.text", f"The block at '{param}' has no text. {TEXT_BLOCK}")]


def is_summary(block: Tree) -> bool:
    """Tell whether a block stands for everything before it."""
    return block.get("type") == "compaction"


def parts_of(content: object, param: str, losses: Losses) -> list[Tree]:
    """Return the parts that a content comes to. Those of a result that is a text are that text."""
    if isinstance(content, str):
        return texts([content])
    return [part for at, block in blocks_in(content, param, losses) for part in losses.came(parts_in(block, at, losses), at)]


def blocks_in(content: object, param: str, losses: Losses) -> list[tuple[str, Tree]]:
    """Return the blocks of a content and the place of each. What is none is a loss: the model was to see it."""
    if is_tree(content):
        return [(param, content)]
    entries = content if is_list(content) else [] if content is None else [content]
    places = [(f"{param}[{place}]", entry) for place, entry in enumerate(entries)]
    losses += [
        Loss(at, f"'{at}' is no block. Send a text alone, or a list of blocks with a `type` each.")
        for at, entry in places
        if not is_tree(entry)
    ]
    return [(at, entry) for at, entry in places if is_tree(entry)]


def parts_in(block: Tree, param: str, losses: Losses) -> list[Tree]:
    """Return the parts that one block comes to; none for what chat completions have no part for."""
    match block.get("type"):
        case "text":
            losses += no_text(block, param)
            return texts([block.get("text")])
        case "image":
            return picture(block, param, losses)
        case "document":
            return document(block, param, losses)
        case "search_result":
            losses += unread_texts(block.get("content"), f"{param}.content")
            return texts([*named(block, "title", "source"), *texts_in(block.get("content"))])
        case "compaction":
            return texts([block.get("content")])
        case "tool_reference":
            return texts([block.get("tool_name")])
        case str() as kind if kind in SHOWN_BY_ANTHROPIC:
            losses.append(Loss(f"{param}.type", f"The block '{kind}' at '{param}' {SHOWN_BY_ANTHROPIC[kind]}."))
            return []
        case None:
            losses.append(Loss(f"{param}.type", f"The block at '{param}' needs a `type`: text, image, document, tool_result or another."))
            return []
        case "tool_use":
            losses.append(Loss(f"{param}.type", f"The call at '{param}' belongs into a message with the role 'assistant'."))
            return []
        case kind:
            losses += [] if is_told_anyway(kind) else [unknown(kind, param, () if losses else USERS)]
            return []


def named(block: Tree, *names: str) -> list[str]:
    """Return what is said about a block in these members, a line each, as one text; none if nothing is."""
    lines = [str(block[name]) for name in names if block.get(name)]
    return ["\n".join(lines)] if lines else []


def texts(given: Iterable[object]) -> list[Tree]:
    """Return texts as parts."""
    return [{"type": "text", "text": text} for text in given if isinstance(text, str)]


def picture(block: Tree, param: str, losses: Losses) -> list[Tree]:
    """Return a picture from where it comes."""
    source = as_tree(block.get("source"))
    url, data = source.get("url"), source.get("data")
    if source.get("type") == "base64" and isinstance(data, str):
        url = data_url(source, "image/png")
    if not isinstance(url, str):
        losses.append(Loss(f"{param}.source", f"The picture at '{param}' has neither data nor an address. {SOURCES}"))
        return []
    return [{"type": "image_url", "image_url": {"url": url}}]


def document(block: Tree, param: str, losses: Losses) -> list[Tree]:
    """Return a document: its text, what it holds, or its data, or its address, as a file."""
    source = as_tree(block.get("source"))
    kind, data, about = source.get("type"), source.get("data"), texts(named(block, "title", "context"))
    if kind == "content":
        return [*about, *parts_of(source.get("content"), f"{param}.source.content", losses)]
    if kind == "text" and isinstance(data, str):
        return [*about, *texts([data])]
    if kind == "base64" and isinstance(data, str):
        title, data = text_or_none(block.get("title")) or "document", data_url(source, PDF)
        name = f"{title}.pdf" if data.startswith(f"data:{PDF};") and not title.lower().endswith(".pdf") else title
        return [*texts(named(block, "context")), {"type": "file", "file": {"filename": name, "file_data": data}}]
    if kind == "url" and is_web_address(source.get("url")):
        return [*about, {"type": "file", "file": {"file_data": source["url"]}}]
    losses.append(Loss(f"{param}.source", f"The document at '{param}' has neither data nor text in it. {SOURCES}"))
    return []


def data_url(source: Tree, usual: str) -> str:
    """Return data as an address that holds it."""
    return f"data:{text_or_none(source.get('media_type')) or usual};base64,{source['data']}"
