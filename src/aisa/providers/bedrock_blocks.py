"""Content blocks between chat messages and Bedrock: parts read as the blocks that `anthropic_turns.py` puts in turns, and those written.

Bedrock takes the bytes of pictures and files and no address, so what stands at one is read for it where that is wanted.
"""

from __future__ import annotations

import re
from hashlib import sha256

from msgspec import Raw

from aisa.providers.anthropic_media import mark_of, part_block, taken_apart
from aisa.providers.concessions import Concessions
from aisa.providers.fetched import FETCHES_MAX, Fetches
from aisa.providers.malformed import malformed
from aisa.providers.mistral_messages import tool_id
from aisa.providers.named_types import type_by_name
from aisa.wire.addresses import is_web_address
from aisa.wire.trees import Tree, as_tree, is_tree, text_or_none, trees_in

PICTURES = {"image/png": "png", "image/jpeg": "jpeg", "image/jpg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
DOCUMENTS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/markdown": "md",
    "text/plain": "txt",
}
SOUNDS = frozenset("mp3 opus wav aac flac mp4 ogg mkv m4a webm pcm".split())
NAME_FOREIGN = re.compile(r"[^a-zA-Z0-9\s\-()\[\]]+")  # what the name of a document may not have
NAME_BLANKS = re.compile(r"\s{2,}")
NAME_CHARACTERS_MAX = 200
TOOL_USE_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}", re.ASCII)
NOTHING: Tree = {"text": "(nothing)"}  # what a tool returned that returned nothing: Bedrock wants some content, and takes no text of blanks
READY = "bedrock"  # the type of a block that is in Bedrock's words already


