"""A vendor's answer of which the beginning has been looked at, and that is read from its beginning all the same. Judges nothing."""

from __future__ import annotations

from collections.abc import Mapping

from aisa.providers.port import Answer


class Peeked:
    """An answer in the shape of `aisa.providers.port.Answer`; `beginning` is what its first read brought."""

    def __init__(self, answer: Answer, beginning: bytes) -> None:
        self._beginning = beginning
        self._answer = answer
        self._told = False

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._answer.status

    @property
    def headers(self) -> Mapping[str, str]:
        """Response headers."""
        return self._answer.headers

    async def read(self) -> bytes:
        """Return the beginning, then what follows."""
        if self._told:
            return await self._answer.read()
        self._told = True
        return self._beginning

    def release(self) -> None:
        """Say that the answer is complete."""
        self._answer.release()

    def close(self) -> None:
        """Give the connection back, or abort it."""
        self._answer.close()


async def peeked(answer: Answer, status: int) -> tuple[Answer, bytes]:
    """Return an answer with the beginning of its body, which is looked at where it has this status. Raises UpstreamFailed."""
    if answer.status != status:
        return answer, b""
    try:
        beginning = await answer.read()
    except BaseException:
        answer.close()
        raise
    return Peeked(answer, beginning), beginning
