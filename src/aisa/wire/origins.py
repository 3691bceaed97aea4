"""Refusals of a chat completion that a request of another protocol was read into, told by the places and the names that the client wrote.

The request is read once more for that, as nobody asks where anything came from before something is refused. What nobody knows is not named.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from aisa.errors import ApiError, UpstreamFailed
from aisa.wire.chat import ChatRequest, chat_of
from aisa.wire.losses import Traced
from aisa.wire.own_names import in_own_names, retold
from aisa.wire.trees import Tree, as_list, as_tree

#: A place in a chat completion, with brackets or points: which message or tool, which of its parts or calls, and what stands behind that.
PLACE = re.compile(
    r"\b(?:body\.)?(messages|tools)[.\[](\d{1,9})\b\]?(?:\.(content|tool_calls)\b(?:[.\[](\d{1,9})\b\]?)?)?((?:\.\w+|\[\d+\])*)"
)
#: A member by its name, quoted or at the beginning, as in `max_tokens: 9 > 8`.
NAME = re.compile(r"(?<=['`])[a-z_]+(?=(?:\[\d+\])?['`])|^[a-z_]+(?=:)")
#: A place in what we have sent to a vendor, in its own form: none that its client could know.
SENT = re.compile(r"\b(?:GenerateContentRequest\.)?(?:messages|contents|input)(?:\[\d+\]|\.\d+)(?:\.\w+|\[\d+\])*")
CHAT, MISTRAL, MESSAGES = "openai", "mistral", "messages"  # the first two count the messages of a chat as it has them


class Translated(ABC):
    """A request of another protocol than chat completions. `own_names` are what that calls their members."""

    protocol: ClassVar[str]
    own_names: ClassVar[Mapping[str, str]]
    body_bytes: int

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
        if not PLACE.search(f"{error.message} {error.param}"):
            return error
        chat, traced = self.traced()
        return with_places(error, PLACE, lambda found: self._place(found, chat, traced))

    def _place(self, found: re.Match[str], chat: Tree, traced: Traced) -> str:
        """Return what a client calls a place of the chat completion; where that is not known, the whole in which it stands."""
        root, behind = found[1], found[5].removeprefix(".")
        outer = entry(chat.get(root), int(found[2]))
        inner = traced.place(entry(as_tree(outer).get(found[3] or ""), int(found[4]))) if found[4] else ""
        place = inner or traced.place(outer)
        if not place:
            return self.own_names.get(root, root)
        name = self.own_names.get(f".{behind}", "")
        return f"{place}.{name}" if name else place


def entry(given: object, place: int) -> object:
    """Return what stands at a place of a list; None if nothing does."""
    entries = as_list(given)
    return entries[place] if place < len(entries) else None


def at_home(failed: UpstreamFailed, request: object, dialect: str, *, ours: bool) -> UpstreamFailed:
    """Return why a target was not asked, in words of `ours`, or has refused, told by the places that the client wrote.

    Where its vendor speaks the client's own protocol it has read the client's own words.
    """
    if not isinstance(request, Translated | ChatRequest):
        return failed
    error, asked = failed.error, request if isinstance(request, Translated) else None
    if not (failed.is_home or dialect == (CHAT if asked is None else asked.protocol)):
        if not (ours or dialect in (CHAT, MISTRAL)):
            error = with_places(error, SENT, lambda _: MESSAGES if asked is None else asked.own_names.get(MESSAGES, MESSAGES))
        if asked is not None:
            error = asked.told_at_home(error) if ours else in_own_names(asked.placed(error), asked.own_names)
    failed.error = error if asked is None else asked.as_sent(error)
    return failed


def named(members: Sequence[str], request: object) -> str:
    """Return a list of members of a chat completion, some with their values, by the names that the client of the request knows them by."""
    names: Mapping[str, str] = request.own_names if isinstance(request, Translated) else {}
    parted = [member.partition("=") for member in members]
    return ", ".join(dict.fromkeys([f"{names.get(name, name)}{equals}{value}" for name, equals, value in parted]))


def with_places(error: ApiError, pattern: re.Pattern[str], place: Callable[[re.Match[str]], str]) -> ApiError:
    """Return an error with other places in its words and its member."""
    message, param = pattern.sub(place, error.message), pattern.sub(place, error.param) if error.param else error.param
    return error if (message, param) == (error.message, error.param) else retold(error, message, param)
