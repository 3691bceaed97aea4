"""What a route of the administrator is: a request in JSON, and an answer, perhaps after several steps. Lists no route."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import NamedTuple, TypeVar

import msgspec

from aisa.errors import ApiError

#: status and what is to be encoded
Result = tuple[int, object]
#: An answer that takes long is made in steps of some milliseconds, between which others may have their turn.
Steps = Generator[None, None, Result]

Shape = TypeVar("Shape")


class Asked(NamedTuple):
    """A request: the part of the path that stands for `{name}`, decoded, the query, and the body."""

    name: str
    query: Mapping[str, str]
    body: bytes


class Route(NamedTuple):
    """A request that is answered. `{name}` in the path stands for one part of it."""

    method: str
    path: str
    run: Callable[[Asked], Result | Steps]


def read(body: bytes, shape: type[Shape]) -> Shape:
    """Decode a body. Raises ApiError invalid_request, json_parse_error."""
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:
        raise ApiError("invalid_request", f"The body does not fit: {error}.") from None
    except msgspec.DecodeError:
        raise ApiError("json_parse_error", "The body is not a JSON object.") from None
