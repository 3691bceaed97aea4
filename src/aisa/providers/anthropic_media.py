"""Parts of chat messages as Anthropic's content blocks: text, pictures, documents. Fetches nothing."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as NotBase64

import msgspec

from aisa.providers.concessions import Concessions
from aisa.wire.addresses import is_web_address
from aisa.wire.chat import ChatRequest
from aisa.wire.trees import Tree, as_tree, is_tree, text_or_none, trees_in

CACHE_OPTIONS = "prompt_cache_options"
PICTURES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
PDF, PLAIN = "application/pdf", "text/plain"
LONG_LIFETIMES = frozenset({"30m", "1h", "12h"})  # OpenAI's and ours; Anthropic has five minutes and an hour


def part_block(part: Tree, where: str, concessions: Concessions) -> Tree | None:
    """Return a content part as a block, None for a text of blanks, which the vendor refuses.

    `where` is the part's place in the request. Raises UpstreamFailed for what cannot be shown to these models: content is never left out.
    """
    kind = part.get("type")
    block: Tree | None
    if kind in ("text", "input_text", "output_text", "refusal"):
        text = part.get("text") if kind != "refusal" else part.get("refusal")
        block = {"type": "text", "text": text} if isinstance(text, str) and text.strip() else None
    elif kind == "image_url":
        block = {"type": "image", "source": picture_source(part.get("image_url"), where, concessions)}
    elif kind == "file":
        block = document(as_tree(part.get("file")), where, concessions)
    elif kind == "thinking":
        block = None  # another vendor's, without a signature that counts here
    else:
        raise concessions.refusal(where, f"they take no part of type '{str(kind)[:40]}'")
    mark = mark_of(part)
    if block is not None and mark is not None:
        block["cache_control"] = mark
    return block


def with_lifetimes(messages: list[Tree], chat: ChatRequest) -> list[Tree]:
    """Return messages whose marks for the cache last as long as the request says, where a mark does not say it itself."""
    options: object = msgspec.json.decode(chat.fields[CACHE_OPTIONS]) if CACHE_OPTIONS in chat.fields else None
    ttl = as_tree(options).get("ttl")
    for message in messages if ttl is not None else ():
        for part in trees_in(message.get("content")):
            mark = part.get("prompt_cache_breakpoint")
            if is_tree(mark) and mark.get("ttl") is None:
                part["prompt_cache_breakpoint"] = {**mark, "ttl": ttl}
    return messages


def mark_of(part: Tree) -> Tree | None:
    """Return the mark for the cache that a part, or a tool, has: Anthropic's own as it is, or OpenAI's breakpoint in its words."""
    own = part.get("cache_control")
    if is_tree(own):
        return own
    asked = part.get("prompt_cache_breakpoint")
    if asked is None or asked is False:
        return None
    ttl = as_tree(asked).get("ttl")
    return {"type": "ephemeral", "ttl": "1h"} if ttl in LONG_LIFETIMES else {"type": "ephemeral"}


def picture_source(given: object, where: str, concessions: Concessions) -> Tree:
    """Return where a picture comes from: its data, or its address."""
    url = given if isinstance(given, str) else as_tree(given).get("url")
    if not isinstance(url, str):
        raise concessions.refusal(f"{where}.image_url", "a picture needs a `url`")
    kind, data = taken_apart(url)
    if data is None:
        return {"type": "url", "url": url}
    if kind not in PICTURES:
        raise concessions.refusal(f"{where}.image_url", f"pictures are JPEG, PNG, GIF or WebP, not '{kind[:40]}'")
    return {"type": "base64", "media_type": kind, "data": data}


def document(file: Tree, where: str, concessions: Concessions) -> Tree:
    """Return a file as a document."""
    data, file_id, name = text_or_none(file.get("file_data")), text_or_none(file.get("file_id")), text_or_none(file.get("filename"))
    source: Tree
    if data is not None and taken_apart(data)[0] in PICTURES:
        return {"type": "image", "source": picture_source(data, where, concessions)}
    if data is None:
        if file_id is None:
            raise concessions.refusal(f"{where}.file", "a file needs `file_data` or a `file_id`")
        source = {"type": "file", "file_id": file_id}
    else:
        source = document_source(data, name or "", where, concessions=concessions)
    block: Tree = {"type": "document", "source": source}
    return {**block, "title": name} if name else block


def document_source(data: str, name: str, where: str, *, concessions: Concessions) -> Tree:
    """Return where a document comes from: PDF as it is, plain text as text."""
    kind, content = taken_apart(data)
    if content is None:
        if is_web_address(data):
            return {"type": "url", "url": data}
        kind, content = (PDF if name.lower().endswith(".pdf") else PLAIN if name.lower().endswith(".txt") else ""), data
    if kind == PDF:
        return {"type": "base64", "media_type": PDF, "data": content}
    if kind.startswith("text/") or kind == "application/json":
        try:
            return {"type": "text", "media_type": PLAIN, "data": b64decode(content, validate=True).decode()}
        except (NotBase64, ValueError):
            raise concessions.refusal(f"{where}.file.file_data", "a text is base64 of UTF-8") from None
    raise concessions.refusal(f"{where}.file", "files are PDF or text: name one so, or give its type in a data URL")


def taken_apart(url: str) -> tuple[str, str | None]:
    """Return the type and the base64 of a data URL; no data of any other address."""
    head, found, data = url.partition(";base64,")
    if not found or head[:5].lower() != "data:":
        return "", None
    return head[5:].partition(";")[0].strip().lower(), data
