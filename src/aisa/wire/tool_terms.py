"""What a request says about tools that decides how its answer is read: their names, whether one was forced, which API it speaks."""

from __future__ import annotations

from functools import cached_property

from aisa.wire.chat import ChatRequest
from aisa.wire.finish import FUNCTION_CALL, STOP, TOOL_CALLS
from aisa.wire.trees import is_tree


class ToolTerms:
    """The terms of one request, which may be folded. Costs nothing until an answer calls something."""

    def __init__(self, chat: ChatRequest) -> None:
        self._chat = chat

    @cached_property
    def names(self) -> frozenset[str]:
        """The functions that the model may call."""
        known = self._chat.known
        tools = [tool.function.name for tool in known.tools or [] if tool.function is not None]
        return frozenset(tools + [function.name for function in known.functions or []])

    def is_whole(self, name: str) -> bool:
        """Tell whether a name must be complete: it is a function's, and that of no other function begins with it."""
        return name in self.names and not any(other != name and other.startswith(name) for other in self.names)

    def is_beginning(self, name: str) -> bool:
        """Tell whether a function's name is this one or begins with it."""
        return any(other.startswith(name) for other in self.names)

    @property
    def is_older(self) -> bool:
        """True if the request speaks of functions alone: who sent it looks for a call in the words of that API."""
        return self._chat.known.functions is not None and self._chat.known.tools is None

    @property
    def forced_by_name(self) -> bool:
        """True if the request made the model call one function that it named. OpenAI ends such an answer with `stop`."""
        known = self._chat.known
        choice = known.tool_choice if known.tool_choice is not None else known.function_call
        return is_tree(choice) and any(name in choice for name in ("function", "custom", "name"))

    def reason(self, verdict: str, *, called: bool, called_legacy: bool) -> str:
        """Return the finish reason of a choice that has called tools, or a function of the older API, or neither."""
        if verdict == FUNCTION_CALL and self._chat.known.functions is None:
            return TOOL_CALLS
        if verdict == TOOL_CALLS and called_legacy and not called:
            return FUNCTION_CALL
        if verdict == STOP and (called or called_legacy) and not self.forced_by_name:
            return TOOL_CALLS if called else FUNCTION_CALL
        return verdict
