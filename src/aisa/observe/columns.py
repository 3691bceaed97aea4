"""Facts for people at a terminal: a line a call in columns, notices in broken lines, as wide as the terminal and in its colours.

What of a vendor failed in a call is told with the call, in its line. Where no terminal is, a line is as long as it has to be.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from datetime import datetime

from aisa.errors import OPERATOR
from aisa.facts import BugFound, CallEnded, Fact, Refused, Replayed, VendorFailed
from aisa.ids import short_id
from aisa.ledger.rules import COMPLETED, FAILED
from aisa.money import Nanos, rounded_dollars
from aisa.names import UNREAD
from aisa.observe.levels import ERROR, INFO, LEVELS, WARNING, level_of
from aisa.observe.log import LINE_CHARACTERS_MAX, middle_cut
from aisa.observe.words import in_words, noted, printable, what_was_asked

FAILURES_HELD_MAX = 10_000  # attempts that failed, of calls that have not ended; beyond, each is told in a line of its own
LOUD_SECONDS = 60.0  # between two lines about the same of an operator's faults at a vendor; its calls tell it too
LOUD_KINDS_MAX = 256  # of such faults that are remembered; beyond, all are told again
NOTICE_LINES_MAX = 6  # of a terminal for what is not a call, and for why one failed
BELOW = 13  # columns that this is set in by: behind the time and the status
WIDTH_MIN = 60
FIRST_WIDTH_MIN = 112  # of a terminal that has room for the time to the first token
SHORT_ID_WIDTH_MIN = 140  # of one that has room for those
ROOMY_WIDTH_MIN = 132  # of one with room between columns, and for what is out of the ordinary behind the id
KEY_MAX, MODEL_MAX, KEY_MIN, MODEL_MIN = 16, 28, 8, 12
NOTE_MIN = 10  # characters that say something of what is out of the ordinary
SHORT_ID_CHARACTERS = 18  # of `ids.short_id`, which `aisa explain` takes
ID_CHARACTERS = 13  # of its narrow form, the second and what tells a process's calls of that apart: explain takes it, too
ID_ENDS = 5  # of either: the dots and what is behind them
TOKENS_WIDTH, COST_WIDTH, SECONDS_WIDTH = 13, 9, 6
COST_PLACES = 6
UNITS = ((10**3, "k"), (10**6, "M"), (10**9, "G"))

RESET, DIM, BOLD, RED, GREEN, YELLOW, CYAN = "\x1b[0m", "\x1b[2m", "\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[36m"
BY_LEVEL = {INFO: "", WARNING: YELLOW, ERROR: BOLD + RED}


class TextLines:
    """Writes facts from a level on for people, and nothing of the others.

    `width` returns the terminal's columns, None where there is none; `colours` may be used; `plain` where only ASCII shows.
    """

    def __init__(
        self, least: str = INFO, *, width: Callable[[], int | None] = lambda: None, colours: bool = False, plain: bool = False
    ) -> None:
        self._least = LEVELS.index(least)
        self._width = width
        self._colours = colours
        self._plain = plain
        self._held: dict[str, list[VendorFailed]] = {}
        self._told: dict[tuple[str, str], float] = {}

    def __call__(self, at: float, fact: Fact) -> bytes:
        """Return what is to be written of a fact at a UNIX second: a line, several, or nothing."""
        level = level_of(fact)
        if isinstance(fact, VendorFailed) and self._waits(at, fact):
            return b""
        failures = self._held.pop(fact.request_id, []) if isinstance(fact, CallEnded) else []
        worst = max([level, *map(level_of, failures)], key=LEVELS.index)
        if LEVELS.index(worst) < self._least:
            return b""
        width = self._width()
        columns = Columns(width, colours=self._colours, plain=self._plain)
        text = columns.line(at, fact, failures, level=worst)
        if width is None and len(text) > LINE_CHARACTERS_MAX:
            text = middle_cut(text, LINE_CHARACTERS_MAX)
        return f"{ascii_only(text) if self._plain else text}\n".encode("utf-8", "backslashreplace")

    def _waits(self, at: float, fact: VendorFailed) -> bool:
        """Say whether a failed attempt is told with its call; the operator hears of his own at once, but not again and again."""
        held = sum(map(len, self._held.values())) if len(self._held) > FAILURES_HELD_MAX // 10 else 0
        if len(self._held) >= FAILURES_HELD_MAX or held >= FAILURES_HELD_MAX:
            return False
        self._held.setdefault(fact.request_id, []).append(fact)
        if fact.blame != OPERATOR:
            return True
        told, kind = self._told, (fact.vendor, fact.code)
        if at < told.get(kind, float("-inf")) + LOUD_SECONDS:
            return True
        if len(told) >= LOUD_KINDS_MAX:
            told.clear()
        told[kind] = at
        return False


def text_line(at: float, fact: Fact) -> bytes:
    """Write one fact by itself where no terminal is."""
    said = Columns(None).line(at, fact, [], level=level_of(fact))
    return f"{middle_cut(said, LINE_CHARACTERS_MAX)}\n".encode("utf-8", "backslashreplace")


def ascii_only(text: str) -> str:
    """Write a text with what every terminal shows."""
    return text.replace("…", "~").replace("→", ">").encode("ascii", "replace").decode()


class Columns:
    """Lines for one width of the terminal, None for no terminal."""

    def __init__(self, width: int | None, *, colours: bool = False, plain: bool = False) -> None:
        self.width = None if width is None else max(width, WIDTH_MIN)
        self._colours = colours
        self._gap = "  " if width is None or width >= ROOMY_WIDTH_MIN else " "
        self._first = width is None or width >= FIRST_WIDTH_MIN
        self._id = ID_CHARACTERS if width is None or width < SHORT_ID_WIDTH_MIN else SHORT_ID_CHARACTERS
        figures = TOKENS_WIDTH + COST_WIDTH + SECONDS_WIDTH * (2 if self._first else 1) + len(self._gap) * (3 if self._first else 2)
        names = KEY_MAX + MODEL_MAX
        if self.width is not None:
            names = min(names, self.width - 8 - 3 - figures - self._id - 5 * len(self._gap))
        self._key = min(KEY_MAX, max(KEY_MIN, names * 2 // 5))
        self._model = min(MODEL_MAX, max(MODEL_MIN, names - self._key))

    def line(self, at: float, fact: Fact, failures: list[VendorFailed], *, level: str) -> str:
        """Return a fact in a line, or, at a terminal and if it is no call, in some. `failures` are its call's attempts in vain."""
        moment = datetime.fromtimestamp(at).astimezone()
        clock = moment.strftime("%H:%M:%S" if self.width is not None else "%Y-%m-%d %H:%M:%S")
        if isinstance(fact, CallEnded):
            return self._call(clock, fact, failures)
        if isinstance(fact, Refused) and self.width is not None:
            return self._refused(clock, fact)
        if isinstance(fact, Replayed) and self.width is not None:
            said = f"free: the answer of {self._shown_id(fact.call_id)} again"
            return self._row(clock, (200, fact.key_label, "-"), fact.request_id, what=said)
        if isinstance(fact, BugFound) and self.width is not None:
            return self._bug(clock, fact)
        return self._notice(clock, in_words(fact), BY_LEVEL[level])

    def _call(self, clock: str, fact: CallEnded, failures: list[VendorFailed]) -> str:
        who = (fact.status, fact.key_label, fact.model)
        if fact.outcome == COMPLETED or self.width is None:
            note = "; ".join(part for part in (noted(fact), *map(why, failures)) if part)
            note += f"  from {fact.address}" if fact.address and self.width is None else ""
            figures = self._figures(fact)
            whole = f"{figures}{self._gap}{note}"
            if not failures or self._has_room(whole):
                room = self.width is None or self._room >= len(figures) + NOTE_MIN
                return self._row(clock, who, fact.request_id, what=whole if room else figures)
            return self._row(clock, who, fact.request_id, what=figures, below=note)
        known = f"{cost_text(fact.cost_nanos)} " if fact.cost_nanos else ""
        what, cause = f"{known}{gone_wrong(fact)}", said_by(failures[-1]) if failures else ""
        whole = f"{what} ({cause})" if cause else what
        if not cause or self._has_room(whole):
            return self._row(clock, who, fact.request_id, what=whole)
        return self._row(clock, who, fact.request_id, what=what, below=cause)

    def _refused(self, clock: str, fact: Refused) -> str:
        where = f" from {fact.address}" if fact.address else ""
        who = (fact.status, fact.key_label or "-", fact.model or "-")
        what = f"{fact.code}: {what_was_asked(fact)}{where}"
        if fact.path != UNREAD or self._has_room(what):
            return self._row(clock, who, fact.request_id, what=what)
        return self._row(clock, who, fact.request_id, what=fact.code, below=what_was_asked(fact))

    def _bug(self, clock: str, fact: BugFound) -> str:
        """Return a bug with its trace, which is many lines by nature; each of them is set in, so that none looks like a line of the log."""
        head = self._paint(f"{clock} BUG {fact.request_id}: please report it, with what follows", BOLD + RED)
        shown = middle_cut(fact.trace, LINE_CHARACTERS_MAX).splitlines()
        return "\n".join([head, *(self._paint(f"         | {printable(line)}", DIM) for line in shown)])

    def _notice(self, clock: str, said: str, colour: str) -> str:
        if self.width is None:
            return f"{clock}  {said}"
        shown = self._wrapped(said, self.width - 10)
        return "\n".join(f"{clock if number == 0 else ' ' * 8} {self._paint(text, colour)}" for number, text in enumerate(shown or [""]))

    def _wrapped(self, said: str, width: int) -> list[str]:
        return textwrap.wrap(middle_cut(said, LINE_CHARACTERS_MAX), width, max_lines=NOTICE_LINES_MAX, placeholder=" …")

    def _has_room(self, what: str) -> bool:
        """Say whether so much fits behind the id."""
        return self.width is None or len(printable(what).rstrip()) <= self._room

    @property
    def _room(self) -> int:
        """How many characters there are behind the id."""
        return (self.width or LINE_CHARACTERS_MAX) - 8 - 3 - self._key - self._model - self._id - 5 * len(self._gap)

    def _shown_id(self, id_: str) -> str:
        """Return the short form of a call's id that there is room for."""
        return short_id(id_, beginning=self._id - ID_ENDS)

    def _row(self, clock: str, who: tuple[int, str, str], id_: str, *, what: str, below: str = "") -> str:
        """Return a line: when, the status, whose, which model, the id, and of `what` as much as there is room for.

        What has to be read whole stands `below` it, set in: why a call failed is not cut off.
        """
        status, key, model = who
        shown = printable(id_ if self.width is None else self._shown_id(id_))
        what = printable(what).rstrip()
        if self.width is not None:
            what = shortened_to(what, self._room)
        cells = [
            self._paint(clock, DIM),
            self._paint(str(status), GREEN if status < 400 else YELLOW if status < 500 else RED),
            self._paint(cell(printable(key), self._key), CYAN),
            cell(printable(model), self._model),
            self._paint(shown, DIM),
            what,
        ]
        more = self._wrapped(printable(below), self.width - BELOW - 1) if below and self.width is not None else []
        return "\n".join([self._gap.join(cells), *(f"{' ' * BELOW}{line}" for line in more)])

    def _figures(self, fact: CallEnded) -> str:
        usage = fact.usage
        first = fact.first_token_seconds
        cells = [
            f"{count(usage.input_tokens)}→{count(fact.billed_tokens)}".rjust(TOKENS_WIDTH),
            cost_text(fact.cost_nanos).rjust(COST_WIDTH),
        ]
        if self._first:
            cells.append(("" if first is None else seconds_text(first)).rjust(SECONDS_WIDTH))
        cells.append(seconds_text(fact.total_seconds).rjust(SECONDS_WIDTH))
        return self._gap.join(cells)

    def _paint(self, text: str, colour: str) -> str:
        return f"{colour}{text}{RESET}" if self._colours and colour else text


