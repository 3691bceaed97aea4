"""Messages of a chat as Gemini's `contents` and `systemInstruction`: append-only, so that the same history is always the same bytes.

Where a model has thought before it called a tool, its signature goes back with the call.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from aisa.providers.gemini_media import Media, file_of, media_of, sound_of
from aisa.providers.gemini_signatures import SIGNATURE, Signatures
from aisa.providers.gemini_thinking import FIRST_WITH_LEVELS, generation
from aisa.providers.malformed import malformed
from aisa.providers.shape import Target
from aisa.wire.trees import Tree, is_list, is_tree, trees_in

#: What Google documents for calls whose signature is not at hand: of another model, or of a client that has lost it.
NO_SIGNATURE = "skip_thought_signature_validator"
LEADING = frozenset({"system", "developer"})
TEXTS = ("text", "refusal", "input_text", "output_text")


class Contents(NamedTuple):
    """The conversation as Gemini has it. `signed` says that signatures of the caller's history are in it."""

    system: list[Tree]
    contents: list[Tree]
    signed: bool


class ContentsWriter:
    """Writes the messages of one request. Signatures are not sent back to a target that has refused one of them just now."""

    def __init__(self, target: Target, media: Media) -> None:
        self._newer = generation(target.model) >= FIRST_WITH_LEVELS
        self._media = media
        self._forget = SIGNATURE in target.omit
        self._signatures = Signatures(target.state)
        self._system: list[Tree] = []
        self._contents: list[Tree] = []
        self._names: dict[str, str] = {}  # of the calls so far, by their ids
        self._order: dict[str, int] = {}  # of the last message's calls
        self._signed = False

    def write(self, messages: list[Tree]) -> Contents:
        """Return the conversation. Raises UpstreamFailed for what cannot be expressed."""
        place = 0
        while place < len(messages) and messages[place].get("role") in LEADING:
            self._system += self._instructions(messages[place].get("content"), f"messages[{place}].content")
            place += 1
        while place < len(messages):
            if messages[place].get("role") in ("tool", "function"):
                end = next(
                    (at for at in range(place, len(messages)) if messages[at].get("role") not in ("tool", "function")), len(messages)
                )
                self._add("user", self._results(messages, place, end))
                place = end
                continue
            self._message(messages[place], place)
            place += 1
        if not self._contents:  # a conversation of instructions alone: Gemini wants something to answer
            self._add("user", self._system)
            self._system = []
        return Contents(self._system, self._contents, self._signed)

    def _message(self, message: Tree, place: int) -> None:
        role = message.get("role")
        if role == "assistant":
            self._add("model", self._said(message, place))
        else:
            self._add("user", self._parts(message.get("content"), f"messages[{place}].content"))

    def _add(self, role: str, parts: list[Tree]) -> None:
        if not parts:
            return
        if self._contents and self._contents[-1]["role"] == role:
            last = self._contents[-1]["parts"]
            assert is_list(last), "it was written here"
            last += parts
        else:
            self._contents.append({"role": role, "parts": parts})

    def _instructions(self, content: object, where: str) -> list[Tree]:
        """Return what the system says, which has texts alone here."""
        for order, part in enumerate(trees_in(content)):
            if part.get("type") not in TEXTS and not part.get("text"):
                raise self._media.concessions.refusal(f"{where}[{order}]", "the system says texts; show it in a message of the user's")
        return self._texts(content)

    def _texts(self, content: object) -> list[Tree]:
        texts = [content] if isinstance(content, str) else [part.get("text") or part.get("refusal") for part in trees_in(content)]
        return [{"text": text} for text in texts if isinstance(text, str) and text]

    def _parts(self, content: object, param: str) -> list[Tree]:
        """Return the parts of a message's content."""
        if not is_list(content):
            return self._texts(content)
        parts: list[Tree] = []
        for place, part in enumerate(trees_in(content)):
            kind, where = part.get("type"), f"{param}[{place}]"
            if kind in TEXTS:
                parts += self._texts([part])
            elif kind in ("image_url", "video_url"):
                parts.append(media_of(part.get(str(kind)), where, self._media))
            elif kind == "input_audio":
                parts.append(sound_of(part.get("input_audio"), where))
            elif kind == "file":
                parts.append(file_of(part.get("file"), where, self._media))
            else:
                raise self._media.concessions.refusal(where, f"it has no content part of the type {str(kind)[:40]!r}")
        return parts

    def _said(self, message: Tree, place: int) -> list[Tree]:
        """Return what a model has said: text, then calls with their signatures."""
        parts = self._parts(message.get("content"), f"messages[{place}].content")
        refusal = message.get("refusal")
        parts += self._texts(refusal if isinstance(refusal, str) else None)
        given = {} if self._forget else self._signatures.in_message(message)
        if given.get(""):
            self._signed = True
            parts.append({"text": "", "thoughtSignature": given[""]})
        legacy = message.get("function_call")
        if is_tree(legacy):
            parts.append(self._call(legacy, "", signature=self._signature("", next(iter(given.values()), ""), first=True)))
        self._order = {}
        for order, call in enumerate(trees_in(message.get("tool_calls"))):
            function = call.get("function")
            if not is_tree(function):
                param = f"messages[{place}].tool_calls[{order}]"
                raise self._media.concessions.refusal(param, "it calls functions only")
            call_id = str(call.get("id") or "")
            self._names[call_id] = str(function.get("name") or "")
            self._order[call_id] = order
            parts.append(self._call(function, call_id, signature=self._signature(call_id, given.get(call_id, ""), first=order == 0)))
        return parts

    def _call(self, function: Tree, call_id: str, *, signature: str) -> Tree:
        named = {"id": call_id} if call_id and self._newer else {}
        call: Tree = {**named, "name": function.get("name"), "args": arguments(function.get("arguments"))}
        return {"functionCall": call, **({"thoughtSignature": signature} if signature else {})}

    def _signature(self, call_id: str, given: str, *, first: bool) -> str:
        """Return the signature that a call came with; what stands for one where the first of a step has none and needs one."""
        signature = given or ("" if self._forget or not call_id else self._signatures.kept(call_id))
        if signature:
            self._signed = True
            return signature
        return NO_SIGNATURE if first and self._newer else ""

    def _results(self, messages: list[Tree], begin: int, end: int) -> list[Tree]:
        """Return the results of one step, in the order of its calls: older models tell them apart by that."""
        found: list[tuple[int, list[Tree]]] = []
        for place in range(begin, end):
            message = messages[place]
            call_id = str(message.get("tool_call_id") or "")
            name = self._names.get(call_id) or message.get("name")
            if not isinstance(name, str) or not name:
                why = f"No earlier message has a tool call of the id that messages[{place}].tool_call_id answers."
                raise malformed(f"messages[{place}].tool_call_id", why)
            found.append((self._order.get(call_id, place), self._result(message, name, call_id, place=place)))
        return [part for _, parts in sorted(found, key=lambda item: item[0]) for part in parts]

    def _result(self, message: Tree, name: str, call_id: str, *, place: int) -> list[Tree]:
        parts = self._parts(message.get("content"), f"messages[{place}].content")
        text = "".join([str(part["text"]) for part in parts if "text" in part])
        shown = [part for part in parts if "text" not in part]
        response: Tree = {"name": name, "response": {"error" if message.get("is_error") is True else "output": text}}
        if not self._newer:
            return [{"functionResponse": response}, *shown]
        named = {"id": call_id} if call_id else {}
        return [{"functionResponse": {**named, **response, **({"parts": shown} if shown else {})}}]


def arguments(given: object) -> Tree:
    """Return the arguments of a call as an object; what a model wrote that is none goes back under one name."""
    if not given:
        return {}
    try:
        value: object = msgspec.json.decode(given) if isinstance(given, str) else given
    except (msgspec.DecodeError, RecursionError):
        value = given
    return value if is_tree(value) else {"arguments": given}
