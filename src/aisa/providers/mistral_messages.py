"""Messages of a chat as Mistral's: with the members that it knows and no others, as it refuses a request that has one. Reads no answer."""

from __future__ import annotations

import re
from base64 import b32encode
from hashlib import sha256

import msgspec

from aisa.providers.malformed import calls_in
from aisa.providers.mistral_thinking import with_thinking
from aisa.providers.named_types import type_by_name
from aisa.providers.vendor_state import VendorState
from aisa.wire.chat import ChatRequest
from aisa.wire.trees import Tree, as_tree, is_list, is_tree, text_or_none, trees_in

TOOL_ID = re.compile(r"[a-zA-Z0-9]{9}", re.ASCII)
TOOL_ID_CHARACTERS = 9
#: The members of its content parts. A part of another type is left to it to judge.
PARTS = {
    "text": ("text",),
    "image_url": ("image_url",),
    "document_url": ("document_url", "document_name"),
    "file": ("file_id",),
    "reference": ("reference_ids",),
    "thinking": ("thinking", "signature", "closed"),
}
DETAILS = ("auto", "low", "high")  # how closely it can look at a picture


def messages_of(chat: ChatRequest, state: VendorState | None) -> list[Tree]:
    """Return the messages in Mistral's form: only members that it knows, ids of nine letters and digits, always the same ones.

    Raises UpstreamFailed for a call that calls nothing.
    """
    written: list[Tree] = []
    called = 0  # functions in the older form, which have no ids
    for place, message in enumerate(trees_in(msgspec.json.decode(chat.fields["messages"]))):
        calls_in(message, f"messages[{place}]")
        called += is_tree(message.get("function_call"))
        written.append(message_of(message, f"function_call {called}", state))
    return written


def message_of(message: Tree, legacy_id: str, state: VendorState | None) -> Tree:
    """Return one message. `legacy_id` is that of the last call in the older form, `state` has what was thought before calls."""
    role, content = message.get("role"), content_of(message.get("content"))
    if role == "assistant":
        return said({**message, "content": content}, legacy_id, state)
    if role in ("developer", "system"):
        return {"role": "system", "content": content}
    if role == "function":
        return {"role": "tool", "name": message.get("name"), "content": content, "tool_call_id": tool_id(legacy_id)}
    if role == "tool":
        return {"role": "tool", "content": content, "tool_call_id": tool_id(str(message.get("tool_call_id")))}
    return {"role": role, "content": content}


def said(message: Tree, legacy_id: str, state: VendorState | None) -> Tree:
    """Return what the model said, with its calls, and with what it thought before them; `prefix` has it go on from there."""
    content, refusal = with_thinking(message, state), text_or_none(message.get("refusal"))
    if refusal:
        content = [*text_parts(content), {"type": "text", "text": refusal}] if content else refusal
    written: Tree = {"role": "assistant", "content": "" if content is None else content}
    if message.get("prefix") is True:
        written["prefix"] = True
    calls = [
        call_of(tool_id(str(call.get("id"))), as_tree(call["function"]))
        for call in trees_in(message.get("tool_calls"))
        if is_tree(call.get("function"))
    ]
    legacy = message.get("function_call")
    if is_tree(legacy):
        calls.append(call_of(tool_id(legacy_id), legacy))
    return written | ({"tool_calls": calls} if calls else {})


def text_parts(content: object) -> list[Tree]:
    """Return a content as parts."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else trees_in(content)


def call_of(call_id: str, function: Tree) -> Tree:
    """Return a call."""
    return {"id": call_id, "type": "function", "function": {name: function.get(name) or "" for name in ("name", "arguments")}}


def content_of(content: object) -> object:
    """Return the content of a message: a text as it is, parts as Mistral's."""
    return [part_of(part) for part in trees_in(content)] if is_list(content) else content


def part_of(part: Tree) -> Tree:
    """Return a content part: sound is its data alone, a file a document by its address or data, a refusal a text."""
    sound, file, picture, kind = part.get("input_audio"), part.get("file"), part.get("image_url"), part.get("type")
    if is_tree(sound):
        return {"type": "input_audio", "input_audio": sound.get("data")}
    if is_tree(file):
        return document(file)
    if kind == "refusal":
        return {"type": "text", "text": part.get("refusal")}
    if is_tree(picture):
        detail = {"detail": picture["detail"]} if str(picture.get("detail")) in DETAILS else {}
        return {"type": "image_url", "image_url": {"url": picture.get("url"), **detail}}
    members = PARTS.get(str(kind))
    return part if members is None else {"type": kind, **{name: part[name] for name in members if name in part}}


def document(file: Tree) -> Tree:
    """Return a file by its address or as a data URL, which it becomes where it is data alone, with its name; else as one uploaded there."""
    data, name = text_or_none(file.get("file_data")), text_or_none(file.get("filename"))
    if not data:
        return {"type": "file", "file_id": file.get("file_id")}
    url = data if ":" in data else f"data:{type_by_name(name or '') or 'application/pdf'};base64,{data}"
    return {"type": "document_url", "document_url": url, **({"document_name": name} if name else {})}


def tool_id(given: str) -> str:
    """Return an id that Mistral takes: its own as they are, of others always the same one."""
    return given if TOOL_ID.fullmatch(given) else b32encode(sha256(given.encode()).digest()).decode()[:TOOL_ID_CHARACTERS]
