"""Refusals of a chat completion that a request of another protocol was read into, told by the places and the names that the client wrote.

The request is read once more for that, as nobody asks where anything came from before something is refused. What nobody knows is not named.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import msgspec

from aisa.errors import ApiError, UpstreamFailed
from aisa.wire.chat import ChatRequest, chat_of
from aisa.wire.losses import Traced
from aisa.wire.own_names import in_own_names, retold
from aisa.wire.trees import Tree, as_list, as_tree, is_tree

#: The number of an entry, as `[3]`, `.3` or `.[3]`; and what stands behind a place.
AT, BEHIND = r"(?:\.?\[|\.)(\d{1,9})\b\]?", r"""((?:\.[\w$-]+|\[(?:[\w$-]{1,99}|'[^']{1,99}'|"[^"]{1,99}")\])*)"""
#: A place in a chat completion: which message or tool, which of its parts or calls, and what stands behind that.
PLACE = re.compile(rf"(?<![\w.])(?:\w{{1,40}}\.){{0,3}}(messages|tools){AT}(?:\.(content|tool_calls)\b(?:{AT})?)?{BEHIND}")
#: The same as frameworks of Python's write it: `('body', 'messages', 3, 'content', 0, 'text')`.
LISTED_GAP = re.compile(r"\W*, ?\W*|\W+$")
LISTED = re.compile(r"""[(\[]['"]body['"]((?:, ?(?:['"][\w-]{1,99}['"]|\d{1,9})){1,32}),?[)\]]""")
#: A member by its name, quoted or at the beginning, as in `max_tokens: 9 > 8`.
NAME = re.compile(r"(?<=['`])[a-z_]+(?=(?:\[\d+\])?['`])|^[a-z_]+(?=:)")
#: A place in what we have sent to a vendor, in its own form: none that its client could know.
SENT = re.compile(rf"\b(?:GenerateContentRequest\.)?(?:messages|contents|input){AT}{BEHIND}")
#: A tool in that, and what is known of it there: its name, or a place in its schema.
SENT_TOOL = re.compile(rf"(?<![\w.])(?:GenerateContentRequest\.|toolConfig\.)?tools{AT}(?:\.function_?[dD]eclarations{AT})?{BEHIND}")
IN_TOOL = re.compile(r"\.(?:custom\.|function\.)?(?:(name)$|(?:input_schema|parameters(?:_json_schema|JsonSchema)?)\b(.*))")
OF_MAP = re.compile(r"\[\d+\]\.value\b.*")  # Google counts the members of an object, which their client does not
CHAT, MISTRAL, MESSAGES = "openai", "mistral", "messages"  # the first two count the messages of a chat as it has them
GEMINI, OFFER = "gemini", {"tools", "functions", "tool_choice"}
IN_ORDER = ("anthropic", "cohere", GEMINI, "responses")  # have the functions of a chat as it has them; Google all in one tool


class Translated(ABC):
    """A request of another protocol than chat completions. `own_names` are what that calls their members."""

    protocol: ClassVar[str]
    own_names: ClassVar[Mapping[str, str]]
    body_bytes: int

    @property
    @abstractmethod
    def bounds_reasoning(self) -> bool:
        """True if the client's bound on output tokens holds for hidden reasoning too."""

    @property
    def bound_tells_length(self) -> bool:
        """True if it is one of all output, as whoever sends one means it."""
        return self.bounds_reasoning

    @abstractmethod
    def traced(self) -> tuple[Tree, Traced]:
        """Return the members of the chat completion that it comes to, and where they came from."""

    def chat_from(self, tree: Tree) -> ChatRequest:
        """Return the chat completion that these members are. Raises ApiError as `parse_chat` does, in the client's own words."""
        try:
            return chat_of(tree, self.body_bytes)
        except ApiError as error:
            raise self.told_at_home(error) from None

    def told_at_home(self, error: ApiError) -> ApiError:
        """Return a refusal of ours in the client's own words."""
        told = self.placed(error)
        param = self.own_names.get(told.param or "", told.param)
        return retold(told, NAME.sub(lambda found: self.own_names.get(found[0], found[0]), told.message), param)

    def as_sent(self, error: ApiError) -> ApiError:
        """Return an error by the places of the client's own request, where the one that was read is longer."""
        return error

    def placed(self, error: ApiError) -> ApiError:
        """Return a refusal that names places in a chat completion as one that names those in which the client wrote the same."""
        error = with_places(error, LISTED, lambda found: f"'{LISTED_GAP.sub('.', found[1]).strip('.')}'")
        if not PLACE.search(f"{error.message} {error.param}"):
            return error
        chat, traced = self.traced()
        return with_places(error, PLACE, lambda found: self._place(found, chat, traced))

    def _place(self, found: re.Match[str], chat: Tree, traced: Traced) -> str:
        """Return what a client calls a place of the chat completion; where that is not known, the whole in which it stands."""
        root, behind = found[1], found[5]
        outer = entry(chat.get(root), int(found[2]))
        inner = entry(as_tree(outer).get(found[3] or ""), int(found[4])) if found[4] else outer
        if place := traced.place(inner):
            return place + self._behind(behind, inner)
        return traced.place(outer) or self.own_names.get(root, root)

    def _behind(self, behind: str, written: object) -> str:
        """Return what a client calls a member of something that has come from one place of his; nothing if that is not known."""
        if re.split(r"[.\[]", f"{behind}.")[1] not in as_tree(written):
            return ""
        for ours, theirs in self.own_names.items():
            if ours.startswith(".") and behind.startswith(ours) and (rest := behind.removeprefix(ours))[:1] in ("", ".", "["):
                return f".{theirs}{rest}"
        return ""


def entry(given: object, place: int) -> object:
    """Return what stands at a place of a list; None if nothing does."""
    entries = as_list(given)
    return entries[place] if place < len(entries) else None


def at_home(failed: UpstreamFailed, request: object, dialect: str, *, ours: bool, once_more: bool = True) -> UpstreamFailed:
    """Return why a target was not asked, in words of `ours`, or has refused, told by the places that the client wrote.

    Where its vendor speaks the client's own protocol it has read the client's own words. Who must not wait until a large request is read
    `once_more` is told of no place in it.
    """
    if not isinstance(request, Translated | ChatRequest):
        return failed
    error, asked = failed.error, request if isinstance(request, Translated) else None
    if not (failed.is_home or dialect == (CHAT if asked is None else asked.protocol)):
        names: Mapping[str, str] = {} if asked is None else asked.own_names
        if not once_more and (asked is not None or dialect != MISTRAL):
            for pattern in (LISTED, SENT_TOOL, SENT, PLACE):
                error = with_places(error, pattern, lambda found: whole_of(found[0], names))
        elif not (ours or dialect in (CHAT, MISTRAL)):
            error = with_tools(error, request, dialect)
            error = with_places(error, SENT, lambda found: whole_of(found[0], names))
        if asked is not None:
            error = asked.told_at_home(error) if ours else in_own_names(asked.placed(error), asked.own_names)
    failed.error = error if asked is None else asked.as_sent(error)
    return failed


def whole_of(place: str, names: Mapping[str, str]) -> str:
    """Return in what of the client's a place stands that was sent to a vendor, or in a chat completion: its tools or its conversation."""
    return "tools" if "tools" in place else names.get(MESSAGES, MESSAGES)


def with_tools(error: ApiError, request: Translated | ChatRequest, dialect: str) -> ApiError:
    """Return a vendor's refusal with the places of tools in a chat completion; with `tools` where its own may be counted otherwise."""
    if not SENT_TOOL.search(f"{error.message} {error.param}"):
        return error
    if isinstance(request, Translated):
        chat, _ = request.traced()
    else:
        chat = {name: msgspec.json.decode(request.fields[name]) for name in OFFER & request.fields.keys()}
    choice, alike = chat.get("tool_choice"), all(as_tree(tool).get("type") == "function" for tool in as_list(chat.get("tools")))
    known = dialect in IN_ORDER and alike and not chat.get("functions") and not (is_tree(choice) and choice.get("type") != "function")

    def place(found: re.Match[str]) -> str:
        number = found[2] if dialect == GEMINI else found[1]
        if not known or number is None or (inner := IN_TOOL.match(found[3])) is None:
            return f"tools[{number}]" if known and number is not None else "tools"
        return f"tools[{number}].function." + (inner[1] or f"parameters{OF_MAP.sub('', inner[2])}")

    return with_places(error, SENT_TOOL, place)


def named(members: Sequence[str], request: object) -> str:
    """Return a list of members of a chat completion, some with their values, by the names that the client of the request knows them by.

    Of those that have one name in his protocol, or were moved twice, the last says what was sent.
    """
    names: Mapping[str, str] = request.own_names if isinstance(request, Translated) else {}
    parted = [member.partition("=") for member in members]
    return ", ".join([name + value for name, value in {names.get(name, name): equals + value for name, equals, value in parted}.items()])


def with_places(error: ApiError, pattern: re.Pattern[str], place: Callable[[re.Match[str]], str]) -> ApiError:
    """Return an error with other places in its words and its member."""
    message, param = pattern.sub(place, error.message), pattern.sub(place, error.param) if error.param else error.param
    return error if (message, param) == (error.message, error.param) else retold(error, message, param)
