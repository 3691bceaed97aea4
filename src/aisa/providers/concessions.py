"""What of a request a dialect cannot write as it was asked: refused, left out or moved, as the model's entry says, and told to the caller.

Contract, section 1. A refusal is the caller's 422, after the other targets were asked, who may be able to. Knows no dialect.
"""

from __future__ import annotations

from aisa.errors import CALLER, ApiError, UpstreamFailed
from aisa.providers.shape import Target

REFUSE, DROP, REFUSE_VALUES = "refuse", "drop", "refuse_values"
SHOWN_CHARACTERS_MAX = 100  # of a value in a header or a message


class Concessions:
    """Collects what one request to one target had to give up. `dropped` and `changed` go into the UpstreamRequest."""

    def __init__(self, target: Target, model_class: str = "", *, translated: bool = False) -> None:
        """`model_class` says in an error what kind of model it is that cannot: nothing for the dialect's models at large.

        `translated`: the request came in another protocol than chat completions.
        """
        self._target, self._translated = target, translated
        known = target.facts.title if target.facts is not None else ""
        self._class = model_class or known or f"models of the vendor '{target.vendor}'"
        self._dropped: dict[str, None] = {}
        self._changed: dict[str, str] = {}

    @property
    def dropped(self) -> tuple[str, ...]:
        """The parameters that were left out."""
        return tuple(self._dropped)

    @property
    def changed(self) -> tuple[str, ...]:
        """The parameters whose values were moved, as `name=value`."""
        return tuple([f"{name}={value}" for name, value in self._changed.items()])

    def drop(self, name: str, why: str = "") -> None:
        """Leave a parameter out that cannot be expressed. Raises UpstreamFailed, unless the model's entry has such dropped."""
        if self._target.unsupported != DROP:
            raise self.refusal(name, why)
        self._dropped[name] = None

    def do_without(self, name: str, why: str = "") -> None:
        """Leave a parameter out that clients of other protocols cannot help sending (effort, one call at a time). Of a chat's: `drop`."""
        if self._translated:
            self.leave_out(name)
        else:
            self.drop(name, why)

    def leave_out(self, name: str) -> None:
        """Note that a parameter was left out that its client cannot help sending. Never refused."""
        self._dropped[name] = None

    def move(self, name: str, value: object, why: str = "") -> None:
        """Note that a parameter gets the nearest value that the model takes. Raises UpstreamFailed where that is to be refused."""
        if self._target.unsupported == REFUSE_VALUES:
            raise self.refusal(name, why or f"the nearest value that it takes is {value}")
        self._changed[name] = shown(value)

    def advise_against(self, name: str, value: object) -> None:
        """Note a value that its vendor advises against. It is sent as it is, and never refused."""
        self._changed[name] = shown(value)

    def refusal(self, name: str, why: str = "") -> UpstreamFailed:
        """Return the failure for what cannot be expressed at all."""
        message = f"'{name}' cannot be given to {self._class}" + (f": {why}." if why else ".")
        return refused("unsupported_parameter", message, param=name)


def shown(value: object) -> str:
    """Write a value as a header takes it."""
    return "".join([letter if letter.isascii() and letter.isprintable() else "?" for letter in str(value)])[:SHOWN_CHARACTERS_MAX]


def nothing_to_answer() -> UpstreamFailed:
    """Return the refusal of messages that say nothing, which vendors refuse in words about their own members."""
    return refused("invalid_request", "There is no message with text, which the model needs to answer to.", param="messages")


def refused(code: str, message: str, *, param: str | None = None) -> UpstreamFailed:
    """Return the failure for a request that a target cannot be asked: the caller's, and others may be able to."""
    return UpstreamFailed(ApiError(code, message, param=param), blame=CALLER, detail=message)
