"""What the operator is told of vendors' answers beside the lines of the calls: once each or once an hour, however many calls show it."""

from __future__ import annotations

from collections.abc import Callable

from aisa.facts import AnsweredOtherwise, ChoicesMissing, Fact, FinishUnknown, InputChanged, KindUnpriced, UsageMisreported
from aisa.ledger.row import NO_OWN_PRICE, OTHER_PRICE, CallRow
from aisa.providers.shape import Decoder, Target

Notice = AnsweredOtherwise | ChoicesMissing | FinishUnknown | InputChanged | KindUnpriced | UsageMisreported
QUIET_SECONDS = 3_600.0  # a line an hour is seen, and does not fill a disk
ONCE_MAX = 1_000  # things that are told once; a vendor that makes up more is known by then


class Notices:
    """Passes to `report` what it has not been told of lately, by vendors' names, which are as many as the configuration has."""

    def __init__(self, report: Callable[[Fact], None]) -> None:
        self._report = report
        self._once: set[tuple[str, ...]] = set()
        self._hourly: dict[tuple[str, ...], float] = {}  # when it was told last

    def tell(self, notice: Notice, now: float) -> None:
        """Report it, if it is news. `now` is in the event loop's seconds."""
        match notice:
            case UsageMisreported() | KindUnpriced():
                key: tuple[str, ...] = (type(notice).__name__, notice.vendor)
                if now < self._hourly.get(key, now - QUIET_SECONDS) + QUIET_SECONDS:
                    return
                self._hourly[key] = now
            case _:
                key = _seen(notice)
                if key in self._once or len(self._once) >= ONCE_MAX:
                    return
                self._once.add(key)
        self._report(notice)

    def tell_mark(self, mark: str, row: CallRow, target: Target, *, now: float) -> None:
        """Tell what was noted of the price of an answer, in one of the marks of its bill."""
        word, _, kinds = mark.partition(":")
        if word == NO_OWN_PRICE:
            self.tell(KindUnpriced(row.id, target.vendor, target.model, kinds), now)
        elif word == OTHER_PRICE:
            self.tell(AnsweredOtherwise(row.id, target.vendor, target.model, row.answered_model or "", row.price_source), now)

    def tell_answer(self, call_id: str, target: Target, decoder: Decoder, *, choices: tuple[int, int], now: float) -> None:
        """Tell of finish reasons that nobody knows, and of choices that are missing: so many were asked for, and so many made."""
        for word in decoder.unknown:
            self.tell(FinishUnknown(call_id, target.vendor, target.model, word), now)
        if choices[0] > choices[1]:
            self.tell(ChoicesMissing(call_id, target.vendor, target.model, *choices), now)


def _seen(notice: AnsweredOtherwise | ChoicesMissing | FinishUnknown | InputChanged) -> tuple[str, ...]:
    """Return what makes two of them the same."""
    match notice:
        case AnsweredOtherwise(vendor=vendor, model=model, answered=answered):
            return "answered", vendor, model, answered
        case ChoicesMissing(vendor=vendor, model=model):
            return "choices", vendor, model
        case InputChanged(vendor=vendor, model=model):
            return "input", vendor, model
        case FinishUnknown(vendor=vendor, word=word):
            return "finish", vendor, word
