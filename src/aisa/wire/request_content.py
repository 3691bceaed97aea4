"""What a chat request holds that its bill may depend on, read from the client's own bytes. Prices nothing and asks no vendor."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Raw

from aisa.wire.chat import ChatRequest, Message, Part
from aisa.wire.content import Content, Picture, pages_of, picture_of, seconds_at, sound_seconds
from aisa.wire.generated import text_bytes, text_in
from aisa.wire.trees import is_tree

#: Members that vendors put before the model as text, in one form or another.
WRITTEN_OUT = frozenset({"tools", "functions", "response_format"})


def content_of(chat: ChatRequest) -> Content:
    """Return what a request holds. Its text is that of its messages, tools and schemas: no JSON around it, and no escapes."""
    size = 0
    special: list[int] = []  # messages with more than text
    for place, message in enumerate(chat.known.messages):
        content = message.content
        if isinstance(content, str):
            size += text_bytes(content)
        elif content is not None:
            size += sum([text_bytes(text) for part in content for text in (part.text, part.refusal) if isinstance(text, str)])
            if any(part.type != "text" for part in content):
                special.append(place)
        if message.name is not None:
            size += text_bytes(message.name)
        if isinstance(message.reasoning_content, str):
            size += text_bytes(message.reasoning_content)
        if message.tool_calls is not None or message.function_call is not None:
            size += calls_bytes(message)
    fields = chat.fields
    if not WRITTEN_OUT.isdisjoint(fields):
        size += sum([json_bytes(fields[name]) for name in WRITTEN_OUT if name in fields])
    return shown(chat, size, special) if special else Content(size)


def calls_bytes(message: Message) -> int:
    """Return the size of the calls that an assistant's message made."""
    return text_bytes(text_in({"tool_calls": message.tool_calls, "function_call": message.function_call}))


def json_bytes(value: Raw) -> int:
    """Return the size of a JSON value without the blanks and escapes of whoever wrote it."""
    data = bytes(value)
    if b"\n" in data or b"\\" in data:
        return len(msgspec.json.encode(msgspec.json.decode(data)))
    return 0 if data == b"null" else len(data) - data.count(b'": ') - data.count(b', "')


def beginning(chat: ChatRequest, characters_max: int) -> str:
    """Return the beginning of a request's text, for a tokenizer to try."""
    found: list[str] = []
    left = characters_max
    for message in chat.known.messages:
        for text in texts_of(message):
            if left > 0:
                found.append(text[:left])
                left -= len(text)
    return "".join(found)


def texts_of(message: Message) -> Iterator[str]:
    """Yield whose a message is, what it says, in any of its parts, and what was thought for it."""
    parts = [text for part in parts_of(message) for text in (part.text, part.refusal)]
    said = [message.content] if isinstance(message.content, str) else parts
    yield from [text for text in (message.name, *said, message.reasoning_content) if isinstance(text, str)]


def shown(chat: ChatRequest, size: int, special: list[int]) -> Content:
    """Return the content of a request that shows more than text."""
    pictures = [picture for place in special for part in parts_of(chat.known.messages[place]) for picture in pictures_in(part)]
    seconds, pages, filmed = 0.0, 0, 0.0
    others = {part.type for place in special for part in parts_of(chat.known.messages[place])} - {"text", "image_url", "refusal"}
    if others:
        for part in [part for place in special for part in parts_of(chat.known.messages[place])]:
            seconds += sound_seconds(data) if (data := member(part.input_audio, "data")) else 0.0
            seconds += 0.0 if part.audio_url is None else seconds_at(address_of(part.audio_url))
            filmed += 0.0 if part.video_url is None else seconds_at(address_of(part.video_url), video=True)
            if is_tree(part.file):
                pages += pages_of(member(part.file, "file_data"))
    return Content(size, tuple(pictures), seconds, pages, filmed)


def parts_of(message: Message) -> list[Part]:
    """Return the parts of a message that has some."""
    return message.content if isinstance(message.content, list) else []


def pictures_in(part: Part) -> list[Picture]:
    """Return the picture of a part, if it is one."""
    image = part.image_url
    if image is None:
        return []
    url, detail = (image, None) if isinstance(image, str) else (image.get("url"), image.get("detail"))
    return [picture_of(url if isinstance(url, str) else "", detail if isinstance(detail, str) else None)]


def address_of(given: object) -> str:
    """Return an address that is given by itself or in an object."""
    return given if isinstance(given, str) else member(given, "url")


def member(inner: object, field: str) -> str:
    """Return a text inside a member of a part, an empty one if there is none."""
    value = inner.get(field) if is_tree(inner) else None
    return value if isinstance(value, str) else ""