class Blocks:
    """Those of one request to one model."""

    def __init__(self, model: str, fetches: Fetches) -> None:
        self._nine = "mistral" in model.lower()  # whose ids have nine letters and digits
        self._fetches = fetches

    # From a chat's parts.

    def read(self, part: Tree, where: str, concessions: Concessions) -> Tree | None:
        """Return a part as a block, None for one that says nothing. Raises UpstreamFailed: content is never left out."""
        kind = part.get("type")
        if kind == "image_url":
            given = part.get("image_url")
            url = given.get("url") if is_tree(given) else given
            block = self._picture(url, where, concessions)
        elif kind == "file":
            block = self._file(as_tree(part.get("file")), where, concessions)
        elif kind == "input_audio":
            block = sound(as_tree(part.get("input_audio")), where, concessions)
        else:
            return part_block(part, where, concessions)
        mark = mark_of(part)
        held: Tree = {"type": READY, "block": block}
        return held if mark is None else {**held, "cache_control": mark}

    def _picture(self, url: object, where: str, concessions: Concessions) -> Tree:
        if not isinstance(url, str) or not url:
            raise malformed(where, f"The picture at {where} has no URL.")
        kind, data = taken_apart(url)
        if data is not None:
            if kind not in PICTURES:
                raise concessions.refusal(where, f"pictures are PNG, JPEG, GIF or WebP, not '{kind[:40]}'")
            return {"image": {"format": PICTURES[kind], "source": {"bytes": data}}}
        if url.startswith("s3://"):
            return {"image": {"format": PICTURES.get(type_by_name(url) or "", "png"), "source": {"s3Location": {"uri": url}}}}
        if url.startswith("data:"):
            raise malformed(where, f"The data URL at {where} is not of the form data:TYPE;base64,DATA.")
        form_of, data_of = self._fetched(url, where, concessions)
        return {"image": {"format": form_of, "source": {"bytes": data_of}}}

    def _fetched(self, url: str, where: str, concessions: Concessions) -> tuple[Raw, Raw]:
        fetches = self._fetches
        if not fetches.wanted or (len(fetches.urls) >= FETCHES_MAX and url not in fetches.urls):
            many = f", and this server reads {FETCHES_MAX} for it at most" if fetches.wanted else ""
            why = f"it takes the bytes of a picture and not its address{many}. Send a data URL: data:image/png;base64,..."
            raise concessions.refusal(where, why)
        return fetches.add_format(url)

    def _file(self, file: Tree, where: str, concessions: Concessions) -> Tree:
        data, name = text_or_none(file.get("file_data")), text_or_none(file.get("filename")) or ""
        if data is None:
            raise concessions.refusal(where, "it was uploaded to another vendor; send its data in 'file_data'")
        kind, content = taken_apart(data)
        if kind in PICTURES:
            return self._picture(data, where, concessions)
        if content is None:
            kind, content = type_by_name(name) or "application/pdf", data
        if is_web_address(data):
            raise concessions.refusal(where, "it takes the data of a file and not its address. Send it in 'file_data'")
        if kind not in DOCUMENTS:
            raise concessions.refusal(where, f"files are {', '.join(DOCUMENTS.values())}, with their data: not '{kind[:40]}'")
        return {"document": {"format": DOCUMENTS[kind], "name": document_name(name), "source": {"bytes": content}}}

    # To Bedrock's blocks.

    def write(self, block: Tree) -> list[Tree]:
        """Return a block in Bedrock's words, behind it the mark for the cache if it has one. What only another vendor reads is nothing."""
        written = self._written(block)
        if written is None:
            return []
        inner = trees_in(block.get("content")) if block.get("type") == "tool_result" else []  # which has no marks inside here
        marks = [mark for each in (block, *inner) for mark in cache_point(each)]
        return [written, *marks[:1]]

    def _written(self, block: Tree) -> Tree | None:
        match block.get("type"):
            case "text":
                return {"text": block.get("text")}
            case "tool_use":
                return {"toolUse": {"toolUseId": self._id(block.get("id")), "name": block.get("name"), "input": block.get("input")}}
            case "tool_result":
                content = [written for inner in trees_in(block.get("content")) if (written := self._written(inner)) is not None]
                status = {"status": "error"} if block.get("is_error") is True else {}
                return {"toolResult": {"toolUseId": self._id(block.get("tool_use_id")), "content": content or [NOTHING], **status}}
            case "thinking":
                signature = text_or_none(block.get("signature"))
                signed = {"signature": signature} if signature else {}
                return {"reasoningContent": {"reasoningText": {"text": block.get("thinking") or "", **signed}}}
            case "redacted_thinking":
                return {"reasoningContent": {"redactedContent": block.get("data")}}
            case kind if kind == READY:
                return as_tree(block.get("block"))
            case _:
                return None

    def _id(self, given: object) -> str:
        """Return the id of a call in letters that the model takes: its own as it is, another's always as the same other."""
        text = str(given)
        if self._nine:
            return tool_id(text)
        return text if TOOL_USE_ID.fullmatch(text) else f"tooluse_{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:24]}"


def cache_point(block: Tree) -> list[Tree]:
    """Return the mark for the cache that a block has, which stands behind it here."""
    mark = block.get("cache_control")
    if not is_tree(mark):
        return []
    return [{"cachePoint": {"type": "default", **({"ttl": "1h"} if mark.get("ttl") == "1h" else {})}}]


def sound(given: Tree, where: str, concessions: Concessions) -> Tree:
    """Return sound. Raises UpstreamFailed."""
    data, form = text_or_none(given.get("data")), text_or_none(given.get("format")) or "wav"
    if not data:
        raise malformed(where, f"The sound at {where} has no data.")
    form = "pcm" if form == "pcm16" else form
    if form not in SOUNDS:
        raise concessions.refusal(where, f"sound is {', '.join(sorted(SOUNDS))}, not '{form[:40]}'")
    return {"audio": {"format": form, "source": {"bytes": data}}}


def document_name(name: str) -> str:
    """Return the name of a document in letters that Bedrock takes, without its ending."""
    bare = name.rpartition(".")[0] or name
    return NAME_BLANKS.sub(" ", NAME_FOREIGN.sub(" ", bare)).strip()[:NAME_CHARACTERS_MAX] or "document"


def plain_text(value: object) -> str:
    """Return a text that says something, else nothing: Bedrock takes none that is empty."""
    return value if isinstance(value, str) and value.strip() else ""