def gone_wrong(fact: CallEnded) -> str:
    """Say how a call ended that did not end well, the most important first."""
    ended = "" if fact.outcome == FAILED else f"{fact.outcome.replace('_', ' ')}; "
    if fact.error_code is None:
        return ended.rstrip("; ")
    whose = f"{fact.blame}: " if fact.blame else ""
    tries = f", {fact.attempts} attempts" if fact.attempts > 1 else ""
    return f"{ended}{whose}{fact.error_code}{tries}"


def why(failure: VendorFailed) -> str:
    """Say what a vendor answered to an attempt."""
    return f"{failure.code} ({said_by(failure)})"


def said_by(failure: VendorFailed) -> str:
    """Say what went wrong at a vendor, with its name."""
    return failure.detail if failure.detail.startswith(failure.vendor) else f"{failure.vendor}: {failure.detail}"


def cell(text: str, width: int) -> str:
    """Return a text that is exactly so wide."""
    return shortened_to(text, width).ljust(width)


def shortened_to(text: str, width: int) -> str:
    """Return a text that is at most so wide."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def count(number: int) -> str:
    """Write a count in at most six characters: exactly below 100,000, else as `123k` or `1.2M`."""
    if number < 100_000:
        return f"{number:,}"
    for unit, name in UNITS:
        tenths = number * 10 // unit
        if tenths < 10_000:
            return f"{tenths // 10}.{tenths % 10}{name}" if tenths < 1_000 else f"{tenths // 10}{name}"
    return f"{number // 10**9}G"


def cost_text(nanos: Nanos | None) -> str:
    """Write what a call costs in at most nine characters, as exactly as there is room; `aisa explain` is exact."""
    if nanos is None:
        return "no price"
    if nanos == 0:
        return "$0"
    places = COST_PLACES
    while len(text := rounded_dollars(nanos, places).replace("<$0", "<$").replace(",", "")) > COST_WIDTH and places > 2:
        places -= 1
    return text


def seconds_text(seconds: float) -> str:
    """Write a time in at most six characters."""
    return f"{seconds:.2f}s" if seconds < 100 else f"{seconds:.0f}s"
