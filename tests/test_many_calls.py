"""An answer of very many calls, in shapes that few vendors have, is read in a time that grows with it and no faster."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest

from aisa.wire.answer import Document
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.tool_terms import ToolTerms
from rig import body

FEW, MANY = 50, 400


def of_parts(count: int) -> list[dict[str, Any]]:
    """One choice whose calls are parts of its content."""
    parts = [{"type": "tool_use", "id": f"t{number}", "name": "f", "input": {}} for number in range(count)]
    return [{"index": 0, "message": {"role": "assistant", "content": parts}, "finish_reason": "tool_calls"}]


def of_choices(count: int) -> list[dict[str, Any]]:
    """A choice for each call, and one for each word of the text."""
    calls = [{"tool_calls": [{"id": f"t{number}", "function": {"name": "f", "arguments": "{}"}}]} for number in range(count)]
    return [{"index": 0, "message": message, "finish_reason": "tool_calls"} for message in ({"content": "a"}, {"content": "b"}, *calls)]


def steps(choices: list[dict[str, Any]], calls: int) -> int:
    """Return how many functions are entered to read an answer, which has so many calls."""
    chat = CHAT_DOOR.read(body()).as_chat()
    entered = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal entered
        entered += event == "call"

    document = Document(("chatcmpl-1", 1, "m"), terms=ToolTerms(chat), n=1)
    sys.setprofile(count)
    try:
        answer = document.completed({"id": "a", "model": "m", "choices": choices})
    finally:
        sys.setprofile(None)
    (choice,) = answer["choices"]
    assert len(choice["message"]["tool_calls"]) == calls
    assert choice["message"]["content"] in (None, "ab")
    return entered


@pytest.mark.parametrize("choices", [of_parts, of_choices])
def test_eight_times_as_many_calls_take_no_more_than_ten_times_the_steps(choices: Any) -> None:
    """Each was held against every other, or read anew with each that came: a document of 8 MiB stopped all calls for minutes."""
    assert steps(choices(MANY), MANY) < 10 * steps(choices(FEW), FEW)
