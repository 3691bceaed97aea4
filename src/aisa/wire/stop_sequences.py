"""The stop sequences of a request, cut out of the text of a vendor that leaves them in. Which vendors do is not known here.

A text ends before the first of them; what a vendor says after it is not shown.
"""

from __future__ import annotations

from aisa.wire.chat import Known
from aisa.wire.halves import Seam
from aisa.wire.trees import Tree, is_tree, trees_in


def stop_sequences(known: Known) -> tuple[str, ...]:
    """Return what the request wants its texts to end before."""
    given = [known.stop] if isinstance(known.stop, str) else known.stop or []
    return tuple([sequence for sequence in given if sequence])


def cut(text: str, stops: tuple[str, ...]) -> str:
    """Return a text up to the first stop sequence in it."""
    ends = [place for stop in stops if (place := text.find(stop)) >= 0]
    return text[: min(ends)] if ends else text


def with_texts_cut(answer: Tree, stops: tuple[str, ...]) -> Tree:
    """Return a conformant answer with the texts of all its choices cut."""
    choices: list[object] = []
    for choice in trees_in(answer.get("choices")):
        message = choice.get("message")
        if is_tree(message) and isinstance(content := message.get("content"), str):
            choices.append({**choice, "message": {**message, "content": cut(content, stops)}})
        else:
            choices.append(choice)
    return {**answer, "choices": choices}


class StopSeam:
    """Cuts one text that comes in pieces, in the place of a `Seam`. Holds back only what could be the beginning of a stop sequence."""

    __slots__ = ("_halves", "_held", "_stopped", "_stops")

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = stops
        self._halves = Seam()
        self._held = ""
        self._stopped = False

    @property
    def open(self) -> bool:
        """True always: no text may pass without having been looked at."""
        return True

    def take(self, text: str) -> str:
        """Return what can be sent now that this piece has come."""
        return self._look(self._halves.take(text))

    def end(self) -> str:
        """Return what is still owed at the end."""
        ready = self._look(self._halves.end())
        held, self._held = self._held, ""
        return ready + held

    def _look(self, text: str) -> str:
        if self._stopped:
            return ""
        text, self._held = self._held + text, ""
        shown = cut(text, self._stops)
        if shown != text:
            self._stopped = True
            return shown
        kept = max(begun(text, stop) for stop in self._stops)
        ready = text[: len(text) - kept]
        self._held = text[len(text) - kept :]
        return ready


def begun(text: str, stop: str) -> int:
    """Return how many characters at a text's end are the beginning of a stop sequence that is not whole yet."""
    return next((size for size in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:size])), 0)
