"""What a request of the administrator is: JSON, and an answer, perhaps after several steps. Lists no route."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar
from urllib.parse import parse_qsl

import msgspec

from aisa.edge.routes import Route
from aisa.errors import ApiError
from aisa.facts import Changed
from aisa.wire.bad_values import in_json_words
from aisa.wire.strict_json import parse_object

ADMIN_BODY_BYTES_MAX = 1 << 20  # a key with an allow-list of ten thousand models

MOMENT_MS_MAX = 253_402_300_799_999  # that is asked for: the end of the year 9999, the last with a date of four digits

#: status and what is to be encoded
Result = tuple[int, object]
#: An answer that takes long is made in steps of some milliseconds, between which others may have their turn.
Steps = Generator[None, None, Result]

Shape = TypeVar("Shape")
Entry = TypeVar("Entry")


class Listed(msgspec.Struct, Generic[Entry], frozen=True, kw_only=True):
    """A list that is known whole. Of a page of it, `has_more` says that there are more entries, `after` its last one's id or name."""

    data: list[Entry]
    has_more: bool = False


class Note(Protocol):
    """Takes note of a change."""

    def __call__(self, fact: Changed, before: object = None, after: object = None) -> None:
        """Keep the fact, and what was changed as it was before and is now."""
        ...


def note_nothing(fact: Changed, before: object = None, after: object = None) -> None:
    """Take no note: where nothing can be changed."""


PAGED = ("limit", "after")  # of lists alone
PAGE_MAX = 1_000  # entries of one page
NAME_CHARACTERS_MAX = 40  # of a name in a query that is shown
YES = ("", "1", "true")  # what a name may have that asks by being there


class Query(Mapping[str, str]):
    """What a request asks in its query, by name; remembers what was looked for. Raises ApiError where a name is there twice."""

    def __init__(self, text: str) -> None:
        given = parse_qsl(text, keep_blank_values=True)
        self._given = dict(given)
        self._looked_for: set[str] = set()
        if len(self._given) < len(given):
            raise ApiError("invalid_request", "The query has the same name twice.")
        if any("\0" in value for value in self._given.values()):  # which no name has, and no database's question may have
            raise ApiError("invalid_request", "The query has a NUL character in it.")

    def __getitem__(self, name: str) -> str:
        self._looked_for.add(name)
        return self._given[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._given)

    def __len__(self) -> int:
        return len(self._given)

    def has(self, name: str) -> bool:
        """Tell whether a name is there that asks by that. Raises ApiError if it has a value that may mean the opposite."""
        value = self.get(name)
        if value is not None and value not in YES:
            raise ApiError("invalid_request", f"{name} is asked for by being there: leave it out, or give it as true.", param=name)
        return value is not None

    def check(self) -> None:
        """Raise ApiError invalid_request for what nobody looked for: without a filter whose name is misspelt all would be shown."""
        known = ", ".join(sorted(self._looked_for))
        there = f" There are: {known}." if known else ""
        self._refuse(self._given.keys() - self._looked_for, f"to ask for in the query here.{there}")

    def refuse(self) -> None:
        """Raise ApiError invalid_request if anything is asked: what a change wants stands in its body."""
        self._refuse(self._given.keys(), "in the query of a change: what it wants stands in the body.")

    def _refuse(self, names: Iterable[str], why: str) -> None:
        for name in sorted(names)[:1]:
            shown = name[:NAME_CHARACTERS_MAX]
            raise ApiError("invalid_request", f"There is no {shown!r} {why}", param=shown)


def bounds_of(entries: Sequence[object], query: Mapping[str, str]) -> tuple[int, int]:
    """Return where a page of a list begins and ends: `limit` entries behind the one called `after` by id or name; all if none is asked for.

    Raises ApiError invalid_request.
    """
    asked, after = (query.get(name) for name in PAGED)
    if asked is None and after is None:
        return 0, len(entries)
    limit = PAGE_MAX if asked is None else number(asked, "limit", PAGE_MAX, smallest=1)
    begin = 0
    if after is not None:
        begin = 1 + next((at for at, entry in enumerate(entries) if entry_name(entry) == after), -1)
        if not begin:
            raise ApiError("invalid_request", "`after` names no entry of this list.", param="after")
    return begin, min(begin + limit, len(entries))


def entry_name(entry: object) -> str:
    """Return what an entry of a list is called by."""
    return str(getattr(entry, "id", getattr(entry, "name", "")))


class Asked(NamedTuple):
    """A request: the part of the path that stands for `{name}`, decoded, the query, and the body."""

    name: str
    query: Query
    body: bytes


#: What answers a request. Raises ApiError.
Answering = Callable[[Asked], Result | Steps]


def look(path: str, answer: Answering) -> Route[Answering]:
    """Return the route of a question. Its path has at most the part `{name}`."""
    return Route("GET", path, answer, needs_key=False)


def change(path: str, answer: Answering, *, changes: bool = True) -> Route[Answering]:
    """Return the route of a request that changes something or, if it `changes` nothing, whose question has a body."""
    return Route("POST", path, answer, QUESTION if not changes else "", needs_key=False, body_bytes_max=ADMIN_BODY_BYTES_MAX)


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request that says everything in its path."""


def act(path: str, answer: Answering, *, changes: bool = True) -> Route[Answering]:
    """Return the same of a request that says everything in its path: a member of its body would be one that nobody heeds."""

    def heedful(asked: Asked) -> Result | Steps:
        if asked.body:
            read(asked.body, Nothing)
        return answer(asked)

    return change(path, heedful, changes=changes)


QUESTION = "question"  # the summary of a route that takes a body and changes nothing: who may only read may ask it


def read(body: bytes, shape: type[Shape]) -> Shape:
    """Decode a body, as strictly as a caller's. Raises ApiError invalid_request, json_parse_error."""
    try:
        shaped = msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:
        member = member_in(str(error))
        said = f"The body does not fit: {in_json_words(str(error))}."
        raise ApiError("invalid_request", said + meant(member or "", str(error), shape), param=member) from None
    except msgspec.DecodeError:
        raise ApiError("json_parse_error", "The body is not a JSON object.") from None
    parse_object(body)  # refuses a key that is there twice, of which the decoder takes the last
    return shaped


#: The member in what the decoder says of a body that does not fit: where it is, or its name.
MEMBER = re.compile(r"at `\$\.(.+)`$|(?:required|unknown) field `([^`]+)`")


def member_in(said: str) -> str | None:
    """Return the member that the decoder complains of, None for the body itself."""
    found = MEMBER.search(said)
    return None if found is None else (found[1] or found[2])[:NAME_CHARACTERS_MAX]


def meant(member: str, said: str, shape: type[Shape]) -> str:
    """Return which member was meant by one that a body cannot have, or those that it can; nothing of a member that it can have."""
    if not issubclass(shape, msgspec.Struct) or "unknown field" not in said or " - at " in said:
        return ""
    known = sorted(shape.__struct_encode_fields__)
    near = difflib.get_close_matches(member.lower(), known, 1)
    if near:
        return f" Did you mean `{near[0]}`?"
    return f" It takes {', '.join(f'`{each}`' for each in known)}." if known else " It takes no member."


def number(text: str, name: str, largest: int, *, smallest: int = 0) -> int:
    """Return a whole number that was given. Raises ApiError invalid_request."""
    if not (text.isascii() and text.isdigit() and len(text) < len(str(10**18)) and smallest <= int(text) <= largest):
        least = f"{smallest:,} at least, " if smallest else ""
        raise ApiError("invalid_request", f"{name} must be a whole number, {least}{largest:,} at most.", param=name)
    return int(text)
